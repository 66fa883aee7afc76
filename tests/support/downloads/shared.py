"""Contents and servers of the downloads."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from support_async.testing import EmulatorReply, SupportEmulator

from ..wire import MIB, Served, answer

CONTENT = random.Random(5).randbytes(2 * MIB)


ID = "7"


BINARY = "application/octet-stream"


def a_file(body: bytes = CONTENT, disposition: str | None = None, **more: Any) -> EmulatorReply:
    headers = () if disposition is None else (("Content-Disposition", disposition),)
    return EmulatorReply(200, body, BINARY, headers, **more)


def slow(**more: Any) -> EmulatorReply:
    """A file that comes in pieces, a millisecond apart."""
    return a_file(piece=64 * 1024, pause=0.001, **more)


class Stuck:
    """A server whose files stop in the middle; counts the clients that came and left."""

    def __init__(self) -> None:
        self.came = self.left = 0

    async def __call__(
        self, served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        self.came += 1
        writer.write(answer(CONTENT[:MIB], length=2 * MIB))
        with suppress(ConnectionError):
            while await reader.read(1):
                pass
        self.left += 1

    async def all_left(self) -> None:
        async with asyncio.timeout(5):
            while self.left < self.came:
                await asyncio.sleep(0.001)


async def all_gone(emulator: SupportEmulator) -> None:
    """Wait until the emulator has seen that no connection is left."""
    async with asyncio.timeout(5):
        while emulator.connections_open:
            await asyncio.sleep(0.001)
