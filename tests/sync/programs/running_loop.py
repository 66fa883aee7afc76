"""Calls the sync client inside a running event loop, as a notebook does."""

from __future__ import annotations

import asyncio

from kapture_async._core.sync import Portal


async def answer() -> int:
    return 42


async def main() -> None:
    loop = Portal(async_name="KaptureClient")
    for _ in range(3):
        print(loop.call(answer()))
    print(loop.call(answer()))  # another call site
    loop.close()


asyncio.run(main())
