"""A push as one call, left without being read, and what it says of itself."""

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async import (
    Accepted,
    ClientStateError,
    Contact,
    InvalidInputError,
    JournalError,
    KaptureClient,
    NewCustomer,
    NewOrder,
    NewTicket,
    NotSent,
    NotSentError,
    PushReport,
    PushStoppedError,
    RetryPolicy,
    Row,
    RowFinished,
    SyncKaptureClient,
    TicketLookup,
    TicketUpdate,
    Unknown,
)
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

LOST = Fault("close_after")
REFUSED = Fault("status", status=422)
STOPS = Fault("status", status=401)


def rows(count: int) -> Iterator[dict[str, str]]:
    return ({"title": f"t{n}"} for n in range(count))


def titles(emulator: KaptureEmulator) -> list[str]:
    return [entry.payload["title"] for entry in emulator.ledger.of("tickets.add")]


def scripted(*faults: Any) -> KaptureEmulator:
    return KaptureEmulator(faults=FaultPlan.script(list(faults)))


@pytest.fixture
def sync_client(kapture_emulator: KaptureEmulator) -> Iterator[SyncKaptureClient]:
    with SyncKaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token) as client:
        yield client


def client_of(emulator: KaptureEmulator) -> KaptureClient:
    return KaptureClient(base_url=emulator.url, token=emulator.token, retry=RetryPolicy(attempts=1))


@pytest.fixture
async def client(kapture_emulator: KaptureEmulator) -> AsyncIterator[KaptureClient]:
    async with client_of(kapture_emulator) as client:
        yield client


# --- async -----------------------------------------------------------------------------------


async def test_all_gives_every_outcome(
    client: KaptureClient, kapture_emulator: KaptureEmulator
) -> None:
    outcomes = await client.tickets.push(rows(300)).all()
    assert sorted(outcome.index for outcome in outcomes) == list(range(300))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert sorted(titles(kapture_emulator)) == sorted(row["title"] for row in rows(300))


async def test_all_inside_gives_the_rest(client: KaptureClient) -> None:
    async with client.tickets.push(rows(50)) as push:
        first = await anext(push)
        rest = await push.all()
        assert await push.all() == []
    assert sorted(one.index for one in [first, *rest]) == list(range(50))
    with pytest.raises(ClientStateError, match="this push has ended"):
        await push.all()


async def test_run_counts_and_names_what_failed() -> None:
    async with scripted(None, LOST, REFUSED, None) as emulator, client_of(emulator) as client:
        report = await client.tickets.push(rows(5), max_concurrency=1).run()
    assert isinstance(report, PushReport)
    assert (report.rows, report.accepted, report.unknown, report.rejected) == (5, 3, 1, 1)
    assert [(one.index, one.name) for one in report.failures] == [(1, "unknown"), (2, "rejected")]
    assert report.seconds > 0
    assert "t1" not in repr(report)
    assert hash(report) == hash(pickle.loads(pickle.dumps(report)))


async def test_run_keeps_all_doubts_and_not_every_refusal(client: KaptureClient) -> None:
    bad = (Row(None, str(n), problem=InvalidInputError("no title")) for n in range(1_500))
    report = await client.tickets.push(bad).run()
    assert (report.not_sent, len(report.failures)) == (1_500, 1_000)


async def test_run_keeps_no_accepted_outcome(client: KaptureClient) -> None:
    seen: list[Any] = []

    def note(event: Any) -> None:
        if isinstance(event, RowFinished):
            seen.append(weakref.ref(event))

    await client.tickets.push(rows(400), max_concurrency=5, on_event=note).run()
    gc.collect()
    assert len(seen) == 400
    assert sum(ref() is not None for ref in seen) == 0


async def test_a_push_that_is_left_without_being_read_is_complete() -> None:
    async with scripted(None, LOST) as emulator, client_of(emulator) as client:
        async with client.tickets.push(rows(400), max_concurrency=4) as push:
            pass
        assert (push.counts.accepted, push.counts.unknown) == (399, 1)
        assert [one.name for one in push.unread()] == ["unknown"]
        assert len(titles(emulator)) == 400


@pytest.mark.parametrize("how", ["break", "error", "stop", "anext"])
async def test_a_push_that_is_left_early_stops_as_before(client: KaptureClient, how: str) -> None:
    push = client.tickets.push(rows(5_000), max_concurrency=2)
    read: list[Any] = []
    try:
        async with push:
            if how == "error":
                raise LookupError
            if how == "stop":
                push.stop()
            elif how == "anext":
                read.append(await anext(push))
            else:
                async for outcome in push:
                    read.append(outcome)
                    break
    except LookupError:
        assert how == "error"
    assert push.counts.rows < 100
    assert push.stop_reason is not None
    assert len(read) + len(push.unread()) == push.counts.rows


async def test_cancelled_while_it_pushes_the_rest(client: KaptureClient) -> None:
    push = client.tickets.push(rows(100_000), max_concurrency=2)

    async def leave() -> None:
        async with push:
            pass

    task = asyncio.create_task(leave())
    while push.counts.accepted < 10:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert push.counts.rows < 10_000
    assert push.counts.in_flight == 0


async def test_a_stop_brings_its_outcomes_along() -> None:
    async with scripted(STOPS) as emulator, client_of(emulator) as client:
        with pytest.raises(PushStoppedError) as caught:
            await client.tickets.push(rows(5)).all()
        assert [one.name for one in caught.value.outcomes] == ["rejected"]
    async with scripted(None, *[STOPS] * 100) as emulator, client_of(emulator) as client:
        push = client.tickets.push(rows(500), give_up_after=10)
        with pytest.raises(PushStoppedError) as caught:
            await push.run()
        assert {one.name for one in caught.value.outcomes} <= {"rejected", "not_sent"}
        assert push.unread() == list(caught.value.outcomes)
        with pytest.raises(PushStoppedError) as caught:
            async with client.tickets.push(rows(500), give_up_after=10):
                pass
        assert [one.name for one in caught.value.outcomes] == ["rejected"]


async def test_what_the_source_raises_loses_no_outcome(client: KaptureClient) -> None:
    def source() -> Iterator[dict[str, str]]:
        yield from rows(20)
        raise LookupError

    push = client.tickets.push(source())
    with pytest.raises(LookupError):
        await push.all()
    assert sorted(one.index for one in push.unread()) == list(range(20))


async def test_a_journal_that_cannot_be_used(client: KaptureClient, tmp_path: Path) -> None:
    push = client.tickets.push(rows(5), journal=tmp_path / "no" / "such" / "folder")
    with pytest.raises(JournalError):
        await push.run()
    assert push.counts.rows == 0


# --- sync ------------------------------------------------------------------------------------


def test_sync_all_and_run(
    sync_client: SyncKaptureClient, kapture_emulator: KaptureEmulator
) -> None:
    outcomes = sync_client.tickets.push(rows(700)).all()
    assert sorted(outcome.index for outcome in outcomes) == list(range(700))
    report = sync_client.tickets.push(rows(700)).run()
    assert (report.rows, report.accepted, report.failures) == (700, 700, ())
    assert len(titles(kapture_emulator)) == 1_400


def test_sync_left_without_being_read(
    sync_client: SyncKaptureClient, kapture_emulator: KaptureEmulator
) -> None:
    with sync_client.tickets.push(rows(1_000)) as push:
        pass
    assert (push.counts.accepted, push.unread()) == (1_000, [])
    with sync_client.tickets.push(rows(100_000)) as push:
        for _ in push:
            break
    assert push.counts.rows < 5_000
    push = sync_client.tickets.push(rows(100_000))
    with pytest.raises(LookupError), push:
        raise LookupError
    assert push.counts.rows <= 256
    with pytest.raises(ClientStateError, match="this push has ended"):
        push.run()


def test_sync_stop_and_source_error(sync_client: SyncKaptureClient) -> None:
    def source() -> Iterator[dict[str, str]]:
        yield from rows(20)
        raise LookupError

    push = sync_client.tickets.push(source())
    with pytest.raises(LookupError):
        push.all()
    assert sorted(one.index for one in push.unread()) == list(range(20))
    push = sync_client.tickets.push(source())
    with pytest.raises(LookupError), push:
        pass
    assert push.counts.accepted == 20
    with SyncKaptureClient(base_url=sync_client.base_url, token="wrong") as other:
        with pytest.raises(PushStoppedError) as caught:
            other.tickets.push(rows(5)).run()
        assert caught.value.outcomes[0].name == "rejected"
        # What was drawn ahead in this thread and not taken by the push is reported, too.
        assert {one.name for one in caught.value.outcomes[1:]} == {"not_sent"}


# --- what it says of itself ------------------------------------------------------------------


async def test_the_repr_tells_how_far_it_is(client: KaptureClient) -> None:
    push = client.tickets.push(rows(1_000), max_concurrency=3)
    assert repr(push) == "<Push of tickets.add: 0 rows, not begun>"
    async with push:
        await anext(push)
        assert "in flight" in repr(push)
        await push.all()
    assert repr(push) == "<Push of tickets.add: 1,000 rows, 1,000 accepted, ended>"
    push = client.tickets.push(rows(1_000), max_concurrency=1)
    async with push:
        async for _ in push:
            break
    assert repr(push).endswith("stopped early>")


def test_the_sync_repr(sync_client: SyncKaptureClient) -> None:
    push = sync_client.tickets.push(rows(3))
    push.run()
    assert repr(push) == "<SyncPush of tickets.add: 3 rows, 3 accepted, ended>"


async def test_an_accepted_outcome_shows_its_id(client: KaptureClient) -> None:
    (outcome,) = await client.tickets.push([Row({"title": "secret"}, "k")]).all()
    assert outcome.ticket_id is not None
    assert repr(outcome).startswith(f"Accepted(ticket_id={outcome.ticket_id!r}, index=0, key='k'")
    assert "secret" not in repr(outcome)


def test_values_hash_whatever_they_hold_and_outcomes_say_that_they_do_not() -> None:
    objects: Any = {"o": [{"deep": []}]}
    outcome = NotSent(index=0, error=NotSentError("x"))
    for value in (
        NewTicket(title="x", extra=objects),
        TicketUpdate(ticket_id="1", extra=objects),
        NewCustomer(customer_name="x", phone="1", contacts=[Contact(title="Dr")], extra=objects),
        NewOrder(customer={"phone": "2"}, order_info=objects, product_details=[objects]),
        TicketLookup(found={}, missing=("1",), failed={}),
        Row(objects, "k", content=objects),
        RowFinished(outcome),
        PushReport(rows=1, failures=(outcome,)),
    ):
        assert value in {value}
    assert NewTicket(title="x", extra=objects) in {NewTicket(title="x", extra=objects)}
    for unhashable in (Accepted, NotSent, Unknown):
        assert unhashable.__hash__ is None
