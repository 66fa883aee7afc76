from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pytest

from kapture_async._core.errors import ClientStateError, NoReplyError, OutcomeUnknownError
from kapture_async._core.sync import Portal
from kapture_async._core.sync.base import SyncDownload

SECRET = "jane-passport.pdf"


class Download:
    """Hands out prepared chunks; an exception in their place is raised."""

    def __init__(self, *chunks: bytes | BaseException, refused: Exception | None = None) -> None:
        self.left = list(chunks)
        self.refused = refused
        self.entered = False
        self.received = 0
        self.asked = 0
        self.closes = 0
        self.left_with: type[BaseException] | None = None
        self.closed = threading.Event()

    def _head(self, value: Any) -> Any:
        if not self.entered:
            raise ClientStateError("enter it first")
        return value

    @property
    def filename(self) -> str:
        return str(self._head(SECRET))

    @property
    def content_type(self) -> str:
        return str(self._head("application/pdf"))

    @property
    def size(self) -> int | None:
        return int(self._head(6))

    async def __aenter__(self) -> Download:
        if self.refused is not None:
            raise self.refused
        self.entered = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left_with = exc_type
        await self.aclose()

    async def next_chunk(self) -> bytes | None:
        self._head(None)
        self.asked += 1
        if not self.left:
            return None
        chunk = self.left.pop(0)
        if isinstance(chunk, BaseException):
            raise chunk
        self.received += len(chunk)
        return chunk

    async def read(self) -> bytes:
        data = b""
        while (chunk := await self.next_chunk()) is not None:
            data += chunk
        return data

    async def aclose(self) -> None:
        self.closes += 1
        self.closed.set()


@pytest.fixture
def loop() -> Iterator[Portal]:
    private = Portal()
    yield private
    private.close()


def test_chunks(loop):
    inner = Download(b"one", b"two")
    with SyncDownload(loop, inner) as download:
        assert list(download) == [b"one", b"two"]
        assert list(download) == []
        assert download.read() == b""
    assert inner.asked == 3
    assert inner.closed.is_set()
    assert list(download) == []  # it was whole, so there is nothing to complain of


def test_read(loop):
    with SyncDownload(loop, Download(b"one", b"two", b"three")) as download:
        assert next(download) == b"one"
        assert download.read() == b"twothree"
        assert download.read() == b""
        assert list(download) == []


def test_what_the_head_says(loop):
    download = SyncDownload(loop, Download(b"one", b"two"))
    for name in ("filename", "content_type", "size"):
        with pytest.raises(ClientStateError):
            getattr(download, name)
    with download:
        assert download.filename == SECRET
        assert download.content_type == "application/pdf"
        assert download.size == 6
        assert download.received == 0
        next(download)
        assert download.received == 3
    assert download.filename == SECRET


def test_leaving_early(loop):
    inner = Download(b"one", b"two")
    with SyncDownload(loop, inner) as download:
        for _ in download:
            break
    assert inner.closed.is_set()
    for more in (lambda: next(download), download.read, lambda: list(download)):
        with pytest.raises(ClientStateError, match="broke off or was closed before its end"):
            more()
    assert inner.asked == 1


def test_an_error_of_the_body_reaches_the_download(loop):
    inner = Download(b"one")
    with pytest.raises(ZeroDivisionError), SyncDownload(loop, inner):
        raise ZeroDivisionError
    assert inner.left_with is ZeroDivisionError


def test_a_transfer_that_breaks_off_never_looks_whole(loop):
    # An async download may say after an error that nothing is left.
    inner = Download(b"one", NoReplyError("broke off"))
    with SyncDownload(loop, inner) as download:
        assert next(download) == b"one"
        with pytest.raises(NoReplyError):
            next(download)
        assert inner.closed.wait(10)
        for more in (lambda: next(download), download.read, lambda: list(download)):
            with pytest.raises(ClientStateError, match="broke off or was closed"):
                more()


def test_a_read_that_breaks_off_never_looks_whole(loop):
    inner = Download(b"one", NoReplyError("broke off"))
    with SyncDownload(loop, inner) as download:
        with pytest.raises(NoReplyError):
            download.read()
        with pytest.raises(ClientStateError, match="broke off or was closed"):
            download.read()


def test_it_is_refused(loop):
    inner = Download(refused=NoReplyError("no"))
    download = SyncDownload(loop, inner)
    with pytest.raises(NoReplyError), download:
        pytest.fail("entered")
    assert inner.closed.wait(10)  # in case Ctrl-C came just when it had been opened
    with pytest.raises(ClientStateError):
        next(download)


def test_not_entered(loop):
    download = SyncDownload(loop, Download(b"one"))
    for more in (lambda: next(download), download.read):
        with pytest.raises(ClientStateError, match="enter it first"):
            more()
    with download:  # no harm was done
        assert download.read() == b"one"


def test_entered_once(loop):
    inner = Download(b"one")
    with SyncDownload(loop, inner) as download:
        with pytest.raises(ClientStateError, match="entered once"), download:
            pytest.fail("entered")
        assert inner.closes == 0  # the one it is used by is not harmed
        assert download.read() == b"one"
    with pytest.raises(ClientStateError, match="entered once"), download:
        pytest.fail("entered")


def test_close(loop):
    inner = Download(b"one", b"two")
    with SyncDownload(loop, inner) as download:
        download.close()
        assert inner.closes == 1
        download.close()
        with pytest.raises(ClientStateError):
            download.read()
    assert inner.closes == 1


def test_nothing_was_sent_so_nothing_is_closed(loop):
    inner = Download(b"one")
    download = SyncDownload(loop, inner)
    download.close()
    del download
    gc.collect()
    assert inner.closes == 0
    assert loop._thread.thread is None


def test_entered_by_hand_and_dropped(loop):
    inner = Download(b"one", b"two")
    download = SyncDownload(loop, inner).__enter__()
    assert next(download) == b"one"
    del download
    gc.collect()
    assert inner.closed.wait(10)


def test_dropped_after_it_was_left_it_is_closed_once(loop):
    inner = Download(b"one")
    with SyncDownload(loop, inner) as download:
        download.read()
    del download
    gc.collect()
    loop.call(inner.next_chunk())  # anything posted has run before this
    assert inner.closes == 1


class Interrupted(Portal):
    """Raises Ctrl-C where the caller waits, once the call is done and its result on the way."""

    strike = False

    def call(self, coro: Any) -> Any:
        result = super().call(coro)
        if self.strike:
            self.strike = False
            raise KeyboardInterrupt
        return result


@pytest.fixture
def interrupted() -> Iterator[Interrupted]:
    private = Interrupted()
    yield private
    private.close()


@pytest.mark.parametrize("way", [next, SyncDownload.read])
def test_after_ctrl_c_no_chunk_is_silently_missing(interrupted, way):
    inner = Download(b"one", b"two", b"three")
    with SyncDownload(interrupted, inner) as download:
        assert next(download) == b"one"
        interrupted.strike = True
        with pytest.raises(KeyboardInterrupt):
            way(download)
        assert inner.closed.wait(10)
        with pytest.raises(ClientStateError, match="broke off or was closed before its end"):
            next(download)
        with pytest.raises(ClientStateError, match="broke off or was closed before its end"):
            download.read()


def test_ctrl_c_just_when_it_was_opened(interrupted):
    inner = Download(b"one")
    interrupted.strike = True
    with pytest.raises(KeyboardInterrupt), SyncDownload(interrupted, inner):
        pytest.fail("entered")
    assert inner.entered
    assert inner.closed.wait(10)


def test_the_client_is_closed_meanwhile(loop):
    with SyncDownload(loop, Download(b"one", b"two")) as download:
        assert next(download) == b"one"
        loop.close()
        with pytest.raises(ClientStateError):
            next(download)
    download.close()


def test_the_client_is_closed_by_another_thread_during_a_chunk(loop):
    class Stuck(Download):
        async def next_chunk(self) -> bytes | None:
            closer.start()
            await asyncio.Event().wait()
            return None

    inner, closer = Stuck(), threading.Thread(target=loop.close)
    with SyncDownload(loop, inner) as download:
        with pytest.raises(OutcomeUnknownError, match="closed while the call was running"):
            next(download)
    closer.join(30)


def test_repr_tells_the_state_and_no_name(loop):
    download = SyncDownload(loop, Download(b"one"))
    seen = [repr(download)]
    with download:
        seen.append(repr(download))
        download.read()
        seen.append(repr(download))
    early = SyncDownload(loop, Download(b"one"))
    with early:
        pass
    seen.append(repr(early))
    assert seen == [
        "<SyncDownload, not begun>",
        "<SyncDownload, open>",
        "<SyncDownload, read to its end>",
        "<SyncDownload, closed>",
    ]
