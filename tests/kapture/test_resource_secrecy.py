"""Customers, orders and FAQs show no secret and no personal data, whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from kapture_async import (
    ConfigurationError,
    HelpdeskError,
    InvalidInputError,
    KaptureClient,
    NewCustomer,
    NewOrder,
    RetryPolicy,
    SyncKaptureClient,
    Timeout,
)
from kapture_async.testing import KINDS, Fault, FaultPlan, KaptureEmulator

from .. import secrecy
from ..secrecy import every_word_of

TOKEN = "canary-token-5f2e9a"
USER = "canary-user"
PASSWORD = "canary-password-77b1"
PERSON = "canary-person@example.com"
PHONE = "canary-0000000000"
WORDS = "canary-words of a customer"
SECRETS = (TOKEN, PASSWORD)
CANARIES = (*SECRETS, PERSON, PHONE, WORDS)

PERSONAL: dict[str, Any] = {"customer_name": WORDS, "phone": PHONE, "email_id": PERSON}


def assert_clean(text: str) -> None:
    secrecy.assert_clean(text, CANARIES)


def order_calls(client: KaptureClient) -> list[Awaitable[Any]]:
    orders = client.orders
    return [
        orders.add(customer=PERSONAL, order_info={"a": WORDS}, product_details=[{"b": WORDS}]),
        orders.update("1", customer=PERSONAL, order_info={"a": WORDS}, id_at="order_info.order_id"),
        orders.pull(1, name=WORDS, phone=PHONE).all(),
    ]


def calls(client: KaptureClient) -> list[Awaitable[Any]]:
    customers = client.customers
    return [
        *order_calls(client),
        customers.add(**PERSONAL, contacts=[{"first_name": WORDS}], enquiry={"remarks": WORDS}),
        customers.add(NewCustomer(**PERSONAL)),
        customers.update("1", **PERSONAL, extra={"remarks": WORDS}),
        customers.get(phone=PHONE, email_id=PERSON),
        customers.pull("2024-05-02", cm_id=1, name=WORDS, phone=PHONE).all(),
        client.faqs.contents("5247", extra={"a": WORDS}).all(),
        client.faqs.categories(),
    ]


HARMLESS = ("slow", "late", "twice", "answer_twice")
"""Kinds that let a call succeed, or that take long."""
FAULTS = [Fault(kind) for kind in KINDS if kind not in HARMLESS]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_makes_it_show(fault: Fault, logs: pytest.LogCaptureFixture) -> None:
    events: list[Any] = []
    async with (
        KaptureEmulator(token=TOKEN, faults=FaultPlan.rate(1, kinds=[fault])) as emulator,
        KaptureClient(
            base_url=emulator.url,
            token=TOKEN,
            credentials={"orders": (USER, PASSWORD)},
            timeout=Timeout(total=0.4),
            retry=RetryPolicy(attempts=2, first_wait=0.001),
            on_event=events.append,
        ) as client,
    ):
        for error in await asyncio.gather(*calls(client), return_exceptions=True):
            assert isinstance(error, HelpdeskError)
            assert_clean(every_word_of(error))
            secrecy.assert_clean(every_word_of(error, variables=True), SECRETS)
        assert_clean(repr([client, client.customers, client.orders, client.faqs, events]))
        assert_clean(repr(client.customers.pull("2024-05-02", cm_id=1, name=WORDS)))
    assert_clean(logs.text)
    assert any(record.name == "kapture_async.transport" for record in logs.records)


@pytest.mark.parametrize("where", ["password", "both"])
async def test_a_service_that_echoes_the_password_is_masked(where: str) -> None:
    text = f"the password {PASSWORD} of {TOKEN} is old"
    echo = Fault("failed", message=text)
    async with (
        KaptureEmulator(token=TOKEN, faults=FaultPlan.rate(1, kinds=[echo])) as emulator,
        KaptureClient(
            base_url=emulator.url, token=TOKEN, credentials={"orders": (USER, PASSWORD)}
        ) as client,
    ):
        orders = where == "password"
        call = client.orders.pull(1, name="x").all() if orders else client.customers.get("1")
        with pytest.raises(HelpdeskError) as caught:
            await call
    assert "***" in str(caught.value)
    assert_clean(every_word_of(caught.value))


async def test_data_that_cannot_be_sent_does_not_show() -> None:
    bad = {"n": object(), "w": WORDS}
    async with KaptureClient("t", username=USER, password=PASSWORD) as client:
        customers, orders = client.customers, client.orders
        for call in (
            customers.add(**PERSONAL, extra=bad),
            customers.update("1", **PERSONAL, extra=bad),
            customers.get(phone=PHONE, extra=bad),
            customers.add(phone=PHONE, email_id=PERSON),
            customers.add(customer_name=WORDS, contacts=WORDS),  # type: ignore[arg-type]
            customers.add(**PERSONAL, extra={"phone": PHONE}),
            customers.pull("2024-05-02", cm_id=1, extra=bad).all(),
            customers.add(**PERSONAL, extra=WORDS),  # type: ignore[arg-type]
            orders.add(customer=PERSONAL, order_info=bad),
            orders.update("1", order_info=bad, id_at="order_id"),
            orders.pull(1, name=WORDS, extra=bad).all(),
        ):
            with pytest.raises(HelpdeskError) as caught:
                await call
            assert_clean(every_word_of(caught.value))


def test_what_is_refused_when_it_is_built_does_not_show() -> None:
    for build in (
        lambda: NewCustomer(customer_name=WORDS, extra={"remarks2": WORDS}),
        lambda: NewCustomer(**PERSONAL, remarks=[WORDS]),
        lambda: NewCustomer.from_mapping({"remarks": WORDS}),
        lambda: NewOrder(customer={"customer_info": WORDS}),
        lambda: NewOrder(customer=PERSONAL, product_details=[WORDS]),
    ):
        with pytest.raises(InvalidInputError) as caught:
            build()
        # The caller's own values are in the constructor's frames; the message is what is shown.
        assert_clean(str(caught.value) + repr(caught.value) + repr(caught.value.fields))


@pytest.mark.parametrize("cls", [KaptureClient, SyncKaptureClient])
@pytest.mark.parametrize(
    "credentials",
    [
        {"orders": (f"a:{USER}", PASSWORD)},
        {"orders": f"{TOKEN}\n"},
        {"nonsense": (USER, PASSWORD)},
    ],
    ids=["colon", "line", "name"],
)
def test_refused_credentials_do_not_show(cls: type[Any], credentials: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cls("t", credentials=credentials)
    assert_clean(every_word_of(caught.value))


async def test_an_order_without_a_user_shows_nothing() -> None:
    async with KaptureClient("t", token=TOKEN) as client:
        for call in order_calls(client):
            with pytest.raises(ConfigurationError) as caught:
                await call
            assert_clean(every_word_of(caught.value))


def test_the_sync_client_shows_nothing(
    kapture_emulator: KaptureEmulator, logs: pytest.LogCaptureFixture
) -> None:
    with SyncKaptureClient(base_url=kapture_emulator.url, token=TOKEN) as client:
        customers: Any = client.customers
        for call in (
            lambda: customers.add(**PERSONAL, extra={"remarks": WORDS}),
            lambda: customers.update("1", **PERSONAL),
            lambda: customers.get(phone=PHONE),
            lambda: client.orders.add(customer=PERSONAL, order_info={"a": WORDS}),
            lambda: customers.pull("2024-05-02", cm_id=0, phone=PHONE, extra={"a": WORDS}),
            lambda: customers.pull("May", cm_id=1, name=WORDS),
            lambda: client.orders.pull(0, name=WORDS),
            lambda: client.orders.pull(1, phone=PHONE),
            lambda: client.faqs.contents("", extra={"a": WORDS}),
        ):
            with pytest.raises(HelpdeskError) as caught:
                call()
            assert_clean(every_word_of(caught.value))
        assert_clean(repr([client, client.customers, client.orders, client.faqs]))
    assert_clean(logs.text)
