"""The rows of a CSV file."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ...errors import InvalidInputError
from ...spreadsheet import is_ours, plain
from ..rows import Row
from .columns import Columns
from .rows import MARK, RAW, Build, TableRows, written
from .text import LONGEST_LINE, TextRows

_DELIMITERS = ",;\t|"
_SEP = re.compile(r'"?sep ?= ?"{0,2}(\\t|[^" \r\n])?"{0,3}[,;\t| ]*[\r\n]*', re.IGNORECASE)
"""Excel's own way to name the delimiter; a program that saves the file again may add its own."""
JSON = re.compile(r"(\[\s*(\{.*)?|\{\s*(\".*)?)", re.DOTALL)
"""How JSON begins, unlike a header that begins with a bracket."""
_QUOTED = re.compile(r'(?:(?<=[,;\t|])|^)"(?:[^"]|"")*(?:"|\Z)')
"""A quoted cell. A quote anywhere else, as in a size in inches, is an ordinary character."""


class CsvRows(TextRows, TableRows):
    """The rows of a CSV file with a header line. An empty cell is a field left out.

    In a file that we wrote, the apostrophes that guard against formulas come off again.

    Args:
        stream: the file, in bytes.
        columns: which column goes where; without ``fields``, the columns that bear the name of
            a wire field.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        required: wire names that must have a column.
        delimiter: one character; otherwise detected from the header line.
        likely: the delimiter that the file's name suggests. Used if the header has it.
        encoding: otherwise detected from a byte order mark, or UTF-8.
        skip: lines above the header, such as a title.

    Raises:
        InvalidInputError: the header cannot be read, or a column that was named is not there.
    """

    _no_column = "Correct the name, or the delimiter."

    def __init__(
        self,
        stream: BinaryIO,
        columns: Columns,
        build: Build,
        *,
        wire_fields: tuple[str, ...] = (),
        required: tuple[str, ...] = (),
        delimiter: str | None = None,
        likely: str | None = None,
        encoding: str | None = None,
        skip: int = 0,
    ) -> None:
        super().__init__(stream, columns, build, encoding=encoding)
        # Process-wide, as the csv module has it; raised only, never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
        self._lines = _Lines(self._next_line)
        for _ in range(skip):
            next(self._lines, "")
            self._lines.begin_record()
        self.delimiter, header = self._read_header(delimiter, likely)
        self._guarded = is_ours(header)
        if self._guarded:
            header = [plain(name) for name in header]
        # In a file of one column, a cell with the column's name may well be a cell.
        self._names = frozenset(name.casefold() for name in header if name and len(header) > 1)
        self._longest_name = max(map(len, header), default=0) + 2
        self._least = max((n for n, name in enumerate(header, start=1) if name), default=0)
        self._bind(header, wire_fields, required)

    def _read(self) -> Iterator[Row[Any]]:
        for line, cells in self._records(self.delimiter):
            if isinstance(cells, InvalidInputError):
                text = {RAW: written(self._lines.first.rstrip("\r\n"))}
                yield Row(None, self._name_of_line(line), line, cells, keyed=False, content=text)
                continue
            if not any(cells) or not "".join(cells).strip("\x1a \t\r\n"):
                self.blank += 1
                continue
            if len(cells[0]) <= self._longest_name and self._is_header(line, cells):
                self.blank += 1
                continue
            if self._guarded:
                cells = [plain(cell) for cell in cells]
            # Where cells are missing or too many, another row's key may stand in the key's place.
            fits = self._fits(cells)
            key = cells[self._key] if fits and self._key is not None else None
            content = self._content if fits else self._misfit
            entry = cells[self._entry] if fits and self._entry is not None else None
            readable = self._readable if fits else self._raw
            yield self._row(
                line,
                key,
                lambda cells=cells, of=content: of(cells),  # type: ignore[misc]
                lambda cells=cells, of=readable: of(cells),  # type: ignore[misc]
                entry,
            )

    def _is_header(self, line: int, cells: list[str]) -> bool:
        """Whether a line repeats the header, as where one file was put behind another.

        Raises:
            InvalidInputError: another header begins here: what follows has other columns.
        """
        if not self._names:
            return False
        first = cells[0].strip().casefold()
        if first not in self._names:
            if not first.startswith(("sep=", "sep =")):
                return False
            named = _SEP.fullmatch(self._lines.text)
            if named and self._sign(named) not in (None, self.delimiter):
                raise InvalidInputError(
                    f"line {line} names another delimiter",
                    next_step="Push what follows as a file of its own.",
                )
            return named is not None
        names = [cell.strip().casefold() for cell in cells]
        header = [name.casefold() for name in self.header]
        if names == header:
            return True
        distinct = set(names)
        known = self._names & distinct
        if len(known) > 1 and len(distinct) == len(names) < 2 * len(known):
            other = "in another order" if known == self._names == distinct else "of another file"
            raise InvalidInputError(
                f"line {line} is a header with the columns {other}",
                next_step="Push what follows as a file of its own.",
            )
        return False

    @staticmethod
    def _sign(named: re.Match[str]) -> str | None:
        """The delimiter that a line such as ``sep=;`` names."""
        return "\t" if named[1] == "\\t" else named[1]

    def _fits(self, cells: list[str]) -> bool:
        """Whether each cell is in its own column."""
        return len(cells) >= self._least and not any(cells[len(self.header) :])

    def _misfit(self, cells: list[str]) -> dict[str, Any]:
        raise InvalidInputError(
            f"has {len(cells)} cell{'s' * (len(cells) != 1)} where the header has "
            f"{len(self.header)}" + self._lines.span_note(),
            next_step="Look for a missing or stray quote or delimiter there.",
        )

    def _raw(self, cells: list[str]) -> dict[str, Any]:
        return {RAW: written(self._lines.text.rstrip("\r\n"))}

    def _records(self, delimiter: str) -> Iterator[tuple[int, list[str] | InvalidInputError]]:
        """Each record with the line it begins on. A broken record does not spoil others:
        reading continues with the line after its first."""
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

    def _read_header(self, delimiter: str | None, likely: str | None) -> tuple[str, list[str]]:
        lines = self._lines
        first = next(lines, "").removeprefix("\ufeff")
        while first and not first.strip():
            first = next(lines, "")
        if not first:
            raise InvalidInputError("the file is empty: it has no header line")
        named = _SEP.fullmatch(first)
        if named:
            delimiter = delimiter or self._sign(named)
            first = next(lines, "")
            while first and not first.strip():
                first = next(lines, "")
        if "\0" in first or MARK in first:
            raise InvalidInputError(
                f"the header line is not {self.encoding} text",
                next_step="Name the file's encoding: often cp1252, or utf-16-le where a NUL "
                "follows every letter.",
            )
        if JSON.fullmatch(first.strip()):
            raise InvalidInputError(
                "the file is JSON, not CSV",
                next_step="Leave the format out, or name it: json.",
            )
        if delimiter is None:
            delimiter = likely if likely and likely in first else _delimiter_of(first)
        while True:
            try:
                record = next(csv.reader([first], delimiter=delimiter, strict=True), [])
            except csv.Error as error:
                # A name may hold a line break, if it is quoted.
                if str(error) == "unexpected end of data" and len(first) < LONGEST_LINE:
                    more = next(lines, "")
                    if more:
                        first += more
                        continue
                raise InvalidInputError(f"the header line: {_csv_words(error)}") from None
            return delimiter, [name.strip() for name in record]


class _Lines(Iterator[str]):
    """The lines of a text, counted, and kept while they belong to one record.

    Args:
        read: gives the next line, by its number.
    """

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._broken = ""
        self._number = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read(self._number + 1)
        if not line:
            raise StopIteration
        self._number += 1
        if not self._record:  # a mark begins each file that was put behind another
            line = line.removeprefix("\ufeff")
        self._record.append(line)
        return line

    @property
    def start(self) -> int:
        """The line on which the current record begins, from 1."""
        return self._number - len(self._record) + 1

    def span_note(self) -> str:
        """Where the current record ends, if that is another line."""
        return f" (it runs to line {self._number})" if len(self._record) > 1 else ""

    @property
    def first(self) -> str:
        """The first line of the record that was read last, or of the current one."""
        return self._record[0] if self._record else self._broken

    @property
    def text(self) -> str:
        """The current record."""
        return "".join(self._record)

    def begin_record(self) -> None:
        self._record.clear()

    def rewind_after_first(self) -> None:
        self._broken = self._record[0] if self._record else ""
        again = self._record[1:]
        self._again.extendleft(reversed(again))
        self._number -= len(again)
        self._record.clear()


def _delimiter_of(header: str) -> str:
    """The delimiter of a header line: the candidate that is clearly the most frequent."""
    bare = _QUOTED.sub("", header)
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
        return "unescaped quote inside a quoted cell"
    return words
