"""A wrong address is no missing ticket: HTTP 404 for a path says nothing of any id."""

from __future__ import annotations

import asyncio

import pytest

from kapture_async import EndpointNotFoundError, KaptureClient, NotFoundError, SyncKaptureClient
from support_async import SupportClient
from support_async.testing import SupportEmulator

from ..transport.test_stray_bytes import read_request, serving

PAGE = b"<html><title>404</title>Not Found</html>"
KONG = b'{"message":"no Route matched with those values"}'
SPRING = b'{"timestamp":"2024-04-19T10:00:00Z","status":404,"error":"Not Found","path":"/x"}'
OWN = b'{"status":"failed","message":"Ticket not found"}'


def answering(body: bytes):  # type: ignore[no-untyped-def]
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            head = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()

    return serving(handler)


@pytest.mark.parametrize("body", [PAGE, KONG, SPRING, b""])
@pytest.mark.parametrize("ids", [["1"], ["1", "2"], [str(n) for n in range(120)]])
async def test_get_many_raises(body: bytes, ids: list[str]) -> None:
    async with answering(body) as url, KaptureClient(base_url=url, token="t") as client:
        with pytest.raises(EndpointNotFoundError, match="Check the base URL"):
            await client.tickets.get_many(ids)


@pytest.mark.parametrize("body", [PAGE, KONG, SPRING, b""])
async def test_each_call_tells_it(body: bytes) -> None:
    async with answering(body) as url:
        async with KaptureClient(base_url=url, token="t") as client:
            for call in (
                client.tickets.get("1"),
                client.tickets.update("1", sub_status="x"),
                client.customers.get(customer_id="1"),
            ):
                with pytest.raises(EndpointNotFoundError) as caught:
                    await call
                assert caught.value.outcome == "rejected"
        with pytest.raises(EndpointNotFoundError):
            await asyncio.to_thread(get_many_sync, url)
        async with SupportClient(url, apikey="k", access_token="t") as support:
            with pytest.raises(EndpointNotFoundError):
                await support.tickets.history()
            if body != KONG and body != SPRING:
                with pytest.raises(EndpointNotFoundError):
                    await support.tickets.get("1")


def get_many_sync(url: str) -> None:
    with SyncKaptureClient(base_url=url, token="t") as client:
        client.tickets.get_many(["1"])


async def test_in_the_services_own_words_it_is_the_ticket() -> None:
    async with answering(OWN) as url, KaptureClient(base_url=url, token="t") as client:
        with pytest.raises(NotFoundError) as caught:
            await client.tickets.get("1")
        assert type(caught.value) is NotFoundError
        assert (await client.tickets.get_many(["1"])).missing == ("1",)
    async with (
        SupportEmulator() as emulator,
        SupportClient(
            emulator.url, apikey="emulator-apikey", access_token=emulator.token
        ) as support,
    ):
        with pytest.raises(NotFoundError) as caught:
            await support.tickets.get("999999")
        assert type(caught.value) is NotFoundError
