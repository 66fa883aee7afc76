"""What shares a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from .batch import Incoming
from .records import Settled, Sighted

Waiter = asyncio.Future[Any] | Callable[..., None] | None


class Again(NamedTuple):
    """A row of the journal that is to be taken once more."""

    row: int
    at: float
    sighted: Sighted | None = None


Take = tuple[Waiter, Any, Incoming | Again, int]
"""A row that may be known: who waits, with which token, what for; and how many new rows of the
group were put before it."""


class Group:
    """What the event loop has put since the last one; the thread gets it as a whole.

    New rows and ends, of which a push has many, need no look into the journal, and are written by
    one statement. They stand in flat lists: an object for each would have the garbage collector
    look through all that wait, again and again. Rows that may be known are ``takes``, and ends
    that somebody waits for, or that hold odd texts, are ``settles``.

    Attributes:
        at: the time of its new rows and ends.
        rows: of each new row that is to be sent: row, key, line, digest, payload (empty to keep
            it out of the journal), traits, and whom to tell.
        accepted: of each end that is one: row, attempt, ticket_id, and whom to tell.
        ended: of each other end: row, attempt, kind, phase, status, error, words, and whom to
            tell, or ``None``.
        takes: rows that may be known, with who waits for the answer.
        settles: ends, with who waits and a token.
        calls: whatever else is to be done in a transaction of its own.
    """

    ROW, ACCEPTED, ENDED = 7, 4, 8
    """Values for each. They are added at once, so that none is ever there without the others."""

    def __init__(self, at: float = 0.0) -> None:
        self.at = at
        self.rows: list[Any] = []
        self.accepted: list[Any] = []
        self.ended: list[Any] = []
        self.takes: list[Take] = []
        self.settles: list[tuple[Waiter, Any, Settled]] = []
        self.calls: list[tuple[asyncio.Future[Any], Callable[[Any], Any]]] = []

    @property
    def has_news(self) -> bool:
        """Whether there are new rows or ends without a waiter of their own."""
        return bool(self.rows or self.accepted or self.ended)

    @property
    def count(self) -> int:
        """How many new rows there are."""
        return len(self.rows) // self.ROW

    def add(self, later: Group) -> None:
        """Join what was put later."""
        before = self.count
        self.at = max(self.at, later.at)
        self.rows += later.rows
        self.accepted += later.accepted
        self.ended += later.ended
        self.takes += [(*take[:3], take[3] + before) for take in later.takes]
        self.settles += later.settles
        self.calls += later.calls
