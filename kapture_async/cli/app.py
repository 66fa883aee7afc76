"""The command line ``kapture-async``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .._api import ADD_CUSTOMER, ADD_TICKET, UPDATE_TICKET
from .._core.cli.demo import DemoOptions, emulator_options, run_emulator
from .._core.cli.journalcommands import add_journal_commands
from .._core.cli.options import gathering
from .._core.cli.push import add_push_command
from .._core.cli.running import run_commands
from .._core.cli.service import Work
from .._core.version import __version__
from .customers import customers
from .faqs import faqs
from .options import KaptureTarget
from .orders import orders
from .pull import pull
from .push import (
    CustomerOptions,
    KapturePushOptions,
    UpdateOptions,
    customer_service,
    program,
    push_customers,
    service,
    update_many,
    update_service,
)
from .tickets import add, doctor, get, update


def main() -> None:
    """Run the command line and end the program."""
    run_commands(commands, name=program(), debug_variable="KAPTURE_DEBUG")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kapture-async")
def commands() -> None:
    """Tickets into Kapture: none lost, none twice, and a list of every doubt.

    Where to and as whom is said by options or by KAPTURE_SUBDOMAIN (or KAPTURE_BASE_URL) and
    KAPTURE_TOKEN (or KAPTURE_USERNAME and KAPTURE_PASSWORD). `demo` needs none of them.
    """


@commands.command(short_help="Push tickets into a server of its own.")
@gathering("options", DemoOptions)
def demo(options: DemoOptions) -> None:
    """Push tickets into a Kapture server of its own, on this machine.

    Ends with what the client believes, held against what that server executed.
    """
    from .._core.cli.demo import play_demo
    from .demo import demo_service

    sys.exit(play_demo(options, demo_service(options, program())))


@commands.command()
@emulator_options(
    click.option(
        "--token", default="emulator-token", show_default=True, help="What clients must send."
    ),
    click.option(
        "--failed-status",
        type=click.IntRange(200, 599),
        default=200,
        show_default=True,
        metavar="HTTP",
        help="The status of a refusal.",
    ),
    click.option(
        "--auth-failed-status",
        type=click.IntRange(200, 599),
        metavar="HTTP",
        help="The same for a wrong token.  [default: the same]",
    ),
    click.option(
        "--pagination",
        type=click.IntRange(1),
        metavar="ROWS",
        help="Be a tenant with pagination: pulls need a limit, of so many rows at most.",
    ),
    port=8765,
)
def emulator(token: str, **settings: Any) -> None:
    """Run a Kapture server for trials, until Ctrl-C."""
    from ..testing import serve
    from ..testing.emulator import PASSWORD, USERNAME

    exports = {"KAPTURE_BASE_URL": "{url}", "KAPTURE_TOKEN": token}
    exports |= {"KAPTURE_ORDERS_USERNAME": USERNAME, "KAPTURE_ORDERS_PASSWORD": PASSWORD}
    run_emulator(serve, exports, token=token, **settings)


add_push_command(commands, KapturePushOptions, KaptureTarget, service)
add_journal_commands(
    commands,
    KaptureTarget,
    [
        Work(ADD_TICKET.name, KapturePushOptions, service),
        Work(UPDATE_TICKET.name, UpdateOptions, update_service),
        Work(ADD_CUSTOMER.name, CustomerOptions, customer_service),
    ],
)
for command in (update_many, push_customers, doctor, add, update, get, pull):
    commands.add_command(command)
for group in (customers, orders, faqs):
    commands.add_command(group)
