"""Answers that belong to other rows: a server or proxy that is one answer behind.

The ledger is the judge: nothing may be told accepted that was not executed, and no id twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from kapture_async import (
    Accepted,
    AnswerMismatchError,
    KaptureClient,
    NewTicket,
    Outcome,
    PushStoppedError,
    Row,
    SyncKaptureClient,
    Unknown,
)
from kapture_async._core.journal.reader import ReadJournal
from kapture_async.events import AnswersDiffer, RowDoubted
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async.testing import SupportEmulator

from ..support.made import TICKET
from ..support.made import client_of as support_client

AFTER = "previous_answer;executed=true"
OTHER_ID = "previous_answer;executed=true;only_id=true"
BEHIND = ["previous_answer", AFTER, OTHER_ID]


def rows(count: int, title: str = "ticket {}") -> Iterator[dict[str, str]]:
    return ({"title": title.format(n), "ticket_details": f"text {n}"} for n in range(count))


def at(place: int, kind: str, *more: int) -> FaultPlan:
    places = {place, *more}
    return FaultPlan.script([kind if n in places else None for n in range(max(places) + 1)])


def judge(
    emulator: KaptureEmulator, outcomes: list[Outcome], doubted: set[str] = frozenset()
) -> None:  # type: ignore[assignment]
    """No row was told accepted that was not executed, and no two have one id, unless that is in
    doubt."""
    executed = {entry.payload["ticket_details"].split("\n")[0]: entry.ticket_id for entry in
                emulator.ledger.of("tickets.add")}  # fmt: skip
    ids: set[str] = set()
    for outcome in outcomes:
        if isinstance(outcome, Accepted) and outcome.ticket_id not in doubted:
            details = outcome.row["ticket_details"]
            assert executed[details] == outcome.ticket_id
            assert outcome.ticket_id not in ids
            ids.add(outcome.ticket_id)


@pytest.fixture
async def client(kapture_emulator: KaptureEmulator) -> Any:
    async with KaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token) as made:
        yield made


async def pushed(push: Any) -> list[Outcome]:
    async with push as outcomes:
        return sorted([outcome async for outcome in outcomes], key=lambda one: one.index)


@pytest.mark.parametrize("journaled", [False, True])
@pytest.mark.parametrize("kind", BEHIND)
async def test_one_answer_of_another_row_is_a_doubt(
    kapture_emulator: KaptureEmulator,
    client: KaptureClient,
    tmp_path: Path,
    kind: str,
    journaled: bool,
) -> None:
    kapture_emulator.faults = at(10, kind)
    journal = tmp_path / "j" if journaled else None
    events: list[Any] = []
    outcomes = await pushed(
        client.tickets.push(rows(30), journal=journal, max_concurrency=1, on_event=events.append)
    )
    assert len(outcomes) == 30
    assert [o.index for o in outcomes if not isinstance(o, Accepted)] == [10]
    doubt = outcomes[10]
    assert isinstance(doubt, Unknown)
    assert isinstance(doubt.error, AnswerMismatchError)
    assert "row 9" in doubt.reason
    assert "another row" in doubt.reason
    judge(kapture_emulator, outcomes)
    # Only where the answer fits its own row, and not the other, are both in doubt.
    doubted = [event for event in events if isinstance(event, RowDoubted)]
    assert [event.index for event in doubted] == ([9] if kind == OTHER_ID else [])
    if journal is not None:
        with ReadJournal.open_to_read(journal) as stored:
            assert stored.counts().unknown == 1 + len(doubted)
            assert stored.counts().accepted == 29 - len(doubted)


@pytest.mark.parametrize("kind", BEHIND)
async def test_rows_that_look_alike_are_both_in_doubt(
    kapture_emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path, kind: str
) -> None:
    kapture_emulator.faults = at(4, kind)
    same = [Row({"title": "same"}, key=f"k{n}", line=n + 2) for n in range(8)]
    events: list[Any] = []
    outcomes = await pushed(client.tickets.push(same, max_concurrency=1, on_event=events.append))
    doubt = next(o for o in outcomes if isinstance(o, Unknown))
    assert doubt.index == 4
    assert "line 5, key 'k3'" in doubt.reason
    assert "both are in doubt" in doubt.reason
    (event,) = [event for event in events if isinstance(event, RowDoubted)]
    assert (event.index, event.key) == (3, "k3")
    assert "line 6, key 'k4'" in event.reason
    assert event.ticket_id == outcomes[3].ticket_id


@pytest.mark.parametrize("journaled", [False, True])
async def test_a_second_one_stops_the_push(
    kapture_emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path, journaled: bool
) -> None:
    kapture_emulator.faults = at(10, "previous_answer", 15)
    journal = tmp_path / "j" if journaled else None
    seen: list[Outcome] = []
    with pytest.raises(PushStoppedError) as caught:
        async with client.tickets.push(rows(500), journal=journal, max_concurrency=1) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
    judge(kapture_emulator, seen)
    assert "2 rows are in doubt" in caught.value.message
    assert "proxy" in caught.value.next_step
    assert ("reconcile" in caught.value.next_step) is journaled
    assert len(kapture_emulator.ledger.of("tickets.add")) == 14  # nothing was sent after the second


async def test_the_connection_is_not_used_again(
    kapture_emulator: KaptureEmulator, client: KaptureClient
) -> None:
    kapture_emulator.faults = at(5, "previous_answer")
    await pushed(client.tickets.push(rows(10), max_concurrency=1))
    assert kapture_emulator.connections_total == 2


async def test_a_reference_that_comes_back_tells_equal_rows_apart(
    kapture_emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path
) -> None:
    kapture_emulator.faults = at(4, "previous_answer")
    journal = tmp_path / "j"
    same = [Row({"title": "same"}, key=f"k{n}") for n in range(8)]
    await pushed(client.tickets.push(same, journal=journal, max_concurrency=1))
    with ReadJournal.open_to_read(journal) as stored:
        before = [doubt.key for doubt in stored.doubts()]
    assert before == ["k4"]


@pytest.mark.parametrize("journaled", [False, True])
def test_sync(kapture_emulator: KaptureEmulator, tmp_path: Path, journaled: bool) -> None:
    kapture_emulator.faults = at(10, "previous_answer", 15)
    seen: list[Outcome] = []
    journal = tmp_path / "j" if journaled else None
    with (
        SyncKaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token) as client,
        pytest.raises(PushStoppedError, match="belong to other rows"),
        client.tickets.push(rows(100), journal=journal, max_concurrency=1) as outcomes,
    ):
        seen.extend(outcomes)
    judge(kapture_emulator, seen)
    assert sum(isinstance(outcome, Unknown) for outcome in seen) == 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", BEHIND)
async def test_many_at_a_time(
    kapture_emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path, kind: str, seed: int
) -> None:
    kapture_emulator.faults = FaultPlan.rate(0.01, seed=seed, kinds=[kind])
    kapture_emulator.latency = 0.002
    seen: list[Outcome] = []
    doubted: set[str] = set()

    def on_event(event: Any) -> None:
        if isinstance(event, RowDoubted):
            doubted.add(event.ticket_id)

    try:
        async with client.tickets.push(
            rows(600), journal=tmp_path / "j", on_event=on_event
        ) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
    except PushStoppedError:
        pass
    judge(kapture_emulator, seen, doubted)


# --- what is no contradiction ----------------------------------------------------------------


def upper(title: str) -> str:
    return title.upper()


def escaped(title: str) -> str:
    return title.replace("&", "&amp;amp;").replace("<", "&amp;lt;")


def cut(title: str) -> str:
    return title[:40]


def spaced(title: str) -> str:
    return f"  {title.replace(' ', '  ')} "


class Changing(KaptureEmulator):
    """Repeats titles in another form."""

    change: Callable[[str], str] = staticmethod(str)

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        body = orjson.loads(reply.body)
        if "title" in body:
            body["title"] = body["ticket"]["taskTitle"] = self.change(body["title"])
            body["ticket"]["detail"] = ""
            reply = attrs.evolve(reply, body=orjson.dumps(body))
        return reply


@pytest.mark.parametrize("change", [upper, escaped, cut, spaced])
async def test_forms_that_services_change(change: Callable[[str], str]) -> None:
    events: list[Any] = []
    async with (
        Changing() as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        emulator.change = change  # type: ignore[method-assign]
        source = [
            {"title": f"A <title> & more, which is {n} of many that are long enough to be cut {n}"}
            for n in range(60)
        ]
        outcomes = await pushed(client.tickets.push(source, on_event=events.append))
    assert all(isinstance(outcome, Accepted) and outcome.checked for outcome in outcomes)
    assert not [event for event in events if isinstance(event, AnswersDiffer)]


async def test_titles_that_a_tenant_rewrites_are_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[Any] = []
    async with (
        Changing() as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        emulator.change = lambda title: "General enquiry"  # type: ignore[method-assign]
        with caplog.at_level(logging.WARNING, "kapture_async.push"):
            outcomes = await pushed(client.tickets.push(rows(60), on_event=events.append))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert not any(outcome.checked for outcome in outcomes if isinstance(outcome, Accepted))
    assert [e for e in events if isinstance(e, AnswersDiffer)] == [AnswersDiffer("title", 20)]
    assert len(caplog.records) == 1


# --- single calls, updates, customers, the other service --------------------------------------


class TwoIds(KaptureEmulator):
    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        return attrs.evolve(reply, body=reply.body.replace(b'"Ticket Id":"', b'"Ticket Id":"9'))


async def test_two_ids_in_one_answer() -> None:
    async with (
        TwoIds() as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        with pytest.raises(AnswerMismatchError, match="two ticket ids that differ") as caught:
            await client.tickets.add(NewTicket(title="a"))
        assert caught.value.may_have_been_applied
        with pytest.raises(PushStoppedError):
            await pushed(client.tickets.push(rows(20), max_concurrency=1))


@pytest.mark.parametrize("kind", ["previous_answer", AFTER])
async def test_updates(kapture_emulator: KaptureEmulator, client: KaptureClient, kind: str) -> None:
    made = [(await client.tickets.add(title=f"t{n}")).ticket_id for n in range(20)]
    kapture_emulator.faults = at(5, kind, 9)
    changes = [{"ticket_id": ticket_id, "comment": "c"} for ticket_id in made]
    seen: list[Outcome] = []
    with pytest.raises(PushStoppedError, match="2 rows are in doubt"):
        async with client.tickets.update_many(
            changes, sub_status="CL", max_concurrency=1
        ) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
    accepted = [o.row["ticket_id"] for o in seen if isinstance(o, Accepted)]
    assert set(accepted) <= {e.ticket_id for e in kapture_emulator.ledger.of("tickets.update")}
    assert all(o.checked for o in seen if isinstance(o, Accepted))
    unknown = [o for o in seen if isinstance(o, Unknown)]
    assert [o.index for o in unknown] == [5, 9]
    assert all(isinstance(o.error, AnswerMismatchError) for o in unknown)


async def test_customers(kapture_emulator: KaptureEmulator, client: KaptureClient) -> None:
    kapture_emulator.faults = at(3, "previous_answer")
    source = [
        {"customer_name": f"c{n}", "phone": f"99000000{n:02}", "email_id": f"c{n}@example.com"}
        for n in range(8)
    ]
    outcomes = await pushed(client.customers.push(source, max_concurrency=1))
    assert [o.index for o in outcomes if isinstance(o, Unknown)] == [3]


async def test_one_customer_in_two_rows_has_one_id(
    kapture_emulator: KaptureEmulator, client: KaptureClient
) -> None:
    kapture_emulator.faults = at(3, OTHER_ID)
    source = [{"customer_name": f"c{n}", "phone": "+91 99000 00001"} for n in range(8)]
    outcomes = await pushed(client.customers.push(source, max_concurrency=1))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)


async def test_answers_that_repeat_nothing_are_said_to_be_unchecked() -> None:
    async with SupportEmulator() as emulator, support_client(emulator) as client:
        source = [{**TICKET, "subject": f"s{n}"} for n in range(3)]
        outcomes = await pushed(client.tickets.push(source))
    assert all(isinstance(outcome, Accepted) and not outcome.checked for outcome in outcomes)
