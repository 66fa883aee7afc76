"""The commands ``orders ...``."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from typing import Any

import click
from attrs import evolve, frozen

from .._core.cli.console import count, json_line, one_line, say
from .._core.cli.options import (
    Sectioned,
    Target,
    UserAndPassword,
    json_option,
    target_options,
    timeout_option,
)
from .._core.cli.output import listing_options, put_rows, refuse_both, warn_of_short
from .._core.cli.running import Reading, run
from .._core.errors import ConfigurationError
from .._core.secret import Secret
from ..client import KaptureClient
from ..orders import NewOrder, OrderRow, SavedOrder
from .options import KaptureTarget, body_of, cm_id_option, filter_option, filters_of


@frozen(kw_only=True)
class OrdersTarget(KaptureTarget):
    """A tenant, and the user of its order API, who has a password (SERVICE.md, section 9).

    A token is used only if it is given to the order command itself; the one in the environment is
    for all the other calls.
    """

    def own_settings(self, *, may_prompt: bool) -> dict[str, Any]:
        """See :class:`Target`."""
        address: dict[str, Any] = self.address()
        who: Secret | UserAndPassword
        given = self.token or self.token_file or self.username
        username = os.environ.get("KAPTURE_ORDERS_USERNAME")
        if given or not username:
            username = self.environment.get("username")
            if not given and not username:
                raise ConfigurationError(
                    "the order API takes a user name and a password",
                    next_step="Use --username, or set KAPTURE_ORDERS_USERNAME and "
                    "KAPTURE_ORDERS_PASSWORD; if your tenant takes a token there, use "
                    "--token-file.",
                )
            user = self if given else evolve(self, username=username)
            who = user.credentials(may_prompt=may_prompt)
        elif password := os.environ.get("KAPTURE_ORDERS_PASSWORD"):
            who = UserAndPassword(Secret(username), Secret(password))
        else:
            raise ConfigurationError("no password given", next_step="Set KAPTURE_ORDERS_PASSWORD.")
        pair = who if isinstance(who, Secret) else (who.username, who.password)
        return address | {"credentials": {"orders": pair}}


@click.group(short_help="Add, update and pull orders.")
def orders() -> None:
    """Orders of the tenant. The order API takes a user name and a password.

    Use --username, which prompts for the password; or set KAPTURE_ORDERS_USERNAME and
    KAPTURE_ORDERS_PASSWORD, or KAPTURE_USERNAME and KAPTURE_PASSWORD.
    """


_BODY = click.option(
    "--body",
    required=True,
    metavar="FILE.json",
    help="The order as one JSON object, by the wire names (customer_info, order_info, "
    "product_details, ...); `-` is standard input.",
)


@orders.command(cls=Sectioned)
@_BODY
@timeout_option
@json_option
@target_options(OrdersTarget)
def add(body: str, timeout: float, as_json: bool, target: Target) -> None:
    """Add one order."""
    order = NewOrder.from_mapping(body_of(body))
    settings = target.settings()

    async def call() -> SavedOrder:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.orders.add(order)

    _show_saved("Added", run(call), None, as_json=as_json)


@orders.command(cls=Sectioned)
@click.argument("order_id")
@_BODY
@click.option(
    "--id-at",
    required=True,
    metavar="PLACE",
    help="Where the id goes in the body, such as order_info.order_id; undocumented.",
)
@timeout_option
@json_option
@target_options(OrdersTarget)
def update(
    order_id: str, body: str, id_at: str, timeout: float, as_json: bool, target: Target
) -> None:
    """Change one order.

    Where the service expects the id in the body is undocumented, and an id in the wrong place may
    add another order: try it with one order, then pull.
    """
    order = NewOrder.from_mapping(body_of(body))
    settings = target.settings()

    async def call() -> SavedOrder:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.orders.update(order_id, order, id_at=id_at)

    _show_saved("Updated", run(call), order_id, as_json=as_json)


@orders.command(cls=Reading)
@cm_id_option
@click.option("--customer", metavar="ID", help="Kapture's id of the customer.")
@click.option("--name", metavar="TEXT")
@filter_option
@listing_options
@target_options(OrdersTarget)
def pull(
    cm_id: str,
    customer: str | None,
    name: str | None,
    filters: tuple[str, ...],
    out: str | None,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Pull orders by filters; the service requires at least one."""
    refuse_both(out, as_json=as_json)
    extra = filters_of(filters)
    settings = target.settings()

    async def rows() -> AsyncGenerator[OrderRow, None]:
        async with (
            KaptureClient(**settings, timeout=timeout) as client,
            client.orders.pull(cm_id, customer_ids=customer, name=name, extra=extra) as pulled,
        ):
            async for row in pulled:
                yield row
            warn_of_short(pulled.incomplete, "orders")

    number, where = put_rows(rows, _show_row, out=out, as_json=as_json)
    say(f"{count(number, 'order')}{where}", style="dim", stderr=True)


def _show_saved(did: str, saved: SavedOrder, known: str | None, *, as_json: bool) -> None:
    if as_json:
        print(json_line(saved.raw))
        return
    number = known or saved.order_id
    said = f": {one_line(saved.message)}" if saved.message else ""
    name = f"order {one_line(number)}" if number else "the order"
    say(f"{did} {name}{said}", style="green")
    if not number:
        say("The answer does not show the order's id; --json shows the answer.", style="dim")


def _show_row(row: OrderRow) -> None:
    # The content of a row is unknown: show its id, if there is one, and the beginning of the rest.
    rest = {name: value for name, value in row.raw.items() if value not in ("", None, [], {})}
    print(f"{one_line(row.order_id or '?'):<12} {one_line(json_line(rest), 120)}")
