"""Opens a journal, takes rows, says so, and waits."""

from __future__ import annotations

import asyncio
import sys
import time

from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal

JOB = Job(
    service="helpdesk",
    operation="tickets.add",
    target="https://example.com",
    place="ticket_details",
    keys="id",
)


async def main() -> None:
    journal = await Journal.open(sys.argv[1], job=JOB, now=time.time)
    for number in range(int(sys.argv[2])):
        identity = Identity(f"held-{number}", digest_of(b"x"))
        await journal.submit_and_wait(identity, b"x" * 500)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await journal.aclose()


asyncio.run(main())
