"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support_async import SupportClient
from support_async.testing import SupportTwin

from ..wire import client_of


@pytest.fixture
async def twin() -> AsyncIterator[SupportTwin]:
    async with SupportTwin() as twin:
        yield twin


@pytest.fixture
async def client(twin: SupportTwin) -> AsyncIterator[SupportClient]:
    async with client_of(twin) as client:
        yield client
