"""What type checkers see of the sync client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_type

from kapture_async import (
    AddedTicket,
    NewTicket,
    Outcome,
    SyncKaptureClient,
    SyncPages,
    SyncPush,
    SyncTickets,
    TicketDetail,
    TicketLookup,
    TicketRow,
    UpdatedTicket,
)


def calls() -> None:
    with SyncKaptureClient("tenant", token="t") as client:
        assert_type(client, SyncKaptureClient)
        assert_type(client.with_options(timeout=5), SyncKaptureClient)
        assert_type(SyncKaptureClient.from_env(), SyncKaptureClient)
        assert_type(client.tickets, SyncTickets)
        assert_type(client.tickets.add(title="x"), AddedTicket)
        assert_type(client.tickets.add(NewTicket(title="x")).ticket_id, str)
        assert_type(client.tickets.update("1", sub_status="PS"), UpdatedTicket)
        assert_type(client.tickets.get("1"), TicketDetail)
        assert_type(client.tickets.get_many(["1"]), TicketLookup)
        assert_type(client.request("/x"), Any)


def iterators(client: SyncKaptureClient) -> None:
    pages = client.tickets.pull("2024-04-19")
    assert_type(pages, SyncPages[TicketRow])
    for row in pages:
        assert_type(row, TicketRow)
    assert_type(pages.all(), list[TicketRow])
    push = client.tickets.push([{"title": "x"}, NewTicket(title="y")])
    assert_type(push, SyncPush[AddedTicket])
    with push as outcomes:
        assert_type(outcomes, SyncPush[AddedTicket])
        for outcome in outcomes:
            assert_type(outcome, Outcome)
            assert_type(outcome.ticket_id, str | None)
