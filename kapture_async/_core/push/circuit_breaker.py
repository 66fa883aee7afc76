"""Stops all workers while the service is down, and probes until it works again."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

Cause = Literal["slow_down", "down"]


class CircuitBreaker:
    """Closed: requests pass. Open: only probes pass. It can also be paused for a given time.

    An open breaker lets one request through at a time: after ``wait`` seconds, then after twice
    as many, and so on. Any request that was sent after it opened and succeeds closes it. A probe
    that hangs does not delay the next; otherwise a recovery would go unnoticed until a time-out.

    Args:
        longest: the most seconds between two probes.
        rand: a random number in [0, 1), to keep several pushes from probing together.
    """

    def __init__(self, *, longest: float, rand: Callable[[], float]) -> None:
        self._longest = self._longest_now = longest
        self._rand = rand
        self.paused_until = -inf
        """No request passes before, whether it is open or closed."""
        self._opened_at = inf
        self._probe_at = -inf
        self._wait = 0.0
        self._last_wait = 0.0
        self.closed_at = -inf
        """When it last closed."""
        self.cause: Cause | None = None
        """Why it is open; ``None`` if it is closed."""
        self.probing = False
        """Open, with a probe in flight."""

    @property
    def opened_at(self) -> float:
        """When it opened; infinity if it is closed."""
        return self._opened_at

    def wait_for(self, now: float) -> float:
        """Seconds until a request may pass."""
        at = self.paused_until
        if self.cause is not None and self._probe_at > at:
            at = self._probe_at
        return at - now if at > now else 0.0

    def acquired(self, now: float) -> bool:
        """A request passes. True if it is a probe."""
        if self.cause is None:
            return False
        self.probing = True
        self._probe_at = now + self._wait * (0.75 + 0.25 * self._rand())
        self._wait = min(self._wait * 2, self._longest_now)
        return True

    def pause(self, now: float, seconds: float) -> float:
        """Let no request pass for as long as the service asks for.

        Returns:
            Seconds until the pause ends; 0 if it would have lasted about as long anyway, because
            requests that are refused together all carry the same pause.
        """
        until = now + seconds * (1.0 + 0.02 * self._rand())  # never less than was asked for
        before = self.paused_until
        if until <= before:
            return 0.0
        self.paused_until = until
        return until - now if until - before > 0.3 * seconds else 0.0

    def open(self, now: float, cause: Cause, wait: float, longest: float = inf) -> float:
        """Open it until a probe succeeds.

        Returns the seconds until the first probe; 0 if it was open already.

        Args:
            now: the time.
            cause: why.
            wait: seconds until the first probe.
            longest: the most seconds between two probes, if fewer than usual.
        """
        if self.cause is not None:
            if cause == "down" and self.cause != "down":
                self.cause = cause
            return 0.0
        self.cause = cause
        self.probing = False
        self._opened_at = now
        if cause == "down" and now - self.closed_at < 5.0:
            wait = max(wait, self._last_wait)  # the last recovery was a false one
        self._probe_at = now + wait * (0.75 + 0.25 * self._rand())
        self._longest_now = min(longest, self._longest)
        self._wait = min(wait * 2, self._longest_now)
        return self.wait_for(now)

    def close(self, now: float) -> None:
        """A probe succeeded."""
        self._last_wait = self._wait
        self.closed_at = now
        self._opened_at = inf
        self.cause = None
        self.probing = False
