"""Where the library cannot run, said at once: what is patched for green threads, and no asyncio."""

from __future__ import annotations

import asyncio
import sys

from .errors import ClientStateError, ConfigurationError

_GEVENT = ("thread", "threading", "socket", "select", "selectors")
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
