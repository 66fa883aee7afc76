"""The rows of a JSON Lines file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import InvalidInputError
from .rows import Row
from .sources import LONGEST_LINE, UNFIT, Build, Columns, FileRows


class JsonlRows(FileRows):
    """The rows of a JSON Lines file: one object per line, by wire names, sent as they are.

    Args:
        stream: the file, in bytes.
        columns: ``fields`` and ``extra`` name members that go elsewhere; the member that is
            the key is not sent, unless it is a wire field or goes somewhere as well.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        encoding: otherwise told from a byte order mark, or UTF-8.
    """

    _newline = "\n"  # the only line end of JSON Lines

    def __init__(
        self,
        stream: BinaryIO,
        columns: Columns,
        build: Build,
        *,
        wire_fields: tuple[str, ...] = (),
        encoding: str | None = None,
    ) -> None:
        super().__init__(stream, columns, build, encoding=encoding)
        self._moved = {*columns.fields.values(), *columns.extra.values()}
        if columns.key is not None and columns.key not in wire_fields:
            self.unused = () if columns.key in self._moved else (columns.key,)
        extra = {".".join(name): column for name, column in columns.extra.items()}
        self.used = {**columns.fields, **extra}

    def _read(self) -> Iterator[Row[Any]]:
        number = 0
        while line := self._text.readline(LONGEST_LINE):
            number += 1
            if len(line) >= LONGEST_LINE:
                raise InvalidInputError(f"line {number} has no end; is this a JSON Lines file?")
            if number == 1:
                line = line.removeprefix("\ufeff")
            if not line.strip():
                self.blank += 1
                continue
            key, value, problem = None, {}, None
            try:
                value = self._object(line)
                key = _key_text(value.get(self.columns.key)) if self.columns.key else None
            except InvalidInputError as error:
                problem = error
            yield self._row(number, key, lambda v=value, p=problem: self._content(v, p))  # type: ignore[misc]

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
        gone = self._moved.union(self.unused)
        content = {name: inner for name, inner in value.items() if name not in gone}
        moved = {name: value[c] for name, c in columns.fields.items() if c in value}
        moved |= columns.objects({n: value[c] for n, c in columns.extra.items() if c in value})
        for name in moved:
            if name in content:
                raise InvalidInputError(f"{name!r} is given twice: by its name and by a mapping")
        return content | moved


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidInputError("has a name twice in one object")
    return value


def _no_number(name: str) -> Any:
    raise InvalidInputError(f"holds {name}, which is no JSON")


def _key_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidInputError("its key is neither text nor a whole number")
