"""What the journal's file keeps and gives back."""

from __future__ import annotations

import os
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, State

from ...driven import Driven, sql
from .shared import MakeRow, Open

# --- payloads -------------------------------------------------------------------------------------


def test_payloads_go_when_they_are_needed_no_more(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    secret = "confidential-{}".format
    for number, end in enumerate(["accepted", "unknown", "unknown", "rejected"]):
        store.settle(store.take(row(str(number)), secret(number).encode() * 9), end)
    store.verdict(2, "present")
    store.verdict(3, "absent")
    kept = {view.key: view.payload is not None for view in store.rows_in(*State)}
    assert kept == {"0": False, "1": False, "2": True, "3": True}
    store.close(5.0)
    content = path.read_bytes()
    assert [secret(number).encode() in content for number in range(4)] == [False, False, True, True]


def test_no_payloads(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened(payloads=False)
    store.settle(store.take(row("a"), b"confidential"), "not_sent")
    store.refuse(row("b"), "bad", b"confidential")
    assert list(store.pending()) == []
    store.close(5.0)
    assert b"confidential" not in path.read_bytes()
    store = opened()  # what the journal does not keep, no later run can ask for
    assert store.job.payloads is False
    assert store.take(row("a"), b"confidential").action == "send"
    assert [view.payload for view in store.rows_in(*State)] == [None, None]


def test_payloads_can_be_left_out_later(opened: Open, row: MakeRow) -> None:
    opened().close(5.0)
    store = opened(payloads=False)
    store.take(row("a"), b"confidential")
    assert [view.payload for view in store.rows_in(*State)] == [None]


def test_the_file_does_not_grow_with_what_is_gone(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    for start in range(0, 2000, 50):
        taken = store.take_many([(row(str(n)), bytes(4000)) for n in range(start, start + 50)])
        store.end_many([(one.row, 1, "accepted", {}) for one in taken])
    store.close(5.0)
    assert path.stat().st_size < 1_000_000  # of 8 MB that went through it


# --- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_the_owner_may_read_it(opened: Open, row: MakeRow, path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = opened()
        store.take(row("A-1"))
    finally:
        os.umask(before)
    found = {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()}
    assert found == {path.name + end: 0o600 for end in ("", "-wal", "-shm", "-lock")}


def test_closed_it_is_one_file(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    store.take(row("A-1"))
    store.close(5.0)
    assert [name.name for name in path.parent.iterdir()] == [path.name]
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(unknown=1)
    assert [name.name for name in path.parent.iterdir()] == [path.name]


def test_every_commit_is_synced(opened: Open) -> None:
    store = opened()
    assert store.call(lambda session: sql(session, "PRAGMA synchronous")) == [(2,)]  # FULL
    assert store.call(lambda session: sql(session, "PRAGMA journal_mode")) == [("wal",)]


def test_runs(opened: Open, path: Path) -> None:
    store = opened(at=10.0)
    store.close(20.0)
    store.close(99.0)
    store = opened(at=30.0)
    (first, second) = store.runs()
    assert (first.run, first.began, first.ended, first.pid) == (1, 10.0, 20.0, os.getpid())
    assert (second.run, second.began, second.ended) == (2, 30.0, None)


def test_looks(opened: Open) -> None:
    store = opened()
    store.note_lookup(10.0, {"tickets": 3})
    store.note_lookup(20.0, {"tickets": "\ud800"})
    assert [(look.at, look.evidence) for look in store.lookups()] == [
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
    assert one.take(row("A-1")).reference != two.take(row("A-1")).reference


def test_opened_without_a_job(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened(source="x")
    store.take(row("A-1"))
    store.close(5.0)
    store = Driven(path, job=None, at=6.0)
    assert store.job.source == "x"
    store.close(7.0)


def test_not_there(opened: Open, path: Path, job: Any) -> None:
    for kwargs in ({"job": None, "create": True}, {"job": job, "create": False}):
        with pytest.raises(JournalError, match="there is no such file"):
            Driven(path, at=1.0, **kwargs)
    with pytest.raises(JournalError, match="there is no such file"):
        ReadJournal.open_to_read(path)
    assert list(path.parent.iterdir()) == []


def test_odd_names(opened: Open, row: MakeRow, tmp_path: Path) -> None:
    for name in ("a b", "50%", "q?mode=ro", "#1", "ü", "'", "a;b", "-x", os.fsdecode(b"\xff")):
        store = opened(tmp_path / name)
        store.take(row("A-1"))
        store.close(5.0)
        assert opened(tmp_path / name).counts() == Counts(unknown=1)


def test_a_folder_that_changes_under_a_relative_name(
    row: MakeRow, job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Driven("tickets.journal", job=job)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    store.take(row("A-1"))
    store.close(5.0)
    assert {name.name for name in tmp_path.iterdir()} == {"tickets.journal", "other"}


def test_a_reader_while_a_push_writes(opened: Open, row: MakeRow, path: Path) -> None:
    store = opened()
    store.settle(store.take(row("a")), "accepted")
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(accepted=1)
        views = reader.rows_in(*State)
        assert next(views).key == "a"
        store.settle(store.take(row("b")), "rejected")  # it holds nobody up
        assert reader.counts() == Counts(accepted=1, rejected=1)
        views.close()
    store.close(5.0)
    assert opened().counts() == Counts(accepted=1, rejected=1)


FILTERS = 2 * (2 << 20)


def test_memory_of_a_large_one(opened: Open, row: MakeRow) -> None:
    store = opened()
    for start in range(0, 100_000, 5000):
        rows = [(row(str(n)), None) for n in range(start, start + 5000)]
        taken = store.take_many(rows)
        store.end_many([(one.row, 1, "accepted", {}) for one in taken])
    store.close(5.0)
    tracemalloc.start()
    store = opened()
    taken = store.take_many([(row(str(n)), None) for n in (0, 99_999)])
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert [one.action for one in taken] == ["done", "done"]
    assert store.counts() == Counts(accepted=100_000)
    assert held < 200_000 + FILTERS  # a bit for each row, and small change


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
