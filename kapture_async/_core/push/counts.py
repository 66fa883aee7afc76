"""How far a push is, and what is left of one that nobody read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict, field, frozen

from ..outcome import Accepted, AnyOutcome, NotSent, Rejected, Unknown

Failure = Rejected | NotSent | Unknown
_KEPT = 1_000


@frozen
class PushCounts:
    """How many rows were taken from the source, and how they ended so far.

    ``earlier`` counts those that a journal knew and that were skipped: from earlier runs, or
    as the same row again, under the same key.
    """

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0
    earlier: int = 0

    @property
    def in_flight(self) -> int:
        """Rows that were taken and have no outcome yet."""
        ended = self.accepted + self.rejected + self.not_sent + self.unknown + self.earlier
        return self.rows - ended


@frozen
class PushReport(PushCounts):
    """The end of a push that was run as a whole: its counts, and the rows to look at.

    Attributes:
        seconds: how long it took.
        failures: rows that were not accepted, in the order they ended: every ``Unknown``, and the
            first 1,000 others.
    """

    seconds: float = 0.0
    failures: tuple[Failure, ...] = field(default=(), repr=False, eq=False)


class Failures(list[Failure]):
    """Outcomes that a push without a reader keeps: all doubts, and the first of the others that
    were not accepted."""

    def add(self, outcomes: Iterable[AnyOutcome[Any]]) -> None:
        """Keep those of these that are to be kept."""
        for outcome in outcomes:
            if isinstance(outcome, Accepted):
                continue
            if isinstance(outcome, Unknown) or len(self) < _KEPT:
                self.append(outcome)

    def report(self, counts: PushCounts, seconds: float) -> PushReport:
        """The report of a push that took so long."""
        return PushReport(**asdict(counts), seconds=seconds, failures=tuple(self))
