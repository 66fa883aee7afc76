"""Pushes against the emulator, over sockets: the ledger is the judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from kapture_async import (
    Accepted,
    ClientStateError,
    InvalidInputError,
    KaptureClient,
    NewTicket,
    NotSent,
    Outcome,
    PushStoppedError,
    RateLimitedError,
    Rejected,
    RetryPolicy,
    Row,
    Timeout,
    Unknown,
)
from kapture_async.events import PushPaused, PushStopped, RowFinished
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..weather import HASTY


def rows(count: int) -> Iterator[dict[str, str]]:
    return ({"title": f"t{n}"} for n in range(count))


def check_against_ledger(emulator: KaptureEmulator, outcomes: list[Outcome], count: int) -> None:
    """Every row has one outcome, and none contradicts what the server did."""
    assert sorted(outcome.index for outcome in outcomes) == list(range(count))
    executed = Counter(entry.payload["title"] for entry in emulator.ledger.of("tickets.add"))
    assert max(executed.values(), default=0) <= 1, "sent twice"
    ids = {entry.payload["title"]: entry.ticket_id for entry in emulator.ledger.of("tickets.add")}
    for outcome in outcomes:
        title = outcome.row["title"]
        if isinstance(outcome, Accepted):
            assert ids[title] == outcome.ticket_id
        elif isinstance(outcome, Rejected | NotSent):
            assert title not in executed, outcome.reason
        else:
            assert isinstance(outcome, Unknown)


async def test_every_row_once(emulator: KaptureEmulator, client: KaptureClient) -> None:
    async with client.tickets.push(rows(500), key=lambda row: row["title"]) as outcomes:
        seen = [outcome async for outcome in outcomes]
    check_against_ledger(emulator, seen, 500)
    assert {type(outcome) for outcome in seen} == {Accepted}
    assert all(outcome.key == f"t{outcome.index}" for outcome in seen)
    assert (outcomes.counts.rows, outcomes.counts.accepted) == (500, 500)
    assert outcomes.counts.in_flight == 0
    assert outcomes.unread() == []


async def test_any_number_of_rows_that_cannot_be_sent_stops_nobody(client: KaptureClient) -> None:
    bad: list[Any] = [Row(None, str(n), problem=InvalidInputError("no title")) for n in range(100)]
    rows = [*bad, {"title": "good"}, *bad]
    async with client.tickets.push(rows, max_concurrency=2, give_up_after=None) as outcomes:
        names = [outcome.name async for outcome in outcomes]
    assert Counter(names) == {"not_sent": 200, "accepted": 1}


async def test_rows_of_every_kind_and_bad_ones_stop_nobody(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    problem = InvalidInputError("line 7 has too few cells")
    source: list[Any] = [
        NewTicket(title="a"),
        {"title": "b", "custom": [{"x": "1"}]},
        Row({"title": "c"}, key="k", line=3),
        {"ticket_details": "no title"},
        {"title": ""},
        {"title": 7},
        {"title": "inf", "x": float("inf")},
        {"title": "\ud800"},
        "not a row",
        None,
        Row(None, key="broken", line=7, problem=problem),
        {"title": "z"},
    ]
    async with client.tickets.push(source) as outcomes:
        seen = {outcome.index: outcome async for outcome in outcomes}
    assert len(seen) == len(source)
    good = {0, 1, 2, 11}
    for index, outcome in seen.items():
        assert isinstance(outcome, Accepted if index in good else NotSent), outcome
        if isinstance(outcome, NotSent):
            assert isinstance(outcome.error, InvalidInputError)
    assert seen[2].key == "k"
    assert seen[10].key == "broken"
    assert "too few" in seen[10].reason
    assert Counter(entry.payload["title"] for entry in emulator.ledger.entries) == Counter("abcz")


async def test_an_async_source(emulator: KaptureEmulator, client: KaptureClient) -> None:
    async def source() -> AsyncIterator[dict[str, str]]:
        for row in rows(100):
            await asyncio.sleep(0)
            yield row

    async with client.tickets.push(source(), max_concurrency=7) as outcomes:
        seen = [outcome async for outcome in outcomes]
    check_against_ledger(emulator, seen, 100)


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("seed", [1, 2])
async def test_faults_at_every_phase_never_make_an_outcome_lie(seed: int) -> None:
    async with (
        KaptureEmulator(faults=FaultPlan.rate(0.3, seed=seed, kinds=HASTY)) as emulator,
        KaptureClient(
            base_url=emulator.url,
            token=emulator.token,
            timeout=Timeout(total=0.5),  # what is silent takes that long; so may others, if busy
            retry=RetryPolicy(attempts=3, first_wait=0.001),
        ) as client,
        client.tickets.push(rows(120), max_concurrency=16, give_up_after=None) as outcomes,
    ):
        seen = [outcome async for outcome in outcomes]
        check_against_ledger(emulator, seen, 120)
    kinds = Counter(outcome.name for outcome in seen)
    assert kinds["accepted"] > 10
    assert kinds["unknown"] > 5
    assert sum(kinds.values()) == 120


async def test_told_to_slow_down_all_wait_and_nothing_is_lost(emulator: KaptureEmulator) -> None:
    slow_down = Fault("status", status=429, retry_after="0.05")
    emulator.faults = FaultPlan.script([None] * 5 + [slow_down] * 4)
    events: list[Any] = []
    async with (
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
        client.tickets.push(rows(40), max_concurrency=8, on_event=events.append) as outcomes,
    ):
        seen = [outcome async for outcome in outcomes]
    check_against_ledger(emulator, seen, 40)
    assert {type(outcome) for outcome in seen} == {Accepted}
    pauses = [event for event in events if isinstance(event, PushPaused)]
    assert 1 <= len(pauses) <= 4
    assert sum(isinstance(event, RowFinished) for event in events) == 40
    assert max(outcome.attempts for outcome in seen) >= 2


async def test_a_wait_beyond_all_patience_stops_the_push_at_once(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    emulator.faults = FaultPlan.rate(1.0, kinds=[Fault("status", status=429, retry_after="3600")])
    seen: list[Outcome] = []
    with pytest.raises(PushStoppedError, match="asks to wait 3600 s") as caught:
        async with client.tickets.push(rows(5000), patience=10, max_concurrency=4) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
    assert caught.value.retry_after == 3600
    assert sum(emulator.requests.values()) <= 4
    assert {type(outcome) for outcome in seen} == {Rejected}
    assert all(
        isinstance(outcome, Rejected)
        and isinstance(outcome.error, RateLimitedError)
        and outcome.error.retry_after == 3600
        for outcome in seen
    )


async def test_patience_with_a_service_that_only_ever_says_wait(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    emulator.faults = FaultPlan.rate(1.0, kinds=[Fault("status", status=429, retry_after="0.05")])
    async with client.tickets.push(rows(3), patience=1.0) as outcomes:
        seen = [outcome async for outcome in outcomes]
    assert [type(outcome) for outcome in seen] == [Rejected] * 3
    # One request at a time, as none was accepted yet, and ever fewer: not all get a second try.
    assert max(outcome.attempts for outcome in seen) >= 2


async def test_a_dead_server_ends_the_push_instead_of_the_patience(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    emulator.stop_listening()
    events: list[Any] = []
    seen: list[Outcome] = []
    push = client.tickets.push(rows(100_000), give_up_after=20, on_event=events.append)
    with pytest.raises(PushStoppedError, match="20 rows in a row failed") as caught:
        async with push as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
    assert {type(outcome) for outcome in seen} == {NotSent}
    assert 20 <= len(seen) < 100
    assert len(seen) == push.counts.rows
    assert "No further row of the source was read or sent" in str(caught.value)
    assert any(isinstance(event, PushStopped) for event in events)


async def test_a_restart_of_the_server_is_waited_for() -> None:
    async with (
        KaptureEmulator(latency=0.005) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, timeout=5.0) as client,
    ):
        paused = asyncio.Event()

        def note(event: Any) -> None:
            if isinstance(event, PushPaused):
                paused.set()

        async def restart() -> None:
            emulator.stop_listening()
            await paused.wait()
            emulator.listen_again()

        seen: list[Outcome] = []
        async with client.tickets.push(rows(300), max_concurrency=8, on_event=note) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
                if len(seen) == 50:
                    restarting = asyncio.create_task(restart())
        await restarting
        check_against_ledger(emulator, seen, 300)
    kinds = Counter(outcome.name for outcome in seen)
    assert kinds["not_sent"] == 0
    assert kinds["unknown"] <= 8  # what was in flight when it went down


async def test_an_outage_beyond_all_patience_stops_the_push(emulator: KaptureEmulator) -> None:
    seen: list[Outcome] = []
    async with KaptureClient(base_url=emulator.url, token=emulator.token, timeout=5.0) as client:
        with pytest.raises(PushStoppedError, match="could not be reached"):
            async with client.tickets.push(
                rows(10_000), max_concurrency=4, patience=0.2
            ) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
                    if len(seen) == 20:
                        emulator.stop_listening()
    check_against_ledger(emulator, seen, outcomes.counts.rows)


async def test_a_wrong_key_ends_the_push(emulator: KaptureEmulator) -> None:
    async with KaptureClient(base_url=emulator.url, token="wrong") as client:
        with pytest.raises(PushStoppedError, match="key is missing, wrong"):
            async with client.tickets.push(rows(10_000)) as outcomes:
                async for outcome in outcomes:
                    # A few were drawn already, and never sent.
                    assert isinstance(outcome, Rejected) or not outcome.attempts
        assert outcomes.counts.rejected == 1
    assert sum(emulator.requests.values()) == 1


async def test_rejected_rows_do_not_end_the_push(client: KaptureClient) -> None:
    source = [{"title": f"t{n}", "due_date": "x"} if n % 2 else {"title": " "} for n in range(400)]
    async with client.tickets.push(source, give_up_after=5) as outcomes:
        assert len([outcome async for outcome in outcomes]) == 400


async def test_a_failing_source_loses_nothing(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    def source() -> Iterator[dict[str, str]]:
        yield from rows(50)
        raise RuntimeError("disk on fire")

    seen: list[Outcome] = []
    with pytest.raises(RuntimeError, match="disk on fire") as caught:
        async with client.tickets.push(source()) as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
    check_against_ledger(emulator, seen, 50)
    assert "every row taken before has its outcome" in caught.value.__notes__[0]


async def test_leaving_early_finishes_what_is_in_flight(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    push = client.tickets.push(rows(10_000), max_concurrency=4)
    seen = []
    async with push as outcomes:
        async for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 10:
                break
    left = push.unread()
    assert left
    assert push.unread() == []
    check_against_ledger(emulator, seen + left, push.counts.rows)
    assert push.counts.rows < 40
    assert len(emulator.ledger) == push.counts.rows


async def test_an_error_in_the_consumer_loses_nothing(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    push = client.tickets.push(rows(1000))
    seen: list[Outcome] = []
    with pytest.raises(ZeroDivisionError):
        async with push as outcomes:
            async for outcome in outcomes:
                seen.append(outcome)
                1 / 0  # noqa: B018
    check_against_ledger(emulator, seen + push.unread(), push.counts.rows)


async def test_a_cancellation_finishes_what_is_in_flight() -> None:
    async with (
        KaptureEmulator(latency=0.05) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        push = client.tickets.push(rows(1000), max_concurrency=8)
        seen: list[Outcome] = []

        async def consume() -> None:
            async with push as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)

        task = asyncio.create_task(consume())
        while not seen:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        seen += push.unread()
        check_against_ledger(emulator, seen, push.counts.rows)
        assert {type(outcome) for outcome in seen} == {Accepted}


async def test_a_second_cancellation_cuts_off_and_stays_truthful(emulator: KaptureEmulator) -> None:
    silent = [Fault("silence_after"), Fault("silence_before")] * 4
    emulator.faults = FaultPlan.script([None, *silent])  # one at a time until the first is accepted
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, max_connections=4
    ) as client:
        push = client.tickets.push(rows(1000), max_concurrency=8)

        async def consume() -> None:
            async with push as outcomes:
                async for _ in outcomes:
                    pass

        task = asyncio.create_task(consume())
        while sum(emulator.requests.values()) < 5:
            await asyncio.sleep(0.001)
        task.cancel()
        while push.stop_reason is None:
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert push.counts.accepted == 1
        seen = push.unread()
        # Four were on the wire; the others still waited for a connection.
        assert Counter(type(outcome) for outcome in seen) == {Unknown: 4, NotSent: 4}


async def test_a_slow_consumer_slows_the_push_down(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    taken = 0

    def source() -> Iterator[dict[str, str]]:
        nonlocal taken
        for row in rows(10_000):
            taken += 1
            yield row

    async with client.tickets.push(source(), max_concurrency=4) as outcomes:
        await anext(aiter(outcomes))
        for _ in range(200):
            await asyncio.sleep(0.001)
        assert taken <= 1 + 2 * 4 + 4


async def test_stopping_calls_workers_back_from_a_source_that_gives_nothing(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def source() -> AsyncIterator[dict[str, str]]:
        while True:
            yield await queue.get()

    for row in rows(3):
        queue.put_nowait(row)
    push = client.tickets.push(source())
    seen = []
    async with push as outcomes:
        async for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 3:
                push.stop()
    check_against_ledger(emulator, seen, 3)
    assert push.stop_reason == "stopped by the caller"


async def test_a_push_runs_once(client: KaptureClient) -> None:
    push = client.tickets.push(rows(1))
    with pytest.raises(ClientStateError, match="not running"):
        await anext(push)
    async with push:
        pass
    with pytest.raises(ClientStateError, match="once"):
        await push.__aenter__()


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": {"title": "x"}},
        {"source": "rows.csv"},
        {"source": 7},
        {"source": [], "max_concurrency": 0},
        {"source": [], "max_concurrency": True},
        {"source": [], "give_up_after": 0},
        {"source": [], "patience": -1},
    ],
    ids=repr,
)
def test_bad_arguments(arguments: dict[str, Any]) -> None:
    client = KaptureClient("t", token="t")
    with pytest.raises(InvalidInputError):
        client.tickets.push(**arguments)


async def test_outcomes_show_no_personal_data(client: KaptureClient) -> None:
    source = [{"title": "private words", "email_id": "user@example.com"}, {"title": 5}]
    async with client.tickets.push(source) as outcomes:
        seen = [outcome async for outcome in outcomes]
    assert "private" not in repr(seen)
    assert "example.com" not in repr(seen)


async def test_batches(client: KaptureClient) -> None:
    seen: list[Outcome] = []
    async with client.tickets.push(rows(200)) as outcomes:
        while batch := await outcomes.next_batch():
            seen += batch
    assert len(seen) == 200
