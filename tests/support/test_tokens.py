"""Access tokens: the first one, another after a true refusal, and never for anything else."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from support_async import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    HelpdeskError,
    NotSentError,
    NotSentTimeoutError,
    OpenTicketLimitError,
    PermissionDeniedError,
    RetryPolicy,
    Secret,
    SupportClient,
    SyncSupportClient,
    Tokens,
)
from support_async.testing import FaultPlan, SupportEmulator

from .made import OTHER, QUICK, TICKET, client_of, sent

MEMBER = "member@example.com"
PASSWORD = "emulator-password"


class Provider:
    """Gives a token when asked, and counts how often it was."""

    def __init__(self, give: Callable[[], Any]) -> None:
        self.give = give
        self.asked = 0

    async def __call__(self) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        given = self.give()
        if isinstance(given, BaseException):
            raise given
        return given


def fresh(emulator: SupportEmulator) -> Provider:
    return Provider(emulator.issue_token)


async def turns(number: int) -> None:
    """So many turns of the loop, in which client and emulator come as far as they can."""
    for _ in range(number):
        await asyncio.sleep(0)


def tokens_seen(emulator: SupportEmulator) -> list[str]:
    return [request.headers["authorization"] for request in emulator.received]


# The first token.


async def test_without_any_token_nothing_is_sent(support_emulator: SupportEmulator) -> None:
    async with SupportClient(support_emulator.url, apikey=support_emulator.apikey) as client:
        for call in (client.categories.list(), client.tickets.create(**TICKET)):
            with pytest.raises(ConfigurationError, match="there is no access token"):
                await call
        assert not support_emulator.requests
        await client.login(MEMBER, PASSWORD)
        assert await client.categories.list()


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("plain", [False, True])
async def test_the_first_token_is_asked_for_once(
    support_emulator: SupportEmulator, wrapped: bool, plain: bool
) -> None:
    asked = 0

    def give() -> str | Secret:
        nonlocal asked
        asked += 1
        return Secret(support_emulator.token) if wrapped else support_emulator.token

    async def give_later() -> str | Secret:
        await asyncio.sleep(0)
        return give()

    provider: Any = give if plain else give_later
    async with client_of(support_emulator, token_provider=provider) as client:
        await asyncio.gather(*(client.categories.list() for _ in range(20)))
        await client.tickets.create(**TICKET)
    assert asked == 1
    assert set(tokens_seen(support_emulator)) == {f"Bearer {support_emulator.token}"}


async def test_a_given_token_comes_first(support_emulator: SupportEmulator) -> None:
    provider = fresh(support_emulator)
    async with client_of(
        support_emulator, access_token=f"Bearer {support_emulator.token}", token_provider=provider
    ) as client:
        await client.categories.list()
    assert provider.asked == 0


async def test_a_copy_has_the_same_token(support_emulator: SupportEmulator) -> None:
    provider = fresh(support_emulator)
    async with client_of(support_emulator, token_provider=provider) as client:
        await client.with_options(timeout=3).categories.list()
        await client.tags.list()
    assert provider.asked == 1


# Another one.


async def test_an_expired_token_is_renewed_and_a_write_is_sent_once_more(
    support_emulator: SupportEmulator,
) -> None:
    provider = fresh(support_emulator)
    async with client_of(support_emulator, token_provider=provider) as client:
        ticket_id = support_emulator.seed()
        writes: list[Callable[[], Any]] = [
            lambda: client.tickets.create(**TICKET, attachment=("a.txt", b"x" * 100_000)),
            lambda: client.tickets.update(ticket_id, tags=[1]),
            lambda: client.tickets.reply(ticket_id, "c"),
            lambda: client.tickets.close(ticket_id),
        ]
        for number, write in enumerate(writes, 1):
            await client.tags.list()
            support_emulator.now += timedelta(hours=2)  # longer than a token lives
            before = sent(support_emulator)
            await write()
            assert len(support_emulator.ledger) == number  # once, and only once
            assert sent(support_emulator) - before == 2
            assert provider.asked == 1 + number
            refused, taken = list(support_emulator.received)[-2:]
            assert refused.headers["authorization"] != taken.headers["authorization"]
            assert refused.body == taken.body


async def test_expiry_under_many_calls_asks_once(support_emulator: SupportEmulator) -> None:
    provider = fresh(support_emulator)
    async with client_of(support_emulator, token_provider=provider, max_connections=50) as client:
        await client.categories.list()
        support_emulator.expire_tokens()
        await asyncio.gather(
            *(client.tickets.create(**(TICKET | {"subject": f"t{n}"})) for n in range(50))
        )
    assert provider.asked == 2
    made = [entry.payload["subject"] for entry in support_emulator.ledger]
    assert sorted(made) == sorted(f"t{n}" for n in range(50))
    assert sent(support_emulator) <= 1 + 2 * 50


async def test_a_renewal_takes_no_connection_slot(support_emulator: SupportEmulator) -> None:
    async def provider() -> Secret:
        return (await client.login(MEMBER, PASSWORD)).access

    async with client_of(
        support_emulator, access_token="old", token_provider=provider, max_connections=1
    ) as client:
        await asyncio.gather(*(client.categories.list() for _ in range(5)))
    assert support_emulator.logins == 1


async def test_a_renewal_is_no_attempt_of_the_retry_policy(
    support_emulator: SupportEmulator,
) -> None:
    provider = fresh(support_emulator)
    async with client_of(
        support_emulator, access_token="old", token_provider=provider, retry=RetryPolicy(attempts=1)
    ) as client:
        await client.tickets.create(**TICKET)
    assert len(support_emulator.ledger) == 1


async def test_a_renewal_in_the_middle_of_retries(support_emulator: SupportEmulator) -> None:
    provider = fresh(support_emulator)
    support_emulator.faults = FaultPlan.script(
        ["status;status=429;retry_after=0.001", None, "status"]
    )
    async with client_of(support_emulator, access_token="old", token_provider=provider) as client:
        await client.tags.list()  # told to wait, refused, broke down
    assert provider.asked == 1


async def test_still_refused_after_exactly_one_more_try(support_emulator: SupportEmulator) -> None:
    numbers = iter(range(100))
    provider = Provider(lambda: f"wrong-{next(numbers)}")
    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(AuthenticationError, match="refused the access token") as caught:
            await client.tickets.create(**TICKET)
    assert tokens_seen(support_emulator) == ["Bearer wrong-0", "Bearer wrong-1"]
    assert [attempt.status for attempt in caught.value.attempts] == [401, 401]
    assert not support_emulator.ledger


async def test_the_same_token_once_more_is_not_tried(support_emulator: SupportEmulator) -> None:
    provider = Provider(lambda: "same")
    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(AuthenticationError):
            await client.categories.list()
    assert (sent(support_emulator), provider.asked) == (1, 2)


# Providers that fail.


class Trouble(Exception):
    """An error of somebody's own."""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Trouble("canary"), "could not get an access token: Trouble"),
        (TimeoutError(), "could not get an access token: TimeoutError"),
        (ConnectError("the network is down"), "access token: the network is down"),
        (None, "could not get an access token: the token provider gave NoneType, not text"),
        (7, "could not get an access token"),
        (b"token", "could not get an access token"),
        ("", "could not get an access token: the token is empty"),
        ("  ", "could not get an access token: the token is empty"),
        ("canary\r\nX: y", "could not get an access token: the token holds a line break"),
        ("ключ", "could not get an access token: the token holds characters"),
    ],
    ids=repr,
)
async def test_a_first_token_that_cannot_be_had(
    support_emulator: SupportEmulator, given: Any, words: str
) -> None:
    provider = Provider(lambda: given)
    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(NotSentError, match=words) as caught:
            await client.tickets.create(**TICKET)
        assert "canary" not in str(caught.value)
        assert (caught.value.operation, caught.value.effect) == ("tickets.create", "write")
        assert "Nothing was sent" in str(caught.value)
        if isinstance(given, Exception):
            assert caught.value.__cause__ is given
        assert not support_emulator.requests
        provider.give = support_emulator.issue_token  # it is not done with for ever
        await client.tickets.create(**TICKET)


@pytest.mark.parametrize("given", [Trouble("x"), None, "", "a\n", 7], ids=repr)
async def test_another_token_that_cannot_be_had(
    support_emulator: SupportEmulator, given: Any
) -> None:
    provider = Provider(lambda: given)
    async with client_of(support_emulator, access_token="old", token_provider=provider) as client:
        with pytest.raises(AuthenticationError, match="refused the access token") as caught:
            await client.tickets.create(**TICKET)
        assert (sent(support_emulator), provider.asked) == (1, 1)
        cause = caught.value.__cause__
        assert cause is given if isinstance(given, Exception) else cause is not None
        provider.give = support_emulator.issue_token
        await client.tickets.create(**TICKET)
    assert len(support_emulator.ledger) == 1


async def test_a_failing_provider_is_not_asked_by_every_waiting_call(
    support_emulator: SupportEmulator,
) -> None:
    provider = Provider(lambda: Trouble("down"))
    async with client_of(support_emulator, access_token="old", token_provider=provider) as client:
        ended = await asyncio.gather(
            *(client.categories.list() for _ in range(50)), return_exceptions=True
        )
    assert {type(error) for error in ended} == {AuthenticationError}
    assert provider.asked == 1


@pytest.mark.parametrize("first", [True, False], ids=["first", "another"])
async def test_a_provider_that_hangs_runs_into_the_time_limit(
    support_emulator: SupportEmulator, leap: Callable[[float], None], first: bool
) -> None:
    asked = asyncio.Event()

    async def hang() -> str:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    more: dict[str, Any] = {} if first else {"access_token": "old"}
    async with client_of(support_emulator, token_provider=hang, timeout=20, **more) as client:
        words = "no access token within 20 s" if first else "no new access token within 20 s"
        call = asyncio.ensure_future(client.tickets.create(**TICKET))
        await asked.wait()
        leap(20)
        with pytest.raises(NotSentTimeoutError, match=words) as caught:
            await call
        assert caught.value.outcome == "not_sent"
        assert not support_emulator.ledger
        # A second call waits by itself, and no lock is left behind.
        call = asyncio.ensure_future(client.tickets.create(**TICKET))
        await turns(200)
        leap(20)
        with pytest.raises(NotSentTimeoutError):
            await call


async def test_the_time_limit_after_a_renewal_names_what_it_waited_for(
    support_emulator: SupportEmulator, leap: Callable[[float], None]
) -> None:
    blockers: list[Any] = []

    async def provider() -> str:
        blocker = asyncio.ensure_future(client.with_options(timeout=None).login(MEMBER, PASSWORD))
        blockers.append(blocker)
        while not support_emulator.requests["/user/login/"]:
            await asyncio.sleep(0)
        return support_emulator.issue_token()

    support_emulator.faults = FaultPlan.script(["silence_before"], only="login")
    async with client_of(
        support_emulator, access_token="old", token_provider=provider, max_connections=1, timeout=20
    ) as client:
        call = asyncio.ensure_future(client.tickets.create(**TICKET))
        while not blockers:
            await asyncio.sleep(0)
        await turns(200)
        leap(20)
        with pytest.raises(NotSentTimeoutError, match="no free connection slot within"):
            await call
        blockers[0].cancel()
        await asyncio.wait(blockers)


async def test_a_cancelled_call_leaves_the_others_their_renewal(
    support_emulator: SupportEmulator,
) -> None:
    asked = 0
    begun, release = asyncio.Event(), asyncio.Event()

    async def provider() -> str:
        nonlocal asked
        asked += 1
        begun.set()
        await release.wait()
        return support_emulator.issue_token()

    async with client_of(support_emulator, access_token="old", token_provider=provider) as client:
        first = asyncio.ensure_future(client.tickets.create(**TICKET))
        await begun.wait()
        others = [asyncio.ensure_future(client.categories.list()) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await first
        release.set()
        await asyncio.gather(*others)
    assert asked == 1
    assert not support_emulator.ledger
    left: HelpdeskError = caught.value.helpdesk_error  # type: ignore[attr-defined]
    assert isinstance(left, NotSentError)


# What another token cannot help.


@pytest.mark.parametrize("envelope", ["wrapped", "bare"])
async def test_the_open_ticket_limit_never_asks_for_a_token(envelope: Any) -> None:
    async with SupportEmulator(open_ticket_limit=0, envelope=envelope) as emulator:
        provider = fresh(emulator)
        async with client_of(emulator, token_provider=provider) as client:
            for _ in range(3):
                with pytest.raises(OpenTicketLimitError):
                    await client.tickets.create(**TICKET)
        assert (provider.asked, sent(emulator)) == (1, 3)


async def test_other_refusals_never_ask_for_a_token(support_emulator: SupportEmulator) -> None:
    provider = fresh(support_emulator)
    closed, theirs = support_emulator.seed(status="3"), support_emulator.seed(author=OTHER)
    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(ConflictError):
            await client.tickets.close(closed)
        with pytest.raises(PermissionDeniedError):
            await client.tickets.close(theirs)
        with pytest.raises(AuthenticationError, match="the user name or the password"):
            await client.login(MEMBER, "wrong")
    async with client_of(support_emulator, token_provider=provider, apikey="wrong") as client:
        with pytest.raises(PermissionDeniedError):
            await client.categories.list()
    assert provider.asked == 2  # the first token of each client


async def test_an_inactive_user_is_asked_about_once(support_emulator: SupportEmulator) -> None:
    provider = fresh(support_emulator)
    support_emulator.deactivate(MEMBER)
    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(AuthenticationError, match="User is inactive"):
            await client.categories.list()
    assert (provider.asked, sent(support_emulator)) == (2, 2)


# The login.


async def test_login(support_emulator: SupportEmulator) -> None:
    async with SupportClient(
        support_emulator.url, apikey=support_emulator.apikey, retry=QUICK
    ) as client:
        tokens = await client.login(MEMBER, PASSWORD)
        assert isinstance(tokens, Tokens)
        assert tokens.refresh is not None
        assert tokens.access.reveal() != tokens.refresh.reveal()
        [request] = support_emulator.received
        assert "authorization" not in request.headers
        assert (request.headers["apikey"], request.path) == (
            support_emulator.apikey,
            "/user/login/",
        )
        await client.categories.list()
        last = support_emulator.received[-1]
        assert last.headers["authorization"] == f"Bearer {tokens.access.reveal()}"


async def test_a_password_with_its_line_end_is_not_sent(support_emulator: SupportEmulator) -> None:
    async with SupportClient(support_emulator.url, apikey=support_emulator.apikey) as client:
        for user, password in (("member@example.com", "secret\n"), ("a\r\n", "secret")):
            with pytest.raises(ConfigurationError, match="line break"):
                await client.login(user, password)
    assert not support_emulator.requests


async def test_login_changes_the_user(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    support_emulator.seed(subject="mine")
    support_emulator.seed(subject="theirs", author=OTHER)
    await client.login(OTHER, PASSWORD)
    assert [row.subject for row in await client.tickets.history()] == ["theirs"]


@pytest.mark.parametrize(
    ("username", "password"), [(MEMBER, "wrong"), ("nobody@example.com", PASSWORD)]
)
async def test_a_refused_login(
    support_emulator: SupportEmulator, client: SupportClient, username: str, password: str
) -> None:
    with pytest.raises(AuthenticationError, match="the user name or the password") as caught:
        await client.login(username, password)
    assert caught.value.operation == "login"
    assert "whether the account is active" in str(caught.value)
    assert password not in str(caught.value)
    assert await client.categories.list()  # the former token is still good
    support_emulator.deactivate(MEMBER)
    with pytest.raises(AuthenticationError):
        await client.login(MEMBER, PASSWORD)


async def test_login_as_provider(support_emulator: SupportEmulator) -> None:
    async def provider() -> Secret:
        return (await client.login(MEMBER, PASSWORD)).access

    async with client_of(support_emulator, token_provider=provider) as client:
        await asyncio.gather(*(client.categories.list() for _ in range(10)))
        assert support_emulator.logins == 1
        support_emulator.expire_tokens()
        await asyncio.gather(*(client.tickets.create(**TICKET) for _ in range(10)))
        assert support_emulator.logins == 2
    assert len(support_emulator.ledger) == 10


async def test_login_as_provider_with_wrong_credentials(support_emulator: SupportEmulator) -> None:
    async def provider() -> Secret:
        return (await client.login(MEMBER, "wrong")).access

    async with client_of(support_emulator, token_provider=provider) as client:
        with pytest.raises(NotSentError, match="the user name or the password") as caught:
            await client.categories.list()
        assert isinstance(caught.value.__cause__, AuthenticationError)


@pytest.mark.parametrize("plain", [True, False])
def test_the_sync_client_takes_providers_of_both_kinds(plain: bool) -> None:
    with SupportEmulator().in_thread() as emulator:

        async def later() -> str:
            return emulator.token

        with SyncSupportClient(
            emulator.url,
            apikey=emulator.apikey,
            token_provider=(lambda: emulator.token) if plain else later,
        ) as client:
            client.tickets.create(**TICKET)
        assert len(emulator.ledger) == 1


def test_the_sync_docstrings_provider_works() -> None:
    """The example in the docstring of ``SyncSupportClient.login``, as it stands there."""
    doc = SyncSupportClient.login.__doc__ or ""
    _, _, rest = doc.partition("::\n\n")
    example = textwrap.dedent(rest.partition("\n\n")[0])
    assert "def provider" in example
    with SupportEmulator().in_thread() as emulator:
        names: dict[str, Any] = {"username": MEMBER, "password": PASSWORD}
        exec(compile(example, "<docstring>", "exec"), names)
        with SyncSupportClient(
            emulator.url, apikey=emulator.apikey, token_provider=names["provider"]
        ) as client:
            names["client"] = client
            client.categories.list()
        assert emulator.logins == 1
