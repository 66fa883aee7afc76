"""The commands for single tickets and their files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from kapture_async._core.cli.console import json_line, labelled, say
from kapture_async._core.cli.exit_codes import DONE, UNKNOWN, USAGE
from kapture_async._core.cli.options import (
    Command,
    Target,
    json_option,
    target_options,
    timeout_option,
    with_options,
)
from kapture_async._core.cli.progress import DownloadDisplay
from kapture_async._core.cli.running import Reading

from ..attachments import MAX_DOWNLOAD_BYTES
from ..client import SupportClient
from ..tickets.models import NewTicket
from .calls import ask, change
from .options import (
    ID,
    PRIORITY,
    SupportTarget,
    comment_of,
    comment_options,
    ident,
)
from .show import created_json, show_created, show_ticket


@click.command()
@click.option("--subject", required=True, metavar="TEXT", help="At most 500 characters.")
@comment_options
@click.option("--category", **ID, required=True, help="See `categories`.")
@click.option("--priority", **PRIORITY, required=True)
@click.option("--find", is_flag=True, help="Look for the new ticket's id in the history.")
@timeout_option
@click.option(
    "--json", "as_json", is_flag=True, help="What is known, as JSON; the service tells nothing."
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
    """Create one ticket. The service tells no id of it; --find looks for it."""
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
        say("The service tells no id of it; --find would have looked for it.", stderr=True)
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


@click.command()
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
    """Add a reply to a ticket, perhaps with a file."""
    text = comment_of(comment, comment_file)
    ask(target, timeout, lambda client: client.tickets.reply(ticket_id, text, attachment=attach))
    say(f"Replied to ticket {ticket_id}", style="green")


@click.command()
@click.argument("ticket_id", **ID)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    required=True,
    metavar="ID",
    help="Of a tag it shall have; name all of them. See `tags`. Repeatable.",
)
@click.option("--priority", **PRIORITY, help="Left out, it stays.")
@timeout_option
@target_options(SupportTarget)
def update(
    ticket_id: str, tags: tuple[str, ...], priority: str | None, timeout: float, target: Target
) -> None:
    """Replace the tags of a ticket, and perhaps change its priority."""
    ask(
        target,
        timeout,
        lambda client: client.tickets.update(ticket_id, tags=tags, priority=priority),
    )
    say(f"Updated ticket {ticket_id}", style="green")


@click.command("set-priority")
@click.argument("ticket_id", **ID)
@click.argument("priority", **PRIORITY)
@timeout_option
@target_options(SupportTarget)
def set_priority(ticket_id: str, priority: str, timeout: float, target: Target) -> None:
    """Change only the priority of a ticket.

    The service changes a priority only together with the tags, so these are read and sent back:
    who changes them in between loses that change, and a ticket without tags needs `update`.
    """
    ask(target, timeout, lambda client: client.tickets.set_priority(ticket_id, priority))
    say(f"Ticket {ticket_id} has priority {priority}", style="green")


def _several(command: Command) -> Command:
    argument = click.argument("ticket_ids", nargs=-1, required=True, **ident("ID..."))
    return with_options((argument, timeout_option, target_options(SupportTarget)))(command)


@click.command()
@_several
def close(ticket_ids: tuple[str, ...], timeout: float, target: Target) -> None:
    """Close tickets. Exit code 1 if one of them is closed already."""
    change(
        ticket_ids,
        target,
        timeout,
        lambda client, one: client.tickets.close(one),
        ("Closed", "closed"),
    )


@click.command()
@_several
def reopen(ticket_ids: tuple[str, ...], timeout: float, target: Target) -> None:
    """Open closed tickets again. Exit code 1 if one of them is open already."""
    change(
        ticket_ids,
        target,
        timeout,
        lambda client, one: client.tickets.reopen(one),
        ("Reopened", "open"),
    )


@click.command()
@click.argument("attachment_id", **ident("ATTACHMENT_ID"))
@click.option(
    "--to",
    default=".",
    show_default=True,
    metavar="PATH",
    help="The file to make; or a folder, and the service names the file.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
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
    """Download a file of a ticket, and print where it is. `show` names the ids."""
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
        ("next", "Name another place with --to, or give --overwrite.", "bold"),
    )
    sys.exit(USAGE)
