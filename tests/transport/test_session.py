"""Sessions, loops, closing, redirects, proxies, headers on the wire, caps."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import json
import resource
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from kapture_async import (
    ClientStateError,
    ConfigurationError,
    ConnectError,
    KaptureClient,
    ReplyTooLargeError,
    Timeout,
    UnreadableReplyError,
)
from kapture_async.events import (
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    RetryScheduled,
    SlotWaiting,
)
from kapture_async.testing import Fault, KaptureEmulator

OK = b'{"status":"success","ticket_id":"713516551148"}'


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives one fixed answer, and keeps the requests it read."""
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            seen.append(head + await reader.readexactly(length))
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}", seen


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_what_goes_over_the_wire() -> None:
    async with (
        raw_server(answer(OK)) as (url, seen),
        KaptureClient(
            base_url=url,
            token="dG9rZW4=",
            headers={"x-api-type": "TICKET"},
            credentials={"update_ticket": ("user", "pässword")},
        ) as client,
    ):
        await client.tickets.add(title="Grüße", headers={"X-Api-Key": "k"})
        await client.tickets.update("713516551148", sub_status="PS")
    head, body = seen[0].split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ") for line in lines[1:])}
    assert lines[0] == "POST /add-ticket-from-other-source.html/v.2.0 HTTP/1.1"
    assert headers["authorization"] == "Basic dG9rZW4="
    assert headers["x-api-type"] == "TICKET"
    assert headers["x-api-key"] == "k"
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == "application/json"
    assert "cookie" not in headers
    assert "transfer-encoding" not in headers
    assert json.loads(body) == [{"title": "Grüße"}]
    second = seen[1].decode().lower()
    assert base64.b64encode("user:pässword".encode()).decode().lower() in second
    assert "x-api-key" not in second


async def test_a_cookie_is_not_sent_back(emulator: KaptureEmulator) -> None:
    async with (
        raw_server(answer(OK, "Set-Cookie: JSESSIONID=1")) as (url, seen),
        KaptureClient(base_url=url, token="t") as client,
    ):
        await client.tickets.add(title="one")
        await client.tickets.add(title="two")
    assert b"Cookie" not in seen[1]


async def test_a_redirect_is_not_followed_and_shows_only_its_origin() -> None:
    async with raw_server(answer(OK)) as (other, other_seen):
        moved = answer(b"", f"Location: {other}/steal?secret=1", status="307 Temporary Redirect")
        async with (
            raw_server(moved) as (url, _),
            KaptureClient(base_url=url, token="t") as client,
        ):
            with pytest.raises(UnreadableReplyError) as caught:
                await client.tickets.add(title="one")
    assert other_seen == []
    assert other in str(caught.value)
    assert "steal" not in str(caught.value)


async def test_a_borrowed_session_is_used_with_our_habits_and_never_closed(
    emulator: KaptureEmulator,
) -> None:
    async with aiohttp.ClientSession(raise_for_status=True, auto_decompress=False) as session:
        async with KaptureClient(
            base_url=emulator.url, token=emulator.token, session=session
        ) as client:
            added = await client.tickets.add(title="one")
            with pytest.raises(UnreadableReplyError):
                await client.tickets.add(title="x", headers=Fault("redirect").headers())
        assert client.closed
        assert not session.closed
    assert added.ticket_id
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, session=session
    ) as client:
        with pytest.raises(ClientStateError, match="session"):
            await client.tickets.add(title="one")


def test_a_borrowed_session_of_another_loop_gets_a_clear_error(
    kapture_emulator: KaptureEmulator,
) -> None:
    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def use(session: aiohttp.ClientSession) -> None:
        client = KaptureClient(base_url=kapture_emulator.url, token="t", session=session)
        await client.tickets.add(title="one")

    with asyncio.Runner() as first:
        session = first.run(make())
        with asyncio.Runner() as second, pytest.raises(ClientStateError, match="another event"):
            second.run(use(session))
        first.run(session.close())


@pytest.mark.parametrize("found", ["socks5://127.0.0.1:1", "ftp://h"])
async def test_a_proxy_variable_of_another_kind(
    found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", found)
    monkeypatch.delenv("no_proxy", raising=False)
    async with KaptureClient("t", token="t", proxy="env") as client:
        with pytest.raises(ConfigurationError, match="neither http nor https"):
            await client.tickets.add(title="one")


async def test_settings_of_a_borrowed_session_are_its_owners() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError):
            KaptureClient("t", token="t", session=session, proxy="env")


async def test_closed_is_closed(emulator: KaptureEmulator) -> None:
    client = KaptureClient(base_url=emulator.url, token=emulator.token)
    await client.tickets.add(title="one")
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientStateError, match="closed"):
        await client.tickets.add(title="two")


@pytest.mark.usefixtures("wire")
def test_another_event_loop_gets_a_clear_error(kapture_emulator: KaptureEmulator) -> None:
    client = KaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token)

    async def use() -> None:
        await client.tickets.add(title="one")

    with asyncio.Runner() as first:
        first.run(use())
        with asyncio.Runner() as second:
            with pytest.raises(ClientStateError, match="another event loop"):
                second.run(use())
            with pytest.raises(ClientStateError, match="another event loop"):
                second.run(client.aclose())
        first.run(client.aclose())


@pytest.mark.usefixtures("wire")
def test_no_warning_in_normal_use(kapture_emulator: KaptureEmulator) -> None:
    async def main() -> None:
        async with KaptureClient(
            base_url=kapture_emulator.url, token=kapture_emulator.token
        ) as client:
            await asyncio.gather(*(client.tickets.add(title=str(n)) for n in range(20)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main(), debug=True)
        gc.collect()


async def test_a_copy_with_options_shares_and_never_closes(
    emulator: KaptureEmulator, leap: Callable[[float], None]
) -> None:
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        async with client.with_options(timeout=Timeout(total=20), headers={"x-a": "1"}) as copy:
            await copy.tickets.add(title="one")
            silence = Fault("silence_before").headers()
            call = asyncio.ensure_future(copy.tickets.add(title="x", headers=silence))
            while sum(emulator.requests.values()) < 2:
                await asyncio.sleep(0)
            leap(20)
            with pytest.raises(Exception, match="within 20 seconds"):
                await call
        await client.tickets.add(title="two")


async def test_events_tell_the_story(emulator: KaptureEmulator) -> None:
    events: list[object] = []
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, max_connections=1, on_event=events.append
    ) as client:
        emulator.faults = emulator.faults.script(
            [Fault("status", status=429, retry_after="0.01"), None]
        )
        await client.tickets.add(title="one")
        kinds = [type(event) for event in events]
        assert kinds == [
            AttemptStarted,
            AttemptFinished,
            RetryScheduled,
            AttemptStarted,
            AttemptFinished,
            CallFinished,
        ]
        assert events[1].attempt.status == 429  # type: ignore[attr-defined]
        assert events[2].delay == 0.01  # type: ignore[attr-defined]
        events.clear()
        await asyncio.gather(*(client.tickets.add(title=str(n)) for n in range(3)))
        assert any(isinstance(event, SlotWaiting) for event in events)


async def test_a_broken_observer_breaks_nothing(
    emulator: KaptureEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    def observer(event: object) -> None:
        raise RuntimeError("observer")

    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, on_event=observer
    ) as client:
        assert (await client.tickets.add(title="one")).ticket_id
    assert "observer failed" in caplog.text


async def test_a_cancelled_call_says_what_may_have_happened(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    call = asyncio.ensure_future(
        client.tickets.add(title="one", headers=Fault("silence_after").headers())
    )
    while not emulator.ledger:
        await asyncio.sleep(0.001)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    assert "may or may not have happened" in "".join(caught.value.__notes__)


async def test_an_error_body_is_cut_and_cleaned() -> None:
    page = b"<html><head><style>x{}</style></head><body><h1>Oops &amp; sorry</h1>" + b"x " * 2**20
    async with (
        raw_server(answer(page, status="500 Internal Server Error")) as (url, _),
        KaptureClient(base_url=url, token="t") as client,
    ):
        with pytest.raises(Exception, match="Oops & sorry") as caught:
            await client.tickets.add(title="one")
    assert len(str(caught.value)) < 1000


async def test_a_login_page_with_200_is_named_for_what_it_is(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    with pytest.raises(UnreadableReplyError, match="text/html") as caught:
        await client.tickets.get("1", headers=Fault("login_html").headers())
    assert caught.value.status == 200
    assert caught.value.vendor_message
    assert "<" not in caught.value.vendor_message


async def test_a_bomb_costs_little_memory(emulator: KaptureEmulator, client: KaptureClient) -> None:
    await client.tickets.add(title="warm up")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ReplyTooLargeError, match="unpacks to more than"):
        await client.tickets.add(title="one", headers=Fault("bomb").headers())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60 * 1024  # KiB; unpacked whole it would be 200 MiB


async def test_the_cap_counts_decoded_bytes() -> None:
    packed = gzip.compress(b'{"status":"success","ticket_id":"1","x":"' + b"a" * 5000 + b'"}')
    reply = answer(packed, "Content-Encoding: gzip")
    for cap, good in ((10_000, True), (1_000, False)):
        async with (
            raw_server(reply) as (url, _),
            KaptureClient(base_url=url, token="t", max_reply_bytes=cap) as client,
        ):
            if good:
                assert (await client.tickets.add(title="one")).ticket_id == "1"
            else:
                with pytest.raises(ReplyTooLargeError):
                    await client.tickets.add(title="one")


@pytest.mark.parametrize("name", ["Content-Length", "host", "Transfer-Encoding", "bad name"])
def test_headers_that_are_not_the_callers(name: str) -> None:
    with pytest.raises(ConfigurationError):
        KaptureClient("t", token="t", headers={name: "1"})


async def test_proxy_from_the_environment_is_used_and_netrc_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("default login thief password thief\n", encoding="ascii")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server(answer(OK)) as (proxy, seen):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        settings = {"base_url": "http://tenant.example", "token": "dG9r", "allow_http": True}
        async with KaptureClient(**settings, proxy="env") as client:  # type: ignore[arg-type]
            await client.tickets.add(title="one")
        assert seen[0].startswith(b"POST http://tenant.example/add-ticket")
        assert b"Authorization: Basic dG9r\r\n" in seen[0]
        # Without proxy=, the environment is not looked at.
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        async with KaptureClient(**settings, proxy=proxy) as client:  # type: ignore[arg-type]
            await client.tickets.add(title="two")
        assert len(seen) == 2


async def test_a_proxy_that_is_down_means_not_sent() -> None:
    async with KaptureClient(
        "t", token="t", proxy="http://user:canary-pw@127.0.0.1:9", timeout=2.0
    ) as client:
        with pytest.raises(ConnectError) as caught:
            await client.tickets.add(title="one")
    assert "canary" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("proxy", ["socks5://h:1", "nonsense", "http://", "http://a b"])
def test_a_bad_proxy_is_refused(proxy: str) -> None:
    with pytest.raises(ConfigurationError):
        KaptureClient("t", token="t", proxy=proxy)


def test_nothing_of_aiohttp_is_imported_before_the_first_request() -> None:
    program = (
        "import sys, kapture_async\n"
        "client = kapture_async.KaptureClient('t', token='t')\n"
        "print([m for m in ('aiohttp', 'cattrs', 'click', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
