"""Many updates at once: each ticket once, and every doubt looked up in its ticket."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import (
    Field,
    InvalidInputError,
    JournalError,
    KaptureClient,
    NoReplyError,
    Reconciliation,
    Row,
    SyncKaptureClient,
    TicketUpdate,
)
from kapture_async._core.journal.records import State
from kapture_async._core.journal.reference import marker_of
from kapture_async.events import RowKnown
from kapture_async.testing import FaultPlan, KaptureEmulator

from .judge import rows_in
from .pushing import ENOUGH, SETTLE, Story, client_of

FIELD = Field("webform.import_ref")
MOMENT = "2026-01-31 18:05:00"


def tickets(emulator: KaptureEmulator, count: int) -> list[str]:
    return [emulator.seed(title=f"t{number}") for number in range(count)]


def commented(ids: Iterable[str]) -> list[dict[str, str]]:
    return [{"ticket_id": one, "comment": f"Solved: {one}."} for one in ids]


async def update(
    client: KaptureClient, rows: Iterable[Any], journal: Path | None, **settings: Any
) -> Story:
    story = Story()

    def note(event: Any) -> None:
        if isinstance(event, RowKnown):
            story.known.append((event.key, event.state))

    given = {"sub_status": "CL", "on_event": note, "journal": journal, **settings}
    async with client.tickets.update_many(rows, **given) as outcomes:
        async for outcome in outcomes:
            story.outcomes.append(outcome)
    return story


def updated(emulator: KaptureEmulator) -> Counter[str]:
    return Counter(entry.ticket_id for entry in emulator.ledger.of("tickets.update"))


def states(journal: Path) -> list[str]:
    return [row.state.value for row in rows_in(journal)]


# --- what is sent --------------------------------------------------------------------------------


async def test_each_ticket_once_with_what_all_have_in_common(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    a, b, c = tickets(emulator, 3)
    rows: list[Any] = [
        {"ticket_id": a, "comment": "one"},
        TicketUpdate(ticket_id=b, sub_status="RS", queue="Q2"),
        Row({"ticket_id": c, "comment": "two\n", "webform": [{"x": "1"}]}),
        {"ticket_id": a, "comment": "again"},
    ]
    moment = datetime(2026, 1, 31, 18, 5)
    settings = {"queue": "Q1", "callback_time": moment, "max_concurrency": 1}
    story = await update(client, rows, journal, **settings)
    assert story.names == ["accepted"] * 3 + ["not_sent"]
    said = sorted(story.outcomes, key=lambda one: one.index)
    assert "its key stood in an earlier row" in said[3].reason
    assert [one.key for one in said] == [a, b, c, a]
    assert all(one.row is row for one, row in zip(said, rows, strict=True))
    assert said[0].result.ticket_id == a
    references = {row.key: marker_of(row.reference) for row in rows_in(journal) if row.attempts}
    common = {"callback_time": "2026-01-31 18:05:00"}
    assert [entry.payload for entry in emulator.ledger] == [
        {"ticket_id": a, "sub_status": "CL", "queue": "Q1", **common}
        | {"comment": f"one\n{references[a]}"},
        {"ticket_id": b, "sub_status": "RS", "queue": "Q2", **common},
        {"ticket_id": c, "sub_status": "CL", "queue": "Q1", **common}
        | {"comment": f"two\n{references[c]}", "webform": [{"x": "1"}]},
    ]
    again = await update(client, rows[:3], journal, **settings)
    assert (again.names, again.states) == ([], {"accepted": 3})


async def test_without_a_journal_each_ticket_once_as_well(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    a, b = tickets(emulator, 2)

    async def source() -> AsyncIterator[Any]:
        for row in [*commented([a, b]), TicketUpdate(ticket_id=a), {"comment": "no id"}]:
            yield row

    story = await update(client, source(), None)  # type: ignore[arg-type]
    assert story.names == ["accepted", "accepted", "not_sent", "not_sent"]
    reasons = [one.reason for one in sorted(story.outcomes, key=lambda one: one.index)]
    assert "its ticket id was in an earlier row" in reasons[2]
    assert "ticket_id is missing" in reasons[3]
    assert updated(emulator) == {a: 1, b: 1}
    assert all("[ref" not in entry.payload["comment"] for entry in emulator.ledger)


async def test_with_keys_of_ones_own_a_ticket_may_come_more_than_once(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    (a,) = tickets(emulator, 1)
    rows = [{"ticket_id": a, "comment": "one"}, {"ticket_id": a, "comment": "two"}]
    emulator.faults = FaultPlan.script(["close_after", "close_before"])
    story = await update(client, rows, journal, key=lambda row: row["comment"], max_concurrency=1)
    assert story.names == ["unknown", "unknown"]
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert ([one.key for one in found.present], [one.key for one in found.absent]) == (
        ["one"],
        ["two"],
    )
    await update(client, rows, journal, key=lambda row: row["comment"])
    ticket = emulator.ticket(a)
    assert ticket is not None
    assert [note.splitlines()[0] for note in ticket.notes] == ["one", "two"]


@pytest.mark.parametrize("with_journal", [True, False])
async def test_blanks_around_an_id_make_no_other_ticket_of_it(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, with_journal: bool
) -> None:
    (a,) = tickets(emulator, 1)
    names = [f" {a}", a, f"{a} "]
    rows: list[Any] = [
        Row({"ticket_id": name, "comment": "x"}, name, n) for n, name in enumerate(names)
    ]
    rows += [
        Row({"ticket_id": a}, "9", 9, keyed=False),
        {"ticket_id": f"{a}\n"},
        TicketUpdate(ticket_id=a),
    ]
    story = await update(client, rows, journal if with_journal else None, max_concurrency=1)
    # With a journal the same update again, and those without the comment, are known as such.
    assert story.names == ["accepted", *["not_sent"] * (1 if with_journal else 5)]
    assert story.states == ({"repeated": 4} if with_journal else {})
    assert {one.key for one in story.outcomes} == {a}
    assert updated(emulator) == {a: 1}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"comment": "no id"}, "ticket_id is missing"),
        ({"ticket_id": 713516551148}, "as a number it may lose digits"),
        ({"ticket_id": "1,2"}, "is not a ticket id"),
        ({"ticket_id": "1", "sub_status": " "}, "sub_status must be text that is not blank"),
        ({"ticket_id": "1", "comment": 5}, "comment must be text, not int"),
        ({"ticket_id": "1", "callback_time": "31-01-2026"}, "callback_time must be a datetime"),
        ("1", "a row must be a TicketUpdate or a mapping, not str"),
        (Row(None, "k", 7, InvalidInputError("line 7: broken")), "line 7: broken"),
    ],
)
@pytest.mark.parametrize("with_journal", [True, False])
async def test_rows_that_cannot_be_sent(
    emulator: KaptureEmulator,
    client: KaptureClient,
    journal: Path,
    row: Any,
    words: str,
    with_journal: bool,
) -> None:
    story = await update(client, [row], journal if with_journal else None)
    assert story.names == ["not_sent"]
    assert words in story.outcomes[0].reason
    assert not emulator.requests


async def test_a_bulk_without_a_sub_status(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    (a,) = tickets(emulator, 1)
    story = await update(client, commented([a]), journal, sub_status=None)
    assert "sub_status is missing" in story.outcomes[0].reason
    for wrong in ({"sub_status": ""}, {"queue": 1}, {"callback_time": "soon"}):
        with pytest.raises(InvalidInputError):
            client.tickets.update_many([], **wrong)
    with pytest.raises(InvalidInputError, match="not a single dict"):
        client.tickets.update_many({"ticket_id": a})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="given twice"):
        client.tickets.update_many([], queue="Q", extra={"queue": "Q"})
    row = {"ticket_id": a, "queue": "Q1"}
    assert (await update(client, [row], None, extra={"queue": "Q2"})).names == ["accepted"]
    assert emulator.ledger.entries[-1].payload["queue"] == "Q1"


def test_an_update_shows_no_text_and_survives_a_pickle() -> None:
    one = TicketUpdate(ticket_id="7", comment="private", extra={"webform": [{"a": "secret"}]})
    assert repr(one) == "<TicketUpdate of '7' with comment, webform>"
    assert pickle.loads(pickle.dumps(one)) == one


def test_the_sync_client(tmp_path: Path) -> None:
    with KaptureEmulator().in_thread() as emulator:
        ids = tickets(emulator, 3)
        emulator.faults = FaultPlan.script(["close_after"])
        settings: dict[str, Any] = {
            "base_url": emulator.url,
            "token": emulator.token,
            "timeout": ENOUGH,
        }
        journal = tmp_path / "j"
        with SyncKaptureClient(**settings) as client:
            rows = commented([*ids, ids[0]])
            with client.tickets.update_many(
                rows, sub_status="CL", journal=journal, max_concurrency=1
            ) as outcomes:
                names = [outcome.name for outcome in outcomes]
            assert sorted(names) == ["accepted", "accepted", "unknown"]  # one came twice
            found = client.tickets.reconcile(journal, settle=SETTLE)
            assert [one.ticket_ids for one in found.present] == [(ids[0],)]
        assert updated(emulator) == dict.fromkeys(ids, 1)


# --- what became of a lost answer ----------------------------------------------------------------


async def test_a_doubt_is_looked_up_in_its_ticket(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 6)
    faults = [None, "close_after", "close_before", "close_after", "close_before", None]
    emulator.faults = FaultPlan.script(faults, only="tickets.update")
    story = await update(client, commented(ids), journal, max_concurrency=1)
    assert story.names == ["accepted", *["unknown"] * 4, "accepted"]
    before = Counter(emulator.requests)
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    asked = Counter(emulator.requests) - before
    assert asked == {"/search-ticket-by-ticket-id.html/v.2.0": 2}  # not one for each ticket
    assert [one.key for one in found.present] == [ids[1], ids[3]]
    assert [one.key for one in found.absent] == [ids[2], ids[4]]
    again = await update(client, commented(ids), journal)
    assert again.names == ["accepted"] * 2
    assert updated(emulator) == dict.fromkeys(ids, 1)
    assert states(journal) == ["accepted"] * 6


async def test_a_row_without_a_comment_carries_no_reference(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 3)
    rows = [{"ticket_id": ids[0]}, {"ticket_id": ids[1], "comment": " "}, *commented(ids[2:])]
    emulator.faults = FaultPlan.script(["close_after", "close_before", "close_after"])
    await update(client, rows, journal, max_concurrency=1)
    assert emulator.ledger.entries[0].payload == {"ticket_id": ids[0], "sub_status": "CL"}
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    # Neither is taken for absent: of an update without a comment nothing can be seen.
    assert [one.key for one in found.open] == ids[:2]
    assert [one.key for one in found.present] == ids[2:]
    assert (await update(client, rows, journal)).states == {"unknown": 2, "accepted": 1}
    told = await client.tickets.resolve(journal, ids[0], present=ids[0])
    assert told.ticket_ids == (ids[0],)
    await client.tickets.resolve(journal, ids[1], absent=True)
    again = await update(client, rows, journal)
    assert (again.names, again.states) == (["accepted"], {"accepted": 2})
    assert updated(emulator) == dict.fromkeys(ids, 1)


async def test_a_field_of_the_tenants_proves_rows_without_comments(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 4)
    rows = [{"ticket_id": one, "webform": [{"city": "Pune"}]} for one in ids]
    emulator.faults = FaultPlan.script(["close_after", "close_before", "close_before"])
    await update(client, rows, journal, reference=FIELD, max_concurrency=1)
    emulator.seed(ticket_id="1", title="another", webform=[{"import_ref": "of another journal"}])
    found = await client.tickets.reconcile(journal, reference=FIELD, settle=SETTLE)
    assert [one.key for one in found.present] == ids[:1]
    assert [one.key for one in found.absent] == ids[1:3]
    assert (await update(client, rows, journal, reference=FIELD)).names == ["accepted"] * 2
    assert updated(emulator) == dict.fromkeys(ids, 1)


async def test_a_field_that_was_written_over_proves_nothing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    (a,) = tickets(emulator, 1)
    emulator.faults = FaultPlan.script(["close_after"])
    await update(client, [{"ticket_id": a}], journal, reference=FIELD)
    await client.tickets.update(a, sub_status="PS", extra={"webform": [{"import_ref": "other"}]})
    found = await client.tickets.reconcile(journal, reference=FIELD, settle=SETTLE)
    assert [one.key for one in found.open] == [a]


async def test_without_a_reference_an_update_is_probable_at_best(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 2)
    emulator.faults = FaultPlan.script(["close_after", "close_before"])
    await update(client, commented(ids), journal, reference=None, max_concurrency=1)
    found = await client.tickets.reconcile(journal, reference=None, settle=SETTLE)
    assert [(one.key, one.ticket_ids) for one in found.probable] == [(ids[0], (ids[0],))]
    assert [one.key for one in found.open] == ids[1:]


class Changed(KaptureEmulator):
    """Shows its tickets' notes in another way."""

    def show(self, notes: list[dict[str, str]]) -> Any:
        return {"notes": notes}

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.get":
            return reply
        body = orjson.loads(reply.body)
        for element in body:
            element["conversation_type"] = self.show(element["conversation_type"]["notes"])
        return evolve(reply, body=orjson.dumps(body))


class Hiding(Changed):
    def show(self, notes: list[dict[str, str]]) -> Any:
        return {"notes": []}


class Bare(Changed):
    """Leaves out what is empty."""

    def show(self, notes: list[dict[str, str]]) -> Any:
        return {"notes": notes} if notes else {}


class Cutting(Changed):
    def show(self, notes: list[dict[str, str]]) -> Any:
        return {"notes": [{"detail": note["detail"][:60]} for note in notes]}


async def test_where_notes_do_not_come_back_nothing_is_absent(journal: Path) -> None:
    async with Hiding(faults=FaultPlan.script([None, "close_after"])) as emulator:
        async with client_of(emulator) as client:
            ids = tickets(emulator, 2)
            await update(client, commented(ids), journal, max_concurrency=1)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert (len(found.open), found.absent, found.unseen) == (1, [], 1)
            assert (await update(client, commented(ids), journal)).names == []
        assert updated(emulator) == dict.fromkeys(ids, 1)


async def test_where_an_empty_list_of_notes_is_left_out(tmp_path: Path) -> None:
    for number, faults in enumerate((["close_before"], [None, "close_before"])):
        async with Bare(faults=FaultPlan.script(faults)) as emulator, client_of(emulator) as client:
            rows = commented(tickets(emulator, len(faults)))
            journal = tmp_path / str(number)
            await update(client, rows, journal, max_concurrency=1)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            # Only beside a note that did come back, the lack of notes says anything.
            assert (len(found.open), len(found.absent)) == ((0, 1) if number else (1, 0))


async def test_a_comment_that_is_cut_short_is_not_taken_for_absent(journal: Path) -> None:
    async with Cutting(faults=FaultPlan.script([None, "close_after"])) as emulator:
        async with client_of(emulator) as client:
            ids = tickets(emulator, 2)
            rows = commented(ids)
            rows[1]["comment"] = "The customer says that it works again, and thanks us. " * 2
            await update(client, rows, journal, max_concurrency=1)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert [(one.key, one.ticket_ids) for one in found.probable] == [(ids[1], (ids[1],))]


async def test_a_ticket_that_is_not_given_says_nothing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = [*tickets(emulator, 2), "123"]
    emulator.faults = FaultPlan.script([None, "close_before", "close_before"])
    await update(client, commented(ids), journal, max_concurrency=1)
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert ([one.key for one in found.absent], [one.key for one in found.open]) == (
        [ids[1]],
        ["123"],
    )


class Strict(KaptureEmulator):
    """Refuses to give tickets if it knows none of them."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) == "tickets.get" and reply.body == b"[]":
            return self.refusal("No Data found/ticket_id is missing")
        return reply


async def test_not_one_ticket_is_given(journal: Path) -> None:
    async with Strict(faults=FaultPlan.script(["close_before"] * 2)) as emulator:
        async with client_of(emulator) as client:
            await update(client, commented(["123", "124"]), journal, max_concurrency=1)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert len(found.open) == 2


async def test_a_reference_that_is_there_twice_is_for_a_person(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    (a,) = tickets(emulator, 1)
    emulator.faults = FaultPlan.script(["close_after"])
    await update(client, commented([a]), journal)
    ticket = emulator.ticket(a)
    assert ticket is not None
    ticket.notes.append(ticket.notes[0])
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert [one.ticket_ids for one in found.ambiguous] == [(a, a)]


async def test_a_journal_without_payloads(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 3)
    emulator.faults = FaultPlan.script([None, "close_after", "close_before"])
    await update(client, commented(ids), journal, payloads=False, max_concurrency=1)
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert ([one.key for one in found.present], [one.key for one in found.open]) == (
        [ids[1]],
        [ids[2]],
    )


async def test_only_what_the_journal_holds(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 2)
    emulator.faults = FaultPlan.script([None, "close_before"])
    given = {"callback_time": MOMENT}
    await update(client, commented(ids), journal, max_concurrency=1, extra=given)
    await client.tickets.reconcile(journal, settle=SETTLE)
    emulator.faults = FaultPlan.script([])
    settings = {"sub_status": None, "queue": "another", "extra": {"x": "y"}}
    story = await update(client, [], journal, from_journal=True, **settings)
    assert [one.reason for one in story.outcomes] == [""]
    assert updated(emulator) == dict.fromkeys(ids, 1)
    payload = emulator.ledger.entries[-1].payload
    assert sorted(payload) == ["callback_time", "comment", "sub_status", "ticket_id"]
    assert (payload["sub_status"], payload["callback_time"]) == ("CL", MOMENT)


async def test_a_journal_of_another_operation_is_refused(
    emulator: KaptureEmulator, client: KaptureClient, tmp_path: Path
) -> None:
    (a,) = tickets(emulator, 1)
    await update(client, commented([a]), tmp_path / "u")
    with pytest.raises(JournalError, match=r"operation is 'tickets\.update', not 'tickets\.add'"):
        async with client.tickets.push([{"title": "t"}], journal=tmp_path / "u"):
            pass
    async with client.tickets.push([{"title": "t"}], journal=tmp_path / "a") as outcomes:
        assert [outcome.name async for outcome in outcomes] == ["accepted"]
    with pytest.raises(JournalError, match=r"operation is 'tickets\.add'"):
        await update(client, commented([a]), tmp_path / "a")
    assert len(emulator.ledger) == 2


# --- looks that fail, and words of a person ------------------------------------------------------


async def test_what_the_first_look_found_is_not_lost_when_the_second_fails(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 2)
    emulator.faults = FaultPlan.script(["close_after", "close_before"], only="tickets.update")
    await update(client, commented(ids), journal, max_concurrency=1)
    broken = [None, *["close_before"] * 9]
    emulator.faults = FaultPlan.script(broken, only="tickets.get")
    with pytest.raises(NoReplyError) as caught:
        await client.tickets.reconcile(journal, settle=SETTLE)
    found = Reconciliation.before(caught.value)
    assert found is not None
    assert ([one.key for one in found.present], [one.key for one in found.open]) == (
        [ids[0]],
        [ids[1]],
    )
    assert any("1 doubt was resolved before" in note for note in caught.value.__notes__)
    assert states(journal) == ["accepted", "unknown"]
    emulator.faults = FaultPlan.rate(1.0, kinds=["close_before"], only="tickets.get")
    with pytest.raises(NoReplyError) as caught:
        await client.tickets.reconcile(journal, settle=SETTLE)
    assert Reconciliation.before(caught.value) is None


async def test_the_longer_time_for_a_call_counts(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    ids = tickets(emulator, 1)
    emulator.faults = FaultPlan.script(["close_after"])
    async with client_of(emulator, timeout=30.0) as patient:
        await update(patient, commented(ids), journal)
    with pytest.raises(InvalidInputError, match="60 seconds or more, twice the time a call of the"):
        await client.tickets.reconcile(journal, settle=SETTLE)
    assert states(journal) == ["unknown"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"key": "x", "absent": True}, "has no row with key 'x'"),
        ({"key": "k", "absent": True}, "is not in doubt: it is accepted"),
        ({"line": 9, "absent": True}, "2 rows in doubt have line 9"),
        ({"key": "d"}, "say either present, with the id, or absent"),
        ({"key": "d", "absent": True, "present": "1"}, "say either"),
        ({"absent": True}, "name the row either by its key or by its line"),
        ({"key": "d", "line": 1, "absent": True}, "name the row either"),
        ({"key": "d", "present": " "}, "present needs the id"),
    ],
)
async def test_words_that_say_nothing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, how: dict[str, Any], words: str
) -> None:
    emulator.faults = FaultPlan.script([None, *["close_after"] * 3])
    rows = [
        Row({"title": name}, name, line) for name, line in zip("kdef", (1, 2, 9, 9), strict=True)
    ]
    async with client.tickets.push(rows, journal=journal, max_concurrency=1) as outcomes:
        assert len([outcome async for outcome in outcomes]) == 4
    with pytest.raises(InvalidInputError, match=words):
        await client.tickets.resolve(journal, **how)
    assert states(journal) == ["accepted", *["unknown"] * 3]


async def test_words_of_a_person_stand_in_the_journal(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_after", "close_before"])
    rows = [Row({"title": "one"}, None, 2), Row({"title": "two"}, "k", 3)]
    async with client.tickets.push(rows, journal=journal, max_concurrency=1) as outcomes:
        assert [outcome.name async for outcome in outcomes] == ["unknown"] * 2
    ticket_id = emulator.ledger.entries[0].ticket_id
    await client.tickets.resolve(journal, line=2, present=ticket_id)
    await client.tickets.resolve(journal, "k", absent=True)
    one, two = rows_in(journal)
    assert (one.state, one.ticket_id, one.words) == (
        State.ACCEPTED,
        ticket_id,
        "recorded by the operator",
    )
    assert (two.state, two.words) == (State.NOT_SENT, "recorded by the operator")
    async with client.tickets.push(rows, journal=journal) as outcomes:
        assert [outcome.key async for outcome in outcomes] == ["k"]
    assert Counter(entry.payload["title"] for entry in emulator.ledger) == {"one": 1, "two": 1}
