"""What a push with a journal does when something of its own goes wrong: no row is lost by it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kapture_async import InvalidInputError, PermissionDeniedError, PushStoppedError, Row
from kapture_async._core.filelock import owner_of
from kapture_async._core.journal import thread
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Job, State
from kapture_async._core.journal.reference import append_marker
from kapture_async._core.push.push import Push
from kapture_async._core.push.row_codec import RowCodec
from kapture_async._core.push.settings import PushSettings
from kapture_async._core.transport.retry import RetryPolicy

JOB = Job(service="s", operation="o", target="https://example.com", place="text")


def push_of(rows: Any, journal: Path, *, send: Any = None, **more: Any) -> Push[Any]:
    async def accept(value: str) -> Any:
        return SimpleNamespace(ticket_id="1")

    how: dict[str, Any] = {
        "job": JOB,
        "ready": str,
        "pack": str.encode,
        "unpack": bytes.decode,
        "mark": append_marker,
    }
    held = more.pop("held", False)
    records: RowCodec[str] = RowCodec(**{**how, **more})
    return Push(
        rows,
        send or accept,
        PushSettings(journal=journal, from_journal=held),
        service="s",
        operation="o",
        retry=RetryPolicy(),
        codec=records,
    )


async def drain(push: Push[Any]) -> list[Any]:
    async with push as outcomes:
        return [outcome async for outcome in outcomes]


def on_disk(journal: Path) -> list[tuple[Any, ...]]:
    with ReadJournal.open_to_read(journal) as reader:
        return [(view.state, view.payload) for view in reader.rows_in(*State)]


@pytest.mark.parametrize("error", [InvalidInputError("of another version"), ValueError("a bug")])
async def test_a_held_row_that_cannot_be_read_stays_as_it_is(
    journal: Path, error: Exception
) -> None:
    async def refuse(value: str) -> Any:
        raise PermissionDeniedError("no", status=403)

    with pytest.raises(PushStoppedError):  # a refused permission stops it
        await drain(push_of([Row("hello", "A")], journal, send=refuse))
    before = on_disk(journal)

    def fail(payload: bytes) -> str:
        raise error

    (outcome,) = await drain(push_of([], journal, held=True, unpack=fail))
    assert outcome.name == "not_sent"
    assert on_disk(journal) == before == [(State.REJECTED, b"hello")]


@pytest.mark.parametrize("text", ["bad", "bad" + "x" * 70_000], ids=["short", "long"])
@pytest.mark.parametrize("error", [InvalidInputError("taken"), TypeError("a bug")])
async def test_a_row_whose_place_is_taken(journal: Path, text: str, error: Exception) -> None:
    def fail(value: str, reference: str) -> str:
        if "bad" in value:
            raise error
        return append_marker(value, reference)

    outcomes = await asyncio.wait_for(drain(push_of([text, "good"], journal, mark=fail)), 10)
    assert sorted(outcome.name for outcome in outcomes) == ["accepted", "not_sent"]
    assert {state for state, _ in on_disk(journal)} == {State.ACCEPTED, State.NOT_SENT}


@pytest.mark.parametrize("way", ["cancelled", "failed"])
async def test_a_push_that_does_not_open_lets_go_of_its_journal(
    journal: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    await drain(push_of(["a", "b"], journal))
    learn_names = thread.learn_names
    task: asyncio.Task[Any]
    loop = asyncio.get_running_loop()

    def interrupted(*args: Any, **more: Any) -> Any:
        if way == "failed":
            raise RuntimeError("a bug")
        loop.call_soon_threadsafe(task.cancel)
        return learn_names(*args, **more)

    monkeypatch.setattr(thread, "learn_names", interrupted)
    task = asyncio.create_task(drain(push_of(["c"], journal)))
    await asyncio.wait({task}, timeout=10)
    monkeypatch.undo()
    if task.cancelled():
        for _ in range(1000):
            if owner_of(str(journal)) is None:
                break
            await asyncio.sleep(0.01)
    else:
        assert isinstance(task.exception(), RuntimeError)
    assert owner_of(str(journal)) is None
    assert [one.name for one in await drain(push_of(["c"], journal))] == ["accepted"]


@pytest.mark.parametrize("which", ["accepted", "repeated"])
async def test_a_bug_while_one_outcome_is_told_keeps_no_other_back(
    journal: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    rows = [Row(f"text {number}", str(number % 150)) for number in range(1500)]
    push = push_of(rows, journal)
    finish, failed = push._finish, []

    def fail_once(outcome: Any) -> None:
        if not failed and (outcome.name == "accepted") == (which == "accepted"):
            failed.append(outcome)
            raise ValueError("a bug")
        finish(outcome)

    monkeypatch.setattr(push, "_finish", fail_once)
    told: list[Any] = []
    with pytest.raises(ValueError, match="a bug"):
        async with push as outcomes:
            async for outcome in outcomes:
                told.append(outcome)
    # It ends the push, and loudly; but of what was taken only that one is missing.
    assert push.stop_reason is not None
    assert len(told) == push.counts.rows - 1
