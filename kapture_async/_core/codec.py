"""Between attrs classes and JSON: tolerant, lossless, fast. cattrs is the interface.

cattrs' defaults are kind in the wrong places: a missing text becomes ``"None"``, ``"false"``
becomes ``True``, ``7.9`` becomes ``7``, unknown keys vanish. The hooks registered here close
those traps. What a service sends is never dropped and never cast silently:

- a reply model keeps the decoded object as :attr:`WireModel.raw`, and encodes back to it;
- a field whose value has the wrong type is ``None`` in the view and named in ``problems``;
- an object without the id that it always has is refused;
- ids and phone numbers stay text, codes stay open, texts are unescaped in the view only.

A reply model is a view. Ids that must be there are looked at when it is made; any other field
when it is first read, and then it stays. Few programs read all 44 fields of a ticket, and
taking them all is two thirds of what it costs to decode one. Who reads them all pays no more than
before: ``problems`` takes them together. Both ways are written out as source and compiled, once:
a loop over the fields takes several times as long.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property
from html import unescape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar
from uuid import UUID

import attrs
from attrs import define, field

from .arguments import tidied
from .errors import InvalidInputError, UnreadableReplyError
from .jsontext import OddObject, oddities_of

if TYPE_CHECKING:
    import cattrs

M = TypeVar("M", bound="WireModel")
T = TypeVar("T")

Kind = Literal[
    "text",
    "words",
    "code",
    "ident",
    "idents",
    "integer",
    "flag",
    "moment",
    "texts",
    "mapping",
    "items",
]
"""What a wire field holds: ``text`` as it is, ``words`` HTML-unescaped, ``code`` one of the
service's codes, ``ident`` an id or phone number (both text, also where the wire has a number),
``idents`` a list of ids, ``moment`` a date and time, the rest as named."""

_WIRE = "kapture_async.wire"
_MOMENTS = 4096  # parsed texts of moments that are kept: more than a day has minutes


@attrs.frozen
class _Wire:
    key: str
    kind: Kind
    section: str | None
    shown: bool
    id_of: str | None
    at_once: bool


def wire(
    key: str,
    kind: Kind = "text",
    *,
    section: str | None = None,
    shown: bool = False,
    id_of: str | None = None,
    at_once: bool = False,
) -> Any:
    """A field of a reply model.

    Args:
        key: the wire name.
        kind: what it holds.
        section: the key of the object inside the reply that holds it, if not the reply itself.
        shown: stands in the repr. Only for ids and codes: a repr must not hold personal data.
        id_of: for an ``ident`` that is never missing: what it is the id of. An object without
            it is refused.
        at_once: read when the view is made, as every program reads it.
    """
    spec = _Wire(key, kind, section, shown, id_of, at_once)
    return field(default=None, metadata={_WIRE: spec})


def wire_fields(cls: type[WireModel]) -> tuple[tuple[str, str, Kind], ...]:
    """The fields of a reply model: name, wire key and kind of each, in the order of the class."""
    return tuple(
        (a.name, a.metadata[_WIRE].key, a.metadata[_WIRE].kind)
        for a in attrs.fields(cls)
        if _WIRE in a.metadata
    )


@define(eq=False, repr=False)
class WireModel:
    """Base of what comes back: a typed view over the decoded object, which it keeps.

    A field is taken from ``raw`` when it is first read.

    Attributes:
        raw: the object as it came, every key. Do not change it.
        problems: fields whose value had an unexpected type, such as
            ``"taskId: expected a number, found text"``; in the view they are ``None``. And what
            was odd in the text of the object itself: a key given twice, ``NaN``, half a
            surrogate pair, invalid UTF-8; in ``raw`` that is repaired.
    """

    raw: Mapping[str, Any]
    problems: tuple[str, ...]
    _codec: Codec

    if not TYPE_CHECKING:  # to type checkers, it would mean that any name is an attribute

        def __getattr__(self, name: str) -> Any:
            """A field that was not read yet."""
            if name not in _specs_of(type(self)):
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
            return self._codec.take(self, name)

    def _part(self, key: str, cls: type[M]) -> M | None:
        """The view over an object inside this one; made on demand, as few programs need it."""
        value = self.raw.get(key)
        return self._codec.decode(value, cls) if isinstance(value, dict) else None

    def _parts(self, key: str, cls: type[M]) -> list[M]:
        """The views over the objects of a list inside this one."""
        value = self.raw.get(key)
        found = value if isinstance(value, list) else [value]  # one alone may stand bare
        return [self._codec.decode(item, cls) for item in found if isinstance(item, dict)]

    @property
    def extra(self) -> Mapping[str, Any]:
        """What came beyond the known keys, as it came."""
        known = _known_keys(type(self))
        return MappingProxyType({k: v for k, v in self.raw.items() if k not in known})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WireModel):
            return NotImplemented
        return type(self) is type(other) and self.raw == other.raw

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [
            f"{a.name}={getattr(self, a.name)!r}"
            for a in attrs.fields(type(self))
            if _WIRE in a.metadata and a.metadata[_WIRE].shown
        ]
        return f"<{type(self).__name__} {' '.join(shown)}>"


def _parse_iso(value: Any, zone: tzinfo) -> datetime | None:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def _format_iso(moment: datetime, zone: tzinfo) -> str:
    return (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).isoformat()


class Codec:
    """One converter for one client: its time zone and its service's ways of writing.

    Args:
        zone: the zone of texts that carry none.
        parse_moment: reads a service's date styles; gives ``None`` for "no date", raises
            ``ValueError`` for what it cannot read. By default ISO 8601.
        format_moment: writes a moment the way the service reads it. By default ISO 8601.
        zero_is_no_id: where an id is due, the service writes the number 0 for "none".
    """

    def __init__(
        self,
        zone: tzinfo = UTC,
        parse_moment: Callable[[Any, tzinfo], datetime | None] = _parse_iso,
        format_moment: Callable[[datetime, tzinfo], str] = _format_iso,
        *,
        zero_is_no_id: bool = False,
    ) -> None:
        self.zone = zone
        self._parse_moment = parse_moment
        self._format_moment = format_moment
        self._ident = _ident_or_none if zero_is_no_id else _ident
        self._number_as_id = "str({0}) if {0} else ''" if zero_is_no_id else "str({0})"
        self._moments: dict[str, datetime | None] = {}
        self._structures: dict[type[Any], Callable[[Any, Any], Any]] = {}
        self._takers: dict[tuple[type[WireModel], str], Callable[[Any], None]] = {}

    @cached_property
    def converter(self) -> cattrs.Converter:
        """The cattrs converter itself; hooks for types of your own can be registered on it."""
        import cattrs  # 60 ms that an import of the package need not pay

        converter = cattrs.Converter(detailed_validation=False)
        for kind in (str, int, float, bool):
            converter.register_structure_hook(kind, _strict(kind))
        converter.register_structure_hook_factory(_is_wire_model, self._make_structure)
        converter.register_unstructure_hook_func(_is_wire_model, lambda model: dict(model.raw))
        converter.register_unstructure_hook(float, _finite)
        converter.register_unstructure_hook(datetime, self._datetime_text)
        converter.register_unstructure_hook(date, date.isoformat)
        converter.register_unstructure_hook(Decimal, str)
        converter.register_unstructure_hook(UUID, str)
        converter.register_unstructure_hook(Enum, lambda member: member.value)
        return converter

    def decode(self, value: Mapping[str, Any], cls: type[M]) -> M:
        """The typed view over a decoded JSON object.

        Raises:
            UnreadableReplyError: an id is missing that is never missing.
        """
        structure = self._structures.get(cls)
        if structure is None:
            structure = self._structures[cls] = self.converter.get_structure_hook(cls)
        model: M = structure(value, cls)
        return model

    def encode(self, value: Any) -> Any:
        """``value`` as plain JSON types: dates as the service reads them, models as they came.

        What says "not there" (``NaN``, ``NaT``, ``pandas.NA``) is left out.

        Raises:
            InvalidInputError: it holds an infinite number, or a type that has no JSON form.
        """
        if value.__class__ is dict:
            for part in value.values():
                if part.__class__ is not str:
                    break
            else:
                return value  # the usual ticket; saves a walk through the converter
        return self.converter.unstructure(tidied(value))

    def __reduce__(self) -> Any:
        zero_is_no_id = self._ident is _ident_or_none
        return _codec, (self.zone, self._parse_moment, self._format_moment, zero_is_no_id)

    def _datetime_text(self, value: datetime) -> str:
        return self._format_moment(value, self.zone)

    def take(self, model: WireModel, name: str) -> Any:
        """Read a field of a view, or all with ``problems``; for the view itself."""
        cls = type(model)
        taker = self._takers.get((cls, name))
        if taker is None:
            taker = self._takers[cls, name] = self._make_taker(cls, name)
        taker(model)
        return getattr(model, name)

    # --- the compiled ways to make a view, and to read it -----------------------------------------

    def _make_structure(self, cls: type[WireModel]) -> Callable[[Any, Any], Any]:
        """Makes a view, and reads the ids that must be there and what every program reads.

        Raises:
            TypeError: the class has fields of another kind, which nothing would fill.
        """
        others = {a.name for a in attrs.fields(cls) if _WIRE not in a.metadata} - _OF_EVERY_VIEW
        if others:
            raise TypeError(f"{cls.__name__} has fields that are none of wire(): {others}")
        specs = _specs_of(cls).items()
        needed = [name for name, spec in specs if spec and (spec.id_of or spec.at_once)]
        lines = [
            "def made(raw, _cls):",
            "    self = new(cls)",
            "    self.raw = raw",
            "    self._codec = codec",
        ]
        if needed:
            lines += ["    problems = []", *self._reading(cls, needed)]
        if hasattr(cls, "__attrs_post_init__"):
            lines.append("    self.__attrs_post_init__()")
        return self._compiled(cls, [*lines, "    return self"])

    def _make_taker(self, cls: type[WireModel], name: str) -> Callable[[Any], None]:
        """Reads one field of a view; or all of them, and what is wrong with them."""
        lines = ["def made(self):", "    raw = self.raw", "    problems = []"]
        if name == "problems":
            lines[-1] = "    problems = [*oddities_of(raw)]"
            every = [field for field, spec in _specs_of(cls).items() if spec]
            lines += [*self._reading(cls, every), "    self.problems = tuple(problems)"]
        else:
            lines += self._reading(cls, [name])
        return self._compiled(cls, lines)

    def _reading(self, cls: type[WireModel], names: list[str]) -> list[str]:
        """The source that reads these fields from ``raw`` into ``self``."""
        lines = ["    get = raw.get"]
        sections: dict[str, str] = {}
        for number, name in enumerate(names):
            spec = _specs_of(cls)[name]
            assert spec is not None
            get = "get"
            if spec.section is not None:
                get = sections.get(spec.section, "")
                if not get:
                    get = sections[spec.section] = f"get_{len(sections)}"
                    lines += [
                        f"    part = raw.get({spec.section!r})",
                        "    if part.__class__ is not dict and part.__class__ is not OddObject:",
                        f"        wrong(part, {spec.section!r}, 'an object', problems)",
                        "        part = NO_OBJECT",
                        f"    {get} = part.get",
                    ]
            lines += _field_lines(f"v{number}", get, spec, self._number_as_id)
            lines.append(f"    self.{name} = v{number}")
        return lines

    def _compiled(self, cls: type[WireModel], lines: list[str]) -> Callable[..., Any]:
        """The function ``made`` of this source."""
        names: dict[str, Any] = {
            "cls": cls,
            "new": cls.__new__,
            "codec": self,
            "unescape": unescape,
            "wrong": _wrong,
            "moment": self._moment,
            "moments": self._moments,
            "text_of": self._ident,
            "texts_of": self._idents,
            "integer": _integer,
            "flag": _flag,
            "without_id": _without_id,
            "oddities_of": oddities_of,
            "OddObject": OddObject,
            "NO_OBJECT": MappingProxyType({}),
        }
        exec(compile("\n".join(lines), f"<view {cls.__name__}>", "exec"), names)  # noqa: S102
        compiled: Callable[..., Any] = names["made"]
        return compiled

    def _moment(self, value: Any, key: str, problems: list[str]) -> datetime | None:
        if value is None:
            return None
        try:
            moment = self._parse_moment(value, self.zone)
            if value.__class__ is str:  # a service writes the same minute many times over
                if len(self._moments) >= _MOMENTS:
                    self._moments.clear()
                self._moments[value] = moment
            return moment
        except (ValueError, TypeError, OverflowError, OSError):
            problems.append(f"{key}: not a date in a known style")
            return None

    def _idents(self, value: Any, key: str, problems: list[str]) -> list[str] | None:
        if value.__class__ is not list:
            _wrong(value, key, "a list of ids", problems)
            return None
        found = [item if type(item) is str else self._ident(item, key, problems) for item in value]
        return [item for item in found if item]


def _codec(zone: tzinfo, parse: Any, write: Any, zero_is_no_id: bool) -> Codec:
    return Codec(zone, parse, write, zero_is_no_id=zero_is_no_id)


def _field_lines(name: str, get: str, spec: _Wire, number_as_id: str) -> list[str]:
    """The source that takes one field: the expected type inline, anything else by a call."""
    key, kind = spec.key, spec.kind
    take = f"    {name} = {get}({key!r})"
    if kind in ("text", "words"):
        lines = [
            take,
            f"    if {name}.__class__ is not str:",
            f"        {name} = wrong({name}, {key!r}, 'text', problems)",
        ]
        if kind == "words":
            lines += [f"    elif '&' in {name}:", f"        {name} = unescape({name})"]
        return lines
    if kind == "code":
        return [
            take,
            f"    if {name}.__class__ is int:",
            f"        {name} = str({name})",
            f"    elif {name}.__class__ is not str:",
            f"        {name} = wrong({name}, {key!r}, 'a code', problems)",
        ]
    if kind == "ident":
        lines = [
            take,
            f"    if {name}.__class__ is int:",  # the usual wire form of an id
            f"        {name} = {number_as_id.format(name)}",
            f"    elif {name}.__class__ is not str:",
            f"        {name} = text_of({name}, {key!r}, problems)",
        ]
        if spec.id_of is not None:
            lines += [f"    if not {name}:", f"        without_id({spec.id_of!r})"]
        return lines
    if kind == "idents":
        return [f"    {name} = texts_of({get}({key!r}), {key!r}, problems)"]
    if kind == "integer":
        call = f"integer({name}, {key!r}, problems)"
        return [take, f"    if {name}.__class__ is not int:", f"        {name} = {call}"]
    if kind == "flag":
        call = f"flag({name}, {key!r}, problems)"
        return [take, f"    if {name}.__class__ is not bool:", f"        {name} = {call}"]
    if kind == "moment":
        return [
            take,
            f"    if {name}.__class__ is str and {name} in moments:",
            f"        {name} = moments[{name}]",
            "    else:",
            f"        {name} = moment({name}, {key!r}, problems)",
        ]
    if kind == "texts":
        bad = f"{name}.__class__ is not list or any(i.__class__ is not str for i in {name})"
        call = f"wrong({name}, {key!r}, 'a list of texts', problems)"
        return [take, f"    if {bad}:", f"        {name} = {call}"]
    if kind == "mapping":
        expected, found = f"dict and {name}.__class__ is not OddObject", "an object"
    else:
        expected, found = "list", "a list"
    return [
        take,
        f"    if {name}.__class__ is not {expected}:",
        f"        {name} = wrong({name}, {key!r}, {found!r}, problems)",
    ]


_JSON_NAMES = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _wrong(value: Any, key: str, expected: str, problems: list[str]) -> Any:
    if value is not None:
        found = _JSON_NAMES.get(type(value), type(value).__name__)
        problems.append(f"{key}: expected {expected}, found {found}")
    return None


def _ident(value: Any, key: str, problems: list[str]) -> str | None:
    """Ids are text, also where the wire has a number."""
    if value.__class__ is int:
        return str(value)
    _wrong(value, key, "an id", problems)
    return None


def _ident_or_none(value: Any, key: str, problems: list[str]) -> str | None:
    """The same where 0 means "none", as "" does."""
    return "" if value.__class__ is int and not value else _ident(value, key, problems)


def _without_id(what: str) -> None:
    raise UnreadableReplyError(f"the answer holds {what} without an id")


def _integer(value: Any, key: str, problems: list[str]) -> int | None:
    """A whole number, also where the wire has it as text."""
    if value.__class__ is str and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    _wrong(value, key, "a whole number", problems)
    return None


def _flag(value: Any, key: str, problems: list[str]) -> bool | None:
    if value.__class__ is str and value.lower() in ("true", "false"):
        return bool(value.lower() == "true")
    _wrong(value, key, "true or false", problems)
    return None


_OF_EVERY_VIEW = {"raw", "problems", "_codec"}
_SPECS: dict[type[Any], dict[str, _Wire | None]] = {}


def _specs_of(cls: type[WireModel]) -> dict[str, _Wire | None]:
    """The fields of a view that are read on demand; ``None`` stands for ``problems``."""
    found = _SPECS.get(cls)
    if found is None:
        fields = [a for a in attrs.fields(cls) if _WIRE in a.metadata]
        found = _SPECS[cls] = {**{a.name: a.metadata[_WIRE] for a in fields}, "problems": None}
    return found


def _known_keys(cls: type[WireModel]) -> frozenset[str]:
    specs = [spec for spec in _specs_of(cls).values() if spec is not None]
    return frozenset(s.section if s.section is not None else s.key for s in specs)


def _is_wire_model(cls: Any) -> bool:
    return inspect.isclass(cls) and issubclass(cls, WireModel)


def _strict(kind: type[T]) -> Callable[[Any, Any], T]:
    def hook(value: Any, _cls: Any) -> T:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return kind(value)  # type: ignore[call-arg]
        found = "nothing" if value is None else _JSON_NAMES.get(type(value), type(value).__name__)
        raise InvalidInputError(f"expected {_JSON_NAMES[kind]}, found {found}")

    return hook


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise InvalidInputError(
            "the data holds a number that is not finite (inf)",
            next_step="Leave such cells out, or send them as text.",
        )
    return value
