"""A journal of a million rows: ``python -m benchmarks.large_journal``.

What an operator does with it afterwards, each in a process of its own: ``status``, the same push
once more, of which every row is known, and ``plan``. All rows but a few are accepted; nothing is
sent. ``--folder`` keeps the file and its journal, to look at them.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kapture_async._api import INDIA, codec_of
from kapture_async._core.journal.records import Identity
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal
from kapture_async.tickets.push import pack

from .serving import fixed_server

TEXT = "The parcel came on Monday, but the box was empty. " * 6
OPTIONS = ["--map", "title=title", "--map", "ticket_details=details", "--key", "id"]
EVERY = 100_000
"""One row in so many is rejected."""


def rows(count: int) -> Iterator[tuple[str, str, str]]:
    for number in range(count):
        yield f"row-{number}", f"ticket {number}", f"{number}: {TEXT}"


def write_file(path: Path, count: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "details"])
        writer.writerows(rows(count))


async def fill(path: Path, count: int) -> None:
    """Rows as a push writes them, without one: the journal has the first of them."""
    journal = await Journal.open(path, create=False, to_push=True)
    codec, written = codec_of(INDIA), asyncio.Event()
    waiting = 0

    def begun(tokens: Any, answers: Any) -> None:
        nonlocal waiting
        for number, answer in zip(tokens, answers, strict=True):
            if number % EVERY:
                journal.accept(None, answer.row, 1, str(1_000_000 + number))
            else:
                journal.end(None, answer.row, 1, "rejected", status=400, error="RejectedError")
        waiting -= len(tokens)
        written.set()

    journal.listen(begun, lambda tokens, problem: None)
    for number, (key, title, details) in enumerate(rows(count)):
        if number:
            packed = pack({"title": title, "ticket_details": details}, codec)
            journal.submit(number, Identity(key, digest_of(packed), number + 2), packed)
            waiting += 1
            while waiting >= 512:
                written.clear()
                await written.wait()
    await journal.call(lambda session: None)
    await journal.aclose()


CHILD = """
import atexit, runpy, sys
from benchmarks.machine import peak_bytes
atexit.register(lambda: print(peak_bytes(), file=sys.stderr))
runpy.run_module("kapture_async", run_name="__main__", alter_sys=True)
"""


def command(*arguments: str, url: str = "") -> tuple[float, float, float, str]:
    """Seconds, seconds of the processor, peak MiB, and what it has printed."""
    environment = {**os.environ, "KAPTURE_TOKEN": "t"}
    target = ["--base-url", url] if url else []
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments, *target],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    seconds, after = time.perf_counter() - began, os.times()
    worked = after.children_user + after.children_system
    worked -= before.children_user + before.children_system
    return seconds, worked, int(done.stderr.split()[-1]) / 2**20, done.stdout


def measure(folder: Path, count: int, *, kept: bool) -> None:
    path = folder / "tickets.csv"
    journal = folder / "tickets.csv.journal"
    with fixed_server() as server:
        journal.unlink(missing_ok=True)  # it is for one address, and the server has another now
        write_file(path, 1)
        command("push", str(path), *OPTIONS, "--json", url=server.url)
        write_file(path, count)
        began = time.perf_counter()
        asyncio.run(fill(journal, count))
        print(f"{count:,} rows written in {time.perf_counter() - began:.1f} s")
        print(f"{'':<12} {'s':>8} {'CPU s':>8} {'MiB':>8}")
        for name, *arguments in (
            ("status", "status", str(journal), "--json"),
            ("push again", "push", str(path), *OPTIONS, "--json"),
            ("plan", "plan", str(path), *OPTIONS, "--json"),
        ):
            url = "" if name == "status" else server.url
            seconds, cpu, mib, printed = command(*arguments, url=url)
            print(f"{name:<12} {seconds:>8.1f} {cpu:>8.1f} {mib:>8.1f}", flush=True)
            if kept:
                print(json.loads(printed or "{}"))
        assert server.told().requests <= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="keep the journal there")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(exist_ok=True)
        measure(given.folder, given.rows, kept=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.rows, kept=False)


if __name__ == "__main__":
    main()
