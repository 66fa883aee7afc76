"""Rows that are recorded, or about to be, ahead of the workers that send them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from .rows import InFlightRow

if TYPE_CHECKING:
    from .push import Push

R = TypeVar("R")

_FARTHEST = 8.0
"""The most rows ahead, for each request that may be in flight."""
LOOKED_UP = 512
"""How many rows the journal is asked about at a time, without recording them."""


class RowsAhead(Generic[R]):
    """Where the workers of a journaled push get their rows, so that none waits for the disk.

    Few rows are ahead, since each of them is in doubt after a crash: one for each request that may
    be in flight, and up to eight where workers would otherwise wait for the disk.

    Args:
        push: whose workers they are.

    Attributes:
        begun: rows on their way to the disk.
        looking: of these, rows that the journal is only asked about. None of them is in doubt
            after a crash, so they take up no room.
        ended: no more rows will be begun.
        on_idle: called when a worker finds no row.
    """

    def __init__(self, push: Push[R]) -> None:
        self._throttle = push._throttle
        self._ready: deque[InFlightRow[R]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._hungry = asyncio.Event()
        self._reach = 2.0
        self._starved = False
        self._low = 0
        """With this few rows ahead it is time for more."""
        self._most = 0
        self.begun = self.looking = 0
        self.ended = False
        self.on_idle: Callable[[], None] = lambda: None

    # --- for the workers ------------------------------------------------------------------------

    def get_nowait(self) -> InFlightRow[R] | None:
        """See :class:`.rows.Feed`."""
        ready = self._ready
        if not ready:
            return None
        row = ready.popleft()
        if self.begun - self.looking + len(ready) <= self._low:
            self._hungry.set()
        return row

    async def get(self) -> InFlightRow[R] | None:
        """See :class:`.rows.Feed`."""
        while True:
            row = self.get_nowait()
            if row is not None or (self.ended and not self.begun):
                return row
            self._starved = True
            self.on_idle()
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(turn)
            try:
                await turn
            except BaseException:
                if turn.done() and not turn.cancelled():
                    self._wake(1)  # pass the turn on to a worker that can take it
                raise

    def hold_slot(self, row: InFlightRow[R]) -> None:
        """See :class:`.rows.Feed`; recorded rows may wait."""

    # --- for the bridge -------------------------------------------------------------------------

    def wanted(self) -> int:
        """How many more rows may be begun. More are ahead if workers had to wait for one, else
        less and less."""
        if self._starved:
            self._starved = False
            self._reach = min(1.25 * self._reach, _FARTHEST)
        else:
            self._reach = max(0.98 * self._reach, 1.0)
        self._most = max(2, int(self._reach * self._throttle.limit))
        self._low = self._most // 2
        return self.room

    @property
    def room(self) -> int:
        """How many more rows may be begun, as of the last :meth:`wanted`."""
        return self._most - self.begun + self.looking - len(self._ready)

    async def wait_until_low(self) -> None:
        """Wait until it is time for more rows."""
        self._hungry.clear()
        ahead = self.begun - self.looking + len(self._ready)
        if ahead > self._low or self.looking > LOOKED_UP // 2:
            await self._hungry.wait()

    async def wait_for_answers(self) -> None:
        """Wait until the journal has answered for rows it was asked about."""
        self._hungry.clear()
        if self.looking:
            await self._hungry.wait()

    def put(self, rows: Sequence[InFlightRow[R]]) -> None:
        """These are recorded: workers may send them."""
        self.begun -= len(rows)
        self._ready.extend(rows)
        if self._idle:
            self._wake(len(rows))
        if self.ended:
            self.end()

    def take_out(self) -> None:
        """A row needs no worker, or none for now."""
        self.begun -= 1
        self._hungry.set()
        if self.ended:
            self.end()

    def hurry(self) -> None:
        """Let :meth:`wait_until_low` return."""
        self._hungry.set()

    def end(self) -> None:
        """No more rows will be begun; once none is under way, idle workers may go."""
        self.ended = True
        if not self.begun:
            self._wake(len(self._idle))

    def left(self) -> list[InFlightRow[R]]:
        """The rows that no worker took."""
        rows = list(self._ready)
        self._ready.clear()
        return rows

    def _wake(self, most: int) -> None:
        while self._idle and most > 0:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                most -= 1
