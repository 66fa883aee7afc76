"""What looks wrong in rows that could be sent, judging by their texts and names alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

_EXAMPLES = 5
_CLASHES = 1000
_COMPARED = 2_000_000
"""How many rows are compared by content, at eight bytes of memory each."""
_LONG = 20_000

_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s.,;<>\"]{2,}")
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE]\+?\d+")
_POINT_ZERO = re.compile(r"\d{5,}\.0+")
_SERIAL = re.compile(r"[34]\d{4}(?:\.\d+)?")
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{2}|\d{4})\b.*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_FORMULA = re.compile("[=@\uff1d\uff20]\\w|[+\\-\uff0b\uff0d][A-Za-z(]")
_MISREAD = re.compile("\u00c3[\u0080-\u00bf\u0192\u201a-\u2122]|\u00e2\u20ac|\ufffd")
_UNFILLED = re.compile(r"\{\{?\s*[a-z_][a-z0-9_.]*\s*\}\}?|%\([a-z_]+\)s|<%=?.*?%>", re.IGNORECASE)

_EMAILS = re.compile(r"e-?mail", re.IGNORECASE)
_PHONES = re.compile(r"phone|mobile|whatsapp|\btel\b|\bcell\b|contact_?(?:no|num)", re.IGNORECASE)
_DATES = re.compile(r"date|deadline|(?:^|_)(?:on|at|time)$", re.IGNORECASE)
_IDS = re.compile(r"(?:^|[_.\s])(?:id|no|num|number|code|pin|zip)\b|phone|mobile", re.IGNORECASE)


@define
class Remark:
    """One kind of thing that looks wrong.

    Attributes:
        words: what it is.
        name: where, by its wire name; ``None`` for the row.
        rows: how many rows have it.
        lines: where the first of them begin.
    """

    words: str
    name: str | None
    rows: int = 0
    lines: list[int] = field(factory=list)


class Lint:
    """Counts what looks wrong in the content of rows. It keeps none of their text."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], Remark] = {}
        self._keys: dict[int, tuple[int | None, int]] = {}
        self._contents: set[int] = set()
        self._content: Mapping[str, Any] | None = None
        self.repeated_keys = 0
        self.repeated_contents = 0
        self.clashes = 0
        """How many of those with a repeated key have other content."""
        self.clash_lines: list[tuple[int | None, int | None]] = []
        """The lines of the first of them, each after the line that had its key first."""

    @property
    def remarks(self) -> list[Remark]:
        """What was found, the most frequent first."""
        return sorted(self._found.values(), key=lambda remark: -remark.rows)

    def look(self, content: Mapping[str, Any]) -> None:
        """Look at a row's content; :meth:`end_row` says where it stands."""
        self._content = content

    def end_row(
        self, line: int | None, key: str | None, *, good: bool
    ) -> list[tuple[str, str | None]]:
        """The row is complete; returns what looks wrong in it: words, and the wire name.

        Args:
            line: where it begins.
            key: its own key, if it has one.
            good: it can be sent; others are not checked further.
        """
        content, self._content = self._content, None
        found: dict[tuple[str, str | None], None] = {}
        mark = 0
        if content is not None:
            packed = json.dumps(content, sort_keys=True, default=str).encode(errors="replace")
            mark = int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "big")
        if key is not None and len(self._keys) < _COMPARED:
            first = self._keys.setdefault(hash(key), (line, mark))
            if first != (line, mark):
                self.repeated_keys += 1
                if first[1] == mark:
                    found["the same key and content as an earlier row", None] = None
                else:
                    self.clashes += 1
                    if len(self.clash_lines) < _CLASHES:
                        self.clash_lines.append((first[0], line))
        if content is None or not good:
            return []
        for name, text in _texts(content):
            for words in _remarks(name, text):
                found[words, name] = None
        if len(self._contents) < _COMPARED:
            if mark in self._contents:
                self.repeated_contents += 1
                found["the same content as an earlier row", None] = None
            self._contents.add(mark)
        for place in found:
            remark = self._found.setdefault(place, Remark(*place))
            remark.rows += 1
            if line is not None and len(remark.lines) < _EXAMPLES:
                remark.lines.append(line)
        return list(found)


def _texts(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        path = f"{before}{name}"
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, Mapping):
            yield from _texts(value, f"{path}.")
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    yield from _texts(item, f"{path}.")


def _remarks(name: str, text: str) -> Iterator[str]:
    bare = text.strip()
    if not bare:
        if text:
            yield "only blanks"
        return
    if len(text) > _LONG:
        yield f"more than {_LONG:,} characters"
    if _CONTROL.search(text):
        yield "control characters"
    if _MISREAD.search(text):
        yield "garbled characters; wrong --encoding?"
    if _UNFILLED.search(text):
        yield "an unfilled placeholder, such as {name}"
    if len(bare) > 60:
        return
    if _FORMULA.match(bare):
        yield "looks like a formula"
    if _SCIENTIFIC.fullmatch(bare) and (_IDS.search(name) or len(bare) > 6):
        yield "a number rounded by a spreadsheet, such as 9.19E+11"
    elif _IDS.search(name) and _POINT_ZERO.fullmatch(bare):
        yield "an id or phone number that became a decimal, ending in .0"
    elif _PHONES.search(name):
        yield from _phone(bare)
    if _EMAILS.search(name) and not _EMAIL.fullmatch(bare):
        yield "not an e-mail address"
    if _DATES.search(name):
        yield from _date(bare)


def _phone(text: str) -> Iterator[str]:
    digits = re.sub(r"[\s().-]", "", text)
    if not re.fullmatch(r"\+?\d+", digits):
        yield "not a phone number"
    elif digits.isdecimal() and len(digits) < 10 and not digits.startswith("0"):
        yield "a short phone number: is a leading zero or the country code missing?"


def _date(text: str) -> Iterator[str]:
    if _ISO.fullmatch(text):
        return
    if _SERIAL.fullmatch(text):
        yield "a date as a spreadsheet's serial number"
    elif slashed := _SLASHED.fullmatch(text):
        if int(slashed[1]) <= 12 and int(slashed[3]) <= 12:
            yield "an ambiguous date (day/month)"
    else:
        yield "not a date like YYYY-MM-DD"
