"""Pushed tickets: how a row is encoded, marked and looked up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

import orjson
from attrs import evolve

from kapture_async._core.errors import InvalidInputError
from kapture_async._core.journal.records import Job
from kapture_async._core.journal.reference import append_marker, references_in
from kapture_async._core.pull.pages import Pages
from kapture_async._core.push.beginnings import beginning
from kapture_async._core.push.candidates import clues_in
from kapture_async._core.push.journaling import RowCodec
from kapture_async._core.push.lookup import ListEnd, Look, Seen
from kapture_async._core.push.trial import TITLE, trial_text
from kapture_async._core.transport.request import sorted_json
from kapture_async._core.transport.settings import TransportSettings

from .._api import SERVICE
from .._files import AttachmentLike
from .models import NewTicket, TicketRow

TEXT: Final = "text"
ReferencePlace = Literal["text"] | None
"""A line at the end of the comment, or nowhere: the service has no fields of a tenant's own."""


def check_place(place: Any) -> None:
    """See that something is a place.

    Raises:
        InvalidInputError: it is none.
    """
    if place is not None and place != TEXT:
        raise InvalidInputError("reference must be 'text', or None for nowhere")


def job_of(
    settings: TransportSettings,
    operation: str,
    place: ReferencePlace,
    *,
    payloads: bool = True,
    keys: str | None = None,
    source: str | None = None,
    longest_call: float | None = None,
) -> Job:
    """What a journal of new tickets is for."""
    return Job(
        service=SERVICE,
        operation=operation,
        target=str(settings.base_url),
        place="comment" if place == TEXT else "none",
        keys=keys,
        payloads=payloads,
        source=source,
        longest_call=longest_call,
    )


def records_of(job: Job, place: ReferencePlace) -> RowCodec[NewTicket]:
    """How new tickets stand in a journal."""

    return RowCodec(
        job=job,
        ready=ticket_from,
        pack=pack,
        unpack=_unpack,
        mark=lambda ticket, reference: mark(ticket, reference, place),
    )


def mark(ticket: NewTicket, reference: str, place: ReferencePlace) -> NewTicket:
    """The ticket with its reference."""
    if place is None:
        return ticket
    return evolve(ticket, comment=append_marker(ticket.comment, reference))


def pack(ticket: NewTicket) -> bytes:
    """A ticket as bytes, always the same for the same content; of a file only its path.

    Raises:
        InvalidInputError: the attachment is content, and no path.
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
    """An attachment as a journal keeps it: its path, perhaps with another name.

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


def look_of(history: Callable[[], Pages[TicketRow]], place: ReferencePlace) -> Look:
    """How to see every ticket: the whole history, since it tells no times (SERVICE.md, B17)."""

    async def look(since: float, until: float) -> AsyncIterator[Seen | ListEnd]:
        async with history() as rows:
            async for row in rows:
                yield Seen(
                    row.ticket_id or None,
                    frozenset(references_in(row.comment)),
                    content_of(row.subject, row.comment) if place is None else None,
                    beginning(row.subject, row.comment) if place == TEXT else None,
                    clues=partial(clues_in, row.subject, row.comment),
                )
        yield ListEnd(ended=True)

    return look


def content_of(subject: str | None, comment: str | None) -> str:
    """What is compared where no reference travels. White space does not survive every way."""
    return "\n".join(" ".join((text or "").split()) for text in (subject, comment))


def packed_beginning(payload: bytes) -> tuple[str, str]:
    """What is compared of a row whose reference may have been cut off."""
    fields = orjson.loads(payload)
    return beginning(fields["subject"], fields["comment"])


def trial_like(payload: bytes | None, traits: int) -> NewTicket:
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


def packed_clues(payload: bytes) -> frozenset[str]:
    """What a ticket may share with a row; see :mod:`kapture_async._core.push.candidates`."""
    fields = orjson.loads(payload)
    return clues_in(fields["subject"], fields["comment"])


def packed_content(payload: bytes) -> str:
    """The same of a row in a journal."""
    fields = orjson.loads(payload)
    return content_of(fields["subject"], fields["comment"])


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
