"""One file on its way in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
from attrs import evolve, frozen

from ..atomicfile import AtomicFile
from ..errors import (
    ClientStateError,
    HelpdeskError,
    NoReplyError,
    NotSentError,
    NotSentTimeoutError,
    ReplyTimeoutError,
)
from ..phase import Attempt, Phase, renumbered
from ..transport.failures import interrupted_by
from ..transport.request import Operation
from ..transport.retry import RetryPolicy
from ..transport.settings import CallOptions
from ..transport.streaming import OpenReply
from .filenames import filename_of, safe_filename


class Download:
    """A file as it arrives: an async context manager, and inside it an iterator over its chunks.

    ::

        async with client.attachments.stream("901") as download:
            print(download.filename, download.size)
            async for chunk in download:
                ...

    Leaving early closes the connection. What breaks off raises, so a loop that ends by itself
    has had the whole file.

    Args:
        begin: sends the request and judges the head of the answer.
        default_name: the file's name where the service gives none.
    """

    def __init__(
        self, begin: Callable[[], Coroutine[Any, Any, OpenReply]], *, default_name: str
    ) -> None:
        self._begin = begin
        self._default_name = default_name
        self._reply: OpenReply | None = None
        self._used = False
        self._closed = False
        self._received = 0

    @property
    def filename(self) -> str:
        """A name for the file, as the service gives it, made safe: never a path.

        Raises:
            ClientStateError: the download has not started; the other properties likewise.
        """
        disposition = self._head.headers.get("Content-Disposition")
        return safe_filename(filename_of(disposition), self._default_name)

    @property
    def content_type(self) -> str:
        """The media type as the service gives it; empty if it does not."""
        return self._head.headers.get("Content-Type", "")

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if that is known in advance."""
        length = self._head.headers.get("Content-Length", "")
        return int(length) if length.isascii() and length.isdigit() else None

    @property
    def received(self) -> int:
        """Bytes that were handed out so far."""
        return self._received

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts it took until the file began to arrive."""
        return self._head.attempts

    async def next_chunk(self) -> bytes | None:
        """Some bytes, never none; ``None`` when all of the file has come, and only then.

        Raises:
            OutcomeUnknownError: the rest did not come (:class:`NoReplyError`,
                :class:`ReplyTimeoutError`), or is more than is accepted
                (:class:`ReplyTooLargeError`). It is a read: it is safe to begin again.
            ClientStateError: it was closed before its end.
        """
        chunk = await self._head.next_chunk()
        if chunk is not None:
            self._received += len(chunk)
        return chunk

    async def read(self) -> bytes:
        """All that is left, in one piece.

        Raises:
            OutcomeUnknownError: as :meth:`next_chunk`.
        """
        return b"".join([chunk async for chunk in self])

    async def aclose(self) -> None:
        """Close the connection. It may be called at any time, and again."""
        self._used = self._closed = True
        if self._reply is not None:
            self._reply.close()

    def __aiter__(self) -> Download:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.next_chunk()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def __aenter__(self) -> Download:
        if self._used:
            raise ClientStateError(
                "a download runs once", next_step="Call stream() again for another one."
            )
        self._used = True
        reply = await self._begin()
        if self._closed:  # by another task, meanwhile
            reply.close()
        self._reply = reply
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _head(self) -> OpenReply:
        if self._reply is None:
            raise ClientStateError(
                "the download has not started", next_step="Use it as `async with ... as download`."
            )
        return self._reply

    def __repr__(self) -> str:
        state = "not begun" if self._reply is None else f"{self._received:,} bytes received"
        return f"<Download, {state}>"


_BYTES_AT_ONCE = 256 * 1024  # handed to the disk together: each time costs a thread switch


@frozen
class DownloadProgress:
    """How far a download got.

    Attributes:
        received: bytes so far; back to 0 if the transfer starts again.
        size: bytes of the whole file, if that is known.
    """

    received: int
    size: int | None


ProgressObserver = Callable[[DownloadProgress], None]
"""Called in the event loop, synchronously: it must not block. What it raises ends the download."""


async def save(
    begin: Callable[[RetryPolicy], Download],
    file: AtomicFile,
    *,
    service: str,
    operation: Operation,
    options: CallOptions,
    on_progress: ProgressObserver | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Path:
    """Download into a file. Whatever goes wrong, no part of a file is left behind.

    Args:
        begin: makes the download, once per transfer, with the retries that are left.
        file: where it goes.
        service, operation: for errors.
        options: the time for everything together, and how often an interrupted transfer is
            started again.
        on_progress: called for every piece that arrived.
        sleep: replaceable for tests.

    Returns:
        The path of the file.

    Raises:
        HelpdeskError: it did not arrive whole.
        OSError: it cannot be written (:class:`FileExistsError` if it already exists).
    """
    most = options.retry.attempts
    attempts: tuple[Attempt, ...] = ()
    timer = asyncio.timeout(options.timeout.total)
    doubt: HelpdeskError | None
    try:
        async with timer:
            while True:
                # What cannot even begin has used up all its attempts by itself, and is final.
                left = evolve(options.retry, attempts=most - len(attempts))
                async with begin(left) as download:
                    try:
                        if attempts:
                            await asyncio.to_thread(file.restart)
                        else:
                            await asyncio.to_thread(file.begin, download.filename)
                        await _pour(download, file, on_progress)
                        break
                    except (NoReplyError, ReplyTimeoutError) as error:
                        attempts = error.attempts = renumbered(*attempts, *download.attempts)
                        if len(attempts) >= most:
                            raise
                await sleep(options.retry.backoff(len(attempts), random.random()))
        await asyncio.to_thread(file.finish)
        return Path(file.target)
    except HelpdeskError as error:
        if error.attempts is not attempts:
            error.attempts = renumbered(*attempts, *error.attempts)
        raise
    except TimeoutError as error:
        if not timer.expired():  # not ours: disks and observers may time out, too
            raise
        doubt = interrupted_by(error)
    finally:
        if not file.discard(wait=False):
            await _discard(file)
    raise _too_late(service, operation, options, attempts, doubt)


def _too_late(
    service: str,
    operation: Operation,
    options: CallOptions,
    attempts: tuple[Attempt, ...],
    doubt: HelpdeskError | None,
) -> HelpdeskError:
    """The error of a download whose time ran out; ``doubt`` tells of a call that was cut short."""
    cls: type[HelpdeskError] = ReplyTimeoutError
    words = "the file did not arrive whole"
    phase: Phase | None = Phase.RECEIVING
    if doubt is not None:
        attempts, phase = renumbered(*attempts, *doubt.attempts), doubt.phase
        if isinstance(doubt, NotSentError):
            cls, words = NotSentTimeoutError, "the file could not be requested"
    return cls(
        f"{words} within {options.timeout.total:g} seconds",
        service=service,
        operation=operation.name,
        effect="read",
        phase=phase,
        attempts=attempts,
    )


async def _discard(file: AtomicFile) -> None:
    """Wait for a thread that is still writing, then clean up: in a thread, as a disk that hangs
    must not block the loop.
    """
    cleaning = asyncio.get_running_loop().run_in_executor(None, file.discard)
    with anyio.CancelScope(shield=True):
        await asyncio.shield(cleaning)


async def _pour(download: Download, file: AtomicFile, on_progress: ProgressObserver | None) -> None:
    size = download.size
    _report(on_progress, 0, size)
    pieces: list[bytes] = []
    waiting = 0
    while (chunk := await download.next_chunk()) is not None:
        pieces.append(chunk)
        waiting += len(chunk)
        if waiting >= _BYTES_AT_ONCE:
            await asyncio.to_thread(file.write, b"".join(pieces))
            pieces.clear()
            waiting = 0
        _report(on_progress, download.received, size)
    if pieces:
        await asyncio.to_thread(file.write, b"".join(pieces))


def _report(on_progress: ProgressObserver | None, received: int, size: int | None) -> None:
    if on_progress is not None:
        on_progress(DownloadProgress(received, size))
