"""The commands that push a file: ``push``, ``update-many`` and ``push-customers``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import click
from attrs import evolve, frozen

from .._api import ADD_CUSTOMER, ADD_TICKET, INDIA, UPDATE_TICKET, codec_of
from .._core.cli.commands import exit_codes
from .._core.cli.options import Decorator, Sectioned, Target, gathering, pairs, target_options
from .._core.cli.push import push_file
from .._core.cli.push_options import PushOptions
from .._core.cli.push_run import connect_by
from .._core.cli.running import program_name
from .._core.cli.service import Service, Vendor, Work
from .._core.push.sources.columns import Columns
from .._reference import TEXT, Field, ReferencePlace, mark
from .._validation import wire_names
from ..client import KaptureClient
from ..customers.models import CustomerFields, NewCustomer
from ..customers.push import mark_customer, pack_customer
from ..tickets.models import (
    KNOWN_FIELDS,
    UPDATE_FIELDS,
    NewTicket,
    TicketDetail,
    TicketUpdate,
)
from ..tickets.push import BY_TICKET, mark_update, pack, pack_update
from .options import KaptureTarget, object_shape, with_flags

if TYPE_CHECKING:
    from .._core.outcome import Outcome


def program() -> str:
    """How this program was called, for commands to copy."""
    return program_name("kapture-async", "kapture_async")


@frozen(kw_only=True)
class KapturePushOptions(PushOptions):
    """With fields in objects of the tenant's own."""

    reference_places: ClassVar[str] = "text|none|OBJECT.FIELD"
    dotted_help: ClassVar[str] = "; OBJECT.FIELD is a field of an object that your tenant defines"
    saved: ClassVar[tuple[str, ...]] = (*PushOptions.saved, "object_shape")

    object_shape: str = "array"

    @classmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """See :class:`.PushOptions`."""
        return (object_shape,)

    @property
    def objects_as_list(self) -> bool:
        """See :class:`.PushOptions`."""
        return self.object_shape == "array"

    @property
    def place(self) -> ReferencePlace:
        """See :class:`.PushOptions`."""
        if self.reference is None or self.reference in ("text", "none"):
            return None if self.reference == "none" else TEXT
        return Field(self.reference, as_list=self.objects_as_list)


_USUAL: Mapping[str, tuple[str, ...]] = {
    "title": ("subject", "summary", "headline", "topic", "issue"),
    "ticket_details": (
        *("description", "details", "detail", "message", "text", "body", "comment"),
        "problem",
    ),
    "due_date": ("due", "deadline", "due by", "due on"),
    "email_id": ("email", "e mail", "mail", "email address"),
    "ticket_id": ("id", "ticket", "ticket number", "ticket no", "case id"),
    "sub_status": ("substatus",),
    "comment": ("note", "remark", "remarks", "reply", "resolution"),
    "queue": ("team", "group"),
    "disposition": ("folder", "category"),
    "callback_time": ("callback", "call back", "follow up"),
    "customer_name": ("name", "full name", "customer"),
    "phone": ("mobile", "phone number", "telephone", "contact number", "mobile number"),
    "customer_code": ("code", "customer id"),
}
"""What columns are usually called, by the field they are for."""


def place_in(place: str) -> ReferencePlace:
    """Where references travel, from the journal's word for it."""
    if place.startswith("field "):
        return Field(place.removeprefix("field "))
    return None if place == "none" else TEXT


def _check_json(row: Mapping[str, Any]) -> None:
    """Raise ``InvalidInputError`` for a row that cannot be written as JSON."""
    from .._core.transport.request import json_body

    json_body(dict(row))


def service(_: PushOptions | None = None) -> Service:
    """How tickets are pushed; the options of a push change none of it."""
    return Service(
        program=program(),
        operation=ADD_TICKET.name,
        options=KapturePushOptions,
        target=KaptureTarget,
        wire_fields=KNOWN_FIELDS,
        required=("title",),
        usual=_USUAL,
        zone=INDIA,
        build=NewTicket.wire_of,
        check=_check_json,
        connect=connect_by(KaptureClient),
        look_up=f"{program()} pull --from {datetime.now(INDIA).date()} --out seen.jsonl",
        place_in=place_in,
        pack=lambda body: pack(body, codec_of(INDIA)),
        wire=lambda body, reference, place: mark(dict(body), reference, place),
        answer=_answer("title", "url"),
        get_tickets=get_tickets,
    )


async def get_tickets(
    client: KaptureClient, ticket_ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """What a person recognizes tickets by, of those that exist.

    Raises:
        HelpdeskError: one of them could not be requested.
    """
    lookup = await client.tickets.get_many(ticket_ids)
    for error in lookup.failed.values():
        raise error
    return {ticket_id: _texts_of(ticket) for ticket_id, ticket in lookup.found.items()}


def _texts_of(ticket: TicketDetail) -> dict[str, str | None]:
    fields = {
        f"{name}.{inner}": str(value)
        for name, fields in (ticket.associate_fields or {}).items()
        if isinstance(fields, Mapping)
        for inner, value in fields.items()
    }
    created = ticket.created_at
    return {
        "title": ticket.title,
        "status": " / ".join(filter(None, (ticket.status_label, ticket.sub_status_label))),
        "created": None if created is None else f"{created:%Y-%m-%d %H:%M %z}",
        "assignee": ticket.assignee_name,
        "priority": ticket.priority,
        "folders": " > ".join(ticket.folders),
        **fields,
        "url": ticket.url,
    }


def _answer(*more: str, id: str = "ticket_id") -> Callable[[Outcome], dict[str, str | None]]:
    """What to show of an accepted row: its id, and further attributes of the result."""

    def answer(outcome: Outcome) -> dict[str, str | None]:
        result: Any = outcome.result  # type: ignore[attr-defined]
        return {name.replace("_", " "): getattr(result, name) for name in (id, *more)}

    return answer


# --- update-many -----------------------------------------------------------------------------

_ID = "ticket_id"
_FILLED: Mapping[str, tuple[str, str]] = {
    "sub_status": ("KEY", "The sub-status for rows without one, such as CL; tenants differ."),
    "comment": ("TEXT", "The comment for rows without one."),
    "queue": ("KEY", "The queue for rows without one."),
    "disposition": ("PATH", "The folder for rows without one."),
    "callback_time": ("TIME", "YYYY-MM-DD HH:MM:SS, for rows without one."),
    "status": ("LABEL", "The status for rows without one, such as Complete; undocumented."),
}


@frozen(kw_only=True)
class UpdateOptions(KapturePushOptions):
    """With values for rows that lack them. The ticket id identifies a row."""

    takes_mapping_of_tenant: ClassVar[bool] = False
    key_help: ClassVar[str] = (
        "The column that identifies each row, if a ticket is to be updated more than once.  "
        "[default: the column of the ticket id]"
    )
    reference_means: ClassVar[str] = "the comment, if there is one"
    saved: ClassVar[tuple[str, ...]] = (*KapturePushOptions.saved, *_FILLED)

    sub_status: str | None = None
    comment: str | None = None
    queue: str | None = None
    disposition: str | None = None
    callback_time: str | None = None
    status: str | None = None

    @classmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """See :class:`.PushOptions`."""
        filled = (
            click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=text)
            for name, (metavar, text) in _FILLED.items()
        )
        return (*filled, *super().own_options())

    @property
    def _column(self) -> str:
        """The column with the ticket ids."""
        return pairs(self.map, option="--map").get(_ID, _ID)

    @property
    def columns(self) -> Columns:
        """See :class:`.PushOptions`; a row's key is its ticket id unless --key names another."""
        return evolve(super().columns, key=self.key or self._column)

    @property
    def keys(self) -> str | None:
        """See :class:`.PushOptions`."""
        return BY_TICKET if self.key in (None, self._column) else self.key

    @property
    def fills(self) -> dict[str, str | None]:
        """What is filled into rows that lack it; a sub-status is required."""
        given = {name: getattr(self, name) for name in _FILLED}
        needed = {"sub_status": self.sub_status}
        return needed | {name: value for name, value in given.items() if value is not None}


@click.command("update-many", cls=Sectioned)
@gathering("options", UpdateOptions)
@target_options(KaptureTarget)
@exit_codes
def update_many(options: PushOptions, target: Target) -> None:
    """Update the tickets listed in a FILE: comment, sub-status and more.

    It works like `push`, with the same kinds of files, journals and commands. The columns
    ticket_id, sub_status, comment, queue, disposition, callback_time and status are sent, or
    those that --map names; options fill in what a row lacks. Each ticket is updated once, even
    if FILE repeats it; of two different updates of one ticket the second is not sent, and
    `rejects` lists it, unless --key tells the two apart.

    A comment gets one more line, by which a lost answer can be looked up. Rows without a comment
    do not: if their answer is lost, you have to resolve them by hand, unless --reference
    OBJECT.FIELD names another place.
    """
    sys.exit(push_file(options, target, update_service(options)))


def update_service(options: PushOptions | None = None) -> Service:
    """How tickets are updated."""
    assert options is None or isinstance(options, UpdateOptions)
    fills = {} if options is None else options.fills
    return Service(
        program=program(),
        command="update-many",
        operation=UPDATE_TICKET.name,
        options=UpdateOptions,
        target=KaptureTarget,
        wire_fields=UPDATE_FIELDS,
        required=(_ID,),
        usual=_USUAL,
        zone=INDIA,
        fills=fills,
        build=_update_from(fills),
        check=lambda update: _check_json(update.to_wire(INDIA)),
        connect=connect_by(KaptureClient, lambda made: made.tickets.update_many),
        look_up=f"{program()} get TICKET_ID --json",
        place_in=place_in,
        pack=lambda update: pack_update(update, codec_of(INDIA)),
        wire=lambda update, reference, place: mark_update(update, reference, place).to_wire(INDIA),
        answer=_answer("message"),
    )


def _update_from(fills: Mapping[str, str | None]) -> Callable[[dict[str, Any]], TicketUpdate]:
    def build(content: dict[str, Any]) -> TicketUpdate:
        update = TicketUpdate.from_mapping(content)
        missing: dict[str, Any] = {
            name: value for name, value in fills.items() if getattr(update, name) is None
        }
        update = evolve(update, **missing) if missing else update
        update.to_wire(INDIA)  # so that an error names its line
        return update

    return build


# --- push-customers --------------------------------------------------------------------------

_OBJECTS = frozenset({"additional_fields", "associate_fields"})
"""Fields that no cell holds: their own fields are dotted."""


@frozen(kw_only=True)
class CustomerOptions(PushOptions):
    """With fields in objects of a customer."""

    takes_mapping_of_tenant: ClassVar[bool] = False
    reference_places: ClassVar[str] = "text|none|OBJECT.FIELD"
    reference_means: ClassVar[str] = "the remarks"
    dotted_help: ClassVar[str] = "; OBJECT.FIELD is a field of an object, as of associate_fields"

    @property
    def objects_as_list(self) -> bool:
        """See :class:`.PushOptions`."""
        return False

    @property
    def place(self) -> ReferencePlace:
        """See :class:`.PushOptions`."""
        if self.reference is None or self.reference in ("text", "none"):
            return None if self.reference == "none" else TEXT
        return Field(self.reference, as_list=False)


@click.command("push-customers", cls=Sectioned)
@gathering("options", CustomerOptions)
@target_options(KaptureTarget)
@exit_codes
def push_customers(options: PushOptions, target: Target) -> None:
    """Push a FILE of customers. It works like `push`, with the same kinds of files, journals and
    commands.

    Columns named like the fields of customer_info (customer_name, phone, email_id, ...) are
    sent, or those that --map names. A customer needs a name, and a phone number or an e-mail
    address. Each row is sent once, but the service may merge it into an existing customer.
    """
    sys.exit(push_file(options, target, customer_service(options)))


def customer_service(_: PushOptions | None = None) -> Service:
    """How customers are pushed; the options of a push change none of it."""
    return Service(
        program=program(),
        command="push-customers",
        operation=ADD_CUSTOMER.name,
        resource="customers",
        options=CustomerOptions,
        target=KaptureTarget,
        wire_fields=tuple(name for name in wire_names(NewCustomer) if name not in _OBJECTS),
        required=(),
        usual=_USUAL,
        zone=INDIA,
        build=lambda content: NewCustomer.from_mapping(with_flags(content)),
        check=lambda customer: _check_json(customer.to_wire()),
        connect=connect_by(KaptureClient, lambda made: made.customers.push),
        look_up="look up the customers by phone or e-mail address (customers get)",
        place_in=place_in,
        pack=lambda customer: pack_customer(customer, codec_of(INDIA)),
        wire=_customer_wire,
        answer=_answer("message", id="customer_id"),
    )


def _customer_wire(
    customer: CustomerFields, reference: str, place: ReferencePlace
) -> dict[str, Any]:
    return mark_customer(customer, reference, place).to_wire()


VENDOR = Vendor(
    KaptureTarget,
    (
        Work(ADD_TICKET.name, KapturePushOptions, service),
        Work(UPDATE_TICKET.name, UpdateOptions, update_service),
        Work(ADD_CUSTOMER.name, CustomerOptions, customer_service),
    ),
)
