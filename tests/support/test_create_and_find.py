"""Finding a ticket that was just created: its id, both candidates, or the honest doubt."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from support_async import (
    CreatedTicket,
    NewTicket,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    ServerError,
    SupportClient,
    TicketRow,
    ValidationError,
    interrupted_by,
)
from support_async.testing import FaultPlan, SupportEmulator
from support_async.tickets.create_and_find import find_created

from .made import OTHER, TICKET, client_of, sent


def before_answering_creates(emulator: SupportEmulator, act: Callable[[], Any]) -> None:
    """Let ``act`` happen while a create is under way, after it took effect."""
    record = emulator.ledger.record

    def recorded(operation: str, *args: Any, **more: Any) -> Any:
        entry = record(operation, *args, **more)
        if operation == "tickets.create":
            asyncio.get_running_loop().call_soon(act)
        return entry

    emulator.ledger.record = recorded  # type: ignore[method-assign]
    emulator.latency = 0.01


async def test_the_id_of_a_new_ticket(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    for _ in range(3):
        support_emulator.seed(**TICKET)  # equal ones, but they were there before
    found = await client.tickets.create_and_find(**TICKET)
    [entry] = support_emulator.ledger
    assert found == CreatedTicket(ticket_id=entry.ticket_id, candidates=(entry.ticket_id,))
    assert (found.doubt, found.lookup_error) == (None, None)
    assert sent(support_emulator) == 3
    again = await client.tickets.create_and_find(NewTicket(**TICKET))
    assert again.ticket_id == support_emulator.ledger.entries[-1].ticket_id != found.ticket_id


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "  blanks outside \n", "comment": "a\r\nb \u2003 c"},
        {"subject": "Ünïcode \U0001f600", "comment": "x" * 10_000},
        {"category": "004", "priority": " 2 "},
    ],
    ids=["blanks", "unicode", "codes"],
)
async def test_what_the_service_makes_of_texts_is_recognized(
    support_emulator: SupportEmulator, client: SupportClient, fields: dict[str, str]
) -> None:
    found = await client.tickets.create_and_find(**(TICKET | fields))
    assert found.ticket_id == support_emulator.ledger.entries[-1].ticket_id


async def test_the_very_first_ticket_of_a_user(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    found = await client.tickets.create_and_find(**TICKET)
    assert found.ticket_id == "101"


@pytest.mark.parametrize(
    "change",
    [{"subject": "other"}, {"comment": "other"}, {"priority": "3"}, {"category": 4}],
    ids=lambda change: ",".join(change),
)
async def test_a_ticket_that_differs_is_no_candidate(
    support_emulator: SupportEmulator, client: SupportClient, change: dict[str, Any]
) -> None:
    before_answering_creates(support_emulator, lambda: support_emulator.seed(**(TICKET | change)))
    found = await client.tickets.create_and_find(**TICKET)
    assert found.ticket_id == support_emulator.ledger.entries[0].ticket_id
    assert len(found.candidates) == 1


async def test_an_equal_ticket_in_between_leaves_both_as_candidates(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    before_answering_creates(support_emulator, lambda: support_emulator.seed(**TICKET))
    found = await client.tickets.create_and_find(**TICKET)
    [entry] = support_emulator.ledger
    assert found.ticket_id is None
    assert found.candidates == (str(int(entry.ticket_id) + 1), entry.ticket_id)  # newest first
    assert (found.doubt, found.lookup_error) == (None, None)


async def test_equal_tickets_of_others_do_not_matter(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    before_answering_creates(
        support_emulator, lambda: support_emulator.seed(**TICKET, author=OTHER)
    )
    found = await client.tickets.create_and_find(**TICKET)
    assert found.ticket_id == support_emulator.ledger.entries[0].ticket_id


async def test_many_others_in_between_are_looked_past(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    support_emulator.seed()

    def flood() -> None:
        for number in range(120):
            support_emulator.seed(subject=f"other {number}")

    before_answering_creates(support_emulator, flood)
    found = await client.tickets.create_and_find(**TICKET)
    assert found.ticket_id == support_emulator.ledger.entries[0].ticket_id


@pytest.mark.parametrize("fault", ["reset_after", "half_body", "status;status=502;executed=true"])
async def test_a_create_in_doubt_that_took_effect_is_found_and_stays_a_doubt(
    support_emulator: SupportEmulator, client: SupportClient, fault: str
) -> None:
    support_emulator.faults = FaultPlan.script([fault], only="tickets.create")
    found = await client.tickets.create_and_find(**TICKET)
    [entry] = support_emulator.ledger
    assert found.ticket_id == entry.ticket_id
    assert isinstance(found.doubt, OutcomeUnknownError)
    assert found.doubt.operation == "tickets.create"
    assert found.lookup_error is None


@pytest.mark.parametrize("fault", ["reset_before", "status;status=500"])
async def test_a_create_in_doubt_without_effect_is_no_proof(
    support_emulator: SupportEmulator, client: SupportClient, fault: str
) -> None:
    support_emulator.seed(**TICKET)
    support_emulator.faults = FaultPlan.script([fault], only="tickets.create")
    found = await client.tickets.create_and_find(**TICKET)
    assert not support_emulator.ledger
    assert (found.ticket_id, found.candidates) == (None, ())
    assert isinstance(found.doubt, OutcomeUnknownError)
    assert found.doubt.may_have_been_applied


async def test_a_look_up_that_fails_does_not_hide_a_good_create(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    support_emulator.faults = FaultPlan.script([None] + ["status"] * 3, only="tickets.history")
    found = await client.tickets.create_and_find(**TICKET)
    assert len(support_emulator.ledger) == 1
    assert (found.ticket_id, found.candidates, found.doubt) == (None, (), None)
    assert isinstance(found.lookup_error, ServerError)
    assert len(found.lookup_error.attempts) == 3


async def test_both_in_doubt(support_emulator: SupportEmulator, client: SupportClient) -> None:
    support_emulator.faults = FaultPlan.script(
        [None, "reset_after", "status;status=403"]  # a look, the create, the other look
    )
    found = await client.tickets.create_and_find(**TICKET)
    assert isinstance(found.doubt, NoReplyError)
    assert found.lookup_error is not None
    assert found.ticket_id is None


async def test_a_look_before_that_fails_creates_nothing(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    support_emulator.faults = FaultPlan.script(["status"] * 3, only="tickets.history")
    with pytest.raises(ServerError) as caught:
        await client.tickets.create_and_find(**TICKET)
    assert caught.value.__notes__ == [
        "while reading the history before the create; nothing was created"
    ]
    assert not support_emulator.ledger


async def test_a_refused_create_is_not_looked_for(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    with pytest.raises(ValidationError):
        await client.tickets.create_and_find(**(TICKET | {"priority": 9}))
    assert sent(support_emulator) == 2
    support_emulator.faults = FaultPlan.script([None], only="tickets.history")
    with pytest.raises(NotSentError):
        await client.tickets.create_and_find(**TICKET, attachment="/nowhere/at all")
    assert not support_emulator.ledger


async def interrupted(emulator: SupportEmulator, requests: int) -> asyncio.CancelledError:
    """Cancel a create_and_find when so many requests have arrived."""
    async with client_of(emulator) as client:
        call = asyncio.ensure_future(client.tickets.create_and_find(**TICKET))
        while sent(emulator) < requests:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    return caught.value


async def test_a_cancellation_during_the_look_up_tells_of_the_create(
    support_emulator: SupportEmulator,
) -> None:
    support_emulator.faults = FaultPlan.script([None, "silence_after"], only="tickets.history")
    error = await interrupted(support_emulator, 3)
    assert len(support_emulator.ledger) == 1
    # The interrupted look is a read, and "nothing was changed" would be true of it alone.
    left = interrupted_by(error)
    assert left is not None
    assert (left.operation, left.may_have_been_applied) == ("tickets.create", True)
    assert "the ticket was created" in str(left)
    assert str(left) in error.__notes__
    assert "Do not create it again" in left.next_step


async def test_a_cancellation_during_the_look_up_tells_of_a_doubt(
    support_emulator: SupportEmulator,
) -> None:
    support_emulator.faults = FaultPlan.script([None, "reset_after", "silence_after"])
    error = await interrupted(support_emulator, 3)
    left = interrupted_by(error)
    assert isinstance(left, NoReplyError)
    assert left.operation == "tickets.create"
    assert left.may_have_been_applied
    assert str(left) in error.__notes__[-1]


async def test_a_cancellation_during_the_create_is_a_doubt_about_it(
    support_emulator: SupportEmulator,
) -> None:
    support_emulator.faults = FaultPlan.script([None, "silence_after"])
    error = await interrupted(support_emulator, 2)
    left = interrupted_by(error)
    assert left is not None
    assert (left.operation, left.may_have_been_applied) == ("tickets.create", True)


async def test_a_cancellation_before_the_create_changed_nothing(
    support_emulator: SupportEmulator,
) -> None:
    support_emulator.faults = FaultPlan.script(["silence_before"])
    left = interrupted_by(await interrupted(support_emulator, 1))
    assert left is not None
    assert (left.operation, left.may_have_been_applied) == ("tickets.history", False)
    assert not support_emulator.ledger


async def test_a_time_limit_around_it_finds_the_doubt(
    support_emulator: SupportEmulator, leap: Callable[[float], None]
) -> None:
    support_emulator.faults = FaultPlan.script([None, "reset_after", "silence_after"])

    async def leap_at_the_last() -> None:
        while sent(support_emulator) < 3:
            await asyncio.sleep(0)
        leap(20)

    async with client_of(support_emulator, timeout=None) as client:
        leaping = asyncio.ensure_future(leap_at_the_last())
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(20):
                await client.tickets.create_and_find(**TICKET)
        await leaping
    left = interrupted_by(caught.value)
    assert isinstance(left, OutcomeUnknownError)
    assert left.operation == "tickets.create"


# Histories that no well-behaved service gives.


def row(number: int | str, **fields: Any) -> TicketRow:
    from kapture_async._core.codec import Codec

    answer = {"id": number, **TICKET, "priority": str(TICKET["priority"]), **fields}
    return Codec().decode(answer, TicketRow)


async def looked(*histories: list[TicketRow]) -> tuple[CreatedTicket, list[int]]:
    """What is found in these answers to the looks, and from where they were asked."""
    answers = iter(histories)
    offsets: list[int] = []

    async def look(offset: int) -> list[TicketRow]:
        offsets.append(offset)
        return next(answers)

    async def create() -> None:
        return None

    return await find_created(NewTicket(**TICKET), create, look), offsets


async def test_oldest_first_finds_no_wrong_one() -> None:
    old = [row(n) for n in range(1, 51)]
    found, offsets = await looked(old, [row(n) for n in range(1, 51)])
    assert (found.ticket_id, found.candidates) == (None, ())
    assert offsets == [0, 0]


async def test_an_old_equal_ticket_that_moved_up_is_not_taken_for_the_new_one() -> None:
    # The first look saw only the newest; one of those is gone since, and an older one shows.
    found, _ = await looked([row(9), row(8)], [row(10), row(9), row(3)])
    assert found.ticket_id == "10"


async def test_the_search_ends_even_in_a_flood() -> None:
    flood = [
        [row(n, subject="other") for n in range(top, top - 50, -1)] for top in (900, 850, 800, 750)
    ]
    found, offsets = await looked([row(5)], *flood)
    assert found.candidates == ()
    assert offsets == [0, 0, 50, 100, 150]


async def test_the_same_row_on_two_pages_is_one_candidate() -> None:
    found, _ = await looked([row(5)], [row(7), row(6, subject="other")], [row(7), row(5)])
    assert (found.ticket_id, found.candidates) == ("7", ("7",))


async def test_ids_that_are_no_numbers_are_not_compared() -> None:
    found, _ = await looked([row("a-1")], [row("a-2"), row("a-1")])
    assert (found.ticket_id, found.candidates) == (None, ())


async def test_ids_of_thousands_of_digits_are_not_compared() -> None:
    found, _ = await looked([row("9" * 5000)], [row("9" * 5001), row("9" * 5000)])
    assert (found.ticket_id, found.candidates) == (None, ())


def test_the_result_pickles_with_its_doubt() -> None:
    error = NoReplyError("lost", service="support", operation="tickets.create", effect="write")
    result = CreatedTicket(ticket_id=None, candidates=("1", "2"), doubt=error)
    again = pickle.loads(pickle.dumps(result))
    assert (again.candidates, str(again.doubt)) == (("1", "2"), str(error))
