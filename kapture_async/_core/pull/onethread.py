"""Blocking work of a coroutine, all of it in one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

R = TypeVar("R")


class OneThread:
    """A thread for all that blocks: the same one each time, as each has memory of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="export")

    async def __call__(self, act: Callable[..., R], *args: Any) -> R:
        """Call something there. A cancellation waits until the thread is done with it."""
        call = asyncio.get_running_loop().run_in_executor(self._pool, act, *args)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait({call})
            if not call.cancelled():
                call.exception()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False)
