"""New rows and results, as a push gives them: what stands in the journal, and who is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import InvalidInputError, JournalError
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Identity, Job, State
from kapture_async._core.journal.reference import digest_of, traits_of
from kapture_async._core.journal.run_state import SeenNames
from kapture_async._core.journal.session import Session
from kapture_async._core.journal.writer import Journal

from ..driven import Driven, Pusher, sql

MakeRow = Callable[..., Identity]
Open = Callable[..., Driven]


class Told:
    """What a push hears of its rows."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.rows: list[int] = []
        self.actions: list[str] = []
        self.ended: list[Any] = []
        self.problems: list[str] = []

    def answer(self, tokens: Any, answers: Any) -> None:
        self.begun += tokens
        for answer in answers:
            if isinstance(answer, JournalError):
                self.problems.append(str(answer))
            else:
                self.rows.append(answer.row)
                self.actions.append(answer.action)

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
    journal.listen(told.answer, told.end)
    return journal


def begin(journal: Journal, key: str | None, text: str = "hello", token: Any = None) -> bool:
    """Whether it is surely new."""
    body = text.encode()
    return journal.submit(key if token is None else token, Identity(key, digest_of(body), 7), body)


async def written(journal: Journal) -> None:
    await journal.call(lambda session: None)


def on_disk(path: Path) -> dict[str | None, tuple[State, Any, Any]]:
    with ReadJournal.open_to_read(path) as reader:
        return {
            view.key: (view.state, view.ticket_id, view.payload) for view in reader.rows_in(*State)
        }


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


@given(
    st.lists(_ROW, max_size=12, unique_by=lambda one: one[0] or one[1]),
    st.booleans(),
    st.booleans(),
)
def test_what_was_said_stands_there(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], payloads: bool, known: bool
) -> None:
    """Whether the rows are surely new, or had to be looked up."""
    path = tmp_path_factory.mktemp("journals") / "journal"
    job = Job(service="s", operation="o", target="t", place="none", payloads=payloads)
    journal = Driven(path, job=job)
    patch = pytest.MonkeyPatch()
    if known:
        patch.setattr(SeenNames, "claim", lambda names, key, digest: False)
    try:
        identities = [(Identity(key, digest_of(body), line), body) for key, body, line, _ in rows]
        taken = journal.take_many(identities, at=2.25)
        assert [one.row for one in taken] == list(range(1, len(rows) + 1))
        ends = []
        for number, (*_, end) in enumerate(rows, 1):
            if end is not None:
                kind, phase, status, error, words = end
                more = {"phase": phase, "status": status, "error": error, "words": words}
                more = {"ticket_id": words} if kind == "accepted" else more
                ends.append((number, 1, kind, more))
        journal.end_many(ends, at=3.5)
        with ReadJournal.open_to_read(path) as reader:
            views = list(reader.rows_in(*State))
            assert reader.counts() == journal.counts()
            traits = {one.row: one.traits for one in reader.compared(0, 100)}
    finally:
        patch.undo()
        journal.close()
    for view, decided, (key, body, line, end) in zip(views, taken, rows, strict=True):
        kept = payloads and body and (end is None or end[0] != "accepted")
        assert (view.key, view.line, view.reference) == (key, line, decided.reference)
        assert view.payload == (body if kept else None)
        assert traits[view.row] == traits_of(body)
        assert (view.sent_at, view.attempts) == (2.25, 1)
        if end is None:
            assert (view.kind, view.at) == ("intent", 2.25)
            continue
        kind, _, status, error, words = end
        assert (view.kind, view.at) == (kind, 3.5)
        if kind == "accepted":
            status = error = None
            assert (view.ticket_id, view.words) == (words, None)
        else:
            assert (view.ticket_id, view.words) == (None, words)
        assert (view.status, view.error) == (status, error)


async def test_rows_and_ends_are_told_when_they_are_durable(
    journal: Journal, told: Told, path: Path
) -> None:
    assert all(begin(journal, f"A-{number}", f"text {number}") for number in range(5))
    assert told.begun == []
    await written(journal)
    assert told.begun == [f"A-{number}" for number in range(5)]
    assert told.rows == [1, 2, 3, 4, 5]
    assert on_disk(path)["A-3"] == (State.UNKNOWN, None, b"text 3")
    journal.accept("first", 1, 1, "991")
    journal.end("second", 2, 1, "rejected", status=400, error="RejectedError", words="no")
    journal.end(None, 3, 1, "not_sent")
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
    journal.listen(told.answer, told.end)
    begin(journal, "A-1")
    await written(journal)
    begin(journal, "A-2")
    journal.accept("end", 1, 1, None)
    await journal.aclose()
    with ReadJournal.open_to_read(path) as reader:
        views = list(reader.rows_in(*State))
    assert all(100 < view.at < 200 for view in views)
    assert views[0].at > views[0].sent_at >= 100


async def test_ends_need_nobody_to_ask(journal: Journal, told: Told) -> None:
    begin(journal, "A-1")
    while not told.begun:
        await asyncio.sleep(0.001)
    journal.accept("end", 1, 1, None)
    while not told.ended:
        await asyncio.sleep(0.001)


# --- which rows go which way ---------------------------------------------------------------------


async def test_what_may_be_known_is_looked_up(journal: Journal, told: Told) -> None:
    assert begin(journal, "A-1")
    assert not begin(journal, "A-1")
    assert begin(journal, None, "ping", token=1)
    assert not begin(journal, None, "ping", token=2)
    await written(journal)
    assert told.begun == ["A-1", "A-1", 1, 2]
    # Equal contents are counted; equal keys are not.
    assert told.actions == ["send", "repeated", "send", "send"]
    assert journal.counts == Counts(unknown=3)


async def test_rows_are_told_in_the_order_they_came(
    journal: Journal, row: MakeRow, told: Told
) -> None:
    for turn in range(3):
        for number in range(4):
            name = f"{turn}-{number}"
            why = ("InvalidInputError", "no title") if number in {0, 2} else None
            journal.submit(name, row(name), b"x", refusal=why)
        if turn != 1:  # batches that are joined, too
            await asyncio.sleep(0)
    await written(journal)
    assert told.begun == [f"{turn}-{number}" for turn in range(3) for number in range(4)]
    assert told.actions == 6 * ["refused", "send"]


async def test_a_row_that_was_refused_is_no_new_one(
    journal: Journal, row: MakeRow, told: Told
) -> None:
    journal.submit("token", row("A-1"), refusal=("InvalidInputError", "no title"))
    assert not begin(journal, "A-1")
    await written(journal)
    assert told.actions == ["refused", "repeated"]
    assert journal.counts == Counts(not_sent=1)


async def test_names_that_no_row_can_have(journal: Journal) -> None:
    for key in ("", "\udc80"):
        with pytest.raises(InvalidInputError):
            begin(journal, key)
    await written(journal)
    assert journal.counts.rows == 0


async def test_words_that_are_no_unicode(journal: Journal) -> None:
    begin(journal, "ключ ✓")
    begin(journal, "other")
    await written(journal)
    journal.accept("end", 2, 1, "№ \udc80")
    journal.end(None, 1, 1, "rejected", error="RejectedError", words="no \udc80 \U0001f600")
    await written(journal)
    (kept,) = await journal.call(lambda session: list(session.rows_in(State.REJECTED)))
    assert (kept.key, kept.words) == ("ключ ✓", "no ? \U0001f600")
    (kept,) = await journal.call(lambda session: list(session.rows_in(State.ACCEPTED)))
    assert (kept.key, kept.ticket_id) == ("other", "№ ?")


async def test_a_digest_of_another_length(journal: Journal, told: Told, path: Path) -> None:
    """The ones behind it would be cut at the wrong places."""
    journal.submit("token", Identity("A-1", b"short"), b"x")
    while not told.begun:
        await asyncio.sleep(0.001)
    assert "length" in told.problems[0]
    await journal.aclose()
    assert on_disk(path) == {}


async def test_a_later_run_knows_the_rows_of_earlier_ones(path: Path, job: Job, told: Told) -> None:
    journal = await opened_by_a_push(path, job, told)
    for key in ("A-1", None):
        begin(journal, key, "hello", token=key or "none")
    await journal.aclose()
    journal = await opened_by_a_push(path, job, told)
    assert not begin(journal, "A-2", "hello")  # the one without a key, under another name?
    assert not begin(journal, "A-1", "other")
    assert not begin(journal, None, "hello", token=0)
    assert begin(journal, None, "other", token=1)
    assert begin(journal, "A-3", "another")
    await written(journal)
    assert told.actions[2:] == ["renamed", "doubt", "doubt", "send", "send"]
    await journal.aclose()


def test_a_filter_gives_no_wrong_no() -> None:
    names = SeenNames()
    keys = [str(number) for number in range(20_000)]
    new = [name for name in keys if names.add(name)]
    assert len(new) > 19_900
    assert all(name in names for name in keys)
    assert not any(names.add(name) for name in keys)
    assert sum(f"other {name}" in names for name in keys) < 100


async def test_a_filter_that_is_full_is_only_slow(
    journal: Journal, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SeenNames, "add", lambda names, name: False)
    pusher = Pusher(journal)
    assert (await pusher.take(row("A-1"), b"x")).action == "send"
    assert (await pusher.take(row("A-1"), b"x")).action == "repeated"


# --- when it cannot be written -------------------------------------------------------------------


async def test_a_full_disk(journal: Journal, told: Told, path: Path) -> None:
    begin(journal, "kept")
    await written(journal)

    def refuse(session: Session) -> None:
        sql(
            session,
            "CREATE TEMP TRIGGER full BEFORE DELETE ON main.payloads BEGIN "
            "SELECT raise(ROLLBACK, 'disk full'); END",
        )

    await journal.call(refuse)
    for number in range(3):  # the last thing a group does fails: nothing of it may stay
        begin(journal, str(number))
    journal.accept("kept", 1, 1, None)
    while not told.ended:
        await asyncio.sleep(0.001)
    assert told.begun == ["kept", "0", "1", "2"]
    assert len(told.problems) == 4
    assert all("disk full" in problem for problem in told.problems)
    with pytest.raises(JournalError, match="disk full"):
        begin(journal, "later")
    journal.accept("late", 1, 1, None)
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
    assert "another process has started using it" in told.problems[0]
    assert set(on_disk(path)) == {"kept"}


async def test_an_end_of_nothing_breaks_it(journal: Journal, told: Told, path: Path) -> None:
    begin(journal, "A-1")
    await written(journal)
    journal.accept("twice", 1, 2, None)
    while not told.ended:
        await asyncio.sleep(0.001)
    assert "no attempt that was under way" in told.problems[0]
    assert on_disk(path)["A-1"][0] is State.UNKNOWN


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ([(1, 1, "rejected"), (1, 1, "rejected")], "row 1"),
        ([(2, 1, "present")], "not a result"),
        ([(2, 1, "intent")], "not a result"),
        ([(2, 1, "accepted")], "not a result"),  # its payload would stay
    ],
)
async def test_ends_that_are_none(
    journal: Journal, told: Told, path: Path, ends: list[tuple[int, int, str]], words: str
) -> None:
    begin(journal, "A-1")
    begin(journal, "A-2")
    await written(journal)
    for number, (row, attempt, kind) in enumerate(ends):
        journal.end(f"end {number}", row, attempt, kind)
    while not told.ended:
        await asyncio.sleep(0.001)
    assert words in told.problems[0]
    assert journal.counts == Counts(unknown=2)
    await journal.aclose()
    assert {state for state, *_ in on_disk(path).values()} == {State.UNKNOWN}


async def test_an_sqlite_without_json(
    path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("CREATE TEMP VIEW odd AS SELECT no_such_function(1)", "SELECT no_such_function(1)")
    monkeypatch.setattr("kapture_async._core.journal.sqlite.storage.WRITE", broken)
    with pytest.raises(JournalError, match="lacks its JSON functions"):
        await Journal.open(path, job=job)
