"""Where a row's reference travels: into the request, and back out of what the service returns.

Kapture does not support idempotency keys (SERVICE.md, sections 0 and 17). A reference of our own
that comes back with a pull lets a lost answer be looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from ._core.arguments import is_one_of
from ._core.errors import InvalidInputError
from ._core.journal.reference import append_marker

TEXT: Final = "text"


def _check_path(_field: object, _attribute: object, path: str) -> None:
    outer, _, inner = path.partition(".") if isinstance(path, str) else ("", "", "")
    if not outer or not inner:
        raise InvalidInputError("a reference field is named as 'object.field'")


@frozen
class Field:
    """A field of a tenant's associate object that carries references.

    Attributes:
        path: ``"object.field"``; the field's name may hold dots itself.
        as_list: send the object as a list of one, as most tenants want it.
    """

    path: str = field(validator=_check_path)
    as_list: bool = True

    @property
    def names(self) -> tuple[str, str]:
        """Object and field."""
        outer, _, inner = self.path.partition(".")
        return outer, inner


ReferencePlace = Field | Literal["text"] | None
"""A tenant's field, a line at the end of a text, or nowhere."""


def check_place(place: Any) -> None:
    """Check a place.

    Raises:
        InvalidInputError: it is not one.
    """
    if not (place is None or isinstance(place, Field) or is_one_of(place, TEXT)):
        raise InvalidInputError("reference must be a Field, 'text', or None for nowhere")


def describe(place: ReferencePlace, text: str) -> str:
    """The place as a journal words it.

    Args:
        place: the place.
        text: the wire name of the text that gets the line.
    """
    if isinstance(place, Field):
        return f"field {place.path}"
    return text if place == TEXT else "none"


def mark(body: dict[str, Any], reference: str, place: ReferencePlace) -> dict[str, Any]:
    """The body of a new ticket with its reference.

    Raises:
        InvalidInputError: the place holds the ticket's own data.
    """
    if place is None:
        return body
    if not isinstance(place, Field):
        return {**body, "ticket_details": append_marker(body.get("ticket_details"), reference)}
    return with_field(body, reference, place)


def with_field(extra: Mapping[str, Any], reference: str, place: Field) -> dict[str, Any]:
    """Fields and associate objects, one of them with a reference.

    Raises:
        InvalidInputError: the place holds the row's own data.
    """
    outer, inner = place.names
    there = extra.get(outer)
    fields = there[0] if isinstance(there, list) and len(there) == 1 else there
    if fields is not None and not isinstance(fields, Mapping):
        raise InvalidInputError(f"{outer} is not an object, so it cannot carry the reference")
    if fields and inner in fields:
        raise InvalidInputError(f"{place.path} is taken, so it cannot carry the reference")
    merged = {**(fields or {}), inner: reference}
    as_list = isinstance(there, list) if there is not None else place.as_list
    return {**extra, outer: [merged] if as_list else merged}


def field_values(associate_fields: Mapping[str, Any] | None, place: Field) -> frozenset[str]:
    """The values of a tenant's field in the associate objects that came back."""
    outer, inner = place.names
    found = (associate_fields or {}).get(outer)
    objects = found if isinstance(found, list) else [found]
    values = (item.get(inner) for item in objects if isinstance(item, Mapping))
    return frozenset(v.strip().lower() for v in values if isinstance(v, str) and v.strip())
