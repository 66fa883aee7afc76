"""A Kapture server for tests and trials: its endpoints, quirks included.

Every behaviour follows ``SERVICE.md``; "section" names its parts. What that page leaves open
is a setting, or a decision that the place concerned explains.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from .._core.testing.emulator import Emulator
from .._core.testing.faults import FaultPlan
from .._core.testing.http import EmulatorReply, EmulatorRequest
from .._core.testing.ledger import Ledger
from .._core.testing.lists import Lists
from .._core.testing.runner import EmulatorProcess, run_until_told
from . import customers, faqs, legacy, orders
from .customers import CustomerEndpoints, EmulatedCustomer
from .endpoint import EndpointContext, Failed, basic, decoded, tomcat_page
from .faqs import FaqEndpoints
from .legacy import LegacyEndpoints
from .orders import EmulatedOrder, OrderEndpoints
from .ticket_endpoints import ADD, GET, PULL, UPDATE, Act, Agents, TicketEndpoints, TicketStore
from .tickets import (
    INDIA,
    EmulatedTicket,
)

TOKEN = "emulator-token"  # noqa: S105  (opens nothing but emulators)
"""The key of an emulator that was given none."""
USERNAME = "emulator-user"
PASSWORD = "emulator-password"  # noqa: S105  (opens nothing but the orders of emulators)
"""Who opens the orders of an emulator that was given no user."""

PATHS: Mapping[str, str] = {
    "/add-ticket-from-other-source.html/v.2.0": ADD,
    "/update-ticket-from-other-source.html/v.2.0": UPDATE,
    "/search-ticket-by-ticket-id.html/v.2.0": GET,
    "/select-ticket-between-start-and-end-dates.html/v.2.0": PULL,
    customers.SAVE_PATH: customers.ADD,
    customers.GET_PATH: customers.GET,
    customers.PULL_PATH: customers.PULL,
    orders.SAVE_PATH: orders.ADD,
    orders.PULL_PATH: orders.PULL,
    faqs.CONTENTS_PATH: faqs.CONTENTS,
    faqs.CATEGORIES_PATH: faqs.CATEGORIES,
    legacy.CUSTOMER_PATH: legacy.CUSTOMER,
    legacy.ORDER_PATH: legacy.ORDER,
    legacy.ENQUIRY_PATH: legacy.ENQUIRY,
    legacy.PULL_PATH: legacy.PULL,
}
"""Path to operation. Where one path adds and changes, it is the adding; the ledger knows better."""

_SET_COOKIE = (("Set-Cookie", "JSESSIONID=emulator; Path=/; HttpOnly"),)
_MODULE = "kapture_async.testing"


class KaptureEmulator(Emulator):
    """Kapture's endpoints on 127.0.0.1, with the truth about what they executed.

    The ledger holds what took effect: adds and updates of tickets, customers and orders. Reads
    are counted in ``requests``.
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
        pull_counts: bool = True,
        pull_days: int = 2,
        order_token: str | None = None,
        order_id_at: str = "order_info.order_id",
        faq_end_included: bool = False,
        sub_status_required: bool = True,
        pagination: int | None = None,
        keys: Mapping[str, str] | None = None,
        legacy_lower_case: bool = False,
        lists: Lists | None = None,
    ) -> None:
        """Make an emulator; it serves nothing until it is started.

        Args:
            port: 0 takes a free one.
            token: what must follow ``Basic``; ``None`` lets everybody in.
            username: with ``password``, real Basic credentials that are taken as well. The order
                API takes no others (sections 9 to 11): by default ``emulator-user`` with
                ``emulator-password``.
            password: see ``username``.
            ledger: a :class:`Ledger`, or the path of its file; an existing file is gone on with,
                and its tickets exist again.
            faults: which requests suffer what; none by default.
            clock: seconds since the epoch.
            latency: seconds between executing a request and answering it.
            failed_status: the HTTP status of a ``failed`` body, which the sheet does not know
                (sections 0 and 19).
            auth_failed_status: the same for a wrong key; ``None`` means ``failed_status``.
            empty_pull_status: the ``status`` beside the text that says nothing was found.
            single_row_as_object: show a single pull row bare (section 4: string, list or object).
            pull_counts: tell with a pull of one day how many tickets that has (section 4: a number,
                null or absent). The vendor's sample, a pull of two dates, tells null.
            pull_days: how many calendar days one pull may touch. The vendor says at most 24 hours,
                and its own sample spans two dates (section 4): hence 2; 1 is the strict
                reading.
            order_token: a token that the order API takes as well (section 9).
            order_id_at: where the id of an order to change is looked for; it is undocumented.
            faq_end_included: whether a window of FAQs holds the one at its ``end_index``, too.
            sub_status_required: refuse an update without ``sub_status``, which the sheet calls
                mandatory (section 2); ``False`` takes it, as the refusal has never been observed.
            pagination: a pull must ask for a ``limit``, of so many rows at most, and skips by
                ``offset``: a tenant with "PaginationEnabled" (seed 001).
            keys: one token per API, by path, such as ``{"/add-ticket-...": "token"}``: the console
                issues one key per API (section 0). Other paths take ``token``.
            legacy_lower_case: the older siblings answer ``message`` and ``status``, as a live
                client expects it, in place of ``Message`` and ``Status``.
            lists: lets pulls of tickets differ from the truth; see :class:`Lists`.
        """
        super().__init__(
            port=port, ledger=ledger, faults=faults, clock=clock, zone=INDIA, latency=latency
        )
        self.token = token
        self._accepted = _accepted(token, username, password)
        self._accepted_for_orders = _accepted_for_orders(token, username, password, order_token)
        self._failed_status = failed_status
        self._auth_failed_status = (
            failed_status if auth_failed_status is None else auth_failed_status
        )
        self._context = EndpointContext(
            ledger=self.ledger,
            now=self.timestamp,
            empty_pull_status=empty_pull_status,
            pull_days=pull_days,
            pagination=pagination,
        )
        self._keys = dict(keys or {})
        self._legacy_lower_case = legacy_lower_case
        self._store = TicketStore()
        self._tickets = TicketEndpoints(
            self._context,
            self._store,
            lambda: self.url,
            single_row_as_object=single_row_as_object,
            counts=pull_counts if pagination is None else True,
            sub_status_required=sub_status_required,
            lists=lists,
        )
        self._agents = Agents(self._store)
        self._customers = CustomerEndpoints(self._context)
        self._orders = OrderEndpoints(self._context, self._customers, order_id_at)
        self._faqs = FaqEndpoints(end_included=faq_end_included)
        self._legacy = LegacyEndpoints(self._context, self._customers, self._orders)
        self._handlers: Mapping[str, Callable[[Any], Any]] = {
            ADD: self._tickets.add,
            UPDATE: self._tickets.update,
            GET: self._tickets.get,
            PULL: self._tickets.pull,
            customers.ADD: self._customers.save,
            customers.GET: self._customers.get,
            customers.PULL: self._customers.pull,
            orders.ADD: self._orders.save,
            orders.PULL: self._orders.pull,
            faqs.CONTENTS: self._faqs.contents,
            legacy.CUSTOMER: self._legacy.customer,
            legacy.ORDER: self._legacy.order,
            legacy.ENQUIRY: self._legacy.enquiry,
            legacy.PULL: lambda body: legacy.older_rows(self._tickets.pull, body),
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
        pagination: int | None = None,
    ) -> EmulatorProcess:
        """Return an emulator that will run in a process of its own: ``with ... as emulator:
        emulator.url``."""
        settings: dict[str, object] = {
            "--port": port,
            "--token": token,
            "--faults": fault_rate,
            "--seed": seed,
            "--latency": latency,
            "--failed-status": failed_status,
        }
        if pagination is not None:
            settings["--pagination"] = pagination
        arguments = [f"{name}={value}" for name, value in settings.items()]
        return EmulatorProcess(_MODULE, arguments, ledger=ledger)

    # For tests.

    def seed(
        self,
        payload: Mapping[str, Any] | None = None,
        *,
        ticket_id: str | None = None,
        created: dt.datetime | None = None,
        **fields: Any,
    ) -> str:
        """Let a ticket exist that was not added through the emulator: it is in no ledger.

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

    def ticket(self, ticket_id: str) -> EmulatedTicket | None:
        """Return a ticket as the emulator has it, or ``None``."""
        return self._store.tickets.get(ticket_id)

    @property
    def lists(self) -> Lists | None:
        """How pulls of tickets differ from the truth; may be replaced at any time."""
        return self._tickets.lists

    @lists.setter
    def lists(self, lists: Lists | None) -> None:
        self._tickets.lists = lists

    def edit(self, ticket_id: str, *, title: str | None = None, text: str | None = None) -> None:
        """Let an agent write another title or text. Nothing of it stands in the ledger."""
        self.run(lambda: self._agents.edit(ticket_id, title=title, text=text))

    def merge(self, ticket_id: str, into: str, *, absorb: bool = False) -> None:
        """Let an agent merge a ticket into another; see :meth:`Agents.merge`."""
        self.run(lambda: self._agents.merge(ticket_id, into, absorb=absorb))

    def delete(self, ticket_id: str) -> None:
        """Let an agent delete a ticket: it is gone without a trace, but for the ledger."""
        self.run(lambda: self._agents.delete(ticket_id))

    def agents_at_work(
        self, share: float, *, seed: int = 0, acts: Sequence[Act] = ("edit", "retitle", "merge")
    ) -> dict[str, Act]:
        """Let agents change a share of all tickets, as they might before a lookup.

        Args:
            share: of the tickets, each by chance.
            seed: of the chance.
            acts: ``"edit"`` (another text), ``"retitle"``, ``"merge"`` (it stays, and names the
                other in ``mergedTicketId``), ``"absorb"`` (it is gone, and its text stands at the
                end of the other's), ``"delete"``.

        Returns:
            What was done, by the tickets' ids.
        """
        return self.run(lambda: self._agents.work(share, seed=seed, acts=acts))

    def seed_customer(self, **info: Any) -> str:
        """Let a customer exist that was not added through the emulator; return the id.

        ``info`` are fields of ``customer_info`` by their wire names.
        """

        def keep() -> str:
            number = str(self._customers.next_id())
            self._customers.keep(number, {"customer_info": info}, self.timestamp())
            return number

        return self.run(keep)

    def seed_faq(self, title: str, detail: str, **place: str) -> str:
        """Let an FAQ content exist; return its id. ``category``, ``name``, ``parent`` say where."""
        return self.run(lambda: self._faqs.seed(title, detail, **place))

    def customer(self, customer_id: str) -> EmulatedCustomer | None:
        """Return a customer as the emulator has it, or ``None``."""
        return self._customers.customers.get(customer_id)

    def order(self, order_id: str) -> EmulatedOrder | None:
        """Return an order as the emulator has it, or ``None``."""
        return self._orders.orders.get(order_id)

    # What a Emulator must say.

    def operation(self, request: EmulatorRequest) -> str:
        """Return the operation of a request, by its path: the verb is POST everywhere."""
        return PATHS.get(request.path, "")

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        """Answer as Tomcat and the application behind it would, in that order of checks."""
        operation = PATHS.get(request.path)
        if operation is None:
            return tomcat_page(404)
        if request.method != "POST":
            return tomcat_page(405, ("Allow", "POST"))
        lower = self._legacy_lower_case
        if not self._lets_in(request, operation):
            named = operation.startswith("legacy.") and not lower
            names = legacy.NAMES if named else {}
            return _failed(Failed("Invalid Auth Key", **names), self._auth_failed_status)
        try:
            if operation == faqs.CATEGORIES:
                if not request.headers.get("content-type", "").startswith("multipart/form-data"):
                    return tomcat_page(415)
                body: Any = self._faqs.categories()
            else:
                body = self._handlers[operation](decoded(request.body))
        except Failed as failure:
            body = legacy.lower_case(failure.body) if lower else failure.body
            return EmulatorReply(self._failed_status, orjson.dumps(body))
        if lower and operation.startswith("legacy."):
            body = legacy.lower_case(body)
        # The server sets cookies, which no call needs (section 0).
        cookies = () if "cookie" in request.headers else _SET_COOKIE
        return EmulatorReply(200, orjson.dumps(body), headers=cookies)

    def refusal(self, message: str) -> EmulatorReply:
        """Return a ``failed`` body (section 0)."""
        return _failed(Failed(message), self._failed_status)

    def _lets_in(self, request: EmulatorRequest, operation: str) -> bool:
        authorization = request.headers.get("authorization", "")
        key = self._keys.get(request.path)
        if key is not None:
            return authorization == f"Basic {key}"
        of_orders = operation in (orders.ADD, orders.PULL)
        accepted = self._accepted_for_orders if of_orders else self._accepted
        return not accepted or authorization in accepted

    def _replay(self, operation: str, ticket_id: str, payload: Any, at: float) -> None:
        """Let what an existing ledger tells of exist again."""
        if operation == ADD:
            self._store.add(payload, ticket_id, at)
        elif operation == UPDATE and ticket_id in self._store.tickets:
            self._store.update(self._store.tickets[ticket_id], payload, at)
        elif operation in (customers.ADD, customers.UPDATE):
            self._customers.keep(ticket_id, payload, at)
        elif operation in (orders.ADD, orders.UPDATE):
            self._orders.keep(ticket_id, payload, at)
        elif operation.startswith("legacy."):
            self._legacy.keep(operation, ticket_id, payload, at)


def serve(
    *,
    port: int = 8765,
    token: str = TOKEN,
    fault_rate: float = 0.0,
    seed: int = 0,
    ledger: str | Path | None = None,
    latency: float = 0.0,
    failed_status: int = 200,
    auth_failed_status: int | None = None,
    pagination: int | None = None,
    stdin_closes: bool = False,
) -> None:
    """Run an emulator as a command: print ``emulator: URL``, serve until SIGINT, SIGTERM or end
    of stdin."""
    emulator = KaptureEmulator(
        port=port,
        token=token,
        faults=FaultPlan.rate(fault_rate, seed=seed),
        ledger=ledger,
        latency=latency,
        failed_status=failed_status,
        auth_failed_status=auth_failed_status,
        pagination=pagination,
    )
    run_until_told(emulator, stdin_closes=stdin_closes)


def _accepted(token: str | None, username: str | None, password: str | None) -> frozenset[str]:
    """Return the Authorization values that open the door; an empty set means any."""
    if token is None:
        return frozenset()
    accepted = {f"Basic {token}"}
    if username is not None and password is not None:
        accepted.add(basic(username, password))
    return frozenset(accepted)


def _accepted_for_orders(
    token: str | None, username: str | None, password: str | None, order_token: str | None
) -> frozenset[str]:
    """Return the same for the order API, where the token of the rest opens nothing."""
    if token is None:
        return frozenset()
    mine = username is None or password is None
    accepted = {basic(USERNAME, PASSWORD) if mine else basic(username or "", password or "")}
    if order_token is not None:
        accepted.add(f"Basic {order_token}")
    return frozenset(accepted)


def _failed(failure: Failed, status: int) -> EmulatorReply:
    return EmulatorReply(status, orjson.dumps(failure.body))


def _aware(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=INDIA) if value.tzinfo is None else value
