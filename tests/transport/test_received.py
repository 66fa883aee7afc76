"""Seeing what came: the answer of an error, and that of every call, on request and nowhere else."""

from __future__ import annotations

import pickle

import pytest

from kapture_async import (
    ConfigurationError,
    HelpdeskError,
    KaptureClient,
    NotFoundError,
    ReceivedResponse,
    RejectedError,
    SyncKaptureClient,
    UnreadableReplyError,
)
from kapture_async.testing import Fault, KaptureEmulator
from support_async.testing import SupportEmulator

from ..support.made import TICKET, client_of
from ..support.replies import refused

WORDS = "what a customer wrote"


async def test_an_error_has_the_answer_it_is_about(
    emulator: KaptureEmulator, wire: str, logs: pytest.LogCaptureFixture
) -> None:
    fault = Fault("status", status=503, retry_after="7", body="json")
    async with KaptureClient(base_url=emulator.url, token=emulator.token) as client:
        with pytest.raises(HelpdeskError) as caught:
            await client.tickets.add(title=WORDS, headers=fault.headers())
    error = caught.value
    assert error.response is not None
    assert error.response.status == error.status == 503
    assert error.response.headers["RETRY-after"] == "7"
    assert error.response.body.startswith(b"{")
    shown = f"{error} {error!r} {error.response!r} {logs.text}"
    assert error.response.body.decode() not in shown
    assert repr(error.response).startswith("<ReceivedResponse 503, ")
    assert pickle.loads(pickle.dumps(error)).response is None


async def test_without_a_whole_answer_there_is_none(
    emulator: KaptureEmulator, client: KaptureClient, wire: str
) -> None:
    for kind in ("close_before", "half_body"):
        with pytest.raises(HelpdeskError) as caught:
            await client.tickets.add(title="x", headers=Fault(kind).headers())
        assert caught.value.response is None


async def test_an_error_keeps_no_more_of_a_body_than_it_says(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    said = "no" * 50_000
    emulator.faults = emulator.faults.script([Fault("failed", message=said)])
    with pytest.raises(RejectedError) as caught:
        await client.tickets.add(title="x")
    assert caught.value.response is not None
    assert len(caught.value.response.body) == 64 * 1024


async def test_every_call_can_show_its_answer(
    emulator: KaptureEmulator, client: KaptureClient, wire: str
) -> None:
    seen: list[ReceivedResponse] = []
    watched = client.with_options(on_response=seen.append)
    added = await watched.tickets.add(title=WORDS)
    assert seen[-1].status == 200
    assert added.ticket_id.encode() in seen[-1].body
    assert seen[-1].headers["content-type"].startswith("application/json")
    assert WORDS not in f"{seen!r}"
    with pytest.raises(NotFoundError):
        await watched.tickets.update("1", sub_status="PS")
    assert len(seen) == 2
    assert b"failed" in seen[-1].body
    # Kept by what is made of it, and of no other client.
    await watched.with_options(timeout=5).faqs.categories()
    assert len(seen) == 3
    await client.faqs.categories()
    assert len(seen) == 3
    # A read that is tried again shows only what it ended with; a pull, of each call.
    emulator.faults = emulator.faults.script([Fault("status", status=503, retry_after="0.001")])
    await watched.tickets.pull("2024-04-19", "2024-04-20").all()
    assert [one.status for one in seen[3:]] == [200, 200]
    # A push, of each row.
    await watched.tickets.push([{"title": "a"}, {"title": "b"}]).run()
    assert len(seen) == 7


async def test_the_client_goes_on_when_it_raises(
    emulator: KaptureEmulator, client: KaptureClient, logs: pytest.LogCaptureFixture
) -> None:
    def broken(response: ReceivedResponse) -> None:
        raise ValueError(response.body)

    added = await client.with_options(on_response=broken).tickets.add(title=WORDS)
    assert [entry.ticket_id for entry in emulator.ledger] == [added.ticket_id]
    assert "on_response raised ValueError" in logs.text
    assert added.ticket_id not in logs.text
    with pytest.raises(ConfigurationError, match="on_response must be a function"):
        client.with_options(on_response="x")  # type: ignore[arg-type]


def test_sync() -> None:
    seen: list[ReceivedResponse] = []
    with (
        KaptureEmulator().in_thread() as emulator,
        SyncKaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        client.with_options(on_response=seen.append).tickets.add(title="x")
        with pytest.raises(NotFoundError) as caught:
            client.tickets.update("1", sub_status="PS")
    assert [one.status for one in seen] == [200]
    assert caught.value.response is not None
    assert b"failed" in caught.value.response.body


async def test_support_also_of_calls_that_return_nothing_and_of_files(wire: str) -> None:
    seen: list[ReceivedResponse] = []
    async with SupportEmulator() as emulator, client_of(emulator) as client:
        ticket_id = emulator.seed(subject="a", comment="b")
        attachment_id = emulator.seed_attachment(ticket_id, "a.txt", b"what is in a file")
        watched = client.with_options(on_response=seen.append)
        await watched.tickets.create(**TICKET)
        assert seen[-1].status // 100 == 2
        assert seen[-1].body
        async with watched.attachments.stream(attachment_id) as download:
            assert await download.read() == b"what is in a file"
        assert len(seen) == 2
        assert seen[-1].headers["content-disposition"]
        assert seen[-1].body == b""


def test_support_quotes_the_status_that_it_does_not_know() -> None:
    error = refused("tickets.create", {"status_code": "perhaps", "data": {"x": "y"}})
    assert isinstance(error, UnreadableReplyError)
    assert "'status_code' is 'perhaps'" in str(error)
