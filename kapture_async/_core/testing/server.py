"""A small HTTP/1.1 server that owns every byte it sends.

Emulators must be able to misbehave on purpose: reset in the middle of a request, promise more bytes
than they send, answer with something that is not HTTP. Server frameworks exist to prevent exactly
that, so this one is a bare :class:`asyncio.Protocol`. It has no task and no coroutine per request:
what waits, waits in a timer, and stopping cancels the timers. It knows no vendor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Literal, Protocol, cast

from .faults import Fault
from .http import (
    MAX_BODY,
    MAX_HEAD,
    EmulatorReply,
    EmulatorRequest,
    Headers,
    RequestReader,
    UnreadableRequest,
    html_reply,
    reason,
)

_BACKLOG = 1024
_LINGER_SECONDS = 1.0
_STOP_SECONDS = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Host(Protocol):
    """What the server asks of the emulator it serves."""

    def on_head(self, connection: Connection) -> None:
        """Hear of a request as soon as its headers came, before its body is read."""

    def on_request(self, connection: Connection) -> None:
        """Deal with a whole request: reply, close, reset or hold, now or later."""


class Connection(asyncio.Protocol):
    """One client connection. It deals with one request at a time; pipelined ones wait."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.request: EmulatorRequest = EmulatorRequest("", "", "", Headers({}))
        self.fault: Fault | None = None
        self.left_over: EmulatorReply | None = None
        """An answer that goes out again in place of the next one."""
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(server.max_body)
        self._timers: set[asyncio.TimerHandle] = set()
        self._in_head = True
        self._busy = False
        self._deaf = False
        self._advancing = False
        self._writable = True
        self._eof = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; a client that slipped in while the server stops is dropped."""
        self._transport = cast("asyncio.Transport", transport)
        if self.server.closing:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything that was still to be done for this client."""
        self._transport = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._reader.clear()
        self.server.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a request is being dealt with or nothing is heard any more."""
        if self._deaf:
            return
        self._reader.feed(data)
        self._advance()
        waits = self._busy or not self._writable
        if waits and len(self._reader) > MAX_HEAD and self.is_open and self._transport:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Stay open for a client that closed its sending side but waits for an answer."""
        self._eof = True
        return self._busy and not self._deaf

    def pause_writing(self) -> None:
        """Take no further request while the client does not read its answers."""
        self._writable = False

    def resume_writing(self) -> None:
        """Serve the requests that waited."""
        self._writable = True
        self._read_on()

    # What the host calls.

    @property
    def is_open(self) -> bool:
        """Whether the client still has this connection, as far as is known here."""
        return self._transport is not None and not self._transport.is_closing()

    def reply(self, reply: EmulatorReply) -> None:
        """Answer the present request in full, or as the reply itself says."""
        keep_alive = self.request.keep_alive
        length = len(reply.body)
        if reply.length is not None and reply.length != length:
            length, keep_alive = reply.length, False
        head = self.head(reply, length, keep_alive=keep_alive)
        if self.request.method == "HEAD":
            self.write(head)
        elif reply.piece > 0:
            self.write(head)
            self._drip(reply, 0, keep_alive=keep_alive)
            return
        else:
            self.write(head + reply.body)
        self.finish(keep_alive=keep_alive)

    def _drip(self, reply: EmulatorReply, start: int, *, keep_alive: bool) -> None:
        if start >= len(reply.body):
            self.finish(keep_alive=keep_alive)
            return

        def send() -> None:
            end = start + reply.piece
            self.write(reply.body[start:end])
            self._drip(reply, end, keep_alive=keep_alive)

        self.later(reply.pause, send)

    def head(self, reply: EmulatorReply, length: int, *, keep_alive: bool) -> bytes:
        """Return the bytes of a reply's head, which may promise any ``length`` or none (-1)."""
        fields = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
        promise = "" if length < 0 else f"Content-Length: {length}\r\n"
        return (
            f"HTTP/1.1 {reply.status} {reason(reply.status)}\r\n"
            f"Content-Type: {reply.content_type}\r\n{promise}{fields}"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
        ).encode("latin-1")

    def write(self, data: bytes) -> None:
        """Send bytes as they are; nothing happens when the client has gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def finish(self, *, keep_alive: bool) -> None:
        """End the present exchange: on to the next request, or close."""
        self._busy = False
        self._in_head = True
        if keep_alive:
            self._read_on()
        else:
            self.close()

    def hold(self) -> None:
        """Never answer: keep the connection until the client leaves or the server stops."""
        self._deaf = True
        self._reader.clear()
        if self._eof:
            self.close()

    def close(self) -> None:
        """Close the usual way (FIN), after what was written has gone out."""
        self._busy = True
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection (RST): lingering for zero seconds makes the close a reset."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # the client was faster
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once, with whatever was not sent yet."""
        self._busy = True
        if self._transport is not None:
            self._transport.abort()

    def later(self, delay: float, act: Callable[[], None]) -> None:
        """Call ``act`` after ``delay`` seconds unless the connection is gone by then."""
        if self._transport is not None:
            call_later(self.server.loop, self._timers, delay, act)

    # Reading.

    def _read_on(self) -> None:
        self._advance()
        if self._busy or not self._writable or self._eof or not self.is_open:
            return
        if self._transport is not None and not self._transport.is_reading():
            self._transport.resume_reading()

    def _advance(self) -> None:
        """Deal with requests as long as whole ones are there; never recursive."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._writable and not self._busy and self.is_open:
                if not self._next_request():
                    break
        except UnreadableRequest as error:
            self._refuse(error.status)
        finally:
            self._advancing = False

    def _next_request(self) -> bool:
        if self._in_head:
            request = self._reader.take_head()
            if request is None:
                return self._wait_for_more()
            self.request = request
            self.fault = None
            self._in_head = False
            self.server.host.on_head(self)
            if self._busy or not self.is_open:
                return False
            if self._reader.wants_continue(request):
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._reader.take_body()
        if body is None:
            return self._wait_for_more()
        self.request.body = body
        self._busy = True
        self.server.host.on_request(self)
        return True

    def _wait_for_more(self) -> Literal[False]:
        if self._eof:  # none will come
            self.close()
        return False

    def _refuse(self, status: int) -> None:
        """Answer a request that cannot be read, then close without losing the answer.

        Closing while the client still sends would turn into a reset, and the client would never see
        the reply; so the rest is read and thrown away for a moment, as proxies do.
        """
        reply = html_reply(status)
        self._busy = self._deaf = True
        self._reader.clear()
        self.write(self.head(reply, len(reply.body), keep_alive=False) + reply.body)
        if self._eof or self._transport is None:
            self.close()
        else:
            self._transport.write_eof()
            self.later(_LINGER_SECONDS, self.close)


class Server:
    """Listens on 127.0.0.1 and nowhere else, and leaves nothing behind when it stops."""

    def __init__(self, host: Host, *, port: int = 0, max_body: int = MAX_BODY) -> None:
        self.host = host
        self.port: int = port
        self.max_body = max_body
        self.closing: bool = False
        self.connections_total: int = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[Connection] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._listener: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._refusing = False
        self._all_gone: asyncio.Event | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that this server runs in."""
        if self._loop is None:
            raise RuntimeError("the emulator is not running; start it first")
        return self._loop

    @property
    def is_running(self) -> bool:
        """Whether the server was started and not yet stopped."""
        return self._loop is not None

    @property
    def connections_open(self) -> int:
        """How many connections clients hold right now."""
        return len(self._connections)

    async def start(self) -> None:
        """Bind and listen; ``port`` tells which port it became."""
        if self._loop is not None:
            raise RuntimeError("the emulator runs already")
        sock = self._bind()
        self.port = sock.getsockname()[1]
        self._loop = asyncio.get_running_loop()
        self.closing = self._refusing = False
        await self._open(sock)

    async def stop(self) -> None:
        """Stop listening, drop every connection, cancel what waits; return when all are gone."""
        if self._loop is None:
            return
        self.closing = True
        if self._opening is not None:
            await self._opening
        self._close_listener()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        # One turn of the loop: a client accepted in this turn makes itself known in the next.
        await asyncio.sleep(0)
        for connection in tuple(self._connections):
            connection.abort()
        if self._connections:
            self._all_gone = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), _STOP_SECONDS)
        self._loop = self._all_gone = None

    def stop_listening(self, *, drop: bool = True) -> None:
        """Refuse new connections, keeping the port; ``drop`` ends the open ones too."""
        self._refusing = True
        if self._listener is not None:
            self._close_listener()
            # Bound and not listening: connecting is refused, and the port stays ours.
            self._reserved = self._bind()
        if drop:
            for connection in tuple(self._connections):
                connection.abort()

    def listen_again(self) -> None:
        """Accept connections again, on the same port."""
        self._refusing = False
        if self._reserved is not None:
            sock, self._reserved = self._reserved, None
            sock.listen(_BACKLOG)  # from now on the system takes connections
            self._opening = self.loop.create_task(self._open(sock))

    def later(self, delay: float, act: Callable[[], None]) -> None:
        """Call ``act`` after ``delay`` seconds, whatever the clients do meanwhile."""
        call_later(self.loop, self._timers, delay, act)

    def forget(self, connection: Connection) -> None:
        """Hear from a connection that it is gone."""
        self._connections.discard(connection)
        if self._all_gone is not None and not self._connections:
            self._all_gone.set()

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    async def _open(self, sock: socket.socket) -> None:
        try:
            self._listener = await self.loop.create_server(
                self._connect, sock=sock, backlog=_BACKLOG
            )
        except OSError:
            sock.close()
            raise
        if self._refusing:  # changed its mind meanwhile
            self.stop_listening(drop=False)

    def _connect(self) -> Connection:
        connection = Connection(self)
        self._connections.add(connection)
        self.connections_total += 1
        return connection

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


def call_later(
    loop: asyncio.AbstractEventLoop,
    timers: set[asyncio.TimerHandle],
    delay: float,
    act: Callable[[], None],
) -> None:
    """Start a timer that stands in ``timers`` until it fires, so that it can be cancelled."""

    def fire() -> None:
        timers.discard(timer)
        act()

    timer = loop.call_later(delay, fire)
    timers.add(timer)
