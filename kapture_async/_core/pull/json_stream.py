"""Rows out of a JSON object, while it is still arriving. Pure: bytes in, rows out.

Rows are found by cutting at the last separator of two objects (``},{``) in what has come, and by
parsing what stands before it as a list. A cut inside a text or inside a nested value cannot
parse: it would leave a text or at least two brackets open, of which the added ``]`` closes one.
So success proves the cut. Where it fails, and at both ends of the list, a scanner that knows
texts and brackets finds the next row; no byte is scanned twice, however long a row is.

Every part is parsed by the same parser that would read the whole. What that refuses is read once
more, tolerantly, row by row (:mod:`..jsontext`): one odd row takes no other with it. So is what it
cannot say rightly: a part that does not come out the same when it is written again, and has more
keys than were kept, or numbers that are too long for it.

Rows can keep the bytes they came in, for files that hold exactly those. Where a part comes out the
same when it is written again, to the byte, nothing needs to be kept. Elsewhere a row ends where a
separator makes what stands before it an object, from one row to the next.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Literal

import orjson

from ..errors import ReplyTooLargeError, UnreadableReplyError
from ..jsontext import (
    PREFIX_CAP,
    Reader,
    declared_encoding,
    encoding_before,
    guard_in,
    has_long_numbers,
    keeping,
    keeping_inside,
    keys_in,
    loads,
    most_keys,
    repeats_keys,
    says_the_same,
)

ROW_CAP = 16 * 1024 * 1024
"""The most bytes of one row, and of everything beside the rows."""
OTHER_CAP = 256 * 1024  # what is not an object is kept up to here: it is only quoted
_KEY_CAP = 64 * 1024
_SEPARATOR_CAP = 256
_AGAIN = 16  # parts to pass, after one that does not come out the same, before trying again
_DEPTH_CAP = 1024  # the parser's own

_BLANKS = re.compile(rb"[ \t\r\n]*+")
# Possessive, so that a text whose end has not come yet costs one look and not many.
_OUTSIDE = re.compile(rb'[^"\[\]{},]*+')
_INSIDE = re.compile(
    rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+',
    re.DOTALL,
)
_IN_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)

_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_LIST, _CLOSE_LIST = b"{}[]"

Ending = Literal["whole", "broken", "other"]
"""How what came has ended: an object that is whole, one that breaks off, or something else."""


class RowSplitter:
    """Takes an object apart while it arrives: the rows of one list in it, and all its other keys.

    Args:
        key: where the list stands in the object. Any other kind of value there is a key as the
            others are.
        row_cap: the most bytes of one row, and of everything beside the rows.
        charset: what the answer's header declares; used for what is not UTF-8.
        own: rows keep the bytes they came in, unless they are what they are written as anyway;
            see :func:`..jsontext.line_of`.

    Attributes:
        alone: the object in place of the list, with its bytes and those of the objects in it, if
            they are kept.
    """

    def __init__(
        self, key: str, *, row_cap: int = ROW_CAP, charset: str = "", own: bool = False
    ) -> None:
        self._key = key
        self._own = own
        self._charset = charset
        self._decoder: codecs.IncrementalDecoder | Reader | None = None
        self._looked = self._all_here = False
        self._row_cap = row_cap
        self._buffer = bytearray()
        self._step = self._at_start
        self._envelope: dict[str, Any] = {}
        self._envelope_size = 0
        self._member = ""
        self._listed = False
        self._first = True
        self._ended = False
        self._other: bytearray | None = None
        # The scanner: where it is, and in what.
        self._at = 0
        self._depth = 0
        self._in_text = False
        # The cutting at separators.
        self._separator = b"},{"
        self._no_cut_up_to = -1
        self._until_again = 0
        self._holders: set[str] = set()
        self._rows: list[Any] = []
        self.alone: Any = None

    @property
    def envelope(self) -> dict[str, Any]:
        """The object without its rows: their list is empty. Whole once :meth:`finish` says so."""
        return {**self._envelope, self._key: []} if self._listed else self._envelope

    @property
    def listed(self) -> bool:
        """Whether the list of rows has begun."""
        return self._listed

    @property
    def other(self) -> bytes | None:
        """The beginning of what came if that is not an object."""
        return None if self._other is None else bytes(self._other)

    @property
    def has_enough(self) -> bool:
        """Whether nothing that is still to come can matter: it is long, and not an object."""
        return self._other is not None and len(self._other) >= OTHER_CAP

    def feed(self, data: bytes | memoryview) -> list[Any]:
        """Take the next bytes, and give the elements of the list that are whole now.

        What they are, objects or not, is not looked at.

        Raises:
            UnreadableReplyError: it cannot become the JSON of such an object.
            ReplyTooLargeError: a row, or everything beside the rows, is too large.
        """
        if self._other is not None:
            self._other += data[: OTHER_CAP - len(self._other)]
            return []
        if self._decoder is not None:
            data = self._decoder.decode(bytes(data)).encode("utf-8", "surrogateescape")
        self._buffer += data
        while self._step():
            pass
        rows, self._rows = self._rows, []
        return rows

    def finish(self) -> Ending:
        """Say how what came has ended; nothing more will come."""
        if self._step == self._at_start and not self._all_here:
            self._all_here, few = True, self._buffer[:]  # too few to tell what they are
            try:
                while self._step():
                    pass
            except UnreadableReplyError:
                self._other, self._ended = few, False
        if self._ended:
            return "whole"
        if self._other is None and self._step == self._at_start:
            self._other = bytearray()
        return "broken" if self._other is None else "other"

    # --- the steps: each takes something from the front of the buffer, or waits for more --------

    def _at_start(self) -> bool:
        if not self._looked and not self._look_at_encoding():
            return False
        if self._look() is None:
            return False
        if self._buffer[0] != _OPEN_OBJECT:
            if len(self._buffer) < PREFIX_CAP and b"{" not in self._buffer and not self._all_here:
                return False  # what may stand before it may not be here whole
            del self._buffer[: guard_in(self._buffer)]
        if self._buffer[:1] != b"{":
            self._other = self._buffer[:OTHER_CAP]
            self._buffer = bytearray()
            return False
        return self._go(1, self._at_key)

    def _at_key(self) -> bool:
        if self._look() is None:
            return False
        if self._buffer[0] == _CLOSE_OBJECT and self._first:
            self._ended = True
            return self._go(1, self._at_end)
        if self._buffer[0] != _QUOTE:
            raise _unreadable()
        colon = self._end_of_key()
        if colon is None:
            if len(self._buffer) > _KEY_CAP:
                raise ReplyTooLargeError(f"a key of the answer has more than {_KEY_CAP:,} bytes")
            return False
        self._member = str(self._parsed(0, colon))
        self._first = False
        self._account(colon)
        return self._go(colon + 1, self._at_value)

    def _at_value(self) -> bool:
        found = self._look()
        if found is None:
            return False
        if self._member == self._key:
            if self._listed or self._key in self._envelope:
                raise UnreadableReplyError(f"the answer has the key {self._key!r} twice")
            if found == _OPEN_LIST:
                self._listed = self._first = True
                return self._go(1, self._at_row)
        end = self._scan()
        if end is None:
            self._check_size(len(self._buffer))
            return False
        value = self._parsed(0, end)
        if self._own and self._member == self._key and isinstance(value, dict):
            self.alone = keeping_inside(value, bytes(self._buffer[:end]).strip())
        if self._envelope.setdefault(self._member, value) != value:
            raise UnreadableReplyError(f"the answer has the key {self._member[:40]!r} twice")
        self._account(end)
        return self._after(end)

    def _at_row(self) -> bool:
        if self._look() is None:
            return False
        if self._at == 0:
            self._cut()
            if self._look() is None:
                return False
        end = self._scan()
        if end is None:
            if len(self._buffer) > self._row_cap:
                raise ReplyTooLargeError(f"one row has more than {self._row_cap:,} bytes")
            return False
        stop = self._buffer[end]
        if stop == _CLOSE_OBJECT:
            raise _unreadable()
        if end or not (self._first and stop == _CLOSE_LIST):
            self._rows.append(self._parsed(0, end, own=self._own))
        self._first = False
        if stop == _CLOSE_LIST:
            return self._go(end + 1, self._at_comma)
        self._learn(end)
        return self._go(end + 1, self._at_row)

    def _at_comma(self) -> bool:
        return self._look() is not None and self._after(0)

    def _at_end(self) -> bool:
        if self._look() is not None:
            raise _unreadable()
        return False

    # --- what the steps are made of -------------------------------------------------------------

    def _look_at_encoding(self) -> bool:
        """Find out from the first bytes whether all of it is to be decoded first."""
        if len(self._buffer) < 4 and not self._all_here:
            return False
        self._looked = True
        encoding, mark = encoding_before(bytes(self._buffer[:4]), self._charset)
        del self._buffer[:mark]
        declared = declared_encoding(self._charset) if self._charset and not encoding else None
        if encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        elif declared is not None:
            self._decoder = Reader(declared)
        if self._decoder is not None:
            self._charset = ""
            first = self._decoder.decode(bytes(self._buffer))
            self._buffer = bytearray(first.encode("utf-8", "surrogateescape"))
        return True

    def _go(self, count: int, step: Any) -> bool:
        """Drop ``count`` bytes, and continue with another step."""
        del self._buffer[:count]
        self._at = self._depth = 0
        self._no_cut_up_to -= count
        self._step = step
        return True

    def _after(self, end: int) -> bool:
        """Continue behind a member: with the next one, or with the end of the object."""
        stop = self._buffer[end]
        if stop == _COMMA:
            return self._go(end + 1, self._at_key)
        if stop != _CLOSE_OBJECT:
            raise _unreadable()
        self._ended = True
        return self._go(end + 1, self._at_end)

    def _look(self) -> int | None:
        """The first byte that is not a blank, blanks before it dropped; ``None`` if none."""
        if self._at == 0:
            blanks = _end_of(_BLANKS, self._buffer, 0)
            if blanks:
                del self._buffer[:blanks]
        return self._buffer[0] if self._buffer else None

    def _scan(self) -> int | None:
        """Where the value at the front ends: at a comma or bracket outside of it."""
        buffer, at, depth, length = self._buffer, self._at, self._depth, len(self._buffer)
        end: int | None = None
        while at < length:
            if self._in_text:
                at = _end_of(_IN_TEXT, buffer, at)
                if at == length or buffer[at] == _BACKSLASH:  # whose other half is still to come
                    break
                self._in_text = False
                at += 1
                continue
            at = _end_of(_INSIDE if depth else _OUTSIDE, buffer, at)
            if at == length:
                break
            found = buffer[at]
            if found == _QUOTE:
                self._in_text = True
            elif found in (_OPEN_OBJECT, _OPEN_LIST):
                depth += 1
                if depth > _DEPTH_CAP:
                    raise UnreadableReplyError("the answer is nested too deeply")
            elif depth and found != _COMMA:
                depth -= 1
            else:
                end = at
                break
            at += 1
        self._at, self._depth = at, depth
        return end

    def _end_of_key(self) -> int | None:
        """Where the colon behind the text at the front is."""
        buffer = self._buffer
        end = _end_of(_IN_TEXT, buffer, 1)
        if end < len(buffer) and buffer[end] == _QUOTE:
            end = _end_of(_BLANKS, buffer, end + 1)
            if end < len(buffer):
                if buffer[end] != _COLON:
                    raise _unreadable()
                return end
        return None

    def _cut(self) -> None:
        """Take all rows before the last separator, if it is one."""
        buffer = self._buffer
        cut = buffer.rfind(self._separator)
        if cut <= max(self._no_cut_up_to, -1):
            return
        rows = self._rows_of(b"[" + buffer[: cut + 1] + b"]")
        if rows is None:
            self._no_cut_up_to = cut  # the scanner finds the rows up to there
            return
        self._rows += rows
        self._first = False
        del buffer[: cut + len(self._separator) - 1]

    def _rows_of(self, part: bytes) -> list[Any] | None:
        """The rows of a list; ``None`` if it is not a list, or must be read row by row."""
        if self._until_again:
            self._until_again -= 1
        rows: list[Any] | None = None
        if self._own and self._until_again:
            rows = self._each_with_its_own(part)
        else:
            try:
                rows = orjson.loads(part)
            except orjson.JSONDecodeError:
                return None
            if not self._until_again:
                if says_the_same(part, rows, exactly=self._own):
                    return rows
                self._until_again = _AGAIN
                if self._own:
                    rows = self._each_with_its_own(part)
        if rows is None or has_long_numbers(part) or self._repeats_keys(part, rows):
            return None
        return rows

    def _repeats_keys(self, part: bytes, rows: list[Any]) -> bool:
        """Whether an object in it has a key twice."""
        # Rows have their objects at the same keys. Counted there only, it may be too few, and if
        # that is the most that can be, it is all.
        most = most_keys(part)
        try:
            kept = sum(map(dict.__len__, rows))
            for name in self._holders:
                kept += sum([keys_in(row.get(name)) for row in rows])
        except TypeError:  # not all of them are objects
            return repeats_keys(part, rows)
        if kept == most:
            return False
        self._holders.update(name for row in rows for name, value in row.items() if keys_in(value))
        return repeats_keys(part, rows)

    def _each_with_its_own(self, part: bytes) -> list[Any] | None:
        """The rows of a list with the bytes they came in; ``None`` if it takes the scanner.

        A border is one if what stands between it and the one before is an object: that ends
        nowhere else. Borders are looked for by the first key of the rows, too, which objects
        inside of them seldom have.
        """
        begin = part[1 : part.find(b":", 1) + 1]
        texts = part[1:-1].split(self._separator[:-1] + begin)
        found = []
        for number, text in enumerate(texts, 1):
            own = (begin if number > 1 else b"") + text + (b"}" if number < len(texts) else b"")
            try:
                found.append(keeping(orjson.loads(own), own))
            except orjson.JSONDecodeError:
                return None
        return found

    def _learn(self, end: int) -> None:
        """How rows are separated here, from one that ends and the next one that begins."""
        buffer = self._buffer
        begin = _end_of(_BLANKS, buffer, end + 1)
        last = len(buffer[:end].rstrip(b" \t\r\n")) - 1
        if begin < len(buffer) and begin - last < _SEPARATOR_CAP and buffer[begin] == _OPEN_OBJECT:
            self._separator = bytes(buffer[last : begin + 1])

    def _parsed(self, start: int, end: int, *, own: bool = False) -> Any:
        try:
            return loads(self._buffer[start:end], self._charset, own=own)
        except ValueError:
            pass
        raise _unreadable()

    def _account(self, size: int) -> None:
        self._envelope_size += size
        self._check_size(0)

    def _check_size(self, more: int) -> None:
        if self._envelope_size + more > self._row_cap:
            raise ReplyTooLargeError(
                f"the answer has more than {self._row_cap:,} bytes outside its rows"
            )


def _end_of(pattern: re.Pattern[bytes], buffer: bytearray, start: int) -> int:
    found = pattern.match(buffer, start)
    assert found is not None  # every pattern here takes nothing as well
    return found.end()


def _unreadable() -> UnreadableReplyError:
    return UnreadableReplyError("the answer is not readable as JSON")
