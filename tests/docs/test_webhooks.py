"""The receivers of status call-backs in the guide: taken from its text, run on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kapture_async import KaptureClient
from kapture_async.testing import KaptureEmulator

from .guides import examples
from .serving import listening, under_uvicorn

SECRET = "a-long-word-that-nobody-guesses"


def receiver(framework: str) -> Any:
    """The ``app`` of the example that imports the framework."""
    webhooks = examples("kapture_async/README.md", "python", "webhook")
    (example,) = [found for found in webhooks if f"from {framework} import" in found.code]
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(example.tree(), example.where, "exec"), names)
    return names["app"]


@asynccontextmanager
async def with_fastapi() -> AsyncIterator[str]:
    async with under_uvicorn(receiver("fastapi")) as (url, _):
        yield url


@asynccontextmanager
async def with_aiohttp() -> AsyncIterator[str]:
    runner = web.AppRunner(receiver("aiohttp"), access_log=None)
    await runner.setup()
    with listening() as (sock, url):
        try:
            await web.SockSite(runner, sock).start()
            yield url
        finally:
            await runner.cleanup()


Served = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture
async def ticket_id(
    emulator: KaptureEmulator, client: KaptureClient, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("KAPTURE_BASE_URL", emulator.url)
    monkeypatch.setenv("KAPTURE_TOKEN", emulator.token)
    return (await client.tickets.add(title="Printer on fire")).ticket_id


@pytest.mark.parametrize("served", [with_fastapi, with_aiohttp])
async def test_a_receiver(
    served: Served, ticket_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"ticketId": ticket_id, "status": "Complete", "sub-status": "Resolved"}
    async with served() as url, aiohttp.ClientSession() as caller:

        async def call(secret: str, **body: Any) -> int:
            async with caller.post(f"{url}/kapture/{secret}", **body) as answer:
                return answer.status

        assert await call(SECRET, json=said) == 204
        # The ticket's own word is taken, not that of the call-back.
        assert capsys.readouterr().out == f"{ticket_id} Pending\n"

        assert await call("guessed", json=said) == 404
        assert await call("é", json=said) == 404
        assert await call(SECRET, json={**said, "ticketId": "4711"}) == 400
        assert await call(SECRET, json=[said]) == 400
        assert await call(SECRET, data=b"ticketId=1") == 400
        assert await call(SECRET, json={**said, "fill": "x" * 70_000}) in (400, 413)
        assert capsys.readouterr().out == ""
