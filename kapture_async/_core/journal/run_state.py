"""What a run keeps in memory: the keys and contents seen, and how many rows are in which state.

Pure but for :func:`learn_names`, which reads the journal.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import inf

from .records import STATE_AFTER, later_of
from .storage import OpenOptions, Storage, names_of

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
    """The common form of all spellings of a key that programs turn into each other unasked.

    Alike are: upper and lower case; letters with accents in one character or in two, full width or
    not; any blanks, seen or unseen, around or inside; an apostrophe in front; and a number with or
    without leading zeros, zeros behind the point, signs between thousands, or an exponent, in
    whichever digits.

    Two keys that are alike need not be the same (``1.1`` and ``1.10``): the caller needs further
    evidence.
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
"""Two megabytes: of a million rows, one in eighty is looked up needlessly; after a million rows of
earlier runs, one in twenty."""
_MASK = (1 << _BITS) - 1


class SeenNames:
    """A Bloom filter of keys and contents.

    Most rows of a push are new; this tells the event loop so without a query.

    Attributes:
        content_counts: a row with a key may be an earlier run's row without one.
        spellings: the folded keys of earlier runs; ``None`` if each spelling is a key of its own.
    """

    def __init__(self) -> None:
        self.content_counts = False
        self.spellings: SeenNames | None = None
        self._bits = bytearray(1 << _BITS - 3)

    def __contains__(self, name: str | bytes) -> bool:
        """Whether it may have been seen. A no is never wrong."""
        number, bits = hash(name), self._bits
        one, two = number & _MASK, number >> _BITS & _MASK
        return bool(bits[one >> 3] >> (one & 7) & 1 and bits[two >> 3] >> (two & 7) & 1)

    def add(self, name: str | bytes) -> bool:
        """Add a name. Returns whether it was not there before; a yes is never wrong."""
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
        """Add a row, by its key or else its content. Returns whether it is certainly new."""
        if key is None:
            return self.add(digest)
        if not self.add(key) or (self.content_counts and digest in self):
            return False
        return self.spellings is None or fold(key) not in self.spellings


class RunState:
    """Counters, and a few bits for each row.

    Args:
        storage: the journal.
        options: how it was opened.
    """

    def __init__(self, storage: Storage, options: OpenOptions) -> None:
        self.again = later_of(storage.job.operation, options.again)
        self.exact_keys = options.exact_keys
        found = storage.summary()
        self.kinds: dict[str, int] = dict.fromkeys(STATE_AFTER, 0)
        """Rows by the kind of their last event; plain text, as an enum is slow to hash."""
        for kind, number in found.kinds.items():
            self.kinds[kind] = number
        self.first_row = found.last_row + 1
        """The first that is new in this run."""
        self.older_with_key, self.older_without_key = found.with_key, found.without_key
        """Whether there are such rows of earlier runs."""
        self.has_repeats = found.has_repeats
        self.open: dict[int, int] = {}
        """Row to attempt, of the attempts this run has in flight."""
        self.equal: dict[bytes, int] = {}
        """Content to how often it came in this run, if more than once."""
        self._blocks: list[tuple[int, int]] = []
        self._seen = bytearray()

    @property
    def older(self) -> bool:
        """Whether there are rows of earlier runs."""
        return self.older_with_key or self.older_without_key

    def reserve(self, storage: Storage, count: int) -> Sequence[int]:
        """Numbers for so many rows that are new in this run."""
        numbers = storage.reserve(count)
        blocks, first, last = self._blocks, numbers[0], numbers[-1]
        if last - first == count - 1 and blocks and blocks[-1][1] + 1 == first:
            blocks[-1] = blocks[-1][0], last
        elif last - first == count - 1:
            blocks.append((first, last))
        else:
            blocks += ((number, number) for number in numbers)
        return numbers

    @property
    def new_rows(self) -> int:
        """How many rows may be new in this run: those it has numbers for."""
        return sum(last - first + 1 for first, last in self._blocks)

    def is_own(self, row: int) -> bool:
        """Whether the row is new in this run."""
        blocks = self._blocks
        place = bisect_right(blocks, (row, inf)) - 1
        return place >= 0 and row <= blocks[place][1]

    def came(self, row: int) -> bool:
        """Whether the row came in this run."""
        if row >= self.first_row and self.is_own(row):
            return True
        place = row >> 3
        return place < len(self._seen) and bool(self._seen[place] & (1 << (row & 7)))

    def mark(self, rows: Iterable[int]) -> None:
        """Mark rows of earlier runs as having come in this one."""
        for row in rows:
            place = row >> 3
            if place >= len(self._seen):
                self._seen.extend(bytes(place + 1 - len(self._seen)))
            self._seen[place] |= 1 << (row & 7)

    @property
    def known_came(self) -> int:
        """How many rows of earlier runs came in this one."""
        return sum(byte.bit_count() for byte in self._seen)


def learn_names(storage: Storage, state: RunState) -> SeenNames:
    """The names of all rows there are.

    Args:
        storage: the journal.
        state: of the run.
    """
    names = SeenNames()
    names.content_counts = state.older_without_key
    spellings = None
    if state.older_with_key and not state.exact_keys:
        names.spellings = spellings = SeenNames()
    for _, key, digest, *_ in names_of(storage):
        names.add(digest)
        if key is not None:
            names.add(key)
            if spellings is not None:
                spellings.add(fold(key))
    return names
