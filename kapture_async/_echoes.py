"""What Kapture's answers repeat of a request (SERVICE.md, sections 1, 2, 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._core.push.echoes import AnswerRule, Texts, short
from .customer_models import CustomerFields, SavedCustomer
from .models import KNOWN_FIELDS, AddedTicket, NewTicket, UpdatedTicket
from .updates import ticket_of

_KNOWN = frozenset((*KNOWN_FIELDS, "phone"))


def _ticket_sent(value: Any) -> Texts:
    if value.__class__ is not dict:
        value = value.to_wire() if isinstance(value, NewTicket) else dict(value)
    get = value.get
    fields = None
    if not _KNOWN.issuperset(value):
        fields = {name: value[name] for name in value if name not in _KNOWN}
    return (
        short(get("title")),
        short(get("ticket_details")),
        short(get("email_id")),
        short(get("phone")),
        fields,
    )


def _ticket_told(added: AddedTicket) -> Texts:
    raw = added.raw
    ticket, fields = raw.get("ticket"), raw.get("Additional_details")
    title, detail, email, phone = raw.get("title"), None, None, None
    if isinstance(ticket, dict):
        get = ticket.get
        detail, email, phone = get("detail"), get("email"), get("phone")
        title = title or get("taskTitle")
    if fields.__class__ is not dict:
        fields = None
    return short(title), short(detail), short(email), short(phone), fields


def _no_id(answer: Any) -> None:
    return None


def ids_of(body: Mapping[str, Any]) -> set[str]:
    """The ids that an answer to Add Ticket gives the ticket, in three places: one, if all is
    well."""
    ticket = body.get("ticket")
    within = ticket.get("ticketId") if isinstance(ticket, dict) else None
    one = body.get("ticket_id")
    if one and one == body.get("Ticket Id") == within:
        return {str(one)}  # so it is, nearly always
    given = (one, body.get("Ticket Id"), within)
    return {str(one).strip() for one in given if one} - {""}


ADDED = AnswerRule(
    names=("title", "description", "e-mail address", "phone number", "associate field"),
    sent=_ticket_sent,
    told=_ticket_told,
    id_of=lambda added: added.ticket_id,
)


def _update_sent(value: Any) -> Texts:
    return (ticket_of(value),)


def _update_told(updated: UpdatedTicket) -> Texts:
    return (updated.ticket_id,)


UPDATED = AnswerRule(
    names=("ticket id",), sent=_update_sent, told=_update_told, id_of=_no_id, by_id=True
)


def _customer_sent(value: Any) -> Texts:
    if isinstance(value, CustomerFields):
        value = value.to_wire()
    info = value.get("customer_info")
    get = (value if info is None else info).get
    return (
        short(get("customer_name") or get("name")),
        short(get("phone")),
        short(get("email_id") or get("email")),
        short(get("customer_code")),
        short(get("customer_id")),
    )


def _customer_told(saved: SavedCustomer) -> Texts:
    get = saved.raw.get
    return (
        short(get("customer_name") or get("name")),
        short(get("phone")),
        short(get("email_id") or get("email")),
        short(get("customer_code")),
        None,
    )


def _same_customer(one: Texts, other: Texts) -> bool:
    """Whether two rows may be one customer: the service adds none that it has already, and finds
    it by phone number, e-mail address, code or id; or, without any, by a contact."""
    if not any(one[1:]) or not any(other[1:]):
        return True
    pairs = zip(one[1:], other[1:], strict=True)
    return any(mine and theirs and _plain(mine) == _plain(theirs) for mine, theirs in pairs)


def _plain(text: str) -> str:
    digits = "".join(sign for sign in text if sign.isdecimal())
    return digits[-10:] if len(digits) >= 7 and "@" not in text else text.strip().casefold()


SAVED_CUSTOMER = AnswerRule(
    names=("name", "phone number", "e-mail address", "code", "id"),
    sent=_customer_sent,
    told=_customer_told,
    id_of=lambda saved: saved.customer_id,
    same=_same_customer,
)
