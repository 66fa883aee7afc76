"""Which storage keeps a journal: a path names a file, an address a database."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from ..errors import JournalError
from .address import Address, is_address
from .records import Job
from .storage import ReadStorage, Storage


def open_storage(
    where: str | os.PathLike[str],
    *,
    job: Job | None,
    create: bool,
    now: Callable[[], float],
    restored: bool = False,
) -> Storage:
    """Open a journal for writing, in a run of its own, or make it.

    Args:
        where: its file, or its address.
        job: what it must be for; ``None`` takes it as it is. Its payload setting can only take
            away: what is kept is what both want.
        create: make it if it is not there; needs ``job``.
        now: the clock of this machine. A storage that several machines share has a clock of its
            own.
        restored: it is an older copy, as the caller knows.

    Raises:
        JournalError: see its message; nothing was changed.
    """
    if is_address(where):
        storage: Storage = _postgres().PostgresStorage.open(
            where, job=job, create=create, now=now, restored=restored
        )
        return storage
    from .sqlite.storage import SQLiteStorage

    return SQLiteStorage.open(where, job=job, create=create, now=now, restored=restored)


def open_reader(where: str | os.PathLike[str], *, restored: bool = False) -> ReadStorage:
    """Open a journal for reading. Changes nothing in it.

    Args:
        where: its file, or its address.
        restored: it is an older copy: of a file, a part may be missing.

    Raises:
        JournalError: it is not there, is not a journal, or cannot be read.
    """
    if is_address(where):
        reader: ReadStorage = _postgres().PostgresReader.open_to_read(where, restored=restored)
        return reader
    from .sqlite.reader import SQLiteReader

    return SQLiteReader.open_to_read(where, restored=restored)


def put_source(where: str | os.PathLike[str], source: str, *, at: float) -> None:
    """Put other words in place of :attr:`.Job.source`, after the push. No run is noted for it.

    Args:
        where: of the journal: its file, or its address.
        source: the words.
        at: the wall clock.

    Raises:
        JournalError: another process has it, or it cannot be written. It is as it was, then.
    """
    if is_address(where):
        _postgres().put_source(where, source, at=at)
        return
    from .sqlite import storage

    storage.put_source(where, source, at=at)


def name_of(where: str | os.PathLike[str]) -> str:
    """Where a journal is, in full, for messages: never with a password."""
    if is_address(where):
        return Address.of(os.fspath(where)).text
    from .sqlite.errors import path_text

    return path_text(where)


def exists(where: str | os.PathLike[str]) -> bool:
    """Whether there is a journal, or something in its place.

    Raises:
        JournalError: the database cannot be reached, or holds something else there.
    """
    if is_address(where):
        return bool(_postgres().PostgresReader.exists(where))
    return os.path.lexists(where)


def _postgres() -> Any:
    try:
        return importlib.import_module(".postgres", __package__)
    except ImportError as error:
        raise JournalError(
            "a journal in PostgreSQL needs the package psycopg, which is not installed",
            next_step="Install it: pip install 'kapture-async[postgres]'.",
        ) from error
