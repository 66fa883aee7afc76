"""What a file is, by how it begins, and what is packed in it."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Literal

from attrs import frozen

from ...errors import InvalidInputError
from .columns import listed
from .csv import JSON
from .text import text_in

Format = Literal["csv", "json", "sheet", "arrow"]

_START = 4096
_LAYERS = 4
"""How often a file may be packed."""
_IN_MEMORY = 8 * 1024 * 1024
_COPIED = 1 << 20
_UNPACK = "Unpack it first."
_NAME_THE_ROWS = "Name the file with the rows."
_SAVE_AS_CSV = "Save it as CSV (UTF-8) in the spreadsheet program, and push that file."
_NO_ROWS = (
    (b"PK\x05\x06", "an empty zip file", _UNPACK),
    (b"PK\x07\x08", "part of a zip file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed (lz4)", _UNPACK),
    (b"LZIP\x01", "compressed (lzip)", _UNPACK),
    (b"\x1f\x9d", "compressed (compress)", _UNPACK),
    (b"7z\xbc\xaf", "compressed (7z)", _UNPACK),
    (b"Rar!", "compressed (rar)", _UNPACK),
    (b"SQLite format 3", "an SQLite database", _NAME_THE_ROWS),
    (b"%PDF-", "a PDF document", _NAME_THE_ROWS),
    (b"{\\rtf", "an RTF document", _NAME_THE_ROWS),
)
"""How files begin that hold no rows, what they are, and what to do."""
_MARKUP = (b"<!doctyp", b"<html", b"<?xml", b"<table")
"""How the "Excel file" of many web applications begins, and a login page."""
_PACKED: tuple[tuple[bytes, str, Callable[[BinaryIO], Any]], ...] = (
    (b"\x1f\x8b", "gzip", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", "bzip2", bz2.BZ2File),
    (b"\xfd7zXZ\x00", "xz", lzma.LZMAFile),
)
_ARROW = ((b"PAR1", "Parquet"), (b"ARROW1", "Arrow"), (b"\xff\xff\xff\xff", "Arrow"))
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_SPREADSHEETS = ("xl/workbook.xml", "xl/workbook.bin")
_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"


@frozen(kw_only=True)
class Found:
    """What a file turned out to be.

    Attributes:
        stream: its content, unpacked; seekable where its format needs that.
        format: how rows are read from it; ``None`` for text that could be anything.
        name: of the file, or of the one in it.
        words: what it is, for the screen: how it is packed, and its format if that is no text.
    """

    stream: BinaryIO
    format: Format | None
    name: str
    words: tuple[str, ...] = ()

    @property
    def likely_delimiter(self) -> str | None:
        """The delimiter that the name suggests."""
        return "\t" if _ending(self.name) in ("tsv", "tab") else None


def found_in(stream: BinaryIO, name: str, encoding: str | None = None) -> Found:
    """Find out what a file is, from its first bytes; its name only decides what they do not.

    Args:
        stream: the file, in bytes. It may be a pipe: only what is needed is read.
        name: of the file.
        encoding: of a text, if it is known.

    Raises:
        InvalidInputError: it holds no rows, or is damaged.
    """
    words: tuple[str, ...] = ()
    for _ in range(_LAYERS):
        buffered = _buffered(stream)
        start: bytes = buffered.peek(_START)[:_START]
        for magic, what, step in _NO_ROWS:
            if start.startswith(magic):
                raise InvalidInputError(f"the file is {what}, not rows", next_step=step)
        packing = next(((w, o) for magic, w, o in _PACKED if start.startswith(magic)), None)
        if packing is not None:
            what, opened = packing
            stream = _Unpacked(opened(buffered), what)  # type: ignore[assignment]
            words, name = (*words, what), _without_packing(name)
            continue
        if start[257:262] == b"ustar":
            raise InvalidInputError("the file is a tar archive, not rows", next_step=_UNPACK)
        if start.startswith(_ZIP):
            seekable = _seekable(stream, buffered)
            inner = _in_zip(seekable)
            if inner is None:
                return Found(
                    stream=seekable, format="sheet", name=name, words=(*words, "spreadsheet")
                )
            stream, name = inner
            words = (*words, "zip")
            continue
        if start.startswith(_OLD_OFFICE):
            seekable = _seekable(stream, buffered)
            return Found(stream=seekable, format="sheet", name=name, words=(*words, "spreadsheet"))
        arrow = next((what for magic, what in _ARROW if start.startswith(magic)), None)
        if arrow:
            seekable = _seekable(stream, buffered)
            return Found(stream=seekable, format="arrow", name=name, words=(*words, arrow))
        if start.removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(_MARKUP):
            raise InvalidInputError(
                "the file is a web page or XML, not rows", next_step=_SAVE_AS_CSV
            )
        format_ = _format_of_text(text_in(start, encoding), name)
        return Found(stream=buffered, format=format_, name=name, words=words)
    raise InvalidInputError("the file is packed too many times", next_step=_UNPACK)


def format_of(name: str) -> Format | None:
    """The format of text that a file's name suggests."""
    ending = _ending(name)
    if ending in ("csv", "tsv", "tab", "txt"):
        return "csv"
    return "json" if ending in ("jsonl", "ndjson", "jsonlines", "json") else None


def _format_of_text(start: str, name: str) -> Format | None:
    lines = start.lstrip().splitlines()
    first = lines[0] if lines else ""
    if JSON.fullmatch(first.strip()):
        return "json"
    named = format_of(name)
    if named is None and any(sign in first for sign in ",;\t|"):
        return "csv"
    return named


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _without_packing(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if dot and ending.lower() in ("gz", "gzip", "bz2", "xz") else name


def _buffered(stream: Any) -> io.BufferedReader:
    if isinstance(stream, io.BufferedReader):
        return stream
    raw = stream if isinstance(stream, _Unpacked) else _LeftOpen(stream)
    return io.BufferedReader(raw, 1 << 16)


def _seekable(stream: BinaryIO, buffered: Any) -> BinaryIO:
    """The stream itself, from its start, if it can be read in any order, or else a copy."""
    if stream.seekable():
        stream.seek(0)
        return stream
    copy = _Copy(_IN_MEMORY)
    while part := buffered.read(_COPIED):
        copy.write(part)
    copy.seek(0)
    return copy  # type: ignore[return-value]


def _in_zip(stream: BinaryIO) -> tuple[BinaryIO, str] | None:
    """The one member of a zip file; ``None`` if it is a spreadsheet itself."""
    try:
        archive = zipfile.ZipFile(stream)
        names = archive.namelist()
        kind = archive.read("mimetype") if "mimetype" in names else b""
        if kind.startswith(_OPEN_DOCUMENT) or any(name in names for name in _SPREADSHEETS):
            stream.seek(0)
            return None
        if kind or "[Content_Types].xml" in names:
            raise InvalidInputError(
                "the file is a document of an office program, and no spreadsheet",
                next_step=_NAME_THE_ROWS,
            )
        members = [n for n in names if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if len(members) != 1:
            raise InvalidInputError(
                f"the zip file holds {len(members)} files: {listed(members)}",
                next_step="Unpack it, and name the one with the rows.",
            )
        return _Unpacked(archive.open(members[0]), "zip"), members[0]  # type: ignore[return-value]
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(
            f"the file is a zip file or a spreadsheet that is damaged ({type(error).__name__})",
            next_step="Get the whole file, or save it again.",
        ) from None
    except RuntimeError:
        raise InvalidInputError("the zip file is encrypted", next_step=_UNPACK) from None


class _Copy(tempfile.SpooledTemporaryFile[bytes]):
    """A copy that is gone with its last reader."""

    def __del__(self) -> None:
        self.close()


class _LeftOpen(io.RawIOBase):
    """A stream that stays open when what reads from it is closed or collected: whoever opened it
    closes it, and asks it how far it has been read.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into a buffer; see :class:`io.RawIOBase`."""
        count: int | None = self._stream.readinto(buffer)
        return count


class _Unpacked(io.RawIOBase):
    """What is packed in a file, read as it is asked for.

    Args:
        opened: unpacks it.
        what: how it is packed, for the error.
    """

    def __init__(self, opened: Any, what: str) -> None:
        self._opened = opened
        self._what = what

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; see :class:`io.RawIOBase`.

        Raises:
            InvalidInputError: the data is damaged, or breaks off.
        """
        try:
            data = self._opened.read(len(buffer))
        except EOFError:
            raise InvalidInputError(
                f"the {self._what} data breaks off: the file is not whole",
                next_step="Get the whole file. The rows before that have been read.",
            ) from None
        except (OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise InvalidInputError(
                f"the {self._what} data is damaged ({type(error).__name__})",
                next_step="Get the file again. The rows before that have been read.",
            ) from None
        buffer[: len(data)] = data
        return len(data)
