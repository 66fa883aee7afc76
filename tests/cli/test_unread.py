"""A journal knows only rows it has seen: what is said while its file was not read to its end."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.sqlite.storage import put_source
from kapture_async.testing import FaultPlan, KaptureEmulator

from ..driven import Driven

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ROWS = 5
WRONG = {"KAPTURE_TOKEN": "wrong"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["title", *(f"Ticket {n}" for n in range(ROWS)), ""]))
    return path


def executed(server: KaptureEmulator) -> Counter[str]:
    return Counter(entry.payload["title"] for entry in server.ledger)


def standing(run_cli: Run) -> Any:
    return json.loads(run_cli("status", "t.csv.journal", "--json").stdout)


def offered(screen: str) -> list[str]:
    line = next(line for line in screen.splitlines() if "_async resume " in line)
    return shlex.split(line)[3:]


def test_after_one_row_of_many_there_is_something_left_to_do(
    run_cli: Run, server: KaptureEmulator, table: Path
) -> None:
    assert run_cli("push", "t.csv", "--trial", input="").returncode == 0
    assert len(server.ledger) == 1
    screen = run_cli("status", "t.csv.journal").stdout
    assert "Nothing is left" not in screen
    assert "of 1 row read so far" in screen
    assert "t.csv was not read to its end" in screen
    assert "push the rest of t.csv\n" in screen
    assert standing(run_cli)["read_to_end"] is False
    # `reconcile` says so, too; and what is offered does it.
    assert "push the rest of t.csv\n" in run_cli("reconcile", "t.csv.journal").stdout
    done = run_cli(*offered(screen))
    assert done.returncode == 0, done.stderr
    assert "Next: " not in done.stderr
    assert executed(server) == {f"Ticket {n}": 1 for n in range(ROWS)}
    screen = run_cli("status", "t.csv.journal").stdout
    assert "Nothing is left to do." in screen
    assert "all of them" in screen
    assert "read to its end" not in screen


def test_bad_refused_and_doubtful_rows_are_no_reason_to_read_once_more(
    run_cli: Run, server: KaptureEmulator, table: Path
) -> None:
    table.write_text(table.read_text() + '\n"x"y\n')
    server.faults = FaultPlan.script(["failed", "close_after"])
    assert run_cli("push", "t.csv", "--timeout", "0.5").returncode == 3
    assert standing(run_cli)["read_to_end"] is True
    assert "push the rest" not in run_cli("status", "t.csv.journal").stdout


def test_what_was_read_to_its_end_stays_so_unless_it_is_changed(
    run_cli: Run, server: KaptureEmulator, table: Path
) -> None:
    assert run_cli("push", "t.csv").returncode == 0
    assert run_cli("push", "t.csv", "--trial", input="").returncode == 0
    assert standing(run_cli)["read_to_end"] is True
    with open(table, "a") as file:
        file.writelines(f"New {n}\n" for n in range(300))
    assert run_cli("push", "t.csv", env=WRONG).returncode != 0
    assert standing(run_cli)["read_to_end"] is False
    assert "push the rest of t.csv\n" in run_cli("status", "t.csv.journal").stdout


def test_a_pipe_cannot_be_read_again_by_us(
    run_cli: Run, server: KaptureEmulator, table: Path
) -> None:
    push = ("push", "-", "--format", "csv", "--journal", "t.csv.journal")
    many = "title\n" + "".join(f"New {n}\n" for n in range(300))
    assert run_cli(*push, input=many, env=WRONG).returncode != 0
    screen = run_cli("status", "t.csv.journal").stdout
    assert "standard input was not read to its end" in screen
    assert "push the rest of" not in screen
    assert run_cli(*push, input=many).returncode == 0
    assert standing(run_cli)["read_to_end"] is True


def test_words_on_the_source_are_changed_and_nothing_else(
    run_cli: Run, server: KaptureEmulator, table: Path
) -> None:
    assert run_cli("push", "t.csv").returncode == 0
    path = table.with_name("t.csv.journal")
    with ReadJournal.open_to_read(path) as journal:
        job, runs, counts = journal.job, journal.runs(), journal.counts()
    put_source(path, "other words", at=time.time())
    with ReadJournal.open_to_read(path) as journal:
        assert journal.job.source == "other words"
        assert (journal.runs(), journal.counts()) == (runs, counts)
        assert not journal.job.differences(job)
    beside = sorted(found.name for found in path.parent.glob("t.csv*"))
    assert beside == ["t.csv", "t.csv.journal"]
    ours = Driven(path, job=None, create=False)
    try:
        with pytest.raises(JournalError, match="is using it"):
            put_source(path, "mine", at=time.time())
    finally:
        ours.close()
    with pytest.raises(JournalError):
        put_source(path.with_name("none.journal"), "mine", at=time.time())
    assert not path.with_name("none.journal").exists()
