"""What type checkers see of the sync client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_never, assert_type

from kapture_async import (
    Accepted,
    AddedTicket,
    Customer,
    CustomerFields,
    CustomerRow,
    Diagnosis,
    Exported,
    FaqCategory,
    FaqContent,
    NewCustomer,
    NewOrder,
    NewTicket,
    NotSent,
    NotSentError,
    OrderRow,
    OutcomeUnknownError,
    PushReport,
    ReceivedResponse,
    Reconciliation,
    Rejected,
    RejectedError,
    Resolved,
    SavedCustomer,
    SavedOrder,
    SyncCustomers,
    SyncFaqs,
    SyncKaptureClient,
    SyncOrders,
    SyncPages,
    SyncPush,
    SyncTickets,
    TicketDetail,
    TicketLookup,
    TicketRow,
    TicketUpdate,
    Unknown,
    UpdatedTicket,
    Verification,
)
from kapture_async._core.pull.arrow import ArrowStream


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
        seen: list[ReceivedResponse] = []
        assert_type(client.with_options(on_response=seen.append), SyncKaptureClient)


def iterators(client: SyncKaptureClient) -> None:
    pages = client.tickets.pull("2024-04-19")
    assert_type(pages, SyncPages[TicketRow])
    stream: ArrowStream = pages
    assert_type(stream.__arrow_c_stream__(), object)
    assert_type(client.tickets.export("x.csv", start="2024-04-19"), Exported)
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


def whole_pushes(client: SyncKaptureClient) -> None:
    outcomes = client.tickets.push([{"title": "x"}]).all()
    assert_type(outcomes, list[Accepted[AddedTicket] | Rejected | NotSent | Unknown])
    report = client.tickets.push([{"title": "x"}]).run()
    assert_type(report, PushReport)
    assert_type(report.failures, tuple[Rejected | NotSent | Unknown, ...])
    assert_type(
        client.tickets.update_many([{"ticket_id": "1"}], sub_status="CL").all(),
        list[Accepted[UpdatedTicket] | Rejected | NotSent | Unknown],
    )
    assert_type(
        client.customers.push([{"phone": "1"}]).all(),
        list[Accepted[SavedCustomer] | Rejected | NotSent | Unknown],
    )


def in_bulk(client: SyncKaptureClient) -> None:
    update = TicketUpdate(ticket_id="1", comment="x")
    updates = client.tickets.update_many([update, {"ticket_id": "2"}], sub_status="CL")
    assert_type(updates, SyncPush[UpdatedTicket])
    with updates as outcomes:
        for outcome in outcomes:
            assert_type(outcome, Accepted[UpdatedTicket] | Rejected | NotSent | Unknown)
    customers = client.customers.push([NewCustomer(customer_name="x", phone="1"), {"phone": "2"}])
    assert_type(customers, SyncPush[SavedCustomer])
    assert_type(client.tickets.reconcile("j"), Reconciliation)
    assert_type(client.customers.reconcile("j"), Reconciliation)
    assert_type(client.tickets.verify("j"), Verification)
    assert_type(client.customers.verify("j"), Verification)
    assert_type(client.tickets.resolve("j", "k", absent=True), Resolved)
    assert_type(client.customers.resolve("j", line=2, present="1"), Resolved)
    assert_type(client.tickets.doctor(long=5_000), Diagnosis)


def resources(client: SyncKaptureClient) -> None:
    assert_type(client.customers, SyncCustomers)
    assert_type(client.orders, SyncOrders)
    assert_type(client.faqs, SyncFaqs)
    customer = NewCustomer(customer_name="x", phone="1", contacts=[{"title": "Dr"}])
    assert_type(client.customers.add(customer), SavedCustomer)
    assert_type(client.customers.add(customer_name="x", phone="1"), SavedCustomer)
    assert_type(client.customers.update("1", CustomerFields(city="x")), SavedCustomer)
    assert_type(client.customers.update("1", phone="2"), SavedCustomer)
    assert_type(client.customers.get("1"), Customer)
    assert_type((client.customers.get(phone="1")).customer_id, str)
    assert_type(client.customers.pull("2024-05-02", cm_id=1), SyncPages[CustomerRow])
    order = NewOrder(customer=customer, product_details=[{"sku_id": "a"}])
    assert_type(client.orders.add(order), SavedOrder)
    assert_type(client.orders.update("1", order, id_at="order_info.order_id"), SavedOrder)
    assert_type(client.orders.pull(1, name="x"), SyncPages[OrderRow])
    assert_type(client.faqs.contents("1"), SyncPages[FaqContent])
    assert_type(client.faqs.categories(), list[FaqCategory])
    assert_type(NewCustomer.from_mapping({}), NewCustomer)
