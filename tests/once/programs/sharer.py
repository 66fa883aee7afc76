"""One of several processes that push with one journal in PostgreSQL, each a part of the rows.

Pushes, reconciles and pushes again until nothing of its part is left. Made to be killed at any
moment; its leases are short.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from kapture_async import HelpdeskError, JournalError, KaptureClient, PushStoppedError, Row, Timeout
from kapture_async._core.journal.postgres import lease
from kapture_async._core.push.sources.rows import part_of
from kapture_async.events import RowKnown

URL, TOKEN, JOURNAL, COUNT, PART, SPARE = sys.argv[1:]
TIMEOUT = Timeout(total=0.5)
LOOKING = Timeout(total=max(0.5, int(COUNT) / 5_000))
SETTLE = 2 * (LOOKING.total or 0)
lease.SPARE, lease.RENEW = float(SPARE), 0.25


def rows() -> list[Row[dict[str, str]]]:
    part, _, parts = PART.partition("/")
    return [
        Row({"title": f"row {number}", "ticket_details": f"It is row {number}."}, f"key-{number}")
        for number in range(int(COUNT))
        if part_of(f"key-{number}", int(parts)) == int(part)
    ]


async def push(client: KaptureClient) -> int:
    """How many rows are left."""
    left = 0

    def on_event(event: Any) -> None:
        nonlocal left
        left += isinstance(event, RowKnown) and event.state not in {"accepted", "rejected"}

    try:
        async with client.tickets.push(rows(), journal=JOURNAL, on_event=on_event) as outcomes:
            async for outcome in outcomes:
                left += outcome.name in {"not_sent", "unknown"}
    except (PushStoppedError, JournalError) as error:
        print(type(error).__name__, error, file=sys.stderr, flush=True)
        left += 1
    return left


async def main() -> None:
    async with KaptureClient(base_url=URL, token=TOKEN, timeout=TIMEOUT) as client:
        while await push(client):
            try:
                looking = client.with_options(timeout=LOOKING)
                await looking.tickets.reconcile(JOURNAL, settle=SETTLE)
            except HelpdeskError as error:  # another process is at it, for example
                print("reconcile:", error, file=sys.stderr, flush=True)
                await asyncio.sleep(0.2)


asyncio.run(main())
