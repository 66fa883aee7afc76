"""A server on a real socket whose every answer a test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import orjson


class Asked(NamedTuple):
    """One request, as it came."""

    number: int
    """From 1."""
    head: bytes
    body: bytes


class Scripted:
    """Answers each request with the bytes that ``script`` gives; an empty answer hangs up.

    Attributes:
        url: of the server.
        asked: every request so far.
        most: how many were out at a time at most.
    """

    def __init__(self, script: Callable[[Asked], bytes], delay: float = 0.0) -> None:
        self._script = script
        self._delay = delay
        self._out = 0
        self.url = ""
        self.asked: list[Asked] = []
        self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its end."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = 0
                for line in head.split(b"\r\n"):
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        size = int(value)
                body = await reader.readexactly(size)
                self._out += 1
                self.most = max(self.most, self._out)
                asked = Asked(len(self.asked) + 1, head, body)
                self.asked.append(asked)
                if self._delay:
                    await asyncio.sleep(self._delay)
                answer = self._script(asked)
                self._out -= 1
                if not answer:
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(
    script: Callable[[Asked], bytes], *, delay: float = 0.0
) -> AsyncIterator[Scripted]:
    """Serve on loopback while the context lasts."""
    served = Scripted(script, delay)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


def answer(body: object, status: int = 200, *headers: str) -> bytes:
    """An answer on the wire: JSON, or bytes as they are. 204 and 304 have no body."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    lines = [f"HTTP/1.1 {status} Status", *headers]
    if status in (204, 304):
        raw = b""
    else:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(raw)}"]
    return "\r\n".join([*lines, "", ""]).encode() + raw


def added(number: int) -> bytes:
    """The documented answer to a ticket that was added."""
    ticket_id = str(713516551000 + number)
    ticket = {"id": number, "ticketId": ticket_id}
    return answer({"ticket": ticket, "ticket_id": ticket_id, "status": "success"})


def failed(words: str, status: int = 200, *headers: str) -> bytes:
    """The vendor's way to refuse."""
    return answer({"message": words, "status": "failed"}, status, *headers)
