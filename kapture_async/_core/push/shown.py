"""Tickets that one pass over all lists has shown, in a temporary file: for rows that are looked up
some at a time, each by its reference, while memory stays flat."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from .candidates import addresses_in
from .lookup import Seen
from .sightings import trouble_with

_SETUP = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000;
PRAGMA temp_store = FILE;
CREATE TABLE marked (
    reference TEXT NOT NULL, ticket_id TEXT NOT NULL, at REAL, maker TEXT NOT NULL,
    addresses TEXT NOT NULL,
    PRIMARY KEY (reference, ticket_id)
) WITHOUT ROWID;
CREATE TABLE bare (
    ticket_id TEXT, at REAL, maker TEXT NOT NULL, title TEXT, text TEXT, clues TEXT NOT NULL
);
CREATE INDEX bare_by_title ON bare (title);
CREATE INDEX bare_by_maker ON bare (maker);
CREATE TABLE found (reference TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_MARKED = "SELECT reference, ticket_id, at, maker, addresses FROM marked"
_BARE = "SELECT ticket_id, at, maker, title, text, clues FROM bare"
_MARKS = 500
"""Values in one statement: below what old SQLites allow."""


class Shown:
    """Tickets by their references; and those without any, by title and by who made them.

    Use from one thread at a time; it may be closed from another one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SETUP)
        self._found = 0

    def close(self) -> None:
        """Forget all of it. May be called again."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()

    def add(self, some: Sequence[Seen]) -> None:
        """Keep tickets. Shown again, one counts once."""
        self._many(
            "INSERT OR IGNORE INTO marked VALUES (?, ?, ?, ?, ?)",
            (
                (reference, one.ticket_id or "", one.created_at, maker_of(one), _addresses(one))
                for one in some
                for reference in one.references
            ),
        )
        self._many(
            "INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?)",
            (
                (one.ticket_id, one.created_at, maker_of(one), *_beginning(one), _clues(one))
                for one in some
                if not one.references
            ),
        )

    def of(
        self, references: Sequence[str], titles: Iterable[str], makers: Iterable[str]
    ) -> list[Seen]:
        """Tickets with one of these references; and of those that have none, the ones with one of
        these titles, or by one of these makers."""
        found = [
            Seen(
                ticket_id or None,
                frozenset({reference}),
                created_at=at,
                made_by=maker,
                clues=partial(_clues_in, addresses),
            )
            for reference, ticket_id, at, maker, addresses in self._among(
                f"{_MARKED} WHERE reference", references
            )
        ]
        bare = dict.fromkeys(
            (
                *self._among(f"{_BARE} WHERE title", titles),
                *self._among(f"{_BARE} WHERE maker", makers),
            )
        )
        for ticket_id, at, maker, title, text, clues in bare:
            begins = None if title is None else (title, text)
            read = partial(_clues_in, clues)
            found.append(
                Seen(ticket_id, beginning=begins, created_at=at, made_by=maker, clues=read)
            )
        return found

    def note_found(self, references: Iterable[str]) -> int:
        """Rows were found. Returns how many were in all, each counted once."""
        before = self._changes()
        self._many("INSERT OR IGNORE INTO found VALUES (?)", ((one,) for one in references))
        self._found += self._changes() - before
        return self._found

    def _changes(self) -> int:
        return self._connection.total_changes

    def _many(self, statement: str, values: Iterable[Any]) -> None:
        try:
            with self._lock:
                self._connection.execute("BEGIN")
                self._connection.executemany(statement, values)
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise trouble_with(error) from error

    def _among(self, question: str, values: Iterable[str]) -> Iterator[Any]:
        every = list(dict.fromkeys(values))
        for start in range(0, len(every), _MARKS):
            some = every[start : start + _MARKS]
            try:
                with self._lock:
                    marks = ",".join("?" * len(some))
                    rows = self._connection.execute(f"{question} IN ({marks})", some).fetchall()
            except sqlite3.Error as error:
                raise trouble_with(error) from error
            yield from rows


def maker_of(seen: Seen) -> str:
    """Who made a ticket, as text."""
    return repr(seen.made_by)


def _beginning(seen: Seen) -> tuple[str | None, str | None]:
    return seen.beginning or (None, None)


def _addresses(seen: Seen) -> str:
    return json.dumps([] if seen.clues is None else sorted(addresses_in(seen.clues())))


def _clues(seen: Seen) -> str:
    return json.dumps([] if seen.clues is None else sorted(seen.clues()))


def _clues_in(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))
