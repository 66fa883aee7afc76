"""Keys of rows: which spellings of a key are alike, and which have come before."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_UNSEEN = str.maketrans(
    {
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", None),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    }
)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,3})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]*)?")
_COMMA_ZERO = re.compile(r"([+-]?[0-9]+),0{1,2}")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_LONGEST_POWER = 60


def fold(key: str) -> str:
    """What all spellings of a key have in common, as far as programs change them unasked.

    Alike are: upper and lower case; letters with accents in one character or in two, full width or
    not; any blanks, seen or unseen, around or inside; an apostrophe in front; and a number with or
    without leading zeros, zeros behind the point, signs between thousands, or an exponent, in
    whichever digits.

    Two keys that are alike need not be the same (``1.1`` and ``1.10``): it is for the caller to
    ask what else speaks for it.
    """
    if not key.isascii():
        key = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
        key = _OTHER_DIGIT.sub(_digit, key.translate(_UNSEEN))
    key = "".join(key.split()).lower()
    key = key.lstrip("'") or key
    if not key or key[0] not in "+-0123456789":
        return key
    if key.isdecimal():
        return key.lstrip("0") or "0"
    if _GROUPED.fullmatch(key):
        key = key.replace(",", "")
    elif match := _COMMA_ZERO.fullmatch(key):
        key = match[1]
    if _NUMBER.fullmatch(key):
        number = Decimal(key)
        sign, digits, power = number.as_tuple()
        assert isinstance(power, int)
        if -_LONGEST_POWER <= power <= _LONGEST_POWER:
            text = f"{number:f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
            text = text.lstrip("+-").lstrip("0") or "0"
            text = f"0{text}" if text.startswith(".") else text
            return f"-{text}" if sign and any(digits) else text
    return key


def _digit(match: re.Match[str]) -> str:
    return str(unicodedata.decimal(match[0]))


_BITS = 24
"""Two megabytes: of a million rows, one in eighty is looked up for nothing; of those after a
million of earlier runs, one in twenty."""
_MASK = (1 << _BITS) - 1


class SeenNames:
    """A Bloom filter of keys and contents.

    Most rows of a push are new, and with this the event loop knows it without asking the disk.

    Attributes:
        content_counts: a row with a key may be one of an earlier run that had none.
        spellings: the keys of earlier runs, folded; ``None`` if other spellings are other keys.
    """

    def __init__(self) -> None:
        self.content_counts = False
        self.spellings: SeenNames | None = None
        self._bits = bytearray(1 << _BITS - 3)

    def __contains__(self, name: str | bytes) -> bool:
        """Whether it may have come. A no is never wrong."""
        number, bits = hash(name), self._bits
        one, two = number & _MASK, number >> _BITS & _MASK
        return bool(bits[one >> 3] >> (one & 7) & 1 and bits[two >> 3] >> (two & 7) & 1)

    def add(self, name: str | bytes) -> bool:
        """It comes. Returns whether it had not come before; a yes is never wrong."""
        number, bits = hash(name), self._bits
        one, two = number & _MASK, number >> _BITS & _MASK
        seen_one, seen_two = bits[one >> 3], bits[two >> 3]
        bit_one, bit_two = 1 << (one & 7), 1 << (two & 7)
        if seen_one & bit_one and seen_two & bit_two:
            return False
        bits[one >> 3] = seen_one | bit_one
        bits[two >> 3] |= bit_two
        return True

    def claim(self, key: str | None, digest: bytes) -> bool:
        """A row comes, by its key or else by its content. Returns whether it is new for sure."""
        if key is None:
            return self.add(digest)
        if not self.add(key) or (self.content_counts and digest in self):
            return False
        return self.spellings is None or fold(key) not in self.spellings
