"""The command line ``kapture-async``: its commands, and where each of them is."""

from __future__ import annotations

import click

from .._core.cli.commands import AFTER_A_PUSH, MORE, PLAN, PUSH, TENANTS, UI, Commands, Entry
from .._core.cli.running import program_name, run_commands
from .._core.version import __version__


def main() -> None:
    """Run the command line and end the program."""
    name = program_name("kapture-async", "kapture_async")
    run_commands(commands, name=name, debug_variable="KAPTURE_DEBUG")


def _own(where: str, help: str) -> Entry:
    return Entry(f"kapture_async.cli.{where}", help)


_SECTIONS = {
    "Try it": {
        "demo": _own("demo:demo", "Push tickets into an emulator on this machine."),
        "emulator": _own("demo:emulator", "Run an emulator, for trials."),
    },
    "Push a file": {
        "doctor": _own("tickets:doctor", "Check whether lost answers can be looked up."),
        "plan": PLAN,
        "push": PUSH,
        "ui": UI,
        "update-many": _own("push:update_many", "Update the tickets of a file."),
        "push-customers": _own("push:push_customers", "Push a file of customers."),
    },
    "After a push": AFTER_A_PUSH,
    "Single calls": {
        "add": _own("tickets:add", "Add one ticket."),
        "get": _own("tickets:get", "Get tickets by their ids."),
        "update": _own("tickets:update", "Change a ticket's sub-status."),
        "pull": _own("pull:pull", "Pull the tickets created on some days."),
        "customers": _own("customers:customers", "Add, update, get and pull customers."),
        "orders": _own("orders:orders", "Add, update and pull orders."),
        "faqs": _own("faqs:faqs", "Read the FAQs."),
    },
    "Tenants": TENANTS,
    "Other programs": {
        "mcp": _own("mcp:mcp", "Serve agents over MCP: read, and write if allowed."),
    },
    "This program": MORE,
}


@click.group(
    cls=Commands,
    sections=_SECTIONS,
    vendor="kapture_async.cli.push:VENDOR",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kapture-async")
def commands() -> None:
    """Tickets into Kapture: none lost, none twice, and a list of every doubt.

    Options or environment variables say where to send and as whom: KAPTURE_SUBDOMAIN (or
    KAPTURE_BASE_URL) and KAPTURE_TOKEN (or KAPTURE_USERNAME and KAPTURE_PASSWORD). `demo` needs
    none of them.
    """
