"""The progress of a push, and the report of one run as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict, field, frozen

from ..outcome import Accepted, AnyOutcome, NotSent, Rejected, Unknown

Failure = Rejected | NotSent | Unknown
_KEPT = 1_000


@frozen
class PushCounts:
    """How many rows were read from the source, and how they have ended so far.

    ``earlier`` counts rows that the journal knew and that were skipped: rows of earlier runs, and
    repeats of a row under the same key.
    """

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0
    earlier: int = 0

    @property
    def in_flight(self) -> int:
        """Rows that were read and have no outcome yet."""
        ended = self.accepted + self.rejected + self.not_sent + self.unknown + self.earlier
        return self.rows - ended


@frozen
class PushReport(PushCounts):
    """The result of a push run as a whole: its counts, and the rows that need attention.

    Attributes:
        seconds: how long it took.
        failures: rows that were not accepted, in the order they ended: every ``Unknown``, and the
            first 1,000 others.
    """

    seconds: float = 0.0
    failures: tuple[Failure, ...] = field(default=(), repr=False, eq=False)


class Failures(list[Failure]):
    """Outcomes kept by a push that nobody iterates over: all doubts, and the first of the other
    failures."""

    def add(self, outcomes: Iterable[AnyOutcome[Any]]) -> None:
        """Keep the failures among these."""
        for outcome in outcomes:
            if isinstance(outcome, Accepted):
                continue
            if isinstance(outcome, Unknown) or len(self) < _KEPT:
                self.append(outcome)

    def report(self, counts: PushCounts, seconds: float) -> PushReport:
        """The report of a push that took so long."""
        return PushReport(**asdict(counts), seconds=seconds, failures=tuple(self))
