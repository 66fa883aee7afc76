"""References: where they travel, what they leave alone, and how far they carry."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import Field, HelpdeskError, InvalidInputError, KaptureClient, NewTicket, Row
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import State
from kapture_async._core.journal.reference import marker_of
from kapture_async._core.reconcile.evidence import MARGIN
from kapture_async.testing import FaultPlan, KaptureEmulator

from .judge import judge, rows_in, tickets_in
from .pushing import SETTLE, client_of, keyed, plain, push, titles

FIELD = Field("webform.import_ref")
TEXTS = {
    "none": None,
    "empty": "",
    "short": "x",
    "a line end": "one\n",
    "CRLF": "one\r\ntwo\r\n\r\nthree",
    "CRLF at the end": "one\r\n",
    "blanks": "  one \t ",
    "marked up": "<p>5 > 3 &amp; 'so' \"on\"</p>",
    "entities": "&lt;b&gt; &amp;amp; &#91;ref:&#93;",
    "brackets": "see [ref:12] and [ref:] and [ref",
    "many languages": "Grüße, नमस्ते, 你好, مرحبا 🎉",
    "10 kB": "All is well. " * 800,
}


def payloads(emulator: KaptureEmulator) -> dict[str, dict[str, Any]]:
    return {entry.payload["title"]: entry.payload for entry in emulator.ledger.of("tickets.add")}


def rows_of(texts: Mapping[str, str | None]) -> list[dict[str, Any]]:
    return [
        {"title": title} if text is None else {"title": title, "ticket_details": text}
        for title, text in texts.items()
    ]


async def test_the_text_stays_as_it_was_and_is_found_again(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.rate(1.0, kinds=["close_after"], only="tickets.add")
    story = await push(client, rows_of(TEXTS), journal)
    assert set(story.names) == {"unknown"}
    references = {row.reference for row in rows_in(journal)}
    for title, payload in payloads(emulator).items():
        text, given = payload["ticket_details"], TEXTS[title] or ""
        assert text.startswith(given)
        marker = text.removeprefix(given)
        assert marker.removeprefix("\n") in {marker_of(reference) for reference in references}
        assert marker.count("\n") == (given != "" and not given.endswith("\n"))
        assert marker.isascii()
        assert payload.keys() == {"title", "ticket_details"}
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert len(found.present) == len(TEXTS)
    assert judge(journal, emulator.ledger).accepted == len(TEXTS)


class Escaping(KaptureEmulator):
    """Its pulls show texts as a web page would: escaped, on one line, in capitals."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.pull":
            return reply
        body = orjson.loads(reply.body)
        rows = body["message"]
        for row in rows if isinstance(rows, list) else []:  # else a text: there are none
            shown = html.escape(row["detail"]).replace("[", "&#91;").replace("]", "&#93;")
            row["detail"] = shown.replace("\r", "").replace("\n", "<br />").upper()
        return evolve(reply, body=orjson.dumps(body))


async def test_a_marker_survives_what_a_helpdesk_does_to_texts(journal: Path) -> None:
    faults = FaultPlan.rate(1.0, kinds=["close_after"], only="tickets.add")
    async with Escaping(faults=faults) as emulator, client_of(emulator) as client:
        await push(client, rows_of(TEXTS), journal)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert len(found.present) == len(TEXTS)
        assert judge(journal, emulator.ledger).accepted == len(TEXTS)


async def test_without_a_journal_nothing_is_added(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    async with client.tickets.push(rows_of(TEXTS)) as outcomes:
        assert {outcome.name async for outcome in outcomes} == {"accepted"}
    assert {t: p.get("ticket_details") for t, p in payloads(emulator).items()} == TEXTS


async def test_in_a_field_of_the_tenants(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows: list[Any] = [
        {"title": "bare", "ticket_details": "one"},
        {"title": "listed", "webform": [{"city": "Pune"}]},
        {"title": "single", "webform": {"city": "Pune"}},
        {"title": "taken", "webform": [{"import_ref": "mine"}]},
        {"title": "odd", "webform": "text"},
    ]
    emulator.faults = FaultPlan.rate(1.0, kinds=["close_after"], only="tickets.add")
    story = await push(client, rows, journal, reference=FIELD, max_concurrency=1)
    assert story.names == ["unknown"] * 3 + ["not_sent"] * 2
    assert all(
        isinstance(outcome.error, InvalidInputError)
        for outcome in story.outcomes
        if outcome.name == "not_sent"
    )
    references = [row.reference for row in rows_in(journal)]
    made = payloads(emulator)
    assert made["bare"] == {
        "title": "bare",
        "ticket_details": "one",
        "webform": [{"import_ref": references[0]}],
    }
    assert made["listed"]["webform"] == [{"city": "Pune", "import_ref": references[1]}]
    assert made["single"]["webform"] == {"city": "Pune", "import_ref": references[2]}
    found = await client.tickets.reconcile(journal, reference=FIELD, settle=SETTLE)
    assert len(found.present) == 3
    counts = {row.state for row in rows_in(journal)}
    assert counts == {State.ACCEPTED, State.NOT_SENT}  # the others stand there, never sent
    named = [Row(rows[3], "taken")]
    for _ in range(2):  # it cannot be sent, and the journal knows
        assert (await push(client, named, journal, reference=FIELD)).names == ["not_sent"]
        (row,) = [row for row in rows_in(journal) if row.key == "taken"]
        assert (row.state, row.attempts) == (State.NOT_SENT, 0)
    with ReadJournal.open_to_read(journal) as reader:
        assert list(reader.pending()) == []
    assert (await push(client, rows[:3], journal, reference=FIELD)).states == {"accepted": 3}


async def test_without_a_reference_a_doubt_is_probable_at_best(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(
        ["close_after", "close_before", "close_after", "close_after"]
    )
    rows = plain("one", "two", "emulator", "emulator")
    await push(client, rows, journal, reference=None, max_concurrency=1)
    assert all("[ref" not in str(payload) for payload in payloads(emulator).values())
    found = await client.tickets.reconcile(journal, reference=None, settle=SETTLE)
    ids = [entry.ticket_id for entry in emulator.ledger.entries]
    assert [one.ticket_ids for one in found.probable] == [(ids[0],)]
    assert [set(one.ticket_ids) for one in found.ambiguous] == [set(ids[1:])] * 2
    assert len(found.open) == 1  # of "two" the absence of its content proves nothing
    assert (found.present, found.absent) == ([], [])
    states = [row.state.value for row in rows_in(journal)]
    assert states == ["probable", "unknown", "ambiguous", "ambiguous"]
    again = await push(client, rows, journal, reference=None)
    assert (again.names, again.states) == ([], {"probable": 1, "unknown": 1, "ambiguous": 2})
    assert titles(emulator).total() == 3


async def test_what_another_row_is_known_to_have_made_is_not_probable(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script([None, "close_before", None, "close_after"])
    rows = keyed(a="same", b="same", c="other", d="other")
    await push(client, rows, journal, reference=None, max_concurrency=1)
    ids = [entry.ticket_id for entry in emulator.ledger.entries]
    found = await client.tickets.reconcile(journal, reference=None, settle=SETTLE)
    assert [(one.key, one.ticket_ids) for one in found.probable] == [("d", (ids[2],))]
    assert [one.key for one in found.open] == ["b"]
    assert (found.ambiguous, found.absent) == ([], [])


async def test_what_is_found_twice_is_left_to_a_person(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_after", "close_before"])
    await push(client, keyed(a="one", b="two"), journal, max_concurrency=1)
    one, two = rows_in(journal)
    copies = [emulator.seed(ticket_details=f"A copy. {marker_of(two.reference)}") for _ in range(2)]
    copies.append(emulator.seed(ticket_details=f"Another. {marker_of(one.reference).upper()}"))
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    by_key = {resolved.key: set(resolved.ticket_ids) for resolved in found.ambiguous}
    assert by_key == {"a": {emulator.ledger.entries[0].ticket_id, copies[2]}, "b": set(copies[:2])}
    assert found.doubts == 2
    assert [row.state for row in rows_in(journal)] == [State.AMBIGUOUS] * 2
    again = await push(client, keyed(a="one", b="two"), journal)
    assert (again.names, again.states) == ([], {"ambiguous": 2})
    assert titles(emulator).total() == 1


async def test_a_look_that_fails_leaves_all_as_it_was(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_after", "close_before"])
    await push(client, keyed(a="one", b="two"), journal, max_concurrency=1)
    emulator.faults = FaultPlan.rate(1.0, kinds=["failed"], only="tickets.pull")
    with pytest.raises(HelpdeskError, match="Something went wrong"):
        await client.tickets.reconcile(journal, settle=SETTLE)
    assert judge(journal, emulator.ledger).unknown == 2
    # The second look fails: what the first one found stands, and nothing is absent yet.
    margin = timedelta(seconds=MARGIN)
    days = ((emulator.now + margin).date() - (emulator.now - margin).date()).days + 1
    emulator.faults = FaultPlan.script([*[None] * days, "failed"], only="tickets.pull")
    with pytest.raises(HelpdeskError):
        await client.tickets.reconcile(journal, settle=SETTLE)
    counts = judge(journal, emulator.ledger)
    assert (counts.accepted, counts.unknown, counts.not_sent) == (1, 1, 0)
    emulator.faults = FaultPlan()
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert [one.key for one in found.absent] == ["b"]
    await push(client, keyed(a="one", b="two"), journal)
    assert judge(journal, emulator.ledger).accepted == 2


async def test_the_settle_time_is_twice_a_call_at_least(
    client: KaptureClient, journal: Path
) -> None:
    for settle in (SETTLE - 0.01, 0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInputError, match=r"settle must be 40 seconds or more"):
            await client.tickets.reconcile(journal, settle=settle)


# --- doctor ------------------------------------------------------------------------------------


async def test_doctor(emulator: KaptureEmulator, client: KaptureClient) -> None:
    said = await client.tickets.doctor()
    (ticket,) = tickets_in(emulator.ledger)
    assert said.guarantee == "exactly once with proof"
    assert (said.ticket_id, said.reference) == (ticket.ticket_id, ticket.reference)
    assert said.seconds is not None
    assert "lost answer can be looked up" in said.why
    assert "trial" in ticket.title.lower()
    assert "can be closed" in ticket.text


async def test_doctor_by_a_field_and_with_another_ticket(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    trial = NewTicket(title="Trial", extra={"queue": "import"})
    said = await client.tickets.doctor(trial, reference=FIELD)
    assert said.guarantee == "exactly once with proof"
    (payload,) = payloads(emulator).values()
    wanted = {"title": "Trial", "queue": "import", "webform": [{"import_ref": said.reference}]}
    assert payload == wanted
    with pytest.raises(InvalidInputError, match="nothing can be looked up"):
        await client.tickets.doctor(reference=None)


class Forgetful(KaptureEmulator):
    """Its pulls show texts without their last line."""

    def handle(self, request: Any) -> Any:
        if self.operation(request) == "tickets.pull":
            for ticket in self._store.tickets.values():
                ticket.detail = ticket.detail.rpartition("\n")[0]
        return super().handle(request)


class Doubling(KaptureEmulator):
    """Makes two tickets of each that is added."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) == "tickets.add":
            self.seed(self.ledger.entries[-1].payload)
        return reply


async def test_doctor_where_references_do_not_come_back(journal: Path) -> None:
    async with Forgetful() as emulator, client_of(emulator) as client:
        said = await client.tickets.doctor(patience=0.6)
    assert said.guarantee == "at most once with a list of doubts"
    assert said.why == "the reference did not come back within 0.6 s"
    assert (said.ticket_id, said.seconds) == (emulator.ledger.entries[0].ticket_id, None)


class Short(KaptureEmulator):
    """Keeps only the beginning of long texts."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        for ticket in self._everything():
            ticket.detail = ticket.detail[:1000]
        return reply

    def _everything(self) -> Any:
        return [self.ticket(entry.ticket_id) for entry in self.ledger]


async def test_doctor_with_a_long_text() -> None:
    async with Short() as emulator, client_of(emulator) as client:
        said = await client.tickets.doctor(patience=0.1)
        assert said.guarantee == "exactly once with proof"
        said = await client.tickets.doctor(long=900, patience=0.1)
        assert said.guarantee == "exactly once with proof"
        said = await client.tickets.doctor(long=1200, patience=0.1)
        assert said.guarantee == "at most once with a list of doubts"
        assert "with a text of 1,200 characters" in said.why
        texts = [entry.payload["ticket_details"] for entry in emulator.ledger]
        # As long as the text of a row would be; the reference comes on top.
        assert [len(text) - len("\n[ref:]") - 20 for text in texts[1:]] == [900, 1200]
        with pytest.raises(InvalidInputError, match="long must be"):
            await client.tickets.doctor(long=0)
        with pytest.raises(InvalidInputError, match="built-in trial ticket"):
            await client.tickets.doctor(NewTicket(title="t"), long=5)


async def test_doctor_where_they_come_back_twice() -> None:
    async with Doubling() as emulator, client_of(emulator) as client:
        said = await client.tickets.doctor()
    assert said.guarantee == "at most once with a list of doubts"
    assert said.twice
    assert "2 tickets after one create" in said.why


async def test_doctor_where_pulls_fail(emulator: KaptureEmulator, client: KaptureClient) -> None:
    emulator.faults = FaultPlan.rate(1.0, kinds=["failed"], only="tickets.pull")
    said = await client.tickets.doctor(patience=0.1)
    assert said.guarantee == "at most once with a list of doubts"
    assert "failed" in said.why
    assert said.seconds is None


@pytest.mark.parametrize("fault", ["failed", "close_after"])
async def test_doctor_where_the_trial_is_not_made(
    emulator: KaptureEmulator, client: KaptureClient, fault: str
) -> None:
    emulator.faults = FaultPlan.script([fault])
    with pytest.raises(HelpdeskError):
        await client.tickets.doctor(patience=0.1)


class Site(str, Enum):  # noqa: UP042 - a StrEnum has one name only
    """A text whose own name is another."""

    HOME = "home"


async def test_keys_of_a_type_of_the_callers(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_after"], only="tickets.add")
    rows: list[Any] = [Row({"title": "one"}, Site.HOME), Row({"title": "two"}, 7)]  # type: ignore[arg-type]
    story = await push(client, rows, journal)
    assert sorted(story.names) == ["not_sent", "unknown"]
    assert "must be text, not int" in "".join(outcome.reason for outcome in story.outcomes)
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert [one.key for one in found.present] == ["home"]
    again = await push(client, [Row({"title": "one"}, "home")], journal)
    assert again.names == []  # it is known by that
