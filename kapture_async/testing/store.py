"""The emulator's tickets: their ids, their days, and what add and update do to them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from .tickets import (
    ADD_FIELDS,
    COMPLETE_SUB_STATUSES,
    INDIA,
    STATUS_LABELS,
    UPDATE_FIELDS,
    EmulatedTicket,
    associates_of,
    due_text,
    text_of,
)

_FIRST_ID = 530348198  # the internal id of the samples
_DENSE_RUN = 3_600_000


class TicketStore:
    """All tickets by id, and by the India day of their creation, which is what pulls ask for."""

    def __init__(self) -> None:
        self.tickets: dict[str, EmulatedTicket] = {}
        self._days: dict[dt.date, list[EmulatedTicket]] = {}
        self._ids = itertools.count(_FIRST_ID)
        self._last = 0

    def new_ticket_id(self, created: float) -> str:
        """Return an id as the samples have it, never used before.

        It is the creation time in epoch milliseconds without its leading 1 (section 1). Where one
        millisecond sees several tickets, ids run ahead of the clock.
        """
        number = int(created * 1000) % 10**12
        if number <= self._last < number + _DENSE_RUN:
            number = self._last + 1
        while f"{number:012}" in self.tickets:
            number += 1
        self._last = number
        return f"{number:012}"

    def add(self, payload: Mapping[str, Any], ticket_id: str, created: float) -> EmulatedTicket:
        """Keep a new ticket made from an add-ticket request."""
        customer = text_of(payload.get("customer_id"))
        ticket = EmulatedTicket(
            id=next(self._ids),
            ticket_id=ticket_id,
            created=created,
            title=text_of(payload.get("title")),
            detail=text_of(payload.get("ticket_details")),
            due=due_text(text_of(payload.get("due_date")), created),
            email=text_of(payload.get("email_id")),
            phone=text_of(payload.get("phone")),
            # The caller's own, textual user id is no id of Kapture's (section 1).
            customer_id=int(customer) if customer.isdecimal() else 0,
            customer_name=text_of(payload.get("customer_name")),
            customer_code=text_of(payload.get("customer_code")),
            queue=text_of(payload.get("queue")),
            disposition=text_of(payload.get("disposition")) or "Inbox",
            associates=associates_of(payload, ADD_FIELDS),
        )
        self.tickets[ticket_id] = ticket
        day = dt.datetime.fromtimestamp(created, INDIA).date()
        self._days.setdefault(day, []).append(ticket)
        return ticket

    def remove(self, ticket: EmulatedTicket) -> None:
        """Forget a ticket."""
        del self.tickets[ticket.ticket_id]
        self._days[dt.datetime.fromtimestamp(ticket.created, INDIA).date()].remove(ticket)

    def update(self, ticket: EmulatedTicket, payload: Mapping[str, Any], now: float) -> None:
        """Change a ticket as an update-ticket request says; what is empty changes nothing."""
        ticket.updated = now
        ticket.shown = None
        if sub_status := text_of(payload.get("sub_status")):
            ticket.sub_status = sub_status
            ticket.status = "C" if sub_status in COMPLETE_SUB_STATUSES else "P"
        if status := text_of(payload.get("status")):
            # Sent as a label beside sub_status by some (section 2); a code, or unknown, is kept.
            codes = {label: code for code, label in STATUS_LABELS.items()}
            ticket.status = codes.get(status, status)
        ticket.completed = now if ticket.status == "C" else None
        if comment := text_of(payload.get("comment")):
            ticket.notes.append(comment)
        ticket.callback = text_of(payload.get("callback_time")) or ticket.callback
        ticket.queue = text_of(payload.get("queue")) or ticket.queue
        ticket.disposition = text_of(payload.get("disposition")) or ticket.disposition
        ticket.associates.update(associates_of(payload, UPDATE_FIELDS))

    def created_between(self, first: dt.date, last: dt.date) -> Iterator[EmulatedTicket]:
        """Yield the tickets of the India days from first to last, both included, as they came."""
        for day in sorted(day for day in self._days if first <= day <= last):
            yield from self._days[day]
