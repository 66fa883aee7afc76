"""The aiohttp session, and the request template of each operation, made once and kept.

Settings here were measured, or learned the hard way.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, cast
from urllib.parse import urlencode

import aiohttp
from aiohttp import ThreadedResolver
from attrs import define
from multidict import CIMultiDict
from yarl import URL

from ..runtime import in_daemon_thread
from ..secret import Secret
from .aiohttp_internals import never_repeat
from .auth import AuthHeaders
from .call_state import CallState, Failure, OpenAnswer
from .request import Operation, RawReply, Request
from .settings import CallOptions, Timeout, TransportSettings

KEPT_FOR = 4.0
"""Seconds that idle connections are kept, which is less than servers usually do.

One that the server closes in the very moment it is used again leaves a write in doubt, and a doubt
costs more than a handshake.
"""


def open_session(
    settings: TransportSettings, timeout: Timeout, proxy: str | None
) -> aiohttp.ClientSession:
    """A session of our own, in the running loop.

    - ``trust_env`` stays off: it costs two thread hops per request (2.9 times the time of a
      whole request) and lets a ``.netrc`` replace the token. Proxies are resolved once.
    - No cookie jar: the API needs none, and resending cookies costs half a request.
    - No total timeout here: the deadline of a call spans its attempts and is kept by
      :class:`.call_state.DeadlineTimer`.
    - No limit in the connector: :class:`.transport.Transport` hands out the slots, so that it
      knows the phase.
    """
    context = settings.ssl_context
    keep: dict[str, Any] = {"keepalive_timeout": KEPT_FOR}
    if not settings.keep_alive:
        keep = {"force_close": True}
    connector = aiohttp.TCPConnector(
        limit=0, ssl=True if context is None else context, resolver=open_resolver(), **keep
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=client_timeout(timeout, silence=False),
        trust_env=False,
        proxy=proxy,
    )
    never_repeat(session)
    return session


@lru_cache(16)
def client_timeout(timeout: Timeout, *, silence: bool, whole: bool = True) -> aiohttp.ClientTimeout:
    """The parts of a timeout that aiohttp keeps for one attempt.

    Args:
        timeout: the timeout of the call.
        silence: with the limit on silence, or else :class:`.call_state.DeadlineTimer` keeps it.
        whole: with one limit on the name look-up, TCP, a proxy's CONNECT and TLS together. Not
            for a borrowed session: there it would also count the wait for its pool.
    """
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeout.connect if whole else None,
        sock_connect=timeout.connect,
        sock_read=timeout.read if silence else None,
    )


def open_resolver() -> ThreadedResolver:
    """aiohttp's resolver, with look-ups in daemon threads.

    asyncio looks names up in its thread pool, whose threads the interpreter waits for when it
    ends: a name server that does not answer would hold the process for minutes.
    """
    return ThreadedResolver(cast("asyncio.AbstractEventLoop", _Lookups()))


class _Lookups:
    """The two calls of an event loop that aiohttp's resolver makes."""

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> Any:
        return await _looked_up(lambda: socket.getaddrinfo(host, port, **options))

    async def getnameinfo(self, address: Any, flags: int = 0) -> Any:
        return await _looked_up(lambda: socket.getnameinfo(address, flags))


async def _looked_up(call: Callable[[], Any]) -> Any:
    found, problem = await in_daemon_thread(call, "kapture-name-lookup")
    if problem is not None:
        raise problem
    return found


_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


class KeptConnections:
    """Whether kept connections of the server may be used for writes.

    Some servers, and firewalls before them, close a kept connection without a word. A write that
    is sent on it just then gets no answer, and is in doubt. So after the first such death no write
    goes out on a kept connection for a while: 60 seconds, twice as long after each further
    one, an hour at most.

    Attributes:
        avoided_until: by the loop's clock; 0 as long as none has died.
    """

    __slots__ = ("_pause", "avoided_until")

    def __init__(self) -> None:
        self.avoided_until = 0.0
        self._pause = _FIRST_PAUSE

    def connection_died(self, now: float) -> None:
        """A kept connection was closed in place of an answer.

        Args:
            now: the loop's time.
        """
        if now < self.avoided_until:  # it was under way already
            return
        self.avoided_until = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


@define(eq=False, repr=False)
class RequestTemplate:
    """Where a try goes, with which headers, and within which bounds.

    Attributes:
        limits: those that differ from the session's own.
        cap: the most bytes of the answer.
        head: how the request begins on the direct wire, once it is made: all but the length.
    """

    operation: Operation
    options: CallOptions
    auth: AuthHeaders
    url: URL
    headers: Mapping[str, str]
    limits: aiohttp.ClientTimeout | None
    cap: int
    head: bytes = b""

    def __repr__(self) -> str:
        return f"<RequestTemplate of {self.operation.name}>"  # the headers are secret


class Wire(Protocol):
    """A way to the server. Which one serves a request changes nothing of what becomes of it."""

    def attempt(
        self, template: RequestTemplate, call: CallState
    ) -> Awaitable[RawReply | OpenAnswer | Failure]:
        """Send once and read the whole answer.

        Args:
            template: where to, with which headers, and within which limits.
            call: what to send; is moved forward as the attempt proceeds. Its ``is_file`` tells
                whether the head of an answer is that of the requested file, whose body is
                then left to be read by the caller. Any other answer is cut, as errors are.

        Raises:
            asyncio.CancelledError: without the frames of the HTTP library, whose locals hold
                the headers.
        """
        ...

    def drop_connections(self, host: str | None) -> None:
        """Use no connection to a host again that is open now.

        The idle ones are closed; those that wait for an answer are closed when it is there.
        """

    def abort(self) -> None:
        """Break off what is on its way, as the session is about to be closed.

        A request that does not get out would hold the close; whoever waits for the rest of an
        answer would not hear of it.
        """


class RequestTemplates:
    """Finds the template of each call.

    Args:
        settings: what holds for every call.
        own: the timeout that our session was made with; ``None`` for a borrowed one.
    """

    def __init__(self, settings: TransportSettings, own: Timeout | None) -> None:
        self._settings = settings
        self._own = own
        self._known: dict[str, RequestTemplate] = {}

    def of(self, call: CallState, auth: AuthHeaders) -> RequestTemplate:
        """The template of a call; the one before, as long as nothing of it changed."""
        request, options = call.request, call.options
        operation = request.operation
        plain = request.path == operation.path and not request.query and not request.headers
        known = self._known.get(operation.name)
        if (
            plain
            and known is not None
            and known.operation is operation
            and known.options is options
            and known.auth is auth
        ):
            return known
        watched = request.body is not None and call.is_file is None
        cap = operation.reply_cap
        if call.is_file is None:  # a file's limit is the caller's own
            cap = self._settings.max_reply_bytes or cap
        template = RequestTemplate(
            operation,
            options,
            auth,
            self._url(request),
            self._headers(auth, self._settings.headers, options.headers, request.headers),
            self._limits(options.timeout, watched=watched),
            cap,
        )
        # Fixed paths only: ids are without end.
        if plain and watched:
            self._known[operation.name] = template
        return template

    def _url(self, request: Request) -> URL:
        url = self._settings.base_url.join(request.path)
        if request.query:
            url = f"{url}?{urlencode(request.query)}"
        return URL(url, encoded=True)

    def _headers(self, *layers: Mapping[str, Secret]) -> Mapping[str, str]:
        merged: CIMultiDict[str] = CIMultiDict()
        merged["Accept"] = "application/json"
        merged["User-Agent"] = self._settings.user_agent
        for layer in layers:
            for name, secret in layer.items():
                merged[name] = secret.reveal()
        return merged

    def _limits(self, timeout: Timeout, *, watched: bool) -> aiohttp.ClientTimeout | None:
        """What aiohttp has to keep by itself, where that is not what the session does.

        Of a body on its way out we see the end, and watch for silence from there. Else aiohttp
        does, which costs two timers.
        """
        if watched and self._own is not None and self._own.connect == timeout.connect:
            return None
        return client_timeout(timeout, silence=not watched, whole=self._own is not None)
