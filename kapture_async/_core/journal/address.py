"""Where a journal is: a file, or a job in PostgreSQL; and how either is opened.

A job in PostgreSQL is given by one URL, which is accepted wherever a path is::

    postgresql://user@host/database?job=august&journal_schema=pushes

libpq fills in what the URL leaves out: ``PGHOST``, ``PGPASSWORD``, ``~/.pgpass``, ``PGSERVICE`` and
so on. No text that this module makes contains a password.
"""

from __future__ import annotations

import importlib
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from attrs import field, frozen

from ..errors import JournalError
from ..secret import Secret
from .records import trouble

if TYPE_CHECKING:
    from .storage import OpenOptions, ReadStorage, Storage

SCHEMES = ("postgresql://", "postgres://")
SCHEMA = "kapture_journal"
JOB = "default"
_LONGEST_NAME = 63
"""Bytes of a PostgreSQL name; longer ones are truncated, so two schemas could become one."""
_OURS = ("job", "journal_schema")
_NEXT = (
    "Give it as postgresql://user@host:port/database, with the password in PGPASSWORD or ~/.pgpass."
)


class MaskedURL(str):
    """A URL without its password: safe to show, save and log. The password is kept beside it, as a
    secret."""

    password: Secret | None = None

    @classmethod
    def of(cls, where: str) -> MaskedURL:
        """Take the password out of the text of a URL.

        Raises:
            JournalError: it cannot be read.
        """
        address = Address.of(where)
        masked = cls(address.text)
        masked.password = address.password
        return masked


def masked(where: str | None) -> str | None:
    """A path as it is, a URL without its password in the text.

    Raises:
        JournalError: the URL cannot be read.
    """
    return MaskedURL.of(where) if where is not None and is_address(where) else where


def is_address(where: object) -> bool:
    """Whether a journal is in a database, given by a URL, and not in a file."""
    return isinstance(where, str) and where.startswith(SCHEMES)


@frozen
class Address:
    """Where a journal in PostgreSQL is.

    Attributes:
        url: for libpq, without password, job and schema.
        password: the password of the URL, if it has one.
        job: the job's name; ``None`` if none was named.
        schema: where the tables are.
        text: for messages and to be given again: all of it but the password.
    """

    url: str
    password: Secret | None = field(repr=False)
    job: str | None
    schema: str
    text: str

    @classmethod
    def of(cls, where: str) -> Address:
        """Read one.

        Raises:
            JournalError: it is not a URL of this kind.
        """
        scheme, _, rest = where.partition("://")
        rest, _, query = rest.partition("?")
        authority, slash, database = rest.partition("/")
        user, at, hosts = authority.rpartition("@")
        user, _, password = user.partition(":")
        given = parse_qsl(query, keep_blank_values=True)
        named = dict(given)
        secret = Secret.wrap(named.get("password") or unquote(password) or None)
        secret = secret or getattr(where, "password", None)
        others = [(name, value) for name, value in given if name not in (*_OURS, "password")]
        shown = f"postgresql://{user}{at}{hosts}{slash}{database}"
        if "@" in hosts or "@" in user or scheme not in ("postgresql", "postgres"):
            raise trouble("postgresql://…", "its URL cannot be read", _NEXT)
        job, schema = named.get("job") or None, named.get("journal_schema") or SCHEMA
        for what, name in (("job", job or JOB), ("schema", schema)):
            if not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
                raise trouble(
                    shown, f"the {what}'s name is longer than {_LONGEST_NAME} bytes, or unreadable"
                )
        said = [] if job is None else [("job", job)]
        said += [] if schema == SCHEMA else [("journal_schema", schema)]
        public = [(name, value) for name, value in others if name != "sslpassword"]
        return cls(
            f"{shown}{_query(others)}",
            secret,
            job,
            schema,
            f"{shown}{_query(public + said)}",
        )


def _query(values: list[tuple[str, str]]) -> str:
    return f"?{urlencode(values, quote_via=quote)}" if values else ""


def with_job(where: str, job: str | None, schema: str | None = None) -> MaskedURL:
    """The URL with this job and this schema in it, its password apart.

    Raises:
        JournalError: it names another one already, or cannot be read.
    """
    url = MaskedURL.of(where)
    base, _, query = url.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    for name, value in (("job", job), ("journal_schema", schema)):
        before = dict(given).get(name)
        if value is None or value == before:
            continue
        if before is not None:
            raise JournalError(
                f"the journal's URL says {name}={before}, and the options say {value}",
                next_step="Name it once.",
            )
        given.append((name, value))
    made = MaskedURL(base + _query(given))
    made.password = url.password
    return made


def next_job(where: str) -> MaskedURL:
    """The URL of another job beside one."""
    address = Address.of(where)
    url = with_job(where, None)
    base, _, query = url.partition("?")
    given = [(name, value) for name, value in parse_qsl(query) if name != "job"]
    made = MaskedURL(base + _query([*given, ("job", f"{address.job or JOB}-2")]))
    made.password = url.password
    return made


def stem_of(where: str) -> str:
    """What files that come of a journal are called after it: the name of its job, or of its
    file."""
    if is_address(where):
        return re.sub(r"[^\w.-]", "_", Address.of(where).job or JOB)
    return os.path.basename(where).removesuffix(".journal")


# --- opening what is there


def open_storage(where: str | os.PathLike[str], options: OpenOptions) -> Storage:
    """Open a journal for writing, in a run of its own, or create it.

    Args:
        where: its file, or its address.
        options: how.

    Raises:
        JournalError: see its message; nothing was changed.
    """
    if is_address(where):
        storage: Storage = _postgres().PostgresStorage.open(
            where,
            job=options.job,
            create=options.create,
            now=options.now,
            restored=options.restored,
        )
        return storage
    from .sqlite.storage import SQLiteStorage

    return SQLiteStorage.open(where, options)


def open_reader(where: str | os.PathLike[str], *, restored: bool = False) -> ReadStorage:
    """Open a journal for reading. Changes nothing in it.

    Args:
        where: its file, or its address.
        restored: it is an older copy, so part of a file may be missing.

    Raises:
        JournalError: it does not exist, is not a journal, or cannot be read.
    """
    if is_address(where):
        reader: ReadStorage = _postgres().PostgresReader.open_to_read(where, restored=restored)
        return reader
    from .sqlite.reader import SQLiteReader

    return SQLiteReader.open_to_read(where, restored=restored)


def put_source(where: str | os.PathLike[str], source: str, *, at: float) -> None:
    """Replace :attr:`.Job.source`, after the push. No run is recorded for it.

    Args:
        where: of the journal: its file, or its address.
        source: the new text.
        at: the wall clock.

    Raises:
        JournalError: another process is using it, or it cannot be written. Nothing was changed.
    """
    if is_address(where):
        _postgres().put_source(where, source, at=at)
        return
    from .sqlite import storage

    storage.put_source(where, source, at=at)


def name_of(where: str | os.PathLike[str]) -> str:
    """The full path or address of a journal, for messages, without a password."""
    if is_address(where):
        return Address.of(os.fspath(where)).text
    from .sqlite.errors import path_text

    return path_text(where)


def exists(where: str | os.PathLike[str]) -> bool:
    """Whether there is a journal, or something else in its place.

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
