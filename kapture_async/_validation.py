"""Input: objects that users build, and arguments, checked before anything is sent. No I/O here.

A class of :class:`Outgoing` is a table: an attribute is a field, its kind is what it must hold, and
its wire name is the attribute's own unless the vendor writes it differently. ``None`` is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar

import attrs
from attrs import field, frozen

from ._core.arguments import Payload, check_mapping, given, members
from ._core.errors import InvalidInputError

T = TypeVar("T", bound="Outgoing")
R = TypeVar("R")

Kind = Literal["text", "date", "moment", "flag", "mapping"]

_SENT = "kapture_async.sent"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def frozen_mapping(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A read-only mapping; anything that is not a mapping is left to the owner's check."""
    if value is None:
        return _NOTHING
    return MappingProxyType(members(value)) if isinstance(value, Mapping) else value


def _frozen_or_none(value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if value is None else frozen_mapping(value)


def sent(kind: Kind = "text", *, key: str | None = None) -> Any:
    """A field that is sent, if it is given.

    Args:
        kind: ``text``, ``date`` (a date, a datetime, or text that is sent as it is), ``moment`` (a
            datetime or text), ``flag``, or ``mapping`` (an object whose keys are the tenant's).
        key: the wire name, where it is not the attribute's own.
    """
    if kind == "mapping":  # cannot be hashed itself; equal objects still have equal hashes
        return field(
            default=None, converter=_frozen_or_none, metadata=as_sent(kind, key), hash=False
        )
    return field(default=None, converter=given, metadata=as_sent(kind, key))


def as_sent(kind: Kind = "text", key: str | None = None) -> Mapping[str, Any]:
    """The metadata of a field that is sent; see :func:`sent`."""
    return {_SENT: (key, kind)}


_TABLES: dict[Any, Mapping[str, str]] = {}


def wire_names(cls: type[Outgoing]) -> Mapping[str, str]:
    """Wire name to attribute, in the order in which they are sent."""
    found = _TABLES.get(cls)
    if found is None:
        specs = [a for a in attrs.fields(cls) if _SENT in a.metadata]
        names = {a.metadata[_SENT][0] or a.name: a.name for a in specs}
        found = _TABLES[cls] = MappingProxyType(names)
    return found


@frozen(kw_only=True, repr=False)
class Outgoing:
    """Base of the objects that users build. Its repr shows no value.

    Attributes:
        extra: further fields of the same object by their wire names; any JSON value, also dates.

    Raises:
        InvalidInputError: a field has the wrong type, or ``extra`` repeats a field.
    """

    extra: Mapping[str, Any] = field(default=_NOTHING, converter=frozen_mapping, hash=False)

    def __attrs_post_init__(self) -> None:
        self._check()

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Self:
        """One from a mapping by wire names: undocumented fields become ``extra``.

        Raises:
            InvalidInputError: as for the class, or it is not a mapping.
        """
        names = wire_names(cls)
        row = members(checked_row(row, cls.__name__))
        known = {names[key]: value for key, value in row.items() if key in names}
        return cls(**known, extra={k: v for k, v in row.items() if k not in names})

    def to_wire(self) -> dict[str, Any]:
        """The fields by their wire names, without those that are ``None``; not yet encoded."""
        return self._fields()

    def _fields(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, name in wire_names(type(self)).items():
            value = getattr(self, name)
            if value is not None:
                found[key] = dict(value) if value.__class__ is MappingProxyType else value
        found.update(self.extra)
        return found

    def _check(self) -> None:
        """Raise for what cannot be sent as it is. Subclasses add their own rules."""
        for attribute in attrs.fields(type(self)):
            if _SENT in attribute.metadata:
                value = getattr(self, attribute.name)
                if value is not None:
                    _check_kind(attribute.name, value, attribute.metadata[_SENT][1])
        check_names("extra", self.extra, self._taken())

    def _taken(self) -> Mapping[str, Any]:
        """The names that ``extra`` may not hold."""
        return wire_names(type(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {', '.join(self.to_wire()) or 'nothing'}>"

    def __reduce__(self) -> Any:
        # A mapping proxy does not pickle, so the fields are passed through the constructor.
        state = {a.name: getattr(self, a.name) for a in attrs.fields(type(self))}
        return _built, (type(self), {name: _plain(value) for name, value in state.items()})


def checked_row(row: Any, what: str) -> Mapping[str, Any]:
    """A row that must be a mapping."""
    if not isinstance(row, Mapping):
        raise InvalidInputError(f"{what} is made from a mapping, not {type(row).__name__}")
    return row


def check_names(where: str, given: Any, taken: Mapping[str, Any]) -> None:
    """Raise unless ``given`` is a mapping with text keys that repeats no field."""
    if not isinstance(given, Mapping):
        text = f"must be a mapping, not {type(given).__name__}"
        raise InvalidInputError(f"{where} {text}", fields={where: (text,)})
    for name in given:
        if not isinstance(name, str):
            text = "must have text keys"
            raise InvalidInputError(f"{where} {text}", fields={where: (text,)})
        if name in taken:
            text = f"is given twice: as itself and in {where}"
            raise InvalidInputError(f"{name} {text}", fields={name: (text,)})


def says_something(value: Any) -> bool:
    """Whether a value holds anything: it is not ``None``, blank or empty."""
    return bool(value.strip()) if isinstance(value, str) else bool(value)


_KINDS: Mapping[Kind, tuple[type | tuple[type, ...], str]] = {
    "text": (str, "text"),
    "date": ((str, date), "text or a date"),
    "moment": ((str, datetime), "text or a datetime"),
    "flag": (bool, "true or false"),
}


def _check_kind(name: str, value: Any, kind: Kind) -> None:
    if kind == "mapping":
        check_names(name, value, {})
        return
    classes, words = _KINDS[kind]
    if not isinstance(value, classes):
        text = f"must be {words}, not {type(value).__name__}"
        raise InvalidInputError(f"{name} {text}", fields={name: (text,)})


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _built(cls: type[T], state: dict[str, Any]) -> T:
    return cls(**state)


_SENDABLE = (str, int, float, date, list, tuple, Mapping)


def checked_id(value: str, *, what: str = "ticket") -> str:
    """An id that can be sent: text, not blank, one only."""
    if not isinstance(value, str):
        raise InvalidInputError(
            f"a {what} id is text, not {type(value).__name__}: as a number it may lose digits"
        )
    if not value.strip() or "," in value:
        raise InvalidInputError(f"{value[:40]!r} is not a {what} id")
    return value.strip()


def checked_text(name: str, value: str) -> str:
    """A text that must not be blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{name} must be text that is not blank")
    return value


def merge_given(body: Payload, **given: Any) -> None:
    """Add the fields that are not ``None``."""
    for name, value in given.items():
        if value is None:
            continue
        if not isinstance(value, _SENDABLE):
            raise InvalidInputError(f"{name} must be text, not {type(value).__name__}")
        body[name] = value


def merge_extra(body: dict[str, Any], extra: Mapping[str, Any] | None) -> None:
    """Add fields by their wire names; none may repeat a field."""
    check_mapping("extra", extra)
    for name, value in (extra or {}).items():
        if name in body:
            raise InvalidInputError(f"{name} is given twice: as itself and in extra")
        body[name] = value


def hidden(extra: Mapping[str, Any] | None) -> Payload:
    """Further fields, in a mapping whose repr shows no value.

    Raises:
        InvalidInputError: they are no mapping.
    """
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidInputError(f"extra must be a mapping, not {type(extra).__name__}")
    return Payload(extra or {})


def number_of(value: Any) -> int | None:
    """A limit or an offset as a number; ``None`` if it is something else."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def account_id(name: str, value: int | str) -> int | str:
    """A tenant's account id: a number above 0, or text that is not blank.

    Raises:
        InvalidInputError: it is neither.
    """
    if isinstance(value, str) and value.strip() and value.strip() != "0":
        return value.strip()
    if type(value) is int and value > 0:
        return value
    raise InvalidInputError(f"{name} must be the account's id, a number above 0")
