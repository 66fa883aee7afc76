"""Many processes, one journal in PostgreSQL: whatever dies, each row once, none lost.

`ONCE_ROWS=40000 ONCE_KILLS=20 ONCE_RESTARTS=2 ONCE_SECONDS=3000` makes it as large as you like; see
the numbers with `-s`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import kapture_async
from kapture_async import JournalError, KaptureClient, Row, Timeout
from kapture_async._core.journal.address import Address
from kapture_async._core.journal.postgres import lease
from kapture_async._core.journal.postgres.connection import connect
from kapture_async._core.journal.postgres.schema import composed
from kapture_async._core.journal.records import Identity, State
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal
from kapture_async._core.push.until_done import WaitingToPush, push_until_done
from kapture_async._core.reconcile.results import Reconciliation
from kapture_async.events import PushNoticed, PushPaused, RowKnown
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..postgres import PostgresServer
from ..weather import HASTY
from .judge import each_once, judge, rows_in, tickets_in

ROWS = int(os.environ.get("ONCE_ROWS", "300"))
KILLS = int(os.environ.get("ONCE_KILLS", "3"))
LIMITED = int(os.environ.get("ONCE_LIMITED", "12"))
"""Seconds at the limit of the service."""
RESTARTS = int(os.environ.get("ONCE_RESTARTS", "1"))
SECONDS = float(os.environ.get("ONCE_SECONDS", "90"))
SPARE = 1.0
PROGRAM = Path(__file__).parent / "programs" / "sharer.py"
ROOT = Path(kapture_async.__file__).parent.parent

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that push parts of the rows; ends those that are left."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(
        emulator: KaptureEmulator, journal: str, part: str = "0/1", *, count: int = ROWS
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "error", PROGRAM, emulator.url, emulator.token, journal]
        with open(tmp_path / f"said-{part.partition('/')[0]}", "ab") as said:
            process = subprocess.Popen(
                [*map(str, command), str(count), part, str(SPARE)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stderr=said,
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def titles(count: int) -> list[str]:
    return [f"row {number}" for number in range(count)]


def wait_for(process: subprocess.Popen[bytes], seconds: float = SECONDS) -> None:
    assert process.wait(seconds) == 0, "it says why on its standard error"


def test_workers_and_the_database_are_killed(
    start: Start, postgres: str, postgres_server: PostgresServer
) -> None:
    dice, workers = random.Random(16), 4
    began = time.monotonic()
    with KaptureEmulator(faults=FaultPlan.rate(0.05, seed=16, kinds=HASTY)).in_thread() as emulator:
        parts = [f"{number}/{workers}" for number in range(workers)]
        running = {part: start(emulator, postgres, part) for part in parts}
        victims = ["worker"] * KILLS + ["database"] * RESTARTS
        dice.shuffle(victims)
        killed = 0
        for number, victim in enumerate(victims, 1):
            assert emulator.ledger.wait_for(number * ROWS // (len(victims) + 1), SECONDS / 2)
            time.sleep(dice.uniform(0, 0.1))
            if victim == "database":
                postgres_server.kill()
                postgres_server.start()
                continue
            part = dice.choice([part for part in parts if running[part].poll() is None] or parts)
            running[part].kill()
            killed += running[part].wait(10) == -signal.SIGKILL
            running[part] = start(emulator, postgres, part)
        for process in running.values():
            wait_for(process)
        counts = judge(postgres, emulator.ledger)
        seconds = time.monotonic() - began
        print(
            f"\n{workers} workers, {ROWS:,} rows, {killed} killed, {RESTARTS} restarts of the "
            f"database, {emulator.faulted.total():,} faults, {seconds:.0f} s: {counts}"
        )
        assert counts.accepted + counts.rejected == counts.rows == ROWS
        refused = {row.key for row in rows_in(postgres) if row.state is State.REJECTED}
        wanted = [f"row {n}" for n in range(ROWS) if f"key-{n}" not in refused]
        each_once(emulator.ledger, wanted)


def test_two_runs_of_one_job_at_once(start: Start, postgres: str) -> None:
    count = 300
    with KaptureEmulator().in_thread() as emulator:
        for process in [start(emulator, postgres, count=count) for _ in range(2)]:
            wait_for(process)
        each_once(emulator.ledger, titles(count))
        assert judge(postgres, emulator.ledger).accepted == count


def test_a_worker_that_slept_past_its_lease(start: Start, postgres: str) -> None:
    """Its rows are looked after by another; when it wakes, it sends none of them."""
    count = 200
    with KaptureEmulator(latency=0.1).in_thread() as emulator:
        sleeper = start(emulator, postgres, count=count)
        emulator.ledger.wait_for(20, 30)
        sleeper.send_signal(signal.SIGSTOP)
        other = start(emulator, postgres, count=count)
        wait_for(other)
        each_once(emulator.ledger, titles(count))
        sleeper.send_signal(signal.SIGCONT)
        wait_for(sleeper, 30)  # less than the patience with a service that is away
        each_once(emulator.ledger, titles(count))
        assert judge(postgres, emulator.ledger).accepted == count


async def test_a_run_that_is_over_ends_while_the_service_is_away(
    postgres: str, emulator: KaptureEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows wait for the service, not for the journal: nothing else would tell them."""
    monkeypatch.setattr(lease, "RENEW", 0.1)
    rows = [Row({"title": f"row {number}"}, f"k{number}") for number in range(30)]
    address = Address.of(postgres)
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, timeout=Timeout(total=0.2)
    ) as client:
        async with client.tickets.push(rows, journal=postgres) as outcomes:
            assert (await anext(outcomes)).name == "accepted"
            emulator.faults = FaultPlan.rate(1.0, kinds=[Fault("silence_before")])
            with pytest.raises(JournalError, match="the lease of this run is over"):
                async for outcome in outcomes:
                    if outcome.name == "unknown":  # others have seen its lease end
                        with connect(address) as database:
                            database.execute(composed(address, "UPDATE {s}.runs SET over = true"))


async def test_until_done_waits_for_the_rows_of_a_process_that_may_be_dead(
    postgres: str, emulator: KaptureEmulator
) -> None:
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        await client.tickets.push([Row({"title": "row 0"}, "k0")], journal=postgres).run()
    other = await Journal.open(postgres)
    await other.submit_and_wait(Identity("k1", digest_of(b"x"), None), b"x")
    address, waits = Address.of(postgres), list[WaitingToPush]()

    async def push() -> None:
        await (await Journal.open(postgres)).aclose()

    async def reconcile() -> Reconciliation:
        return Reconciliation()

    async def sleep(seconds: float) -> None:  # meanwhile its lease ends
        with connect(address) as database:
            database.execute(composed(address, "UPDATE {s}.runs SET lease_until = 0"))

    done = await push_until_done(postgres, push, reconcile, on_wait=waits.append, sleep=sleep)
    assert (done.passes, done.lookups, len(waits)) == (2, 2, 1)
    await other.aclose()


async def test_a_row_that_another_run_sent_while_it_was_deferred(
    postgres: str, emulator: KaptureEmulator
) -> None:
    """It was asked to slow down. Meanwhile another run of the job had its turn."""
    rows = [Row({"title": "row 0"}, "k0")]
    emulator.faults = FaultPlan.script([Fault("status", status=429, retry_after="0.5")])
    paused, known = asyncio.Event(), list[RowKnown]()

    def on_event(event: object) -> None:
        if isinstance(event, PushPaused):
            paused.set()
        elif isinstance(event, RowKnown):
            known.append(event)

    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:

        def push() -> Coroutine[Any, Any, Sequence[object]]:
            return client.tickets.push(rows, journal=postgres, on_event=on_event).all()

        async with asyncio.TaskGroup() as group:
            deferred = group.create_task(push())
            await paused.wait()
            other = group.create_task(push())
    # Both wait for the same moment; whoever is second finds it sent, or under way.
    assert sorted(len(task.result()) for task in (deferred, other)) == [0, 1]
    assert [event.key for event in known] == ["k0"]
    each_once(emulator.ledger, ["row 0"])


async def test_a_row_without_a_key_is_refused(postgres: str, emulator: KaptureEmulator) -> None:
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        rows = [{"title": "nameless"}, Row({"title": "named"}, "k")]
        async with client.tickets.push(rows, journal=postgres) as outcomes:
            seen = {outcome.key: outcome async for outcome in outcomes}
    assert seen["k"].name == "accepted"
    assert "has no key, and this journal is shared" in str(seen[None].error)
    each_once(emulator.ledger, ["named"])


class HiddenLimit:
    """At most so many requests in any second; one more is refused, with or without a pause."""

    def __init__(self, limit: int, retry_after: str = "") -> None:
        self.limit = limit
        self.fault = Fault("status", status=429, retry_after=retry_after)
        self.taken: list[float] = []
        self.refused: list[float] = []

    def __call__(self) -> Fault | None:
        now = time.monotonic()
        if len(self.taken) >= self.limit and self.taken[-self.limit] > now - 1.0:
            self.refused.append(now)
            return self.fault
        self.taken.append(now)
        return None


RETRY_AFTER = os.environ.get("ONCE_RETRY_AFTER", "")


@pytest.mark.skipif("ONCE_LIMITED" not in os.environ, reason="measures: set ONCE_LIMITED=60")
def test_the_limit_of_the_service_is_obeyed_together(start: Start, postgres: str) -> None:
    """Nearly all of it is used, and little refused: in a minute at least 90 %, and 2 % at most.
    Here only a few seconds, in which the limit is found."""
    workers, count, limit = 4, 50 * LIMITED, 50
    hidden = HiddenLimit(limit, RETRY_AFTER)
    with KaptureEmulator(faults=FaultPlan(hidden)).in_thread() as emulator:
        parts = [f"{number}/{workers}" for number in range(workers)]
        for process in [start(emulator, postgres, part, count=count) for part in parts]:
            wait_for(process)
        each_once(emulator.ledger, titles(count))
    # The processes start and end one after the other.
    first, last = hidden.taken[0] + 5, hidden.taken[-1] - 3
    used = sum(first <= at < last for at in hidden.taken) / (limit * (last - first))
    refused = len(hidden.refused) / (len(hidden.refused) + len(hidden.taken))
    print(
        f"\nlimit {limit}/s, Retry-After {RETRY_AFTER or 'not said'}, {count:,} rows: "
        f"{used:.1%} of it used, {refused:.1%} answered 429"
    )
    assert used >= 0.6
    assert refused <= 0.12


async def test_a_database_that_goes_away(
    postgres: str, postgres_server: PostgresServer, emulator: KaptureEmulator
) -> None:
    """Sending stops, it is said, and continues when it is back."""
    notices: list[str] = []
    seen: list[str] = []

    def on_event(event: object) -> None:
        if isinstance(event, PushNoticed):
            notices.append(event.words)

    async def rows() -> AsyncIterator[Row[dict[str, str]]]:
        for number in range(60):
            if number == 30:
                postgres_server.kill()
            yield Row({"title": f"row {number}"}, f"k{number}")

    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        async with client.tickets.push(rows(), journal=postgres, on_event=on_event) as outcomes:
            async with asyncio.TaskGroup() as group:

                async def read() -> None:
                    seen.extend([outcome.name async for outcome in outcomes])

                reading = group.create_task(read())
                while not notices:
                    assert not reading.done()
                    await asyncio.sleep(0.02)
                # Rows whose intent was durable before may be sent, and no others.
                await asyncio.sleep(0.2)
                sent = {ticket.title for ticket in tickets_in(emulator.ledger)}
                await asyncio.to_thread(postgres_server.start)
                assert sent <= set(titles(30))
    assert seen == ["accepted"] * 60
    each_once(emulator.ledger, titles(60))
    assert [notice.split(":")[0].split(" after")[0] for notice in notices] == [
        "the journal's database cannot be reached",
        "the journal's database is back",
    ]
