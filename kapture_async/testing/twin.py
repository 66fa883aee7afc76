"""A Kapture server for tests and trials: its four ticket endpoints, quirks included.

Every behaviour follows the project's fact sheet of the API; "section" and "Wild" name its parts.
What the sheet leaves open is a setting, or a decision that the place concerned explains.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from .._core.testing.faults import FaultPlan
from .._core.testing.ledger import Ledger
from .._core.testing.message import TwinReply, TwinRequest
from .._core.testing.runner import TwinProcess, run_until_told
from .._core.testing.twin import Twin
from .store import TicketStore
from .tickets import (
    INDIA,
    UPDATE_FIELDS,
    Json,
    TwinTicket,
    add_reply,
    associates_of,
    get_element,
    pull_row,
    text_of,
    update_reply,
)

TOKEN = "twin-token"  # noqa: S105  (opens nothing but twins)
"""The key of a twin that was given none."""

ADD = "tickets.add"
UPDATE = "tickets.update"
GET = "tickets.get"
PULL = "tickets.pull"

PATHS: Mapping[str, str] = {
    "/add-ticket-from-other-source.html/v.2.0": ADD,
    "/update-ticket-from-other-source.html/v.2.0": UPDATE,
    "/search-ticket-by-ticket-id.html/v.2.0": GET,
    "/select-ticket-between-start-and-end-dates.html/v.2.0": PULL,
}

_SET_COOKIE = (("Set-Cookie", "JSESSIONID=twin; Path=/; HttpOnly"),)
_MODULE = "kapture_async.testing"
_CALLBACK = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")


class _Failed(Exception):
    """The request is refused; the text is the vendor's ``message``."""


class KaptureTwin(Twin):
    """Kapture's ticket endpoints on 127.0.0.1, with the truth about what they executed.

    The ledger holds what took effect: adds and updates. Reads are counted in ``requests``.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token: str | None = TOKEN,
        username: str | None = None,
        password: str | None = None,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        faults: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
        latency: float = 0.0,
        failed_status: int = 200,
        auth_failed_status: int | None = None,
        empty_pull_status: str = "success",
        single_row_as_object: bool = False,
        pull_days: int = 2,
    ) -> None:
        """Make a twin; it serves nothing until it is started.

        Args:
            port: 0 takes a free one.
            token: what must follow ``Basic``; ``None`` lets everybody in.
            username: with ``password``, real Basic credentials that are taken as well.
            password: see ``username``.
            ledger: a :class:`Ledger`, or the path of its file; an existing file is gone on with,
                and its tickets exist again.
            faults: which requests suffer what; none by default.
            clock: seconds since the epoch.
            latency: seconds between executing a request and answering it.
            failed_status: the HTTP status of a ``failed`` body, which the sheet does not know
                (section 0, and Contradictions 21).
            auth_failed_status: the same for a wrong key; ``None`` means ``failed_status``.
            empty_pull_status: the ``status`` beside the text that says nothing was found.
            single_row_as_object: show a single pull row bare (Wild: string, list or object).
            pull_days: how many calendar days one pull may touch. The vendor says at most 24 hours,
                and its own sample spans two dates (Contradictions 10): hence 2; 1 is the strict
                reading.
        """
        super().__init__(
            port=port, ledger=ledger, faults=faults, clock=clock, zone=INDIA, latency=latency
        )
        self.token = token
        self._accepted = _accepted(token, username, password)
        self._failed_status = failed_status
        self._auth_failed_status = (
            failed_status if auth_failed_status is None else auth_failed_status
        )
        self._empty_pull_status = empty_pull_status
        self._single_row_as_object = single_row_as_object
        self._pull_days = pull_days
        self._store = TicketStore()
        self._handlers: Mapping[str, Callable[[Any], Any]] = {
            ADD: self._add,
            UPDATE: self._update,
            GET: self._get,
            PULL: self._pull,
        }
        for entry in self.ledger:
            self._replay(entry.operation, entry.ticket_id, entry.payload, entry.time)

    @classmethod
    def in_process(
        cls,
        *,
        port: int = 0,
        token: str = TOKEN,
        fault_rate: float = 0.0,
        seed: int = 0,
        ledger: str | os.PathLike[str] | None = None,
        latency: float = 0.0,
        failed_status: int = 200,
    ) -> TwinProcess:
        """Return a twin that will run in a process of its own: ``with ... as twin: twin.url``."""
        settings: Mapping[str, object] = {
            "--port": port,
            "--token": token,
            "--faults": fault_rate,
            "--seed": seed,
            "--latency": latency,
            "--failed-status": failed_status,
        }
        arguments = [f"{name}={value}" for name, value in settings.items()]
        return TwinProcess(_MODULE, arguments, ledger=ledger)

    # For tests.

    def seed(
        self,
        payload: Mapping[str, Any] | None = None,
        *,
        ticket_id: str | None = None,
        created: dt.datetime | None = None,
        **fields: Any,
    ) -> str:
        """Let a ticket exist that nobody added through the twin: it is in no ledger.

        ``payload`` and ``fields`` together are what add-ticket would have been sent. A ``created``
        without a zone is India time. Returns the ticket's id.
        """
        content = {"title": "Seeded", **(payload or {}), **fields}

        def keep() -> str:
            at = self.timestamp() if created is None else _aware(created).timestamp()
            number = self._store.new_ticket_id(at) if ticket_id is None else ticket_id
            if ticket_id in self._store.tickets:
                raise ValueError(f"ticket {ticket_id} exists already")
            return self._store.add(content, number, at).ticket_id

        return self.run(keep)

    def ticket(self, ticket_id: str) -> TwinTicket | None:
        """Return a ticket as the twin has it, or ``None``."""
        return self._store.tickets.get(ticket_id)

    # What a Twin must say.

    def operation(self, request: TwinRequest) -> str:
        """Return the operation of a request, by its path: the verb is POST everywhere."""
        return PATHS.get(request.path, "")

    def handle(self, request: TwinRequest) -> TwinReply:
        """Answer as Tomcat and the application behind it would, in that order of checks."""
        operation = PATHS.get(request.path)
        if operation is None:
            return _tomcat_page(404)
        if request.method != "POST":
            return _tomcat_page(405, ("Allow", "POST"))
        if self._accepted and request.headers.get("authorization", "") not in self._accepted:
            return self._failed("Invalid Auth Key", self._auth_failed_status)
        try:
            body = self._handlers[operation](_decoded(request.body))
        except _Failed as failure:
            return self.refusal(str(failure))
        # The server sets cookies, which no call needs (Wild, "Headers").
        cookies = () if "cookie" in request.headers else _SET_COOKIE
        return TwinReply(200, orjson.dumps(body), headers=cookies)

    def refusal(self, message: str) -> TwinReply:
        """Return a ``failed`` body (section 0, "Failure marker")."""
        return self._failed(message, self._failed_status)

    def _failed(self, message: str, status: int) -> TwinReply:
        return TwinReply(status, orjson.dumps({"message": message, "status": "failed"}))

    # The endpoints.

    def _add(self, body: Any) -> Json:
        payload = _single(body)
        if not text_of(payload.get("title")):
            raise _Failed("title is missing")
        now = self.timestamp()
        ticket_id = self._store.new_ticket_id(now)
        self.ledger.record(ADD, ticket_id, payload, time_=now)
        return add_reply(self._store.add(payload, ticket_id, now), self.url)

    def _update(self, body: Any) -> Json:
        payload = _single(body)
        ticket = self._store.tickets.get(text_of(payload.get("ticket_id")))
        if ticket is None:
            raise _Failed("No Data found/ticket_id is missing")
        callback = text_of(payload.get("callback_time"))
        if callback and not _is_callback_time(callback):
            # The message names a field that the request does not have (Contradictions 5).
            raise _Failed("Invalid Format.callback_date should be yyyy-MM-dd hh:mm:ss.")
        now = self.timestamp()
        self.ledger.record(UPDATE, ticket.ticket_id, payload, time_=now)
        self._store.update(ticket, payload, now)
        return update_reply(ticket, associates_of(payload, UPDATE_FIELDS))

    def _get(self, body: Any) -> list[Json]:
        if not isinstance(body, dict):
            raise _Failed("Invalid Json.")
        asked = text_of(body.get("ticket_ids"))
        numbers = dict.fromkeys(part.strip() for part in asked.split(",") if part.strip())
        if not numbers:
            raise _Failed("ticket_ids are missing.")
        conversations = text_of(body.get("conversation_type"))
        found = (self._store.tickets.get(number) for number in numbers)
        now = self.timestamp()
        return [
            get_element(ticket, self.url, now, conversations)
            for ticket in found
            if ticket is not None
        ]

    def _pull(self, body: Any) -> Json:
        payload = _single(body)
        first, last = self._days_asked(payload)
        status = text_of(payload.get("status"))
        customer = text_of(payload.get("customer_code"))
        matches = (
            ticket
            for ticket in self._store.created_between(first, last)
            if (not status or ticket.status == status)
            and (not customer or ticket.customer_code == customer)
        )
        offset = _whole_number(payload.get("offset")) or 0
        limit = _whole_number(payload.get("limit"))
        chosen = itertools.islice(matches, offset, None if limit is None else offset + limit)
        now = self.timestamp()
        rows = [pull_row(ticket, self.url, now) for ticket in chosen]
        message: Any = rows
        outcome = "success"
        if not rows:
            # A text in place of the list is how "nothing found" is read in the field (Wild).
            message, outcome = "No Data found", self._empty_pull_status
        elif self._single_row_as_object and len(rows) == 1:
            message = rows[0]
        return {"totalCount": None, "message": message, "status": outcome}

    def _days_asked(self, payload: Mapping[str, Any]) -> tuple[dt.date, dt.date]:
        texts = text_of(payload.get("start_date")), text_of(payload.get("end_date"))
        if not any(texts) and payload.keys() & {"customer_code", "status", "offset", "limit"}:
            # A customer's tickets may be listed without dates (Wild, "Request shapes").
            return dt.date.min, dt.date.max
        if not all(texts):
            # The words of the older page (section 4); the newer one documents none of its own.
            raise _Failed("either start_date is null or blank")
        try:
            first, last = (dt.datetime.strptime(text, "%Y-%m-%d").date() for text in texts)
        except ValueError:
            raise _Failed("Invalid Json.") from None
        if (last - first).days >= self._pull_days:
            # The rule is documented (section 4), its message is not: the table's own words.
            raise _Failed("Also at one hit we can pull a data of max 24 hours.")
        return first, last

    def _replay(self, operation: str, ticket_id: str, payload: Any, at: float) -> None:
        """Let the tickets of an existing ledger exist again."""
        if operation == ADD:
            self._store.add(payload, ticket_id, at)
        elif operation == UPDATE and ticket_id in self._store.tickets:
            self._store.update(self._store.tickets[ticket_id], payload, at)


def serve(
    *,
    port: int = 8765,
    token: str = TOKEN,
    fault_rate: float = 0.0,
    seed: int = 0,
    ledger: str | Path | None = None,
    latency: float = 0.0,
    failed_status: int = 200,
    stdin_closes: bool = False,
) -> None:
    """Run a twin as a command: print ``twin: URL``, serve until SIGINT, SIGTERM or end of stdin."""
    twin = KaptureTwin(
        port=port,
        token=token,
        faults=FaultPlan.rate(fault_rate, seed=seed),
        ledger=ledger,
        latency=latency,
        failed_status=failed_status,
    )
    run_until_told(twin, stdin_closes=stdin_closes)


def _accepted(token: str | None, username: str | None, password: str | None) -> frozenset[str]:
    """Return the Authorization values that open the door; an empty set means any."""
    if token is None:
        return frozenset()
    accepted = {f"Basic {token}"}
    if username is not None and password is not None:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        accepted.add(f"Basic {pair}")
    return frozenset(accepted)


def _decoded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _Failed("Invalid Json.") from None


def _single(body: Any) -> Json:
    """Return the one object of a body: bare, or alone in an array; both are taken (Wild).

    What the server does with more than one element nobody has seen. The twin refuses them, so
    that no client comes to rely on either answer.
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        raise _Failed("Invalid Json.")
    return body


def _is_callback_time(text: str) -> bool:
    if not _CALLBACK.fullmatch(text):
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _whole_number(value: Any) -> int | None:
    """Return a limit or offset, which is sent as a number or as text (section 4, Wild)."""
    text = text_of(value)
    if not text:
        return None
    if not text.isdecimal():
        raise _Failed("Invalid Json.")
    return int(text)


def _aware(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=INDIA) if value.tzinfo is None else value


def _tomcat_page(status: int, *headers: tuple[str, str]) -> TwinReply:
    """Return the error page of the application server: HTML with an en dash in its title."""
    phrase = {404: "Not Found", 405: "Method Not Allowed"}[status]
    page = (
        f'<!doctype html><html lang="en"><head><title>HTTP Status {status} \u2013 {phrase}</title>'
        f'</head><body><h1>HTTP Status {status} \u2013 {phrase}</h1><hr class="line" />'
        "<p><b>Type</b> Status Report</p><h3>Apache Tomcat</h3></body></html>"
    )
    return TwinReply(status, page.encode(), "text/html;charset=utf-8", headers)
