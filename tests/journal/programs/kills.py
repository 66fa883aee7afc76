"""Pushes through one journal, killed again and again at a random moment.

The ledger is a file that a push appends to only while it "sends": what stands there twice was
sent twice. A row whose sending was cut off before it reached the ledger stays in doubt.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal
from tests.driven import Pusher

JOB = Job(service="s", operation="o", target="https://example.com", place="none", keys="id")


async def push(path: str, ledger: int, rows: int, seed: int) -> None:
    dice = random.Random(seed)
    journal = await Journal.open(path, job=JOB, to_push=bool(seed % 2))
    pusher = Pusher(journal)
    names = iter(range(rows))

    async def work() -> None:
        for name in names:
            body = b"row %d" % name
            taken = await pusher.take(Identity(str(name), digest_of(body)), body)
            if taken.action != "send":
                assert taken.action in {"done", "doubt"}, taken
                continue
            end = dice.random()
            if end < 0.1:
                await pusher.end(taken.row, taken.attempt, "not_sent")
                continue
            os.write(ledger, b"%d %s\n" % (name, taken.reference.encode()))
            await asyncio.sleep(0)
            if end < 0.2:
                await pusher.end(taken.row, taken.attempt, "unknown")
            else:
                pusher.end(taken.row, taken.attempt, "accepted", ticket_id=str(name))

    await asyncio.gather(*(work() for _ in range(16)))
    await journal.aclose()


def main(path: str, ledger_path: str, rounds: int, rows: int, seed: int) -> None:
    dice = random.Random(seed)
    ledger = os.open(ledger_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    killed = 0
    for round_ in range(rounds):
        child = os.fork()
        if not child:
            status = 1
            try:
                asyncio.run(push(path, ledger, rows, seed + round_))
                status = 0
            finally:
                os._exit(status)
        time.sleep(dice.random() * 0.06)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    asyncio.run(push(path, ledger, rows, seed - 1))
    with ReadJournal.open_to_read(path) as journal:
        counts = journal.counts()
        doubts = sum(1 for _ in journal.doubts())
    print(killed, counts.rows, counts.accepted, counts.not_sent, doubts, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
