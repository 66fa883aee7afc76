"""How long an import takes, in an interpreter that has loaded nothing yet."""

from __future__ import annotations

from . import Case, Contender

FIRST_CLIENT = """
import asyncio
from kapture_async import KaptureClient
async def main():
    async with KaptureClient(base_url="http://127.0.0.1:9", token="t"):
        pass
asyncio.run(main())
"""


def _import(name: str, title: str, code: str, needs: tuple[str, ...] = ()) -> Contender:
    return Contender(name, title, "imports", "run", needs=needs, options={"code": code})


CASES = [
    Case(
        name="import",
        title="Import",
        contenders=(
            _import("requests", "import requests", "import requests", ("requests",)),
            _import("kapture", "import kapture_async", "import kapture_async"),
            _import("client", "the same, and the first client open", FIRST_CLIENT),
            _import("aiohttp", "import aiohttp", "import aiohttp"),
            _import("httpx", "import httpx", "import httpx", ("httpx",)),
        ),
        rows=1,
        quick=1,
        unit="milli",
        over="",
    )
]
