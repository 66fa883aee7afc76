"""This library, with everything on that is on by default."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from kapture_async import KaptureClient, Row, SyncKaptureClient, TicketRow
from kapture_async._api import INDIA, codec_of
from support_async import SupportClient

from ..job import FORM, TOKEN, Job, Measured, Moments, Pulling, rows, some_file
from ..tickets import Passes, tickets


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


def client_of(job: Job) -> KaptureClient:
    return KaptureClient(
        base_url=job.url, token=TOKEN, max_connections=job.concurrency, ssl_context=job.tls()
    )


async def _push(job: Job, journal: Path | None) -> Measured:
    measured = Measured(sent=job.rows + 1)
    moments = Moments(job)
    if journal is not None:  # each time as if nothing had been pushed yet
        os.environ["KAPTURE_ASYNC_STATE"] = str(journal.parent)
    async with client_of(job) as client:
        # By a push, as modules are imported when they are first needed.
        first = None if journal is None else journal.with_name("warm-up.journal")
        async with client.tickets.push([{"title": "warm up"}], journal=first) as outcomes:
            async for _ in outcomes:
                pass
        with measured.clocks(), moments:
            async with client.tickets.push(_rows(job.rows), journal=journal) as outcomes:
                async for _ in outcomes:
                    moments.note()
    measured.done = outcomes.counts.accepted
    measured.failed = job.rows - measured.done
    moments.tell(measured)
    return measured


def calls(job: Job) -> Measured:
    """One blocking call after the other. It takes uvloop by itself where that is installed."""
    if not job.uvloop:
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as where it is not
    measured = Measured(sent=job.rows + 1)
    with SyncKaptureClient(base_url=job.url, token=TOKEN) as client:
        fields: dict[str, Any] = dict(next(rows(1)))
        known: dict[str, Any] = {
            name: fields.pop(name) for name in ("ticket_details", "due_date", "email_id")
        }
        del fields["title"]
        client.tickets.add(title="warm up")
        times = []
        with measured.clocks():
            for number in range(job.rows):
                started = time.perf_counter()
                client.tickets.add(title=f"ticket {number}", **known, extra=fields)
                times.append(time.perf_counter() - started)
                measured.count(True)
    measured.calls(times)
    return measured


def decode(job: Job) -> Measured:
    """A JSON list of tickets into typed models that keep every key."""
    codec = codec_of(INDIA)
    passes = Passes(tickets(job.rows))
    for data in passes:
        passes.result = [codec.decode(row, TicketRow) for row in orjson.loads(data)]
    return passes.measured(len(passes.result))


def decode_read(job: Job) -> Measured:
    """The same, and every field of every ticket is read: a view reads none before."""
    codec = codec_of(INDIA)
    passes = Passes(tickets(job.rows))
    for data in passes:
        passes.result = [codec.decode(row, TicketRow) for row in orjson.loads(data)]
        for ticket in passes.result:
            _ = ticket.problems
    return passes.measured(len(passes.result))


def lossless(job: Job) -> Measured:
    """The same with keys it does not know, and back to JSON."""
    codec = codec_of(INDIA)
    passes = Passes(tickets(job.rows, unknown=True))
    for data in passes:
        models = [codec.decode(row, TicketRow) for row in orjson.loads(data)]
        passes.result = orjson.dumps([codec.encode(model) for model in models])
    return passes.measured(job.rows, lossless=orjson.loads(passes.result) == passes.truth())


def pull(job: Job) -> Measured:
    """``async for`` over a day, each row taken and let go."""
    return job.run(_pull(job))


def pull_read(job: Job) -> Measured:
    """The same, and every field of every row is read."""
    return job.run(_pull(job, every_field=True))


async def _pull(job: Job, *, every_field: bool = False) -> Measured:
    async with client_of(job) as client:
        await client.tickets.add(title="warm up")
        pulling = Pulling(job)
        async with pulling:
            async for row in client.tickets.pull("2024-04-19"):
                if every_field:
                    _ = row.problems
                pulling.took(1)
    return pulling.measured


def upload(job: Job) -> Measured:
    """``tickets.create(attachment=path)``."""
    return job.run(_upload(job))


async def _upload(job: Job) -> Measured:
    size = job.options["size"]
    measured = Measured(sent=job.rows, values={"bytes": job.rows * size})
    async with SupportClient(
        job.url, apikey="key", access_token=TOKEN, max_connections=job.concurrency
    ) as client:

        async def work(paths: Iterator[Path]) -> None:
            for path in paths:
                await client.tickets.create(**FORM, attachment=path)
                measured.count(True)

        with some_file(job, size) as path, measured.clocks():
            paths = iter([path] * job.rows)
            await asyncio.gather(*(work(paths) for _ in range(job.concurrency)))
    return measured
