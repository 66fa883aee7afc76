"""Many customers at once, through the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kapture_async import (
    CustomerFields,
    Field,
    InvalidInputError,
    JournalError,
    KaptureClient,
    NewCustomer,
    Row,
    SyncKaptureClient,
)
from kapture_async._core.journal.reference import marker_of
from kapture_async.events import RowKnown
from kapture_async.testing import FaultPlan, KaptureEmulator

from .judge import rows_in
from .pushing import ENOUGH, SETTLE, Story

ADD = "customers.add"


def people(*names: str, **more: str) -> list[dict[str, Any]]:
    return [
        {"customer_name": name, "phone": f"9000{number}", "email_id": f"{name}@example.com", **more}
        for number, name in enumerate(names)
    ]


async def push(client: KaptureClient, rows: Iterable[Any], journal: Path, **settings: Any) -> Story:
    story = Story()

    def note(event: Any) -> None:
        if isinstance(event, RowKnown):
            story.known.append((event.key, event.state))

    given = {"journal": journal, "on_event": note, **settings}
    async with client.customers.push(rows, **given) as outcomes:
        async for outcome in outcomes:
            story.outcomes.append(outcome)
    return story


def made(emulator: KaptureEmulator) -> Counter[str]:
    infos = (entry.payload["customer_info"] for entry in emulator.ledger.of(ADD))
    return Counter(info["customer_name"] for info in infos)


async def test_lost_answers_are_found_by_phone_and_mail(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows = people("a", "b", "c", "d", remarks="Came by the fair.")
    emulator.faults = FaultPlan.script([None, "close_after", "close_before"], only=ADD)
    story = await push(client, rows, journal, max_concurrency=1)
    assert story.names == ["accepted", "unknown", "unknown", "accepted"]
    first = next(one for one in story.outcomes if one.index == 0)
    assert first.ticket_id == first.result.customer_id == emulator.ledger.entries[0].ticket_id
    references = [row.reference for row in rows_in(journal)]
    assert [entry.payload["customer_info"]["remarks"] for entry in emulator.ledger] == [
        f"Came by the fair.\n{marker_of(reference)}"
        for reference in (references[0], references[1], references[3])
    ]
    found = await client.customers.reconcile(journal, settle=SETTLE)
    assert [one.ticket_ids for one in found.present] == [(emulator.ledger.entries[1].ticket_id,)]
    assert len(found.absent) == 1
    again = await push(client, rows, journal)
    assert (again.names, again.states) == (["accepted"], {"accepted": 3})
    assert made(emulator) == dict.fromkeys("abcd", 1)


async def test_a_customer_who_was_there_before_proves_nothing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    """The service may have merged the row into him, or not have had it at all."""
    rows = people("same", "other")
    await client.customers.add(customer_name="Same", phone="90000")
    await client.customers.add(customer_name="somebody", phone="90001")
    there = [entry.ticket_id for entry in emulator.ledger]
    emulator.faults = FaultPlan.rate(1.0, kinds=["close_before"], only=ADD)
    await push(client, rows, journal, max_concurrency=1)
    found = await client.customers.reconcile(journal, settle=SETTLE)
    assert [one.ticket_ids for one in found.probable] == [(there[0],)]
    assert (len(found.open), found.absent, found.present) == (1, [], [])
    emulator.faults = FaultPlan()
    assert (await push(client, rows, journal)).names == []
    with pytest.raises(InvalidInputError, match="2 rows in doubt"):
        rows_with_lines = [Row(row, None, 7) for row in rows]
        emulator.faults = FaultPlan.rate(1.0, kinds=["close_before"], only=ADD)
        await push(client, rows_with_lines, journal.with_suffix(".2"), new_journal=True)
        await client.customers.resolve(journal.with_suffix(".2"), line=7, absent=True)


async def test_a_field_may_carry_the_reference(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    place = Field("associate_fields.import_ref")
    rows: list[Any] = [
        NewCustomer(customer_name="a", phone="1", associate_fields={"x": "1"}),
        CustomerFields(phone="2"),
        NewCustomer(customer_name="c", phone="3", associate_fields={"import_ref": "mine"}),
    ]
    story = await push(client, rows[:1], journal, reference=place)
    assert story.names == ["accepted"]
    (reference,) = [row.reference for row in rows_in(journal)]
    info = emulator.ledger.entries[0].payload["customer_info"]
    assert info["associate_fields"] == {"x": "1", "import_ref": reference}
    assert "remarks" not in info
    story = await push(client, rows[2:], journal, reference=place)
    assert "is taken" in story.outcomes[0].reason


async def test_what_is_refused_is_not_there(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows: list[Any] = [{"customer_name": "a"}, 5, {"customer_name": "b", "phone": "1"}]
    story = await push(client, rows, journal)
    reasons = [one.reason for one in sorted(story.outcomes, key=lambda one: one.index)]
    assert "needs a phone or an email_id" in reasons[0]
    assert "must be a NewCustomer or a mapping, not int" in reasons[1]
    assert made(emulator) == {"b": 1}


async def test_without_payloads_nobody_can_be_asked_for(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_before"], only=ADD)
    await push(client, people("a"), journal, payloads=False)
    found = await client.customers.reconcile(journal, settle=SETTLE)
    assert len(found.open) == 1


async def test_each_journal_at_its_own_door(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, people("a"), journal)
    with pytest.raises(JournalError, match=r"is for customers\.add, not for tickets\.add"):
        await client.tickets.reconcile(journal)
    async with client.tickets.push([{"title": "t"}], journal=journal.with_suffix(".t")) as outcomes:
        assert [outcome.name async for outcome in outcomes] == ["accepted"]
    with pytest.raises(JournalError, match=r"is for tickets\.add, not for customers\.add"):
        await client.customers.reconcile(journal.with_suffix(".t"))


def test_the_sync_client(tmp_path: Path) -> None:
    with KaptureEmulator(faults=FaultPlan.script(["close_after"])).in_thread() as emulator:
        settings: dict[str, Any] = {
            "base_url": emulator.url,
            "token": emulator.token,
            "timeout": ENOUGH,
        }
        with SyncKaptureClient(**settings) as client:
            rows, journal = people("a", "b"), tmp_path / "j"
            with client.customers.push(rows, journal=journal, max_concurrency=1) as outcomes:
                assert sorted(outcome.name for outcome in outcomes) == ["accepted", "unknown"]
            assert len(client.customers.reconcile(journal, settle=SETTLE).present) == 1
        assert made(emulator) == {"a": 1, "b": 1}
