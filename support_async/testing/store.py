"""The emulator's tickets, replies and attachments, and the shapes in which the endpoints show them.

Keys stand in wire order; ids are numbers, codes are texts (SERVICE.md, section 2.5).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from kapture_async._core.testing.forms import Form, FormFile, FormValue

from .rest import as_id
from .routes import CREATE, REPLY, SET_STATUS, UPDATE

Json: TypeAlias = dict[str, Any]

OPEN = "1"
PROCESSING = "2"
CLOSED = "3"
PRIORITIES = frozenset({"1", "2", "3"})

CATEGORIES: Mapping[int, tuple[str, str]] = {
    3: ("Sample category A", "Neutral description A"),
    4: ("Sample category B", ""),
}
"""Title and description by id, as in the samples."""

TAGS: Mapping[int, tuple[str, str]] = {
    1: ("Sample tag A", "sample-a"),
    2: ("Sample tag B", "sample-b"),
    3: ("Sample tag C", "sample-c"),
}
"""Title and keyword by id."""

_FIRST_TICKET = 101
_FIRST_CONVERSATION = 501
_FIRST_ATTACHMENT = 901


@attrs.frozen
class EmulatedConversation:
    """One reply to a ticket."""

    id: int
    comment: str = attrs.field(repr=False)
    author: str = attrs.field(repr=False)


@attrs.frozen
class EmulatedAttachment:
    """One file of a ticket; ``content`` is ``None`` when the emulator that had it is gone."""

    id: int
    ticket_id: int
    conversation_id: int | None
    """``None`` for a file that came with the ticket itself."""
    name: str
    content_type: str
    """What the client said of it; downloads say what the name suggests."""
    content: bytes | None = attrs.field(repr=False)


@attrs.define(eq=False)
class EmulatedTicket:
    """What the emulator knows of a ticket."""

    id: int
    subject: str = attrs.field(repr=False)
    comment: str = attrs.field(repr=False)
    category: int
    priority: str
    author: str = attrs.field(repr=False)
    status: str = OPEN
    tags: list[int] = attrs.field(factory=list[int])
    conversations: list[EmulatedConversation] = attrs.field(factory=list[EmulatedConversation])
    attachments: list[EmulatedAttachment] = attrs.field(factory=list[EmulatedAttachment])


class TicketStore:
    """All tickets by id and by author, and all attachments by id."""

    def __init__(self) -> None:
        self.tickets: dict[int, EmulatedTicket] = {}
        self.attachments: dict[int, EmulatedAttachment] = {}
        self._of: dict[str, list[EmulatedTicket]] = {}
        self.next_id: int = _FIRST_TICKET
        self._conversation_ids = itertools.count(_FIRST_CONVERSATION)
        self._attachment_ids = itertools.count(_FIRST_ATTACHMENT)

    def add(self, ticket: EmulatedTicket) -> EmulatedTicket:
        """Keep a new ticket."""
        self.tickets[ticket.id] = ticket
        self._of.setdefault(ticket.author, []).append(ticket)
        self.next_id = max(self.next_id, ticket.id + 1)
        return ticket

    def reply(self, ticket: EmulatedTicket, comment: str, author: str) -> EmulatedConversation:
        """Keep a reply; it changes nothing else, not even a closed ticket."""
        conversation = EmulatedConversation(next(self._conversation_ids), comment, author)
        ticket.conversations.append(conversation)
        return conversation

    def attach(
        self,
        ticket: EmulatedTicket,
        conversation: EmulatedConversation | None,
        name: str,
        content_type: str,
        content: bytes | None,
    ) -> EmulatedAttachment:
        """Keep a file of a ticket, or of a reply to it."""
        number = next(self._attachment_ids)
        conversation_id = None if conversation is None else conversation.id
        attachment = EmulatedAttachment(
            number, ticket.id, conversation_id, name, content_type, content
        )
        self.attachments[number] = attachment
        ticket.attachments.append(attachment)
        return attachment

    def open_tickets(self, author: str) -> int:
        """Return how many tickets of an author are not closed."""
        return sum(ticket.status != CLOSED for ticket in self._of.get(author, ()))

    def newest_first(
        self, author: str, offset: int, limit: int, matches: Callable[[EmulatedTicket], bool] | None
    ) -> Iterator[EmulatedTicket]:
        """Yield a page of an author's tickets, of those that match if anything is asked."""
        rows: Iterator[EmulatedTicket] = reversed(self._of.get(author, []))
        if matches is not None:
            rows = filter(matches, rows)
        return itertools.islice(rows, offset, offset + limit)


def category_list() -> Json:
    """Return the answer of the category list (section 3.1)."""
    return {
        "CategoryList": [
            {"id": number, "category": title, "description": description}
            for number, (title, description) in CATEGORIES.items()
        ]
    }


def tag_list() -> Json:
    """Return the answer of the tag list (section 3.4)."""
    return {
        "TicketTagList": [
            {"id": number, "tag": title, "keyword": keyword}
            for number, (title, keyword) in TAGS.items()
        ]
    }


def history_row(ticket: EmulatedTicket) -> Json:
    """Return a ticket as the history shows it (section 3.3)."""
    return {
        "id": ticket.id,
        "subject": ticket.subject,
        "priority": ticket.priority,
        "category": ticket.category,
        "category_title": CATEGORIES[ticket.category][0],
        "comment": ticket.comment,
        "status": ticket.status,
    }


def detailed_view(ticket: EmulatedTicket) -> Json:
    """Return a ticket with all that belongs to it (section 3.6)."""
    return {
        "ticket": {
            "id": ticket.id,
            "subject": ticket.subject,
            "priority": ticket.priority,
            "category": ticket.category,
            "comment": ticket.comment,
            "status": ticket.status,
            "tags": ticket.tags,
        },
        "author": ticket.author,
        "conversations": [
            {"id": one.id, "ticket": ticket.id, "comment": one.comment, "author": one.author}
            for one in ticket.conversations
        ],
        "attachments": [
            {"id": one.id, "conversation_id": one.conversation_id} for one in ticket.attachments
        ],
    }


def payload_of(form: Form) -> Json:
    """Return what a client sent, as the ledger keeps it.

    A repeated field is a list, ``tags`` always is one, and a file is told by its name, size, type
    and hash.
    """
    payload: Json = {}
    for name in form:
        values = [_recorded(value) for value in form.values(name)]
        payload[name] = values if len(values) > 1 or name == "tags" else values[0]
    return payload


def apply(
    store: TicketStore,
    operation: str,
    ticket_id: str,
    payload: Mapping[str, Any],
    user: str,
    file: FormFile | None = None,
) -> None:
    """Do to the tickets what a call did that was accepted.

    ``file`` is the file of a call that is executed now; a replayed one has none to give.
    """
    if operation == CREATE:
        ticket = EmulatedTicket(
            id=int(ticket_id),
            subject=_text(payload, "subject"),
            comment=_text(payload, "comment"),
            category=as_id(_last(payload, "category")) or 0,
            priority=_text(payload, "priority"),
            author=user,
        )
        store.add(ticket)
        _attach(store, ticket, None, payload, file)
        return
    found = store.tickets.get(int(ticket_id))
    if found is None:  # it was seeded, and seeds are in no ledger
        return
    if operation == UPDATE:
        found.priority = _text(payload, "priority") or found.priority
        found.tags = sorted({as_id(tag) or 0 for tag in payload["tags"]})
    elif operation == REPLY:
        conversation = store.reply(found, _text(payload, "comment"), user)
        _attach(store, found, conversation, payload, file)
    elif operation == SET_STATUS:
        found.status = _text(payload, "status")


def _recorded(value: FormValue) -> str | Json:
    if isinstance(value, str):
        return value
    return {
        "name": value.name,
        "size": value.size,
        "sha256": hashlib.sha256(value.content).hexdigest(),
        "content_type": value.content_type,
    }


def _last(payload: Mapping[str, Any], name: str) -> Any:
    value = payload.get(name)
    return value[-1] if isinstance(value, list) else value


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = _last(payload, name)
    return "" if value is None else str(value).strip()


def _attach(
    store: TicketStore,
    ticket: EmulatedTicket,
    conversation: EmulatedConversation | None,
    payload: Mapping[str, Any],
    file: FormFile | None,
) -> None:
    told = _last(payload, "attachment")
    if isinstance(told, dict):
        content = None if file is None else file.content
        store.attach(ticket, conversation, told["name"], told["content_type"], content)
