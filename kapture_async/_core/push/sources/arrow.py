"""The rows of data frames, and of Parquet and Arrow files: through pyarrow, which is an extra.

A cell is sent as a CSV file of the same table would have it: a number as text (a whole number
without a fraction, since a column of ids with gaps becomes one of fractions), a null or ``NaN``
not at all. Dates, true and false, lists and objects stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, BinaryIO

from ...arguments import check_callable, check_mapping
from ...errors import InvalidInputError
from ...pull.arrow import is_frame, load_pyarrow
from ..rows import Row
from .columns import Columns, check_objects, date_text, listed, number_text, split
from .rows import Build, TableRows

_SLICE = 1024
"""Rows that are turned into objects at a time."""
_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls an index that has no name."""
_COLUMN = re.compile(r"[Cc]onversion failed for column (.{1,80}?) with type")


class ArrowRows(TableRows):
    """The rows of a Parquet or an Arrow file. A null is a field left out.

    Args:
        stream: the file; it must be seekable.
        columns: which column goes where; without ``fields``, the columns that bear the name of
            a wire field.
        build: makes what is pushed.
        wire_fields: the names that count as wire fields.
        required: wire names that must have a column.

    Raises:
        ConfigurationError: pyarrow is not installed.
        InvalidInputError: the file cannot be read, or a column that was named is not there.
    """

    unit = "row"

    def __init__(
        self,
        stream: BinaryIO,
        columns: Columns,
        build: Build,
        *,
        wire_fields: tuple[str, ...] = (),
        required: tuple[str, ...] = (),
    ) -> None:
        super().__init__(columns, build)
        self._schema, self._batches, self.total = _opened(stream)
        self._bind(list(self._schema.names), wire_fields, required)

    def _read(self) -> Iterator[Row[Any]]:
        places = {place for _, place in (*self._flat, *self._nested)}
        places.update(place for place in (self._key, self._entry) if place is not None)
        nothing: list[None] = [None] * _SLICE
        number = 0
        for batch in _slices(self._batches()):
            columns = [
                [self._plain(value) for value in values_of(batch.column(place))]
                if place in places
                else nothing
                for place in range(len(self.header))
            ]
            for cells in zip(*columns, strict=False) if places else ():
                number += 1
                yield self._row_of(number, cells)

    def _row_of(self, number: int, cells: Sequence[Any]) -> Row[Any]:
        key = None if self._key is None else cells[self._key]
        if key is not None and not isinstance(key, str):
            error = InvalidInputError("its key is neither text nor a number")
            return self._bad(number, error, lambda: self._readable(cells))
        entry = None if self._entry is None else cells[self._entry]
        return self._row(
            number, key, lambda: self._content(cells), lambda: self._readable(cells), entry
        )

    def _plain(self, value: Any) -> Any:
        return date_text(value, self.columns.zone) if isinstance(value, date) else value


def as_rows(
    source: Any,
    map: Mapping[str, str] | None,
    key: str | Callable[[Any], str] | None,
    *,
    fields: Sequence[str],
    as_list: bool = True,
) -> tuple[Any, Callable[[Any], str] | None]:
    """The source of a push as rows, and what gives their keys: a data frame becomes mappings.

    Args:
        source: rows, or what has an ``__arrow_c_stream__``.
        map: wire name to column, also ``object.field``; ``None`` if the columns have wire names.
        key: the column with the rows' keys, or a function.
        fields: the documented fields, which may go without a map.
        as_list: how objects of the tenant are sent.

    Raises:
        ConfigurationError: pyarrow is not installed.
        InvalidInputError: a column is not there, is not documented and not mapped, or holds what
            cannot be sent; or there is a map, or a column as the key, and no frame.
    """
    if not is_frame(source):
        for name, given in (("map", map), ("key", key)):
            if given is not None and not callable(given):
                raise InvalidInputError(
                    f"{name} names columns, and the source is not a data frame",
                    fields={name: ("needs a data frame",)},
                )
        return source, key if callable(key) else None
    check_mapping("map", map)
    if key is not None and not isinstance(key, str):
        check_callable("key", key)
    column = key if isinstance(key, str) else None
    reader = _reader(source)
    names = [name for name in reader.schema.names if not _INDEX.fullmatch(name)]
    if map is None:
        others = [name for name in names if name not in fields and name != column]
        if others:
            raise InvalidInputError(
                f"columns of the frame are not fields of the service: {listed(others)}",
                fields={"map": ("is missing",)},
                next_step="Say what is to be sent, and as what: map={FIELD: COLUMN, ...}.",
            )
        map = {name: name for name in names if name in fields}
    check_objects(map)
    for name in (*map.values(), *([column] if column is not None else [])):
        if names.count(name) != 1:
            found = f"more than one column {name!r}" if name in names else f"no column {name!r}"
            raise InvalidInputError(
                f"the frame has {found}; its columns are {listed(names)}",
                next_step="Correct the name in map= or key=.",
            )
        _check_type(name, reader.schema.field(name).type)
    rows = _rows(reader, map, column, as_list=as_list)
    return rows, key if callable(key) else None


def _rows(
    reader: Any, map: Mapping[str, str], key: str | None, *, as_list: bool
) -> Iterator[Row[dict[str, Any]]]:
    flat = [name for name in map if "." not in name]
    nested = [(*split(name), map[name]) for name in map if "." in name]
    line = 0
    for batch in _slices(_read(reader)):
        values = [values_of(batch.column(map[name])) for name in flat]
        inner = [(outer, name, values_of(batch.column(of))) for outer, name, of in nested]
        keys = values_of(batch.column(key)) if key is not None else None
        whole = not any(None in column for column in values)
        made: list[Row[dict[str, Any]]] = []  # of a whole slice: a tight loop costs half as much
        for place, cells in enumerate(zip(*values, strict=True) if values else [()] * len(batch)):
            line += 1
            body: dict[str, Any] = dict(zip(flat, cells))  # noqa: B905 - of one length
            if not whole and None in cells:
                body = {name: value for name, value in body.items() if value is not None}
            for outer, name, column in inner:
                if (value := column[place]) is not None:
                    held: Any = body.get(outer)
                    if held is None:
                        held = body[outer] = [{}] if as_list else {}
                    (held[0] if as_list else held)[name] = value
            own = None if keys is None else keys[place]
            problem = None
            if own is not None and own.__class__ is not str:
                problem = InvalidInputError("its key is neither text nor a number")
                own = None
            made.append(Row(body, own, line, problem, own is not None))
        made.reverse()
        while made:  # none is held longer than it must be
            yield made.pop()


def values_of(array: Any) -> list[Any]:
    """The cells of a column: ``None`` where there is none, numbers as texts."""
    pa = load_pyarrow()
    kind = array.type
    types = pa.types
    try:
        if types.is_dictionary(kind):
            array = array.dictionary_decode()
            kind = array.type
        if types.is_integer(kind) or types.is_decimal(kind):
            return list(array.cast(pa.string()).to_pylist())
        if types.is_floating(kind):
            return [
                None if value is None or value != value else number_text(value)
                for value in array.to_pylist()
            ]
        if types.is_timestamp(kind) and kind.unit == "ns":  # finer than Python's moments
            array = array.cast(pa.timestamp("us", kind.tz), safe=False)
        values: list[Any] = array.to_pylist()
    except InvalidInputError:
        raise
    except Exception as error:
        raise _unreadable("the data", error) from None
    if types.is_time(kind):
        return [None if value is None else value.isoformat() for value in values]
    return values


def _check_type(name: str, kind: Any) -> None:
    if "binary" in str(kind) or load_pyarrow().types.is_duration(kind):
        raise InvalidInputError(
            f"the column {name!r} holds {kind}, which cannot be sent",
            next_step="Turn it into text.",
        )


def _slices(batches: Iterator[Any]) -> Iterator[Any]:
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE):
            yield batch.slice(start, _SLICE)


def _reader(source: Any) -> Any:
    pa = load_pyarrow()
    try:
        return pa.RecordBatchReader.from_stream(source)
    except Exception as error:  # what a library raises that cannot give its frame to another
        raise _unreadable("the frame", error) from None


def _read(reader: Any) -> Iterator[Any]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except Exception as error:
            raise _unreadable("the frame", error) from None
        yield batch


def _opened(stream: BinaryIO) -> tuple[Any, Callable[[], Iterator[Any]], int | None]:
    """The schema of a file, its record batches, and how many rows they have."""
    pa = load_pyarrow()
    try:
        start = stream.read(6)
        stream.seek(0)
        if start.startswith(b"PAR1"):
            from pyarrow import parquet

            file = parquet.ParquetFile(stream)
            return (
                file.schema_arrow,
                lambda: _guarded(file.iter_batches(_SLICE)),
                file.metadata.num_rows,
            )
        if start == b"ARROW1":
            opened = pa.ipc.open_file(stream)
            batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
            return opened.schema, lambda: _guarded(batches), None
        streamed = pa.ipc.open_stream(stream)
        return streamed.schema, lambda: _read(streamed), None
    except Exception as error:
        raise _unreadable("the file", error) from None


def _guarded(batches: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from batches
    except Exception as error:
        raise _unreadable("the file", error) from None


def _unreadable(what: str, error: Exception) -> InvalidInputError:
    """The error for what Arrow cannot read; its own words may hold data."""
    column = _COLUMN.search(" ".join(map(str, error.args)))
    where = f", in its column {column[1]!r}" if column else ""
    return InvalidInputError(
        f"{what} cannot be read as columns{where} ({type(error).__name__})",
        next_step="Give each column one type, such as text." if column else "",
    )
