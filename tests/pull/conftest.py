"""An archive beside a twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kapture_async import KaptureClient
from kapture_async.testing import KaptureTwin

from .archive import QUICK, Archive


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    async with (
        KaptureTwin() as twin,
        KaptureClient(base_url=twin.url, token=twin.token, retry=QUICK) as client,
    ):
        yield Archive(twin, client, tmp_path)
