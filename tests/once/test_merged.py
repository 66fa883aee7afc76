"""One ticket in the place of two rows: merged, or one of them was never carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from attrs import evolve

from kapture_async import Row
from kapture_async._core.journal.records import State
from kapture_async._core.journal.reference import marker_of
from kapture_async.testing import FaultPlan, KaptureEmulator

from .judge import rows_in
from .pushing import SETTLE, client_of, keyed, push


class Taciturn(KaptureEmulator):
    """Repeats nothing by which rows of the same title could be told apart."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        body = orjson.loads(reply.body)
        if "title" in body:
            body["ticket"]["detail"] = ""
        return evolve(reply, body=orjson.dumps(body))


def alike(count: int) -> list[Row[dict[str, str]]]:
    return [Row({"title": "same", "ticket_details": f"text {n}"}, f"k{n}") for n in range(count)]


def states(journal: Path) -> dict[str | None, State]:
    return {row.key: row.state for row in rows_in(journal)}


async def test_a_ticket_with_two_references_is_both_rows(journal: Path) -> None:
    async with KaptureEmulator() as emulator, client_of(emulator) as client:
        emulator.faults = FaultPlan.script([None, "close_after", "close_after"])
        await push(client, keyed(a="one", b="two", c="three"), journal, max_concurrency=1)
        references = {row.key: row.reference for row in rows_in(journal)}
        (kept, merged) = (entry.ticket_id for entry in emulator.ledger.of("tickets.add")[1:])
        emulator._store.tickets[kept].detail += "\n" + marker_of(references["c"])
        ticket = emulator._store.tickets[merged]
        ticket.detail = ticket.detail.replace(marker_of(references["c"]), "")
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert sorted(str(row.key) for row in found.present) == ["b", "c"]
        assert [row.key for row in found.merged[kept]] == ["b", "c"]
        assert set(states(journal).values()) == {State.ACCEPTED}


async def test_an_accepted_row_whose_ticket_is_anothers_is_in_doubt_again(journal: Path) -> None:
    """Its answer was the one that the row before had missed; nothing in it tells so."""
    async with Taciturn() as emulator, client_of(emulator) as client:
        emulator.faults = FaultPlan.script([None, "close_after", "previous_answer"])
        await push(client, alike(4), journal, max_concurrency=1)
        accepted, unknown = State.ACCEPTED, State.UNKNOWN
        assert list(states(journal).values()) == [accepted, unknown, accepted, accepted]
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert [row.key for row in found.present] == ["k1"]
        assert [row.key for row in found.open] == ["k2"]
        assert not found.merged
        assert list(states(journal).values()) == [accepted, accepted, unknown, accepted]
        assert len(emulator.ledger.of("tickets.add")) == 3


async def test_an_accepted_row_that_has_another_ticket_is_found_there(journal: Path) -> None:
    async with Taciturn() as emulator, client_of(emulator) as client:
        emulator.faults = FaultPlan.script([None, "close_after", "previous_answer;executed=true"])
        await push(client, alike(4), journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert sorted(str(row.key) for row in found.present) == ["k1", "k2"]
        assert not found.merged
        made = [entry.ticket_id for entry in emulator.ledger.of("tickets.add")]
        assert [row.ticket_id for row in rows_in(journal)] == made


async def test_two_rows_with_one_id_are_looked_up(journal: Path) -> None:
    async with Taciturn() as emulator, client_of(emulator) as client:
        emulator.faults = FaultPlan.script([None, None, "previous_answer;executed=true"])
        await push(client, alike(4), journal, max_concurrency=1)
        accepted, unknown = State.ACCEPTED, State.UNKNOWN
        assert list(states(journal).values()) == [accepted, unknown, unknown, accepted]
        (first, second) = (row for row in rows_in(journal) if row.state is unknown)
        assert first.error == second.error == "AnswerMismatchError"
        assert "k2" in str(first.words)
        assert "k1" in str(second.words)
        await client.tickets.reconcile(journal, settle=SETTLE)
        made = [entry.ticket_id for entry in emulator.ledger.of("tickets.add")]
        assert [row.ticket_id for row in rows_in(journal)] == made
