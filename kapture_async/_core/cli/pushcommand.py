"""The command ``push``, for any service."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import Target, target_options
from .pushfile import push_file
from .pushoptions import PushOptions, push_options

_WHAT = """\
Push a FILE of tickets: CSV with a header line, or JSON Lines; `-` is standard input.
"""
_HOW = """\
A CSV cell is sent as the text it is, an empty one is left out, and columns that are not
mapped are not sent. A row that cannot be sent, or is refused, never stops the others.

What was sent and what became of it is kept in a journal, and the same command again goes on
where it stopped, however it stopped: what is in the helpdesk is not sent again, and neither
is what may be there; `reconcile` finds out about that. Ctrl-C finishes what is in flight; a
second one cuts that off too.
"""


def add_push_command(
    group: click.Group,
    options: type[PushOptions],
    target: type[Target],
    service_of: Any,
    *,
    fields: str = "",
) -> None:
    """Give a command line the command ``push``.

    Args:
        group: the command line.
        options: the class of the options of its push.
        target: the class of its targets.
        service_of: makes a :class:`.Service` from the options of a push.
        fields: a paragraph for the help on what a row is made of.
    """

    def push(options: PushOptions, target: Target) -> None:
        sys.exit(push_file(options, target, service_of(options)))

    # A docstring would do, were its text not different for each service.
    push.__doc__ = "\n".join(filter(None, (_WHAT, fields, _HOW)))
    command = push_options(options)(target_options(target)(push))
    group.command(short_help="Push a file of tickets.")(command)
