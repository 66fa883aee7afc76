"""Pushes until the journal may grow no more, as on a full disk; says how that went."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys

from kapture_async import JournalError, KaptureClient
from kapture_async.events import RowFinished

URL, TOKEN, JOURNAL, LIMIT = sys.argv[1:]


async def main() -> None:
    told: list[tuple[str, str]] = []

    def note(event: object) -> None:
        if isinstance(event, RowFinished):
            told.append((event.outcome.row["title"], event.outcome.name))

    rows = ({"title": f"t{n}", "ticket_details": "x" * 500} for n in range(100_000))
    words = ""
    async with KaptureClient(base_url=URL, token=TOKEN, timeout=20) as client:
        push = client.tickets.push(rows, journal=JOURNAL, on_event=note, max_concurrency=8)
        try:
            async with push as outcomes:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(LIMIT), int(LIMIT)))
                async for _ in outcomes:
                    pass
        except JournalError as error:
            words = str(error)
    print(json.dumps({"words": words, "told": told, "taken": push.counts.rows}), flush=True)


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
