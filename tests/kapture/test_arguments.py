"""Arguments of a wrong type: refused by name, with our own errors, and nothing is sent."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import kapture_async
import support_async
from kapture_async import (
    ConfigurationError,
    InvalidInputError,
    KaptureClient,
    RetryPolicy,
    SyncKaptureClient,
    Timeout,
)
from kapture_async.testing import KaptureEmulator
from support_async import SupportClient, SyncSupportClient
from support_async.testing import SupportEmulator

WRONG = object()
REFUSED = (ConfigurationError, InvalidInputError)
KAPTURE: dict[str, Any] = {"base_url": "https://t.example.com", "token": "t"}
SUPPORT: dict[str, Any] = {
    "base_url": "https://s.example.com",
    "apikey": "k",
    "access_token": "t",
}


# --- settings ------------------------------------------------------------------------------------


def settings_of(kind: Any) -> list[str]:
    return [name for name in inspect.signature(kind.__init__).parameters if name != "self"]


SETTINGS = [
    (kind, given, name)
    for kind, given in (
        (KaptureClient, KAPTURE),
        (SyncKaptureClient, KAPTURE),
        (SupportClient, SUPPORT),
        (SyncSupportClient, SUPPORT),
    )
    for name in settings_of(kind)
]


@pytest.mark.parametrize(("kind", "given", "name"), SETTINGS)
def test_every_setting_of_a_client(kind: Any, given: dict[str, Any], name: str) -> None:
    given = {**given, name: WRONG}
    if name == "subdomain":
        del given["base_url"]
    if name in ("username", "password"):
        del given["token"]
        given = {"username": "u", "password": "p", **given, name: WRONG}
    with pytest.raises(ConfigurationError, match=name):
        kind(**given)


@pytest.mark.parametrize("name", ["timeout", "retry", "headers"])
@pytest.mark.parametrize("kind", [KaptureClient, SyncKaptureClient, SupportClient])
def test_every_option(kind: Any, name: str) -> None:
    client = kind(**(SUPPORT if kind is SupportClient else KAPTURE))
    with pytest.raises(ConfigurationError, match=name):
        client.with_options(**{name: WRONG})


@pytest.mark.parametrize("value", [WRONG, None, "3", 1.5, True, [1]])
def test_attempts(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="attempts must be a whole number"):
        RetryPolicy(attempts=value)


@pytest.mark.parametrize("name", ["first_wait", "longest_wait"])
@pytest.mark.parametrize("value", [WRONG, None, "3", True, float("nan")])
def test_waits(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize("name", ["total", "connect", "read"])
@pytest.mark.parametrize("value", [WRONG, "3", True, 0, float("inf")])
def test_times(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Timeout(**{name: value})


@pytest.mark.parametrize("headers", [[("a", "b")], {5: "b"}, {"a": 5}, "a: b", {"a"}])
def test_headers(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="headers"):
        KaptureClient("t", token="t", headers=headers)


async def test_a_header_without_a_value_is_left_out() -> None:
    seen: list[set[str]] = []

    class Seeing(KaptureEmulator):
        def on_request(self, connection: Any) -> None:
            seen.append({name.lower() for name in connection.request.headers})
            super().on_request(connection)

    headers = {"X-A": None, "X-B": "1"}
    async with Seeing() as emulator:
        url, token = emulator.url, emulator.token
        async with KaptureClient(base_url=url, token=token, headers=headers) as client:
            await client.tickets.add(title="x", headers={"X-C": None, "X-D": "2"})
    assert {"x-b", "x-d"} <= seen[0]
    assert not {"x-a", "x-c"} & seen[0]


@pytest.mark.parametrize(
    "credentials",
    ["x", ["x"], {5: "x"}, {"orders": 5}, {"orders": ("u",)}, {"orders": ("u", None)}],
)
def test_credentials_that_are_none(credentials: Any) -> None:
    with pytest.raises(ConfigurationError, match="credentials"):
        KaptureClient("t", credentials=credentials)


# --- calls ---------------------------------------------------------------------------------------

ROWS = [{"title": "x"}]
KAPTURE_CALLS: dict[str, dict[str, Any]] = {
    "request": {"path": "/x"},
    "tickets.add": {},
    "tickets.update": {"ticket_id": "1", "sub_status": "x"},
    "tickets.get": {"ticket_id": "1"},
    "tickets.get_many": {"ticket_ids": ["1"]},
    "tickets.pull": {"start": "2024-01-01"},
    "tickets.push": {"source": ROWS},
    "tickets.update_many": {"source": ROWS, "sub_status": "x"},
    "tickets.export": {"out": "/nowhere/x.csv", "start": "2024-01-01"},
    "tickets.doctor": {},
    "tickets.reconcile": {"journal": "/nowhere/x.journal"},
    "customers.reconcile": {"journal": "/nowhere/x.journal"},
    "customers.add": {"customer_name": "x"},
    "customers.get": {"customer_id": "1"},
    "customers.pull": {"start": "2024-01-01", "cm_id": "1"},
    "customers.push": {"source": ROWS},
    "orders.pull": {"cm_id": "1", "name": "x"},
    "faqs.contents": {"category_id": "1"},
    "faqs.categories": {},
}
SUPPORT_CALLS: dict[str, dict[str, Any]] = {
    "request": {"path": "/x"},
    "login": {"username": "u", "password": "p"},
    "tickets.create": {"subject": "s", "comment": "c", "category": 1, "priority": "1"},
    "tickets.create_and_find": {"subject": "s", "comment": "c", "category": 1, "priority": "1"},
    "tickets.update": {"ticket_id": "1", "tags": ["1"]},
    "tickets.reply": {"ticket_id": "1", "comment": "c"},
    "tickets.get": {"ticket_id": "1"},
    "tickets.history": {},
    "tickets.iter": {},
    "tickets.close": {"ticket_id": "1"},
    "tickets.reopen": {"ticket_id": "1"},
    "tickets.set_priority": {"ticket_id": "1", "priority": "1"},
    "tickets.push": {"source": ROWS},
    "tickets.reconcile": {"journal": "/nowhere/x.journal"},
    "categories.list": {},
    "tags.list": {},
    "attachments.download": {"attachment_id": "1", "to": "/tmp/"},
    "attachments.stream": {"attachment_id": "1"},
}


def cases(kind: Any, calls: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    client = kind(**(SUPPORT if kind is SupportClient else KAPTURE))
    for where in calls:
        for name in inspect.signature(method_of(client, where)).parameters:
            if name not in ("fields", "self"):
                yield where, name


def method_of(client: Any, where: str) -> Callable[..., Any]:
    for part in where.split("."):
        client = getattr(client, part)
    return client


async def carried_out(given: Any) -> None:
    if inspect.isawaitable(given):
        await given
    elif hasattr(given, "__aenter__"):
        async with given as entered:
            async for _ in entered:
                pass
    else:
        async for _ in given:
            pass


@pytest.fixture
async def kapture() -> AsyncIterator[tuple[KaptureEmulator, KaptureClient]]:
    async with (
        KaptureEmulator() as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        yield emulator, client


@pytest.fixture
async def support() -> AsyncIterator[tuple[SupportEmulator, SupportClient]]:
    async with (
        SupportEmulator() as emulator,
        SupportClient(
            emulator.url, apikey="emulator-apikey", access_token=emulator.token
        ) as client,
    ):
        yield emulator, client


@pytest.mark.parametrize(("where", "name"), [*cases(KaptureClient, KAPTURE_CALLS)])
async def test_every_argument_of_kapture(
    kapture: tuple[KaptureEmulator, KaptureClient], where: str, name: str
) -> None:
    emulator, client = kapture
    with pytest.raises(REFUSED):
        await carried_out(method_of(client, where)(**{**KAPTURE_CALLS[where], name: WRONG}))
    assert emulator.connections_total == 0


@pytest.mark.parametrize(("where", "name"), [*cases(SupportClient, SUPPORT_CALLS)])
async def test_every_argument_of_support(
    support: tuple[SupportEmulator, SupportClient], where: str, name: str
) -> None:
    emulator, client = support
    with pytest.raises(REFUSED):
        await carried_out(method_of(client, where)(**{**SUPPORT_CALLS[where], name: WRONG}))
    assert emulator.connections_total == 0


@pytest.mark.parametrize("ids", ["713516551148", b"1", 5, None])
async def test_one_id_is_not_many(kapture: tuple[KaptureEmulator, KaptureClient], ids: Any) -> None:
    emulator, client = kapture
    with pytest.raises(InvalidInputError, match="ticket_ids must be several ids"):
        await client.tickets.get_many(ids)
    assert emulator.connections_total == 0


@pytest.mark.parametrize("ticket", [{"title": "x"}, "x", 5, ["x"]])
async def test_a_ticket_is_a_new_ticket(
    kapture: tuple[KaptureEmulator, KaptureClient], ticket: Any
) -> None:
    emulator, client = kapture
    with pytest.raises(InvalidInputError):
        await client.tickets.add(ticket)
    assert emulator.connections_total == 0


@pytest.mark.parametrize("extra", ["abc", ["a"], 5, {1: 2}])
@pytest.mark.parametrize("kind", ["NewTicket", "TicketUpdate", "NewCustomer", "NewOrder"])
def test_extra_is_a_mapping(kind: str, extra: Any) -> None:
    own: dict[str, dict[str, Any]] = {
        "NewTicket": {"title": "x"},
        "TicketUpdate": {"ticket_id": "1", "sub_status": "x"},
        "NewCustomer": {"customer_name": "x"},
        "NewOrder": {},
    }
    with pytest.raises(InvalidInputError, match="extra"):
        getattr(kapture_async, kind)(**own[kind], extra=extra)
    assert hasattr(support_async, "NewTicket")


class Array:
    """Compares as an array does: element by element, and its truth is ambiguous."""

    def __eq__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError("The truth value of an array is ambiguous")


async def test_an_array_is_refused_as_what_it_is() -> None:
    value: Any = Array()
    with pytest.raises(ConfigurationError, match="ticket_id_in"):
        SupportClient("https://s.example.com", apikey="k", access_token="t", ticket_id_in=value)
    async with KaptureEmulator() as emulator, SupportEmulator() as other:
        client = KaptureClient(base_url=emulator.url, token=emulator.token)
        support = SupportClient(other.url, apikey="k", access_token="t")
        async with client, support:
            for name in ("effect", "wrap", "query"):
                with pytest.raises(InvalidInputError, match=name):
                    await client.request("/x", **{"effect": "read", name: value})
            for name in ("effect", "query"):
                with pytest.raises(InvalidInputError, match=name):
                    await support.request("/x", **{"effect": "read", name: value})
            with pytest.raises(InvalidInputError, match="reference"):
                client.tickets.push([{"title": "x"}], reference=value)
        assert len(emulator.ledger) == 0
        assert len(other.ledger) == 0
