"""What the proof calls: every public method of both packages that talks to a service.

The methods are found in the packages. Here stands only how each is called: a method that is not
here, or that is here and not there, fails the proof.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from attrs import frozen

from kapture_async import (
    Diagnosis,
    KaptureClient,
    PushStoppedError,
    Reconciliation,
    RetryPolicy,
    SyncKaptureClient,
    Timeout,
    Verification,
)
from kapture_async.testing import Fault, KaptureEmulator
from support_async import SupportClient, SyncSupportClient
from support_async.testing import SupportEmulator

from ..scenarios import Do

START = 1_713_516_551.0  # 2024-04-19, in the day of the vendor's samples
DAY = "2024-04-19"
ROWS = ("row-0", "row-1", "row-2")
"""What the rows of a bulk call are called; the first one meets the fault."""
TICKET: Mapping[str, Any] = {"subject": "row-0", "comment": "c", "category": 3, "priority": "1"}
LOCAL = {"aclose", "with_options", "resolve"}
"""Public methods that send nothing."""
SETTINGS: Mapping[str, Any] = {
    "timeout": Timeout(total=None, connect=None, read=5.0),
    "retry": RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002),
}


@frozen
class World:
    """What a call has at hand: a client, and what is there before it.

    Attributes:
        do: calls the client, async or sync.
        emulator: the service.
        folder: an empty folder.
        journal: where a bulk call keeps its journal; ``None`` for one without.
        ids: of what is there, by its kind.
    """

    do: Do
    emulator: Any
    folder: Path
    journal: str | None
    ids: dict[str, str]


def kapture_world(world: World) -> None:
    """A ticket, a customer, an order and an FAQ, made by the client: answers for ``previous``."""
    do, ids = world.do, world.ids
    ids["ticket"] = do.call(do.tickets.add(title="there", ticket_details="before")).ticket_id
    do.call(do.tickets.update(ids["ticket"], sub_status="PS"))
    ids["customer"] = do.call(
        do.client.customers.add(customer_name="there", phone="9", email_id="there@example.com")
    ).customer_id
    ids["order"] = do.call(do.client.orders.add(customer={"customer_name": "there"})).order_id
    world.emulator.seed_faq("there", "before", category="5247")


def support_world(world: World) -> None:
    """A ticket with a file and tags."""
    emulator, ids = world.emulator, world.ids
    world.do.call(world.do.tickets.create(**{**TICKET, "subject": "there"}))
    ids["ticket"] = emulator.seed(subject="seeded", tags=[2])
    ids["closed"] = emulator.seed(subject="closed", status="4")
    ids["file"] = emulator.seed_attachment(ids["ticket"], "a.txt", b"0123456789" * 100)


def rows_of(world: World, method: str) -> list[dict[str, Any]]:
    """The rows of a bulk call."""
    if method == "customers.push":
        return [{"customer_name": name, "phone": f"55{n}"} for n, name in enumerate(ROWS)]
    if method == "tickets.update_many":
        return [{"ticket_id": world.ids[name], "comment": name} for name in ROWS]
    if isinstance(world.emulator, SupportEmulator):
        return [{**TICKET, "subject": name} for name in ROWS]
    return [{"title": name, "ticket_details": f"About {name}."} for name in ROWS]


def push(world: World, method: str) -> list[Any]:
    """The outcomes of a bulk call, in the order of the rows."""
    resource, _, name = method.partition(".")
    more: dict[str, Any] = {"sub_status": "PS"} if name == "update_many" else {}
    if world.journal is not None:
        more["journal"] = world.journal
        if name == "push":  # a shared journal needs keys
            more["key"] = lambda row: next(value for value in row.values() if value in ROWS)
    bulk = getattr(getattr(world.do.client, resource), name)
    try:
        found = world.do.call(bulk(rows_of(world, method), max_concurrency=1, **more).all())
    except PushStoppedError as stopped:
        found = stopped.outcomes
    return sorted(found, key=lambda outcome: outcome.index)


def with_tickets(world: World) -> None:
    """The tickets that an ``update_many`` changes."""
    for name in ROWS:
        world.ids[name] = world.emulator.seed(title=name)


def with_a_doubt(method: str) -> Callable[[World], None]:
    """A journal of which one row was executed, and its answer lost."""

    def prepare(world: World) -> None:
        world.emulator.faults = world.emulator.faults.script([Fault("close_after")])
        push(world, method)

    return prepare


@frozen
class Call:
    """How one method is called.

    Attributes:
        act: calls it, and returns what came.
        prepare: what must be there before, beside the usual.
        journal: it needs a journal.
    """

    act: Callable[[World], Any]
    prepare: Callable[[World], None] = lambda world: None
    journal: bool = False


def told(result: Any) -> Any:
    """A result without what differs from run to run."""
    if isinstance(result, Reconciliation):
        return {k: len(getattr(result, k)) for k in ("present", "absent", "probable", "open")}
    if isinstance(result, Verification):
        return {str(kind): count for kind, count in result.counts.items()}
    if isinstance(result, Diagnosis):
        return result.guarantee
    return (
        [told(row) for row in result]
        if isinstance(result, list)
        else getattr(result, "raw", result)
    )


def _looked_up(name: str, **more: Any) -> Callable[[World], Any]:
    def act(world: World) -> Any:
        resource, _, method = name.partition(".")
        return world.do.call(
            getattr(getattr(world.do.client, resource), method)(world.journal, **more)
        )

    return act


def _many(world: World) -> Any:
    lookup = world.do.call(world.do.tickets.get_many([world.ids["ticket"], "1"]))
    if lookup.failed:
        raise next(iter(lookup.failed.values()))
    return [[ticket.raw for ticket in lookup.found.values()], lookup.missing]


def _found(world: World) -> Any:
    created = world.do.call(world.do.tickets.create_and_find(**TICKET))
    for problem in (created.doubt, created.lookup_error):
        if problem is not None:
            raise problem
    return created.ticket_id


def _export(world: World) -> Any:
    path = world.folder / "out.csv"
    world.do.call(world.do.tickets.export(path, start=DAY, end=DAY))
    return path.read_text()


def _bulk(name: str, prepare: Callable[[World], None] = lambda world: None) -> Call:
    return Call(lambda w: push(w, name), prepare)


def _lookups(push_name: str, *, prepare: Callable[[World], None] | None = None) -> dict[str, Call]:
    resource = push_name.partition(".")[0]
    return {
        f"{resource}.{name}": Call(
            _looked_up(f"{resource}.{name}"), with_a_doubt(push_name), journal=True
        )
        for name in ("reconcile", "verify")
    }


KAPTURE: Mapping[str, Call] = {
    "tickets.add": Call(lambda w: w.do.call(w.do.tickets.add(title="row-0"))),
    "tickets.update": Call(
        lambda w: w.do.call(w.do.tickets.update(w.ids["ticket"], sub_status="PS", comment="row-0"))
    ),
    "tickets.get": Call(lambda w: w.do.call(w.do.tickets.get(w.ids["ticket"]))),
    "tickets.get_many": Call(_many),
    "tickets.pull": Call(lambda w: w.do.rows(w.do.tickets.pull(DAY, DAY))),
    "tickets.export": Call(_export),
    "tickets.push": _bulk("tickets.push"),
    "tickets.update_many": _bulk("tickets.update_many", with_tickets),
    **_lookups("tickets.push"),
    "tickets.doctor": Call(lambda w: w.do.call(w.do.tickets.doctor())),
    "customers.add": Call(
        lambda w: w.do.call(w.do.client.customers.add(customer_name="row-0", phone="1"))
    ),
    "customers.update": Call(
        lambda w: w.do.call(w.do.client.customers.update(w.ids["customer"], customer_name="row-0"))
    ),
    "customers.get": Call(lambda w: w.do.call(w.do.client.customers.get(w.ids["customer"]))),
    "customers.pull": Call(lambda w: w.do.rows(w.do.client.customers.pull(DAY, cm_id=1))),
    "customers.push": _bulk("customers.push"),
    **_lookups("customers.push"),
    "orders.add": Call(
        lambda w: w.do.call(w.do.client.orders.add(customer={"customer_name": "row-0"}))
    ),
    "orders.update": Call(
        lambda w: w.do.call(
            w.do.client.orders.update(
                w.ids["order"], order_info={"a": "row-0"}, id_at="order_info.order_id"
            )
        )
    ),
    "orders.pull": Call(lambda w: w.do.rows(w.do.client.orders.pull(1, name="there"))),
    "faqs.contents": Call(lambda w: w.do.rows(w.do.client.faqs.contents("5247"))),
    "faqs.categories": Call(lambda w: w.do.call(w.do.client.faqs.categories())),
    "request": Call(
        lambda w: w.do.call(
            w.do.client.request("/add-ticket-from-other-source.html/v.2.0", {"title": "row-0"})
        )
    ),
}

SUPPORT: Mapping[str, Call] = {
    "categories.list": Call(lambda w: w.do.call(w.do.client.categories.list())),
    "tags.list": Call(lambda w: w.do.call(w.do.client.tags.list())),
    "tickets.create": Call(lambda w: w.do.call(w.do.tickets.create(**TICKET))),
    "tickets.create_and_find": Call(_found),
    "tickets.history": Call(lambda w: w.do.call(w.do.tickets.history())),
    "tickets.iter": Call(lambda w: w.do.rows(w.do.tickets.iter())),
    "tickets.get": Call(lambda w: w.do.call(w.do.tickets.get(w.ids["ticket"]))),
    "tickets.update": Call(lambda w: w.do.call(w.do.tickets.update(w.ids["ticket"], tags=[1]))),
    "tickets.set_priority": Call(
        lambda w: w.do.call(w.do.tickets.set_priority(w.ids["ticket"], "3"))
    ),
    "tickets.reply": Call(lambda w: w.do.call(w.do.tickets.reply(w.ids["ticket"], "row-0"))),
    "tickets.close": Call(lambda w: w.do.call(w.do.tickets.close(w.ids["ticket"]))),
    "tickets.reopen": Call(lambda w: w.do.call(w.do.tickets.reopen(w.ids["closed"]))),
    "tickets.push": _bulk("tickets.push"),
    **_lookups("tickets.push"),
    "tickets.doctor": Call(lambda w: w.do.call(w.do.tickets.doctor(_trial()))),
    "attachments.download": Call(
        lambda w: w.do.call(w.do.client.attachments.download(w.ids["file"], w.folder)).read_bytes()
    ),
    "attachments.stream": Call(
        lambda w: b"".join(w.do.outcomes(w.do.client.attachments.stream(w.ids["file"])))
    ),
    "login": Call(
        lambda w: w.do.call(w.do.client.login("member@example.com", "emulator-password")).access
    ),
    "request": Call(
        lambda w: w.do.call(
            w.do.client.request(
                "/support/ticket/conversation/",
                form={"ticket": w.ids["ticket"], "comment": "row-0"},
            )
        )
    ),
}


def _trial() -> Any:
    from support_async import NewTicket

    return NewTicket(**{**TICKET, "comment": "Trial, please ignore"})


@frozen
class Service:
    """A package, as the proof calls it."""

    name: str
    calls: Mapping[str, Call]
    emulator: Callable[..., Any]
    client: Callable[..., Any]
    sync_client: Callable[..., Any]
    world: Callable[[World], None]

    def make(self, emulator: Any, client: str, wire: str, **settings: Any) -> Any:
        """A client of an emulator."""
        more: dict[str, Any] = {**SETTINGS, "transport": wire, **settings}
        cls = self.client if client == "async" else self.sync_client
        if self.name == "support":
            return cls(emulator.url, apikey=emulator.apikey, access_token=emulator.token, **more)
        orders = ("emulator-user", "emulator-password")
        return cls(
            base_url=emulator.url, token=emulator.token, credentials={"orders": orders}, **more
        )

    def methods(self) -> set[str]:
        """Every public method of the client and of its resources that sends something."""
        kapture = self.name == "kapture"
        client: Any = (
            KaptureClient("t", token="t")
            if kapture
            else SupportClient("https://t.example.com", apikey="t")
        )
        found = {name for name, _ in inspect.getmembers(type(client), inspect.isfunction)}
        for name, value in inspect.getmembers(type(client)):
            if isinstance(value, cached_property):
                cls = type(getattr(client, name))
                found |= {f"{name}.{m}" for m, _ in inspect.getmembers(cls, inspect.isfunction)}
        return {
            name
            for name in found
            if "_" not in (name[0], name.rpartition(".")[2][0])
            and name.rpartition(".")[2] not in LOCAL
        }


SERVICES: Mapping[str, Service] = {
    "kapture": Service(
        "kapture", KAPTURE, KaptureEmulator, KaptureClient, SyncKaptureClient, kapture_world
    ),
    "support": Service(
        "support",
        SUPPORT,
        partial(SupportEmulator, token_seconds=1e9),
        SupportClient,
        SyncSupportClient,
        support_world,
    ),
}
