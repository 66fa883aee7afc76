"""Pushed tickets: how a row is encoded, marked and looked up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final, Literal

import orjson
from attrs import evolve

from kapture_async._core.errors import InvalidInputError
from kapture_async._core.journal.reference import append_marker, references_in
from kapture_async._core.pull.pages import Pages
from kapture_async._core.push.operation import NOWHERE, JournaledOperation, content_of, read_row
from kapture_async._core.reconcile.candidates import beginning, clues_in
from kapture_async._core.reconcile.doctor import TITLE, trial_text
from kapture_async._core.reconcile.evidence import ListedTicket, ListEnd, ListTickets
from kapture_async._core.requestor import ApiRequestor
from kapture_async._core.transport.request import sorted_json

from .._files import AttachmentLike
from .models import NewTicket, TicketRow

TEXT: Final = "text"
ReferencePlace = Literal["text"] | None
"""A line at the end of the comment, or nowhere: the service has no custom fields."""


def check_place(place: Any) -> None:
    """Check a place.

    Raises:
        InvalidInputError: it is not one.
    """
    if place is not None and place != TEXT:
        raise InvalidInputError("reference must be 'text', or None for nowhere")


def created_tickets(
    requestor: ApiRequestor,
    operation: str,
    place: ReferencePlace,
    history: Callable[[], Pages[TicketRow]],
    send: Callable[[ApiRequestor, NewTicket], Awaitable[None]],
) -> JournaledOperation[NewTicket, None]:
    """New tickets; the user's whole history shows them."""
    return JournaledOperation(
        requestor=requestor,
        name=operation,
        place="comment" if place == TEXT else NOWHERE,
        read=ticket_from,
        pack=pack,
        unpack=_unpack,
        mark=partial(mark, place=place),
        send=send,
        lookup=tickets_listed(history, place),
        texts_of=_packed_texts,
        clues_of=lambda payload: clues_in(*_packed_texts(payload)),
        trial=trial_like,
    )


def mark(ticket: NewTicket, reference: str, place: ReferencePlace) -> NewTicket:
    """The ticket with its reference."""
    if place is None:
        return ticket
    return evolve(ticket, comment=append_marker(ticket.comment, reference))


def pack(ticket: NewTicket) -> bytes:
    """A ticket as bytes, always the same for the same content; of a file only its path.

    Raises:
        InvalidInputError: the attachment is content, not a path.
    """
    fields = {
        "subject": ticket.subject,
        "comment": ticket.comment,
        "category": ticket.category,
        "priority": ticket.priority,
    }
    if ticket.attachment is not None:
        fields["attachment"] = _path_of(ticket.attachment)
    return sorted_json(fields)


def _path_of(attachment: AttachmentLike) -> Any:
    """An attachment as the journal keeps it: its path, perhaps with another name.

    Raises:
        InvalidInputError: it is content, which a later run could not read again.
    """
    name, file = attachment if isinstance(attachment, tuple) else (None, attachment)
    if not isinstance(file, (str, os.PathLike)):
        problem = "must be a path in a push with a journal, which may have to read it again"
        raise InvalidInputError(f"the attachment {problem}", fields={"attachment": (problem,)})
    path = os.path.abspath(os.fspath(file))
    return path if name is None else [name, path]


def _unpack(payload: bytes) -> NewTicket:
    fields = orjson.loads(payload)
    if isinstance(fields.get("attachment"), list):
        fields["attachment"] = tuple(fields["attachment"])
    return NewTicket(**fields)


def tickets_listed(history: Callable[[], Pages[TicketRow]], place: ReferencePlace) -> ListTickets:
    """How to see every ticket: the whole history, since it tells no times (SERVICE.md, B17)."""

    async def list_tickets(since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
        async with history() as rows:
            async for row in rows:
                yield ListedTicket(
                    row.ticket_id or None,
                    frozenset(references_in(row.comment)),
                    content_of(row.subject, row.comment) if place is None else None,
                    beginning(row.subject, row.comment) if place == TEXT else None,
                    clues=partial(clues_in, row.subject, row.comment),
                )
        yield ListEnd(ended=True)

    return list_tickets


def _packed_texts(payload: bytes) -> tuple[str, str]:
    fields = orjson.loads(payload)
    return fields["subject"], fields["comment"]


def trial_like(traits: int, payload: bytes | None) -> NewTicket:
    """A trial ticket with these traits, in the category of a row.

    Raises:
        InvalidInputError: no row is kept.
    """
    if payload is None:
        raise InvalidInputError("a trial ticket needs the category of a row, and none is kept")
    fields = orjson.loads(payload)
    return NewTicket(
        subject=TITLE,
        comment=trial_text(traits),
        category=fields["category"],
        priority=fields["priority"],
    )


def ticket_from(row: Any) -> NewTicket:
    """A row of a push as a ticket.

    Raises:
        InvalidInputError: it makes none.
    """
    return read_row(row, NewTicket, NewTicket.from_mapping, "NewTicket")
