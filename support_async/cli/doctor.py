"""The command ``doctor``."""

from __future__ import annotations

import shlex
import sys

import click

from kapture_async._core.cli.options import (
    Target,
    one_json_option,
    patience_option,
    target_options,
    timeout_option,
)

from ..tickets.models import NewTicket
from .options import ID, PRIORITY, SupportTarget
from .rows import TRIAL_SUBJECT, TRIAL_TEXT
from .service import program, service


@click.command(short_help="Which guarantee a push has here.")
@click.option("--category", **ID, required=True, help="Of the trial ticket; see `categories`.")
@click.option("--priority", **PRIORITY, required=True, help="Of the trial ticket.")
@click.option(
    "--subject", metavar="TEXT", default=TRIAL_SUBJECT, help="Instead of one that says so."
)
@patience_option
@timeout_option
@one_json_option
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
    from kapture_async._core.cli.doctor import examine_service

    trial = NewTicket(subject=subject, comment=TRIAL_TEXT, category=category, priority=priority)
    close = shlex.join([*program().split(), "close"])
    again = shlex.join(target.as_arguments())
    code = examine_service(
        target,
        service(),
        lambda client: client.tickets.doctor(trial, patience=patience),
        timeout=timeout,
        close=lambda ticket_id: " ".join(filter(None, (close, ticket_id, again))),
        as_json=as_json,
    )
    sys.exit(code)
