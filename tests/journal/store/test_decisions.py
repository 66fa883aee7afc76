"""What the journal decides about a row."""

from __future__ import annotations

from typing import Any

import pytest

from kapture_async import InvalidInputError
from kapture_async._core.journal.batch import Incoming
from kapture_async._core.journal.records import Counts, State, Taken
from kapture_async._core.journal.reference import digest_of, reference_of
from kapture_async._core.journal.store import Store

from .shared import DEAD, MakeRow, Open, check_counts, settle, take, verdict


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
        expected = (error, "why", "7", 422) if kind else (None, DEAD, None, None)
        assert (again.error, again.words, again.ticket_id, again.status) == expected
    check_counts(store)


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
    second = take(store, row("A-1"))
    assert (second.action, second.row) == ("repeated", first.row)
    for expected in ("clash", "repeated"):
        other = take(store, row("A-1", "other"))
        assert (other.action, other.row, other.state) == (expected, 2, State.NOT_SENT)
        assert other.reference != first.reference
    settle(store, first, "not_sent")
    assert take(store, row("A-1")).action == "repeated"  # even so: it is another line of the file
    check_counts(store)
    store.close(5.0)
    store = opened()
    assert take(store, row("A-1")).action == "send"
    assert (take(store, row("A-1", "other")).action, store.counts().rows) == ("clash", 2)


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


def test_a_first_run_looks_nothing_up(opened: Open, row: MakeRow) -> None:
    """What cannot have come before is not looked for, and contents need no index till then."""
    store = opened(keys=None)
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    names = [row(None, str(n)) for n in range(500)] + [row(str(n)) for n in range(500)]
    for start in range(0, 1000, 50):
        with store.transaction():
            store.take_many(
                [Incoming(name, None, 1.0, new=True) for name in names[start : start + 50]]
            )
    assert not [question for question in asked if "FROM rows AS r" in question]
    assert "rows_by_content" not in _indexes(store)
    assert take(store, row("7")).action == "repeated"
    assert "rows_by_content" not in _indexes(store)
    again = take(store, row(None, "7"))
    assert (again.action, again.row) == ("send", 1001)  # the second of its equals
    assert "rows_by_content" in _indexes(store)
    store.close(5.0)
    store = opened(keys=None)
    assert take(store, row(None, "8")).action == "doubt"


def test_an_index_that_was_undone_is_made_again(opened: Open, row: MakeRow) -> None:
    store = opened(keys=None)
    with store.transaction():
        store.take_many([Incoming(row(None, "a"), None, 1.0, new=True)])
    with pytest.raises(ZeroDivisionError), store.transaction():
        assert store.take(row(None, "a"), None, 1.0).row == 2
        1 / 0  # noqa: B018
    assert "rows_by_content" not in _indexes(store)
    assert take(store, row(None, "a")).action == "send"
    assert "rows_by_content" in _indexes(store)


def _indexes(store: Store) -> set[str]:
    found = store._connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
    return {name for (name,) in found}


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
