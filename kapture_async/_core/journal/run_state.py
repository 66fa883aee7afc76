"""What a run keeps in memory of its journal."""

from __future__ import annotations

from collections.abc import Iterable

from .keys import SeenNames, fold
from .records import STATE_AFTER
from .storage import Storage


class RunState:
    """Counters, and a few bits for each row."""

    def __init__(self, storage: Storage) -> None:
        found = storage.summary()
        self.kinds: dict[str, int] = dict.fromkeys(STATE_AFTER, 0)
        """Kind of a last event to how many rows have it; plain text, as an enum is slow to hash."""
        for kind, number in found.kinds.items():
            if kind not in self.kinds:
                raise ValueError("an event of a kind there is not")
            self.kinds[kind] = number
        self.next_event = found.last_event + 1
        self.first_row = found.last_row + 1
        """The first that is new in this run."""
        self.older_with_key, self.older_without_key = found.with_key, found.without_key
        """Whether there are such rows of earlier runs."""
        self.has_repeats = found.has_repeats
        self.open: dict[int, int] = {}
        """Row to attempt, of what this run has under way."""
        self.equal: dict[bytes, int] = {}
        """Content to how often it came in this run, if that was more than once."""
        self._seen = bytearray()

    @property
    def older(self) -> bool:
        """Whether there are rows of earlier runs."""
        return self.older_with_key or self.older_without_key

    def came(self, row: int) -> bool:
        """Whether the row came in this run."""
        if row >= self.first_row:
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
    for key, digest in storage.names():
        names.add(digest)
        if key is not None:
            names.add(key)
            if spellings is not None:
                spellings.add(fold(key))
    return names
