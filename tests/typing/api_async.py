"""What type checkers see of the async client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never, assert_type

from kapture_async import (
    Accepted,
    AddedTicket,
    HelpdeskError,
    KaptureClient,
    NewTicket,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    Pages,
    Push,
    Rejected,
    RejectedError,
    TicketDetail,
    TicketLookup,
    TicketRow,
    Tickets,
    Unknown,
    UpdatedTicket,
)


async def calls() -> None:
    async with KaptureClient("tenant", token="t") as client:
        assert_type(client, KaptureClient)
        assert_type(client.with_options(timeout=5), KaptureClient)
        assert_type(KaptureClient.from_env(), KaptureClient)
        assert_type(client.tickets, Tickets)
        assert_type(await client.tickets.add(title="x"), AddedTicket)
        assert_type(await client.tickets.add(NewTicket(title="x")), AddedTicket)
        assert_type((await client.tickets.add(title="x")).ticket_id, str)
        assert_type(await client.tickets.update("1", sub_status="PS"), UpdatedTicket)
        assert_type(await client.tickets.get("1"), TicketDetail)
        lookup = await client.tickets.get_many(["1"])
        assert_type(lookup, TicketLookup)
        assert_type(lookup.found, Mapping[str, TicketDetail])
        assert_type(lookup.missing, tuple[str, ...])
        assert_type(lookup.failed, Mapping[str, HelpdeskError])
        assert_type(await client.request("/x"), Any)


async def iterators(client: KaptureClient) -> None:
    pages = client.tickets.pull("2024-04-19")
    assert_type(pages, Pages[TicketRow])
    async for row in pages:
        assert_type(row, TicketRow)
    assert_type(await pages.next_page(), list[TicketRow] | None)
    assert_type(await pages.all(), list[TicketRow])
    push = client.tickets.push([{"title": "x"}, NewTicket(title="y")])
    assert_type(push, Push[AddedTicket])
    async with push as outcomes:
        assert_type(outcomes, Push[AddedTicket])
        async for outcome in outcomes:
            assert_type(outcome, Accepted[AddedTicket] | Rejected | NotSent | Unknown)
            assert_type(outcome.ticket_id, str | None)
            assert_type(outcome.reason, str)
            match outcome:
                case Accepted():
                    assert_type(outcome.result, AddedTicket)
                case Rejected():
                    assert_type(outcome.error, RejectedError)
                case NotSent():
                    assert_type(outcome.error, NotSentError)
                case Unknown():
                    assert_type(outcome.error, OutcomeUnknownError)
                case _:
                    assert_never(outcome)
