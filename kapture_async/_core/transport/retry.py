"""Whether to send again: one pure decision, and the parser of what servers say about waiting."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from attrs import field, frozen

from ..arguments import check_seconds, check_whole
from ..errors import ConfigurationError
from ..phase import Effect, Phase

AGAIN = frozenset({425, 429})
"""Statuses by which a service says that it did not take the request, and will later."""
_AGAIN_IF_READ = frozenset({408, 500, 502, 503, 504})


def _check_attempts(_self: object, _attribute: object, value: int) -> None:
    check_whole("attempts", value, 1, ConfigurationError)


def _check_seconds(_self: object, attribute: Any, value: float) -> None:
    check_seconds(attribute.name, value, ConfigurationError)


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how fast to send again where that is safe. What is safe is not a setting.

    Attributes:
        attempts: attempts per call, the first included; 1 means no retry.
        first_wait: seconds before the second attempt; doubles with each further one.
        longest_wait: the most seconds between two attempts, unless the server asks for more.
    """

    attempts: int = field(default=3, validator=_check_attempts)
    first_wait: float = field(default=0.25, validator=_check_seconds)
    longest_wait: float = field(default=8.0, validator=_check_seconds)

    def backoff(self, attempt: int, rand: float) -> float:
        """Seconds to wait after attempt number ``attempt``; ``rand`` in [0, 1) spreads callers."""
        step = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt - 1, 60))
        return step * (0.5 + rand / 2)


NO_RETRY = RetryPolicy(attempts=1)


@frozen(kw_only=True)
class Ending:
    """How one attempt ended short of a usable answer."""

    phase: Phase
    status: int | None = None  # of a *whole* answer
    retry_after: float | None = None
    permanent: bool = False  # sending again cannot help (a certificate that does not verify, say)


@frozen
class RetryIn:
    """Send again after so many seconds."""

    seconds: float


@frozen
class GiveUp:
    """Do not send again; ``reason`` says why in a few words."""

    reason: str


def decide(
    policy: RetryPolicy,
    effect: Effect,
    ending: Ending,
    *,
    attempt: int,
    time_left: float,
    rand: float,
) -> RetryIn | GiveUp:
    """Whether to send again after ``ending``.

    Not sent: anything may go again. 425, 429: anything, after the wait. A read: after any passing
    failure. A write that may have arrived, without a clear answer: never.

    Args:
        policy: how often and how fast.
        effect: what the operation does to the server.
        ending: how the attempt ended.
        attempt: its number, from 1.
        time_left: seconds until the call's deadline; ``math.inf`` without one.
        rand: a random number in [0, 1).
    """
    if ending.permanent:
        return GiveUp("it would fail again")
    if ending.status is None:
        if ending.phase >= Phase.SENDING and effect == "write":
            return GiveUp("it may have happened")
    elif ending.status not in AGAIN:
        if ending.status not in _AGAIN_IF_READ:
            return GiveUp("the answer is final")
        if effect == "write":
            return GiveUp("it may have happened")
    if attempt >= policy.attempts:
        return GiveUp("all attempts are used up")
    wait = ending.retry_after or policy.backoff(attempt, rand)  # "0" must not mean a hot loop
    if wait >= time_left:
        return GiveUp("the wait is longer than the time left")
    return RetryIn(wait)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds a server asks to wait, from a ``Retry-After`` header.

    Takes seconds (also fractions), an HTTP date, and a list such as ``"50, 47"`` that a proxy
    made of two headers (the longest counts). A moment in the past gives 0; anything else ``None``.

    Args:
        value: the header's text, or ``None``.
        now: the wall clock, seconds since the epoch.
    """
    if not value:
        return None
    text = value.strip()
    found = [seconds for part in text.split(",") if (seconds := _seconds(part)) is not None]
    if found:
        return max(found)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # HTTP dates are in GMT, also where they do not say so
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _seconds(text: str) -> float | None:
    text = text.strip()
    if not text or not text.isascii() or not (text[0].isdigit() or text[0] in "+-."):
        return None  # float() would also take "nan", "inf" and digits of other scripts
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
