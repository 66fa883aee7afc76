"""Ends without closing its journal: by falling off the end, or out of a loop that is closed."""

from __future__ import annotations

import asyncio
import sys

from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal
from tests.driven import Pusher

JOB = Job(service="s", operation="o", target="https://example.com", place="none", keys="id")


async def main() -> Journal:
    journal = await Journal.open(sys.argv[1], job=JOB)
    pusher = Pusher(journal)
    for name in "abc":
        taken = await pusher.take(Identity(name, digest_of(b"x")), b"x")
        pusher.end(taken.row, taken.attempt, "accepted")
    return journal


if sys.argv[2] == "closed":
    asyncio.run(main())
else:
    kept = asyncio.new_event_loop()
    kept.run_until_complete(main())
print("over", flush=True)
