"""Which column goes where: what all readers of rows share. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import Any

from attrs import field, frozen

from ...errors import InvalidInputError

_TIME_OF_DAY = re.compile("%[HIMSfpcX]")
"""The directives of a date format that give a time."""


@frozen(kw_only=True)
class Columns:
    """Which column of a file goes where.

    Attributes:
        fields: wire name to column; ``object.field`` is a field of an object that the tenant
            defines, and may have further dots.
        as_list: send such an object as a list of one, as most tenants have it.
        key: the column with a row's key; without one, its line number is its key.
        entry: the column that names the journal row that a row replaces, if there is one.
        dates: columns that hold dates, with their formats as ``strptime`` takes them.
        zone: of the service's dates, for moments that have a zone of their own.

    Raises:
        InvalidInputError: an object is mapped as a whole and by its fields.
    """

    fields: Mapping[str, str] = field(factory=dict)
    as_list: bool = True
    key: str | None = None
    entry: str | None = None
    dates: Mapping[str, str] = field(factory=dict)
    zone: tzinfo = UTC

    def __attrs_post_init__(self) -> None:
        check_objects(self.fields)

    @cached_property
    def flat(self) -> Mapping[str, str]:
        """The fields of the row itself."""
        return {name: column for name, column in self.fields.items() if "." not in name}

    @cached_property
    def nested(self) -> Mapping[tuple[str, str], str]:
        """The fields of objects: object and field to column."""
        return {split(name): column for name, column in self.fields.items() if "." in name}

    def objects(self, values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
        """The objects that hold these values."""
        return objects_of(values, as_list=self.as_list)

    def date_in(self, column: str, text: str) -> str:
        """The text of a cell as the service reads it, if its column holds dates.

        Raises:
            InvalidInputError: it is no date of the column's format.
        """
        how = self.dates.get(column)
        if how is None:
            return text
        try:
            moment = datetime.strptime(text.strip(), how)
        except ValueError:
            problem = f"is not a date like {how}"
            raise InvalidInputError(f"{column!r} {problem}", fields={column: (problem,)}) from None
        timed = _TIME_OF_DAY.search(how.replace("%%", ""))
        return date_text(moment if timed else moment.date(), self.zone)


def check_objects(names: Collection[str]) -> None:
    """See that no object is given both as a whole and by its fields.

    Raises:
        InvalidInputError: one is.
    """
    for name in names:
        outer, inner = split(name)
        if inner and outer in names:
            raise InvalidInputError(f"{outer!r} is given twice: as itself and by its fields")


def split(name: str) -> tuple[str, str]:
    """Object and field of a dotted wire name."""
    outer, _, inner = name.partition(".")
    return outer, inner


def objects_of(values: Mapping[tuple[str, str], Any], *, as_list: bool) -> dict[str, Any]:
    """Objects from their fields.

    Args:
        values: by object and field.
        as_list: each as a list of one.
    """
    objects: dict[str, dict[str, Any]] = {}
    for (name, inner), value in values.items():
        objects.setdefault(name, {})[inner] = value
    return {name: [fields] if as_list else fields for name, fields in objects.items()}


def with_objects(values: Mapping[str, Any], *, as_list: bool) -> dict[str, Any]:
    """A body from values by wire names, of which some are dotted."""
    flat = {name: value for name, value in values.items() if "." not in name}
    nested = {split(name): value for name, value in values.items() if "." in name}
    return flat | objects_of(nested, as_list=as_list)


def filled(
    content: dict[str, Any], constants: Mapping[str, Any], *, as_list: bool
) -> dict[str, Any]:
    """A row's content with constants in the fields that it does not have.

    Args:
        content: by wire names.
        constants: likewise, also dotted.
        as_list: an object that the row lacks becomes a list of one.
    """
    found = dict(content)
    for name, value in constants.items():
        outer, inner = split(name)
        if not inner:
            found.setdefault(name, value)
            continue
        given = found.get(outer)
        if given is None:
            found[outer] = [{inner: value}] if as_list else {inner: value}
        elif isinstance(given, Mapping):
            found[outer] = {inner: value, **given}
        elif isinstance(given, list) and len(given) == 1 and isinstance(given[0], Mapping):
            found[outer] = [{inner: value, **given[0]}]
    return found


def date_text(value: date, zone: tzinfo) -> str:
    """A date or a moment as both services write them.

    Args:
        value: a moment with a zone is shown in that of the service.
        zone: that of the service.
    """
    if not isinstance(value, datetime):
        return value.isoformat()
    if value.tzinfo is not None:
        value = value.astimezone(zone)
    return value.strftime("%Y-%m-%d %H:%M:%S")


def number_text(value: float) -> str:
    """A number as a text: no fraction if it is whole, no exponent, 15 digits at the most."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 2**63):
        return str(int(value))
    return format(Decimal(f"{value:.15g}"), "f")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that is most like another, if any is."""
    folded = {other.casefold(): other for other in names}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def listed(names: Iterable[str]) -> str:
    """The first of some names, for an error."""
    shown = [name for name in names if name]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return ", ".join(map(repr, shown[:20])) + more
