"""Showing never decides the outcome: what streams and signals do to command lines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async.testing import SupportEmulator

from .conftest import Start

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file descriptors and signals of POSIX")

ADD = ("-m", "kapture_async", "add", "--title", "A smile \U0001f600")
FULL = "/dev/full"
Call = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def call(environment: dict[str, str], tmp_path: Path) -> Call:
    """Runs a program through a shell that sets its streams up: ``call("... >&-")``."""

    def run(
        redirect: str, *words: str, env: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["bash", "-c", f'"$@" {redirect}', "-", sys.executable, *words]
        return subprocess.run(
            command,
            env=environment | {"PYTHONUTF8": "0"} | env,
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


def made(server: KaptureEmulator) -> str:
    (entry,) = server.ledger
    return entry.ticket_id


@pytest.mark.parametrize(
    ("encoding", "form", "unbuffered"),
    [
        ("cp1252", (), ()),
        ("cp1252", ("--json",), ("-u",)),
        ("latin-1:strict", ("--json",), ()),
        ("ascii", (), ("-u",)),
        ("utf-16", ("--json",), ()),
    ],
)
def test_any_encoding(
    call: Call, server: KaptureEmulator, encoding: str, form: Any, unbuffered: Any
) -> None:
    done = call("", *unbuffered, *ADD, *form, env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode(encoding.partition(":")[0])
    assert made(server) in out
    if form:
        assert json.loads(out)["title"] == "A smile \U0001f600"


@pytest.mark.skipif(not Path(FULL).exists(), reason="this system has no full device")
@pytest.mark.parametrize(
    ("redirect", "unbuffered"),
    [(f">{FULL}", ()), (f">{FULL}", ("-u",)), (">&-", ()), ("| true", ())],
)
def test_what_stdout_does_not_take_is_told_on_stderr(
    call: Call, server: KaptureEmulator, redirect: str, unbuffered: Any
) -> None:
    done = call(f"{redirect}; exit ${{PIPESTATUS[0]}}", *unbuffered, *ADD, "--json")
    assert done.returncode == 0, done.stderr
    if redirect == "| true" and not done.stderr:
        return  # it was quicker than `true`
    assert made(server).encode() in done.stderr
    assert b"standard output" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("redirect", ["2>&-", f"2>{FULL}", f">{FULL} 2>{FULL}", ">&- 2>&- <&-"])
def test_nothing_can_be_told_and_the_exit_code_is_right(
    call: Call, server: KaptureEmulator, redirect: str, tmp_path: Path
) -> None:
    assert call(redirect, *ADD).returncode == 0
    assert made(server)
    (tmp_path / "rows.csv").write_text("title\n" + "".join(f"T{i}\n" for i in range(30)))
    server.faults = FaultPlan.script([None] * 5 + ["close_after"])
    push = ("-m", "kapture_async", "push", "rows.csv", "--timeout", "1")
    assert call(redirect, *push).returncode == 3
    assert len(server.ledger) == 31
    # No descriptor of the journal stood in for a stream: all that was written is in it.
    done = call("", "-m", "kapture_async", "status", "rows.csv.journal", "--json")
    stands = json.loads(done.stdout)
    assert (stands["accepted"], stands["unknown"]) == (29, 1)


@pytest.mark.parametrize(
    ("redirect", "code"), [(f">{FULL}", 2), (">&-", 2), ("| true; exit ${PIPESTATUS[0]}", 1)]
)
def test_a_pull_that_cannot_be_written_fails(
    call: Call, server: KaptureEmulator, redirect: str, code: int
) -> None:
    for number in range(2000):
        server.seed(title=f"T{number}", ticket_details="x" * 200)
    day = server.now.date().isoformat()
    done = call(redirect, "-m", "kapture_async", "pull", "--from", day, "--json")
    assert done.returncode == code, done.stderr
    assert done.stderr.count(b"standard output") == 1
    assert len(done.stderr.splitlines()) == 1  # not the rows


# --- signals ----------------------------------------------------------------------------------


def slow_push(start_cli: Start, server: KaptureEmulator, folder: Path, *more: str) -> Any:
    (folder / "rows.csv").write_text("title\n" + "".join(f"T{i}\n" for i in range(200)))
    process = start_cli("push", "rows.csv", "--max-concurrency", "4", "--json", *more)
    assert server.ledger.wait_for(5, 60)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_push_in_good_order(
    start_cli: Start, server: KaptureEmulator, tmp_path: Path, run_cli: Any, number: signal.Signals
) -> None:
    server.latency = 0.05
    process = slow_push(start_cli, server, tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["stopped"] == "interrupted"
    assert "Traceback" not in err
    stands = json.loads(run_cli("status", "rows.csv.journal", "--json").stdout)
    assert stands["unknown"] == 0
    assert stands["accepted"] == len(server.ledger) < 200


def test_nohup_stays_nohup(
    environment: dict[str, str], server: KaptureEmulator, tmp_path: Path
) -> None:
    server.latency = 0.05
    (tmp_path / "rows.csv").write_text("title\n" + "".join(f"T{i}\n" for i in range(60)))
    words = ["-m", "kapture_async", "push", "rows.csv", "--max-concurrency", "4"]
    process = subprocess.Popen(
        ["nohup", sys.executable, *words],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert server.ledger.wait_for(5, 60)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(server.ledger) == 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_part_of_an_export(
    start_cli: Start, server: KaptureEmulator, tmp_path: Path, number: signal.Signals
) -> None:
    for count in range(300):
        server.seed(title=f"T{count}", ticket_details="x" * 1000)
    server.faults = FaultPlan.script(["slow;duration=30;pieces=300"])
    day = server.now.date().isoformat()
    process = start_cli("pull", "--from", day, "--out", "out.jsonl")
    # Its part is there: the day has begun to arrive.
    for _ in range(6000):
        if [*tmp_path.glob("*.part"), *tmp_path.glob(".*.part")]:
            break
        if process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert not [name for name in left if "part" in name or name == "out.jsonl"], left


def test_ctrl_c_while_it_loads(environment: dict[str, str], tmp_path: Path) -> None:
    # Each line of the program's own code may be where it comes; this one is in the middle.
    program = (
        "import os, signal, sys\n"
        "sys.argv = ['kapture-async', 'add', '--title', 'x']\n"
        "class Press:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == sys.argv_at: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv_at = os.environ['AT']\n"
        "sys.meta_path.insert(0, Press())\n"
        "from kapture_async.__main__ import main\n"
        "main()\n"
    )
    for at in (
        "kapture_async.cli.app",
        "click",
        "kapture_async._core.cli.exit_codes",
        "rich.console",
    ):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment | {"AT": at, "KAPTURE_BASE_URL": "http://127.0.0.1:1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 130, (at, done.stderr)
        assert "Traceback" not in done.stderr
        assert re.search("Interrupted", done.stderr), (at, done.stderr)


# --- pushes that break off ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "breaking",
    [
        # The journal's thread cannot be started.
        "threading.Thread.start = no_threads",
        # There is no memory for counting outcomes.
        "kapture_async._core.push.report.Summary.add = no_memory",
    ],
)
def test_a_push_that_breaks_off_says_so(
    environment: dict[str, str], server: KaptureEmulator, tmp_path: Path, breaking: str
) -> None:
    (tmp_path / "rows.csv").write_text("title\nT1\nT2\nT3\n")
    program = (
        "import sys, threading\n"
        "import kapture_async._core.push.rows, kapture_async._core.push.report\n"
        "sys.argv = ['kapture-async', 'push', 'rows.csv', '--json']\n"
        'def no_threads(*args, **more): raise RuntimeError("can\'t start new thread")\n'
        "def no_memory(*args, **more): raise MemoryError\n"
        f"{breaking}\n"
        "from kapture_async.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"PYTHONWARNINGS": "default"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, -11), done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["stopped"], done.stdout


def test_the_support_command_line_does_the_same(
    support_environment: dict[str, str], support_server: SupportEmulator, tmp_path: Path
) -> None:
    words = ("create", "--subject=x", "--comment=y", "--category=3", "--priority=low", "--json")
    done = subprocess.run(
        ["bash", "-c", '"$@" >&-', "-", sys.executable, "-m", "support_async", *words],
        env=support_environment,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(support_server.ledger) == 1
    assert b"it would have said" in done.stderr
