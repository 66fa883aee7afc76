"""The command line ``support-async``. Needs the extra ``cli``; without it, it says so and ends."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NoReturn

from kapture_async._core.cli.extra import need_extra

need_extra("kapture-async", "click", "rich")

import click  # noqa: E402

from kapture_async._core.cli.exits import DONE, UNKNOWN, USAGE  # noqa: E402
from kapture_async._core.cli.journalcommands import add_journal_commands  # noqa: E402
from kapture_async._core.cli.listing import listing_options, put_rows, refuse_both  # noqa: E402
from kapture_async._core.cli.options import (  # noqa: E402
    Command,
    Target,
    json_option,
    target_options,
    timeout_option,
    with_options,
)
from kapture_async._core.cli.pushfile import push_file  # noqa: E402
from kapture_async._core.cli.pushing import connect_by  # noqa: E402
from kapture_async._core.cli.pushoptions import PushOptions, push_options  # noqa: E402
from kapture_async._core.cli.running import program_name, run_commands  # noqa: E402
from kapture_async._core.cli.screen import json_line, labelled, say  # noqa: E402
from kapture_async._core.cli.service import Service, Work  # noqa: E402
from kapture_async._core.cli.transfer import TransferBar  # noqa: E402
from kapture_async._core.cli.trials import (  # noqa: E402
    DemoOptions,
    demo_options,
    run_twin,
    twin_options,
)
from kapture_async._core.cli.words import count  # noqa: E402
from kapture_async._core.version import __version__  # noqa: E402

from .attachments import MAX_DOWNLOAD_BYTES  # noqa: E402
from .cli_calls import ask, change, client_of  # noqa: E402
from .cli_options import (  # noqa: E402
    ID,
    PRIORITY,
    STATUS,
    SupportPushOptions,
    SupportTarget,
    comment_of,
    comment_options,
    ident,
    place_in,
)
from .cli_rows import TRIAL_SUBJECT, TRIAL_TEXT, check_encoding, row_builder, wire_of  # noqa: E402
from .cli_show import (  # noqa: E402
    Table,
    created_json,
    history_cells,
    history_table,
    show_created,
    show_ticket,
)
from .client import SupportClient  # noqa: E402
from .models import WIRE_FIELDS, NewTicket, TicketRow  # noqa: E402
from .service import Operations  # noqa: E402
from .tickets import PAGE  # noqa: E402

_CREATES = Operations().create_ticket.name


def main() -> None:
    """Run the command line and end the program."""
    run_commands(commands, name=program(), debug_variable="SUPPORT_DEBUG")


def program() -> str:
    """How this program was called, for commands to copy."""
    return program_name("support-async", "support_async")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="support-async")
def commands() -> None:
    """Support tickets: none lost, none twice, and a list of every doubt.

    Where to and as whom is said by options or by SUPPORT_BASE_URL, SUPPORT_APIKEY and
    SUPPORT_ACCESS_TOKEN (or SUPPORT_USERNAME and SUPPORT_PASSWORD, to log in with). `demo`
    needs none of them.
    """


@commands.command(short_help="Push tickets into a server of its own.")
@demo_options
def demo(options: DemoOptions) -> None:
    """Push tickets into a Support Ticket server of its own, on this machine.

    Ends with what the client believes, held against what that server executed.
    """
    from kapture_async._core.cli.play import play_demo

    from .cli_demo import demo_service

    sys.exit(play_demo(options, demo_service(options, program())))


@commands.command()
@twin_options(
    click.option(
        "--token-seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=3600.0,
        show_default=True,
        metavar="SECONDS",
        help="How long an access token lives.",
    ),
    click.option(
        "--open-ticket-limit",
        type=click.IntRange(0),
        metavar="COUNT",
        help="How many tickets of a user may be open.  [default: any number]",
    ),
    port=8766,
)
def twin(**settings: Any) -> None:
    """Run a Support Ticket server for trials, until Ctrl-C."""
    from .testing import serve
    from .testing.twin import APIKEY, PASSWORD, USERS

    exports = {
        "SUPPORT_BASE_URL": "{url}",
        "SUPPORT_APIKEY": APIKEY,
        "SUPPORT_USERNAME": next(iter(USERS)),
        "SUPPORT_PASSWORD": PASSWORD,
    }
    run_twin(serve, exports, **settings)


# --- push --------------------------------------------------------------------------------------


@commands.command(short_help="Push a file of tickets.")
@push_options(SupportPushOptions)
@target_options(SupportTarget)
def push(options: SupportPushOptions, target: Target) -> None:
    """Push a FILE of tickets: CSV with a header line, or JSON Lines; `-` is standard input.

    The fields are subject, comment, category (its id), priority (low, medium, high or a code)
    and attachment: the path of a file to go with the ticket, in the folder that --attachments
    names. Nothing outside of it is ever sent, whatever a row says.

    A CSV cell is sent as the text it is, an empty one is left out, and columns that are not
    mapped are not sent. A row that cannot be sent, or is refused, never stops the others.

    What was sent and what became of it is kept in a journal, and the same command again goes on
    where it stopped, however it stopped: what is in the helpdesk is not sent again, and neither
    is what may be there; `reconcile` finds out about that. Ctrl-C finishes what is in flight; a
    second one cuts that off too.
    """
    sys.exit(push_file(options, target, _service(options)))


def _service(options: PushOptions | None = None) -> Service:
    assert options is None or isinstance(options, SupportPushOptions)
    return Service(
        program=program(),
        operation=_CREATES,
        target=SupportTarget,
        wire_fields=WIRE_FIELDS,
        required=("subject", "comment"),
        fills={} if options is None else options.fills,
        build=row_builder(None if options is None else options.attachments),
        check=check_encoding,
        connect=connect_by(client_of),
        look_up=f"{program()} history --all --out seen.jsonl",
        place_in=place_in,
        wire=wire_of,
        answer=lambda outcome: {"ticket id": "the service tells none"},
    )


add_journal_commands(commands, SupportTarget, [Work(_CREATES, SupportPushOptions, _service)])


@commands.command(short_help="Which guarantee a push has here.")
@click.option("--category", **ID, required=True, help="Of the trial ticket; see `categories`.")
@click.option("--priority", **PRIORITY, required=True, help="Of the trial ticket.")
@click.option(
    "--subject", metavar="TEXT", default=TRIAL_SUBJECT, help="Instead of one that says so."
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to look for it.",
)
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
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
    """Create one trial ticket, look for it, and say which guarantee a push has here.

    Exit code 0 if lost answers can be looked up, 3 if they cannot. The ticket stays open.
    """
    from kapture_async._core.cli.examining import examine_service

    trial = NewTicket(subject=subject, comment=TRIAL_TEXT, category=category, priority=priority)
    close = shlex.join([*program().split(), "close"])
    again = shlex.join(target.as_arguments())
    code = examine_service(
        target,
        _service(),
        lambda client: client.tickets.doctor(trial, patience=patience),
        timeout=timeout,
        close=lambda ticket_id: " ".join(filter(None, (close, ticket_id, again))),
        as_json=as_json,
    )
    sys.exit(code)


# --- lists -------------------------------------------------------------------------------------


@commands.command()
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


@commands.command()
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


@commands.command()
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


# --- single tickets ----------------------------------------------------------------------------


@commands.command()
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


@commands.command()
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


@commands.command()
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


def _several(command: Command) -> Command:
    argument = click.argument("ticket_ids", nargs=-1, required=True, **ident("ID..."))
    return with_options((argument, timeout_option, target_options(SupportTarget)))(command)


@commands.command()
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


@commands.command()
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


@commands.command()
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
    bar = TransferBar(f"File {attachment_id}")

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
        ("error", f"{Path(path)} is there already, and was left alone", "bold red"),
        ("next", "Name another place with --to, or give --overwrite.", "bold"),
    )
    sys.exit(USAGE)
