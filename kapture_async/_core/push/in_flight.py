"""One row under way, and what the end of a try says of the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from attrs import define

from ..errors import (
    AuthenticationError,
    HelpdeskError,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    NotSentError,
    OpenTicketLimitError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    RejectedError,
    ReplyTimeoutError,
)
from ..journal.records import Decision, Sighted
from ..outcome import Accepted, AnyOutcome, NotSent, Outcome, Rejected, Unknown
from ..transport.call_state import Semaphore
from .rows import Row
from .throttle import Sign

R = TypeVar("R")

NOTHING: Final[Any] = object()
"""The result of a row that has none."""


@define
class Slowed:
    """A row that was told to slow down.

    Attributes:
        told: how often it was.
        passed: how many rows were accepted when it was told so last.
        others: how many tries of any row had been told so then.
        wait: seconds it waits by itself before its next try.
        own: it was meant for this row alone.
        apart: a worker of its own waits with it.
    """

    told: int = 0
    passed: int = 0
    others: int = 0
    wait: float = 0.0
    own: bool = False
    apart: bool = False


class InFlightRow(Generic[R]):
    """One row under way.

    Attributes:
        index: its place in the source.
        row: as the source gave it.
        value: what is sent.
        key: its name for its outcome.
        own_key: the key, if it names the row for good.
        problem: why it cannot be sent at all.
        started: when it was taken from the source.
        ended: when its last try ended well.
        tries: how many were made.
        result: what the call returned.
        last: how the last try ended, if not well.
        known: what the journal knows of it, if it is not to be sent.
        entry: its row in the journal, once its intent is there, or on its way.
        attempt: the number of that intent.
        deferred: its row in the journal, while it waits to be tried again.
        sighted: what a lookup said of it, before it could be sent.
        slowed: what is known of it, once it was told to slow down.
        slot: holds one of these until its turn comes.
        has_turn: it is out, as far as the throttle is concerned.
        sent: what its answer is compared with; see :mod:`.answers`.
        checked: something that its answer repeats fits the row.
    """

    __slots__ = (
        "attempt",
        "checked",
        "deferred",
        "ended",
        "entry",
        "has_turn",
        "index",
        "key",
        "known",
        "last",
        "own_key",
        "problem",
        "result",
        "row",
        "sent",
        "sighted",
        "slot",
        "slowed",
        "started",
        "tries",
        "value",
    )

    def __init__(self, index: int, row: Any, started: float) -> None:
        self.index = index
        self.row = row
        self.started = self.ended = started
        self.value = row
        self.key: str | None = None
        self.own_key: str | None = None
        self.problem: InvalidInputError | None = None
        if isinstance(row, Row):
            self.key, self.problem, self.value = row.key, row.problem, row.value
            self.own_key = row.key if row.keyed else None
        self.tries = 0
        self.result: R = NOTHING
        self.last: HelpdeskError | None = None
        self.known: Decision | None = None
        self.entry: int | None = None
        self.attempt = self.deferred = 0
        self.sighted: Sighted | None = None
        self.slot: Semaphore | None = None
        self.slowed: Slowed | None = None
        self.has_turn = self.checked = False
        self.sent: Any = None

    def release_slot(self) -> None:
        """Let another row be drawn: this one has had its turn, or needs none."""
        if self.slot is not None:
            self.slot.release()
            self.slot = None

    def outcome(self, now: Callable[[], float]) -> AnyOutcome[R]:
        """What became of it."""
        if self.result is not NOTHING:
            return Accepted(
                index=self.index,
                key=self.key,
                row=self.row,
                attempts=self.tries,
                elapsed=self.ended - self.started,
                result=self.result,
                checked=self.checked,
            )
        common: dict[str, Any] = {
            "index": self.index,
            "key": self.key,
            "row": self.row,
            "attempts": self.tries,
            "elapsed": now() - self.started,
        }
        if isinstance(self.last, RejectedError):
            return Rejected(error=self.last, **common)
        if isinstance(self.last, NotSentError):
            return NotSent(error=self.last, **common)
        assert isinstance(self.last, OutcomeUnknownError)
        return Unknown(error=self.last, **common)


def sign_of(error: HelpdeskError) -> Sign | None:
    """What a failed try says of the service; ``None`` if it says nothing."""
    if isinstance(error, RateLimitedError):
        return "slow_down" if error.status == 429 else "limit"
    if isinstance(error, RejectedError):
        return "refused"
    if isinstance(error, (NoReplyError, ReplyTimeoutError)):
        return "lost"
    if isinstance(error, OutcomeUnknownError):
        return "slow_down" if error.status == 503 and error.retry_after else "failed"
    if error.status == 425:
        return "slow_down"
    return "unreachable" if error.attempts else None


def is_hopeless(outcome: Outcome) -> bool:
    """Failures that say something of the service or the settings, not of the row."""
    if isinstance(outcome, Unknown):
        return True
    if isinstance(outcome, NotSent):
        return not isinstance(outcome.error, InvalidInputError)
    return isinstance(outcome, Rejected) and isinstance(
        outcome.error,
        (
            AuthenticationError,
            NotFoundError,
            OpenTicketLimitError,
            PermissionDeniedError,
            RateLimitedError,
            RedirectedError,
        ),
    )
