"""The clients of :mod:`benchmarks.truth`, each set up as its documentation shows it.

``not_sent`` are the errors that say, by the client's own words, that no connection was established.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

TIMEOUT = 0.8
"""Seconds after which a client stops waiting for an answer."""
CONNECT = TIMEOUT / 2
"""Seconds after which it stops waiting for a connection, where that can be set by itself."""
ROW = {"title": "Sample", "ticket_details": "Sample text"}
BODY = json.dumps([ROW]).encode()
HEADERS = {"Authorization": "Basic dG9rZW4=", "Content-Type": "application/json"}

_WHOLE, _CONNECT = timedelta(seconds=TIMEOUT), timedelta(seconds=CONNECT)

Errors = tuple[type[BaseException], ...]


@dataclass
class Opened:
    """A client that is open.

    Attributes:
        post: creates a ticket at a URL.
        not_sent: errors that say that nothing was sent.
        in_doubt: errors that say that it may have been executed.
    """

    post: Callable[[str], Any]
    not_sent: Errors
    in_doubt: Errors = ()


@dataclass
class Client:
    """One in the table.

    Attributes:
        title: what it is called there.
        needs: its package.
        opened: opens it.
        own_python: it cannot share an environment with the others.
    """

    title: str
    needs: str
    opened: Callable[[], contextlib.AbstractContextManager[Opened]]
    own_python: bool = False


@contextlib.contextmanager
def _kapture() -> Iterator[Opened]:
    from kapture_async import NotSentError, OutcomeUnknownError, SyncKaptureClient, Timeout

    clients: dict[str, SyncKaptureClient] = {}

    def post(url: str) -> None:
        if url not in clients:
            clients[url] = SyncKaptureClient(
                base_url=url, token="t", timeout=Timeout(TIMEOUT, connect=CONNECT)
            )
        clients[url].tickets.add(title=ROW["title"], ticket_details=ROW["ticket_details"])

    yield Opened(post, (NotSentError,), (OutcomeUnknownError,))
    for client in clients.values():
        client.close()


@contextlib.contextmanager
def _aiohttp() -> Iterator[Opened]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=TIMEOUT, connect=CONNECT)
    with asyncio.Runner() as runner:

        async def opened() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(headers=HEADERS, timeout=timeout)

        session = runner.run(opened())

        async def post(url: str) -> None:
            async with session.post(url, data=BODY) as answer:
                await answer.read()

        not_sent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        yield Opened(lambda url: runner.run(post(url)), not_sent)
        runner.run(session.close())


def _httpx(name: str) -> Callable[[], contextlib.AbstractContextManager[Opened]]:
    @contextlib.contextmanager
    def opened() -> Iterator[Opened]:
        httpx = importlib.import_module(name)
        timeout = httpx.Timeout(TIMEOUT, connect=CONNECT)
        with httpx.Client(headers=HEADERS, timeout=timeout, trust_env=False) as client:
            not_sent = (httpx.ConnectError, httpx.ConnectTimeout)
            yield Opened(lambda url: client.post(url, content=BODY), not_sent)

    return opened


def _requests(name: str) -> Callable[[], contextlib.AbstractContextManager[Opened]]:
    # "In the event of a network problem (e.g. DNS failure, refused connection, etc), Requests will
    # raise a ConnectionError": there is no error of its own for what was never sent.
    @contextlib.contextmanager
    def opened() -> Iterator[Opened]:
        requests = importlib.import_module(name)
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(HEADERS)
            yield Opened(
                lambda url: session.post(url, data=BODY, timeout=(CONNECT, TIMEOUT)),
                (requests.ConnectionError,),
            )

    return opened


@contextlib.contextmanager
def _wreq() -> Iterator[Opened]:
    import wreq
    from wreq import blocking, exceptions

    assert wreq
    client = blocking.Client(timeout=_WHOLE, connect_timeout=_CONNECT)

    def post(url: str) -> None:
        client.post(url, headers=HEADERS, body=BODY).bytes()

    yield Opened(post, (exceptions.ConnectionError,))


@contextlib.contextmanager
def _pyreqwest() -> Iterator[Opened]:
    from pyreqwest import exceptions
    from pyreqwest.client import SyncClientBuilder

    builder = SyncClientBuilder().default_headers(HEADERS)
    builder = builder.timeout(_WHOLE).connect_timeout(_CONNECT)
    with builder.build() as client:

        def post(url: str) -> None:
            client.post(url).body_bytes(BODY).build().send().bytes()

        yield Opened(post, (exceptions.ConnectError, exceptions.ConnectTimeoutError))


CLIENTS = {
    "kapture": Client("this library", "kapture_async", _kapture),
    "aiohttp": Client("aiohttp", "aiohttp", _aiohttp),
    "httpx": Client("httpx", "httpx", _httpx("httpx")),
    "httpx2": Client("httpx2", "httpx2", _httpx("httpx2")),
    "requests": Client("requests", "requests", _requests("requests")),
    "niquests": Client("niquests", "niquests", _requests("niquests"), own_python=True),
    "wreq": Client("wreq", "wreq", _wreq),
    "pyreqwest": Client("pyreqwest", "pyreqwest", _pyreqwest),
}
