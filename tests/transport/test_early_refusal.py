"""A large body that is refused before it was read: the connection is of no more use."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from kapture_async import KaptureClient, ValidationError

REFUSED = b'{"message":"title is missing","status":"failed"}'
ACCEPTED = b'{"ticket_id":"1","status":"success"}'


class Hasty:
    """Answers a large request after its first bytes, says "keep-alive", and closes all the same."""

    def __init__(self) -> None:
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", head.lower())
                assert found is not None
                large = int(found[1]) > 200_000
                await reader.readexactly(1000 if large else int(found[1]))
                status, body = (b"400 Bad Request", REFUSED) if large else (b"200 OK", ACCEPTED)
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (status, len(body), body)
                )
                await writer.drain()
                if large:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def hasty() -> AsyncIterator[tuple[Hasty, str]]:
    hasty = Hasty()
    server = await asyncio.start_server(hasty.serve, "127.0.0.1", 0)
    async with server:
        yield hasty, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_next_call_takes_another_connection(hasty: tuple[Hasty, str]) -> None:
    server, url = hasty
    async with KaptureClient(base_url=url, token="t", timeout=5.0) as client:
        for _ in range(5):
            with pytest.raises(ValidationError):
                await client.tickets.add(title="x", ticket_details="y" * 300_000)
            assert (await client.tickets.add(title="x")).ticket_id == "1"
    assert server.connections >= 6


async def test_connections_are_kept_after_a_small_one(hasty: tuple[Hasty, str]) -> None:
    server, url = hasty
    async with KaptureClient(base_url=url, token="t", timeout=5.0) as client:
        for _ in range(5):
            await client.tickets.add(title="x")
    assert server.connections == 1
