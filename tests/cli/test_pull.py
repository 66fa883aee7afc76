"""The command `pull`: to the screen, into files, again and again."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from kapture_async import InvalidInputError
from kapture_async._api import INDIA
from kapture_async.cli.app import commands
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator
from kapture_async.testing.ticket_endpoints import PULL

from .conftest import Run, Start

DAY = "2024-04-19"
NOON = datetime(2024, 4, 19, 12, 0, tzinfo=INDIA)
DAYS = ("pull", "--from", DAY, "--to", "2024-04-21")


@pytest.fixture(autouse=True)
def tickets(server: KaptureEmulator) -> None:
    for day in range(3):
        for n in range(2):
            server.seed(created=NOON + timedelta(days=day), title=f"=Title {day}-{n}")


def test_into_a_file(run_cli: Run, tmp_path: Path) -> None:
    done = run_cli(*DAYS, "--out", "days.csv")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "6 tickets to days.csv\n"
    file = tmp_path / "days.csv"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    before = file.read_bytes()
    again = run_cli(*DAYS, "--out", file.name)
    assert again.returncode == 2
    assert "it already exists" in again.stderr
    assert file.read_bytes() == before
    assert run_cli(*DAYS, "--out", file.name, "--overwrite").returncode == 0


def test_to_stdout(run_cli: Run) -> None:
    rows = run_cli(*DAYS, "--out", "-").stdout.splitlines()
    assert [json.loads(row)["taskTitle"] for row in rows[:2]] == ["=Title 0-0", "=Title 0-1"]
    table = list(csv.DictReader(run_cli(*DAYS, "--format", "csv").stdout.splitlines()))
    assert [row["taskTitle"] for row in table[:2]] == ["'=Title 0-0", "'=Title 0-1"]
    assert len(table) == len(rows) == 6


def test_a_reader_that_leaves(environment: dict[str, str], server: KaptureEmulator) -> None:
    for n in range(2000):
        server.seed(created=NOON, title=f"{n}", ticket_details="x" * 900)
    command = f"{sys.executable} -m kapture_async {' '.join(DAYS)} --out - | head -1"
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, timeout=60
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == "warning: standard output was closed before the end\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull"], "--from DAY is required"),
        (["pull", "--from", DAY, "--since-last", "s"], "needs --out FILE"),
        (["pull", "--from", DAY, "--since-last", "s", "--out", "-"], "needs --out FILE"),
        (["pull", "--from", DAY, "--since-last", "s", "--json"], "needs --out FILE"),
        (["pull", "--from", DAY, "--recheck-open"], "needs --since-last"),
        (
            ["pull", "--from", DAY, "--since-last", "s", "--out", "x.csv", "--overwrite"],
            "never overwrites",
        ),
        (["pull", "--from", DAY, "--since-last", "s.csv", "--out", "./s.csv"], "same file"),
        (["pull", "--since-last", "s", "--out", "x.csv"], "where to begin"),
        (["pull", "--from", DAY, "--out", "x"], "format"),
        (["pull", "--from", DAY, "--out", "no/x.csv"], "there is no folder"),
        (["pull", "--from", DAY, "--out", "x.csv", "--json"], "not both"),
        (["pull", "--from", "tomorrow", "--out", "x.csv"], "2024-04-19"),
        (["pull", "--from", DAY, "--to", "2024-04-18", "--out", "x.csv"], "before the start"),
    ],
)
def test_what_cannot_be_meant(
    environment: dict[str, str],
    server: KaptureEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env=environment).invoke(commands, arguments)
    assert isinstance(done.exception, SystemExit if "Usage" in done.output else InvalidInputError)
    assert words in done.output + str(done.exception)
    assert sum(server.requests.values()) == 0
    assert list(tmp_path.iterdir()) == []


def test_again_and_again(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    command = ("pull", "--since-last", "s", "--from", DAY, "--to", "2024-04-25")
    first = run_cli(*command, "--out", "1.jsonl")
    assert first.stderr == "6 tickets to 1.jsonl; the newest from 2024-04-21 12:00\n"
    late = server.seed(created=NOON + timedelta(days=1))
    assert run_cli(*command, "--out", "2.jsonl").stderr.startswith("1 ticket to 2.jsonl; ")
    assert json.loads((tmp_path / "2.jsonl").read_text())["ticketId"] == late
    server.run(lambda: server._store.update(server._store.tickets[late], {"sub_status": "PS"}, 0))
    # It is watched from the first run on that was asked to.
    third = run_cli(*command, "--out", "3.csv", "--recheck-open")
    assert third.stderr.startswith("0 tickets to 3.csv; ")
    server.run(lambda: server._store.update(server._store.tickets[late], {"sub_status": "RS"}, 0))
    third = run_cli(*command, "--out", "3b.csv", "--recheck-open")
    assert "1 ticket to 3b.csv, 1 of them changed since" in third.stderr
    other = run_cli(*command, "--out", "4.csv", "--customer-code", "x")
    assert other.returncode == 2
    assert "other filters" in other.stderr
    assert not (tmp_path / "4.csv").exists()


def test_a_failure_names_the_day(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    server.faults = FaultPlan.script([None, None, Fault("failed", message="No!")])
    done = run_cli(*DAYS, "--ahead", "1", "--out", "x.csv")
    assert done.returncode == 1
    assert "note: while pulling 2024-04-21" in done.stderr
    assert "note: the export has written nothing" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_no_file(start_cli: Start, server: KaptureEmulator, tmp_path: Path) -> None:
    server.faults = FaultPlan.rate(1, kinds=["silence_after"])
    process = start_cli(*DAYS, "--out", "x.csv", "--since-last", "s")
    while not server.requests:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert json.loads((tmp_path / "s").read_text())["newest"] is None


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal")
def test_a_terminal_sees_how_far_it_is(
    environment: dict[str, str], server: KaptureEmulator, tmp_path: Path
) -> None:
    server.latency = 0.15
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kapture_async", *DAYS, "--ahead", "1", "--out", "x.csv"],
        env=environment | {"TERM": "xterm"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # the other side is gone
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    assert process.wait(timeout=30) == 0
    assert b"day 2 of 3" in seen
    assert b"6 tickets to x.csv" in seen


def test_a_day_that_comes_short(run_cli: Run, server: KaptureEmulator) -> None:
    answer = server._handlers[PULL]
    server._handlers[PULL] = lambda body: answer(body) | {"totalCount": 3}
    warning = (
        "warning: the service returned fewer tickets than it counts, for 2024-04-19, "
        "2024-04-20, 2024-04-21; it may limit its answers"
    )
    for out in ((), ("--out", "-"), ("--out", "x.csv")):
        done = run_cli(*DAYS, *out)
        assert done.returncode == 3
        assert warning in done.stderr
    since = (*DAYS, "--since-last", "s")
    for number in range(2):
        done = run_cli(*since, "--out", f"{number}.csv")
        assert done.returncode == 3
        assert f"{warning}; the next run reads them again\n" in done.stderr
    server._handlers[PULL] = answer
    assert run_cli(*since, "--out", "2.csv").returncode == 0
