"""Which names have come before: for sure not, or perhaps."""

from __future__ import annotations

from .spelling import fold

_BITS = 24
"""Two megabytes: of a million rows, one in eighty is looked up for nothing; of those after a
million of earlier runs, one in twenty."""
_MASK = (1 << _BITS) - 1


class Names:
    """A Bloom filter of keys and contents.

    Most rows of a push are new, and with this the event loop knows it without asking the disk.

    Attributes:
        content_counts: a row with a key may be one of an earlier run that had none.
        spellings: the keys of earlier runs, folded; ``None`` if other spellings are other keys.
    """

    def __init__(self) -> None:
        self.content_counts = False
        self.spellings: Names | None = None
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
