"""All that is used of aiohttp, and of asyncio, beyond what they document.

The rest of the transport calls these few functions. Where a part is gone,
:func:`missing_part` says so, and requests go through the session instead.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Coroutine
from functools import lru_cache
from types import FunctionType
from typing import Any, cast

import aiohttp
import aiohttp.client
from aiohttp.client_proto import ResponseHandler

FIELD_CAP = 32 * 1024
FIELDS_CAP = 256
# Gateways send policies and cookies far beyond aiohttp's 8,190 bytes in one field and 128 fields.
# The number can be set since aiohttp 3.14, which has a limit on it.
HEAD_LIMITS: dict[str, Any] = {"max_line_size": FIELD_CAP, "max_field_size": FIELD_CAP}
if "max_headers" in inspect.signature(aiohttp.ClientSession.__init__).parameters:
    HEAD_LIMITS["max_headers"] = FIELDS_CAP

_ANSWERS: dict[str, Any] = {"read_until_eof": True, "auto_decompress": True, **HEAD_LIMITS}
_CLIENT_FILE = aiohttp.client.__file__


# --- the session --------------------------------------------------------------------------------


def never_repeat(session: aiohttp.ClientSession) -> None:
    """Keep a session from sending again by itself.

    aiohttp repeats a GET when a kept connection turns out dead, uncounted and unseen. There is no
    public switch (aiohttp#10790).
    """
    session._retry_connection = False


def drop_connections(session: aiohttp.ClientSession, host: str | None) -> None:
    """Close a session's idle connections to a host, and those in use when they are done."""
    connector = session.connector
    if connector is None:
        return
    idle: dict[Any, Any] = getattr(connector, "_conns", {})
    for key, connections in list(idle.items()):
        if getattr(key, "host", host) == host:
            for protocol, _ in connections:
                protocol.close()
    for protocol in list(getattr(connector, "_acquired", ())):
        if isinstance(protocol, ResponseHandler):  # else it is only being opened
            protocol.force_close()


_known: tuple[Any, Any] = (None, None)


def listener(session: aiohttp.ClientSession) -> str:
    """Who wants to see the requests of a session, in a few words; empty if nobody does.

    Mocks and recorders replace a method of the class, tracers add a trace configuration. They may
    come and go at any time, so this is asked before every request.
    """
    global _known
    methods = aiohttp.ClientSession.request, aiohttp.ClientSession._request
    if methods[0] is not _known[0] or methods[1] is not _known[1]:
        for method in methods:
            # A wrapper may borrow every attribute of what it wraps, but not its type.
            if type(method) is not FunctionType or method.__code__.co_filename != _CLIENT_FILE:
                return "a method of aiohttp.ClientSession was replaced"
        _known = methods
    if session.trace_configs:
        return "the session has a trace configuration"
    return ""


# --- connections --------------------------------------------------------------------------------


class Lease:
    """A connection that was opened by a connector, which counts it as in use until it is closed.

    Attributes:
        protocol: reads the answers.
    """

    __slots__ = ("_connector", "_key", "protocol")

    def __init__(self, connection: Any) -> None:
        protocol = connection.protocol
        assert protocol is not None
        self.protocol: ResponseHandler = protocol
        self._connector = connection._connector
        self._key = connection._key
        # One that is dropped complains aloud, and names the proxy with its password.
        connection._protocol = None

    def close(self) -> None:
        """Close the connection. May be called again."""
        self._connector._release(self._key, self.protocol, should_close=True)


def knock_request(
    loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession, url: Any, proxy: Any
) -> aiohttp.ClientRequest:
    """A request that tells a connector where to connect, and how aiohttp writes some headers."""
    return aiohttp.ClientRequest(
        "GET", url, headers={}, loop=loop, session=session, proxy=proxy, ssl=True
    )


async def connect(
    connector: aiohttp.BaseConnector, knock: aiohttp.ClientRequest, limits: aiohttp.ClientTimeout
) -> Lease:
    """Open a connection: names, addresses, TLS and proxies are the connector's affair."""
    return Lease(await connector.connect(knock, [], limits))


def expect_answer(
    protocol: ResponseHandler, *, skip_payload: bool = False, silence: float | None = None
) -> None:
    """Get a connection ready to read one answer."""
    protocol.set_response_params(skip_payload=skip_payload, read_timeout=silence, **_ANSWERS)


def wait_for_answer(
    protocol: ResponseHandler, loop: asyncio.AbstractEventLoop
) -> asyncio.Future[Any]:
    """What a connection fulfils: with ``None`` once it has read a head, and with its errors.

    ``read`` makes such a future, too, and keeps it to itself.
    """
    waiter: asyncio.Future[Any] = loop.create_future()
    protocol._waiter = waiter
    return waiter


def hand_over(protocol: ResponseHandler, answer: object) -> None:
    """Fulfil it with an answer that the connection did not have to read."""
    waiter, protocol._waiter = protocol._waiter, None
    if waiter is not None and not waiter.done():
        waiter.set_result(cast("Any", answer))


def whole_body(content: aiohttp.StreamReader) -> bytes:
    """A body that has arrived to its end, taken where it lies.

    ``read_nowait`` gives the same, after it has told the connection four times over that it may
    go on reading.
    """
    if not content.total_bytes:
        return b""
    pieces = content._buffer
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def expect_nothing(protocol: ResponseHandler) -> None:
    """Have whatever arrives on an idle connection spoil it, even if it is only half a head."""
    protocol._parser = None


def mark_used(protocol: Any) -> bool:
    """Note that a connection is used, and say whether it was before."""
    if getattr(protocol, "_kapture_used", False):
        return True
    protocol._kapture_used = True
    return False


_AT_ONCE = 64 * 1024


def read_in_small_pieces(transport: Any) -> None:
    """Have a connection read 64 KiB at a time, where asyncio would read 256.

    It reads into a new buffer each time. One of 256 KiB is above the size from which glibc maps
    memory for it and unmaps it again, with two page faults for every answer, and with TLS twice
    that. Smaller ones come from the heap: a sixth less for each request [measured on loopback].

    ``max_size`` is an attribute that asyncio does not document. Where it is not there (uvloop,
    Windows), nothing is done.

    Args:
        transport: of the connection; ``None`` if it is gone.
    """
    readers: tuple[Any, Any] = (transport, getattr(transport, "_ssl_protocol", None))
    for reader in readers:
        if getattr(reader, "max_size", 0) > _AT_ONCE:
            reader.max_size = _AT_ONCE


# --- whether all of it is there -----------------------------------------------------------------

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class _NoSocket:
    """As much of a transport as a connection needs that reads one answer."""

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    resume_reading = close = abort = pause_reading


@lru_cache(1)
def missing_part() -> str:
    """What is not as it was when this file was written, in a few words; empty if nothing is.

    It reads an answer that is made up, without a socket. Asked once, in a running loop.
    """
    try:
        return _try_out(asyncio.get_running_loop())
    except Exception as error:
        words = re.sub(r"[^\x20-\x7e]", "?", str(error))[:200]
        return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _try_out(loop: asyncio.AbstractEventLoop) -> str:
    protocol = ResponseHandler(loop)
    protocol.connection_made(cast("Any", _NoSocket()))
    waiter = wait_for_answer(protocol, loop)
    expect_answer(protocol, silence=None)
    protocol.data_received(_ANSWER)
    if not waiter.done() or waiter.result() is not None:
        return "an answer is told otherwise"
    message, payload = _at_once(protocol.read())
    if not (message.code == 200 and message.headers["content-length"] == "2"):
        return "the head of an answer reads otherwise"
    if not (payload.is_eof() and payload.total_bytes == 2 and whole_body(payload) == b"{}"):
        return "the body of an answer reads otherwise"
    if protocol.should_close or not protocol.is_connected():
        return "a connection is not kept after an answer"
    protocol.close()
    idle = ResponseHandler(loop)
    expect_nothing(idle)
    idle.data_received(b"HTTP/1")
    if not idle.should_close:
        return "bytes on an idle connection go unnoticed"
    for function, names in (
        (aiohttp.BaseConnector.connect, ("self", "req", "traces", "timeout")),
        (aiohttp.BaseConnector._release, ("self", "key", "protocol", "should_close")),
    ):
        if tuple(inspect.signature(function).parameters) != names:
            return f"{function.__qualname__} takes other arguments"
    wanted = {"loop", "session", "proxy", "ssl", "headers"}
    if not wanted <= inspect.signature(aiohttp.ClientRequest.__init__).parameters.keys():
        return "ClientRequest takes other arguments"
    for name in ("force_close", "start_timeout"):
        if not callable(getattr(protocol, name, None)):
            return f"ResponseHandler has no {name}"
    return ""


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    finally:
        coroutine.close()
    raise TimeoutError("an answer that is there is waited for")
