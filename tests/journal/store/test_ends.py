"""How rows end, what a look finds, what cannot be sent, and what goes once more."""

from __future__ import annotations

from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core.journal.records import Counts, Settled, State
from kapture_async._core.journal.store import Store

from .shared import DEAD, MakeRow, Open, check_counts, refuse, settle, take, verdict

# --- ends and verdicts ----------------------------------------------------------------------------


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
    assert doubt.words == DEAD
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


# --- rows that cannot be sent ---------------------------------------------------------------------


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
    assert refuse(store, row("A-1")).action == "done"  # it was mended since
    store.close(7.0)
    store = opened()
    assert refuse(store, row("A-1", "odd")).action == "changed"
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


# --- sending once more ----------------------------------------------------------------------------


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
