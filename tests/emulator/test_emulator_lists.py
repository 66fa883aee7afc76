"""Lists that differ from the truth, and what agents do to tickets: only what was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from kapture_async import KaptureClient
from kapture_async.testing import KaptureEmulator, Lists
from support_async import SupportClient
from support_async.testing import SupportEmulator

NOW = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
DAY = NOW.date()
WAVE = "Hi \U0001f44b there"


@pytest.fixture
def emulator() -> Iterator[KaptureEmulator]:
    with KaptureEmulator(clock=NOW.timestamp).in_thread() as emulator:
        yield emulator


async def pulled(emulator: KaptureEmulator, day: dt.date = DAY) -> tuple[list[Any], Any]:
    """Rows of a day as they came, and the count beside them."""
    body = {"start_date": str(day), "end_date": str(day)}
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        path = "/select-ticket-between-start-and-end-dates.html/v.2.0"
        told = await client.request(path, body, effect="read")
    rows = told["message"]
    return rows if isinstance(rows, list) else [], told["totalCount"]


def titles(rows: list[Any]) -> list[str]:
    return [row["taskTitle"] for row in rows]


async def test_the_order_and_what_is_left_out(emulator: KaptureEmulator) -> None:
    for number in range(100):
        emulator.seed(title=f"{number:02}")
    made = [f"{number:02}" for number in range(100)]
    emulator.lists = Lists(order="newest first")
    assert titles((await pulled(emulator))[0]) == made[::-1]
    emulator.lists = Lists(order="shuffled", seed=1)
    rows, _ = await pulled(emulator)
    assert titles(rows) != made
    assert sorted(titles(rows)) == made
    emulator.lists = Lists(cap=7)
    rows, total = await pulled(emulator)
    assert (titles(rows), total) == (made[:7], 100)
    emulator.lists = Lists(left_out=0.2, counted=False)
    rows, total = await pulled(emulator)
    assert 60 < len(rows) < 95
    assert (titles(rows), total) == (sorted(titles(rows)), None)


async def test_only_some_lists_are_so(emulator: KaptureEmulator) -> None:
    for number in range(5):
        emulator.seed(title=str(number))
    emulator.lists = Lists(cap=1, share=0.5, seed=3)
    lengths = [len((await pulled(emulator))[0]) for _ in range(20)]
    assert set(lengths) == {1, 5}
    emulator.lists = Lists(cap=1, share=0.5, seed=3)
    assert [len((await pulled(emulator))[0]) for _ in range(20)] == lengths
    emulator.lists = None
    assert len((await pulled(emulator))[0]) == 5


async def test_what_is_young_is_neither_shown_nor_counted(emulator: KaptureEmulator) -> None:
    emulator.seed(title="old", created=NOW - dt.timedelta(seconds=61))
    emulator.seed(title="young", created=NOW - dt.timedelta(seconds=59))
    emulator.lists = Lists(delay=60)
    rows, total = await pulled(emulator)
    assert (titles(rows), total) == (["old"], 1)


@pytest.mark.parametrize(
    ("lists", "title", "text"),
    [
        (Lists(cut_at_emoji=True), "Hi ", "Hi "),
        (Lists(text_length=5, title_length=2), "Hi", "Hi \U0001f44b "),
        (Lists(escapes=1), WAVE, f"{WAVE}\n&amp;lt;b&amp;gt;"),
        (Lists(case="upper"), WAVE.upper(), f"{WAVE}\n&lt;B&gt;".replace("lt", "LT").upper()),
        (Lists(breaks=True), WAVE, f"{WAVE}&lt;br/&gt;&lt;b&gt;"),
        (Lists(wrap=6), WAVE, "Hi \U0001f44b t\nhere\n&lt;\nb&gt;"),
    ],
    ids=str,
)
async def test_texts(emulator: KaptureEmulator, lists: Lists, title: str, text: str) -> None:
    emulator.seed(title=WAVE, ticket_details=f"{WAVE}\n<b>")
    emulator.lists = lists
    ((row,), _) = await pulled(emulator)
    assert row["taskTitle"] == title
    assert row["detail"].casefold() == text.casefold()
    emulator.lists = None
    ((row,), _) = await pulled(emulator)
    assert (row["taskTitle"], row["detail"]) == (WAVE, f"{WAVE}\n&lt;b&gt;")


async def test_another_zone(emulator: KaptureEmulator) -> None:
    emulator.seed(title="early", created=NOW.replace(hour=1))
    emulator.seed(title="noon")
    emulator.lists = Lists(zone=0)
    rows, total = await pulled(emulator)
    assert (titles(rows), total) == (["noon"], 1)
    assert rows[0]["date"] == "04-03-2026 06:30"
    rows, _ = await pulled(emulator, DAY - dt.timedelta(days=1))
    assert [(row["taskTitle"], row["date"]) for row in rows] == [("early", "03-03-2026 19:30")]


@pytest.mark.parametrize("settings", [{"share": 1.5}, {"left_out": -0.1}])
def test_shares_are_shares(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Lists(**settings)


async def test_histories() -> None:
    async with SupportEmulator() as emulator:
        for number in range(9):
            emulator.seed(subject=f"{number} {WAVE}", comment="A comment.")
        async with SupportClient(
            emulator.url, apikey=emulator.apikey, access_token=emulator.token
        ) as client:

            async def subjects() -> list[str]:
                return [row.subject async for row in client.tickets.iter()]

            true = await subjects()
            assert true == [f"{number} {WAVE}" for number in range(8, -1, -1)]
            emulator.lists = Lists(order="as made", cut_at_emoji=True)
            assert await subjects() == [f"{number} Hi " for number in range(9)]
            emulator.lists = Lists(cap=4)
            assert len(await client.tickets.history(limit=9)) == 4


# What agents do.


async def test_agents_change_what_lists_show_and_no_ledger(emulator: KaptureEmulator) -> None:
    one, two, three, four = (emulator.seed(title=name, ticket_details=name) for name in "abcd")
    emulator.edit(one, title="x")
    emulator.edit(two, text="y")
    emulator.merge(three, four)
    rows, _ = await pulled(emulator)
    assert titles(rows) == ["x", "b", "c", "d"]
    assert [row["detail"] for row in rows] == ["a", "y", "c", "d"]
    assert [row["mergedTicketId"] for row in rows] == ["", "", four, ""]
    emulator.merge(two, one, absorb=True)
    emulator.delete(three)
    rows, total = await pulled(emulator)
    assert ([row["detail"] for row in rows], total) == (["a\n\ny", "d"], 2)
    assert len(emulator.ledger) == 0
    with pytest.raises(ValueError, match="no ticket"):
        emulator.delete(three)
    with pytest.raises(ValueError, match="itself"):
        emulator.merge(one, one)


def test_a_share_of_the_tickets(emulator: KaptureEmulator) -> None:
    for number in range(1000):
        emulator.seed(title=str(number))
    done = emulator.agents_at_work(0.03, seed=5)
    assert 15 < len(done) < 50
    assert set(done.values()) == {"edit", "retitle", "merge"}
    for ticket_id, act in done.items():
        ticket = emulator.ticket(ticket_id)
        assert ticket is not None
        assert (ticket.merged_into != "") == (act == "merge")
        assert (ticket.title == "Retitled by an agent") == (act == "retitle")
    gone = emulator.agents_at_work(0.03, seed=5, acts=("delete",))
    assert set(gone) == set(done)
    assert all(emulator.ticket(ticket_id) is None for ticket_id in gone)
    for share, acts in ((1.1, ("edit",)), (0.1, ()), (0.1, ("burn",))):
        with pytest.raises(ValueError, match=r"share|acts"):
            emulator.agents_at_work(share, acts=acts)  # type: ignore[arg-type]
