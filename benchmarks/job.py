"""What a run is told, and what it tells: between the command and its child processes."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .machine import new_loop, peak_bytes

T = TypeVar("T")
TOKEN = "dG9rZW4="
ADD = "/add-ticket-from-other-source.html/v.2.0"
PULL = "/select-ticket-between-start-and-end-dates.html/v.2.0"
CREATE = "/support/create/ticket/"
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

    @contextmanager
    def clocks(self) -> Iterator[None]:
        """Measure what is inside."""
        started, worked = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds = time.perf_counter() - started
            self.cpu = time.process_time() - worked
            self.peak = peak_bytes()


def settled(moments: list[float]) -> float:
    """Answers per second once the start is over: between 40 and 90 per cent of the time."""
    start, end = moments[0], max(moments)
    low, high = start + 0.4 * (end - start), start + 0.9 * (end - start)
    return sum(1 for moment in moments if low <= moment < high) / (high - low)
