"""When a push may send: one gate that all its workers pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Pauser = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits so many seconds, or until the event is set."""


async def pause_on_clock(stop: asyncio.Event, seconds: float) -> None:
    """Wait on the real clock."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


class Gate:
    """A pause that holds for all workers together.

    A service that says "slow down" means the caller, not one of its connections: a single
    worker that waits while 31 others go on only collects refusals.

    Args:
        now: a monotonic clock.
        pause: waits; replaceable for tests.
        first_wait, longest_wait: seconds, doubled from pause to pause, where the service names
            none; back to the first once something was accepted.
    """

    def __init__(
        self,
        now: Callable[[], float],
        pause: Pauser = pause_on_clock,
        *,
        first_wait: float = 0.5,
        longest_wait: float = 30.0,
    ) -> None:
        self._now = now
        self._pause = pause
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._next_wait = first_wait
        self._until = float("-inf")
        self.stopped = asyncio.Event()

    async def passed(self) -> bool:
        """Wait while the gate is shut. False if the push was stopped instead."""
        while not self.stopped.is_set():
            left = self._until - self._now()
            if left <= 0:
                return True
            await self._pause(self.stopped, left)
        return False

    def shut(self, seconds: float | None) -> float:
        """Shut the gate for all.

        Args:
            seconds: what the service asked for; ``None`` or 0 leaves it to the gate.

        Returns:
            Seconds from now until it opens; 0 if it was shut for longer already.
        """
        now = self._now()
        if seconds:
            wait = seconds
        elif self._until > now:
            return 0.0  # several workers are told at once: that is one refusal, not many
        else:
            wait, self._next_wait = self._next_wait, min(self._next_wait * 2, self._longest_wait)
        if now + wait <= self._until:
            return 0.0
        self._until = now + wait
        return wait

    def accepted(self) -> None:
        """Something went through: the next pause starts small again."""
        self._next_wait = self._first_wait
