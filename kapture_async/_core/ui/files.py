"""The files that the page knows: those it was given, those it keeps, and what was pushed before.

A file is recognized by its content. One that was pushed before, from wherever, is opened with its
own journal, so that nothing is pushed under a second one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, BinaryIO

from attrs import frozen

from ..cli.journal_status import counts_json
from ..cli.options import SUFFIX
from ..cli.saved_options import SavedOptions, job_in
from ..errors import HelpdeskError, InvalidInputError, JournalError
from ..filelock import FileLock
from ..journal import marks
from ..journal.address import is_address
from ..journal.reader import ReadJournal

LARGEST = 4 * 1024**3
"""Bytes of a file that a browser may hand over."""
_LISTED = 50
_LONGEST_NAME = 120
_UNFIT = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')


@frozen
class Known:
    """A file with the journal that it has, or would have."""

    file: str
    journal: str

    @property
    def path(self) -> str:
        """What to open: the journal, if there is one."""
        return self.journal if os.path.lexists(self.journal) else self.file


class Shelf:
    """Where files are kept that were dropped on the page, and where journals are looked for.

    Args:
        folder: it is made when the first file is kept.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)

    async def keep(self, name: str, pieces: AsyncIterator[bytes]) -> Known:
        """Take a file in; the same content as that of a known file is that file.

        Args:
            name: what it was called.
            pieces: of its content.

        Raises:
            InvalidInputError: it is empty or too large.
            OSError: it cannot be written.
        """
        output = await asyncio.to_thread(self._new_part)
        digest, size = hashlib.sha256(), 0
        try:
            with output:
                async for piece in pieces:
                    size += len(piece)
                    if size > LARGEST:
                        raise InvalidInputError(
                            f"the file has more than {LARGEST // 1024**3} GiB",
                            next_step="Give its name on the command line: it is opened in place.",
                        )
                    digest.update(piece)
                    await asyncio.to_thread(output.write, piece)
            if not size:
                raise InvalidInputError("the file is empty")
            return await asyncio.to_thread(self._name, output.name, name, size, digest.hexdigest())
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(output.name)

    def _new_part(self) -> BinaryIO:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        path = os.path.join(self.folder, f".{os.urandom(8).hex()}.part")
        return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))

    def _name(self, part: str, name: str, size: int, digest: str) -> Known:
        known = self.same(size, digest)
        if known is None:
            path = self._free_name(name)
            os.rename(part, path)
            known = Known(path, path + SUFFIX)
        return known

    def same(self, size: int, digest: str) -> Known | None:
        """The known file with this content: one that has a journal, else one that was kept."""
        found = list(self._known(everywhere=True))
        for known in sorted(found, key=lambda one: not os.path.lexists(one.journal)):
            try:
                if os.path.getsize(known.file) == size and digest_of(known.file) == digest:
                    return known
            except OSError:
                continue
        return None

    def listed(self) -> list[dict[str, Any]]:
        """What was pushed before, or kept: the latest first."""
        found: dict[str, dict[str, Any]] = {}
        for known in self._known():
            entry = _entry(known)
            if entry is not None:
                found[known.journal] = entry
        return sorted(found.values(), key=lambda entry: -entry["changed"])[:_LISTED]

    def is_listed(self, path: str) -> bool:
        """Whether the page may open this file or journal: it names only what it was shown."""
        return any(path in (known.file, known.journal) for known in self._known())

    def _known(self, *, everywhere: bool = False) -> Iterator[Known]:
        """The journals of the two folders with their files, then the files that were kept and have
        none yet.

        Args:
            everywhere: also the journals that this machine remembers, wherever they are.
        """
        journals: dict[str, None] = {}
        for folder in dict.fromkeys((os.getcwd(), self.folder)):
            for name in _names_in(folder):
                if name.endswith(SUFFIX):
                    journals[os.path.join(folder, name)] = None
        if everywhere:
            paths = (mark.path for mark in marks.every())
            journals |= dict.fromkeys(path for path in paths if not is_address(path))
        for journal in journals:
            try:
                job = job_in(journal)
            except (HelpdeskError, OSError):
                continue
            if job is not None:
                saved = SavedOptions.read(job.source)
                file = None if saved is None else saved.file
                yield Known(file or journal.removesuffix(SUFFIX), journal)
        for name in _names_in(self.folder):
            path = os.path.join(self.folder, name)
            if not name.startswith(".") and SUFFIX not in name and path + SUFFIX not in journals:
                yield Known(path, path + SUFFIX)

    def _free_name(self, name: str) -> str:
        plain = _UNFIT.sub("_", os.path.basename(name)).lstrip(".").strip() or "file"
        stem, dot, ending = plain.partition(".")
        stem = stem[: _LONGEST_NAME - len(ending)] or "file"
        number = 1
        while True:
            more = "" if number == 1 else f"-{number}"
            path = os.path.join(self.folder, f"{stem}{more}{dot}{ending[-_LONGEST_NAME:]}")
            if not os.path.lexists(path) and not os.path.lexists(path + SUFFIX):
                return path
            number += 1


def set_aside(journal: str) -> str:
    """Give a journal another name, so that its file can be pushed anew with other columns; returns
    that name. Only if no row of it is in the helpdesk, or may be.

    Raises:
        InvalidInputError: a row is or may be there.
        JournalError: another process has it, or it cannot be read.
        OSError: it cannot be renamed.
    """
    path = os.path.realpath(journal)
    lock = FileLock(path)
    if (refusal := lock.acquire(time.time())) is not None:
        raise JournalError(
            f"the journal {journal!r}: {refusal.words}", next_step="Try again later."
        )
    try:
        with ReadJournal.open_to_read(path) as read:
            counts = summary_of(counts_json(read.counts()))
            unsure = read.newer_copy() is not None or read.was_restored()
        if counts["there"] or counts["doubt"] or unsure:
            raise InvalidInputError(
                "rows of this journal are in the helpdesk, or may be: with other columns they "
                "would be sent again",
                next_step="Push the rest with these columns.",
            )
        number = 1
        while os.path.lexists(aside := f"{path}.unsent-{number}"):
            number += 1
        for more in ("-wal", "-shm", ""):  # the journal last: without it the others are nothing
            with contextlib.suppress(FileNotFoundError):
                os.rename(path + more, aside + more)
        return aside
    finally:
        lock.release()


def digest_of(path: str) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _entry(known: Known) -> dict[str, Any] | None:
    entry: dict[str, Any] = {
        "file": known.file,
        "journal": known.journal,
        "name": os.path.basename(known.file),
        "counts": None,
    }
    try:
        if os.path.lexists(known.journal):
            with ReadJournal.open_to_read(known.journal) as journal:
                entry["counts"] = summary_of(counts_json(journal.counts()))
            entry["changed"] = os.path.getmtime(known.journal)
        else:
            entry["changed"] = os.path.getmtime(known.file)
    except (HelpdeskError, OSError):
        return None
    return entry


def summary_of(counts: dict[str, int]) -> dict[str, int]:
    """Rows that are in the helpdesk, that are not, and that are in doubt."""
    doubt = counts["unknown"] + counts["ambiguous"] + counts["probable"]
    absent = counts["rejected"] + counts["not_sent"]
    return {"there": counts["accepted"], "absent": absent, "doubt": doubt, "rows": counts["rows"]}
