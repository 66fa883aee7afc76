"""The results of a push: counts, latencies, reasons, and a file with one line per row."""

from __future__ import annotations

import csv
import math
import os
import re
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

from ..errors import HelpdeskError
from ..outcome import Accepted, NotSent, Outcome
from ..spreadsheet import harmless

NAMES = ("accepted", "rejected", "not_sent", "unknown")
"""The outcomes, in the order in which they are shown."""
COLUMNS = ("key", "outcome", "ticket_id", "reason")
"""The columns of a report file."""

_STEPS = 16  # buckets per doubling: a percentile is right to 4.4 percent
_FIRST = 1e-6
_DOUBLINGS = 36  # up to 19 hours
_REASONS_KEPT = 200
_OTHER = "other reasons"
_LINE = re.compile(r"^line \d+: ")


class Histogram:
    """Durations in buckets of growing width: percentiles in a fixed, small amount of memory."""

    def __init__(self) -> None:
        self._buckets = array("Q", bytes(8 * _STEPS * _DOUBLINGS))
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        place = int(math.log2(max(seconds, _FIRST) / _FIRST) * _STEPS)
        self._buckets[min(place, len(self._buckets) - 1)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """The duration that so many percent of all do not exceed; 0 if there are none."""
        wanted = max(1, math.ceil(self.count * percent / 100))
        passed = 0
        for place, number in enumerate(self._buckets):
            passed += number
            if number and passed >= wanted:
                return min(_FIRST * 2 ** ((place + 1) / _STEPS), self.longest)
        return 0.0


class Summary:
    """The outcomes of all rows so far. Its size does not depend on their number."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(NAMES, 0))
        self.unchecked = 0
        """Accepted rows whose answers repeat nothing of them that could be compared, or nothing
        that fits; see :attr:`.Accepted.checked`."""
        self.seconds = 0.0
        self.latency = Histogram()
        self.reasons: Counter[tuple[str, str]] = Counter()
        """How often which outcome came for which reason."""

    @property
    def rows(self) -> int:
        """All rows."""
        return self.counts.total()

    @property
    def sent(self) -> int:
        """Rows that the service answered, or may have received."""
        return self.rows - self.counts["not_sent"]

    @property
    def rate(self) -> float:
        """Rows sent per second."""
        return self.sent / self.seconds if self.seconds else 0.0

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.name] += 1
        if isinstance(outcome, Accepted) and not outcome.checked:
            self.unchecked += 1
        if not isinstance(outcome, NotSent):
            self.latency.add(outcome.elapsed)
        error = getattr(outcome, "error", None)
        if isinstance(error, HelpdeskError):
            self._count_reason(outcome.name, reason_of(error))

    def as_json(self) -> dict[str, Any]:
        """The numbers, for programs."""
        told: dict[str, Any] = {"rows": self.rows, **self.counts}
        if self.unchecked:
            told["unchecked"] = self.unchecked
        return {**told, "seconds": round(self.seconds, 3)}

    def _count_reason(self, outcome: str, reason: str) -> None:
        entry = (outcome, reason)
        if entry not in self.reasons and len(self.reasons) >= _REASONS_KEPT:
            entry = (outcome, _OTHER)
        self.reasons[entry] += 1


def reason_of(error: HelpdeskError) -> str:
    """The reason in few words, the same for all rows that share it."""
    reason = _LINE.sub("", error.message)
    if error.vendor_message:
        reason += f": {error.vendor_message[:60]!r}"
    return f"{reason} (HTTP {error.status})" if error.status not in (None, 200) else reason


class ReportFile:
    """A CSV file with one line per row, written as the outcomes come.

    Only its owner may read it, and spreadsheets take no cell for a formula: what would be one
    starts with an apostrophe. ``save`` hands what was added to the operating system, so that it
    survives even if this process is killed.

    Args:
        path: its name.
        excel: start it with a byte order mark, so that Excel reads it as UTF-8.

    Raises:
        FileExistsError: the file is there already. It may be the only record of another push.
    """

    def __init__(self, path: str | os.PathLike[str], *, excel: bool = False) -> None:
        self.path = Path(path)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = open(  # noqa: SIM115 - closed by close()
            file,
            "w",
            encoding="utf-8-sig" if excel else "utf-8",
            errors="backslashreplace",
            newline="",
        )
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)
        self.save()

    def add(self, outcome: Outcome) -> None:
        """Write the outcome of a row."""
        key = outcome.key if outcome.key is not None else str(outcome.index)
        self.write(key, outcome.name, outcome.ticket_id or "", outcome.reason)

    def write(self, key: str, outcome: str, ticket_id: str, reason: str) -> None:
        """Write one line."""
        cells = (key, outcome, ticket_id, " ".join(reason.split()))
        self._writer.writerow([harmless(cell) for cell in cells])

    def save(self) -> None:
        """Hand all lines so far to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Save and close. Calling it again does nothing."""
        self._file.close()

    def discard(self) -> None:
        """Close and delete it: for a push that did not start."""
        self.close()
        self.path.unlink(missing_ok=True)
