"""Planted secrets and personal data appear in no log, repr, message, traceback or pickle."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kapture_async import (
    ConfigurationError,
    HelpdeskError,
    KaptureClient,
    PushStoppedError,
    RetryPolicy,
    SyncKaptureClient,
    Timeout,
)
from kapture_async.testing import KINDS, Fault, FaultPlan, KaptureEmulator

from .. import secrecy
from ..secrecy import every_word_of

TOKEN = "canary-token-5f2e9a"
API_KEY = "canary-apikey-77b1"
PERSON = "canary-person@example.com"
WORDS = "canary-words of a customer"
SECRETS = (TOKEN, API_KEY)
CANARIES = (*SECRETS, PERSON, WORDS)


def assert_clean(text: str) -> None:
    secrecy.assert_clean(text, CANARIES)


HARMLESS = ("slow", "late", "twice", "answer_twice")
"""Kinds that let a call succeed, or that take long."""
FAULTS = [Fault(kind) for kind in KINDS if kind not in HARMLESS]


async def add(client: KaptureClient, **more: Any) -> Any:
    return await client.tickets.add(title=WORDS, email_id=PERSON, **more)


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_makes_it_show(fault: Fault, logs: pytest.LogCaptureFixture) -> None:
    events: list[Any] = []
    async with (
        KaptureEmulator(token=TOKEN, faults=FaultPlan.rate(1, kinds=[fault])) as emulator,
        KaptureClient(
            base_url=emulator.url,
            token=TOKEN,
            headers={"x-api-key": API_KEY},
            timeout=Timeout(total=0.3),
            retry=RetryPolicy(attempts=2, first_wait=0.001),
            on_event=events.append,
        ) as client,
    ):
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: add(client),
            lambda: client.tickets.update("1", sub_status="PS", comment=WORDS),
            lambda: client.tickets.get("1"),
            lambda: client.tickets.pull("2024-04-19").all(),
            lambda: client.request("/x", {"a": WORDS}),
        ]
        for call in calls:
            with pytest.raises(HelpdeskError) as caught:
                await call()
            assert_clean(every_word_of(caught.value))
            secrecy.assert_clean(every_word_of(caught.value, variables=True), SECRETS)
        seen: list[Any] = []
        try:
            async with client.tickets.push([{"title": WORDS, "email_id": PERSON}]) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
        except PushStoppedError as stopped:
            assert_clean(every_word_of(stopped))
        assert_clean(repr(seen) + seen[0].reason)
        assert_clean(repr([client, client.tickets, outcomes, events]))
    assert_clean(logs.text)
    assert any(record.name == "kapture_async.transport" for record in logs.records)


async def test_a_service_that_echoes_the_token_is_masked() -> None:
    message = f"the key {TOKEN} is not known"
    async with (
        KaptureEmulator(token=TOKEN) as emulator,
        KaptureClient(base_url=emulator.url, token=TOKEN) as client,
    ):
        with pytest.raises(HelpdeskError, match=r"the key \*\*\* is not known") as caught:
            await client.tickets.add(title="x", headers=Fault("failed", message=message).headers())
    assert_clean(every_word_of(caught.value))


@pytest.mark.parametrize("where", ["call", "copy"])
async def test_headers_of_one_call_are_masked_too(where: str) -> None:
    echo = Fault("failed", message=f"refused: x-api-key {API_KEY}")
    async with (
        KaptureEmulator(token=TOKEN, faults=FaultPlan.rate(1, kinds=[echo])) as emulator,
        KaptureClient(base_url=emulator.url, token=TOKEN) as client,
    ):
        headers = {"x-api-key": API_KEY}
        used = client.with_options(headers=headers) if where == "copy" else client
        with pytest.raises(HelpdeskError) as caught:
            await used.tickets.add(title="x", headers=headers if where == "call" else None)
    assert "***" in str(caught.value)
    assert_clean(every_word_of(caught.value))


async def test_a_password_is_masked_where_a_service_echoes_it() -> None:
    echo = Fault("failed", message=f"the password {API_KEY} is old")
    async with (
        KaptureEmulator(
            username="u", password=API_KEY, faults=FaultPlan.rate(1, kinds=[echo])
        ) as emulator,
        KaptureClient(base_url=emulator.url, username="u", password=API_KEY) as client,
    ):
        with pytest.raises(HelpdeskError) as caught:
            await client.tickets.add(title="x")
    assert_clean(every_word_of(caught.value))


@pytest.mark.usefixtures("wire")
async def test_data_that_cannot_be_encoded_does_not_show() -> None:
    async with KaptureClient("t", token=TOKEN) as client:
        for call in (
            add(client, extra={"n": float("nan"), "w": WORDS}),
            add(client, extra={"n": object(), "w": WORDS}),
            client.tickets.update("1", sub_status="PS", comment=WORDS, extra={"n": object()}),
            client.request("/x", {"w": WORDS, "n": object()}),
        ):
            with pytest.raises(HelpdeskError) as caught:
                await call
            assert_clean(every_word_of(caught.value))


async def test_a_cancelled_call_shows_nothing() -> None:
    async with (
        KaptureEmulator(
            token=TOKEN, faults=FaultPlan.rate(1, kinds=[Fault("silence_after")])
        ) as emulator,
        KaptureClient(base_url=emulator.url, token=TOKEN, headers={"x-api-key": API_KEY}) as client,
    ):
        call = asyncio.ensure_future(add(client))
        while not emulator.ledger:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert_clean(every_word_of(caught.value))
    secrecy.assert_clean(every_word_of(caught.value, variables=True), SECRETS)


@pytest.mark.parametrize(
    "settings",
    [
        {"token": f"{TOKEN}\n"},
        {"token": TOKEN, "username": "u"},
        {"token": TOKEN, "headers": {"x-api-key": f"{API_KEY}\r\nX: y"}},
        {"token": TOKEN, "credentials": {"nonsense": API_KEY}},
        {"credentials": {"add_ticket": f"{API_KEY}\0"}},
        {"username": f"a:{TOKEN}", "password": API_KEY},
        {"token": TOKEN, "proxy": f"socks5://u:{API_KEY}@h"},
        {"token": TOKEN, "timeout": -1},
        {"token": TOKEN, "timezone": "Mars"},
    ],
    ids=lambda settings: ",".join(settings),
)
@pytest.mark.parametrize("cls", [KaptureClient, SyncKaptureClient])
def test_a_refused_setting_shows_nothing(settings: dict[str, Any], cls: type[Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cls("t", **settings)
    assert_clean(every_word_of(caught.value))


def test_a_base_url_with_a_password_shows_nothing() -> None:
    with pytest.raises(ConfigurationError) as caught:
        KaptureClient(base_url=f"https://user:{TOKEN}@t.example", token="t")
    assert TOKEN not in str(caught.value)


def test_the_sync_client_shows_nothing(
    kapture_emulator: KaptureEmulator, logs: pytest.LogCaptureFixture
) -> None:
    with SyncKaptureClient(
        base_url=kapture_emulator.url, token=TOKEN, headers={"x-api-key": API_KEY}
    ) as client:
        with pytest.raises(HelpdeskError) as caught:
            client.tickets.add(title=WORDS, email_id=PERSON)
        assert_clean(every_word_of(caught.value))
        secrecy.assert_clean(every_word_of(caught.value, variables=True), SECRETS)
        assert_clean(repr(client) + repr(client.tickets))
    assert_clean(logs.text)


def test_the_canary_would_be_found() -> None:
    """The net itself has no hole."""

    def leak(secret: str) -> None:
        raise ConfigurationError("x")

    try:
        leak(TOKEN)
    except ConfigurationError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert TOKEN in "".join(told.format())
    assert sys.exc_info() == (None, None, None)
