"""The rows of a JSON file: one object per line, or an array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from ...errors import InvalidInputError
from ..rows import Row
from .columns import Columns
from .rows import RAW, UNFIT, Build, written
from .text import LONGEST_LINE, TextRows

_NAMED = 200
"""Members that are not sent and are listed; a file whose every row has others would never end."""
_START = 64
_CHUNK = 1 << 16
_BLANKS = " \t\r\n\ufeff"
# Possessive, so that a text whose end has not come yet costs one look and not many.
_OUTSIDE = re.compile(r'[^"\[\]{},]*+')
_INSIDE = re.compile(r'[^"\[\]{}]*+')
_IN_TEXT = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class JsonRows(TextRows):
    """The rows of a file of JSON Lines, one object per line, or of a JSON array of objects.

    Either is read as it is asked for. A bad line costs no other. In an array, a row is named by
    its number; one that is not closed ends the reading.

    Args:
        stream: the file, in bytes.
        columns: which member goes where; without ``fields``, the members that bear the name of a
            wire field. No other member is sent.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        whole: send every member under its own name, as a file needs that holds whole bodies.
            What ``columns`` names goes elsewhere, then.
        encoding: otherwise detected from a byte order mark, or UTF-8.

    Attributes:
        array: it is an array.
        header: the names of the members of the first row.

    Raises:
        InvalidInputError: it is JSON, but neither of the two.
    """

    _newline = "\n"  # the only line end of JSON Lines

    def __init__(
        self,
        stream: BinaryIO,
        columns: Columns,
        build: Build,
        *,
        wire_fields: tuple[str, ...] = (),
        whole: bool = False,
        encoding: str | None = None,
    ) -> None:
        super().__init__(stream, columns, build, encoding=encoding)
        self._whole = whole
        number, first = self._first_line()
        self.array = first.lstrip().startswith("[")
        if self.array:
            self.unit = "row"
            self.blank = 0
            self._items = _items_of(first, self._next_part)
            number, first = next(self._items, (1, ""))
        else:
            self._items = self._lines_from(number)
        self._first = number, first
        self.header = members = _members_of(first)
        self._flat = dict(columns.flat)
        self.open_ended = not columns.fields
        if self.open_ended and not whole:
            self._flat = {name: name for name in wire_fields}
        self._taken = {*self._flat.values(), *columns.nested.values()}
        self.used = dict(columns.fields)
        if self.open_ended:
            self.first_fields = tuple(n for n in members if whole or n in self._flat)
        if not whole:
            self._ignore(members)
        elif columns.key is not None and columns.key not in (*wire_fields, *self._taken):
            self.unused = (columns.key,)

    def _first_line(self) -> tuple[int, str]:
        """The first line that is not blank; of an array only how it begins."""
        number = 1
        while True:
            line = self._next_line(number, _START).removeprefix("\ufeff")
            if line.lstrip().startswith("[") or not line:
                return number, line
            if not line.endswith("\n"):
                line += self._next_line(number)
            if line.strip():
                return number, line
            self.blank += 1
            number += 1

    def _lines_from(self, number: int) -> Iterator[tuple[int, str]]:
        """The lines after one."""
        while True:
            number += 1
            # A mark begins each file that was put behind another.
            line = self._next_line(number).removeprefix("\ufeff")
            if not line:
                return
            yield number, line

    def _next_part(self, number: int) -> str:
        """More of an array; empty at its end."""
        try:
            return self._text.read(_CHUNK)
        except UnicodeError as error:
            raise self._undecodable(number, error) from None

    def _ignore(self, members: Iterable[str]) -> None:
        """Note what is not sent."""
        left = dict.fromkeys((*self.unused, *(n for n in members if n not in self._taken)))
        self.unused = tuple(left)

    def _read(self) -> Iterator[Row[Any]]:
        if self._first[1]:
            yield from self._rows_of(*self._first)
        for number, text in self._items:
            yield from self._rows_of(number, text)

    def _rows_of(self, number: int, text: str) -> Iterator[Row[Any]]:
        if not text.strip():
            self.blank += 1
            return
        key, value, problem = None, {}, None
        try:
            value = self._object(text)
            key = _key_text(value.get(self.columns.key)) if self.columns.key else None
        except InvalidInputError as error:
            problem = error
        entry = value.get(self.columns.entry) if self.columns.entry else None
        yield self._row(
            number,
            key,
            lambda: self._content(value, problem),
            lambda: self._rest(value, text),
            entry if isinstance(entry, str) else None,
        )

    def _rest(self, value: dict[str, Any], line: str) -> dict[str, Any]:
        """What can be read of a row that has no content."""
        named = {name: value[c] for name, c in self._flat.items() if c in value}
        return named or {RAW: written(line.rstrip())}

    def _object(self, line: str) -> dict[str, Any]:
        if UNFIT.search(line):
            raise self._unfit(f"the {self.unit}")
        try:
            value = json.loads(line.rstrip(), object_pairs_hook=_unique, parse_constant=_no_number)
            if "\\u" in line:
                json.dumps(value, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise InvalidInputError(f"not JSON: {error.msg} at column {error.colno}") from None
        except InvalidInputError:  # which is a ValueError, too
            raise
        except UnicodeEncodeError:
            raise InvalidInputError("holds half of a surrogate pair") from None
        except (ValueError, RecursionError):
            raise InvalidInputError("holds a number that is too long, or is nested too deep") from (
                None
            )
        if not isinstance(value, dict):
            raise InvalidInputError("is not a JSON object")
        return value

    def _content(self, value: dict[str, Any], problem: InvalidInputError | None) -> dict[str, Any]:
        if problem is not None:
            raise problem
        columns = self.columns
        content: dict[str, Any] = {}
        if self._whole:
            gone = self._taken.union(self.unused)
            content = {name: inner for name, inner in value.items() if name not in gone}
        elif len(self.unused) < _NAMED and not self._taken.issuperset(value):
            self._ignore(value)
        if columns.dates:
            value = {
                name: columns.date_in(name, inner) if isinstance(inner, str) else inner
                for name, inner in value.items()
            }
        moved = {name: value[c] for name, c in self._flat.items() if c in value}
        moved |= columns.objects({n: value[c] for n, c in columns.nested.items() if c in value})
        for name in moved:
            if name in content:
                raise InvalidInputError(f"{name!r} is given twice: by its name and by a mapping")
        return content | moved


def _members_of(line: str) -> list[str]:
    """The names of the first row's members.

    Raises:
        InvalidInputError: the line shows that it is JSON, but not JSON Lines.
    """
    text = line.strip()
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if text.startswith("{") and error.pos >= len(text):
            raise InvalidInputError(
                "the file is JSON over several lines, neither an array nor JSON Lines",
                next_step="Write each object on one line: `jq -c .` does that.",
            ) from None
        return []  # a bad row, reported when it is read
    except (ValueError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidInputError("has a name twice in one object")
    return value


def _no_number(name: str) -> Any:
    raise InvalidInputError(f"holds {name}, which is not JSON")


def _key_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidInputError("its key is neither text nor a whole number")


def _items_of(start: str, read: Callable[[int], str]) -> Iterator[tuple[int, str]]:
    """The items of an array as texts, with their numbers from 1, each cut out by its brackets.

    Args:
        start: its beginning.
        read: gives more of it, for an item by its number; empty at its end.

    Raises:
        InvalidInputError: it is not closed, an item is too long, or something follows it.
    """
    buffer = start.lstrip(_BLANKS)[1:]
    number, at, depth, in_text = 1, 0, 0, False
    while True:
        while at < len(buffer):
            if in_text:
                at = _end_of(_IN_TEXT, buffer, at)
                if at == len(buffer) or buffer[at] == "\\":  # whose other half is still to come
                    break
                in_text = False
                at += 1
                continue
            at = _end_of(_INSIDE if depth else _OUTSIDE, buffer, at)
            if at == len(buffer):
                break
            sign = buffer[at]
            if sign == '"':
                in_text = True
            elif sign in "[{":
                depth += 1
            elif depth:
                depth -= 1
            else:
                item, buffer, at = buffer[:at].strip(_BLANKS), buffer[at + 1 :], -1
                if item or sign == ",":
                    yield number, item or " "
                if sign != ",":
                    _check_end(sign, number, buffer, read)
                    return
                number += 1
            at += 1
        if len(buffer) >= LONGEST_LINE:
            raise InvalidInputError(f"row {number} of the JSON array has no end")
        more = read(number)
        if not more:
            raise InvalidInputError(
                f"the JSON array breaks off in row {number}",
                next_step="Get the whole file. The rows before it have been read.",
            )
        buffer += more


def _check_end(sign: str, number: int, rest: str, read: Callable[[int], str]) -> None:
    while not rest.strip(_BLANKS):
        rest = read(number)
        if not rest:
            break
    if sign != "]" or rest:
        raise InvalidInputError(
            f"something else follows row {number} of the JSON array",
            next_step="Push what follows as a file of its own.",
        )


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None  # every pattern here takes nothing as well
    return found.end()
