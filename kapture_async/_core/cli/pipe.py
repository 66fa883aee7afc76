"""Rows from a pipe: reading one may block for ever, which must not stop the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
_AHEAD = 1000


class ReadInThread(AsyncIterator[T], Generic[T]):
    """An iterable, read ahead by a daemon thread, as an async iterator that can be ended."""

    def __init__(self, rows: Iterable[T]) -> None:
        self._rows = rows
        self._ready: deque[T] = deque()
        self._room = threading.Semaphore(_AHEAD)
        self._changed = asyncio.Event()
        self._ended = False
        self._exhausted = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __anext__(self) -> T:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            # A thread that waits for a pipe cannot be told to stop: it must not be waited for.
            threading.Thread(target=self._read, name="reader", daemon=True).start()
        while not self._ended:
            if self._ready:
                self._room.release()
                return self._ready.popleft()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._exhausted:
                break
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration

    def end(self) -> None:
        """Give no further rows, also to those who wait for one already."""
        self._ended = True
        self._changed.set()
        self._room.release()

    def _read(self) -> None:
        try:
            for row in self._rows:
                self._room.acquire()
                if self._ended:
                    return
                self._post(row)
            self._post()
        except Exception as error:
            self._post(error=error)

    def _post(self, *rows: T, error: BaseException | None = None) -> None:
        def take() -> None:
            self._ready.extend(rows)
            self._error = error
            self._exhausted = not rows
            self._changed.set()

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(take)
