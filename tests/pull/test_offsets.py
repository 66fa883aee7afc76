"""Lists read by offset: nothing twice, nothing missed, and an end, whatever the service does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async import HelpdeskError, ServerError, UnreadableReplyError
from kapture_async._core.pull.pages import OffsetPaginator, Pages


class Listing:
    """A service's list, newest first: ids count down from the head."""

    def __init__(self, size: int, *, limit: int, asked: int = 10) -> None:
        self.rows = [str(number) for number in range(size, 0, -1)]
        self.limit = min(limit, asked)
        self.offsets: list[int] = []
        self.grows: list[int] = []
        """How many rows appear at the head before each call."""

    async def ask(self, offset: int) -> list[str]:
        self.offsets.append(offset)
        for _ in range(self.grows.pop(0) if self.grows else 0):
            self.rows.insert(0, str(len(self.rows) + 1))
        await asyncio.sleep(0)
        return self.rows[offset : offset + self.limit]


def pages_of(ask: Any) -> Pages[str]:
    reader = OffsetPaginator(
        ask, id_of=lambda row: row, not_moving=lambda: UnreadableReplyError("not moving")
    )
    return Pages(reader.windows(), reader.fetch, id_of=lambda row: None, ahead=1)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 25])
async def test_every_row_once_and_one_look_beyond(size: int) -> None:
    listing = Listing(size, limit=10)
    rows = list(listing.rows)
    assert await pages_of(listing.ask).all() == rows
    assert listing.offsets == [*range(0, size, 10), size]


async def test_a_service_with_a_limit_of_its_own_is_read_to_the_end() -> None:
    listing = Listing(25, limit=4, asked=10)
    assert len(await pages_of(listing.ask).all()) == 25
    assert listing.offsets == [0, 4, 8, 12, 16, 20, 24, 25]


async def test_pages_hold_only_what_is_new() -> None:
    listing = Listing(6, limit=3)
    listing.grows = [0, 2, 0]
    pages = pages_of(listing.ask)
    seen = []
    while (page := await pages.next_page()) is not None:
        seen.append(page)
    # Two came at the head, so the second page begins with two that were seen.
    assert seen == [["6", "5", "4"], ["3"], ["2", "1"], []]


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 40),
    limit=st.integers(1, 9),
    grows=st.lists(st.integers(0, 4), max_size=30),
)
def test_what_was_there_at_first_comes_exactly_once(
    size: int, limit: int, grows: list[int]
) -> None:
    # Slower growth than reading, with pauses; else the reader never gets ahead of it.
    listing = Listing(size, limit=limit)
    listing.grows = [min(more, limit - 1) if n % 3 else 0 for n, more in enumerate(grows)]
    before = set(listing.rows)
    rows = asyncio.run(pages_of(listing.ask).all())
    assert len(rows) == len(set(rows))
    assert before <= set(rows)
    assert [int(row) for row in rows if row in before] == sorted(map(int, before), reverse=True)


@pytest.mark.parametrize("size", [1, 3, 10])
async def test_a_service_that_ignores_the_offset_is_an_error_and_no_endless_loop(
    size: int,
) -> None:
    same = [str(n) for n in range(size)]
    calls = 0

    async def ask(offset: int) -> list[str]:
        nonlocal calls
        calls += 1
        return same

    pages = pages_of(ask)
    seen = []
    with pytest.raises(UnreadableReplyError, match="not moving"):
        async for row in pages:
            seen.append(row)
    assert seen == same  # delivered before, each once
    assert calls <= 5
    with pytest.raises(UnreadableReplyError):  # never a silent end
        await pages.next_page()
    assert calls <= 5


async def test_full_pages_of_old_rows_alone_are_no_standstill() -> None:
    listing = Listing(30, limit=5)
    listing.grows = [0, 5, 5, 0]  # two pages in a row hold nothing new
    assert len(await pages_of(listing.ask).all()) == 30


@pytest.mark.parametrize("size", [1, 5, 50])
async def test_a_list_that_grows_while_its_end_is_read_has_an_end(size: int) -> None:
    # Somebody pushes tickets meanwhile: each look beyond the end finds the last row once more.
    listing = Listing(size, limit=50, asked=50)
    before = list(listing.rows)
    listing.grows = [0] + [1] * 100
    rows = await pages_of(listing.ask).all()
    assert rows == before
    assert len(listing.offsets) < 10


async def test_an_error_comes_after_every_earlier_page_and_stays() -> None:
    listing = Listing(30, limit=10)

    async def ask(offset: int) -> list[str]:
        if offset == 20:
            raise ServerError("down")
        return await listing.ask(offset)

    pages = pages_of(ask)
    seen = []
    with pytest.raises(HelpdeskError, match="down"):
        async for row in pages:
            seen.append(row)
    assert len(seen) == 20
    with pytest.raises(HelpdeskError, match="down"):
        await pages.next_page()


async def test_a_cancellation_loses_nothing() -> None:
    listing = Listing(25, limit=10)
    go_on = asyncio.Event()

    async def ask(offset: int) -> list[str]:
        if offset == 10:
            await go_on.wait()
        return await listing.ask(offset)

    pages = pages_of(ask)
    seen = [await anext(pages) for _ in range(10)]
    task = asyncio.ensure_future(anext(pages))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    seen += await pages.all()
    assert seen == [str(n) for n in range(25, 0, -1)]
    assert listing.offsets == [0, 10, 20, 25]


async def test_leaving_early_cancels_what_was_fetched_ahead() -> None:
    ended = asyncio.Event()

    async def ask(offset: int) -> list[str]:
        if offset:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        return ["2", "1"]

    async with pages_of(ask) as pages:
        async for row in pages:
            assert row == "2"
            await asyncio.sleep(0)  # so that the next page is under way
            break
    assert ended.is_set()
    assert await pages.next_page() is None
