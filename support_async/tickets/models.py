"""Tickets: what is sent, the forms that carry it, and what comes back.

One meaning has one name, whichever endpoint it came from. Ids are text, also where the wire has
a number; ``priority`` and ``status`` are codes as text (SERVICE.md, section 2.5). Codes are open:
a deployment may have more than the documented ones. The decoded object stays in ``raw``. No model
holds a time, as no answer of the service does (SERVICE.md, B17).

Forms are always multipart, also without a file; empty optional fields are left out; a list is the
same field several times (SERVICE.md, sections 1, 8 and B1).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import define, field, frozen

from kapture_async._core.arguments import Payload, given, is_missing
from kapture_async._core.codec import WireModel, wire
from kapture_async._core.errors import HelpdeskError, InvalidInputError, OutcomeUnknownError
from kapture_async._core.transport.request import Attachment, Form

from .._files import AttachmentLike, check_attachment, check_no_path_text
from .._validation import checked_category, checked_comment, checked_priority, checked_subject


class Priority(StrEnum):
    """The documented codes of a ticket's priority (SERVICE.md, section 2.6)."""

    LOW = "1"
    MEDIUM = "2"
    HIGH = "3"


class Status(StrEnum):
    """The documented codes of a ticket's status (SERVICE.md, section 2.6)."""

    OPEN = "1"
    PROCESSING = "2"
    CLOSED = "3"


WIRE_FIELDS: Final = ("subject", "comment", "category", "priority", "attachment")
"""The fields of a new ticket by their wire names (SERVICE.md, section 3.2)."""


@frozen(kw_only=True, repr=False)
class NewTicket:
    """A ticket to create. Its repr shows none of its text.

    Attributes:
        subject: at most 500 characters, outer blanks aside (SERVICE.md, section 3.2).
        comment: the text; no limit is documented.
        category: a category's id, from :meth:`Categories.list`.
        priority: a code, see :class:`Priority`; or ``"low"``, ``"medium"`` or ``"high"``.
        attachment: one file, at most 2 MiB: a path, bytes, an open binary file, or a pair of a
            name and one of these. A path is read when the ticket is sent.

    Raises:
        InvalidInputError: a field is blank, too long, of the wrong type, or no id or code.
    """

    subject: str = field(converter=checked_subject)
    comment: str = field(converter=checked_comment)
    category: str = field(converter=checked_category)
    priority: str = field(converter=checked_priority)
    attachment: AttachmentLike | None = field(default=None, converter=given)

    def __attrs_post_init__(self) -> None:
        check_attachment(self.attachment)

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> NewTicket:
        """A ticket from a mapping of wire names.

        A mapping may come from someone else (a row of a file, a request), who must not be able to
        have any file of this machine sent. So here, text is never the path of an attachment.

        Raises:
            InvalidInputError: a field is missing or unknown, the attachment is a text or a pair
                with one, or as for the class.
        """
        ticket = cls.of_fields(row)
        check_no_path_text(ticket.attachment)
        return ticket

    @classmethod
    def of_fields(cls, row: Mapping[str, Any]) -> NewTicket:
        """The same from the caller's own fields, where a text is the path of an attachment.

        Raises:
            InvalidInputError: a field is missing or unknown, or as for the class.
        """
        unknown = [name for name in row if name not in WIRE_FIELDS]
        if unknown:
            name = str(unknown[0])[:40]
            raise InvalidInputError(
                f"a ticket has no field {name!r}; its fields are {', '.join(WIRE_FIELDS)}",
                fields={name: ("is not a field of a ticket",)},
            )
        for name in WIRE_FIELDS[:4]:
            if name not in row or is_missing(row[name]):
                raise InvalidInputError(f"{name} is missing", fields={name: ("is missing",)})
        return cls(**row)

    def __repr__(self) -> str:
        if not hasattr(self, "attachment"):  # a refused field; tracebacks show it half made
            return "<NewTicket, not made>"
        file = ", with a file" if self.attachment is not None else ""
        return f"<NewTicket category={self.category!r} priority={self.priority!r}{file}>"


@define(eq=False, repr=False)
class TicketRow(WireModel):
    """A ticket as the history lists it (SERVICE.md, section 3.3)."""

    ticket_id: str = wire("id", "ident", shown=True, id_of="a ticket")
    subject: str | None = wire("subject")
    priority: str | None = wire("priority", "ident", shown=True)
    category: str | None = wire("category", "ident", shown=True)
    category_title: str | None = wire("category_title")
    comment: str | None = wire("comment")
    status: str | None = wire("status", "ident", shown=True)

    @property
    def is_closed(self) -> bool:
        """Whether its status is the documented code for closed."""
        return self.status == Status.CLOSED


@define(eq=False, repr=False)
class Conversation(WireModel):
    """One reply on a ticket (SERVICE.md, section 3.6)."""

    conversation_id: str = wire("id", "ident", shown=True, id_of="a reply")
    ticket_id: str | None = wire("ticket", "ident", shown=True)
    comment: str | None = wire("comment")
    author: str | None = wire("author")
    """An e-mail address."""


@define(eq=False, repr=False)
class TicketAttachment(WireModel):
    """A file on a ticket; its name and size are only known when it is downloaded."""

    attachment_id: str = wire("id", "ident", shown=True, id_of="an attachment")
    conversation_id: str | None = wire("conversation_id", "ident", shown=True)
    """The reply it came with; ``None`` for a file that came with the ticket itself."""


@define(eq=False, repr=False)
class TicketDetail(WireModel):
    """One ticket with all that belongs to it (SERVICE.md, section 3.6)."""

    ticket_id: str = wire("id", "ident", section="ticket", shown=True, id_of="a ticket")
    subject: str | None = wire("subject", section="ticket")
    priority: str | None = wire("priority", "ident", section="ticket", shown=True)
    category: str | None = wire("category", "ident", section="ticket", shown=True)
    comment: str | None = wire("comment", section="ticket")
    status: str | None = wire("status", "ident", section="ticket", shown=True)
    tags: list[str] | None = wire("tags", "idents", section="ticket", shown=True)
    author: str | None = wire("author")
    """An e-mail address."""
    _conversations: list[Any] | None = wire("conversations", "items")
    _attachments: list[Any] | None = wire("attachments", "items")

    def __attrs_post_init__(self) -> None:
        # Read now, so that a malformed part is refused here and not when it is read later.
        _ = self.conversations, self.attachments

    @property
    def conversations(self) -> list[Conversation]:
        """The replies, as the service orders them."""
        return self._parts("conversations", Conversation)

    @property
    def attachments(self) -> list[TicketAttachment]:
        """The files."""
        return self._parts("attachments", TicketAttachment)

    @property
    def is_closed(self) -> bool:
        """Whether its status is the documented code for closed."""
        return self.status == Status.CLOSED


@frozen(kw_only=True)
class CreatedTicket:
    """A ticket that was created, or perhaps was, and what was found of it afterwards.

    Attributes:
        ticket_id: most likely its id: exactly one ticket that was not seen before looks like it;
            else ``None``. No more than likely, since the service does not tell it, and a history
            that lags behind may show another one that is equal.
        candidates: the ids of all new tickets that look like it, newest first.
        doubt: ``None`` if the service confirmed the create; else the doubt about it. With a
            doubt, ``ticket_id`` is most likely the ticket, and no ``candidates`` do *not* prove
            that there is none: it may still come.
        lookup_error: why the look-up failed, if it did. The create itself is not concerned.
    """

    ticket_id: str | None
    candidates: tuple[str, ...] = ()
    doubt: OutcomeUnknownError | None = None
    lookup_error: HelpdeskError | None = None


def ticket_of(ticket: NewTicket | None, fields: Mapping[str, Any]) -> NewTicket:
    """A ticket that is given whole, or by its fields.

    Raises:
        InvalidInputError: neither or both are given, or the fields are not valid.
    """
    given = Payload((name, value) for name, value in fields.items() if value is not None)
    if ticket is not None:
        if given:
            raise InvalidInputError("give either a whole ticket or its fields, not both")
        if not isinstance(ticket, NewTicket):
            raise InvalidInputError(f"a ticket is a NewTicket, not {type(ticket).__name__}")
        return ticket
    return NewTicket.of_fields(given)


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
