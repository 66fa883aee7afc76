"""The demo: what its tickets look like, and what is done with some of them afterwards."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

import click

from .._api import INDIA
from .._core.cli.demo import (
    DemoOptions,
    DemoService,
    DemoTicket,
    emulator_options,
    play_demo,
    run_emulator,
)
from .._core.cli.options import Sectioned, gathering
from .._core.cli.push_run import connect_by
from .._core.errors import HelpdeskError
from .._core.outcome import Outcome
from .._core.testing.ledger import LedgerEntry
from .._core.transport.settings import Timeout
from ..client import KaptureClient
from ..testing import KaptureEmulator, serve
from ..testing.emulator import PASSWORD, USERNAME
from ..tickets.models import NewTicket
from .push import program


def demo_service(options: DemoOptions, name: str) -> DemoService:
    """What the demo must know of this service.

    Args:
        options: what was asked for.
        name: the command line as it is typed.
    """
    faults, seed = options.faults, options.seed
    worse = ("the same with faults:", f"{name} demo --faults 0.05 --journal")
    more = ("ten times as many:", f"{name} demo --tickets {10 * (options.tickets or 2000)}")
    return DemoService(
        name="Kapture",
        emulator=lambda ledger: KaptureEmulator.in_process(
            fault_rate=faults, seed=seed, ledger=ledger
        ),
        settings=lambda url: {"base_url": url, "token": "emulator-token"},
        ticket=_demo_ticket,
        number_of=_demo_number,
        connect=connect_by(KaptureClient),
        look_around=_look_around,
        next_commands=(
            more if faults else worse,
            ("an emulator to try things on, in another terminal:", f"{name} emulator --port 8765"),
            (
                "what a push of your own file would do:",
                f"{name} plan tickets.csv --map title=Subject",
            ),
            (
                "push it:",
                "KAPTURE_BASE_URL=http://127.0.0.1:8765 KAPTURE_TOKEN=emulator-token "
                f"{name} push tickets.csv --map title=Subject",
            ),
        ),
    )


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
    lines = []
    updated = 0
    for ticket_id in [outcome.ticket_id for outcome in accepted if outcome.ticket_id]:
        try:
            await client.tickets.update(ticket_id, sub_status="RS", comment="Solved in the demo.")
            updated += 1
        except HelpdeskError as error:
            lines.append(
                f"updating {ticket_id}: {error.outcome.replace('_', ' ')}, {error.message}"
            )
    lines.insert(0, f"updated {updated} tickets, each with a comment")
    today = datetime.now(INDIA).date()
    patient = client.with_options(timeout=Timeout(total=60.0, read=5.0))
    try:
        rows = await patient.tickets.pull(today - timedelta(days=1), today, limit=20_000).all()
    except HelpdeskError as error:
        return [*lines, f"pulling the day back failed: {error.message}"]
    solved = sum(row.sub_status_code == "RS" for row in rows)
    return [*lines, f"pulled the day back: {len(rows):,} tickets, {solved} of them resolved"]


@click.command(cls=Sectioned)
@gathering("options", DemoOptions)
def demo(options: DemoOptions) -> None:
    """Push tickets into a Kapture emulator on this machine.

    Ends by comparing what the client believes with what the emulator executed.
    """

    sys.exit(play_demo(options, demo_service(options, program())))


@click.command(cls=Sectioned)
@emulator_options(
    click.option(
        "--token",
        default="emulator-token",
        show_default=True,
        help="What clients must send.",
    ),
    click.option(
        "--failed-status",
        type=click.IntRange(200, 599),
        default=200,
        show_default=True,
        metavar="HTTP",
        help="The HTTP status of a rejection.",
    ),
    click.option(
        "--auth-failed-status",
        type=click.IntRange(200, 599),
        metavar="HTTP",
        help="The HTTP status for a wrong token.  [default: the same]",
    ),
    click.option(
        "--pagination",
        type=click.IntRange(1),
        metavar="ROWS",
        help="Act as a tenant with pagination: pulls need a limit of at most so many rows.",
    ),
    port=8765,
)
def emulator(token: str, **settings: Any) -> None:
    """Run a Kapture emulator, for trials, until Ctrl-C."""

    exports = {"KAPTURE_BASE_URL": "{url}", "KAPTURE_TOKEN": token}
    exports |= {"KAPTURE_ORDERS_USERNAME": USERNAME, "KAPTURE_ORDERS_PASSWORD": PASSWORD}
    run_emulator(serve, exports, token=token, **settings)
