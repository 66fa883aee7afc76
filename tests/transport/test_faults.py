"""Every fault on a real socket: the outcome is true by the emulator's ledger, for writes and
reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kapture_async import (
    ConnectError,
    HelpdeskError,
    KaptureClient,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    Phase,
    RateLimitedError,
    RejectedError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    RetryPolicy,
    ServerError,
    Timeout,
    UnreadableReplyError,
)
from kapture_async.testing import KINDS, Fault, KaptureEmulator

UNSEEN = ("slow", "failed_after", "answer_twice", "previous_answer")
"""Kinds of which one answer tells nothing: no call fails, or none can know."""
PATIENT = Timeout(total=40)  # no wait of 50 s fits
SILENT = {"silence_before", "silence_after", "late"}

CASES: list[tuple[Fault, type[HelpdeskError], Phase]] = [
    (Fault("close_before"), NoReplyError, Phase.SENT),
    (Fault("reset_before"), NoReplyError, Phase.SENT),
    (Fault("reset_early"), NoReplyError, Phase.SENT),
    (Fault("close_after"), NoReplyError, Phase.SENT),
    (Fault("reset_after"), NoReplyError, Phase.SENT),
    (Fault("silence_before"), ReplyTimeoutError, Phase.SENT),
    (Fault("silence_after"), ReplyTimeoutError, Phase.SENT),
    (Fault("late", delay=60), ReplyTimeoutError, Phase.SENT),
    (Fault("half_body"), NoReplyError, Phase.RECEIVING),
    (Fault("wrong_length", delta=20), NoReplyError, Phase.RECEIVING),
    (Fault("wrong_length", delta=-20), UnreadableReplyError, Phase.RECEIVING),
    (Fault("garbage"), UnreadableReplyError, Phase.SENT),
    (Fault("bad_json"), UnreadableReplyError, Phase.RECEIVING),
    (Fault("login_html"), UnreadableReplyError, Phase.RECEIVING),
    (Fault("login_html_after"), UnreadableReplyError, Phase.RECEIVING),
    (Fault("unknown_shape"), UnreadableReplyError, Phase.RECEIVING),
    (Fault("bomb"), ReplyTooLargeError, Phase.RECEIVING),
    (Fault("redirect"), UnreadableReplyError, Phase.RECEIVING),
    (Fault("redirect", status=302), UnreadableReplyError, Phase.RECEIVING),
    (Fault("failed"), RejectedError, Phase.RECEIVING),
    (Fault("twice", lost=True), NoReplyError, Phase.SENT),
    (Fault("status", status=429, retry_after="50, 47"), RateLimitedError, Phase.RECEIVING),
    (Fault("status", status=500), ServerError, Phase.RECEIVING),
    (Fault("status", status=500, body="json", executed=True), ServerError, Phase.RECEIVING),
    (Fault("status", status=502), ServerError, Phase.RECEIVING),
    (Fault("status", status=503, retry_after="1"), ServerError, Phase.RECEIVING),
    (Fault("status", status=504, executed=True), ServerError, Phase.RECEIVING),
    (Fault("status", status=408), ReplyTimeoutError, Phase.RECEIVING),
    (Fault("status", status=403), RejectedError, Phase.RECEIVING),
    (Fault("status", status=413), RejectedError, Phase.RECEIVING),
]


def test_every_kind_of_fault_is_in_the_table() -> None:
    assert {fault.kind for fault, _, _ in CASES} | set(UNSEEN) == set(KINDS)


@pytest.mark.parametrize(("fault", "expected", "phase"), CASES, ids=lambda value: str(value))
async def test_a_write_ends_truthfully_and_is_sent_once(
    emulator: KaptureEmulator,
    client: KaptureClient,
    leap: Callable[[float], None],
    fault: Fault,
    expected: type[HelpdeskError],
    phase: Phase,
) -> None:
    patient = client.with_options(timeout=PATIENT)
    call = asyncio.ensure_future(patient.tickets.add(title="one", headers=fault.headers()))
    if fault.kind in SILENT:
        while not emulator.requests:
            await asyncio.sleep(0)
        leap(40)
    with pytest.raises(HelpdeskError) as caught:
        await call
    error = caught.value
    assert type(error) is expected or (expected is RejectedError and isinstance(error, expected))
    # What comes in one segment with the answer may spoil it before it counts as begun.
    assert error.phase is phase or (fault.answer == "broken" and error.phase is Phase.SENT)
    assert (error.service, error.operation, error.effect) == ("kapture", "tickets.add", "write")
    assert error.may_have_been_applied == isinstance(error, OutcomeUnknownError)
    assert len(error.attempts) == 1  # a wait of 50 s does not fit, and nothing else goes again
    assert sum(emulator.requests.values()) == 1
    executed = len(emulator.ledger.of("tickets.add"))
    if not isinstance(error, OutcomeUnknownError):
        assert executed == 0  # rejected and not sent never contradict the ledger
    if fault.kind == "late":
        assert executed == 0  # not yet: that is why a doubt needs time
    else:
        assert executed == (2 if fault.kind == "twice" else fault.executes)
    assert str(error).endswith(error.next_step)


async def test_slow_is_not_lost(emulator: KaptureEmulator, client: KaptureClient) -> None:
    fault = Fault("slow", duration=0.05, pieces=5)
    added = await client.tickets.add(title="one", headers=fault.headers())
    assert [entry.ticket_id for entry in emulator.ledger.of("tickets.add")] == [added.ticket_id]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("close_before"),
        Fault("reset_before"),
        Fault("reset_after"),
        Fault("half_body"),
        Fault("garbage"),
        Fault("status", status=500),
        Fault("status", status=503, retry_after="0"),
        Fault("status", status=408),
    ],
    ids=str,
)
async def test_a_read_is_asked_again(
    emulator: KaptureEmulator, client: KaptureClient, fault: Fault
) -> None:
    added = await client.tickets.add(title="one")
    emulator.faults = emulator.faults.script([fault, fault])
    ticket = await client.tickets.get(added.ticket_id)
    assert ticket.ticket_id == added.ticket_id


async def test_a_read_gives_up_after_its_attempts_and_says_it_is_harmless(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    emulator.faults = emulator.faults.script([Fault("reset_before")] * 10)
    with pytest.raises(NoReplyError) as caught:
        await client.tickets.get("713516551148")
    assert len(caught.value.attempts) == 3
    assert not caught.value.may_have_been_applied
    assert "nothing was changed. It is safe to ask again." in str(caught.value)


async def test_told_to_wait_a_write_goes_again(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    emulator.faults = emulator.faults.script([Fault("status", status=429, retry_after="0"), None])
    await client.tickets.add(title="one")
    assert len(emulator.ledger) == 1


async def test_refused_connections_are_tried_again_and_nothing_was_sent(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    emulator.stop_listening()
    with pytest.raises(ConnectError) as caught:
        await client.tickets.add(title="one")
    assert caught.value.phase is Phase.CONNECTING
    assert len(caught.value.attempts) == 3
    assert isinstance(caught.value, ConnectionError)
    emulator.listen_again()
    await client.tickets.add(title="one")
    assert len(emulator.ledger) == 1


async def test_waiting_for_a_slot_is_known_to_be_unsent(
    emulator: KaptureEmulator, leap: Callable[[float], None]
) -> None:
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, timeout=0.05, max_connections=1
    ) as client:
        patient = client.with_options(timeout=20)  # so that the slot is not free again too soon
        blocked = asyncio.ensure_future(
            patient.tickets.add(title="one", headers=Fault("silence_before").headers())
        )
        while not emulator.requests:
            await asyncio.sleep(0)
        with pytest.raises(NotSentError, match="no free connection slot within") as caught:
            await client.tickets.add(title="two")
        assert caught.value.phase is Phase.WAITING
        assert isinstance(caught.value, TimeoutError)
        leap(20)
        with pytest.raises(ReplyTimeoutError, match="no answer within") as silent:
            await blocked
        assert not isinstance(silent.value, TimeoutError)  # no retry helper may repeat it


async def test_a_dead_host_name_is_not_sent() -> None:
    once = RetryPolicy(attempts=1)
    async with KaptureClient(
        base_url="https://nothing.invalid", token="t", timeout=5.0, retry=once
    ) as client:
        with pytest.raises(ConnectError, match="Nothing was sent"):
            await client.tickets.add(title="one")
