"""Makes the aiohttp session, with the settings that were measured or learnt the hard way."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler

from .proxies import proxy_url
from .resolver import open_resolver
from .settings import Timeout, TransportSettings
from .urls import BaseUrl


def open_session(settings: TransportSettings, timeout: Timeout) -> aiohttp.ClientSession:
    """A session of our own, in the running loop.

    - ``trust_env`` stays off: it costs two thread hops per request (2.9 times the time of a
      whole request) and lets a ``.netrc`` replace the token. Proxies are resolved once.
    - No cookie jar: the API needs none, and resending cookies costs half a request.
    - No total timeout here: the deadline of a call spans its attempts and is kept by ``send``.
    - No limit in the connector: ``send`` hands out the slots, so that it knows the phase.
    - Idle connections are kept for 4 seconds only, which is less than servers usually do. One
      that the server closes in the very moment it is used again leaves a write in doubt, and a
      doubt costs more than a handshake.
    """
    proxy = proxy_url(
        settings.proxy, settings.base_url
    )  # first: it may refuse, and a connector would be left behind
    context = settings.ssl_context
    if settings.keep_alive:
        keeping: dict[str, Any] = {"keepalive_timeout": 4.0}
    else:
        keeping = {"force_close": True}
    connector = aiohttp.TCPConnector(
        limit=0, ssl=True if context is None else context, resolver=open_resolver(), **keeping
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=client_timeout(timeout, silence=False),
        trust_env=False,
        proxy=proxy,
    )
    # aiohttp repeats a GET by itself when a kept connection turns out dead, uncounted and unseen.
    # There is no public switch (aiohttp#10790).
    session._retry_connection = False
    return session


def drop_connections(session: aiohttp.ClientSession, base_url: BaseUrl) -> None:
    """Use no connection to a host again that is open now.

    The idle ones are closed; those that wait for an answer are closed when it is there. aiohttp
    has no public way to do either.
    """
    connector = session.connector
    if connector is None:
        return
    parts = urlsplit(base_url.origin)
    idle: dict[Any, Any] = getattr(connector, "_conns", {})
    for key, connections in list(idle.items()):
        if getattr(key, "host", parts.hostname) == parts.hostname:
            for protocol, _ in connections:
                protocol.close()
    for protocol in list(getattr(connector, "_acquired", ())):
        if isinstance(protocol, ResponseHandler):  # else it is only being opened
            protocol.force_close()


@lru_cache(16)
def client_timeout(timeout: Timeout, *, silence: bool, whole: bool = True) -> aiohttp.ClientTimeout:
    """The parts of a timeout that aiohttp keeps for one attempt.

    Args:
        timeout: what is asked for.
        silence: with the limit on silence, which else is the business of :mod:`.watch`.
        whole: with one limit on the name look-up, TCP, a proxy's CONNECT and TLS together. Not
            for a borrowed session: there it would also count the wait for its pool.
    """
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeout.connect if whole else None,
        sock_connect=timeout.connect,
        sock_read=timeout.read if silence else None,
    )
