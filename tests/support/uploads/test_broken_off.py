"""Uploads that break off: what a failure says."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from support_async import (
    AttachmentTooLargeError,
    HelpdeskError,
    NoReplyError,
    OutcomeUnknownError,
    Phase,
    SupportClient,
)
from support_async.testing import Fault, FaultPlan, SupportEmulator

from ..wire import DONE, MIB, ONCE, TICKET, Served, answer, client_of, reset, serving, settings_for
from .shared import WHOLE


async def test_broken_off_while_the_file_is_under_way() -> None:
    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        await reader.readexactly(1000)
        reset(writer)

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_attachment_bytes=16 * MIB)
        async with SupportClient(**wanted) as client:
            with pytest.raises(NoReplyError, match="possibly too large") as caught:
                await client.tickets.create(**TICKET, attachment=bytes(16 * MIB))
    assert caught.value.phase is Phase.SENDING
    assert caught.value.may_have_been_applied
    assert len(caught.value.attempts) == len(served.heads) == 1


@pytest.mark.parametrize("fault", ["reset_early", "reset_before", "close_before"])
async def test_broken_off_when_the_file_is_in_the_hands_of_the_system(
    emulator: SupportEmulator, client: SupportClient, fault: str
) -> None:
    """The system takes a file of 2 MiB whole before the other side has read any of it."""
    with pytest.raises(NoReplyError, match="possibly too large"):
        await client.tickets.create(**TICKET, attachment=WHOLE, headers=Fault(fault).headers())


@pytest.mark.parametrize(
    "fault", ["reset_early", "reset_before", "reset_after", "close_after", "half_body"]
)
async def test_a_file_that_may_have_arrived_is_never_sent_again(
    emulator: SupportEmulator, client: SupportClient, fault: str
) -> None:
    emulator.faults = FaultPlan.script([fault])
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.tickets.create(**TICKET, attachment=WHOLE)
    assert caught.value.may_have_been_applied
    assert "do not send it again blindly" in str(caught.value)
    assert sum(emulator.requests.values()) == len(caught.value.attempts) == 1
    assert len(emulator.ledger) == Fault(fault).executes


async def test_without_a_file_nothing_is_said_of_its_size(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    with pytest.raises(NoReplyError) as caught:
        await client.tickets.create(**TICKET, headers=Fault("reset_early").headers())
    assert "too large" not in str(caught.value)


TOO_LARGE = answer(b"<html>413</html>", status="413 Request Entity Too Large")


@pytest.mark.parametrize("then", ["reads on", "waits", "leaves"])
async def test_413_that_comes_before_the_file_is_out(then: str) -> None:
    """The answer counts, and what is left of the upload spoils no other call."""

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await served.head(reader)
        if b"/create/" not in head:
            writer.write(answer(b'{"status_code":200,"errors":{},"data":{"CategoryList":[]}}'))
            return
        writer.write(TOO_LARGE)
        await writer.drain()
        if then == "leaves":
            writer.write_eof()  # lingering, as proxies do
        if then != "waits":
            while await reader.read(MIB):
                pass
        else:
            await asyncio.Event().wait()

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_attachment_bytes=8 * MIB)
        async with SupportClient(**wanted) as client:
            with pytest.raises(AttachmentTooLargeError) as caught:
                await client.tickets.create(**TICKET, attachment=bytes(8 * MIB))
            assert await client.categories.list() == []
    assert caught.value.status == 413
    assert [b"/create/" in head for head in served.heads] == [True, False]


async def test_413_from_a_proxy_that_does_not_linger() -> None:
    """The network may swallow the answer: then it is a doubt, and says what it may be."""

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        writer.write(TOO_LARGE)
        await writer.drain()
        reset(writer)

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_attachment_bytes=16 * MIB)
        async with SupportClient(**wanted) as client:
            with pytest.raises(HelpdeskError) as caught:
                await client.tickets.create(**TICKET, attachment=bytes(16 * MIB))
    if not isinstance(caught.value, AttachmentTooLargeError):
        assert isinstance(caught.value, NoReplyError)
        assert "possibly too large" in str(caught.value)
    assert len(served.heads) == 1


async def test_cancelled_while_the_file_is_under_way() -> None:
    """The slot and the connection are free again at once."""
    arrived = asyncio.Event()

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(served.heads) == 0:
            await served.head(reader)
            arrived.set()
            await asyncio.Event().wait()
        await served.request(reader)
        writer.write(DONE)

    async with serving(script, buffer=4096) as served:
        wanted = settings_for(served.url, max_connections=1, max_attachment_bytes=16 * MIB)
        async with SupportClient(**wanted) as client:
            call = asyncio.ensure_future(
                client.tickets.create(**TICKET, attachment=bytes(16 * MIB))
            )
            await arrived.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await client.tickets.create(**TICKET)
    assert len(served.heads) == 2


async def test_closing_the_client_does_not_wait_for_a_server_that_stopped_reading() -> None:
    arrived = asyncio.Event()

    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.head(reader)
        arrived.set()
        await asyncio.Event().wait()

    async with serving(script, buffer=4096) as served:
        client = SupportClient(**settings_for(served.url, max_attachment_bytes=16 * MIB))
        call = asyncio.ensure_future(client.tickets.create(**TICKET, attachment=bytes(16 * MIB)))
        try:
            await arrived.wait()
            async with asyncio.timeout(5):  # less than the time for a call
                await client.aclose()
                with pytest.raises(OutcomeUnknownError):
                    await call
        finally:
            call.cancel()
            await asyncio.wait([call])


async def test_many_at_once_through_few_connections(emulator: SupportEmulator) -> None:
    contents = [random.Random(number).randbytes(300 * 1024) for number in range(20)]
    async with client_of(emulator, max_connections=4, retry=ONCE) as client:
        await asyncio.gather(
            *(
                client.tickets.create(**TICKET, attachment=(f"{number}.bin", content))
                for number, content in enumerate(contents)
            )
        )
    stored = {entry.payload["attachment"]["name"]: entry.payload for entry in emulator.ledger}
    for number, content in enumerate(contents):
        found = stored[f"{number}.bin"]["attachment"]
        assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert emulator.connections_total <= 4
