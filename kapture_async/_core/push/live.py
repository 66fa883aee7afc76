"""One row under way, and what the end of a try says of the service."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

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
from ..outcome import Accepted, AnyOutcome, NotSent, Outcome, Rejected, Unknown
from .journal.facts import Taken
from .pace import Sign
from .recorder import Entry
from .rows import Row

R = TypeVar("R")


class Live(Generic[R]):
    """One row under way."""

    __slots__ = (
        "drawing",
        "entry",
        "has_turn",
        "key",
        "known",
        "last",
        "own_key",
        "problem",
        "result",
        "row",
        "started",
        "tries",
        "value",
    )

    def __init__(self, row: Any, started: float) -> None:
        self.row = row
        self.started = started
        self.value = row
        self.key: str | None = None
        self.own_key: str | None = None
        """The key, if it names the row for good."""
        self.problem: InvalidInputError | None = None
        if isinstance(row, Row):
            self.key, self.problem, self.value = row.key, row.problem, row.value
            self.own_key = row.key if row.keyed else None
        self.tries = 0
        self.result: list[R] = []
        self.last: HelpdeskError | None = None
        self.known: Taken | None = None
        self.entry: Entry | None = None
        self.drawing = True
        self.has_turn = False

    def outcome(self, index: int, now: float) -> AnyOutcome[R]:
        """What became of it."""
        common: dict[str, Any] = {
            "index": index,
            "key": self.key,
            "row": self.row,
            "attempts": self.tries,
            "elapsed": now - self.started,
        }
        if self.result:
            return Accepted(result=self.result[0], **common)
        if isinstance(self.last, RejectedError):
            return Rejected(error=self.last, **common)
        if isinstance(self.last, NotSentError):
            return NotSent(error=self.last, **common)
        assert isinstance(self.last, OutcomeUnknownError)
        return Unknown(error=self.last, **common)


def sign_of(error: HelpdeskError) -> Sign | None:
    """What a failed try says of the service; ``None`` if it says nothing."""
    if isinstance(error, RateLimitedError):
        return "slow_down"
    if isinstance(error, RejectedError):
        return "refused"
    if isinstance(error, (NoReplyError, ReplyTimeoutError)):
        return "lost"
    if isinstance(error, OutcomeUnknownError):
        return "slow_down" if error.status == 503 and error.retry_after else "failed"
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
