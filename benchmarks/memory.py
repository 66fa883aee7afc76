"""Peak memory of a push, as the number of rows grows: ``python -m benchmarks.memory``.

Each run is a process of its own, pushing rows from a generator to a server with a fixed answer.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from kapture_async import KaptureClient


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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{count} {peak} {seconds:.2f}")


def measure(url: str, count: int) -> tuple[int, float]:
    """Peak memory in KiB, and seconds, of a push in a process of its own."""
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
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fixed_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        first = 0
        print(f"{'rows':>10} {'peak MiB':>10} {'x first':>8} {'rows/s':>8}")
        for count in given.rows:
            peak, seconds = measure(url, count)
            first = first or peak
            rate = count / seconds
            print(f"{count:>10,} {peak / 1024:>10.1f} {peak / first:>8.3f} {rate:>8,.0f}")
    finally:
        server.stdin.close()
        server.wait(10)


if __name__ == "__main__":
    main()
