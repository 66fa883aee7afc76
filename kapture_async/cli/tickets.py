"""The commands for single tickets, and ``doctor``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .._core.cli.console import json_line, one_line, say, show_error, warn
from .._core.cli.exit_codes import DONE, REJECTED, code_of_error, worst_of
from .._core.cli.options import (
    Sectioned,
    Target,
    json_option,
    one_json_option,
    pairs,
    patience_option,
    target_options,
    timeout_option,
)
from .._core.cli.running import Reading, run
from .._core.reconcile.doctor import long_text
from .._reference import TEXT, Field
from ..client import KaptureClient
from ..tickets.models import NewTicket, TicketDetail
from ..tickets.resource import TRIAL_TEXT, TRIAL_TITLE
from .options import KaptureTarget, extra_of, object_shape, set_option
from .push import service


@click.command(cls=Sectioned)
@click.option("--title", required=True)
@click.option("--details", metavar="TEXT", help="The description.")
@click.option("--email", metavar="ADDRESS", help="Of the customer.")
@click.option("--due", metavar="DATE", help="Such as '2026-01-31 18:00:00'; sent as is.")
@set_option
@object_shape
@timeout_option
@json_option
@target_options(KaptureTarget)
def add(
    title: str,
    details: str | None,
    email: str | None,
    due: str | None,
    extra: tuple[str, ...],
    object_shape: str,
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
        extra=extra_of(extra, object_shape),
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


@click.command(cls=Sectioned)
@click.argument("ticket_id")
@click.option("--sub-status", required=True, metavar="KEY", help="Such as PS; tenants differ.")
@click.option("--comment", metavar="TEXT")
@click.option("--callback-time", metavar="TIME", help="YYYY-MM-DD HH:MM:SS.")
@click.option("--queue", metavar="KEY")
@click.option("--disposition", metavar="PATH")
@click.option("--status", metavar="LABEL", help="Such as Complete; undocumented.")
@set_option
@object_shape
@timeout_option
@json_option
@target_options(KaptureTarget)
def update(
    ticket_id: str,
    extra: tuple[str, ...],
    object_shape: str,
    timeout: float,
    as_json: bool,
    target: Target,
    **fields: Any,
) -> None:
    """Change a ticket's sub-status, optionally with a comment."""
    objects = extra_of(extra, object_shape)
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
    help="Include conversations; known values are `notes` and `all`.",
)
@click.option(
    "--history", "history_type", metavar="TYPE", help="Include the history; a known value is `all`."
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

    --conversation and --history show more below the ticket; --json has all of it. --set sends
    further switches, such as include_emailbody=true.

    Exit code 1 if a ticket does not exist.
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
        warn(f"ticket {ticket_id} does not exist")
    for error in dict.fromkeys(lookup.failed.values()):
        show_error(error)
    codes = {code_of_error(error) for error in lookup.failed.values()}
    sys.exit(worst_of(codes | {REJECTED if lookup.missing else DONE}))


def show_ticket(ticket_id: str, ticket: TicketDetail) -> None:
    """A ticket, with the fields of its tenant."""
    say(f"{one_line(ticket_id)}  {one_line(ticket.title or '')}", style="bold")
    created = None if ticket.created_at is None else f"{ticket.created_at:%Y-%m-%d %H:%M %z}"
    sub_status = ticket.sub_status_label
    lines = {
        "status": " / ".join(part for part in (ticket.status_label, sub_status) if part),
        "created": created,
        "assignee": ticket.assignee_name,
        "priority": ticket.priority,
        "folders": " > ".join(ticket.folders),
        "url": ticket.url,
    }
    for name, fields in (ticket.associate_fields or {}).items():
        for inner, value in fields.items() if isinstance(fields, dict) else ():
            lines[f"{name}.{inner}"] = str(value)
    for name, text in lines.items():
        if text:
            say(f"  {one_line(name):<10} {one_line(text)}")


def show_more(ticket: TicketDetail) -> None:
    """The conversations and the history of a ticket, if asked for."""
    for name, parts in (("conversation", ticket.conversations), ("history", ticket.history)):
        for kind, entries in (parts or {}).items():
            for entry in entries if isinstance(entries, list) else [entries]:
                say(f"  {name}, {one_line(kind)}: {one_line(_entry(entry), 300)}")


def _entry(entry: object) -> str:
    """An entry in a line: when, who and its text; or all of it, if it has no text."""
    if not isinstance(entry, dict):
        return str(entry)
    text = next((entry[name] for name in ("detail", "comment", "message") if entry.get(name)), None)
    if text is None:
        return json_line(entry)
    told = (entry.get(name) for name in ("date", "createdDate", "employeeName", "creatorName"))
    return " ".join(str(part) for part in (*told, text) if part)


@click.command(cls=Sectioned, short_help="Check whether lost answers can be looked up.")
@click.option(
    "--reference",
    metavar="[text|OBJECT.FIELD]",
    default="text",
    show_default=True,
    help="Where to put the reference, as for push.",
)
@click.option("--title", metavar="TEXT", help="Of the trial ticket, instead of the default.")
@click.option(
    "--long",
    type=click.IntRange(1),
    metavar="CHARACTERS",
    help="Length of the trial's text: that of your longest row, to see whether its end survives.",
)
@set_option
@object_shape
@patience_option
@timeout_option
@one_json_option
@target_options(KaptureTarget)
def doctor(
    reference: str,
    title: str | None,
    long: int | None,
    extra: tuple[str, ...],
    object_shape: str,
    patience: float,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Create one trial ticket and look for it, to check whether lost answers can be looked up.

    Exit code 0 if they can, 3 if they cannot. The ticket stays open.
    """
    from .._core.cli.doctor import examine_service

    place = Field(reference, as_list=object_shape == "array") if reference != TEXT else TEXT
    objects = extra_of(extra, object_shape)
    trial = None
    if title is not None or objects:
        text = TRIAL_TEXT if long is None else long_text(TRIAL_TEXT, long)
        trial = NewTicket(title=title or TRIAL_TITLE, ticket_details=text, extra=objects)
    code = examine_service(
        target,
        service(),
        lambda client: client.tickets.doctor(
            trial, long=None if trial else long, reference=place, patience=patience
        ),
        timeout=timeout,
        close=lambda ticket_id: None,
        as_json=as_json,
    )
    sys.exit(code)
