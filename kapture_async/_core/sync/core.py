"""The thread side of the private loop: start it, close what lives in it, let nothing hang."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from ..errors import ClientStateError
from ..runtime import check_not_patched
from .call import CLOSED, Call

AsyncClose = Callable[[], Coroutine[Any, Any, object]]

logger = logging.getLogger(__name__)

_GRACE = 1.0
"""Seconds that tasks cancelled at the close get to end, and the margin when joining."""


class LoopCore:
    """What the thread, the calls and the finalizer share. Holds no facade object."""

    def __init__(self, name: str, aclose: AsyncClose | None, use_uvloop: bool) -> None:
        self.name = name
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.thread_id = 0
        self.calls: set[Call[Any]] = set()
        self.spawned: set[asyncio.Task[object]] = set()
        self.closing = False
        self.close_timeout = 0.0  # set by whoever closes
        self.close_error: BaseException | None = None
        self.aclose = aclose
        self._new_loop = _loop_factory(use_uvloop)

    def start(self) -> asyncio.AbstractEventLoop:
        if self.loop is None:
            check_not_patched()
        with self.lock:
            if self.loop is not None:
                return self.loop
            if self.closing:
                raise ClientStateError(CLOSED)
            loop = self._new_loop()
            thread = threading.Thread(
                target=_thread_main, args=(self, loop), name=self.name, daemon=True
            )
            try:
                thread.start()
                self.thread = thread
                self.loop = loop
            except RuntimeError as error:  # no threads left, or the interpreter is leaving
                loop.close()
                raise ClientStateError(f"the event loop has no thread: {error}") from error
            except BaseException:
                # Ctrl-C in here: if the thread runs and is not ours yet, it leaves by itself.
                loop.call_soon_threadsafe(loop.stop)
                raise
            return loop

    def begin_close(self, aclose: AsyncClose | None, timeout: float) -> bool:
        """Tell the thread to wind up. False if that was done before."""
        with self.lock:
            if self.closing:
                return False
            self.close_timeout = timeout
            self.aclose = aclose or self.aclose
            self.closing = True
            if self.loop is not None:
                with suppress(RuntimeError):  # the loop broke down and was closed
                    self.loop.call_soon_threadsafe(self.loop.stop)
            return True

    def join(self) -> None:
        if self.thread is None:
            return
        self.thread.join(self.close_timeout + 3 * _GRACE)
        if self.thread.is_alive():
            logger.warning("the thread %s does not stop; it is left behind", self.name)
            keep_for_ever(self)

    def spawn(self, aclose: AsyncClose) -> None:
        if self.closing:
            return
        task = asyncio.ensure_future(aclose())
        self.spawned.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self.spawned.discard)

    async def wind_up(self) -> None:
        """Close what lives here, then cancel the rest; every wait is bounded."""
        # First the close, so that running calls end with the errors of the transport, which
        # know best what may have happened; only the rest is cancelled.
        if self.aclose is not None:
            closing = asyncio.ensure_future(self._run_aclose(self.aclose))
            await asyncio.wait({closing}, timeout=self.close_timeout)
            if not closing.done():
                closing.cancel()
                self.close_error = TimeoutError(
                    f"the close took longer than {self.close_timeout:g} s and was cancelled"
                )
        await _cancel_all()
        asyncgens = asyncio.ensure_future(asyncio.get_running_loop().shutdown_asyncgens())
        await asyncio.wait({asyncgens}, timeout=_GRACE)
        await asyncio.sleep(0)  # closed transports tell their protocols one turn later

    async def _run_aclose(self, aclose: AsyncClose) -> None:
        try:
            await aclose()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.close_error = error

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop will run nothing more: nobody may wait for it any longer."""
        self.closing = True
        self.thread_id = 0  # the system may give the number to another thread
        loop.close()
        # A call added after this sweep finds the loop closed and refuses itself.
        for call in list(self.calls):
            call.refuse()
        self.aclose = None


def _thread_main(core: LoopCore, loop: asyncio.AbstractEventLoop) -> None:
    core.thread_id = threading.get_ident()
    try:
        while True:
            try:
                loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # Raised by a task somebody started inside; whoever awaits that task gets it.
                logger.debug("a task on %s raised out of the loop", core.name, exc_info=True)
                continue
            if core.closing:
                break
            if core.loop is not loop:  # Ctrl-C interrupted the start
                loop.close()
                return
        winding_up = loop.create_task(core.wind_up())
        while not winding_up.done():
            try:
                loop.run_until_complete(winding_up)
            except (KeyboardInterrupt, SystemExit):
                continue
    except Exception:
        logger.exception("the event loop of %s broke down", core.name)
    core.end(loop)


async def _cancel_all() -> None:
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    done, left = await asyncio.wait(tasks, timeout=_GRACE)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception while the client was closed",
                    "exception": error,
                    "task": task,
                }
            )
    if left:
        logger.warning("%d tasks ignored their cancellation at the close", len(left))
        keep_for_ever(left)


def _loop_factory(use_uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    # Asked at once, not when the thread starts: a first call may come while the interpreter
    # waits for its last threads, and uvloop can no longer be imported then.
    if not use_uvloop:
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop

    class Loop(uvloop.Loop):
        # uvloop looks names up on the thread pool of libuv, and a process that was forked after
        # that pool was used crashes when it leaves (libuv #4443). asyncio's way has no such trap.
        async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
            return await self.run_in_executor(None, partial(socket.getaddrinfo, *args, **options))

        async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
            return await self.run_in_executor(None, socket.getnameinfo, sockaddr, flags)

    return Loop


_kept: list[object] = []


def keep_for_ever(thing: object) -> None:
    """Keep an object alive until the interpreter is gone."""
    _kept.append(thing)
