"""Applications of the guides, served on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock, f"http://127.0.0.1:{sock.getsockname()[1]}"


@asynccontextmanager
async def under_uvicorn(app: Any) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Its address, and what SIGTERM does: begin the shutdown."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", ws="none")
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]

    def stop() -> None:
        server.should_exit = True

    with listening() as (sock, url):
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield url, stop
        finally:
            stop()
            await serving
