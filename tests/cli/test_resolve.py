"""The command `resolve`: many rows at once, what it warns of, and how to take it back."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from kapture_async.testing import FaultPlan, KaptureEmulator

from .conftest import Run
from .test_journal import QUICK, SOON, executed, table, told

JOURNAL = "t.csv.journal"


def standing(run_cli: Run) -> tuple[int, int, int]:
    """Rows in the helpdesk, not sent, and in doubt."""
    said = told(run_cli("status", JOURNAL, "--json"))
    return (
        said["accepted"],
        said["not_sent"],
        said["unknown"] + said["ambiguous"] + said["probable"],
    )


def push_in_doubt(run_cli: Run, server: KaptureEmulator, tmp_path: Path, *, rows: int = 4) -> None:
    """Of every second row nobody knows whether it is there: half of them are."""
    table(tmp_path / "t.csv", rows)
    server.faults = FaultPlan.script(["close_after", "close_before"] * (rows // 2))
    push = ("push", "t.csv", "--key", "id", "--reference", "none", "--max-concurrency", "1")
    assert run_cli(*push, *QUICK).returncode == 3
    server.faults = FaultPlan()
    assert standing(run_cli) == (0, 0, rows)


def fill_in(path: Path, verdicts: dict[str, tuple[str, str]]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["verdict"], row["ticket_id"] = verdicts.get(row["key"], ("", ""))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_many_rows_from_a_file_and_back(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    push_in_doubt(run_cli, server, tmp_path)
    there = {entry.payload["title"]: entry.ticket_id for entry in server.ledger}
    assert run_cli("doubts", JOURNAL, "--out", "d.csv").returncode == 0
    done = run_cli("resolve", JOURNAL, "--from", "d.csv")
    assert (done.returncode, "nothing is filled in" in done.stderr) == (0, True)
    answers = {"k0": ("", there["Ticket 0"] or ""), "k1": ("absent", ""), "k3": ("Absent", "")}
    # One answer that cannot be understood, and none is recorded.
    for wrong, words in (
        (("maybe", ""), "row 4: the verdict 'maybe' is neither present nor absent"),
        (("present", ""), "present, and no ticket_id"),
        (("absent", "17"), "absent, and yet with a ticket_id"),
        (("present", "7.96101E+11"), "a spreadsheet has rounded the ticket_id"),
    ):
        fill_in(tmp_path / "d.csv", answers | {"k2": wrong})
        done = run_cli("resolve", JOURNAL, "--from", "d.csv")
        assert done.returncode == 2
        assert words in done.stderr
        assert standing(run_cli) == (0, 0, 4)
    fill_in(tmp_path / "d.csv", answers)
    done = run_cli("resolve", JOURNAL, "--from", "d.csv")
    assert done.returncode == 0, done.stderr
    assert standing(run_cli) == (1, 2, 1)
    done = run_cli("resolve", JOURNAL, "--from", "d.csv", "--undo")
    assert done.returncode == 0, done.stderr
    assert "k1 (line 3): in doubt again" in done.stderr
    assert standing(run_cli) == (0, 0, 4)
    done = run_cli("resolve", JOURNAL, "k0", "--undo")
    assert done.returncode == 2
    assert "nothing to take back" in done.stderr
    assert run_cli("resolve", JOURNAL, "--from", "d.csv").returncode == 0
    done = run_cli("resolve", JOURNAL, "k2", "--present", there["Ticket 2"] or "")
    assert run_cli("resume", JOURNAL).returncode == 0
    assert executed(server) == Counter(f"Ticket {n}" for n in range(4))
    # What was sent since is not taken back.
    assert run_cli("resolve", JOURNAL, "k1", "--undo").returncode == 2
    assert standing(run_cli) == (4, 0, 0)


def test_absent_against_what_a_lookup_saw(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    push_in_doubt(run_cli, server, tmp_path, rows=2)
    assert run_cli("reconcile", JOURNAL, *SOON).returncode == 3
    (entry,) = server.ledger
    before = told(run_cli("status", JOURNAL, "--json"))
    assert before["probable"] == 1
    done = run_cli("resolve", JOURNAL, "k0", "--absent")
    assert done.returncode == 0, done.stderr
    warned = f"k0 (line 2): a lookup found what may be it ({entry.ticket_id})"
    assert warned in done.stderr
    assert "makes a second ticket" in done.stderr
    undo = next(line for line in done.stderr.splitlines() if "--undo" in line)
    assert run_cli(*undo[undo.index("resolve") :].split()).returncode == 0
    assert told(run_cli("status", JOURNAL, "--json"))["probable"] == 1
    # It is told by what it was before: its ticket is still named.
    assert run_cli("doubts", JOURNAL, "--out", "d.csv").returncode == 0
    assert entry.ticket_id is not None
    assert entry.ticket_id in (tmp_path / "d.csv").read_text()
    done = run_cli("resolve", JOURNAL, "k1", "--absent")
    assert "a lookup found" not in done.stderr
