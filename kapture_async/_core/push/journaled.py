"""Rows on their way through the journal: none is sent before its intent is on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from .drawing import Drawing
from .journal.facts import Taken
from .live import Live
from .pace import Pace
from .recorder import Begun, Entry, Recorder

R = TypeVar("R")


class JournaledFeed(Generic[R]):
    """Has rows written down ahead of the workers, so that nobody's turn is spent on the disk.

    What is ahead stays small, since after a crash each such row is in doubt: two for each
    request that may be out.

    Args:
        drawing: where rows come from.
        recorder: writes them down.
        pace: says how many are of use.
        keep_up: waits until the outcomes so far have been read.
        finish: takes rows that need no worker: known to the journal, refused, or left over.
    """

    def __init__(
        self,
        drawing: Drawing[R],
        recorder: Recorder,
        pace: Pace,
        keep_up: Callable[[], Awaitable[None]],
        finish: Callable[[Live[R]], None],
    ) -> None:
        self._drawing = drawing
        self._recorder = recorder
        self._pace = pace
        self._keep_up = keep_up
        self._finish = finish
        self._ready: asyncio.Queue[Live[R] | None] = asyncio.Queue()
        self._hungry = asyncio.Event()
        self._begun = 0
        self._exhausted = False
        self._left = False

    async def run(self) -> None:
        """Draw rows as they are needed; returns when there are no more."""
        try:
            while await self._pace.clear():
                for _ in range(self._wanted):
                    live = await self._drawing.draw()
                    if live is None:
                        return
                    self._begin(live)
                await self._keep_up()
                self._hungry.clear()
                if not self._drawing.over and self._wanted < self._most // 2:
                    await self._hungry.wait()
        finally:
            self._exhausted = True
            self._tell_workers()

    async def next(self) -> Live[R] | None:
        """See :class:`.drawing.Feed`."""
        ready = self._ready
        live = await ready.get() if ready.empty() else ready.get_nowait()
        if live is None:
            ready.put_nowait(None)  # for the next worker
        elif self._wanted >= self._most // 2:
            self._hungry.set()
        return live

    def stop(self) -> None:
        """No more rows are wanted. Those that are ready still go to the workers."""
        self._hungry.set()

    def leave(self) -> None:
        """No worker will take any more: finish what is ready, and what will be."""
        self._left = True
        while not self._ready.empty():
            live = self._ready.get_nowait()
            if live is not None:
                self._finish(live)

    @property
    def _most(self) -> int:
        return 2 * self._pace.room

    @property
    def _wanted(self) -> int:
        return self._most - self._begun - self._ready.qsize()

    def _begin(self, live: Live[R]) -> None:
        self._begun += 1
        done = partial(self._has_begun, live)
        self._recorder.begin(live.own_key, live.row, live.value, live.problem, done)

    def _has_begun(self, live: Live[R], begun: Begun) -> None:
        self._begun -= 1
        if isinstance(begun, Entry):
            live.entry, live.value = begun, begun.value
            if self._left:
                self._finish(live)
            else:
                self._ready.put_nowait(live)
        else:
            if isinstance(begun, Taken):
                live.known = begun
            else:
                live.last = begun
            self._finish(live)
            self._hungry.set()
        if self._exhausted:
            self._tell_workers()

    def _tell_workers(self) -> None:
        if not self._begun:
            self._ready.put_nowait(None)
