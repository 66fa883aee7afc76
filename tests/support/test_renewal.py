"""One renewal for all who need it: whose it is, where it runs, and what it may call."""

from __future__ import annotations

import asyncio
import functools
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from support_async import (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    NotSentError,
    NotSentTimeoutError,
    Secret,
    SupportClient,
    SyncSupportClient,
    Tokens,
)
from support_async.events import AttemptFinished
from support_async.testing import SupportEmulator

from .made import TICKET, client_of, sent
from .wire import Served, answer, serving, settings_for

MEMBER = "member@example.com"
PASSWORD = "emulator-password"


class Gate:
    """A provider that says when it was asked, and gives when it is told to."""

    def __init__(self, give: Callable[[], str]) -> None:
        self.give = give
        self.asked = self.running = self.most = self.cancelled = 0
        self.begun, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> str:
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0)  # its end takes a while
            raise
        finally:
            self.running -= 1
        return self.give()


@pytest.fixture
async def gate(support_emulator: SupportEmulator) -> Gate:
    return Gate(support_emulator.issue_token)


@pytest.fixture
async def blocked() -> AsyncIterator[threading.Event]:
    """What a blocking provider waits for; nothing is left waiting after the test."""
    event = threading.Event()
    yield event
    event.set()


# --- whose it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["first", "another"])
async def test_a_call_that_runs_out_of_time_does_not_end_it(
    support_emulator: SupportEmulator, gate: Gate, leap: Callable[[float], None], first: bool
) -> None:
    more: dict[str, Any] = {} if first else {"access_token": "old"}
    refused: list[Any] = []

    def note(event: Any) -> None:
        if isinstance(event, AttemptFinished):
            refused.append(event)

    usual: dict[str, Any] = {"token_provider": gate, "timeout": None, "on_event": note}
    async with client_of(support_emulator, **usual, **more) as client:
        hasty = client.with_options(timeout=20)
        calls = [asyncio.ensure_future(hasty.tickets.create(**TICKET)) for _ in range(3)]
        await gate.begun.wait()
        while len(refused) < (0 if first else 3):
            await asyncio.sleep(0)
        for _ in range(5):  # until all of them wait for it
            await asyncio.sleep(0)
        leap(20)
        for call in calls:
            with pytest.raises(NotSentTimeoutError, match="access token within"):
                await call
        patient = asyncio.ensure_future(client.tickets.create(**TICKET))
        await asyncio.sleep(0)
        gate.release.set()
        await patient
        await client.tickets.create(**TICKET)
    assert (gate.asked, gate.most, gate.cancelled) == (1, 1, 0)
    assert len(support_emulator.ledger) == 2


async def test_all_who_wait_may_go_and_it_is_still_used(
    support_emulator: SupportEmulator, gate: Gate
) -> None:
    async with client_of(support_emulator, access_token="old", token_provider=gate) as client:
        calls = [asyncio.ensure_future(client.categories.list()) for _ in range(5)]
        await gate.begun.wait()
        for call in calls:
            call.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ended} == {asyncio.CancelledError}
        gate.release.set()
        before = sent(support_emulator)
        await client.categories.list()
        assert sent(support_emulator) - before <= 2
    assert gate.asked == 1


@pytest.mark.parametrize("first", [True, False], ids=["first", "another"])
async def test_closing_ends_it_and_tells_those_who_wait(
    support_emulator: SupportEmulator, gate: Gate, first: bool
) -> None:
    more: dict[str, Any] = {} if first else {"access_token": "old"}
    client = client_of(support_emulator, token_provider=gate, **more)
    calls = [asyncio.ensure_future(client.tickets.create(**TICKET)) for _ in range(3)]
    await gate.begun.wait()
    await client.aclose()
    assert (gate.cancelled, gate.running) == (1, 0)
    for ended in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(ended, ClientStateError)
        assert "closed" in str(ended)
    assert not support_emulator.ledger
    with pytest.raises(ClientStateError):
        await client.categories.list()
    assert gate.asked == 1


async def test_closing_does_not_wait_for_a_thread(
    support_emulator: SupportEmulator, blocked: threading.Event
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def provider() -> str:
        loop.call_soon_threadsafe(begun.set)
        blocked.wait()
        return support_emulator.token

    client = client_of(support_emulator, access_token=None, token_provider=provider)
    call = asyncio.ensure_future(client.categories.list())
    await begun.wait()
    await client.aclose()
    with pytest.raises(ClientStateError):
        await call


async def test_a_provider_may_close_its_own_client(support_emulator: SupportEmulator) -> None:
    async def provider() -> str:
        await client.aclose()
        return support_emulator.token

    client = client_of(support_emulator, access_token=None, token_provider=provider)
    with pytest.raises(ClientStateError):
        await client.categories.list()


# --- failures ----------------------------------------------------------------------------------


class Trouble(Exception):
    """An error of somebody's own."""


class Password(str):
    """A text that a weak reference can follow."""

    __slots__ = ("__weakref__",)


async def test_a_failure_is_shared_and_every_call_has_its_own_error(
    support_emulator: SupportEmulator,
) -> None:
    gate = Gate(lambda: "")

    async def provider() -> str:
        await gate()
        raise Trouble

    async with client_of(support_emulator, access_token=None, token_provider=provider) as client:
        calls = [asyncio.ensure_future(client.categories.list()) for _ in range(5)]
        await gate.begun.wait()
        gate.release.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert gate.asked == 1
        assert len({id(error) for error in ended}) == 5
        for error in ended:
            assert isinstance(error, NotSentError)
            assert isinstance(error.__cause__, Trouble)
        with pytest.raises(NotSentError):  # it is not done with for ever
            await client.categories.list()
        assert gate.asked == 2


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("first", [True, False], ids=["first", "another"])
async def test_a_failure_keeps_no_frame_of_the_provider(
    support_emulator: SupportEmulator, first: bool, plain: bool
) -> None:
    left: list[weakref.ref[Password]] = []

    def fail() -> str:
        password = Password("canary")
        left.append(weakref.ref(password))
        try:
            try:
                raise Trouble
            except Trouble:
                raise ExceptionGroup("several", [Trouble()]) from KeyError()
        except ExceptionGroup as error:
            raise Trouble from error

    async def fail_later() -> str:
        return fail()

    provider: Any = fail if plain else fail_later
    more: dict[str, Any] = {"access_token": None if first else "old"}
    async with client_of(support_emulator, token_provider=provider, **more) as client:
        with pytest.raises((NotSentError, AuthenticationError)) as caught:
            await client.tickets.create(**TICKET)
        assert isinstance(caught.value.__cause__, Trouble)
        gc.collect()
        assert [ref() for ref in left] == [None]


async def test_what_is_cancelled_within_a_provider_cancels_no_call(
    support_emulator: SupportEmulator,
) -> None:
    async def provider() -> str:
        task = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(task.cancel)
        await task
        return ""

    async with client_of(support_emulator, access_token=None, token_provider=provider) as client:
        with pytest.raises(NotSentError, match="was interrupted"):
            await client.categories.list()


# --- what a provider may call ------------------------------------------------------------------


async def test_a_provider_may_give_what_a_login_returns(support_emulator: SupportEmulator) -> None:
    async def provider() -> Tokens:
        return await client.login(MEMBER, PASSWORD)

    async with client_of(support_emulator, token_provider=provider, access_token="old") as client:
        await client.tickets.create(**TICKET)
    assert len(support_emulator.ledger) == 1


@pytest.mark.parametrize("first", [True, False], ids=["first", "another"])
async def test_a_provider_does_not_wait_for_itself(
    support_emulator: SupportEmulator, first: bool
) -> None:
    seen: list[Exception] = []

    async def provider() -> Secret:
        try:
            await client.with_options(timeout=3).categories.list()
        except ClientStateError as error:
            seen.append(error)
        return (await client.login(MEMBER, PASSWORD)).access

    more: dict[str, Any] = {"access_token": None if first else "old"}
    async with client_of(support_emulator, token_provider=provider, **more) as client:
        await client.tickets.create(**TICKET)
    [error] = seen
    assert "would wait for itself" in str(error)
    assert "such as a login" in str(error)


async def test_a_provider_that_needs_its_own_token_is_told(
    support_emulator: SupportEmulator,
) -> None:
    async def provider() -> str:
        return str(await client.categories.list())

    async with client_of(support_emulator, access_token=None, token_provider=provider) as client:
        with pytest.raises(NotSentError, match="would wait for itself") as caught:
            await client.categories.list()
        assert isinstance(caught.value.__cause__, ClientStateError)


async def test_two_providers_do_not_wait_for_each_other(support_emulator: SupportEmulator) -> None:
    async def ask_second() -> str:
        return str(await second.categories.list())

    async def ask_first() -> str:
        return str(await first.categories.list())

    first = client_of(support_emulator, access_token=None, token_provider=ask_second)
    second = client_of(support_emulator, access_token=None, token_provider=ask_first)
    async with first, second:
        with pytest.raises(NotSentError, match="would wait for itself"):
            await first.categories.list()


async def test_a_task_that_outlives_the_provider_is_no_part_of_it(
    support_emulator: SupportEmulator,
) -> None:
    release = asyncio.Event()
    later: list[asyncio.Task[Any]] = []

    async def wait_and_call() -> None:
        await release.wait()
        await client.categories.list()

    async def provider() -> str:
        later.append(asyncio.create_task(wait_and_call()))
        return support_emulator.issue_token()

    async with client_of(support_emulator, access_token="old", token_provider=provider) as client:
        await client.categories.list()
        support_emulator.expire_tokens()
        release.set()
        await later[0]  # asks for a token of its own
        assert len(later) == 2
        await later[1]


def test_a_blocking_provider_does_not_wait_for_itself() -> None:
    with SupportEmulator().in_thread() as emulator:

        def provider() -> str:
            return str(client.categories.list())

        with SyncSupportClient(
            emulator.url, apikey=emulator.apikey, token_provider=provider
        ) as client:
            with pytest.raises(NotSentError, match="would wait for itself"):
                client.categories.list()


# --- where it runs -----------------------------------------------------------------------------


async def test_where_each_kind_runs(support_emulator: SupportEmulator) -> None:
    where: list[threading.Thread] = []

    def plain(_: Any = None) -> str:
        where.append(threading.current_thread())
        return support_emulator.token

    async def later(_: Any = None) -> str:
        return plain()

    class Called:
        def __call__(self) -> str:
            return plain()

    class CalledLater:
        async def __call__(self) -> str:
            return plain()

        async def method(self) -> str:
            return plain()

    here = [
        later,
        CalledLater(),
        CalledLater().method,
        functools.partial(later, 1),
        functools.partial(CalledLater()),
        lambda: later(1),  # called there, but the coroutine it gives is awaited here
    ]
    there = [plain, Called(), functools.partial(plain, 1), lambda: plain()]
    for provider in (*here, *there):
        async with client_of(
            support_emulator, access_token=None, token_provider=provider
        ) as client:
            await client.categories.list()
        thread = where.pop()
        assert (thread is threading.current_thread()) == (provider in here)
        assert thread.daemon == (provider in there)
    assert not where


async def test_a_blocking_provider_takes_no_place_in_the_pool(
    support_emulator: SupportEmulator, blocked: threading.Event, leap: Callable[[float], None]
) -> None:
    """Ten clients whose providers hang, and the loop's own pool has a place for one job."""
    from concurrent.futures import ThreadPoolExecutor

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))

    def provider() -> str:
        blocked.wait()
        return support_emulator.token

    clients = [
        client_of(support_emulator, access_token=None, token_provider=provider, timeout=20)
        for _ in range(10)
    ]
    for _ in range(2):
        calls = [asyncio.ensure_future(client.categories.list()) for client in clients]
        for _ in range(5):
            await asyncio.sleep(0)
        leap(20)
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ended} == {NotSentTimeoutError}
    assert await asyncio.to_thread(lambda: "free") == "free"
    blocking = [t for t in threading.enumerate() if t.name == "token-provider"]
    assert len(blocking) == 10  # one for each client, though two calls were made
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize(
    "give",
    [
        lambda: asyncio.get_running_loop().create_future(),
        lambda: asyncio.current_task(),
    ],
    ids=["future", "task"],
)
async def test_a_plain_function_that_needs_a_loop_is_told(
    support_emulator: SupportEmulator, give: Callable[[], Any]
) -> None:
    async with client_of(support_emulator, access_token=None, token_provider=give) as client:
        with pytest.raises(NotSentError, match="needs a running event loop") as caught:
            await client.categories.list()
        cause = caught.value.__cause__
        assert isinstance(cause, ConfigurationError)
        assert "async function" in str(cause)


async def test_a_future_of_another_loop_is_told(support_emulator: SupportEmulator) -> None:
    other = asyncio.new_event_loop()
    async with client_of(
        support_emulator, access_token=None, token_provider=other.create_future
    ) as client:
        with pytest.raises(NotSentError, match="a task of another event loop"):
            await client.categories.list()
    other.close()


async def test_a_task_of_this_loop_is_awaited(support_emulator: SupportEmulator) -> None:
    async def fetch() -> str:
        return support_emulator.token

    task = asyncio.ensure_future(fetch())
    async with client_of(
        support_emulator, access_token=None, token_provider=lambda: task
    ) as client:
        await client.categories.list()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, StopIteration])
async def test_whatever_a_thread_ends_with_is_told(
    support_emulator: SupportEmulator, error: type[BaseException]
) -> None:
    def provider() -> str:
        raise error

    async with client_of(support_emulator, access_token=None, token_provider=provider) as client:
        with pytest.raises(NotSentError, match=f"raised {error.__name__}"):
            await client.categories.list()


HANGING = """
import asyncio, sys, threading
from support_async import NotSentTimeoutError, SupportClient, SyncSupportClient

def provider():
    threading.Event().wait()

async def main():
    async with SupportClient(URL, apikey="k", token_provider=provider, timeout=0.05) as client:
        try:
            await client.categories.list()
        except NotSentTimeoutError:
            print("timeout", flush=True)

asyncio.run(main())
client = SyncSupportClient(URL, apikey="k", token_provider=provider, timeout=0.05)
try:
    client.categories.list()
except NotSentTimeoutError:
    print("timeout", flush=True)
client.close()
"""


def test_a_provider_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    program = "URL = 'http://127.0.0.1:9'\n" + textwrap.dedent(HANGING)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "timeout\n" * 2, "")


# --- which refusals it follows -----------------------------------------------------------------

Call = Callable[[SupportClient], Any]
WRITES: dict[str, Call] = {
    "create": lambda client: client.tickets.create(**TICKET),
    "reply": lambda client: client.tickets.reply(1, "c"),
    "update": lambda client: client.tickets.update(1, tags=[1]),
    "close": lambda client: client.tickets.close(1),
}
READS: dict[str, Call] = {
    "categories": lambda client: client.categories.list(),
    "get": lambda client: client.tickets.get(1),
    "download": lambda client: client.attachments.stream(1).__aenter__(),
}
AT_THE_DOOR = [
    (b'{"detail": "x", "code": "token_not_valid"}', ()),
    (b'{"detail": "Nope"}', ('WWW-Authenticate: JWT realm="api"',)),
    (b'{"detail": "Authentication credentials were not provided."}', ()),
]
BY_HAND = [
    (b'{"status_code": 401, "errors": {"": ["The feature is switched off."]}, "data": {}}', ()),
    (b"", ()),
    (b"<h1>401</h1>", ()),
]


@pytest.mark.parametrize("name", [*WRITES, *READS])
@pytest.mark.parametrize(("body", "lines"), [*AT_THE_DOOR, *BY_HAND])
async def test_a_write_goes_again_only_after_a_refusal_at_the_door(
    name: str, body: bytes, lines: tuple[str, ...]
) -> None:
    """A 401 that a view gave by hand says nothing of what the view had done before."""
    asked = 0

    async def provider() -> str:
        nonlocal asked
        asked += 1
        return f"token-{asked}"

    async def refuse(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await served.request(reader)
            writer.write(answer(body, *lines, status="401 Unauthorized"))

    async with serving(refuse) as served:
        wanted = settings_for(served.url, "old", token_provider=provider)
        async with SupportClient(**wanted) as client:
            with pytest.raises(AuthenticationError):
                await (WRITES | READS)[name](client)
    again = name in READS or (body, lines) in AT_THE_DOOR
    assert (asked, len(served.heads)) == ((1, 2) if again else (0, 1))
