"""Find a ticket that was just created: the service does not return its id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kapture_async._core.errors import HelpdeskError, OutcomeUnknownError

from .._api import SERVICE
from .models import CreatedTicket, NewTicket, TicketRow

Look = Callable[[int], Awaitable[list[TicketRow]]]
"""Gives the tickets of the history from an offset on, newest first."""

_PAGES = 4
"""Pages that are searched: others may have been created meanwhile."""


async def find_created(
    ticket: NewTicket, create: Callable[[], Awaitable[None]], look: Look
) -> CreatedTicket:
    """Create a ticket, and search for it.

    Args:
        ticket: what is created.
        create: creates it.
        look: reads the history.

    Returns:
        What was found.

    Raises:
        HelpdeskError: from the search before, or because it was not created.
    """
    try:
        known = {row.ticket_id for row in await look(0)}
    except HelpdeskError as error:
        error.add_note("while reading the history before the create; nothing was created")
        raise
    doubt: OutcomeUnknownError | None = None
    try:
        await create()
    except OutcomeUnknownError as error:
        doubt = error
    candidates: list[str] = []
    problem: HelpdeskError | None = None
    try:
        candidates = await _new_ones(ticket, known, look)
    except HelpdeskError as error:
        problem = error
    except asyncio.CancelledError as error:
        # The search was a read; what matters to the caller is the outcome of the create.
        left = doubt or _created_unfound()
        error.helpdesk_error = left  # type: ignore[attr-defined]
        error.add_note(str(left))
        raise
    return CreatedTicket(
        ticket_id=candidates[0] if len(candidates) == 1 else None,
        candidates=tuple(candidates),
        doubt=doubt,
        lookup_error=problem,
    )


async def _new_ones(ticket: NewTicket, known: set[str], look: Look) -> list[str]:
    """The ids of the tickets that look like it and were not there before."""
    # Ids grow, as far as is known. An equal ticket with a lower one is an old one that the first
    # search did not show.
    highest = max((_number(row_id) for row_id in known), default=-1)
    found: dict[str, None] = {}
    offset = 0
    for _ in range(_PAGES):
        rows = await look(offset)
        offset += len(rows)
        for row in rows:
            row_id = row.ticket_id
            if _number(row_id) > highest and _alike(row, ticket):
                found[row_id] = None
        # A known ticket ends the search: the new ones come first. Without this, a list
        # in another order would be read to its end.
        if not rows or any(row.ticket_id in known for row in rows):
            break
    return list(found)


def _number(row_id: str) -> int:
    """An id as a number that grows; anything else counts as lower than any id."""
    return int(row_id) if row_id.isdecimal() and len(row_id) <= 100 else -1


def _created_unfound() -> OutcomeUnknownError:
    return OutcomeUnknownError(
        "the ticket was created, but the search for its id was interrupted",
        service=SERVICE,
        operation="tickets.create",
        effect="write",
        next_step="Do not create it again; tickets.history() shows it.",
    )


def _alike(row: TicketRow, ticket: NewTicket) -> bool:
    return (
        row.category == ticket.category
        and row.priority == ticket.priority
        and _plain(row.subject) == _plain(ticket.subject)
        and _plain(row.comment) == _plain(ticket.comment)
    )


def _plain(text: str | None) -> str:
    # Outer blanks and the kind of line ends may change on the way.
    return " ".join((text or "").split())
