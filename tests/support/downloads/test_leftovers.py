"""Nothing is left of half a file, and many go side by side."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from support_async import (
    DownloadProgress,
    HelpdeskError,
    InvalidInputError,
    NoReplyError,
    SupportClient,
)
from support_async.testing import EmulatorReply, EmulatorRequest, FaultPlan, SupportEmulator

from ..wire import MIB, ONCE, client_of, not_as_root, nothing_changes, serving, settings_for, tree
from .shared import BINARY, CONTENT, ID, Stuck, a_file, all_gone, slow

# --- what is left: nothing ------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_cancelled_in_the_middle(emulator: SupportEmulator, folder: Path, how: str) -> None:
    emulator.downloads[ID] = a_file(piece=300 * 1024, pause=0.01)
    arrived = asyncio.Event()

    def note(progress: DownloadProgress) -> None:
        if progress.received > MIB:
            arrived.set()

    async with client_of(emulator, max_connections=1) as client:
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
        await all_gone(emulator)
        emulator.downloads[ID] = a_file()
        assert (await client.attachments.download(ID, folder)).read_bytes() == CONTENT


async def test_cancelled_by_a_scope(emulator: SupportEmulator, folder: Path) -> None:
    emulator.downloads[ID] = a_file(piece=300 * 1024, pause=0.01)
    async with client_of(emulator, max_connections=1) as client:
        with anyio.CancelScope() as scope:

            def leave(progress: DownloadProgress) -> None:
                if progress.received > MIB:
                    scope.cancel()

            await client.attachments.download(ID, folder, on_progress=leave)
        assert scope.cancelled_caught
        assert tree(folder) == {}
        await all_gone(emulator)
        emulator.downloads[ID] = a_file()
        await client.attachments.download(ID, folder)


async def test_cancelled_at_any_moment(emulator: SupportEmulator, folder: Path) -> None:
    """After n turns of the loop, for every n: no part of a file, and the slot is free."""
    whole = 0
    async with client_of(emulator, max_connections=1) as client:
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
async def test_a_stream_that_is_left_early(emulator: SupportEmulator, how: str) -> None:
    emulator.downloads[ID] = slow()
    async with client_of(emulator, max_connections=1) as client:
        for _ in range(3):
            await leave_early(client, how)
            await all_gone(emulator)
        emulator.downloads[ID] = a_file()
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


async def test_a_slot_is_free_after_every_kind_of_failure(
    emulator: SupportEmulator, folder: Path
) -> None:
    answers: dict[str, EmulatorReply] = {
        "404": EmulatorReply(404, b'{"detail":"none"}'),
        "page": EmulatorReply(500, b"<html>", "text/html"),
        "redirect": EmulatorReply(302, b"", headers=(("Location", "http://elsewhere.invalid/"),)),
        "too large": a_file(length=10 * 2**30),
        "short": slow(length=3 * MIB),
        "bad gzip": EmulatorReply(200, b"no gzip", BINARY, (("Content-Encoding", "gzip"),)),
        "taken": a_file(disposition="attachment; filename=taken"),
    }
    (folder / "taken").write_bytes(b"")
    async with client_of(emulator, max_connections=1, retry=ONCE) as client:
        for reply in answers.values():
            emulator.downloads[ID] = reply
            with pytest.raises((HelpdeskError, FileExistsError)):
                await client.attachments.download(ID, folder)
            assert tree(folder) == {"taken": b""}
        emulator.downloads[ID] = a_file()
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
async def test_a_disk_that_is_full(emulator: SupportEmulator, folder: Path) -> None:
    (folder / "old").write_bytes(b"old")
    async with client_of(emulator, max_connections=1) as client:
        with small_disk(MIB), nothing_changes(folder):
            for to, overwrite in ((folder, False), (folder / "old", True)):
                with pytest.raises(OSError) as caught:
                    await client.attachments.download(ID, to, overwrite=overwrite)
                assert caught.value.errno == errno.EFBIG
                assert not isinstance(caught.value, HelpdeskError)
        await all_gone(emulator)
        assert sum(emulator.requests.values()) == 2  # a full disk is no reason to ask again
        await client.attachments.download(ID, folder)


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
async def test_a_folder_that_cannot_be_written_to(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        shared.chmod(0o555)
        with not_as_root():
            for to in (shared, shared / "a.bin"):
                with pytest.raises(InvalidInputError, match="is not writable"):
                    await client.attachments.download(ID, to)
        assert tree(shared) == {}
    assert not emulator.requests


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such folder")
async def test_a_folder_that_takes_no_files(emulator: SupportEmulator) -> None:
    """Found out only when the file is made; the answer that is under way is let go of."""
    async with client_of(emulator, max_connections=1) as client:
        for _ in range(2):
            with pytest.raises((OSError, InvalidInputError)):
                await client.attachments.download(ID, "/proc/self")
        await all_gone(emulator)


async def test_no_handle_and_no_thread_is_left_waiting(
    emulator: SupportEmulator, folder: Path
) -> None:
    async with client_of(emulator) as client:
        await client.attachments.download(ID, folder / "first")
        await all_gone_but(emulator, 1)
        before = open_handles()
        for number in range(10):
            await client.attachments.download(ID, folder / str(number))
            emulator.faults = FaultPlan.script(["half_body"] * 3)
            with pytest.raises(NoReplyError):
                await client.attachments.download(ID, folder / "broken")
        await client.attachments.download(ID, folder / "last")
        await all_gone_but(emulator, 1)
        assert open_handles() == before


def open_handles() -> int:
    return len(os.listdir("/dev/fd"))


async def all_gone_but(emulator: SupportEmulator, count: int) -> None:
    async with asyncio.timeout(5):
        while emulator.connections_open != count:
            await asyncio.sleep(0.001)


# --- many at once ---------------------------------------------------------------------------------


async def test_many_at_once_through_few_connections(
    emulator: SupportEmulator, folder: Path
) -> None:
    contents = [random.Random(number).randbytes(200_000 + number) for number in range(20)]
    busy: list[int] = []

    def give(number: int) -> Any:
        def reply(request: EmulatorRequest) -> EmulatorReply:
            busy.append(emulator.connections_open)
            return a_file(contents[number], piece=50_000, pause=0.002)

        return reply

    for number in range(20):
        emulator.downloads[str(number)] = give(number)
    async with client_of(emulator, max_connections=4) as client:
        paths = await asyncio.gather(
            *(client.attachments.download(number, folder) for number in range(20))
        )
    assert [path.read_bytes() for path in paths] == contents
    assert len(tree(folder)) == 20
    assert max(busy) == 4
    assert emulator.connections_total == 4


async def test_many_to_one_name_make_one_file(
    emulator: SupportEmulator, client: SupportClient, folder: Path
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
