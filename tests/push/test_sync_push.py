"""The blocking counterpart of a push: rows are drawn in the caller's thread, workers run in the
loop."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kapture_async import (
    Accepted,
    InvalidInputError,
    NotSent,
    Outcome,
    PushStoppedError,
    SyncKaptureClient,
)
from kapture_async.testing import KaptureEmulator


@pytest.fixture
def sync_client(kapture_emulator: KaptureEmulator) -> Iterator[SyncKaptureClient]:
    with SyncKaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token) as client:
        yield client


def rows(count: int) -> Iterator[dict[str, str]]:
    return ({"title": f"t{n}"} for n in range(count))


def titles(emulator: KaptureEmulator) -> list[str]:
    return sorted(entry.payload["title"] for entry in emulator.ledger.of("tickets.add"))


def check(emulator: KaptureEmulator, seen: list[Any], count: int) -> None:
    """Every row that was drawn has one outcome, and it is true."""
    assert sorted(outcome.index for outcome in seen) == list(range(count))
    accepted = sorted(outcome.row["title"] for outcome in seen if isinstance(outcome, Accepted))
    assert accepted == titles(emulator)
    assert {type(outcome) for outcome in seen} <= {Accepted, NotSent}


@pytest.mark.parametrize("count", [0, 1, 300, 1000])
def test_every_row_once(
    kapture_emulator: KaptureEmulator, sync_client: SyncKaptureClient, count: int
) -> None:
    with sync_client.tickets.push(rows(count), key=lambda row: row["title"]) as outcomes:
        seen = list(outcomes)
    assert sorted(outcome.index for outcome in seen) == list(range(count))
    assert all(isinstance(outcome, Accepted) for outcome in seen)
    assert titles(kapture_emulator) == sorted(row["title"] for row in rows(count))
    assert outcomes.counts.accepted == count


def test_rows_are_drawn_in_the_callers_thread(
    kapture_emulator: KaptureEmulator, sync_client: SyncKaptureClient
) -> None:
    database = sqlite3.connect(":memory:")  # refuses to be used from another thread
    database.execute("create table t (title text)")
    database.executemany("insert into t values (?)", [(f"t{n}",) for n in range(50)])
    here = threading.get_ident()

    def source() -> Iterator[dict[str, str]]:
        for (title,) in database.execute("select title from t"):
            assert threading.get_ident() == here
            yield {"title": title}

    with sync_client.tickets.push(source()) as outcomes:
        assert len(list(outcomes)) == 50
    database.close()


def test_a_source_may_use_the_client_itself(sync_client: SyncKaptureClient) -> None:
    def source() -> Iterator[dict[str, str]]:
        for n in range(5):
            yield {"title": f"after {sync_client.tickets.add(title=str(n)).ticket_id}"}

    with sync_client.tickets.push(source()) as outcomes:
        assert len(list(outcomes)) == 5


def test_a_failing_source_loses_nothing(
    kapture_emulator: KaptureEmulator, sync_client: SyncKaptureClient
) -> None:
    def source() -> Iterator[dict[str, str]]:
        yield from rows(40)
        raise RuntimeError("disk on fire")

    seen: list[Outcome] = []
    with pytest.raises(RuntimeError, match="disk on fire") as caught:
        with sync_client.tickets.push(source()) as outcomes:
            for outcome in outcomes:
                seen.append(outcome)
    assert len(seen) == 40 == len(titles(kapture_emulator))
    assert caught.value.__notes__


def test_leaving_early_finishes_what_is_in_flight(
    kapture_emulator: KaptureEmulator, sync_client: SyncKaptureClient
) -> None:
    push = sync_client.tickets.push(rows(100_000), max_concurrency=4)
    seen: list[Outcome] = []
    with push as outcomes:
        for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 3:
                break
    seen += push.unread()
    check(kapture_emulator, seen, push.counts.rows)
    assert push.counts.rows < 1000


def test_stop(kapture_emulator: KaptureEmulator, sync_client: SyncKaptureClient) -> None:
    push = sync_client.tickets.push(rows(100_000))
    seen: list[Outcome] = []
    with push as outcomes:
        for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 10:
                push.stop("enough")
    check(kapture_emulator, seen + push.unread(), push.counts.rows)
    assert push.stop_reason == "enough"


def test_giving_up_raises_after_the_last_outcome(
    kapture_emulator: KaptureEmulator,
) -> None:
    seen: list[Outcome] = []
    with SyncKaptureClient(base_url=kapture_emulator.url, token="t", timeout=5.0) as client:
        kapture_emulator.stop_listening()
        from kapture_async import RetryPolicy

        quick = client.with_options(retry=RetryPolicy(attempts=1))
        with pytest.raises(PushStoppedError):
            with quick.tickets.push(rows(1000), give_up_after=10) as outcomes:
                for outcome in outcomes:
                    seen.append(outcome)
    assert len(seen) >= 10
    assert all(isinstance(outcome, NotSent) for outcome in seen)


@pytest.mark.parametrize("source", [{"title": "x"}, "text", 7])
def test_a_single_row_is_refused(sync_client: SyncKaptureClient, source: Any) -> None:
    with pytest.raises(InvalidInputError):
        sync_client.tickets.push(source)


def test_an_async_source_is_refused(sync_client: SyncKaptureClient) -> None:
    async def source() -> Any:
        yield {"title": "x"}

    with pytest.raises(InvalidInputError, match="plain iterable"):
        sync_client.tickets.push(source())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_finishes_what_is_in_flight_and_unread_tells_the_rest() -> None:
    program = textwrap.dedent(
        """
        import sys
        from kapture_async import SyncKaptureClient
        from kapture_async.testing import KaptureEmulator

        with KaptureEmulator(latency=0.02).in_thread() as emulator:
            with SyncKaptureClient(base_url=emulator.url, token=emulator.token) as client:
                push = client.tickets.push(({"title": str(n)} for n in range(10**9)))
                seen = []
                try:
                    with push as outcomes:
                        for outcome in outcomes:
                            seen.append(outcome)
                            if len(seen) == 50:
                                print("ready", flush=True)
                except KeyboardInterrupt:
                    seen += push.unread()
                    assert sorted(o.index for o in seen) == list(range(push.counts.rows))
                    accepted = {o.ticket_id for o in seen if o.name == "accepted"}
                    assert accepted == {e.ticket_id for e in emulator.ledger.entries}
                    print(sorted({o.name for o in seen}))
        """
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGINT)
        told, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    assert told == "['accepted', 'not_sent']\n"
    assert child.returncode == 0
