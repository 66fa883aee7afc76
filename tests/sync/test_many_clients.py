"""Clients that come and go leave nothing behind: no task, thread, descriptor, object or memory.

``MANY_CLIENTS=10000 python -m pytest tests/sync/test_many_clients.py -s`` shows the figures.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, frozen

from kapture_async import KaptureClient, SyncKaptureClient
from kapture_async.testing import KaptureEmulator
from support_async import SupportClient, SyncSupportClient
from support_async.testing import SupportEmulator

CLIENTS = int(os.environ.get("MANY_CLIENTS", "300"))
AT_ONCE = 20
CALLING = 4  # every so many makes a call
PROC = Path("/proc/self")

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="needs /proc")


@frozen
class State:
    """What this process holds."""

    threads: int
    descriptors: int
    objects: int
    resident: int

    @classmethod
    def now(cls) -> State:
        for _ in range(3):
            gc.collect()
        pages = int((PROC / "statm").read_text().split()[1])
        return cls(
            threading.active_count(),
            len(list((PROC / "fd").iterdir())),
            len(gc.get_objects()),
            pages * os.sysconf("SC_PAGE_SIZE"),
        )


def compare(before: State, after: State, calls: int, kind: str) -> None:
    print(f"\n{kind}: {CLIENTS:,} clients, {calls:,} calls\n  {asdict(before)}\n  {asdict(after)}")
    assert after.threads <= before.threads
    assert after.descriptors <= before.descriptors
    # A single object left behind by each client, or by each that made a call, would be more.
    assert after.objects - before.objects < max(CLIENTS // CALLING // 2, 30)
    # The emulators and the allocator, which has an arena for each thread, take some of it.
    assert after.resident - before.resident < 32 * 2**20


@pytest.fixture
def emulators() -> Iterator[tuple[KaptureEmulator, SupportEmulator]]:
    with KaptureEmulator().in_thread() as kapture, SupportEmulator().in_thread() as support:
        yield kapture, support


Emulators = tuple[KaptureEmulator, SupportEmulator]


def settings(emulators: Emulators) -> tuple[dict[str, Any], dict[str, Any]]:
    kapture, support = emulators
    return (
        {"base_url": kapture.url, "token": kapture.token},
        {"base_url": support.url, "apikey": support.apikey, "access_token": support.token},
    )


def test_async_clients(emulators: Emulators) -> None:
    of_kapture, of_support = settings(emulators)
    calls = 0

    async def one(number: int) -> None:
        nonlocal calls
        calling = number % CALLING == 0
        calls += calling
        if number % 2 or number % (2 * CALLING) == 0:
            async with KaptureClient(**of_kapture) as client:
                assert client.with_options(timeout=5).tickets
                if calling:
                    await client.tickets.get_many(["700000000000"])
        else:
            async with SupportClient(**of_support) as support:
                if calling:
                    await support.categories.list()
        assert KaptureClient(**of_kapture)  # dropped without having been used

    async def all_of(count: int) -> None:
        """In one event loop, in which nothing of them may be left."""
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*map(one, range(start, start + AT_ONCE)))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        timers: Any = asyncio.get_running_loop()
        assert [timer for timer in timers._scheduled if not timer.cancelled()] == []
        await all_connections_closed(emulators)

    asyncio.run(all_of(AT_ONCE * 4))
    before, calls = State.now(), 0
    asyncio.run(all_of(CLIENTS))
    compare(before, State.now(), calls, "async")


async def all_connections_closed(emulators: Emulators) -> None:
    for emulator in emulators:
        while emulator.connections_open:
            await asyncio.sleep(0.001)
        emulator.run(emulator.received.clear)  # the last requests, which it keeps


def test_sync_clients(emulators: Emulators) -> None:
    of_kapture, of_support = settings(emulators)
    calls: list[int] = []

    def one(number: int) -> None:
        calling = number % CALLING == 0
        if number % 2 or number % (2 * CALLING) == 0:
            with SyncKaptureClient(**of_kapture) as client:
                if calling:
                    calls.append(len(client.tickets.get_many(["700000000000"]).missing))
        else:
            with SyncSupportClient(**of_support) as support:
                if calling:
                    calls.append(len(support.categories.list()))
        assert SyncKaptureClient(**of_kapture)  # dropped without having been used

    def all_of(threads: ThreadPoolExecutor, count: int) -> None:
        list(threads.map(one, range(count)))
        asyncio.run(all_connections_closed(emulators))

    with ThreadPoolExecutor(4) as threads:
        all_of(threads, AT_ONCE * 4)
        calls.clear()
        before = State.now()
        all_of(threads, CLIENTS)
        count = len(calls)
        calls.clear()
        compare(before, State.now(), count, "sync")
