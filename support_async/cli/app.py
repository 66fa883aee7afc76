"""The command line ``support-async``: its commands, and where each of them is."""

from __future__ import annotations

import click

from kapture_async._core.cli.commands import (
    AFTER_A_PUSH,
    MORE,
    PLAN,
    PUSH,
    TENANTS,
    UI,
    Commands,
    Entry,
)
from kapture_async._core.cli.running import program_name, run_commands
from kapture_async._core.version import __version__


def main() -> None:
    """Run the command line and end the program."""
    name = program_name("support-async", "support_async")
    run_commands(commands, name=name, debug_variable="SUPPORT_DEBUG")


def _own(where: str, help: str) -> Entry:
    return Entry(f"support_async.cli.{where}", help)


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
    },
    "After a push": AFTER_A_PUSH,
    "Single calls": {
        "create": _own("tickets:create", "Create one ticket."),
        "show": _own("tickets:show", "Show a ticket with its replies and files."),
        "history": _own("tickets:history", "List tickets, newest first."),
        "reply": _own("tickets:reply", "Add a reply to a ticket, optionally with a file."),
        "update": _own("tickets:update", "Replace the tags of a ticket."),
        "set-priority": _own("tickets:set_priority", "Change only the priority of a ticket."),
        "close": _own("tickets:close", "Close tickets."),
        "reopen": _own("tickets:reopen", "Reopen closed tickets."),
        "download": _own("tickets:download", "Download a file of a ticket."),
        "categories": _own("tickets:categories", "List the categories."),
        "tags": _own("tickets:tags", "List the tags."),
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
    vendor="support_async.cli.push:VENDOR",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="support-async")
def commands() -> None:
    """Support tickets: none lost, none twice, and a list of every doubt.

    Options or environment variables say where to send and as whom: SUPPORT_BASE_URL,
    SUPPORT_APIKEY and SUPPORT_ACCESS_TOKEN (or SUPPORT_USERNAME and SUPPORT_PASSWORD, to log in
    with). `demo` needs none of them.
    """
