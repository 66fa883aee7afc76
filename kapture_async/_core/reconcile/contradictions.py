"""What lookups have shown, beside the rows of a journal: in a temporary file, not in memory.

A reference cannot be turned back into its row: it is a hash. So what was seen is kept, and the
rows of the journal pass it once, each with its reference. SQLite keeps 8 MB of that in memory, and
the rest in a temporary file that has no name and is gone with the process.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

from ..errors import JournalError
from ..journal.reader import Compared
from ..journal.records import DOUBTS, Contradiction, Contradicts, State
from ..journal.session import Session
from ..journal.writer import Journal
from .candidates import addresses_in
from .evidence import ListedTicket, ListEnd, ListTickets
from .lookup import AskAboutRows, AskedRow, AskRows, RowAnswer

_TABLES = """
CREATE TABLE seen (
    reference TEXT NOT NULL, ticket_id TEXT NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (reference, ticket_id)
) WITHOUT ROWID;
CREATE TABLE bare (
    ticket_id TEXT PRIMARY KEY, beginning BLOB, created_at REAL
) WITHOUT ROWID;
CREATE TABLE alike (own TEXT, ticket_id TEXT, PRIMARY KEY (own, ticket_id)) WITHOUT ROWID;
CREATE TABLE merged (ticket_id TEXT PRIMARY KEY, target TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (
    row INTEGER PRIMARY KEY, reference TEXT NOT NULL, key TEXT, line INTEGER, kind TEXT NOT NULL,
    own TEXT, traits INTEGER NOT NULL, last_at REAL NOT NULL, first_intent_at REAL, sent_at REAL,
    result TEXT, why TEXT
);
"""
_COLUMNS = "row, reference, key, line, kind, own, traits, last_at, first_intent_at, sent_at"
_ROWS = f"SELECT {_COLUMNS}, result, why FROM rows WHERE row > ? ORDER BY row LIMIT ?"  # noqa: S608
_CACHE = 8000
"""KiB of it in memory."""
_NAMED = 20
"""Tickets like one that are named."""
_PLAIN = str.maketrans({" ": "_", "(": None, ")": None})
_MARKS = 500
"""Values in one statement: below what old SQLites allow."""

Sighting = tuple[str, str, int]
"""A reference, the ticket that carries it (``""`` if its id cannot be read), and how often."""


class SeenTickets:
    """References seen, by ticket, and the rows of the journal that they belong to.

    Use from one thread at a time. It may be closed from another one: who waits for what a journal's
    thread does may be cancelled.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE}; "
            f"PRAGMA temp_store = FILE; {_TABLES}"
        )
        self._indexed = False

    def close(self) -> None:
        """Forget all of it. May be called again."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()

    def add(self, seen: Iterable[Sighting]) -> None:
        """References, each on a ticket. Seen again there, it counts once."""
        self._many(
            "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
            "times = max(times, excluded.times)",
            seen,
        )

    def add_bare(self, tickets: Iterable[tuple[str, bytes | None, float | None]]) -> None:
        """Tickets that carry no reference: each with a digest of how it begins, where that may
        tell something, and the minute it was made in."""
        self._many("INSERT OR IGNORE INTO bare VALUES (?, ?, ?)", tickets)

    def add_merged(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Tickets that were merged into another, and that."""
        self._many("INSERT OR REPLACE INTO merged VALUES (?, ?)", pairs)

    def keep(self, rows: Sequence[Compared], *, every: bool = False) -> None:
        """Keep those rows whose references were seen; or all of them."""
        if not every:
            found = self._tickets_of([one.reference for one in rows])
            rows = [one for one in rows if one.reference in found]
        self._many("INSERT OR REPLACE INTO rows VALUES (?,?,?,?,?,?,?,?,?,?,NULL,NULL)", rows)

    def rows(self) -> Iterator[tuple[Compared, dict[str, int], str | None, str | None]]:
        """The rows that are kept, in order: each with the tickets that carry its reference and
        how often, its result, and why."""
        after = -1
        while True:
            some = self._all(_ROWS, [after, _MARKS])
            if not some:
                return
            after = some[-1][0]
            tickets = self._tickets_of([found[1] for found in some])
            for *columns, result, why in some:
                one = Compared(*columns)
                yield one, tickets.get(one.reference, {}), result, why

    def note(self, results: Iterable[tuple[str, str | None, int]]) -> None:
        """Results of rows: result, why, row."""
        self._many("UPDATE rows SET result = ?, why = ? WHERE row = ?", results)

    def is_bare(self, ticket_id: str) -> bool:
        """Whether a ticket was seen that carries no reference."""
        return bool(self._all("SELECT 1 FROM bare WHERE ticket_id = ?", [ticket_id]))

    def find_alike(self, own: str, first: float, last: float) -> bool:
        """Find tickets that may be a row's, too: without a reference like its own, beginning
        alike, made between two moments, and no row's own. See :meth:`alike`.

        Returns:
            Whether there are any.
        """
        self._index()
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
        """What :meth:`find_alike` has found."""
        return [one for (one,) in self._all("SELECT ticket_id FROM alike WHERE own = ?", [own])]

    def carries(self, ticket_id: str) -> list[str]:
        """The references that a ticket was seen with."""
        self._index()
        question = "SELECT reference FROM seen WHERE ticket_id = ?"
        return [reference for (reference,) in self._all(question, [ticket_id])]

    def is_merger(self, ticket_id: str) -> bool:
        """Whether a ticket carries the references of several rows, and is one of these rows' own:
        agents have merged the others' into it."""
        references = self.carries(ticket_id)
        if len(references) < 2:
            return False
        return any(
            self._all(
                "SELECT 1 FROM rows WHERE reference = ? AND own = ? LIMIT 1", [one, ticket_id]
            )
            for one in references
        )

    def merged_into(self, ticket_ids: Iterable[str]) -> dict[str, str]:
        """Of some tickets those that were merged into another, and that."""
        found: dict[str, str] = {}
        for one in ticket_ids:
            question = "SELECT target FROM merged WHERE ticket_id = ?"
            found.update((one, target) for (target,) in self._all(question, [one]))
        return found

    def _tickets_of(self, references: Sequence[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for start in range(0, len(references), _MARKS):
            some = references[start : start + _MARKS]
            marks = ",".join("?" * len(some))
            question = f"SELECT reference, ticket_id, times FROM seen WHERE reference IN ({marks})"  # noqa: S608
            for reference, ticket_id, times in self._all(question, some):
                found.setdefault(reference, {})[ticket_id] = times
        return found

    def _many(self, statement: str, values: Iterable[Any]) -> None:
        try:
            with self._lock:
                self._connection.execute("BEGIN")
                self._connection.executemany(statement, values)
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise temporary_file_error(error) from error

    def _all(self, question: str, values: Sequence[Any]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise temporary_file_error(error) from error

    def _index(self) -> None:
        if not self._indexed:
            for place in ("seen (ticket_id)", "rows (reference)", "rows (own)", "bare (beginning)"):
                name = place.translate(_PLAIN)
                self._all(f"CREATE INDEX IF NOT EXISTS by_{name} ON {place}", [])
            self._indexed = True


def named(tickets: Iterable[str]) -> tuple[str, ...]:
    """The ids that could be read, sorted."""
    return tuple(sorted(ticket for ticket in tickets if ticket))


def contradictions_of(
    one: Compared, tickets: dict[str, int], sightings: SeenTickets
) -> list[Contradicts]:
    """How what was seen contradicts what the journal says of a row. Nothing can contradict a
    doubt.

    Tickets that agents merged are no contradiction, as long as one of them is the row's own.
    """
    state = one.state
    if not tickets or state in DOUBTS:
        return []
    tickets = unmerged(one, tickets, sightings)
    found = []
    if state is State.REJECTED:
        found.append(Contradicts.REJECTED_PRESENT)
    elif state is State.NOT_SENT:
        found.append(Contradicts.NOT_SENT_PRESENT)
    if sum(tickets.values()) > 1:
        found.append(Contradicts.TWICE)
    elsewhere = one.own and one.own not in tickets and "" not in tickets
    if (
        state is State.ACCEPTED
        and elsewhere
        and not any(sightings.is_merger(ticket) for ticket in tickets)
    ):
        found.append(Contradicts.OTHER_TICKET)
    return found


def unmerged(one: Compared, tickets: dict[str, int], sightings: SeenTickets) -> dict[str, int]:
    """The tickets of a row; of those that agents merged only one, its own if that is among
    them."""
    if len(tickets) == 1 and one.own in (None, *tickets):
        return tickets
    left, own = dict(tickets), one.own
    for source, target in sightings.merged_into({*tickets, *([own] if own else [])}).items():
        if target == own:
            left.pop(source, None)
        elif target in left and (source in left or source == own):
            times = left.pop(target)
            left.setdefault(source, times)
    if own in left:
        others = [ticket for ticket in left if ticket != own]
        for ticket in others:
            if sightings.is_merger(ticket):
                del left[ticket]
    return left


def sightings_in(
    references: Iterable[tuple[str, str | None]],
) -> Iterator[Sighting]:
    """References with their tickets, counted."""
    times: Counter[tuple[str, str]] = Counter(
        (reference, ticket_id or "") for reference, ticket_id in references
    )
    return ((reference, ticket, number) for (reference, ticket), number in times.items())


def temporary_file_error(error: sqlite3.Error) -> JournalError:
    """What went wrong with a temporary file."""
    return JournalError(
        f"what was seen cannot be kept in a temporary file: {error}",
        next_step="Make room in the folder for temporary files, or name another by TMPDIR, and "
        "look again: nothing was sent.",
    )


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


class ListedTickets:
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

    def add(self, some: Sequence[ListedTicket]) -> None:
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
    ) -> list[ListedTicket]:
        """Tickets with one of these references; and of those that have none, the ones with one of
        these titles, or by one of these makers."""
        found = [
            ListedTicket(
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
                ListedTicket(ticket_id, beginning=begins, created_at=at, made_by=maker, clues=read)
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
            raise temporary_file_error(error) from error

    def _among(self, question: str, values: Iterable[str]) -> Iterator[Any]:
        every = list(dict.fromkeys(values))
        for start in range(0, len(every), _MARKS):
            some = every[start : start + _MARKS]
            try:
                with self._lock:
                    marks = ",".join("?" * len(some))
                    rows = self._connection.execute(f"{question} IN ({marks})", some).fetchall()
            except sqlite3.Error as error:
                raise temporary_file_error(error) from error
            yield from rows


def maker_of(seen: ListedTicket) -> str:
    """Who made a ticket, as text."""
    return repr(seen.made_by)


def _beginning(seen: ListedTicket) -> tuple[str | None, str | None]:
    return seen.beginning or (None, None)


def _addresses(seen: ListedTicket) -> str:
    return json.dumps([] if seen.clues is None else sorted(addresses_in(seen.clues())))


def _clues(seen: ListedTicket) -> str:
    return json.dumps([] if seen.clues is None else sorted(seen.clues()))


def _clues_in(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


AT_ONCE = 2000
"""Rows of the journal that are compared at a time: some 20 ms of its thread."""


class Watch:
    """Takes note of every reference that lookups show. Close it.

    Args:
        journal: open for writing; its thread puts away what is seen.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.sightings = SeenTickets()
        self.tickets = 0
        """How many tickets were seen in lists, each as often as it was listed."""
        self._waiting: list[ListedTicket] = []

    def close(self) -> None:
        """Forget what was seen."""
        self.sightings.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def over(self, way: ListTickets | AskRows) -> ListTickets | AskRows:
        """The same way to look, watched."""
        if isinstance(way, AskRows):
            return AskRows(self.over_asking(way.ask))
        return self.over_list(way)

    def over_list(self, look: ListTickets) -> ListTickets:
        """The same lists, watched."""

        async def watched(since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
            async for seen in look(since, until):
                if isinstance(seen, ListedTicket):
                    self._waiting.append(seen)
                if len(self._waiting) == AT_ONCE:
                    await self.keep()
                yield seen

        return watched

    def over_asking(self, ask: AskAboutRows) -> AskAboutRows:
        """The same questions, watched."""

        async def watched(sought: Sequence[AskedRow]) -> AsyncIterator[RowAnswer]:
            references = {one.row: one.reference for one in sought}
            async for told in ask(sought):
                seen: list[tuple[str, str | None]] = list(told.others)
                if told.proven:
                    seen += [(references[told.row], ticket) for ticket in told.ticket_ids]
                self.sightings.add(sightings_in(seen))
                yield told

        return watched

    async def keep(self) -> None:
        """Put away what waits in memory."""
        some, self._waiting = self._waiting, []
        self.tickets += len(some)
        if some:
            await self._journal.call(lambda session: _put_away(self.sightings, some))

    async def compare(self, at: float) -> list[Contradiction]:
        """Compare the rows of the journal with what was seen, and note what contradicts them.

        Rows that were rejected or not sent, and are there, are present from then on.

        Args:
            at: when it was seen.

        Raises:
            JournalError: it could not be written.
        """
        await self.keep()
        await keep_rows(self._journal, self.sightings)
        return await self._journal.call(
            lambda session: note_contradictions(session, self.sightings, at)
        )


async def keep_rows(journal: Journal, sightings: SeenTickets, *, every: bool = False) -> None:
    """Put the rows of a journal beside what was seen: those that were, or all of them."""
    after: int | None = 0

    def some(session: Session) -> int | None:
        assert after is not None
        rows = session.compared(after, AT_ONCE)
        sightings.keep(rows, every=every)
        return rows[-1].row if rows else None

    while after is not None:
        after = await journal.call(some)


def note_contradictions(session: Session, sightings: SeenTickets, at: float) -> list[Contradiction]:
    """Note what contradicts rows that are kept beside what was seen."""
    found: list[Contradiction] = []
    for one, tickets, *_ in sightings.rows():
        kinds = contradictions_of(one, tickets, sightings)
        if not kinds:
            continue
        ids = named(tickets)
        for kind in kinds:
            session.contradict(one.row, kind.value, ids, at)
            found.append(Contradiction(kind.value, one.key, one.line, one.reference, ids, at))
        if one.state is not State.ACCEPTED:
            evidence = {"at": round(at, 3), "was": one.state.value, "ticket_ids": list(ids)}
            ticket_id = ids[0] if ids else None
            session.found_after_all(one.row, at, ticket_id=ticket_id, evidence=evidence)
    return found


def _put_away(sightings: SeenTickets, some: Sequence[ListedTicket]) -> None:
    # Two looks may have shown the same ticket.
    shown = {(ref, seen.ticket_id or "", 1) for seen in some for ref in seen.references}
    sightings.add(shown)
    sightings.add_bare(
        (s.ticket_id, _digest(s.beginning), s.created_at)
        for s in some
        if s.ticket_id and not s.references
    )
    pairs = ((s.ticket_id, s.merged_into) for s in some if s.ticket_id and s.merged_into)
    sightings.add_merged(pairs)


def _digest(beginning: tuple[str, str] | None) -> bytes | None:
    if beginning is None:
        return None
    return blake2b("\0".join(beginning).encode(errors="replace"), digest_size=16).digest()
