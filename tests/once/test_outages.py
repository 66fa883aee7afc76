"""The pace of a push on real sockets, in short. In full: ``python -m benchmarks.outages``.

What it reaches in the long run is shown in simulated time, in ``tests/push/test_pace.py``. Here
the bounds are loose: some seconds tell little of a pace that is learned.
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
    shares = [float(line.split()[-3]) for line in limits]
    assert shares[0] > 0.4, done.stdout
    assert shares[1] > 0.5, done.stdout  # there may be some left from before
    found = re.search(r"([\d.]+) refused, outcomes (.*)", whole)
    assert found is not None, done.stdout
    assert float(found[1]) < 0.3, done.stdout
    assert "rejected" not in found[2], done.stdout  # what was turned away went again
    assert "unknown" not in found[2], done.stdout

    found = re.search(r"tries ([\d.]+) of normal, back after ([\d.]+) s", outage)
    assert found is not None, done.stdout
    assert float(found[1]) < 0.2, done.stdout
    assert float(found[2]) < 4, done.stdout
