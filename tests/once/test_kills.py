"""Pushes that are killed at random moments, under faults: each row once, none lost.

A process of its own pushes, reconciles and pushes again; it is killed (SIGKILL) and started
again, until it has nothing left to do. `ONCE_ROWS=100000 ONCE_KILLS=20 ONCE_SECONDS=3000` makes it
as large as you like; see the numbers with `-s`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

import kapture_async
from kapture_async import KaptureClient, Row
from kapture_async._core.journal.records import State
from kapture_async._core.testing.emulator import Emulator
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async import SupportClient
from support_async.testing import SupportEmulator

from ..weather import HASTY
from .judge import each_once, judge, rows_in, tickets_in
from .programs.source import contents, kapture_rows, support_rows

ROWS = int(os.environ.get("ONCE_ROWS", "300"))
KILLS = int(os.environ.get("ONCE_KILLS", "4"))
SECONDS = float(os.environ.get("ONCE_SECONDS", "60"))
PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(kapture_async.__file__).parent.parent


class Pusher:
    """The process that is killed, and what it told before."""

    def __init__(
        self,
        service: str,
        emulator: KaptureEmulator | SupportEmulator,
        folder: Path,
        count: int,
        *,
        program: str = "pusher.py",
    ):
        self.journal = folder / "push.journal"
        self.told = folder / "told"
        self.told.touch()
        given = [service] if service else []
        given += map(str, [emulator.url, emulator.token, self.journal, count, self.told])
        self._command = [sys.executable, "-W", "error", str(PROGRAMS / program), *given]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
        )

    @property
    def running(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    def kill(self) -> int:
        assert self._process is not None
        self._process.kill()
        return self._process.wait(10)

    def lines(self) -> list[list[str]]:
        return [line.split("\t") for line in self.told.read_text().splitlines()]

    def looks(self) -> int:
        return self.told.read_text().count("look\n")


def until_done(
    pusher: Pusher,
    emulator: Emulator,
    kills: int,
    dice: random.Random,
    count: int,
    *,
    between: Callable[[int], None] = lambda number: None,
    seconds: float = SECONDS,
    restart: bool = False,
) -> int:
    """Kill it so often, then let it finish. Gives how often it was killed.

    ``between`` is called with the number of each kill, before it is started again. With
    ``restart`` it is also called, and started again, when it has found nothing left to do.
    """
    by_rows = sorted(dice.randrange(1, count) for _ in range(kills * (2 if restart else 1)))
    end = time.monotonic() + seconds
    killed = 0
    pusher.start()
    for number, due in enumerate(by_rows):
        looks = pusher.looks()
        moment = time.monotonic() + dice.uniform(0.2, 1.0)
        while pusher.running:
            assert time.monotonic() < end, "it does not end"
            if number % 5 == 3:  # at any moment, perhaps while it starts
                over = time.monotonic() > moment
                time.sleep(0.005)
            elif number % 5 == 4:  # while it reconciles
                over = pusher.looks() > looks or len(emulator.ledger) > due + count // kills
                time.sleep(0.01)
            else:
                over = emulator.ledger.wait_for(due, 0.02)
            if over:
                time.sleep(dice.choice([0.0, dice.uniform(0, 0.02), dice.uniform(0, 0.4)]))
                killed += pusher.kill() == -9
                between(number)
                pusher.start()
                break
        else:
            if restart:
                assert pusher.kill() == 0
                between(number)
                pusher.start()
        if killed == kills:
            break
    while pusher.running:
        assert time.monotonic() < end, "it does not end"
        time.sleep(0.02)
    assert pusher.kill() == 0
    return killed


def check_told(pusher: Pusher, emulator: Emulator, *, ids: bool) -> None:
    """What the process heard before it was killed was true as well."""
    told = [line for line in pusher.lines() if not line[0].startswith("look")]
    accepted = [line for line in told if line[0] == "accepted"]
    made = {ticket.ticket_id: ticket.title for ticket in tickets_in(emulator.ledger)}
    if ids:
        assert max(Counter(ticket_id for _, ticket_id, _ in accepted).values()) == 1
        assert all(made[ticket_id] == title for _, ticket_id, title in accepted)
    heard = Counter(title for _, _, title in accepted)
    assert heard - Counter(made.values()) == Counter()


def verified(pusher: Pusher, emulator: Emulator, *, settle: float) -> dict[str, Any]:
    """What a verification in a process of its own proves, and costs."""
    time.sleep(settle)  # what was refused a moment ago may still turn up
    command = [
        sys.executable,
        PROGRAMS / "verifier.py",
        emulator.url,
        "emulator-token",
        pusher.journal,
    ]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*map(str, command), str(settle)], env=path, stdout=-1, check=True)
    told: dict[str, Any] = orjson.loads(done.stdout)
    return told


def mended(rows: Iterable[Row], names: Counter[tuple[str | None, str]], title: str) -> list[Row]:
    """The rows again, those that were rejected with another title."""
    left, found = names.copy(), []
    for row in rows:
        name = (row.key, "" if row.key else row.value[title])
        if left[name]:
            left[name] -= 1
            value = {**row.value, title: f"{row.value[title]}, mended"}
            row = Row(value, row.key)
        found.append(row)
    assert not left.total()
    return found


def rejected(journal: Path, title: str) -> Counter[tuple[str | None, str]]:
    """The rows that were rejected: by key, or else by what they say."""
    found: Counter[tuple[str | None, str]] = Counter()
    for row in rows_in(journal):
        if row.state is State.REJECTED:
            assert row.payload is not None
            content = orjson.loads(row.payload)[title]
            found[row.key, "" if row.key else content] += 1
    return found


@pytest.mark.parametrize("service", ["kapture", "sync"])
async def test_killed_and_started_again(service: str, tmp_path: Path) -> None:
    count, kills = (ROWS, KILLS) if service == "kapture" else (min(ROWS, 300), 2)
    dice = random.Random(f"{service} 4")
    began = time.monotonic()
    with KaptureEmulator(faults=FaultPlan.rate(0.05, seed=4, kinds=HASTY)).in_thread() as emulator:
        pusher = Pusher(service, emulator, tmp_path, count)
        killed = until_done(pusher, emulator, kills, dice, count)
        seconds = time.monotonic() - began
        assert killed >= kills - 1  # it may be done before the last
        counts = judge(pusher.journal, emulator.ledger)
        assert counts.accepted == len(emulator.ledger)
        assert counts.accepted + counts.rejected == counts.rows == count
        check_told(pusher, emulator, ids=True)
        print(
            f"\n{service}: {count:,} rows, {killed} kills, {seconds:.0f} s,"
            f" {emulator.faulted.total():,} faults, {pusher.looks()} looks: accepted"
            f" {counts.accepted:,} = ledger {len(emulator.ledger):,}, rejected {counts.rejected:,},"
            f" doubts {counts.unknown}"
        )

        # All of it can be proved.
        emulator.faults = FaultPlan()
        proof = verified(pusher, emulator, settle=2 * max(1.0, count / 4_000))
        print(f"verify: {proof}")
        there = {"present": counts.accepted, "absent": counts.rejected}
        assert proof["counts"] == {name: number for name, number in there.items() if number}
        assert (proof["proved"], proof["contradictions"]) == (1.0, 0)

        # What the service refused is mended, and goes again under its own key.
        rows = mended(kapture_rows(count), rejected(pusher.journal, "title"), "title")
        async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
            async with client.tickets.push(rows, journal=pusher.journal) as outcomes:
                seen = [outcome async for outcome in outcomes]
        assert {outcome.name for outcome in seen} <= {"accepted"}
        assert len(seen) == counts.rejected
        each_once(emulator.ledger, (row.value["title"] for row in rows))
        judge(pusher.journal, emulator.ledger)


async def test_the_support_service(tmp_path: Path) -> None:
    count, kills = min(ROWS, 300), min(KILLS, 3)
    dice = random.Random(5)
    with SupportEmulator(faults=FaultPlan.rate(0.05, seed=5, kinds=HASTY)).in_thread() as emulator:
        pusher = Pusher("support", emulator, tmp_path, count)
        killed = until_done(pusher, emulator, kills, dice, count)
        assert killed >= kills - 1
        counts = judge(pusher.journal, emulator.ledger)
        assert counts.accepted == len(emulator.ledger)
        assert counts.accepted + counts.rejected == counts.rows == count
        check_told(pusher, emulator, ids=False)

        emulator.faults = FaultPlan()
        rows = mended(support_rows(count), rejected(pusher.journal, "subject"), "subject")
        async with SupportClient(
            emulator.url, apikey=emulator.apikey, access_token=emulator.token
        ) as client:
            async with client.tickets.push(rows, journal=pusher.journal) as outcomes:
                seen = [outcome async for outcome in outcomes]
        assert {outcome.name for outcome in seen} <= {"accepted"}
        each_once(emulator.ledger, (row.value["subject"] for row in rows))
        judge(pusher.journal, emulator.ledger)


def test_the_rows_are_what_they_should_be() -> None:
    titles = Counter(content for content, _ in contents(400))
    assert sorted(set(titles.values())) == [1, 2]
