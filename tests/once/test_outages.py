"""The throttle of a push on real sockets, in short. In full: ``python -m benchmarks.outages``.

What it reaches is shown in simulated time, in ``tests/push/test_throttle.py``. Some seconds on a
busy machine tell nothing of that, so no share and no time is asserted here: what has to hold at any
speed is that a row which was turned away goes again, and that being turned away is no doubt.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_hidden_limits_and_an_outage() -> None:
    command = [sys.executable, "-m", "benchmarks.outages", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *limits, whole, outage = done.stdout.splitlines()
    assert [line.split()[1] for line in limits] == ["50/s", "10/s", "80/s"]
    found = re.search(r"outcomes (.*)", whole)
    assert found is not None, done.stdout
    assert "accepted" in found[1], done.stdout
    assert "rejected" not in found[1], done.stdout
    assert "not_sent" not in found[1], done.stdout
    assert "unknown" not in found[1], done.stdout
    assert re.search(r"tries [\d.]+ of normal, back after", outage), done.stdout
