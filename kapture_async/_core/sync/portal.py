"""One call across the bridge: a coroutine on the loop, a lock its caller waits for."""

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
from typing import Any, Generic, Protocol, TypeVar

from ..errors import ClientStateError, HelpdeskError, OutcomeUnknownError
from ..runtime import check_not_patched

T = TypeVar("T")

CLOSED = "the client is closed"

_POLL = 0.1 if sys.platform == "win32" else 1.0
"""The wait for a call is cut into pieces of so many seconds.

On Windows a blocked lock cannot be interrupted by Ctrl-C at all. Elsewhere it can, but for a
Ctrl-C in the very moment before the thread begins to wait, which would go unnoticed until the
call ends.
"""


class Owner(Protocol):
    """What a call must know of the loop it runs on."""

    closing: bool
    lock: threading.Lock
    calls: set[Call[Any]]


class Call(Generic[T]):
    """One coroutine on its way through the loop, and the lock its caller waits for."""

    __slots__ = (
        "_begun",
        "_core",
        "_coro",
        "_done",
        "_error",
        "_finished",
        "_loop",
        "_task",
        "_value",
    )

    _value: T

    def __init__(
        self, core: Owner, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T]
    ) -> None:
        self._core = core
        self._loop = loop
        self._coro = coro
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._begun = False
        self._finished = False
        self._done = threading.Lock()
        self._done.acquire()

    # On the loop's thread:

    def start(self) -> None:
        if self._finished:
            return
        if self._core.closing:
            self.refuse()
            return
        self._task = self._loop.create_task(self._carry())
        self._task.add_done_callback(self._ended)

    async def _carry(self) -> None:
        # Nothing may leave this task: KeyboardInterrupt and SystemExit would end the loop for
        # every other caller.
        self._begun = True
        try:
            self._value = await self._coro
        except BaseException as error:
            self._error = error
        self._finish()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A task cancelled before its first step never enters the shim.
        if not self._finished:
            self._coro.close()
            self._error = asyncio.CancelledError()
            self._finish()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self.refuse()

    # On any thread:

    def refuse(self) -> None:
        """End a call the loop will not carry on with."""
        with self._core.lock:  # the caller and the last sweep may both come here
            if not self._finished:
                if not self._begun:
                    self._coro.close()
                self._error = asyncio.CancelledError()
                self._finish()

    def _finish(self) -> None:
        self._finished = True
        self._core.calls.discard(self)
        self._done.release()

    # On the caller's thread:

    def wait(self) -> None:
        while not self._done.acquire(timeout=_POLL):
            pass

    def give_up(self, interrupt: BaseException, timeout: float) -> None:
        """Cancel once, wait for the end, and tell ``interrupt`` what came of the call."""
        name = name_of(self._coro)
        with suppress(RuntimeError):  # closed: the sweep has ended the call
            self._loop.call_soon_threadsafe(self._cancel)
        try:
            if not self._finished and not self._done.acquire(timeout=timeout):
                _leave(interrupt, OutcomeUnknownError(f"{name} did not stop in time"))
                interrupt.add_note(
                    f"{name} did not stop within {timeout:g} s after it was cancelled: it may "
                    f"still happen."
                )
                return
        except BaseException as second:
            second.add_note(f"{name} was still being cancelled: it may or may not have happened.")
            raise
        error = self._error
        if not self._begun:
            interrupt.add_note(f"{name} had not begun: nothing was sent.")
            return
        if error is None:
            _leave(interrupt, OutcomeUnknownError(f"{name} had completed; its result was lost"))
            interrupt.add_note(f"{name} had completed; only its result was lost.")
            return
        left = error if isinstance(error, HelpdeskError) else getattr(error, "helpdesk_error", None)
        if isinstance(left, HelpdeskError):
            _leave(interrupt, left)
        if isinstance(error, HelpdeskError):
            interrupt.add_note(f"{name} ended with {type(error).__name__}: {error}")
        elif not isinstance(error, asyncio.CancelledError):
            interrupt.add_note(f"{name} ended with {type(error).__name__}.")
        for note in getattr(error, "__notes__", ()):
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
            if isinstance(error, asyncio.CancelledError) and self._core.closing:
                if not self._begun:
                    raise ClientStateError(CLOSED)
                raise _closed_meanwhile(error) from error
            raise error
        finally:
            del error  # it holds this frame: no cycle


def _leave(interrupt: BaseException, error: HelpdeskError) -> None:
    """Where ``interrupted_by`` finds it."""
    interrupt.helpdesk_error = error  # type: ignore[attr-defined]


def _closed_meanwhile(error: asyncio.CancelledError) -> OutcomeUnknownError:
    unknown = OutcomeUnknownError("the client was closed while the call was running")
    for note in getattr(error, "__notes__", ()):
        unknown.add_note(note)
    return unknown


def name_of(coro: Coroutine[Any, Any, object]) -> str:
    """The name of the async function, for messages: ``Tickets.add``."""
    return getattr(coro, "__qualname__", type(coro).__name__)


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


CLOSE_TIMEOUT = 10.0
"""Seconds an asked-for close may take before its pieces are cancelled."""
FORGOTTEN_TIMEOUT = 2.0
"""The same for a close nobody asked for: at interpreter exit, or by the garbage collector."""
CANCEL_TIMEOUT = 5.0
"""Seconds to wait for a call to end after Ctrl-C cancelled it."""

_FORKED = "the client was made before the fork: create the client after the fork"
_DEADLOCK = (
    "a blocking call was made on the client's own event loop thread (from a hook or a "
    "callback?), where it would wait for itself for ever"
)


class SyncInAsyncWarning(RuntimeWarning):
    """A blocking call was made in a thread whose own event loop is running, and stops it."""


class PrivateLoop:
    """Runs coroutines for blocking code, on an event loop of its own in a daemon thread.

    The thread starts at the first :meth:`run`. One object may serve many threads at once.

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
        self._core = LoopCore(name, aclose, use_uvloop)
        # On this object, not on the client: everything that can still make calls (options
        # copies, resources, pagers) holds it. The finalizer holds only the core.
        self._finalizer = weakref.finalize(self, _forgotten, self._core)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has begun."""
        return self._core.closing

    def run(self, coro: Coroutine[Any, Any, T], *, cancel_timeout: float | None = None) -> T:
        """Run a coroutine on the loop, and wait for it.

        Exceptions cross unchanged. The task sees the caller's context variables.

        Args:
            coro: the coroutine; closed here if it cannot be run.
            cancel_timeout: another bound for this call than the one of the loop.

        Raises:
            ClientStateError: closed; made before a fork; or called on the loop's own thread.
                Nothing was started.
            OutcomeUnknownError: the client was closed by another thread during the call.
            KeyboardInterrupt: Ctrl-C (as any exception raised in the waiting thread). The
                coroutine was cancelled once, and its end awaited for ``cancel_timeout`` seconds;
                notes on the exception say what is known of the outcome.
        """
        try:
            self._check_caller(name_of(coro))
            core = self._core
            loop = core.loop or core.start()
            call = Call(core, loop, coro)
        except BaseException:
            coro.close()
            raise
        try:
            core.calls.add(call)
            try:
                loop.call_soon_threadsafe(call.start, context=copy_context())
            except RuntimeError:  # the loop was closed between the check and here
                call.refuse()
            call.wait()
        except BaseException as interrupt:
            bound = self._cancel_timeout if cancel_timeout is None else cancel_timeout
            call.give_up(interrupt, bound)
            raise
        return call.outcome()

    def finish(self, aclose: AsyncClose) -> None:
        """Run a closing coroutine if there is anything to close; never starts the thread.

        For what lives in the loop but does not own it (a pager, a copy with other options).
        Does nothing if the loop never started, is closed, or belongs to the parent process.

        Args:
            aclose: makes the closing coroutine; its exceptions cross.
        """
        core = self._core
        if core.pid != os.getpid() or core.loop is None or core.closing:
            return
        try:
            self.run(aclose())
        except ClientStateError:
            if not core.closing:  # else another thread has just closed everything
                raise

    def post(self, aclose: AsyncClose) -> None:
        """Like :meth:`finish`, without waiting and without raising: for ``__del__``.

        Args:
            aclose: makes the closing coroutine; its exceptions go to the log.
        """
        core, loop = self._core, self._core.loop
        if core.pid != os.getpid() or loop is None or core.closing:
            return
        with suppress(RuntimeError):  # closed in between; the close sees to what is left
            loop.call_soon_threadsafe(core.spawn, aclose)

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
        core = self._core
        if core.pid != os.getpid():
            return
        if threading.get_ident() == core.thread_id:
            raise ClientStateError(_DEADLOCK)
        if core.loop is None and not core.closing and (aclose or core.aclose):
            with suppress(ClientStateError):  # no thread to be had: then it stays unused
                core.start()  # unused, but it must know that it is closed
        core.begin_close(aclose, CLOSE_TIMEOUT)
        core.join()
        self._finalizer.detach()
        error, core.close_error = core.close_error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it holds this frame: no cycle

    def _check_caller(self, what: str) -> None:
        core = self._core
        if core.pid != os.getpid():  # before any lock: the fork may have copied it locked
            raise ClientStateError(_FORKED)
        if core.closing:
            raise ClientStateError(CLOSED)
        if threading.get_ident() == core.thread_id:
            raise ClientStateError(_DEADLOCK)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        _warn_in_async(what, self._async_name, self._hidden_module)


def _forgotten(core: LoopCore) -> None:
    """Nobody can make calls any more, or the interpreter is leaving; close what was forgotten."""
    if core.pid != os.getpid():
        # Taking the parent's session apart would take its sockets out of the epoll set both
        # processes share, so it must not even be freed.
        keep_for_ever(core)
        return
    if core.loop is None:
        return
    forgotten = core.begin_close(None, FORGOTTEN_TIMEOUT)
    if threading.get_ident() == core.thread_id:
        return  # the collector ran on the loop's thread, which winds up by itself
    core.join()
    if forgotten:
        warnings.warn(
            f"unclosed client ({core.name}): call close() or use it in a with statement",
            ResourceWarning,
            stacklevel=2,
        )


_PACKAGE = __name__.rpartition(".")[0] + "."
_NOTEBOOKS = frozenset({"IPython", "ipykernel", "marimo"})
_CELL = re.compile(r"ipykernel_\d+|<ipython-input-|__marimo__")
_warned: set[tuple[str, int]] = set()


def _warn_in_async(what: str, async_name: str, hidden_module: str) -> None:
    """Warn once per call site, which is the first frame outside the facade."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_ours(frame, hidden_module):
        frame = frame.f_back
        level += 1
    site = (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("", 0)
    if site in _warned or _in_notebook(frame):
        return
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
