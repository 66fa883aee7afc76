"""Pauses that hold for all workers, and the single try that ends them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

Cause = Literal["slow_down", "down"]


class CircuitBreaker:
    """Open, held shut for a time the service named, or shut until one try comes back well.

    A shut door lets one worker through at a time: after ``wait`` seconds, then after twice as
    many, and so on. Any try that was begun after it was shut and works opens it. A probe that
    hangs does not hold up the next, else a service that comes back would wait for a time-out.

    Args:
        longest: the most seconds between two probes.
        rand: a random number in [0, 1), to keep several pushes from probing together.
    """

    def __init__(self, *, longest: float, rand: Callable[[], float]) -> None:
        self._longest = self._most = longest
        self._rand = rand
        self.held_until = -inf
        """Nobody passes before, whether it is shut or not."""
        self._shut_at = inf
        self._probe_at = -inf
        self._wait = 0.0
        self._last_wait = 0.0
        self.opened_at = -inf
        """When it was last opened."""
        self.cause: Cause | None = None
        """Why it is shut; ``None`` if it is not."""
        self.probing = False
        """Shut, and a probe is out."""

    @property
    def shut_at(self) -> float:
        """When it was shut; infinity if it is not."""
        return self._shut_at

    def wait_for(self, now: float) -> float:
        """Seconds until one may pass."""
        at = self.held_until
        if self.cause is not None and self._probe_at > at:
            at = self._probe_at
        return at - now if at > now else 0.0

    def passed(self, now: float) -> bool:
        """One passes. True if it is a probe."""
        if self.cause is None:
            return False
        self.probing = True
        self._probe_at = now + self._wait * (0.75 + 0.25 * self._rand())
        self._wait = min(self._wait * 2, self._most)
        return True

    def hold(self, now: float, seconds: float) -> float:
        """Nobody passes for as long as the service asks for.

        Returns:
            Seconds from now until it ends; 0 if it was held for about as long already, as those
            who are refused together are all told to wait.
        """
        until = now + seconds * (1.0 + 0.02 * self._rand())  # never less than was asked for
        before = self.held_until
        if until <= before:
            return 0.0
        self.held_until = until
        return until - now if until - before > 0.3 * seconds else 0.0

    def shut(self, now: float, cause: Cause, wait: float, longest: float = inf) -> float:
        """Shut it until a probe works. Returns the seconds until the first, 0 if it was shut.

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
        self._shut_at = now
        if cause == "down" and now - self.opened_at < 5.0:
            wait = max(wait, self._last_wait)  # what was taken for a recovery was none
        self._probe_at = now + wait * (0.75 + 0.25 * self._rand())
        self._most = min(longest, self._longest)
        self._wait = min(wait * 2, self._most)
        return self.wait_for(now)

    def open(self, now: float) -> None:
        """A probe worked."""
        self._last_wait = self._wait
        self.opened_at = now
        self._shut_at = inf
        self.cause = None
        self.probing = False
