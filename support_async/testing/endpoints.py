"""The endpoints: what each checks, what it writes into the ledger, what it answers.

Refusals in the service's own words are quoted from SERVICE.md, sections 3.2 to 3.9. Their shape is
not told there: it is a list of one text, and a plain text in the history.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import orjson

from kapture_async._core.testing.forms import Form, FormFile, FormValue, read_urlencoded
from kapture_async._core.testing.http import EmulatorReply, EmulatorRequest
from kapture_async._core.testing.ledger import Ledger
from kapture_async._core.testing.lists import Lists

from .rest import (
    NOTHING,
    ApiError,
    FieldError,
    Fields,
    Unhandled,
    as_id,
    file_reply,
    read_form,
    shown,
    success,
)
from .routes import (
    CREATE,
    GET,
    HISTORY,
    LIST_CATEGORIES,
    LIST_TAGS,
    LOGIN,
    REPLY,
    SET_STATUS,
    UPDATE,
)
from .store import (
    CATEGORIES,
    CLOSED,
    OPEN,
    PRIORITIES,
    PROCESSING,
    TAGS,
    EmulatedTicket,
    TicketStore,
    apply,
    category_list,
    detailed_view,
    history_row,
    payload_of,
    tag_list,
)
from .tokens import Tokens, unauthorized

TicketIdFrom: TypeAlias = Literal["either", "body", "query"]
Download: TypeAlias = EmulatorReply | Callable[[EmulatorRequest], EmulatorReply]

_MAX_SUBJECT = 500
_PAGE = 50
_ID_REQUIRED = "Ticket id is required and this may not be blank."
_ID_INVALID = "Ticket id is not valid"
_NOT_OWNER = "You are not the owner of the requested ticket"
_ALREADY = {
    (OPEN, PROCESSING): "Ticket is already open",
    (PROCESSING, PROCESSING): "Ticket is already processing",
    (CLOSED, CLOSED): "Ticket is already closed",
}
"""Refusals by the present status and the one asked for (section 4.2)."""


class Endpoints:
    """The service behind the framework: whoever calls has been let in already."""

    def __init__(
        self,
        *,
        store: TicketStore,
        ledger: Ledger,
        tokens: Tokens,
        passwords: Mapping[str, str],
        now: Callable[[], float],
        open_ticket_limit: int | None,
        max_file: int,
        ticket_id_from: TicketIdFrom,
        lists: Lists | None,
    ) -> None:
        self.lists = lists
        self._store = store
        self._ledger = ledger
        self._tokens = tokens
        self._passwords = passwords
        self._now = now
        self._max_file = max_file
        self._ticket_id_from = ticket_id_from
        self.open_ticket_limit = open_ticket_limit
        self.downloads: dict[str, Download] = {}
        self.logins: int = 0
        self.handlers: Mapping[str, Callable[[EmulatorRequest, str], bytes]] = {
            LIST_CATEGORIES: lambda request, user: success(category_list()),
            LIST_TAGS: lambda request, user: success(tag_list()),
            CREATE: self._create,
            HISTORY: self._history,
            GET: self._get,
            UPDATE: self._update,
            REPLY: self._reply,
            SET_STATUS: self._set_status,
            LOGIN: self._login,
        }

    def download(self, request: EmulatorRequest, user: str, number: str) -> EmulatorReply:
        """Send a file to the owner of its ticket (section 3.7)."""
        planted = self.downloads.get(number)
        if planted is not None:
            return planted(request) if callable(planted) else planted
        found = self._store.attachments.get(int(number))
        if found is not None and found.content is not None:
            ticket = self._store.tickets[found.ticket_id]
            if ticket.author == user:
                return file_reply(found.name, found.content)
        raise ApiError(404, {"detail": "No TicketAttachment matches the given query."})

    def _create(self, request: EmulatorRequest, user: str) -> bytes:
        form = read_form(request)
        fields = Fields(form)
        fields.text("subject", max_length=_MAX_SUBJECT)
        fields.choice("priority", PRIORITIES)
        fields.text("comment")
        fields.related("category", CATEGORIES)
        file = fields.file("attachment", self._max_file)
        fields.finish()
        limit = self.open_ticket_limit
        if limit is not None and self._store.open_tickets(user) >= limit:
            # A 401 without a challenge: the other meaning of it (section 6.4).
            raise ApiError(401, {"detail": "Currenly Open Ticket Limit Exceed."})
        return self._executed(CREATE, self._store.next_id, form, user, file)

    def _update(self, request: EmulatorRequest, user: str) -> bytes:
        form = read_form(request)
        ticket = self._own_ticket(form.last("ticket_id"), user)
        fields = Fields(form)
        fields.choice("priority", PRIORITIES, required=False)
        fields.many_related("tags", TAGS)
        fields.finish()
        return self._executed(UPDATE, ticket.id, form, user)

    def _reply(self, request: EmulatorRequest, user: str) -> bytes:
        def check_owner(ticket: EmulatedTicket) -> None:
            if ticket.author != user:
                raise FieldError(f"{_NOT_OWNER}.")

        form = read_form(request)
        fields = Fields(form)
        ticket = fields.related("ticket", self._store.tickets, check_owner)
        fields.text("comment")
        file = fields.file("attachment", self._max_file)
        fields.finish()
        assert ticket is not None  # else finish() would have refused
        return self._executed(REPLY, ticket.id, form, user, file)

    def _set_status(self, request: EmulatorRequest, user: str) -> bytes:
        form = read_form(request)
        errors: dict[str, list[str]] = {}
        try:
            ticket = self._ticket(form.last("ticket"))
            if ticket.author != user:
                raise FieldError("You Can't open or close this Ticket")
        except FieldError as error:
            errors["ticket"] = error.texts
            ticket = None
        status = shown(form.last("status") or "")
        if not status.strip():
            errors["status"] = ["Status id is required and this may not be blank."]
        elif status not in (PROCESSING, CLOSED):
            errors["status"] = [f'"{status}" is not a valid choice.']
        if errors or ticket is None:
            raise ApiError(400, errors)
        if conflict := _ALREADY.get((ticket.status, status)):
            raise ApiError(400, {"ticket": [conflict]})
        return self._executed(SET_STATUS, ticket.id, form, user)

    def _get(self, request: EmulatorRequest, user: str) -> bytes:
        asked: FormValue | None = None
        if self._ticket_id_from != "query":
            asked = read_form(request).last("ticket_id")
        if self._ticket_id_from != "body" and not asked:
            asked = read_urlencoded(request.query.encode()).last("ticket_id")
        return success(detailed_view(self._own_ticket(asked, user)))

    def _history(self, request: EmulatorRequest, user: str) -> bytes:
        query = read_urlencoded(request.query.encode())
        asked = {name: query.texts[name][-1] for name in query.texts}
        category, status = asked.get("category", ""), asked.get("status", "")
        subject = asked.get("subject", "").lower()
        errors = {
            name: text
            for name, value, text in (
                ("category", category, "Catogory id is not valid numeric"),
                ("status", status, "Status id is not valid numeric"),
            )
            if value and not value.isdecimal()
        }
        if errors:
            raise ApiError(400, errors)
        try:
            offset, limit = int(asked.get("offset") or 0), int(asked.get("limit") or _PAGE)
        except ValueError:
            raise Unhandled from None
        if offset < 0 or limit < 0 or offset + limit > sys.maxsize:  # no slice of a query
            raise Unhandled

        def matches(ticket: EmulatedTicket) -> bool:
            return (
                (not category or ticket.category == int(category))
                and (not status or ticket.status == status)
                and subject in ticket.subject.lower()
            )

        filtered = matches if category or status or subject else None
        lists = self.lists
        if lists is None or not lists.strike():
            rows = self._store.newest_first(user, offset, limit, filtered)
            return success({"TicketList": [history_row(ticket) for ticket in rows]})
        created = self._ledger.of(CREATE) if lists.delay else ()
        made = {int(entry.ticket_id): entry.time for entry in created}
        found = list(self._store.newest_first(user, 0, sys.maxsize, filtered))[::-1]
        found = lists.shown(found, lambda ticket: made.get(ticket.id, 0.0), self._now())
        if not lists.order:
            found.reverse()
        end = offset + (limit if lists.cap is None else min(limit, lists.cap))
        return success(
            {
                "TicketList": [
                    {
                        **history_row(ticket),
                        "subject": lists.title(ticket.subject),
                        "comment": lists.text(ticket.comment),
                    }
                    for ticket in lists.kept(found)[offset:end]
                ]
            }
        )

    def _login(self, request: EmulatorRequest, user: str) -> bytes:
        fields = Fields(read_form(request))
        email, password = fields.text("username"), fields.text("password")
        fields.finish()
        if self._passwords.get(email) != password or email in self._tokens.inactive:
            text = "No active account found with the given credentials"
            raise unauthorized({"detail": text})
        self.logins += 1
        refresh = self._tokens.issue(email, kind="refresh")
        # The one success without an envelope (section 2.3).
        return orjson.dumps({"refresh": refresh, "access": self._tokens.issue(email)})

    def _executed(
        self,
        operation: str,
        number: int,
        form: Form,
        user: str,
        file: FormFile | None = None,
    ) -> bytes:
        """Write a call that passed all checks into the ledger, and let it take effect."""
        ticket_id, payload = str(number), payload_of(form)
        self._ledger.record(operation, ticket_id, payload, time_=self._now(), user=user)
        apply(self._store, operation, ticket_id, payload, user, file)
        return NOTHING

    def _own_ticket(self, asked: FormValue | None, user: str) -> EmulatedTicket:
        """Return the user's ticket of a ``ticket_id``; errors bear another name (section 5, A6)."""
        try:
            ticket = self._ticket(asked)
            if ticket.author != user:
                raise FieldError(_NOT_OWNER)
        except FieldError as error:
            raise ApiError(400, {"ticket": error.texts}) from None
        return ticket

    def _ticket(self, asked: FormValue | None) -> EmulatedTicket:
        if not isinstance(asked, str) or not asked.strip():
            raise FieldError(_ID_REQUIRED)
        number = as_id(asked)
        ticket = None if number is None else self._store.tickets.get(number)
        if ticket is None:
            raise FieldError(_ID_INVALID)
        return ticket
