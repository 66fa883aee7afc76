"""What the tests of files share: servers that obey no rules, and an eye on the file system."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from support_async import RetryPolicy, SupportClient, SyncSupportClient
from support_async.testing import SupportEmulator

MIB = 2**20
QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)
ONCE = RetryPolicy(attempts=1)
TICKET: dict[str, Any] = {"subject": "Subject", "comment": "Text", "category": 3, "priority": "1"}


def settings_for(url: str, token: str = "token", **more: Any) -> dict[str, Any]:
    usual = {"apikey": "emulator-apikey", "access_token": token, "timeout": 10.0, "retry": QUICK}
    return {"base_url": url, **usual, **more}


def client_of(emulator: SupportEmulator, **more: Any) -> SupportClient:
    return SupportClient(**settings_for(emulator.url, emulator.token, **more))


def sync_client_of(emulator: SupportEmulator, **more: Any) -> SyncSupportClient:
    return SyncSupportClient(**settings_for(emulator.url, emulator.token, **more))


# --- servers -----------------------------------------------------------------------------------


class Served:
    """A running server: where it is, and what it has seen."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.heads: list[bytes] = []

    async def head(self, reader: asyncio.StreamReader) -> bytes:
        """Read the head of the next request, in lower case."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.heads.append(head)
        return head

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read the next request, and return its body."""
        head = await self.head(reader)
        length = 0
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return await reader.readexactly(length)


Script = Callable[[Served, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, *, buffer: int | None = None) -> AsyncIterator[Served]:
    """Let ``script`` deal with every connection on a port of its own.

    ``buffer`` is what the system takes in for a server that does not read.
    """
    served = Served()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        served.connections += 1
        try:
            await script(served, reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    sock = socket.socket()
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.bind(("127.0.0.1", 0))
    limit = 2**16 if buffer is None else buffer
    server = await asyncio.start_server(handle, sock=sock, limit=limit)
    served.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection, as a proxy that has had enough of it."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: Any = None) -> bytes:
    """An answer whose ``Content-Length`` may be a lie; ``""`` leaves it out."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/octet-stream", *headers]
    if length != "":
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "\r\n"]).encode("utf-8", "surrogateescape") + body


DONE = answer(b'{"status_code":200,"errors":{},"data":{}}')


# --- files -------------------------------------------------------------------------------------


def tree(root: Path) -> dict[str, Any]:
    """All that is below a folder, hidden files as well: path to content."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder"
    return found


@contextmanager
def nothing_changes(root: Path) -> Iterator[None]:
    """See that nothing appears, changes or goes below a folder."""
    before = tree(root)
    yield
    assert tree(root) == before


@contextmanager
def not_as_root() -> Iterator[None]:
    """Rights bind the superuser to nothing, so for a moment be another one."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
