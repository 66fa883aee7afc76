"""Fixtures of the support client's tests: servers of both kinds, and a client of the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support_async import SupportClient
from support_async.testing import SupportEmulator

from .clients import member, other
from .made import client_of
from .servers import drf, drf_output, drf_process, emulator_loop, server, stage

__all__ = [
    "drf",
    "drf_output",
    "drf_process",
    "emulator_loop",
    "member",
    "other",
    "server",
    "stage",
]


@pytest.fixture
async def support_emulator() -> AsyncIterator[SupportEmulator]:
    """An emulator in the test's own loop."""
    async with SupportEmulator() as emulator:
        yield emulator


@pytest.fixture
async def client(support_emulator: SupportEmulator) -> AsyncIterator[SupportClient]:
    """A client of that emulator, which waits a moment at most before it sends again."""
    async with client_of(support_emulator) as client:
        yield client
