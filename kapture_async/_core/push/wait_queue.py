"""A first-come, first-served queue without a task: the first waiter runs the timer for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf

Pauser = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits for so many seconds, or until the event is set."""


async def pause_on_clock(stop: asyncio.Event, seconds: float) -> None:
    """Wait on the real clock."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


_SLACK = 1e-6
"""Seconds to ignore: timers fire this early, and float errors are smaller."""


class _Waiter:
    __slots__ = ("abandoned", "admitted", "sleeping")

    def __init__(self) -> None:
        self.sleeping: asyncio.Future[None] | None = None
        self.admitted = False
        self.abandoned = False

    def wake(self) -> None:
        if self.sleeping is not None and not self.sleeping.done():
            self.sleeping.set_result(None)


class WaitQueue:
    """Admits waiters in order, each as soon as ``wait_for`` allows.

    Args:
        wait_for: seconds until the next may be admitted; infinity if no time is known.
        on_admit: called when one is admitted.
        on_abandon: undoes ``on_admit`` for one that was cancelled after it was admitted.
        now: a monotonic clock.
        pause: waits; replaceable for tests.
    """

    def __init__(
        self,
        *,
        wait_for: Callable[[float], float],
        on_admit: Callable[[float], None],
        on_abandon: Callable[[], None],
        now: Callable[[], float],
        pause: Pauser,
    ) -> None:
        self._wait_for = wait_for
        self._on_admit = on_admit
        self._on_abandon = on_abandon
        self._now = now
        self._pause = pause
        self._waiters: deque[_Waiter] = deque()
        self._timekeeper: _Waiter | None = None
        self._alarm_at = inf
        self._alarm = asyncio.Event()
        self._closed = False
        self.waiting = 0
        """How many wait."""

    async def wait(self) -> bool:
        """Wait to be admitted. False if the queue was closed instead."""
        waiter = _Waiter()
        self._waiters.append(waiter)
        self.waiting += 1
        try:
            seconds = self.advance()
            while not (waiter.admitted or self._closed):
                if self._timekeeper is None and seconds < inf:
                    await self._keep_time(waiter, seconds)
                else:
                    waiter.sleeping = asyncio.get_running_loop().create_future()
                    await waiter.sleeping
                seconds = self.advance()
        except BaseException:  # cancelled, perhaps just after it was admitted
            self._abandon(waiter)
            raise
        if self._closed:
            self._abandon(waiter)
            return False
        if self._waiters:
            self.advance()  # another waiter must run the timer now
        return True

    def _abandon(self, waiter: _Waiter) -> None:
        if waiter.admitted:
            self._on_abandon()
        else:
            waiter.abandoned = True
            self.waiting -= 1
        self.advance()

    async def _keep_time(self, waiter: _Waiter, seconds: float) -> None:
        self._timekeeper = waiter
        self._alarm_at = self._now() + seconds
        self._alarm.clear()
        try:
            await self._pause(self._alarm, seconds)
        finally:
            self._timekeeper = None

    def advance(self) -> float:
        """Admit all that may pass now. Call this whenever a limit may have risen.

        Returns:
            Seconds until the next may be admitted; infinity if none waits or no time is known.
        """
        waiters = self._waiters
        while waiters and not self._closed:
            first = waiters[0]
            if first.abandoned:
                waiters.popleft()
                continue
            now = self._now()
            seconds = self._wait_for(now)
            if seconds > _SLACK:
                if seconds < inf:
                    if self._timekeeper is None:
                        first.wake()
                    elif now + seconds < self._alarm_at - _SLACK:
                        self._alarm.set()
                return seconds
            waiters.popleft()
            self.waiting -= 1
            first.admitted = True
            self._on_admit(now)
            if first is self._timekeeper:
                self._alarm.set()
            first.wake()
        return inf

    def close(self) -> None:
        """Turn away all waiters, present and future."""
        self._closed = True
        self._alarm.set()
        for waiter in self._waiters:
            waiter.wake()
