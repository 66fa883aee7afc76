"""Get Ticket: one ticket, or many, by their ids (SERVICE.md, section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from .._api import GET_BATCH, GET_TICKET
from .._core.arguments import Payload, check_text
from .._core.errors import EndpointNotFoundError, HelpdeskError, InvalidInputError, NotFoundError
from .._core.requestor import ApiRequestor
from .._core.secret import Secret
from .._responses import is_no_row
from .._validation import merge_extra, merge_given
from .models import TicketDetail, TicketLookup


def switches_of(
    conversation_type: str | None, history_type: str | None, extra: Mapping[str, Any] | None
) -> Payload:
    """The fields of the call beside the ids.

    Raises:
        InvalidInputError: one has the wrong type, or is given twice.
    """
    check_text("conversation_type", conversation_type)
    check_text("history_type", history_type)
    switches = Payload()
    merge_given(switches, conversation_type=conversation_type, history_type=history_type)
    merge_extra(switches, extra)
    if "ticket_ids" in switches:
        raise InvalidInputError("ticket_ids is given twice: as itself and in extra")
    return switches


async def search(
    requestor: ApiRequestor, ids: list[str], switches: Payload, headers: Mapping[str, Secret]
) -> list[TicketDetail]:
    """The tickets that the service returns for some ids, in one call.

    Raises:
        UnreadableReplyError: the reply holds something else than tickets that were asked for.
        NotFoundError: the only one that was asked for is not there.
        HelpdeskError: the call failed.
    """
    body = Payload(switches, ticket_ids=",".join(ids))
    response = await requestor.call(GET_TICKET, body, headers=headers)
    if not all(isinstance(element, dict) for element in response.body):
        raise response.unreadable("the list holds something that is not a ticket")
    if any("task_details" not in element and is_no_row(element) for element in response.body):
        raise response.unreadable("the list holds an object that is not a ticket")
    tickets = [requestor.codec.decode(element, TicketDetail) for element in response.body]
    if any(ticket.ticket_id and ticket.ticket_id not in ids for ticket in tickets):
        raise response.unreadable("the answer holds a ticket that was not requested")
    if not tickets and len(ids) == 1:
        raise response.error(NotFoundError, f"the service returned no ticket for the id {ids[0]!r}")
    return tickets


async def search_many(
    requestor: ApiRequestor,
    ids: list[str],
    switches: Payload,
    headers: Mapping[str, Secret],
    concurrency: int,
) -> TicketLookup:
    """Any number of tickets; an id without an answer is asked for again by itself.

    Raises:
        HelpdeskError: no id could be asked for; the first error is raised.
    """
    slots = asyncio.Semaphore(concurrency)
    found: dict[str, TicketDetail] = {}
    failed: dict[str, HelpdeskError] = {}

    async def ask(batch: list[str]) -> None:
        alone = batch[0] if len(batch) == 1 else ""
        try:
            async with slots:
                tickets = await search(requestor, batch, switches, headers)
        except HelpdeskError as error:
            missing = isinstance(error, NotFoundError)
            if not (alone and missing) or isinstance(error, EndpointNotFoundError):
                failed.update(dict.fromkeys(batch, error))
            return
        for ticket in tickets:
            # One id, one answer: it is that ticket, even where it does not repeat its id.
            if ticket_id := ticket.ticket_id or alone:
                found[ticket_id] = ticket

    def left() -> list[str]:
        return [ticket_id for ticket_id in ids if ticket_id not in found | failed]

    await _all_or_first_error(
        ask(ids[start : start + GET_BATCH]) for start in range(0, len(ids), GET_BATCH)
    )
    if len(ids) > 1:
        await _all_or_first_error(ask([ticket_id]) for ticket_id in left())
    if ids and len(failed) == len(ids):
        raise failed[ids[0]]
    return TicketLookup(
        found={ticket_id: found[ticket_id] for ticket_id in ids if ticket_id in found},
        missing=tuple(left()),
        failed={
            ticket_id: failed[ticket_id]
            for ticket_id in ids
            if ticket_id in failed and ticket_id not in found
        },
    )


async def _all_or_first_error(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all; on the first error cancel and await the rest, so that none is left behind."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
