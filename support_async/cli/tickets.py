"""The commands for single tickets and their files, lists, and ``doctor``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NoReturn

import click

from kapture_async._core.cli.console import count, json_line, labelled, say
from kapture_async._core.cli.exit_codes import DONE, UNKNOWN, USAGE
from kapture_async._core.cli.options import (
    Command,
    Sectioned,
    Target,
    json_option,
    one_json_option,
    patience_option,
    target_options,
    timeout_option,
    with_options,
)
from kapture_async._core.cli.output import listing_options, put_rows, refuse_both
from kapture_async._core.cli.progress import DownloadDisplay
from kapture_async._core.cli.running import Reading

from ..attachments import MAX_DOWNLOAD_BYTES
from ..client import SupportClient
from ..tickets.models import NewTicket, TicketRow
from ..tickets.resource import PAGE
from .calls import ask, change, client_of
from .options import (
    ID,
    PRIORITY,
    STATUS,
    SupportTarget,
    comment_of,
    comment_options,
    ident,
)
from .push import TRIAL_SUBJECT, TRIAL_TEXT, program, service
from .show import Table, created_json, history_cells, history_table, show_created, show_ticket


@click.command(cls=Sectioned)
@click.option("--subject", required=True, metavar="TEXT", help="At most 500 characters.")
@comment_options
@click.option("--category", **ID, required=True, help="See `categories`.")
@click.option("--priority", **PRIORITY, required=True)
@click.option("--find", is_flag=True, help="Look for the new ticket's id in the history.")
@timeout_option
@click.option(
    "--json", "as_json", is_flag=True, help="What is known, as JSON; the service returns nothing."
)
@target_options(SupportTarget)
def create(
    subject: str,
    comment: str | None,
    comment_file: str | None,
    attach: str | None,
    category: str,
    priority: str,
    find: bool,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Create one ticket. The service does not return its id; --find looks for it."""
    ticket = NewTicket(
        subject=subject,
        comment=comment_of(comment, comment_file),
        category=category,
        priority=priority,
        attachment=attach,
    )
    if not find:
        ask(target, timeout, lambda client: client.tickets.create(ticket))
        if as_json:
            print(json_line(created_json(None)))
            return
        say("Created", style="green")
        say("The service does not return its id; --find looks for it.", stderr=True)
        return
    created = ask(target, timeout, lambda client: client.tickets.create_and_find(ticket))
    if as_json:
        print(json_line(created_json(created)), flush=True)
    show_created(created, on_screen=not as_json)
    sys.exit(DONE if created.doubt is None else UNKNOWN)


@click.command(cls=Reading)
@click.argument("ticket_id", **ID)
@timeout_option
@json_option
@target_options(SupportTarget)
def show(ticket_id: str, timeout: float, as_json: bool, target: Target) -> None:
    """Show a ticket with its replies and the ids of its files."""
    ticket = ask(target, timeout, lambda client: client.tickets.get(ticket_id))
    if as_json:
        print(json_line(ticket.raw))
    else:
        show_ticket(ticket)


@click.command(cls=Sectioned)
@click.argument("ticket_id", **ID)
@comment_options
@timeout_option
@target_options(SupportTarget)
def reply(
    ticket_id: str,
    comment: str | None,
    comment_file: str | None,
    attach: str | None,
    timeout: float,
    target: Target,
) -> None:
    """Add a reply to a ticket, optionally with a file."""
    text = comment_of(comment, comment_file)
    ask(target, timeout, lambda client: client.tickets.reply(ticket_id, text, attachment=attach))
    say(f"Replied to ticket {ticket_id}", style="green")


@click.command(cls=Sectioned)
@click.argument("ticket_id", **ID)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    required=True,
    metavar="ID",
    help="A tag it is to have; name all of them. See `tags`. Repeatable.",
)
@click.option("--priority", **PRIORITY, help="Unchanged if left out.")
@timeout_option
@target_options(SupportTarget)
def update(
    ticket_id: str, tags: tuple[str, ...], priority: str | None, timeout: float, target: Target
) -> None:
    """Replace the tags of a ticket, and optionally change its priority."""
    ask(
        target,
        timeout,
        lambda client: client.tickets.update(ticket_id, tags=tags, priority=priority),
    )
    say(f"Updated ticket {ticket_id}", style="green")


@click.command("set-priority", cls=Sectioned)
@click.argument("ticket_id", **ID)
@click.argument("priority", **PRIORITY)
@timeout_option
@target_options(SupportTarget)
def set_priority(ticket_id: str, priority: str, timeout: float, target: Target) -> None:
    """Change only the priority of a ticket.

    The service changes a priority only together with the tags, so these are read and sent back.
    A change of the tags in between is lost; for a ticket without tags, use `update`.
    """
    ask(target, timeout, lambda client: client.tickets.set_priority(ticket_id, priority))
    say(f"Ticket {ticket_id} has priority {priority}", style="green")


def _several(command: Command) -> Command:
    argument = click.argument("ticket_ids", nargs=-1, required=True, **ident("ID..."))
    return with_options((argument, timeout_option, target_options(SupportTarget)))(command)


@click.command(cls=Sectioned)
@_several
def close(ticket_ids: tuple[str, ...], timeout: float, target: Target) -> None:
    """Close tickets. Exit code 1 if one of them is already closed."""
    change(
        ticket_ids,
        target,
        timeout,
        lambda client, one: client.tickets.close(one),
        ("Closed", "closed"),
    )


@click.command(cls=Sectioned)
@_several
def reopen(ticket_ids: tuple[str, ...], timeout: float, target: Target) -> None:
    """Reopen closed tickets. Exit code 1 if one of them is already open."""
    change(
        ticket_ids,
        target,
        timeout,
        lambda client, one: client.tickets.reopen(one),
        ("Reopened", "open"),
    )


@click.command(cls=Sectioned)
@click.argument("attachment_id", **ident("ATTACHMENT_ID"))
@click.option(
    "--to",
    default=".",
    show_default=True,
    metavar="PATH",
    help="The file to create, or a folder: the service then names the file.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=MAX_DOWNLOAD_BYTES,
    show_default=True,
    help="The most to accept.",
)
@timeout_option
@target_options(SupportTarget)
def download(
    attachment_id: str, to: str, overwrite: bool, max_bytes: int, timeout: float, target: Target
) -> None:
    """Download a file of a ticket, and print its path. `show` lists the ids."""
    if not overwrite and os.path.isfile(to):
        _refuse_to_replace(to)
    bar = DownloadDisplay(f"File {attachment_id}")

    async def call(client: SupportClient) -> Path:
        with bar:
            return await client.attachments.download(
                attachment_id,
                to,
                overwrite=overwrite,
                max_bytes=max_bytes,
                on_progress=bar.on_progress,
            )

    try:
        print(ask(target, timeout, call))
    except FileExistsError as error:
        if not os.path.isfile(error.filename):
            raise
        _refuse_to_replace(error.filename)


def _refuse_to_replace(path: str) -> NoReturn:
    labelled(
        ("error", f"{Path(path)} already exists, and was left alone", "bold red"),
        ("next", "Use another path with --to, or --overwrite.", "bold"),
    )
    sys.exit(USAGE)


# --- lists -----------------------------------------------------------------------------------


@click.command(cls=Reading)
@timeout_option
@json_option
@target_options(SupportTarget)
def categories(timeout: float, as_json: bool, target: Target) -> None:
    """List the categories. With --json, one line per category."""
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
    """List the tags. With --json, one line per tag."""
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
@click.option("--offset", type=click.IntRange(0), help="How many to skip.")
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
    """List tickets, newest first. With --json, one line per ticket."""
    if everything and (limit is not None or offset is not None):
        raise click.UsageError("--all does not go with --limit or --offset")
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


# --- doctor ----------------------------------------------------------------------------------


@click.command(cls=Sectioned, short_help="Check whether lost answers can be looked up.")
@click.option("--category", **ID, required=True, help="Of the trial ticket; see `categories`.")
@click.option("--priority", **PRIORITY, required=True, help="Of the trial ticket.")
@click.option("--subject", metavar="TEXT", default=TRIAL_SUBJECT, help="Instead of the default.")
@patience_option
@timeout_option
@one_json_option
@target_options(SupportTarget)
def doctor(
    category: str,
    priority: str,
    subject: str,
    patience: float,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Create one trial ticket and look for it, to check whether lost answers can be looked up.

    Exit code 0 if they can, 3 if they cannot. The ticket stays open.
    """
    from kapture_async._core.cli.doctor import examine_service

    trial = NewTicket(subject=subject, comment=TRIAL_TEXT, category=category, priority=priority)
    close = shlex.join([*program().split(), "close"])
    again = shlex.join(target.as_arguments())
    code = examine_service(
        target,
        service(),
        lambda client: client.tickets.doctor(trial, patience=patience),
        timeout=timeout,
        close=lambda ticket_id: " ".join(filter(None, (close, ticket_id, again))),
        as_json=as_json,
    )
    sys.exit(code)
