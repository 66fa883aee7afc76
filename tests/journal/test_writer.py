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
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from kapture_async import InvalidInputError, JournalError
from kapture_async._core.journal import thread as thread_module
from kapture_async._core.journal import writer as writer_module
from kapture_async._core.journal.decisions import Decisions
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Identity, Job, State
from kapture_async._core.journal.session import Session
from kapture_async._core.journal.sqlite.storage import SQLiteStorage
from kapture_async._core.journal.storage import NewRow, WriteBatch
from kapture_async._core.journal.writer import Journal

from ..driven import Pusher, sql

MakeRow = Callable[..., Identity]
Program = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
async def journal(path: Path, job: Job) -> AsyncIterator[Journal]:
    journal = await Journal.open(path, job=job, to_push=True)
    yield journal
    await asyncio.wait_for(journal.aclose(), 10)
    threads_end()


@pytest.fixture
async def pusher(journal: Journal) -> Pusher:
    return Pusher(journal)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each batch that is written."""
    written: list[int] = []
    write = SQLiteStorage.write

    def noted(storage: SQLiteStorage, batch: Any) -> Any:
        written.append(batch.count + len(batch.accepted) // 4 + len(batch.events) // 11)
        return write(storage, batch)

    monkeypatch.setattr(SQLiteStorage, "write", noted)
    return written


class Held:
    """Holds the journal's thread up, so that what is put meanwhile is one group."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._go = threading.Event()

    async def __aenter__(self) -> Held:
        entered = threading.Event()

        def hold(session: Session) -> None:
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

    def refuse(session: Session) -> None:
        sql(
            session,
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.events BEGIN "
            "SELECT raise(ROLLBACK, 'disk full'); END",
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


# --- rows and results ----------------------------------------------------------------------------


async def test_an_intent_is_on_the_disk_before_it_is_given_out(
    journal: Journal, pusher: Pusher, row: MakeRow, path: Path
) -> None:
    taken = await pusher.take(row("A-1"), b"x")
    assert (taken.action, taken.attempt) == ("send", 1)
    assert counts_on_disk(path) == journal.counts == Counts(unknown=1)
    await pusher.end(taken.row, 1, "accepted", ticket_id="9")
    assert counts_on_disk(path) == journal.counts == Counts(accepted=1)


async def test_what_waits_shares_a_commit(
    journal: Journal, pusher: Pusher, row: MakeRow, commits: list[int]
) -> None:
    async with Held(journal):
        tasks = []
        for n in range(100):
            tasks.append(pusher.take(row(str(n)), b"x"))
            await asyncio.sleep(0)
    taken = await asyncio.gather(*tasks)
    assert len(commits) == 1
    assert [one.row for one in taken] == list(range(1, 101))
    ends = [pusher.end(one.row, 1, "rejected", words="no") for one in taken]
    await journal.call(lambda session: None)
    assert commits == [100, 100]
    assert all(end.done() for end in ends)
    assert journal.counts == Counts(rejected=100)


async def test_one_turn_of_the_loop_is_one_commit(
    pusher: Pusher, row: MakeRow, commits: list[int]
) -> None:
    """Whatever comes in it: new rows, known ones, refused ones, results."""
    taken = await asyncio.gather(*(pusher.take(row(str(n)), b"x") for n in range(10)))
    assert commits == [10]
    await asyncio.gather(
        *(pusher.take(row(str(n)), b"x") for n in range(5, 15)),
        pusher.take(row("refused"), None, refusal=("InvalidInputError", "no title")),
        *(pusher.end(one.row, 1, "not_sent") for one in taken),
        *(pusher.take(one.row) for one in taken),
    )
    assert len(commits) == 2


async def test_large_rows_are_handed_over_by_themselves(
    journal: Journal, pusher: Pusher, row: MakeRow, monkeypatch: pytest.MonkeyPatch,
    commits: list[int], path: Path,
) -> None:  # fmt: skip
    for module in (thread_module, writer_module):
        monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    async with Held(journal):
        tasks = [pusher.take(row(str(n)), bytes([n]) * 70_000) for n in range(10)]
    await asyncio.gather(*tasks)
    assert len(commits) > 3
    with ReadJournal.open_to_read(path) as reader:
        payloads = dict(reader.payloads_of(State.UNKNOWN))
    assert payloads == {n + 1: bytes([n]) * 70_000 for n in range(10)}


async def test_results_come_before_rows(journal: Journal, pusher: Pusher, row: MakeRow) -> None:
    taken = await pusher.take(row("A-1"), b"x")
    async with Held(journal):
        again = asyncio.create_task(journal.submit_and_wait(taken.row))
        await asyncio.sleep(0)
        pusher.end(taken.row, 1, "not_sent")
    assert (await again).attempt == 2


async def test_the_order_holds_over_several_turns(
    journal: Journal, pusher: Pusher, row: MakeRow
) -> None:
    """What is put while the thread is busy: no call and no row overtakes a result put before it."""
    taken = await pusher.take(row("A-1"), b"x")
    states: list[Counts] = []
    async with Held(journal):
        pusher.end(taken.row, 1, "not_sent")
        await asyncio.sleep(0.02)
        again = asyncio.create_task(journal.submit_and_wait(taken.row))
        await asyncio.sleep(0.001)
        call = asyncio.create_task(journal.call(lambda session: states.append(session.counts())))
        await asyncio.sleep(0.001)
    assert ((await again).action, (await again).attempt) == ("send", 2)
    await call
    assert states == [Counts(unknown=1)]


async def test_a_wrong_row_harms_no_other(journal: Journal, pusher: Pusher, row: MakeRow) -> None:
    good = pusher.take(row("good"), b"x")
    for key in ("", "\ud800"):
        with pytest.raises(InvalidInputError):
            pusher.take(row(key), b"x")
    with pytest.raises(JournalError, match="no row 99"):
        await journal.submit_and_wait(99)
    assert (await good).action == "send"
    assert journal.broken is None
    assert journal.counts == Counts(unknown=1)


async def test_an_observer_that_fails(
    journal: Journal, pusher: Pusher, row: MakeRow, caplog: pytest.LogCaptureFixture
) -> None:
    told = pusher._answered
    journal.listen(lambda *_: 1 / 0, pusher._ended)  # type: ignore[arg-type, return-value]
    pusher.take(row("A-1"))
    await journal.call(lambda session: None)
    journal.listen(told, pusher._ended)
    assert (await pusher.take(row("A-2"), b"x")).action == "send"
    assert "a callback of the journal failed" in caplog.text


async def test_call(journal: Journal, pusher: Pusher, row: MakeRow) -> None:
    await pusher.end((await pusher.take(row("A-1"), b"x")).row, 1, "unknown")

    def both(session: Session) -> list[str]:
        session.verdict(1, "absent", 1.0)
        return [view.key or "" for view in session.rows_in(State.NOT_SENT)]

    assert await journal.call(both) == ["A-1"]
    assert journal.counts == Counts(not_sent=1)


class Rival:
    """Another run, which begins rows between the moment at which the first one looks them up and
    that at which it writes them. As in a storage that several runs share, they are lost then."""

    def __init__(self, rows: dict[str, tuple[str, str | None]]) -> None:
        self.rows = rows
        self.write = SQLiteStorage.write

    def __call__(self, storage: SQLiteStorage, batch: WriteBatch) -> Collection[int]:
        lost = {}
        for at in range(0, len(batch.rows), WriteBatch.ROW):
            row, key = batch.rows[at : at + 2]
            if key in self.rows:
                lost[row] = key, batch.rows[at + 3]
        for new in batch.new_rows:
            if new.key in self.rows:
                lost[new.row] = new.key, new.digest
        left = WriteBatch(batch.at)
        left.accepted, left.revised = batch.accepted, batch.revised
        left.events = [
            value
            for at in range(0, len(batch.events), WriteBatch.EVENT)
            if batch.events[at] not in lost
            for value in batch.events[at : at + WriteBatch.EVENT]
        ]
        left.payloads = {row: body for row, body in batch.payloads.items() if row not in lost}
        left.rows = [
            value
            for at in range(0, len(batch.rows), WriteBatch.ROW)
            if batch.rows[at] not in lost
            for value in batch.rows[at : at + WriteBatch.ROW]
        ]
        left.new_rows = [new for new in batch.new_rows if new.row not in lost]
        for key, digest in lost.values():
            kind, ticket_id = self.rows.pop(key)
            (row,) = storage.reserve(1)
            left.new_rows.append(NewRow(row, key, None, digest, b"", 0))
            if kind != "intent":
                left.events += (row, kind, 1, 2.0, None, None, ticket_id, None, None, None, None)
        if left:
            self.write(storage, left)
        return lost


async def test_rows_that_another_run_has_before(
    journal: Journal, pusher: Pusher, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are decided like any other known row: nothing of them is sent."""
    rival = Rival({"2": ("intent", None), "4": ("accepted", "77"), "6": ("rejected", None)})
    monkeypatch.setattr(SQLiteStorage, "write", lambda *args: rival(*args))
    taken = [pusher.take(row(str(number)), b"x") for number in range(1, 6)]
    found = await asyncio.gather(*taken)
    assert [one.action for one in found] == ["send", "elsewhere", "send", "done", "send"]
    assert found[1].state is State.UNKNOWN
    assert found[3].ticket_id == "77"
    refused = await pusher.take(row("6"), refusal=("InvalidInputError", "no title"))
    assert (refused.action, refused.words) == ("refused", "no title")
    # The other run sends the one row, and another refuses it.
    assert (await pusher.take(row("2"), b"x")).action == "repeated"
    assert journal.broken is None
    assert journal.counts == Counts(accepted=1, unknown=4, not_sent=1)
    for one in (found[0], found[2], found[4]):
        await pusher.end(one.row, 1, "accepted")
    assert await journal.call(ReadJournal.counts) == Counts(accepted=4, unknown=1, not_sent=1)


# --- cancellation --------------------------------------------------------------------------------


@pytest.fixture
async def deferred(pusher: Pusher, row: MakeRow) -> int:
    """A row that is to be tried once more."""
    await pusher.take(row("A-1"), b"x")
    await pusher.end(1, 1, "not_sent")
    return 1


async def test_a_retry_cancelled_before_it_was_written(journal: Journal, deferred: int) -> None:
    async with Held(journal):
        task = asyncio.create_task(journal.submit_and_wait(deferred))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert (await journal.submit_and_wait(deferred)).attempt == 2


async def test_a_retry_cancelled_while_it_is_written(
    journal: Journal, deferred: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go = threading.Event(), threading.Event()
    write = SQLiteStorage.write

    def slow(storage: SQLiteStorage, batch: Any) -> Any:
        inside.set()
        assert go.wait(10)
        return write(storage, batch)

    monkeypatch.setattr(SQLiteStorage, "write", slow)
    task = asyncio.create_task(journal.submit_and_wait(deferred))
    while not inside.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task})
    go.set()
    assert task.cancelled()
    await journal.aclose()
    assert counts_on_disk(path) == Counts(not_sent=1)  # and no doubt


async def test_a_retry_cancelled_when_its_answer_is_there(
    journal: Journal, pusher: Pusher, row: MakeRow, deferred: int, path: Path
) -> None:
    """The answer stands in the future, and the task is cancelled before it can read it."""
    async with Held(journal):
        task = asyncio.create_task(journal.submit_and_wait(deferred))
        await asyncio.sleep(0)
        # Answers come in the order of the rows: this one behind it, in the same turn.
        journal.listen(lambda *_: task.cancel(), pusher._ended)
        journal.submit("token", deferred)
    await asyncio.wait({task})
    assert task.cancelled()
    await journal.aclose()
    assert counts_on_disk(path) == Counts(not_sent=1)


@pytest.mark.parametrize("seed", range(6))
async def test_cancelled_anywhere(
    journal: Journal, pusher: Pusher, row: MakeRow, path: Path, seed: int
) -> None:
    """Whoever is cut off, only rows that may have left this machine are in doubt."""
    sent: set[str] = set()
    ended: set[str] = set()

    async def work(worker: int) -> None:
        for number in range(1000):
            name = f"{worker}-{number}"
            taken = await pusher.take(row(name), b"x")
            await pusher.end(taken.row, taken.attempt, "not_sent")
            again = await journal.submit_and_wait(taken.row)
            sent.add(name)
            await asyncio.sleep(0)
            await pusher.end(again.row, again.attempt, "accepted")
            ended.add(name)

    tasks = [asyncio.create_task(work(worker)) for worker in range(20)]
    await asyncio.sleep(0.03 + seed * 0.005)
    for task in tasks:
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(tasks)
    await journal.aclose()
    with ReadJournal.open_to_read(path) as reader:
        views = list(reader.rows_in(*State))
    states = {view.key: view.state for view in views}
    # A first attempt that nobody waits for any more is for its listener to end: as a push does.
    first = {view.key for view in views if view.attempts == 1}
    unknown = {name for name, state in states.items() if state is State.UNKNOWN} - first
    assert unknown <= sent - ended
    assert {name for name, state in states.items() if state is State.NOT_SENT} & sent == set()
    assert ended <= {name for name, state in states.items() if state is State.ACCEPTED} <= sent


# --- closing -------------------------------------------------------------------------------------


async def test_closing_writes_what_waits(
    journal: Journal, pusher: Pusher, row: MakeRow, path: Path
) -> None:
    taken = [await pusher.take(row(str(n)), b"x") for n in range(5)]
    for one in taken:
        pusher.end(one.row, 1, "accepted")
    await asyncio.gather(journal.aclose(), journal.aclose())
    await journal.aclose()
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(accepted=5)
        assert [run.ended is None for run in reader.runs()] == [False]
    assert [name.name for name in path.parent.iterdir()] == [path.name]


async def test_closed_it_takes_nothing(journal: Journal, pusher: Pusher, row: MakeRow) -> None:
    taken = await pusher.take(row("A-1"), b"x")
    await journal.aclose()
    for attempt in (journal.submit_and_wait(1), journal.call(lambda session: None)):
        with pytest.raises(JournalError, match="it is closed"):
            await attempt
    with pytest.raises(JournalError, match="it is closed"):
        pusher.take(row("A-2"))
    with pytest.raises(JournalError, match="it is closed"):
        await pusher.end(taken.row, 1, "accepted")
    journal.accept(None, taken.row, 1, None)  # and nobody to be told


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
        with pytest.raises(JournalError, match="not a journal"):
            await Journal.open(path, job=job)
    assert [name.name for name in path.parent.iterdir()] == [path.name]
    threads_end()


def test_a_loop_that_is_closed_under_it(
    path: Path, job: Job, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_module, "_POLL", 0.02)

    journals: list[Journal] = []

    async def main() -> Journal:
        journal = await Journal.open(path, job=job)
        pusher = Pusher(journal)
        taken = await pusher.take(row(str(len(journals))), b"x")
        pusher.end(taken.row, 1, "accepted")
        journals.append(journal)
        return journal

    asyncio.run(main())
    threads_end()
    assert counts_on_disk(path) == Counts(accepted=1)
    asyncio.run(main())  # and the next one may have it
    threads_end()
    assert counts_on_disk(path) == Counts(accepted=2)


@pytest.mark.parametrize("known", [True, False])
def test_a_loop_that_is_closed_while_it_writes(
    path: Path, job: Job, row: MakeRow, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """What was begun for a loop that is gone was never sent; what ended stays ended."""
    loop = asyncio.new_event_loop()
    journal = loop.run_until_complete(Journal.open(path, job=job, to_push=not known))
    inside, go = threading.Event(), threading.Event()
    write = SQLiteStorage.write

    def slow(storage: SQLiteStorage, batch: Any) -> Any:
        found = write(storage, batch)
        if journal.counts.accepted == 0 and not inside.is_set() and waits:
            inside.set()
            assert go.wait(10)
        return found

    waits: list[bool] = []
    monkeypatch.setattr(SQLiteStorage, "write", slow)

    async def work() -> None:
        pusher = Pusher(journal)
        await pusher.take(row("ended"))
        waits.append(True)
        pusher.take(row("never sent"))
        while not inside.is_set():
            await asyncio.sleep(0.001)
        pusher.end(1, 1, "accepted")
        pusher.take(row("never written"))

    loop.run_until_complete(work())
    loop.close()
    go.set()
    threads_end()
    with ReadJournal.open_to_read(path) as reader:
        states = {view.key: view.state for view in reader.rows_in(*State)}
    assert states == {"ended": State.ACCEPTED, "never sent": State.NOT_SENT}
    gc.collect()


def test_several_loops(tmp_path: Path, job: Job, row: MakeRow) -> None:
    failed: list[BaseException] = []

    async def push(name: str) -> None:
        journal = await Journal.open(tmp_path / name, job=job, to_push=True)
        pusher = Pusher(journal)

        async def work(worker: int) -> None:
            for number in range(50):
                taken = await pusher.take(row(f"{worker}-{number}"), b"x")
                await pusher.end(taken.row, taken.attempt, "accepted")

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
async def test_after_a_fork(journal: Journal, pusher: Pusher, row: MakeRow) -> None:
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        words = "nothing"
        try:
            pusher.take(row("A-1"), b"x")
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
    assert (await pusher.take(row("A-1"), b"x")).action == "send"


# --- broken disks --------------------------------------------------------------------------------


async def test_a_commit_that_fails(
    journal: Journal, pusher: Pusher, row: MakeRow, path: Path
) -> None:
    kept = await pusher.take(row("kept"), b"x")
    await break_commits(journal)
    end = pusher.end(kept.row, 1, "accepted")
    results = await asyncio.gather(
        *(pusher.take(row(str(n)), b"x") for n in range(10)), return_exceptions=True
    )
    assert [type(result) for result in results] == [JournalError] * 10
    assert {str(result) for result in results} == {str(journal.broken)}
    assert str(end.exception()) == str(journal.broken)
    assert "disk full" in str(journal.broken)
    for _ in range(2):
        with pytest.raises(JournalError, match="disk full"):
            await pusher.take(row("later"), b"x")
        with pytest.raises(JournalError, match="disk full"):
            await journal.call(lambda session: None)
    await journal.aclose()
    assert counts_on_disk(path) == Counts(unknown=1)  # only what was durable before


async def test_a_mistake_in_here_sends_nothing(
    journal: Journal, pusher: Pusher, row: MakeRow, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(Decisions, "apply", lambda self, lost: 1 / 0)
    monkeypatch.setattr(SQLiteStorage, "write", lambda self, batch: ())
    with pytest.raises(JournalError, match="ZeroDivisionError"):
        await pusher.take(row("A-1"), b"x")
    monkeypatch.undo()
    with pytest.raises(JournalError, match="ZeroDivisionError"):
        await pusher.take(row("A-1"), b"x")
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


async def test_a_full_disk_as_sqlite_says_it(
    journal: Journal, pusher: Pusher, row: MakeRow
) -> None:
    def limit(session: Session) -> None:
        ((pages,),) = sql(session, "PRAGMA page_count")
        sql(session, f"PRAGMA max_page_count = {pages + 5}")

    await journal.call(limit)
    with pytest.raises(JournalError, match=r"the disk is full .*SQLITE_FULL"):
        for number in range(1000):
            await pusher.take(row(str(number)), b"x" * 1000)
    assert journal.broken is not None


async def test_another_program_holds_it_locked(
    journal: Journal, pusher: Pusher, row: MakeRow, path: Path
) -> None:
    await journal.call(lambda session: sql(session, "PRAGMA busy_timeout = 50"))
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="another program has locked the file"):
            await pusher.take(row("A-1"), b"x")
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
