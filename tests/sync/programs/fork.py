"""Forks with a used client, and looks at what the child can do; then uses it in the parent."""

from __future__ import annotations

import gc
import os
import sys
import warnings

import aiohttp

from kapture_async._core.errors import ClientStateError
from kapture_async._core.sync import Portal

case, loop_kind, url = sys.argv[1:]
# Python 3.12 warns of every fork in a process with threads; that is what is tried here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


class Client:
    async def open(self) -> None:
        self.session = aiohttp.ClientSession(url)

    async def get(self) -> str:
        async with self.session.get("/") as reply:
            return await reply.text()

    async def aclose(self) -> None:
        await self.session.close()
        print(f"closed by {'parent' if os.getpid() == parent else 'child'}", flush=True)


parent = os.getpid()
client = Client()
loop = Portal(use_uvloop=loop_kind == "uvloop", aclose=client.aclose)
loop.call(client.open())
loop.call(client.get())
unused = Client()
unused_loop = Portal(use_uvloop=loop_kind == "uvloop", aclose=unused.aclose)
child = os.fork()
if child == 0:
    if case == "call":
        try:
            loop.call(client.get())
        except ClientStateError as error:
            print(error, flush=True)
    elif case == "close":
        loop.close()
        print("close did nothing", flush=True)
    elif case == "drop":
        del loop, client
        gc.collect()
    elif case == "new":
        fresh = Client()
        with_fresh = Portal(aclose=fresh.aclose)
        with_fresh.call(fresh.open())
        print(with_fresh.call(fresh.get()), flush=True)
        with_fresh.close()
    elif case == "unused":
        unused_loop.call(unused.open())
        print(unused_loop.call(unused.get()), flush=True)
        unused_loop.close()
    else:
        assert case == "leave"
    sys.exit(7)
status = os.waitpid(child, 0)[1]
print("child left with", os.waitstatus_to_exitcode(status))
print("parent:", loop.call(client.get()))
loop.close()
