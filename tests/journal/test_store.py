"""The journal without asyncio: what it decides, keeps, forgets and gives back."""

from __future__ import annotations

import os
import sqlite3
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async import InvalidInputError, JournalError
from kapture_async._core.push.journal.batch import Incoming
from kapture_async._core.push.journal.facts import (
    Counts,
    Identity,
    Settled,
    State,
    Taken,
)
from kapture_async._core.push.journal.reading import ReadJournal
from kapture_async._core.push.journal.reference import digest_of, reference_of
from kapture_async._core.push.journal.store import Store

Open = Callable[..., Store]
MakeRow = Callable[..., Identity]


def take(
    store: Store, identity: Identity, payload: bytes | None = b"body", at: float = 2.0
) -> Taken:
    with store.transaction():
        return store.take(identity, payload, at)


def settle(store: Store, taken: Taken, kind: str, at: float = 3.0, **more: Any) -> None:
    with store.transaction():
        store.settle(taken.row, taken.attempt, kind, at, **more)


def verdict(store: Store, taken: Taken, kind: str, at: float = 4.0, **more: Any) -> None:
    with store.transaction():
        store.verdict(taken.row, kind, at, **more)


def check_counts(store: Store) -> None:
    """What it keeps in memory is what a reader finds on the disk."""
    with ReadJournal.open_to_read(store.path) as reader:
        assert reader.counts() == store.counts()


# --- what it decides -----------------------------------------------------------------------------


def test_a_new_row_is_sent_with_its_reference(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = take(store, row("A-1", line=7))
    assert taken == Taken(
        "send", 1, reference_of(store.job.job_id, "A-1"), 1, State.UNKNOWN, None, None, None, None
    )
    assert store.under_way == 1
    settle(store, taken, "accepted", ticket_id="99", phase=4, status=200)
    assert store.under_way == 0
    (view,) = store.rows_in(State.ACCEPTED)
    assert (view.key, view.line, view.ticket_id, view.status) == ("A-1", 7, "99", 200)
    assert (view.reference, view.attempts, view.at) == (taken.reference, 1, 3.0)
    assert store.counts() == Counts(accepted=1)
    check_counts(store)


ENDS = {
    # How a row ended, its error: what becomes of it on the next run, as it was and mended.
    ("accepted", None): ("done", "changed"),
    ("rejected", "ValidationError"): ("rejected", "send"),
    ("rejected", "RateLimitedError"): ("send", "send"),
    ("not_sent", "ConnectError"): ("send", "send"),
    ("unknown", "ReplyTimeoutError"): ("doubt", "doubt"),
    (None, None): ("doubt", "doubt"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mended", [False, True])
def test_the_next_run(opened: Open, row: MakeRow, end: Any, mended: bool) -> None:
    kind, error = end
    store = opened()
    first = take(store, row("A-1"))
    if kind is not None:
        settle(store, first, kind, error=error, words="why", status=422, ticket_id="7")
    store.close(5.0)

    store = opened(at=10.0)
    again = take(store, row("A-1", "mended" if mended else "hello"), b"new body", at=11.0)
    assert again.action == ENDS[end][mended]
    assert (again.row, again.reference) == (first.row, first.reference)
    assert again.attempt == (2 if again.action == "send" else 1)
    if again.action != "send":
        assert store.under_way == 0
        expected = (error, "why", "7", 422) if kind else (None, _DEAD, None, None)
        assert (again.error, again.words, again.ticket_id, again.status) == expected
    check_counts(store)


_DEAD = "its process ended while it was under way"


@pytest.mark.parametrize("verdict_", ["missing", "present", "absent", "ambiguous", "probable"])
def test_after_a_verdict(opened: Open, row: MakeRow, verdict_: str) -> None:
    expected = {"present": "done", "absent": "send"}.get(verdict_, "doubt")
    store = opened()
    taken = take(store, row("A-1"))
    settle(store, taken, "unknown")
    verdict(store, taken, verdict_, evidence={"tickets": 3})
    check_counts(store)
    store.close(5.0)
    store = opened(at=10.0)
    assert take(store, row("A-1")).action == expected


def test_a_mended_row_goes_with_its_new_content(opened: Open, row: MakeRow) -> None:
    store = opened()
    settle(store, take(store, row("A-1"), b"old"), "rejected", error="ValidationError")
    store.close(5.0)
    store = opened()
    taken = take(store, row("A-1", "mended", line=9), b"new")
    settle(store, taken, "not_sent")
    (view,) = store.pending()
    assert (view.payload, view.line) == (b"new", 9)
    store.close(6.0)
    store = opened()
    assert take(store, row("A-1", "mended"), None).action == "send"


def test_a_mended_row_without_a_payload_leaves_no_old_one(opened: Open, row: MakeRow) -> None:
    store = opened()
    settle(store, take(store, row("A-1"), b"old"), "not_sent")
    store.close(5.0)
    store = opened()
    settle(store, take(store, row("A-1", "mended"), None), "not_sent")
    assert list(store.pending()) == []


def test_which_refusals_are_for_later_is_the_callers_choice(opened: Open, row: MakeRow) -> None:
    store = opened()
    settle(store, take(store, row("a")), "rejected", error="RateLimitedError")
    settle(store, take(store, row("b")), "rejected", error="OddError")
    store.close(5.0)
    store = opened(again=frozenset({"OddError"}))
    assert take(store, row("a")).action == "rejected"
    assert take(store, row("b")).action == "send"


def test_a_key_that_comes_twice(opened: Open, row: MakeRow) -> None:
    store = opened()
    first = take(store, row("A-1"))
    for content in ("hello", "other"):
        second = take(store, row("A-1", content))
        assert (second.action, second.row) == ("repeated", first.row)
    settle(store, first, "not_sent")
    assert take(store, row("A-1")).action == "repeated"  # even so: it is another line of the file
    store.close(5.0)
    store = opened()
    assert take(store, row("A-1")).action == "send"


def test_a_key_twice_in_one_batch(opened: Open, row: MakeRow) -> None:
    store = opened()
    with store.transaction():
        taken = store.take_many([Incoming(row(key), b"x", 1.0) for key in "abab"])
    assert [(one.action, one.row) for one in taken] == [
        ("send", 1),
        ("send", 2),
        ("repeated", 1),
        ("repeated", 2),
    ]
    check_counts(store)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_equal_contents_keep_their_count(opened: Open, row: MakeRow, size: int) -> None:
    """Three equal rows are three tickets, however they are cut into batches and runs."""
    texts = ["a", "b", "a", "a", "c", "b", "a"]

    def run(rows: list[str]) -> list[tuple[str, str, int]]:
        store = opened(keys=None)
        out = []
        for start in range(0, len(rows), size):
            with store.transaction():
                taken = store.take_many(
                    [Incoming(row(None, text), None, 1.0) for text in rows[start : start + size]]
                )
            for one, text in zip(taken, rows[start:], strict=False):
                out.append((text, one.action, one.row))
                if one.action == "send":
                    settle(store, one, "accepted")
        store.close(5.0)
        return out

    first = run(texts[:3])
    assert [action for _, action, _ in first] == ["send"] * 3
    assert len({number for _, _, number in first}) == 3
    second = run(texts)
    assert second[:3] == [(text, "done", number) for text, _, number in first]
    assert [action for _, action, _ in second[3:]] == ["send"] * 4
    assert [action for _, action, _ in run(texts[::-1])] == ["done"] * 7
    assert [action for _, action, _ in run([*texts, "a"])] == ["done"] * 7 + ["send"]


def test_many_equal_rows_take_no_longer(opened: Open, row: MakeRow) -> None:
    store = opened(keys=None)
    with store.transaction():
        taken = store.take_many([Incoming(row(None, "ping"), None, 1.0)] * 3000)
    assert [one.row for one in taken] == list(range(1, 3001))
    assert len({one.reference for one in taken}) == 3000
    store.close(5.0)
    store = opened(keys=None)
    looked: list[str] = []
    store._connection.set_trace_callback(looked.append)
    for _ in range(300):
        assert take(store, row(None, "ping")).action == "doubt"
    assert sum("digest" in question for question in looked) <= 3 * 300


def test_a_rejected_batch_is_nobodys(opened: Open, row: MakeRow) -> None:
    store = opened()
    with pytest.raises(ZeroDivisionError), store.transaction():
        first = store.take(row("A-1"), b"x", 1.0)
        store.take(row(None, "n"), b"x", 1.0)
        store.take(row(None, "n"), b"x", 1.0)
        store.settle(first.row, first.attempt, "accepted", 1.0)
        1 / 0  # noqa: B018
    assert store.counts() == Counts()
    assert store.under_way == 0
    assert take(store, row("A-1")).action == "send"
    assert take(store, row(None, "n")).reference == reference_of(
        store.job.job_id, None, digest_of(b"n"), 0
    )
    check_counts(store)


def test_a_rejected_batch_keeps_what_was_under_way(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = take(store, row("A-1"))
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.settle(taken.row, taken.attempt, "rejected", 1.0)
        store.take_again(taken.row, 1.0)
        1 / 0  # noqa: B018
    settle(store, taken, "accepted")
    assert take(store, row("A-1")).action == "repeated"
    check_counts(store)


def test_facts_outside_a_transaction(opened: Open, row: MakeRow) -> None:
    store = opened()
    with pytest.raises(RuntimeError, match="inside a transaction"):
        store.take(row("A-1"), b"x", 1.0)
    assert store.counts() == Counts()


def test_a_key_nobody_could_find_again(opened: Open, row: MakeRow) -> None:
    store = opened()
    with pytest.raises(InvalidInputError), store.transaction():
        store.take(row("\ud800"), b"x", 1.0)
    assert store.broken is None
    assert store.counts() == Counts()


# --- ends and verdicts ---------------------------------------------------------------------------


def test_only_what_is_under_way_can_end(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = take(store, row("A-1"))
    for number, attempt, kind in (
        (taken.row, 2, "accepted"),
        (taken.row, 0, "accepted"),
        (taken.row + 1, 1, "accepted"),
        (taken.row, 1, "present"),
        (taken.row, 1, "intent"),
        (taken.row, 1, "nonsense"),
    ):
        with pytest.raises(JournalError, match="no attempt"), store.transaction():
            store.settle(number, attempt, kind, 1.0)
    settle(store, taken, "unknown")
    with pytest.raises(JournalError, match="no attempt"):
        settle(store, taken, "accepted")  # a second word on the same attempt is a mistake
    assert store.counts() == Counts(unknown=1)
    assert store.broken is None


def test_one_wrong_end_takes_no_other_with_it(opened: Open, row: MakeRow) -> None:
    store = opened()
    a, b = take(store, row("a")), take(store, row("b"))
    with store.transaction():
        problems = store.settle_many(
            [
                Settled(a.row, 1, "accepted", 1.0),
                Settled(a.row, 1, "rejected", 1.0),
                Settled(b.row, 1, "rejected", 1.0),
            ]
        )
    assert [problem is None for problem in problems] == [True, False, True]
    assert store.counts() == Counts(accepted=1, rejected=1)
    check_counts(store)


def test_only_doubts_have_verdicts(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = take(store, row("A-1"))
    with pytest.raises(JournalError, match="not in doubt"):
        verdict(store, taken, "absent")  # it may be on its way this very moment
    for kind in ("accepted", "rejected", "not_sent"):
        one = take(store, row(kind))
        settle(store, one, kind)
        with pytest.raises(JournalError, match="not in doubt"):
            verdict(store, one, "absent")
    settle(store, taken, "unknown")
    for kind in ("intent", "accepted", "not_sent", "nonsense"):
        with pytest.raises(JournalError, match="not in doubt"):
            verdict(store, taken, kind)
    with pytest.raises(JournalError, match="not in doubt"), store.transaction():
        store.verdict(999, "absent", 1.0)
    for kind in ("ambiguous", "probable", "missing", "present"):
        verdict(store, taken, kind)
    with pytest.raises(JournalError, match="not in doubt"):
        verdict(store, taken, "absent")
    check_counts(store)


def test_doubts(opened: Open, row: MakeRow) -> None:
    store = opened()
    first = take(store, row("A-1", line=3), b"body", at=100.0)
    settle(store, first, "not_sent", at=101.0)
    with store.transaction():
        again = store.take_again(first.row, 200.0)
    settle(store, again, "unknown", at=230.0, error="ReplyTimeoutError", words="no answer")
    settle(store, take(store, row("A-2")), "accepted")
    (doubt,) = store.doubts()
    assert (doubt.row, doubt.key, doubt.line, doubt.payload) == (1, "A-1", 3, b"body")
    assert (doubt.reference, doubt.attempts) == (first.reference, 2)
    assert (doubt.first_intent_at, doubt.last_at) == (100.0, 230.0)
    assert (doubt.error, doubt.words) == ("ReplyTimeoutError", "no answer")
    assert (doubt.absent_looks, doubt.last_look_at) == (0, None)
    assert "body" not in repr(doubt)

    verdict(store, again, "missing", at=600.0)
    verdict(store, again, "missing", at=700.0)
    (doubt,) = store.doubts()
    assert (doubt.absent_looks, doubt.last_look_at, doubt.last_at) == (2, 700.0, 230.0)
    assert doubt.state is State.UNKNOWN
    verdict(store, again, "absent", at=701.0)
    assert list(store.doubts()) == []
    with store.transaction():
        third = store.take_again(first.row, 800.0)
    assert third.attempt == 3
    settle(store, third, "unknown", at=801.0)
    (doubt,) = store.doubts()
    assert doubt.absent_looks == 0  # they said nothing of this attempt


def test_a_dead_process_leaves_doubts_from_when_it_was_found(opened: Open, row: MakeRow) -> None:
    store = opened()
    take(store, row("A-1"), at=100.0)
    store.close(150.0)
    store = opened(at=1000.0)
    (doubt,) = store.doubts()
    assert (doubt.first_intent_at, doubt.last_at, doubt.attempts) == (100.0, 1000.0, 1)
    assert doubt.words == _DEAD
    store.close(1001.0)
    (doubt,) = opened(at=2000.0).doubts()
    assert doubt.last_at == 1000.0  # said once


def test_odd_words_cost_no_fact(opened: Open, row: MakeRow) -> None:
    store = opened()
    settle(
        store, take(store, row("a")), "accepted", ticket_id="1\ud800", words="\udfff\0\U0001f600"
    )
    (view,) = store.rows_in(State.ACCEPTED)
    assert (view.ticket_id, view.words) == ("1?", "?\0\U0001f600")


# --- rows that cannot be sent --------------------------------------------------------------------


def refuse(store: Store, identity: Identity, words: str = "no title") -> Taken:
    with store.transaction():
        return store.refuse(identity, b"raw cells", "InvalidInputError", words, 2.0)


def test_a_row_that_cannot_be_sent(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = refuse(store, row("A-1"))
    assert (taken.action, taken.attempt, taken.state) == ("refused", 0, State.NOT_SENT)
    assert refuse(store, row("A-1")).action == "repeated"
    (view,) = store.rows_in(State.NOT_SENT)
    assert (view.attempts, view.words, view.payload) == (0, "no title", b"raw cells")
    assert view.error == "InvalidInputError"
    assert list(store.pending()) == []  # what is kept of it is no body
    with store.transaction():
        assert store.take_again(taken.row, 3.0).action == "refused"
    check_counts(store)
    store.close(4.0)

    store = opened()
    size = sum(1 for _ in _facts(store))
    assert refuse(store, row("A-1")).action == "refused"
    assert sum(1 for _ in _facts(store)) == size  # the same again is no news
    store.close(5.0)
    store = opened()
    mended = take(store, row("A-1", "mended"))
    assert (mended.action, mended.attempt) == ("send", 1)
    settle(store, mended, "accepted")
    store.close(6.0)
    store = opened()
    assert refuse(store, row("A-1")).action == "changed"
    check_counts(store)


@pytest.mark.parametrize(
    ("end", "action"),
    [("unknown", "doubt"), ("rejected", "refused"), ("not_sent", "refused"), ("accepted", "done")],
)
def test_a_row_that_can_be_sent_no_more(opened: Open, row: MakeRow, end: str, action: str) -> None:
    store = opened()
    settle(store, take(store, row("A-1")), end)
    store.close(4.0)
    store = opened()
    assert refuse(store, row("A-1")).action == action
    check_counts(store)


def _facts(store: Store) -> list[Any]:
    return store._connection.execute("SELECT * FROM facts").fetchall()


# --- sending once more ---------------------------------------------------------------------------


def test_once_more_in_the_same_run(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = take(store, row("A-1"))
    with store.transaction():
        assert store.take_again(taken.row, 3.0).action == "doubt"  # it is under way
    settle(store, taken, "rejected", error="RateLimitedError")
    with store.transaction():
        again = store.take_again(taken.row, 4.0)
    assert (again.action, again.attempt, again.reference) == ("send", 2, taken.reference)
    settle(store, again, "rejected", error="ValidationError")
    with store.transaction():
        assert store.take_again(taken.row, 5.0).action == "rejected"
    with pytest.raises(JournalError, match="no row 77"), store.transaction():
        store.take_again(77, 5.0)
    check_counts(store)


def test_without_the_source(opened: Open, row: MakeRow) -> None:
    """Rows without keys come back as themselves, not as the first of their equals."""
    store = opened(keys=None)
    ends = ["accepted", "not_sent", "unknown", "rejected", "rejected", "not_sent"]
    for number, end in enumerate(ends):
        error = "RateLimitedError" if number == 3 else "ValidationError"
        taken = take(store, row(None, "same"), b"%d" % number)
        settle(store, taken, end, error=error)
    store.close(4.0)
    store = opened(keys=None)
    pending = list(store.pending())
    assert [view.payload for view in pending] == [b"1", b"3", b"5"]
    for view in pending:
        with store.transaction():
            taken = store.take_again(view.row, 5.0)
        assert (taken.action, taken.reference, taken.attempt) == ("send", view.reference, 2)
        settle(store, taken, "accepted")
    assert list(store.pending()) == []
    check_counts(store)


# --- payloads ------------------------------------------------------------------------------------


def test_payloads_go_when_they_are_needed_no_more(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    secret = "confidential-{}".format
    for number, end in enumerate(["accepted", "unknown", "unknown", "rejected"]):
        settle(store, take(store, row(str(number)), secret(number).encode() * 9), end)
    verdict(store, Taken("doubt", 2, "", 1, State.UNKNOWN), "present")
    verdict(store, Taken("doubt", 3, "", 1, State.UNKNOWN), "absent")
    kept = {view.key: view.payload is not None for view in store.rows_in(*State)}
    assert kept == {"0": False, "1": False, "2": True, "3": True}
    store.close(5.0)
    content = path.read_bytes()
    assert [secret(number).encode() in content for number in range(4)] == [False, False, True, True]


def test_no_payloads(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened(payloads=False)
    settle(store, take(store, row("a"), b"confidential"), "not_sent")
    with store.transaction():
        store.refuse(row("b"), b"confidential", "InvalidInputError", "bad", 1.0)
    assert list(store.pending()) == []
    store.close(5.0)
    assert b"confidential" not in path.read_bytes()
    store = opened()  # what the journal does not keep, no later run can ask for
    assert store.job.payloads is False
    assert take(store, row("a"), b"confidential").action == "send"
    assert [view.payload for view in store.rows_in(*State)] == [None, None]


def test_payloads_can_be_left_out_later(opened: Open, row: MakeRow) -> None:
    opened().close(5.0)
    store = opened(payloads=False)
    take(store, row("a"), b"confidential")
    assert [view.payload for view in store.rows_in(*State)] == [None]


def test_the_file_does_not_grow_with_what_is_gone(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    for start in range(0, 2000, 50):
        with store.transaction():
            taken = store.take_many(
                [Incoming(row(str(n)), bytes(4000), 1.0) for n in range(start, start + 50)]
            )
        with store.transaction():
            store.settle_many([Settled(one.row, 1, "accepted", 1.0) for one in taken])
    store.close(5.0)
    assert path.stat().st_size < 1_000_000  # of 8 MB that went through it


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_may_read_it(opened: Open, row: MakeRow, path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = opened()
        take(store, row("A-1"))
    finally:
        os.umask(before)
    found = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}
    assert found == {path.name + end: 0o600 for end in ("", "-wal", "-shm", "-lock")}


def test_closed_it_is_one_file(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    take(store, row("A-1"))
    store.close(5.0)
    assert [name.name for name in path.parent.iterdir()] == [path.name]
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(unknown=1)
    assert [name.name for name in path.parent.iterdir()] == [path.name]


def test_every_commit_is_synced(opened: Open) -> None:
    store = opened()
    ask = store._connection.execute
    assert ask("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert ask("PRAGMA journal_mode").fetchone() == ("wal",)


def test_runs(opened: Open, path: Path) -> None:
    store = opened(at=10.0)
    store.close(20.0)
    store.close(99.0)
    store = opened(at=30.0)
    (first, second) = store.runs()
    assert (first.run, first.began, first.ended, first.pid) == (1, 10.0, 20.0, os.getpid())
    assert (second.run, second.began, second.ended) == (2, 30.0, None)


def test_the_longest_call_of_the_runs_that_may_have_left_a_doubt(opened: Open, path: Path) -> None:
    store = opened(at=10.0)  # a reconciliation: it sends nothing
    assert store.longest_call(0.0) is None
    store.close(20.0)
    opened(at=30.0, longest_call=90.0).close(40.0)
    store = opened(at=50.0, longest_call=5.0)
    assert [run.longest_call for run in store.runs()] == [None, 90.0, 5.0]
    assert [store.longest_call(since) for since in (0.0, 40.0, 41.0, 99.0)] == [
        90.0,
        90.0,
        5.0,
        5.0,
    ]


def test_which_tickets_are_known(opened: Open, row: MakeRow) -> None:
    store = opened()
    with store.transaction():
        for number, kind in enumerate(("accepted", "rejected", "unknown")):
            taken = store.take(row(f"k{number}"), b"{}", 1.0)
            store.settle(taken.row, taken.attempt, kind, 2.0, ticket_id=str(number))
        taken = store.take(row("k9"), b"{}", 1.0)
        store.settle(taken.row, taken.attempt, "unknown", 2.0)
        store.verdict(taken.row, "present", 3.0, ticket_id="9")
    assert store.accepted_among({"0", "1", "2", "9", "x"}) == {"0", "9"}
    assert store.accepted_among({"x"}) == store.accepted_among(set()) == set()


def test_looks(opened: Open) -> None:
    store = opened()
    with store.transaction():
        assert store.look(10.0, {"tickets": 3}) == 1
        assert store.look(20.0, {"tickets": "\ud800"}) == 2
    assert [(look.at, look.evidence) for look in store.looks()] == [
        (10.0, '{"tickets": 3}'),
        (20.0, '{"tickets": "\\ud800"}'),
    ]


@pytest.mark.parametrize("name", ["service", "operation", "target", "place", "keys", "shape"])
def test_another_push(opened: Open, name: str) -> None:
    opened().close(5.0)
    with pytest.raises(JournalError, match=f"belongs to another push: its {name} is .*'other'"):
        opened(**{name: "other"})
    opened()  # and it is not held by the one that was refused


def test_the_source_is_the_latest(opened: Open) -> None:
    opened(source="first").close(5.0)
    store = opened(source="second")
    job_id = store.job.job_id
    store.close(6.0)
    store = opened()
    assert (store.job.source, store.job.job_id) == ("second", job_id)
    assert len(job_id) == 32


def test_two_journals_have_no_reference_in_common(
    opened: Open, row: MakeRow, tmp_path: Path
) -> None:
    one, two = opened(tmp_path / "one"), opened(tmp_path / "two")
    assert take(one, row("A-1")).reference != take(two, row("A-1")).reference


def test_opened_without_a_job(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened(source="x")
    take(store, row("A-1"))
    store.close(5.0)
    store = Store.open(path, job=None, create=True, at=6.0)
    assert store.job.source == "x"
    store.close(7.0)


def test_not_there(opened: Open, path: Path, job: Any) -> None:
    for kwargs in ({"job": None, "create": True}, {"job": job, "create": False}):
        with pytest.raises(JournalError, match="there is no such file"):
            Store.open(path, at=1.0, **kwargs)
    with pytest.raises(JournalError, match="there is no such file"):
        ReadJournal.open_to_read(path)
    assert list(path.parent.iterdir()) == []


def test_odd_names(opened: Open, row: MakeRow, tmp_path: Path) -> None:
    for name in ("a b", "50%", "q?mode=ro", "#1", "ü", "'", "a;b", "-x", os.fsdecode(b"\xff")):
        store = opened(tmp_path / name)
        take(store, row("A-1"))
        store.close(5.0)
        assert opened(tmp_path / name).counts() == Counts(unknown=1)


def test_a_folder_that_changes_under_a_relative_name(
    row: MakeRow, job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store.open("tickets.journal", job=job, create=True, at=1.0)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    take(store, row("A-1"))
    store.close(5.0)
    assert {name.name for name in tmp_path.iterdir()} == {"tickets.journal", "other"}


def test_a_reader_while_a_push_writes(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    settle(store, take(store, row("a")), "accepted")
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(accepted=1)
        views = reader.rows_in(*State)
        assert next(views).key == "a"
        settle(store, take(store, row("b")), "rejected")  # it holds nobody up
        assert reader.counts() == Counts(accepted=1, rejected=1)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._connection.execute("DELETE FROM facts")
        views.close()
    store.close(5.0)
    assert opened().counts() == Counts(accepted=1, rejected=1)


def test_memory_of_a_large_one(opened: Open, row: MakeRow) -> None:
    store = opened()
    for start in range(0, 100_000, 5000):
        rows = [Incoming(row(str(n)), None, 1.0) for n in range(start, start + 5000)]
        with store.transaction():
            taken = store.take_many(rows)
            store.settle_many([Settled(one.row, 1, "accepted", 1.0) for one in taken])
    store.close(5.0)
    tracemalloc.start()
    store = opened()
    with store.transaction():
        taken = store.take_many([Incoming(row(str(n)), None, 1.0) for n in (0, 99_999)])
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert [one.action for one in taken] == ["done", "done"]
    assert store.counts() == Counts(accepted=100_000)
    assert held < 200_000  # a bit for each row, and small change
