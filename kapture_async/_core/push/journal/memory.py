"""What a run keeps in memory of its journal: counters, and a few bits for each row."""

from __future__ import annotations

import sqlite3
from typing import Any

from .facts import STATE_AFTER

TALLY = "SELECT kind, count(*), max(fact) FROM last_facts GROUP BY kind"

_FILTER_BITS = 23
"""A megabyte: of a million rows, one in twenty is looked up for nothing."""
_FILTER_MASK = (1 << _FILTER_BITS) - 1


class Memory:
    """Numbers that go on, rows that came in this run, and attempts that are under way."""

    def __init__(self) -> None:
        self.next_row = self.next_fact = 1
        self.first_row = 1
        """The first that is new in this run."""
        self.older_with_key = self.older_without_key = False
        """Whether there are such rows of earlier runs."""
        self.tally: dict[str, int] = dict.fromkeys(STATE_AFTER, 0)
        """Kind of a last fact to how many rows have it; plain text, as an enum is slow to hash."""
        self.open: dict[int, int] = {}
        """Row to attempt, of what this run has under way."""
        self.equal: dict[bytes, int] = {}
        """Content to how often it came in this run, if that was more than once."""
        self.content_is_indexed = False
        """Whether the index for looking contents up is known to be there."""
        self._filter = bytearray(1 << _FILTER_BITS - 3)
        self._seen = bytearray()
        self._marked: list[int] = []
        self._begun: list[int] = []
        self._ended: list[tuple[int, int]] = []

    def load(self, connection: sqlite3.Connection) -> None:
        """Take counters and numbers from the journal."""
        self.tally = dict.fromkeys(STATE_AFTER, 0)
        last = 0
        for kind, count, fact in connection.execute(TALLY).fetchall():
            self.tally[kind] = count
            last = max(last, fact)
        self.next_fact = last + 1
        (row,) = connection.execute("SELECT max(row) FROM rows").fetchone()
        self.next_row = (row or 0) + 1

    def begin(self, connection: sqlite3.Connection) -> None:
        """A run begins: see what the earlier ones left."""
        self.load(connection)
        self.first_row = self.next_row
        question = "SELECT EXISTS (SELECT 1 FROM rows WHERE key IS {} NULL)"
        ((with_key,), (without,)) = (
            connection.execute(question.format(how)).fetchone() for how in ("NOT", "")
        )
        self.older_with_key, self.older_without_key = bool(with_key), bool(without)

    @property
    def older(self) -> bool:
        """Whether there are rows of earlier runs."""
        return self.older_with_key or self.older_without_key

    def came(self, row: int) -> bool:
        """Whether the row came in this run."""
        place = row >> 3
        return place < len(self._seen) and bool(self._seen[place] & (1 << (row & 7)))

    def mark(self, row: int) -> None:
        """It comes now."""
        place = row >> 3
        if place >= len(self._seen):
            self._seen.extend(bytes(place + 1 - len(self._seen)))
        bit = 1 << (row & 7)
        if not self._seen[place] & bit:
            self._seen[place] |= bit
            self._marked.append(row)

    def may_know(self, name: str | bytes) -> bool:
        """Whether a key, or the digest of a content without one, may have come before.

        If not, no look into the journal is needed: it would be half of what an intent costs. A
        Bloom filter, so a yes may be wrong, and a no never is; of earlier runs it knows nothing,
        so where there were any the answer is yes.
        """
        if self.older_with_key or self.older_without_key:
            return True
        number, bits = hash(name), self._filter
        one, two = number & _FILTER_MASK, number >> _FILTER_BITS & _FILTER_MASK
        return bool(bits[one >> 3] >> (one & 7) & 1 and bits[two >> 3] >> (two & 7) & 1)

    def learn(self, name: str | bytes) -> None:
        """A row of this name is new in the journal."""
        number, bits = hash(name), self._filter
        one, two = number & _FILTER_MASK, number >> _FILTER_BITS & _FILTER_MASK
        bits[one >> 3] |= 1 << (one & 7)
        bits[two >> 3] |= 1 << (two & 7)

    def end(self, row: int) -> None:
        """Its attempt is not under way any more."""
        self._ended.append((row, self.open.pop(row)))

    def move(self, old: str | None, new: str, count: int = 1) -> None:
        """Rows have another last fact: its kind, and that of the one before, if there was one."""
        tally = self.tally
        if old is not None:
            tally[old] -= count
        tally[new] += count

    def fact(
        self,
        facts: list[Any],
        row: int,
        kind: str,
        attempt: int,
        at: float,
        phase: int | None = None,
        status: int | None = None,
        ticket_id: str | None = None,
        error: str | None = None,
        words: str | None = None,
        evidence: str | None = None,
    ) -> None:
        """Add the columns of a new fact to a flat list of such."""
        number = self.next_fact
        self.next_fact = number + 1
        facts += (
            row,
            number,
            kind,
            attempt,
            at,
            phase if phase is None else int(phase),  # SQLite is slow with enums
            status,
            ticket_id and writable(ticket_id),
            error,
            words and writable(words),
            evidence and writable(evidence),
        )

    def intent(self, intents: list[Any], row: int, attempt: int, at: float) -> None:
        """An attempt is about to be made: the columns of its fact, as above."""
        number = self.next_fact
        self.next_fact = number + 1
        intents += (row, number, attempt, at)
        self.open[row] = attempt
        self._begun.append(row)

    def keep(self) -> None:
        """The transaction is durable."""
        self._marked.clear()
        self._begun.clear()
        self._ended.clear()

    def undo(self) -> None:
        """The transaction never was. Counters come back with :meth:`load`."""
        self.open.update(self._ended)
        for row in self._begun:
            self.open.pop(row, None)
        for row in self._marked:
            self._seen[row >> 3] &= ~(1 << (row & 7))
        self.keep()
        self.content_is_indexed = False
        self.equal.clear()  # only a short cut: counting begins anew, from the bits


def writable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 has no bytes for: an odd sign in a
    service's words must not cost us the fact that they belong to."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
