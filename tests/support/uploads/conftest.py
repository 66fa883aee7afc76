"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support_async import SupportClient
from support_async.testing import SupportEmulator

from ..wire import client_of


@pytest.fixture
async def emulator() -> AsyncIterator[SupportEmulator]:
    async with SupportEmulator() as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: SupportEmulator) -> AsyncIterator[SupportClient]:
    async with client_of(emulator) as client:
        yield client
