"""orjson alone: the least that any decoder can take, without types."""

from __future__ import annotations

import orjson

from ..job import Job, Measured
from ..tickets import Passes, tickets


def decode(job: Job) -> Measured:
    """JSON into dicts."""
    passes = Passes(tickets(job.rows))
    for data in passes:
        passes.result = orjson.loads(data)
    return passes.measured(len(passes.result))


def lossless(job: Job) -> Measured:
    """JSON into dicts and back."""
    passes = Passes(tickets(job.rows, unknown=True))
    for data in passes:
        passes.result = orjson.dumps(orjson.loads(data))
    return passes.measured(job.rows, lossless=orjson.loads(passes.result) == passes.truth())
