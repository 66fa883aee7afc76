"""The asyncio face: groups, cancellation, broken disks, closed loops, forks, kills."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import threading
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async import InvalidInputError, JournalError
from kapture_async._core.journal import thread as thread_module
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Identity, Job, State, Taken
from kapture_async._core.journal.store import Store
from kapture_async._core.journal.writer import Journal

MakeRow = Callable[..., Identity]
Program = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
async def journal(path: Path, job: Job) -> AsyncIterator[Journal]:
    journal = await Journal.open(path, job=job)
    yield journal
    await asyncio.wait_for(journal.aclose(), 10)
    threads_end()


def commits_of(journal: Journal) -> list[str]:
    said: list[str] = []

    def hear(statement: str) -> None:
        if statement == "COMMIT":
            said.append(statement)

    journal._store._connection.set_trace_callback(hear)
    return said


class Held:
    """Holds the journal's thread up, so that what is put meanwhile is one group."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._go = threading.Event()

    async def __aenter__(self) -> Held:
        entered = threading.Event()

        def hold(store: Store) -> None:
            entered.set()
            assert self._go.wait(10)

        self._task = asyncio.create_task(self._journal.call(hold))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._go.set()
        await self._task


async def break_commits(journal: Journal) -> None:
    """From now on the disk is full."""

    def refuse(store: Store) -> None:
        store._connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.facts BEGIN "
            "SELECT raise(ROLLBACK, 'disk full'); END"
        )

    await journal.call(refuse)


def threads_end() -> None:
    """None of ours is left, or they end now."""
    for thread in threading.enumerate():
        if thread.name == "kapture-journal":
            thread.join(10)
            assert not thread.is_alive()


def counts_on_disk(path: Path) -> Counts:
    with ReadJournal.open_to_read(path) as reader:
        return reader.counts()


# --- taking and settling -------------------------------------------------------------------------


async def test_an_intent_is_on_the_disk_before_it_is_given_out(
    journal: Journal, row: MakeRow, path: Path
) -> None:
    taken = await journal.take(row("A-1"), b"x")
    assert (taken.action, taken.attempt) == ("send", 1)
    assert counts_on_disk(path) == Counts(unknown=1)
    assert (journal.counts, journal.under_way) == (Counts(unknown=1), 1)
    await journal.settle(taken.row, 1, "accepted", ticket_id="9", phase=4, status=200)
    assert counts_on_disk(path) == journal.counts == Counts(accepted=1)
    assert journal.under_way == 0


async def test_what_waits_shares_a_commit(journal: Journal, row: MakeRow) -> None:
    commits = commits_of(journal)
    async with Held(journal):
        tasks = [asyncio.create_task(journal.take(row(str(n)), b"x")) for n in range(100)]
        await asyncio.sleep(0)
        done: list[JournalError | None] = []
    taken = await asyncio.gather(*tasks)
    assert len(commits) == 2  # the one that held it up, and theirs
    assert [one.row for one in taken] == list(range(1, 101))
    for one in taken:
        journal.settle_soon(one.row, 1, "rejected", lambda _, error: done.append(error), words="no")
    await journal.call(lambda store: None)
    assert len(commits) == 4
    assert done == [None] * 100
    assert journal.counts == Counts(rejected=100)


async def test_one_turn_of_the_loop_is_one_commit(journal: Journal, row: MakeRow) -> None:
    commits = commits_of(journal)
    await asyncio.gather(*(journal.take(row(str(n)), b"x") for n in range(100)))
    assert len(commits) == 1


async def test_ends_come_before_takes(journal: Journal, row: MakeRow) -> None:
    taken = await journal.take(row("A-1"), b"x")
    async with Held(journal):
        again = asyncio.create_task(journal.take_again(taken.row))
        await asyncio.sleep(0)
        journal.settle_soon(taken.row, 1, "not_sent")
    assert (await again).attempt == 2


async def test_the_order_holds_over_several_turns(journal: Journal, row: MakeRow) -> None:
    """What is put while the thread is busy: no call and no take overtakes an end put before it."""
    taken = await journal.take(row("A-1"), b"x")
    states: list[Counts] = []
    async with Held(journal):
        journal.settle_soon(taken.row, 1, "not_sent")
        journal._worker.ask()
        await asyncio.sleep(0)
        again = asyncio.create_task(journal.take_again(taken.row))
        await asyncio.sleep(0.001)
        call = asyncio.create_task(journal.call(lambda store: states.append(store.counts())))
        await asyncio.sleep(0.001)
    assert ((await again).action, (await again).attempt) == ("send", 2)
    await call
    assert states == [Counts(unknown=1)]
    assert journal.under_way == 1


async def test_a_wrong_row_harms_no_other(journal: Journal, row: MakeRow) -> None:
    good = asyncio.create_task(journal.take(row("good"), b"x"))
    results = await asyncio.gather(
        journal.take(row(""), b"x"),
        journal.take(row("\ud800"), b"x"),
        journal.refuse(row(""), None, "InvalidInputError", "bad"),
        journal.settle(99, 1, "accepted"),
        journal.take_again(99),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [InvalidInputError] * 3 + [JournalError] * 2
    assert (await good).action == "send"
    assert journal.broken is None
    assert journal.counts == Counts(unknown=1)


async def test_refuse(journal: Journal, row: MakeRow) -> None:
    taken = await journal.refuse(row("A-1"), b"cells", "InvalidInputError", "no title")
    assert taken.action == "refused"
    assert journal.counts == Counts(not_sent=1)


async def test_an_observer_that_fails(
    journal: Journal, row: MakeRow, caplog: pytest.LogCaptureFixture
) -> None:
    taken = await journal.take(row("A-1"), b"x")
    journal.settle_soon(taken.row, 1, "accepted", lambda _, error: 1 / 0)  # type: ignore[arg-type, return-value]
    assert (await journal.take(row("A-2"), b"x")).action == "send"
    assert "a callback of the journal failed" in caplog.text


async def test_call(journal: Journal, row: MakeRow) -> None:
    def both(store: Store) -> list[str]:
        store.take(row("A-1"), b"x", 1.0)
        return [view.key or "" for view in store.rows_in(State.UNKNOWN)]

    assert await journal.call(both) == ["A-1"]

    def fails(store: Store) -> None:
        store.take(row("A-2"), b"x", 1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await journal.call(fails)
    assert journal.counts == Counts(unknown=1)
    assert (await journal.take(row("A-2"), b"x")).action == "send"


# --- cancellation --------------------------------------------------------------------------------


async def test_a_take_cancelled_before_it_was_written(journal: Journal, row: MakeRow) -> None:
    async with Held(journal):
        task = asyncio.create_task(journal.take(row("A-1"), b"x"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert (await journal.take(row("A-1"), b"x")).action == "send"


async def test_a_take_cancelled_while_it_is_written(
    journal: Journal, row: MakeRow, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go = threading.Event(), threading.Event()
    commit = Store.commit

    def slow(store: Store) -> None:
        inside.set()
        assert go.wait(10)
        commit(store)

    monkeypatch.setattr(Store, "commit", slow)
    task = asyncio.create_task(journal.take(row("A-1"), b"x"))
    while not inside.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task})
    go.set()
    assert task.cancelled()
    await journal.aclose()
    assert counts_on_disk(path) == Counts(not_sent=1)  # and no doubt
    assert journal.under_way == 0


async def test_a_take_cancelled_when_its_answer_is_there(
    journal: Journal, row: MakeRow, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer stands in the future, and the task is cancelled before it can read it."""
    task: asyncio.Task[Taken]
    deliver = journal._worker._deliver

    def deliver_and_cancel(*delivered: Any) -> None:
        deliver(*delivered)
        task.cancel()

    monkeypatch.setattr(journal._worker, "_deliver", deliver_and_cancel)
    task = asyncio.create_task(journal.take(row("A-1"), b"x"))
    await asyncio.wait({task})
    assert task.cancelled()
    monkeypatch.undo()
    await journal.aclose()
    assert counts_on_disk(path) == Counts(not_sent=1)


async def test_a_settle_cancelled_is_written(journal: Journal, row: MakeRow, path: Path) -> None:
    taken = await journal.take(row("A-1"), b"x")
    async with Held(journal):
        task = asyncio.create_task(journal.settle(taken.row, 1, "accepted"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    await journal.aclose()
    assert counts_on_disk(path) == Counts(accepted=1)


@pytest.mark.parametrize("seed", range(6))
async def test_cancelled_anywhere(journal: Journal, row: MakeRow, path: Path, seed: int) -> None:
    """Whoever is cut off, only rows that may have left this machine are in doubt."""
    sent: set[str] = set()
    settled: set[str] = set()

    async def work(worker: int) -> None:
        for number in range(1000):
            name = f"{worker}-{number}"
            taken = await journal.take(row(name), b"x")
            sent.add(name)
            await asyncio.sleep(0)
            await journal.settle(taken.row, taken.attempt, "accepted")
            settled.add(name)

    tasks = [asyncio.create_task(work(worker)) for worker in range(20)]
    await asyncio.sleep(0.01 + seed * 0.003)
    for task in tasks:
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    await journal.aclose()
    with ReadJournal.open_to_read(path) as reader:
        states = {view.key: view.state for view in reader.rows_in(*State)}
    assert {name for name, state in states.items() if state is State.UNKNOWN} <= sent - settled
    assert {name for name, state in states.items() if state is State.NOT_SENT} & sent == set()
    assert settled <= {name for name, state in states.items() if state is State.ACCEPTED} <= sent


# --- closing -------------------------------------------------------------------------------------


async def test_closing_writes_what_waits(journal: Journal, row: MakeRow, path: Path) -> None:
    taken = [await journal.take(row(str(n)), b"x") for n in range(5)]
    for one in taken:
        journal.settle_soon(one.row, 1, "accepted")
    await asyncio.gather(journal.aclose(), journal.aclose())
    await journal.aclose()
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(accepted=5)
        assert [run.ended is None for run in reader.runs()] == [False]
    assert [name.name for name in path.parent.iterdir()] == [path.name]


async def test_closed_it_takes_nothing(journal: Journal, row: MakeRow) -> None:
    taken = await journal.take(row("A-1"), b"x")
    await journal.aclose()
    for attempt in (
        journal.take(row("A-2"), b"x"),
        journal.take_again(1),
        journal.settle(taken.row, 1, "accepted"),
        journal.call(lambda store: None),
    ):
        with pytest.raises(JournalError, match="it is closed"):
            await attempt
    told: list[Any] = []
    journal.settle_soon(taken.row, 1, "accepted", lambda _, error: told.append(error))
    journal.settle_soon(taken.row, 1, "accepted")
    await asyncio.sleep(0)
    assert [type(one) for one in told] == [JournalError]


async def test_a_closing_that_is_cancelled_goes_on(journal: Journal, path: Path) -> None:
    async with Held(journal):
        task = asyncio.create_task(journal.aclose())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    await journal.aclose()
    assert [name.name for name in path.parent.iterdir()] == [path.name]


async def test_an_opening_that_is_cancelled_leaves_nothing(path: Path, job: Job) -> None:
    task = asyncio.create_task(Journal.open(path, job=job))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    threads_end()
    journal = await Journal.open(path, job=job)
    await journal.aclose()


async def test_an_opening_that_fails_leaves_nothing(path: Path, job: Job) -> None:
    path.write_bytes(b"hello, this is no database" * 100)
    for _ in range(2):
        with pytest.raises(JournalError, match="no journal"):
            await Journal.open(path, job=job)
    assert [name.name for name in path.parent.iterdir()] == [path.name]
    threads_end()


def test_a_loop_that_is_closed_under_it(
    path: Path, job: Job, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_module, "_POLL", 0.02)

    async def main() -> Journal:
        journal = await Journal.open(path, job=job)
        taken = await journal.take(row("A-1"), b"x")
        journal.settle_soon(taken.row, 1, "accepted")
        return journal

    journal = asyncio.run(main())
    journal._worker.join()
    assert counts_on_disk(path) == Counts(accepted=1)
    reopened = asyncio.run(main())  # and the next one may have it
    reopened._worker.join()


def test_a_loop_that_is_closed_while_it_writes(
    path: Path, job: Job, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken for a loop that is gone was never sent."""
    loop = asyncio.new_event_loop()
    journal = loop.run_until_complete(Journal.open(path, job=job))
    inside, go = threading.Event(), threading.Event()
    commit = Store.commit

    def slow(store: Store) -> None:
        if not inside.is_set():
            inside.set()
            assert go.wait(10)
        commit(store)

    monkeypatch.setattr(Store, "commit", slow)

    async def begin() -> None:
        journal._worker.put_take(_incoming(row("A-1")), loop.create_future())
        while not inside.is_set():
            await asyncio.sleep(0.001)

    loop.run_until_complete(begin())
    loop.close()
    go.set()
    journal._worker.join()
    assert counts_on_disk(path) == Counts(not_sent=1)
    gc.collect()


def _incoming(identity: Identity) -> Any:
    from kapture_async._core.journal.batch import Incoming

    return Incoming(identity, b"x", 1.0)


def test_several_loops(tmp_path: Path, job: Job, row: MakeRow) -> None:
    failed: list[BaseException] = []

    async def push(name: str) -> None:
        journal = await Journal.open(tmp_path / name, job=job)

        async def work(worker: int) -> None:
            for number in range(50):
                taken = await journal.take(row(f"{worker}-{number}"), b"x")
                await journal.settle(taken.row, taken.attempt, "accepted")

        await asyncio.gather(*(work(worker) for worker in range(8)))
        await journal.aclose()
        assert journal.counts == Counts(accepted=400)

    def run(name: str) -> None:
        try:
            asyncio.run(push(name))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.parametrize("how", ["closed", "open"])
def test_a_process_that_ends_without_closing(path: Path, program: Program, how: str) -> None:
    with program("unclosed", path, how, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == (b"over\n", 0), err
    assert b"journal" not in err
    assert counts_on_disk(path) == Counts(accepted=3)
    assert [name.name for name in path.parent.iterdir()] == [path.name]


def test_a_process_that_ends_while_its_loop_runs(path: Path, program: Program) -> None:
    """The loop has a thread of its own, as that of a sync client."""
    with program("running", path, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    told = out.decode().split()
    assert len(told) >= 300
    with ReadJournal.open_to_read(path) as reader:
        rows = {view.key: view.payload for view in reader.rows_in(*State)}
    assert set(told) <= set(rows)
    for key, payload in rows.items():
        assert key is not None
        assert payload == b"x" * (int(key.partition("-")[2]) % 50) or not payload


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
async def test_after_a_fork(journal: Journal, row: MakeRow) -> None:
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        words = "nothing"
        try:
            journal.take(row("A-1"), b"x").send(None)
        except JournalError as error:
            words = str(error)
        try:
            journal.aclose().send(None)
        except StopIteration:
            words += " closed"
        os.write(write, words.encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        words = pipe.read().decode()
    os.waitpid(child, 0)
    assert "it was opened before a fork" in words
    assert words.endswith("closed")
    assert (await journal.take(row("A-1"), b"x")).action == "send"


# --- broken disks --------------------------------------------------------------------------------


async def test_a_commit_that_fails(journal: Journal, row: MakeRow, path: Path) -> None:
    kept = await journal.take(row("kept"), b"x")
    await break_commits(journal)
    told: list[JournalError | None] = []
    journal.settle_soon(kept.row, 1, "accepted", lambda _, error: told.append(error))
    results = await asyncio.gather(
        *(journal.take(row(str(n)), b"x") for n in range(10)), return_exceptions=True
    )
    assert [type(result) for result in results] == [JournalError] * 10
    assert len({id(result) for result in results}) == 10
    assert {str(result) for result in results} == {str(journal.broken)}
    assert [str(error) for error in told] == [str(journal.broken)]
    assert "disk full" in str(journal.broken)
    for _ in range(2):
        with pytest.raises(JournalError, match="disk full"):
            await journal.take(row("later"), b"x")
        with pytest.raises(JournalError, match="disk full"):
            await journal.call(lambda store: None)
    await journal.aclose()
    assert counts_on_disk(path) == Counts(unknown=1)  # only what was durable before


async def test_a_mistake_in_here_sends_nothing(
    journal: Journal, row: MakeRow, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(Store, "take_many", lambda self, incoming: 1 / 0)
    with pytest.raises(JournalError, match="ZeroDivisionError"):
        await journal.take(row("A-1"), b"x")
    monkeypatch.undo()
    with pytest.raises(JournalError, match="ZeroDivisionError"):
        await journal.take(row("A-1"), b"x")
    await journal.aclose()
    assert counts_on_disk(path) == Counts()


async def test_a_full_disk(path: Path, program: Program) -> None:
    with program("limited", path, 600_000) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    words, sent = out.decode().splitlines()
    assert "disk" in words
    assert str(path) in words
    assert "Nothing was sent." in words
    with ReadJournal.open_to_read(path) as reader:
        views = {view.key: view for view in reader.rows_in(*State)}
    assert set(sent.split()) <= set(views)  # no row left without an intent
    assert len(views) > 10


async def test_a_full_disk_as_sqlite_says_it(journal: Journal, row: MakeRow) -> None:
    def limit(store: Store) -> None:
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages + 5}")

    await journal.call(limit)
    with pytest.raises(JournalError, match=r"the disk is full .*SQLITE_FULL"):
        for number in range(1000):
            await journal.take(row(str(number)), b"x" * 1000)
    assert journal.broken is not None


async def test_another_program_holds_it_locked(journal: Journal, row: MakeRow, path: Path) -> None:
    await journal.call(lambda store: store._connection.execute("PRAGMA busy_timeout = 50") and None)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="another program holds the file locked"):
            await journal.take(row("A-1"), b"x")
    finally:
        other.close()


# --- kills ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_many_times_nothing_is_sent_twice(path: Path, program: Program) -> None:
    # `JOURNAL_KILLS=2000 pytest tests/journal` for a long run.
    rounds = int(os.environ.get("JOURNAL_KILLS", "40"))
    rows, ledger = 60 * rounds, path.with_name("ledger")
    seed = time.time_ns() % 1_000_000
    with program("kills", path, ledger, rounds, rows, seed) as process:
        out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, f"seed {seed}"
    killed, known, accepted, not_sent, doubts = map(int, out.split())
    sent = Counter(line.split()[0] for line in ledger.read_text().splitlines())
    assert max(sent.values()) == 1, (seed, sent.most_common(3))
    assert killed > rounds / 4
    assert known == rows == accepted + not_sent + doubts
    assert accepted <= len(sent) <= accepted + doubts
    with ReadJournal.open_to_read(path) as reader:
        ids = {view.ticket_id for view in reader.rows_in(State.ACCEPTED)}
    assert ids <= set(sent)
