"""Files on their way up: what may be given, what goes out on the wire, what a failure says."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async._core.testing.forms import FormFile, read_multipart
from kapture_async._core.transport.bodies import form_body
from support_async import (
    AttachmentTooLargeError,
    HelpdeskError,
    InvalidInputError,
    NewTicket,
    NoReplyError,
    OutcomeUnknownError,
    Phase,
    SupportClient,
    ValidationError,
)
from support_async.events import RetryScheduled, TransportEvent
from support_async.files import MAX_ATTACHMENT_BYTES, read_attachment
from support_async.forms import create_form
from support_async.testing import Fault, FaultPlan, SupportTwin

from .wire import (
    DONE,
    MIB,
    ONCE,
    TICKET,
    Served,
    answer,
    client_of,
    reset,
    serving,
    settings_for,
    sync_client_of,
)

RANDOM = random.Random(3).randbytes(2 * MIB + 1)
WHOLE = RANDOM[: 2 * MIB]


@pytest.fixture
async def twin() -> AsyncIterator[SupportTwin]:
    async with SupportTwin() as twin:
        yield twin


@pytest.fixture
async def client(twin: SupportTwin) -> AsyncIterator[SupportClient]:
    async with client_of(twin) as client:
        yield client


def sent(twin: SupportTwin) -> dict[str, Any]:
    """What the ledger says of the file of the last call that took effect."""
    found = twin.ledger.entries[-1].payload["attachment"]
    assert isinstance(found, dict)
    return found


def assert_sent(twin: SupportTwin, content: bytes, name: str) -> None:
    found = sent(twin)
    assert (found["name"], found["size"]) == (name, len(content))
    assert found["sha256"] == hashlib.sha256(content).hexdigest()


# --- there and back ----------------------------------------------------------------------------


async def test_a_file_comes_back_byte_for_byte(
    twin: SupportTwin, client: SupportClient, tmp_path: Path
) -> None:
    assert len(WHOLE) == MAX_ATTACHMENT_BYTES
    source = tmp_path / "from.bin"
    source.write_bytes(WHOLE)
    created = await client.tickets.create_and_find(**TICKET, attachment=source)
    assert created.ticket_id is not None
    await client.tickets.reply(created.ticket_id, "again", attachment=("b.bin", WHOLE))
    detail = await client.tickets.get(created.ticket_id)
    for attachment in detail.attachments:
        assert attachment.attachment_id is not None
        path = await client.attachments.download(attachment.attachment_id, tmp_path / "to.bin")
        assert path.read_bytes() == WHOLE
        path.unlink()
        async with client.attachments.stream(attachment.attachment_id) as download:
            assert await download.read() == WHOLE
    assert len(detail.attachments) == 2


def test_a_file_comes_back_byte_for_byte_without_asyncio(tmp_path: Path) -> None:
    source = tmp_path / "from.bin"
    source.write_bytes(WHOLE)
    with SupportTwin().in_thread() as twin, sync_client_of(twin) as client:
        created = client.tickets.create_and_find(**TICKET, attachment=source)
        assert created.ticket_id is not None
        client.tickets.reply(created.ticket_id, "again", attachment=("b.bin", WHOLE))
        detail = client.tickets.get(created.ticket_id)
        for attachment in detail.attachments:
            assert attachment.attachment_id is not None
            path = client.attachments.download(attachment.attachment_id, tmp_path / "to.bin")
            assert path.read_bytes() == WHOLE
            path.unlink()
            with client.attachments.stream(attachment.attachment_id) as download:
                assert download.read() == WHOLE
        assert len(detail.attachments) == 2


# --- how large ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2 * MIB - 1, 2 * MIB])
async def test_every_size_that_is_allowed(
    twin: SupportTwin, client: SupportClient, size: int
) -> None:
    await client.tickets.create(**TICKET, attachment=("a.bin", RANDOM[:size]))
    assert_sent(twin, RANDOM[:size], "a.bin")


async def test_an_empty_file_is_for_the_service_to_refuse(
    twin: SupportTwin, client: SupportClient
) -> None:
    with pytest.raises(ValidationError) as caught:
        await client.tickets.create(**TICKET, attachment=b"")
    assert caught.value.fields == {"attachment": ("The submitted file is empty.",)}
    assert len(twin.ledger) == 0


@pytest.mark.parametrize("kind", ["bytes", "path", "open file", "no seek"])
async def test_one_byte_too_many_is_not_sent(
    twin: SupportTwin, client: SupportClient, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(RANDOM)
    with source.open("rb") as opened:
        given: dict[str, Any] = {
            "bytes": RANDOM,
            "path": source,
            "open file": opened,
            "no seek": OnlyRead(RANDOM),
        }
        with pytest.raises(InvalidInputError, match=r"2,097,15[23].* are allowed") as caught:
            await client.tickets.reply(twin.seed(), "x", attachment=given[kind])
        assert opened.tell() == 0
    assert caught.value.fields == {"attachment": ("is too large",)}
    assert "Nothing was sent" in str(caught.value)
    assert not twin.requests


async def test_where_more_is_allowed_the_service_itself_may_refuse(twin: SupportTwin) -> None:
    async with client_of(twin, max_attachment_bytes=len(RANDOM)) as client:
        with pytest.raises(AttachmentTooLargeError) as caught:
            await client.tickets.create(**TICKET, attachment=RANDOM)
    assert caught.value.status == 400
    assert caught.value.fields == {"attachment": ("File is too big. Max filesize: 2MiB.",)}
    assert "Make the attachment smaller" in str(caught.value)
    assert len(twin.ledger) == 0


@pytest.mark.parametrize("where", ["create", "reply"])
async def test_a_proxy_may_refuse_what_is_allowed(where: str) -> None:
    async with SupportTwin(max_body=MIB) as twin, client_of(twin) as client:
        ticket_id = twin.seed()
        fields: dict[str, Any] = {
            **TICKET,
            "attachment": RANDOM[:MIB],
        }  # with the rest of the form: too much
        with pytest.raises(AttachmentTooLargeError, match="takes no more than 1 MiB") as caught:
            if where == "create":
                await client.tickets.create(**fields)
            else:
                await client.tickets.reply(ticket_id, "x", attachment=RANDOM[:MIB])
        assert caught.value.status == 413
        assert len(caught.value.attempts) == 1
        await client.tickets.create(**(fields | {"attachment": RANDOM[: MIB - 4096]}))
        assert len(twin.ledger) == 1


# --- what may be given -------------------------------------------------------------------------


class OnlyRead:
    """A file that can do nothing else."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._rest.read(size)


class Little(io.RawIOBase):
    """An unbuffered file, which gives as little at a time as it likes."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(memoryview(buffer)[:1000])


CONTENT = RANDOM[: 100 * 1024]
KINDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "text path": (str, "on disk.bin"),
    "path": (lambda path: path, "on disk.bin"),
    "path of bytes": (
        lambda path: [*os.scandir(os.fsencode(path.parent))].pop(),
        "on disk.bin",
    ),
    "bytes": (lambda path: CONTENT, "attachment"),
    "bytearray": (lambda path: bytearray(CONTENT), "attachment"),
    "memoryview": (lambda path: memoryview(CONTENT), "attachment"),
    "BytesIO": (lambda path: io.BytesIO(CONTENT), "attachment"),
    "open file": (lambda path: path.open("rb"), "on disk.bin"),
    "unbuffered": (lambda path: path.open("rb", buffering=0), "on disk.bin"),
    "descriptor": (lambda path: os.fdopen(os.open(path, os.O_RDONLY), "rb"), "attachment"),
    "little": (lambda path: Little(CONTENT), "attachment"),
    "only read": (lambda path: OnlyRead(CONTENT), "attachment"),
    "temporary": (lambda path: temporary(CONTENT), "attachment"),
    "named path": (lambda path: ("named.txt", path), "named.txt"),
    "named bytes": (lambda path: ("named.txt", CONTENT), "named.txt"),
    "named file": (lambda path: ("named.txt", path.open("rb")), "named.txt"),
}


def temporary(content: bytes) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the test closes it)
    file.write(content)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_that_may_be_given(
    twin: SupportTwin, client: SupportClient, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "on disk.bin").write_bytes(CONTENT)
    make, name = KINDS[kind]
    given = make(tmp_path / "on disk.bin")
    await client.tickets.create(**TICKET, attachment=given)
    assert_sent(twin, CONTENT, name)
    await client.tickets.create(NewTicket(subject="s", comment="c", category="3", priority="1"))
    assert "attachment" not in twin.ledger.entries[-1].payload
    file = given[1] if isinstance(given, tuple) else given
    if hasattr(file, "close"):
        assert not getattr(file, "closed", False)
        file.close()


@pytest.mark.parametrize("buffering", [-1, 0])
async def test_an_open_file_goes_from_where_it_stands_and_stays_there(
    twin: SupportTwin, client: SupportClient, tmp_path: Path, buffering: int
) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(CONTENT)
    with source.open("rb", buffering=buffering) as file:
        file.seek(1000)
        for _ in range(2):
            await client.tickets.create(**TICKET, attachment=file)
            assert_sent(twin, CONTENT[1000:], "a.bin")
            assert file.tell() == 1000
        assert not file.closed


async def test_a_pipe_is_read_to_its_end(twin: SupportTwin, client: SupportClient) -> None:
    ends = os.pipe()

    def write() -> None:
        with os.fdopen(ends[1], "wb") as pipe:
            pipe.write(WHOLE)  # many times what a pipe holds

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(ends[0], "rb") as pipe:
        await client.tickets.create(**TICKET, attachment=("piped.bin", pipe))
        assert not pipe.closed
    writer.join()
    assert_sent(twin, WHOLE, "piped.bin")


@pytest.mark.skipif(sys.platform != "linux", reason="reads a file in /proc")
async def test_a_file_that_has_more_than_its_size_says(
    twin: SupportTwin, client: SupportClient
) -> None:
    """As one that grows while it is read: the length that goes out is that of what was read."""
    source = Path("/proc/version")
    content = source.read_bytes()
    assert source.stat().st_size == 0 < len(content)
    await client.tickets.create(**TICKET, attachment=source)
    assert_sent(twin, content, source.name)
    async with client_of(twin, max_attachment_bytes=len(content) - 1) as strict:
        with pytest.raises(InvalidInputError, match="more than"):
            await strict.tickets.create(**TICKET, attachment=source)
    assert len(twin.ledger) == 1


# --- what may not ------------------------------------------------------------------------------


class Broken(io.RawIOBase):
    """A file on a drive that was pulled out."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(5, "Input/output error")


class Surprise:
    """A file that raises what nobody expects."""

    def read(self, size: int) -> bytes:
        raise LookupError("canary of a file")


class Coroutines:
    """A file of an async library."""

    def read(self, size: int) -> Any:
        return iter(())


def closed(path: Path) -> Any:
    file = io.BytesIO(b"x")
    file.close()
    return file


def fifo(path: Path) -> Path:
    os.mkfifo(path.parent / "fifo")
    return path.parent / "fifo"


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: path.parent / "none", "cannot be read: no such file or directory"),
    "folder": (lambda path: path.parent, "cannot be read: is a directory"),
    "device": (lambda path: "/dev/zero", "is no ordinary file; open it, and give the open file"),
    "pipe nobody writes to": (fifo, "is no ordinary file; open it, and give the open file"),
    "no rights": (lambda path: path.parent / "a\0b", r"cannot be read \(ValueError\)"),
    "broken": (lambda path: Broken(), "cannot be read: input/output error"),
    "surprise": (lambda path: Surprise(), r"cannot be read \(LookupError\)$"),
    "closed": (closed, "is a file that was closed"),
    "other mode": (lambda path: path.open("ab"), "is a file that was not opened for reading"),
    "no bytes": (lambda path: Coroutines(), "is a file that was not opened in binary mode"),
    "text mode": (lambda path: path.open("r"), "must be a path, bytes or an open binary file"),
    "text in memory": (lambda path: io.StringIO("x"), "must be a path, bytes or an open binary"),
    "number": (lambda path: 3, "must be a path, bytes or an open binary file, not int"),
    "empty path": (lambda path: "", "is an empty path"),
    "empty name": (lambda path: (" ", b"x"), "must be a pair of a name and its content"),
    "three": (lambda path: ("a", b"x", "text/plain"), "must be a pair of a name and its content"),
    "pair in a pair": (lambda path: ("a", ("b", b"x")), "must be a path, bytes or an open binary"),
    "nothing": (lambda path: ("a", None), "must be a path, bytes or an open binary file"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="has other files")
@pytest.mark.parametrize("kind", WRONG)
async def test_what_cannot_be_sent_is_refused_before_anything_is(
    twin: SupportTwin, client: SupportClient, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    make, words = WRONG[kind]
    wrong = make(tmp_path / "a.bin")
    ticket_id = twin.seed()
    for call in (
        lambda: client.tickets.create(**TICKET, attachment=wrong),
        lambda: client.tickets.reply(ticket_id, "x", attachment=wrong),
    ):
        with pytest.raises(InvalidInputError) as caught:
            await asyncio.wait_for(call(), 5)
        assert re.search(words, caught.value.message)
        assert "canary" not in str(caught.value)
    assert not twin.requests
    if hasattr(wrong, "close"):
        wrong.close()


async def test_a_pipe_that_has_nothing_yet_is_not_taken_for_its_end(
    twin: SupportTwin, client: SupportClient
) -> None:
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    with os.fdopen(ends[0], "rb", buffering=0) as pipe, os.fdopen(ends[1], "wb", 0) as other:
        other.write(b"the first half")
        with pytest.raises(InvalidInputError, match="does not wait for its data"):
            await client.tickets.create(**TICKET, attachment=pipe)
    assert not twin.requests


async def test_in_a_push_a_file_that_cannot_be_read_is_its_own_row_s_problem(
    twin: SupportTwin, client: SupportClient, tmp_path: Path
) -> None:
    files = [b"x", tmp_path, closed(tmp_path), tmp_path / "none", RANDOM, b"y"]
    async with client.tickets.push([{**TICKET, "attachment": file} for file in files]) as outcomes:
        kinds = {outcome.index: outcome.name async for outcome in outcomes}
    assert [kinds[index] for index in sorted(kinds)] == [
        "accepted",
        *["not_sent"] * 4,
        "accepted",
    ]
    assert len(twin.ledger) == 2


@pytest.mark.parametrize(
    "call",
    ["create", "reply"],
)
async def test_a_file_that_is_refused_does_not_show_in_tracebacks(
    client: SupportClient, call: str
) -> None:
    secret = b"canary of a file "
    content = secret * (2 * MIB // len(secret) + 1)
    for file in (content, io.BytesIO(content)):
        with pytest.raises(InvalidInputError) as caught:
            if call == "create":
                await client.tickets.create(**TICKET, attachment=file)
            else:
                await client.tickets.reply(1, "x", attachment=file)
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        for frame in told.stack:
            if frame.filename == __file__:
                frame.locals = None
        assert "canary" not in "".join(told.format())


# --- on the wire -------------------------------------------------------------------------------


async def test_a_form_has_a_length_and_no_empty_fields(
    twin: SupportTwin, client: SupportClient
) -> None:
    ticket_id = twin.seed(tags=[1])
    await client.tickets.create(**TICKET)
    await client.tickets.create(**TICKET, attachment=("a.bin", WHOLE))
    await client.tickets.reply(ticket_id, "x")
    await client.tickets.update(ticket_id, tags=[2, 3, 1, 3])
    await client.tickets.update(ticket_id, tags=[3], priority="2")
    await client.tickets.close(ticket_id)
    expected = [
        [*["subject", "priority", "comment", "category"]],
        [*["subject", "priority", "comment", "category", "attachment"]],
        ["ticket", "comment"],
        ["ticket_id", "tags", "tags", "tags"],
        ["ticket_id", "priority", "tags"],
        ["ticket", "status"],
    ]
    found = []
    for request in twin.received:
        assert request.method == "POST"
        assert int(request.headers["Content-Length"]) == len(request.body) > 0
        assert "Transfer-Encoding" not in request.headers
        assert "Expect" not in request.headers
        assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
        form = read_multipart(request.body, request.headers["Content-Type"])
        assert all(value != "" for name in form for value in form.values(name))
        found.append([n.decode() for n in re.findall(rb'form-data; name="(\w+)"', request.body)])
    assert found == expected
    assert twin.ledger.of("tickets.update")[0].payload["tags"] == ["2", "3", "1"]


NAMES = {
    "plain.txt": "plain.txt",
    "résumé 日本語 \N{GRINNING FACE}.txt": "résumé 日本語 \N{GRINNING FACE}.txt",
    'quo"ted".txt': "quo_ted_.txt",
    "100%25 ;=',.txt": "100%25 ;=',.txt",
    "../../etc/passwd": "passwd",
    "C:\\dir\\sample.txt": "sample.txt",
    'a\r\nContent-Type: text/html\r\n\r\n<b>"': "html____<b>_",
    "..": "attachment",
    "\x80\u200b": "attachment",
    "dir/": "file",
    "no UTF-8 \udce9.txt": "no UTF-8 _.txt",
    "&amp; &#47; x.txt": "_amp; _#47; x.txt",
    "AT&T.txt": "AT&T.txt",
    "x" * 300 + ".txt": "x" * 96 + ".txt",
    "é" * 300: "é" * 100,
    "x." + "y" * 300: "x." + "y" * 98,
}


@pytest.mark.parametrize("name", NAMES)
async def test_names_as_the_service_keeps_them(
    twin: SupportTwin, client: SupportClient, name: str
) -> None:
    await client.tickets.create(**TICKET, attachment=(name, b"content"))
    assert_sent(twin, b"content", NAMES[name])
    head = twin.received[-1].body.partition(b'name="attachment"')[2].partition(b"\r\n\r\n")[0]
    # One line for the name, which is as it is shown; one for the type; no other.
    assert head.decode().split("\r\n")[0] == f'; filename="{NAMES[name]}"'
    assert len(head.split(b"\r\n")) == 2


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1) | st.text("&#x2f47;./ \\lt", min_size=1))
def test_no_name_leaves_its_place(name: str) -> None:
    """Whatever the name, the form holds one file with that content, and nothing else new."""
    if not name.strip():
        return
    file = asyncio.run(read_attachment((name, b"content"), 100))
    ticket = NewTicket(subject="s", comment="c", category="3", priority="1")
    body = form_body(create_form(ticket, file))
    form = read_multipart(b"".join(body.segments), body.content_type)
    assert sorted(form) == ["attachment", "category", "comment", "priority", "subject"]
    kept = form.last("attachment")
    assert isinstance(kept, FormFile)
    assert kept.content == b"content"
    assert 0 < len(kept.name) <= 100
    assert not set(kept.name) & set('/\\"\r\n\0')


async def test_told_to_wait_the_same_bytes_go_again(twin: SupportTwin, tmp_path: Path) -> None:
    twin.faults = FaultPlan.script([Fault("status", status=429, retry_after="0")])
    source = tmp_path / "a.bin"
    source.write_bytes(WHOLE)

    def change(event: TransportEvent) -> None:
        if isinstance(event, RetryScheduled):
            source.write_bytes(b"changed meanwhile")

    async with client_of(twin, on_event=change) as client:
        await client.tickets.create(**TICKET, attachment=source)
    first, second = twin.received
    assert first.body == second.body
    assert source.read_bytes() == b"changed meanwhile"
    assert_sent(twin, WHOLE, "a.bin")


async def test_after_a_refused_connection_all_of_it_goes_out(twin: SupportTwin) -> None:
    """Out of a pipe, which can be read only once."""
    twin.stop_listening()
    tries = []

    def up_again(event: TransportEvent) -> None:
        if isinstance(event, RetryScheduled):
            tries.append(event.number)
            twin.listen_again()

    ends = os.pipe()
    with os.fdopen(ends[1], "wb") as pipe:
        pipe.write(CONTENT[:4096])
    with os.fdopen(ends[0], "rb") as pipe:
        async with client_of(twin, on_event=up_again) as client:
            await client.tickets.create(**TICKET, attachment=("piped.bin", pipe))
    assert tries == [1]
    assert_sent(twin, CONTENT[:4096], "piped.bin")
    assert len(twin.received) == 1


# --- broken off --------------------------------------------------------------------------------


async def test_broken_off_while_the_file_is_under_way() -> None:
    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        await reader.readexactly(1000)
        reset(writer)

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_attachment_bytes=16 * MIB)
        async with SupportClient(**wanted) as client:
            with pytest.raises(NoReplyError, match="possibly too large") as caught:
                await client.tickets.create(**TICKET, attachment=bytes(16 * MIB))
    assert caught.value.phase is Phase.SENDING
    assert caught.value.may_have_been_applied
    assert len(caught.value.attempts) == len(served.heads) == 1


@pytest.mark.parametrize("fault", ["reset_early", "reset_before", "close_before"])
async def test_broken_off_when_the_file_is_in_the_hands_of_the_system(
    twin: SupportTwin, client: SupportClient, fault: str
) -> None:
    """The system takes a file of 2 MiB whole before the other side has read any of it."""
    with pytest.raises(NoReplyError, match="possibly too large"):
        await client.tickets.create(**TICKET, attachment=WHOLE, headers=Fault(fault).headers())


@pytest.mark.parametrize(
    "fault", ["reset_early", "reset_before", "reset_after", "close_after", "half_body"]
)
async def test_a_file_that_may_have_arrived_is_never_sent_again(
    twin: SupportTwin, client: SupportClient, fault: str
) -> None:
    twin.faults = FaultPlan.script([fault])
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.tickets.create(**TICKET, attachment=WHOLE)
    assert caught.value.may_have_been_applied
    assert "do not send it again blindly" in str(caught.value)
    assert sum(twin.requests.values()) == len(caught.value.attempts) == 1
    assert len(twin.ledger) == Fault(fault).executes


async def test_without_a_file_nothing_is_said_of_its_size(
    twin: SupportTwin, client: SupportClient
) -> None:
    with pytest.raises(NoReplyError) as caught:
        await client.tickets.create(**TICKET, headers=Fault("reset_early").headers())
    assert "too large" not in str(caught.value)


TOO_LARGE = answer(b"<html>413</html>", status="413 Request Entity Too Large")


@pytest.mark.parametrize("then", ["reads on", "waits", "leaves"])
async def test_413_that_comes_before_the_file_is_out(then: str) -> None:
    """The answer counts, and what is left of the upload spoils no other call."""

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await served.head(reader)
        if b"/create/" not in head:
            writer.write(answer(b'{"status_code":200,"errors":{},"data":{"CategoryList":[]}}'))
            return
        writer.write(TOO_LARGE)
        await writer.drain()
        if then == "leaves":
            writer.write_eof()  # lingering, as proxies do
        if then != "waits":
            while await reader.read(MIB):
                pass
        else:
            await asyncio.Event().wait()

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_attachment_bytes=8 * MIB)
        async with SupportClient(**wanted) as client:
            with pytest.raises(AttachmentTooLargeError) as caught:
                await client.tickets.create(**TICKET, attachment=bytes(8 * MIB))
            assert await client.categories.list() == []
    assert caught.value.status == 413
    assert [b"/create/" in head for head in served.heads] == [True, False]


async def test_413_from_a_proxy_that_does_not_linger() -> None:
    """The network may swallow the answer: then it is a doubt, and says what it may be."""

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        writer.write(TOO_LARGE)
        await writer.drain()
        reset(writer)

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_attachment_bytes=16 * MIB)
        async with SupportClient(**wanted) as client:
            with pytest.raises(HelpdeskError) as caught:
                await client.tickets.create(**TICKET, attachment=bytes(16 * MIB))
    if not isinstance(caught.value, AttachmentTooLargeError):
        assert isinstance(caught.value, NoReplyError)
        assert "possibly too large" in str(caught.value)
    assert len(served.heads) == 1


async def test_cancelled_while_the_file_is_under_way() -> None:
    """The slot and the connection are free again at once."""
    arrived = asyncio.Event()

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(served.heads) == 0:
            await served.head(reader)
            arrived.set()
            await asyncio.Event().wait()
        await served.request(reader)
        writer.write(DONE)

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_connections=1, max_attachment_bytes=16 * MIB)
        async with SupportClient(**wanted) as client:
            call = asyncio.ensure_future(
                client.tickets.create(**TICKET, attachment=bytes(16 * MIB))
            )
            await arrived.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await client.tickets.create(**TICKET)
    assert len(served.heads) == 2


async def test_closing_the_client_does_not_wait_for_a_server_that_stopped_reading() -> None:
    arrived = asyncio.Event()

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        arrived.set()
        await asyncio.Event().wait()

    async with serving(script, buffer=4096) as served:
        client = SupportClient(**settings_for(served.url, max_attachment_bytes=16 * MIB))
        call = asyncio.ensure_future(client.tickets.create(**TICKET, attachment=bytes(16 * MIB)))
        try:
            await arrived.wait()
            async with asyncio.timeout(5):  # less than the time for a call
                await client.aclose()
                with pytest.raises(OutcomeUnknownError):
                    await call
        finally:
            call.cancel()
            await asyncio.wait([call])


async def test_many_at_once_through_few_connections(twin: SupportTwin) -> None:
    contents = [random.Random(number).randbytes(300 * 1024) for number in range(20)]
    async with client_of(twin, max_connections=4, retry=ONCE) as client:
        await asyncio.gather(
            *(
                client.tickets.create(**TICKET, attachment=(f"{number}.bin", content))
                for number, content in enumerate(contents)
            )
        )
    stored = {entry.payload["attachment"]["name"]: entry.payload for entry in twin.ledger}
    for number, content in enumerate(contents):
        found = stored[f"{number}.bin"]["attachment"]
        assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert twin.connections_total <= 4
