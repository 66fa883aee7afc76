"""Files need the memory they have, and no more. Full size: ``python -m benchmarks.uploads``."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage on Windows")
def test_memory_of_uploads_and_downloads() -> None:
    command = [sys.executable, "-m", "benchmarks.uploads"]
    command += ["--files", "50", "--size", "1", "--download", "24"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for line in done.stdout.splitlines()[1:]:
        what, total, _, share, above, _ = line.rsplit(None, 5)
        row = float(total), float(share), float(above)
        found.setdefault(what.strip(), []).append(row)
    for kind in ("50 up, bytes", "50 up, paths"):
        [(total, share, above)] = found[kind]
        assert total == 50
        assert share < 3, done.stdout  # of the whole process
        assert above < 1.5 * total, done.stdout  # every file once, and what is on its way
    [(_, _, small), (total, _, large)] = found["down, to disk"]
    assert total == 24
    assert large - small < 6, done.stdout
    [(_, _, above)] = found["gzip bomb"]
    if version("aiohttp") >= "3.14":  # older ones unpack all that came at once
        assert above < 16, done.stdout  # of the 64 MiB that it might have taken
