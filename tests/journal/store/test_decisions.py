"""What the journal decides about a row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kapture_async import InvalidInputError
from kapture_async._core.journal.records import Counts, Decision, State
from kapture_async._core.journal.reference import digest_of, reference_of
from kapture_async._core.journal.session import Session
from kapture_async._core.journal.sqlite.storage import SQLiteStorage

from .shared import DEAD, MakeRow, Open, check_counts


def test_a_new_row_is_sent_with_its_reference(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = store.take(row("A-1", line=7))
    assert taken == Decision(
        "send", 1, reference_of(store.job.job_id, "A-1"), 1, State.UNKNOWN, None, None, None, None
    )
    store.settle(taken, "accepted", ticket_id="99")
    (view,) = store.rows_in(State.ACCEPTED)
    assert (view.key, view.line, view.ticket_id) == ("A-1", 7, "99")
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
    first = store.take(row("A-1"))
    if kind is not None:
        more = {"error": error, "words": "why", "status": 422}
        store.settle(first, kind, **({"ticket_id": "7"} if kind == "accepted" else more))
    store.close(5.0)

    store = opened(at=10.0)
    again = store.take(row("A-1", "mended" if mended else "hello"), b"new body", at=11.0)
    assert again.action == ENDS[end][mended]
    assert (again.row, again.reference) == (first.row, first.reference)
    assert again.attempt == (2 if again.action == "send" else 1)
    if again.action != "send":
        expected = (error, "why", None, 422) if kind else (None, DEAD, None, None)
        expected = (None, None, "7", None) if kind == "accepted" else expected
        assert (again.error, again.words, again.ticket_id, again.status) == expected
    check_counts(store)


@pytest.mark.parametrize("verdict_", ["missing", "present", "absent", "ambiguous", "probable"])
def test_after_a_verdict(opened: Open, row: MakeRow, verdict_: str) -> None:
    expected = {"present": "done", "absent": "send"}.get(verdict_, "doubt")
    store = opened()
    taken = store.take(row("A-1"))
    store.settle(taken, "unknown")
    store.verdict(taken.row, verdict_, evidence={"tickets": 3})
    check_counts(store)
    store.close(5.0)
    store = opened(at=10.0)
    assert store.take(row("A-1")).action == expected


def test_a_mended_row_goes_with_its_new_content(opened: Open, row: MakeRow) -> None:
    store = opened()
    store.settle(store.take(row("A-1"), b"old"), "rejected", error="ValidationError")
    store.close(5.0)
    store = opened()
    taken = store.take(row("A-1", "mended", line=9), b"new")
    store.settle(taken, "not_sent")
    (view,) = store.pending()
    assert (view.payload, view.line) == (b"new", 9)
    store.close(6.0)
    store = opened()
    assert store.take(row("A-1", "mended"), None).action == "send"


def test_a_mended_row_without_a_payload_leaves_no_old_one(opened: Open, row: MakeRow) -> None:
    store = opened()
    store.settle(store.take(row("A-1"), b"old"), "not_sent")
    store.close(5.0)
    store = opened()
    store.settle(store.take(row("A-1", "mended"), None), "not_sent")
    assert list(store.pending()) == []


def test_which_refusals_are_for_later_is_the_callers_choice(opened: Open, row: MakeRow) -> None:
    store = opened()
    store.settle(store.take(row("a")), "rejected", error="RateLimitedError")
    store.settle(store.take(row("b")), "rejected", error="OddError")
    store.close(5.0)
    store = opened(again=frozenset({"OddError"}))
    assert store.take(row("a")).action == "rejected"
    assert store.take(row("b")).action == "send"


def test_a_key_that_comes_twice(opened: Open, row: MakeRow) -> None:
    store = opened()
    first = store.take(row("A-1"))
    second = store.take(row("A-1"))
    assert (second.action, second.row) == ("repeated", first.row)
    for expected in ("clash", "repeated"):
        other = store.take(row("A-1", "other"))
        assert (other.action, other.row, other.state) == (expected, 2, State.NOT_SENT)
        assert other.reference != first.reference
    store.settle(first, "not_sent")
    assert store.take(row("A-1")).action == "repeated"  # even so: it is another line of the file
    check_counts(store)
    store.close(5.0)
    store = opened()
    assert store.take(row("A-1")).action == "send"
    assert (store.take(row("A-1", "other")).action, store.counts().rows) == ("clash", 2)


def test_a_key_twice_in_one_batch(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = store.take_many([(row(key), b"x") for key in "abab"])
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
            taken = store.take_many(
                [(row(None, text), None) for text in rows[start : start + size]]
            )
            for one, text in zip(taken, rows[start:], strict=False):
                out.append((text, one.action, one.row))
                if one.action == "send":
                    store.settle(one, "accepted")
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


def test_many_equal_rows_take_no_longer(
    opened_file: Open, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened_file(keys=None)
    taken = store.take_many([(row(None, "ping"), None)] * 3000)
    assert [one.row for one in taken] == list(range(1, 3001))
    assert len({one.reference for one in taken}) == 3000
    store.close(5.0)
    store = opened_file(keys=None)
    looked: list[Any] = []
    look_up = SQLiteStorage.with_contents

    def counted(storage: SQLiteStorage, contents: Any) -> Any:
        looked.append(contents)
        return look_up(storage, contents)

    monkeypatch.setattr(SQLiteStorage, "with_contents", counted)
    for _ in range(300):
        assert store.take(row(None, "ping")).action == "doubt"
    assert len(looked) <= 3 * 300


def test_a_first_run_looks_nothing_up(
    opened_file: Open, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot have come before is not looked for, and contents need no index till then."""
    store = opened_file(keys=None)
    asked: list[Any] = []
    for name in ("with_keys", "with_contents", "with_numbers"):
        look_up = getattr(SQLiteStorage, name)

        def noted(storage: SQLiteStorage, some: Any, look_up: Any = look_up) -> Any:
            asked.append(some)
            return look_up(storage, some)

        monkeypatch.setattr(SQLiteStorage, name, noted)
    names = [row(None, f"n{n}") for n in range(500)] + [row(str(n)) for n in range(500)]
    for start in range(0, 1000, 50):
        store.take_many([(name, None) for name in names[start : start + 50]])
    assert not asked
    assert "rows_by_content" not in _indexes(store.path)
    assert store.take(row("7")).action == "repeated"
    assert "rows_by_content" not in _indexes(store.path)
    again = store.take(row(None, "n7"))
    assert (again.action, again.row) == ("send", 1001)  # the second of its equals
    assert "rows_by_content" in _indexes(store.path)
    store.close(5.0)
    store = opened_file(keys=None)
    assert store.take(row(None, "n8")).action == "doubt"


def test_an_index_that_was_undone_is_made_again(opened_file: Open, row: MakeRow) -> None:
    store = opened_file()
    store.take(row("a", "one"))
    store.close(5.0)
    store = opened_file()

    def fails(session: Session) -> None:
        assert session.with_other_keys([digest_of(b"one")]) == 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.call(fails)
    assert "rows_by_keyed_content" not in _indexes(store.path)
    assert store.with_other_keys([digest_of(b"one")]) == 1
    assert "rows_by_keyed_content" in _indexes(store.path)


def _indexes(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as other:
        found = other.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    return {name for (name,) in found}


def test_a_call_that_fails_has_written_nothing(opened_file: Open, row: MakeRow) -> None:
    store = opened_file()
    store.settle(store.take(row("A-1")), "unknown")
    before = _everything(store.path)

    def fails(session: Session) -> None:
        session.verdict(1, "absent", 4.0)
        session.contradict(1, "twice", ["1"], 4.0)
        session.note_lookup(4.0, {"tickets": 1})
        assert session.counts() == Counts(not_sent=1)  # it reads what it wrote
        1 / 0  # noqa: B018

    with pytest.raises(ZeroDivisionError):
        store.call(fails)
    assert store.counts() == Counts(unknown=1)
    assert _everything(store.path) == before
    check_counts(store)
    store.verdict(1, "absent")
    assert store.take_again(1).action == "send"
    check_counts(store)


def _everything(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as other:
        return list(other.iterdump())


def test_a_key_nobody_could_find_again(opened: Open, row: MakeRow) -> None:
    store = opened()
    for key in ("\ud800", "", "a\0b"):
        with pytest.raises(InvalidInputError):
            store.take(row(key), b"x", 1.0)
    assert store.journal.broken is None
    assert store.counts() == Counts()
