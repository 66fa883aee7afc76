"""Ends while its event loop, in a thread of its own, still puts rows into a journal.

Writes the names of rows whose intent is said to be durable, one in a line.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal

JOB = Job(service="s", operation="o", target="https://example.com", place="none", keys="id")
ENOUGH = 300

begun = threading.Semaphore(0)


def told(names: Any, answers: Any) -> None:
    assert all(answer.action == "send" for answer in answers), answers
    os.write(1, "".join(f"{name}\n" for name in names).encode())
    begun.release(len(names))


async def push() -> None:
    journal = await Journal.open(sys.argv[1], job=JOB, to_push=True)
    journal.listen(told, lambda tokens, problem: None)
    number = 0
    while True:
        for _ in range(7):
            number += 1
            name, body = f"row-{number}", b"x" * (number % 50)
            journal.submit(name, Identity(name, digest_of(body)), body)
        await asyncio.sleep(0)


threading.Thread(target=asyncio.run, args=(push(),), daemon=True).start()
for _ in range(ENOUGH):
    begun.acquire()
