"""A large day in little memory, measured in a process of its own.

`PULL_ROWS=50000 pytest tests/pull/test_measured.py -s` for the full size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROWS = int(os.environ.get("PULL_ROWS", "4000"))
FULL = ROWS >= 50_000
PROGRAMS = Path(__file__).parent / "programs"
MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peaks are read from /proc"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAMS / "serve_day.py"), str(ROWS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def measured(url: str, how: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "read_day.py"), url, how],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"\n{how}: {found}")
    assert found["rows"] == ROWS
    return found


def test_rows_as_they_come(url: str) -> None:
    found = measured(url, "rows")
    assert found["peak_growth"] < 8 * MIB
    assert found["worst_work"] < 0.015
    if FULL:  # a smaller one fits into the buffers of the system before anybody reads
        assert found["sent_at_first_row"] < found["size"] / 10


def test_the_sync_client(url: str) -> None:
    assert measured(url, "sync")["peak_growth"] < 8 * MIB


@pytest.mark.parametrize("name", ["day.jsonl", "day.csv", "day.parquet"])
def test_files(url: str, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    most = 60 if name.endswith("parquet") else 12
    if not name.endswith("parquet") or FULL:
        assert measured(url, str(tmp_path / name))["peak_growth"] < most * MIB
