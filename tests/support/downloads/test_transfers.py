"""Progress of a transfer, a transfer that begins again, and a token that expires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from support_async import (
    AuthenticationError,
    DownloadProgress,
    NoReplyError,
    NotSentTimeoutError,
    ReplyTimeoutError,
    RetryPolicy,
    ServerError,
    SupportClient,
    Timeout,
)
from support_async.testing import Fault, FaultPlan, SupportEmulator

from ..wire import MIB, client_of, serving, settings_for, tree
from .shared import CONTENT, ID, Stuck, a_file, all_gone, slow

# --- progress -------------------------------------------------------------------------------------


async def test_progress(emulator: SupportEmulator, client: SupportClient, folder: Path) -> None:
    seen: list[DownloadProgress] = []
    emulator.downloads[ID] = slow()
    await client.attachments.download(ID, folder, on_progress=seen.append)
    received = [step.received for step in seen]
    assert received[0] == 0
    assert received[-1] == 2 * MIB
    assert received == sorted(set(received))
    assert len(received) > 8
    assert {step.size for step in seen} == {2 * MIB}


async def test_progress_begins_again_with_the_transfer(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    seen: list[DownloadProgress] = []
    replies = iter([slow(length=3 * MIB), a_file(b"the second is another file")])
    emulator.downloads[ID] = lambda request: next(replies)
    path = await client.attachments.download(ID, folder, on_progress=seen.append)
    assert path.read_bytes() == b"the second is another file"
    zeros = [place for place, step in enumerate(seen) if step.received == 0]
    assert zeros == [0, len(seen) - 2]
    assert [step.size for step in seen][:: len(seen) - 1] == [3 * MIB, 26]


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), OSError(5, "mine")])
async def test_an_observer_that_fails_ends_it(
    emulator: SupportEmulator, folder: Path, error: Exception
) -> None:
    def fail(progress: DownloadProgress) -> None:
        if progress.received:
            raise error

    async with client_of(emulator, max_connections=1, timeout=None) as client:
        with pytest.raises(type(error), match="mine"):
            await client.attachments.download(ID, folder, on_progress=fail)
        assert tree(folder) == {}
        await all_gone(emulator)
        await client.attachments.download(ID, folder)


# --- begun again ----------------------------------------------------------------------------------


async def test_a_transfer_that_broke_off_is_begun_again(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    emulator.faults = FaultPlan.script(["half_body", Fault("wrong_length", delta=1000)])
    path = await client.attachments.download(ID, folder)
    assert path.read_bytes() == CONTENT
    assert sum(emulator.requests.values()) == 3
    assert tree(folder) == {path.name: CONTENT}


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_silence_in_the_middle_is_given_up_in_the_end(
    folder: Path, leap: Callable[[float], None], attempts: int
) -> None:
    stuck = Stuck()
    loop = asyncio.get_running_loop()

    def note(progress: DownloadProgress) -> None:
        if progress.received == MIB:  # and no more will come
            loop.call_later(0.001, leap, 10)

    retry = RetryPolicy(attempts=attempts, first_wait=0.001)
    async with (
        serving(stuck) as served,
        SupportClient(**settings_for(served.url, timeout=Timeout(read=10), retry=retry)) as client,
    ):
        with pytest.raises(ReplyTimeoutError, match="stopped arriving") as caught:
            await client.attachments.download(ID, folder, on_progress=note)
        await stuck.all_left()
    assert [one.number for one in caught.value.attempts] == [*range(1, attempts + 1)]
    assert stuck.came == served.connections == attempts
    assert "It is safe to ask again" in str(caught.value)
    assert not caught.value.may_have_been_applied
    assert tree(folder) == {}


async def test_tries_are_counted_over_all_transfers(
    emulator: SupportEmulator, client: SupportClient, folder: Path
) -> None:
    """Three tries are three, whether they end before the file begins or in its middle."""
    unavailable = Fault("status", status=503)
    emulator.faults = FaultPlan.script([unavailable, "half_body", "half_body", "half_body"])
    with pytest.raises(NoReplyError) as caught:
        await client.attachments.download(ID, folder)
    assert [one.status for one in caught.value.attempts] == [503, 200, 200]
    assert sum(emulator.requests.values()) == 3
    emulator.faults = FaultPlan.script(["half_body", unavailable, unavailable, unavailable])
    with pytest.raises(ServerError) as late:
        await client.attachments.download(ID, folder)
    assert sum(emulator.requests.values()) == 6
    assert len(late.value.attempts) == 3
    assert tree(folder) == {}


@pytest.mark.parametrize("fault", ["reset_before", "close_before"])
async def test_no_request_goes_out_that_nobody_counts(
    emulator: SupportEmulator, client: SupportClient, folder: Path, fault: str
) -> None:
    emulator.faults = FaultPlan.rate(1, kinds=[fault])
    with pytest.raises(NoReplyError) as caught:
        await client.attachments.download(ID, folder)
    assert sum(emulator.requests.values()) == len(caught.value.attempts) == 3


async def test_one_time_for_everything(
    emulator: SupportEmulator, folder: Path, leap: Callable[[float], None]
) -> None:
    def note(progress: DownloadProgress) -> None:
        if 0 < progress.received < 2000:
            leap(20)

    emulator.downloads[ID] = a_file(piece=1000, pause=0.02)  # a drip, never silent
    async with client_of(emulator, timeout=Timeout(total=20), max_connections=1) as client:
        with pytest.raises(ReplyTimeoutError, match="whole within 20 seconds") as caught:
            await client.attachments.download(ID, folder, on_progress=note)
        assert (caught.value.operation, caught.value.effect) == ("attachments.download", "read")
        await all_gone(emulator)
        assert tree(folder) == {}
        assert sum(emulator.requests.values()) == 1
        emulator.downloads[ID] = a_file()
        await client.attachments.download(ID, folder)


async def test_no_slot_is_no_doubt(emulator: SupportEmulator, folder: Path) -> None:
    async with client_of(emulator, max_connections=1) as client:
        hasty = client.with_options(timeout=0.1)
        async with client.attachments.stream(ID):
            with pytest.raises(NotSentTimeoutError, match=r"requested within 0\.1 seconds"):
                await hasty.attachments.download(ID, folder)
    assert sum(emulator.requests.values()) == 1
    assert tree(folder) == {}


# --- an expired token -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["file", "stream"])
async def test_an_expired_token_is_replaced_once(
    emulator: SupportEmulator, folder: Path, form: str
) -> None:
    asked: list[str] = []

    async def provider() -> str:
        asked.append("asked")
        return emulator.issue_token()

    expired = emulator.issue_token(seconds=-60)
    async with client_of(emulator, access_token=expired, token_provider=provider) as client:
        for _ in range(2):
            if form == "file":
                await client.attachments.download(ID, folder, overwrite=True)
            else:
                async with client.attachments.stream(ID) as download:
                    assert await download.read() == CONTENT
    assert asked == ["asked"]
    assert sum(emulator.requests.values()) == 3


async def test_a_token_that_stays_bad_is_an_error(emulator: SupportEmulator, folder: Path) -> None:
    asked: list[str] = []

    def provider() -> str:
        asked.append("asked")
        return emulator.issue_token(seconds=-60)

    async with client_of(
        emulator,
        access_token=emulator.issue_token(seconds=-60),
        token_provider=provider,
        max_connections=1,
    ) as client:
        for count in (1, 2):
            with pytest.raises(AuthenticationError):
                await client.attachments.download(ID, folder)
            assert len(asked) == count
    assert tree(folder) == {}
