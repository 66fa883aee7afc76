"""A push to an address that is not the service's, and what to type then."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator

from .conftest import Run


@pytest.mark.parametrize(("status", "doubts"), [(301, True), (404, False)])
def test_the_right_address_takes_another_journal(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, status: int, doubts: bool
) -> None:
    (tmp_path / "t.csv").write_text("title\none\n", encoding="utf-8")
    server.faults = FaultPlan.script([f"status;status={status}"])
    done = run_cli("push", "t.csv")
    assert done.returncode != 0
    assert "resume" not in done.stderr
    assert "reconcile" not in done.stderr
    assert ("first look up the 1 row in doubt" in done.stderr) == doubts
    assert "(or delete t.csv.journal first)" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "--base-url BASE_URL" in line]
    assert "t.csv.2.journal" in line
    right = server.url.replace("127.0.0.1", "localhost")
    words = [word.replace("BASE_URL", right) for word in shlex.split(line)]
    assert run_cli(*words[3:]).returncode == 0, line
    assert (tmp_path / "t.csv.2.journal").exists()
    assert len(server.ledger) == 1
