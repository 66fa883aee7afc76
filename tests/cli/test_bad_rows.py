"""Rows that cannot be sent, and what a journal, a plan and a report make of them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kapture_async.testing import FaultPlan, KaptureEmulator

from ..driven import Driven

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FILL = ("--category", "3", "--priority", "medium")


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def executed(server: KaptureEmulator) -> list[str]:
    return sorted(entry.payload["title"] for entry in server.ledger)


def test_a_broken_line_does_not_take_another_rows_name(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    # The first line has lost its own key, so that the key of the last one stands in its place.
    (tmp_path / "t.csv").write_text("id,title\nk2\nk1,one\nk2,two\n")
    for _ in range(2):
        done = run_cli("push", "t.csv", "--key", "id", "--json")
        assert done.returncode == 4, done.stderr
        assert executed(server) == ["one", "two"]
    status = told(run_cli("status", "t.csv.journal", "--json"))
    assert (status["rows"], status["accepted"], status["not_sent"]) == (3, 2, 1)


def test_bad_rows_without_keys_are_listed(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text('title,ticket_details\none,a\n,b\ntwo\n"thr"ee,c\n,b\n')
    for _ in range(2):
        assert run_cli("push", "t.csv").returncode == 4
    screen = run_cli("status", "t.csv.journal").stdout
    assert "not there        4  4 cannot be sent as they are" in screen
    assert "title is missing" in screen
    done = run_cli("rejects", "t.csv.journal", "--out", "mend.csv")
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "mend.csv", encoding="utf-8", newline="") as file:
        listed = [(line["_line"], line["_reason"]) for line in csv.DictReader(file)]
    assert sorted(listed) == [
        ("3", "title is missing"),
        ("4", "has 1 cell where the header has 2"),
        ("5", "cannot be read as CSV (unescaped quote inside a quoted cell)"),
        ("6", "title is missing"),
    ]
    assert executed(server) == ["one"]


def test_no_empty_report_is_left_where_another_process_has_the_journal(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("title\none\n")
    assert run_cli("push", "t.csv").returncode == 0
    ours = Driven(tmp_path / "t.csv.journal", job=None, create=False)
    try:
        done = run_cli("push", "t.csv", "--report", "r.csv")
    finally:
        ours.close()
    assert f"process {os.getpid()}" in done.stderr
    assert done.returncode == 2
    assert not (tmp_path / "r.csv").exists()
    assert run_cli("push", "t.csv", "--report", "r.csv").returncode == 0
    assert (tmp_path / "r.csv").exists()


def test_a_plan_knows_rows_by_their_content(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    rows = ["accepted", "refused", "lost", "twice", "twice", "unreached"]
    (tmp_path / "t.csv").write_text("\n".join(["title", *rows, ""]))
    server.faults = FaultPlan.script([None, "failed", "close_after", None, None, "failed"])
    run_cli("push", "t.csv", "--max-concurrency", "1", "--timeout", "0.5")
    assert server.requests.total() == 6
    (tmp_path / "t.csv").write_text("\n".join(["title", *rows, "twice", "new", ""]))
    plan = told(run_cli("plan", "t.csv", "--json"))
    assert plan["journal"] == {
        "path": "t.csv.journal",
        "accepted": 3,
        "rejected": 2,
        "unknown": 1,
        "new": 2,
    }
    assert (plan["rows"], plan["to_send"]) == (8, 2)
    screen = run_cli("plan", "t.csv").stdout
    assert ["already", "there", "3", "according", "to", "t.csv.journal"] in map(
        str.split, screen.splitlines()
    )
    assert "found out by the push" not in screen
    # It is what a push does.
    server.faults = FaultPlan()
    before = server.requests.total()
    run_cli("push", "t.csv")
    assert server.requests.total() - before == plan["to_send"]


def test_the_other_services_plan_knows_rows_by_their_content(
    run_support: Run, tmp_path: Path, support_server: Any
) -> None:
    (tmp_path / "t.csv").write_text("subject,comment\nOne,first\nTwo,second\n")
    assert run_support("push", "t.csv", *FILL).returncode == 0
    (tmp_path / "t.csv").write_text("subject,comment\nTwo,second\nTwo,second\nOne,other\n")
    plan = told(run_support("plan", "t.csv", *FILL, "--json"))
    assert plan["journal"] == {"path": "t.csv.journal", "accepted": 1, "new": 2}
