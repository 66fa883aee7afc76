"""How long an import takes: each in an interpreter that has loaded nothing yet."""

from __future__ import annotations

import subprocess
import sys

from ..job import Job, Measured

PROGRAM = """
import time
started, worked = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - started, time.process_time() - worked)
"""
TIMES = 2


def run(job: Job) -> Measured:
    """The fastest of some imports of ``options["code"]``."""
    found = []
    for _ in range(TIMES):
        told = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(code=job.options["code"])],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        found.append((float(told[0]), float(told[1])))
    measured = Measured(done=job.rows)
    measured.seconds = min(seconds for seconds, _ in found)
    measured.cpu = min(worked for _, worked in found)
    return measured
