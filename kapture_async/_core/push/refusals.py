"""Refusals that say nothing of their rows: how many are alike, and when a push stops for them."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

from ..errors import (
    AuthenticationError,
    HelpdeskError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RejectedError,
    RequestTooLargeError,
    UnreadableReplyError,
)

MOST_ALIKE: Final = 50
"""Refusals alike, without an acceptance between, that stop a push."""

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
    """The base URL is not where the service is, as it seems."""


class Refusals:
    """Watches the refused tries of a push.

    Args:
        operation: what is pushed.
        keep_going: nothing here stops the push.

    Attributes:
        accepted: how many tries were accepted so far; counted by who sends.
    """

    def __init__(self, operation: str, *, keep_going: bool = False) -> None:
        self._of_existing = operation.endswith(".update")
        self.keep_going = keep_going
        self._alike: Counter[Kind] = Counter()
        self._accepted_then = 0
        self.accepted = 0

    def look(self, error: HelpdeskError) -> Stop | None:
        """Take notice of a try that failed, in the order in which tries end.

        Returns:
            Why no more is to be sent; ``None`` to go on.
        """
        if self.keep_going:
            return None
        stop = None if self.accepted else self._at_the_start(error)
        return stop or self._one_more(error)

    def _at_the_start(self, error: HelpdeskError) -> Stop | None:
        """What no row will fare better with, as long as none was accepted."""
        said = _said(error)
        if _is_redirect(error):
            next_step = "Set the base URL to the address that really serves the API."
            return Stop(error.message, next_step, cause=error, wrong_address=True)
        if isinstance(error, AuthenticationError):
            return Stop(said, _after(error), cause=error)
        if isinstance(error, UnreadableReplyError) and error.is_page:
            what = f"the address answers with a page, and not as the service does: {error.message}"
            next_step = "Check the base URL, and what stands before the service."
            return Stop(what, next_step, cause=error, wrong_address=True)
        if isinstance(error, PermissionDeniedError) and not self._of_existing:
            return Stop(said, _after(error), cause=error)
        # Of what is updated, it may say that it is not there.
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
        what = f"{MOST_ALIKE} requests in a row were refused alike: {_said(error)}"
        return Stop(what, _after(error), cause=error)


def kind_of(error: HelpdeskError) -> Kind:
    """What refusals that are alike have in common: numbers, ids and quotations are of the row."""
    words = (error.vendor_message or error.message)[:_WORDS].casefold()
    plain = _OWN.sub("#", _QUOTED.sub("*", words))
    return type(error).__name__, error.status, _BLANKS.sub(" ", plain).strip()


def _counts(error: HelpdeskError) -> bool:
    """Whether a refusal may be one of all rows, and not of this one's own data."""
    if _is_redirect(error):
        return True
    if not isinstance(error, RejectedError) or error.about_data:
        return False
    if isinstance(error, RateLimitedError) and error.status == 429:
        return False  # it asks to wait, and each row has its patience
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
        "Find out what refuses it and have that corrected, then push again. With keep_going "
        "(--keep-going) a push goes on in spite of it."
    )
