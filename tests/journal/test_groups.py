"""New rows and ends in one statement: the short way of a push through its journal."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import InvalidInputError, JournalError
from kapture_async._core.journal import owned
from kapture_async._core.journal.batch import Incoming
from kapture_async._core.journal.group import Group
from kapture_async._core.journal.names import Names
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Identity, Job, Settled, State
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.store import Store
from kapture_async._core.journal.traits import traits_of
from kapture_async._core.journal.writer import Journal

MakeRow = Callable[..., Identity]
Open = Callable[..., Store]


class Told:
    """What a push hears of its rows."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.problems: list[str] = []

    def begin(self, tokens: Any, problem: JournalError | None) -> None:
        self.begun += tokens
        self.problems += [] if problem is None else [str(problem)]

    def end(self, tokens: Any, problem: JournalError | None) -> None:
        self.ended += tokens
        self.problems += [] if problem is None else [str(problem)]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def journal(path: Path, job: Job, told: Told) -> AsyncIterator[Journal]:
    journal = await opened_by_a_push(path, job, told)
    yield journal
    await asyncio.wait_for(journal.aclose(), 10)


async def opened_by_a_push(path: Path, job: Job, told: Told) -> Journal:
    journal = await Journal.open(path, job=job, to_push=True)
    journal.listen(told.begin, told.end)
    return journal


def begin(journal: Journal, key: str | None, text: str = "hello", token: Any = None) -> int | None:
    """Its row, if it went the short way."""
    body = text.encode()
    digest = digest_of(body)
    if not journal.claim(key, digest) or not journal.reference_of_new(key, digest, len(body)):
        return None
    return journal.begin_soon(key, digest, 7, body, key if token is None else token)


async def written(journal: Journal) -> None:
    await journal.call(lambda store: None)


def on_disk(path: Path) -> dict[str | None, tuple[State, Any, Any]]:
    with ReadJournal.open_to_read(path) as reader:
        return {
            view.key: (view.state, view.ticket_id, view.payload) for view in reader.rows_in(*State)
        }


def tables(store: Store) -> dict[str, list[Any]]:
    questions = {
        "rows": "SELECT row, key, digest, occurrence, line, planned FROM rows ORDER BY row",
        "payloads": "SELECT row, payload, typeof(payload) FROM payloads ORDER BY row",
        "facts": "SELECT row, kind, attempt, at, phase, status, ticket_id, error, words, evidence "
        "FROM facts ORDER BY row, fact",
    }
    return {name: store._connection.execute(asked).fetchall() for name, asked in questions.items()}


# --- what stands in the journal ------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_KINDS = st.sampled_from(["accepted", "rejected", "not_sent", "unknown"])
_END = st.tuples(
    _KINDS,
    st.none() | st.integers(0, 5),
    st.none() | st.integers(100, 599),
    st.none() | st.just("RejectedError"),
    st.none() | _TEXT,
)
_ROW = st.tuples(
    st.none() | _TEXT.filter(bool),
    st.binary(max_size=40),
    st.none() | st.integers(1, 2**40),
    st.none() | _END,
)


@given(st.lists(_ROW, max_size=12, unique_by=lambda one: one[0] or one[1]), st.booleans())
def test_the_same_stands_there_as_on_the_long_way(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], payloads: bool
) -> None:
    folder = tmp_path_factory.mktemp("journals")
    job = Job(service="s", operation="o", target="t", place="none", payloads=payloads)
    long, short = (
        Store.open(folder / name, job=job, create=True, at=1.0) for name in ("long", "short")
    )
    try:
        with long.transaction():
            long.take_many(
                [
                    Incoming(Identity(key, digest_of(body), line), body or None, 2.25)
                    for key, body, line, _ in rows
                ]
            )
        group, later, settled = Group(2.25), Group(3.5), []
        for number, (key, body, line, end) in enumerate(rows, 1):
            kept = body if payloads else b""
            group.rows += (next(short.row_numbers), key, line, digest_of(body), kept)
            group.rows += (traits_of(body), None)
            if end is None:
                continue
            kind, phase, status, error, words = end
            if kind == "accepted":
                later.accepted += (number, 1, words, None)
                settled.append(Settled(number, 1, kind, 3.5, ticket_id=words))
            else:
                later.ended += (number, 1, kind, phase, status, error, words, None)
                settled.append(Settled(number, 1, kind, 3.5, phase, status, None, error, words))
        with long.transaction():
            assert not any(long.settle_many(settled))
        short.put(group)
        short.put(later)
        assert tables(short) == tables(long)
        assert short.counts() == long.counts()
        assert short.under_way == long.under_way
        with ReadJournal.open_to_read(short.path) as reader:
            assert reader.counts() == short.counts()
    finally:
        long.close()
        short.close()


async def test_rows_and_ends_are_told_when_they_are_durable(
    journal: Journal, told: Told, path: Path
) -> None:
    rows = [begin(journal, f"A-{number}", f"text {number}") for number in range(5)]
    assert rows == [1, 2, 3, 4, 5]
    assert told.begun == []
    await written(journal)
    assert told.begun == [f"A-{number}" for number in range(5)]
    assert on_disk(path)["A-3"] == (State.UNKNOWN, None, b"text 3")
    assert journal.under_way == 5
    journal.accept_soon("first", 1, 1, "991")
    journal.end_soon("second", 2, 1, "rejected", status=400, error="RejectedError", words="no")
    journal.end_soon(None, 3, 1, "not_sent")
    await written(journal)
    assert told.ended == ["first", "second"]
    assert on_disk(path)["A-0"] == (State.ACCEPTED, "991", None)  # and its content is gone
    assert on_disk(path)["A-1"] == (State.REJECTED, None, b"text 1")
    assert journal.counts == Counts(accepted=1, rejected=1, not_sent=1, unknown=2)
    assert told.problems == []


async def test_the_time_is_that_of_the_hand_over(path: Path, job: Job, told: Told) -> None:
    """Also of what is written last, when the thread is told to end."""
    times = iter(range(100, 200))
    journal = await Journal.open(path, job=job, now=lambda: float(next(times)), to_push=True)
    journal.listen(told.begin, told.end)
    begin(journal, "A-1")
    await written(journal)
    begin(journal, "A-2")
    journal.accept_soon("end", 1, 1, None)
    await journal.aclose()
    with ReadJournal.open_to_read(path) as reader:
        views = list(reader.rows_in(*State))
    assert all(100 < view.at < 200 for view in views)
    assert views[0].at > views[0].sent_at >= 100


async def test_ends_need_nobody_to_ask(journal: Journal, told: Told) -> None:
    begin(journal, "A-1")
    while not told.begun:
        await asyncio.sleep(0.001)
    journal.accept_soon("end", 1, 1, None)
    while not told.ended:
        await asyncio.sleep(0.001)


async def test_a_group_is_one_statement(journal: Journal, told: Told) -> None:
    said: list[str] = []
    journal._store._marking = False  # what it leaves outside the file is another matter
    journal._store._connection.set_trace_callback(said.append)
    for number in range(300):
        begin(journal, str(number))
    journal._worker.ask()
    while len(told.begun) < 300:
        await asyncio.sleep(0.001)
    journal._store._connection.set_trace_callback(None)
    # It is told of once more for each of its trigger's; the transaction is its own.
    assert {one.partition("(")[0] for one in said} == {"INSERT INTO new_group "}


# --- which rows go which way ---------------------------------------------------------------------


async def test_what_may_be_known_is_looked_up(journal: Journal, row: MakeRow, told: Told) -> None:
    assert begin(journal, "A-1") == 1
    assert begin(journal, "A-1") is None
    answers: list[Any] = []
    journal.take_soon(row("A-1"), b"x", lambda _, taken, error: answers.append(taken.action))
    assert begin(journal, None, "ping", token=1) == 2
    assert begin(journal, None, "ping", token=2) is None
    journal.take_soon(
        row(None, "ping"), b"ping", lambda _, taken, error: answers.append(taken.action)
    )
    await written(journal)
    assert answers == ["repeated", "send"]  # equal contents are counted; equal keys are not
    assert journal.counts == Counts(unknown=3)


async def test_rows_are_told_in_the_order_they_came(
    journal: Journal, row: MakeRow, told: Told
) -> None:
    def hear(token: Any, taken: Any, error: Any) -> None:
        told.begun.append(token)

    for turn in range(3):  # groups that are joined, too
        for number in range(4):
            name = f"{turn}-{number}"
            if number in {0, 2}:
                journal.take_soon(row(name), b"x", hear, name)
            else:
                assert begin(journal, name)
        journal._worker._hand_over()
    await written(journal)
    assert told.begun == [f"{turn}-{number}" for turn in range(3) for number in range(4)]


async def test_a_row_that_was_refused_is_no_new_one(
    journal: Journal, row: MakeRow, told: Told
) -> None:
    refused = row("A-1")
    new = journal.claim(refused.key, refused.digest)
    why = ("InvalidInputError", "no title")
    journal.take_soon(refused, None, lambda *_: None, refusal=why, new=new)
    assert begin(journal, "A-1") is None
    await written(journal)
    assert journal.counts == Counts(not_sent=1)


@pytest.mark.parametrize("how", ["take", "refuse"])
async def test_nor_is_one_that_was_taken_alone(journal: Journal, row: MakeRow, how: str) -> None:
    if how == "take":
        await journal.take(row("A-1"), b"x")
    else:
        await journal.refuse(row("A-1"), b"x", "InvalidInputError", "no title")
    assert begin(journal, "A-1") is None
    assert begin(journal, "A-2") == 2


async def test_names_that_no_row_can_have(journal: Journal) -> None:
    for key in ("", "\udc80"):
        with pytest.raises(InvalidInputError):
            begin(journal, key)
    await written(journal)
    assert journal.counts.rows == 0


async def test_large_rows_go_alone(journal: Journal) -> None:
    assert begin(journal, "larger", "x" * 16_385) is None
    assert begin(journal, "large", "x" * 16_384) == 1


async def test_texts_that_would_be_cut_go_the_long_way(
    journal: Journal, row: MakeRow, told: Told
) -> None:
    """SQLite takes a NUL for the end of a text when it reads JSON."""
    assert begin(journal, "A\0one") is None
    first = await journal.take(row("A\0one"), b"x")
    second = await journal.take(row("A\0two"), b"x")
    assert (first.action, second.action) == ("send", "send")
    journal.end_soon("end", first.row, 1, "rejected", error="RejectedError", words="no\0way")
    await written(journal)
    journal.accept_soon("other", second.row, 1, "9\0")
    await written(journal)
    (kept,) = await journal.call(lambda store: list(store.rows_in(State.REJECTED)))
    assert (kept.key, kept.words) == ("A\0one", "no\0way")
    (kept,) = await journal.call(lambda store: list(store.rows_in(State.ACCEPTED)))
    assert (kept.key, kept.ticket_id) == ("A\0two", "9\0")
    assert told.ended == ["end", "other"]


async def test_words_that_are_no_unicode(journal: Journal) -> None:
    begin(journal, "ключ ✓")
    begin(journal, "other")
    await written(journal)
    journal.accept_soon("end", 2, 1, "№ \udc80")
    journal.end_soon(None, 1, 1, "rejected", error="RejectedError", words="no \udc80 \U0001f600")
    await written(journal)
    (kept,) = await journal.call(lambda store: list(store.rows_in(State.REJECTED)))
    assert (kept.key, kept.words) == ("ключ ✓", "no ? \U0001f600")
    (kept,) = await journal.call(lambda store: list(store.rows_in(State.ACCEPTED)))
    assert (kept.key, kept.ticket_id) == ("other", "№ ?")


async def test_a_digest_of_another_length(journal: Journal, told: Told, path: Path) -> None:
    """The ones behind it would be cut at the wrong places."""
    with pytest.raises(ValueError, match="16 bytes"):
        await journal.take(Identity("A-1", b"short"), b"x")
    journal.begin_soon("A-1", b"short", None, b"x", "token")
    while not told.begun:
        await asyncio.sleep(0.001)
    assert "length" in told.problems[0]
    await journal.aclose()
    assert on_disk(path) == {}


async def test_a_later_run_knows_the_rows_of_earlier_ones(
    path: Path, job: Job, row: MakeRow, told: Told
) -> None:
    journal = await opened_by_a_push(path, job, told)
    for key in ("A-1", None):
        begin(journal, key, "hello", token=key or "none")
    await journal.aclose()
    journal = await opened_by_a_push(path, job, told)
    assert begin(journal, "A-1", "other") is None
    assert begin(journal, None, "hello") is None
    assert begin(journal, "A-2", "hello") is None  # the one without a key, under another name?
    assert begin(journal, None, "other", token=1) == 3
    assert begin(journal, "A-3", "another") == 4
    assert (await journal.take(row("A-2", "hello"), b"hello")).action == "renamed"
    await journal.aclose()


def test_a_filter_gives_no_wrong_no() -> None:
    names = Names()
    keys = [str(number) for number in range(20_000)]
    new = [name for name in keys if names.add(name)]
    assert len(new) > 19_900
    assert all(name in names for name in keys)
    assert not any(names.add(name) for name in keys)
    assert sum(f"other {name}" in names for name in keys) < 100


async def test_a_filter_that_is_full_is_only_slow(journal: Journal, row: MakeRow) -> None:
    assert journal._names is not None
    bits = journal._names._bits
    bits[:] = b"\xff" * len(bits)
    assert begin(journal, "A-1") is None
    assert (await journal.take(row("A-1"), b"x")).action == "send"
    assert (await journal.take(row("A-1"), b"x")).action == "repeated"


# --- when it cannot be written -------------------------------------------------------------------


async def test_a_full_disk(journal: Journal, told: Told, path: Path) -> None:
    begin(journal, "kept")
    await written(journal)

    def refuse(store: Store) -> None:
        store._connection.execute(
            "CREATE TEMP TRIGGER full BEFORE DELETE ON main.payloads BEGIN "
            "SELECT raise(ROLLBACK, 'disk full'); END"
        )

    await journal.call(refuse)
    for number in range(3):  # the last thing a group does fails: nothing of it may stay
        begin(journal, str(number))
    journal.accept_soon("kept", 1, 1, None)
    journal._worker.ask()
    while not told.ended:
        await asyncio.sleep(0.001)
    assert told.begun == ["kept", "0", "1", "2"]
    assert len(told.problems) == 2
    assert all("disk full" in problem for problem in told.problems)
    with pytest.raises(JournalError, match="disk full"):
        begin(journal, "later")
    journal.accept_soon("late", 1, 1, None)
    await asyncio.sleep(0)
    assert told.ended == ["kept", "late"]
    await journal.aclose()
    assert on_disk(path) == {"kept": (State.UNKNOWN, None, b"hello")}


async def test_a_run_that_began_meanwhile(journal: Journal, told: Told, path: Path) -> None:
    """The lock file was deleted, say, or the disk is another machine's as well."""
    begin(journal, "kept")
    await written(journal)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("INSERT INTO runs (began, pid, host) VALUES (1.0, 1, 'elsewhere')")
    other.close()
    begin(journal, "later")
    while len(told.begun) < 2:
        await asyncio.sleep(0.001)
    assert "another process has begun to push with it" in told.problems[0]
    assert set(on_disk(path)) == {"kept"}


async def test_an_end_of_nothing_breaks_it(journal: Journal, told: Told, path: Path) -> None:
    begin(journal, "A-1")
    await written(journal)
    journal.accept_soon("twice", 1, 2, None)
    journal._worker.ask()
    while not told.ended:
        await asyncio.sleep(0.001)
    assert "not under way" in told.problems[0]
    assert on_disk(path)["A-1"][0] is State.UNKNOWN


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ([(1, 1, "rejected"), (1, 1, "rejected")], "row 1"),
        ([(2, 1, "present")], "a way that is none"),
        ([(2, 1, "intent")], "a way that is none"),
        ([(2, 1, "accepted")], "a way that is none"),  # its payload would stay
    ],
)
async def test_ends_that_are_none(
    journal: Journal, told: Told, path: Path, ends: list[tuple[int, int, str]], words: str
) -> None:
    begin(journal, "A-1")
    begin(journal, "A-2")
    await written(journal)
    for number, (row, attempt, kind) in enumerate(ends):
        journal.end_soon(f"end {number}", row, attempt, kind)
    journal._worker.ask()
    while not told.ended:
        await asyncio.sleep(0.001)
    assert words in told.problems[0]
    assert journal.under_way == 2
    assert journal.counts == Counts(unknown=2)
    await journal.aclose()
    assert {state for state, *_ in on_disk(path).values()} == {State.UNKNOWN}


async def test_an_sqlite_that_reads_no_json(
    path: Path, job: Job, row: MakeRow, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned, "prepare_groups", lambda connection: False)
    journal = await opened_by_a_push(path, job, told)
    assert begin(journal, "A-1") is None
    taken = await journal.take(row("A-1"), b"x")
    journal.accept_soon("end", taken.row, 1, "9")
    await written(journal)
    assert told.ended == ["end"]
    await journal.aclose()
    assert on_disk(path) == {"A-1": (State.ACCEPTED, "9", None)}


def test_a_loop_that_is_closed_while_it_writes(
    path: Path, job: Job, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun for a loop that is gone was never sent; what ended stays ended."""
    loop = asyncio.new_event_loop()
    journal = loop.run_until_complete(opened_by_a_push(path, job, told))
    inside, go = threading.Event(), threading.Event()
    put = Store.put

    def slow(store: Store, group: Group) -> None:
        put(store, group)
        if 2 in group.rows[:: Group.ROW]:
            inside.set()
            assert go.wait(10)

    monkeypatch.setattr(Store, "put", slow)

    async def work() -> None:
        begin(journal, "ended")
        await written(journal)
        begin(journal, "never sent")
        while not inside.is_set():
            await asyncio.sleep(0.001)
        journal.accept_soon("end", 1, 1, None)
        begin(journal, "never written")

    loop.run_until_complete(work())
    loop.close()
    go.set()
    journal._worker.join()
    states = {key: state for key, (state, *_) in on_disk(path).items()}
    assert states == {"ended": State.ACCEPTED, "never sent": State.NOT_SENT}
