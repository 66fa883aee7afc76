"""Leaves the interpreter without close(), in the state that the arguments name."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

import aiohttp

from kapture_async._core.errors import OutcomeUnknownError
from kapture_async._core.sync import Portal

case, loop_kind, url = sys.argv[1:]


class Client:
    session: aiohttp.ClientSession

    async def open(self) -> None:
        self.session = aiohttp.ClientSession(url)

    async def get(self) -> str:
        async with self.session.get("/") as reply:
            return await reply.text()

    async def aclose(self) -> None:
        await self.session.close()
        print("closed", flush=True)


async def nothing() -> None:
    pass


async def spawn_pending() -> None:
    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            print("cancelled", flush=True)

    tasks.append(asyncio.create_task(forever()))
    await asyncio.sleep(0)


async def hang() -> None:
    await asyncio.Event().wait()


async def stubborn() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("refused", flush=True)


async def spawn_stubborn() -> None:
    tasks.append(asyncio.create_task(stubborn()))
    await asyncio.sleep(0)


def in_call() -> None:
    began = threading.Event()

    async def call() -> None:
        began.set()
        await asyncio.Event().wait()

    def run() -> None:
        # That it is told may or may not be seen: the interpreter freezes daemon threads.
        with suppress(OutcomeUnknownError):
            loop.call(call())

    threading.Thread(target=run, daemon=True).start()
    began.wait()


tasks: list[asyncio.Task[None]] = []
client = Client()
use_uvloop = loop_kind == "uvloop"
loop = Portal(use_uvloop=use_uvloop)
if case == "never-used":
    pass
elif case == "idle":
    loop.call(nothing())
elif case == "pending":
    loop.call(spawn_pending())
elif case == "session":
    loop = Portal(use_uvloop=use_uvloop, aclose=client.aclose)
    loop.call(client.open())
    print(loop.call(client.get()))
elif case == "hanging-close":
    loop = Portal(use_uvloop=use_uvloop, aclose=hang)
    loop.call(nothing())
elif case == "stubborn":
    loop.call(spawn_stubborn())
elif case == "daemon-in-call":
    in_call()
elif case == "thread":
    first_call = threading.Event()

    def outlive_main() -> None:
        loop.call(nothing())
        first_call.set()
        threading.main_thread().join()  # which by then waits for this thread
        loop.call(nothing())
        print("thread done", flush=True)

    threading.Thread(target=outlive_main).start()
    first_call.wait()
elif case == "cycle":
    holder: list[object] = [loop]
    holder.append(holder)
    loop.call(nothing())
    del loop, holder
else:
    raise AssertionError(case)
print("left", flush=True)
