"""Rows are handed out while the answer arrives; what goes wrong on the way is told or mended."""

from __future__ import annotations

import asyncio
import gc
import gzip
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kapture_async import (
    AuthenticationError,
    HelpdeskError,
    KaptureClient,
    NoReplyError,
    Pages,
    RejectedError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    RetryPolicy,
    SyncKaptureClient,
    TicketRow,
    Timeout,
    UnreadableReplyError,
)
from kapture_async._core.pull.window import ROOM
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..secrecy import assert_clean, every_word_of
from .raw import Body, Call, RawServer, cut, document, head, row, whole

QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)
DAY = "2024-04-19"


@asynccontextmanager
async def serving(
    script: Callable[[Call], Body], **settings: Any
) -> AsyncIterator[tuple[RawServer, KaptureClient]]:
    settings = {"timeout": 20.0, "retry": QUICK, "token": "t", **settings}
    async with (
        RawServer(script) as server,
        KaptureClient(base_url=server.url, **settings) as client,
    ):
        yield server, client


def ids(rows: list[TicketRow]) -> list[str | None]:
    return [row.ticket_id for row in rows]


def expected(count: int, start: int = 0) -> list[str]:
    return [f"{number:06}" for number in range(start, start + count)]


async def handed_out(pages: Pages[TicketRow]) -> tuple[list[TicketRow], HelpdeskError | None]:
    """Every row that comes, and what the iteration ends with."""
    rows = []
    try:
        async for found in pages:
            rows.append(found)
    except HelpdeskError as error:
        return rows, error
    return rows, None


async def test_the_first_row_is_out_within_the_first_tenth() -> None:
    """The server sends no more than a tenth until the first row is out: it would hang."""
    body = document([row(n) for n in range(2000)])
    first = asyncio.Event()

    async def script(call: Call) -> Body:
        yield head(len(body))
        yield body[: len(body) // 10]
        await first.wait()
        yield body[len(body) // 10 :]

    async with serving(script) as (_, client):
        rows = []
        async with asyncio.timeout(20):
            async for found in client.tickets.pull(DAY):
                first.set()
                rows.append(found)
    assert ids(rows) == expected(2000)
    assert rows[7].title == "Title 7"


@pytest.mark.parametrize("mark", ["gzip", "no length", "chunked", "pretty", "mark first"])
async def test_however_it_is_sent(mark: str) -> None:
    rows = [row(n) for n in range(300)]
    body = document(rows)

    async def script(call: Call) -> Body:
        nonlocal body
        if mark == "gzip":
            packed = gzip.compress(body)
            yield head(len(packed), "Content-Encoding: gzip")
            yield packed
        elif mark == "no length":
            yield head(None)
            yield body
        elif mark == "chunked":
            yield head(None, "Transfer-Encoding: chunked")
            for start in range(0, len(body), 7777):
                piece = body[start : start + 7777]
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
            yield b"0\r\n\r\n"
        else:
            import json

            order = {"status": "success", "message": rows}
            body = json.dumps(order, indent=1 if mark == "pretty" else None).encode()
            yield head(len(body))
            yield body

    async with serving(script) as (server, client):
        assert ids(await client.tickets.pull(DAY).all()) == expected(300)
        assert len(server.calls) == 1


async def test_what_breaks_off_is_asked_for_again_and_no_row_comes_twice() -> None:
    body = document([row(n) for n in range(1000)])

    def script(call: Call) -> Body:
        return cut(body, len(body) * call.number // 4) if call.number < 3 else whole(body)

    async with serving(script) as (server, client):
        rows, error = await handed_out(client.tickets.pull(DAY))
        assert error is None
        assert ids(rows) == expected(1000)
        assert len(server.calls) == 3


@pytest.mark.parametrize("length", [True, False])
async def test_the_retry_policy_bounds_how_often(length: bool) -> None:
    """Also where only the JSON itself shows that it is cut short."""
    body = document([row(n) for n in range(1000)])

    async def script(call: Call) -> Body:
        yield head(len(body) if length else None)
        yield body[: len(body) // 2]

    async with serving(script) as (server, client):
        pages = client.tickets.pull(DAY)
        rows, error = await handed_out(pages)
        assert isinstance(error, NoReplyError if length else UnreadableReplyError)
        assert len(server.calls) == QUICK.attempts == len(error.attempts)
        assert [attempt.number for attempt in error.attempts] == [1, 2, 3]
        assert ids(rows) == expected(len(rows))
        assert 0 < len(rows) < 501
        notes = " ".join(error.__notes__)
        assert f"{len(rows)} rows of it were handed out before" in notes
        assert DAY in notes
        with pytest.raises(type(error)):  # never a silent end
            await pages.next_page()


async def test_rows_without_an_id_do_not_come_twice_either() -> None:
    rows = [row(n) for n in range(600)]
    for found in rows[::3]:
        del found["ticketId"]
    same = {"taskTitle": "the same"}
    body = document([*rows, same, same])

    def script(call: Call) -> Body:
        return cut(body, len(body) // 2) if call.number == 1 else whole(body)

    async with serving(script) as (_, client):
        found_rows = await client.tickets.pull(DAY).all()
    assert [found.title for found in found_rows] == [r["taskTitle"] for r in rows] + [
        "the same"
    ] * 2


async def test_repeats_within_a_day_and_from_day_to_day_are_dropped() -> None:
    days = {
        "2024-04-19": [row(1), row(2), row(1)],
        "2024-04-20": [row(2), row(3), row(3)],
        "2024-04-21": [row(1), row(3), row(4)],
    }
    async with serving(lambda call: whole(document(days[call.day]))) as (_, client):
        rows = await client.tickets.pull("2024-04-19", "2024-04-21").all()
    assert ids(rows) == ["000001", "000002", "000003", "000001", "000004"]
    # A day counts with all it showed, also with what was dropped from it.
    days = {day: [row(1)] for day in days}
    async with serving(lambda call: whole(document(days[call.day]))) as (_, client):
        assert len(await client.tickets.pull("2024-04-19", "2024-04-21").all()) == 1


@pytest.mark.parametrize(
    ("status", "more", "error"),
    [
        ("failed", {}, RejectedError),
        ("queued", {}, UnreadableReplyError),
        ("success", {"Status": "failed"}, UnreadableReplyError),
        ("failed", {"Message": "Invalid Auth Key"}, RejectedError),
    ],
)
async def test_a_bad_mark_behind_the_rows_is_told(
    status: str, more: dict[str, Any], error: type[HelpdeskError]
) -> None:
    body = document([row(n) for n in range(500)], status, **more)
    async with serving(lambda call: whole(body)) as (server, client):
        rows, caught = await handed_out(client.tickets.pull(DAY))
        assert isinstance(caught, error)
        assert len(server.calls) == 1
        assert len(rows) > 400
        with pytest.raises(error):
            await client.tickets.pull(DAY).next_page()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"message":"Invalid Auth Key","status":"failed"}', AuthenticationError),
        (b'{"status":"failed","message":"x"}', RejectedError),
        (document("something else"), UnreadableReplyError),
        (document([row(1), 7]), UnreadableReplyError),
        (document([[row(1)]]), UnreadableReplyError),
        (document(7), UnreadableReplyError),
        (b"<html>Sign in</html>", UnreadableReplyError),
        (b"[]", UnreadableReplyError),
        (b"null", UnreadableReplyError),
        (b"", UnreadableReplyError),
        (b"{}", UnreadableReplyError),
        (document([row(1)]) + b"\0", UnreadableReplyError),
        (document([row(1)]).replace(b'"xxx', b']"xxx'), UnreadableReplyError),
        (b'{"message":' + b"[" * 100_000, UnreadableReplyError),
        (b'{"message":[' + b'{"a":' * 100_000, UnreadableReplyError),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else value.__name__,
)
async def test_what_is_no_list_of_rows(body: bytes, error: type[HelpdeskError]) -> None:
    async with serving(lambda call: whole(body)) as (server, client):
        with pytest.raises(error) as caught:
            await client.tickets.pull(DAY).all()
        assert type(caught.value) is error
        assert caught.value.service == "kapture"
        assert caught.value.operation == "tickets.pull"
        assert caught.value.status == 200
        assert len(server.calls) == 1
    assert_clean(every_word_of(caught.value), ["Title"])


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (document([]), 0),
        (document("No Data found"), 0),
        (document("No Data found", "failed"), 0),
        (document(""), 0),
        (document(row(1)), 1),
        (document([row(1)]), 1),
    ],
)
async def test_none_one_and_many(body: bytes, count: int) -> None:
    async with serving(lambda call: whole(body)) as (_, client):
        assert len(await client.tickets.pull(DAY).all()) == count


@pytest.mark.parametrize("total", [3, "3", 2, None, "many", 2.0, True, -1])
async def test_days_that_come_short_are_listed(total: Any) -> None:
    """The service may limit an answer, and says so nowhere but in its count."""

    def script(call: Call) -> Body:
        body = document([row(1), row(2)], totalCount=total if call.day == DAY else 2)
        return cut(body, 900) if call.number == 1 else whole(body)

    async with serving(script) as (_, client):
        pages = client.tickets.pull("2024-04-18", "2024-04-20")
        assert len(await pages.all()) == 2
        assert pages.incomplete == ((DAY,) if total in (3, "3") else ())


async def test_nothing_found_behind_rows_is_no_end() -> None:
    body = document([row(n) for n in range(200)], "failed", Message="No Data found")
    async with serving(lambda call: whole(body)) as (_, client):
        with pytest.raises(RejectedError):
            await client.tickets.pull(DAY).all()


async def endless(begin: bytes, again: bytes, *more: str, length: int | None = None) -> Body:
    yield head(length, *more)
    yield begin
    block = again * (64 * 1024 // len(again) + 1)
    while True:
        yield block


@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b'{"message":[{"ticketId":"1"}', b',{"ticketId":"2"}'),
        (b'{"message":[{"ticketId":"1"}', b',{"a":{"b":[{},{}]}}'),
        (b'{"message":[{"ticketId":"', b"x"),
        (b'{"message":[{"ticketId":1', b',"detail":"},{"'),
        (b"<html>", b"<p>x</p>"),
        (b'{"status":"failed","message":"', b"x"),
        (b" ", b" "),
    ],
)
async def test_what_never_ends_is_given_up(begin: bytes, again: bytes) -> None:
    async with serving(lambda call: endless(begin, again), max_reply_bytes=700_000) as (
        server,
        client,
    ):
        _, error = await handed_out(client.tickets.pull(DAY))
        assert isinstance(error, UnreadableReplyError)
        await until(lambda: server.calls[0].gone)
        assert len(server.calls) == 1


async def test_ten_gigabytes_are_refused_at_their_head() -> None:
    async with serving(
        lambda call: endless(b'{"message":[{"ticketId":"1"}', b",{}", length=10 * 1024**3)
    ) as (server, client):
        rows, error = await handed_out(client.tickets.pull(DAY))
        assert isinstance(error, ReplyTooLargeError)
        assert rows == []
        await until(lambda: server.calls[0].gone)


async def test_a_packed_bomb_is_given_up() -> None:
    async with (
        KaptureEmulator(faults=FaultPlan.rate(1, kinds=["bomb"])) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, max_reply_bytes=2**20) as client,
    ):
        with pytest.raises(ReplyTooLargeError):
            await client.tickets.pull(DAY).all()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.001)


async def test_days_ahead_wait_with_a_bounded_share() -> None:
    big = document([row(n, detail="y" * 60_000) for n in range(200)])  # 12 MB

    async with serving(lambda call: whole(big)) as (server, client):
        async with client.tickets.pull("2024-04-19", "2024-04-22", ahead=3) as pages:
            assert await pages.next_rows()
            await until(lambda: len(server.calls) == 3)
            arrivals = [source._page._transfer for _, source in pages._under_way]  # type: ignore[attr-defined]
            await until(lambda: all(arrival._wanted._waiters for arrival in arrivals))
            assert all(arrival._held >= ROOM for arrival in arrivals)
            most = ROOM + 512 * 1024  # what comes in one piece comes whole
            assert all(arrival._held < most for arrival in arrivals)
            assert all(call.sent < len(big) for call in server.calls)
        await until(lambda: all(call.gone for call in server.calls))


async def test_a_stream_that_waits_lends_its_slot() -> None:
    """With one connection, the reader of a pull can still ask for something else."""
    big = document([row(n, detail="y" * 30_000) for n in range(100)])
    other = document([row(7)])
    async with serving(
        lambda call: whole(other if call.day == "2024-05-01" else big),
        max_connections=1,
        timeout=Timeout(total=10),
    ) as (server, client):
        seen = 0
        async for _ in client.tickets.pull("2024-04-19", "2024-04-21", ahead=3):
            if seen % 40 == 0:
                assert len(await client.tickets.pull("2024-05-01").all()) == 1
            seen += 1
    assert seen == 100  # the same ids every day
    assert len(server.calls) == 3 + 3


async def test_the_slot_is_given_back_once() -> None:
    big = document([row(n, detail="y" * 30_000) for n in range(100)])
    async with serving(lambda call: whole(big), max_connections=2) as (_, client):
        for _ in range(3):
            async with client.tickets.pull("2024-04-19", "2024-04-25", ahead=4) as pages:
                await pages.next_rows()
                await asyncio.sleep(0.01)
            await until(lambda: client._transport._slots.free == 2)


async def test_hung_up_on_while_it_waited_is_asked_again() -> None:
    """More often than the retry policy says: it was the reader who kept the service waiting."""
    rows = [row(n, detail="y" * 30_000) for n in range(400)]
    body = document(rows)
    reading = asyncio.Event()

    async def script(call: Call) -> Body:
        yield head(len(body))
        end = len(body) if call.number > 5 else len(body) * (call.number + 2) // 8
        yield body[:end]

    retry = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.002)
    async with serving(script, retry=retry) as (server, client):
        found = []
        async for one in client.tickets.pull(DAY):
            found.append(one)
            await asyncio.sleep(0.0005)
            reading.set()
    assert ids(found) == expected(400)
    assert len(server.calls) == 6


async def test_a_cancelled_wait_loses_nothing() -> None:
    body = document([row(n) for n in range(300)])

    async def script(call: Call) -> Body:
        yield head(len(body))
        for start in range(0, len(body), 20_000):
            yield body[start : start + 20_000]
            await asyncio.sleep(0.004)

    async with serving(script) as (server, client):
        pages = client.tickets.pull(DAY)
        rows: list[TicketRow] = []
        cancelled = 0
        while len(rows) < 300:
            try:
                async with asyncio.timeout(0.002):
                    rows.append(await anext(pages))
            except TimeoutError:
                cancelled += 1
        assert cancelled
        assert ids(rows) == expected(300)
        assert await pages.next_rows() is None
        assert len(server.calls) == 1
        pages = client.tickets.pull(DAY)
        page = None
        while page is None:
            try:
                async with asyncio.timeout(0.005):
                    page = await pages.next_page()
            except TimeoutError:
                cancelled += 1
        assert ids(page) == expected(300)


async def test_rows_and_pages_go_on_where_the_other_stopped() -> None:
    days = {"2024-04-19": 0, "2024-04-20": 500, "2024-04-21": 1000}

    def script(call: Call) -> Body:
        return whole(document([row(n + days[call.day]) for n in range(500)]))

    async with serving(script) as (_, client):
        pages = client.tickets.pull("2024-04-19", "2024-04-21")
        first = [await anext(pages) for _ in range(3)]
        assert pages.midway
        rest = await pages.next_page()
        assert rest is not None
        assert ids(first + rest) == expected(500)
        assert not pages.midway
        second = await pages.next_page()
        assert second is not None
        assert ids(second) == expected(500, 500)
        assert ids(await pages.all()) == expected(500, 1000)
        assert await pages.next_page() is None


async def test_a_break_out_of_the_loop_leaves_nothing_behind() -> None:
    body = document([row(n, detail="y" * 60_000) for n in range(100)])
    async with serving(lambda call: whole(body)) as (server, client):
        async for found in client.tickets.pull("2024-04-19", "2024-04-21"):
            assert found.ticket_id == "000000"
            break
        gc.collect()
        await until(lambda: bool(server.calls) and all(call.gone for call in server.calls))
        assert client._transport._slots.free == 100


async def test_a_client_that_closes_ends_the_pull() -> None:
    body = document([row(n, detail="y" * 60_000) for n in range(100)])
    async with serving(lambda call: whole(body)) as (_, client):
        pages = client.tickets.pull("2024-04-19", "2024-04-21")
        assert await pages.next_rows()
        await client.aclose()
        _, error = await handed_out(pages)
        assert error is not None
        assert "closed" in str(error)


async def test_only_waiting_for_the_service_counts() -> None:
    body = document([row(n, detail="y" * 20_000) for n in range(100)])

    async def slow(call: Call) -> Body:
        yield head(len(body))
        yield body[:50_000]
        await asyncio.sleep(30)

    async with serving(slow, timeout=Timeout(total=0.2, read=None)) as (_, client):
        rows, error = await handed_out(client.tickets.pull(DAY))
        assert isinstance(error, ReplyTimeoutError)
        assert "whole within 0.2 seconds" in str(error)
        assert ids(rows) == expected(2)
    async with serving(lambda call: whole(body), timeout=Timeout(total=1.0)) as (_, client):
        count = 0
        began = time.monotonic()
        async for _ in client.tickets.pull(DAY):
            count += 1
            await asyncio.sleep(0.012)  # together more than the time for the call
        assert time.monotonic() - began > 1.0
        assert count == 100


async def test_silence_is_noticed_midway() -> None:
    body = document([row(n) for n in range(100)])

    async def silent(call: Call) -> Body:
        yield head(len(body))
        yield body[:50_000]
        if call.number == 1:
            await asyncio.sleep(30)
        yield body[50_000:]

    async with serving(silent, timeout=Timeout(total=20, read=0.1)) as (server, client):
        assert ids(await client.tickets.pull(DAY).all()) == expected(100)
        assert len(server.calls) == 2


async def test_no_tracebacks_show_what_customers_wrote() -> None:
    secret = "canary of a customer"
    rows = [row(n, detail=secret) for n in range(500)]
    for body in (
        document(rows, "failed"),
        document([*rows, 7]),
        document(rows)[:-300] + b"]]",
    ):

        def broken(call: Call, body: bytes = body) -> Body:
            return whole(body)

        async with serving(broken) as (_, client):
            with pytest.raises(HelpdeskError) as caught:
                async for _ in client.tickets.pull(DAY):
                    pass
            assert_clean(every_word_of(caught.value), [secret])


def test_the_sync_client_hands_rows_out_early_too() -> None:
    with (
        KaptureEmulator(
            faults=FaultPlan.script([Fault("half_body"), None, None])
        ).in_thread() as emulator,
        SyncKaptureClient(base_url=emulator.url, token=emulator.token, retry=QUICK) as client,
    ):
        emulator.now = emulator.now.replace(year=2024, month=4, day=19, hour=12)
        for n in range(300):
            emulator.seed(title=f"{n}", ticket_details="x" * 900)
        pages = client.tickets.pull("2024-04-19", "2024-04-20", ahead=1)
        first = next(pages)
        assert first.title == "0"
        assert pages._pages.midway  # type: ignore[attr-defined]
        rest = next(pages.pages())
        assert [found.title for found in [first, *rest]] == [f"{n}" for n in range(300)]
        assert list(pages.pages()) == [[]]
