"""What an agent is told of a create whose answer was lost; the emulator's ledger is the judge."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client

from kapture_async import InvalidInputError
from kapture_async._core.mcp import references
from kapture_async.testing import FaultPlan, Lists

from .conftest import Desk, agent


async def call(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    """What a tool answers."""
    done = await client.call_tool(tool, given)
    assert not done.is_error, done.content
    assert done.structured_content is not None
    return done.structured_content


async def checked(client: Client, reference: str) -> dict[str, Any]:
    """What a check says in the end, asked again when it says to."""
    for _ in range(6):
        found = await call(client, "check_reference", reference=reference)
        if "check_again_in_seconds" not in found:
            return found
        await asyncio.sleep(found["check_again_in_seconds"])
    raise AssertionError(found)


async def test_the_story_of_a_lost_answer(desk: Desk) -> None:
    """Executed, the answer lost: unknown. Checked: there. Asked again: not sent. Once, then."""
    desk.emulator.faults = FaultPlan.script(["close_after"])
    async with Client(desk.start("--allow-writes", "create", "--settle", "300")) as client:
        first = await call(client, "create_ticket", reference="order 17", **desk.ticket)
        assert (first["outcome"], first["reference"]) == ("unknown", "order 17")
        assert "check_reference" in first["next"]
        found = await call(client, "check_reference", reference="order 17")
        assert found["outcome"] == "created"
        again = await call(client, "create_ticket", reference="order 17", **desk.ticket)
        assert (again["outcome"], again["sent_now"]) == ("created", False)
        assert again["ticket_id"] == found["ticket_id"] != ""
    assert desk.created == 1


async def test_a_ticket_that_does_not_show_yet_is_never_made_again(
    kapture: Desk, tmp_path: Path
) -> None:
    kapture.emulator.lists = Lists(delay=3600.0)
    kapture.emulator.faults = FaultPlan.script(["close_after"])
    async with agent(kapture, tmp_path, "create") as client:
        for _ in range(2):
            answer = await call(client, "create_ticket", reference="A", **kapture.ticket)
            assert answer["outcome"] == "unknown"
        early = await call(client, "check_reference", reference="A")
        assert early["check_again_in_seconds"] > 0
        found = await checked(client, "A")
        assert found["outcome"] == "unknown"  # no lookup has proved anything
        assert "resolve" in found["next"]
        kapture.emulator.lists = None
        assert (await checked(client, "A"))["outcome"] == "created"
    assert kapture.created == 1


async def test_what_was_never_executed_is_found_out_and_made_once(
    desk: Desk, tmp_path: Path
) -> None:
    async with agent(desk, tmp_path, "create") as client:
        assert (await call(client, "check_reference", reference="A"))["outcome"] == "never_asked"
        desk.emulator.faults = FaultPlan.script(["reset_before"])
        lost = await call(client, "create_ticket", reference="A", **desk.ticket)
        assert lost["outcome"] == "unknown"
        # A ticket that the lookup does see: without one, seeing nothing proves nothing.
        other = await call(client, "create_ticket", reference="B", **desk.ticket)
        assert other["outcome"] == "created"
        found = await checked(client, "A")
        assert (found["outcome"], desk.created) == ("not_sent", 1)
        made = await call(client, "create_ticket", reference="A", **desk.ticket)
        assert (made["outcome"], desk.created) == ("created", 2)


async def test_a_server_that_dies_in_the_middle_leaves_a_doubt_to_the_next(kapture: Desk) -> None:
    kapture.emulator.faults = FaultPlan.script(["silence_after"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *kapture.command("--allow-writes", "create", "--timeout", "30")),
        *("--settle", "60"),
        env=kapture.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    for line in (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
        '"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"create_ticket",'
        '"arguments":{"reference":"A","title":"Printer on fire"}}}',
    ):
        process.stdin.write(line.encode() + b"\n")
    async with asyncio.timeout(60):
        while not kapture.created:
            await asyncio.sleep(0.02)
    process.kill()
    await process.communicate()
    async with Client(kapture.start("--allow-writes", "create")) as client:
        again = await call(client, "create_ticket", reference="A", **kapture.ticket)
        assert (again["outcome"], again["sent_now"]) == ("created", False)
    assert kapture.created == 1


async def test_one_reference_with_two_contents_makes_one_ticket(
    kapture: Desk, tmp_path: Path
) -> None:
    async with agent(kapture, tmp_path, "create") as client:
        first = await call(client, "create_ticket", reference="A", title="Printer on fire")
        other = await call(client, "create_ticket", reference="A", title="Printer is out")
    assert (first["outcome"], other["outcome"]) == ("created", "rejected")
    assert other["ticket_id"] == first["ticket_id"]
    assert "reference of its own" in other["why"]
    assert kapture.created == 1


@pytest.mark.parametrize("kept", ["in a file", "in PostgreSQL"])
async def test_two_servers_with_one_journal_make_one_ticket(
    kapture: Desk, request: pytest.FixtureRequest, kept: str
) -> None:
    where = [] if kept == "in a file" else ["--journal", request.getfixturevalue("postgres")]
    start = kapture.start("--allow-writes", "create", *where)
    async with Client(start) as one, Client(start) as two:
        found = await asyncio.gather(
            *(
                call(client, "create_ticket", reference=f"case {number}", **kapture.ticket)
                for number in range(2)
                for client in (one, two)
            )
        )
    assert {answer["outcome"] for answer in found} == {"created"}
    assert kapture.created == 2


async def test_a_journal_that_another_process_holds_is_told(
    kapture: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "_PATIENCE", 0.2)
    journal = tmp_path / "mcp.journal"
    async with kapture.client() as client:
        kept = kapture.references(client, tmp_path)
        assert (await kept.create("A", kapture.ticket))["outcome"] == "created"
        code = (
            "import sys; from kapture_async._core.filelock import FileLock\n"
            f"lock = FileLock({str(journal)!r}); assert lock.acquire(0.0) is None\n"
            "print('held', flush=True); sys.stdin.read()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = await kept.create("B", kapture.ticket)
        holder.communicate()
        assert refused["outcome"] == "not_sent"
        assert f"process {holder.pid}" in refused["why"]
        assert (await kept.create("B", kapture.ticket))["outcome"] == "created"
        await kept.aclose()
    assert kapture.created == 2


async def test_who_stops_waiting_does_not_stop_a_create(kapture: Desk, tmp_path: Path) -> None:
    kapture.emulator.latency = 0.1
    async with kapture.client() as client:
        kept = kapture.references(client, tmp_path)
        waiting = asyncio.ensure_future(kept.create("A", kapture.ticket))
        async with asyncio.timeout(30):
            while not kapture.emulator.requests:
                await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        await kept.aclose()
        assert (await kept.check("A"))["outcome"] == "created"


@pytest.mark.parametrize("reference", ["", " ", "x" * 201, "a\nb"])
async def test_a_reference_is_a_name(kapture: Desk, tmp_path: Path, reference: str) -> None:
    async with kapture.client() as client:
        kept = kapture.references(client, tmp_path)
        with pytest.raises(InvalidInputError, match="a reference is 1 to 200"):
            await kept.create(reference, kapture.ticket)
    assert kapture.created == 0
