"""Cut off while the journal writes down the last outcomes: nobody misses one of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from kapture_async import KaptureClient
from kapture_async._core.push.journal.lock import owner_of
from kapture_async._core.push.journal.store import Store
from kapture_async._core.push.recorder import Recorder
from kapture_async.testing import KaptureTwin

from .judge import judge
from .pushing import plain

ROWS = 20


@pytest.mark.parametrize("times", [2, 3, 5])
async def test_outcomes_on_their_way_to_the_disk_are_still_told(
    times: int,
    twin: KaptureTwin,
    client: KaptureClient,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_disk, closing = threading.Event(), asyncio.Event()
    put, close_books = Store.put, Recorder.close_books

    def slowly(store: Store, group: Any) -> None:
        if len(twin.ledger) == ROWS:
            on_disk.wait(10)
        put(store, group)

    async def noticed(recorder: Recorder) -> None:
        closing.set()  # its first call that waits for the journal's thread
        await close_books(recorder)

    monkeypatch.setattr(Store, "put", slowly)
    monkeypatch.setattr(Recorder, "close_books", noticed)
    push = client.tickets.push(plain(*(f"t{number}" for number in range(ROWS))), journal=journal)
    told: list[str] = []

    async def consume() -> None:
        async with push as outcomes:
            async for outcome in outcomes:
                told.append(outcome.name)

    task = asyncio.create_task(consume())
    try:
        await asyncio.wait_for(closing.wait(), 10)
        assert len(told) < ROWS
        for _ in range(times):  # what is in flight finishes; then it is cut off; then nothing is
            task.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
        assert not task.done()
    finally:
        on_disk.set()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    # It ended when nothing was open any more: no outcome, and not the journal.
    assert owner_of(str(journal)) is None
    told += [outcome.name for outcome in push.unread()]
    assert told == ["accepted"] * ROWS
    assert judge(journal, twin.ledger).accepted == ROWS
