"""A server that sends what a test says, byte for byte, when the test says it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

Body = AsyncIterator[bytes]
Script = Callable[["Call"], Body]


class Call:
    """One request, and what has become of its answer."""

    def __init__(self, number: int, body: bytes, head: bytes = b"") -> None:
        self.number = number
        self.head = head
        self.body = body
        self.sent = 0
        """Bytes that were handed to the system."""
        self.gone = False
        """The client hung up before the end."""

    @property
    def day(self) -> str:
        return str(json.loads(self.body)[0].get("start_date", ""))


class RawServer:
    """Answers each request with the pieces of a script; then the connection ends.

    Args:
        script: makes the pieces of an answer, head included.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.calls: list[Call] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        call = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, length = head.lower().partition(b"content-length:")
            size = int(length.split(b"\r\n")[0] or 0)
            call = Call(len(self.calls) + 1, await reader.readexactly(size), head)
            self.calls.append(call)
            async for piece in self._script(call):
                writer.write(piece)
                await writer.drain()
                call.sent += len(piece)
        except (ConnectionError, asyncio.IncompleteReadError):
            if call is not None:
                call.gone = True
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def head(length: int | None, *more: str, status: int = 200) -> bytes:
    """The head of an answer; without a length, its end is that of the connection."""
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", "Connection: close", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def row(number: int, **more: Any) -> dict[str, Any]:
    """A row of a pull with the keys that matter here."""
    return {"ticketId": f"{number:06}", "taskTitle": f"Title {number}", "detail": "x" * 900} | more


def document(rows: Any, status: str = "success", **more: Any) -> bytes:
    """The answer to a pull, in the order of the vendor's sample: the mark comes last."""
    return json.dumps({"totalCount": None, "message": rows, "status": status, **more}).encode()


async def whole(body: bytes) -> Body:
    """One answer with a length."""
    yield head(len(body))
    yield body


async def cut(body: bytes, at: int) -> Body:
    """The same, broken off."""
    yield head(len(body))
    yield body[:at]


def answering(body: bytes, content_type: str = "application/json") -> RawServer:
    """A server that answers every request with this body."""

    async def script(_call: Call) -> Body:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
        yield f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    return RawServer(script)
