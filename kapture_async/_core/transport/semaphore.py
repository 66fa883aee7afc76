"""Semaphore for requests: so many may be under way at a time, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class Semaphore:
    """A semaphore whose fast ways are attributes::

        if slots.free:
            slots.free -= 1
        else:
            await slots.wait()
        ...
        if slots.waiters:
            slots.release()
        else:
            slots.free += 1

    Args:
        count: how many there are.
    """

    __slots__ = ("free", "waiters")

    def __init__(self, count: int) -> None:
        self.free = count
        """More than 0 only while nobody waits."""
        self.waiters: deque[asyncio.Future[None]] = deque()
        """Who waits, and perhaps some that have given up."""

    async def acquire(self) -> None:
        """Take a slot, at once if there is one."""
        if self.free:
            self.free -= 1
        else:
            await self.wait()

    async def wait(self) -> None:
        """Wait for a slot, and take it. Only where none is free."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it was ours already
                self.release()
            raise

    def release(self) -> None:
        """Give a slot back, or on to who waits for the longest time."""
        if not self.waiters:
            self.free += 1
            return
        while self.waiters:
            turn = self.waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
