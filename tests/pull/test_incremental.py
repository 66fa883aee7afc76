"""Runs with a state: all outputs together hold each ticket once, whatever happens in between."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kapture_async import (
    HelpdeskError,
    InvalidInputError,
    KaptureClient,
    StateError,
    SyncKaptureClient,
)
from kapture_async._api import INDIA
from kapture_async._core import atomicfile
from kapture_async._core.pull import watermark
from kapture_async.testing import FaultPlan, KaptureEmulator

from .archive import NOON, START, Archive


async def test_late_ones_and_those_of_the_same_minute_come_once(archive: Archive) -> None:
    emulator = archive.emulator
    for _ in range(6):
        for _ in range(3):
            emulator.seed(created=emulator.now)
        first = await archive.run()
        emulator.seed(created=emulator.now)  # in the very minute of the newest that was seen
        emulator.seed(created=emulator.now - timedelta(hours=20))  # listed late
        emulator.seed(created=emulator.now - timedelta(days=1))
        second = await archive.run()
        assert second.rows == 3
        assert (await archive.run()).rows == 0
        emulator.now += timedelta(hours=17)
    assert first.newest is not None
    assert archive.holds()
    assert archive.leftovers == []
    assert archive.memory["runs"] == 18
    assert archive.memory["rows"] == len(archive.truth)
    assert len(archive.memory["ids"]) <= 3


async def test_what_is_later_than_the_overlap_needs_a_larger_one(archive: Archive) -> None:
    emulator = archive.emulator
    emulator.seed(created=NOON)
    await archive.run(overlap=3)
    emulator.seed(created=NOON - timedelta(days=3))
    assert (await archive.run(overlap=3)).rows == 1
    assert archive.holds()
    assert (await archive.run()).rows == 0
    late = emulator.seed(created=NOON - timedelta(days=3))
    assert (await archive.run()).rows == 0
    assert late not in archive.ids  # as the documentation says
    # What was forgotten is not read again: it would come twice.
    assert (await archive.run(overlap=30)).rows == 0
    assert len(archive.ids) == 2


async def test_tickets_that_arrive_while_the_days_are_read(archive: Archive) -> None:
    emulator = archive.emulator
    dice = random.Random(7)
    for day in range(5):
        for _ in range(200):
            emulator.seed(created=NOON - timedelta(days=day), ticket_details="x" * 900)
    for _ in range(4):
        left = 30

        def arrive(progress: Any) -> None:
            nonlocal left
            if left:
                left -= 1
                emulator.seed(created=emulator.now - timedelta(hours=dice.randrange(36)))

        await archive.run(on_progress=arrive, ahead=2)
    await archive.run()
    assert len(archive.truth) > 1050
    assert archive.holds()


async def test_without_an_end_it_goes_as_far_as_there_are_tickets(
    archive: Archive, tmp_path: Path
) -> None:
    archive.emulator.now = datetime.now(INDIA)
    today = archive.emulator.now.date()
    archive.emulator.seed()
    exported = await archive.run(start=today - timedelta(days=1), end=None)
    assert (exported.rows, exported.days) == (1, 3)
    archive.emulator.seed()
    exported = await archive.run(start=None, end=None)
    assert (exported.rows, exported.days) == (1, 3)


async def test_tickets_that_were_open_are_looked_at_again(archive: Archive) -> None:
    emulator, client = archive.emulator, archive.client
    old = emulator.seed(created=NOON - timedelta(days=4), title="old")
    other = emulator.seed(created=NOON - timedelta(days=4), title="other")
    new = emulator.seed(created=NOON, title="new")
    await archive.run(recheck_open=True)
    assert sorted(archive.memory["open"]) == ["2024-04-15", "2024-04-19"]
    await client.tickets.update(old, sub_status="RS", comment="done")
    await client.tickets.update(new, sub_status="PS")
    assert (await archive.run()).rows == 0
    exported = await archive.run(recheck_open=True)
    assert (exported.rows, exported.changed, exported.incomplete) == (2, 2, ())
    latest = {row["ticketId"]: row["substatusKey"] for row in archive.outputs}
    assert latest == {old: "RS", other: "US", new: "PS"}
    assert (await archive.run(recheck_open=True)).rows == 0
    assert list(archive.memory["open"]["2024-04-15"]) == [other]  # the old one was closed
    await client.tickets.update(other, sub_status="CL")
    added = emulator.seed(created=NOON)
    exported = await archive.run(recheck_open=True)
    assert (exported.rows, exported.changed) == (2, 1)
    assert set(archive.ids) == archive.truth
    assert archive.ids.count(added) == 1


class Killed(BaseException):
    """Stands for SIGKILL: after it nothing touches the disk any more."""


class DyingSystem:
    """``os`` for the rooms that write, until its last step."""

    STEPS = ("open", "replace", "link", "unlink", "fsync", "rename")

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        if name not in self.STEPS:
            return found

        def step(*arguments: Any, **more: Any) -> Any:
            if self.left <= 0:
                raise Killed
            self.left -= 1
            done = found(*arguments, **more)
            if self.left <= 0 and name != "open":
                raise Killed  # right behind it
            return done

        return step


@pytest.mark.parametrize("taken", [False, True])
async def test_killed_at_every_step(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """Each run dies one step later than the one before, until one comes to its end.

    Somebody may take away what has got its name, at once.
    """
    emulator = archive.emulator
    emulator.seed(created=NOON)
    await archive.run()
    monkeypatch.setattr(atomicfile, "_REST", 0.0)
    for steps in range(100):
        emulator.seed(created=emulator.now)
        emulator.seed(created=emulator.now - timedelta(hours=12))
        system = DyingSystem(steps)
        with monkeypatch.context() as patched:
            patched.setattr(atomicfile, "os", system)
            patched.setattr(watermark, "os", system)
            try:
                await archive.run()
                break
            except Killed:
                pass
        gc.collect()  # the locks of a process that was really killed are gone
        if taken:
            for file in archive.folder.glob("0*.jsonl"):
                file.rename(archive.folder / f"taken-{file.name}")
        # Nothing half stands under any name, and nothing is there twice, at any time.
        assert len(set(archive.ids)) == len(archive.ids)
        assert set(archive.ids) <= archive.truth
        if steps % 3 == 0:
            await archive.run()
            assert archive.holds(), steps
            assert [name for name in archive.leftovers if name.endswith(".part")] == []
        emulator.now += timedelta(hours=2)
    assert steps > 12
    assert archive.holds()
    assert archive.leftovers == []


async def test_a_failed_or_cancelled_run_has_not_happened(archive: Archive) -> None:
    emulator = archive.emulator
    for day in range(5):
        emulator.seed(created=NOON - timedelta(days=day))
    emulator.faults = FaultPlan.script([None, None, "failed"])
    with pytest.raises(HelpdeskError):
        await archive.run()
    emulator.faults = FaultPlan.rate(1, kinds=["silence_after"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await archive.run()
    assert archive.outputs == []
    assert archive.leftovers == []
    emulator.faults = FaultPlan()
    assert (await archive.run()).rows == 5
    assert archive.holds()


async def test_one_process_at_a_time(archive: Archive) -> None:
    archive.emulator.seed(created=NOON)
    with watermark.WatermarkFile(archive.state, bound="x", place="y"):
        with pytest.raises(StateError, match=rf"process {os.getpid()} on .* is exporting"):
            await archive.run()
    await archive.run()
    assert archive.holds()


async def test_a_state_belongs_to_one_tenant_one_zone_and_its_filters(archive: Archive) -> None:
    archive.emulator.seed(created=NOON)
    await archive.run()
    before = archive.state.read_bytes()
    with pytest.raises(StateError, match="other filters"):
        await archive.run(customer_code="c1")
    async with (
        KaptureEmulator() as other,
        KaptureClient(base_url=other.url, token=other.token) as client,
        KaptureClient(
            base_url=archive.emulator.url, token="emulator-token", timezone="UTC"
        ) as elsewhere,
    ):
        for wrong in (client, elsewhere):
            with pytest.raises(StateError, match="it belongs to an export of"):
                await wrong.tickets.export(
                    archive.folder / "x.jsonl", state=archive.state, start=START
                )
    assert archive.state.read_bytes() == before
    assert not (archive.folder / "x.jsonl").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not the state of"),
        (b"no json", "not the state of"),
        (b"[]", "not the state of"),
        (b'{"kind":"other"}', "not the state of"),
        (b'{"kind":"export state","version":99}', "another version"),
        (b'{"kind":"export state","version":1}', "another version"),
        (b'{"kind":"export state","version":2}', "damaged"),
        (b"\0" * 100, "not the state of"),
    ],
)
async def test_what_is_no_state(archive: Archive, content: bytes, words: str) -> None:
    archive.state.write_bytes(content)
    with pytest.raises(StateError, match=words) as caught:
        await archive.run()
    assert "Nothing was changed" in str(caught.value)
    assert archive.state.read_bytes() == content
    assert archive.outputs == []


async def test_damage_inside_is_noticed(archive: Archive) -> None:
    archive.emulator.seed(created=NOON)
    await archive.run()
    whole = archive.memory
    for key, value in (("start", "yesterday"), ("newest", 7), ("ids", {"x": []}), ("bound", None)):
        archive.state.write_text(json.dumps(whole | {key: value}))
        with pytest.raises(StateError):
            await archive.run()


async def test_where_to_begin(archive: Archive) -> None:
    with pytest.raises(InvalidInputError, match="where to begin"):
        await archive.run(start=None)
    assert not archive.state.exists()
    await archive.run()
    await archive.run(start=None)
    await archive.run(start=START)
    with pytest.raises(InvalidInputError, match=f"begins with {START}"):
        await archive.run(start="2024-04-16")
    with pytest.raises(InvalidInputError, match="overlap"):
        await archive.run(overlap=-1)


async def test_it_holds_no_personal_data_and_is_for_its_owner_only(archive: Archive) -> None:
    archive.emulator.seed(
        created=NOON,
        title="canary-title",
        ticket_details="canary-text",
        email_id="canary@example.com",
        phone="4242424242",
        customer_name="canary-name",
        customer_id="77",
    )
    await archive.run(extra={"customer_name": "canary-filter"})
    text = archive.state.read_text()
    assert archive.outputs[0]["taskTitle"] == "canary-title"
    assert "canary" not in text
    assert "4242424242" not in text
    for path in archive.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_rows_that_cannot_get_their_name_wait(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.emulator.seed(created=NOON)
    target = archive.folder / "0001.jsonl"
    publish = watermark.publish

    def too_late(*arguments: Any, **more: Any) -> None:
        target.write_text('{"ticketId": "someone else\'s"}\n')
        publish(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(watermark, "publish", too_late)
        with pytest.raises(StateError, match=r"wait in .* appeared in the meantime"):
            await archive.run()
    with pytest.raises(StateError, match="wait in"):
        await archive.run()
    assert "someone else" in target.read_text()
    target.unlink()
    archive.emulator.seed(created=NOON)
    assert (await archive.run()).rows == 1
    assert archive.holds()
    assert archive.leftovers == []


async def test_the_users_own_clock_change_does_not_matter(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The days are those of the service's zone; the user's own has some of 23 and 25 hours."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for night in (datetime(2024, 3, 31, 5, 15), datetime(2024, 10, 27, 5, 15)):
            folder = archive.folder / f"{night:%m}"
            folder.mkdir()
            one = Archive(archive.emulator, archive.client, folder)
            before = one.truth
            one.emulator.now = night - timedelta(hours=30)
            for _ in range(15):
                one.emulator.now += timedelta(hours=4)
                one.emulator.seed(created=one.emulator.now)
                one.emulator.seed(created=one.emulator.now - timedelta(hours=3))
                await one.run(start=(night - timedelta(days=3)).date())
            assert sorted(one.ids) == sorted(one.truth - before)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_sync_client(tmp_path: Path) -> None:
    with (
        KaptureEmulator().in_thread() as emulator,
        SyncKaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        emulator.seed(created=NOON)
        state = tmp_path / "state"
        for number, rows in enumerate((1, 0)):
            exported = client.tickets.export(
                tmp_path / f"{number}.csv", start=NOON, end=NOON, state=state
            )
            assert exported.rows == rows


KILLS = int(os.environ.get("PULL_KILLS", "2"))
PROGRAM = Path(__file__).parent / "programs" / "export.py"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_for_real_while_tickets_arrive(tmp_path: Path) -> None:
    """`PULL_KILLS=20` for more of it. The process knows another zone than the service."""
    dice = random.Random(KILLS)
    stop = threading.Event()
    with KaptureEmulator().in_thread() as emulator:
        emulator.now = datetime(2024, 3, 31, 5, 0, tzinfo=INDIA)  # the night of a clock change
        for day in range(4):
            for _ in range(500):
                emulator.seed(created=emulator.now - timedelta(days=day), ticket_details="x" * 900)

        def arrive() -> None:
            with SyncKaptureClient(base_url=emulator.url, token=emulator.token) as client:
                while not stop.wait(0.005):
                    client.tickets.add(title="new")
                    emulator.seed(created=emulator.now - timedelta(hours=dice.randrange(20)))

        def start(number: int) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [sys.executable, str(PROGRAM), emulator.url, str(tmp_path), str(number)],
                env=os.environ | {"TZ": "Europe/Berlin"},
                stdout=subprocess.PIPE,
                text=True,
            )

        arriving = threading.Thread(target=arrive)
        arriving.start()
        try:
            killed = number = 0
            while killed < KILLS:
                number += 1
                process = start(number)
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                time.sleep(dice.random() * 0.4)
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += process.returncode == -signal.SIGKILL
                emulator.now += timedelta(hours=5)
        finally:
            stop.set()
            arriving.join()
        last = start(number + 1)
        assert last.wait(60) == 0
        assert last.stdout is not None
        last.stdout.close()
        truth = set(emulator._store.tickets)
        assert {entry.ticket_id for entry in emulator.ledger.of("tickets.add")} < truth
    ids = [
        json.loads(line)["ticketId"]
        for file in sorted(tmp_path.glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    finished = json.loads((tmp_path / "tickets.state").read_text())["runs"]
    print(f"{killed} kills in {number} runs, {finished} finished; {len(ids):,} rows")
    assert len(ids) == len(set(ids))
    assert set(ids) == truth
    assert list(tmp_path.glob(".*.part")) == []
