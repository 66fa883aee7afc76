"""Presses Ctrl-C while the main thread waits for a call."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress

from kapture_async._core.errors import NoReplyError
from kapture_async._core.sync import Portal

case = sys.argv[1]
loop = Portal(cancel_timeout=0.2 if case == "stubborn" else 5.0)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


async def cancelled() -> None:
    press()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        await asyncio.sleep(0.05)  # clean-up is not cancelled again
        error.add_note("the ticket may have been created")
        raise


async def completed() -> str:
    press()
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return "done after all"


async def failed() -> None:
    press()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise NoReplyError("the connection was lost", effect="write") from None


async def stubborn() -> None:
    press()
    while not released.is_set():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancellations.append(1)


async def twice() -> None:
    press()
    try:
        await asyncio.Event().wait()
    finally:
        press()
        await asyncio.sleep(60)


cancellations: list[int] = []
released = threading.Event()
coroutines = {f.__name__: f for f in (cancelled, completed, failed, stubborn, twice)}
try:
    loop.call(coroutines[case]())
except KeyboardInterrupt as interrupt:
    print("interrupted", interrupt.__notes__, len(cancellations))


async def still_usable() -> str:
    return "usable"


print(loop.call(still_usable()))
released.set()
loop.close()
