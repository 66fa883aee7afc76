"""An archive beside an emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kapture_async import KaptureClient
from kapture_async.testing import KaptureEmulator

from .archive import QUICK, Archive


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    async with (
        KaptureEmulator() as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, retry=QUICK) as client,
    ):
        yield Archive(emulator, client, tmp_path)
