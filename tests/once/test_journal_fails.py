"""Journals that must not or cannot be used: then nothing is sent that is not written down."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import kapture_async
from kapture_async import Field, JournalError, KaptureClient
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async import SupportClient

from .judge import each_once, judge
from .pushing import SETTLE, Story, client_of, keyed, plain, push, titles

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(kapture_async.__file__).parent.parent


async def program(name: str, *args: object) -> asyncio.subprocess.Process:
    words = ["-W", "error", str(PROGRAMS / f"{name}.py"), *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=pipe, stderr=pipe, env=environment
    )


async def test_another_target(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, plain("a"), journal)
    async with KaptureEmulator() as other, client_of(other) as other_client:
        with pytest.raises(JournalError, match="another push: its target is 'http") as caught:
            await push(other_client, plain("b"), journal)
        with pytest.raises(JournalError, match="its target is"):
            await other_client.tickets.reconcile(journal, settle=SETTLE)
        assert emulator.url in str(caught.value)
        assert other.url in str(caught.value)
        assert not other.requests
    judge(journal, emulator.ledger)


async def test_another_place(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, plain("a"), journal)
    for place in (None, Field("webform.ref")):
        with pytest.raises(JournalError, match="its place is 'ticket_details'"):
            await push(client, plain("b"), journal, reference=place)
        with pytest.raises(JournalError, match="its place is 'ticket_details'"):
            await client.tickets.reconcile(journal, reference=place, settle=SETTLE)
    assert titles(emulator) == Counter("a")


async def test_another_service(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, plain("a"), journal)
    before = emulator.requests.total()
    async with SupportClient(emulator.url, apikey="k", access_token="t") as other:
        rows = [{"subject": "b", "comment": "c", "category": "3", "priority": "1"}]
        with pytest.raises(JournalError, match=r"its service is 'kapture'.*operation is"):
            async with other.tickets.push(rows, journal=journal) as outcomes:
                async for _ in outcomes:
                    pass
    assert emulator.requests.total() == before


async def test_keys_where_there_were_none(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    """Told apart in another way, every row would be a new one."""
    await push(client, plain("a"), journal)
    with pytest.raises(JournalError, match="its keys is"):
        await push(client, plain("a"), journal, key=lambda row: row["title"])
    assert titles(emulator) == Counter("a")


async def test_a_second_push_of_this_process(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    tried = asyncio.Event()

    async def rows() -> AsyncIterator[dict[str, str]]:
        yield {"title": "a"}
        await tried.wait()
        yield {"title": "b"}

    async with client.tickets.push(rows(), journal=journal) as outcomes:
        assert (await anext(outcomes)).name == "accepted"
        with pytest.raises(JournalError):
            await push(client, plain("c"), journal)
        with pytest.raises(JournalError):
            await client.tickets.reconcile(journal, settle=SETTLE)
        tried.set()
        assert (await anext(outcomes)).name == "accepted"
    assert titles(emulator) == Counter("ab")
    story = await push(client, [{"title": "a"}, {"title": "b"}, {"title": "c"}], journal)
    assert story.names == ["accepted"]
    each_once(emulator.ledger, "abc")


async def test_a_second_process(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["slow;duration=1"])
    process = await program("holder", emulator.url, emulator.token, journal)
    while not emulator.ledger.entries:
        await asyncio.sleep(0.01)
    with pytest.raises(JournalError, match=str(process.pid)):
        await push(client, plain("a"), journal)
    out, err = await process.communicate()
    assert (out, err) == (b"accepted\n", b"")
    assert (await push(client, plain("a", "held"), journal)).names == ["accepted"] * 2
    judge(journal, emulator.ledger)


async def test_reconciling_needs_a_journal(client: KaptureClient, journal: Path) -> None:
    with pytest.raises(JournalError, match="there is no such file"):
        await client.tickets.reconcile(journal, settle=SETTLE)
    assert not journal.exists()


async def test_a_full_disk(emulator: KaptureEmulator, client: KaptureClient, journal: Path) -> None:
    emulator.latency = 0.002
    process = await program("filled", emulator.url, emulator.token, journal, 300_000)
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    said = json.loads(out)
    assert "journal" in said["words"]
    assert len(said["told"]) == said["taken"]
    made = titles(emulator)
    assert 20 < made.total() < 2_000
    for title, name in said["told"]:
        assert made[title] == (name == "accepted"), (title, name)
    # Those whose end could not be written are in doubt; nothing is false.
    counts = judge(journal, emulator.ledger)
    assert counts.accepted + counts.unknown >= made.total()

    # With room again, it goes on.
    emulator.latency = 0.0
    await client.tickets.reconcile(journal, settle=SETTLE)
    rows: list[Any] = [{"title": f"t{n}", "ticket_details": "x" * 500} for n in range(1_000)]
    story = await push(client, rows, journal)
    assert set(story.names) == {"accepted"}
    each_once(emulator.ledger, (row["title"] for row in rows))
    assert judge(journal, emulator.ledger).accepted == 1_000


async def broken_in_the_middle(client: KaptureClient, journal: Path, story: Story) -> None:
    """A push under which somebody locks, moves or spoils the file after ten outcomes."""
    rows = keyed(**{f"k{n}": f"t{n}" for n in range(500)})
    async with client.tickets.push(rows, journal=journal, max_concurrency=4) as outcomes:
        async for outcome in outcomes:
            story.outcomes.append(outcome)
            if len(story.outcomes) == 10:
                journal.rename(journal.with_suffix(".away"))


async def test_a_file_that_is_moved_away(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.latency = 0.002
    story = Story()
    with pytest.raises(JournalError):
        await broken_in_the_middle(client, journal, story)
    made = titles(emulator)
    told = {outcome.row.value["title"]: outcome.name for outcome in story.outcomes}
    assert len(told) < 500
    assert all(made[title] == (name == "accepted") for title, name in told.items())
    assert set(made) == {title for title, name in told.items() if name == "accepted"}
    journal.with_suffix(".away").rename(journal)
    await client.tickets.reconcile(journal, settle=SETTLE)
    rows = keyed(**{f"k{n}": f"t{n}" for n in range(500)})
    await push(client, rows, journal)
    each_once(emulator.ledger, (row.value["title"] for row in rows))
    judge(journal, emulator.ledger)
