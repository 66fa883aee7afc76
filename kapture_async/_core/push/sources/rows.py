"""Rows from files, streamed, with nothing guessed and no types changed: what all formats share.

Texts reach the service as they are in the file, ids and phone numbers too. A row that cannot be
read with confidence is passed on with its ``problem`` and is not sent: a wrong ticket is worse
than one that is reported.
"""

from __future__ import annotations

import abc
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from ...errors import InvalidInputError
from ..rows import Row
from .columns import Columns, listed

Build = Callable[[dict[str, Any]], Any]
"""Makes what is pushed from a mapping by wire names; raises ``InvalidInputError``."""

_KEYS_COMPARED = 100_000

MARK = "\udcff"
"""Stands for each byte that could not be decoded; no text that was decoded can hold it."""
RAW = "_raw"
"""The name of the whole text of a row that cannot be split into fields."""
UNFIT = re.compile(f"[\0{MARK}]")


class FileRows(Iterator[Row[Any]], abc.ABC):
    """The rows of one file, read as they are asked for.

    Attributes:
        unit: what counts as the place of a row: its ``line``, or its ``row`` of a table.
        total: how many rows there are, if the file says so beforehand.
        header: the names of its columns.
        used: which column goes to which wire name, as far as it is known beforehand.
        unused: columns that are not sent. Where rows have names of their own, more may be found.
        announced: those of them that were announced to the user.
        open_ended: without a mapping, whatever documented field a row has is sent.
        first_fields: those of the first row, then.
        blank: rows without any content, and lines that repeat the header; they are skipped.
        repeated_keys: rows whose key an earlier row had (the first 100,000 are compared).
    """

    unit = "line"

    def __init__(self, columns: Columns, build: Build) -> None:
        self.columns = columns
        self.total: int | None = None
        self.header: list[str] = []
        self.used: Mapping[str, str] = {}
        self.unused: tuple[str, ...] = ()
        self.open_ended = False
        self.first_fields: tuple[str, ...] = ()
        self.announced: frozenset[str] = frozenset()
        self.blank = 0
        self.repeated_keys = 0
        self._build = build
        self._seen: set[int] = set()
        self._rows = self._read()
        self._name: str | None = None
        self._part: tuple[int, int] | None = None
        self.others = 0
        """Rows of other parts, which were left to others."""

    def share(self, name: str, part: tuple[int, int] | None) -> None:
        """Give rows as several processes share them: each has a key that names it everywhere.

        Args:
            name: of the file; a row without a key goes by it and by its line.
            part: give only the rows of a part of so many; see :func:`part_of`.
        """
        self._name, self._part = name, part

    def __next__(self) -> Row[Any]:
        if self._name is None:
            return next(self._rows)
        while True:
            row = next(self._rows)
            if not row.keyed:
                row = evolve(row, key=f"{self._name}:{row.line}", keyed=True)
            if self._part is None or part_of(row.key or "", self._part[1]) == self._part[0]:
                return row
            self.others += 1

    @abc.abstractmethod
    def _read(self) -> Iterator[Row[Any]]: ...

    def _row(
        self,
        line: int,
        key: str | None,
        make: Callable[[], dict[str, Any]],
        rest: Callable[[], dict[str, Any]],
        entry: str | None = None,
    ) -> Row[Any]:
        """A row that is fit to be pushed, or that carries what is wrong with it.

        Args:
            line: where it begins.
            key: what its key column holds, if that is beyond doubt.
            make: its content; raises ``InvalidInputError``.
            rest: what can be read of it, if that fails.
            entry: what its entry column holds.
        """
        entry = entry or None
        if key and UNFIT.search(key):
            return self._bad(line, self._unfit(self.columns.key or ""), rest, entry)
        keyed = bool(key) and self.columns.key is not None
        if not key:
            key = self._name_of_line(line)
        elif self.columns.key is not None and len(self._seen) < _KEYS_COMPARED:
            mark = hash(key)
            self.repeated_keys += mark in self._seen
            self._seen.add(mark)
        content: dict[str, Any] | None = None
        try:
            content = make()
            return Row(self._build(content), key, line, keyed=keyed, entry=entry)
        except InvalidInputError as error:
            if content is None:
                content = rest()
            problem = self._placed(line, error)
            return Row(None, key, line, problem, keyed=keyed, entry=entry, content=content)

    def _bad(
        self,
        line: int,
        error: InvalidInputError,
        rest: Callable[[], dict[str, Any]],
        entry: str | None = None,
    ) -> Row[Any]:
        """A row that is bad, and whose key is not known."""
        return Row(
            None,
            self._name_of_line(line),
            line,
            self._placed(line, error),
            keyed=False,
            entry=entry,
            content=rest(),
        )

    def _name_of_line(self, line: int) -> str:
        """What a row is called that has no key of its own."""
        return str(line) if self.columns.key is None else f"line {line}"

    def _placed(self, line: int, error: InvalidInputError) -> InvalidInputError:
        """The same error, with the row's place in the file in front."""
        return InvalidInputError(
            f"{self.unit} {line}: {error.message}", fields=error.fields, next_step=error.next_step
        )

    def _unfit(self, name: str) -> InvalidInputError:
        return InvalidInputError(
            f"{name!r} holds a NUL character", fields={name: ("holds a NUL character",)}
        )


class TableRows(FileRows):
    """Rows of a table: each has a cell in each column, and the columns have names.

    Args:
        columns: which column goes where; without ``fields``, the columns that bear the name of
            a wire field.
        build: makes what is pushed.
    """

    def __init__(self, columns: Columns, build: Build) -> None:
        super().__init__(columns, build)
        self._flat: list[tuple[str, int]] = []
        self._nested: list[tuple[tuple[str, str], int]] = []
        self._dates: dict[int, str] = {}
        self._key: int | None = None
        self._entry: int | None = None

    def _bind(self, header: list[str], wire_fields: Sequence[str], required: Sequence[str]) -> None:
        """Find the columns that are used.

        Raises:
            InvalidInputError: one that was named is not there, or one that is required is not
                named.
        """
        columns = self.columns
        self.header = header
        flat: Mapping[str, str] = columns.flat
        if not flat:
            flat = {name: name for name in wire_fields if name in header}
        self._flat = [(name, self._place(column)) for name, column in flat.items()]
        self._nested = [(name, self._place(column)) for name, column in columns.nested.items()]
        self._dates = {self._place(column): column for column in columns.dates}
        self.used = {**flat, **{n: c for n, c in columns.fields.items() if n not in flat}}
        missing = [name for name in required if name not in flat]
        if missing:
            raise InvalidInputError(
                f"no column is mapped to {missing[0]!r}; the columns are {listed(header)}",
                next_step=f"Name the column for it: {missing[0]}=COLUMN.",
            )
        self._key = None if columns.key is None else self._place(columns.key)
        known = columns.entry is not None and columns.entry in header
        self._entry = header.index(columns.entry) if known and columns.entry else None
        taken = {place for _, place in (*self._flat, *self._nested)}
        self.unused = tuple(
            name for place, name in enumerate(header) if name and place not in taken
        )

    def _sent(self, cells: Sequence[Any], place: int) -> Any:
        """What is sent of a cell; nothing if it is empty or ``None``.

        Raises:
            InvalidInputError: it cannot be read with confidence.
        """
        text = cells[place]
        if text and isinstance(text, str):
            if UNFIT.search(text):
                raise self._unfit(self.header[place])
            if place in self._dates:
                return self.columns.date_in(self._dates[place], text)
        return text

    def _content(self, cells: Sequence[Any]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for name, place in self._flat:
            value = self._sent(cells, place)
            if value is not None and value != "":
                content[name] = value
        if self._nested:
            values = {name: self._sent(cells, place) for name, place in self._nested}
            given = {name: v for name, v in values.items() if v is not None and v != ""}
            content |= self.columns.objects(given)
        return content

    def _readable(self, cells: Sequence[Any]) -> dict[str, Any]:
        """What can be written down of a row that is not sent."""
        content = {name: _written(cells[n]) for name, n in self._flat if cells[n]}
        values = {name: _written(cells[n]) for name, n in self._nested if cells[n]}
        return content | self.columns.objects(values)

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
            f"the file has no column {column!r}; it has {listed(self.header)}",
            next_step=self._no_column,
        )

    _no_column = "Correct the name."


def part_of(key: str, parts: int) -> int:
    """Which of so many parts a row is in, from 0: always the same for the same key.

    The first 8 bytes of the BLAKE2b hash (of 8 bytes) of the key in UTF-8, as a big-endian number,
    modulo the number of parts.
    """
    digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % parts


def written(text: str) -> str:
    """A text that can be written: what could not be decoded, and NUL, are question marks."""
    return UNFIT.sub("\ufffd", text)


def _written(value: Any) -> Any:
    return written(value) if isinstance(value, str) else value
