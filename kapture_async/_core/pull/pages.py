"""Rows as they come or in pages: one page per window, several windows in flight, all in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from datetime import date, timedelta
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..arguments import check_whole
from ..errors import HelpdeskError, InvalidInputError
from ..requestor import PageSize
from .arrow import ArrowStream, Frame, frame_for
from .window import FetchedWindow, Window, content_digest

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


def compact(row_id: str) -> int | str:
    """An id in half the memory, where it is a number; no two become one."""
    if len(row_id) < 18 and row_id.isascii() and row_id.isdecimal():
        return int(f"1{row_id}")
    return row_id


def expand(key: int | str) -> str:
    """The id that :func:`compact` made this of."""
    return key if isinstance(key, str) else str(key)[1:]


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
    and is raised again if the iteration continues. A cancellation (a timeout around it,
    say) of one of its steps loses nothing: the iteration can continue.

    Where the rows come one by one, they are handed out while their window is still arriving, and
    those of a window that fails may have been handed out in part. Its error says how many.
    :meth:`next_page` gives whole windows only.

    Leaving the loop early: :meth:`aclose` or ``async with`` cancels what was fetched ahead.

    Args:
        windows: what to fetch, one after the other.
        fetch: gives the rows of a window, all at once or as a source of rows.
        id_of: a row's id; what has none is never dropped.
        ahead: windows in flight at most.
        of: what the rows are, for the repr.
        where: tells in the note of an error which window failed.
        frame: the rows as columns, for data frames.

    Attributes:
        frame: the same.
        own: rows keep the bytes they came in, to be written to a file. Set it before the first
            row is read; it has no effect where rows do not arrive one by one.
        on_repeats: called with the ids, and the window, of rows that the window before had, too.
        on_end: called for each window, once it is whole: how many rows it had, repeats included,
            and how many the service says there are.
    """

    def __init__(
        self,
        windows: Iterable[W],
        fetch: Callable[[W], Coroutine[Any, Any, list[T]] | Window[T]],
        *,
        id_of: Callable[[T], str | None],
        ahead: int = 4,
        of: str = "rows",
        where: Callable[[W], str] = _pulling,
        frame: Frame | None = None,
    ) -> None:
        check_whole("ahead", ahead, 1)
        self._windows = iter(windows)
        self._fetch: Callable[[Any], Coroutine[Any, Any, list[T]] | Window[T]] = fetch
        self._id_of = id_of
        self._ahead = ahead
        self._of = of
        self._where: Callable[[Any], str] = where
        self.frame = frame
        self.own = False
        self.on_repeats: Callable[[list[str], Any], None] | None = None
        self.on_end: Callable[[Any, int, int | None], None] | None = None
        self._handed_out = 0
        self._under_way: deque[tuple[Any, Window[T]]] = deque()
        self._before: set[int | str] = set()
        self._seen: set[int | str] = set()
        self._nameless = 0
        self._rows: Iterator[T] = iter(())
        self._gathered: list[T] = []
        self._given = 0
        self._short: list[Any] = []
        self._empty_by_words: list[Any] = []
        self._midway = False
        self._window: Any = None
        self._closed = False
        self._failure: Exception | None = None

    @property
    def window(self) -> Any:
        """The window that the rows handed out last belong to."""
        return self._window

    @property
    def incomplete(self) -> tuple[Any, ...]:
        """The windows so far of which the service gave fewer rows than it says there are."""
        return tuple(self._short)

    @property
    def empty_by_words(self) -> tuple[Any, ...]:
        """The windows so far that have no rows because a text in place of them said so.

        Unlike an empty list, such a text proves nothing for a lookup.
        """
        return tuple(self._empty_by_words)

    @property
    def midway(self) -> bool:
        """Whether rows of a window were handed out whose end has not come yet."""
        return self._midway

    async def next_page(self) -> list[T] | None:
        """The rows of the next window, possibly none of them; ``None`` at the end.

        Of a window whose rows were handed out in part, these are the others.

        Raises:
            HelpdeskError: this window failed; a note names it.
        """
        self._gathered += self._rows
        if self._gathered and not self._midway:
            return self._page()
        while (step := await self._advance()) is not None:
            self._gathered += step
            if not self._midway:
                return self._page()
        return None

    async def next_rows(self) -> list[T] | None:
        """The rows that come next, at least one, as they arrive; ``None`` at the end.

        Raises:
            HelpdeskError: a window failed; notes name it, and say how many of its rows were
                handed out before.
        """
        rows = self._page() + list(self._rows)
        if rows:
            return rows
        while (step := await self._advance()) is not None:
            if step:
                return step
        return None

    async def all(self) -> list[T]:
        """Every row that is left, in one list.

        A cancellation (a timeout around it, say) or an error loses those it had gathered.
        """
        return [row async for row in self]

    async def to_arrow(self) -> ArrowStream:
        """Every row that is left, as a table for data frames: a ``pyarrow.Table``.

        Columns are named as the attributes of the rows; see :class:`.arrow.Frame`. Rows become
        columns as they come, in a fraction of the memory that they need as objects. A
        cancellation or an error loses those it had gathered.

        Returns:
            What ``polars.DataFrame(...)``, ``pandas`` and ``duckdb`` take as it is.

        Raises:
            ConfigurationError: pyarrow is not installed; the extra ``arrow`` brings it.
            HelpdeskError: a window failed.
        """
        frame = frame_for(self)
        _ = frame.schema  # what is not installed must show before anything is asked
        batches = []
        while (rows := await self.next_rows()) is not None:
            batches.append(frame.batch(rows))
        table: ArrowStream = frame.table(batches)
        return table

    async def aclose(self) -> None:
        """Stop: cancel what is being fetched ahead. Calling it again does nothing."""
        self._closed = True
        self._rows, self._gathered, self._midway = iter(()), [], False
        sources = [source for _, source in self._under_way]
        self._under_way.clear()
        for source in sources:
            source.drop()
        for source in sources:
            await source.aclose()

    def __aiter__(self) -> Pages[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            for row in self._rows:
                return row
            rows = await self.next_rows()
            if rows is None:
                raise StopAsyncIteration
            self._rows = iter(rows)

    async def __aenter__(self) -> Pages[T]:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Left early and dropped, as after ``break``: streams would wait for a reader for ever.
        for _, source in getattr(self, "_under_way", ()):
            source.drop()

    def _page(self) -> list[T]:
        page, self._gathered = self._gathered, []
        return page

    async def _advance(self) -> list[T] | None:
        """Some rows of the window whose turn it is, perhaps none; ``None`` after the last."""
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return None
        self._fill()
        if not self._under_way:
            self._closed = True
            return None
        window, source = self._under_way[0]
        try:
            rows = await source.next_rows()
        except Exception as error:
            if isinstance(error, HelpdeskError):
                error.add_note(self._where(window))
                if given := self._given - len(self._gathered):
                    error.add_note(f"{given:,} rows of it were handed out before")
            self._failure = error
            await self.aclose()
            raise
        self._window = window
        new = self._without_repeats(rows or [])
        self._given += len(new)
        self._midway = not (rows is None or source.done)
        if not self._midway:
            self._under_way.popleft()
            rows_of_it = len(self._seen) + self._nameless
            if rows_of_it < (source.total or 0):
                self._short.append(window)
            if source.empty_by_words:
                self._empty_by_words.append(window)
            if self.on_end is not None:
                self.on_end(window, rows_of_it, source.total)
            self._before, self._seen = self._seen, set()
            self._given = self._nameless = 0
            self._handed_out += 1
            self._fill()
        return new

    def _fill(self) -> None:
        while len(self._under_way) < self._ahead:
            try:
                window = next(self._windows)
            except StopIteration:
                return
            found = self._fetch(window)
            source = FetchedWindow(found) if isinstance(found, Coroutine) else found
            self._under_way.append((window, source))

    def _without_repeats(self, rows: list[T]) -> list[T]:
        seen, before = self._seen, self._before
        kept, repeats = [], []
        for row in rows:
            row_id = self._id_of(row)
            if row_id:
                key = compact(row_id)
                if key in seen:
                    continue
                seen.add(key)
                if key in before:
                    repeats.append(row_id)
                    continue
            else:
                self._nameless += 1
            kept.append(row)
        if repeats and self.on_repeats is not None:
            self.on_repeats(repeats, self._window)
        return kept

    def __repr__(self) -> str:
        count = self._handed_out
        pages = f"{count:,} page{'s' * (count > 1)} handed out" if count else "not begun"
        return f"<Pages of {self._of}, {pages}{', closed' if self._closed else ''}>"


LEARNED_LIMIT = 100  # rows per page where a service demands a limit and none was set


class PagedWindow(Window[T]):
    """A window that is fetched page by page: one window per page. Fetching begins at once.

    Without a page size it is one request. With one, the next page is requested until a page has
    no rows, or none that is new (a service that ignores the offset), or until the service's own
    count is reached by a page that is not full. A full page at the count is no end: some
    services count the page.

    Args:
        ask: begins a page: rows at most (``None`` for no limit) and rows to skip.
        size: of the tenant.
        id_of: a row's id; a row without one is known by its content.
        wants_limit: whether an error says that the request needs a limit.
        whole: all rows of the window are wanted. Otherwise the caller has chosen some of them, and
            the service's count says nothing.
    """

    def __init__(
        self,
        ask: Callable[[int | None, int], Window[T]],
        size: PageSize,
        *,
        id_of: Callable[[T], str | None],
        wants_limit: Callable[[HelpdeskError], bool],
        whole: bool = True,
    ) -> None:
        self._ask = ask
        self._size = size
        self._id_of = id_of
        self._wants_limit = wants_limit
        self._whole = whole
        self._limit = size.rows
        self._offset = 0
        self._page = ask(self._limit, 0)
        self._came = self._new = 0
        self._seen: set[str | bytes] = set()
        self._nameless: set[bytes] = set()
        self._counted = 0  # the largest count that a page had

    async def next_rows(self) -> list[T] | None:
        """See :class:`Window`.

        Raises:
            HelpdeskError: a page failed for good. Rows may have been handed out before.
        """
        if self.done:
            return None
        try:
            rows = await self._page.next_rows()
        except HelpdeskError as error:
            if self._limit is not None or not self._wants_limit(error):
                raise
            self._limit = self._size.rows = self._size.rows or LEARNED_LIMIT
            self._page = self._ask(self._limit, 0)
            return []
        if rows:
            rows = self._new_rows(rows)
        if rows is None or self._page.done:
            self._next_page()
        return rows or []

    async def aclose(self) -> None:
        """See :class:`Window`."""
        await self._page.aclose()

    def drop(self) -> None:
        """See :class:`Window`."""
        self._page.drop()

    def _new_rows(self, rows: list[T]) -> list[T]:
        """The rows without those that have no id and came with an earlier page."""
        self._came += len(rows)
        if self._limit is None:
            return rows
        kept = []
        for row in rows:
            row_id = self._id_of(row)
            if row_id:
                self._new += row_id not in self._seen
                self._seen.add(row_id)
            else:
                digest = content_digest(getattr(row, "raw", row))
                if digest in self._seen:
                    continue
                self._new += 1
                self._nameless.add(digest)
            kept.append(row)
        return kept

    def _next_page(self) -> None:
        came, limit = self._came, self._limit
        self._counted = max(self._counted, self._page.total or 0)
        self.total = self._counted or None if self._whole else None
        if not self._offset:
            self.empty_by_words = self._page.empty_by_words
        self._offset += came
        at_end = self._counted and self._offset >= self._counted
        if limit is None or not self._new or (at_end and came < limit):
            self.done = True
            return
        self._came = self._new = 0
        self._seen |= self._nameless
        self._nameless.clear()
        self._page = self._ask(limit, self._offset)


_MOST_IDLE = 3  # full pages in a row without anything new, until the list counts as stuck


class OffsetPaginator(Generic[T]):
    """The windows of a :class:`~.pages.Pages` over such a list, one after the other.

    The end is a page without rows, and not one that is shorter than requested: a service may
    have a limit of its own, and then a short page is no end. A row that was seen is dropped,
    however far new ones have moved it.

    Args:
        ask: gives the rows from an offset on.
        id_of: a row's id.
        not_moving: makes the error for a list that gives the same rows at every offset.
    """

    def __init__(
        self,
        ask: Callable[[int], Awaitable[list[T]]],
        *,
        id_of: Callable[[T], str],
        not_moving: Callable[[], Exception],
    ) -> None:
        self._ask = ask
        self._id_of = id_of
        self._not_moving = not_moving
        self._next = 0
        self._ended = False
        self._seen: set[str] = set()
        self._idle = 0
        self._oldest = ""

    def windows(self) -> Iterator[int]:
        """The offsets to read from. The next one is known when the page before it was read."""
        while not self._ended:
            yield self._next

    async def fetch(self, offset: int) -> list[T]:
        """The rows from an offset on that were not seen before.

        Raises:
            Exception: what ``ask`` raised, or ``not_moving`` made.
        """
        rows = await self._ask(offset)
        self._next = offset + len(rows)
        self._ended = not rows
        new = []
        for row in rows:
            row_id = self._id_of(row)
            if row_id not in self._seen:
                self._seen.add(row_id)
                new.append(row)
        self._idle = 0 if new else self._idle + 1
        if new:
            self._oldest = self._id_of(new[-1])
        if rows and self._idle >= _MOST_IDLE:
            # At the end of a list that grows meanwhile, its last row comes again and again.
            if self._id_of(rows[-1]) != self._oldest or not await self._has_grown():
                raise self._not_moving()
            self._ended = True
        return new

    async def _has_grown(self) -> bool:
        return any(self._id_of(row) not in self._seen for row in await self._ask(0))
