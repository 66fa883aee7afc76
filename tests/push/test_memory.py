"""Memory does not grow with the number of rows. Full size: ``python -m benchmarks.memory``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage on Windows")
def test_three_times_the_rows_need_the_same_memory() -> None:
    command = [sys.executable, "-m", "benchmarks.memory", "--rows", "6000", "18000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    ratio = float(done.stdout.splitlines()[-1].split()[2])
    assert ratio < 1.15, done.stdout  # if it kept a row's own size for each, it would be 1.3
