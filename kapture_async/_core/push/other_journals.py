"""Other journals on this machine that have sent the rows of a push that begins a new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from attrs import define, field

from ..errors import ConfirmationNeededError
from ..journal import marks
from ..journal.marks import Mark
from ..journal.records import Job
from ..journal.sketch import TRIED, is_in, unpacked

_FEW = 3
"""Rows of another journal that are not taken for the same by chance."""


@define
class _OtherJournal:
    mark: Mark
    contents: set[str] = field(repr=False)
    known: int = 0


class OtherJournals:
    """Compares the first rows of a push with what other journals have sent to the same place.

    The push stops when one of them has sent more than half of the rows so far; or when more than
    half of what it has sent is among them, as when a file has grown and its journal is gone.

    Args:
        path: of the new journal.
        others: the marks of the others.
    """

    def __init__(self, path: str, others: Sequence[Mark]) -> None:
        self._path = path
        self._others = [_OtherJournal(mark, unpacked(mark.contents)) for mark in others]
        self._tried = 0

    @classmethod
    def of(cls, job: Job, path: str) -> OtherJournals | None:
        """For a journal without rows; ``None`` if no other has sent anything there."""
        others = [mark for mark in marks.of_same_target(job) if mark.sent and mark.contents]
        return cls(path, others) if others else None

    def compare(self, digests: Sequence[bytes], *, ended: bool) -> bool:
        """Compare the next rows. Returns whether enough were.

        Args:
            digests: of their contents.
            ended: there are no more.

        Raises:
            ConfirmationNeededError: another journal has sent them.
        """
        for digest in digests[: TRIED - self._tried]:
            self._tried += 1
            for other in self._others:
                other.known += is_in(digest, other.contents)
        for other in self._others:
            most = 2 * other.known
            if most > self._tried or (other.known >= _FEW and most > other.mark.sent):
                raise self._error(other.mark)
        return ended or self._tried >= TRIED

    def _error(self, mark: Mark) -> ConfirmationNeededError:
        day = datetime.fromtimestamp(mark.at).strftime("%Y-%m-%d %H:%M")
        rows = f"{mark.sent:,} row{'s' if mark.sent != 1 else ''}"
        if mark.path == self._path:
            what = f"another journal was at {mark.path!r} before"
        elif os.path.exists(mark.path):
            what = f"another journal, {mark.path!r}, has sent these rows"
        else:
            what = f"another journal has sent these rows; it was {mark.path!r}, and is not there"
        if mark.path != self._path and os.path.exists(mark.path):
            way = f"To go on with that push, name its journal (--journal {mark.path})."
        else:
            way = "To go on with that push, put its journal back, and push with --restored."
        return ConfirmationNeededError(
            f"{what}: {rows} of it, last on {day}, are in the helpdesk or may be there, and a new "
            "journal would send them again",
            next_step=f"{way} To send them once more, push with --new-journal (Python: "
            "new_journal=True).",
        )
