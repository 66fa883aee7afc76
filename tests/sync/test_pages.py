from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from kapture_async._core.sync import Portal, SyncPages


class Pager:
    """Hands out prepared pages; an exception in their place is raised."""

    def __init__(self, *pages: list[int] | Exception) -> None:
        self.left = list(pages)
        self.asked = 0
        self.closed = threading.Event()

    async def next_page(self) -> list[int] | None:
        self.asked += 1
        if not self.left:
            return None
        page = self.left.pop(0)
        if isinstance(page, Exception):
            raise page
        return page

    next_rows = next_page
    midway = False

    async def aclose(self) -> None:
        self.closed.set()


@pytest.fixture
def loop() -> Iterator[Portal]:
    private = Portal()
    yield private
    private.close()


def test_items_with_one_crossing_for_each_page(loop):
    pager = Pager([1, 2], [], [3])
    assert list(SyncPages(loop, pager)) == [1, 2, 3]
    assert pager.asked == 4


def test_pages(loop):
    assert list(SyncPages(loop, Pager([1, 2], [], [3])).pages()) == [[1, 2], [], [3]]


def test_all(loop):
    assert SyncPages(loop, Pager([1, 2], [3])).all() == [1, 2, 3]


def test_each_way_goes_on_where_the_other_stopped(loop):
    pages = SyncPages(loop, Pager([1, 2, 3], [4, 5], [6]))
    assert next(pages) == 1
    assert next(pages.pages()) == [2, 3]
    assert next(pages) == 4
    assert pages.all() == [5, 6]


def test_it_ends_once_and_asks_no_more(loop):
    pager = Pager([1])
    pages = SyncPages(loop, pager)
    assert list(pages) == [1]
    assert list(pages) == []
    assert pager.asked == 2
    del pages
    assert not pager.closed.is_set()  # it ended by itself


def test_an_error_crosses_and_the_pager_decides_what_comes_next(loop):
    pages = SyncPages(loop, Pager([1], ValueError("page 2"), [3]))
    assert next(pages) == 1
    with pytest.raises(ValueError, match="page 2"):
        next(pages)
    assert list(pages) == [3]


def test_close_ends_the_iteration(loop):
    pager = Pager([1, 2], [3])
    with SyncPages(loop, pager) as pages:
        assert next(pages) == 1
    assert pager.closed.is_set()
    assert list(pages) == []
    pages.close()
    assert pager.asked == 1


def test_nothing_was_fetched_so_nothing_is_closed(loop):
    pager = Pager([1])
    SyncPages(loop, pager).close()
    assert not pager.closed.is_set()
    assert loop._thread.thread is None


def test_dropped_early_it_still_stops_what_is_under_way(loop):
    pager = Pager([1, 2], [3])
    for item in SyncPages(loop, pager):
        assert item == 1
        break
    gc.collect()
    assert pager.closed.wait(10)


def test_closing_after_the_client(loop):
    pages = SyncPages(loop, Pager([1, 2], [3]))
    next(pages)
    loop.close()
    pages.close()
    assert list(pages) == []
