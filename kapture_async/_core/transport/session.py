"""Makes the aiohttp session, with the settings that were measured or learnt the hard way."""

from __future__ import annotations

import urllib.request
from functools import lru_cache
from urllib.parse import urlsplit

import aiohttp

from ..errors import ConfigurationError
from .hosts import BaseUrl
from .settings import Timeout, TransportSettings


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
    proxy = proxy_url(settings)  # first: it may refuse, and a connector would be left behind
    context = settings.ssl_context
    connector = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=4.0, ssl=True if context is None else context
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


@lru_cache(16)
def client_timeout(timeout: Timeout, *, silence: bool) -> aiohttp.ClientTimeout:
    """The parts of a timeout that aiohttp keeps for one attempt.

    Args:
        timeout: what is asked for.
        silence: with the limit on silence, which else is the business of :mod:`.watch`.
    """
    return aiohttp.ClientTimeout(
        total=None, sock_connect=timeout.connect, sock_read=timeout.read if silence else None
    )


def proxy_url(settings: TransportSettings) -> str | None:
    """The proxy for the service's address; resolved once. Never consults a ``.netrc``.

    Raises:
        ConfigurationError: the environment names a proxy of a kind that is not supported.
    """
    if settings.proxy is None:
        return None
    if settings.proxy.reveal() != "env":
        return settings.proxy.reveal()
    found = env_proxy(settings.base_url)
    if found is None or found.startswith(("http://", "https://")):
        return found
    if "://" not in found:
        return f"http://{found}"
    raise ConfigurationError(
        "the proxy variables name a proxy that is neither http nor https",
        next_step="Name one that is with proxy=, or leave proxy= out.",
    )


def env_proxy(base_url: BaseUrl) -> str | None:
    """What ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` say for this address."""
    proxies = urllib.request.getproxies_environment()
    parts = urlsplit(base_url.origin)
    if urllib.request.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
