"""When a push stops by itself: refusals that are not about their rows, and too many failures."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final, NamedTuple

from ..errors import (
    AuthenticationError,
    HelpdeskError,
    InvalidInputError,
    NotFoundError,
    OpenTicketLimitError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    RejectedError,
    RequestTooLargeError,
    UnreadableReplyError,
)
from ..outcome import NotSent, Outcome, Rejected, Unknown

MOST_ALIKE: Final = 50
"""Refusals alike, without an acceptance between, that stop a push."""

_FIRST_FAILURES = 20
"""As long as nothing was accepted, so many failures in a row that are not the rows' own are
enough: rows are sent one at a time then, and each may be a doubt."""
_KINDS_KEPT = 1_000
_WORDS = 200
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_OWN = re.compile(r"\S*[\d@#]\S*")
_BLANKS = re.compile(r"\s+")
_NO_SUCH_CALL = frozenset({404, 405, 410, 421})

Kind = tuple[str, int | None, str]


class Stop(NamedTuple):
    """Why a push is to stop, and what is safe next."""

    reason: str
    next_step: str | None = None
    retry_after: float | None = None
    cause: HelpdeskError | None = None
    wrong_address: bool = False
    """The base URL is probably wrong."""
    temporary: bool = False
    """It may pass by itself."""


class StopRules:
    """Watches how the tries and the rows of a push end.

    Args:
        operation: what is pushed.
        keep_going: no refusal stops the push.
        give_up_after: so many consecutive rows that failed for reasons that are not their own
            stop it; ``None`` for never.

    Attributes:
        accepted: how many tries were accepted so far; counted by the worker.
        failed_in_row: how many consecutive rows failed for such reasons.
    """

    def __init__(
        self, operation: str, *, keep_going: bool = False, give_up_after: int | None = None
    ) -> None:
        self._of_existing = operation.endswith(".update")
        self.keep_going = keep_going
        self._give_up_after = give_up_after or math.inf
        self._alike: Counter[Kind] = Counter()
        self._accepted_then = 0
        self.accepted = 0
        self.failed_in_row = 0

    def after_try(self, error: HelpdeskError) -> Stop | None:
        """Take note of a try that failed, in the order in which tries end.

        Returns:
            Why no more is to be sent; ``None`` to continue.
        """
        if self.keep_going:
            return None
        stop = None if self.accepted else self._at_the_start(error)
        return stop or self._one_more(error)

    def after_row(self, outcome: Outcome, *, any_accepted: bool) -> Stop | None:
        """Take note of a row that was not accepted, likewise."""
        if not is_hopeless(outcome):
            self.failed_in_row = 0
            return None
        if self.keep_going and outcome.name == "rejected":
            return None
        self.failed_in_row += 1
        most = self._give_up_after if any_accepted else min(self._give_up_after, _FIRST_FAILURES)
        if self.failed_in_row < most:
            return None
        cause: HelpdeskError = getattr(outcome, "error")  # noqa: B009 - only failures get here
        rows = count_of_rows(self.failed_in_row)
        return Stop(
            f"{rows} in a row failed, the last with: {cause.message}",
            cause=cause,
            temporary=isinstance(cause, RateLimitedError) or not isinstance(cause, RejectedError),
        )

    def _at_the_start(self, error: HelpdeskError) -> Stop | None:
        """What will fail with every row alike, as long as none was accepted."""
        said = _said(error)
        if _is_redirect(error):
            next_step = "Set the base URL to the address that really serves the API."
            return Stop(error.message, next_step, cause=error, wrong_address=True)
        if isinstance(error, AuthenticationError):
            return Stop(said, _after(error), cause=error)
        if isinstance(error, UnreadableReplyError) and error.is_page:
            what = f"the address answers with a web page, not as the service does: {error.message}"
            next_step = "Check the base URL, and any proxy in front of the service."
            return Stop(what, next_step, cause=error, wrong_address=True)
        if isinstance(error, PermissionDeniedError) and not self._of_existing:
            return Stop(said, _after(error), cause=error)
        # Where something is updated, the same status may mean that this one does not exist.
        no_such_call = error.status in _NO_SUCH_CALL and isinstance(error, RejectedError)
        if no_such_call and not error.about_data and not self._of_existing:
            what = f"the address does not take this call (HTTP {error.status}): {said}"
            next_step = "Check the base URL, then push again."
            return Stop(what, next_step, cause=error, wrong_address=True)
        return None

    def _one_more(self, error: HelpdeskError) -> Stop | None:
        if self.accepted != self._accepted_then:
            self._accepted_then = self.accepted
            self._alike.clear()
        if not _counts(error):
            return None
        kind = kind_of(error)
        self._alike[kind] += 1
        if self._alike[kind] < MOST_ALIKE:
            if len(self._alike) > _KINDS_KEPT:
                self._alike.clear()
            return None
        what = f"{MOST_ALIKE} consecutive requests were refused alike: {_said(error)}"
        return Stop(what, _after(error), cause=error)


def is_hopeless(outcome: Outcome) -> bool:
    """Failures that are about the service or the settings, not about the row."""
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


def count_of_rows(number: int) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{number:,} row{'' if number == 1 else 's'}"


def kind_of(error: HelpdeskError) -> Kind:
    """What like refusals have in common: numbers, ids and quotations belong to the row."""
    words = (error.vendor_message or error.message)[:_WORDS].casefold()
    plain = _OWN.sub("#", _QUOTED.sub("*", words))
    return type(error).__name__, error.status, _BLANKS.sub(" ", plain).strip()


def _counts(error: HelpdeskError) -> bool:
    """Whether a refusal may concern all rows, and not this one's own data."""
    if _is_redirect(error):
        return True
    if not isinstance(error, RejectedError) or error.about_data:
        return False
    if isinstance(error, RateLimitedError) and error.status == 429:
        return False  # it asks to wait; each row has its own patience
    return not isinstance(error, RequestTooLargeError)


def _is_redirect(error: HelpdeskError) -> bool:
    return error.status is not None and 300 <= error.status < 400


def _said(error: HelpdeskError) -> str:
    words = error.vendor_message
    return f"{error.message}: {words!r}" if words else error.message


def _after(error: HelpdeskError) -> str:
    """The safe next step after a stop. Nothing that was refused is in the helpdesk."""
    if isinstance(error, AuthenticationError):
        return f"{error.next_step} Then push again: what is in the helpdesk is not sent twice."
    if isinstance(error, RateLimitedError):
        return "Wait until the limit allows more, or set a lower max_rate; then push again."
    if _is_redirect(error) or isinstance(error, (PermissionDeniedError, NotFoundError)):
        return f"{error.next_step} Then push again."
    return (
        "Find out why it is refused and have that corrected, then push again. With keep_going "
        "(--keep-going) a push continues in spite of it."
    )
