"""pyreqwest, a client in Rust, by hand: no retry, no types, no outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
from pyreqwest.client import ClientBuilder

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
    builder = ClientBuilder().default_headers(HEADERS).max_connections(job.concurrency)
    if pem:
        builder = builder.add_root_certificate_pem(pem)
    async with builder.build() as client:

        async def send(row: dict[str, str]) -> None:
            answer = await client.post(url).body_bytes(orjson.dumps([row])).build().send()
            orjson.loads(memoryview(await answer.bytes()))
            measured.count(answer.status == 200)

        async def work(source: Iterator[dict[str, str]]) -> None:
            for row in source:
                await send(row)
                moments.note()

        await send(next(rows(1)))
        with measured.clocks(), moments:
            await asyncio.gather(*(work(source) for _ in range(job.concurrency)))
    moments.tell(measured)
    return measured
