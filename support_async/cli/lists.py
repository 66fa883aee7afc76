"""The commands that list: categories, tags, and the history."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import click

from kapture_async._core.cli.console import count, json_line, say
from kapture_async._core.cli.options import Target, json_option, target_options, timeout_option
from kapture_async._core.cli.output import listing_options, put_rows, refuse_both
from kapture_async._core.cli.running import Reading

from ..tickets.models import TicketRow
from ..tickets.resource import PAGE
from .calls import ask, client_of
from .options import ID, STATUS, SupportTarget
from .show import Table, history_cells, history_table


@click.command(cls=Reading)
@timeout_option
@json_option
@target_options(SupportTarget)
def categories(timeout: float, as_json: bool, target: Target) -> None:
    """List what tickets can be about. With --json, one line per category."""
    found = ask(target, timeout, lambda client: client.categories.list())
    table = Table(("id", 6), ("category", 30), ("description", 0))
    for one in found:
        if as_json:
            print(json_line(one.raw))
        else:
            table.put(one.category_id, one.title, one.description)


@click.command(cls=Reading)
@timeout_option
@json_option
@target_options(SupportTarget)
def tags(timeout: float, as_json: bool, target: Target) -> None:
    """List the tags that tickets can have. With --json, one line per tag."""
    found = ask(target, timeout, lambda client: client.tags.list())
    table = Table(("id", 6), ("tag", 30), ("keyword", 0))
    for one in found:
        if as_json:
            print(json_line(one.raw))
        else:
            table.put(one.tag_id, one.title, one.keyword)


@click.command(cls=Reading)
@click.option("--limit", type=click.IntRange(1), help=f"How many.  [default: {PAGE}]")
@click.option("--all", "everything", is_flag=True, help="All of them, page by page.")
@click.option("--offset", type=click.IntRange(0), help="How many to pass over.")
@click.option("--category", **ID, help="Only those of this category.")
@click.option("--status", **STATUS, help="Only those in this status.")
@click.option("--subject", metavar="TEXT", help="Only those with this text in their subject.")
@listing_options
@target_options(SupportTarget)
def history(
    limit: int | None,
    everything: bool,
    offset: int | None,
    out: str | None,
    timeout: float,
    as_json: bool,
    target: Target,
    **filters: Any,
) -> None:
    """List tickets, the newest first. With --json, one line per ticket."""
    if everything and (limit is not None or offset is not None):
        raise click.UsageError("--all has no --limit and no --offset")
    refuse_both(out, as_json=as_json)
    settings = target.settings()
    limit = limit or PAGE

    async def rows() -> AsyncGenerator[TicketRow, None]:
        async with client_of(**settings, timeout=timeout) as client:
            if everything:
                async with client.tickets.iter(**filters) as pages:
                    async for row in pages:
                        yield row
            else:
                for row in await client.tickets.history(offset=offset or 0, limit=limit, **filters):
                    yield row

    table = history_table()
    number, where = put_rows(
        rows, lambda row: table.put(*history_cells(row)), out=out, as_json=as_json
    )
    more = ""
    if not everything and number >= limit:
        more = f"; there may be more: --all, or --offset {(offset or 0) + number}"
    say(f"{count(number, 'ticket')}{where}{more}", style="dim", stderr=True)
