"""The ticket endpoints (sections 1 to 4), the tickets behind them, and what agents do to those."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import orjson

from .._core.testing.lists import Lists
from .endpoint import EndpointContext, Failed, single, whole_number
from .tickets import (
    ADD_FIELDS,
    COMPLETE_SUB_STATUSES,
    INDIA,
    STATUS_LABELS,
    UPDATE_FIELDS,
    EmulatedTicket,
    Json,
    add_reply,
    associates_of,
    due_text,
    escape,
    get_element,
    long_time,
    pull_row,
    short_time,
    text_of,
    update_reply,
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


ADD = "tickets.add"
UPDATE = "tickets.update"
GET = "tickets.get"
PULL = "tickets.pull"

_CALLBACK = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")


class TicketEndpoints:
    """What the ticket endpoints do with the tickets of a store."""

    def __init__(
        self,
        context: EndpointContext,
        store: TicketStore,
        url: Callable[[], str],
        *,
        single_row_as_object: bool,
        counts: bool,
        sub_status_required: bool = True,
        lists: Lists | None = None,
    ) -> None:
        self.lists = lists
        self._context = context
        self._store = store
        self._url = url
        self._single_row_as_object = single_row_as_object
        self._counts = counts
        self._sub_status_required = sub_status_required

    def add(self, body: Any) -> Json:
        """Add a ticket (section 1)."""
        payload = single(body)
        if not text_of(payload.get("title")):
            raise Failed("title is missing")
        now = self._context.now()
        ticket_id = self._store.new_ticket_id(now)
        self._context.ledger.record(ADD, ticket_id, payload, time_=now)
        return add_reply(self._store.add(payload, ticket_id, now), self._url())

    def update(self, body: Any) -> Json:
        """Change a ticket (section 2)."""
        payload = single(body)
        ticket = self._store.tickets.get(text_of(payload.get("ticket_id")))
        if ticket is None:
            raise Failed("No Data found/ticket_id is missing")
        if not text_of(payload.get("sub_status")) and self._sub_status_required:
            raise Failed("sub_status is missing")
        callback = text_of(payload.get("callback_time"))
        if callback and not _is_callback_time(callback):
            # The message names a field that the request does not have (section 2).
            raise Failed("Invalid Format.callback_date should be yyyy-MM-dd hh:mm:ss.")
        now = self._context.now()
        self._context.ledger.record(UPDATE, ticket.ticket_id, payload, time_=now)
        self._store.update(ticket, payload, now)
        return update_reply(ticket, associates_of(payload, UPDATE_FIELDS))

    def get(self, body: Any) -> list[Json]:
        """Show tickets by their ids (section 3)."""
        if not isinstance(body, dict):
            raise Failed("Invalid Json.")
        asked = text_of(body.get("ticket_ids"))
        numbers = dict.fromkeys(part.strip() for part in asked.split(",") if part.strip())
        if not numbers:
            raise Failed("ticket_ids are missing.")
        conversations = text_of(body.get("conversation_type"))
        found = (self._store.tickets.get(number) for number in numbers)
        now = self._context.now()
        return [
            get_element(ticket, self._url(), now, conversations)
            for ticket in found
            if ticket is not None
        ]

    def pull(self, body: Any) -> Json:
        """List the tickets of some days (section 4)."""
        payload = single(body)
        first, last = self._days_asked(payload)
        lists = self.lists if self.lists is not None and self.lists.strike() else None
        status = text_of(payload.get("status"))
        customer = text_of(payload.get("customer_code"))
        matches = [
            ticket
            for ticket in self._created_between(first, last, lists)
            if (not status or ticket.status == status)
            and (not customer or ticket.customer_code == customer)
        ]
        now = self._context.now()
        counts, total = self._counts and first == last, len(matches)
        if lists is not None:
            matches = lists.shown(matches, lambda ticket: ticket.created, now)
            counts, total = counts if lists.counted is None else lists.counted, len(matches)
            matches = lists.kept(matches)
        offset = whole_number(payload.get("offset")) or 0
        limit = self._context.limit(payload)
        if lists is not None and lists.cap is not None:
            limit = lists.cap if limit is None else min(limit, lists.cap)
        chosen = itertools.islice(matches, offset, None if limit is None else offset + limit)
        rows = [self._row(ticket, now, lists) for ticket in chosen]
        message: Any = rows
        outcome = "success"
        if not rows:
            # A text in place of the list is how clients read "nothing found" (section 4).
            message, outcome = "No Data found", self._context.empty_pull_status
        elif self._single_row_as_object and len(rows) == 1:
            message = rows[0]
        return {
            "totalCount": total if rows and counts else None,
            "message": message,
            "status": outcome,
        }

    def _created_between(
        self, first: dt.date, last: dt.date, lists: Lists | None
    ) -> Iterator[EmulatedTicket]:
        """The tickets of some days, in the zone of the lists."""
        if lists is None or lists.zone is None:
            return self._store.created_between(first, last)
        zone, day = dt.timezone(dt.timedelta(hours=lists.zone)), dt.timedelta(days=1)
        near = (max(first, dt.date.min + day) - day, min(last, dt.date.max - day) + day)
        return (
            ticket
            for ticket in self._store.created_between(*near)
            if first <= dt.datetime.fromtimestamp(ticket.created, zone).date() <= last
        )

    def _row(
        self, ticket: EmulatedTicket, now: float, lists: Lists | None
    ) -> orjson.Fragment | Json:
        """A ticket's row as it is sent, made anew only when something in it changed."""
        url = self._url()
        if lists is not None and (lists.rewrites or lists.zone is not None):
            return _rewritten(pull_row(ticket, url, now), ticket, lists)
        state = (url, ticket.due < long_time(now))
        if ticket.shown is None or ticket.shown[0] != state:
            encoded = orjson.dumps(pull_row(ticket, url, now))
            ticket.shown = (state, bytes(memoryview(encoded)))
        return orjson.Fragment(ticket.shown[1])

    def _days_asked(self, payload: Mapping[str, Any]) -> tuple[dt.date, dt.date]:
        texts = text_of(payload.get("start_date")), text_of(payload.get("end_date"))
        if not any(texts) and payload.keys() & {"customer_code", "status", "offset", "limit"}:
            # A customer's tickets may be listed without dates (section 4).
            return dt.date.min, dt.date.max
        if not all(texts):
            # The words of the older page (section 4); the newer one documents none of its own.
            raise Failed("either start_date is null or blank")
        return self._context.days(*texts)


def _rewritten(row: Json, ticket: EmulatedTicket, lists: Lists) -> Json:
    """A row of a list that shows texts and times in its own way."""
    row["taskTitle"] = escape(lists.title(ticket.title))
    row["detail"] = escape(lists.text(ticket.detail))
    if lists.zone is not None:
        zone = dt.timezone(dt.timedelta(hours=lists.zone))
        row["date"] = short_time(ticket.created, zone)
    return row


def _is_callback_time(text: str) -> bool:
    if not _CALLBACK.fullmatch(text):
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


Act: TypeAlias = Literal["edit", "retitle", "merge", "absorb", "delete"]
ACTS: Sequence[Act] = get_args(Act)


class Agents:
    """Changes tickets of a store behind the API's back."""

    def __init__(self, store: TicketStore) -> None:
        self._store = store

    def edit(self, ticket_id: str, *, title: str | None = None, text: str | None = None) -> None:
        """Write another title, another text, or both."""
        ticket = self._ticket(ticket_id)
        ticket.title = ticket.title if title is None else title
        ticket.detail = ticket.detail if text is None else text
        ticket.shown = None

    def merge(self, ticket_id: str, into: str, *, absorb: bool = False) -> None:
        """Merge a ticket into another.

        It stays in the lists and names the other in ``mergedTicketId``; with ``absorb`` it is
        gone, and its text stands at the end of the other's.
        """
        ticket, other = self._ticket(ticket_id), self._ticket(into)
        if ticket is other:
            raise ValueError("a ticket cannot be merged into itself")
        if absorb:
            self.edit(into, text=f"{other.detail}\n\n{ticket.detail}")
            self._store.remove(ticket)
            return
        ticket.merged_into, ticket.shown = into, None

    def delete(self, ticket_id: str) -> None:
        """Let a ticket be gone without a trace."""
        self._store.remove(self._ticket(ticket_id))

    def work(self, share: float, *, seed: int, acts: Sequence[Act]) -> dict[str, Act]:
        """Do one of these acts to a share of the tickets; what was done, by their ids.

        Depends on nothing but the seed and the order in which the tickets were made.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"the share of tickets lies between 0 and 1, not at {share}")
        if not acts or set(acts) - set(ACTS):
            raise ValueError(f"acts are some of {', '.join(ACTS)}, not {list(acts)}")
        dice = random.Random(seed)
        ids = list(self._store.tickets)
        touched = {one for one in ids if dice.random() < share}
        others = [one for one in ids if one not in touched]
        done: dict[str, Act] = {}
        for ticket_id in (one for one in ids if one in touched):
            act = dice.choice(acts)
            if act == "edit":
                self.edit(ticket_id, text="Rewritten by an agent.")
            elif act == "retitle":
                self.edit(ticket_id, title="Retitled by an agent")
            elif act == "delete":
                self.delete(ticket_id)
            elif others:
                self.merge(ticket_id, dice.choice(others), absorb=act == "absorb")
            else:
                continue
            done[ticket_id] = act
        return done

    def _ticket(self, ticket_id: str) -> EmulatedTicket:
        found = self._store.tickets.get(ticket_id)
        if found is None:
            raise ValueError(f"there is no ticket {ticket_id}")
        return found
