"""What a data frame costs a push: ``python -m benchmarks.frames``, or ``--quick``.

The same rows go to a server with a fixed answer: as a list of ``Row`` s of mappings that is there
already, and as a frame that holds the same columns. All runs are in one process, in turns, and
what counts is its processor time: it is steadier than the clock where others use the machine, too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import time
from typing import Any

from kapture_async import KaptureClient, Row

from .serving import fixed_server

GOAL = 0.95
SLICE = 2_000
MAP = {
    "title": "Subject",
    "ticket_details": "Text",
    "phone": "Phone",
    "email_id": "Mail",
    "due_date": "Due",
}
TEXT = "The parcel came on Monday, but the box was empty. " * 6


def columns(count: int) -> dict[str, list[Any]]:
    """What both sources hold; one phone number in ten is not known."""
    return {
        "Id": [f"row-{number}" for number in range(count)],
        "Subject": [f"ticket {number}" for number in range(count)],
        "Text": [f"{number}: {TEXT}" for number in range(count)],
        "Phone": [None if number % 10 == 0 else f"{number:010}" for number in range(count)],
        "Mail": [f"user-{number}@example.com" for number in range(count)],
        "Due": ["2024-04-01 10:30:00"] * count,
    }


def mappings(held: dict[str, list[Any]]) -> list[Row[dict[str, Any]]]:
    found = []
    for key, *cells in zip(held["Id"], *(held[column] for column in MAP.values()), strict=True):
        value = {name: cell for name, cell in zip(MAP, cells, strict=True) if cell is not None}
        found.append(Row(value, key=key))
    return found


async def push(client: KaptureClient, source: Any, count: int, **more: Any) -> float:
    """Seconds of the processor that a push takes."""
    gc.collect()
    began = time.process_time()
    report = await client.tickets.push(source, **more).run()
    seconds = time.process_time() - began
    assert report.accepted == count, report
    return seconds


async def compare(url: str, libraries: dict[str, Any], count: int) -> dict[str, float]:
    """The speed of frames, as a share of that of mappings: by the sums of all slices."""
    held = columns(count)
    rows = mappings(held)
    frames = {name: make(held) for name, make in libraries.items()}
    gc.collect()
    gc.freeze()  # else each source pays for going through the objects of the others
    print(f"{count:,} rows, {SLICE:,} at a time in turns; goal: {GOAL}; µs of processor per row")
    spent: dict[str, list[float]] = {name: [] for name in ("mappings", *frames)}
    async with KaptureClient(base_url=url, token="t") as client:
        await push(client, rows[:SLICE], SLICE)  # warm up
        for start in range(0, count, SLICE):
            part = slice(start, start + SLICE)
            order = list(spent)
            random.shuffle(order)  # what disturbs the machine favours none
            for name in order:
                if name == "mappings":
                    spent[name].append(await push(client, rows[part], SLICE))
                else:
                    spent[name].append(
                        await push(client, frames[name][part], SLICE, map=MAP, key="Id")
                    )
    plain = statistics.median(spent["mappings"])
    found = {}
    for name, seconds in spent.items():
        middle = statistics.median(seconds)
        found[name] = plain / middle
        quartiles = statistics.quantiles([one / SLICE * 1e6 for one in seconds])
        told = "  ".join(f"{quartile:6.1f}" for quartile in quartiles)
        print(f"{name:<9} quartiles {told}   {found[name]:.3f} of the speed of mappings")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="6,000 rows")
    given = parser.parse_args()
    count = (6_000 if given.quick else given.rows) // SLICE * SLICE
    import pandas
    import polars

    libraries = {
        "polars": polars.DataFrame,
        "pandas": pandas.DataFrame,
    }
    with fixed_server() as server:
        asyncio.run(compare(server.url, libraries, count))


if __name__ == "__main__":
    main()
