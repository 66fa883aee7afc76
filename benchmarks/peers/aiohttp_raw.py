"""aiohttp and orjson, by hand: **R**, the yardstick. It has no retry, no types, no outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import orjson

from ..job import ADD, TOKEN, Job, Measured, rows, settled

HEADERS = {"Authorization": f"Basic {TOKEN}", "Content-Type": "application/json"}


def push(job: Job) -> Measured:
    """Workers over one shared iterator: what a careful reader of aiohttp's docs would write."""
    return job.run(_push(job))


async def _push(job: Job) -> Measured:
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    source = rows(job.rows)
    moments: list[float] | None = [] if job.options.get("moments") else None
    connector = aiohttp.TCPConnector(limit=job.concurrency, ssl=job.tls() or True)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def send(row: dict[str, str]) -> None:
            async with session.post(url, data=orjson.dumps([row])) as answer:
                orjson.loads(await answer.read())
                if answer.status == 200:
                    measured.done += 1
                else:
                    measured.failed += 1

        async def work(source: Iterator[dict[str, str]]) -> None:
            for row in source:
                await send(row)
                if moments is not None:
                    moments.append(time.perf_counter())

        await send(next(rows(1)))
        measured.done = 0
        with measured.clocks():
            if moments is not None:
                moments.append(time.perf_counter())
            await asyncio.gather(*(work(source) for _ in range(job.concurrency)))
    if moments:
        measured.values["settled"] = settled(moments)
    return measured
