"""Answers that are read as they arrive: slots, limits, endings. No service is in sight here."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kapture_async._core.errors import (
    ClientStateError,
    HelpdeskError,
    NoReplyError,
    NotSentTimeoutError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    UnreadableReplyError,
)
from kapture_async._core.phase import Phase
from kapture_async._core.transport.auth import KeyPerApi
from kapture_async._core.transport.call_state import Failure, OpenAnswer
from kapture_async._core.transport.failures import interrupted_by
from kapture_async._core.transport.request import Operation, RawReply, Request
from kapture_async._core.transport.retry import RetryPolicy
from kapture_async._core.transport.settings import (
    ERROR_BODY_CAP,
    CallOptions,
    Timeout,
    TransportSettings,
)
from kapture_async._core.transport.streaming import OpenReply
from kapture_async._core.transport.transport import AttemptFinished, AttemptStarted, Transport
from kapture_async._core.transport.urls import parse_base_url

ONCE = CallOptions(retry=RetryPolicy(attempts=1))
BODY = bytes(range(256)) * 4096


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "\r\n"]).encode()


def whole(body: bytes = BODY, *lines: str, status: str = "200 OK") -> bytes:
    return head(f"Content-Length: {len(body)}", *lines, status=status) + body


class Server:
    """Gives its answers one after the other, the last one for ever; then it does ``after``."""

    def __init__(self, *answers: bytes, after: str = "keep") -> None:
        self.answers = list(answers)
        self.after = after
        self.requests = self.connections = self.open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer)
                await writer.drain()
                if self.after == "close":
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1

    async def all_left(self) -> None:
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(server: Server, **settings: Any) -> AsyncIterator[Transport]:
    """A server, and a transport to it with one connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    observer = settings.pop("observer", None)
    transport = Transport(
        TransportSettings(
            service="test",
            base_url=parse_base_url(url),
            **{"max_connections": 1, "max_reply_bytes": 100, **settings},
        ),
        KeyPerApi({}, {}),
        observer=observer,
    )
    try:
        yield transport
    finally:
        await transport.aclose()
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def a_read(cap: int = 2 * len(BODY)) -> Request:
    operation = Operation(
        name="files.get", path="/file/", effect="read", method="GET", reply_cap=cap
    )
    return Request(operation=operation, path=operation.path)


def good(status: int, headers: Mapping[str, str]) -> bool:
    return status == 200 and headers.get("X-Kind") != "page"


async def opened(transport: Transport, cap: int = 2 * len(BODY)) -> OpenReply:
    reply = await transport.open(a_read(cap), ONCE, is_file=good)
    assert isinstance(reply, OpenReply)
    return reply


async def rest_of(reply: OpenReply) -> bytes:
    parts = []
    while (chunk := await reply.next_chunk()) is not None:
        assert chunk
        parts.append(chunk)
    return b"".join(parts)


async def test_the_body_comes_piece_by_piece_and_the_slot_is_kept_until_its_end() -> None:
    events: list[Any] = []
    server = Server(whole(BODY, "X-Kind: file"))
    async with serving(server, observer=events.append) as transport:
        for _ in range(3):
            reply = await opened(transport)
            assert (reply.status, reply.headers["x-kind"]) == (200, "file")
            assert [attempt.phase for attempt in reply.attempts] == [Phase.RECEIVING]
            with pytest.raises(NotSentTimeoutError, match="no free connection slot"):
                await transport.open(
                    a_read(), CallOptions(timeout=Timeout(total=0.02)), is_file=good
                )
            assert await rest_of(reply) == BODY
            assert await reply.next_chunk() is None
    assert server.requests == 3
    assert server.connections == 1  # read to its end, a connection serves again
    assert [type(event) for event in events[:2]] == [AttemptStarted, AttemptFinished]


async def test_its_cap_is_the_operation_s_own() -> None:
    """``max_reply_bytes`` is for answers that are kept whole."""
    async with serving(Server(whole()), max_reply_bytes=10) as transport:
        assert await rest_of(await opened(transport, len(BODY))) == BODY
        with pytest.raises(ReplyTooLargeError):
            await transport.open(a_read(len(BODY) - 1), ONCE, is_file=good)


@pytest.mark.parametrize("status", [201, 202, 206, 299, 301, 400, 404, 413, 429, 500, 503])
async def test_any_other_answer_comes_whole_and_frees_the_slot(status: int) -> None:
    async with serving(Server(whole(b"words", status=f"{status} Words"))) as transport:
        for _ in range(3):
            reply = await transport.open(a_read(), ONCE, is_file=good)
            assert isinstance(reply, RawReply)
            assert (reply.status, reply.body) == (status, b"words")


@pytest.mark.parametrize("lines", [("X-Kind: page",), ("X-Kind: page", "Content-Encoding: gzip")])
async def test_what_is_no_file_is_cut_and_frees_the_slot(lines: tuple[str, ...]) -> None:
    body = gzip.compress(bytes(2**25), 1) if len(lines) > 1 else BODY
    async with serving(Server(whole(body, *lines)), max_reply_bytes=None) as transport:
        for _ in range(3):
            reply = await transport.open(a_read(2**26), ONCE, is_file=good)
            assert isinstance(reply, RawReply)
            assert (reply.status, len(reply.body)) == (200, ERROR_BODY_CAP)


@pytest.mark.parametrize(
    "answer",
    [
        head() + BODY,
        head("Connection: close") + BODY,
        (head() + BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
        head("Transfer-Encoding: identity") + BODY,
    ],
    ids=["1.1", "close", "1.0", "identity"],
)
async def test_without_a_length_nothing_tells_its_end_from_a_break(answer: bytes) -> None:
    server = Server(answer, after="close")
    async with serving(server) as transport:
        for _ in range(2):
            with pytest.raises(UnreadableReplyError) as caught:
                await opened(transport)
            assert len(caught.value.attempts) == 1
            assert not caught.value.may_have_been_applied
        await server.all_left()


async def test_chunks_of_an_old_server_are_a_length_as_well() -> None:
    """HTTP/1.0 knows none; whoever sends them all the same must send their end, too."""
    chunks = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with serving(Server(chunks, after="close")) as transport:
        with pytest.raises(HelpdeskError):
            await rest_of(await opened(transport))


async def test_heads_are_asked_for_again_as_any_read() -> None:
    server = Server(whole(b"busy", status="503 Busy"), whole())
    async with serving(server) as transport:
        options = CallOptions(retry=RetryPolicy(attempts=2, first_wait=0.001))
        reply = await transport.open(a_read(), options, is_file=good)
        assert isinstance(reply, OpenReply)
        assert [attempt.status for attempt in reply.attempts] == [503, 200]
        assert await rest_of(reply) == BODY


async def test_a_body_that_breaks_off_is_an_error_for_good() -> None:
    """Whoever asks again is told again: the end of a body is never made of its breaking off."""
    server = Server(head(f"Content-Length: {len(BODY) + 1}") + BODY, after="close")
    async with serving(server) as transport:
        for _ in range(2):
            reply = await opened(transport)
            for _ in range(3):
                with pytest.raises(NoReplyError, match="broke off") as caught:
                    await rest_of(reply)
                assert caught.value.phase is Phase.RECEIVING
                assert caught.value.status == 200
                assert caught.value.operation == "files.get"
            reply.close()


async def test_silence_is_noticed(leap: Callable[[float], None]) -> None:
    server = Server(head("Content-Length: 10") + b"12345")
    async with serving(server) as transport:
        options = CallOptions(timeout=Timeout(read=20), retry=RetryPolicy(attempts=1))
        reply = await transport.open(a_read(), options, is_file=good)
        assert isinstance(reply, OpenReply)
        assert await reply.next_chunk() == b"12345"
        chunk = asyncio.ensure_future(reply.next_chunk())
        await asyncio.sleep(0)
        leap(20)
        with pytest.raises(ReplyTimeoutError, match="stopped arriving"):
            await chunk
        await server.all_left()
        (await opened(transport)).close()


@pytest.mark.parametrize("opened_file", [True, False], ids=["a file", "an answer"])
async def test_who_waits_for_more_hears_of_the_close(opened_file: bool) -> None:
    server = Server(head("Content-Length: 10") + b"12345")
    async with serving(server) as transport:
        if opened_file:
            reply = await opened(transport)
            assert await reply.next_chunk() == b"12345"
            waiting: asyncio.Future[Any] = asyncio.ensure_future(reply.next_chunk())
        else:
            waiting = asyncio.ensure_future(transport.send(a_read(), ONCE))
            while not server.requests:
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await transport.aclose()
            with pytest.raises(HelpdeskError):
                await waiting


async def test_closing_gives_back_slot_and_connection_once() -> None:
    server = Server(whole())
    async with serving(server) as transport:
        reply = await opened(transport)
        await reply.next_chunk()
        for _ in range(3):
            reply.close()
        await server.all_left()  # an unread body cannot be skipped: the connection is done with
        with pytest.raises(ClientStateError, match="closed before its end"):
            await reply.next_chunk()
        second = await opened(transport)
        with pytest.raises(NotSentTimeoutError):  # closed thrice, and still one slot only
            await transport.open(a_read(), CallOptions(timeout=Timeout(total=0.02)), is_file=good)
        assert await rest_of(second) == BODY
        assert repr(second) == "<OpenReply 200 (closed)>"


async def test_a_cancelled_wait_for_a_chunk_loses_nothing() -> None:
    more = asyncio.Event()

    class Halting(Server):
        async def __call__(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head("Content-Length: 10") + b"12345")
            await more.wait()
            writer.write(b"67890")

    async with serving(Halting()) as transport:
        reply = await opened(transport)
        assert await reply.next_chunk() == b"12345"
        waiting = asyncio.ensure_future(reply.next_chunk())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        more.set()
        assert await rest_of(reply) == b"67890"


async def test_cancelled_before_the_head_it_holds_nothing() -> None:
    """After n turns of the loop, for every n."""
    async with serving(Server(whole())) as transport:
        for turns in range(40):
            call = asyncio.ensure_future(transport.open(a_read(), ONCE, is_file=good))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            try:
                reply = await call
            except asyncio.CancelledError as error:
                doubt = interrupted_by(error)
                assert doubt is None or not doubt.may_have_been_applied
            else:
                assert isinstance(reply, OpenReply)
                reply.close()
            assert await rest_of(await opened(transport)) == BODY


async def test_the_limit_is_exact() -> None:
    chunks = head("Transfer-Encoding: chunked")
    chunks += b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    for answer in (whole(BODY), chunks):
        async with serving(Server(answer)) as transport:
            assert await rest_of(await opened(transport, len(BODY))) == BODY
            with pytest.raises(ReplyTooLargeError, match="more than 1,048,575 bytes"):
                await rest_of(await opened(transport, len(BODY) - 1))
            assert await rest_of(await opened(transport)) == BODY  # the slot is free


async def test_packed_unasked_for_it_is_refused() -> None:
    body = gzip.compress(BODY)
    async with serving(Server(whole(body, "Content-Encoding: gzip"))) as transport:
        for _ in range(2):
            with pytest.raises(UnreadableReplyError, match="compressed"):
                await opened(transport)


async def test_an_empty_body() -> None:
    async with serving(Server(whole(b""))) as transport:
        for _ in range(3):
            assert await rest_of(await opened(transport)) == b""


async def test_closed_or_elsewhere_it_does_not_begin() -> None:
    async with serving(Server(whole())) as transport:
        await rest_of(await opened(transport))
        await transport.aclose()
        with pytest.raises(ClientStateError, match="closed"):
            await transport.open(a_read(), ONCE, is_file=good)


async def test_many_share_the_slots() -> None:
    server = Server(whole())
    async with serving(server, max_connections=4) as transport:

        async def one() -> None:
            reply = await opened(transport)
            await asyncio.sleep(0)
            assert await rest_of(reply) == BODY

        await asyncio.gather(*(one() for _ in range(20)))
    assert server.connections <= 4
    assert server.requests == 20


def dropped(kept: list[Any]) -> None:
    """Let go of what nobody else holds, and see that it says so."""
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        kept.clear()


async def test_one_that_is_dropped_gives_its_slot_back_and_says_so() -> None:
    server = Server(head("Content-Length: 10") + b"12345")
    async with serving(server) as transport:
        for in_thread in (False, True):
            kept = [await opened(transport)]
            assert await kept[0].next_chunk() == b"12345"
            if in_thread:  # where the garbage collector may run as well
                await asyncio.to_thread(dropped, kept)
            else:
                dropped(kept)
            await server.all_left()
        second = await opened(transport)  # the only slot
        second.close()
        del second
        gc.collect()  # closed, it has nothing to say


async def test_dropped_after_its_end_it_has_nothing_to_say() -> None:
    async with serving(Server(whole())) as transport:
        for _ in range(3):
            await rest_of(await opened(transport))
        gc.collect()


def test_dropped_after_its_loop_it_still_says_so() -> None:
    class Body:
        async def next_chunk(self) -> bytes | Failure | None:
            return b""

        def close(self) -> None:
            raise AssertionError

    async def begin() -> OpenReply:
        answer = OpenAnswer(200, {}, Body())
        return OpenReply(answer, (), release=Body().close, broke_off=lambda _: HelpdeskError("x"))

    dropped([asyncio.run(begin())])


async def test_nothing_of_a_failure_holds_the_answer_alive() -> None:
    """An error that is kept (by a report, say) must not keep a connection."""
    server = Server(head("Content-Length: 10") + b"12345", after="close")
    async with serving(server) as transport:
        reply = await opened(transport)
        with pytest.raises(HelpdeskError) as caught:
            await rest_of(reply)
        told = [type(one).__module__ for one in _reachable(caught.value)]
        assert not [module for module in told if module.startswith("aiohttp")]


def _reachable(error: BaseException) -> list[object]:
    """What hangs on an error itself: its causes and what it carries."""
    found: list[object] = []
    todo: list[object] = [error.__cause__, error.__context__, *vars(error).values()]
    while todo:
        one = todo.pop()
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        if isinstance(one, BaseException):
            todo += [one.__cause__, one.__context__, *vars(one).values()]
        elif isinstance(one, tuple):
            todo += gc.get_referents(one)
    return found
