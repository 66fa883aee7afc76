"""The emulator's ticket endpoints (sections 1 to 4)."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from .._core.testing.lists import Lists
from .asking import Desk, Failed, single, whole_number
from .store import TicketStore
from .tickets import (
    UPDATE_FIELDS,
    EmulatedTicket,
    Json,
    add_reply,
    associates_of,
    escape,
    get_element,
    long_time,
    pull_row,
    short_time,
    text_of,
    update_reply,
)

ADD = "tickets.add"
UPDATE = "tickets.update"
GET = "tickets.get"
PULL = "tickets.pull"

_CALLBACK = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")


class TicketRoom:
    """What the ticket endpoints do with the tickets of a store."""

    def __init__(
        self,
        desk: Desk,
        store: TicketStore,
        url: Callable[[], str],
        *,
        single_row_as_object: bool,
        counts: bool,
        sub_status_required: bool = True,
        lists: Lists | None = None,
    ) -> None:
        self.lists = lists
        self._desk = desk
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
        now = self._desk.now()
        ticket_id = self._store.new_ticket_id(now)
        self._desk.ledger.record(ADD, ticket_id, payload, time_=now)
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
        now = self._desk.now()
        self._desk.ledger.record(UPDATE, ticket.ticket_id, payload, time_=now)
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
        now = self._desk.now()
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
        now = self._desk.now()
        counts, total = self._counts and first == last, len(matches)
        if lists is not None:
            matches = lists.shown(matches, lambda ticket: ticket.created, now)
            counts, total = counts if lists.counted is None else lists.counted, len(matches)
            matches = lists.kept(matches)
        offset = whole_number(payload.get("offset")) or 0
        limit = self._desk.limit(payload)
        if lists is not None and lists.cap is not None:
            limit = lists.cap if limit is None else min(limit, lists.cap)
        chosen = itertools.islice(matches, offset, None if limit is None else offset + limit)
        rows = [self._row(ticket, now, lists) for ticket in chosen]
        message: Any = rows
        outcome = "success"
        if not rows:
            # A text in place of the list is how clients read "nothing found" (section 4).
            message, outcome = "No Data found", self._desk.empty_pull_status
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
        return self._desk.days(*texts)


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
