"""A server whose answers differ only in ids and titles: ``python -m benchmarks.fixed_server``.

It prints its URL (with ``--tls`` a second one), and ends when its standard input closes. It
parses no more of a request than where the next one begins, so that the client under test is what
limits the rate; uvloop is used if it is there. Paths:

- ``.../support/create/ticket/``: the answer to a create of the Support Ticket API;
- ``.../select-ticket-...``: a day of ``--day`` tickets, made at the start, sent as it is taken;
- ``/after/100/...``: any of them, 100 ms later;
- ``/told``: what it has counted: requests, bytes of bodies, seconds of processor. Not counted;
- anything else: the answer to Add Ticket, each with an id of its own and the title that was sent,
  since a push compares both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import ssl
import sys
import time
from typing import cast

from benchmarks.answers import day, http, ticket_added_parts, ticket_created
from benchmarks.machine import many_files, new_loop, pin

PIECE = 256 * 1024
AFTER = re.compile(rb"/after/(\d+)/")
TITLE = re.compile(rb'"title": ?"((?:[^"\\]|\\.)*)"')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Answers:
    """What is answered, and how much was asked."""

    def __init__(self, tickets: int) -> None:
        self.added = ticket_added_parts()
        self.id = 713_516_551_148
        self.created = http(ticket_created())
        self.day = http(day(tickets)) if tickets else b""
        self.requests = 0
        self.bytes = 0

    def told(self) -> bytes:
        told = {"requests": self.requests, "bytes": self.bytes, "cpu": time.process_time()}
        return http(json.dumps(told).encode())

    def to(self, line: bytes, title: bytes) -> bytes:
        """The answer to a request line, and to the title that was sent with it."""
        if b" /told " in line:
            return self.told()
        self.requests += 1
        if b"/support/create/ticket/" in line:
            return self.created
        if b"/select-ticket-" in line and self.day:
            return self.day
        self.id += 1
        return http(self.added(b"%d" % self.id, title))


class FixedAnswer(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._buffer = b""
        self._line = self._title = b""
        self._missing = -1  # bytes of the body that are still to come; -1: the head is
        self._transport: asyncio.Transport
        self._room = asyncio.Event()
        self._room.set()
        self._sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def data_received(self, data: bytes) -> None:
        if self._missing > len(data):  # the middle of a file: only counted
            self._missing -= len(data)
            return
        self._buffer += data
        while self._buffer:
            if self._missing < 0 and not self._take_head():
                return
            if self._missing > len(self._buffer):
                self._missing -= len(self._buffer)
                self._buffer = b""
                return
            self._buffer = self._buffer[self._missing :]
            self._missing = -1
            self._answer()

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._buffer[: end + 2]
        length = LENGTH.search(head)
        self._missing = int(length[1]) if length else 0
        self._answers.bytes += self._missing
        self._line = head[: head.find(b"\r\n")]
        self._buffer = self._buffer[end + 4 :]
        title = TITLE.search(self._buffer[:2000])  # a small body comes with its head
        self._title = title[1] if title else b""
        return True

    def _answer(self) -> None:
        answer = self._answers.to(self._line, self._title)
        after = AFTER.search(self._line)
        if len(answer) > PIECE:
            self._sending = asyncio.ensure_future(self._send(answer))
        elif after:
            milliseconds = int(after[1])
            asyncio.get_running_loop().call_later(milliseconds / 1000, self._write, answer)
        else:
            self._transport.write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    async def _send(self, answer: bytes) -> None:
        """A long answer, no faster than it is taken."""
        view = memoryview(answer)
        for start in range(0, len(answer), PIECE):
            await self._room.wait()
            if self._transport.is_closing():
                return
            self._transport.write(view[start : start + PIECE])


async def main(tickets: int, tls: list[str] | None) -> None:
    loop = asyncio.get_running_loop()
    answers = Answers(tickets)
    server = await loop.create_server(lambda: FixedAnswer(answers), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        safe = await loop.create_server(
            lambda: FixedAnswer(answers), "127.0.0.1", 0, ssl=context, backlog=2048
        )
        print(f"https://127.0.0.1:{safe.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--day", type=int, default=0, help="tickets of the day that is pulled")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--core", type=int, help="the core to stay on")
    given = parser.parse_args()
    # Ctrl-C ends whoever started it, and with that its standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pin(given.core)
    many_files()
    with asyncio.Runner(loop_factory=new_loop(uvloop=True)) as runner:
        runner.run(main(given.day, given.tls))
