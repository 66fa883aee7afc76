"""This library, with everything on that is on by default."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kapture_async import KaptureClient, Row

from ..job import TOKEN, Job, Measured, rows, settled


def push(job: Job) -> Measured:
    """``tickets.push``: pace, retries, typed answers, one outcome per row."""
    return job.run(_push(job, None))


def push_journaled(job: Job) -> Measured:
    """The same with a journal: every intent on the disk before its first byte leaves."""
    with tempfile.TemporaryDirectory(dir=job.folder or None) as folder:
        return job.run(_push(job, Path(folder, "push.journal")))


def _rows(count: int) -> Iterator[Row[dict[str, str]]]:
    for row in rows(count):
        yield Row(row, key=row["title"])


async def _push(job: Job, journal: Path | None) -> Measured:
    measured = Measured(sent=job.rows + 1)
    moments: list[float] | None = [] if job.options.get("moments") else None
    async with KaptureClient(
        base_url=job.url, token=TOKEN, max_connections=job.concurrency, ssl_context=job.tls()
    ) as client:
        await client.tickets.add(title="warm up")
        with measured.clocks():
            if moments is not None:
                moments.append(time.perf_counter())
            async with client.tickets.push(_rows(job.rows), journal=journal) as outcomes:
                async for _ in outcomes:
                    if moments is not None:
                        moments.append(time.perf_counter())
    measured.done = outcomes.counts.accepted
    measured.failed = job.rows - measured.done
    if moments:
        measured.values["settled"] = settled(moments)
    return measured
