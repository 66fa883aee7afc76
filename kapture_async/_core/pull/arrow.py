"""Rows as columns, for data frames and Parquet: Arrow, through pyarrow, which is an extra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import tzinfo
from functools import cached_property
from typing import Any, BinaryIO, Protocol

from ..codec import Kind, WireModel, wire_fields
from ..errors import ConfigurationError
from ..jsontext import dumps

BATCH_ROWS = 4096
"""Rows of a record batch, at least, where there are as many."""
_LARGEST = 2**63

EXTRA = "extra"
"""The column for what no other column holds: unknown keys, and values of an unexpected type."""


class ArrowStream(Protocol):
    """What data frame libraries read: the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule that holds a stream of record batches."""
        ...


def is_frame(source: object) -> bool:
    """Whether rows are a data frame, a table, or a stream of record batches."""
    return hasattr(source, "__arrow_c_stream__") and not hasattr(source, "__aiter__")


class Frame:
    """The columns of one kind of rows, fixed by its model.

    Texts, codes and ids are strings; dates and times are timestamps with a zone; lists and objects
    are JSON strings. What is missing is null. The last column, ``extra``, is a JSON string of all
    that no other column holds: keys beyond the known ones, and values whose type was not the
    expected one.

    Args:
        model: the model of the rows.
        zone: the zone in which timestamps are shown.
        zone_name: its name, where it has none by itself; data frame libraries know names only.
    """

    def __init__(
        self, model: type[WireModel], zone: tzinfo, *, zone_name: str | None = None
    ) -> None:
        self._fields = wire_fields(model)
        # An instant is the same in any zone; a fixed offset is what most libraries refuse.
        self._zone = zone_name or getattr(zone, "key", None) or "UTC"
        self._key_of = {name: key for name, key, _ in self._fields}

    @cached_property
    def schema(self) -> Any:
        """The ``pyarrow.Schema``.

        Raises:
            ConfigurationError: pyarrow is not installed.
        """
        pa = load_pyarrow()
        types = {
            "integer": pa.int64(),
            "flag": pa.bool_(),
            "moment": pa.timestamp("us", self._zone),
            "texts": pa.list_(pa.string()),
            "idents": pa.list_(pa.string()),
        }
        columns = [(name, types.get(kind, pa.string())) for name, _, kind in self._fields]
        return pa.schema([*columns, (EXTRA, pa.string())])

    def batch(self, rows: Sequence[Any]) -> Any:
        """Rows as a ``pyarrow.RecordBatch``."""
        pa, schema = load_pyarrow(), self.schema
        extras: list[dict[str, Any]] = [self._extra(row) for row in rows]
        arrays = []
        for number, (name, key, kind) in enumerate(self._fields):
            values = [getattr(row, name) for row in rows]
            make = _MAKE.get(kind)
            if make is not None:
                values = [None if value is None else make(value) for value in values]
            if kind == "integer":
                for row_number, value in enumerate(values):
                    if value is not None and not -_LARGEST <= value < _LARGEST:
                        extras[row_number][key], values[row_number] = value, None
            arrays.append(pa.array(values, schema.field(number).type))
        texts = [dumps(extra).decode() if extra else None for extra in extras]
        arrays.append(pa.array(texts, pa.string()))
        return pa.record_batch(arrays, schema=schema)

    def table(self, batches: Sequence[Any]) -> Any:
        """Record batches as a ``pyarrow.Table``."""
        table = load_pyarrow().Table.from_batches(batches, self.schema)
        return table.combine_chunks()

    def reader(self, blocks: Iterable[Sequence[Any]]) -> Any:
        """Rows as a ``pyarrow.RecordBatchReader``, which takes them as it is read."""
        return load_pyarrow().RecordBatchReader.from_batches(self.schema, self._batches(blocks))

    def parquet_writer(self, file: BinaryIO) -> Any:
        """A ``pyarrow.parquet.ParquetWriter`` for these columns."""
        load_pyarrow()
        from pyarrow import parquet

        return parquet.ParquetWriter(file, self.schema, compression="zstd")

    def _batches(self, blocks: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """Each block becomes columns at once: as objects, rows take several times the memory."""
        waiting: list[Any] = []
        for block in blocks:
            waiting.append(self.batch(block))
            if sum(batch.num_rows for batch in waiting) >= BATCH_ROWS:
                yield from self.table(waiting).to_batches()
                waiting.clear()
        if waiting:
            yield from self.table(waiting).to_batches()

    def _extra(self, row: WireModel) -> dict[str, Any]:
        extra = dict(row.extra)
        for problem in row.problems:
            key = problem.partition(":")[0]
            if key in row.raw:
                extra[key] = row.raw[key]
        return extra


def frame_for(pages: object) -> Frame:
    """The columns of some pages' rows.

    Raises:
        TypeError: these rows have none.
    """
    frame = getattr(pages, "frame", None)
    if not isinstance(frame, Frame):
        raise TypeError("these rows have no columns for data frames")
    return frame


def _json(value: Any) -> str:
    return dumps(value).decode()


_MAKE: dict[Kind, Callable[[Any], Any]] = {"mapping": _json, "items": _json}


def load_pyarrow() -> Any:
    """The module, which is imported when it is first needed.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise ConfigurationError(
            "this needs pyarrow, which is not installed",
            next_step="pip install 'kapture-async[arrow]' brings it.",
        ) from None
    return pyarrow
