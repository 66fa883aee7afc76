"""An older copy of a journal looks up as many rows as there are, in flat memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

from kapture_async._core.journal.records import Job
from kapture_async._core.journal.reference import reference_of
from kapture_async._core.journal.writer import Journal
from kapture_async._core.reconcile.evidence import ListedTicket, ListEnd
from kapture_async._core.reconcile.lookup import LookupMethods
from kapture_async._core.reconcile.restored import PendingRow, RestoredSearch
from kapture_async._core.reconcile.seen_tickets import SeenTickets

JOB = Job(service="s", operation="o", target="https://example.com", place="text")
TICKETS = 6_000


def reference(number: int) -> str:
    return reference_of("job", f"k{number}", b"")


async def tickets(since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
    for number in range(TICKETS):
        at = since + 60.0 * number
        yield ListedTicket(str(number), frozenset({reference(number)}), created_at=at, made_by="us")
    yield ListEnd(rows=TICKETS, total=TICKETS)


def wanted(number: int) -> PendingRow:
    return PendingRow(f"k{number}", None, reference(number), b'{"title":"t"}')


async def test_what_was_listed_is_not_kept_in_memory(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "j", job=JOB, create=True)
    search = RestoredSearch(journal, LookupMethods(look=tickets), longest=1.0)
    tracemalloc.start()
    try:
        await search.begin()
        for first in range(0, TICKETS, 3000):
            found = await search.look_up([wanted(first + number) for number in range(500)])
            assert [one and one.ticket_ids for one in found] == [
                (str(first + number),) for number in range(500)
            ]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await search.end()
        await journal.aclose()
    assert kept < 2_000_000, f"{kept / TICKETS:.0f} bytes of each ticket"


def test_tickets_of_some_rows() -> None:
    shown = SeenTickets(content=True)
    some = [
        ListedTicket("1", frozenset({"a"}), created_at=1.0, made_by="us"),
        ListedTicket("1", frozenset({"a"}), created_at=1.0, made_by="us"),  # listed twice
        ListedTicket("2", frozenset({"a", "b"})),
        ListedTicket(None, frozenset({"c"})),
        ListedTicket("4", beginning=("title", "text"), clues=lambda: frozenset({"word"})),
        ListedTicket("5", made_by="them"),
    ]
    shown.add(some)
    ids = lambda *asked: sorted(str(one.ticket_id) for one in shown.of(*asked))  # noqa: E731
    assert ids(["a"], [], []) == ["1", "2"]
    assert ids(["b", "x"], [], []) == ["2"]
    assert ids(["c"], [], []) == ["None"]
    assert ids([], ["title"], []) == ["4"]
    assert ids([], [], [repr("them")]) == ["5"]
    assert ids([], ["title"], [repr(None), repr("them")]) == ["4", "5"]
    (found,) = shown.of([], ["title"], [])
    assert found.beginning == ("title", "text")
    assert found.clues is not None
    assert found.clues() == {"word"}
    assert [shown.note_found(names) for names in (["a"], ["a", "b"], [])] == [1, 2, 2]
    shown.close()
    shown.close()
