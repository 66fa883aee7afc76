"""``verify``: every row of a journal against the helpdesk, and what that proves."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import (
    InvalidInputError,
    JournalError,
    KaptureClient,
    Row,
    ServerError,
    SyncKaptureClient,
    Verification,
)
from kapture_async._api import INDIA, codec_of
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import State
from kapture_async._core.reconcile.evidence import ListEnd
from kapture_async._core.reconcile.results import BY_ID, ONE_OF_SEVERAL
from kapture_async._core.reconcile.seen_tickets import SeenTickets
from kapture_async._core.reconcile.verify import NO_COMMENT, NOWHERE, YOUNG
from kapture_async._reference import TEXT
from kapture_async.testing import FaultPlan, KaptureEmulator
from kapture_async.tickets.push import tickets_listed
from support_async import SupportClient, SyncSupportClient, Timeout
from support_async.testing import SupportEmulator

from ..clock import Clock
from .pushing import ENOUGH, SETTLE, client_of, keyed, push, titles
from .test_contradictions import ODD, OddKapture, OddSupport, found_in

LATER = 2 * SETTLE


def results(found: Verification) -> dict[str | None, str]:
    """What was found of each row."""
    return {row.key: row.result for row in found.rows()}


def whys(found: Verification) -> dict[str | None, str | None]:
    return {row.key: row.why for row in found.rows()}


def forget(emulator: KaptureEmulator, title: str) -> None:
    """A ticket is gone from the helpdesk."""
    store = emulator._store
    (ticket,) = (one for one in store.tickets.values() if one.title == title)
    del store.tickets[ticket.ticket_id]
    for day in store._days.values():
        if ticket in day:
            day.remove(ticket)


def edit(emulator: KaptureEmulator, title: str, detail: str) -> None:
    """An agent writes another text."""
    (ticket,) = (one for one in emulator._store.tickets.values() if one.title == title)
    ticket.detail, ticket.shown = detail, None


async def test_all_is_proved(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, keyed(**{f"k{n}": f"t{n}" for n in range(30)}), journal)
    found = await client.tickets.verify(journal, settle=SETTLE)
    assert found.counts == {"present": 30}
    assert (found.proved, found.all_proved, found.denied) == (1.0, True, False)
    assert (found.total, found.tickets, found.contradictions) == (30, 30, [])
    (listed,) = (one for one in found.lists if one.tickets)
    assert (listed.tickets, listed.total, listed.incomplete) == (30, 30, False)
    ids = {entry.ticket_id for entry in emulator.ledger}
    assert {row.ticket_ids[0] for row in found.rows()} == ids
    assert sum(1 for _ in found.rows()) == 30  # once more
    with ReadJournal.open_to_read(journal) as reader:
        look = orjson.loads(reader.lookups()[-1].evidence)
    assert (look["verified"], look["present"], look["proved"]) == (30, 30, 1.0)
    found.close()
    found.close()
    with pytest.raises(ValueError, match="closed"):
        next(found.rows())


async def test_each_kind_of_row(journal: Path, clock: Clock) -> None:
    async with OddKapture() as emulator, client_of(emulator) as client:
        rows = keyed(**ODD, gone="gone", edited="edited", other="other")
        await push(client, rows, journal, max_concurrency=1)
        await push(client, keyed(z="last"), journal)
        forget(emulator, "gone")
        edit(emulator, "edited", "all is said and done")
        edit(emulator, "other", f"[ref:{'a' * 20}]")  # the ticket of its id is another row's now
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == {
            "a": "present",
            "r": "contradicted",
            "d": "twice",
            "o": "contradicted",
            "l": "present",
            "gone": "missing",
            "edited": "present",
            "other": "contradicted",
            "z": "present",
        }
        assert found.by_id == 1
        assert whys(found)["edited"] == BY_ID
        told = {(one.kind, one.key) for one in found.contradictions}
        assert told == {
            ("rejected_present", "r"),
            ("twice", "d"),
            ("other_ticket", "o"),
            ("other_row", "other"),
        }
        assert found_in(journal) == Counter(told)
        assert (found.denied, found.all_proved) == (True, False)
        assert found.proved == 4 / 9
        assert [row.key for row in found.first["missing"]] == ["gone"]
        # The doubt was found, the refused row is present, and the one whose ticket is another
        # row's is in doubt: nothing of them is sent again.
        before = titles(emulator)
        assert (await push(client, rows, journal)).states == {"accepted": 7, "unknown": 1}
        assert titles(emulator) == before
        again = await client.tickets.verify(journal, settle=SETTLE)
        assert (results(again)["r"], results(again)["other"]) == ("present", "in_doubt")
        assert ("rejected_present", "r") not in {
            (one.kind, one.key) for one in again.contradictions
        }
        assert again.noted == 4


async def test_tickets_that_no_row_explains_are_named(journal: Path, clock: Clock) -> None:
    """A row that was executed twice, and one of its tickets rewritten: by its reference it is there
    once. What is left over is named; what others make, or the same user at other times, is not."""
    faults = FaultPlan.script([None, None, "twice"])
    async with KaptureEmulator(clock=clock.now, faults=faults) as emulator:
        async with client_of(emulator) as client:
            await push(client, keyed(a="a", b="b", c="c", d="d"), journal, max_concurrency=1)
            double, _ = (e.ticket_id for e in emulator.ledger if e.payload["title"] == "c")
            emulator.ticket(double).detail = "Rewritten by an agent."
            theirs = emulator.ticket(emulator.seed(title="of another user"))
            theirs.updated = emulator.timestamp()
            clock.ahead += 5 * 3600
            await client.tickets.add(title="later work of the same user")
            found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == dict.fromkeys("abcd", "present")
        assert (found.unexplained, found.unexplained_ids) == (1, [double])
        assert not found.denied


async def test_what_was_refused_and_is_not_there_is_as_it_should_be(
    journal: Path, clock: Clock
) -> None:
    plan = FaultPlan.script([None, "failed", None], only="tickets.add")
    async with KaptureEmulator(faults=plan) as emulator, client_of(emulator) as client:
        rows: list[Any] = [*keyed(a="a", b="b"), Row({"title": ""}, "never"), *keyed(c="c")]
        story = await push(client, rows, journal, max_concurrency=1)
        assert story.names == ["accepted", "rejected", "not_sent", "accepted"]
        early = await client.tickets.verify(journal, settle=SETTLE)
        # What was refused a moment ago may still turn up; what never left cannot.
        assert results(early) == {
            "a": "present",
            "b": "not_seen",
            "never": "absent",
            "c": "present",
        }
        assert whys(early)["b"] == YOUNG
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == {**results(early), "b": "absent"}
        assert found.all_proved


async def test_what_is_young_is_not_missing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, clock: Clock
) -> None:
    await push(client, keyed(a="a", gone="gone", c="c"), journal, max_concurrency=1)
    forget(emulator, "gone")
    found = await client.tickets.verify(journal, settle=SETTLE)
    assert (results(found)["gone"], found.reasons) == ("not_seen", {YOUNG: 1})
    clock.ahead += LATER
    found = await client.tickets.verify(journal, settle=SETTLE)
    assert results(found)["gone"] == "missing"
    assert found.proved == 2 / 3


async def test_a_list_that_is_short_by_its_own_count(journal: Path, clock: Clock) -> None:
    class Short(KaptureEmulator):
        def handle(self, request: Any) -> Any:
            reply = super().handle(request)
            if self.operation(request) != "tickets.pull":
                return reply
            body = orjson.loads(reply.body)
            if isinstance(body["message"], list):
                body["message"] = body["message"][:3]
            return evolve(reply, body=orjson.dumps(body))

    async with Short() as emulator, client_of(emulator) as client:
        await push(client, keyed(a="a", b="b", c="c", d="d", e="e"), journal, max_concurrency=1)
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert found.counts == {"present": 3, "not_seen": 2}
        (why,) = found.reasons
        assert "3 of 5 tickets by its own count" in why
        assert [one.incomplete for one in found.lists if one.tickets] == [True]
        assert (found.all_proved, found.denied) == (False, False)


@pytest.mark.parametrize(
    ("gone", "told"), [("t5", "missing"), ("t0", "missing"), ("t9", "not_seen")]
)
async def test_a_list_without_a_count(journal: Path, clock: Clock, gone: str, told: str) -> None:
    """One that rises by its ids may end too early, and has no hole before its last ticket."""
    async with KaptureEmulator(pull_counts=False) as emulator, client_of(emulator) as client:
        await push(client, keyed(**{f"t{n}": f"t{n}" for n in range(10)}), journal)
        ids = sorted(entry.ticket_id for entry in emulator.ledger)
        titles_in_order = {e.ticket_id: e.payload["title"] for e in emulator.ledger}
        place = int(gone[1:])
        forget(emulator, titles_in_order[ids[place]])
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert found.counts == {"present": 9, told: 1}


async def test_what_a_list_has_lost_is_known_by_its_id(journal: Path, clock: Clock) -> None:
    """Texts are cut at their first emoji, so no row with one comes back by its reference."""

    class Cutting(KaptureEmulator):
        def handle(self, request: Any) -> Any:
            if self.operation(request) == "tickets.add":
                told = orjson.loads(request.body)
                told[0]["ticket_details"] = told[0]["ticket_details"].partition("\U0001f44b")[0]
                request = evolve(request, body=orjson.dumps(told))
            return super().handle(request)

    async with Cutting() as emulator, client_of(emulator) as client:
        rows = [
            Row({"title": key, "ticket_details": f"hello {sign}"}, key)
            for key, sign in (("a", ""), ("b", "\U0001f44b"), ("gone", "\U0001f44b"), ("c", ""))
        ]
        await push(client, rows, journal, max_concurrency=1)
        forget(emulator, "gone")
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == {"a": "present", "b": "present", "gone": "missing", "c": "present"}
        assert found.by_id == 1


async def test_a_look_that_fails_leaves_what_it_has_seen(journal: Path) -> None:
    class Failing(OddKapture):
        broken = False

        def handle(self, request: Any) -> Any:
            if self.broken and self.operation(request) == "tickets.pull":
                day = orjson.loads(request.body)[0]["start_date"]
                if day > self.now.date().isoformat():
                    return evolve(self.refusal("x"), status=500)
            return super().handle(request)

    async with Failing() as emulator, client_of(emulator) as client:
        await push(client, keyed(**ODD), journal, max_concurrency=1)
        emulator.broken = True
        with pytest.raises(ServerError):
            await client.tickets.verify(journal, settle=SETTLE)
        assert ("twice", "d") in found_in(journal)


async def test_without_references_nothing_can_be_checked(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, keyed(a="a", b="b"), journal, reference=None)
    found = await client.tickets.verify(journal, reference=None, settle=SETTLE)
    assert found.counts == {"unchecked": 2}
    assert found.reasons == {NOWHERE: 2}
    assert (found.proved, found.all_proved, found.denied) == (0.0, False, False)


async def test_a_doubt_that_is_not_found_stays_one(journal: Path, clock: Clock) -> None:
    plan = FaultPlan.script([None, "close_before", None])
    async with KaptureEmulator(faults=plan) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="a", b="b", c="c"), journal, max_concurrency=1)
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == {"a": "present", "b": "in_doubt", "c": "present"}
        with ReadJournal.open_to_read(journal) as reader:
            assert reader.counts().unknown == 1


async def test_a_doubt_that_is_there_twice(journal: Path) -> None:
    class Twice(KaptureEmulator):
        def handle(self, request: Any) -> Any:
            reply = super().handle(request)
            if self.operation(request) == "tickets.add" and b"TWICE" in request.body:
                super().handle(request)
                return evolve(reply, body=b"<html>", status=502)
            return reply

    async with Twice() as emulator, client_of(emulator) as client:
        await push(client, keyed(a="a", b="TWICE"), journal)
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == {"a": "present", "b": "twice"}
        assert found.denied
        with ReadJournal.open_to_read(journal) as reader:
            assert [row.key for row in reader.rows_in(State.AMBIGUOUS)] == ["b"]


async def test_days_between_two_pushes_are_not_read(journal: Path, clock: Clock) -> None:
    async with KaptureEmulator(clock=clock.now) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="a"), journal)
        clock.ahead += 30 * 86400
        await push(client, keyed(b="b"), journal)
        before = Counter(emulator.requests)
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert found.counts == {"present": 2}
        assert 4 <= (Counter(emulator.requests) - before).total() <= 8


async def test_what_cannot_be_verified(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    with pytest.raises(InvalidInputError, match="settle"):
        await client.tickets.verify(journal, settle=1)
    with pytest.raises(JournalError):
        await client.tickets.verify(journal)
    await push(client, keyed(a="a"), journal)
    with pytest.raises(JournalError, match=r"tickets\.add"):
        await client.customers.verify(journal)


def test_the_sync_client(journal: Path) -> None:
    with OddKapture().in_thread() as emulator:
        with SyncKaptureClient(
            base_url=emulator.url, token=emulator.token, timeout=ENOUGH
        ) as client:
            with client.tickets.push(keyed(**ODD), journal=journal, max_concurrency=1) as outcomes:
                list(outcomes)
            found = client.tickets.verify(journal, settle=SETTLE)
        assert results(found)["r"] == "contradicted"
        assert found.counts["twice"] == 1
        assert {row.key for row in found.rows()} == set(ODD)


async def test_a_list_ends_behind_its_own_rows(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    """And not behind those of the next day, if it has none."""
    day = datetime(2026, 3, 2, 12, tzinfo=INDIA)
    for number in range(3):
        emulator.seed(title="t", created=day + timedelta(days=2, minutes=number))
    look = tickets_listed(client.tickets.pull, codec_of(INDIA), TEXT)
    since, until = day.timestamp(), (day + timedelta(days=3)).timestamp()
    told = [one async for one in look(since, until)]
    ends = [(n, one) for n, one in enumerate(told) if isinstance(one, ListEnd)]
    assert [(place, end.day, end.rows) for place, end in ends] == [
        (0, date(2026, 3, 2), 0),
        (1, date(2026, 3, 3), 0),
        (5, date(2026, 3, 4), 3),
        (6, date(2026, 3, 5), 0),
    ]


def test_a_temporary_file_that_fails() -> None:
    seen = SeenTickets()
    seen.close()
    with pytest.raises(JournalError, match="temporary file"):
        seen.add_references([("reference", "1")])


@pytest.mark.parametrize("turns", [1, 3, 10, 30, 100])
async def test_a_cancelled_verification_leaves_all_as_it_was(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, turns: int
) -> None:
    await push(client, keyed(**{f"k{n}": f"t{n}" for n in range(20)}), journal)
    task = asyncio.create_task(client.tickets.verify(journal, settle=SETTLE))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    found = await client.tickets.verify(journal, settle=SETTLE)
    assert found.counts == {"present": 20}


# --- support -------------------------------------------------------------------------------------


def support_rows(**subjects: str) -> list[Any]:
    return [
        Row({"subject": text, "comment": "x", "category": "3", "priority": "1"}, key)
        for key, text in subjects.items()
    ]


async def test_support(journal: Path, clock: Clock) -> None:
    async with OddSupport() as emulator:
        settings: dict[str, Any] = {"apikey": emulator.apikey, "timeout": Timeout(total=SETTLE / 2)}
        async with SupportClient(emulator.url, access_token=emulator.token, **settings) as client:
            rows = support_rows(**{k: v for k, v in ODD.items() if k != "o"})
            await push(client, rows, journal, max_concurrency=1)  # type: ignore[arg-type]
            await push(client, support_rows(z="last"), journal)  # type: ignore[arg-type]
            clock.ahead += LATER
            found = await client.tickets.verify(journal, settle=SETTLE)
            assert results(found) == {
                "a": "present",
                "r": "contradicted",
                "d": "twice",
                "l": "present",
                "z": "present",
            }
            assert all(row.ticket_ids for row in found.rows())


def test_the_sync_client_of_support(journal: Path) -> None:
    with SupportEmulator().in_thread() as emulator:
        settings: dict[str, Any] = {"apikey": emulator.apikey, "timeout": Timeout(total=SETTLE / 2)}
        with SyncSupportClient(emulator.url, access_token=emulator.token, **settings) as client:
            with client.tickets.push(support_rows(a="a", b="b"), journal=journal) as outcomes:
                list(outcomes)
            found = client.tickets.verify(journal, settle=SETTLE)
        assert (found.counts, found.all_proved) == ({"present": 2}, True)


# --- row by row ----------------------------------------------------------------------------------


async def test_updates(emulator: KaptureEmulator, journal: Path, clock: Clock) -> None:
    ids = [emulator.seed(title=f"t{number}") for number in range(6)]
    fine, bare, refused, double, lost, gone = ids
    real = emulator.handle

    def handle(request: Any) -> Any:
        if emulator.operation(request) != "tickets.update":
            return real(request)
        if gone.encode() in request.body:  # accepted, and nothing is done
            told = orjson.loads(request.body)
            told[0].pop("comment")
            return real(evolve(request, body=orjson.dumps(told)))
        reply = real(request)
        if refused.encode() in request.body:
            return emulator.refusal("Queue not found")
        if double.encode() in request.body:
            return real(request)
        return evolve(reply, status=502) if lost.encode() in request.body else reply

    emulator.handle = handle  # type: ignore[method-assign]
    rows = [
        {"ticket_id": one, **({} if one == bare else {"comment": f"Solved {one}."})} for one in ids
    ]
    async with client_of(emulator) as client:
        async with client.tickets.update_many(rows, journal=journal, sub_status="CL") as outcomes:
            async for _ in outcomes:
                pass
        clock.ahead += LATER
        found = await client.tickets.verify(journal, settle=SETTLE)
        assert results(found) == {
            fine: "present",
            bare: "unchecked",
            refused: "contradicted",
            double: "twice",
            lost: "present",
            gone: "missing",
        }
        assert whys(found)[bare] == NO_COMMENT
        assert found.row_by_row
        assert {(one.kind, one.key) for one in found.contradictions} == {
            ("rejected_present", refused),
            ("twice", double),
        }


async def test_customers(emulator: KaptureEmulator, journal: Path, clock: Clock) -> None:
    real = emulator.handle

    def handle(request: Any) -> Any:
        reply = real(request)
        if emulator.operation(request) == "customers.add":
            if b"refused" in request.body:
                return emulator.refusal("No such zone")
            if b"lost" in request.body:
                return evolve(reply, status=502)
        return reply

    emulator.handle = handle  # type: ignore[method-assign]
    rows = [
        Row({"customer_name": name, "phone": f"9000{number}"}, name)
        for number, name in enumerate(("fine", "refused", "lost", "edited"))
    ]
    async with client_of(emulator) as client:
        async with client.customers.push(rows, journal=journal, max_concurrency=1) as outcomes:
            ended = {outcome.key: outcome async for outcome in outcomes}
        assert ended["edited"].name == "accepted"
        await client.customers.update(
            str(ended["edited"].ticket_id), extra={"remarks": "written anew"}
        )
        clock.ahead += LATER
        found = await client.customers.verify(journal, settle=SETTLE)
        assert results(found) == {
            "fine": "present",
            "refused": "contradicted",
            "lost": "present",
            "edited": "present",
        }
        assert whys(found)["edited"] == BY_ID
        assert {(one.kind, one.key) for one in found.contradictions} == {
            ("rejected_present", "refused")
        }


class CuttingEmulator(OddKapture):
    """Keeps the first characters of a text, so that no reference is left; but for one row's."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        for ticket in self._store.tickets.values():
            if ticket.title != "fine":
                ticket.detail, ticket.shown = (ticket.detail or "")[:12], None
        return reply


async def test_two_tickets_whose_references_were_cut_off(journal: Path, clock: Clock) -> None:
    """The row's own is there under its id; that it is the only one is not proved."""
    async with CuttingEmulator(clock=clock.now) as emulator, client_of(emulator) as client:
        texts = {"a": "fine", "b": "the same", "c": "the same", "d": "DOUBLE", "e": "as later"}
        rows = [
            Row({"title": text, "ticket_details": "a text of some length"}, key=key)
            for key, text in texts.items()
        ]
        await push(client, rows, journal, max_concurrency=1)
        clock.ahead += 3600
        await client.tickets.add(title="as later", ticket_details="a text of some length")
        found = await client.tickets.verify(journal, settle=LATER)
        assert results(found) == {**dict.fromkeys("abce", "present"), "d": "not_seen"}
        assert whys(found)["d"] == ONE_OF_SEVERAL
        double = list(found.rows())[3]
        assert set(double.ticket_ids) == {
            entry.ticket_id for entry in emulator.ledger if entry.payload["title"] == "DOUBLE"
        }
        assert found.first["not_seen"] == [double]
        assert (found.all_proved, found.denied, found.by_id) == (False, False, 3)
