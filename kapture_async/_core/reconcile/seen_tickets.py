"""The tickets that lookups have shown, in a temporary database: there may be more of them than fit
into memory. SQLite keeps 8 MB of it in memory, and the rest in a file that has no name and is gone
with the process.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

from ..errors import JournalError
from ..journal.reader import Compared
from .candidates import addresses_in
from .evidence import ListedTicket

_SCHEMA = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000;
PRAGMA temp_store = FILE;
CREATE TABLE seen (
    reference TEXT NOT NULL, ticket_id TEXT NOT NULL, times INTEGER NOT NULL,
    created_at REAL, made_by TEXT, addresses TEXT,
    PRIMARY KEY (reference, ticket_id)
) WITHOUT ROWID;
CREATE TABLE bare (
    ticket_id TEXT UNIQUE, beginning BLOB, created_at REAL,
    made_by TEXT, title TEXT, text TEXT, clues TEXT
);
CREATE TABLE alike (own TEXT, ticket_id TEXT, PRIMARY KEY (own, ticket_id)) WITHOUT ROWID;
CREATE TABLE merged (ticket_id TEXT PRIMARY KEY, target TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE found (reference TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rows (
    row INTEGER PRIMARY KEY, reference TEXT NOT NULL, key TEXT, line INTEGER, kind TEXT NOT NULL,
    own TEXT, traits INTEGER NOT NULL, last_at REAL NOT NULL, first_intent_at REAL, sent_at REAL,
    result TEXT, why TEXT
);
"""
_INDEXED = (
    *("seen (ticket_id)", "rows (reference)", "rows (own)", "bare (beginning)"),
    "bare (made_by, ticket_id)",
)
_INDEXED_CONTENT = "bare (title)", "bare (made_by)"
_COLUMNS = "row, reference, key, line, kind, own, traits, last_at, first_intent_at, sent_at"
_ROWS = f"SELECT {_COLUMNS}, result, why FROM rows WHERE row > ? ORDER BY row LIMIT ?"  # noqa: S608
_MARKED = "SELECT reference, ticket_id, created_at, made_by, addresses FROM seen WHERE reference"
_BARE = "SELECT ticket_id, created_at, made_by, title, text, clues FROM bare WHERE"
_NAMED = 20
"""How many similar tickets are named."""
_VALUES = 500
"""Values in one statement: within the limit of old versions of SQLite."""


class SeenTickets:
    """The tickets that lookups returned, and the rows of the journal they belong to.

    Use from one thread at a time. It may be closed from another one: a task that waits for the
    journal's thread may be cancelled.

    Args:
        content: keep who made each ticket and what it shares with rows, too, for :meth:`of`.
    """

    def __init__(self, *, content: bool = False) -> None:
        self._content = content
        self._lock = threading.Lock()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)
        if content:
            self._index(_INDEXED_CONTENT)
        self._indexed = False
        self._found = 0

    def close(self) -> None:
        """Delete everything. May be called again."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()

    # --- what is seen ----------------------------------------------------------------------------

    def add(self, tickets: Sequence[ListedTicket]) -> None:
        """Store tickets of a list. One listed twice counts once."""
        content = self._content
        self._many(
            "INSERT INTO seen VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                (reference, one.ticket_id or "", one.created_at, *(_who(one) if content else _NO))
                for one in tickets
                for reference in one.references
            ),
        )
        self._many(
            "INSERT OR IGNORE INTO bare VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    one.ticket_id,
                    _digest(one.beginning),
                    one.created_at,
                    made_by(one),
                    *((*(one.beginning or _NO), _clues(one)) if content else (None, *_NO)),
                )
                for one in tickets
                if not one.references and (content or one.ticket_id)
            ),
        )
        self.add_merged(
            (one.ticket_id, one.merged_into) for one in tickets if one.ticket_id and one.merged_into
        )

    def add_references(self, seen: Iterable[tuple[str, str | None]]) -> None:
        """Store references, each with its ticket, once for each occurrence."""
        times = Counter((reference, ticket_id or "") for reference, ticket_id in seen)
        self._many(
            "INSERT INTO seen (reference, ticket_id, times) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET times = max(times, excluded.times)",
            ((*carried, number) for carried, number in times.items()),
        )

    def add_merged(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Store tickets that were merged, each with the ticket it was merged into."""
        self._many("INSERT OR REPLACE INTO merged VALUES (?, ?)", pairs)

    def of(
        self, references: Iterable[str], titles: Iterable[str], makers: Iterable[str]
    ) -> list[ListedTicket]:
        """Tickets with one of these references; and of those that have none, the ones with one of
        these titles, or made by one of these, as :func:`made_by` gives them."""
        found = [
            ListedTicket(
                ticket_id or None,
                frozenset({reference}),
                created_at=at,
                made_by=maker,
                clues=partial(_read_clues, addresses),
            )
            for reference, ticket_id, at, maker, addresses in self._among(_MARKED, references)
        ]
        bare = [*self._among(f"{_BARE} title", titles), *self._among(f"{_BARE} made_by", makers)]
        found.extend(
            ListedTicket(
                ticket_id,
                beginning=None if title is None else (title, text),
                created_at=at,
                made_by=maker,
                clues=partial(_read_clues, clues),
            )
            for ticket_id, at, maker, title, text, clues in dict.fromkeys(bare)
        )
        return found

    def note_found(self, references: Iterable[str]) -> int:
        """Note rows that were found. Returns the total, each counted once."""
        before = self._connection.total_changes
        self._many("INSERT OR IGNORE INTO found VALUES (?)", ((one,) for one in references))
        self._found += self._connection.total_changes - before
        return self._found

    # --- the rows of the journal -----------------------------------------------------------------

    def add_rows(self, rows: Sequence[Compared], *, every: bool = False) -> None:
        """Store the rows whose references were seen; or all of them."""
        if not every:
            found = self._tickets_of([one.reference for one in rows])
            rows = [one for one in rows if one.reference in found]
        self._many("INSERT OR REPLACE INTO rows VALUES (?,?,?,?,?,?,?,?,?,?,NULL,NULL)", rows)

    def rows(self) -> Iterator[tuple[Compared, dict[str, int], str | None, str | None]]:
        """The stored rows, in order: each with the tickets that carry its reference and how often,
        its result, and the reason."""
        after = -1
        while some := self._all(_ROWS, [after, _VALUES]):
            after = some[-1][0]
            tickets = self._tickets_of([found[1] for found in some])
            for *columns, result, why in some:
                one = Compared(*columns)
                yield one, tickets.get(one.reference, {}), result, why

    def note(self, results: Iterable[tuple[str, str | None, int]]) -> None:
        """Store results of rows: result, reason, row."""
        self._many("UPDATE rows SET result = ?, why = ? WHERE row = ?", results)

    # --- single tickets --------------------------------------------------------------------------

    def is_bare(self, ticket_id: str) -> bool:
        """Whether a ticket was seen that carries no reference."""
        return bool(self._all("SELECT 1 FROM bare WHERE ticket_id = ?", [ticket_id]))

    def find_alike(self, own: str, first: float, last: float) -> bool:
        """Find tickets that may be a row's, too: without a reference like its own, beginning
        alike, made between two moments, and no row's own. See :meth:`alike`.

        Returns:
            Whether there are any.
        """
        self._index_tickets()
        question = (
            "SELECT mine.ticket_id, other.ticket_id "
            "FROM bare AS mine JOIN bare AS other USING (beginning) "
            "WHERE mine.ticket_id = ? AND other.ticket_id != mine.ticket_id "
            "AND (other.created_at IS NULL OR other.created_at BETWEEN ? AND ?) "
            "AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.own = other.ticket_id) "
            "ORDER BY other.ticket_id LIMIT ?"
        )
        found = self._all(question, [own, first, last, _NAMED])
        if found:
            self._many("INSERT OR IGNORE INTO alike VALUES (?, ?)", found)
        return bool(found)

    def alike(self, own: str) -> list[str]:
        """What :meth:`find_alike` found."""
        return [one for (one,) in self._all("SELECT ticket_id FROM alike WHERE own = ?", [own])]

    def references_on(self, ticket_id: str) -> list[str]:
        """The references that a ticket was seen with."""
        self._index_tickets()
        question = "SELECT reference FROM seen WHERE ticket_id = ?"
        return [reference for (reference,) in self._all(question, [ticket_id])]

    def is_merger(self, ticket_id: str) -> bool:
        """Whether a ticket carries the references of several rows, and is one of these rows' own:
        agents have merged the others' into it."""
        references = self.references_on(ticket_id)
        question = "SELECT 1 FROM rows WHERE reference = ? AND own = ? LIMIT 1"
        return len(references) > 1 and any(
            self._all(question, [one, ticket_id]) for one in references
        )

    def merged_into(self, ticket_ids: Iterable[str]) -> dict[str, str]:
        """Those of some tickets that were merged, each with the ticket it was merged into."""
        question = "SELECT ticket_id, target FROM merged WHERE ticket_id = ?"
        return dict(pair for one in ticket_ids for pair in self._all(question, [one]))

    def unexplained(
        self, makers: Iterable[str], hours: Collection[int], behind: float, ahead: float
    ) -> Iterator[str]:
        """Tickets that no row explains: made by one of these, as :func:`made_by` gives them, when
        rows were sent; without a reference, and no row's own.

        Args:
            makers: who makes the tickets of the journal.
            hours: in which rows were sent, since the epoch.
            behind, ahead: seconds between the service's clock and ours, at least and at most.
        """
        self._index_tickets()
        question = (
            "SELECT ticket_id, created_at FROM bare WHERE made_by = ? AND ticket_id > ? "
            "AND created_at IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.own = bare.ticket_id) "
            "ORDER BY ticket_id LIMIT ?"
        )
        for maker in makers:
            after = ""
            while some := self._all(question, [maker, after, _VALUES]):
                after = some[-1][0]
                for ticket_id, at in some:
                    first, last = int((at - ahead) // 3600), int((at - behind) // 3600)
                    if any(hour in hours for hour in range(first, last + 1)):
                        yield ticket_id

    # --- SQL -------------------------------------------------------------------------------------

    def _tickets_of(self, references: Sequence[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        question = "SELECT reference, ticket_id, times FROM seen WHERE reference"
        for reference, ticket_id, times in self._among(question, references):
            found.setdefault(reference, {})[ticket_id] = times
        return found

    def _among(self, question: str, values: Iterable[str]) -> Iterator[Any]:
        every = list(dict.fromkeys(values))
        for start in range(0, len(every), _VALUES):
            some = every[start : start + _VALUES]
            yield from self._all(f"{question} IN ({','.join('?' * len(some))})", some)

    def _many(self, statement: str, values: Iterable[Any]) -> None:
        try:
            with self._lock:
                self._connection.execute("BEGIN")
                self._connection.executemany(statement, values)
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _temporary_file_error(error) from error

    def _all(self, question: str, values: Sequence[Any]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise _temporary_file_error(error) from error

    def _index_tickets(self) -> None:
        # After the lists were read: it is quicker than with each ticket.
        if not self._indexed:
            self._index(_INDEXED)
            self._indexed = True

    def _index(self, places: Iterable[str]) -> None:
        for place in places:
            name = place.replace(" (", "_").replace(", ", "_").rstrip(")")
            self._all(f"CREATE INDEX IF NOT EXISTS by_{name} ON {place}", [])


_NO = None, None


def made_by(ticket: ListedTicket) -> str:
    """Who created a ticket, as text."""
    return repr(ticket.made_by)


def _who(ticket: ListedTicket) -> tuple[str, str]:
    addresses = () if ticket.clues is None else addresses_in(ticket.clues())
    return made_by(ticket), json.dumps(sorted(addresses))


def _clues(ticket: ListedTicket) -> str:
    return json.dumps([] if ticket.clues is None else sorted(ticket.clues()))


def _read_clues(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


def _digest(beginning: tuple[str, str] | None) -> bytes | None:
    if beginning is None:
        return None
    return blake2b("\0".join(beginning).encode(errors="replace"), digest_size=16).digest()


def _temporary_file_error(error: sqlite3.Error) -> JournalError:
    return JournalError(
        f"cannot store what the lookup has shown in a temporary file: {error}",
        next_step="Make room in the folder for temporary files, or name another one by TMPDIR, "
        "and run the lookup again: nothing was sent.",
    )
