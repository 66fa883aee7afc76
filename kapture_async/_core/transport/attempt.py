"""One attempt on the wire. Only this module and ``session`` call aiohttp.

It ends in an answer or in a :class:`Failure`, never in an aiohttp exception: those carry
frames whose variables hold the headers, and their types do not tell whether anything was sent
(there is one ``TimeoutError`` for a full pool and for a silent server).
"""

from __future__ import annotations

import inspect
from math import inf
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.payload import Payload

from ..phase import Phase
from .call_state import CallState, Failure, OpenAnswer, may_send
from .request import Body, RawReply
from .session import (
    KeptConnections,
    RequestTemplate,
    RequestTemplates,
    drop_connections,
    mark_used,
    open_session,
)
from .settings import ERROR_BODY_CAP
from .streaming import SelfDelimiting

__all__ = ["KeptConnections", "RequestTemplates", "attempt", "drop_connections", "open_session"]

_CHUNK = 64 * 1024

_PROXY_MAY_RECOVER = frozenset({502, 503, 504})
_FIELD_CAP = 32 * 1024
_FIELDS_CAP = 256
# Gateways send policies and cookies far beyond aiohttp's 8,190 bytes in one field and 128 fields.
# The number can be set since aiohttp 3.14, which has a limit on it.
_HEAD_LIMITS: dict[str, Any] = {"max_line_size": _FIELD_CAP, "max_field_size": _FIELD_CAP}
if "max_headers" in inspect.signature(aiohttp.ClientSession.__init__).parameters:
    _HEAD_LIMITS["max_headers"] = _FIELDS_CAP


class MarkedBody(Payload):
    """A body that notes on its way out how far it got.

    This costs nothing measurable, where an aiohttp ``TraceConfig``, even an empty one, costs a
    fifth of the throughput. The mark is set *before* the first byte is handed over, so that an
    error can only ever be on the side of doubt.

    It goes out once: aiohttp by itself repeats a PUT or DELETE whose connection was lost.
    """

    _autoclose = True
    _value: Body

    def __init__(self, body: Body, call: CallState, kept: KeptConnections) -> None:
        super().__init__(body, content_type=body.content_type)
        self._length = body.size
        self._call = call
        self._kept = kept
        self._consumed = False  # aiohttp's own word for it, since 3.12.7
        self.taken = False  # aiohttp looked at it, which a mock in its place does not
        self.gone = False  # it is out whole
        self.reused = False  # the connection had been used before
        self.held = False  # not sent, as its sender may not send just now
        self.avoided = False  # not sent, as kept connections of this server are avoided for now
        self._protocol: Any = None

    @property
    def size(self) -> int:
        self.taken = True
        return self._length

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        protocol: Any = getattr(writer, "protocol", None)
        self._protocol = protocol
        if self._consumed or (protocol is not None and protocol.should_close):
            # Either it went out before, or the kept connection holds unrequested bytes, which
            # would be taken for the answer to this request.
            if protocol is not None:
                protocol.close()
            raise ConnectionError("not sent on this connection")
        call = self._call
        if protocol is not None:
            self.reused = mark_used(protocol)
            if self._kept.avoided_until and call.now() < self._kept.avoided_until:
                if self.reused:
                    self.avoided = True
                    protocol.close()
                    raise ConnectionError("not sent on a kept connection")
                protocol.force_close()  # after the answer
            read_in_small_pieces(protocol.transport)
        # Nothing may wait between this and the first byte.
        permitted = may_send.get()
        if permitted is not None and not permitted():
            self.held = True
            if protocol is not None:
                protocol.close()
            raise ConnectionError("not sent: it may not be sent now")
        self._consumed = True
        if call.phase < Phase.SENDING:
            call.phase = Phase.SENDING
        for segment in self._value.segments:
            if len(segment) <= _CHUNK:
                await writer.write(segment)
                continue
            view = memoryview(segment)
            for start in range(0, len(view), _CHUNK):
                await writer.write(view[start : start + _CHUNK])
        if call.phase < Phase.SENT:
            call.phase = Phase.SENT
            call.note_activity()  # from now on an answer is due
        self.gone = True

    def discard_connection(self, response: aiohttp.ClientResponse) -> None:
        """Do not use the connection again.

        After an early refusal of a large body some servers say "keep-alive", and close all the
        same: they have not read the rest. Whatever is sent next would be in doubt.
        """
        if self._protocol is None:
            return
        if response.connection is None:  # it is back in the pool already
            self._protocol.close()
        else:
            self._protocol.force_close()

    def abort_body(self) -> None:
        """Break the connection off if the body did not go out whole: it is useless now.

        A server that has stopped reading would hold it, and the closing of the session, for ever.
        """
        transport = getattr(self._protocol, "transport", None)
        if not self.gone and transport is not None:
            transport.abort()

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"".join(self._value.segments)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._value.segments).decode(encoding, errors)

    def __copy__(self) -> MarkedBody:
        """Itself: recorders of HTTP traffic copy what they see, and it must go out once only."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> MarkedBody:
        return self

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        """Its bytes: that is what a recorder's file is to hold."""
        return bytes, (bytes(self),)

    def __eq__(self, other: object) -> bool:
        """Also equal to its bytes, as recorders compare a request with one of their file."""
        if isinstance(other, (bytes, bytearray)):
            return bytes(self) == other
        return self is other

    __hash__ = object.__hash__

    def __bytes__(self) -> bytes:
        return b"".join(self._value.segments)

    def __repr__(self) -> str:
        return f"<MarkedBody of {self._length} bytes>"


async def attempt(
    session: aiohttp.ClientSession,
    template: RequestTemplate,
    call: CallState,
    kept: KeptConnections,
) -> RawReply | OpenAnswer | Failure:
    """Send once and read the whole answer.

    Args:
        session: the session to use; its redirect and status settings are overridden.
        template: where to, with which headers, and within which limits.
        call: what to send; is moved forward as the attempt proceeds. Its ``is_file`` tells
            whether the head of an answer is that of the requested file, whose body is
            then left to be read by the caller. Any other answer is cut, as errors are.
        kept: what is known of the server's kept connections.

    Raises:
        asyncio.CancelledError: without the frames of the HTTP library, whose locals hold
            the headers.
    """
    body, is_file, cap = call.request.body, call.is_file, template.cap
    sent_body = None if body is None else MarkedBody(body, call, kept)
    call.abort_body = None if sent_body is None else sent_body.abort_body
    # Without a body nothing marks its way out, so doubt is assumed from the start.
    call.phase = Phase.SENDING if sent_body is None else Phase.CONNECTING
    limits: dict[str, Any] = {} if template.limits is None else {"timeout": template.limits}
    try:
        response = await _request(session, template, sent_body, limits)
        if sent_body is not None and sent_body.taken and call.phase < Phase.SENDING:
            # An answer before the request: it belongs to something else. Nothing was sent.
            response.close()
            return Failure("connect", "the kept connection held an answer to something else")
        call.phase = Phase.RECEIVING
        call.status = status = response.status
        if sent_body is None and response.connection is not None:
            read_in_small_pieces(response.connection.transport)
        if sent_body is not None and status >= 400 and sent_body.size > _CHUNK:
            sent_body.discard_connection(response)
        if is_file is not None and is_file(status, response.headers):
            by_itself = isinstance(is_file, SelfDelimiting)
            problem = None if by_itself else _never_whole(response, cap)
            if problem is not None:
                response.close()
                return problem
            return OpenAnswer(status, response.headers, _ArrivingBody(response, call, cap))
        try:
            arriving = response.content
            quoted = is_file is not None or status >= 300
            content: bytes | None
            if not quoted and arriving.is_eof() and arriving.total_bytes <= cap:
                content = await response.read()  # all of it is here already, unpacked
            else:
                content = await _read(response, call, cap, quoted=quoted)
        except BaseException:
            response.close()
            raise
        if content is None:
            return _too_large(cap)
        if sent_body is not None and sent_body.taken and not sent_body.gone and status < 300:
            return Failure("lost", "the service answered before it had the whole request")
        return RawReply(status=status, headers=response.headers, body=content)
    except Exception as error:
        if sent_body is not None and sent_body.held:
            return Failure("held", "the lease of this run is over, or was about to end", True)
        closed = isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError))
        if closed and sent_body is not None and sent_body.reused and call.phase < Phase.RECEIVING:
            kept.connection_died(call.now())
        return _failure(error, call)
    except BaseException as error:
        if call.has_expired("silence"):
            return _silence(call)
        error.__context__ = None
        raise error.with_traceback(None) from None
    finally:
        call.silence_deadline = inf
        # The two hold each other. Left to the garbage collector they cost a push 5 %.
        call.abort_body = None
        if sent_body is not None and not sent_body.gone:
            sent_body.abort_body()


async def _request(
    session: aiohttp.ClientSession,
    template: RequestTemplate,
    sent_body: MarkedBody | None,
    limits: dict[str, Any],
) -> aiohttp.ClientResponse:
    """Send, if need be past kept connections that are not to be used: each of them is closed."""
    while True:
        try:
            # A borrowed session may have been made with other habits, so they are named here.
            return await session.request(
                template.operation.method,
                template.url,
                data=sent_body,
                headers=template.headers,
                allow_redirects=False,
                raise_for_status=False,
                auto_decompress=True,
                **_HEAD_LIMITS,
                **limits,
            )
        except (aiohttp.ClientError, OSError):
            if sent_body is None or not sent_body.avoided:
                raise
            sent_body.avoided = False


def _never_whole(response: aiohttp.ClientResponse, cap: int) -> Failure | None:
    """Why a file could never be known to be complete, by its head."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        # It was requested unpacked; compressed, a truncated file could not be detected.
        return Failure("garbled", "the file came compressed, which was not requested", True)
    length = response.content_length
    if length is None and not _in_chunks(response):
        # Only the end of the connection ends it, which also comes when the server dies.
        return Failure(
            "garbled", "the file came without a length: its end cannot be told from a break", True
        )
    return _too_large(cap, "file has") if (length or 0) > cap else None


def _in_chunks(response: aiohttp.ClientResponse) -> bool:
    coding = response.headers.get("Transfer-Encoding", "").lower()
    return coding.rpartition(",")[2].strip() == "chunked"


class _ArrivingBody:
    """The body of an answer on its way in, counted. See :class:`.call_state.Stream`."""

    def __init__(self, response: aiohttp.ClientResponse, call: CallState, cap: int) -> None:
        self._response = response
        self._call = call
        self._cap = cap
        self._size = 0

    async def next_chunk(self) -> bytes | Failure | None:
        try:
            part = await self._response.content.readany()
        except Exception as error:
            self._response.close()
            return _failure(error, self._call)
        self._size += len(part)
        if self._size > self._cap:
            self._response.close()
            return _too_large(self._cap, "file has")
        return part or None

    def close(self) -> None:
        self._response.close()


def _too_large(cap: int, what: str = "answer unpacks to") -> Failure:
    return Failure("too_large", f"the {what} more than {cap:,} bytes", True)


async def _read(
    response: aiohttp.ClientResponse, call: CallState, cap: int, *, quoted: bool
) -> bytes | None:
    """The whole body; ``None`` if it is larger than ``cap``.

    One that is only ``quoted`` is cut instead.
    """
    if quoted:
        cap = min(cap, ERROR_BODY_CAP)
    length = response.content_length
    encoded = "Content-Encoding" in response.headers
    call.note_activity()
    if length is not None and length > cap and not encoded and not quoted:
        response.close()
        return None
    # A Content-Length says nothing of what a compressed body unpacks to, so count.
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        call.note_activity()
        size += len(part)
        if size > cap:
            response.close()
            if not quoted:
                return None
            parts.append(part[: cap - size])
            break
        parts.append(part)
    return b"".join(parts)


def _failure(error: Exception, call: CallState) -> Failure:
    """Translate an exception into our own words."""
    unconnected = _no_connection(error)
    if unconnected is not None:
        call.phase = Phase.CONNECTING
        return unconnected
    if isinstance(error, TimeoutError):  # aiohttp's SocketTimeoutError among them
        return _silence(call)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Failure("lost", "the server closed the connection before it answered")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failure("lost", "the answer broke off")
    if isinstance(error, aiohttp.ClientResponseError):
        if _is_too_much(error):
            return Failure(
                "garbled",
                f"the headers of the answer are more than is accepted ({_FIELD_CAP:,} bytes in "
                f"one, {_FIELDS_CAP} of them)",
            )
        return Failure("garbled", "what came back is not HTTP")
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return Failure("lost", "the connection was lost")
    # A bug, here or in the HTTP library. The call still needs a truthful outcome, and the
    # exception itself cannot be shown: its frames hold the headers.
    return Failure("lost", f"the HTTP library failed with {type(error).__name__}", True)


def _is_too_much(error: aiohttp.ClientResponseError) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LineTooLong) or "Too many headers" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _silence(call: CallState) -> Failure:
    if call.phase is Phase.RECEIVING:
        return Failure("timeout", "the answer stopped arriving")
    return Failure("timeout", "the server stayed silent")


def _no_connection(error: Exception) -> Failure | None:
    """The failures that mean that there was no connection, so nothing was sent."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "it does not verify"
        return Failure("connect", f"the server's TLS certificate was refused: {reason}", True)
    if isinstance(error, aiohttp.ClientSSLError):
        return Failure("connect", "the TLS handshake failed")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failure("connect", "the host name could not be resolved")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Failure("connect", "the proxy could not be reached")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # This answers CONNECT: the request itself never left.
        final = error.status not in _PROXY_MAY_RECOVER
        return Failure("connect", f"the proxy refused with HTTP {error.status}", final)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Failure("connect", "could not connect in time")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or type(error.os_error).__name__
        return Failure("connect", f"the connection failed: {reason.lower()}")
    return None


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
