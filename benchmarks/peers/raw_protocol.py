"""Next to no HTTP: an ``asyncio.Protocol`` that writes bytes and waits for as many.

No client that anybody should use; it shows how much faster than R the server can answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import orjson

from ..job import ADD, TOKEN, Job, Measured, rows


class Connection(asyncio.Protocol):
    def __init__(self, source: Iterator[dict[str, str]], head: bytes, measured: Measured) -> None:
        self._source = source
        self._head = head
        self._measured = measured
        self._buffer = b""
        self._transport: asyncio.Transport
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def send(self) -> None:
        row = next(self._source, None)
        if row is None:
            self._transport.close()
            return
        body = orjson.dumps([row])
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        place = self._buffer.find(b"Content-Length: ") + 16
        if len(self._buffer) < end + 4 + int(self._buffer[place : self._buffer.find(b"\r", place)]):
            return
        orjson.loads(self._buffer[end + 4 :])
        self._measured.count(self._buffer.startswith(b"HTTP/1.1 200"))
        self._buffer = b""
        self.send()


def push(job: Job) -> Measured:
    """As many connections as R has, one request at a time on each."""
    return job.run(_push(job))


async def _push(job: Job) -> Measured:
    measured = Measured(sent=job.rows)
    parts = urlsplit(job.url)
    host, port = parts.hostname, parts.port
    assert host is not None
    assert port is not None
    head = (
        f"POST {ADD} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Basic {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    source = rows(job.rows)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(source, head, measured), host, port)
        for _ in range(job.concurrency)
    ]
    with measured.clocks():
        for _, connection in made:
            connection.send()
        await asyncio.gather(*(connection.ended for _, connection in made))
    return measured
