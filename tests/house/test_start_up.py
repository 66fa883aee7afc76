"""What is not loaded until it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

CLIENTS = {
    "kapture_async": "KaptureClient(base_url='http://127.0.0.1:9', token='t')",
    "support_async": "SupportClient(base_url='http://127.0.0.1:9', apikey='k', access_token='t')",
}
OPEN = """
import asyncio, sys
from {package} import {name}
async def main():
    async with {call} as client:
        print(*sys.modules)
        client.tickets
        print(*sys.modules)
        assert type(client.tickets).__module__ == {package!r}
asyncio.run(main())
"""


@pytest.mark.parametrize("package", CLIENTS)
def test_an_open_client_has_loaded_what_a_call_needs_and_no_more(package: str) -> None:
    call = CLIENTS[package]
    code = OPEN.format(package=package, call=call, name=call.partition("(")[0])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    opened, used = (set(line.split()) for line in done.stdout.splitlines())
    assert "aiohttp" in opened  # a service loads it while it starts, not in its first request
    core = "kapture_async._core"
    later = {
        f"{core}.push.push",
        f"{core}.reconcile.reconcile",
        f"{core}.journal.reader",
        "sqlite3",
    }
    later |= {f"{package}.tickets.models", f"{package}.sync"}
    heavy = {"cattrs", "anyio", "click", "rich", "uvloop", "pyarrow", "requests"}
    assert opened & (later | heavy) == set()
    assert f"{package}.tickets.models" in used
    assert used & {"click", "rich", "uvloop", "pyarrow"} == set()
