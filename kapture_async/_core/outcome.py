"""The outcome of one row of a push: one of four.

========== ================================================ ==========================
outcome    means                                            safe next step
========== ================================================ ==========================
Accepted   the service confirmed it                         none
Rejected   the service refused it; it has no effect         fix the data, or wait
NotSent    it never left this machine                       send it again
Unknown    it may or may not have happened                  look it up; never send blindly
========== ================================================ ==========================
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from attrs import define, field

from .errors import NotSentError, OutcomeUnknownError, RejectedError

R = TypeVar("R")


@define(kw_only=True)
class Outcome:
    """The outcome of one row. Its repr shows neither the row nor the service's reply.

    Not to be changed; not declared frozen, as that would cost half a microsecond per row.

    Attributes:
        index: the row's place in the source, from 0.
        key: the caller's name for the row, if there is one.
        row: the very object the source gave.
        attempts: how often it was sent or tried.
        elapsed: seconds from the first try to the outcome, waits included.
    """

    name: ClassVar[str] = ""

    index: int
    key: str | None = None
    row: Any = field(default=None, repr=False)
    attempts: int = 1
    elapsed: float = 0.0

    @property
    def ticket_id(self) -> str | None:
        """The id the service gave, where it gives one; ``None`` for all but Accepted."""
        return None

    @property
    def reason(self) -> str:
        """Why it is not Accepted, for a person; empty for Accepted."""
        return ""


@define(kw_only=True)
class Accepted(Outcome, Generic[R]):
    """The service confirmed it."""

    name: ClassVar[str] = "accepted"

    result: R = field(repr=False)
    """What the single call would have returned."""
    checked: bool = False
    """Whether what the answer repeats of its row matches the row.

    Without, the answer said "success", and there was nothing to tell by that it was this row's: it
    repeated nothing, or the service has changed all that it repeats."""

    def __repr__(self) -> str:
        return (
            f"Accepted(ticket_id={self.ticket_id!r}, index={self.index}, key={self.key!r}, "
            f"attempts={self.attempts}, elapsed={self.elapsed:.3f}, checked={self.checked})"
        )

    @property
    def ticket_id(self) -> str | None:
        """The id the service gave, where it gives one: of a ticket, or of a customer."""
        value: str | None = getattr(self.result, "ticket_id", None)
        return getattr(self.result, "customer_id", None) if value is None else value


@define(kw_only=True)
class Rejected(Outcome):
    """The service refused it; it has no effect."""

    name: ClassVar[str] = "rejected"
    error: RejectedError

    @property
    def reason(self) -> str:
        """What the error says."""
        return str(self.error)


@define(kw_only=True)
class NotSent(Outcome):
    """It never left this machine, or was rate-limited; it is safe to send again."""

    name: ClassVar[str] = "not_sent"
    error: NotSentError

    @property
    def reason(self) -> str:
        """What the error says."""
        return str(self.error)


@define(kw_only=True)
class Unknown(Outcome):
    """It may or may not have happened."""

    name: ClassVar[str] = "unknown"
    error: OutcomeUnknownError

    @property
    def reason(self) -> str:
        """What the error says."""
        return str(self.error)


AnyOutcome = Accepted[R] | Rejected | NotSent | Unknown
"""One of the four; what a push gives."""
