"""The demo: what its tickets look like, and what is done with one of them afterwards."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from typing import Any

import click

from kapture_async._core.cli.demo import (
    DemoOptions,
    DemoService,
    DemoTicket,
    emulator_options,
    play_demo,
    run_emulator,
)
from kapture_async._core.cli.options import Sectioned, gathering
from kapture_async._core.cli.push_run import connect_by
from kapture_async._core.errors import HelpdeskError
from kapture_async._core.outcome import Outcome
from kapture_async._core.testing.ledger import LedgerEntry
from kapture_async._core.transport.settings import Timeout

from ..client import SupportClient
from ..testing import SupportEmulator, serve
from ..testing.emulator import APIKEY, PASSWORD, USERS
from ..tickets.models import NewTicket, Priority
from .calls import client_of
from .push import program

_CATEGORY = "3"
"""One that the emulator has."""
_MARK = "demo row "
_PAGE = 500
_FILE_BYTES = 100_000


def demo_service(options: DemoOptions, name: str) -> DemoService:
    """What the demo must know of this service.

    Args:
        options: what was asked for.
        name: the command line as it is typed.
    """
    faults, seed = options.faults, options.seed
    fill = f"--map subject=Subject --map comment=Text --category {_CATEGORY} --priority medium"
    worse = ("the same with faults:", f"{name} demo --faults 0.05 --journal")
    more = ("ten times as many:", f"{name} demo --tickets {10 * (options.tickets or 2000)}")
    return DemoService(
        name="Support Ticket",
        emulator=lambda ledger: SupportEmulator.in_process(
            fault_rate=faults, seed=seed, ledger=ledger
        ),
        settings=lambda url: {
            "base_url": url,
            "apikey": APIKEY,
            "access_token": SupportEmulator().token,  # all emulators sign alike
        },
        ticket=_demo_ticket,
        number_of=_demo_number,
        connect=connect_by(client_of),
        look_around=_look_around,
        next_commands=(
            more if faults else worse,
            ("an emulator to try things on, in another terminal:", f"{name} emulator --port 8766"),
            (
                "what a push of your own file would do:",
                f"{name} plan tickets.csv {fill}",
            ),
            (
                "push it:",
                f"SUPPORT_BASE_URL=http://127.0.0.1:8766 SUPPORT_APIKEY={APIKEY} "
                f"SUPPORT_USERNAME={next(iter(USERS))} SUPPORT_PASSWORD={PASSWORD} "
                f"{name} push tickets.csv {fill}",
            ),
        ),
    )


def _demo_ticket(ticket: DemoTicket, number: int) -> NewTicket:
    """What is pushed; the last line of the comment is the number."""
    parts = (ticket.details, ticket.email and f"From: {ticket.email}", f"{_MARK}{number}")
    return NewTicket(
        subject=ticket.title,
        comment="\n\n".join(part for part in parts if part),
        category=_CATEGORY,
        priority=Priority.HIGH if ticket.urgent else Priority.MEDIUM,
    )


def _demo_number(entry: LedgerEntry) -> int | None:
    """The number of a ticket that the ledger says was created."""
    if entry.operation != "tickets.create":
        return None
    # A reference may stand below it.
    return int(entry.payload["comment"].rpartition(_MARK)[2].split()[0])


async def _look_around(client: SupportClient, accepted: list[Outcome]) -> list[str]:
    """Find a ticket, show it, reply to it with a file, get the file back, and close it."""
    if not accepted:
        return []
    story = _Story(client.with_options(timeout=Timeout(total=60.0, read=5.0)))
    try:
        await story.go(accepted[0])
    except HelpdeskError as error:
        story.lines.append(f"then: {_words(error)}")
    return story.lines


class _Story:
    def __init__(self, client: SupportClient) -> None:
        self._client = client
        self.lines: list[str] = []

    async def go(self, outcome: Outcome) -> None:
        """Tell of each step; a write whose end is in doubt is looked up, as it should be."""
        ticket_id = await self._find(outcome)
        if ticket_id is None:
            self.lines.append(f"row {outcome.key} is not in the history: this is a bug")
            return
        tickets = self._client.tickets
        self.lines.append(f"found row {outcome.key} by its text, since a create returns no id")
        content = random.Random(ticket_id).randbytes(_FILE_BYTES)
        try:
            await tickets.reply(ticket_id, "A file from the demo.", attachment=("d.bin", content))
            self.lines.append(f"replied to ticket {ticket_id} with a file")
        except HelpdeskError as error:
            self.lines.append(f"replying to ticket {ticket_id}: {_words(error)}")
        ticket = await tickets.get(ticket_id)
        there = "the reply is there" if ticket.conversations else "there is no reply"
        self.lines.append(f"read it back: {there}")
        for file in ticket.attachments[-1:]:
            await self._compare(file.attachment_id or "", content)
        try:
            await tickets.close(ticket_id)
            self.lines.append("closed it")
        except HelpdeskError as error:
            self.lines.append(f"closing it: {_words(error)}")
        ticket = await tickets.get(ticket_id)
        self.lines.append(f"read it back: it is {'' if ticket.is_closed else 'not '}closed")

    async def _find(self, outcome: Outcome) -> str | None:
        ticket: NewTicket = outcome.row.value
        async with self._client.tickets.iter(subject=ticket.subject, limit=_PAGE) as rows:
            async for row in rows:
                if (row.comment or "").rstrip().endswith(f"\n{_MARK}{outcome.key}"):
                    return row.ticket_id
        return None

    async def _compare(self, attachment_id: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            path = await self._client.attachments.download(attachment_id, folder)
            same = await asyncio.to_thread(path.read_bytes) == content
        words = "equal to the last byte" if same else "NOT what was sent: this is a bug"
        self.lines.append(f"downloaded the file again: {len(content):,} bytes, {words}")


def _words(error: HelpdeskError) -> str:
    return f"{error.outcome.replace('_', ' ')}, {error.message}"


@click.command(cls=Sectioned)
@gathering("options", DemoOptions)
def demo(options: DemoOptions) -> None:
    """Push tickets into a Support Ticket emulator on this machine.

    Ends by comparing what the client believes with what the emulator executed.
    """

    sys.exit(play_demo(options, demo_service(options, program())))


@click.command(cls=Sectioned)
@emulator_options(
    click.option(
        "--token-seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=3600.0,
        show_default=True,
        metavar="SECONDS",
        help="How long an access token is valid.",
    ),
    click.option(
        "--open-ticket-limit",
        type=click.IntRange(0),
        metavar="COUNT",
        help="How many open tickets a user may have.  [default: any number]",
    ),
    port=8766,
)
def emulator(**settings: Any) -> None:
    """Run a Support Ticket emulator, for trials, until Ctrl-C."""

    exports = {
        "SUPPORT_BASE_URL": "{url}",
        "SUPPORT_APIKEY": APIKEY,
        "SUPPORT_USERNAME": next(iter(USERS)),
        "SUPPORT_PASSWORD": PASSWORD,
    }
    run_emulator(serve, exports, **settings)
