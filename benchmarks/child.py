"""One run, in a process of its own: a job comes in on standard input, a result goes out.

Used by ``python -m benchmarks``; not meant to be called directly.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import os
import sys

from .job import Job
from .machine import many_files, pin


def main() -> None:
    job = Job(**json.load(sys.stdin))
    pin(job.core)
    many_files()
    peer = importlib.import_module(f"benchmarks.peers.{job.peer}")
    gc.collect()
    measured = getattr(peer, job.function)(job)
    print(json.dumps(dataclasses.asdict(measured)), flush=True)
    # Leaving costs as much as some runs, and what a peer does there is not measured.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
