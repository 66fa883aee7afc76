"""Connections: kept, refused by proxies, slow to come; and headers of any size."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import pickle
import socket
import ssl
import threading
import zlib
from typing import Any

import aiohttp
import pytest
import trustme

from kapture_async import (
    ConfigurationError,
    ConnectError,
    KaptureClient,
    NoReplyError,
    RetryPolicy,
    ServerError,
    SyncKaptureClient,
    Timeout,
    UnreadableReplyError,
)
from kapture_async._core.secret import Secret
from kapture_async._core.transport.request import json_body
from kapture_async._core.transport.session import KeptConnections
from kapture_async._core.transport.urls import BaseUrl, proxy_url
from support_async import SupportClient

from .test_stray_bytes import ok, read_request, serving

ONCE = RetryPolicy(attempts=1)
QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


# --- kept connections --------------------------------------------------------------------------


class ClosesInSilence:
    """Answers each connection's first request, and closes at the second one."""

    def __init__(self) -> None:
        self.connections = 0
        self.heads: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head, _ = await read_request(reader)
        self.heads.append(head)
        writer.write(ok(self.connections))
        await reader.readexactly(1)  # the next request: never answered


async def test_after_a_silent_death_no_kept_connection_is_used() -> None:
    server = ClosesInSilence()
    async with serving(server) as url, KaptureClient(base_url=url, token="t", retry=ONCE) as client:
        await client.tickets.add(title="one")
        with pytest.raises(NoReplyError):
            await client.tickets.add(title="two")
        for number in range(20):
            await client.tickets.add(title=str(number))
    assert server.connections == 21


async def test_a_borrowed_session_learns_it_too() -> None:
    server = ClosesInSilence()
    async with serving(server) as url, aiohttp.ClientSession() as session:
        client = KaptureClient(base_url=url, token="t", retry=ONCE, session=session)
        await client.tickets.add(title="one")
        with pytest.raises(NoReplyError):
            await client.tickets.add(title="two")
        for number in range(5):
            await client.tickets.add(title=str(number))


async def test_connections_that_are_idle_already_are_passed_over() -> None:
    server = ClosesInSilence()
    async with serving(server) as url, KaptureClient(base_url=url, token="t", retry=ONCE) as client:
        await asyncio.gather(*(client.tickets.add(title=str(n)) for n in range(8)))
        with pytest.raises(NoReplyError):
            await client.tickets.add(title="dies")
        await asyncio.gather(*(client.tickets.add(title=str(n)) for n in range(8)))
    assert server.connections == 16


def test_the_pause_grows_to_an_hour() -> None:
    kept = KeptConnections()
    kept.connection_died(1000.0)
    assert kept.avoided_until == 1060.0
    kept.connection_died(1059.0)  # was under way
    assert kept.avoided_until == 1060.0
    kept.connection_died(2000.0)
    assert kept.avoided_until == 2120.0
    for _ in range(20):
        kept.connection_died(kept.avoided_until)
    now = kept.avoided_until
    kept.connection_died(now)
    assert kept.avoided_until == now + 3600.0


async def test_without_keep_alive_each_request_has_a_connection() -> None:
    server = ClosesInSilence()
    async with (
        serving(server) as url,
        KaptureClient(base_url=url, token="t", retry=ONCE, keep_alive=False) as client,
    ):
        for number in range(3):
            await client.tickets.add(title=str(number))
    assert server.connections == 3
    assert all(b"connection: close\r\n" in head.lower() for head in server.heads)


@pytest.mark.parametrize("value", [None, 0, "no"])
def test_keep_alive_is_a_switch(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="keep_alive must be True or False"):
        KaptureClient("t", token="t", keep_alive=value)
    with pytest.raises(ConfigurationError, match="keep_alive must be True or False"):
        SupportClient("https://s.example.com", apikey="k", access_token="t", keep_alive=value)


# --- the time a connection may take -------------------------------------------------------------


@pytest.fixture
def no_answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Name look-ups that do not come back before the end of the test."""
    over = threading.Event()

    def wait(*args: Any, **named: Any) -> Any:
        over.wait(30)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield
    over.set()


async def test_a_name_look_up_counts_as_connecting(no_answer: None) -> None:
    async with KaptureClient(
        base_url="https://tenant.example.com",
        token="t",
        timeout=Timeout(total=20, connect=0.05),
        retry=ONCE,
    ) as client:
        with pytest.raises(ConnectError, match="could not connect in time"):
            await client.tickets.add(title="one")
    waiting = [one for one in threading.enumerate() if one.name == "kapture-name-lookup"]
    assert waiting
    assert all(one.daemon for one in waiting)


async def test_the_connect_of_a_proxy_counts_as_connecting() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        serving(silent) as url,
        KaptureClient(
            "t", token="t", proxy=url, timeout=Timeout(total=20, connect=0.05), retry=ONCE
        ) as client,
    ):
        with pytest.raises(ConnectError, match="could not connect in time"):
            await client.tickets.add(title="one")


async def test_a_name_that_is_known_is_found() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ok(7))

    async with serving(handler) as url:
        url = url.replace("127.0.0.1", "localhost")
        async with KaptureClient(base_url=url, token="t") as client:
            assert (await client.tickets.add(title="one")).ticket_id == "7"


# --- proxies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "tries"), [(502, 3), (503, 3), (504, 3), (403, 1), (407, 1)])
async def test_a_refused_connect_was_not_sent(status: int, tries: int) -> None:
    seen = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with (
        serving(handler) as url,
        KaptureClient("t", token="t", proxy=url, retry=QUICK) as client,
    ):
        with pytest.raises(ConnectError, match=f"the proxy refused with HTTP {status}"):
            await client.tickets.add(title="one")
    assert len(seen) == tries
    assert all(head.startswith(b"CONNECT ") for head in seen)


async def test_through_a_proxy_s_tunnel() -> None:
    """The proxy gets its password, and nothing else; the connection through it is kept."""
    authority = trustme.CA()
    there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(there)
    here = ssl.create_default_context()
    authority.configure_trust(here)
    heads: list[bytes] = []
    asked: list[bytes] = []

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append((await read_request(reader))[0])
                writer.write(ok(len(heads)))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        host, port = asked[-1].split()[1].decode().split(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Go\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
        finally:
            there_writer.close()

    server = await asyncio.start_server(service, "127.0.0.1", 0, ssl=there)
    port = server.sockets[0].getsockname()[1]
    async with server, serving(proxy) as url:
        async with KaptureClient(
            base_url=f"https://127.0.0.1:{port}",
            token="t",
            proxy=url.replace("//", "//user:canary@"),
            ssl_context=here,
            retry=ONCE,
        ) as client:
            for _ in range(3):
                await client.tickets.add(title="one")
    assert len(asked) == 1
    assert b"Proxy-Authorization: Basic " in asked[0]
    assert b"\r\nAuthorization:" not in asked[0]
    assert len(heads) == 3
    assert all(head.startswith(b"POST /add-ticket") for head in heads)
    assert not any(b"proxy-" in head.lower() for head in heads)


async def test_a_502_to_the_write_itself_stays_a_doubt() -> None:
    seen = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")

    async with (
        serving(handler) as url,
        KaptureClient(
            base_url="http://tenant.example", token="t", proxy=url, retry=QUICK, allow_http=True
        ) as client,
    ):
        with pytest.raises(ServerError):
            await client.tickets.add(title="one")
    assert len(seen) == 1


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def proxy_for(host: str) -> str | None:
    return proxy_url(Secret("env"), BaseUrl(host))


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://p.example:3128", "http://p.example:3128"),
        ("HTTP://p.example:3128", "http://p.example:3128"),
        ("Https://u:p%40w@p.example:3128/", "https://u:p%40w@p.example:3128/"),
        ("p.example:3128", "http://p.example:3128"),
        (" http://p.example:3128 ", "http://p.example:3128"),
        ("", None),
    ],
)
def test_proxy_variables(
    environment: pytest.MonkeyPatch, name: str, text: str, proxy: str | None
) -> None:
    environment.setenv(name, text)
    assert proxy_for("https://t.example.com") == proxy


@pytest.mark.parametrize("text", ["http://p:port", "http://", "socks5://canary:1", "http://a b"])
def test_a_proxy_variable_that_is_wrong_is_named_and_not_shown(
    environment: pytest.MonkeyPatch, text: str
) -> None:
    environment.setenv("https_proxy", text)
    with pytest.raises(ConfigurationError, match="https_proxy") as caught:
        proxy_for("https://t.example.com")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("text", "host", "direct"),
    [
        ("*", "https://t.example.com", True),
        ("a.com, *", "https://t.example.com", True),
        ("example.com", "https://t.example.com", True),
        (".example.com", "https://t.example.com", True),
        (".example.com", "https://example.com", True),
        ("*.example.com", "https://t.example.com", True),
        ("EXAMPLE.com", "https://t.example.com", True),
        ("a.com example.com", "https://t.example.com", True),
        ("a.com;example.com", "https://t.example.com", False),
        ("xample.com", "https://example.com", False),
        ("example.com:443", "https://t.example.com", True),
        ("example.com:8443", "https://t.example.com", False),
        ("example.com:8443", "https://t.example.com:8443", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3:8443", True),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("::1", "https://[::1]", True),
        ("[::1]:443", "https://[::1]", True),
        ("fd00::/8", "https://[fd00::1]", True),
        ("", "https://t.example.com", False),
    ],
)
def test_no_proxy(
    environment: pytest.MonkeyPatch, name: str, text: str, host: str, direct: bool
) -> None:
    environment.setenv("HTTPS_PROXY", "http://p.example:1")
    environment.setenv(name, text)
    assert (proxy_for(host) is None) == direct


def test_lower_case_wins_and_cgi_is_not_believed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://upper.example:1")
    assert proxy_for("http://t.example.com") == "http://upper.example:1"
    environment.setenv("REQUEST_METHOD", "GET")
    assert proxy_for("http://t.example.com") is None
    environment.setenv("http_proxy", "http://lower.example:1")
    assert proxy_for("http://t.example.com") == "http://lower.example:1"
    environment.setenv("http_proxy", "")
    assert proxy_for("http://t.example.com") is None


# --- TLS ----------------------------------------------------------------------------------------


UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE


@pytest.mark.parametrize("given", [False, True, 0, "", ssl.CERT_NONE, UNVERIFIED])
@pytest.mark.parametrize("kind", [KaptureClient, SyncKaptureClient])
def test_verification_cannot_be_turned_off(kind: Any, given: Any) -> None:
    with pytest.raises(ConfigurationError, match="ssl_context"):
        kind("t", token="t", ssl_context=given)
    with pytest.raises(ConfigurationError, match="ssl_context"):
        SupportClient("https://s.example.com", apikey="k", access_token="t", ssl_context=given)


# --- heads of answers ---------------------------------------------------------------------------


def head_of(*headers: str) -> bytes:
    body = json.dumps({"status": "success", "ticket_id": "1"}).encode()
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


# Older versions of aiohttp limit each header, and not how many there are.
COUNTS_HEADERS = "max_headers" in inspect.signature(aiohttp.ClientSession.__init__).parameters


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        (["X-Policy: " + "x" * (32 * 1024 - 100)], True),
        (["X-Policy: " + "x" * (64 * 1024)], False),
        ([f"X-{n}: {n}" for n in range(255)], True),
        ([f"X-{n}: {n}" for n in range(400)], not COUNTS_HEADERS),
    ],
    ids=["long", "too long", "many", "too many"],
)
@pytest.mark.parametrize("borrowed", [False, True])
async def test_headers_of_gateways(headers: list[str], good: bool, borrowed: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head_of(*headers))
        await writer.drain()

    async with serving(handler) as url, aiohttp.ClientSession() as session:
        own = session if borrowed else None
        async with KaptureClient(base_url=url, token="t", retry=ONCE, session=own) as client:
            if good:
                assert (await client.tickets.add(title="one")).ticket_id == "1"
            else:
                with pytest.raises(UnreadableReplyError, match="the headers of the answer"):
                    await client.tickets.add(title="one")


# --- recorders ----------------------------------------------------------------------------------


async def test_recorders_may_copy_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    plain = aiohttp.ClientSession._request

    async def recording(self: Any, method: str, url: Any, **named: Any) -> Any:
        body = named["data"]
        seen.append(bytes(body))
        assert copy.copy(body) is body
        assert body == bytes(body)
        assert body != b"another"
        assert hash(body) == hash(copy.copy(body))
        assert pickle.loads(pickle.dumps(body)) == bytes(body)
        named["data"] = copy.deepcopy(body)
        return await plain(self, method, url, **named)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", recording)
    got: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append((await read_request(reader))[1])

    async with serving(handler) as url, KaptureClient(base_url=url, token="t") as client:
        with pytest.raises(NoReplyError):  # and not "nothing was sent"
            await client.tickets.add(title="one")
    assert got == seen == [b"".join(json_body([{"title": "one"}]).segments)]


# --- answers of every shape ---------------------------------------------------------------------

BODY = b'{"status":"success","ticket_id":"7"}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HALF = len(BODY) // 2
IN_CHUNKS = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n" % (HALF, BODY[:HALF], len(BODY) - HALF, BODY[HALF:])


def packed(how: int) -> bytes:
    packing = zlib.compressobj(wbits=how)
    return packing.compress(BODY) + packing.flush()


def sized(coding: bytes, body: bytes) -> bytes:
    return b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(body), body)


@pytest.mark.parametrize("pieces", [1, 7], ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY, True),
        (b"HTTP/1.1 200 OK\r\n" + LENGTH + b"Connection: close\r\n\r\n" + BODY, False),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n" + IN_CHUNKS + b"\r\n", True),
        (
            b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"Trailer: X-Sum\r\n\r\n" + IN_CHUNKS
            + b"X-Sum: 1\r\n\r\n",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\n" + sized(b"gzip", packed(31)), True),
        (b"HTTP/1.1 200 OK\r\n" + sized(b"deflate", packed(15)), True),
        (b"HTTP/1.1 200 OK\r\n" + sized(b"deflate", packed(-15)), True),
        (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, False),
        (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, False),
        (b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY, False),
        (b"HTTP/1.0 200 OK\r\n" + LENGTH + b"Connection: keep-alive\r\n\r\n" + BODY, True),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
            True,
        ),
    ],
    ids=[
        *("length", "close", "chunks", "trailers", "gzip", "deflate", "raw deflate"),
        *("until the end", "1.0 until the end", "1.0", "1.0 kept", "interim"),
    ],
)  # fmt: skip
async def test_answers_of_every_shape(answer: bytes, kept: bool, pieces: int) -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            size = -(-len(answer) // pieces)
            for start in range(0, len(answer), size):
                writer.write(answer[start : start + size])
                for _ in range(3 if pieces > 1 else 0):
                    await asyncio.sleep(0)  # a turn of the loop reads it
            if not kept:
                return

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=ONCE) as client,
    ):
        for _ in range(3):
            assert (await client.tickets.add(title="one")).ticket_id == "7"
    assert connections == (1 if kept else 3)
