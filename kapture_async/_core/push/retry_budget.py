"""How many tries may be repetitions: a share of the traffic, and a little more."""

from __future__ import annotations


class RetryBudget:
    """Tokens that first tries earn and repetitions spend.

    A service in trouble must not be given more work because of its trouble: repeated tries are
    bounded by what else is sent. In any stretch of ``w`` seconds with ``n`` first tries, at most
    ``share * n + slow * w + floor`` tries are repetitions.

    Args:
        floor: tokens at the start, and the most that are kept: enough for small pushes, and
            for each worker to repeat its row once after an outage.
        share: tokens earned by a first try.
        slow: tokens that come by themselves in a second, so that workers who all wait to
            repeat, and earn nothing, are not stuck for good.
    """

    __slots__ = ("_at", "floor", "share", "slow", "tokens")

    def __init__(self, now: float, *, floor: float, share: float = 0.2, slow: float = 1.0) -> None:
        self.floor = floor
        self.share = share
        self.slow = slow
        self.tokens = floor
        self._at = now

    def earn(self) -> None:
        """A row is tried for the first time."""
        tokens = self.tokens + self.share
        self.tokens = tokens if tokens < self.floor else self.floor

    def wait_for(self, now: float) -> float:
        """Seconds until there is a token, if nothing is earned meanwhile."""
        passed = now - self._at
        if passed > 0:
            self._at = now
            self.tokens = min(self.tokens + passed * self.slow, self.floor)
        return max(0.0, (1.0 - self.tokens) / self.slow)

    def spend(self, now: float) -> None:
        """A row is tried again."""
        self.tokens -= 1.0

    def give_back(self) -> None:
        """It was not tried after all."""
        self.tokens = min(self.tokens + 1.0, self.floor)
