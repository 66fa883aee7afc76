"""What a write does to the tickets, told by its ledger entry alone.

The emulator carries out a write and replays an old ledger by the same code, so an emulator that
goes on with
a ledger file has the very tickets that the file tells of. Only the contents of files are not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kapture_async._core.testing.forms import Form, FormFile, FormValue

from .fields import as_id
from .routes import CREATE, REPLY, SET_STATUS, UPDATE
from .store import EmulatedConversation, EmulatedTicket, Json, TicketStore


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
