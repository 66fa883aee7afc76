"""Which wire serves whom, and what only the direct one knows."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from kapture_async import ConfigurationError, KaptureClient, OutcomeUnknownError, RetryPolicy
from kapture_async._core.transport import (
    aiohttp_internals,
    connection,
    direct_wire,
    session_wire,
)
from kapture_async._core.transport.session import KEPT_FOR
from kapture_async._core.transport.usual_answer import usual_answer
from kapture_async.testing import KaptureEmulator
from support_async import SupportClient

from .test_stray_bytes import ok, read_request, serving

ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many attempts each wire made."""
    counter: Counter[str] = Counter()

    def counted(kind: type, name: str, word: str) -> None:
        plain = getattr(kind, name)

        def attempt(*args: Any) -> Any:
            counter[word] += 1
            return plain(*args)

        monkeypatch.setattr(kind, name, attempt)

    counted(direct_wire.DirectWire, "_attempt", "direct")
    counted(session_wire.SessionWire, "attempt", "session")
    return counter


# --- which one ----------------------------------------------------------------------------------


async def test_the_fixture_of_these_tests_does_what_it_says(
    wire: str, client: KaptureClient, taken: Counter[str]
) -> None:
    added = await client.tickets.add(title="one")
    await client.tickets.get(added.ticket_id)
    assert taken == {wire: 2}


async def test_the_session_can_be_asked_for(emulator: KaptureEmulator, taken: Counter[str]) -> None:
    settings: dict[str, Any] = {"base_url": emulator.url, "token": emulator.token}
    async with KaptureClient(**settings, transport="session") as client:
        await client.tickets.add(title="one")
    async with (
        aiohttp.ClientSession() as session,
        KaptureClient(**settings, session=session) as own,
    ):
        await own.tickets.add(title="two")
    assert taken == {"session": 2}


@pytest.mark.parametrize("value", [None, True, "auto", "Session"])
def test_there_are_two_of_them(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="transport must be 'direct' or 'session'"):
        KaptureClient("t", token="t", transport=value)
    with pytest.raises(ConfigurationError, match="transport must be 'direct' or 'session'"):
        SupportClient("https://s.example.com", apikey="k", access_token="t", transport=value)


class Disguised:
    """As tracers wrap a function: everything but its type says that it is the function."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    @property
    def __class__(self) -> Any:
        return type(self._function)

    @__class__.setter
    def __class__(self, value: Any) -> None: ...

    def __get__(self, instance: Any, owner: Any) -> Any:
        return functools.partial(self._function, instance)


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **named: Any) -> Any:
        return await function(*args, **named)

    return wrapper


@pytest.mark.parametrize("method", ["request", "_request"])
@pytest.mark.parametrize("replace", [wrapped, Disguised])
async def test_who_listens_in_sees_every_call_while_it_does(
    emulator: KaptureEmulator,
    taken: Counter[str],
    caplog: pytest.LogCaptureFixture,
    method: str,
    replace: Callable[[Any], Any],
) -> None:
    caplog.set_level(logging.INFO, "kapture_async.transport")
    plain = getattr(aiohttp.ClientSession, method)
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        await client.tickets.add(title="before")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aiohttp.ClientSession, method, replace(plain))
            for _ in range(3):
                await client.tickets.add(title="meanwhile")
        await client.tickets.add(title="after")
    assert taken == {"direct": 2, "session": 3}
    assert caplog.text.count("requests go through aiohttp's session") == 1


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """As OpenTelemetry's instrumentor: every session that is made gets a trace configuration."""
    seen: list[str] = []
    plain = aiohttp.ClientSession.__init__

    async def start(session: Any, context: Any, params: Any) -> None:
        seen.append(params.method)

    def init(self: Any, *args: Any, **named: Any) -> None:
        traces = aiohttp.TraceConfig()
        traces.on_request_start.append(start)
        plain(self, *args, **named, trace_configs=[traces])

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", init)
    return iter([seen])


async def test_tracers_see_every_call(
    emulator: KaptureEmulator, tracer: Iterator[list[str]], taken: Counter[str]
) -> None:
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        await client.tickets.add(title="one")
    assert next(tracer) == ["POST"]
    assert taken == {"session": 1}


async def test_large_bodies_leave_bit_by_bit(client: KaptureClient, taken: Counter[str]) -> None:
    await client.tickets.add(title="x", ticket_details="y" * 60_000)
    assert taken == {"direct": 1}
    await client.tickets.add(title="x", ticket_details="y" * 70_000)
    assert taken == {"direct": 1, "session": 1}


# --- what is used of aiohttp --------------------------------------------------------------------


def gone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def connect(self: Any, req: Any, timeout: Any) -> Any: ...

    changed: dict[str, Any] = {
        "set_response_params": lambda self, **named: None,
        "should_close": property(lambda self: False),
        "data_received": lambda self, data: None,
        "start_timeout": None,
    }
    if name == "connect":
        monkeypatch.setattr(aiohttp.BaseConnector, "connect", connect)
    else:
        monkeypatch.setattr(ResponseHandler, name, changed[name])


async def test_nothing_of_this_aiohttp_is_missing() -> None:
    """Where this fails, aiohttp has changed: see :mod:`.aiohttp_internals`."""
    assert aiohttp_internals.missing_part.__wrapped__() == ""


@pytest.mark.parametrize(
    "part", ["set_response_params", "should_close", "data_received", "start_timeout", "connect"]
)
async def test_what_has_changed_is_noticed(part: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        gone(patch, part)
        assert aiohttp_internals.missing_part.__wrapped__()


async def test_without_a_part_the_session_serves_and_the_log_says_so_once(
    emulator: KaptureEmulator,
    taken: Counter[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aiohttp_internals, "missing_part", lambda: "the parser is gone")
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        for _ in range(3):
            await client.tickets.add(title="one")
    assert taken == {"session": 3}
    (record,) = [one for one in caplog.records if one.name == "kapture_async.transport"]
    assert record.levelno == logging.WARNING
    assert "the parser is gone" in record.getMessage()


# --- what goes over it --------------------------------------------------------------------------


async def test_both_send_the_same() -> None:
    heads: list[list[bytes]] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            line, *headers = head.split(b"\r\n")
            heads.append([line, *sorted(headers), body])
            writer.write(ok(1))

    async with serving(handler) as url:
        for kind in ("direct", "session"):
            for keep_alive in (True, False):
                async with KaptureClient(
                    base_url=url + "/prefix",
                    token="t",
                    transport=kind,  # type: ignore[arg-type]
                    headers={"x-api-key": "k", "X-Größe".encode("ascii", "ignore").decode(): "é"},
                    keep_alive=keep_alive,
                ) as client:
                    await client.tickets.add(title="Grüße")
                    await client.request("/a%20b/", method="DELETE")
                    await client.request(
                        "/c/", method="GET", effect="read", query={"q": "ä b&c", "r": "1"}
                    )
    half = len(heads) // 2
    assert half == 6
    assert heads[:half] == heads[half:]


async def test_a_header_that_cannot_be_written_goes_the_other_way(
    client: KaptureClient, taken: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings refuse them; if one came through all the same, it must not break the framing."""
    monkeypatch.setattr(direct_wire, "_NOT_IN_HEAD", direct_wire.re.compile("POST"))
    await client.tickets.add(title="one")
    assert taken == {"session": 1}


async def test_aiohttp_reads_what_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A usual answer, then one that comes in two pieces, then a usual one: on one connection."""
    looks: list[bool] = []
    connections = 0

    def look(data: bytes) -> Any:
        found = usual_answer(data)
        looks.append(found is not None)
        return found

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for number in (1, 2, 3):
            await read_request(reader)
            whole = ok(number)
            if number == 2:
                writer.write(whole[:30])
                await writer.drain()
                while len(looks) < 2:
                    await asyncio.sleep(0)
                whole = whole[30:]
            writer.write(whole)

    monkeypatch.setattr(connection, "usual_answer", look)
    async with serving(handler) as url, KaptureClient(base_url=url, token="t") as client:
        for number in (1, 2, 3):
            assert (await client.tickets.add(title="one")).ticket_id == str(number)
    assert looks == [True, False, True]
    assert connections == 1


# --- idle connections ---------------------------------------------------------------------------


class Kept:
    """Answers, and does something to the connection when it is told to."""

    def __init__(self, last_words: bytes | None) -> None:
        self._last_words = last_words
        self.now = asyncio.Event()
        self.requests = self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            await read_request(reader)
            self.requests += 1
            writer.write(ok(self.requests))
            if self.requests == 1:
                await self.now.wait()
                if self._last_words is None:
                    writer.write_eof()  # at once; a close would take a turn of the loop
                    return
                writer.write(self._last_words)


@pytest.mark.parametrize(
    "last_words",
    [None, ok(999), b"HTTP/1.1 408 Too slow\r\nContent-Length: 0\r\n\r\n", b"HTTP/1."],
    ids=["the end", "an answer", "a timeout page", "half a head"],
)
@pytest.mark.parametrize("turns", [1, 2, 10], ids=["unread", "while it is read", "read"])
async def test_what_came_on_an_idle_connection_spoils_it_before_anything_is_sent(
    last_words: bytes | None, turns: int
) -> None:
    """Also what the event loop has not seen yet: between a look and the write is no time."""
    server = Kept(last_words)
    async with serving(server) as url, KaptureClient(base_url=url, token="t", retry=ONCE) as client:
        await client.tickets.add(title="one")
        server.now.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        assert (await client.tickets.add(title="two")).ticket_id == "2"
    assert (server.requests, server.connections) == (2, 2)


async def test_idle_connections_are_closed_in_time(leap: Callable[[float], None]) -> None:
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ok(1))
        await reader.read()
        ended.set()

    async with serving(handler) as url, KaptureClient(base_url=url, token="t") as client:
        await client.tickets.add(title="one")
        leap(KEPT_FOR)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_the_connection_that_was_used_last_is_used_first() -> None:
    """So that the others come to be idle for long enough to be closed."""
    connections: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(set(connections)) + 1
        while True:
            connections.append(number)
            await read_request(reader)
            writer.write(ok(1))

    async with serving(handler) as url, KaptureClient(base_url=url, token="t") as client:
        await asyncio.gather(*(client.tickets.add(title="x") for _ in range(5)))
        connections.clear()
        for _ in range(10):
            await client.tickets.add(title="x")
    assert len(set(connections)) == 1


# --- bodies that are not out yet ----------------------------------------------------------------


async def test_an_answer_before_the_whole_request_is_out_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct_wire, "_LARGEST", 2**30)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(1))
        await asyncio.Event().wait()

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=ONCE) as client,
    ):
        with pytest.raises(OutcomeUnknownError, match="before it had the whole request"):
            await client.tickets.add(title="x" * 20_000_000)


async def test_a_server_that_stops_reading_holds_no_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_wire, "_LARGEST", 2**30)
    began = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        began.set()
        await asyncio.Event().wait()

    async with serving(handler) as url:
        client = KaptureClient(base_url=url, token="t", retry=ONCE)
        call = asyncio.ensure_future(client.tickets.add(title="x" * 20_000_000))
        await began.wait()
        async with asyncio.timeout(5):
            await client.aclose()
        with pytest.raises(OutcomeUnknownError):
            await call


async def test_a_connection_that_is_listened_to_can_be_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not idle any more, and carries no request yet: what is dropped just then stays so."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(ok(connections))

    async with serving(handler) as url, KaptureClient(base_url=url, token="t") as client:
        assert (await client.tickets.add(title="one")).ticket_id == "1"
        listened = iter([True])

        def has_news(kept: connection.Connection) -> bool:
            if not next(listened, False):
                return False
            loop = asyncio.get_running_loop()
            loop.call_soon(client._transport.drop_connections)  # while it listens
            return True

        monkeypatch.setattr(connection.Connection, "has_news", has_news)
        assert (await client.tickets.add(title="two")).ticket_id == "2"
        assert (await client.tickets.add(title="three")).ticket_id == "2"
