"""``verify`` and ``push --verify``, as processes: the page, the rows as CSV, and exit codes."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator

from ..once.test_contradictions import OddKapture, OddSupport
from ..once.test_verify import forget
from .conftest import bare_environment, runner
from .running import Lines

Run = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = ("--timeout", "20")
SOON = ("--settle", "40")


@pytest.fixture
def server() -> Iterator[KaptureEmulator]:
    with OddKapture().in_thread() as emulator:
        yield emulator


@pytest.fixture
def later(lines: Lines, environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs the command line an hour from now."""
    return runner(lines, "kapture_async", environment | {"CLOCK_AHEAD": "3600"}, tmp_path)


def table(folder: Path, **titles: str) -> None:
    lines = [f"{key},{title},text of {key}" for key, title in titles.items()]
    text = "\n".join(["id,title,ticket_details", *lines, ""])
    (folder / "t.csv").write_text(text, encoding="utf-8")


PUSH = ("push", "t.csv", "--key", "id", *QUICK)


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def test_all_is_proved(run_cli: Run, tmp_path: Path) -> None:
    table(tmp_path, a="one", b="two")
    done = run_cli(*PUSH, "--verify")
    assert done.returncode == 0, done.stderr
    assert "Verification of" in done.stdout
    assert "Proved: 100 % of 2 rows" in done.stdout
    assert "references in ticket_details" in done.stdout
    assert "100 % proved" in run_cli("status", "t.csv.journal").stdout
    told = json.loads(run_cli("status", "t.csv.journal", "--json").stdout)
    assert told["proved"] == 1.0
    assert told["verified"] is not None
    done = run_cli("verify", "t.csv.journal", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert (told["rows"], told["present"], told["proved"], told["all_proved"]) == (2, 2, 1.0, True)
    assert told["contradictions"] == []
    assert [one["total"] for one in told["lists"] if one["tickets"]] == [2]


def test_what_is_not_as_the_journal_says(
    run_cli: Run, later: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path, a="one", r="REFUSED", d="DOUBLE", l="LOST", gone="gone")
    assert run_cli(*PUSH, "--max-concurrency", "1").returncode == 3
    table(tmp_path, a="one", r="REFUSED", d="DOUBLE", l="LOST", gone="gone", **{"=z": "last"})
    run_cli(*PUSH)
    forget(server, "gone")
    done = later("verify", "t.csv.journal", *SOON, "--out", "rows.csv")
    assert done.returncode == 5, done.stderr
    page = " ".join(done.stdout.split())
    for words in (
        "Proved: 50 % of 6 rows",
        "Missing gone",
        "Twice d (line 4)",
        "r (line 3) rejected, but in the helpdesk",
        "of 6 by the service's own count",
    ):
        assert words in page
    rows = rows_of(tmp_path / "rows.csv")
    assert {key: row["result"] for key, row in rows.items()} == {
        "a": "present",
        "r": "contradicted",
        "d": "twice",
        "l": "present",
        "gone": "missing",
        "'=z": "present",
    }
    assert len(rows["d"]["tickets"].split()) == 2
    assert rows["r"]["state"] == "rejected"
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "rows.csv").stat().st_mode) == 0o600
    status = run_cli("status", "t.csv.journal")
    assert "Contradictions" in status.stdout
    told = json.loads(run_cli("status", "t.csv.journal", "--json").stdout)
    assert told["contradictions"] == 2
    assert {(one["kind"], one["key"]) for one in told["contradictions_named"]} == {
        ("rejected_present", "r"),
        ("twice", "d"),
    }
    # What is there already is not written over, and nobody is asked.
    before = len(server.requests)
    again = later("verify", "t.csv.journal", *SOON, "--out", "rows.csv")
    assert again.returncode == 2
    assert "already exists" in again.stderr
    assert len(server.requests) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".part")) == []


def test_a_missing_row_alone(
    run_cli: Run, later: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path, a="one", gone="gone", z="last")
    assert run_cli(*PUSH, "--max-concurrency", "1").returncode == 0
    forget(server, "gone")
    done = later("verify", "t.csv.journal", *SOON, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["missing"] == 1
    # A moment after the push it may still become visible.
    early = run_cli("verify", "t.csv.journal", "--json")
    assert early.returncode == 3
    assert (json.loads(early.stdout)["missing"], json.loads(early.stdout)["not_seen"]) == (0, 1)


def test_reconcile_tells_contradictions(run_cli: Run, tmp_path: Path) -> None:
    table(tmp_path, a="one", r="REFUSED", d="DOUBLE", l="LOST")
    assert run_cli(*PUSH).returncode == 3
    done = run_cli("reconcile", "t.csv.journal", *SOON, "--json")
    assert done.returncode == 5, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["present"], told["accepted"], told["contradictions"]) == (1, 4, 2)
    assert {one["kind"] for one in told["contradictions_seen"]} == {"rejected_present", "twice"}
    assert "rejected, but in the helpdesk" in done.stderr


def test_the_helpdesk_cannot_be_asked(
    lines: Lines, run_cli: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    table(tmp_path, a="one")
    run_cli(*PUSH)
    wrong = runner(lines, "kapture_async", environment | {"KAPTURE_TOKEN": "wrong"}, tmp_path)
    done = wrong("verify", "t.csv.journal", "--out", "rows.csv")
    assert done.returncode == 4, done.stderr
    assert "Invalid Auth Key" in done.stderr
    assert not (tmp_path / "rows.csv").exists()


def test_what_cannot_be_verified(run_cli: Run, tmp_path: Path) -> None:
    assert run_cli("verify", "no.journal").returncode == 2
    table(tmp_path, a="one")
    assert run_cli(*PUSH, "--no-journal", "--verify").returncode == 2
    run_cli(*PUSH)
    assert run_cli("verify", "t.csv.journal", "--settle", "1").returncode == 2
    assert run_cli("verify", "t.csv.journal", "--out", "rows.jsonl").returncode == 2


def test_push_verify_as_json(run_cli: Run, tmp_path: Path) -> None:
    table(tmp_path, a="one", d="DOUBLE")
    done = run_cli(*PUSH, "--verify", "--json")
    assert done.returncode == 5, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["accepted"] == 2
    assert (told["verification"]["present"], told["verification"]["twice"]) == (1, 1)


def test_updates(run_cli: Run, later: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    ids = [server.seed(title=f"t{number}") for number in range(2)]
    text = "\n".join(["ticket_id,comment", f"{ids[0]},Solved.", f"{ids[1]},", ""])
    (tmp_path / "u.csv").write_text(text, encoding="utf-8")
    assert run_cli("update-many", "u.csv", "--sub-status", "CL", *QUICK).returncode == 0
    done = later("verify", "u.csv.journal", *SOON, "--json")
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert (told["present"], told["unchecked"]) == (1, 1)


def test_support(lines: Lines, tmp_path: Path) -> None:
    with OddSupport(faults=FaultPlan()).in_thread() as emulator:
        environment = bare_environment(tmp_path) | {
            "SUPPORT_BASE_URL": emulator.url,
            "SUPPORT_APIKEY": emulator.apikey,
            "SUPPORT_ACCESS_TOKEN": emulator.token,
        }
        run: Any = runner(lines, "support_async", environment, tmp_path)
        text = "subject,comment\none,x\nDOUBLE,y\n"
        (tmp_path / "s.csv").write_text(text, encoding="utf-8")
        fill = ("--category", "3", "--priority", "medium", *QUICK)
        assert run("push", "s.csv", *fill).returncode == 0
        done = run("verify", "s.csv.journal", "--json")
        assert done.returncode == 5, done.stderr
        told = json.loads(done.stdout)
        assert (told["present"], told["twice"]) == (1, 1)
