"""Text files: their bytes as lines, whatever the encoding, and nothing lost of what is wrong."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

from ...errors import InvalidInputError
from .columns import Columns
from .rows import MARK, Build, FileRows

LONGEST_LINE = 16 * 1024 * 1024
"""Characters of a line or a cell. Anything longer is not a ticket, but a file without line ends
or with an open quote."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARKING = "kapture-async-mark"


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return MARK * (error.end - error.start), error.end


codecs.register_error(_MARKING, _mark_bytes)


class TextRows(FileRows):
    """The rows of a text file.

    Args:
        stream: the file, in bytes.
        columns, build: see :class:`.FileRows`.
        encoding: otherwise detected from a byte order mark, or UTF-8.
    """

    _newline = ""

    def __init__(
        self, stream: BinaryIO, columns: Columns, build: Build, *, encoding: str | None
    ) -> None:
        self._text, self.encoding = _decoded(stream, encoding, self._newline)
        super().__init__(columns, build)

    def _next_line(self, number: int, most: int | None = None) -> str:
        """The next line of the text; empty at its end.

        Args:
            number: its number.
            most: characters to read of it, if not all.

        Raises:
            InvalidInputError: it has no end, or the encoding cannot be read.
        """
        try:
            line = self._text.readline(most or LONGEST_LINE)
        except UnicodeError as error:
            raise self._undecodable(number, error) from None
        if len(line) >= LONGEST_LINE:
            raise InvalidInputError(f"line {number} has no end; is this a text file?")
        return line

    def _undecodable(self, number: int, error: UnicodeError) -> InvalidInputError:
        return InvalidInputError(
            f"{self.unit} {number} cannot be read as {self.encoding} ({type(error).__name__})",
            next_step="Name the file's encoding.",
        )

    def _unfit(self, name: str) -> InvalidInputError:
        return InvalidInputError(
            f"{name!r} holds a NUL character, or bytes that are not {self.encoding}",
            fields={name: ("cannot be decoded",)},
            next_step="Correct the data, or name the file's encoding (often cp1252).",
        )


def text_in(start: bytes, encoding: str | None) -> str:
    """How a file begins, as text; what cannot be decoded is left out."""
    name = encoding or _marked(start) or "utf-8"
    try:
        return start.decode(name, "ignore").removeprefix("\ufeff")
    except (LookupError, UnicodeError, ValueError):
        return start.decode("latin-1")


def _marked(start: bytes) -> str | None:
    """The encoding that a byte order mark names."""
    return next((name for bom, name in _BOMS if start.startswith(bom)), None)


def _decoded(stream: BinaryIO, encoding: str | None, newline: str) -> tuple[io.TextIOWrapper, str]:
    """The stream as text. What cannot be decoded is marked, and found where it is used."""
    buffered = io.BufferedReader(stream, 1 << 16) if isinstance(stream, io.RawIOBase) else stream
    start = buffered.peek(16)[:16] if isinstance(buffered, io.BufferedReader) else b""
    marked = _marked(start)
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
