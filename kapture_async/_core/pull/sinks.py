"""The forms in which rows are written: JSON Lines, CSV, Parquet.

Each takes rows as they come and keeps none of them, or few. They block; call them from a thread.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import unescape
from typing import Any, BinaryIO, Final, Literal, Protocol

import orjson
from attrs import field, frozen

from ..codec import WireModel
from ..errors import InvalidInputError
from ..jsontext import dumps, line_of
from ..spreadsheet import MARK, harmless
from .arrow import Frame

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: Final[tuple[Format, ...]] = ("jsonl", "csv", "parquet")

ROWS_PER_GROUP: Final = 4096
"""Rows of Parquet that are kept until they are written together."""
_ROW_BYTES = 16 * 1024 * 1024


class Sink(Protocol):
    """Writes rows into a file."""

    def put(self, rows: Sequence[Any]) -> None:
        """Write some rows."""

    def finish(self) -> None:
        """Write what is left. The file stays open."""


@frozen(kw_only=True)
class Shape:
    """What the files of one kind of rows look like.

    Attributes:
        columns: the columns of CSV: the documented keys, in the order of the wire.
        words: those that the service escapes for HTML, and that are unescaped here.
        frame: the columns of Parquet.
        excel: CSV begins with a byte order mark, by which Excel knows that it is UTF-8.
    """

    columns: tuple[str, ...]
    words: frozenset[str] = field(factory=frozenset)
    frame: Frame
    excel: bool = False


def format_of(name: str, given: str | None) -> Format:
    """The requested format, or the one that a file's name implies.

    Raises:
        InvalidInputError: there is no such format, or the name implies none.
    """
    wanted = given or name.rpartition(".")[2].lower()
    for known in FORMATS:
        if wanted in (known, {"jsonl": "ndjson"}.get(known)):
            return known
    listed = ", ".join(FORMATS)
    if given:
        raise InvalidInputError(f"there is no format {given!r}; there are {listed}")
    raise InvalidInputError(
        "cannot tell the format from the file's name",
        next_step=f"Name it with one of the endings {listed}, or say which format.",
    )


def sink_for(format_: Format, file: BinaryIO, shape: Shape) -> Sink:
    """What writes rows into ``file``.

    Raises:
        ConfigurationError: Parquet is wanted, and pyarrow is not installed.
    """
    if format_ == "csv":
        return CsvSink(file, shape)
    return JsonlSink(file) if format_ == "jsonl" else ParquetSink(file, shape.frame)


class JsonlSink:
    """One JSON object a line: the row as the service sent it, every key."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def put(self, rows: Sequence[WireModel]) -> None:
        """See :class:`Sink`."""
        self._file.write(b"".join([_line(row.raw) for row in rows]))

    def finish(self) -> None:
        """See :class:`Sink`."""


def _line(raw: Any) -> bytes:
    if raw.__class__ is dict:
        try:
            return orjson.dumps(raw, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # an integer beyond 64 bits
            pass
    return line_of(raw)


class CsvSink:
    """A table for spreadsheets: a header, and cells that no spreadsheet takes for formulas.

    Lists and objects are JSON in their cell; keys beyond the documented ones are an object in the
    last column, ``extra``.
    """

    def __init__(self, file: BinaryIO, shape: Shape) -> None:
        self._file = file
        self._columns = shape.columns
        self._known = frozenset(shape.columns)
        self._words = shape.words
        if shape.excel:
            self._file.write(MARK)
        self._write([[*shape.columns, "extra"]])

    def put(self, rows: Sequence[WireModel]) -> None:
        """See :class:`Sink`."""
        self._write([self._cells(row.raw) for row in rows])

    def finish(self) -> None:
        """See :class:`Sink`."""

    def _cells(self, raw: Any) -> list[str]:
        words, get = self._words, raw.get
        cells = [cell(get(key), escaped=key in words) for key in self._columns]
        extra = {key: value for key, value in raw.items() if key not in self._known}
        cells.append(cell(extra or None))
        return cells

    def _write(self, table: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(table)
        self._file.write(text.getvalue().encode())


def cell(value: Any, *, escaped: bool = False) -> str:
    """A decoded JSON value as the text of a cell, made harmless for spreadsheets."""
    if value is None:
        return ""
    if isinstance(value, str):
        if escaped and "&" in value:
            value = unescape(value)
        return harmless(value)
    return dumps(value).decode()


class ParquetSink:
    """Typed columns, in groups of rows."""

    def __init__(self, file: BinaryIO, frame: Frame) -> None:
        self._frame = frame
        self._writer = frame.parquet_writer(file)
        self._batches: list[Any] = []
        self._rows = self._bytes = 0

    def put(self, rows: Sequence[Any]) -> None:
        """See :class:`Sink`."""
        batch = self._frame.batch(rows)
        self._batches.append(batch)
        self._rows += len(rows)
        self._bytes += batch.nbytes
        if self._rows >= ROWS_PER_GROUP or self._bytes >= _ROW_BYTES:
            self._write()

    def finish(self) -> None:
        """See :class:`Sink`."""
        if self._rows:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        self._writer.write_table(self._frame.table(self._batches))
        self._batches.clear()
        self._rows = self._bytes = 0
