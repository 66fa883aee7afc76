"""What a run keeps in memory of its journal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import inf

from .keys import SeenNames, fold
from .records import STATE_AFTER
from .storage import Storage, names_of


class RunState:
    """Counters, and a few bits for each row."""

    def __init__(self, storage: Storage) -> None:
        found = storage.summary()
        self.kinds: dict[str, int] = dict.fromkeys(STATE_AFTER, 0)
        """Kind of a last event to how many rows have it; plain text, as an enum is slow to hash."""
        for kind, number in found.kinds.items():
            self.kinds[kind] = number
        self.first_row = found.last_row + 1
        """The first that is new in this run."""
        self.older_with_key, self.older_without_key = found.with_key, found.without_key
        """Whether there are such rows of earlier runs."""
        self.has_repeats = found.has_repeats
        self.open: dict[int, int] = {}
        """Row to attempt, of what this run has under way."""
        self.equal: dict[bytes, int] = {}
        """Content to how often it came in this run, if that was more than once."""
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
        """Rows of earlier runs came."""
        for row in rows:
            place = row >> 3
            if place >= len(self._seen):
                self._seen.extend(bytes(place + 1 - len(self._seen)))
            self._seen[place] |= 1 << (row & 7)

    @property
    def known_came(self) -> int:
        """How many rows of earlier runs came in this one."""
        return sum(byte.bit_count() for byte in self._seen)


def learn_names(storage: Storage, state: RunState, *, exact_keys: bool) -> SeenNames:
    """The names of all rows there are.

    Args:
        storage: the journal.
        state: of the run.
        exact_keys: a variant spelling of a key is another key.
    """
    names = SeenNames()
    names.content_counts = state.older_without_key
    spellings = None
    if state.older_with_key and not exact_keys:
        names.spellings = spellings = SeenNames()
    for _, key, digest, *_ in names_of(storage):
        names.add(digest)
        if key is not None:
            names.add(key)
            if spellings is not None:
                spellings.add(fold(key))
    return names
