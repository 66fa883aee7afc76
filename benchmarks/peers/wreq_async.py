"""wreq, a client in Rust, by hand: no retry, no types, no outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
import wreq
from wreq.tls import CertStore

from ..job import ADD, TOKEN, Job, Measured, Moments, rows

HEADERS = {"Authorization": f"Basic {TOKEN}", "Content-Type": "application/json"}


def push(job: Job) -> Measured:
    """``Client``, workers over one iterator, orjson on both ways."""
    pem = Path(job.cafile).read_bytes() if job.cafile else b""
    return job.run(_push(job, pem))


async def _push(job: Job, pem: bytes) -> Measured:
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    source = rows(job.rows)
    moments = Moments(job)
    trusted = CertStore.from_pem_stack(pem) if pem else True
    client = wreq.Client(headers=HEADERS, tls_verify=trusted)

    async def send(row: dict[str, str]) -> None:
        answer = await client.post(url, body=orjson.dumps([row]))
        orjson.loads(await answer.bytes())
        measured.count(answer.status.as_int() == 200)

    async def work(source: Iterator[dict[str, str]]) -> None:
        for row in source:
            await send(row)
            moments.note()

    await send(next(rows(1)))
    with measured.clocks(), moments:
        await asyncio.gather(*(work(source) for _ in range(job.concurrency)))
    moments.tell(measured)
    return measured
