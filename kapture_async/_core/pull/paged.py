"""A window whose rows come page by page: a limit and an offset, until nothing new comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import HelpdeskError
from ..requestor import PageSize
from .arriving import Source, content_digest

T = TypeVar("T")

LEARNED = 100
"""Rows per page where a service demands a limit and nobody has set one."""


class Paged(Generic[T]):
    """A :class:`.arriving.Source` made of one source per page. Fetching begins at once.

    Without a page size it is one request. With one, the next page is asked for until a page has no
    rows, or none that is new (a service that ignores the offset), or until the service's own
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
        ask: Callable[[int | None, int], Source[T]],
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
        self._total: int | None = None
        self._empty_by_words = False
        self._done = False

    @property
    def done(self) -> bool:
        """See :class:`.arriving.Source`."""
        return self._done

    @property
    def total(self) -> int | None:
        """See :class:`.arriving.Source`: the largest count that a page had."""
        return self._total if self._whole else None

    @property
    def empty_by_words(self) -> bool:
        """See :class:`.arriving.Source`."""
        return self._empty_by_words

    async def next_rows(self) -> list[T] | None:
        """See :class:`.arriving.Source`.

        Raises:
            HelpdeskError: a page failed for good. Rows may have been handed out before.
        """
        if self._done:
            return None
        try:
            rows = await self._page.next_rows()
        except HelpdeskError as error:
            if self._limit is not None or not self._wants_limit(error):
                raise
            self._limit = self._size.rows = self._size.rows or LEARNED
            self._page = self._ask(self._limit, 0)
            return []
        if rows:
            rows = self._counted(rows)
        if rows is None or self._page.done:
            self._next_page()
        return rows or []

    async def aclose(self) -> None:
        """See :class:`.arriving.Source`."""
        await self._page.aclose()

    def drop(self) -> None:
        """See :class:`.arriving.Source`."""
        self._page.drop()

    def _counted(self, rows: list[T]) -> list[T]:
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
        self._total = max(self._total or 0, self._page.total or 0) or None
        if not self._offset:
            self._empty_by_words = self._page.empty_by_words
        self._offset += came
        counted = self._total is not None and self._offset >= self._total
        if limit is None or not self._new or (counted and came < limit):
            self._done = True
            return
        self._came = self._new = 0
        self._seen |= self._nameless
        self._nameless.clear()
        self._page = self._ask(limit, self._offset)
