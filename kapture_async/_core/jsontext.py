"""JSON as services really write it: read exactly, and never discarded for one odd text.

The fast parser comes first, and nearly always ends it. Three things it cannot do: it makes a
``float`` of an integer beyond 64 bits, it keeps the last of a key that is given twice, and it
refuses what a strict reader must refuse. A text that comes out the same when it is written again
holds neither of the first two; in any other, numbers and keys are counted. What is found there, or
refused, is read once more, tolerantly: half a surrogate pair, ``NaN``, a raw control character, an
unknown escape, bytes that are no UTF-8. What had to be changed for that is named in
:attr:`OddObject.oddities`; the rest is as it came.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from .lazy import lazy_pattern

_LONG_RUN: Final = 20
"""Digits, points and minus signs from which on a number may not be what the fast parser says: it
keeps integers from -2**63 to 2**64 - 1."""
_DIGITS = bytes.maketrans(b"123456789.-", b"0" * 11)
_RUN = b"0" * _LONG_RUN
_STRIDE = 4
_SAMPLED_RUN = b"0" * (_LONG_RUN // _STRIDE)
_LONG_NUMBER = lazy_pattern(rb"[:,\[\s](?:-[0-9]{%d}|-?[0-9.]{%d})" % (_LONG_RUN - 1, _LONG_RUN))
_SKIPPED = b" \t\r\n\\"
_TEXT_IN_BYTES = lazy_pattern(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LONGEST_INT = 4000  # digits; Python refuses to write more than 4,300

_TEXT = lazy_pattern(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ODD_IN_TEXT = lazy_pattern(r'[\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}|(.))', re.DOTALL)
_CONTROL, _ESCAPE = "\ufdd0", "\ufdd1"  # no characters: marks for what follows
_MARKED = lazy_pattern("[\ufdd0\ufdd1\ud800-\udfff]")
_BAD_BYTE = lazy_pattern("[\udc80-\udcff]")

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_GUARD = lazy_pattern(
    rb"(?:\s|\xc2\xa0|\xef\xbb\xbf)*+"
    rb"(?:(?:\)\]\}'?,?|while ?\(1\);|for ?\(;;\);)[ \t\r]*+\n?)?\s*+"
)
_GUARD_BEGINS = (b")", b"\xef", b"\xc2", b"w", b"f")
_AROUND = "\0\x1a\xa0\ufeff \t\r\n"  # may stand around the JSON of an answer, and mean nothing
PREFIX_CAP: Final = 64  # bytes that may stand before the JSON of an answer

_OF_JSON = '{"a0": [-1.5e+9, "\\\\/"]}'
_NO_CHARSETS = frozenset({"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape"})
_NAMES = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
_NAMES["shift_jis"] = "cp932"
"""As browsers read them: with the characters that their makers added."""


class OddObject(dict[str, Any]):
    """An object that did not come as strict JSON, or that JSON readers disagree about; or one
    that keeps its own bytes.

    Attributes:
        oddities: what is odd in it and below it, as ``"detail: half a surrogate pair"``.
        repeated: of the keys that were given more than once, every value.
        own: the bytes that it was read from, where those are a JSON text by themselves.
    """

    __slots__ = ("oddities", "own", "repeated")

    def __init__(self, members: Any = (), oddities: tuple[str, ...] = ()) -> None:
        super().__init__(members)
        self.oddities = oddities
        self.repeated: dict[str, list[Any]] = {}
        self.own: bytes | None = None

    def __reduce__(self) -> Any:
        return _odd, (dict(self), self.oddities, self.repeated, self.own)


def oddities_of(value: Any) -> tuple[str, ...]:
    """What is odd in a decoded object; nothing for any other."""
    return value.oddities if value.__class__ is OddObject else ()


def loads(
    data: bytes | bytearray,
    charset: str = "",
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    own: bool = False,
) -> Any:
    """One JSON value, tolerantly.

    Args:
        data: the whole text, in UTF-8 or in a charset that its mark or ``charset`` names.
        charset: what the answer's header declares; used only if the bytes are not UTF-8.
        headers: of the answer, where its charset is not yet known.
        own: an object keeps the bytes that it was read from; see :attr:`OddObject.own`.

    Raises:
        ValueError: it is not JSON, however tolerantly read.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _tolerant(bytes(data), charset or _charset_of(headers), own)
    if not says_the_same(data, value) and (has_long_numbers(data) or repeats_keys(data, value)):
        return _tolerant(bytes(data), charset or _charset_of(headers), own)
    return keeping(value, bytes(data).strip()) if own else value


def keeping(value: Any, text: bytes) -> Any:
    """A decoded value; if it is an object, with the bytes that it was read from."""
    if not isinstance(value, dict):
        return value
    made = value if isinstance(value, OddObject) else OddObject(value)
    made.own = text
    return made


def keeping_inside(value: Any, text: bytes) -> Any:
    """The same, and so do the objects that are its values."""
    made = keeping(value, text)
    try:
        for key, own in _members(text.decode()):
            if isinstance(made.get(key), dict):
                made[key] = keeping(made[key], own.encode())
    except ValueError:
        pass  # it is odd, and is written as it was read
    return made


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The keys of an object, each with the text of its value."""
    value_at = json.JSONDecoder().raw_decode
    at = 0
    while text[at] != "}":
        at = _end_of_blanks(text, at + 1)
        if text[at] == "}":
            return
        key, at = value_at(text, at)
        start = _end_of_blanks(text, _end_of_blanks(text, at) + 1)
        _, at = value_at(text, start)
        yield key, text[start:at]
        at = _end_of_blanks(text, at)


def _end_of_blanks(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def says_the_same(data: bytes | bytearray, value: Any, *, exactly: bool = False) -> bool:
    """Whether a decoded value, written again, is its text, but for blanks and backslashes.

    Then no number was rounded and no key was dropped. It is the cheapest proof, and most services
    write as we do; where it fails, nothing is known.

    Args:
        data: the text.
        value: what was made of it.
        exactly: these must be the same, too.
    """
    try:
        written = orjson.dumps(value)
    except TypeError:  # nested more deeply than can be written
        return False
    if exactly or len(written) >= len(data):
        return written == data
    # A member that was dropped leaves quotes over. They could be made up for only by quotes that
    # came as \u0022, which leave a "u" over, and nothing makes up for that.
    return data.translate(None, _SKIPPED) == written.translate(None, _SKIPPED)


def has_long_numbers(data: bytes | bytearray) -> bool:
    """Whether numbers may be in it that the fast parser would round."""
    # Such a run meets 5 of every fourth byte, so most texts need one look at a quarter of them.
    sample = data[::_STRIDE].translate(_DIGITS)
    at = sample.find(_SAMPLED_RUN)
    looks = len(data) // 1024 + 8
    while at >= 0:
        around = data[max(0, at * _STRIDE - 6) : at * _STRIDE + _LONG_RUN + 6]
        if not looks or _LONG_NUMBER.search(b" " + around):
            return _RUN in data.translate(_DIGITS) and bool(_LONG_NUMBER.search(b" " + data))
        looks -= 1
        at = sample.find(_SAMPLED_RUN, at + 1)
    return False


_HOLDERS: Final[frozenset[Any]] = frozenset({dict, list})


def repeats_keys(data: bytes | bytearray, value: Any) -> bool:
    """Whether an object in it has a key twice: there are more keys than were kept."""
    keys = keys_in(value)
    return most_keys(data) != keys and _TEXT_IN_BYTES.sub(b"", data).count(b":") != keys


def most_keys(data: bytes | bytearray) -> int:
    """No fewer keys than are in a JSON text, and seldom more: some texts look like a key's end."""
    # Before the colon of a key stands its closing quote, or a blank.
    most = data.count(b'":') + data.count(b" :")
    for blank in (b"\t", b"\n", b"\r"):
        if blank in data:
            most += data.count(blank + b":")
    return most


def keys_in(value: Any) -> int:
    """The keys of all objects in a decoded value."""
    count = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        parts: Iterable[Any] = one
        if isinstance(one, dict):
            count, parts = count + len(one), one.values()
        elif not isinstance(one, list):
            continue
        waiting += [part for part in parts if part.__class__ in _HOLDERS]
    return count


def dumps(value: Any, *, sort_keys: bool = False) -> bytes:
    """A decoded value as JSON, also where it holds integers beyond 64 bits."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None, default=dict)
    except TypeError:
        pass
    text = json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys, default=dict
    )
    return text.encode("utf-8", "replace")


def line_of(value: Any) -> bytes:
    """A decoded object as a line of JSON Lines: the bytes it came in, where it keeps them.

    Only its line breaks are folded: each, with the blanks around it, becomes one space.
    """
    return own_text(value) + b"\n"


def own_text(value: Any) -> bytes:
    """A decoded object as JSON in one line: see :func:`line_of`."""
    if value.__class__ is not OddObject or value.own is None:
        return dumps(value)
    own: bytes = value.own
    if b"\n" in own or b"\r" in own:  # none of them is in a text: JSON has no raw ones there
        return b" ".join(filter(None, map(bytes.strip, own.splitlines())))
    return own


def encoding_before(data: bytes, charset: str = "") -> tuple[str, int]:
    """How an answer that begins like this is encoded, if not as UTF-8 or a superset of ASCII.

    Args:
        data: its beginning, 4 bytes of it or more if there are any.
        charset: what its header declares.

    Returns:
        The name of the encoding, empty for any that ASCII is a part of, and the bytes of its
        mark.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return ("" if name == "utf-8" else name), len(mark)
    head = data[:4]
    if len(head) == 4 and b"\0" in head:
        wide = charset.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
        zeros = bytes(byte == 0 for byte in head)
        for pattern, name in _ZEROS.items():
            if zeros == pattern and (wide or head.strip(b"\0")[:1] in b"{["):
                return name, 0
    return "", 0


_ZEROS = {
    b"\0\1\0\1": "utf-16-le",
    b"\1\0\1\0": "utf-16-be",
    b"\0\1\1\1": "utf-32-le",
    b"\1\1\1\0": "utf-32-be",
}


def guard_in(data: bytes | bytearray) -> int:
    """The bytes before the JSON of an answer: marks, blanks, and ``)]}',`` as some put there."""
    if not data.startswith(_GUARD_BEGINS) and not data[:1].isspace():
        return 0
    found = _GUARD.match(bytes(data[: PREFIX_CAP + 1]))
    return found.end() if found is not None else 0


def declared_encoding(charset: str) -> str | None:
    """The encoding that a declared charset means where the bytes are not UTF-8.

    Returns:
        Its name; ``None`` for UTF-8 itself, for an unknown one, and for one that does not write
        JSON's own characters as ASCII does.
    """
    try:
        info = codecs.lookup(charset)
        name = _NAMES.get(info.name, info.name)
        if name.startswith(("utf-8", "iso2022", "hz")) or name in _NO_CHARSETS:
            return None
        return name if _OF_JSON.encode(name) == _OF_JSON.encode() else None
    except (LookupError, ValueError, TypeError):
        return None


class Reader:
    """Decodes an answer that declares an old charset, piece by piece: UTF-8 first.

    The first piece with characters beyond ASCII decides. What cannot be read in the end becomes
    invalid UTF-8 again, so that the row that holds them is told.

    Args:
        encoding: what :func:`declared_encoding` gave.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held = b""

    def decode(self, data: bytes) -> str:
        """The characters that are whole now."""
        if self._decoder is None:
            data, self._held = self._held + data, b""
            if data.isascii():
                return data.decode()
            try:
                text = codecs.getincrementaldecoder("utf-8")().decode(data)
            except UnicodeDecodeError:
                self._decoder = codecs.getincrementaldecoder(self._encoding)("surrogateescape")
            else:
                if text.isascii():  # half a character is at its end
                    self._held = data[len(text) :]
                    return text
                self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        return self._decoder.decode(data)


def _charset_of(headers: Mapping[str, str]) -> str:
    return charset_in(headers.get("Content-Type", ""))


def charset_in(content_type: str) -> str:
    """The charset that a content type declares; empty if none."""
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()
    return ""


# --- the tolerant way --------------------------------------------------------------------------


def _tolerant(data: bytes, charset: str, own: bool) -> Any:
    encoding, mark = encoding_before(data, charset)
    data = data[mark:]
    bad_bytes = False
    if encoding:
        plain = data.decode(encoding, "replace").encode("utf-8", "replace")
        plain = plain[guard_in(plain) :]
        text = plain.decode()
    else:
        data = plain = data[guard_in(data) :]
        try:
            text = data.decode()
        except UnicodeDecodeError:
            name = declared_encoding(charset) if charset else None
            text = data.decode(name or "utf-8", "surrogateescape")
            bad_bytes = _BAD_BYTE.search(text) is not None
    text = text.strip(_AROUND)
    try:
        # Whole and strict in another encoding, say; or with long numbers, or keys given twice.
        value = orjson.loads(text)
        if not (has_long_numbers(plain) or repeats_keys(plain, value)):
            return keeping(value, text.encode().strip()) if own else value
    except ValueError:
        pass
    try:
        value, strict = _read(text)
        value, _ = _cleaned(value, bad_bytes)
    except (ValueError, RecursionError) as error:
        raise ValueError("no JSON") from error
    if strict and not bad_bytes and (own or value.__class__ is OddObject):
        return keeping(value, text.encode("utf-8", "replace").strip())
    return value


def _read(text: str) -> tuple[Any, bool]:
    """The value, odd things in it marked, and whether it is JSON by the letter."""
    strict = [True]

    def constant(name: str) -> Any:
        strict[0] = False
        return _Odd(None, f"{name}, which is no JSON")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        return made if len(made) == len(pairs) else _Repeating(pairs)

    def a_text(found: re.Match[str]) -> str:
        inner = found[0]
        if _ODD_IN_TEXT.search(inner) is None:
            return inner
        return _ODD_IN_TEXT.sub(an_odd, inner)

    def an_odd(found: re.Match[str]) -> str:
        one = found[0]
        if one[0] != "\\":
            strict[0] = False
            return f"{_CONTROL}\\u{ord(one):04x}"
        if found[1] is None:
            return one
        strict[0] = False
        return f"{_ESCAPE}{_escaped(found[1])}"

    marked = _TEXT.sub(a_text, text)
    value = json.loads(
        marked,
        parse_constant=constant,
        parse_int=_whole,
        parse_float=_fraction,
        object_pairs_hook=members,
    )
    return value, strict[0]


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if letter < " " else letter


class _Odd:
    """A value that had to be changed, and how."""

    def __init__(self, value: Any, what: str) -> None:
        self.value = value
        self.what = what


class _Repeating(dict[str, Any]):
    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.every: dict[str, list[Any]] = {}
        for name, value in pairs:
            self.every.setdefault(name, []).append(value)


def _whole(text: str) -> Any:
    if len(text) > _LONGEST_INT:
        return _Odd(None, "a number of too many digits")
    return int(text)


def _fraction(text: str) -> Any:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return _Odd(None, "a number that is too large")
    if sum(map(str.isdigit, text.lower().partition("e")[0].strip("-0."))) > 17:
        return _Odd(value, "a number of more digits than are kept")
    return value


def _cleaned(value: Any, bad_bytes: bool) -> tuple[Any, list[str]]:
    """A value without marks, and what they marked: each with the path that leads there."""
    kind = value.__class__
    if kind is str:
        if _MARKED.search(value) is None:
            return value, []
        return _clean_text(value, bad_bytes)
    if kind is _Odd:
        return value.value, [value.what]
    if kind is list:
        found: list[str] = []
        items = []
        for place, item in enumerate(value):
            clean, odd = _cleaned(item, bad_bytes)
            items.append(clean)
            found += [_below(f"[{place}]", one) for one in odd]
        return items, found
    if not isinstance(value, dict):
        return value, []
    made: dict[str, Any] = {}
    found = []
    for name, inner in value.items():
        key, odd_name = _cleaned(name, bad_bytes)
        made[key], odd = _cleaned(inner, bad_bytes)
        found += [_below(key, one) for one in (*odd_name, *odd)]
    repeated = {}
    if isinstance(value, _Repeating):
        for name, values in value.every.items():
            if len(values) > 1:
                key = _cleaned(name, bad_bytes)[0]
                repeated[key] = [_cleaned(one, bad_bytes)[0] for one in values]
                found.append(f"{key}: given {len(values)} times, the last one is shown")
    if not found:
        return made, []
    odd_object = OddObject(made, tuple(found))
    odd_object.repeated = repeated
    return odd_object, found


def _below(name: str, what: str) -> str:
    """What is odd, with one more step of its path."""
    short = name if len(name) <= 40 else name[:39] + "…"
    path, colon, rest = what.partition(": ")
    if colon:
        return f"{short}{'' if path.startswith('[') else '.'}{path}: {rest}"
    return f"{short}: {what}"


def _clean_text(text: str, bad_bytes: bool) -> tuple[str, list[str]]:
    found: dict[str, None] = {}

    def clean(match: re.Match[str]) -> str:
        one = match[0]
        if one == _CONTROL:
            found["a raw control character"] = None
            return ""
        if one == _ESCAPE:
            found["an unknown escape"] = None
            return ""
        if bad_bytes and "\udc80" <= one <= "\udcff":
            found["a byte that is no UTF-8"] = None
        else:
            found["half a surrogate pair"] = None
        return "\ufffd"

    return _MARKED.sub(clean, text), list(found)


def _odd(
    members: dict[str, Any],
    oddities: tuple[str, ...],
    repeated: dict[str, list[Any]],
    own: bytes | None,
) -> OddObject:
    made = OddObject(members, oddities)
    made.repeated, made.own = repeated, own
    return made
