"""Servers that mean no good: nothing is written outside, no secret goes elsewhere, no end to it."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support_async import (
    HelpdeskError,
    NoReplyError,
    RedirectedError,
    ReplyTooLargeError,
    SupportClient,
    Timeout,
    UnreadableReplyError,
)
from support_async.testing import EmulatorReply, SupportEmulator, bomb

from .wire import (
    MIB,
    ONCE,
    TICKET,
    Served,
    answer,
    client_of,
    nothing_changes,
    serving,
    settings_for,
    sync_client_of,
    tree,
)

ID = "7"
BINARY = "application/octet-stream"
APIKEY = "canary-apikey-3c7d"
TOKEN = "canary-token-91af"
Script = Callable[[Served, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def emulator() -> AsyncIterator[SupportEmulator]:
    async with SupportEmulator() as emulator:
        yield emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder between two others: what escapes from it would be seen."""
    path = tmp_path / "outer" / "parent" / "folder"
    path.mkdir(parents=True)
    (tmp_path / "outer" / "etc").mkdir()
    (tmp_path / "outer" / "etc" / "passwd").write_bytes(b"old")
    return path


def says(*answers: bytes) -> Script:
    """A server that gives these answers one after the other, the last one for ever."""
    left = list(answers)

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.request(reader)
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return script


# --- names -------------------------------------------------------------------------------------

NAMES = {
    "../../etc/passwd": "passwd",
    "../etc/passwd": "passwd",
    "/etc/passwd": "passwd",
    "..\\..\\etc\\passwd": "passwd",
    "C:\\Windows\\system.ini": "system.ini",
    "file:///etc/passwd": "passwd",
    "....//....//etc/passwd": "passwd",
    "..": "attachment-7",
    ".": "attachment-7",
    "../": "attachment-7",
    "~": "~",
    "~root/.ssh/authorized_keys": "authorized_keys",
    ".bashrc": "bashrc",
    "$HOME/x": "x",
    "-rf": "-rf",
    "con.txt": "_con.txt",
    "a.txt:stream": "a.txt_stream",
    "evil\u202etxt.exe": "eviltxt.exe",
    "a\u0000b": "ab",
    " . ": "attachment-7",
    "x" * 5000 + ".pdf": "x" * 196 + ".pdf",
    "\N{GRINNING FACE}" * 300: "\N{GRINNING FACE}" * 50,
}


@pytest.mark.parametrize("form", ["plain", "encoded", "both"])
@pytest.mark.parametrize("name", NAMES)
async def test_no_name_leads_out_of_the_folder(
    emulator: SupportEmulator, folder: Path, tmp_path: Path, name: str, form: str
) -> None:
    outside = tree(tmp_path)
    encoded = "".join(f"%{byte:02x}" for byte in name.encode())
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    if form == "plain" and (not name.isascii() or "\0" in name):
        pytest.skip("no such header")
    if form == "both":
        quoted = "../../harmless"
    disposition = {
        "plain": f'attachment; filename="{quoted}"',
        "encoded": f"attachment; filename*=utf-8''{encoded}",
        "both": f"attachment; filename=\"{quoted}\"; filename*=utf-8''{encoded}",
    }[form]
    emulator.downloads[ID] = EmulatorReply(
        200, b"x", BINARY, (("Content-Disposition", disposition),)
    )
    if len(disposition) > 32_000:  # no HTTP library takes such a head
        async with client_of(emulator, retry=ONCE) as client:
            with nothing_changes(tmp_path), pytest.raises(UnreadableReplyError):
                await client.attachments.download(ID, folder)
        return
    async with client_of(emulator) as client:
        path = await client.attachments.download(ID, folder)
        async with client.attachments.stream(ID) as download:
            assert download.filename == path.name
    assert path == folder / NAMES[name]
    path.unlink()
    assert tree(tmp_path) == outside


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"caf\xe9.txt", "café.txt"),
        (b"caf\xc3\xa9.txt", "café.txt"),
        (b"\xff\xfe/../\x80.txt", "txt"),
    ],
)
async def test_bytes_that_are_no_text_in_a_name(folder: Path, raw: bytes, name: str) -> None:
    head = b"Content-Disposition: attachment; filename=" + raw
    script = says(answer(b"x", head.decode("utf-8", "surrogateescape")))
    async with serving(script) as served, SupportClient(**settings_for(served.url)) as client:
        assert await client.attachments.download(ID, folder) == folder / name
    assert tree(folder) == {name: b"x"}


# --- lengths -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [10 * 2**30, 64 * MIB + 1, 10**18])
async def test_a_length_that_is_too_large_is_refused_at_once(
    folder: Path, tmp_path: Path, length: int
) -> None:
    left = asyncio.Event()

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        writer.write(answer(b"the first bytes", length=length))
        await reader.read()  # until the client has left
        left.set()

    async with serving(script) as served:
        wanted = settings_for(served.url, max_connections=1, timeout=Timeout(read=5))
        async with SupportClient(**wanted) as client:
            with nothing_changes(tmp_path):
                with pytest.raises(ReplyTooLargeError, match="67,108,864 bytes") as caught:
                    await client.attachments.download(ID, folder)
            await asyncio.wait_for(left.wait(), 5)
            left.clear()
            with pytest.raises(ReplyTooLargeError):
                async with client.attachments.stream(ID):
                    pass
            await asyncio.wait_for(left.wait(), 5)
    assert len(caught.value.attempts) == 1  # it would be as large again
    assert len(served.heads) == 2


@pytest.mark.parametrize("length", ["-5", "+5", "5 5", "0x5", "1_000", "5, 6", "٥", "9" * 30])
async def test_a_length_that_is_none(folder: Path, tmp_path: Path, length: str) -> None:
    async with serving(says(answer(b"12345", length=length))) as served:
        async with SupportClient(**settings_for(served.url, retry=ONCE)) as client:
            with nothing_changes(tmp_path), pytest.raises(HelpdeskError):
                await client.attachments.download(ID, folder)


async def test_more_than_the_length_says(folder: Path) -> None:
    """What follows is no part of the file, whether the HTTP library minds it or not."""
    async with serving(says(answer(b"12345 and more", length=5))) as served:
        async with SupportClient(**settings_for(served.url)) as client:
            try:
                await client.attachments.download(ID, folder)
            except UnreadableReplyError:
                assert tree(folder) == {}
            else:
                assert tree(folder) == {"attachment-7": b"12345"}


@pytest.mark.parametrize("sent", [0, 1, 99_999])
async def test_less_than_the_length_says(folder: Path, tmp_path: Path, sent: int) -> None:
    async with serving(says(answer(bytes(sent), length=100_000))) as served:
        async with SupportClient(**settings_for(served.url)) as client:
            with nothing_changes(tmp_path), pytest.raises(NoReplyError, match="broke off"):
                await client.attachments.download(ID, folder)
    assert len(served.heads) == 3


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = answer(b"", "Transfer-Encoding: chunked", length="")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


async def test_a_file_in_chunks(folder: Path) -> None:
    script = says(chunked(b"one ", b"x" * 70_000, b" three"))
    async with serving(script) as served, SupportClient(**settings_for(served.url)) as client:
        path = await client.attachments.download(ID, folder)
        assert path.read_bytes() == b"one " + b"x" * 70_000 + b" three"
        async with client.attachments.stream(ID) as download:
            assert download.size is None
            assert len(await download.read()) == 70_010


@pytest.mark.parametrize("end", [b"", b"5\r\nab", b"zz\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n"])
async def test_chunks_without_an_end(folder: Path, tmp_path: Path, end: bytes) -> None:
    async with serving(says(chunked(b"one", end=end))) as served:
        async with SupportClient(**settings_for(served.url)) as client:
            with nothing_changes(tmp_path), pytest.raises(HelpdeskError) as caught:
                await client.attachments.download(ID, folder)
    assert not caught.value.may_have_been_applied


async def test_chunks_without_an_end_to_them(folder: Path, tmp_path: Path) -> None:
    """A server that never stops sending is stopped at the limit."""

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        writer.write(answer(b"", "Transfer-Encoding: chunked", length=""))
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()

    async with serving(script) as served, SupportClient(**settings_for(served.url)) as client:
        with nothing_changes(tmp_path), pytest.raises(ReplyTooLargeError):
            await client.attachments.download(ID, folder, max_bytes=3 * MIB)
    assert len(served.heads) == 1


# --- packed ------------------------------------------------------------------------------------


def packed(body: bytes, coding: str = "gzip") -> EmulatorReply:
    return EmulatorReply(200, body, BINARY, (("Content-Encoding", coding),))


@pytest.mark.parametrize("layers", ["one", "many members", "deflate", "no gzip", "half"])
@pytest.mark.parametrize("form", ["file", "stream"])
async def test_a_bomb(
    emulator: SupportEmulator, folder: Path, tmp_path: Path, form: str, layers: str
) -> None:
    """Files are asked for as they are. Unpacked, nothing would tell whether one came whole."""
    bombs = {
        "one": packed(bomb()),
        "many members": packed(gzip.compress(bytes(8 * MIB)) * 3),
        "deflate": packed(zlib.compress(bytes(32 * MIB)), "deflate"),
        "no gzip": packed(b"no gzip at all"),
        "half": packed(gzip.compress(os.urandom(5000))[:-2000]),
    }
    emulator.downloads[ID] = bombs[layers]
    async with client_of(emulator, max_connections=1) as client:
        with nothing_changes(tmp_path), pytest.raises(UnreadableReplyError, match="compressed"):
            if form == "file":
                await client.attachments.download(ID, folder, max_bytes=MIB)
            else:
                async with client.attachments.stream(ID, max_bytes=MIB):
                    pass
        emulator.downloads[ID] = EmulatorReply(200, b"x", BINARY)
        await client.attachments.download(ID, folder / "after")
    assert [r.headers["accept-encoding"] for r in emulator.received] == ["identity"] * 2


async def test_identity_is_no_packing(emulator: SupportEmulator, folder: Path) -> None:
    emulator.downloads[ID] = packed(b"plain", "Identity")
    async with client_of(emulator) as client:
        path = await client.attachments.download(ID, folder)
    assert path.read_bytes() == b"plain"


async def test_a_limit_is_exact(emulator: SupportEmulator, folder: Path) -> None:
    content = bytes(range(250)) * 400
    async with client_of(emulator) as client:
        emulator.downloads[ID] = EmulatorReply(200, content, BINARY)
        path = await client.attachments.download(ID, folder, max_bytes=100_000, overwrite=True)
        assert path.read_bytes() == content
        with pytest.raises(ReplyTooLargeError):
            await client.attachments.download(ID, folder / "b", max_bytes=99_999)


# --- redirects ---------------------------------------------------------------------------------


async def seen(served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The other host: takes whatever comes, and would answer."""
    while True:
        await served.request(reader)
        writer.write(answer(b'{"status_code":200,"errors":{},"data":{}}'))


Call = Callable[[SupportClient, Path], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "download": lambda client, folder: client.attachments.download(ID, folder),
    "stream": lambda client, folder: client.attachments.stream(ID).__aenter__(),
    "categories": lambda client, folder: client.categories.list(),
    "tags": lambda client, folder: client.tags.list(),
    "history": lambda client, folder: client.tickets.history(),
    "get": lambda client, folder: client.tickets.get(1),
    "create": lambda client, folder: client.tickets.create(**TICKET, attachment=b"canary-file"),
    "reply": lambda client, folder: client.tickets.reply(1, "x", attachment=b"canary-file"),
    "update": lambda client, folder: client.tickets.update(1, tags=[1]),
    "close": lambda client, folder: client.tickets.close(1),
    "login": lambda client, folder: client.login("user", "canary-password"),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
async def test_a_redirect_to_another_host_is_not_followed(
    folder: Path, tmp_path: Path, call: str, status: int
) -> None:
    async with serving(seen) as other:
        moved = answer(b"", f"Location: {other.url}/x/", status=f"{status} Moved")
        async with serving(says(moved)) as served:
            wanted = settings_for(served.url, TOKEN, apikey=APIKEY, max_connections=1)
            async with SupportClient(**wanted) as client:
                with nothing_changes(tmp_path), pytest.raises(HelpdeskError) as caught:
                    await CALLS[call](client, folder)
                with pytest.raises(HelpdeskError):  # the slot is free
                    await client.categories.list()
        assert (other.connections, other.heads) == (0, [])
    error = caught.value
    # "The answer is elsewhere" may follow a write that was carried out.
    doubtful = error.effect == "write"
    assert type(error) is (UnreadableReplyError if doubtful else RedirectedError)
    assert other.url in str(error)
    assert not re.search("canary", str(error))
    assert len(error.attempts) == 1
    assert len(served.heads) == 2


@pytest.mark.parametrize(
    "location",
    [
        "",
        "//elsewhere.invalid/x",
        "/x/",
        "javascript:x",
        "http://[",
        "\udcff",
        "http://u:canary@h/",
    ],
)
async def test_any_other_redirect_is_not_followed(folder: Path, location: str) -> None:
    moved = answer(b"", f"Location: {location}", status="307 Moved")
    async with serving(says(moved)) as served:
        async with SupportClient(**settings_for(served.url)) as client:
            with pytest.raises(RedirectedError) as caught:
                await client.attachments.download(ID, folder)
    assert len(served.heads) == 1
    assert "canary" not in str(caught.value)
    assert tree(folder) == {}


async def test_refresh_headers_and_links_lead_nowhere(folder: Path) -> None:
    async with serving(seen) as other:
        script = says(
            answer(
                b"x",
                f"Refresh: 0; url={other.url}/",
                f"Link: <{other.url}/>; rel=preload",
                f"Content-Location: {other.url}/",
                f"Alt-Svc: http/1.1={other.url}",
                "Set-Cookie: canary=1; Path=/",
            )
        )
        async with serving(script) as served:
            async with SupportClient(**settings_for(served.url)) as client:
                for _ in range(2):
                    await client.attachments.download(ID, folder, overwrite=True)
        assert other.connections == 0
        assert all(b"cookie" not in head for head in served.heads)


# --- heads -------------------------------------------------------------------------------------

HEADS = {
    "no HTTP": b"\x15\x03\x03\x00\x02\x02\x28",
    "no end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "split": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n12345",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
    "strange status": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": b"",
}


@pytest.mark.parametrize("head", HEADS)
async def test_heads_that_are_none(folder: Path, tmp_path: Path, head: str) -> None:
    async with serving(says(HEADS[head])) as served:
        async with SupportClient(**settings_for(served.url, retry=ONCE)) as client:
            with nothing_changes(tmp_path), pytest.raises(HelpdeskError) as caught:
                await client.attachments.download(ID, folder)
    assert not caught.value.may_have_been_applied
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 226, 299])
@pytest.mark.parametrize("form", ["file", "stream"])
async def test_only_200_is_a_file(folder: Path, tmp_path: Path, form: str, status: int) -> None:
    """Half a file (206) was not asked for, "accepted" (202) is none, and neither is quoted."""
    body = b"" if status == 204 else b"canary"
    not_this = answer(body, "Content-Disposition: attachment", status=f"{status} Fine")
    async with serving(says(not_this, answer(b"x"))) as served:
        async with SupportClient(**settings_for(served.url, max_connections=1)) as client:
            with nothing_changes(tmp_path):
                with pytest.raises(UnreadableReplyError, match="not the requested file") as caught:
                    if form == "file":
                        await client.attachments.download(ID, folder)
                    else:
                        await client.attachments.stream(ID).__aenter__()
            await client.attachments.download(ID, folder)  # the slot is free
    assert caught.value.status == status
    assert not caught.value.may_have_been_applied
    assert len(caught.value.attempts) == 1
    assert "canary" not in str(caught.value)


PAGE = b"<html><head><title>Sign in</title></head><body><h1>Sign in</h1> first</body></html>"
ENVELOPE = b'{"status_code": 404, "errors": {"detail": "canary"}, "data": {}}'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", PAGE),
        ("Text/HTML; charset=utf-8", PAGE),
        ("application/xhtml+xml", PAGE),
        ("application/json", ENVELOPE),
        ("application/json; charset=utf-8", ENVELOPE),
        ("application/problem+json", ENVELOPE),
    ],
)
async def test_a_page_and_an_envelope_are_no_files_by_themselves(
    emulator: SupportEmulator, folder: Path, tmp_path: Path, kind: str, body: bytes
) -> None:
    async with client_of(emulator, max_connections=1) as client:
        emulator.downloads[ID] = EmulatorReply(200, body, kind)
        for _ in range(2):
            with nothing_changes(tmp_path), pytest.raises(UnreadableReplyError) as caught:
                await client.attachments.download(ID, folder)
            assert "not the requested file" in str(caught.value)
            assert "canary" not in str(caught.value)
            assert ("Sign in" in str(caught.value)) == kind.lower().startswith("text/html")
        for disposition in ("attachment", "inline; filename=a"):
            emulator.downloads[ID] = EmulatorReply(
                200, body, kind, (("Content-Disposition", disposition),)
            )
            path = await client.attachments.download(ID, folder / "genuine", overwrite=True)
            assert path.read_bytes() == body


@pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/zip", "text/csv", BINARY])
async def test_other_types_need_no_disposition(
    emulator: SupportEmulator, folder: Path, kind: str
) -> None:
    async with client_of(emulator) as client:
        emulator.downloads[ID] = EmulatorReply(200, PAGE, kind)
        assert (await client.attachments.download(ID, folder)).read_bytes() == PAGE


async def test_a_page_without_an_end_is_not_read_for_long(folder: Path, tmp_path: Path) -> None:
    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while True:
            writer.write(b"<p>page</p>" * 1000)
            await writer.drain()

    async with serving(script) as served:
        async with SupportClient(**settings_for(served.url, max_connections=1)) as client:
            for _ in range(2):
                with nothing_changes(tmp_path), pytest.raises(UnreadableReplyError, match="page"):
                    await client.attachments.download(ID, folder)
    assert len(served.heads) == 2


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_a_file_whose_end_is_only_the_end_of_the_connection(
    folder: Path, tmp_path: Path, version: str
) -> None:
    """A server that dies in the middle looks the same."""
    raw = answer(b"the first half", length="").replace(b"HTTP/1.1", version.encode())
    async with serving(says(raw)) as served:
        async with SupportClient(**settings_for(served.url, max_connections=1)) as client:
            with nothing_changes(tmp_path):
                with pytest.raises(UnreadableReplyError, match="cannot be told from a break"):
                    await client.attachments.download(ID, folder)
                with pytest.raises(UnreadableReplyError, match="cannot be told from a break"):
                    await client.attachments.stream(ID).__aenter__()
    assert len(served.heads) == 2


def test_blocking_calls_are_as_careful(folder: Path, tmp_path: Path) -> None:
    with (
        SupportEmulator().in_thread() as emulator,
        sync_client_of(emulator, max_connections=1) as client,
    ):
        hostile = {
            ReplyTooLargeError: EmulatorReply(200, b"x", BINARY, (), 10 * 2**30),
            RedirectedError: EmulatorReply(
                307, b"", headers=(("Location", "http://elsewhere.invalid/"),)
            ),
            NoReplyError: EmulatorReply(200, b"x", BINARY, (), 2),
        }
        for error, reply in hostile.items():
            emulator.downloads[ID] = reply
            with nothing_changes(tmp_path), pytest.raises(error):
                client.attachments.download(ID, folder)
        emulator.downloads[ID] = EmulatorReply(
            200, b"x", BINARY, (("Content-Disposition", "attachment; filename=../../etc/passwd"),)
        )
        assert client.attachments.download(ID, folder) == folder / "passwd"
