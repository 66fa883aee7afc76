"""Pushes one row that gets no answer for a while, and so holds the journal."""

from __future__ import annotations

import asyncio
import sys

from kapture_async import KaptureClient

URL, TOKEN, JOURNAL = sys.argv[1:]


async def main() -> None:
    async with KaptureClient(base_url=URL, token=TOKEN, timeout=60.0) as client:
        async with client.tickets.push([{"title": "held"}], journal=JOURNAL) as outcomes:
            async for outcome in outcomes:
                print(outcome.name, flush=True)


asyncio.run(main())
