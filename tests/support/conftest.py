"""Fixtures of the support client's tests: servers of both kinds, and a client of the twin."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support_async import SupportClient
from support_async.testing import SupportTwin

from .clients import member, other
from .made import client_of
from .servers import drf, drf_output, drf_process, server, stage, twin_loop

__all__ = [
    "drf",
    "drf_output",
    "drf_process",
    "member",
    "other",
    "server",
    "stage",
    "twin_loop",
]


@pytest.fixture
async def support_twin() -> AsyncIterator[SupportTwin]:
    """A twin in the test's own loop."""
    async with SupportTwin() as twin:
        yield twin


@pytest.fixture
async def client(support_twin: SupportTwin) -> AsyncIterator[SupportClient]:
    """A client of that twin, which waits a moment at most before it sends again."""
    async with client_of(support_twin) as client:
        yield client
