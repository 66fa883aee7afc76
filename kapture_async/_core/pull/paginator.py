"""Lists that are read by offset and limit, and that grow at their head meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 3
"""Full pages in a row without anything new, until the list counts as not moving on."""


class OffsetPaginator(Generic[T]):
    """The windows of a :class:`~.pages.Pages` over such a list, one after the other.

    The end is a page without rows, and not one that is shorter than asked for: a service may
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
        if rows and self._idle >= _PATIENCE:
            # At the end of a list that grows meanwhile, its last row comes again and again.
            if self._id_of(rows[-1]) != self._oldest or not await self._has_grown():
                raise self._not_moving()
            self._ended = True
        return new

    async def _has_grown(self) -> bool:
        return any(self._id_of(row) not in self._seen for row in await self._ask(0))
