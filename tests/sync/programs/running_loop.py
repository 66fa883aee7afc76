"""Calls the sync client inside a running event loop, as a notebook does."""

from __future__ import annotations

import asyncio

from kapture_async._core.sync import PrivateLoop


async def answer() -> int:
    return 42


async def main() -> None:
    loop = PrivateLoop(async_name="KaptureClient")
    for _ in range(3):
        print(loop.run(answer()))
    print(loop.run(answer()))  # another call site
    loop.close()


asyncio.run(main())
