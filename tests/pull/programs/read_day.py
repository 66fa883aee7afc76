"""Pulls one day and tells what that took, as JSON: `python read_day.py URL HOW`.

HOW is ``rows``, ``sync``, ``whole`` (all rows in one list), or a file to export to.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
import urllib.request
from typing import Any

from kapture_async import KaptureClient, SyncKaptureClient
from kapture_async._api import INDIA
from kapture_async._core.pull.sinks import sink_for
from kapture_async.tickets.export import file_shape

DAY = "2024-04-19"


def memory(field: str) -> int:
    """``VmRSS`` or ``VmHWM`` in bytes."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


async def stalls(worst: list[float]) -> None:
    """Notes the longest time in which the loop did not come round: by the clock, and as work.

    A machine that is busy with other things shows only in the first.
    """
    before = time.perf_counter(), time.thread_time()
    while True:
        await asyncio.sleep(0)
        now = time.perf_counter(), time.thread_time()
        worst[:] = [max(w, n - b) for w, n, b in zip(worst, now, before, strict=True)]
        before = now


def sent(url: str) -> list[int]:
    with urllib.request.urlopen(f"{url}/sent") as reply:  # in a process of its own: may block
        return [int(number) for number in reply.read().split()]


async def pull(url: str, how: str) -> dict[str, Any]:
    told: dict[str, Any] = {"rows": 0}
    async with KaptureClient(base_url=url, token="t") as client:
        first = await client.tickets.pull("2024-04-18").next_rows()  # all is loaded and connected
        if how.endswith(".parquet"):
            warm = sink_for("parquet", io.BytesIO(), file_shape(INDIA))
            warm.put(first or [])  # pyarrow's own size is not that of the rows
            warm.finish()
            del warm
        del first
        forget_peak()
        idle, worst = memory("VmRSS"), [0.0, 0.0]
        watch = asyncio.create_task(stalls(worst))
        began = time.perf_counter()
        if how == "whole":
            told["rows"] = len(await client.tickets.pull(DAY).all())
        elif how == "rows":
            async for _ in client.tickets.pull(DAY):
                if not told["rows"]:
                    told["sent_at_first_row"], told["size"] = sent(url)
                    await asyncio.sleep(0)
                    worst[:] = [0.0, 0.0]
                told["rows"] += 1
        else:
            exported = await client.tickets.export(how, start=DAY, overwrite=True)
            told["rows"] = exported.rows
        told["seconds"] = round(time.perf_counter() - began, 3)
        watch.cancel()
        told["peak_growth"] = memory("VmHWM") - idle
        told["worst_stall"], told["worst_work"] = worst
    return told


def pull_sync(url: str) -> dict[str, Any]:
    with SyncKaptureClient(base_url=url, token="t") as client:
        next(client.tickets.pull("2024-04-18"))
        forget_peak()
        idle = memory("VmRSS")
        rows = sum(1 for _ in client.tickets.pull(DAY))
        return {"rows": rows, "peak_growth": memory("VmHWM") - idle}


if __name__ == "__main__":
    url, how = sys.argv[1:]
    print(json.dumps(pull_sync(url) if how == "sync" else asyncio.run(pull(url, how))))
