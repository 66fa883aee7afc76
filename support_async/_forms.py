"""The forms of the ticket calls: made from values that were checked. No I/O here.

Always multipart, also without a file; empty optional fields are left out; a list is the same
field several times (SERVICE.md, sections 1, 8 and B1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kapture_async._core.errors import InvalidInputError
from kapture_async._core.requestor import Payload
from kapture_async._core.transport.bodies import Attachment, Form

from .models import NewTicket


def ticket_of(ticket: NewTicket | None, fields: Mapping[str, Any]) -> NewTicket:
    """A ticket that was given whole, or by its fields.

    Raises:
        InvalidInputError: neither or both are given, or the fields make no ticket.
    """
    given = Payload((name, value) for name, value in fields.items() if value is not None)
    if ticket is not None:
        if given:
            raise InvalidInputError("give either a whole ticket or its fields, not both")
        if not isinstance(ticket, NewTicket):
            raise InvalidInputError(f"a ticket is a NewTicket, not {type(ticket).__name__}")
        return ticket
    return NewTicket.of_fields(given)


def ticket_from(row: Any) -> NewTicket:
    """A row of a push as a ticket. Whatever the row raises is its own problem.

    Raises:
        InvalidInputError: it makes no ticket.
    """
    if isinstance(row, NewTicket):
        return row
    if not isinstance(row, Mapping):
        raise InvalidInputError(f"a row must be a NewTicket or a mapping, not {type(row).__name__}")
    try:
        return NewTicket.from_mapping(row)
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a mapping of somebody else's may raise
        raise InvalidInputError(f"the row cannot be read ({type(error).__name__})") from None


def create_form(ticket: NewTicket, file: Attachment | None) -> Form:
    """The form of a new ticket (SERVICE.md, section 3.2)."""
    return Form(
        (
            ("subject", ticket.subject),
            ("priority", ticket.priority),
            ("comment", ticket.comment),
            ("category", ticket.category),
        ),
        _files(file),
    )


def update_form(ticket_id: str, tags: tuple[str, ...], priority: str | None) -> Form:
    """The form of a change (SERVICE.md, section 3.5)."""
    fields = [("ticket_id", ticket_id)]
    if priority is not None:
        fields.append(("priority", priority))
    return Form((*fields, *(("tags", tag) for tag in tags)))


def reply_form(ticket_id: str, comment: str, file: Attachment | None) -> Form:
    """The form of a reply (SERVICE.md, section 3.8)."""
    return Form((("ticket", ticket_id), ("comment", comment)), _files(file))


def status_form(ticket_id: str, status: str) -> Form:
    """The form of a change of status (SERVICE.md, section 3.9)."""
    return Form((("ticket", ticket_id), ("status", status)))


def detail_form(ticket_id: str) -> Form:
    """The form that asks for one ticket (SERVICE.md, section 3.6)."""
    return Form((("ticket_id", ticket_id),))


def _files(file: Attachment | None) -> tuple[tuple[str, Attachment], ...]:
    return () if file is None else (("attachment", file),)
