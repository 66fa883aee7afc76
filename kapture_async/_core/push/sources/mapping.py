"""Mapping files: which column goes where, in TOML; read, and proposed from the names of columns."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from attrs import field, frozen

from ...errors import InvalidInputError

_TABLES = ("map", "set", "date_format")
_VALUES: Mapping[str, type] = {"key": str, "sheet": str, "skip_title_rows": int}
_KEYS = ("id", "ticket id", "key", "number", "no", "case id", "case number", "ticket number")
_ALIKE = 0.84


@frozen(kw_only=True)
class MappingFile:
    """What a mapping file says; its names are those of the options of a push.

    Attributes:
        map: field to column; a field of a tenant's object is dotted.
        set: field to the value of rows that have none.
        date_format: column to the format of its dates.
        key: the column with the rows' keys.
        sheet: of a spreadsheet.
        skip_title_rows: rows above the names of the columns.
    """

    map: Mapping[str, str] = field(factory=dict)
    set: Mapping[str, str] = field(factory=dict)
    date_format: Mapping[str, str] = field(factory=dict)
    key: str | None = None
    sheet: str | None = None
    skip_title_rows: int = 0


def read_mapping(path: str) -> MappingFile:
    """The mapping in a file.

    Raises:
        OSError: it cannot be read.
        InvalidInputError: it is no TOML, or has what is no part of a mapping.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        words = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise InvalidInputError(f"the mapping {path} is not TOML: {words}") from None
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name in _TABLES and isinstance(value, dict):
            values[name] = dict(_pairs_in(path, name, value))
        elif name in _VALUES and type(value) is _VALUES[name]:
            values[name] = value
        else:
            known = ", ".join((*_VALUES, *(f"[{table}]" for table in _TABLES)))
            raise InvalidInputError(
                f"the mapping {path} has {name!r}, or a value of it, that is no part of a mapping",
                next_step=f"A mapping may have {known}.",
            )
    return MappingFile(**values)


def _pairs_in(
    path: str, table: str, values: Mapping[str, Any], before: str = ""
) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict) and table != "date_format":
            yield from _pairs_in(path, table, value, f"{before}{name}.")
        elif isinstance(value, str) and value:
            yield f"{before}{name}", value
        else:
            raise InvalidInputError(
                f"the mapping {path}: {before}{name} of [{table}] must be a text that is not empty"
            )


@frozen
class Guess:
    """A column that a field may come from.

    Attributes:
        field: the wire name.
        column: as the file names it.
        why: what speaks for it.
    """

    field: str
    column: str
    why: str


def guesses(
    header: Sequence[str], fields: Sequence[str], usual: Mapping[str, Sequence[str]]
) -> list[Guess]:
    """Which fields the columns of a file may be, by their names alone; each column once.

    Args:
        header: the names of the columns.
        fields: the wire names.
        usual: what a column is usually called, by wire name.
    """
    found: dict[str, Guess] = {}
    taken: set[str] = set()
    names = {column: _folded(column) for column in header if column and header.count(column) == 1}
    for level in range(4):
        for name in fields:
            if name in found:
                continue
            words = [_folded(word) for word in usual.get(name, ())]
            for column, folded in names.items():
                if column not in taken and (why := _speaks_for(level, name, words, folded)):
                    found[name] = Guess(name, column, why)
                    taken.add(column)
                    break
    return [found[name] for name in fields if name in found]


def _speaks_for(level: int, name: str, words: Sequence[str], column: str) -> str | None:
    """What speaks for a column, from the surest to the least sure."""
    own = _folded(name)
    if level == 0:
        return "the same name" if column == own else None
    if level == 1:
        return "a usual name of it" if column in words else None
    if level == 2:
        last = next((word for word in (own, *words) if column.endswith(f" {word}")), None)
        return f"ends with {last!r}" if last else None
    close = difflib.get_close_matches(column, [own, *words], n=1, cutoff=_ALIKE)
    return f"looks like {close[0]!r}" if close else None


def guessed_key(header: Sequence[str]) -> str | None:
    """The column that may identify rows."""
    folded = {_folded(column): column for column in header if header.count(column) == 1}
    return next((folded[name] for name in _KEYS if name in folded), None)


def write_mapping(
    file: TextIO,
    source: str,
    header: Sequence[str],
    found: Sequence[Guess],
    *,
    key: str | None,
    required: Sequence[str] = (),
    sheet: str | None = None,
    skip_title_rows: int = 0,
) -> None:
    """Write a mapping that was guessed, with what speaks for each guess.

    Args:
        file: where to.
        source: the name of the file of rows.
        header: the names of its columns.
        found: the guesses.
        key: the column that may identify rows.
        required: fields without which nothing can be sent.
        sheet, skip_title_rows: as the file was read.
    """
    line = [f"# Proposed from the columns of {source}, by their names alone: check every line.", ""]
    if key is not None:
        line.append(f"key = {_text(key)}  # guessed: identifies each row")
    if sheet is not None:
        line.append(f"sheet = {_text(sheet)}")
    if skip_title_rows:
        line.append(f"skip_title_rows = {skip_title_rows}")
    line += ["", '[map]  # field = column; a field of an object of yours: "object.field"']
    line += [f"{each.field} = {_text(each.column)}  # guessed: {each.why}" for each in found]
    named = {each.field for each in found}
    line += [f'# {name} = "COLUMN"  # required' for name in required if name not in named]
    used = {each.column for each in found}
    line += [f"# not sent: {_text(name)}" for name in header if name and name not in used]
    line += ["", "[set]  # field = value, for rows that have none", ""]
    line += ['[date_format]  # column = format, such as "%d/%m/%Y"']
    file.write("\n".join(line) + "\n")


def _folded(name: str) -> str:
    return " ".join(
        re.findall(r"\w+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).replace("_", " ").casefold())
    )


def _text(text: str) -> str:
    """A basic string of TOML, which is one of JSON but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
