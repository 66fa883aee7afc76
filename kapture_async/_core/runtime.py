"""The process we run in: refused if it cannot run asyncio; daemon threads for blocking calls."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

from .errors import ClientStateError, ConfigurationError

T = TypeVar("T")

_GEVENT = ("thread", "threading", "socket", "select", "selectors", "queue")  # by which threads wait
_EVENTLET = ("thread", "socket", "select")


def check_not_patched() -> None:
    """Refuse to run where asyncio's threads and sockets were replaced by green ones.

    An event loop in a green thread never gives control back, so every call would hang.

    Raises:
        ConfigurationError: gevent or eventlet has patched them. Nothing was sent.
    """
    found = _patched_by()
    if found:
        raise ConfigurationError(
            f"{found} has monkey-patched this process, and asyncio cannot run on its sockets and "
            "threads: every call would hang",
            next_step=f"Use this client in a process that {found} has not patched.",
        )


def _patched_by() -> str:
    monkey = sys.modules.get("gevent.monkey")
    is_patched = getattr(monkey, "is_module_patched", None)
    if is_patched is not None and any(is_patched(name) for name in _GEVENT):
        return "gevent"
    patcher = sys.modules.get("eventlet.patcher")
    is_patched = getattr(patcher, "is_monkey_patched", None)
    if is_patched is not None and any(is_patched(name) for name in _EVENTLET):
        return "eventlet"
    return ""


def running_loop() -> asyncio.AbstractEventLoop:
    """The running event loop.

    Raises:
        ClientStateError: none runs here; with trio and curio there never is one.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    raise ClientStateError(
        "no asyncio event loop is running here, and the async client needs one (it does not run "
        "on trio or curio)",
        next_step="Run it with asyncio.run(), or use the sync client.",
    )


async def in_daemon_thread(
    call: Callable[[], T], name: str
) -> tuple[T, None] | tuple[None, BaseException]:
    """What a blocking function returns, or what it raises.

    A thread that hangs must neither occupy the loop's own pool nor hold up the end of the
    interpreter, which waits for the threads of that pool.

    Args:
        call: the function; it sees the caller's context variables.
        name: of the thread.

    Raises:
        OSError: there are no threads left, or the interpreter is leaving.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[tuple[T, None] | tuple[None, BaseException]] = loop.create_future()

    def settle(found: tuple[T, None] | tuple[None, BaseException]) -> None:
        if not result.done():  # else whoever asked has given up
            result.set_result(found)

    def run() -> None:
        found: tuple[T, None] | tuple[None, BaseException]
        try:
            found = call(), None
        except BaseException as error:
            found = None, error
        with suppress(RuntimeError):  # the loop is closed: no one waits any longer
            loop.call_soon_threadsafe(settle, found)

    try:
        threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError(f"no thread for {name}: {error}") from None
    return await result
