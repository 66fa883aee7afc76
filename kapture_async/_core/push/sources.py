"""Files to rows, as a stream, with nothing guessed and nothing cast: what CSV and JSON Lines share.

Texts reach the service as they stand in the file, ids and phone numbers too. A row that cannot
be read in full confidence is handed on with its ``problem`` and is not sent: a wrong ticket is
worse than one that is reported.
"""

from __future__ import annotations

import abc
import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Literal

from attrs import field, frozen

from ..errors import InvalidInputError
from .rows import Row

Build = Callable[[dict[str, Any]], Any]
"""Makes what is pushed from a mapping by wire names; raises ``InvalidInputError``."""

LONGEST_LINE = 16 * 1024 * 1024
"""Characters of a line or a cell. What is longer is no ticket, but a file without line ends or
with an open quote."""
_KEYS_COMPARED = 100_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\udcff"
"""Stands for each byte that could not be decoded; no text that was decoded can hold it."""
UNFIT = re.compile(f"[\0{MARK}]")
_MARKING = "kapture-async-mark"


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return MARK * (error.end - error.start), error.end


codecs.register_error(_MARKING, _mark_bytes)


@frozen(kw_only=True)
class Columns:
    """Which column of a file goes where.

    Attributes:
        fields: wire name to column.
        extra: object and field of a tenant's associate object, to column.
        extra_as_list: send such an object as a list of one, as most tenants have it.
        key: the column that names a row; without one its line number does.
    """

    fields: Mapping[str, str] = field(factory=dict)
    extra: Mapping[tuple[str, str], str] = field(factory=dict)
    extra_as_list: bool = True
    key: str | None = None

    def objects(self, values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
        """The associate objects that hold these values."""
        objects: dict[str, dict[str, Any]] = {}
        for (name, inner), value in values.items():
            objects.setdefault(name, {})[inner] = value
        return {
            name: [fields] if self.extra_as_list else fields for name, fields in objects.items()
        }


class FileRows(Iterator[Row[Any]], abc.ABC):
    """The rows of one file, read as they are asked for.

    Attributes:
        used: which column goes to which wire name, as far as it is known beforehand.
        unused: columns that are not sent.
        blank: rows without any content, which are passed over.
        repeated_keys: rows whose key stood in an earlier row (the first 100,000 are compared).
    """

    _newline = ""

    def __init__(
        self, stream: BinaryIO, columns: Columns, build: Build, *, encoding: str | None
    ) -> None:
        self.columns = columns
        self.used: Mapping[str, str] = {}
        self.unused: tuple[str, ...] = ()
        self.blank = 0
        self.repeated_keys = 0
        self._build = build
        self._text, self.encoding = _decoded(stream, encoding, self._newline)
        self._seen: set[int] = set()
        self._rows = self._read()

    def __next__(self) -> Row[Any]:
        return next(self._rows)

    @abc.abstractmethod
    def _read(self) -> Iterator[Row[Any]]: ...

    def _row(self, line: int, key: str | None, make: Callable[[], dict[str, Any]]) -> Row[Any]:
        """A row that is fit to be pushed, or that carries what is wrong with it.

        Args:
            line: where it begins.
            key: what its key column holds, if that is beyond doubt.
            make: its content; raises ``InvalidInputError``.
        """
        if key and UNFIT.search(key):
            error = self._unfit(self.columns.key or "")
            return Row(None, self._name_of_line(line), line, at_line(line, error), keyed=False)
        keyed = bool(key) and self.columns.key is not None
        if not key:
            key = self._name_of_line(line)
        elif self.columns.key is not None and len(self._seen) < _KEYS_COMPARED:
            mark = hash(key)
            self.repeated_keys += mark in self._seen
            self._seen.add(mark)
        try:
            return Row(self._build(make()), key, line, keyed=keyed)
        except InvalidInputError as error:
            return Row(None, key, line, at_line(line, error), keyed=keyed)

    def _name_of_line(self, line: int) -> str:
        """What a row is called that has no key of its own."""
        return str(line) if self.columns.key is None else f"line {line}"

    def _unfit(self, name: str) -> InvalidInputError:
        return InvalidInputError(
            f"{name!r} holds a NUL character, or bytes that are not {self.encoding}",
            fields={name: ("cannot be decoded",)},
            next_step="Correct the data, or name the file's encoding (often cp1252).",
        )


def at_line(line: int, error: InvalidInputError) -> InvalidInputError:
    """The same error, with the line of the file in front."""
    return InvalidInputError(
        f"line {line}: {error.message}", fields=error.fields, next_step=error.next_step
    )


def format_of(name: str) -> Literal["csv", "jsonl"] | None:
    """The format that a file's name tells of."""
    ending = name.rpartition(".")[2].lower()
    if ending in ("csv", "tsv", "tab", "txt"):
        return "csv"
    return "jsonl" if ending in ("jsonl", "ndjson", "jsonlines") else None


def _decoded(stream: BinaryIO, encoding: str | None, newline: str) -> tuple[io.TextIOWrapper, str]:
    """The stream as text. What cannot be decoded is marked, and found where it is used."""
    buffered = io.BufferedReader(stream, 1 << 16) if isinstance(stream, io.RawIOBase) else stream
    if encoding is None:
        start = buffered.peek(4)[:4] if isinstance(buffered, io.BufferedReader) else b""
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
    try:
        text = io.TextIOWrapper(buffered, encoding=encoding, errors=_MARKING, newline=newline)
    except LookupError:
        raise InvalidInputError(f"there is no encoding {encoding!r}") from None
    return text, encoding


def listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20] if name)
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
