"""Verifies a journal once, and says what that proved and cost."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

from kapture_async import KaptureClient, Timeout

URL, TOKEN, JOURNAL, SETTLE = sys.argv[1:]


async def main() -> None:
    timeout = Timeout(total=float(SETTLE) / 2)
    async with KaptureClient(base_url=URL, token=TOKEN, timeout=timeout) as client:
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        found = await client.tickets.verify(JOURNAL, settle=float(SETTLE))
        after = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "counts": dict(found.counts),
        "proved": found.proved,
        "contradictions": len(found.contradictions),
        "reasons": dict(found.reasons),
        "seconds": round(time.perf_counter() - began, 1),
        "cpu": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "rss_before_mb": before.ru_maxrss // 1024,
        "rss_peak_mb": after.ru_maxrss // 1024,
    }
    found.close()
    print(json.dumps(told))


asyncio.run(main())
