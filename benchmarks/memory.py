"""Peak memory of a push, as the number of rows grows: ``python -m benchmarks.memory``.

Each run is a process of its own, pushing rows from a generator to a server with a fixed answer.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

from kapture_async import KaptureClient

from .machine import peak_bytes
from .serving import fixed_server


def rows(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {"title": f"ticket {number}", "ticket_details": f"text {number} " * 30}


async def push(url: str, count: int) -> None:
    started = time.perf_counter()
    async with (
        KaptureClient(base_url=url, token="t") as client,
        client.tickets.push(rows(count)) as outcomes,
    ):
        async for _ in outcomes:
            pass
    seconds = time.perf_counter() - started
    assert outcomes.counts.accepted == count, outcomes.counts
    print(f"{count} {peak_bytes()} {seconds:.2f}")


def measure(url: str, count: int) -> tuple[int, float]:
    """Peak memory in bytes, and seconds, of a push in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", url, "--rows", str(count)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(told[1]), float(told[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 300_000])
    parser.add_argument("--child", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        asyncio.run(push(given.child, given.rows[0]))
        return
    with fixed_server() as server:
        first = 0
        print(f"{'rows':>10} {'peak MiB':>10} {'x first':>8} {'rows/s':>8}")
        for count in given.rows:
            peak, seconds = measure(server.url, count)
            first = first or peak
            rate = count / seconds
            print(f"{count:>10,} {peak / 2**20:>10.1f} {peak / first:>8.3f} {rate:>8,.0f}")


if __name__ == "__main__":
    main()
