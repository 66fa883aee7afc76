"""The command ``push-customers``: customers are pushed from a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import click
from attrs import frozen

from .._api import ADD_CUSTOMER, INDIA, codec_of
from .._core.cli.options import Decorator, Target, pairs, target_options
from .._core.cli.pushfile import push_file
from .._core.cli.pushing import connect_by
from .._core.cli.pushoptions import PushOptions, push_options
from .._core.cli.service import Service
from .._core.push.sources import Columns
from .._reference import TEXT, Field, ReferencePlace
from .._validation import wire_names
from ..client import KaptureClient
from ..customers.models import CustomerFields, NewCustomer
from ..customers.push import mark_customer, pack_customer
from .options import KaptureTarget, extra_pairs, place_in
from .service import program

if TYPE_CHECKING:
    from .._core.outcome import Outcome

_NO_TEXT = frozenset(
    {"individual", "organization", "channel_partner", "update"}
    | {"additional_fields", "associate_fields"}
)
"""Fields that no cell of a CSV file can hold, since those are texts."""


@frozen(kw_only=True)
class CustomerOptions(PushOptions):
    """With the columns that go into objects of a customer."""

    reference_places: ClassVar[str] = "text|none|OBJECT.FIELD"
    reference_means: ClassVar[str] = "the remarks"
    own_options: ClassVar[tuple[Decorator, ...]] = (
        click.option(
            "--extra",
            multiple=True,
            metavar="OBJECT.FIELD=COLUMN",
            help="Send COLUMN in an object of the customer, such as associate_fields. Repeatable.",
        ),
    )

    extra: tuple[str, ...]

    @property
    def columns(self) -> Columns:
        """Which column goes where."""
        return Columns(
            fields=pairs(self.map, option="--map"),
            extra=extra_pairs(self.extra),
            extra_as_list=False,
            key=self.key,
        )

    @property
    def place(self) -> ReferencePlace:
        """Where references travel."""
        if self.reference is None or self.reference in ("text", "none"):
            return None if self.reference == "none" else TEXT
        return Field(self.reference, as_list=False)

    def own_arguments(self) -> list[str]:
        """See :class:`.PushOptions`."""
        return [part for value in self.extra for part in ("--extra", value)]


@click.command("push-customers", short_help="Push a file of customers.")
@push_options(CustomerOptions)
@target_options(KaptureTarget)
def push_customers(options: PushOptions, target: Target) -> None:
    """Push a FILE of customers: it is `push`, for customers, with the same journal and the same
    commands around it.

    Columns named like the fields of customer_info (customer_name, phone, email_id, ...) are
    sent, or whichever --map names. A customer needs a name, and a phone or an e-mail address.
    The service may merge a row into a customer that it has; so each row is sent once, which is
    not to say that each makes a customer of its own.
    """
    sys.exit(push_file(options, target, customer_service(options)))


def customer_service(_: PushOptions | None = None) -> Service:
    """What it takes to push customers; the options of a push change none of it."""
    return Service(
        program=program(),
        command="push-customers",
        operation=ADD_CUSTOMER.name,
        resource="customers",
        target=KaptureTarget,
        wire_fields=tuple(name for name in wire_names(NewCustomer) if name not in _NO_TEXT),
        required=(),
        build=NewCustomer.from_mapping,
        check=_check_encoding,
        connect=connect_by(KaptureClient, lambda made: made.customers.push),
        look_up="look the customers up by phone or e-mail address (customers.get)",
        place_in=place_in,
        pack=lambda customer: pack_customer(customer, codec_of(INDIA)),
        wire=_wire,
        answer=_answer,
    )


def _wire(customer: CustomerFields, reference: str, place: ReferencePlace) -> dict[str, Any]:
    return mark_customer(customer, reference, place).to_wire()


def _check_encoding(customer: CustomerFields) -> None:
    """Raise ``InvalidInputError`` for a customer who cannot be written as JSON."""
    from .._core.transport.request import json_body

    json_body(dict(customer.to_wire()))


def _answer(outcome: Outcome) -> dict[str, str | None]:
    """What the service said of a customer whom it added."""
    saved: Any = outcome.result  # type: ignore[attr-defined]
    return {"customer id": saved.customer_id, "message": saved.message}
