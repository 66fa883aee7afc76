"""The commands for single calls."""

from __future__ import annotations

import sys
from typing import Any

import click

from .._core.cli.console import json_line, one_line, say, show_error, warn
from .._core.cli.exit_codes import DONE, REJECTED, code_of_error
from .._core.cli.options import Target, json_option, pairs, target_options, timeout_option
from .._core.cli.running import Reading, run
from ..client import KaptureClient
from ..tickets.models import NewTicket
from .options import EXTRA, KaptureTarget, extra_shape, objects_of, set_option
from .show import show_more, show_ticket


@click.command()
@click.option("--title", required=True)
@click.option("--details", metavar="TEXT", help="The description.")
@click.option("--email", metavar="ADDRESS", help="Of the customer to attach.")
@click.option("--due", metavar="DATE", help="Such as '2026-01-31 18:00:00'; sent as it is.")
@EXTRA
@extra_shape
@timeout_option
@json_option
@target_options(KaptureTarget)
def add(
    title: str,
    details: str | None,
    email: str | None,
    due: str | None,
    extra: tuple[str, ...],
    extra_shape: str,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Add one ticket."""
    ticket = NewTicket(
        title=title,
        ticket_details=details,
        email_id=email,
        due_date=due,
        extra=objects_of(extra, extra_shape),
    )
    settings = target.settings()

    async def call() -> Any:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.tickets.add(ticket)

    added = run(call)
    if as_json:
        print(json_line(added.raw))
    else:
        say(f"Added ticket {one_line(added.ticket_id)}", style="green")
        if added.url:
            say(one_line(added.url), style="dim")


@click.command()
@click.argument("ticket_id")
@click.option("--sub-status", required=True, metavar="KEY", help="Such as PS; tenants differ.")
@click.option("--comment", metavar="TEXT")
@click.option("--callback-time", metavar="TIME", help="YYYY-MM-DD HH:MM:SS.")
@click.option("--queue", metavar="KEY")
@click.option("--disposition", metavar="PATH")
@click.option("--status", metavar="LABEL", help="Such as Complete; not documented.")
@EXTRA
@extra_shape
@timeout_option
@json_option
@target_options(KaptureTarget)
def update(
    ticket_id: str,
    extra: tuple[str, ...],
    extra_shape: str,
    timeout: float,
    as_json: bool,
    target: Target,
    **fields: Any,
) -> None:
    """Change a ticket's sub-status, and perhaps comment on it."""
    objects = objects_of(extra, extra_shape)
    settings = target.settings()

    async def call() -> Any:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.tickets.update(ticket_id, **fields, extra=objects)

    updated = run(call)
    if as_json:
        print(json_line(updated.raw))
    else:
        said = f": {one_line(updated.message)}" if updated.message else ""
        say(f"Updated ticket {one_line(updated.ticket_id or ticket_id)}{said}", style="green")


@click.command(cls=Reading)
@click.argument("ticket_ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--conversation",
    "conversation_type",
    metavar="TYPE",
    help="Include conversations: `notes` and `all` were seen.",
)
@click.option(
    "--history", "history_type", metavar="TYPE", help="Include the history: `all` was seen."
)
@set_option
@timeout_option
@json_option
@target_options(KaptureTarget)
def get(
    ticket_ids: tuple[str, ...],
    conversation_type: str | None,
    history_type: str | None,
    extra: tuple[str, ...],
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Get tickets by their ids. With --json, one line per ticket.

    What --conversation and --history add is shown below the ticket; --json has all of it. --set
    gives further switches, such as include_emailbody=true.

    Exit code 1 if one of them is not there.
    """
    settings = target.settings()

    async def call() -> Any:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.tickets.get_many(
                ticket_ids,
                conversation_type=conversation_type,
                history_type=history_type,
                extra=pairs(extra, option="--set"),
            )

    lookup = run(call)
    for number, (ticket_id, ticket) in enumerate(lookup.found.items()):
        if as_json:
            print(json_line(ticket.raw))
        else:
            if number:
                print()
            show_ticket(ticket_id, ticket)
            show_more(ticket)
    for ticket_id in lookup.missing:
        warn(f"there is no ticket {ticket_id}")
    for error in dict.fromkeys(lookup.failed.values()):
        show_error(error)
    codes = {code_of_error(error) for error in lookup.failed.values()}
    sys.exit(max(codes | {REJECTED if lookup.missing else DONE}))
