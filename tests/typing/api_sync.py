"""What type checkers see of the sync client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_never, assert_type

from kapture_async import (
    Accepted,
    AddedTicket,
    NewTicket,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    Rejected,
    RejectedError,
    SyncKaptureClient,
    SyncPages,
    SyncPush,
    SyncTickets,
    TicketDetail,
    TicketLookup,
    TicketRow,
    Unknown,
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
            assert_type(outcome, Accepted[AddedTicket] | Rejected | NotSent | Unknown)
            assert_type(outcome.ticket_id, str | None)
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
