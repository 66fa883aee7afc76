"""The server reads HTTP as it comes off a network, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Callable

import pytest

from kapture_async._core.testing.http import RequestReader, UnreadableRequest
from kapture_async.testing import Fault, KaptureEmulator

ADD = "/add-ticket-from-other-source.html/v.2.0"


def titles(emulator: KaptureEmulator) -> list[str]:
    return [entry.payload["title"] for entry in emulator.ledger]


def test_one_connection_serves_many_requests() -> None:
    with KaptureEmulator().in_thread() as emulator:
        connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=5)
        for number in range(3):
            connection.request(
                "POST",
                ADD,
                json.dumps({"title": str(number)}),
                {"Authorization": "Basic emulator-token"},
            )
            assert json.loads(connection.getresponse().read())["title"] == str(number)
        connection.close()
        assert emulator.connections_total == 1
        assert emulator.requests == {ADD: 3}


def test_pipelined_requests_are_answered_in_order(
    wire: Callable[..., bytes], raw_add: Callable[..., bytes]
) -> None:
    with KaptureEmulator(latency=0.01).in_thread() as emulator:
        answer = wire(emulator.url, raw_add("a") + raw_add("b") + raw_add("c"))
        assert titles(emulator) == ["a", "b", "c"]
    found = [answer.find(b'"title":"%s"' % name) for name in (b"a", b"b", b"c")]
    assert -1 not in found
    assert found == sorted(found)
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_requests_may_come_byte_by_byte(
    wire: Callable[..., bytes], raw_add: Callable[..., bytes]
) -> None:
    with KaptureEmulator().in_thread() as emulator:
        data = raw_add("slowly", "Connection: close")
        answer = wire(emulator.url, *(data[at : at + 1] for at in range(len(data))))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert titles(emulator) == ["slowly"]


def test_chunked_bodies_are_put_together(wire: Callable[..., bytes]) -> None:
    head = (
        f"POST {ADD} HTTP/1.1\r\nHost: emulator\r\nAuthorization: Basic emulator-token\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunks = [
        b'8;x=y\r\n{"title"\r\n',
        b"5\r\n",
        b':"in ',
        b'\r\n9\r\nchunks"} \r\n0\r\nA: b\r\n\r\n',
    ]
    with KaptureEmulator().in_thread() as emulator:
        answer = wire(emulator.url, head, *chunks)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert titles(emulator) == ["in chunks"]


def test_a_body_that_is_awaited_is_asked_for(raw_add: Callable[..., bytes]) -> None:
    with KaptureEmulator().in_thread() as emulator:
        head, _, body = raw_add("T", "Expect: 100-continue").partition(b"\r\n\r\n")
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as client:
            client.sendall(head + b"\r\n\r\n")
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(body)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / ICY/1.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nName : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000, 431),
    ],
)
def test_unreadable_requests_are_refused(
    wire: Callable[..., bytes], data: bytes, status: int
) -> None:
    with KaptureEmulator().in_thread() as emulator:
        assert wire(emulator.url, data, half_close=False).startswith(b"HTTP/1.1 %d " % status)
        assert len(emulator.ledger) == 0


def test_the_reader_keeps_what_belongs_to_the_next_request() -> None:
    reader = RequestReader()
    reader.feed(
        b"\r\nGET /a?b=c HTTP/1.1\r\nX-One: 1\r\nx-one: 2\r\n\r\nGET http://h/d HTTP/1.0\r\n\r\n"
    )
    first = reader.take_head()
    assert first is not None
    assert (first.method, first.path, first.query, first.keep_alive) == ("GET", "/a", "b=c", True)
    assert first.headers["X-ONE"] == "1, 2"
    assert reader.take_body() == b""
    second = reader.take_head()
    assert second is not None
    assert (second.path, second.keep_alive) == ("/d", False)
    assert reader.take_body() == b""
    assert reader.take_head() is None


def test_the_reader_bounds_the_body() -> None:
    reader = RequestReader(max_body=3)
    reader.feed(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd")
    assert reader.take_head() is not None
    with pytest.raises(UnreadableRequest) as caught:
        reader.take_body()
    assert caught.value.status == 413


def test_a_request_shows_no_secret_in_its_repr(
    wire: Callable[..., bytes], raw_add: Callable[..., bytes]
) -> None:
    with KaptureEmulator().in_thread() as emulator:
        wire(emulator.url, raw_add("private"))
        [request] = emulator.received
    assert request.headers["authorization"] == "Basic emulator-token"
    assert "emulator-token" not in repr(request)
    assert "private" not in repr(request)


async def test_stopping_drops_clients_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    emulator = KaptureEmulator(latency=60)
    async with emulator:
        idle = await asyncio.open_connection("127.0.0.1", emulator.port)
        waiting = await asyncio.open_connection("127.0.0.1", emulator.port)
        waiting[1].write(
            f"GET / HTTP/1.1\r\nX-Emulator-Fault: {Fault('silence_before')}\r\n\r\n".encode()
        )
        while not emulator.requests:
            await asyncio.sleep(0.001)
        assert emulator.connections_open == 2
    for reader, writer in (idle, waiting):
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    assert emulator.connections_open == 0
    assert asyncio.all_tasks() == before
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url


async def test_a_client_accepted_while_stopping_is_dropped_too() -> None:
    emulator = KaptureEmulator()
    await emulator.start()
    clients = [socket.create_connection(("127.0.0.1", emulator.port)) for _ in range(20)]
    await asyncio.sleep(0)  # accepted in this turn, not yet served
    await emulator.stop()
    assert emulator.connections_open == 0
    for client in clients:
        client.close()


async def test_an_emulator_can_be_started_again_on_its_port() -> None:
    emulator = KaptureEmulator()
    async with emulator:
        port = emulator.port
        with pytest.raises(RuntimeError, match="already"):
            await emulator.start()
    async with emulator:
        assert emulator.port == port


def test_a_client_that_never_reads_is_not_answered_without_end(
    raw_add: Callable[..., bytes],
) -> None:
    with KaptureEmulator().in_thread() as emulator:
        client = socket.create_connection(("127.0.0.1", emulator.port), timeout=1)
        with client, pytest.raises(TimeoutError):
            client.sendall(raw_add("T") * 500_000)
        assert len(emulator.ledger) < 50_000
