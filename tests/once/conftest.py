"""What the tests of "exactly once" share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kapture_async import KaptureClient
from kapture_async.testing import KaptureEmulator

from ..clock import Clock
from .pushing import client_of


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Nobody waits for a settle time: it has passed as soon as somebody would sleep."""
    clock = Clock()
    clock.install(monkeypatch.setattr)
    return clock


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "tickets.journal"


@pytest.fixture
async def emulator() -> AsyncIterator[KaptureEmulator]:
    async with KaptureEmulator() as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: KaptureEmulator) -> AsyncIterator[KaptureClient]:
    async with client_of(emulator) as client:
        yield client
