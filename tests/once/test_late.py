"""Answers that were given up on, and requests that are executed long after: on a fake clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.reconcile.reconcile import SETTLE
from kapture_async._core.testing.http import EmulatorReply, EmulatorRequest
from kapture_async.events import LookupFinished, SettleTimeStarted
from kapture_async.testing import FaultPlan, KaptureEmulator

from ..clock import Clock
from .judge import judge, tickets_in
from .pushing import client_of, keyed, push, titles


class Dawdler(KaptureEmulator):
    """Executes what it did not answer so many seconds later."""

    def __init__(self, clock: Clock, *delays: float) -> None:
        super().__init__(clock=clock.now)
        self.clock_of_all = clock
        self.delays = list(delays)
        self.faults = FaultPlan.script(["close_before"] * len(delays), only="tickets.add")
        self.looks: list[float] = []

    def on_request(self, connection: Any) -> None:
        request, fault = connection.request, connection.fault
        if fault is not None and self.delays:
            at = self.clock_of_all.now() + self.delays.pop(0)
            self.clock_of_all.due.append((at, lambda: self.handle(request)))
            self.clock_of_all.due.sort(key=lambda one: one[0])
        super().on_request(connection)

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        if self.operation(request) == "tickets.pull":
            self.looks.append(self.clock_of_all.now())
        return super().handle(request)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It stands still but for sleeps, so that times can be compared."""
    clock = Clock.standing()
    clock.install(monkeypatch.setattr)
    return clock


async def test_executed_a_minute_after_it_was_given_up(journal: Path, clock: Clock) -> None:
    async with Dawdler(clock, 60.0) as emulator, client_of(emulator) as client:
        assert (await push(client, keyed(a="late"), journal)).names == ["unknown"]
        began = clock.now()
        for _ in range(3):  # as often as you like: it is not sent again
            assert (await push(client, keyed(a="late"), journal)).states == {"unknown": 1}
        assert not emulator.ledger.entries
        events: list[Any] = []
        found = await client.tickets.reconcile(journal, on_event=events.append)
        (ticket,) = tickets_in(emulator.ledger)
        assert [one.ticket_ids for one in found.present] == [(ticket.ticket_id,)]
        assert emulator.ledger.entries[0].time - began == pytest.approx(60)
        assert emulator.looks[0] - began == pytest.approx(SETTLE)
        settling, looked = events
        assert isinstance(settling, SettleTimeStarted)
        assert settling.seconds == pytest.approx(SETTLE)
        assert looked == LookupFinished(tickets=1, found=1, missing=0)
        assert (await push(client, keyed(a="late"), journal)).states == {"accepted": 1}
        assert titles(emulator) == {"late": 1}
        judge(journal, emulator.ledger)


async def test_executed_between_the_two_looks(journal: Path, clock: Clock) -> None:
    async with Dawdler(clock, SETTLE + 30) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="later"), journal)
        events: list[Any] = []
        found = await client.tickets.reconcile(journal, on_event=events.append)
        assert len(found.present) == 1
        assert [type(event) for event in events] == [
            SettleTimeStarted,
            LookupFinished,
            LookupFinished,
        ]
        assert (events[1].missing, events[2].found) == (1, 1)
        assert (await push(client, keyed(a="later"), journal)).names == []
        assert titles(emulator) == {"later": 1}


async def test_executed_after_the_next_midnight(journal: Path, clock: Clock) -> None:
    """The days to be pulled are the service's own, and a ticket is of the day it was made."""
    async with Dawdler(clock, 60.0) as emulator, client_of(emulator) as client:
        midnight = emulator.now.replace(hour=23, minute=59, second=30)
        clock.ahead += midnight.timestamp() - clock.now()
        assert emulator.now.hour == 23
        await push(client, keyed(a="of tomorrow"), journal)
        found = await client.tickets.reconcile(journal)
        assert len(found.present) == 1
        assert emulator.ledger.entries[0].time > midnight.timestamp() + 30


async def test_never_executed(journal: Path, clock: Clock) -> None:
    async with Dawdler(clock, 1e9) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="lost"), journal)
        began = clock.now()
        found = await client.tickets.reconcile(journal, assume_complete=True)
        assert len(found.absent) == 1
        assert emulator.looks[-1] - emulator.looks[0] == pytest.approx(SETTLE / 5)
        assert clock.now() - began == pytest.approx(SETTLE * 1.2)
        with ReadJournal.open_to_read(journal) as reader:
            assert len(reader.lookups()) == 2
        assert (await push(client, keyed(a="lost"), journal)).names == ["accepted"]
        assert titles(emulator) == {"lost": 1}


async def test_executed_when_it_was_proven_absent_already(journal: Path, clock: Clock) -> None:
    """The limit of it all: what comes after the settle time comes twice, under one reference."""
    async with Dawdler(clock, SETTLE * 10) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="beyond"), journal)
        found = await client.tickets.reconcile(journal, assume_complete=True)
        assert len(found.absent) == 1
        assert (await push(client, keyed(a="beyond"), journal)).names == ["accepted"]
        await clock.sleep(SETTLE * 10)
        first, second = tickets_in(emulator.ledger)
        assert first.reference == second.reference
        assert first.ticket_id != second.ticket_id
        # Nobody is told: the journal has its ticket, and looks for what is in doubt alone.
        assert (await client.tickets.reconcile(journal)).doubts == 0


async def test_a_late_emulator_of_a_row_in_doubt_is_seen(journal: Path, clock: Clock) -> None:
    """Late beyond the settle time, while the second attempt is in doubt itself."""
    async with Dawdler(clock, SETTLE * 2, 1.0) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="beyond"), journal)
        found = await client.tickets.reconcile(journal, assume_complete=True)
        assert len(found.absent) == 1
        assert (await push(client, keyed(a="beyond"), journal)).names == ["unknown"]
        await clock.sleep(SETTLE)
        found = await client.tickets.reconcile(journal)
        assert [len(one.ticket_ids) for one in found.ambiguous] == [2]
        assert (await push(client, keyed(a="beyond"), journal)).states == {"ambiguous": 1}


async def test_the_settle_time_counts_from_the_last_sign(journal: Path, clock: Clock) -> None:
    """Not from the first doubt, but from the last; and what settled long ago waits no more."""
    async with Dawdler(clock, 250.0, 250.0) as emulator, client_of(emulator) as client:
        await push(client, keyed(a="one"), journal)
        await clock.sleep(240)
        await push(client, keyed(a="one", b="two"), journal)
        began = clock.now()
        found = await client.tickets.reconcile(journal)
        assert {one.key for one in found.present} == {"a", "b"}
        assert emulator.looks[0] - began == pytest.approx(SETTLE)
        assert titles(emulator) == {"one": 1, "two": 1}


@pytest.fixture(autouse=True)
async def _all_is_settled(journal: Path) -> AsyncIterator[None]:
    yield
    with ReadJournal.open_to_read(journal) as reader:
        assert reader.runs()[-1].ended is not None
