"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support_async import SupportClient
from support_async.testing import SupportEmulator

from ..wire import client_of
from .shared import ID, a_file


@pytest.fixture
async def emulator() -> AsyncIterator[SupportEmulator]:
    async with SupportEmulator() as emulator:
        emulator.downloads[ID] = a_file()
        yield emulator


@pytest.fixture
async def client(emulator: SupportEmulator) -> AsyncIterator[SupportClient]:
    async with client_of(emulator) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, alone in its parent: what escapes from it would be seen."""
    path = tmp_path / "parent" / "folder"
    path.mkdir(parents=True)
    return path
