"""The commands ``customers ...``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import click

from .._core.cli.console import count, json_line, one_line, say
from .._core.cli.options import (
    Command,
    Sectioned,
    Target,
    json_option,
    target_options,
    timeout_option,
    with_options,
)
from .._core.cli.output import listing_options, put_rows, refuse_both, warn_of_short
from .._core.cli.running import Reading, run
from ..client import KaptureClient
from ..customers.models import Customer, CustomerFields, CustomerRow, NewCustomer, SavedCustomer
from .options import (
    KaptureTarget,
    body_of,
    body_option,
    cm_id_option,
    customer_fields_of,
    filter_option,
    filters_of,
    set_option,
)


@click.group(short_help="Add, update, get and pull customers.")
def customers() -> None:
    """Customers of the tenant."""


def _what_is_said(command: Command) -> Command:
    """Give a command the fields of a customer."""
    return with_options(
        (
            click.option("--name", metavar="TEXT", help="The customer's name."),
            click.option("--phone", metavar="NUMBER"),
            click.option("--email", metavar="ADDRESS"),
            click.option("--code", metavar="TEXT", help="Your own code for the customer."),
            set_option,
            body_option,
            timeout_option,
            json_option,
            target_options(KaptureTarget),
        )
    )(command)


def _row(
    name: str | None,
    phone: str | None,
    email: str | None,
    code: str | None,
    extra: tuple[str, ...],
    body: str | None,
) -> dict[str, Any]:
    """A customer by wire names: from a file, or from options."""
    given = {"customer_name": name, "phone": phone, "email_id": email, "customer_code": code}
    row = {wire: value for wire, value in given.items() if value is not None}
    more = customer_fields_of(extra)
    for wire in row.keys() & more.keys():
        raise click.UsageError(f"{wire} is given twice")
    if body is None:
        return row | more
    if row or more:
        raise click.UsageError("--body holds the whole customer: no field may stand beside it")
    return body_of(body)


@customers.command(cls=Sectioned)
@_what_is_said
def add(timeout: float, as_json: bool, target: Target, **said: Any) -> None:
    """Add one customer: a name, and a phone number or an e-mail address.

    What else a customer has (contacts, an enquiry, objects of the tenant) goes into a --body.
    """
    customer = NewCustomer.from_mapping(_row(**said))
    settings = target.settings()

    async def call() -> SavedCustomer:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.customers.add(customer)

    _show_saved("Added", run(call), None, as_json=as_json)


@customers.command(cls=Sectioned)
@click.argument("customer_id")
@_what_is_said
def update(customer_id: str, timeout: float, as_json: bool, target: Target, **said: Any) -> None:
    """Change what is given of one customer, chosen by Kapture's id."""
    changes = CustomerFields.from_mapping(_row(**said))
    settings = target.settings()

    async def call() -> SavedCustomer:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.customers.update(customer_id, changes)

    _show_saved("Updated", run(call), customer_id, as_json=as_json)


@customers.command(cls=Reading)
@click.argument("customer_id", required=False)
@click.option("--email", metavar="ADDRESS")
@click.option("--phone", metavar="NUMBER")
@click.option("--own-id", metavar="TEXT", help="An id of your own; not documented.")
@timeout_option
@json_option
@target_options(KaptureTarget)
def get(
    customer_id: str | None,
    email: str | None,
    phone: str | None,
    own_id: str | None,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Get one customer by Kapture's id, or by an e-mail address or a phone number."""
    settings = target.settings()

    async def call() -> Customer:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.customers.get(
                customer_id, email_id=email, phone=phone, customer_id=own_id
            )

    customer = run(call)
    if as_json:
        print(json_line(customer.raw))
    else:
        _show(customer)


@customers.command(cls=Reading, short_help="Pull the customers created on some days.")
@click.option("--from", "start", required=True, metavar="DAY", help="Such as 2026-01-31.")
@click.option("--to", "end", metavar="DAY", help="The last day; otherwise the first.")
@cm_id_option
@filter_option
@listing_options
@target_options(KaptureTarget)
def pull(
    start: str,
    end: str | None,
    cm_id: str,
    filters: tuple[str, ...],
    out: str | None,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Pull the customers created on the days from DAY to DAY, all pages of them."""
    refuse_both(out, as_json=as_json)
    extra = filters_of(filters)
    settings = target.settings()

    async def rows() -> AsyncGenerator[CustomerRow, None]:
        async with (
            KaptureClient(**settings, timeout=timeout) as client,
            client.customers.pull(start, end, cm_id=cm_id, extra=extra) as pulled,
        ):
            async for row in pulled:
                yield row
            warn_of_short(pulled.incomplete, "customers")

    number, where = put_rows(rows, _show_row, out=out, as_json=as_json)
    say(f"{count(number, 'customer')}{where}", style="dim", stderr=True)


def _show_saved(did: str, saved: SavedCustomer, known: str | None, *, as_json: bool) -> None:
    if as_json:
        print(json_line(saved.raw))
        return
    number = saved.customer_id or known
    said = f": {one_line(saved.message)}" if saved.message else ""
    name = f"customer {one_line(number)}" if number else "the customer"
    say(f"{did} {name}{said}", style="green")
    if not number:
        say("The answer does not show the customer's id; --json shows the answer.", style="dim")


def _show(customer: Customer) -> None:
    say(f"{one_line(customer.customer_id)}  {one_line(customer.name or '')}", style="bold")
    created = None if customer.created_at is None else f"{customer.created_at:%Y-%m-%d %H:%M %z}"
    place = [customer.address, customer.city, customer.state, customer.country]
    lines = {
        "code": customer.customer_code,
        "created": created,
        "phone": customer.phone,
        "address": ", ".join(part.strip() for part in place if part and part.strip()),
        "remarks": customer.remarks,
        "enquiries": str(customer.enquiry_count or ""),
    }
    for number, person in enumerate(customer.contacts, 1):
        words = " ".join(part for part in (person.name, person.phone) if part)
        lines[f"contact {number}"] = f"{words} ({person.contact_id})"
    for name, text in lines.items():
        if text:
            say(f"  {name:<10} {one_line(text)}")


def _show_row(row: CustomerRow) -> None:
    created = "" if row.created_at is None else f"{row.created_at:%Y-%m-%d %H:%M}"
    name = one_line(row.name or "", 80)
    print(f"{one_line(row.customer_id or ''):<14} {created:<16} {name}")
