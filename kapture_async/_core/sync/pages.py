"""The blocking iterator over an async pager."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from ..pull.arrow import frame_for
from .loop import PrivateLoop

T = TypeVar("T")


class Pager(Protocol[T]):
    """What :class:`SyncPages` needs of an async pager."""

    async def next_page(self) -> list[T] | None:
        """The next page, which may be empty; ``None`` after the last."""

    async def aclose(self) -> None:
        """Stop fetching; may be called at any time, and again."""


class SyncPages(Generic[T]):
    """Items of a paged answer, fetched page by page, or as they arrive where the pager can that.

    Iterate it for items, :meth:`pages` for whole pages; both continue where the other stopped.
    It can be iterated once. Leaving early is fine; ``with`` or :meth:`close` then stops at
    once what is being fetched ahead.
    """

    def __init__(self, loop: PrivateLoop, pager: Pager[T]) -> None:
        self._loop = loop
        self._pager = pager
        self._next_rows: Callable[[], Coroutine[Any, Any, list[T] | None]] = getattr(
            pager, "next_rows", pager.next_page
        )
        self._page: Iterator[T] = iter(())
        self._begun = False
        self._ended = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            for item in self._page:
                return item
            rows = self._fetch(self._next_rows)
            if rows is None:
                raise StopIteration
            self._page = iter(rows)

    def pages(self) -> Iterator[list[T]]:
        """Iterate pages; the rest of a page already begun comes first."""
        rest = list(self._page)
        if getattr(self._pager, "midway", False):
            rest += self._fetch(self._pager.next_page) or []
        if rest:
            yield rest
        while (page := self._fetch(self._pager.next_page)) is not None:
            yield page

    def all(self) -> list[T]:
        """Fetch everything that is left into one list."""
        return list(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """All that is left as an Arrow stream (PyCapsule), for data frame libraries.

        ``polars.DataFrame(client.tickets.pull(...))`` is all it takes; the rows become columns
        while they arrive, some thousand at a time. It needs pyarrow, which the extra ``arrow``
        brings.

        Raises:
            ConfigurationError: pyarrow is not installed.
            TypeError: these items have no columns.
        """
        reader = frame_for(self._pager).reader(self._blocks())
        stream: object = reader.__arrow_c_stream__(requested_schema)
        return stream

    def _blocks(self) -> Iterator[list[T]]:
        if rest := list(self._page):
            yield rest
        while (rows := self._fetch(self._next_rows)) is not None:
            if rows:
                yield rows

    def close(self) -> None:
        """Stop fetching, and end the iteration. May be called again."""
        self._page = iter(())
        if self._begun and not self._ended:
            self._ended = True
            self._loop.finish(self._pager.aclose)
        self._ended = True

    def _fetch(self, ask: Callable[[], Coroutine[Any, Any, list[T] | None]]) -> list[T] | None:
        if self._ended:
            return None
        self._begun = True
        rows = self._loop.run(ask())
        if rows is None:
            self._ended = True
        return rows

    def __repr__(self) -> str:
        return repr(self._pager).replace(type(self._pager).__name__, type(self).__name__, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Left early and dropped, as after ``break``: nobody else can stop what is fetched ahead.
        if self._begun and not self._ended:
            self._loop.post(self._pager.aclose)
