"""What a run is told, and what it tells: between the command and its child processes."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .machine import forget_peak, new_loop, peak_bytes, resident_bytes

T = TypeVar("T")
TOKEN = "dG9rZW4="
ADD = "/add-ticket-from-other-source.html/v.2.0"
PULL = "/select-ticket-between-start-and-end-dates.html/v.2.0"
CREATE = "/support/create/ticket/"
FORM: dict[str, Any] = {
    "subject": "Sample",
    "comment": "Sample text",
    "category": "3",
    "priority": "1",
}
TICK = 0.001
TEXT = "The parcel came on Monday, but the box was empty. " * 4
ROW = {
    "title": "",
    "ticket_details": TEXT,
    "due_date": "2024-04-19 14:19:11",
    "email_id": "user@example.com",
    **{f"associate_field_{number}": f"value {number}" for number in range(16)},
}


def rows(count: int) -> Iterator[dict[str, str]]:
    """Tickets of 20 text fields, made one by one."""
    for number in range(count):
        yield {**ROW, "title": f"ticket {number}"}


@dataclass
class Job:
    """One run of one contender, in a process of its own.

    Attributes:
        peer, function: which function of which module of ``benchmarks.peers`` it is.
        url: where the fixed server is.
        cafile: the certificate to trust, for TLS.
        rows: how many tickets, calls or files.
        concurrency: how many of them at a time.
        uvloop: run on uvloop's event loop.
        core: the core to stay on.
        folder: where temporary files go.
        python: the interpreter it runs in; empty for this one.
        options: whatever else that function wants to know.
    """

    peer: str
    function: str
    url: str = ""
    cafile: str = ""
    rows: int = 1
    concurrency: int = 64
    uvloop: bool = False
    core: int | None = None
    folder: str = ""
    python: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop that was asked for."""
        with asyncio.Runner(loop_factory=new_loop(uvloop=self.uvloop)) as runner:
            return runner.run(coro)

    def tls(self) -> ssl.SSLContext | None:
        """What checks the server's certificate; ``None`` without TLS."""
        return ssl.create_default_context(cafile=self.cafile) if self.cafile else None


@dataclass
class Measured:
    """What a run found.

    Attributes:
        done: how many were answered as they should be.
        failed: how many were not.
        sent: requests in all, also those to warm up; ``None`` if there is no server.
        seconds: how long it took.
        cpu: seconds of processor in that time, all threads together.
        peak: the most memory the process held.
        values: what else a case asks for.
    """

    done: int = 0
    failed: int = 0
    sent: int | None = None
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    values: dict[str, Any] = field(default_factory=dict)

    def count(self, good: bool) -> None:
        """One more answer."""
        if good:
            self.done += 1
        else:
            self.failed += 1

    @contextmanager
    def clocks(self) -> Iterator[None]:
        """Measure what is inside; what was counted before were warm-ups."""
        self.done = self.failed = 0
        started, worked = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds = time.perf_counter() - started
            self.cpu = time.process_time() - worked
            self.peak = peak_bytes()

    def calls(self, times: list[float]) -> None:
        """Take the times of single calls, in seconds; they are told in microseconds."""
        hundredths = statistics.quantiles(times, n=100)
        self.values.update(p50=hundredths[49] * 1e6, p99=hundredths[98] * 1e6)


class Moments:
    """When answers came, where a case wants to know; from that the speed after the start."""

    def __init__(self, job: Job) -> None:
        self._wanted = bool(job.options.get("moments"))
        self._moments: list[float] = []

    def note(self) -> None:
        """An answer came."""
        if self._wanted:
            self._moments.append(time.perf_counter())

    def __enter__(self) -> None:
        self.note()

    def __exit__(self, *_: object) -> None:
        return

    def tell(self, measured: Measured) -> None:
        if self._wanted:
            measured.values["settled"] = settled(self._moments)


def settled(moments: list[float]) -> float:
    """Answers per second once the start is over: between 40 and 90 per cent of the time.

    Raises:
        ValueError: there are too few to say.
    """
    if len(moments) < 3 or moments[-1] <= moments[0]:
        raise ValueError("too few answers")
    start, time_taken = moments[0], moments[-1] - moments[0]
    low, high = start + 0.4 * time_taken, start + 0.9 * time_taken
    return sum(1 for moment in moments if low <= moment < high) / (high - low)


class Pulling:
    """Measures a pull: how much memory it takes, and how long the event loop stood still."""

    def __init__(self, job: Job) -> None:
        self.measured = Measured(sent=2)  # one to warm up
        self._took = 0
        self._stall = 0.0
        self._ticker: asyncio.Task[None] | None = None

    def took(self, count: int) -> None:
        """So many more tickets."""
        self._took += count

    @contextmanager
    def clocks(self) -> Iterator[None]:
        """Measure what is inside, without a loop to watch."""
        gc.collect()
        forget_peak()
        before = resident_bytes()
        with self.measured.clocks():
            yield
        self.measured.done = self._took
        self.measured.values["growth"] = (self.measured.peak - before) / 2**20

    async def _tick(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self._stall = max(self._stall, now - last - TICK)
            last = now

    async def __aenter__(self) -> None:
        self._ticker = asyncio.ensure_future(self._tick())
        await asyncio.sleep(0)
        self._inside = self.clocks()
        self._inside.__enter__()

    async def __aexit__(self, *_: object) -> None:
        assert self._ticker is not None
        self._inside.__exit__(None, None, None)
        await asyncio.sleep(2 * TICK)  # a last stall is seen only after it
        self._ticker.cancel()
        self.measured.values["stall"] = self._stall * 1000


@contextmanager
def some_file(job: Job, size: int) -> Iterator[Path]:
    """A file of random bytes, gone afterwards."""
    with tempfile.TemporaryDirectory(dir=job.folder or None) as folder:
        path = Path(folder, "file.bin")
        path.write_bytes(os.urandom(size))
        yield path
