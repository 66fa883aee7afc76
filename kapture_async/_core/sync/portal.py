"""A private event loop in a daemon thread, through which blocking code runs coroutines.

A loop in a thread, unlike one in the caller's thread, also works in notebooks. The thread is a
daemon and nothing in it waits for the interpreter, as a portal that is never closed would hang
the process at exit. A call crosses by one lock, which is the cheapest way to wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from types import FrameType
from typing import Any, Generic, TypeVar

from ..errors import ClientStateError, HelpdeskError, OutcomeUnknownError
from ..runtime import check_not_patched

T = TypeVar("T")
AsyncClose = Callable[[], Coroutine[Any, Any, object]]

logger = logging.getLogger(__name__)

# Seconds.
CLOSE_TIMEOUT = 10.0  # for a close that was asked for, before its parts are cancelled
FORGOTTEN_TIMEOUT = 2.0  # the same at interpreter exit, or by the garbage collector
CANCEL_TIMEOUT = 5.0  # for a call to end after Ctrl-C cancelled it
_GRACE = 1.0  # for tasks that the close cancels, and the margin when joining the thread
# On Windows Ctrl-C does not interrupt a blocked lock at all. Elsewhere it does, but for a Ctrl-C
# just before the thread begins to wait, which would go unnoticed until the call ends.
_POLL = 0.1 if sys.platform == "win32" else 1.0

_CLOSED = "the client is closed"
_FORKED = "the client was used before this process was forked, so its connections are the parent's"
_DEADLOCK = (
    "a blocking call was made on the client's own event loop thread (from a hook or a "
    "callback?), where it would wait for itself for ever"
)
_kept: list[object] = []  # alive until the interpreter is gone


class SyncInAsyncWarning(RuntimeWarning):
    """A blocking call was made in a thread whose own event loop is running, and stops it."""

    __module__ = "kapture_async"  # also where support_async shows it


class Portal:
    """Runs coroutines for blocking code, on an event loop of its own in a daemon thread.

    The thread starts at the first :meth:`call`. One portal may serve many threads at once.

    Args:
        name: the thread's name, as logs and dumps show it.
        aclose: makes the coroutine that closes what lives in the loop. Used by :meth:`close`,
            and when the close is forgotten; it must not hold this object.
        async_name: what to use instead inside a running event loop, for the warning.
        hidden_module: the ``__name__`` of the module whose frames are no call site (the
            generated sync clients); the warning points at its caller.
        use_uvloop: take uvloop's event loop if it is installed; ``False`` forces asyncio's.
        cancel_timeout: seconds to wait for a call to end after Ctrl-C cancelled it.
    """

    def __init__(
        self,
        name: str = "kapture-sync",
        *,
        aclose: AsyncClose | None = None,
        async_name: str = "the async client",
        hidden_module: str = "",
        use_uvloop: bool = True,
        cancel_timeout: float = CANCEL_TIMEOUT,
    ) -> None:
        self._async_name = async_name
        self._hidden_module = hidden_module
        self._cancel_timeout = cancel_timeout
        self._thread = LoopThread(name, aclose, use_uvloop)
        # On this object, not on the client: everything that can still make calls (options
        # copies, resources, pagers) holds it. The finalizer holds only the thread.
        self._finalizer = weakref.finalize(self, _forgotten, self._thread)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has begun."""
        return self._thread.closing

    def call(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and wait for it.

        Exceptions cross unchanged. The task sees the caller's context variables.

        Args:
            coro: the coroutine; closed here if it cannot be run.

        Raises:
            ClientStateError: closed; used before a fork; or called on the loop's own thread.
                Nothing was started.
            OutcomeUnknownError: the client was closed by another thread during the call.
            KeyboardInterrupt: Ctrl-C (as any exception raised in the waiting thread). The
                coroutine was cancelled once, and its end awaited for some seconds; notes on the
                exception say what is known of the outcome.
        """
        thread = self._thread
        try:
            self._check_caller(_name_of(coro))
            call = Call(thread, thread.loop or thread.start(), coro)
        except BaseException:
            coro.close()
            raise
        try:
            thread.calls.add(call)
            call.post(call.start)
            while not call.done.acquire(timeout=_POLL):
                pass
        except BaseException as interrupt:
            call.give_up(interrupt, self._cancel_timeout)
            raise
        return call.outcome()

    def finish(self, aclose: AsyncClose) -> None:
        """Run a closing coroutine if there is anything to close; never starts the thread.

        For what lives in the loop but does not own it (a pager, a copy with other options).
        Does nothing if the loop never started, is closed, or belongs to the parent process.

        Args:
            aclose: makes the closing coroutine; its exceptions cross.
        """
        thread = self._thread
        if thread.runs_here:
            try:
                self.call(aclose())
            except ClientStateError:
                if not thread.closing:  # else another thread has just closed everything
                    raise

    def post(self, aclose: AsyncClose) -> None:
        """Like :meth:`finish`, without waiting and without raising: for ``__del__``.

        Args:
            aclose: makes the closing coroutine; its exceptions go to the log.
        """
        thread = self._thread
        if thread.runs_here and thread.loop is not None:
            with suppress(RuntimeError):  # closed in between; the close sees to what is left
                thread.loop.call_soon_threadsafe(thread.spawn, aclose)

    def close(self, aclose: AsyncClose | None = None) -> None:
        """Close what lives in the loop, then stop it. May be called again; later calls wait too.

        Tasks still running are cancelled and awaited. Every step is bounded, so this returns
        after some seconds whatever the coroutines do. In a forked child it does nothing: what
        it would close is the parent's.

        Args:
            aclose: used instead of the one given at the start.

        Raises:
            ClientStateError: called on the loop's own thread.
            Exception: what the closing coroutine raised; the loop is stopped all the same.
        """
        thread = self._thread
        if thread.is_of_parent:
            return
        if threading.get_ident() == thread.ident:
            raise ClientStateError(_DEADLOCK)
        if thread.loop is None and not thread.closing and (aclose or thread.aclose):
            with suppress(ClientStateError):  # no thread left: then it stays unused
                thread.start()  # unused, but it must know that it is closed
        thread.begin_close(aclose, CLOSE_TIMEOUT)
        thread.join()
        self._finalizer.detach()
        error, thread.close_error = thread.close_error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it holds this frame: no cycle

    def _check_caller(self, what: str) -> None:
        thread = self._thread
        if thread.is_of_parent:  # before any lock: the fork may have copied it locked
            raise ClientStateError(_FORKED)
        if thread.closing:
            raise ClientStateError(_CLOSED)
        if threading.get_ident() == thread.ident:
            raise ClientStateError(_DEADLOCK)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        _warn_in_async(what, self._async_name, self._hidden_module)


def _forgotten(thread: LoopThread) -> None:
    """No one can make calls any more, or the interpreter is leaving: close what was forgotten."""
    if thread.is_of_parent:
        # Taking the parent's session apart would take its sockets out of the epoll set both
        # processes share, so it must not even be freed.
        _kept.append(thread)
        return
    if thread.loop is None:
        return
    forgotten = thread.begin_close(None, FORGOTTEN_TIMEOUT)
    if threading.get_ident() == thread.ident:
        return  # the collector ran on the loop's thread, which winds up by itself
    thread.join()
    if forgotten:
        warnings.warn(
            f"unclosed client ({thread.name}): call close() or use it in a with statement",
            ResourceWarning,
            stacklevel=2,
        )


class Call(Generic[T]):
    """One coroutine on its way through the loop, and the lock its caller waits for."""

    _value: T

    def __init__(
        self, thread: LoopThread, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T]
    ) -> None:
        self._thread = thread
        self._loop = loop
        self._coro = coro
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._begun = False
        self._finished = False
        self.done = threading.Lock()
        self.done.acquire()

    # On the loop's thread:

    def start(self) -> None:
        if self._thread.closing:
            self.refuse()
        elif not self._finished:
            self._task = self._loop.create_task(self._run())
            self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        # Nothing may leave this task: KeyboardInterrupt and SystemExit would end the loop for
        # every other caller.
        self._begun = True
        try:
            self._value = await self._coro
        except BaseException as error:
            self._error = error
        self._finish()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self._finished:  # cancelled before its first step, a task never enters _run()
            self.refuse()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self.refuse()

    # On any thread:

    def post(self, act: Callable[[], None]) -> None:
        """Have the loop do something, in the caller's context."""
        try:
            self._loop.call_soon_threadsafe(act, context=copy_context())
        except RuntimeError:  # the loop was closed meanwhile
            self.refuse()

    def refuse(self) -> None:
        """End a call the loop will not carry on with."""
        with self._thread.lock:  # the caller and the last sweep may both come here
            if not self._finished:
                if not self._begun:
                    self._coro.close()
                self._error = asyncio.CancelledError()
                self._finish()

    def _finish(self) -> None:
        self._finished = True
        self._thread.calls.discard(self)
        self.done.release()

    # On the caller's thread:

    def give_up(self, interrupt: BaseException, timeout: float) -> None:
        """Cancel once, wait for the end, and note on ``interrupt`` how the call ended."""
        name, words = _name_of(self._coro), ""
        doubt: HelpdeskError | None = None
        self.post(self._cancel)
        try:
            ended = self._finished or self.done.acquire(timeout=timeout)
        except BaseException as second:
            second.add_note(f"{name} was still being cancelled: it may or may not have happened.")
            raise
        error = self._error
        if not ended:
            doubt = OutcomeUnknownError(f"{name} did not stop in time")
            words = f"did not stop within {timeout:g} s after it was cancelled: it may still happen"
        elif not self._begun:
            words = "had not begun: nothing was sent"
        elif error is None:
            doubt = OutcomeUnknownError(f"{name} had completed; its result was lost")
            words = "had completed; only its result was lost"
        elif isinstance(error, HelpdeskError):
            doubt = error
            words = f"ended with {type(error).__name__}: {str(error).removesuffix('.')}"
        else:
            doubt = getattr(error, "helpdesk_error", None)
            if not isinstance(error, asyncio.CancelledError):
                words = f"ended with {type(error).__name__}"
        if doubt is not None:  # where interrupted_by() finds it
            interrupt.helpdesk_error = doubt  # type: ignore[attr-defined]
        for note in ([f"{name} {words}."] if words else []) + getattr(error, "__notes__", []):
            interrupt.add_note(note)

    def outcome(self) -> T:
        error = self._error
        if error is None:
            return self._value
        self._error = None
        try:
            if isinstance(error, StopAsyncIteration):
                # As Python itself does with StopIteration: it may end no loop of the caller's.
                raise RuntimeError("coroutine raised StopAsyncIteration") from error
            if isinstance(error, asyncio.CancelledError) and self._thread.closing:
                if not self._begun:
                    raise ClientStateError(_CLOSED)
                unknown = OutcomeUnknownError("the client was closed while the call was running")
                for note in getattr(error, "__notes__", ()):
                    unknown.add_note(note)
                raise unknown from error
            raise error
        finally:
            del error  # it holds this frame: no cycle


class LoopThread:
    """What the thread, the calls and the finalizer share. Holds no object of the sync clients."""

    def __init__(self, name: str, aclose: AsyncClose | None, use_uvloop: bool) -> None:
        self.name = name
        self.pid: int | None = None  # of the process that used it first
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.ident = 0
        self.calls: set[Call[Any]] = set()
        self.spawned: set[asyncio.Task[object]] = set()
        self.closing = False
        self.close_timeout = 0.0  # set by whoever closes
        self.close_error: BaseException | None = None
        self.aclose = aclose
        # Now, not when the thread starts: a first call may come while the interpreter waits for
        # its last threads, and uvloop can no longer be imported then.
        self._new_loop = _uvloop_or_asyncio() if use_uvloop else asyncio.new_event_loop

    @property
    def is_of_parent(self) -> bool:
        """Whether it was used before this process was forked. One that was not is free to use."""
        return self.pid is not None and self.pid != os.getpid()

    @property
    def runs_here(self) -> bool:
        """Whether the loop runs, in this process."""
        return self.loop is not None and not self.closing and not self.is_of_parent

    def start(self) -> asyncio.AbstractEventLoop:
        check_not_patched()
        if self.pid is None:  # before the lock: a child forked meanwhile gets it locked
            self.pid = os.getpid()
        with self.lock:
            if self.loop is not None:
                return self.loop
            if self.closing:
                raise ClientStateError(_CLOSED)
            loop = self._new_loop()
            thread = threading.Thread(target=self._main, args=(loop,), name=self.name, daemon=True)
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
        if self.thread is not None:
            self.thread.join(self.close_timeout + 3 * _GRACE)
            if self.thread.is_alive():
                logger.warning("the thread %s does not stop; it is left behind", self.name)
                _kept.append(self)

    # On the thread:

    def spawn(self, aclose: AsyncClose) -> None:
        if not self.closing:
            task = asyncio.ensure_future(aclose())
            self.spawned.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(self.spawned.discard)

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ident = threading.get_ident()
        try:
            while not self.closing:
                try:
                    loop.run_forever()
                except (KeyboardInterrupt, SystemExit):
                    # Raised by a task that was started inside; whatever awaits it gets it, too.
                    logger.debug("a task on %s raised out of the loop", self.name, exc_info=True)
                    continue
                if self.loop is not loop and not self.closing:  # Ctrl-C interrupted the start
                    loop.close()
                    return
            winding_up = loop.create_task(self._wind_up())
            while not winding_up.done():
                with suppress(KeyboardInterrupt, SystemExit):
                    loop.run_until_complete(winding_up)
        except Exception:
            logger.exception("the event loop of %s broke down", self.name)
        # The loop will run nothing more: no one may wait for it any longer.
        self.closing = True
        self.ident = 0  # the system may give the number to another thread
        loop.close()
        # A call added after this sweep finds the loop closed and refuses itself.
        for call in list(self.calls):
            call.refuse()
        self.aclose = None

    async def _wind_up(self) -> None:
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
        loop = asyncio.get_running_loop()
        await asyncio.wait({loop.create_task(loop.shutdown_asyncgens())}, timeout=_GRACE)
        await asyncio.sleep(0)  # closed transports tell their protocols one turn later

    async def _run_aclose(self, aclose: AsyncClose) -> None:
        try:
            await aclose()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.close_error = error


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
            message = "unhandled exception while the client was closed"
            loop.call_exception_handler({"message": message, "exception": error, "task": task})
    if left:
        logger.warning("%d tasks ignored their cancellation at the close", len(left))
        for task in left:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # as in gather()


def _uvloop_or_asyncio() -> Callable[[], asyncio.AbstractEventLoop]:
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


def _name_of(coro: Coroutine[Any, Any, object]) -> str:
    """The name of the async function, for messages: ``Tickets.add``."""
    return getattr(coro, "__qualname__", type(coro).__name__)


_PACKAGE = __name__.rpartition(".")[0] + "."
_NOTEBOOKS = frozenset({"IPython", "ipykernel", "marimo"})
_CELL = re.compile(r"ipykernel_\d+|<ipython-input-|__marimo__")
_warned: set[tuple[str, int]] = set()


def _warn_in_async(what: str, async_name: str, hidden_module: str) -> None:
    """Warn once per call site, which is the first frame outside the sync client."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_ours(frame, hidden_module):
        frame = frame.f_back
        level += 1
    site = (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("", 0)
    if site in _warned or _in_notebook(frame):
        return
    what = what.replace("BaseClient", async_name)
    warnings.warn(
        f"{what} was called through its sync client in a thread whose event loop is running; "
        f"that event loop stands still until the call is done. Use {async_name} there, with "
        f"await.",
        SyncInAsyncWarning,
        stacklevel=level,
    )
    _warned.add(site)  # not if the filter made an error of it: then it stays one


def _in_notebook(frame: FrameType | None) -> bool:
    """Whether a cell of a notebook makes the call: its loop has nothing else to do meanwhile."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.partition(".")[0] in _NOTEBOOKS or _CELL.search(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


def _is_ours(frame: FrameType, hidden_module: str) -> bool:
    name = str(frame.f_globals.get("__name__"))
    return name == hidden_module or name.startswith(_PACKAGE)
