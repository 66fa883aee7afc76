"""The file as a stream, without a file, and in a program without asyncio."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from support_async import (
    ClientStateError,
    DownloadProgress,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    ReplyTooLargeError,
    SupportClient,
    Timeout,
)
from support_async.testing import SupportEmulator

from ..wire import MIB, ONCE, client_of, sync_client_of, tree
from .shared import BINARY, CONTENT, ID, a_file, slow

# --- the stream -----------------------------------------------------------------------------------


async def test_a_stream_tells_of_itself(emulator: SupportEmulator, client: SupportClient) -> None:
    emulator.downloads[ID] = slow(disposition="attachment; filename=../a.bin")
    download = client.attachments.stream(ID)
    for name in ("filename", "size", "content_type"):
        with pytest.raises(ClientStateError, match="has not started"):
            getattr(download, name)
    with pytest.raises(ClientStateError, match="has not started"):
        await download.next_chunk()
    assert not emulator.requests
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


async def test_half_a_file_never_looks_whole(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    """Closed or broken off: reading on does not end as if that had been all."""
    async with client.attachments.stream(ID) as download:
        await download.next_chunk()
        await download.aclose()
        with pytest.raises(ClientStateError):
            await download.read()
    emulator.downloads[ID] = slow(length=3 * MIB)
    async with client.attachments.stream(ID) as download:
        for _ in range(2):
            with pytest.raises(NoReplyError):
                await download.read()


async def test_an_interrupted_read_loses_nothing(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    emulator.downloads[ID] = a_file(CONTENT[:20_000], piece=1000, pause=0.002)
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
    emulator: SupportEmulator, leap: Callable[[float], None]
) -> None:
    """What a stream takes is its reader's own affair; a file has one time for everything."""
    emulator.downloads[ID] = a_file(CONTENT[:100], piece=10, pause=0.003)
    async with client_of(emulator, timeout=Timeout(total=20), retry=ONCE) as client:
        async with client.attachments.stream(ID) as download:
            leap(20)
            assert await download.read() == CONTENT[:100]


# --- without asyncio ------------------------------------------------------------------------------


@pytest.fixture
def threaded() -> Iterator[SupportEmulator]:
    with SupportEmulator().in_thread() as emulator:
        emulator.downloads[ID] = slow(disposition="attachment; filename=../a.bin")
        yield emulator


def test_blocking_download(threaded: SupportEmulator, folder: Path) -> None:
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


def test_blocking_stream(threaded: SupportEmulator) -> None:
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
def test_blocking_stream_left_early(threaded: SupportEmulator, how: str) -> None:
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


def test_blocking_stream_that_breaks_off(threaded: SupportEmulator, folder: Path) -> None:
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


def test_blocking_downloads_in_many_threads(threaded: SupportEmulator, folder: Path) -> None:
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
