"""The rows of a JSON Lines file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ..errors import InvalidInputError
from .rows import Row
from .sources import RAW, UNFIT, Build, Columns, FileRows, no_array, written

_NAMED = 200
"""Members that are not sent and are listed; a file whose every row has others would never end."""


class JsonlRows(FileRows):
    """The rows of a JSON Lines file: one object per line.

    Args:
        stream: the file, in bytes.
        columns: which member goes where; without ``fields``, the members that bear the name of a
            wire field. No other member is sent.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        whole: send every member under its own name, as a file needs that holds whole bodies.
            What ``columns`` names goes elsewhere, then.
        encoding: otherwise detected from a byte order mark, or UTF-8.

    Raises:
        InvalidInputError: it is JSON, but not JSON Lines.
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
        self._first = self._next_line(1).removeprefix("\ufeff")
        self._number = 1
        while self._first and not self._first.strip():
            self.blank += 1
            self._number += 1
            self._first = self._next_line(self._number)
        members = _members_of(self._first)
        self._fields = dict(columns.fields)
        self.open_ended = not columns.fields
        if self.open_ended and not whole:
            self._fields = {name: name for name in wire_fields}
        extra = {".".join(name): column for name, column in columns.extra.items()}
        self._taken = {*self._fields.values(), *extra.values()}
        self.used = {**columns.fields, **extra}
        if self.open_ended:
            self.first_fields = tuple(n for n in members if whole or n in self._fields)
        if not whole:
            self._ignore(members)
        elif columns.key is not None and columns.key not in (*wire_fields, *self._taken):
            self.unused = (columns.key,)

    def _ignore(self, members: Iterable[str]) -> None:
        """Note what is not sent."""
        left = dict.fromkeys((*self.unused, *(n for n in members if n not in self._taken)))
        self.unused = tuple(left)

    def _read(self) -> Iterator[Row[Any]]:
        number, line = self._number, self._first
        while line:
            if not line.strip():
                self.blank += 1
            else:
                key, value, problem = None, {}, None
                try:
                    value = self._object(line)
                    key = _key_text(value.get(self.columns.key)) if self.columns.key else None
                except InvalidInputError as error:
                    problem = error
                entry = value.get(self.columns.entry) if self.columns.entry else None
                yield self._row(
                    number,
                    key,
                    lambda v=value, p=problem: self._content(v, p),  # type: ignore[misc]
                    lambda v=value, line=line: self._rest(v, line),  # type: ignore[misc]
                    entry if isinstance(entry, str) else None,
                )
            number += 1
            # A mark begins each file that was put behind another.
            line = self._next_line(number).removeprefix("\ufeff")

    def _rest(self, value: dict[str, Any], line: str) -> dict[str, Any]:
        """What can be read of a row that has no content."""
        named = {name: value[c] for name, c in self._fields.items() if c in value}
        return named or {RAW: written(line.rstrip())}

    def _object(self, line: str) -> dict[str, Any]:
        if UNFIT.search(line):
            raise self._unfit("the line")
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
        moved = {name: value[c] for name, c in self._fields.items() if c in value}
        moved |= columns.objects({n: value[c] for n, c in columns.extra.items() if c in value})
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
    if text.startswith("["):
        raise no_array()
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if text.startswith("{") and error.pos >= len(text):
            raise InvalidInputError(
                "the file is JSON over several lines, not JSON Lines",
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
