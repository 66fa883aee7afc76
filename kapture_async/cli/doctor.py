"""The command ``doctor``."""

from __future__ import annotations

import sys

import click

from .._core.cli.options import (
    Target,
    one_json_option,
    patience_option,
    target_options,
    timeout_option,
)
from .._core.push.trial import long_text
from .._reference import TEXT, Field
from ..tickets.models import NewTicket
from ..tickets.resource import TRIAL_TEXT, TRIAL_TITLE
from .options import EXTRA, KaptureTarget, extra_shape, objects_of
from .service import service


@click.command(short_help="Which guarantee a push has here.")
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
@patience_option
@timeout_option
@one_json_option
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
    from .._core.cli.doctor import examine_service

    place = Field(reference, as_list=extra_shape == "array") if reference != TEXT else TEXT
    objects = objects_of(extra, extra_shape)
    trial = None
    if title is not None or objects:
        text = TRIAL_TEXT if long is None else long_text(TRIAL_TEXT, long)
        trial = NewTicket(title=title or TRIAL_TITLE, ticket_details=text, extra=objects)
    code = examine_service(
        target,
        service(),
        lambda client: client.tickets.doctor(
            trial, long=None if trial else long, reference=place, patience=patience
        ),
        timeout=timeout,
        close=lambda ticket_id: None,
        as_json=as_json,
    )
    sys.exit(code)
