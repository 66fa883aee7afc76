"""aiohttp and orjson, by hand: **R**, the yardstick. It has no retry, no types, no outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson

from ..job import (
    ADD,
    CREATE,
    FORM,
    PULL,
    TOKEN,
    Job,
    Measured,
    Moments,
    Pulling,
    rows,
    some_file,
)

HEADERS = {"Authorization": f"Basic {TOKEN}", "Content-Type": "application/json"}


def session_of(job: Job, headers: dict[str, str]) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=job.concurrency, ssl=job.tls() or True)
    return aiohttp.ClientSession(connector=connector, headers=headers)


def push(job: Job) -> Measured:
    """Workers over one shared iterator: what a careful reader of aiohttp's docs would write."""
    return job.run(_push(job))


async def _push(job: Job) -> Measured:
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    source = rows(job.rows)
    moments = Moments(job)
    async with session_of(job, HEADERS) as session:

        async def send(row: dict[str, str]) -> None:
            async with session.post(url, data=orjson.dumps([row])) as answer:
                orjson.loads(await answer.read())
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


def push_tasks(job: Job) -> Measured:
    """The usual way to send many: one task for each row, and a semaphore."""
    return job.run(_push_tasks(job))


async def _push_tasks(job: Job) -> Measured:
    measured = Measured(sent=job.rows + 1)
    url = job.url + ADD
    slots = asyncio.Semaphore(job.concurrency)
    async with session_of(job, HEADERS) as session:

        async def send(row: dict[str, str]) -> None:
            async with slots, session.post(url, data=orjson.dumps([row])) as answer:
                orjson.loads(await answer.read())
                measured.count(answer.status == 200)

        await send(next(rows(1)))
        with measured.clocks():
            await asyncio.gather(*(send(row) for row in rows(job.rows)))
    return measured


def pull(job: Job) -> Measured:
    """Read the day whole, and decode it into dicts."""
    return job.run(_pull(job))


async def _pull(job: Job) -> Measured:
    async with session_of(job, HEADERS) as session:
        await warm_up(job, session)
        pulling = Pulling(job)
        async with pulling:
            body = await ask_for_day(job, session)
            pulling.took(len(orjson.loads(body)["message"]))
    return pulling.measured


async def warm_up(job: Job, session: aiohttp.ClientSession) -> None:
    """One small call, so that what follows finds a connection."""
    async with session.post(job.url + ADD, data=orjson.dumps([next(rows(1))])) as answer:
        orjson.loads(await answer.read())


async def ask_for_day(job: Job, session: aiohttp.ClientSession) -> bytes:
    """The answer to a pull, whole."""
    days = [{"start_date": "2024-04-19", "end_date": "2024-04-19"}]
    async with session.post(job.url + PULL, data=orjson.dumps(days)) as answer:
        return await answer.read()


def upload(job: Job) -> Measured:
    """Files as ``FormData``, read whole: what its docs show, and faster than an open file."""
    return job.run(_upload(job))


async def _upload(job: Job) -> Measured:
    size = job.options["size"]
    measured = Measured(sent=job.rows, values={"bytes": job.rows * size})
    headers = {"Authorization": HEADERS["Authorization"]}
    async with session_of(job, headers) as session:

        async def work(paths: Iterator[Path]) -> None:
            for path in paths:
                form = aiohttp.FormData(FORM)
                form.add_field("attachment", path.read_bytes(), filename=path.name)
                async with session.post(job.url + CREATE, data=form) as answer:
                    orjson.loads(await answer.read())
                    measured.count(answer.status == 200)

        with some_file(job, size) as path, measured.clocks():
            paths = iter([path] * job.rows)
            await asyncio.gather(*(work(paths) for _ in range(job.concurrency)))
    return measured
