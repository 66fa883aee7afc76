"""The command line ``kapture-async``. Needs the extra ``cli``; without it, it says so and ends."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ._core.cli.extra import need_extra

need_extra("kapture-async", "click", "rich")

import click  # noqa: E402

from ._core.cli.exits import DONE, REJECTED, code_of_error  # noqa: E402
from ._core.cli.journalcommands import add_journal_commands  # noqa: E402
from ._core.cli.options import Target, json_option, target_options, timeout_option  # noqa: E402
from ._core.cli.pushfile import push_file  # noqa: E402
from ._core.cli.pushing import connect_by  # noqa: E402
from ._core.cli.pushoptions import PushOptions, push_options  # noqa: E402
from ._core.cli.running import program_name, run, run_commands  # noqa: E402
from ._core.cli.screen import json_line, one_line, say, show_error, warn  # noqa: E402
from ._core.cli.service import Service, Work  # noqa: E402
from ._core.cli.trials import DemoOptions, demo_options, run_twin, twin_options  # noqa: E402
from ._core.errors import HelpdeskError  # noqa: E402
from ._core.push.doctor import long_text  # noqa: E402
from ._core.push.sources import Columns  # noqa: E402
from ._core.transport.settings import Timeout  # noqa: E402
from ._core.version import __version__  # noqa: E402
from .cli_customer_calls import customers  # noqa: E402
from .cli_customers import CustomerOptions, customer_service  # noqa: E402
from .cli_faq_calls import faqs  # noqa: E402
from .cli_options import (  # noqa: E402
    KapturePushOptions,
    KaptureTarget,
    extra_pairs,
    extra_shape,
    place_in,
)
from .cli_order_calls import orders  # noqa: E402
from .cli_pull import pull  # noqa: E402
from .cli_updates import UpdateOptions, update_service  # noqa: E402
from .client import KaptureClient  # noqa: E402
from .models import KNOWN_FIELDS, NewTicket, TicketDetail  # noqa: E402
from .operations import ADD_CUSTOMER  # noqa: E402
from .references import TEXT, Field, mark  # noqa: E402
from .service import ADD_TICKET, INDIA, UPDATE_TICKET  # noqa: E402
from .tickets import TRIAL_TEXT, TRIAL_TITLE  # noqa: E402

if TYPE_CHECKING:
    from ._core.cli.demo import DemoTicket
    from ._core.outcome import Outcome
    from ._core.testing.ledger import LedgerEntry
    from .models import AddedTicket

EXTRA = click.option(
    "--extra",
    multiple=True,
    metavar="OBJECT.FIELD=VALUE",
    help="A field of an object that your tenant defines. Repeatable.",
)


def main() -> None:
    """Run the command line and end the program."""
    run_commands(commands, name=program(), debug_variable="KAPTURE_DEBUG")


def program() -> str:
    """How this program was called, for commands to copy."""
    return program_name("kapture-async", "kapture_async")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kapture-async")
def commands() -> None:
    """Tickets into Kapture: none lost, none twice, and a list of every doubt.

    Where to and as whom is said by options or by KAPTURE_SUBDOMAIN (or KAPTURE_BASE_URL) and
    KAPTURE_TOKEN (or KAPTURE_USERNAME and KAPTURE_PASSWORD). `demo` needs none of them.
    """


@commands.command(short_help="Push tickets into a server of its own.")
@demo_options
def demo(options: DemoOptions) -> None:
    """Push tickets into a Kapture server of its own, on this machine.

    Ends with what the client believes, held against what that server executed.
    """
    from ._core.cli.play import DemoService, play_demo
    from .testing import KaptureTwin

    faults, seed = options.faults, options.seed
    name = program()
    worse = ("the same on a bad day:", f"{name} demo --faults 0.05 --journal")
    more = ("ten times as many:", f"{name} demo --tickets {10 * (options.tickets or 2000)}")
    service = DemoService(
        name="Kapture",
        twin=lambda ledger: KaptureTwin.in_process(fault_rate=faults, seed=seed, ledger=ledger),
        settings=lambda url: {"base_url": url, "token": "twin-token"},
        ticket=_demo_ticket,
        number_of=_demo_number,
        connect=connect_by(KaptureClient),
        look_around=_look_around,
        next_commands=(
            more if faults else worse,
            ("a server to play with, in another terminal:", f"{name} twin --port 8765"),
            (
                "what of your own file would be sent there, and what not:",
                f"{name} plan tickets.csv --map title=Subject",
            ),
            (
                "push it:",
                "KAPTURE_BASE_URL=http://127.0.0.1:8765 KAPTURE_TOKEN=twin-token "
                f"{name} push tickets.csv --map title=Subject",
            ),
        ),
    )
    sys.exit(play_demo(options, service))


def _demo_ticket(ticket: DemoTicket, number: int) -> NewTicket:
    return NewTicket(
        title=ticket.title,
        ticket_details=ticket.details or None,
        email_id=ticket.email or None,
        extra={
            "demo": [{"number": str(number), "urgent": "yes" if ticket.urgent else "no"}],
        },
    )


def _demo_number(entry: LedgerEntry) -> int | None:
    if entry.operation != "tickets.add":
        return None
    return int(entry.payload["demo"][0]["number"])


async def _look_around(client: KaptureClient, accepted: list[Outcome]) -> list[str]:
    """Update a few tickets and pull the day back."""
    told = []
    updated = 0
    for ticket_id in [outcome.ticket_id for outcome in accepted if outcome.ticket_id]:
        try:
            await client.tickets.update(ticket_id, sub_status="RS", comment="Solved in the demo.")
            updated += 1
        except HelpdeskError as error:
            told.append(f"updating {ticket_id}: {error.outcome.replace('_', ' ')}, {error.message}")
    told.insert(0, f"updated {updated} tickets, each with a comment")
    today = datetime.now(INDIA).date()
    patient = client.with_options(timeout=Timeout(total=60.0, read=5.0))
    try:
        rows = await patient.tickets.pull(today - timedelta(days=1), today, limit=20_000).all()
    except HelpdeskError as error:
        return [*told, f"pulling the day back failed: {error.message}"]
    solved = sum(row.sub_status_code == "RS" for row in rows)
    return [*told, f"pulled the day back: {len(rows):,} tickets, {solved} of them resolved"]


@commands.command()
@twin_options(
    click.option(
        "--token", default="twin-token", show_default=True, help="What clients must send."
    ),
    port=8765,
)
def twin(token: str, **settings: Any) -> None:
    """Run a Kapture server for trials, until Ctrl-C."""
    from .testing import serve
    from .testing.twin import PASSWORD, USERNAME

    exports = {"KAPTURE_BASE_URL": "{url}", "KAPTURE_TOKEN": token}
    exports |= {"KAPTURE_ORDERS_USERNAME": USERNAME, "KAPTURE_ORDERS_PASSWORD": PASSWORD}
    run_twin(serve, exports, token=token, **settings)


# --- push --------------------------------------------------------------------------------------


@commands.command(short_help="Push a file of tickets.")
@push_options(KapturePushOptions)
@target_options(KaptureTarget)
def push(options: PushOptions, target: Target) -> None:
    """Push a FILE of tickets: CSV with a header line, or JSON Lines; `-` is standard input.

    A CSV cell is sent as the text it is, an empty one is left out, and columns that are not
    mapped are not sent. A row that cannot be sent, or is refused, never stops the others.

    What was sent and what became of it is kept in a journal, and the same command again goes on
    where it stopped, however it stopped: what is in the helpdesk is not sent again, and neither
    is what may be there; `reconcile` finds out about that. Ctrl-C finishes what is in flight; a
    second one cuts that off too.
    """
    sys.exit(push_file(options, target, _service(options)))


@commands.command("update-many", short_help="Update the tickets of a file.")
@push_options(UpdateOptions)
@target_options(KaptureTarget)
def update_many(options: PushOptions, target: Target) -> None:
    """Update the tickets that a FILE names: their comments, sub-status, and whatever else.

    It is `push`, for updates: with the same files, the same journal, and the same commands
    around it. Columns named ticket_id, sub_status, comment, queue, disposition, callback_time
    and status are sent, or whichever --map names; what a row lacks, options fill in. Each
    ticket is updated once, however often its id stands in FILE.

    A comment ends with one line more, by which a lost answer is looked up. A row without a
    comment carries none: if its answer is lost, it is for you to judge, unless --reference
    OBJECT.FIELD names a place for it.
    """
    sys.exit(push_file(options, target, _update_service(options)))


@commands.command("push-customers", short_help="Push a file of customers.")
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
    sys.exit(push_file(options, target, _customer_service(options)))


def _customer_service(_: PushOptions | None = None) -> Service:
    return customer_service(program())


def _update_service(options: PushOptions | None = None) -> Service:
    return update_service(program(), options)


def _service(options: PushOptions | None = None) -> Service:
    return Service(
        program=program(),
        operation=ADD_TICKET.name,
        target=KaptureTarget,
        wire_fields=KNOWN_FIELDS,
        required=("title",),
        build=NewTicket.from_mapping,
        check=_check_encoding,
        connect=connect_by(KaptureClient),
        look_up=f"{program()} pull --from {datetime.now(INDIA).date()} --out seen.jsonl",
        place_in=place_in,
        wire=lambda ticket, reference, place: mark(ticket, reference, place).to_wire(),
        answer=_answer,
    )


def _answer(outcome: Outcome) -> dict[str, str | None]:
    """What the service said of a ticket that it added."""
    added: AddedTicket = outcome.result  # type: ignore[attr-defined]
    return {"ticket id": added.ticket_id, "title": added.title, "url": added.url}


def _check_encoding(ticket: NewTicket) -> None:
    """Raise ``InvalidInputError`` for a ticket that cannot be written as JSON."""
    from ._core.transport.bodies import json_body

    json_body(dict(ticket.to_wire()))


add_journal_commands(
    commands,
    KaptureTarget,
    [
        Work(ADD_TICKET.name, KapturePushOptions, _service),
        Work(UPDATE_TICKET.name, UpdateOptions, _update_service),
        Work(ADD_CUSTOMER.name, CustomerOptions, _customer_service),
    ],
)


@commands.command(short_help="Which guarantee a push has here.")
@click.option(
    "--reference",
    metavar="[text|OBJECT.FIELD]",
    default="text",
    show_default=True,
    help="Where the reference travels, as for push.",
)
@click.option("--title", metavar="TEXT", help="Of the trial ticket, instead of one that says so.")
@click.option(
    "--long",
    type=click.IntRange(1),
    metavar="CHARACTERS",
    help="Of the trial's text: as many as your longest row has, to see whether its end survives.",
)
@EXTRA
@extra_shape
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
@target_options(KaptureTarget)
def doctor(
    reference: str,
    title: str | None,
    long: int | None,
    extra: tuple[str, ...],
    extra_shape: str,
    patience: float,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Create one trial ticket, look for it, and say which guarantee a push has here.

    Exit code 0 if lost answers can be looked up, 3 if they cannot. The ticket stays open.
    """
    from ._core.cli.examining import examine_service

    place = Field(reference, as_list=extra_shape == "array") if reference != TEXT else TEXT
    objects = _objects(extra, extra_shape)
    trial = None
    if title is not None or objects:
        text = TRIAL_TEXT if long is None else long_text(TRIAL_TEXT, long)
        trial = NewTicket(title=title or TRIAL_TITLE, ticket_details=text, extra=objects)
    code = examine_service(
        target,
        _service(),
        lambda client: client.tickets.doctor(
            trial, long=None if trial else long, reference=place, patience=patience
        ),
        timeout=timeout,
        close=lambda ticket_id: None,
        as_json=as_json,
    )
    sys.exit(code)


# --- single calls ------------------------------------------------------------------------------


@commands.command()
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
        extra=_objects(extra, extra_shape),
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


@commands.command()
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
    objects = _objects(extra, extra_shape)
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


@commands.command()
@click.argument("ticket_ids", nargs=-1, required=True, metavar="ID...")
@timeout_option
@json_option
@target_options(KaptureTarget)
def get(ticket_ids: tuple[str, ...], timeout: float, as_json: bool, target: Target) -> None:
    """Get tickets by their ids. With --json, one line per ticket.

    Exit code 1 if one of them is not there.
    """
    settings = target.settings()

    async def call() -> Any:
        async with KaptureClient(**settings, timeout=timeout) as client:
            return await client.tickets.get_many(ticket_ids)

    lookup = run(call)
    for number, (ticket_id, ticket) in enumerate(lookup.found.items()):
        if as_json:
            print(json_line(ticket.raw))
        else:
            if number:
                print()
            _show_ticket(ticket_id, ticket)
    for ticket_id in lookup.missing:
        warn(f"there is no ticket {ticket_id}")
    for error in dict.fromkeys(lookup.failed.values()):
        show_error(error)
    codes = {code_of_error(error) for error in lookup.failed.values()}
    sys.exit(max(codes | {REJECTED if lookup.missing else DONE}))


commands.add_command(pull)


def _objects(extra: tuple[str, ...], shape: str) -> dict[str, Any]:
    return Columns(extra_as_list=shape == "array").objects(extra_pairs(extra))


def _show_ticket(ticket_id: str, ticket: TicketDetail) -> None:
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


for group in (customers, orders, faqs):
    commands.add_command(group)
