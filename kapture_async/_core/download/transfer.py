"""From the wire to the disk: one download into one file, begun again where that is safe."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from attrs import evolve, frozen

from ..errors import (
    HelpdeskError,
    NoReplyError,
    NotSentError,
    NotSentTimeoutError,
    ReplyTimeoutError,
)
from ..phase import Attempt, Phase
from ..transport.failures import interrupted_by
from ..transport.request import Operation
from ..transport.retry import RetryPolicy
from ..transport.settings import CallOptions
from .saving import Saving
from .stream import Download

_BYTES_AT_ONCE = 256 * 1024
"""Handed to the disk together: each hand-over costs a thread switch."""


@frozen
class DownloadProgress:
    """How far a download got.

    Attributes:
        received: bytes so far; back to 0 if the transfer begins anew.
        size: bytes of the whole file, if that is known.
    """

    received: int
    size: int | None


ProgressObserver = Callable[[DownloadProgress], None]
"""Called in the event loop, synchronously: it must not block. What it raises ends the download."""


async def save(
    begin: Callable[[RetryPolicy], Download],
    saving: Saving,
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
        saving: where it goes.
        service, operation: for errors.
        options: the time for everything together, and how often a transfer that broke off is
            begun again.
        on_progress: told of every piece that arrived.
        sleep: replaceable for tests.

    Returns:
        The path of the file.

    Raises:
        HelpdeskError: it did not arrive whole.
        OSError: it cannot be written (:class:`FileExistsError` if it is there already).
    """
    most = options.retry.attempts
    tries: tuple[Attempt, ...] = ()
    timer = asyncio.timeout(options.timeout.total)
    doubt: HelpdeskError | None
    try:
        async with timer:
            while True:
                # What cannot even begin has used up all its tries by itself, and is final.
                left = evolve(options.retry, attempts=most - len(tries))
                async with begin(left) as download:
                    try:
                        if tries:
                            await asyncio.to_thread(saving.restart)
                        else:
                            await asyncio.to_thread(saving.begin, download.filename)
                        await _pour(download, saving, on_progress)
                        break
                    except (NoReplyError, ReplyTimeoutError) as error:
                        tries = error.attempts = _counted(*tries, *download.attempts)
                        if len(tries) >= most:
                            raise
                await sleep(options.retry.backoff(len(tries), random.random()))
        return await asyncio.to_thread(saving.finish)
    except HelpdeskError as error:
        if error.attempts is not tries:
            error.attempts = _counted(*tries, *error.attempts)
        raise
    except TimeoutError as error:
        if not timer.expired():  # somebody else's: disks and observers may run out of time, too
            raise
        doubt = interrupted_by(error)
    finally:
        if not saving.discard(wait=False):
            await _discard(saving)
    raise _too_late(service, operation, options, tries, doubt)


def _counted(*tries: Attempt) -> tuple[Attempt, ...]:
    """The tries of several transfers, as those of one call."""
    return tuple(evolve(attempt, number=number) for number, attempt in enumerate(tries, 1))


def _too_late(
    service: str,
    operation: Operation,
    options: CallOptions,
    tries: tuple[Attempt, ...],
    doubt: HelpdeskError | None,
) -> HelpdeskError:
    """The error of a download whose time ran out; ``doubt`` tells of a call that was cut short."""
    cls: type[HelpdeskError] = ReplyTimeoutError
    words = "the file did not arrive whole"
    phase: Phase | None = Phase.RECEIVING
    if doubt is not None:
        tries, phase = _counted(*tries, *doubt.attempts), doubt.phase
        if isinstance(doubt, NotSentError):
            cls, words = NotSentTimeoutError, "the file could not be asked for"
    return cls(
        f"{words} within {options.timeout.total:g} seconds",
        service=service,
        operation=operation.name,
        effect="read",
        phase=phase,
        attempts=tries,
    )


async def _discard(saving: Saving) -> None:
    """Wait for a thread that goes on with a write, and tidy up behind it; in a thread, too, for
    a disk that hangs must not hold up the loop.
    """
    tidying = asyncio.get_running_loop().run_in_executor(None, saving.discard)
    with anyio.CancelScope(shield=True):
        await asyncio.shield(tidying)


async def _pour(download: Download, saving: Saving, on_progress: ProgressObserver | None) -> None:
    size = download.size
    _tell(on_progress, 0, size)
    pieces: list[bytes] = []
    waiting = 0
    while (chunk := await download.next_chunk()) is not None:
        pieces.append(chunk)
        waiting += len(chunk)
        if waiting >= _BYTES_AT_ONCE:
            await asyncio.to_thread(saving.write, b"".join(pieces))
            pieces.clear()
            waiting = 0
        _tell(on_progress, download.received, size)
    if pieces:
        await asyncio.to_thread(saving.write, b"".join(pieces))


def _tell(on_progress: ProgressObserver | None, received: int, size: int | None) -> None:
    if on_progress is not None:
        on_progress(DownloadProgress(received, size))
