"""The session wire: every request goes through ``aiohttp.ClientSession.request``.

Whoever listens in on aiohttp sees it. It also serves a session of the user's own, and bodies that
are large: aiohttp sends those bit by bit, and hears an early answer meanwhile.

An attempt ends in an answer or in a :class:`Failure`, never in an aiohttp exception.
"""

from __future__ import annotations

from math import inf
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from ..phase import Phase
from .aiohttp_errors import failure_of, is_closed, silence
from .aiohttp_internals import HEAD_LIMITS, drop_connections, mark_used, read_in_small_pieces
from .answer import ArrivingBody, never_whole, read_body, too_large
from .call_state import HELD, CallState, Failure, OpenAnswer, may_send
from .request import Body, RawReply
from .session import KeptConnections, RequestTemplate
from .streaming import SelfDelimiting

_CHUNK = 64 * 1024


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


class SessionWire:
    """Sends through a session; its redirect and status settings are overridden.

    Args:
        session: our own or a borrowed one.
        kept: what is known of the server's kept connections.
    """

    def __init__(self, session: aiohttp.ClientSession, kept: KeptConnections) -> None:
        self._session = session
        self._kept = kept
        self._arriving: set[aiohttp.ClientResponse] = set()

    def drop_connections(self, host: str | None) -> None:
        """See :class:`.session.Wire`."""
        if not self._session.closed:
            drop_connections(self._session, host)

    def abort(self) -> None:
        """See :class:`.session.Wire`."""
        for response in tuple(self._arriving):
            response.close()

    async def attempt(
        self, template: RequestTemplate, call: CallState
    ) -> RawReply | OpenAnswer | Failure:
        """See :class:`.session.Wire`."""
        body, is_file, cap = call.request.body, call.is_file, template.cap
        sent_body = None if body is None else MarkedBody(body, call, self._kept)
        call.abort_body = None if sent_body is None else sent_body.abort_body
        # Without a body nothing marks its way out, so doubt is assumed from the start.
        call.phase = Phase.SENDING if sent_body is None else Phase.CONNECTING
        limits: dict[str, Any] = {} if template.limits is None else {"timeout": template.limits}
        try:
            response = await self._request(template, sent_body, limits)
            headers = response.headers
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
            if is_file is not None and is_file(status, headers):
                by_itself = isinstance(is_file, SelfDelimiting)
                problem = None if by_itself else never_whole(headers, cap)
                if problem is not None:
                    response.close()
                    return problem
                arriving = ArrivingBody(
                    response.content, call, cap, failure_of, lambda whole: response.close()
                )
                return OpenAnswer(status, headers, arriving)
            try:
                arrived = response.content
                quoted = is_file is not None or status >= 300
                content: bytes | None
                if not quoted and arrived.is_eof() and arrived.total_bytes <= cap:
                    content = await response.read()  # all of it is here already, unpacked
                else:
                    self._arriving.add(response)
                    content = await read_body(arrived, headers, call, cap, quoted=quoted)
            except BaseException:
                response.close()
                raise
            finally:
                self._arriving.discard(response)
            if not arrived.is_eof():
                response.close()
            if content is None:
                return too_large(cap)
            if sent_body is not None and sent_body.taken and not sent_body.gone and status < 300:
                return Failure("lost", "the service answered before it had the whole request")
            return RawReply(status=status, headers=headers, body=content)
        except Exception as error:
            if sent_body is not None and sent_body.held:
                return HELD
            reused = sent_body is not None and sent_body.reused
            if reused and call.phase < Phase.RECEIVING and is_closed(error):
                self._kept.connection_died(call.now())
            return failure_of(error, call)
        except BaseException as error:
            if call.has_expired("silence"):
                return silence(call)
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            call.silence_deadline = inf
            # The two hold each other. Left to the garbage collector they cost a push 5 %.
            call.abort_body = None
            if sent_body is not None and not sent_body.gone:
                sent_body.abort_body()

    async def _request(
        self, template: RequestTemplate, sent_body: MarkedBody | None, limits: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        """Send, if need be past kept connections that are not to be used: each is closed."""
        while True:
            try:
                # A borrowed session may have been made with other habits, so they are named here.
                return await self._session.request(
                    template.operation.method,
                    template.url,
                    data=sent_body,
                    headers=template.headers,
                    allow_redirects=False,
                    raise_for_status=False,
                    auto_decompress=True,
                    **HEAD_LIMITS,
                    **limits,
                )
            except (aiohttp.ClientError, OSError):
                if sent_body is None or not sent_body.avoided:
                    raise
                sent_body.avoided = False
