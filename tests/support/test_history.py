"""The history, one page and all of them, against the emulator."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import attrs
import orjson
import pytest

from support_async import (
    AuthenticationError,
    NoReplyError,
    RetryPolicy,
    ServerError,
    SupportClient,
    SyncSupportClient,
    UnreadableReplyError,
)
from support_async.testing import EmulatorReply, EmulatorRequest, FaultPlan, SupportEmulator

from .made import OTHER, client_of, sent


def queries(emulator: SupportEmulator) -> list[dict[str, str]]:
    return [dict(parse_qsl(request.query, keep_blank_values=True)) for request in emulator.received]


def subjects(rows: Any) -> list[str]:
    return [row.subject for row in rows]


async def test_one_page(support_emulator: SupportEmulator, client: SupportClient) -> None:
    for number in range(5):
        support_emulator.seed(
            subject=f"t{number}", comment="c", category=4, priority="2", status="3"
        )
    support_emulator.seed(subject="theirs", author=OTHER)
    rows = await client.tickets.history(offset=1, limit=2)
    assert subjects(rows) == ["t3", "t2"]
    row = rows[0]
    assert (row.ticket_id, row.category, row.category_title) == ("104", "4", "Sample category B")
    assert (row.priority, row.status, row.is_closed, row.comment) == ("2", "3", True, "c")
    assert (row.problems, row.extra) == ((), {})
    assert queries(support_emulator) == [{"offset": "1", "limit": "2"}]


async def test_offset_and_limit_always_go_together(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    assert await client.tickets.history() == []
    assert await client.tickets.iter().all() == []
    assert queries(support_emulator) == [{"offset": "0", "limit": "50"}] * 2
    assert all(request.body == b"" for request in support_emulator.received)


@pytest.mark.parametrize(
    ("filters", "found", "query"),
    [
        ({"subject": "ÜBER & co?"}, ["Über & co? 1"], {"subject": "ÜBER & co?"}),
        ({"subject": "a+b=%41"}, ["a+b=%41"], {"subject": "a+b=%41"}),
        ({"category": 4}, ["Über & co? 1"], {"category": "4"}),
        ({"category": "04", "status": "2"}, [], {"category": "4", "status": "2"}),
        ({"status": 3}, ["a+b=%41"], {"status": "3"}),
        ({"status": "9"}, [], {"status": "9"}),
    ],
)
async def test_filters(
    support_emulator: SupportEmulator,
    client: SupportClient,
    filters: dict[str, Any],
    found: list[str],
    query: dict[str, str],
) -> None:
    support_emulator.seed(subject="a+b=%41", status="3")
    support_emulator.seed(subject="Über & co? 1", category=4)
    assert subjects(await client.tickets.history(**filters)) == found
    assert subjects(await client.tickets.iter(**filters).all()) == found
    for asked in queries(support_emulator):
        assert asked.items() >= query.items()
        assert asked.keys() == query.keys() | {"offset", "limit"}


async def test_all_pages_in_order(support_emulator: SupportEmulator, client: SupportClient) -> None:
    for number in range(7):
        support_emulator.seed(subject=f"t{number}")
    pages = client.tickets.iter(limit=3)
    sizes = []
    while (page := await pages.next_page()) is not None:
        sizes.append(subjects(page))
    assert sizes == [["t6", "t5", "t4"], ["t3", "t2", "t1"], ["t0"], []]
    assert [asked["offset"] for asked in queries(support_emulator)] == ["0", "3", "6", "7"]
    assert {asked["limit"] for asked in queries(support_emulator)} == {"3"}


async def test_tickets_created_between_pages_are_no_duplicates(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    for number in range(20):
        support_emulator.seed(subject=f"t{number}")
    seen = []
    async for row in client.tickets.iter(limit=4):
        seen.append(row.subject)
        if len(seen) % 4 == 1:
            support_emulator.seed(subject="new")
    assert seen == [f"t{number}" for number in range(19, -1, -1)]


class Capped(SupportEmulator):
    """A service that gives three tickets at most, whatever it is asked for."""

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        query = request.query.replace("limit=50", "limit=3")
        return super().handle(attrs.evolve(request, query=query))


class Deaf(SupportEmulator):
    """A service that does not look at the query at all."""

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        return super().handle(attrs.evolve(request, query=""))


async def test_a_service_with_a_limit_of_its_own_is_read_to_the_end() -> None:
    async with Capped() as emulator, client_of(emulator) as client:
        for number in range(8):
            emulator.seed(subject=f"t{number}")
        assert len(await client.tickets.iter().all()) == 8
        assert sent(emulator) == 4


async def test_a_service_that_ignores_the_offset() -> None:
    async with Deaf() as emulator, client_of(emulator) as client:
        for number in range(3):
            emulator.seed(subject=f"t{number}")
        seen = []
        with pytest.raises(UnreadableReplyError, match="same tickets at every offset") as caught:
            async for row in client.tickets.iter(limit=3):
                seen.append(row.subject)
        assert seen == ["t2", "t1", "t0"]
        assert sent(emulator) <= 5
    error = caught.value
    assert (error.service, error.operation, error.effect) == ("support", "tickets.history", "read")
    assert str(error).endswith(
        "It was a read: nothing was changed. Ask with history() for as many tickets as there are, "
        "in one page."
    )


async def test_a_page_that_fails_is_asked_again_and_then_ends_the_iteration(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    for number in range(6):
        support_emulator.seed(subject=f"t{number}")
    support_emulator.faults = FaultPlan.script([None, "reset_before", None, *["status"] * 3])
    pages = client.tickets.iter(limit=2)
    seen = []
    with pytest.raises(ServerError) as caught:
        async for row in pages:
            seen.append(row.subject)
    assert seen == ["t5", "t4", "t3", "t2"]
    assert caught.value.__notes__ == [
        "while reading the tickets from offset 4 on; earlier pages were delivered whole"
    ]
    with pytest.raises(ServerError):  # never a silent end
        await anext(pages)


async def test_a_refused_token_ends_the_iteration(support_emulator: SupportEmulator) -> None:
    async with client_of(support_emulator, access_token="wrong") as client:
        with pytest.raises(AuthenticationError):
            await client.tickets.iter().all()


async def test_a_cancellation_loses_nothing(support_emulator: SupportEmulator) -> None:
    for number in range(6):
        support_emulator.seed(subject=f"t{number}")
    async with client_of(support_emulator) as client:
        pages = client.tickets.iter(limit=2)
        assert subjects(await pages.next_page() or []) == ["t5", "t4"]
        support_emulator.latency = 0.05
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await pages.next_page()
                await pages.next_page()
        rest = await pages.all()
    assert subjects(rest)[-2:] == ["t1", "t0"]
    assert len(rest) in (2, 4)  # the page that was ready may have been handed out before


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"subject": "x"}], "a ticket without an id"),
        ([{"id": None}], "a ticket without an id"),
        ([7], "no list TicketList"),
        ("none", "no list TicketList"),
        (None, "no list TicketList"),
    ],
)
async def test_a_list_that_is_none(rows: Any, words: str) -> None:
    class Odd(SupportEmulator):
        def handle(self, request: EmulatorRequest) -> EmulatorReply:
            body = {"status_code": 200, "errors": {}, "data": {"TicketList": rows}}
            return EmulatorReply(200, orjson.dumps(body), "application/json")

    async with Odd() as emulator, client_of(emulator) as client:
        with pytest.raises(UnreadableReplyError, match=words):
            await client.tickets.history()
        with pytest.raises(UnreadableReplyError, match=words):
            await client.tickets.iter().all()


async def test_one_attempt_is_one_request(support_emulator: SupportEmulator) -> None:
    support_emulator.faults = FaultPlan.script(["reset_before"])
    async with client_of(support_emulator, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(NoReplyError, match="It was a read: nothing was changed"):
            await client.tickets.history()
    assert sent(support_emulator) == 1


def test_everything_says_what_it_is() -> None:
    client = SupportClient("https://support.example.com/api", apikey="k", access_token="t")
    url = "https://support.example.com/api"
    for name in ("Tickets", "Categories", "Tags", "Attachments"):
        assert repr(getattr(client, name.lower())) == f"<{name} of {url}>"
    assert repr(client.tickets.iter(subject="private")) == "<Pages of tickets, not begun>"


async def test_pages_tell_how_far_they_are(support_emulator: SupportEmulator) -> None:
    for number in range(3):
        support_emulator.seed(subject=f"t{number}")
    async with client_of(support_emulator) as client:
        pages = client.tickets.iter(limit=2)
        await pages.next_page()
        assert repr(pages) == "<Pages of tickets, 1 page handed out>"
        await pages.all()
        assert repr(pages) == "<Pages of tickets, 3 pages handed out, closed>"


def test_so_do_their_sync_counterparts() -> None:
    with SyncSupportClient("https://support.example.com", apikey="k", access_token="t") as client:
        assert repr(client.tickets) == "<SyncTickets of https://support.example.com>"
        assert repr(client.tickets.iter()) == "<SyncPages of tickets, not begun>"
