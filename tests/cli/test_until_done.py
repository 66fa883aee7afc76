"""`push --until-done`: one command until nothing is left, its log, and its hook."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator

from .conftest import Run, Start
from .test_journal import (
    QUICK,
    SOON,
    each_once,
    executed,
    needs_signals,
    steps,
    table,
    told,
    wait_for_rows,
)

PUSH = ("push", "t.csv", "--key", "id", *QUICK)
DONE = ("--until-done", *SOON)


@needs_signals
def test_killed_at_a_third_one_command_brings_it_to_the_end(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 300)
    kinds = ["close_before", "close_after", "failed", "status;status=502"]
    server.faults = FaultPlan.rate(0.05, seed=7, kinds=kinds)
    server.latency = 0.01
    process = start_cli(*PUSH, "--max-concurrency", "8")
    wait_for_rows(run_cli, server, 100)
    process.kill()
    process.communicate()
    server.latency = 0.0
    screen = run_cli("status", "t.csv", env={"COLUMNS": "80"}).stdout
    assert len(screen.splitlines()) <= 20, screen
    assert "resume t.csv.journal --until-done" in screen
    done = run_cli(*PUSH, *DONE)
    stands = told(run_cli("status", "t.csv", "--json"))
    assert (stands["rows"], stands["unknown"], stands["not_sent"]) == (300, 0, 0)
    refused = stands["rejected"]
    assert 0 < refused < 40
    assert done.returncode == 1, done.stderr
    assert stands["accepted"] == 300 - refused == len(executed(server))
    assert set(executed(server).values()) == {1}
    # A log that a person can follow: what was done when, and how it stands.
    story = [line for line in done.stderr.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert "pass 1: pushing t.csv" in story[0]
    assert any("in doubt" in line and "are in the helpdesk" in line for line in story)
    words = f"{300 - refused} of 300 rows in the helpdesk, {refused} rejected"
    assert story[-1].endswith(words), story
    assert "rejects t.csv.journal" in done.stderr + done.stdout


def test_what_stays_in_doubt_is_listed_and_a_hook_is_told(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 6)
    server.faults = FaultPlan.script([None, "close_after", "close_before"])
    program = (
        "import os, sys; open('hook', 'w').write(os.environ['PUSH_EXIT_CODE'] + sys.stdin.read())"
    )
    (tmp_path / "hook.py").write_text(program)
    hook = ("--hook", f"'{sys.executable}' hook.py")
    push = (*PUSH, "--reference", "none", "--max-concurrency", "1")
    done = run_cli(*push, *DONE, *hook, "--json")
    assert done.returncode == 3, done.stderr
    said = told(done)
    assert (said["accepted"], said["passes"], said["lookups"]) == (4, 1, 1)
    assert said["doubts"] == "t.csv.doubts.csv"
    assert (tmp_path / "t.csv.doubts.csv").read_text().count("\n") == 3
    assert "resolve t.csv.journal --from t.csv.doubts.csv" in done.stderr
    text = (tmp_path / "hook").read_text()
    assert text[0] == "3"
    assert json.loads(text[1:])["accepted"] == 4
    # The hook is of the command line: no journal has one.
    (tmp_path / "hook").unlink()
    assert b"hook.py" not in (tmp_path / "t.csv.journal").read_bytes()
    assert run_cli("resume", "t.csv.journal", *DONE).returncode == 3
    assert not (tmp_path / "hook").exists()
    assert (tmp_path / "t.csv.doubts-2.csv").exists()


@pytest.mark.parametrize("until_done", [DONE, ()])
def test_a_refused_token_stops_at_the_first_row_and_is_named(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, until_done: tuple[str, ...]
) -> None:
    table(tmp_path / "t.csv", 50)
    done = run_cli(*PUSH, *until_done, env={"KAPTURE_TOKEN": "s3cret"})
    assert done.returncode != 0
    assert not len(server.ledger)
    assert told(run_cli("status", "t.csv", "--json"))["rejected"] == 1  # of 50
    assert "refused: the token in KAPTURE_TOKEN\n" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout
    assert "renew the token" in done.stderr + done.stdout
    done = run_cli("resume", "t.csv", *DONE)
    assert done.returncode == 0, done.stderr
    assert executed(server) == each_once(50)
    assert "Nothing is left to do." in run_cli("status", "t.csv").stdout
    assert "Next steps" not in steps(run_cli)


@needs_signals
def test_interrupted_while_it_waits(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 4)
    server.faults = FaultPlan.script([None, "close_before"])
    process = start_cli(*PUSH, "--until-done")
    assert process.stderr is not None
    lines = []
    while "waiting until" not in (line := process.stderr.readline()):
        assert process.poll() is None, lines
        lines.append(line)
    process.terminate()
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted after" in errors
    assert "resume t.csv.journal --until-done" in out + errors
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*doubts*"))


def test_what_does_not_fit_together(run_cli: Run, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", 1)
    for words, problem in (
        (("--until-done", "--no-journal"), "needs a journal"),
        (("--until-done", "--report", "r.csv"), "is of a single push"),
        (("--settle", "40"), "--settle is for --until-done"),
    ):
        done = run_cli("push", "t.csv", *words)
        assert done.returncode == 2
        assert problem in done.stderr
    assert run_cli("push", "-", "--until-done", "--format", "csv", input="").returncode == 2
