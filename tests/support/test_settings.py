"""The settings of a client: what is refused, where it asks, and what a copy shares."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support_async import (
    ClientStateError,
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
    NotSentTimeoutError,
    ReplyTimeoutError,
    RetryPolicy,
    Secret,
    SupportClient,
    SyncSupportClient,
    Timeout,
    ValidationError,
)
from support_async.events import AttemptFinished, AttemptStarted, CallFinished
from support_async.testing import SupportEmulator

from .made import QUICK, TICKET, client_of, sent

URL = "https://support.example.com/api/v1"
VARIABLES = ("SUPPORT_BASE_URL", "SUPPORT_APIKEY", "SUPPORT_ACCESS_TOKEN")


class Session:
    """Looks like a session of the caller's own, without a loop."""

    def request(self) -> None: ...


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"apikey": ""}, "the apikey is empty"),
        ({"apikey": " "}, "the apikey is empty"),
        ({"apikey": "a\n"}, "the apikey holds a line break"),
        ({"apikey": "ключ"}, "no HTTP header can carry"),
        ({"apikey": None}, "the apikey is missing"),
        ({"apikey": b"a"}, "text, not bytes"),
        ({"access_token": ""}, "the token is empty"),
        ({"access_token": "t\r\nX: y"}, "the token holds a line break"),
        ({"access_token": 7}, "text, not int"),
        ({"token_provider": "t"}, "token_provider must be callable"),
        ({"headers": {"a": 1}}, "text, not int"),
        ({"headers": {"a b": "x"}}, "not a valid header name"),
        ({"headers": {"Content-Length": "1"}}, "written by the library itself"),
        ({"timeout": 0}, "more than 0 seconds"),
        ({"timeout": float("nan")}, "more than 0 seconds"),
        ({"timeout": "10"}, "timeout must be seconds"),
        ({"retry": 3}, "retry must be a RetryPolicy"),
        ({"retry": None}, "retry must be a RetryPolicy"),
        ({"paths": {"tickets.add": "/x/"}}, "unknown operation 'tickets.add'; the names are"),
        ({"paths": {7: "/x/"}}, "paths must have text keys"),
        ({"paths": {"tickets.create": "support/"}}, r"paths\['tickets.create'\]"),
        ({"paths": {"tickets.create": "/a\u200e/"}}, r"paths\['tickets.create'\]"),
        ({"paths": {"tickets.create": "https://other.example/"}}, r"paths\['tickets.create'\]"),
        ({"paths": {"tickets.create": "/a/../b/"}}, r"paths\['tickets.create'\]"),
        ({"paths": {"tickets.create": "/a/?b=1"}}, r"paths\['tickets.create'\]"),
        ({"paths": {"tickets.create": 7}}, r"paths\['tickets.create'\]"),
        ({"paths": {"tickets.create": "/{attachment_id}/"}}, "must not hold {attachment_id}"),
        ({"paths": {"attachments.download": "/file/"}}, "must hold {attachment_id}"),
        ({"ticket_id_in": "header"}, "ticket_id_in must be 'both', 'body' or 'query'"),
        ({"max_attachment_bytes": 0}, "max_attachment_bytes must be a whole number"),
        ({"max_attachment_bytes": True}, "max_attachment_bytes must be a whole number"),
        ({"max_connections": 0}, "max_connections must be a whole number"),
        ({"max_connections": "5"}, "max_connections must be a whole number"),
        ({"max_reply_bytes": 0}, "max_reply_bytes must be a whole number"),
        ({"proxy": "socks5://h:1"}, "proxy must be"),
        ({"session": object()}, "session must be an aiohttp.ClientSession, not object"),
        ({"session": Session(), "proxy": "env"}, "no effect on a session of your own"),
        (
            {"session": Session(), "ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
            "no effect on a session of your own",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        SupportClient(URL, **({"apikey": "a", "access_token": "t"} | settings))
    assert str(caught.value).endswith(caught.value.next_step)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "support.example.com",
        "http://support.example.com",
        "ftp://support.example.com",
        "https://user:canary@support.example.com",
        "https://support.example.com/?key=canary",
        "https://support.example.com/#canary",
        "https://",
        7,
        None,
    ],
)
@pytest.mark.parametrize("cls", [SupportClient, SyncSupportClient])
def test_bad_base_urls(base_url: Any, cls: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"base URL|plain http to|text, not") as caught:
        cls(base_url, apikey="a", access_token="t")
    assert "canary" not in str(caught.value)


INVISIBLE = "\u200e\u200f\u200b\u200c\u200d\u202a\u202c\u2060\u2066\u2069\u00ad\ufeff"


@pytest.mark.parametrize(
    "text",
    [
        URL,
        f"{URL}/",
        f" {URL}\n",
        "\u200e" * 23 + URL,
        f"https://support.{INVISIBLE}example.com/api/{INVISIBLE}v1{INVISIBLE}",
        "HTTPS://Support.Example.com/api/v1",
    ],
)
def test_base_urls_as_people_copy_them(text: str) -> None:
    assert SupportClient(text, apikey="a", access_token="t").base_url == URL


def test_plain_http_only_where_it_is_asked_for() -> None:
    inside = "http://support.internal/api"
    with pytest.raises(ConfigurationError, match="http"):
        SupportClient(inside, apikey="a")
    assert SupportClient(inside, apikey="a", allow_http=True).base_url == inside
    assert SupportClient("http://127.0.0.1:1", apikey="a").base_url == "http://127.0.0.1:1"


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("cls", [SupportClient, SyncSupportClient])
def test_settings_from_the_environment(no_variables: pytest.MonkeyPatch, cls: Any) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^SUPPORT_BASE_URL and SUPPORT_APIKEY and SUPPORT_ACCESS_TOKEN are not set",
    ):
        cls.from_env()
    for name, value in zip(VARIABLES, (URL, "a", "t"), strict=True):
        with pytest.raises(ConfigurationError, match=name):
            cls.from_env()
        no_variables.setenv(name, value)
    assert cls.from_env(timeout=3, retry=QUICK, max_connections=5).base_url == URL
    for name in VARIABLES:
        with no_variables.context() as inside:
            inside.setenv(name, "")  # counts as not set
            with pytest.raises(ConfigurationError, match=f"^{name} is not set"):
                cls.from_env()
    no_variables.delenv("SUPPORT_ACCESS_TOKEN")
    assert cls.from_env(token_provider=lambda: "t").base_url == URL


async def test_a_client_from_the_environment_works(
    no_variables: pytest.MonkeyPatch, support_emulator: SupportEmulator
) -> None:
    no_variables.setenv("SUPPORT_BASE_URL", f"{support_emulator.url}/")
    no_variables.setenv("SUPPORT_APIKEY", support_emulator.apikey)
    no_variables.setenv("SUPPORT_ACCESS_TOKEN", f"Bearer {support_emulator.token}")
    async with SupportClient.from_env() as client:
        assert len(await client.categories.list()) == 2


async def test_what_is_not_in_the_environment_can_be_given(
    no_variables: pytest.MonkeyPatch, support_emulator: SupportEmulator
) -> None:
    no_variables.setenv("SUPPORT_BASE_URL", support_emulator.url)
    no_variables.setenv("SUPPORT_APIKEY", support_emulator.apikey)
    no_variables.setenv("SUPPORT_ACCESS_TOKEN", support_emulator.token)
    events: list[Any] = []
    async with aiohttp.ClientSession() as session:
        client = SupportClient.from_env(
            headers={"X-One": "1"},
            paths={"tags.list": "/other/"},
            ticket_id_in="query",
            max_attachment_bytes=1,
            max_reply_bytes=10_000,
            session=session,
            retry=QUICK,
            on_event=events.append,
        )
        async with client:
            with pytest.raises(NotFoundError):
                await client.tags.list()
            with pytest.raises(InvalidInputError, match="1 are allowed"):
                await client.tickets.create(**TICKET, attachment=b"12")
            with pytest.raises(NotFoundError):
                await client.tickets.get(1)
        assert not session.closed
    first, second = support_emulator.received
    assert (first.path, first.headers["x-one"]) == ("/other/", "1")
    assert (second.query, second.body) == ("ticket_id=1", b"")
    assert events


# Paths.

OTHERS = {
    "categories.list": "/get/support-ticket/catogory-list/",
    "tags.list": "/get/ticket/tags/",
    "tickets.create": "/creat/support/ticket/",
    "tickets.history": "/get/ticket/history/",
    "tickets.get": "/v2/detail/",
    "tickets.update": "/update/support/ticket/",
    "tickets.reply": "/v2/reply/",
    "tickets.set_status": "/v2/status/",
    "attachments.download": "/v2/{attachment_id}/file/",
    "login": "/v2/login/",
}


async def test_every_path_can_be_another(support_emulator: SupportEmulator, tmp_path: Path) -> None:
    async with client_of(support_emulator, paths=OTHERS) as client:
        t = client.tickets
        calls: dict[str, Any] = {
            "categories.list": client.categories.list(),
            "tags.list": client.tags.list(),
            "tickets.create": t.create(**TICKET),
            "tickets.history": t.history(),
            "tickets.get": t.get(1),
            "tickets.update": t.update(1, tags=[1]),
            "tickets.reply": t.reply(1, "c"),
            "tickets.set_status": t.close(1),
            "attachments.download": client.attachments.download(901, tmp_path),
            "login": client.login("u", "p"),
        }
        assert calls.keys() == OTHERS.keys()
        for name, call in calls.items():
            with pytest.raises(NotFoundError, match="name them with paths=") as caught:
                await call
            assert caught.value.operation == name
    assert list(support_emulator.requests) == [
        path.replace("{attachment_id}", "901") for path in OTHERS.values()
    ]


async def test_one_path_changes_no_other(support_emulator: SupportEmulator) -> None:
    async with client_of(support_emulator, paths={"tickets.create": "/other/"}) as client:
        await client.categories.list()
        with pytest.raises(NotFoundError):
            await client.tickets.create(**TICKET)
    async with client_of(support_emulator) as client:  # nor that of another client
        await client.tickets.create(**TICKET)


# Where the detailed view's ticket id stands.


@pytest.mark.parametrize("carried", ["both", "body", "query"])
@pytest.mark.parametrize("read_from", ["either", "body", "query"])
async def test_where_the_ticket_id_stands(carried: Any, read_from: Any) -> None:
    async with (
        SupportEmulator(ticket_id_from=read_from) as emulator,
        client_of(emulator, ticket_id_in=carried) as client,
    ):
        ticket_id = emulator.seed(tags=[1])
        if carried == "both" or read_from in ("either", carried):
            assert (await client.tickets.get(ticket_id)).ticket_id == ticket_id
            await client.tickets.set_priority(ticket_id, 2)
        else:
            with pytest.raises(ValidationError) as caught:
                await client.tickets.get(ticket_id)
            assert dict(caught.value.fields) == {
                "ticket_id": ("Ticket id is required and this may not be blank.",)
            }
        request = emulator.received[0]
        assert bool(request.query) == (carried != "body")
        assert bool(request.body) == (carried != "query")
        assert ("content-type" in request.headers) == (carried != "query")


# Copies, connections, life and death.


async def test_a_copy_shares_connections_and_token(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    copy = client.with_options(timeout=2, retry=RetryPolicy(attempts=1), headers={"X-A": "1"})
    further = copy.with_options(headers={"X-B": "2"})
    await client.categories.list()
    await copy.tags.list()
    await further.tickets.history()
    assert support_emulator.connections_total == 1
    first, second, third = (request.headers for request in support_emulator.received)
    assert ("x-a" in first, "x-b" in first) == (False, False)
    assert (second["x-a"], "x-b" in second) == ("1", False)
    assert (third["x-a"], third["x-b"]) == ("1", "2")
    assert copy.base_url == client.base_url
    await copy.login("other@example.com", "emulator-password")
    support_emulator.expire_tokens()
    await client.login("member@example.com", "emulator-password")
    await copy.categories.list()
    await copy.aclose()
    assert not copy.closed
    assert not client.closed
    await client.aclose()
    assert copy.closed
    with pytest.raises(ClientStateError, match="the client is closed"):
        await copy.categories.list()


async def test_a_copys_time_limit_is_its_own(
    support_emulator: SupportEmulator, leap: Callable[[float], None]
) -> None:
    support_emulator.latency = 60
    async with client_of(support_emulator) as client:
        quick = client.with_options(timeout=20)
        call = asyncio.ensure_future(quick.tickets.create(**TICKET))
        while not support_emulator.requests:
            await asyncio.sleep(0)
        leap(20)
        with pytest.raises(ReplyTimeoutError):
            await call
        support_emulator.latency = 0
        await client.tickets.create(**TICKET)
        with pytest.raises(ConfigurationError):
            client.with_options(timeout=-1)
        with pytest.raises(ConfigurationError):
            client.with_options(headers={"a": "b\n"})
        assert await client.with_options(timeout=None).tags.list()


async def test_all_resources_share_one_pool(support_emulator: SupportEmulator) -> None:
    ticket_id = support_emulator.seed(tags=[1])
    async with client_of(support_emulator, max_connections=3) as client:
        await asyncio.gather(
            *(client.categories.list() for _ in range(10)),
            *(client.tags.list() for _ in range(10)),
            *(client.tickets.get(ticket_id) for _ in range(10)),
            *(client.with_options(timeout=3).tickets.history() for _ in range(10)),
        )
    assert support_emulator.connections_total <= 3
    assert sent(support_emulator) == 40


async def test_a_full_pool_says_so(
    support_emulator: SupportEmulator, leap: Callable[[float], None]
) -> None:
    support_emulator.latency = 60
    async with client_of(support_emulator, max_connections=1, timeout=None) as client:
        first = asyncio.ensure_future(client.categories.list())
        while not support_emulator.requests:
            await asyncio.sleep(0.001)
        with pytest.raises(NotSentTimeoutError, match="no free connection slot within"):
            await client.with_options(timeout=0.02).tickets.create(**TICKET)
        leap(60)
        await first
    assert not support_emulator.ledger


async def test_a_session_of_ones_own_is_used_and_left_open(
    support_emulator: SupportEmulator,
) -> None:
    async with aiohttp.ClientSession() as session:
        async with client_of(support_emulator, session=session) as client:
            await client.categories.list()
        assert client.closed
        assert not session.closed


async def test_observers_see_every_attempt(support_emulator: SupportEmulator) -> None:
    events: list[Any] = []
    async with client_of(support_emulator, on_event=events.append) as client:
        await client.tickets.create(**TICKET)
    started, finished, call = events
    assert isinstance(started, AttemptStarted)
    assert isinstance(finished, AttemptFinished)
    assert isinstance(call, CallFinished)
    assert (call.attempts, call.error) == ((finished.attempt,), None)
    assert (started.operation, finished.attempt.status) == ("tickets.create", 200)


async def test_secrets_may_come_wrapped(support_emulator: SupportEmulator) -> None:
    async with SupportClient(
        support_emulator.url,
        apikey=Secret(support_emulator.apikey),
        access_token=Secret(support_emulator.token),
        headers={"X-A": Secret("1")},
        timeout=Timeout(total=5),
    ) as client:
        assert await client.tags.list()
        await client.login(Secret("member@example.com"), Secret("emulator-password"))


def test_what_a_client_shows() -> None:
    client = SupportClient(URL, apikey="canary", access_token="canary")
    assert repr(client) == f"<SupportClient {URL}>"
    sync = SyncSupportClient(URL, apikey="canary", access_token="canary")
    assert repr(sync) == f"<SyncSupportClient {URL}>"
    assert "canary" not in repr([vars(client), client.tickets, sync.tickets, client.attachments])
