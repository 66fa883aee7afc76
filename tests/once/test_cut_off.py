"""Cut off while the journal writes down the last outcomes: nobody misses one of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from kapture_async import KaptureClient
from kapture_async._core.filelock import owner_of
from kapture_async._core.journal.sqlite.storage import SQLiteStorage
from kapture_async._core.push.journaling import JournalBridge
from kapture_async.testing import KaptureEmulator

from .judge import judge
from .pushing import plain

ROWS = 20


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("times", [2, 3, 5])
async def test_outcomes_on_their_way_to_the_disk_are_still_told(
    times: int,
    emulator: KaptureEmulator,
    client: KaptureClient,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_disk, closing = threading.Event(), asyncio.Event()
    write, close_books = SQLiteStorage.write, JournalBridge.close_books

    def slowly(storage: SQLiteStorage, batch: Any) -> Any:
        if len(emulator.ledger) == ROWS:
            on_disk.wait(10)
        return write(storage, batch)

    async def noticed(bridge: JournalBridge[Any]) -> None:
        closing.set()  # its first call that waits for the journal's thread
        await close_books(bridge)

    monkeypatch.setattr(SQLiteStorage, "write", slowly)
    monkeypatch.setattr(JournalBridge, "close_books", noticed)
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
    assert judge(journal, emulator.ledger).accepted == ROWS
