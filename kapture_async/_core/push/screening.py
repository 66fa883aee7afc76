"""Rows that are looked at before they go on: looked up by an older copy of a journal, or compared
with what other journals have sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import HelpdeskError
from .journaling import JournalBridge
from .rows import InFlightRow, RowReader

R = TypeVar("R")

_AT_ONCE = 500
_GATHERING = 0.05
"""Seconds in which rows of a source that may keep one waiting are gathered."""


class Screening(Generic[R]):
    """Draws rows some at a time, has the recorder look at them, and gives them on.

    Args:
        drawing: where rows come from.
        recorder: looks at them.
        fail: told of what keeps the push from going on, and in words.
    """

    def __init__(
        self,
        drawing: RowReader[R],
        recorder: JournalBridge,
        fail: Callable[[BaseException, str], None],
    ) -> None:
        self._drawing = drawing
        self._recorder = recorder
        self._fail = fail
        self._ready: deque[InFlightRow[R]] = deque()
        self._drawn: asyncio.Task[InFlightRow[R] | None] | None = None

    @property
    def needed(self) -> bool:
        """Whether rows must be taken from here."""
        return bool(self._ready) or self._drawn is not None or self._recorder.screens

    async def next(self) -> InFlightRow[R] | None:
        """The next row, or ``None`` when there are no more, or the push failed."""
        if not self._ready:
            some: list[InFlightRow[R]] = []
            try:
                await self._draw(some)
                await self._recorder.screen(some)
            except HelpdeskError as error:
                self._fail(error, "rows could not be looked at before they are sent")
                return None
            finally:
                self._ready.extend(some)
        live = self._ready.popleft() if self._ready else None
        if not self._ready:
            self._recorder.all_begun.set()  # it is, before anybody who waits for it goes on
        return live

    async def left(self) -> list[InFlightRow[R]]:
        """Rows that were drawn and never given on."""
        if self._drawn is not None:
            self._drawn.cancel()
            await asyncio.wait({self._drawn})
            if not self._drawn.cancelled() and self._drawn.exception() is None:
                live = self._drawn.result()
                self._ready.extend([] if live is None else [live])
            self._drawn = None
        left = list(self._ready)
        self._ready.clear()
        self._recorder.all_begun.set()
        return left

    async def _draw(self, some: list[InFlightRow[R]]) -> None:
        drawing = self._drawing
        if drawing.at_once:
            while len(some) < _AT_ONCE and (live := drawing.read_nowait()) is not None:
                some.append(live)
            return
        timeout: float | None = None
        while len(some) < _AT_ONCE:
            if self._drawn is None:
                self._drawn = asyncio.create_task(drawing.read())
            done, _ = await asyncio.wait({self._drawn}, timeout=timeout)
            if not done:
                return
            task, self._drawn = self._drawn, None
            live = task.result()
            if live is None:
                return
            some.append(live)
            self._recorder.all_begun.clear()
            timeout = _GATHERING
