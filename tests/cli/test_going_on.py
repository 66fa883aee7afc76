"""The last screen of a push, and what happens to one who follows its advice to the letter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def offered(stderr: str) -> list[str]:
    """The command that the screen offers, as arguments."""
    lines = stderr[stderr.index("Next: ") :].splitlines()
    words = next(line for line in lines if " resume t.csv.journal" in line).split()
    return words[words.index("resume") :]


def table(path: Path, rows: list[tuple[str, str]]) -> None:
    lines = ["id,title", *(f"{key},{title}" for key, title in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def executed(server: KaptureEmulator) -> Counter[str]:
    return Counter(entry.payload["title"] for entry in server.ledger.of("tickets.add"))


@pytest.mark.parametrize("key", [("--key", "id"), ()])
@pytest.mark.parametrize("count", [50, 400])
def test_a_wrong_token_costs_no_row(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, key: tuple[str, ...], count: int
) -> None:
    table(tmp_path / "t.csv", [(f"k{n}", f"t{n}") for n in range(count)])
    done = run_cli("push", "t.csv", *key, env={"KAPTURE_TOKEN": "wrong"})
    assert done.returncode in (1, 4)
    again = run_cli(*offered(done.stderr))
    assert again.returncode == 0, again.stderr
    assert executed(server) == Counter(f"t{n}" for n in range(count))


def test_a_service_that_says_come_back_later_costs_no_row(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", [(f"k{n}", f"t{n}") for n in range(50)])
    server.faults = FaultPlan.rate(1, kinds=[Fault("status", status=429, retry_after="3600")])
    done = run_cli("push", "t.csv", "--key", "id")
    assert "asks to wait 3600 s" in done.stderr
    server.faults = FaultPlan()
    assert run_cli(*offered(done.stderr)).returncode == 0
    assert executed(server) == Counter(f"t{n}" for n in range(50))


def test_doubts_are_named_without_a_report(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", [(f"key-{n}", f"t{n}") for n in range(60)])
    server.faults = FaultPlan.rate(0.5, seed=1, kinds=["reset_after"])
    done = run_cli(
        "push", "t.csv", "--no-journal", "--key", "id", "--no-report", env={"COLUMNS": "80"}
    )
    assert done.returncode == 3
    doubts = [line.split()[0] for line in done.stdout.splitlines() if " unknown " in line]
    titles = {key.replace("key-", "t") for key in doubts if key.startswith("key-")}
    assert len(titles) == server.faulted["reset_after"]
    assert titles <= set(executed(server))
    assert "pull --from" in done.stderr


def test_a_report_that_breaks_off_still_names_every_doubt(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", [(f"key-{n}", f"t{n}") for n in range(40)])
    server.faults = FaultPlan.rate(1, kinds=["reset_after"])
    program = (
        "import sys, kapture_async._core.push.report as report\n"
        "real = report.ReportFile.save\n"
        "calls = []\n"
        "def save(self):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 2:\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    real(self)\n"
        "report.ReportFile.save = save\n"
        "from kapture_async.cli.app import main\n"
        "sys.argv = ['kapture-async', 'push', 't.csv', '--key', 'id',\n"
        "    '--no-journal', '--max-concurrency', '2']\n"
        "main()\n"
    )
    environment = os.environ | {
        "KAPTURE_BASE_URL": server.url,
        "KAPTURE_TOKEN": "emulator-token",
        "COLUMNS": "100",
        "PYTHONUTF8": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert "the report is incomplete" in done.stderr
    named = (tmp_path / "t.report.csv").read_text(encoding="utf-8") + done.stdout
    for title in executed(server):
        assert title.replace("t", "key-") in named


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_closed_pipe_costs_neither_exit_code_nor_advice(
    environment: dict[str, str], server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", [("A1", "one"), ("A2", "")])
    for stdout in ("/dev/full", None):
        command = [sys.executable, "-m", "kapture_async", "push", "t.csv", "--key", "id", "--json"]
        if stdout is None:
            command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
        with open(stdout or os.devnull, "w") as target:
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env=environment,
                stdout=target,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                timeout=60,
            )
        assert done.returncode == 4, done.stderr
        assert "Next: " in done.stderr
        assert "a bug" not in done.stderr
