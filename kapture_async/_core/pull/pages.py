"""Rows in pages: one page per window, several windows in flight, pages in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import date, timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..errors import HelpdeskError, InvalidInputError

T = TypeVar("T")
W = TypeVar("W")


def days_between(start: date, end: date) -> Iterator[date]:
    """Every day from ``start`` to ``end``, both included.

    Raises:
        InvalidInputError: the end lies before the start.
    """
    if end < start:
        raise InvalidInputError(f"the end {end} lies before the start {start}")
    return (start + timedelta(days=n) for n in range((end - start).days + 1))


def _pulling(window: object) -> str:
    where = f" {window}" if window else ""
    return f"while pulling{where}; earlier windows were delivered whole"


class Pages(Generic[T]):
    """Rows of one or more windows, as an async iterator over the rows or page by page.

    ::

        async for row in client.tickets.pull("2024-04-01", "2024-04-30"):
            ...

    Windows are fetched up to ``ahead`` at a time and handed out in order. A row whose id was in
    this window or the one before is dropped; nothing that was handed out is kept. If a window
    fails, its error is raised when its turn comes, with every earlier window delivered whole,
    and is raised again if the iteration is gone on with. A cancellation (a timeout around it,
    say) loses nothing: the iteration can be gone on with.

    Leaving the loop early: :meth:`aclose` or ``async with`` cancels what was fetched ahead.

    Args:
        windows: what to fetch, one after the other.
        fetch: gives the rows of a window.
        id_of: a row's id; what has none is never dropped.
        ahead: windows in flight at most.
        of: what the rows are, for the repr.
        where: tells in the note of an error which window failed.
    """

    def __init__(
        self,
        windows: Iterable[W],
        fetch: Callable[[W], Coroutine[Any, Any, list[T]]],
        *,
        id_of: Callable[[T], str | None],
        ahead: int = 4,
        of: str = "rows",
        where: Callable[[W], str] = _pulling,
    ) -> None:
        if ahead < 1:
            raise InvalidInputError("ahead must be 1 or more")
        self._windows = iter(windows)
        self._fetch: Callable[[Any], Coroutine[Any, Any, list[T]]] = fetch
        self._id_of = id_of
        self._ahead = ahead
        self._of = of
        self._where: Callable[[Any], str] = where
        self._handed_out = 0
        self._under_way: deque[tuple[Any, asyncio.Task[list[T]]]] = deque()
        self._before: frozenset[str] = frozenset()
        self._rows: Iterator[T] = iter(())
        self._closed = False
        self._failure: Exception | None = None

    async def next_page(self) -> list[T] | None:
        """The rows of the next window, possibly none of them; ``None`` at the end.

        Raises:
            HelpdeskError: this window failed; a note names it.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return None
        self._fill()
        if not self._under_way:
            self._closed = True
            return None
        window, task = self._under_way[0]
        # Waited for and not awaited: a cancellation of the reader must not become the task's.
        await asyncio.wait({task})
        self._under_way.popleft()
        try:
            rows = task.result()
        except Exception as error:
            if isinstance(error, HelpdeskError):
                error.add_note(self._where(window))
            self._failure = error
            await self.aclose()
            raise
        self._fill()
        return self._without_repeats(rows)

    async def all(self) -> list[T]:
        """Every row that is left, in one list."""
        return [row async for row in self]

    async def aclose(self) -> None:
        """Stop: cancel what is being fetched ahead. Calling it again does nothing."""
        self._closed = True
        tasks = [task for _, task in self._under_way]
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def __aiter__(self) -> Pages[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            for row in self._rows:
                return row
            page = await self.next_page()
            if page is None:
                raise StopAsyncIteration
            self._rows = iter(page)

    async def __aenter__(self) -> Pages[T]:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _fill(self) -> None:
        while len(self._under_way) < self._ahead:
            try:
                window = next(self._windows)
            except StopIteration:
                return
            task = asyncio.ensure_future(self._fetch(window))
            task.add_done_callback(_look_at)
            self._under_way.append((window, task))

    def _without_repeats(self, rows: list[T]) -> list[T]:
        seen: set[str] = set()
        kept = []
        for row in rows:
            row_id = self._id_of(row)
            if row_id:
                if row_id in seen or row_id in self._before:
                    continue
                seen.add(row_id)
            kept.append(row)
        self._before = frozenset(seen)
        self._handed_out += 1
        return kept

    def __repr__(self) -> str:
        count = self._handed_out
        pages = f"{count:,} page{'s' * (count > 1)} handed out" if count else "not begun"
        return f"<Pages of {self._of}, {pages}{', closed' if self._closed else ''}>"


def _look_at(task: asyncio.Task[Any]) -> None:
    """So that a window nobody came to read is not reported as "never retrieved"."""
    if not task.cancelled():
        task.exception()
