"""Pushed customers: how a row is encoded, marked and looked up, and what answers repeat.

A customer's ``remarks`` go in with Add Customer, and come back with Get Customer (SERVICE.md,
sections 5 and 7). No list is sure to show them, so each unconfirmed row is looked up by its phone
number and its e-mail address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from attrs import evolve

from .._api import ADD_CUSTOMER
from .._core.codec import Codec
from .._core.errors import (
    EndpointNotFoundError,
    InvalidInputError,
    NotFoundError,
    UnreadableReplyError,
)
from .._core.journal.reference import append_marker, references_in
from .._core.push.answers import AnswerRule, Texts
from .._core.push.operation import JournaledOperation, read_row
from .._core.reconcile.lookup import AskedRow, AskRows, RowAnswer
from .._core.requestor import ApiRequestor
from .._core.transport.request import sorted_json
from .._reference import TEXT, Field, ReferencePlace, describe, field_values, with_field
from .._validation import says_something
from .models import Customer, CustomerFields, NewCustomer, SavedCustomer

_AT_ONCE = 8
"""Rows that are looked up at a time."""
_BY_ID = "kapture_customer_id"
_OWN_DIGITS = 10
"""Digits of a phone number in India, without what goes before it."""
_FORMS = 8
"""Forms of phone numbers that are tried."""
_OBJECTS = ("additional_fields", "associate_fields")
"""Objects of ``customer_info`` that have attributes of their own."""


def added_customers(
    requestor: ApiRequestor,
    place: ReferencePlace,
    get: Callable[..., Awaitable[Customer]],
    send: Callable[[ApiRequestor, CustomerFields], Awaitable[SavedCustomer]],
) -> JournaledOperation[CustomerFields, SavedCustomer]:
    """New customers; each unconfirmed one is looked up by itself."""
    return JournaledOperation(
        requestor=requestor,
        name=ADD_CUSTOMER.name,
        place=describe(place, "remarks"),
        read=customer_from,
        pack=partial(pack_customer, codec=requestor.codec),
        # Not checked again: a tenant may demand less than the vendor's own rule.
        unpack=lambda payload: CustomerFields.from_mapping(orjson.loads(payload)),
        mark=partial(mark_customer, place=place),
        send=send,
        lookup=answers_for(get, place),
        answers=SAVED_CUSTOMER,
    )


def pack_customer(customer: CustomerFields, codec: Codec) -> bytes:
    """A customer as bytes, always the same for the same content."""
    return sorted_json(codec.encode(customer.to_wire()))


def customer_from(row: Any) -> CustomerFields:
    """A row of a push as a customer.

    Raises:
        InvalidInputError: it makes none.
    """
    return read_row(row, CustomerFields, NewCustomer.from_mapping, "NewCustomer")


def mark_customer(
    customer: CustomerFields, reference: str, place: ReferencePlace
) -> CustomerFields:
    """The customer with its reference: at the end of the remarks, or in a field.

    Raises:
        InvalidInputError: the place holds the customer's own data.
    """
    if place is None:
        return customer
    if not isinstance(place, Field):
        return evolve(customer, remarks=append_marker(customer.remarks, reference))
    outer, inner = place.names
    if outer not in _OBJECTS:
        return evolve(customer, extra=with_field(customer.extra, reference, place))
    fields = dict(getattr(customer, outer) or {})
    if inner in fields:
        raise InvalidInputError(f"{place.path} is taken, so it cannot carry the reference")
    changes: dict[str, Any] = {outer: {**fields, inner: reference}}
    return evolve(customer, **changes)


def answers_for(get: Callable[..., Awaitable[Customer]], place: ReferencePlace) -> AskRows:
    """How to look up customers: by each id, phone number and e-mail address of a row.

    A customer without the reference proves nothing: the service may have merged the row into a
    customer it already had, or another row may have changed the remarks since. Only if no
    customer is found, the row is absent.
    """

    async def ask(asked: Sequence[AskedRow]) -> AsyncIterator[RowAnswer]:
        forms: dict[str, None] = {}  # of phone numbers, as they came back; in order
        missing: list[tuple[AskedRow, RowAnswer]] = []

        async def seeing(**mark: str) -> Customer:
            customer = await get(**mark)
            if _BY_ID in mark and customer.phone and len(forms) < _FORMS:
                forms[_form_of(customer.phone)] = None
            return customer

        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            found = await asyncio.gather(*(_answer_of(one, seeing, place) for one in some))
            for one, answer in zip(some, found, strict=True):
                if answer is None:
                    continue
                if answer.telling and not answer.ticket_ids and one.ticket_id is None:
                    missing.append((one, answer))
                else:
                    yield answer
        # Not found as they were sent: the service may store them in a form of its own.
        for one, answer in missing:
            yield await _in_other_forms(one, answer, get, place, list(forms))

    return AskRows(ask)


async def _in_other_forms(
    asked: AskedRow,
    answer: RowAnswer,
    get: Callable[..., Awaitable[Customer]],
    place: ReferencePlace,
    forms: Sequence[str],
) -> RowAnswer:
    """Look up a row again, in the forms of confirmed rows and in the usual spellings."""
    info = _info_of(asked)
    marks = _marks_of(asked, info)
    phone, email = marks.get("phone"), marks.get("email_id")
    others = [("phone", other) for other in spellings(phone, forms)] if phone else []
    if email:
        others += [("email_id", other) for other in {email.strip(), email.strip().casefold()}]
    for name, other in others:
        if other != marks[name]:
            again = await _answer_of(asked, get, place, {name: other})
            if again is not None and (again.ticket_ids or not again.telling):
                return again
    if phone and any(sign in "xX*" for form in forms for sign in form):
        why = "phone numbers come back in a form that cannot be asked for"
        return evolve(answer, telling=False, why=why)
    return answer


def spellings(phone: str, forms: Sequence[str] = ()) -> list[str]:
    """The forms in which a service may store a phone number.

    Args:
        phone: as it was sent.
        forms: of numbers as they came back, each digit of a subscriber's as ``#``.
    """
    digits = "".join(sign for sign in phone if sign.isdecimal())
    if len(digits) < _OWN_DIGITS:
        return [digits] if digits else []
    own = digits[-_OWN_DIGITS:]
    found = [digits, f"+{digits}", own, f"+91{own}", f"91{own}", f"0{own}", f"+91 {own}"]
    for form in forms:
        if form.count("#") == _OWN_DIGITS:
            signs = iter(own)
            found.append("".join(next(signs) if sign == "#" else sign for sign in form))
    return list(dict.fromkeys(found))


def _form_of(phone: str) -> str:
    """A number with each of its last ten digits as ``#``."""
    left, form = _OWN_DIGITS, []
    for sign in reversed(phone):
        own = sign.isdecimal() and left > 0
        left -= own
        form.append("#" if own else sign)
    return "".join(reversed(form))


async def _answer_of(
    asked: AskedRow,
    get: Callable[..., Awaitable[Customer]],
    place: ReferencePlace,
    marks: Mapping[str, str] | None = None,
) -> RowAnswer | None:
    """Look up a row by its own id, phone number and e-mail address, or by these."""
    info = _info_of(asked)
    if marks is None:
        marks = _marks_of(asked, info)
    if not marks:
        return None
    seen: dict[str, Customer] = {}
    for name, value in marks.items():
        try:
            customer = await get(**{name: value})
        except EndpointNotFoundError:
            raise
        except NotFoundError:
            continue
        except UnreadableReplyError:
            if name != _BY_ID:
                raise
            return None  # another customer than the requested one: merged, perhaps
        seen[customer.customer_id or f"{name} {len(seen) + 1}"] = customer
    carried = {
        customer_id: _references_of(customer, place) for customer_id, customer in seen.items()
    }
    holding = tuple(who for who, references in carried.items() if asked.reference in references)
    others = tuple(
        (reference, who)
        for who, references in carried.items()
        for reference in sorted(references - {asked.reference})
    )
    if holding:
        return RowAnswer(row=asked.row, ticket_ids=holding, others=others)
    names = {_folded(info.get(name)) for name in ("customer_name", "name")} - {""}
    alike = tuple(key for key, customer in seen.items() if _folded(customer.name) in names)
    if alike:
        return RowAnswer(row=asked.row, ticket_ids=alike, proven=False, others=others)
    there = asked.ticket_id is not None and asked.ticket_id in seen
    telling = not seen and place is not None
    return RowAnswer(row=asked.row, telling=telling, others=others, there=there)


def _info_of(asked: AskedRow) -> Mapping[str, Any]:
    if asked.payload is None:
        return {}
    info = orjson.loads(asked.payload).get("customer_info")
    return info if isinstance(info, Mapping) else {}


def _marks_of(asked: AskedRow, info: Mapping[str, Any]) -> dict[str, str]:
    """What a row can be looked up by, under the names of Get Customer."""
    found = {
        _BY_ID: asked.ticket_id or info.get("customer_id"),
        "phone": info.get("phone"),
        "email_id": info.get("email_id") or info.get("email"),
    }
    return {n: v for n, v in found.items() if isinstance(v, str) and says_something(v)}


def _references_of(customer: Customer, place: ReferencePlace) -> frozenset[str]:
    if isinstance(place, Field):
        return field_values(customer.details, place)
    return frozenset(references_in(customer.remarks)) if place == TEXT else frozenset()


def _folded(name: Any) -> str:
    return " ".join(name.split()).casefold() if isinstance(name, str) else ""


def _customer_sent(value: Any) -> Texts:
    if isinstance(value, CustomerFields):
        value = value.to_wire()
    info = value.get("customer_info")
    get = (value if info is None else info).get
    return (
        get("customer_name") or get("name"),
        get("phone"),
        get("email_id") or get("email"),
        get("customer_code"),
        get("customer_id"),
    )


def _customer_told(saved: SavedCustomer) -> Texts:
    get = saved.raw.get
    return (
        get("customer_name") or get("name"),
        get("phone"),
        get("email_id") or get("email"),
        get("customer_code"),
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
    answered=_customer_told,
    id_of=lambda saved: saved.customer_id,
    same=_same_customer,
)
