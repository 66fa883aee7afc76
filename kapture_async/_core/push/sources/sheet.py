"""The rows of a spreadsheet: .xlsx, .xls, .ods, by python-calamine, which is an extra."""

from __future__ import annotations

import functools
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, BinaryIO

from ...errors import ConfigurationError, InvalidInputError
from ..rows import Row
from .columns import Columns, date_text, listed, number_text
from .rows import Build, TableRows

_DIGITS = 15
"""Significant digits of a number that a spreadsheet keeps."""


_MOST_CELLS = 100_000_000
"""Of a sheet, with those that are empty: each takes memory."""
_EXTENT = re.compile(rb'<dimension ref="[A-Z]+\d+:([A-Z]+)(\d+)"')


class SheetRows(TableRows):
    """The rows of one sheet, under a row of names. An empty cell is a field left out.

    A text stays what it is; a number or a date becomes the text that the cell shows in its plain
    format. A number of more digits than a spreadsheet keeps makes its row bad: the last digits
    are lost already.

    The cells of the sheet are in memory, at about 2 kB for a row of 17 cells.

    Args:
        stream: the file; it must be seekable.
        columns: which column goes where; without ``fields``, the columns that bear the name of
            a wire field.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        required: wire names that must have a column.
        sheet: its name; without one, the workbook must have only one that is visible.
        skip: rows above the header, such as a title.

    Raises:
        ConfigurationError: python-calamine is not installed.
        InvalidInputError: the file or the sheet cannot be read, or a column that was named is not
            there.
    """

    unit = "row"
    _no_column = "Correct the name. If the names stand further down: --skip-title-rows."

    def __init__(
        self,
        stream: BinaryIO,
        columns: Columns,
        build: Build,
        *,
        wire_fields: tuple[str, ...] = (),
        required: tuple[str, ...] = (),
        sheet: str | None = None,
        skip: int = 0,
    ) -> None:
        super().__init__(columns, build)
        found = _opened(stream, sheet)
        self.sheet: str = found.name
        self._cells: Iterator[Sequence[Any]] = found.iter_rows()
        self._number = skip
        for _ in range(skip):
            next(self._cells, None)
        header = self._next_header()
        last = found.end  # counted from 0
        self.total = None if last is None else max(0, last[0] + 1 - self._number)
        self._bind(header, wire_fields, required)

    def _next_header(self) -> list[str]:
        for cells in self._cells:
            self._number += 1
            names = [str(_shown(cell, "the header")).strip() for cell in cells]
            if any(names):
                return names
        raise InvalidInputError(f"the sheet {self.sheet!r} is empty: it has no header row")

    def _read(self) -> Iterator[Row[Any]]:
        for number, cells in enumerate(self._cells, start=self._number + 1):
            if not any(not isinstance(cell, str) or cell.strip() for cell in cells):
                self.blank += 1
                continue
            yield self._row_of(number, cells)

    def _row_of(self, number: int, cells: Sequence[Any]) -> Row[Any]:
        try:
            key = None if self._key is None else _shown(cells[self._key], self.header[self._key])
        except InvalidInputError as error:
            return self._bad(number, error, lambda: self._readable(cells))
        entry = None if self._entry is None else _shown(cells[self._entry], "")
        return self._row(
            number, key, lambda: self._content(cells), lambda: self._readable(cells), entry
        )

    def _sent(self, cells: Sequence[Any], place: int) -> Any:
        cell = cells[place]
        if cell.__class__ is not str:
            cells = {place: _shown(cell, self.header[place])}  # type: ignore[assignment]
            if isinstance(cell, date):  # no text to be read in a format
                return cells[place]
        return super()._sent(cells, place)

    def _readable(self, cells: Sequence[Any]) -> dict[str, Any]:
        return super()._readable([_as_far_as(cell) for cell in cells])


def sheet_names(stream: BinaryIO) -> list[str]:
    """The names of the visible sheets.

    Raises:
        ConfigurationError, InvalidInputError: as for :class:`SheetRows`.
    """
    return _visible(_workbook(stream))


def _opened(stream: BinaryIO, sheet: str | None) -> Any:
    book = _workbook(stream)
    names = _visible(book)
    if sheet is None:
        if len(names) != 1:
            raise InvalidInputError(
                f"the workbook has {len(names)} sheets: {listed(names)}",
                next_step="Name the one with the rows: --sheet NAME.",
            )
        sheet = names[0]
    elif sheet not in book.sheet_names:
        raise InvalidInputError(
            f"the workbook has no sheet {sheet!r}; it has {listed(names)}",
            next_step="Correct --sheet.",
        )
    try:
        return book.get_sheet_by_name(sheet)
    except Exception as error:
        raise _unreadable(error) from None


def _workbook(stream: BinaryIO) -> Any:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise ConfigurationError(
            "spreadsheets need python-calamine, which is not installed",
            next_step="pip install 'kapture-async[excel]' brings it; or save the sheet as CSV.",
        ) from None
    name = getattr(stream, "name", None)
    try:
        _check_extent(stream)
        if isinstance(name, str) and os.path.isfile(name):  # else it is read into memory whole
            return CalamineWorkbook.from_path(name)
        return CalamineWorkbook.from_filelike(stream)
    except InvalidInputError:
        raise
    except Exception as error:
        raise _unreadable(error) from None


def _check_extent(stream: BinaryIO) -> None:
    """See that no sheet of an .xlsx file says that it is larger than memory: the library that
    reads it makes room for every cell, and takes the whole process down if there is none."""
    if not zipfile.is_zipfile(stream):
        return
    archive = zipfile.ZipFile(stream)
    for name in archive.namelist():
        if name.startswith("xl/worksheets/"):
            with archive.open(name) as part:
                found = _EXTENT.search(part.read(4096))
            if found is None:
                continue
            letters, rows = found[1].decode(), int(found[2])
            columns = functools.reduce(lambda sum, one: sum * 26 + ord(one) - 64, letters, 0)
            if rows * columns > _MOST_CELLS:
                raise InvalidInputError(
                    f"a sheet of the workbook has {rows:,} rows and {columns:,} columns",
                    next_step="Most likely a single cell stands far out (Ctrl+End goes there): "
                    "delete its row and its column, and save the file.",
                )
    stream.seek(0)


def _visible(book: Any) -> list[str]:
    return [
        sheet.name
        for sheet in book.sheets_metadata
        if str(sheet.visible).endswith(".Visible") and str(sheet.typ).endswith(".WorkSheet")
    ]


def _unreadable(error: Exception) -> InvalidInputError:
    if type(error).__name__ == "PasswordError":
        return InvalidInputError(
            "the workbook is protected with a password",
            next_step="Save it without one, and push that file.",
        )
    return InvalidInputError(
        f"the spreadsheet is damaged, or is none ({type(error).__name__})",
        next_step="Open it in a spreadsheet program and save it again, or save it as CSV.",
    )


def _shown(cell: Any, column: str) -> str:
    """A cell as the text that it shows in its plain format.

    Raises:
        InvalidInputError: it is a number whose last digits are lost.
    """
    if isinstance(cell, (int, float)) and abs(cell) >= 10**_DIGITS:
        problem = f"is a number of more than {_DIGITS} digits, which a spreadsheet rounds"
        raise InvalidInputError(
            f"{column!r} {problem}",
            fields={column: (problem,)},
            next_step="Format the column as text, and enter the number again.",
        )
    return _as_far_as(cell)


def _as_far_as(cell: Any) -> str:
    """The same, whatever was lost."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, (int, float)):
        return number_text(cell)
    if isinstance(cell, datetime):
        return date_text((cell + timedelta(microseconds=500_000)).replace(microsecond=0), UTC)
    if isinstance(cell, time):
        return cell.isoformat("seconds")
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell)
