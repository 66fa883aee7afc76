"""Name look-ups that hold up nobody: neither a call's timeout nor the end of the process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from aiohttp import ThreadedResolver


def open_resolver() -> ThreadedResolver:
    """aiohttp's resolver, with look-ups in daemon threads.

    asyncio looks names up in its thread pool, whose threads the interpreter waits for when it
    ends: a name server that does not answer would hold the process for minutes.
    """
    return ThreadedResolver(cast("asyncio.AbstractEventLoop", _Lookups()))


class _Lookups:
    """The two calls of an event loop that aiohttp's resolver makes."""

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> Any:
        return await _in_daemon_thread(lambda: socket.getaddrinfo(host, port, **options))

    async def getnameinfo(self, address: Any, flags: int = 0) -> tuple[str, str]:
        found: tuple[str, str] = await _in_daemon_thread(lambda: socket.getnameinfo(address, flags))
        return found


async def _in_daemon_thread(call: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def run() -> None:
        value, error = None, None
        try:
            value = call()
        except Exception as problem:
            error = problem
        with suppress(RuntimeError):  # the loop was closed: nobody waits any longer
            loop.call_soon_threadsafe(_settle, result, value, error)

    try:
        threading.Thread(target=run, name="kapture-name-lookup", daemon=True).start()
    except RuntimeError as error:  # no threads left, or the interpreter is leaving
        raise OSError(f"no thread for the name look-up: {error}") from None
    return await result


def _settle(result: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if result.done():  # whoever asked has given up
        return
    if error is None:
        result.set_result(value)
    else:
        result.set_exception(error)
