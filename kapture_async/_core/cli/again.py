"""Going on from the report of an earlier push of the same file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ..errors import InvalidInputError
from ..push.report import read_report
from ..push.rows import Row
from .console import count, warn

NO_EFFECT = frozenset({"not_sent", "rejected"})
"""What a report says of rows that are surely not in the helpdesk."""
_NAMED = 5


class Again(Iterator[Row[Any]]):
    """Of a file's rows those that a report says had no effect.

    What the two do not agree on is counted and never pushed: a row that the report does not
    have was never tried, or was in flight when that push was killed; a key that the file does
    not have belongs to a row that was changed, or to another ``--key``.

    Args:
        rows: the rows of the file.
        report: the path of the report.
        file: the path of the file.
        by_line: rows are named by their lines.

    Raises:
        InvalidInputError: it is no report, or lines may have moved since it was written.
    """

    def __init__(self, rows: Iterator[Row[Any]], report: str, file: str, *, by_line: bool) -> None:
        if by_line and os.path.getmtime(file) > os.path.getmtime(report):
            raise InvalidInputError(
                f"rows are named by their lines, and {file} was changed after the report was "
                "written: its lines may have moved, and rows would be pushed twice",
                next_step="Push the changed rows from a file of their own, or name rows by a "
                "column with --key from the first push on.",
            )
        self._rows = rows
        self._report = report
        self._wanted: dict[str, bool] = {}
        self._known: set[str] = set()
        for key, outcome in read_report(report):
            if outcome in NO_EFFECT and key not in self._known:
                self._wanted[key] = False
            else:
                self._known.add(key)
        twice = [key for key in self._wanted if key in self._known]
        for key in twice:
            del self._wanted[key]
        if twice:
            warn(
                f"{count(len(twice), 'key')} of the report stand for several rows, some of them "
                "sent; they are left out"
            )
        self.strangers: list[str] = []
        self.stranger_count = 0

    def __next__(self) -> Row[Any]:
        for row in self._rows:
            key = row.key or ""
            if key in self._wanted:
                self._wanted[key] = True
                return row
            if key not in self._known:
                self.stranger_count += 1
                if len(self.strangers) < _NAMED:
                    self.strangers.append(key)
        raise StopIteration

    @property
    def unmet(self) -> list[str]:
        """Keys of the report that the file did not have, as far as it was read."""
        return [key for key, met in self._wanted.items() if not met]

    def warn(self) -> bool:
        """Say what file and report do not agree on; True if there is anything."""
        if self.stranger_count:
            warn(
                f"{count(self.stranger_count, 'row')} of the file are not in {self._report} "
                f"({_some(self.strangers, self.stranger_count)}) and were NOT pushed: they were "
                "never tried, or were in flight when that push was killed; look the last ones "
                "up in the helpdesk first"
            )
        if unmet := self.unmet:
            warn(
                f"{count(len(unmet), 'key')} of {self._report} are not in the file "
                f"({_some(unmet, len(unmet))}): was the row mended, or is it another --key?"
            )
        return bool(self.stranger_count or unmet)


def _some(keys: list[str], number: int) -> str:
    shown = ", ".join(repr(key[:40]) for key in keys[:_NAMED])
    return f"{shown}, ..." if number > _NAMED else shown
