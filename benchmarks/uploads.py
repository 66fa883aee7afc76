"""Peak memory of files on their way up and down: ``python -m benchmarks.uploads``.

Each line is a process of its own; the service is the emulator, in another one. Uploads run all at
once: from bytes that the caller holds, and from files on the disk. Downloads run one after the
other, to the disk, and should need no more for a large file than for a small one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from support_async import HelpdeskError, SupportClient
from support_async.testing import EmulatorReply, SupportEmulator, bomb

from .machine import peak_bytes

MIB = 2**20
LARGEST = 256 * MIB
BOMB = "1"
TICKET: dict[str, Any] = {
    "subject": "Sample",
    "comment": "Sample text",
    "category": 3,
    "priority": "1",
}


def client_of(url: str) -> SupportClient:
    apikey, token = "emulator-apikey", SupportEmulator().token  # all emulators sign alike
    return SupportClient(
        url, apikey=apikey, access_token=token, timeout=300.0, max_attachment_bytes=LARGEST
    )


def random_file(folder: str, size: int) -> Path:
    path = Path(folder, "file.bin")
    path.write_bytes(os.urandom(size))
    return path


async def upload(url: str, kind: str, count: int, size: int) -> None:
    async with client_of(url) as client:
        if kind == "paths":
            with tempfile.TemporaryDirectory() as folder:
                path = random_file(folder, size)
                await asyncio.gather(
                    *(client.tickets.create(**TICKET, attachment=path) for _ in range(count))
                )
        else:
            files = [(f"{number}.bin", os.urandom(size)) for number in range(count)]
            await asyncio.gather(
                *(client.tickets.create(**TICKET, attachment=file) for file in files)
            )


async def download(url: str, attachment_id: str, size: int) -> None:
    async with client_of(url) as client:
        with tempfile.TemporaryDirectory() as folder:
            path = await client.attachments.download(attachment_id, folder, max_bytes=LARGEST)
            assert path.stat().st_size == size


async def take_bomb(url: str) -> None:
    """Ask for a small answer that unpacks to 200 MiB, with the limit as it is: 64 MiB."""
    async with client_of(url) as client:
        with tempfile.TemporaryDirectory() as folder:
            try:
                await client.attachments.download(BOMB, folder)
            except HelpdeskError:
                return
    raise AssertionError("the bomb was taken")


async def nothing(url: str) -> None:
    """What the client needs in any case."""
    async with client_of(url) as client:
        await client.categories.list()


async def work(url: str, kind: str, count: int, size: int) -> None:
    started = time.perf_counter()
    if kind == "download":
        await download(url, str(count), size)
    elif kind == "bomb":
        await take_bomb(url)
    elif kind == "nothing":
        await nothing(url)
    else:
        await upload(url, kind, count, size)
    print(peak_bytes(), time.perf_counter() - started)


def measure(url: str, kind: str, count: int = 1, size: int = 0) -> tuple[int, float]:
    """Peak memory in bytes, and seconds, of some work in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.uploads", "--child", url, kind]
    command += [str(count), str(size)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(told[0]), float(told[1])


def show(what: str, total: float, peak: int, least: int, seconds: float) -> None:
    """One line: ``above`` is what was needed beyond a client that does nothing."""
    share, rate = (peak / total / MIB, total / seconds) if total else (0.0, 0.0)
    above = (peak - least) / MIB
    print(f"{what:>18} {total:>8.1f} {peak / MIB:>9.1f} {share:>8.2f} {above:>7.1f} {rate:>7.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--size", type=float, default=2.0, help="MiB of each")
    parser.add_argument("--download", type=float, default=48.0, help="MiB of the large one")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        url, kind, count, size = given.child
        asyncio.run(work(url, kind, int(count), int(size)))
        return
    print(f"{'what':>18} {'MiB':>8} {'peak MiB':>9} {'x total':>8} {'above':>7} {'MiB/s':>7}")
    with SupportEmulator.in_process(max_file=LARGEST, max_body=LARGEST + MIB) as emulator:
        least, seconds = measure(emulator.url, "nothing")
        show("nothing", 0.0, least, least, seconds)
        for kind in ("bytes", "paths"):
            peak, seconds = measure(emulator.url, kind, given.files, int(given.size * MIB))
            show(f"{given.files} up, {kind}", given.files * given.size, peak, least, seconds)
    # Its files are put into it, so it runs here; what is measured is still a process of its own.
    with SupportEmulator().in_thread() as local:
        for mebi in (1.0, given.download):
            size = int(mebi * MIB)
            file_id = local.seed_attachment(local.seed(), "file.bin", os.urandom(size))
            peak, seconds = measure(local.url, "download", int(file_id), size)
            show("down, to disk", mebi, peak, least, seconds)
        packed = (("Content-Encoding", "gzip"),)
        local.downloads[BOMB] = EmulatorReply(200, bomb(), "application/octet-stream", packed)
        peak, seconds = measure(local.url, "bomb")
        show("gzip bomb", 200.0, peak, least, seconds)


if __name__ == "__main__":
    main()
