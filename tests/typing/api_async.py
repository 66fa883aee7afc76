"""What type checkers see of the async client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never, assert_type

from kapture_async import (
    Accepted,
    AddedTicket,
    Contradiction,
    Customer,
    CustomerFields,
    CustomerRow,
    Customers,
    Diagnosis,
    Exported,
    FaqCategory,
    FaqContent,
    Faqs,
    HelpdeskError,
    KaptureClient,
    ListCheck,
    NewCustomer,
    NewOrder,
    NewTicket,
    NotSent,
    NotSentError,
    OrderRow,
    Orders,
    OutcomeUnknownError,
    Pages,
    Push,
    PushReport,
    PushStoppedError,
    ReceivedResponse,
    Reconciliation,
    Rejected,
    RejectedError,
    Resolved,
    RowCheck,
    SavedCustomer,
    SavedOrder,
    StatusCallback,
    TicketDetail,
    TicketLookup,
    TicketRow,
    Tickets,
    TicketUpdate,
    Unknown,
    UpdatedTicket,
    Verification,
    parse_callback,
)
from kapture_async._core.pull.arrow import ArrowStream


async def calls() -> None:
    async with KaptureClient("tenant", token="t") as client:
        assert_type(client, KaptureClient)
        assert_type(client.with_options(timeout=5), KaptureClient)
        seen: list[ReceivedResponse] = []
        assert_type(client.with_options(on_response=seen.append), KaptureClient)
        assert_type(HelpdeskError("x").response, ReceivedResponse | None)
        assert_type(seen[0].headers.get("x-request-id"), str | None)
        assert_type((seen[0].status, seen[0].body), tuple[int, bytes])
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
    assert_type(await pages.next_rows(), list[TicketRow] | None)
    assert_type(await pages.to_arrow(), ArrowStream)
    exported = await client.tickets.export("x.csv", start="2024-04-19", state="x.state")
    assert_type(exported, Exported)
    assert_type(exported.newest, str | None)
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


async def whole_pushes(client: KaptureClient) -> None:
    outcomes = await client.tickets.push([{"title": "x"}]).all()
    assert_type(outcomes, list[Accepted[AddedTicket] | Rejected | NotSent | Unknown])
    report = await client.tickets.push([{"title": "x"}]).run()
    assert_type(report, PushReport)
    assert_type(report.accepted, int)
    assert_type(report.failures, tuple[Rejected | NotSent | Unknown, ...])
    assert_type(
        await client.tickets.update_many([{"ticket_id": "1"}], sub_status="CL").all(),
        list[Accepted[UpdatedTicket] | Rejected | NotSent | Unknown],
    )
    assert_type(
        await client.customers.push([{"phone": "1"}]).all(),
        list[Accepted[SavedCustomer] | Rejected | NotSent | Unknown],
    )
    assert_type(PushStoppedError("x").outcomes, Sequence[Any])
    assert_type(PushStoppedError("x").temporary, bool)
    assert_type({NewTicket(title="x")}, set[NewTicket])


async def in_bulk(client: KaptureClient) -> None:
    update = TicketUpdate(ticket_id="1", comment="x")
    updates = client.tickets.update_many([update, {"ticket_id": "2"}], sub_status="CL")
    assert_type(updates, Push[UpdatedTicket])
    async with updates as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, Accepted[UpdatedTicket] | Rejected | NotSent | Unknown)
    customers = client.customers.push([NewCustomer(customer_name="x", phone="1"), {"phone": "2"}])
    assert_type(customers, Push[SavedCustomer])
    found = await client.tickets.reconcile("j")
    assert_type(found, Reconciliation)
    assert_type(await client.customers.reconcile("j"), Reconciliation)
    assert_type(found.present, list[Resolved])
    assert_type(found.contradictions, list[Contradiction])
    proof = await client.tickets.verify("j", settle=600)
    assert_type(proof, Verification)
    assert_type(await client.customers.verify("j"), Verification)
    assert_type(list(proof.rows()), list[RowCheck])
    assert_type(proof.lists, tuple[ListCheck, ...])
    assert_type(Reconciliation.before(ValueError()), Reconciliation | None)
    assert_type(await client.tickets.resolve("j", "k", absent=True), Resolved)
    assert_type(await client.customers.resolve("j", line=2, present="1"), Resolved)
    assert_type(await client.tickets.doctor(long=5_000), Diagnosis)


async def resources(client: KaptureClient) -> None:
    assert_type(client.customers, Customers)
    assert_type(client.orders, Orders)
    assert_type(client.faqs, Faqs)
    customer = NewCustomer(customer_name="x", phone="1", contacts=[{"title": "Dr"}])
    assert_type(await client.customers.add(customer), SavedCustomer)
    assert_type(await client.customers.add(customer_name="x", phone="1"), SavedCustomer)
    assert_type(await client.customers.update("1", CustomerFields(city="x")), SavedCustomer)
    assert_type(await client.customers.update("1", phone="2"), SavedCustomer)
    assert_type(await client.customers.get("1"), Customer)
    assert_type((await client.customers.get(phone="1")).customer_id, str)
    assert_type(client.customers.pull("2024-05-02", cm_id=1), Pages[CustomerRow])
    order = NewOrder(customer=customer, product_details=[{"sku_id": "a"}])
    assert_type(await client.orders.add(order), SavedOrder)
    assert_type(await client.orders.update("1", order, id_at="order_info.order_id"), SavedOrder)
    assert_type(client.orders.pull(1, name="x"), Pages[OrderRow])
    assert_type(client.faqs.contents("1"), Pages[FaqContent])
    assert_type(await client.faqs.categories(), list[FaqCategory])
    assert_type(NewCustomer.from_mapping({}), NewCustomer)


def inbound(body: bytes, decoded: dict[str, object]) -> None:
    callback = parse_callback(body)
    assert_type(callback, StatusCallback)
    assert_type(parse_callback("{}", max_bytes=1000), StatusCallback)
    assert_type(parse_callback(decoded), StatusCallback)
    assert_type(callback.ticket_id, str)
    assert_type(callback.status, str | None)
    assert_type(callback.sub_status, str | None)
    assert_type(callback.queue, str | None)
    assert_type(callback.raw, Mapping[str, Any])
    assert_type(callback.extra, Mapping[str, Any])
    assert_type(callback.problems, tuple[str, ...])
