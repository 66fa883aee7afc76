"""How rows end, what a look finds, what cannot be sent, and what goes once more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core.journal.records import Counts, State

from .shared import DEAD, MakeRow, Open, check_counts

# --- ends and verdicts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row_", "attempt", "kind"),
    [(1, 2, "accepted"), (1, 0, "accepted"), (2, 1, "accepted"), (1, 1, "present"),
     (1, 1, "intent"), (1, 1, "nonsense"), (3, 1, "rejected"), (3, 1, "accepted")],
)  # fmt: skip
def test_only_what_is_under_way_can_end(
    opened: Open, row: MakeRow, row_: int, attempt: int, kind: str
) -> None:
    """A mistake in here: nothing is written any more, and nothing sent."""
    store = opened()
    store.take_many([(row("A-1"), b"x"), (row("other"), b"x"), (row("ended"), b"x")])
    store.end(3, 1, "unknown")
    row_ = 9 if row_ == 2 else row_
    with pytest.raises(JournalError, match="attempt"):
        store.end(row_, attempt, kind)
    assert store.counts() == Counts(unknown=3)
    with pytest.raises(JournalError, match="attempt"):
        store.take(row("later"))


def test_only_doubts_have_verdicts(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = store.take(row("A-1"))
    with pytest.raises(JournalError, match="not in doubt"):
        store.verdict(taken.row, "absent")  # it may be on its way this very moment
    for kind in ("accepted", "rejected", "not_sent"):
        one = store.take(row(kind))
        store.settle(one, kind)
        with pytest.raises(JournalError, match="not in doubt"):
            store.verdict(one.row, "absent")
    store.settle(taken, "unknown")
    for kind in ("intent", "accepted", "not_sent", "nonsense"):
        with pytest.raises(JournalError, match="not in doubt"):
            store.verdict(taken.row, kind)
    with pytest.raises(JournalError, match="not in doubt"):
        store.verdict(999, "absent", 1.0)
    for kind in ("ambiguous", "probable", "missing", "present"):
        store.verdict(taken.row, kind)
    with pytest.raises(JournalError, match="not in doubt"):
        store.verdict(taken.row, "absent")
    check_counts(store)


def test_doubts(opened: Open, row: MakeRow) -> None:
    store = opened()
    first = store.take(row("A-1", line=3), b"body", at=100.0)
    store.settle(first, "not_sent", at=101.0)
    again = store.take_again(first.row, 200.0)
    store.settle(again, "unknown", at=230.0, error="ReplyTimeoutError", words="no answer")
    store.settle(store.take(row("A-2")), "accepted")
    (doubt,) = store.doubts()
    assert (doubt.row, doubt.key, doubt.line, doubt.payload) == (1, "A-1", 3, b"body")
    assert (doubt.reference, doubt.attempts) == (first.reference, 2)
    assert (doubt.first_intent_at, doubt.last_at) == (100.0, 230.0)
    assert (doubt.error, doubt.words) == ("ReplyTimeoutError", "no answer")
    assert (doubt.absent_lookups, doubt.last_lookup_at) == (0, None)
    assert "body" not in repr(doubt)

    store.verdict(again.row, "missing", at=600.0)
    store.verdict(again.row, "missing", at=700.0)
    (doubt,) = store.doubts()
    assert (doubt.absent_lookups, doubt.last_lookup_at, doubt.last_at) == (2, 700.0, 230.0)
    assert doubt.state is State.UNKNOWN
    store.verdict(again.row, "absent", at=701.0)
    assert list(store.doubts()) == []
    third = store.take_again(first.row, 800.0)
    assert third.attempt == 3
    store.settle(third, "unknown", at=801.0)
    (doubt,) = store.doubts()
    assert doubt.absent_lookups == 0  # they said nothing of this attempt


def test_a_dead_process_leaves_doubts_from_when_it_was_found(
    opened: Open, row: MakeRow, kept_in: str
) -> None:
    store = opened()
    store.take(row("A-1"), at=100.0)
    store.close(150.0)
    store = opened(at=1000.0)
    (doubt,) = store.doubts()
    # Beside other runs, a run that ends says so of its own rows; a file is the next run's.
    found = 150.0 if kept_in == "postgres" else 1000.0
    assert (doubt.first_intent_at, doubt.last_at, doubt.attempts) == (100.0, found, 1)
    assert doubt.words == DEAD
    store.close(1001.0)
    (doubt,) = opened(at=2000.0).doubts()
    assert doubt.last_at == found  # said once


def test_odd_words_cost_no_result(opened: Open, row: MakeRow) -> None:
    """Not in UTF-8: replaced. NULs, which databases do not take for text, are left out."""
    store = opened()
    store.settle(store.take(row("a")), "accepted", ticket_id="1\ud800\0")
    store.settle(store.take(row("b")), "rejected", words="\udfff\0\U0001f600")
    (view,) = store.rows_in(State.ACCEPTED)
    assert view.ticket_id == "1?"
    (view,) = store.rows_in(State.REJECTED)
    assert view.words == "?\U0001f600"


# --- rows that cannot be sent ---------------------------------------------------------------------


def test_a_row_that_cannot_be_sent(opened_file: Open, row: MakeRow) -> None:
    store = opened_file()
    taken = store.refuse(row("A-1"))
    assert (taken.action, taken.attempt, taken.state) == ("refused", 0, State.NOT_SENT)
    assert store.refuse(row("A-1")).action == "repeated"
    (view,) = store.rows_in(State.NOT_SENT)
    assert (view.attempts, view.words, view.payload) == (0, "no title", b"raw cells")
    assert view.error == "InvalidInputError"
    assert list(store.pending()) == []  # what is kept of it is no body
    assert store.take_again(taken.row, 3.0).action == "refused"
    check_counts(store)
    store.close(4.0)

    store = opened_file()
    size = sum(1 for _ in _facts(store.path))
    assert store.refuse(row("A-1")).action == "refused"
    assert sum(1 for _ in _facts(store.path)) == size  # the same again is no news
    store.close(5.0)
    store = opened_file()
    mended = store.take(row("A-1", "mended"))
    assert (mended.action, mended.attempt) == ("send", 1)
    store.settle(mended, "accepted")
    store.close(6.0)
    store = opened_file()
    assert store.refuse(row("A-1")).action == "done"  # it was mended since
    store.close(7.0)
    store = opened_file()
    assert store.refuse(row("A-1", "odd")).action == "changed"
    check_counts(store)


@pytest.mark.parametrize(
    ("end", "action"),
    [("unknown", "doubt"), ("rejected", "refused"), ("not_sent", "refused"), ("accepted", "done")],
)
def test_a_row_that_can_be_sent_no_more(opened: Open, row: MakeRow, end: str, action: str) -> None:
    store = opened()
    store.settle(store.take(row("A-1")), end)
    store.close(4.0)
    store = opened()
    assert store.refuse(row("A-1")).action == action
    check_counts(store)


def _facts(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT * FROM events").fetchall()


# --- sending once more ----------------------------------------------------------------------------


def test_once_more_in_the_same_run(opened: Open, row: MakeRow) -> None:
    store = opened()
    taken = store.take(row("A-1"))
    assert store.take_again(taken.row, 3.0).action == "doubt"  # it is under way
    store.settle(taken, "rejected", error="RateLimitedError")
    again = store.take_again(taken.row, 4.0)
    assert (again.action, again.attempt, again.reference) == ("send", 2, taken.reference)
    store.settle(again, "rejected", error="ValidationError")
    assert store.take_again(taken.row, 5.0).action == "rejected"
    with pytest.raises(JournalError, match="no row 77"):
        store.take_again(77, 5.0)
    check_counts(store)


def test_without_the_source(opened: Open, row: MakeRow) -> None:
    """Rows without keys come back as themselves, not as the first of their equals."""
    store = opened(keys=None)
    ends = ["accepted", "not_sent", "unknown", "rejected", "rejected", "not_sent"]
    for number, end in enumerate(ends):
        error = "RateLimitedError" if number == 3 else "ValidationError"
        taken = store.take(row(None, "same"), b"%d" % number)
        store.settle(taken, end, error=error)
    store.close(4.0)
    store = opened(keys=None)
    pending = list(store.pending())
    assert [view.payload for view in pending] == [b"1", b"3", b"5"]
    for view in pending:
        taken = store.take_again(view.row, 5.0)
        assert (taken.action, taken.reference, taken.attempt) == ("send", view.reference, 2)
        store.settle(taken, "accepted")
    assert list(store.pending()) == []
    check_counts(store)


def test_which_tickets_are_known(opened: Open, row: MakeRow) -> None:
    store = opened()
    for number in range(3):
        store.settle(store.take(row(f"k{number}")), "accepted", ticket_id=str(number))
    store.settle(store.take(row("k9")), "unknown")
    store.verdict(4, "present", ticket_id="9")
    assert store.doubt(2, "1", 4.0, "another row has it")
    assert store.accepted_among({"0", "1", "2", "9", "x"}) == {"0", "2", "9"}
    assert store.accepted_among({"x"}) == store.accepted_among(set()) == set()
