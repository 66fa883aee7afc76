"""Lists of tickets that some tenants have: no row is taken for absent that they only did not show.

For each quirk, rows are lost in three ways: executed without an answer, at the beginning, in the
middle and at the end of a push; not executed, likewise; and as the only one of their kind. After
a lookup and a second push nothing is there twice. How many doubts stay open is in ``OPEN``, and
``-s`` shows it as a table.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kapture_async import Row
from kapture_async.testing import FaultPlan

from ..clock import Clock
from .judge import judge, tickets_in
from .pushing import SETTLE, client_of, push
from .quirks import Quirks, QuirkyEmulator

ROWS = 12
LAST = ROWS - 1
PLACES = {"first": 0, "middle": ROWS // 2, "last": LAST}
WAVE = "Hi \U0001f44b my printer is on fire, please help me as soon as you can"
LONG = "a long story of a printer " * 200

TENANTS: dict[str, Quirks] = {
    "whole, counted": Quirks(total=True),
    "whole, counted, newest first": Quirks(total=True, newest=True),
    "whole, counted, shuffled": Quirks(total=True, shuffle=True),
    "whole, no count": Quirks(),
    "whole, no count, newest first": Quirks(newest=True),
    "whole, no count, shuffled": Quirks(shuffle=True),
    "one short, counted": Quirks(total=True, cap=ROWS - 1),
    "one short, no count": Quirks(cap=ROWS - 1),
    "one short, newest first": Quirks(cap=ROWS - 1, newest=True),
    "half, no count": Quirks(cap=ROWS // 2),
    "late beyond the settle time": Quirks(delay=10 * SETTLE),
    "late, counted": Quirks(total=True, delay=10 * SETTLE),
    "cuts at an emoji": Quirks(total=True, mb3=True),
    "cuts long texts": Quirks(total=True, trunc=100),
    "cuts titles": Quirks(total=True, title=5),
    "escapes twice": Quirks(total=True, escape=1),
    "folds case": Quirks(total=True, fold=True),
    "upper case": Quirks(total=True, upper=True),
    "breaks lines": Quirks(total=True, br=True),
    "wraps": Quirks(total=True, wrap=30),
}
HONEST = {name for name in TENANTS if name.startswith("whole, counted")} | {
    "cuts titles",
    "escapes twice",
    "folds case",
    "upper case",
    "breaks lines",
    "wraps",
}
"""Lists that are whole, say so, and show every reference: nothing may stay open there."""


def rows_with(text: str, place: int, count: int = ROWS) -> list[Row[dict[str, str]]]:
    """Rows of which one has another text."""
    texts = [f"About {number}." for number in range(count)]
    texts[place] = text
    return [
        Row({"title": f"row {number}", "ticket_details": words}, f"k{number}")
        for number, words in enumerate(texts)
    ]


async def lose(
    journal: Path,
    quirks: Quirks,
    place: int,
    fault: str,
    text: str = "About one.",
    count: int = ROWS,
) -> tuple[Any, QuirkyEmulator]:
    """Push rows of which one is lost, look it up, and push again."""
    plan = FaultPlan.script([*[None] * place, fault], only="tickets.add")
    rows = rows_with(text, place, count)
    async with QuirkyEmulator(quirks, faults=plan) as emulator, client_of(emulator) as client:
        await push(client, rows, journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        await push(client, rows, journal)
        judge(journal, emulator.ledger)
        made = [ticket.title for ticket in tickets_in(emulator.ledger)]
        assert len(made) == len(set(made)), "twice"
        assert len(made) + len(found.open) + len(found.probable) >= count, "lost, and nobody told"
        return found, emulator


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tenant", TENANTS)
async def test_executed_and_not_shown_is_never_absent(
    journal: Path, tenant: str, place: str
) -> None:
    found, _ = await lose(journal, TENANTS[tenant], PLACES[place], "close_after")
    assert found.absent == []
    assert all(one.reason for one in [*found.open, *found.probable])
    if tenant in HONEST:
        assert len(found.present) == 1


@pytest.mark.parametrize("text", [WAVE, LONG, "<b>bold</b>"], ids=["emoji", "long", "markup"])
@pytest.mark.parametrize("tenant", TENANTS)
async def test_the_only_one_of_its_kind(journal: Path, tenant: str, text: str) -> None:
    found, _ = await lose(journal, TENANTS[tenant], ROWS // 2, "close_after", text)
    assert found.absent == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tenant", sorted(HONEST))
async def test_not_executed_is_absent_where_the_list_is_whole(
    journal: Path, tenant: str, place: str
) -> None:
    found, emulator = await lose(journal, TENANTS[tenant], PLACES[place], "close_before")
    assert (len(found.absent), found.open) == (1, [])
    assert len(tickets_in(emulator.ledger)) == ROWS


OPEN = {
    "whole, counted": {"first": 0, "middle": 0, "last": 0},
    "whole, no count": {"first": 0, "middle": 0, "last": 1},
    "whole, no count, newest first": {"first": 1, "middle": 0, "last": 0},
    "whole, no count, shuffled": {"first": 1, "middle": 0, "last": 1},
}
"""Doubts that stay open of one that was not executed: what a list without a count costs."""


@pytest.mark.parametrize("tenant", OPEN)
async def test_what_honesty_costs(tmp_path: Path, tenant: str) -> None:
    # So many that the intents of the last are written long after the first were accepted.
    count, left = 90, {}
    for place, number in (("first", 0), ("middle", 45), ("last", 89)):
        found, _ = await lose(
            tmp_path / f"{place}.journal", TENANTS[tenant], number, "close_before", count=count
        )
        left[place] = len(found.open)
    print(f"{tenant:32} {left}")
    assert left == OPEN[tenant]


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(shuffle=True)], ids=["rising", "shuffled"])
async def test_a_later_ticket_of_anybody_settles_it(
    journal: Path, clock: Clock, quirks: Quirks
) -> None:
    plan = FaultPlan.script([None, None, "close_before"], only="tickets.add")
    rows = rows_with("About one.", 2)[:3]
    async with (
        QuirkyEmulator(quirks, faults=plan, clock=clock.now) as emulator,
        client_of(emulator) as client,
    ):
        await push(client, rows[:2], journal, max_concurrency=1)
        await push(client, rows, journal)
        assert len((await client.tickets.reconcile(journal, settle=SETTLE)).open) == 1
        clock.ahead += 600
        await client.tickets.add(title="of somebody else")
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.absent), found.open) == (1, [])


@pytest.mark.parametrize("text", ["About one.", WAVE, LONG, "<b>bold</b>"])
async def test_a_trial_ticket_settles_it(journal: Path, text: str) -> None:
    plan = FaultPlan.script([*[None] * LAST, "close_before"], only="tickets.add")
    rows = rows_with(text, LAST)
    async with QuirkyEmulator(Quirks(), faults=plan) as emulator, client_of(emulator) as client:
        await push(client, rows, journal, max_concurrency=1)
        before = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(before.open), before.trial) == (1, None)
        assert len(tickets_in(emulator.ledger)) == LAST  # nobody asked for one
        found = await client.tickets.reconcile(journal, settle=SETTLE, probe=True)
        assert (len(found.absent), found.open) == (1, [])
        *_, trial = emulator.ledger.of("tickets.add")
        assert found.trial == trial.ticket_id
        assert "trial" in trial.payload["title"].lower()
        assert len(trial.payload["ticket_details"].encode()) >= len(text.encode()) // 2
        await push(client, rows, journal)
        assert len(emulator.ledger.of("tickets.add")) == ROWS + 1


async def test_a_trial_ticket_that_loses_its_reference_proves_nothing(journal: Path) -> None:
    plan = FaultPlan.script([*[None] * LAST, "close_before"], only="tickets.add")
    rows = rows_with(WAVE, LAST)
    async with (
        QuirkyEmulator(Quirks(mb3=True), faults=plan) as emulator,
        client_of(emulator) as client,
    ):
        await push(client, rows, journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE, probe=True)
        assert found.absent == []
        assert len(found.open) + len(found.probable) == 1
        # Asked again at once, the same one is looked for: it is ONE ticket.
        await client.tickets.reconcile(journal, settle=SETTLE, probe=True)
        assert len(emulator.ledger.of("tickets.add")) == ROWS


async def test_a_trial_ticket_that_is_refused_leaves_all_as_it_was(journal: Path) -> None:
    plan = FaultPlan.script([*[None] * LAST, "close_before"], only="tickets.add")
    rows = rows_with("About one.", LAST)
    async with QuirkyEmulator(Quirks(), faults=plan) as emulator, client_of(emulator) as client:
        await push(client, rows, journal, max_concurrency=1)
        emulator.faults = FaultPlan.script(["failed"], only="tickets.add")
        found = await client.tickets.reconcile(journal, settle=SETTLE, probe=True)
        (row,) = found.open
        assert "the trial ticket was not made" in row.reason
        assert found.trial is None


EDITS: dict[str, Any] = {
    "title and text": lambda row: row.update(taskTitle="edited", detail="by an agent"),
    "no text": lambda row: row.update(detail=""),
    "no title": lambda row: row.update(taskTitle="", detail=None),
    "merged": lambda row: row.update(taskTitle="x", detail="y", mergedTicketId="1"),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_a_ticket_that_an_agent_changed_is_a_candidate(journal: Path, edit: str) -> None:
    """Whatever became of it: it was made by the same user, when the row may have been."""
    quirks = Quirks(total=True)
    plan = FaultPlan.script([*[None] * 5, "close_after"], only="tickets.add")
    rows = rows_with("About one.", 5)
    async with QuirkyEmulator(quirks, faults=plan) as emulator, client_of(emulator) as client:
        await push(client, rows, journal, max_concurrency=1)
        lost = emulator.ledger.of("tickets.add")[5].ticket_id
        quirks.changes = lambda row: EDITS[edit](row) if row["ticketId"] == lost else None
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        (row,) = found.probable
        assert (row.key, row.ticket_ids, found.absent) == ("k5", (lost,), [])
        await push(client, rows, journal)
        assert len(tickets_in(emulator.ledger)) == ROWS


async def test_more_doubts_than_candidates_are_all_kept(journal: Path) -> None:
    quirks = Quirks(total=True)
    faults = [*[None] * 5, "close_after", "close_before", "close_before"]
    plan = FaultPlan.script(faults, only="tickets.add")
    rows = rows_with("About one.", 5)
    async with QuirkyEmulator(quirks, faults=plan) as emulator, client_of(emulator) as client:
        await push(client, rows, journal, max_concurrency=1)
        lost = emulator.ledger.of("tickets.add")[5].ticket_id
        quirks.changes = lambda row: (
            row.update(taskTitle="?", detail="") if row["ticketId"] == lost else None
        )
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (found.absent, len(found.open)) == ([], 3)
        assert {one.ticket_ids for one in found.open} == {(lost,)}
        # Whoever knows which it is lets the others go.
        await client.tickets.resolve(journal, "k5", present=lost)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert {one.key for one in found.absent} == {"k6", "k7"}


@pytest.mark.parametrize("told", [True, False])
async def test_a_user_who_makes_other_tickets_too(journal: Path, clock: Clock, told: bool) -> None:
    """Then who made a ticket says nothing: it must share something with the row."""
    quirks = Quirks(total=True)
    rows = rows_with("About the printer in the cellar of the north wing.", 3)[:5]
    rows[3].value["email_id"] = "one@example.com"
    async with QuirkyEmulator(quirks, clock=clock.now) as emulator, client_of(emulator) as client:
        await client.tickets.add(title="early", ticket_details="made long before")
        clock.ahead += 3600
        emulator.faults = FaultPlan.script([*[None] * 3, "close_before"], only="tickets.add")
        await push(client, rows, journal, max_concurrency=1)
        emulator.faults = FaultPlan()
        if told:
            text = "something else"
            await client.tickets.add(
                title="same minute", ticket_details=text, email_id="One@example.com"
            )
        else:
            await client.tickets.add(title="same minute", ticket_details="of another matter")
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.probable), len(found.absent)) == ((1, 0) if told else (0, 1))


async def test_a_deleted_ticket_cannot_be_known(journal: Path) -> None:
    """The limit: a ticket that is gone without a trace is absent, and sent again."""
    quirks = Quirks(total=True)
    plan = FaultPlan.script([*[None] * 5, "close_after"], only="tickets.add")
    rows = rows_with("About one.", 5)
    async with QuirkyEmulator(quirks, faults=plan) as emulator, client_of(emulator) as client:
        await push(client, rows, journal, max_concurrency=1)
        lost = emulator.ledger.of("tickets.add")[5].ticket_id
        quirks.hides = lambda row: row["ticketId"] == lost
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert len(found.absent) == 1


@pytest.mark.skipif("ONCE_TABLE" not in os.environ, reason="a table for people: ONCE_TABLE=1, -s")
@pytest.mark.parametrize("tenant", TENANTS)
async def test_table_of_open_doubts(tmp_path: Path, tenant: str) -> None:
    """Per tenant: of a row that was executed and one that was not, each at three places, whether
    the doubt was resolved by a lookup, is probable, or stays open."""
    cells = []
    for fault in ("close_after", "close_before"):
        for place, number in PLACES.items():
            path = tmp_path / f"{fault} {place}.journal"
            found, _ = await lose(path, TENANTS[tenant], number, fault)
            cells.append("open" if found.open else "probable" if found.probable else "resolved")
    still = sum(cell != "resolved" for cell in cells)
    print(f"\n| {tenant:30} | {' | '.join(f'{cell:8}' for cell in cells)} | {still} of 6 |", end="")
    assert tenant not in HONEST or still == 0
