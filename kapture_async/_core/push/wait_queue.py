"""A queue of workers without a task of its own: whoever waits first keeps the clock for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf

Pauser = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits so many seconds, or until the event is set."""


async def pause_on_clock(stop: asyncio.Event, seconds: float) -> None:
    """Wait on the real clock."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


_SLACK = 1e-6
"""Seconds that are no time: timers fire that early, and sums of floats miss by less."""


class _Waiter:
    __slots__ = ("gone", "sleeping", "through")

    def __init__(self) -> None:
        self.sleeping: asyncio.Future[None] | None = None
        self.through = False
        self.gone = False

    def wake(self) -> None:
        if self.sleeping is not None and not self.sleeping.done():
            self.sleeping.set_result(None)


class WaitQueue:
    """First come, first through, as soon as ``wait_for`` allows.

    Args:
        wait_for: seconds until the next may pass; 0 for now, infinity if no clock can tell.
        take: called at the moment one passes.
        give_back: undoes ``take`` for one who was let through and will not go.
        now: a monotonic clock.
        pause: waits; replaceable for tests.
    """

    def __init__(
        self,
        *,
        wait_for: Callable[[float], float],
        take: Callable[[float], None],
        give_back: Callable[[], None],
        now: Callable[[], float],
        pause: Pauser,
    ) -> None:
        self._wait_for = wait_for
        self._take = take
        self._give_back = give_back
        self._now = now
        self._pause = pause
        self._waiters: deque[_Waiter] = deque()
        self._keeper: _Waiter | None = None
        self._rings_at = inf
        self._alarm = asyncio.Event()
        self._closed = False
        self.waiting = 0
        """How many stand in line."""

    async def join(self) -> bool:
        """Wait for one's turn. False if the line was closed instead."""
        me = _Waiter()
        self._waiters.append(me)
        self.waiting += 1
        try:
            seconds = self.advance()
            while not (me.through or self._closed):
                if self._keeper is None and seconds < inf:
                    await self._keep_the_clock(me, seconds)
                else:
                    me.sleeping = asyncio.get_running_loop().create_future()
                    await me.sleeping
                seconds = self.advance()
        except BaseException:  # cancelled, perhaps in the very moment it was let through
            self._leave(me)
            raise
        if self._closed:
            self._leave(me)
            return False
        if self._waiters:
            self.advance()  # somebody else must keep the clock now
        return True

    def _leave(self, me: _Waiter) -> None:
        if me.through:
            self._give_back()
        else:
            me.gone = True
            self.waiting -= 1
        self.advance()

    async def _keep_the_clock(self, me: _Waiter, seconds: float) -> None:
        self._keeper = me
        self._rings_at = self._now() + seconds
        self._alarm.clear()
        try:
            await self._pause(self._alarm, seconds)
        finally:
            self._keeper = None

    def advance(self) -> float:
        """Let through all who may pass now.

        To be called whenever something may have changed for the better.

        Returns:
            Seconds until the next may pass, infinity if nobody waits or no clock can tell.
        """
        waiters = self._waiters
        while waiters and not self._closed:
            first = waiters[0]
            if first.gone:
                waiters.popleft()
                continue
            now = self._now()
            seconds = self._wait_for(now)
            if seconds > _SLACK:
                if seconds < inf:
                    if self._keeper is None:
                        first.wake()
                    elif now + seconds < self._rings_at - _SLACK:
                        self._alarm.set()
                return seconds
            waiters.popleft()
            self.waiting -= 1
            first.through = True
            self._take(now)
            if first is self._keeper:
                self._alarm.set()
            first.wake()
        return inf

    def close(self) -> None:
        """Send everybody away, also those who come later."""
        self._closed = True
        self._alarm.set()
        for waiter in self._waiters:
            waiter.wake()
