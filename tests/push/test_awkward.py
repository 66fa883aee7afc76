"""Pushes that go wrong in unusual ways: still one truthful outcome per row, and no silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kapture_async import (
    Accepted,
    InvalidInputError,
    KaptureClient,
    NotSent,
    Outcome,
    PushStoppedError,
    Rejected,
    Unknown,
)
from kapture_async.events import AttemptStarted, PushPaused
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator


async def drain(push: Any) -> list[Outcome]:
    async with push as outcomes:
        return [outcome async for outcome in outcomes]


async def test_a_bad_key_or_row_concerns_that_row_alone(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    class Evil(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise OSError("evil")

    cyclic: dict[str, Any] = {"title": "cyclic"}
    cyclic["self"] = cyclic
    source: list[Any] = [
        {"title": "a", "id": 1},
        {"title": "b"},
        Evil(title="c", id=3),
        cyclic | {"id": 4},
        {"title": "d", "id": 5, "due_date": datetime.max.replace(tzinfo=UTC)},
        {"title": "z", "id": 6},
    ]
    seen = await drain(client.tickets.push(source, key=lambda row: dict.__getitem__(row, "id")))
    by_index = {outcome.index: outcome for outcome in seen}
    assert {index for index, o in by_index.items() if isinstance(o, Accepted)} == {0, 5}
    for index in (1, 2, 3, 4):
        outcome = by_index[index]
        assert isinstance(outcome, NotSent)
        assert isinstance(outcome.error, InvalidInputError)
    assert len(emulator.ledger) == 2


class Buggy(dict[str, Any]):
    """A value that no codec expects."""

    def items(self) -> Any:
        raise ZeroDivisionError


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE
DEEP: list[Any] = []
for _ in range(2000):
    DEEP = [DEEP]


@pytest.mark.parametrize("journaled", [False, True])
@pytest.mark.parametrize(
    "value",
    ["\ud800", 2**70, float("inf"), object(), {1: 2}, {1}, CYCLE, DEEP, Buggy(a=1), 10**5000],
    ids=["surrogate", "large", "inf", "object", "keys", "set", "cycle", "deep", "bug", "digits"],
)
async def test_what_cannot_be_written_concerns_its_row_alone(
    client: KaptureClient, tmp_path: Path, value: Any, journaled: bool
) -> None:
    source = [{"title": "a"}, {"title": "private words", "field": value}, {"title": "b"}]
    push = client.tickets.push(source, journal=tmp_path / "j" if journaled else None)
    seen = {outcome.index: outcome for outcome in await drain(push)}
    assert [seen[index].name for index in range(3)] == ["accepted", "not_sent", "accepted"]
    assert push.counts.in_flight == 0
    bad = seen[1]
    assert isinstance(bad, NotSent)
    assert isinstance(bad.error, InvalidInputError)
    assert bad.error.__traceback__ is None  # its frames would hold the row
    assert "private" not in str(bad.error)


async def test_updates_that_cannot_be_written_concern_their_row_alone(
    client: KaptureClient, emulator: KaptureEmulator, tmp_path: Path
) -> None:
    ids = [emulator.seed(title=str(number)) for number in range(3)]
    rows = [{"ticket_id": one, "comment": "c"} for one in ids]
    rows[1]["comment"] = "\ud800"
    push = client.tickets.update_many(rows, sub_status="PS", journal=tmp_path / "j")
    seen = {outcome.index: outcome.name for outcome in await drain(push)}
    assert seen == {0: "accepted", 1: "not_sent", 2: "accepted"}


async def test_a_source_that_is_cancelled_from_inside_is_a_failure_and_no_end(
    client: KaptureClient,
) -> None:
    async def source() -> AsyncIterator[dict[str, str]]:
        yield {"title": "a"}
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    with pytest.raises(RuntimeError, match="source of the push was cancelled"):
        await drain(client.tickets.push(source()))


async def test_an_async_iterator_that_ends_only_once(client: KaptureClient) -> None:
    class Ends:
        def __init__(self) -> None:
            self.queue: asyncio.Queue[Any] = asyncio.Queue()
            for item in ({"title": "a"}, {"title": "b"}, None):
                self.queue.put_nowait(item)

        def __aiter__(self) -> Ends:
            return self

        async def __anext__(self) -> Any:
            item = await self.queue.get()
            if item is None:
                raise StopAsyncIteration
            return item

    async with asyncio.timeout(10):
        assert len(await drain(client.tickets.push(Ends()))) == 2


async def test_stopping_twice_cuts_nothing_off() -> None:
    async with (
        KaptureEmulator(latency=0.05) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()

        async def source() -> AsyncIterator[dict[str, str]]:
            while True:
                yield await queue.get()

        for n in range(8):
            queue.put_nowait({"title": str(n)})
        push = client.tickets.push(source(), max_concurrency=16)
        seen: list[Outcome] = []
        async with push as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
                push.stop()
                push.stop()
                break
        seen += push.unread()
        assert [type(outcome) for outcome in seen] == [Accepted] * 8


async def test_unread_in_the_middle_does_not_stall(client: KaptureClient) -> None:
    source = [{"title": str(n)} for n in range(100)]
    count = 0
    async with asyncio.timeout(20):
        async with client.tickets.push(source, max_concurrency=2) as outcomes:
            async for _ in outcomes:
                count += 1 + len(outcomes.unread())
    assert count == 100


async def test_a_bug_after_the_sending_is_a_doubt_and_not_the_refusal_before(
    emulator: KaptureEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down = Fault("status", status=429, retry_after="0.01")
    emulator.faults = FaultPlan.script([slow_down, None])
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:

        def broken(*_: Any) -> Any:
            raise KeyError("zone table")

        monkeypatch.setattr(client._requestor.codec, "decode", broken)
        push = client.tickets.push([{"title": "a"}], max_concurrency=1)
        seen: list[Outcome] = []
        with pytest.raises(KeyError, match="zone table"):
            async with push as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
    assert len(emulator.ledger) == 1
    assert [type(outcome) for outcome in seen] == [Unknown]


async def test_leaving_before_the_end_does_not_hide_a_failure(client: KaptureClient) -> None:
    taken = asyncio.Event()

    def source() -> Any:
        yield {"title": "a"}
        taken.set()
        raise ValueError("bad line")

    with pytest.raises(ValueError, match="bad line"):
        async with client.tickets.push(source(), max_concurrency=1) as outcomes:
            async for _ in outcomes:
                await taken.wait()
                for _ in range(20):
                    await asyncio.sleep(0)
                break


async def test_a_push_that_was_cut_off_does_not_end_like_a_whole_one(
    emulator: KaptureEmulator,
) -> None:
    emulator.faults = FaultPlan.script([None, *["silence_before"] * 99])
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        push = client.tickets.push([{"title": str(n)} for n in range(100)], max_concurrency=2)
        await push.__aenter__()
        assert push._runner is not None
        while sum(emulator.requests.values()) < 3:
            await asyncio.sleep(0.001)
        push._runner.cancel()
        seen = []
        with pytest.raises(PushStoppedError, match="cut off"):
            async for outcome in push:
                seen.append(outcome)
        assert [type(outcome) for outcome in seen] == [Accepted, Unknown, Unknown]


async def test_no_number_of_cancellations_lets_go_of_what_still_runs(
    client: KaptureClient,
) -> None:
    free = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, str]]:
        try:
            yield {"title": "a"}
            await asyncio.Event().wait()
        finally:
            while not free.is_set():  # it has something to put away, and will not be hurried
                with contextlib.suppress(asyncio.CancelledError):
                    await free.wait()

    push = client.tickets.push(source(), max_concurrency=2)
    seen: list[Outcome] = []

    async def consume() -> None:
        async with push as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)

    task = asyncio.create_task(consume())
    while not seen:
        await asyncio.sleep(0.001)
    left = []
    for _ in range(4):
        task.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        left.append(task.done())
    free.set()
    assert not any(left)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert push._runner is not None
    assert push._runner.done()
    assert [type(outcome) for outcome in seen + push.unread()] == [Accepted]
    assert push.counts.in_flight == 0


async def test_rows_that_come_while_the_gate_is_shut_wait_too(emulator: KaptureEmulator) -> None:
    emulator.faults = FaultPlan.script([Fault("status", status=429, retry_after="0.3")])
    loop = asyncio.get_running_loop()
    shut: list[float] = []
    sent: list[float] = []
    told = asyncio.Event()

    async def source() -> AsyncIterator[dict[str, str]]:
        yield {"title": "0"}
        await told.wait()
        for n in range(1, 5):
            yield {"title": str(n)}

    def note(event: Any) -> None:
        if isinstance(event, AttemptStarted):
            sent.append(loop.time())
        elif isinstance(event, PushPaused):
            shut.append(loop.time())
            told.set()

    async with KaptureClient(base_url=emulator.url, token=emulator.token, on_event=note) as client:
        async with asyncio.timeout(20):
            seen = await drain(client.tickets.push(source(), on_event=note))
    assert {type(outcome) for outcome in seen} == {Accepted}
    assert (len(shut), len(sent)) == (1, 6)
    assert all(moment - shut[0] > 0.25 for moment in sent[1:])


async def test_the_sources_generator_is_closed_when_it_is_left(client: KaptureClient) -> None:
    closed = False

    async def source() -> AsyncIterator[dict[str, str]]:
        nonlocal closed
        try:
            while True:
                yield {"title": "a"}
        finally:
            closed = True

    async with client.tickets.push(source(), max_concurrency=2) as outcomes:
        async for _ in outcomes:
            break
    assert closed


async def test_stopped_rows_that_were_refused_keep_their_refusal(emulator: KaptureEmulator) -> None:
    emulator.faults = FaultPlan.rate(1, kinds=[Fault("status", status=429, retry_after="60")])
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        push = client.tickets.push([{"title": str(n)} for n in range(50)], max_concurrency=2)
        async with push:
            while sum(emulator.requests.values()) < 1:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            push.stop()
        seen = push.unread()
    assert seen
    assert {type(outcome) for outcome in seen} <= {Rejected, NotSent}
    assert len(emulator.ledger) == 0
