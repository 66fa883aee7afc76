"""Files on their way down: to a file, to a folder, as a stream; and nothing left of half ones."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from support_async import (
    AuthenticationError,
    ClientStateError,
    DownloadProgress,
    HelpdeskError,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    NotSentTimeoutError,
    PermissionDeniedError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    RetryPolicy,
    ServerError,
    SupportClient,
    Timeout,
)
from support_async.testing import Fault, FaultPlan, SupportTwin, TwinReply, TwinRequest

from .wire import (
    MIB,
    ONCE,
    Served,
    answer,
    client_of,
    not_as_root,
    nothing_changes,
    serving,
    settings_for,
    sync_client_of,
    tree,
)

CONTENT = random.Random(5).randbytes(2 * MIB)
ID = "7"
BINARY = "application/octet-stream"


@pytest.fixture
async def twin() -> AsyncIterator[SupportTwin]:
    async with SupportTwin() as twin:
        twin.downloads[ID] = a_file()
        yield twin


@pytest.fixture
async def client(twin: SupportTwin) -> AsyncIterator[SupportClient]:
    async with client_of(twin) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, alone in its parent: what escapes from it would be seen."""
    path = tmp_path / "parent" / "folder"
    path.mkdir(parents=True)
    return path


def a_file(body: bytes = CONTENT, disposition: str | None = None, **more: Any) -> TwinReply:
    headers = () if disposition is None else (("Content-Disposition", disposition),)
    return TwinReply(200, body, BINARY, headers, **more)


def slow(**more: Any) -> TwinReply:
    """A file that comes in pieces, a millisecond apart."""
    return a_file(piece=64 * 1024, pause=0.001, **more)


class Stuck:
    """A server whose files stop in the middle; counts the clients that came and left."""

    def __init__(self) -> None:
        self.came = self.left = 0

    async def __call__(
        self, served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        self.came += 1
        writer.write(answer(CONTENT[:MIB], length=2 * MIB))
        with suppress(ConnectionError):
            while await reader.read(1):
                pass
        self.left += 1

    async def all_left(self) -> None:
        async with asyncio.timeout(5):
            while self.left < self.came:
                await asyncio.sleep(0.001)


async def all_gone(twin: SupportTwin) -> None:
    """Wait until the twin has seen that no connection is left."""
    async with asyncio.timeout(5):
        while twin.connections_open:
            await asyncio.sleep(0.001)


# --- where it goes -----------------------------------------------------------------------------


async def test_to_a_file(twin: SupportTwin, client: SupportClient, folder: Path) -> None:
    twin.downloads[ID] = a_file(disposition='attachment; filename="theirs.bin"')
    for to in (folder / "mine.bin", f"{folder}/mine too.bin"):
        path = await client.attachments.download(int(ID), to)
        assert path == Path(to)
    assert tree(folder.parent) == {
        "folder": "folder",
        "folder/mine.bin": CONTENT,
        "folder/mine too.bin": CONTENT,
    }


async def test_the_twin_gives_the_name_that_was_sent(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    name = "Grüße 日本.txt"
    file_id = twin.seed_attachment(twin.seed(), name, b"x")
    assert await client.attachments.download(file_id, folder) == folder / name
    [request] = twin.received
    assert request.method == "GET"
    assert request.path == f"/support/ticket/download/{file_id}/"
    assert request.body == b""
    assert request.headers["Accept"] == "*/*"
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Transfer-Encoding" not in request.headers


DISPOSITIONS = {
    'attachment; filename="plain.txt"': "plain.txt",
    "attachment; filename=plain.txt": "plain.txt",
    'inline; FileName = "plain.txt" ; size=3': "plain.txt",
    "attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.txt": "grüße.txt",
    "attachment; filename=\"a.txt\"; filename*=UTF-8'de'gr%C3%BC.txt": "grü.txt",
    "attachment; filename*=iso-8859-1''%e9.txt; filename=b.txt": "é.txt",
    "attachment; filename*=utf-8''%zz; filename=b.txt": "b.txt",
    'attachment; filename="quo\\"te\\\\d.txt"': "d.txt",
    'attachment; filename="never closed.txt': "never closed.txt",
    'attachment; filename=""': "attachment-7",
    "attachment": "attachment-7",
    "": "attachment-7",
    None: "attachment-7",
}


@pytest.mark.parametrize("disposition", DISPOSITIONS)
async def test_to_a_folder_under_the_name_that_the_service_gives(
    twin: SupportTwin, client: SupportClient, folder: Path, disposition: str | None
) -> None:
    twin.downloads[ID] = a_file(b"x", disposition)
    name = DISPOSITIONS[disposition]
    assert await client.attachments.download(ID, folder) == folder / name
    assert await client.attachments.download(ID, f"{folder}/", overwrite=True) == folder / name
    async with client.attachments.stream(ID) as download:
        assert download.filename == name
    assert tree(folder.parent) == {"folder": "folder", f"folder/{name}": b"x"}


async def test_what_is_there_is_left_alone(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    twin.downloads[ID] = a_file(disposition="attachment; filename=a.bin")
    (folder / "a.bin").write_bytes(b"old")
    with nothing_changes(folder.parent):
        with pytest.raises(InvalidInputError, match="is there already"):
            await client.attachments.download(ID, folder / "a.bin")
        assert not twin.requests
        with pytest.raises(FileExistsError, match="left alone"):
            await client.attachments.download(ID, folder)
    await client.attachments.download(ID, folder / "a.bin", overwrite=True)
    await client.attachments.download(ID, folder, overwrite=True)
    assert tree(folder) == {"a.bin": CONTENT}


async def test_what_appears_during_the_download_is_left_alone(
    client: SupportClient, folder: Path
) -> None:
    def appear(progress: DownloadProgress) -> None:
        (folder / "a.bin").write_bytes(b"somebody else's")

    with pytest.raises(FileExistsError, match="appeared during the download"):
        await client.attachments.download(ID, folder / "a.bin", on_progress=appear)
    assert tree(folder) == {"a.bin": b"somebody else's"}


async def test_a_symbolic_link_is_not_followed(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    twin.downloads[ID] = a_file(disposition="attachment; filename=a.bin")
    victim = folder.parent / "victim"
    victim.write_bytes(b"victim")
    (folder / "a.bin").symlink_to(victim)
    with nothing_changes(folder.parent):
        for to in (folder, folder / "a.bin"):
            with pytest.raises((InvalidInputError, FileExistsError)):
                await client.attachments.download(ID, to)
    await client.attachments.download(ID, folder, overwrite=True)
    assert tree(folder) == {"a.bin": CONTENT}
    assert victim.read_bytes() == b"victim"


@pytest.mark.parametrize("to", ["none/a.bin", "none/", "a file/b.bin", "", "a\0b"])
async def test_no_place_for_it(
    twin: SupportTwin, client: SupportClient, folder: Path, to: str
) -> None:
    (folder / "a file").write_bytes(b"")
    with nothing_changes(folder.parent):
        with pytest.raises(InvalidInputError, match=r"cannot save|saved to a path"):
            await client.attachments.download(ID, f"{folder}/{to}" if to else "")
    assert not twin.requests


@pytest.mark.parametrize("attachment_id", ["", ".", "..", "a/b", " ", True, -1, 1.5, None])
async def test_no_id(
    twin: SupportTwin, client: SupportClient, folder: Path, attachment_id: Any
) -> None:
    """Either it is refused here, or it stays one part of the path."""
    with pytest.raises((InvalidInputError, NotFoundError)):
        await client.attachments.download(attachment_id, folder)
    assert all(path.startswith("/support/ticket/download/") for path in twin.requests)
    assert tree(folder) == {}


async def test_what_the_service_does_not_give(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    foreign = twin.seed_attachment(twin.seed(author="other@example.com"), "a.txt", b"x")
    with nothing_changes(folder.parent):
        for file_id in ("999", foreign):
            with pytest.raises(NotFoundError):
                await client.attachments.download(file_id, folder)
            with pytest.raises(NotFoundError):
                async with client.attachments.stream(file_id):
                    pass
        twin.downloads[ID] = TwinReply(403, b'{"detail":"no"}')
        with pytest.raises(PermissionDeniedError):
            await client.attachments.download(ID, folder)


async def test_a_file_may_look_like_an_answer(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    body = b'{"status_code":401,"errors":{"detail":"x"},"data":{}}'
    named = (("Content-Disposition", "attachment"),)
    twin.downloads[ID] = TwinReply(200, body, headers=named)
    path = await client.attachments.download(ID, folder / "a.json")
    assert path.read_bytes() == body
    assert sum(twin.requests.values()) == 1


# --- the stream --------------------------------------------------------------------------------


async def test_a_stream_tells_of_itself(twin: SupportTwin, client: SupportClient) -> None:
    twin.downloads[ID] = slow(disposition="attachment; filename=../a.bin")
    download = client.attachments.stream(ID)
    for name in ("filename", "size", "content_type"):
        with pytest.raises(ClientStateError, match="has not begun"):
            getattr(download, name)
    with pytest.raises(ClientStateError, match="has not begun"):
        await download.next_chunk()
    assert not twin.requests
    async with download:
        assert (download.filename, download.size) == ("a.bin", 2 * MIB)
        assert (download.content_type, download.received) == (BINARY, 0)
        got = []
        async for chunk in download:
            got.append(chunk)
            assert download.received == sum(map(len, got))
            assert 0 < len(chunk) <= 256 * 1024  # as it arrives, not all at once
        assert b"".join(got) == CONTENT
        assert len(got) > 8
        assert await download.next_chunk() is None
        assert await download.read() == b""
    assert (download.filename, download.received) == ("a.bin", 2 * MIB)
    with pytest.raises(ClientStateError, match="runs once"):
        await download.__aenter__()


async def test_a_stream_may_be_closed_at_any_time(client: SupportClient) -> None:
    never_begun = client.attachments.stream(ID)
    await never_begun.aclose()
    with pytest.raises(ClientStateError):
        await never_begun.__aenter__()
    async with client.attachments.stream(ID) as download:
        await download.next_chunk()
        await download.aclose()
        await download.aclose()
    await download.aclose()


async def test_half_a_file_never_looks_whole(twin: SupportTwin, client: SupportClient) -> None:
    """Closed or broken off: reading on does not end as if that had been all."""
    async with client.attachments.stream(ID) as download:
        await download.next_chunk()
        await download.aclose()
        with pytest.raises(ClientStateError):
            await download.read()
    twin.downloads[ID] = slow(length=3 * MIB)
    async with client.attachments.stream(ID) as download:
        for _ in range(2):
            with pytest.raises(NoReplyError):
                await download.read()


async def test_an_interrupted_read_loses_nothing(twin: SupportTwin, client: SupportClient) -> None:
    twin.downloads[ID] = a_file(CONTENT[:20_000], piece=1000, pause=0.002)
    got = b""
    async with client.attachments.stream(ID) as download:
        while True:
            with anyio.move_on_after(0.001):
                chunk = await download.next_chunk()
                if chunk is None:
                    break
                got += chunk
    assert got == CONTENT[:20_000]


async def test_the_time_for_a_call_ends_with_the_head(
    twin: SupportTwin, leap: Callable[[float], None]
) -> None:
    """What a stream takes is its reader's own affair; a file has one time for everything."""
    twin.downloads[ID] = a_file(CONTENT[:100], piece=10, pause=0.003)
    async with client_of(twin, timeout=Timeout(total=20), retry=ONCE) as client:
        async with client.attachments.stream(ID) as download:
            leap(20)
            assert await download.read() == CONTENT[:100]


# --- progress ----------------------------------------------------------------------------------


async def test_progress(twin: SupportTwin, client: SupportClient, folder: Path) -> None:
    seen: list[DownloadProgress] = []
    twin.downloads[ID] = slow()
    await client.attachments.download(ID, folder, on_progress=seen.append)
    received = [step.received for step in seen]
    assert received[0] == 0
    assert received[-1] == 2 * MIB
    assert received == sorted(set(received))
    assert len(received) > 8
    assert {step.size for step in seen} == {2 * MIB}


async def test_progress_begins_again_with_the_transfer(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    seen: list[DownloadProgress] = []
    replies = iter([slow(length=3 * MIB), a_file(b"the second is another file")])
    twin.downloads[ID] = lambda request: next(replies)
    path = await client.attachments.download(ID, folder, on_progress=seen.append)
    assert path.read_bytes() == b"the second is another file"
    zeros = [place for place, step in enumerate(seen) if step.received == 0]
    assert zeros == [0, len(seen) - 2]
    assert [step.size for step in seen][:: len(seen) - 1] == [3 * MIB, 26]


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), OSError(5, "mine")])
async def test_an_observer_that_fails_ends_it(
    twin: SupportTwin, folder: Path, error: Exception
) -> None:
    def fail(progress: DownloadProgress) -> None:
        if progress.received:
            raise error

    async with client_of(twin, max_connections=1, timeout=None) as client:
        with pytest.raises(type(error), match="mine"):
            await client.attachments.download(ID, folder, on_progress=fail)
        assert tree(folder) == {}
        await all_gone(twin)
        await client.attachments.download(ID, folder)


# --- begun again -------------------------------------------------------------------------------


async def test_a_transfer_that_broke_off_is_begun_again(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    twin.faults = FaultPlan.script(["half_body", Fault("wrong_length", delta=1000)])
    path = await client.attachments.download(ID, folder)
    assert path.read_bytes() == CONTENT
    assert sum(twin.requests.values()) == 3
    assert tree(folder) == {path.name: CONTENT}


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_silence_in_the_middle_is_given_up_in_the_end(
    folder: Path, leap: Callable[[float], None], attempts: int
) -> None:
    stuck = Stuck()
    loop = asyncio.get_running_loop()

    def note(progress: DownloadProgress) -> None:
        if progress.received == MIB:  # and no more will come
            loop.call_later(0.001, leap, 10)

    retry = RetryPolicy(attempts=attempts, first_wait=0.001)
    async with (
        serving(stuck) as served,
        SupportClient(**settings_for(served.url, timeout=Timeout(read=10), retry=retry)) as client,
    ):
        with pytest.raises(ReplyTimeoutError, match="stopped arriving") as caught:
            await client.attachments.download(ID, folder, on_progress=note)
        await stuck.all_left()
    assert [one.number for one in caught.value.attempts] == [*range(1, attempts + 1)]
    assert stuck.came == served.connections == attempts
    assert "It is safe to ask again" in str(caught.value)
    assert not caught.value.may_have_been_applied
    assert tree(folder) == {}


async def test_tries_are_counted_over_all_transfers(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    """Three tries are three, whether they end before the file begins or in its middle."""
    unavailable = Fault("status", status=503)
    twin.faults = FaultPlan.script([unavailable, "half_body", "half_body", "half_body"])
    with pytest.raises(NoReplyError) as caught:
        await client.attachments.download(ID, folder)
    assert [one.status for one in caught.value.attempts] == [503, 200, 200]
    assert sum(twin.requests.values()) == 3
    twin.faults = FaultPlan.script(["half_body", unavailable, unavailable, unavailable])
    with pytest.raises(ServerError) as late:
        await client.attachments.download(ID, folder)
    assert sum(twin.requests.values()) == 6
    assert len(late.value.attempts) == 3
    assert tree(folder) == {}


@pytest.mark.parametrize("fault", ["reset_before", "close_before"])
async def test_no_request_goes_out_that_nobody_counts(
    twin: SupportTwin, client: SupportClient, folder: Path, fault: str
) -> None:
    twin.faults = FaultPlan.rate(1, kinds=[fault])
    with pytest.raises(NoReplyError) as caught:
        await client.attachments.download(ID, folder)
    assert sum(twin.requests.values()) == len(caught.value.attempts) == 3


async def test_one_time_for_everything(
    twin: SupportTwin, folder: Path, leap: Callable[[float], None]
) -> None:
    def note(progress: DownloadProgress) -> None:
        if 0 < progress.received < 2000:
            leap(20)

    twin.downloads[ID] = a_file(piece=1000, pause=0.02)  # a drip, never silent
    async with client_of(twin, timeout=Timeout(total=20), max_connections=1) as client:
        with pytest.raises(ReplyTimeoutError, match="whole within 20 seconds") as caught:
            await client.attachments.download(ID, folder, on_progress=note)
        assert (caught.value.operation, caught.value.effect) == ("attachments.download", "read")
        await all_gone(twin)
        assert tree(folder) == {}
        assert sum(twin.requests.values()) == 1
        twin.downloads[ID] = a_file()
        await client.attachments.download(ID, folder)


async def test_no_slot_is_no_doubt(twin: SupportTwin, folder: Path) -> None:
    async with client_of(twin, max_connections=1) as client:
        hasty = client.with_options(timeout=0.1)
        async with client.attachments.stream(ID):
            with pytest.raises(NotSentTimeoutError, match=r"asked for within 0\.1 seconds"):
                await hasty.attachments.download(ID, folder)
    assert sum(twin.requests.values()) == 1
    assert tree(folder) == {}


# --- an expired token --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["file", "stream"])
async def test_an_expired_token_is_replaced_once(
    twin: SupportTwin, folder: Path, form: str
) -> None:
    asked: list[str] = []

    async def provider() -> str:
        asked.append("asked")
        return twin.issue_token()

    expired = twin.issue_token(seconds=-60)
    async with client_of(twin, access_token=expired, token_provider=provider) as client:
        for _ in range(2):
            if form == "file":
                await client.attachments.download(ID, folder, overwrite=True)
            else:
                async with client.attachments.stream(ID) as download:
                    assert await download.read() == CONTENT
    assert asked == ["asked"]
    assert sum(twin.requests.values()) == 3


async def test_a_token_that_stays_bad_is_an_error(twin: SupportTwin, folder: Path) -> None:
    asked: list[str] = []

    def provider() -> str:
        asked.append("asked")
        return twin.issue_token(seconds=-60)

    async with client_of(
        twin, access_token=twin.issue_token(seconds=-60), token_provider=provider, max_connections=1
    ) as client:
        for count in (1, 2):
            with pytest.raises(AuthenticationError):
                await client.attachments.download(ID, folder)
            assert len(asked) == count
    assert tree(folder) == {}


# --- what is left: nothing ---------------------------------------------------------------------


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_cancelled_in_the_middle(twin: SupportTwin, folder: Path, how: str) -> None:
    twin.downloads[ID] = a_file(piece=300 * 1024, pause=0.01)
    arrived = asyncio.Event()

    def note(progress: DownloadProgress) -> None:
        if progress.received > MIB:
            arrived.set()

    async with client_of(twin, max_connections=1) as client:
        with anyio.CancelScope() as scope:
            call = asyncio.ensure_future(client.attachments.download(ID, folder, on_progress=note))
            await arrived.wait()
            assert len(tree(folder)) == 1  # the temporary file, which holds something by now
            if how == "task":
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            else:
                call.cancel()
                scope.cancel()
        await asyncio.wait([call])
        assert tree(folder) == {}
        await all_gone(twin)
        twin.downloads[ID] = a_file()
        assert (await client.attachments.download(ID, folder)).read_bytes() == CONTENT


async def test_cancelled_by_a_scope(twin: SupportTwin, folder: Path) -> None:
    twin.downloads[ID] = a_file(piece=300 * 1024, pause=0.01)
    async with client_of(twin, max_connections=1) as client:
        with anyio.CancelScope() as scope:

            def leave(progress: DownloadProgress) -> None:
                if progress.received > MIB:
                    scope.cancel()

            await client.attachments.download(ID, folder, on_progress=leave)
        assert scope.cancelled_caught
        assert tree(folder) == {}
        await all_gone(twin)
        twin.downloads[ID] = a_file()
        await client.attachments.download(ID, folder)


async def test_cancelled_at_any_moment(twin: SupportTwin, folder: Path) -> None:
    """After n turns of the loop, for every n: no part of a file, and the slot is free."""
    whole = 0
    async with client_of(twin, max_connections=1) as client:
        for turns in range(0, 120, 3):
            target = folder / f"{turns}.bin"
            call = asyncio.ensure_future(client.attachments.download(ID, target))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            found = tree(folder)
            assert found in ({}, {target.name: CONTENT}), (turns, list(found))
            whole += len(found)
            target.unlink(missing_ok=True)
            async with client.attachments.stream(ID) as download:
                await download.next_chunk()
    assert whole < 40


@pytest.mark.parametrize("how", ["break", "error", "closed", "cancelled", "not entered"])
async def test_a_stream_that_is_left_early(twin: SupportTwin, how: str) -> None:
    twin.downloads[ID] = slow()
    async with client_of(twin, max_connections=1) as client:
        for _ in range(3):
            await leave_early(client, how)
            await all_gone(twin)
        twin.downloads[ID] = a_file()
        async with client.attachments.stream(ID) as download:
            assert await download.read() == CONTENT


async def leave_early(client: SupportClient, how: str) -> None:
    if how == "not entered":
        client.attachments.stream(ID)
    elif how == "error":
        with pytest.raises(LookupError):
            async with client.attachments.stream(ID) as download:
                await download.next_chunk()
                raise LookupError
    elif how == "cancelled":
        with anyio.CancelScope() as scope:
            async with client.attachments.stream(ID) as download:
                await download.next_chunk()
                scope.cancel()
                await download.read()
    else:
        async with client.attachments.stream(ID) as download:
            async for _ in download:
                if how == "closed":
                    await download.aclose()
                break


async def test_a_slot_is_free_after_every_kind_of_failure(twin: SupportTwin, folder: Path) -> None:
    answers: dict[str, TwinReply] = {
        "404": TwinReply(404, b'{"detail":"none"}'),
        "page": TwinReply(500, b"<html>", "text/html"),
        "redirect": TwinReply(302, b"", headers=(("Location", "http://elsewhere.invalid/"),)),
        "too large": a_file(length=10 * 2**30),
        "short": slow(length=3 * MIB),
        "bad gzip": TwinReply(200, b"no gzip", BINARY, (("Content-Encoding", "gzip"),)),
        "taken": a_file(disposition="attachment; filename=taken"),
    }
    (folder / "taken").write_bytes(b"")
    async with client_of(twin, max_connections=1, retry=ONCE) as client:
        for reply in answers.values():
            twin.downloads[ID] = reply
            with pytest.raises((HelpdeskError, FileExistsError)):
                await client.attachments.download(ID, folder)
            assert tree(folder) == {"taken": b""}
        twin.downloads[ID] = a_file()
        async with asyncio.timeout(5):
            await client.attachments.download(ID, folder / "at last")


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """The system lets no file grow beyond ``size``."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits")
async def test_a_disk_that_is_full(twin: SupportTwin, folder: Path) -> None:
    (folder / "old").write_bytes(b"old")
    async with client_of(twin, max_connections=1) as client:
        with small_disk(MIB), nothing_changes(folder):
            for to, overwrite in ((folder, False), (folder / "old", True)):
                with pytest.raises(OSError) as caught:
                    await client.attachments.download(ID, to, overwrite=overwrite)
                assert caught.value.errno == errno.EFBIG
                assert not isinstance(caught.value, HelpdeskError)
        await all_gone(twin)
        assert sum(twin.requests.values()) == 2  # a full disk is no reason to ask again
        await client.attachments.download(ID, folder)


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
async def test_a_folder_that_cannot_be_written_to(twin: SupportTwin, client: SupportClient) -> None:
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        shared.chmod(0o555)
        with not_as_root():
            for to in (shared, shared / "a.bin"):
                with pytest.raises(InvalidInputError, match="cannot be written to"):
                    await client.attachments.download(ID, to)
        assert tree(shared) == {}
    assert not twin.requests


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such folder")
async def test_a_folder_that_takes_no_files(twin: SupportTwin) -> None:
    """Found out only when the file is made; the answer that is under way is let go of."""
    async with client_of(twin, max_connections=1) as client:
        for _ in range(2):
            with pytest.raises((OSError, InvalidInputError)):
                await client.attachments.download(ID, "/proc/self")
        await all_gone(twin)


async def test_no_handle_and_no_thread_is_left_waiting(twin: SupportTwin, folder: Path) -> None:
    async with client_of(twin) as client:
        await client.attachments.download(ID, folder / "first")
        await all_gone_but(twin, 1)
        before = open_handles()
        for number in range(10):
            await client.attachments.download(ID, folder / str(number))
            twin.faults = FaultPlan.script(["half_body"] * 3)
            with pytest.raises(NoReplyError):
                await client.attachments.download(ID, folder / "broken")
        await client.attachments.download(ID, folder / "last")
        await all_gone_but(twin, 1)
        assert open_handles() == before


def open_handles() -> int:
    return len(os.listdir("/dev/fd"))


async def all_gone_but(twin: SupportTwin, count: int) -> None:
    async with asyncio.timeout(5):
        while twin.connections_open != count:
            await asyncio.sleep(0.001)


# --- many at once ------------------------------------------------------------------------------


async def test_many_at_once_through_few_connections(twin: SupportTwin, folder: Path) -> None:
    contents = [random.Random(number).randbytes(200_000 + number) for number in range(20)]
    busy: list[int] = []

    def give(number: int) -> Any:
        def reply(request: TwinRequest) -> TwinReply:
            busy.append(twin.connections_open)
            return a_file(contents[number], piece=50_000, pause=0.002)

        return reply

    for number in range(20):
        twin.downloads[str(number)] = give(number)
    async with client_of(twin, max_connections=4) as client:
        paths = await asyncio.gather(
            *(client.attachments.download(number, folder) for number in range(20))
        )
    assert [path.read_bytes() for path in paths] == contents
    assert len(tree(folder)) == 20
    assert max(busy) == 4
    assert twin.connections_total == 4


async def test_many_to_one_name_make_one_file(
    twin: SupportTwin, client: SupportClient, folder: Path
) -> None:
    ends = await asyncio.gather(
        *(client.attachments.download(ID, folder) for _ in range(8)), return_exceptions=True
    )
    assert sorted(isinstance(end, Path) for end in ends) == [False] * 7 + [True]
    assert all(isinstance(end, (Path, FileExistsError)) for end in ends)
    assert tree(folder) == {"attachment-7": CONTENT}


async def test_the_client_is_closed_meanwhile(folder: Path) -> None:
    waits = asyncio.Event()

    def note(progress: DownloadProgress) -> None:
        if progress.received == MIB:  # and no more will come
            waits.set()

    async with serving(Stuck()) as served:
        client = SupportClient(**settings_for(served.url, timeout=None))
        call = asyncio.ensure_future(client.attachments.download(ID, folder, on_progress=note))
        try:
            await waits.wait()
            await asyncio.sleep(0)
            async with asyncio.timeout(5):
                await client.aclose()
                with pytest.raises(HelpdeskError):
                    await call
        finally:
            call.cancel()
            await asyncio.wait([call])
    assert tree(folder) == {}


# --- without asyncio ---------------------------------------------------------------------------


@pytest.fixture
def threaded() -> Iterator[SupportTwin]:
    with SupportTwin().in_thread() as twin:
        twin.downloads[ID] = slow(disposition="attachment; filename=../a.bin")
        yield twin


def test_blocking_download(threaded: SupportTwin, folder: Path) -> None:
    seen: list[DownloadProgress] = []
    with sync_client_of(threaded) as client:
        path = client.attachments.download(ID, folder, on_progress=seen.append)
        assert path == folder / "a.bin"
        assert seen[-1] == DownloadProgress(2 * MIB, 2 * MIB)
        with pytest.raises(FileExistsError):
            client.attachments.download(ID, folder)
        with pytest.raises(InvalidInputError):
            client.attachments.download(ID, folder / "none" / "a.bin")
        with pytest.raises(NotFoundError):
            client.attachments.download("999", folder)
    assert tree(folder.parent) == {"folder": "folder", "folder/a.bin": CONTENT}


def test_blocking_stream(threaded: SupportTwin) -> None:
    with sync_client_of(threaded, max_connections=1) as client:
        with client.attachments.stream(ID) as download:
            assert (download.filename, download.size) == ("a.bin", 2 * MIB)
            assert download.content_type == BINARY
            first = next(download)
            assert download.received == len(first)
            assert first + download.read() == CONTENT
            assert list(download) == []
        with client.attachments.stream(ID) as download:
            assert b"".join(download) == CONTENT
        with pytest.raises(ClientStateError, match="once"):
            download.__enter__()


@pytest.mark.parametrize("how", ["break", "error", "close"])
def test_blocking_stream_left_early(threaded: SupportTwin, how: str) -> None:
    with sync_client_of(threaded, max_connections=1) as client:
        for _ in range(3):
            try:
                with client.attachments.stream(ID) as download:
                    for _chunk in download:
                        if how == "error":
                            raise LookupError
                        if how == "close":
                            download.close()
                        break
            except LookupError:
                assert how == "error"
            with pytest.raises(ClientStateError, match="before its end"):
                download.read()
        assert threaded.connections_total == 3
        threaded.downloads[ID] = a_file()
        with client.attachments.stream(ID) as download:
            assert download.read() == CONTENT


def test_blocking_stream_that_breaks_off(threaded: SupportTwin, folder: Path) -> None:
    threaded.downloads[ID] = slow(length=3 * MIB)
    with sync_client_of(threaded, max_connections=1) as client:
        with client.attachments.stream(ID) as download:
            with pytest.raises(NoReplyError, match="broke off"):
                list(download)
            with pytest.raises(ClientStateError):
                download.read()
        with pytest.raises(NoReplyError):
            client.attachments.download(ID, folder)
        with pytest.raises(ReplyTooLargeError):
            client.attachments.download(ID, folder, max_bytes=MIB)
        assert tree(folder) == {}


def test_blocking_downloads_in_many_threads(threaded: SupportTwin, folder: Path) -> None:
    paths: list[Path] = []
    with sync_client_of(threaded, max_connections=2) as client:
        threads = [
            threading.Thread(
                target=lambda to=folder / str(n): paths.append(client.attachments.download(ID, to))
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(paths) == 8
    assert set(tree(folder).values()) == {CONTENT}
    assert threaded.connections_total <= 2
