"""The direct wire: a request is written straight to a connection, and the answer read from it.

The head is made once for each operation, and leaves with the body in one write. So how far an
attempt got is known from where it stands in the code: before the write nothing was sent, after it
everything was. aiohttp opens the connections (names, addresses, TLS, proxies), and its parser
reads all answers but the usual one (:mod:`.usual_answer`); what is left out is its session, request
and response objects, which cost several times what the rest does.

An attempt ends in an answer or in a :class:`Failure`, never in an aiohttp exception.
"""

from __future__ import annotations

import asyncio
import logging
import re
import weakref
from collections.abc import Awaitable, Callable
from math import inf

import aiohttp
from yarl import URL

from ..phase import Phase
from . import aiohttp_internals
from .aiohttp_errors import NOT_IN_TIME, failure_of, is_closed, silence
from .aiohttp_internals import connect, knock_request, listener, whole_body
from .answer import ArrivingBody, never_whole, read_body, too_large
from .call_state import HELD, CallState, Failure, OpenAnswer, may_send
from .connection import Connection
from .request import JSON, Body, RawReply
from .session import (
    KEPT_FOR,
    KeptConnections,
    RequestTemplate,
    RequestTemplates,
    Wire,
    client_timeout,
    open_session,
)
from .session_wire import SessionWire
from .settings import Timeout, TransportSettings
from .streaming import SelfDelimiting
from .urls import proxy_url

logger = logging.getLogger("kapture_async.transport")

_LARGEST = 64 * 1024
"""Bytes of the largest body that leaves in one write. A larger one may be refused on its way."""

_EARLY = Failure("lost", "the service answered before it had the whole request")
_NOT_IN_HEAD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class DirectWire:
    """Sends on connections of its own, and what it is not made for on the session wire.

    Args:
        session: our own, whose connector opens the connections.
        settings: what holds for every call.
        proxy: of the session.
        kept: what is known of the server's kept connections.
        by_session: the other wire, over the same session.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: TransportSettings,
        proxy: str | None,
        kept: KeptConnections,
        by_session: SessionWire,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert session.connector is not None
        self._session = session
        self._connector = session.connector
        self._loop = loop
        self._now = loop.time
        self._by_session = by_session
        self._kept = kept
        self._keeps = settings.keep_alive
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._told = ""
        self._knock = knock_request(
            loop,
            session,
            URL(settings.base_url.join("/"), encoded=True),
            None if proxy is None else URL(proxy),
        )

    def attempt(
        self, template: RequestTemplate, call: CallState
    ) -> Awaitable[RawReply | OpenAnswer | Failure]:
        """See :class:`.session.Wire`."""
        body = call.request.body
        if body is not None and body.size > _LARGEST:
            return self._by_session.attempt(template, call)
        listening = listener(self._session)
        if listening or (not template.head and not self._make_head(template)):
            self._tell(listening or "a header holds a control character")
            return self._by_session.attempt(template, call)
        return self._attempt(template, call)

    def drop_connections(self, host: str | None) -> None:
        """See :class:`.session.Wire`."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        for connection in self._busy:
            connection.spoiled = True
        self._by_session.drop_connections(host)

    def abort(self) -> None:
        """See :class:`.session.Wire`."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for connection in tuple(self._busy):
            if connection.content is not None or connection.transport.get_write_buffer_size():
                connection.abort()
        self._by_session.abort()

    async def _attempt(
        self, template: RequestTemplate, call: CallState
    ) -> RawReply | OpenAnswer | Failure:
        body, is_file, cap = call.request.body, call.is_file, template.cap
        call.phase = Phase.CONNECTING
        connection: Connection | None = None
        whole = reused = False
        try:
            now = call.now()
            # Writes only, as a read can be sent again.
            fresh = body is not None and now < self._kept.avoided_until
            connection = None if fresh else self._take(now)
            if connection is not None and connection.has_news():
                connection = await self._listen(connection)
            if connection is None:
                try:
                    connection = await self._connect(template, fresh=fresh)
                except TimeoutError:
                    return NOT_IN_TIME
                self._busy.add(connection)
                now = call.now()
            reused, connection.used = connection.used, True
            handler, waiter, silent = connection.handler, None, None
            if is_file is None and body is not None:
                waiter = connection.expect()
            else:
                silent = template.options.timeout.read if is_file is not None else None
                skip_payload = template.operation.method == "HEAD"
                connection.expect_by_handler(skip_payload=skip_payload, silence=silent)
            if fresh:
                connection.spoiled = True  # so that it is closed after the answer
            data = _message(template.head, body)
            # Nothing may wait between this and the first byte.
            permitted = None if body is None else may_send.get()
            if permitted is not None and not permitted():
                whole = True
                return HELD
            call.phase = Phase.SENDING
            connection.transport.write(data)
            call.phase = Phase.SENT
            call.silence_deadline = now + call.max_silence  # from now on an answer is due
            if silent is not None:
                handler.start_timeout()
            if waiter is not None:
                usual = await waiter
                if usual is not None:
                    call.phase = Phase.RECEIVING
                    call.status, fields, all_of_it = usual
                    whole = True
                    if len(all_of_it) > cap:
                        return too_large(cap)
                    if connection.transport.get_write_buffer_size():
                        connection.spoiled = True  # it has not read the rest, and will close
                        return _EARLY
                    return RawReply(status=call.status, headers=fields, body=all_of_it)
            message, content = await handler.read()
            while message.code < 200 and message.code != 101:
                call.note_activity()
                message, content = await handler.read()
            call.phase = Phase.RECEIVING
            call.status = status = message.code
            headers = message.headers
            connection.content = content
            early = connection.transport.get_write_buffer_size() > 0
            if early:
                # It has not read the rest, and will close, whatever it says.
                connection.spoiled = True
            if is_file is not None and is_file(status, headers):
                by_itself = isinstance(is_file, SelfDelimiting)
                problem = None if by_itself else never_whole(headers, cap)
                if problem is not None:
                    return problem
                opened = connection
                arriving = ArrivingBody(
                    content, call, cap, failure_of, lambda whole: self._release(opened, whole)
                )
                connection = None
                return OpenAnswer(status, headers, arriving)
            quoted = is_file is not None or status >= 300
            found: bytes | None
            complete = content.is_eof() and content.exception() is None
            if complete and not quoted and content.total_bytes <= cap:
                found = whole_body(content)  # all of it is here already, unpacked
            else:
                found = await read_body(content, headers, call, cap, quoted=quoted)
            whole = content.is_eof()
            if found is None:
                return too_large(cap)
            if early and status < 300:
                return _EARLY
            return RawReply(status=status, headers=headers, body=found)
        except Exception as error:
            watched = reused and body is not None and call.phase < Phase.RECEIVING
            if watched and is_closed(error):
                self._kept.connection_died(call.now())
            return failure_of(error, call)
        except BaseException as error:
            if call.has_expired("silence"):
                return silence(call)
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            call.silence_deadline = inf
            if connection is not None:
                self._release(connection, whole)

    def _take(self, now: float) -> Connection | None:
        """The idle connection that was used last, if there is one that can be used again.

        It is busy from here on, so that :meth:`drop_connections` finds it wherever it is.
        """
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.spoiled and now - connection.idle_since <= KEPT_FOR:
                self._busy.add(connection)
                return connection
            connection.close()
        return None

    async def _listen(self, connection: Connection | None) -> Connection | None:
        """Let the loop read what arrived on an idle connection, and look again.

        Mostly it is the end. Over TLS it may also be a message of that layer.
        """
        while connection is not None:
            try:
                for _ in range(3):  # the loop looks after one turn, and reads in the next
                    await asyncio.sleep(0)
                    if connection.spoiled:
                        break
                    if not connection.has_news():
                        return connection
            except BaseException:
                self._give_up(connection)
                raise
            self._give_up(connection)
            connection = self._take(self._now())
            if connection is not None and not connection.has_news():
                return connection
        return None

    def _give_up(self, connection: Connection) -> None:
        """Close a connection that nothing was sent on."""
        self._busy.discard(connection)
        connection.close()

    async def _connect(self, template: RequestTemplate, *, fresh: bool) -> Connection:
        limits = client_timeout(template.options.timeout, silence=False)
        while True:
            connection = Connection(await connect(self._connector, self._knock, limits), self._loop)
            # It may come from the session's own pool.
            if not connection.spoiled and not (fresh and connection.used):
                return connection
            connection.close()

    def _release(self, connection: Connection, whole: bool) -> None:
        """An attempt is done with a connection."""
        self._busy.discard(connection)
        if not whole:
            connection.abort()
            return
        if connection.expect_nothing(self._now()) and self._keeps:
            self._idle.append(connection)
            if self._sweeping is None:
                self._sweep_later()
        else:
            connection.close()

    def _sweep_later(self) -> None:
        self._sweeping = self._loop.call_later(KEPT_FOR, _sweep, weakref.ref(self))

    def sweep(self) -> None:
        """Close the connections that have been idle for too long."""
        self._sweeping = None
        oldest = self._now() - KEPT_FOR
        idle, self._idle = self._idle, []
        for connection in idle:
            if connection.idle_since > oldest and not connection.spoiled:
                self._idle.append(connection)
            else:
                connection.close()
        if self._idle:
            self._sweep_later()

    def _make_head(self, template: RequestTemplate) -> bool:
        """How the requests of a template begin; False if its headers cannot be written so."""
        url, given = template.url, template.headers
        lines = [f"{template.operation.method} {url.raw_path_qs} HTTP/1.1"]
        by_aiohttp = [name for name in ("Host", "Accept-Encoding") if name not in given]
        lines += [f"{name}: {self._knock.headers[name]}" for name in by_aiohttp]
        lines += [f"{name}: {value}" for name, value in given.items()]
        if not self._keeps:
            lines.append("Connection: close")
        if any(_NOT_IN_HEAD.search(line) for line in lines):
            return False
        template.head = "\r\n".join([*lines, ""]).encode()
        return True

    def _tell(self, why: str) -> None:
        """Say in the log, once for each reason, why requests go through the session."""
        if why != self._told:
            self._told = why
            logger.info("requests go through aiohttp's session: %s", why)


def _message(head: bytes, body: Body | None) -> bytes:
    """A whole request."""
    if body is None:
        return head + b"\r\n"
    kind, segments = body.content_type, body.segments
    return b"%bContent-Length: %d\r\nContent-Type: %b\r\n\r\n%b" % (
        head,
        body.size,
        b"application/json" if kind == JSON else kind.encode(),
        segments[0] if len(segments) == 1 else b"".join(segments),
    )


def _sweep(wire: Callable[[], DirectWire | None]) -> None:
    found = wire()
    if found is not None:
        found.sweep()


def open_wire(
    settings: TransportSettings, timeout: Timeout, borrowed: aiohttp.ClientSession | None
) -> tuple[aiohttp.ClientSession, Wire, RequestTemplates]:
    """The wire that serves a client, its session, and the templates that go with it.

    Args:
        settings: what holds for every call.
        timeout: of the first call, which our session is made with.
        borrowed: the user's own session; with it every request goes through it.

    Raises:
        ConfigurationError: the environment names a proxy that cannot be used.
    """
    kept = KeptConnections()
    if borrowed is not None:
        return borrowed, SessionWire(borrowed, kept), RequestTemplates(settings, None)
    proxy = proxy_url(settings.proxy, settings.base_url)
    session = open_session(settings, timeout, proxy)
    templates = RequestTemplates(settings, timeout)
    by_session = SessionWire(session, kept)
    if settings.transport == "session":
        return session, by_session, templates
    if proxy is not None and settings.base_url.origin.startswith("http:"):
        return session, by_session, templates  # such requests are written for the proxy itself
    missing = aiohttp_internals.missing_part()
    if missing:
        logger.warning(
            "requests go through aiohttp's session, which is slower: aiohttp %s is not as this "
            "version of kapture-async knows it (%s)",
            aiohttp.__version__,
            missing,
        )
        return session, by_session, templates
    return session, DirectWire(session, settings, proxy, kept, by_session), templates
