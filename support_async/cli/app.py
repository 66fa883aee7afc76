"""The command line ``support-async``."""

from __future__ import annotations

import sys
from typing import Any

import click

from kapture_async._core.cli.demo import DemoOptions, emulator_options, run_emulator
from kapture_async._core.cli.journalcommands import add_journal_commands
from kapture_async._core.cli.options import gathering
from kapture_async._core.cli.push import add_push_command
from kapture_async._core.cli.running import run_commands
from kapture_async._core.cli.service import Work
from kapture_async._core.version import __version__

from .options import SupportTarget
from .push import CREATES, SupportPushOptions, program, service
from .tickets import (
    categories,
    close,
    create,
    doctor,
    download,
    history,
    reopen,
    reply,
    set_priority,
    show,
    tags,
    update,
)

FIELDS = """\
The fields are subject, comment, category (its id), priority (low, medium, high or a code)
and attachment: the path of a file to go with the ticket, in the folder that --attachments
names. Nothing outside of it is ever sent, whatever a row says.
"""


def main() -> None:
    """Run the command line and end the program."""
    run_commands(commands, name=program(), debug_variable="SUPPORT_DEBUG")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="support-async")
def commands() -> None:
    """Support tickets: none lost, none twice, and a list of every doubt.

    Where to and as whom is said by options or by SUPPORT_BASE_URL, SUPPORT_APIKEY and
    SUPPORT_ACCESS_TOKEN (or SUPPORT_USERNAME and SUPPORT_PASSWORD, to log in with). `demo`
    needs none of them.
    """


@commands.command(short_help="Push tickets into a server of its own.")
@gathering("options", DemoOptions)
def demo(options: DemoOptions) -> None:
    """Push tickets into a Support Ticket server of its own, on this machine.

    Ends with what the client believes, held against what that server executed.
    """
    from kapture_async._core.cli.demo import play_demo

    from .demo import demo_service

    sys.exit(play_demo(options, demo_service(options, program())))


@commands.command()
@emulator_options(
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
def emulator(**settings: Any) -> None:
    """Run a Support Ticket server for trials, until Ctrl-C."""
    from ..testing import serve
    from ..testing.emulator import APIKEY, PASSWORD, USERS

    exports = {
        "SUPPORT_BASE_URL": "{url}",
        "SUPPORT_APIKEY": APIKEY,
        "SUPPORT_USERNAME": next(iter(USERS)),
        "SUPPORT_PASSWORD": PASSWORD,
    }
    run_emulator(serve, exports, **settings)


add_push_command(commands, SupportPushOptions, SupportTarget, service, fields=FIELDS)
add_journal_commands(commands, SupportTarget, [Work(CREATES, SupportPushOptions, service)])
for command in (doctor, categories, tags, history):
    commands.add_command(command)
for command in (create, show, update, set_priority, reply, close, reopen, download):
    commands.add_command(command)
