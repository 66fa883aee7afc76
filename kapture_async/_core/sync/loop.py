"""A private event loop in a daemon thread, through which blocking code runs coroutines.

Why each part is as it is, in short: a loop thread (unlike a loop in the caller's thread) also
works in notebooks; it is a daemon, and nothing in it waits for the interpreter, because a
portal that is never left hangs the process at exit; the bridge is one lock, because that is
the cheapest way to wait.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
import warnings
import weakref
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import copy_context
from types import FrameType
from typing import Any, TypeVar

from ..errors import ClientStateError
from .call import CLOSED, Call, name_of
from .core import AsyncClose, LoopCore, keep_for_ever

T = TypeVar("T")

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
