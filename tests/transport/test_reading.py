"""How much asyncio reads at a time, on real connections, plain and over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from kapture_async import KaptureClient
from kapture_async._core.transport.aiohttp_internals import read_in_small_pieces

OK = b'{"status":"success","ticket_id":"1","title":"' + b"x" * 300_000 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@asynccontextmanager
async def serving(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(HEAD % len(OK) + OK)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def connections_of(client: KaptureClient) -> list[Any]:
    session: Any = client._requestor.transport._session
    kept = [protocol for pool in session.connector._conns.values() for protocol, _ in pool]
    return [protocol.transport for protocol in (*kept, *session.connector._acquired)]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_answers_are_read_in_pieces_that_come_from_the_heap(scheme: str) -> None:
    """On an interpreter where this fails, asyncio has changed: measure again what it costs."""
    here = there = None
    if scheme == "https":
        authority = trustme.CA()
        there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(there)
        here = ssl.create_default_context()
        authority.configure_trust(here)
    async with (
        serving(there) as port,
        KaptureClient(
            base_url=f"{scheme}://127.0.0.1:{port}", token="t", ssl_context=here
        ) as client,
    ):
        for _ in range(2):
            added = await client.tickets.add(title="t")
            assert added.title == "x" * 300_000
        (transport,) = connections_of(client)
        reader = transport if scheme == "http" else transport._ssl_protocol
        assert reader.max_size == 64 * 1024
        assert type(reader).max_size > reader.max_size, "there was nothing to be set"


def test_what_reads_otherwise_is_left_alone() -> None:
    read_in_small_pieces(None)
    read_in_small_pieces(object())
    modest = SimpleNamespace(max_size=1000)
    read_in_small_pieces(modest)
    assert modest.max_size == 1000
