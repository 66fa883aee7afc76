"""One call across the bridge: a coroutine on the loop, a lock its caller waits for."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from ..errors import ClientStateError, HelpdeskError, OutcomeUnknownError

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
