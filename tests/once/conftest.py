"""What the tests of "exactly once" share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kapture_async import KaptureClient
from kapture_async.testing import KaptureTwin

from .pushing import client_of


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "tickets.journal"


@pytest.fixture
async def twin() -> AsyncIterator[KaptureTwin]:
    async with KaptureTwin() as twin:
        yield twin


@pytest.fixture
async def client(twin: KaptureTwin) -> AsyncIterator[KaptureClient]:
    async with client_of(twin) as client:
        yield client
