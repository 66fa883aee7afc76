"""Rows from files, streamed, with nothing guessed and no types changed: what CSV and JSON Lines
share.

Texts reach the service as they are in the file, ids and phone numbers too. A row that cannot be
read with confidence is passed on with its ``problem`` and is not sent: a wrong ticket is worse
than one that is reported.
"""

from __future__ import annotations

import abc
import codecs
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Literal

from attrs import evolve, field, frozen

from ..errors import InvalidInputError
from .rows import Row

Build = Callable[[dict[str, Any]], Any]
"""Makes what is pushed from a mapping by wire names; raises ``InvalidInputError``."""

LONGEST_LINE = 16 * 1024 * 1024
"""Characters of a line or a cell. Anything longer is not a ticket, but a file without line ends
or with an open quote."""
_KEYS_COMPARED = 100_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNPACK = "Unpack it first."
_SAVE_AS_CSV = "Save it as CSV (UTF-8) in the spreadsheet program, and push that file."
_NO_TEXT = (
    (b"PK\x03\x04", "a spreadsheet (.xlsx, .ods) or another zip file", _SAVE_AS_CSV),
    (b"PK\x05\x06", "an empty zip file", _UNPACK),
    (b"PK\x07\x08", "part of a zip file", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", _SAVE_AS_CSV),
    (b"\x1f\x8b", "compressed (gzip)", _UNPACK),
    (b"BZh", "compressed (bzip2)", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed (xz)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed (lz4)", _UNPACK),
    (b"LZIP\x01", "compressed (lzip)", _UNPACK),
    (b"\x1f\x9d", "compressed (compress)", _UNPACK),
    (b"7z\xbc\xaf", "compressed (7z)", _UNPACK),
    (b"Rar!", "compressed (rar)", _UNPACK),
    (b"PAR1", "a Parquet file", "Save it as CSV or JSON Lines, and push that file."),
    (b"ARROW1", "an Arrow file", "Save it as CSV or JSON Lines, and push that file."),
    (b"SQLite format 3", "an SQLite database", "Name the file with the rows."),
    (b"%PDF-", "a PDF document", "Name the file with the rows."),
    (b"{\\rtf", "an RTF document", "Name the file with the rows."),
)
"""How files begin that are not text, what they are, and what to do."""
_MARKUP = (b"<!doctyp", b"<html", b"<?xml", b"<table")
"""How the "Excel file" of many web applications begins, and a login page."""

MARK = "\udcff"
"""Stands for each byte that could not be decoded; no text that was decoded can hold it."""
RAW = "_raw"
"""The name of the whole text of a row that cannot be split into fields."""
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
        key: the column with a row's key; without one, its line number is its key.
        entry: the column that names the journal row that a row replaces, if there is one.
    """

    fields: Mapping[str, str] = field(factory=dict)
    extra: Mapping[tuple[str, str], str] = field(factory=dict)
    extra_as_list: bool = True
    key: str | None = None
    entry: str | None = None

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
        unused: columns that are not sent. Where rows have names of their own, more may be found.
        announced: those of them that were announced to the user.
        open_ended: without a mapping, whatever documented field a row has is sent.
        first_fields: those of the first row, then.
        blank: rows without any content, and lines that repeat the header; they are skipped.
        repeated_keys: rows whose key an earlier row had (the first 100,000 are compared).
    """

    _newline = ""

    def __init__(
        self, stream: BinaryIO, columns: Columns, build: Build, *, encoding: str | None
    ) -> None:
        self.columns = columns
        self.used: Mapping[str, str] = {}
        self.unused: tuple[str, ...] = ()
        self.open_ended = False
        self.first_fields: tuple[str, ...] = ()
        self.announced: frozenset[str] = frozenset()
        self.blank = 0
        self.repeated_keys = 0
        self._build = build
        self._text, self.encoding = _decoded(stream, encoding, self._newline)
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

    def _next_line(self, number: int) -> str:
        """The next line of the text; empty at its end.

        Args:
            number: its number.

        Raises:
            InvalidInputError: it has no end, or the encoding cannot be read.
        """
        try:
            line = self._text.readline(LONGEST_LINE)
        except UnicodeError as error:
            raise InvalidInputError(
                f"line {number} cannot be read as {self.encoding} ({type(error).__name__})",
                next_step="Name the file's encoding.",
            ) from None
        if len(line) >= LONGEST_LINE:
            raise InvalidInputError(f"line {number} has no end; is this a text file?")
        return line

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
            error = self._unfit(self.columns.key or "")
            return Row(
                None,
                self._name_of_line(line),
                line,
                at_line(line, error),
                keyed=False,
                entry=entry,
                content=rest(),
            )
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
            problem = at_line(line, error)
            return Row(None, key, line, problem, keyed=keyed, entry=entry, content=content)

    def _name_of_line(self, line: int) -> str:
        """What a row is called that has no key of its own."""
        return str(line) if self.columns.key is None else f"line {line}"

    def _unfit(self, name: str) -> InvalidInputError:
        return InvalidInputError(
            f"{name!r} holds a NUL character, or bytes that are not {self.encoding}",
            fields={name: ("cannot be decoded",)},
            next_step="Correct the data, or name the file's encoding (often cp1252).",
        )


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


def at_line(line: int, error: InvalidInputError) -> InvalidInputError:
    """The same error, with the line of the file in front."""
    return InvalidInputError(
        f"line {line}: {error.message}", fields=error.fields, next_step=error.next_step
    )


def format_of(name: str) -> Literal["csv", "jsonl"] | None:
    """The format that a file's name suggests."""
    ending = name.rpartition(".")[2].lower()
    if ending in ("csv", "tsv", "tab", "txt"):
        return "csv"
    return "jsonl" if ending in ("jsonl", "ndjson", "jsonlines") else None


def _decoded(stream: BinaryIO, encoding: str | None, newline: str) -> tuple[io.TextIOWrapper, str]:
    """The stream as text. What cannot be decoded is marked, and found where it is used."""
    buffered = io.BufferedReader(stream, 1 << 16) if isinstance(stream, io.RawIOBase) else stream
    start = buffered.peek(16)[:16] if isinstance(buffered, io.BufferedReader) else b""
    check_start(start)
    marked = next((name for bom, name in _BOMS if start.startswith(bom)), None)
    if encoding is None:
        encoding = marked or "utf-8"
    try:
        plain = codecs.lookup(encoding).name
        text = io.TextIOWrapper(buffered, encoding=encoding, errors=_MARKING, newline=newline)
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        raise InvalidInputError(f"there is no encoding {encoding!r}") from None
    if plain in ("utf-16", "utf-32") and start and marked != plain:
        raise InvalidInputError(
            f"the file has no byte order mark, so it cannot be read as {encoding}",
            next_step=f"Name {plain}-le or {plain}-be, or leave --encoding out if it is UTF-8.",
        )
    return text, encoding


def check_start(start: bytes) -> None:
    """Check by its first 16 bytes that a file may hold rows.

    Raises:
        InvalidInputError: it is packed, a document, or a web page.
    """
    for magic, what, step in _NO_TEXT:
        if start.startswith(magic):
            raise InvalidInputError(f"the file is {what}, not text", next_step=step)
    if start.removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(_MARKUP):
        raise InvalidInputError("the file is a web page or XML, not rows", next_step=_SAVE_AS_CSV)


def is_array(start: bytes) -> bool:
    """Whether a file begins as a JSON array does."""
    return start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def no_array() -> InvalidInputError:
    """The error for a file that is one JSON array."""
    return InvalidInputError(
        "the file is a JSON array, not JSON Lines",
        next_step="Write one object per line, without brackets and commas between them: "
        "`jq -c '.[]'` does that.",
    )


def delimiter_of(name: str) -> str | None:
    """The delimiter that a file's name suggests."""
    return "\t" if name.rpartition(".")[2].lower() in ("tsv", "tab") else None


def listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20] if name)
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
