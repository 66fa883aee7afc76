"""The demo: what its tickets look like, and what is done with some of them afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta

from .._api import INDIA
from .._core.cli.demo import DemoOptions, DemoService, DemoTicket
from .._core.cli.push_run import connect_by
from .._core.errors import HelpdeskError
from .._core.outcome import Outcome
from .._core.testing.ledger import LedgerEntry
from .._core.transport.settings import Timeout
from ..client import KaptureClient
from ..testing import KaptureEmulator
from ..tickets.models import NewTicket


def demo_service(options: DemoOptions, name: str) -> DemoService:
    """What the demo must know of this service.

    Args:
        options: what was asked for.
        name: the command line as it is typed.
    """
    faults, seed = options.faults, options.seed
    worse = ("the same on a bad day:", f"{name} demo --faults 0.05 --journal")
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
            ("a server to play with, in another terminal:", f"{name} emulator --port 8765"),
            (
                "what of your own file would be sent there, and what not:",
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
