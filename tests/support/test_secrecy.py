"""Planted secrets and personal data appear in no log, repr, message, traceback or pickle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support_async import (
    AuthenticationError,
    ConfigurationError,
    HelpdeskError,
    InvalidInputError,
    NewTicket,
    NotSentError,
    PushStoppedError,
    RetryPolicy,
    SupportClient,
    SyncSupportClient,
    Timeout,
)
from support_async.testing import KINDS, Fault, FaultPlan, SupportEmulator

from .. import secrecy
from ..secrecy import every_word_of

APIKEY = "canary-apikey-77b1"
PERSON = "canary-person@example.com"
PASSWORD = "canary-password-c04d"
HEADER = "canary-header-91aa"
WORDS = "canary-words of a customer"
FILE_NAME = "canary-name.txt"
CONTENT = b"canary-content"
FIXED = (APIKEY, PERSON, PASSWORD, HEADER, WORDS, FILE_NAME, CONTENT.decode())


class Net:
    """All canaries, with the tokens that an emulator gives out."""

    def __init__(self, emulator: SupportEmulator) -> None:
        self.emulator = emulator
        self.token = emulator.token
        self.tokens = [self.token]

    def assert_clean(self, text: str) -> None:
        secrecy.assert_clean(text, (*FIXED, *self.tokens))

    def assert_secret(self, error: BaseException) -> None:
        """No credential of the client stands in a variable, either."""
        shown = every_word_of(error, variables=True)
        secrecy.assert_clean(shown, (APIKEY, HEADER, *self.tokens))


def new_emulator(**settings: Any) -> SupportEmulator:
    return SupportEmulator(apikey=APIKEY, users={PERSON: PASSWORD}, **settings)


def settings_of(net: Net, **more: Any) -> dict[str, Any]:
    return {
        "apikey": APIKEY,
        "access_token": net.token,
        "headers": {"x-other-key": HEADER},
        "timeout": Timeout(total=0.3),
        "retry": RetryPolicy(attempts=2, first_wait=0.001),
    } | more


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with new_emulator() as emulator:
        yield Net(emulator)


TICKET: dict[str, Any] = {"subject": WORDS, "comment": WORDS, "category": 3, "priority": "1"}
FILE = (FILE_NAME, CONTENT)


def calls_of(client: Any, folder: Path) -> dict[str, Callable[[], Any]]:
    """Every call, with a canary wherever one fits."""
    t = client.tickets
    return {
        "categories": client.categories.list,
        "tags": client.tags.list,
        "create": lambda: t.create(**TICKET, attachment=FILE),
        "create whole": lambda: t.create(NewTicket(**TICKET, attachment=CONTENT)),
        "create and find": lambda: t.create_and_find(**TICKET, attachment=FILE),
        "history": lambda: t.history(subject=WORDS),
        "iter": lambda: t.iter(subject=WORDS).all(),
        "get": lambda: t.get("101"),
        "update": lambda: t.update("101", tags=[1]),
        "set priority": lambda: t.set_priority("101", 2),
        "reply": lambda: t.reply("101", WORDS, attachment=FILE),
        "close": lambda: t.close("101"),
        "reopen": lambda: t.reopen("101"),
        "download": lambda: client.attachments.download("901", folder),
        "login": lambda: client.login(PERSON, PASSWORD),
    }


CALLS = tuple(calls_of(SupportClient("https://h.example", apikey="a"), Path()))
HARMLESS = ("slow", "late", "twice", "answer_twice")
"""Kinds that let a call succeed, or that take long."""
FAULTS = [Fault(kind) for kind in KINDS if kind not in HARMLESS]
SILENT = ("silence_before", "silence_after")


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_makes_it_show(
    fault: Fault, net: Net, logs: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    events: list[Any] = []
    net.emulator.faults = FaultPlan.rate(1, kinds=[fault])
    limit = 0.05 if fault.kind in SILENT else 2.0
    async with SupportClient(
        net.emulator.url,
        **settings_of(net, on_event=events.append, timeout=Timeout(total=limit)),
    ) as client:
        calls = calls_of(client, tmp_path)
        problems = []

        async def tried(name: str) -> None:
            try:
                result: Any = await calls[name]()
            except HelpdeskError as error:
                problems.append(error)
            else:  # what a look-up found; the path of a download is what its caller asked for
                net.assert_clean("" if name == "download" else repr(result))

        await asyncio.gather(*(tried(name) for name in calls))
        assert len(problems) >= len(calls) - 2
        for problem in problems:
            net.assert_clean(every_word_of(problem))
            net.assert_secret(problem)
        seen: list[Any] = []
        try:
            async with client.tickets.push([{**TICKET, "attachment": FILE}]) as outcomes:
                async for outcome in outcomes:
                    seen.append(outcome)
        except PushStoppedError as stopped:
            net.assert_clean(every_word_of(stopped))
        net.assert_clean(repr(seen) + seen[0].reason)
        net.assert_clean(every_word_of(seen[0].error))  # type: ignore[union-attr]
        net.assert_clean(repr([client, client.tickets, client.attachments, outcomes, events]))
    net.assert_clean(logs.text)
    assert any(record.name == "kapture_async.transport" for record in logs.records)


async def test_nothing_shows_when_all_goes_well(
    net: Net, logs: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    events: list[Any] = []
    ticket_id = net.emulator.seed(tags=[1], subject=WORDS, comment=WORDS)
    net.emulator.seed_attachment(ticket_id, FILE_NAME, CONTENT)
    async with SupportClient(
        net.emulator.url, **settings_of(net, on_event=events.append, timeout=5)
    ) as client:
        for name, call in calls_of(client, tmp_path).items():
            result = await call()
            if name == "login":
                net.tokens += [result.access.reveal(), result.refresh.reveal()]
            # The path of a download is what its caller asked for.
            net.assert_clean("" if name == "download" else repr(result))
        net.assert_clean(repr([client, events]))
    net.assert_clean(logs.text)


@pytest.mark.parametrize("name", CALLS)
async def test_a_refusal_shows_nothing(net: Net, name: str, tmp_path: Path) -> None:
    net.emulator.seed(tags=[1])
    net.tokens.append("canary-stale-token")
    async with SupportClient(
        net.emulator.url, **settings_of(net, apikey=f"{APIKEY}x", access_token="canary-stale-token")
    ) as client:
        with pytest.raises(HelpdeskError) as caught:
            await calls_of(client, tmp_path)[name]()
        assert caught.value.outcome == "rejected"
    net.assert_clean(every_word_of(caught.value))


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("name", CALLS)
async def test_a_cancelled_call_shows_nothing(net: Net, name: str, tmp_path: Path) -> None:
    net.emulator.faults = FaultPlan.rate(1, kinds=[Fault("silence_after")])
    async with SupportClient(net.emulator.url, **settings_of(net, timeout=None)) as client:

        async def run() -> Any:
            return await calls_of(client, tmp_path)[name]()

        call = asyncio.ensure_future(run())
        while not net.emulator.requests:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    net.assert_clean(every_word_of(caught.value))
    if name != "login":
        net.assert_secret(caught.value)


@pytest.mark.parametrize(
    "canary", [APIKEY, HEADER, PASSWORD, "token", "bearer"], ids=lambda canary: canary[:12]
)
async def test_what_a_service_echoes_is_masked(net: Net, canary: str) -> None:
    echoed = {"token": net.token, "bearer": f"Bearer {net.token}"}.get(canary, canary)
    net.emulator.faults = FaultPlan.rate(
        1, kinds=[Fault("failed", message=f"bad key {echoed} given")]
    )
    async with SupportClient(net.emulator.url, **settings_of(net)) as client:
        with pytest.raises(HelpdeskError, match=r"bad key \*\*\* given") as caught:
            await client.login(PERSON, PASSWORD)
        net.assert_clean(every_word_of(caught.value))
        if canary != PASSWORD:
            with pytest.raises(HelpdeskError, match=r"bad key \*\*\* given") as caught:
                await client.tickets.create(**TICKET)
            net.assert_clean(every_word_of(caught.value))


async def test_tokens_from_a_provider_and_a_login_are_masked_too(net: Net) -> None:
    tokens = [net.emulator.issue_token() for _ in range(3)]
    net.tokens += tokens
    given = iter(tokens)

    async def provider() -> str:
        return next(given)

    async with SupportClient(
        net.emulator.url, **settings_of(net, access_token=None, token_provider=provider, timeout=5)
    ) as client:
        for position, token in enumerate(tokens[:2]):
            await client.categories.list()
            net.emulator.faults = FaultPlan.script([Fault("failed", message=f"about {token} now")])
            with pytest.raises(HelpdeskError, match=r"about \*\*\* now") as caught:
                await client.tickets.create(**TICKET)
            net.assert_clean(every_word_of(caught.value))
            net.emulator.run(net.emulator.expire_tokens if position == 0 else lambda: None)
            if position == 0:
                # An answer to an older call may come late and still speak of the former token.
                tokens[1] = net.emulator.issue_token()
                net.tokens.append(tokens[1])
                given = iter(tokens[1:])
                await client.categories.list()
                net.emulator.faults = FaultPlan.script(
                    [Fault("failed", message=f"about {token} now")]
                )
                with pytest.raises(HelpdeskError, match=r"about \*\*\* now"):
                    await client.tickets.create(**TICKET)
        found = await client.login(PERSON, PASSWORD)
        net.tokens.append(found.access.reveal())
        net.emulator.faults = FaultPlan.script(
            [Fault("failed", message=f"about {net.tokens[-1]} now")]
        )
        with pytest.raises(HelpdeskError, match=r"about \*\*\* now"):
            await client.tickets.create(**TICKET)
        net.assert_clean(repr([vars(client), found]))


async def test_a_provider_that_gives_rubbish_shows_none_of_it(net: Net) -> None:
    rubbish = "canary-rubbish\r\nX: y"
    net.tokens.append("canary-rubbish")
    for more in ({"access_token": None}, {"access_token": "old"}):
        async with SupportClient(
            net.emulator.url, **settings_of(net, token_provider=lambda: rubbish, **more)
        ) as client:
            with pytest.raises((NotSentError, AuthenticationError)) as caught:
                await client.tickets.create(**TICKET, attachment=FILE)
        net.assert_clean(every_word_of(caught.value))


# Refused before it is sent.

REFUSED: dict[str, Callable[[Any], Any]] = {
    "subject too long": lambda t: t.create(**{**TICKET, "subject": WORDS * 50}, attachment=FILE),
    "subject blank": lambda t: t.create(**{**TICKET, "subject": " "}, attachment=FILE),
    "category": lambda t: t.create(**{**TICKET, "category": "x"}),
    "priority": lambda t: t.create_and_find(**{**TICKET, "priority": "x"}, attachment=FILE),
    "no unicode": lambda t: t.create(**{**TICKET, "comment": f"{WORDS}\ud800"}, attachment=FILE),
    "twice": lambda t: t.create(NewTicket(**TICKET), comment=WORDS),
    "file too large": lambda t: t.create(**TICKET, attachment=(FILE_NAME, CONTENT * 200_000)),
    "no file": lambda t: t.create(**TICKET, attachment=f"/nowhere/{FILE_NAME}"),
    "bad pair": lambda t: t.create(**TICKET, attachment=(FILE_NAME, CONTENT, "x")),
    "bad file": lambda t: t.create(**TICKET, attachment=[CONTENT]),
    "reply to nothing": lambda t: t.reply("x", WORDS, attachment=FILE),
    "reply with bad headers": lambda t: t.reply(1, WORDS, attachment=FILE, headers={"a": "\n"}),
    "reply without unicode": lambda t: t.reply(1, f"{WORDS}\ud800", attachment=FILE),
    "reply with a large file": lambda t: t.reply(1, WORDS, attachment=CONTENT * 200_000),
    "reply without its file": lambda t: t.reply(1, WORDS, attachment=f"/nowhere/{FILE_NAME}"),
    "history": lambda t: t.history(subject=f"{WORDS}\ud800"),
    "history of nothing": lambda t: t.history(subject=WORDS, category="x"),
    "history from nowhere": lambda t: t.history(subject=WORDS, offset=-1),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_data_that_is_refused_here_does_not_show(name: str) -> None:
    async with SupportClient("https://h.example", apikey="a", access_token="t") as client:
        with pytest.raises(NotSentError) as caught:
            await REFUSED[name](client.tickets)
    secrecy.assert_clean(every_word_of(caught.value), FIXED)


@pytest.mark.parametrize("name", REFUSED)
def test_nor_with_the_sync_client(name: str) -> None:
    with SyncSupportClient("https://h.example", apikey="a", access_token="t") as client:
        with pytest.raises(NotSentError) as caught:
            REFUSED[name](client.tickets)
    secrecy.assert_clean(every_word_of(caught.value), FIXED)


async def test_nor_in_a_push() -> None:
    bad = [
        {**TICKET, "category": WORDS, "attachment": FILE},
        {**TICKET, "subject": WORDS * 50},
        {**TICKET, "comment": f"{WORDS}\ud800", "attachment": FILE},
        {**TICKET, "attachment": (FILE_NAME, CONTENT * 200_000)},
        {**TICKET, "attachment": f"/nowhere/{FILE_NAME}"},
    ]
    async with SupportClient("https://h.example", apikey="a", access_token="t") as client:
        async with client.tickets.push(bad) as outcomes:
            seen: list[Any] = [outcome async for outcome in outcomes]
    assert len(seen) == len(bad)
    for outcome in seen:
        secrecy.assert_clean(every_word_of(outcome.error) + repr(outcome) + outcome.reason, FIXED)


@pytest.mark.parametrize(
    "settings",
    [
        {"apikey": f"{APIKEY}\n"},
        {"access_token": f"{HEADER}\0"},
        {"headers": {"x-other-key": f"{HEADER}\r\nX: y"}},
        {"headers": {"x-other-key": HEADER, "Host": HEADER}},
        {"proxy": f"socks5://u:{PASSWORD}@h"},
        {"timeout": -1},
        {"retry": 3},
        {"paths": {"nonsense": "/x/"}},
        {"ticket_id_in": "header"},
        {"max_connections": 0},
        {"base_url": f"https://user:{PASSWORD}@h.example"},
    ],
    ids=lambda settings: ",".join(settings),
)
@pytest.mark.parametrize("cls", [SupportClient, SyncSupportClient])
def test_a_refused_setting_shows_nothing(settings: dict[str, Any], cls: type[Any]) -> None:
    usual = {"base_url": "https://h.example", "apikey": APIKEY, "access_token": HEADER}
    with pytest.raises(ConfigurationError) as caught:
        cls(**(usual | settings))
    told = every_word_of(caught.value)
    if "base_url" in settings:  # a setting that is no secret, though a password may be put there
        told = str(caught.value)
    secrecy.assert_clean(told, FIXED)


@pytest.mark.parametrize("cls", [SupportClient, SyncSupportClient])
def test_the_environment_shows_nothing(monkeypatch: pytest.MonkeyPatch, cls: type[Any]) -> None:
    monkeypatch.setenv("SUPPORT_BASE_URL", "https://h.example")
    monkeypatch.setenv("SUPPORT_APIKEY", APIKEY)
    monkeypatch.setenv("SUPPORT_ACCESS_TOKEN", f"{HEADER}\n")
    with pytest.raises(ConfigurationError) as caught:
        cls.from_env()
    secrecy.assert_clean(every_word_of(caught.value), FIXED)


# The sync client.


@pytest.fixture
def sync_net() -> Iterator[Net]:
    with new_emulator().in_thread() as emulator:
        yield Net(emulator)


@pytest.mark.parametrize("kind", ["reset_after", "failed", "login_html"])
def test_the_sync_client_shows_nothing(
    sync_net: Net, kind: str, logs: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    sync_net.emulator.faults = FaultPlan.rate(1, kinds=[Fault(kind)])
    with SyncSupportClient(sync_net.emulator.url, **settings_of(sync_net, timeout=5)) as client:
        for name, call in calls_of(client, tmp_path).items():
            if name == "download" and kind == "login_html":
                continue  # a page may well be a file
            with pytest.raises(HelpdeskError) as caught:
                call()
            sync_net.assert_clean(every_word_of(caught.value))
            sync_net.assert_secret(caught.value)
        sync_net.assert_clean(repr([client, client.tickets, client.attachments]))
        try:
            with client.tickets.push([{**TICKET, "attachment": FILE}]) as outcomes:
                sync_net.assert_clean(repr(list(outcomes)))
        except PushStoppedError as error:  # a page on the first row stops a push
            sync_net.assert_clean(every_word_of(error))
    sync_net.assert_clean(logs.text)


def test_the_canaries_would_be_found() -> None:
    """The net itself has no hole: a frame of the library that holds one is told of."""
    with pytest.raises(InvalidInputError) as caught:
        NewTicket(**{**TICKET, "subject": WORDS * 50})
    with pytest.raises(AssertionError):
        secrecy.assert_clean(every_word_of(caught.value, variables=True), FIXED)
