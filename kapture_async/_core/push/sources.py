"""Files to rows: CSV and JSON Lines, as a stream, with nothing guessed and nothing cast.

Texts reach the service as they stand in the file, ids and phone numbers too. A row that cannot
be read in full confidence is handed on with its ``problem`` and is not sent: a wrong ticket is
worse than one that is reported.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import deque
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
_DELIMITERS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = "\udcff"
"""Stands for each byte that could not be decoded; no text that was decoded can hold it."""
_UNFIT = re.compile(f"[\0{_MARK}]")
_MARKING = "kapture-async-mark"


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARK * (error.end - error.start), error.end


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


class FileRows(Iterator[Row[Any]]):
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

    def _read(self) -> Iterator[Row[Any]]:
        raise NotImplementedError

    def _row(self, line: int, key: str | None, make: Callable[[], dict[str, Any]]) -> Row[Any]:
        """A row that is fit to be pushed, or that carries what is wrong with it."""
        if not key:
            key = str(line) if self.columns.key is None else f"line {line}"
        elif self.columns.key is not None and len(self._seen) < _KEYS_COMPARED:
            mark = hash(key)
            self.repeated_keys += mark in self._seen
            self._seen.add(mark)
        try:
            return Row(self._build(make()), key, line)
        except InvalidInputError as error:
            return Row(None, key, line, at_line(line, error))

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


# --- CSV ---------------------------------------------------------------------------------------


class CsvRows(FileRows):
    """The rows of a CSV file with a header line. An empty cell is a field left out.

    Args:
        stream: the file, in bytes.
        columns: which column goes where; without ``fields``, the columns that bear the name of
            a wire field.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        required: wire names that must have a column.
        delimiter: one character; otherwise told from the header line.
        encoding: otherwise told from a byte order mark, or UTF-8.

    Raises:
        InvalidInputError: the header cannot be read, or a column that was named is not there.
    """

    def __init__(
        self,
        stream: BinaryIO,
        columns: Columns,
        build: Build,
        *,
        wire_fields: tuple[str, ...] = (),
        required: tuple[str, ...] = (),
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(stream, columns, build, encoding=encoding)
        # Process-wide, as the csv module has it; raised only, never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
        self._lines = _Lines(self._text)
        self.delimiter, self.header = self._read_header(delimiter)
        self._least = max((n for n, name in enumerate(self.header, start=1) if name), default=0)
        fields = dict(columns.fields)
        if not fields:
            fields = {name: name for name in wire_fields if name in self.header}
        self._fields = [(name, self._place(column)) for name, column in fields.items()]
        self._extra = [(name, self._place(column)) for name, column in columns.extra.items()]
        self._key = None if columns.key is None else self._place(columns.key)
        self.used = fields | {".".join(name): c for name, c in columns.extra.items()}
        missing = [name for name in required if name not in fields]
        if missing:
            raise InvalidInputError(
                f"no column goes to {missing[0]!r}; the columns are {_listed(self.header)}",
                next_step=f"Name the column for it: {missing[0]}=COLUMN.",
            )
        taken = {place for _, place in (*self._fields, *self._extra)}
        self.unused = tuple(
            name for place, name in enumerate(self.header) if name and place not in taken
        )

    def _read(self) -> Iterator[Row[Any]]:
        for line, cells in self._records(self.delimiter):
            if isinstance(cells, InvalidInputError):
                yield Row(None, self._fallback_key(line), line, cells)
                continue
            if not any(cells) or not "".join(cells).strip("\x1a \t\r\n"):
                self.blank += 1
                continue
            key = cells[self._key] if self._key is not None and self._key < len(cells) else None
            yield self._row(line, key, lambda cells=cells: self._content(cells))  # type: ignore[misc]

    def _fallback_key(self, line: int) -> str:
        return str(line) if self.columns.key is None else f"line {line}"

    def _content(self, cells: list[str]) -> dict[str, Any]:
        if len(cells) < self._least or any(cells[len(self.header) :]):
            raise InvalidInputError(
                f"has {len(cells)} cells where the header has {len(self.header)}"
                + self._lines.span_note(),
                next_step="Look for a missing or stray quote or delimiter there.",
            )
        content: dict[str, Any] = {}
        for name, place in self._fields:
            if text := cells[place]:
                if _UNFIT.search(text):
                    raise self._unfit(self.header[place])
                content[name] = text
        if self._extra:
            values = {name: cells[place] for name, place in self._extra if cells[place]}
            for (_, inner), text in values.items():
                if _UNFIT.search(text):
                    raise self._unfit(inner)
            content |= self.columns.objects(values)
        return content

    def _records(self, delimiter: str) -> Iterator[tuple[int, list[str] | InvalidInputError]]:
        """Each record with the line it begins on. A broken one does not take others with it:
        reading goes on with the line after its first."""
        lines = self._lines
        while True:
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            lines.begin_record()
            try:
                for cells in reader:
                    yield lines.start, cells
                    lines.begin_record()
            except csv.Error as error:
                what = InvalidInputError(
                    f"line {lines.start}: cannot be read as CSV ({_csv_words(error)})",
                    next_step="Double the quotes inside a quoted cell, and close it.",
                )
                yield lines.start, what
                lines.rewind_after_first()
                continue
            return

    def _read_header(self, delimiter: str | None) -> tuple[str, list[str]]:
        lines = self._lines
        first = next(lines, "").removeprefix("\ufeff")
        while first and not first.strip():
            first = next(lines, "")
        if not first:
            raise InvalidInputError("the file is empty: it has no header line")
        named = re.fullmatch(r'"?sep=(.)"?\s*', first)  # Excel's own way to name it
        if named:
            delimiter = delimiter or named[1]
            first = next(lines, "")
        while first.count('"') % 2 and (more := next(lines, "")):
            first += more
        if "\0" in first or _MARK in first:
            raise InvalidInputError(
                f"the header line is not {self.encoding} text",
                next_step="Name the file's encoding: often cp1252, or utf-16-le where a NUL "
                "follows every letter.",
            )
        delimiter = delimiter or _delimiter_of(first)
        try:
            record = next(csv.reader([first], delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise InvalidInputError(f"the header line: {_csv_words(error)}") from None
        header = [name.strip() for name in record]
        return delimiter, header

    def _place(self, column: str) -> int:
        places = [place for place, name in enumerate(self.header) if name == column.strip()]
        if len(places) == 1:
            return places[0]
        if places:
            numbers = " and ".join(str(place + 1) for place in places)
            raise InvalidInputError(
                f"the header has {column!r} more than once (columns {numbers})",
                next_step="Give each column that is used a name of its own.",
            )
        raise InvalidInputError(
            f"the file has no column {column!r}; it has {_listed(self.header)}",
            next_step="Correct the name, or the delimiter.",
        )


class _Lines(Iterator[str]):
    """The lines of a text, counted, and kept while they belong to one record."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._number = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        if len(line) >= LONGEST_LINE:
            raise InvalidInputError(f"line {self._number + 1} has no end; is this a text file?")
        self._number += 1
        self._record.append(line)
        return line

    @property
    def start(self) -> int:
        """The line on which the current record begins, from 1."""
        return self._number - len(self._record) + 1

    def span_note(self) -> str:
        """Where the current record ends, if that is another line."""
        return f" (it runs to line {self._number})" if len(self._record) > 1 else ""

    def begin_record(self) -> None:
        self._record.clear()

    def rewind_after_first(self) -> None:
        again = self._record[1:]
        self._again.extendleft(reversed(again))
        self._number -= len(again)
        self._record.clear()


def _delimiter_of(header: str) -> str:
    """The delimiter of a header line: the candidate that clearly stands most often in it."""
    bare = re.sub(r'"[^"]*"', "", header)
    counts = sorted(((bare.count(sign), sign) for sign in _DELIMITERS), reverse=True)
    if not counts[0][0]:
        return ","
    if counts[0][0] == counts[1][0]:
        raise InvalidInputError(
            f"the header line could be split at {counts[0][1]!r} or at {counts[1][1]!r}",
            next_step="Name the delimiter.",
        )
    return counts[0][1]


def _csv_words(error: csv.Error) -> str:
    words = str(error)
    if words == "unexpected end of data":
        return "a quote is opened and never closed"
    if words.endswith("expected after '\"'"):
        return "a quote stands inside a quoted cell"
    return words


# --- JSON Lines --------------------------------------------------------------------------------


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
        if _UNFIT.search(line):
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


# --- both --------------------------------------------------------------------------------------


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


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20] if name)
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
