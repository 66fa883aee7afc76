"""What a run keeps in memory of its journal: counters, and a few bits for each row."""

from __future__ import annotations

import sqlite3
from itertools import count
from typing import Any

from .records import STATE_AFTER

TALLY = "SELECT kind, count(*), max(fact) FROM last_facts GROUP BY kind"


class Memory:
    """Numbers that go on, rows that came in this run, and attempts that are under way."""

    def __init__(self) -> None:
        self.row_numbers = count(1)
        """Each is given once, also where two threads ask."""
        self._next_fact = self._kept_fact = 1
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
        self.has_repeats = False
        """Whether there may be rows with a key that an earlier row has."""
        self.spellings_are_listed = False
        """Whether the keys of earlier runs can be found by what their spellings have in common."""
        self._seen = bytearray()
        self._marked: list[int] = []
        self._begun: list[int] = []
        self._ended: list[tuple[int, int]] = []

    def load(self, connection: sqlite3.Connection) -> None:
        """Take the counts from the journal."""
        self.tally = dict.fromkeys(STATE_AFTER, 0)
        for kind, number, _ in connection.execute(TALLY).fetchall():
            if kind not in self.tally:
                raise ValueError("an event of a kind there is not")
            self.tally[kind] = number

    def begin(self, connection: sqlite3.Connection) -> None:
        """A run begins: see what the earlier ones left."""
        self.load(connection)
        last = max((fact for *_, fact in connection.execute(TALLY)), default=0)
        (row,) = connection.execute("SELECT max(row) FROM rows").fetchone()
        self.first_row = (row or 0) + 1
        self.row_numbers = count(self.first_row)
        self._next_fact = self._kept_fact = last + 1
        question = "SELECT EXISTS (SELECT 1 FROM rows WHERE key IS {} NULL)"
        ((with_key,), (without,)) = (
            connection.execute(question.format(how)).fetchone() for how in ("NOT", "")
        )
        self.older_with_key, self.older_without_key = bool(with_key), bool(without)
        self.has_repeats = bool(
            connection.execute(
                "SELECT EXISTS (SELECT 1 FROM rows WHERE repeat_of IS NOT NULL)"
            ).fetchone()[0]
        )

    @property
    def events(self) -> int:
        """The number of the last event that is durable; first attempts of new rows have none."""
        return self._kept_fact - 1

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

    def mark(self, row: int) -> None:
        """A row of an earlier run comes now."""
        place = row >> 3
        if place >= len(self._seen):
            self._seen.extend(bytes(place + 1 - len(self._seen)))
        bit = 1 << (row & 7)
        if not self._seen[place] & bit:
            self._seen[place] |= bit
            self._marked.append(row)

    @property
    def known_came(self) -> int:
        """How many rows of earlier runs came in this one."""
        return sum(byte.bit_count() for byte in self._seen)

    def begin_all(self, rows: list[int]) -> None:
        """The first attempts of these rows are about to be made."""
        self.open.update(dict.fromkeys(rows, 1))
        self._begun += rows
        self.move(None, "intent", len(rows))

    def end_all(self, rows: list[int], attempts: list[int]) -> int | None:
        """These attempts are not under way any more. Returns a row of which that is not true."""
        going, noted = self.open, self._ended
        for one in zip(rows, attempts, strict=True):
            row, attempt = one
            if going.get(row) != attempt:
                return row
            noted.append(one)
            del going[row]
        return None

    def end(self, row: int) -> None:
        """Its attempt is not under way any more."""
        self._ended.append((row, self.open.pop(row)))

    def move(self, old: str | None, new: str, rows: int = 1) -> None:
        """Rows have another last fact: its kind, and that of the one before, if there was one."""
        tally = self.tally
        if old is not None:
            tally[old] -= rows
        tally[new] += rows

    def facts_from(self, count: int) -> int:
        """The first of so many numbers for new facts."""
        number = self._next_fact
        self._next_fact = number + count
        return number

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
        facts += (
            row,
            self.facts_from(1),
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
        intents += (row, self.facts_from(1), attempt, at)
        self.open[row] = attempt
        self._begun.append(row)

    def keep(self) -> None:
        """The transaction is durable."""
        self._kept_fact = self._next_fact
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
        self._next_fact = self._kept_fact
        self.keep()
        self.content_is_indexed = self.spellings_are_listed = False
        self.equal.clear()  # only a short cut: counting begins anew, from the bits


def writable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 has no bytes for: an odd sign in a
    service's words must not cost us the fact that they belong to."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
