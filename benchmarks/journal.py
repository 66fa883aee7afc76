"""What a journal costs a push: ``python -m benchmarks.journal``, or ``--quick``.

The same rows go to a server with a fixed answer, without a journal and with one, in turns; each
run is a process of its own. Pacing and typed outcomes are on in both; references only where there
is a journal. The journal's files are on the disk of ``--folder``, and every commit waits for it.

``rows/s`` is what a caller sees. The share of the processor is steadier where others use the
machine, too. ``--profile`` shows where the time goes, for the event loop's thread and for the
journal's.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import io
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kapture_async import KaptureClient, Row

from .serving import fixed_server

GOAL = 0.85


def rows(count: int) -> Iterator[Row[dict[str, str]]]:
    text = "The parcel came on Monday, but the box was empty. " * 6
    for number in range(count):
        value = {"title": f"ticket {number}", "ticket_details": f"{number}: {text}"}
        yield Row(value, key=f"row-{number}", line=number + 2)


async def push(url: str, count: int, folder: str | None) -> tuple[float, float]:
    """Seconds that a push takes, of the clock and of the processor; journaled with a folder."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        journal = Path(place, "push.journal") if folder else None
        os.environ["KAPTURE_ASYNC_STATE"] = place  # each time as if nothing had been pushed yet
        async with KaptureClient(base_url=url, token="t") as client:
            await client.tickets.add(title="warm up")
            started, worked = time.perf_counter(), time.process_time()
            async with client.tickets.push(rows(count), journal=journal) as outcomes:
                async for _ in outcomes:
                    pass
            seconds, worked = time.perf_counter() - started, time.process_time() - worked
        assert outcomes.counts.accepted == count, outcomes.counts
    return seconds, worked


def profiled(url: str, count: int, folder: str) -> None:
    """Show where a push with a journal spends its time, one table per thread."""
    profiles: dict[str, cProfile.Profile] = {}

    def under_profile(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def wrapped(thread: Any) -> None:
            # The clock of the thread, so that waiting for the disk or the lock counts for nothing.
            profile = profiles[thread.name] = cProfile.Profile(time.thread_time)
            profile.enable()
            try:
                run(thread)
            finally:
                profile.disable()

        return wrapped

    threading.Thread.run = under_profile(threading.Thread.run)  # type: ignore[method-assign]
    main_thread = profiles["event loop"] = cProfile.Profile(time.thread_time)
    main_thread.enable()
    try:
        asyncio.run(push(url, count, folder))
    finally:
        main_thread.disable()
    for name, profile in profiles.items():
        for order in ("tottime", "cumulative"):
            text = io.StringIO()
            pstats.Stats(profile, stream=text).strip_dirs().sort_stats(order).print_stats(45)
            print(f"=== {name}, {count:,} rows, by {order}", text.getvalue(), sep="\n")


def measure(url: str, count: int, folder: str | None) -> tuple[float, float]:
    """Rows per second, and microseconds of processor per row, of a run in its own process."""
    command = [sys.executable, "-m", "benchmarks.journal", "--child", url, "--rows", str(count)]
    if folder:
        command += ["--folder", folder]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return count / float(told[0]), float(told[1]) / count * 1e6


def compare(url: str, count: int, rounds: int, folder: str) -> float:
    """Run without and with a journal in turns; gives the median of the ratios."""
    ratios, shares = [], []
    print(f"{'round':>5} {'without':>9} {'with':>9} {'ratio':>7} {'processor':>10}")
    for number in range(1, rounds + 1):
        without, cost_without = measure(url, count, None)
        with_it, cost_with = measure(url, count, folder)
        ratios.append(with_it / without)
        shares.append(cost_without / cost_with)
        line = f"{number:>5} {without:>7,.0f}/s {with_it:>7,.0f}/s {ratios[-1]:>7.3f}"
        print(f"{line} {shares[-1]:>10.3f}", flush=True)
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.3f} (goal: {GOAL}), of processor {statistics.median(shares):.3f}")
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="4,000 rows, 3 rounds")
    parser.add_argument("--profile", action="store_true", help="where a journaled push is slow")
    parser.add_argument("--folder", help="where the journals are; the usual one for such files")
    parser.add_argument("--child", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(*asyncio.run(push(given.child, given.rows, given.folder)))
        return
    count, rounds = (4_000, 3) if given.quick else (given.rows, given.rounds)
    folder = given.folder or tempfile.gettempdir()
    with fixed_server() as server:
        if given.profile:
            profiled(server.url, count, folder)
        else:
            compare(server.url, count, rounds, folder)


if __name__ == "__main__":
    main()
