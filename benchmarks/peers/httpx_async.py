"""httpx, with 16 requests at a time: more make it slower, fewer do, too. httpx2 is called alike."""

from __future__ import annotations

import asyncio
import importlib
import ssl
import time
from collections.abc import Iterator
from typing import Any

import orjson

from ..job import ADD, TOKEN, Job, Measured, Moments, rows

HEADERS = {"Authorization": f"Basic {TOKEN}", "Content-Type": "application/json"}


def library(job: Job) -> Any:
    """httpx, or the ``library`` that the options name."""
    return importlib.import_module(job.options.get("library", "httpx"))


def push(job: Job) -> Measured:
    """``AsyncClient``, workers over one iterator, orjson on both ways."""
    return job.run(_push(job))


async def _push(job: Job) -> Measured:
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    source = rows(job.rows)
    moments = Moments(job)
    httpx = library(job)
    limits = httpx.Limits(
        max_connections=job.concurrency, max_keepalive_connections=job.concurrency
    )
    verify: ssl.SSLContext | bool = job.tls() or False
    async with httpx.AsyncClient(
        headers=HEADERS, limits=limits, verify=verify, trust_env=False, timeout=60
    ) as client:

        async def send(row: dict[str, str]) -> None:
            answer = await client.post(url, content=orjson.dumps([row]))
            orjson.loads(answer.content)
            measured.count(answer.status_code == 200)

        async def work(source: Iterator[dict[str, str]]) -> None:
            for row in source:
                await send(row)
                moments.note()

        await send(next(rows(1)))
        with measured.clocks(), moments:
            await asyncio.gather(*(work(source) for _ in range(job.concurrency)))
    moments.tell(measured)
    return measured


def calls(job: Job) -> Measured:
    """One blocking call after the other, ``httpx.Client``."""
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    with library(job).Client(headers=HEADERS, trust_env=False) as client:
        client.post(url, json=[next(rows(1))]).json()
        times = []
        with measured.clocks():
            for row in rows(job.rows):
                started = time.perf_counter()
                answer = client.post(url, json=[row])
                answer.json()
                times.append(time.perf_counter() - started)
                measured.count(answer.status_code == 200)
    measured.calls(times)
    return measured
