"""The command ``push``: its options, and how a row becomes a ticket.

Whatever can be wrong with a row is found before it is sent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import click
from attrs import frozen

from kapture_async._core.cli.options import Decorator
from kapture_async._core.cli.push_options import PushOptions
from kapture_async._core.cli.push_run import connect_by
from kapture_async._core.cli.running import program_name
from kapture_async._core.cli.service import Service, Vendor, Work
from kapture_async._core.errors import InvalidInputError, NotFoundError
from kapture_async._core.push.sources.rows import Build
from kapture_async._core.transport.request import form_body

from .._api import Operations
from .._files import MAX_ATTACHMENT_BYTES
from ..client import SupportClient
from ..tickets.models import WIRE_FIELDS, NewTicket, create_form
from ..tickets.push import TEXT, ReferencePlace, mark, pack
from .calls import client_of
from .options import ID, PRIORITY, SupportTarget
from .show import priority_word, status_word


@frozen(kw_only=True)
class SupportPushOptions(PushOptions):
    """With values for rows that lack them."""

    saved: ClassVar[tuple[str, ...]] = (*PushOptions.saved, "category", "priority", "attachments")
    paths: ClassVar[tuple[str, ...]] = ("attachments",)

    category: str | None = None
    priority: str | None = None
    attachments: str | None = None

    @classmethod
    def own_options(cls) -> tuple[Decorator, ...]:
        """See :class:`.PushOptions`."""
        return (
            click.option("--category", **ID, help="For rows without one."),
            click.option("--priority", **PRIORITY, help="For rows without one."),
            click.option(
                "--attachments",
                metavar="FOLDER",
                type=click.Path(exists=True, file_okay=False),
                help="Where the attachments that rows name come from; no other file is sent.",
            ),
        )

    @property
    def place(self) -> ReferencePlace:
        """See :class:`.PushOptions`."""
        if self.reference not in (None, "text", "none"):
            raise click.BadParameter("must be text or none", param_hint="--reference")
        return None if self.reference == "none" else TEXT

    @property
    def shaping(self) -> dict[str, str | None]:
        """See :class:`.PushOptions`."""
        folder = None if self.attachments is None else os.path.abspath(self.attachments)
        return {**super().shaping, "attachments": folder}

    @property
    def fills(self) -> dict[str, str | None]:
        """What is filled into rows that lack it."""
        return {"category": self.category, "priority": self.priority}


def place_in(place: str) -> ReferencePlace:
    """Where references travel, from the word that a journal has for it."""
    return None if place == "none" else TEXT


CREATES = Operations().create_ticket.name


def program() -> str:
    """How this program was called, for commands to copy."""
    return program_name("support-async", "support_async")


def service(options: PushOptions | None = None) -> Service:
    """How tickets are pushed, with these options."""
    assert options is None or isinstance(options, SupportPushOptions)
    return Service(
        program=program(),
        operation=CREATES,
        options=SupportPushOptions,
        target=SupportTarget,
        wire_fields=WIRE_FIELDS,
        required=("subject", "comment"),
        only_these=True,
        usual=_USUAL,
        fills={} if options is None else options.fills,
        build=row_builder(None if options is None else options.attachments),
        check=check_encoding,
        connect=connect_by(client_of),
        look_up=f"{program()} history --all --out seen.jsonl",
        place_in=place_in,
        pack=pack,
        wire=wire_of,
        answer=lambda outcome: {"ticket id": "not returned by the service"},
        get_tickets=get_tickets,
    )


async def get_tickets(
    client: SupportClient, ticket_ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """What a person recognizes tickets by, of those that exist.

    Raises:
        HelpdeskError: one of them could not be requested.
    """
    found: dict[str, dict[str, str | None]] = {}
    for ticket_id in ticket_ids:
        try:
            ticket = await client.tickets.get(ticket_id)
        except NotFoundError:
            continue
        found[ticket_id] = {
            "subject": ticket.subject,
            "comment": ticket.comment,
            "author": ticket.author,
            "status": status_word(ticket.status),
            "priority": priority_word(ticket.priority),
            "category": ticket.category,
        }
    return found


_USUAL = {
    "subject": ("title", "summary", "headline", "topic"),
    "comment": ("description", "details", "message", "text", "body", "problem"),
    "category": ("category id",),
    "attachment": ("file", "attachments"),
}
"""What columns are usually called, by the field they are for."""
TRIAL_SUBJECT = "Trial ticket, please close"
TRIAL_TEXT = "It was created to see whether tickets can be found by their reference."
_CORRECT = "Correct the path; it is relative to the folder of --attachments."


def row_builder(folder: str | None) -> Build:
    """How a row becomes a ticket.

    Args:
        folder: where attachments come from. A file of rows may come from elsewhere, and must not
            be able to have any file of this machine sent; so without it no row may have one.
    """
    root = None if folder is None else Path(folder).resolve()
    return lambda content: _ticket_in(root, content)


def check_encoding(ticket: NewTicket) -> None:
    """See that a ticket can be written as a form.

    Raises:
        InvalidInputError: it cannot.
    """
    form_body(create_form(ticket, None))


def wire_of(ticket: NewTicket, reference: str, place: ReferencePlace) -> dict[str, Any]:
    """A ticket with its reference, as it is sent, by wire names; of a file only its path."""
    marked = mark(ticket, reference, place)
    fields = {name: getattr(marked, name) for name in WIRE_FIELDS}
    return {name: str(value) for name, value in fields.items() if value is not None}


def _ticket_in(folder: Path | None, content: dict[str, Any]) -> NewTicket:
    """A row as a ticket; its file is checked now, before anything is sent."""
    row = dict(content)
    path = row.get("attachment")
    if isinstance(path, str) and path:
        row["attachment"] = file = _file_in(folder, path)
        ticket = NewTicket.from_mapping(row)
        _check_file(file)
        return ticket
    return NewTicket.from_mapping(row)


def _file_in(folder: Path | None, path: str) -> Path:
    if folder is None:
        raise _problem("needs a folder", "Name it with --attachments FOLDER.")
    try:
        file = (folder / path).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, or links in a circle
        raise _problem("cannot be read: not a path", _CORRECT) from None
    if not file.is_relative_to(folder):
        raise _problem("is outside the folder of --attachments", _CORRECT)
    return file


def _problem(problem: str, next_step: str) -> InvalidInputError:
    return InvalidInputError(
        f"the attachment {problem}", fields={"attachment": (problem,)}, next_step=next_step
    )


def _check_file(path: Path) -> None:
    problem = ""
    try:
        if path.stat().st_size > MAX_ATTACHMENT_BYTES:
            problem = f"has more than {MAX_ATTACHMENT_BYTES:,} bytes"
        elif not path.is_file():
            problem = "is not a file"
        elif not os.access(path, os.R_OK):
            problem = "cannot be read: permission denied"
    except (OSError, ValueError) as error:  # ValueError: a NUL
        reason = getattr(error, "strerror", None) or "not a path"
        problem = f"cannot be read: {reason.lower()}"
    if problem:
        raise _problem(problem, _CORRECT)


_FIELDS = """\
The fields are subject, comment, category (its id), priority (low, medium, high or a code)
and attachment: the path of a file to go with the ticket, in the folder that --attachments
names. No file outside that folder is ever sent.

"""
VENDOR = Vendor(SupportTarget, (Work(CREATES, SupportPushOptions, service),), _FIELDS)
