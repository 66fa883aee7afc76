"""Answers to something else, answers too early, and repeats that nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from kapture_async import (
    HelpdeskError,
    InvalidInputError,
    KaptureClient,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    ReplyTimeoutError,
    RetryPolicy,
    UnreadableReplyError,
)
from kapture_async._core.transport.call_state import may_send

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ONCE = RetryPolicy(attempts=1)


def ok(number: int, status: str = "200 OK") -> bytes:
    body = b'{"status":"success","ticket_id":"%d"}' % number
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head, await reader.readexactly(length)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    connections: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await handler(reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


STRAYS = {
    "a second answer": ok(999),
    "a timeout page": b"HTTP/1.1 408 Too slow\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "a refusal": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("stray", STRAYS.values(), ids=STRAYS)
async def test_bytes_on_an_idle_connection_answer_nothing(stray: bytes) -> None:
    seen = 0
    strayed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while True:
            await read_request(reader)
            seen += 1
            writer.write(ok(seen))
            await writer.drain()
            if seen == 1:
                writer.write(stray)
                await writer.drain()
                strayed.set()

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=RetryPolicy(first_wait=0.001)) as client,
    ):
        assert (await client.tickets.add(title="one")).ticket_id == "1"
        await strayed.wait()
        for _ in range(5):  # they are in the socket; these turns of the loop read them
            await asyncio.sleep(0)
        assert (await client.tickets.add(title="two")).ticket_id == "2"
    assert seen == 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
async def test_no_verb_is_repeated_by_the_http_library(method: str) -> None:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ok(1))
        _, body = await read_request(reader)
        seen.append(body)  # carried out; then the connection is lost

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=ONCE) as client,
    ):
        await client.request("/x", {"a": 0}, method=method)
        with pytest.raises(OutcomeUnknownError):
            await client.request("/x", {"a": 1}, method=method)
    assert seen == [b'[{"a":1}]']


@pytest.mark.parametrize("verb", ["get", "HEAD", "Options"])
async def test_a_verb_that_everything_may_repeat_cannot_carry_a_write(verb: str) -> None:
    async with KaptureClient("t", token="t") as client:
        with pytest.raises(InvalidInputError, match="cannot be sent safely"):
            await client.request("/x", method=verb)


async def test_a_write_without_a_body_is_in_doubt_once_it_is_out(
    leap: Callable[[float], None],
) -> None:
    arrived = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        arrived.set()
        await asyncio.Event().wait()

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", timeout=20) as client,
    ):
        call = asyncio.ensure_future(client.request("/close-all"))
        await arrived.wait()
        leap(20)
        with pytest.raises(ReplyTimeoutError) as caught:
            await call
        assert caught.value.may_have_been_applied


async def test_success_before_the_whole_request_is_out_is_no_success() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(1))
        await writer.drain()
        writer.close()

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=ONCE) as client,
    ):
        with pytest.raises(OutcomeUnknownError):
            await client.tickets.add(title="x" * 20_000_000)


async def test_429_with_success_in_the_body_is_never_repeated() -> None:
    seen = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while True:
            await read_request(reader)
            seen += 1
            writer.write(ok(seen, "429 Too Many Requests"))

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=RetryPolicy(first_wait=0.001)) as client,
    ):
        with pytest.raises(UnreadableReplyError, match="says success"):
            await client.tickets.add(title="one")
    assert seen == 1


async def test_another_ticket_than_the_one_asked_for() -> None:
    body = b'[{"task_details":{"ticketId":"999"}}]'
    reply = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(reply)

    async with serving(handler) as url, KaptureClient(base_url=url, token="t") as client:
        with pytest.raises(UnreadableReplyError, match="not requested"):
            await client.tickets.get("123")


async def test_every_moment_of_a_cancellation_is_truthful() -> None:
    """Cancelled after n turns of the loop, for every n: what is claimed unsent was unsent."""
    executed: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            executed.append(body)
            writer.write(ok(len(executed)))

    from kapture_async import interrupted_by

    unsent = 0
    async with serving(handler) as url:
        for turns in range(40):
            async with KaptureClient(base_url=url, token="t", retry=ONCE) as client:
                if turns % 2:
                    await client.tickets.add(title="warm")
                executed.clear()
                call = asyncio.ensure_future(client.tickets.add(title=f"n{turns}"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                try:
                    await call
                except asyncio.CancelledError as error:
                    doubt = interrupted_by(error)
                    if doubt is not None and doubt.outcome == "not_sent":
                        unsent += 1
                        await client.tickets.add(title="after")  # by now it would have arrived
                        assert not any(f"n{turns}".encode() in body for body in executed)
                except HelpdeskError as error:
                    assert isinstance(error, NoReplyError), error  # noqa: PT017
    assert unsent


async def test_what_may_not_be_sent_now_is_not_sent() -> None:
    """The last question before the first byte: a lease may end while a call waits."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append((await read_request(reader))[1])
            writer.write(ok(len(seen)))

    async with (
        serving(handler) as url,
        KaptureClient(base_url=url, token="t", retry=RetryPolicy(first_wait=0.001)) as client,
    ):
        for _ in range(2):
            token = may_send.set(lambda: False)
            with pytest.raises(NotSentError, match="the lease of this run is over") as caught:
                await client.tickets.add(title="held")
            assert len(caught.value.attempts) == 1
            may_send.reset(token)
            await client.tickets.add(title="sent")
    assert [b"held" in body for body in seen] == [False, False]
