"""The rows of a file as tickets. All that can be wrong with one is found before it is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kapture_async._core.errors import InvalidInputError
from kapture_async._core.push.sources import Build
from kapture_async._core.transport.request import form_body

from .._files import MAX_ATTACHMENT_BYTES
from .._validation import checked_priority
from ..tickets.models import WIRE_FIELDS, NewTicket, create_form
from ..tickets.push import ReferencePlace, mark
from .options import PRIORITIES

TRIAL_SUBJECT = "Trial ticket, please close"
TRIAL_TEXT = "It was created to see whether tickets are found again by their reference."
_CORRECT = "Correct the path; it counts from the folder of --attachments."


def row_builder(folder: str | None) -> Build:
    """How a row becomes a ticket.

    Args:
        folder: where attachments may come from. A file of rows may be a stranger's, who must not
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
    """A row as a ticket; its file is looked at now, when nothing has been sent yet."""
    row = dict(content)
    priority, path = row.get("priority"), row.get("attachment")
    if isinstance(priority, str):
        row["priority"] = _code_of(priority)
    if isinstance(path, str) and path:
        row["attachment"] = file = _file_in(folder, path)
        ticket = NewTicket.from_mapping(row)
        _check_file(file)
        return ticket
    return NewTicket.from_mapping(row)


def _code_of(priority: str) -> str:
    try:
        return checked_priority(PRIORITIES.get(priority.strip().lower(), priority))
    except InvalidInputError:
        problem = f"must be {', '.join(PRIORITIES)} or a code such as '1'"
        raise InvalidInputError(f"priority {problem}", fields={"priority": (problem,)}) from None


def _file_in(folder: Path | None, path: str) -> Path:
    if folder is None:
        raise _problem("needs a folder to come from", "Name it with --attachments FOLDER.")
    try:
        file = (folder / path).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, or links in a circle
        raise _problem("cannot be read: no path", _CORRECT) from None
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
            problem = "is no file"
        elif not os.access(path, os.R_OK):
            problem = "may not be read"
    except (OSError, ValueError) as error:  # ValueError: a NUL
        reason = getattr(error, "strerror", None) or "no path"
        problem = f"cannot be read: {reason.lower()}"
    if problem:
        raise _problem(problem, _CORRECT)
