"""Pushes rows until the file may grow no more; says what was durable before."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys

from kapture_async import JournalError
from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal
from tests.driven import Pusher

JOB = Job(service="s", operation="o", target="https://example.com", place="none", keys="id")


async def main() -> None:
    journal = await Journal.open(sys.argv[1], job=JOB)
    pusher = Pusher(journal)
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sent, errors = [], []

    async def work(worker: int) -> None:
        for number in range(1000):
            name = f"{worker}-{number}"
            try:
                taken = await pusher.take(Identity(name, digest_of(b"x")), b"x" * 1000)
                sent.append(name)
                await pusher.end(taken.row, taken.attempt, "rejected", words="no")
            except JournalError as error:
                errors.append(str(error))
                return

    await asyncio.gather(*(work(worker) for worker in range(8)))
    await asyncio.wait_for(journal.aclose(), 10)
    assert journal.broken is not None
    assert len(errors) == 8, len(errors)
    print(errors[0])
    print(*sent, flush=True)


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
