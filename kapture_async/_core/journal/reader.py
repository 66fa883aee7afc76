"""What a journal answers: counts, doubts, rows. Reading only, also while a push writes."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from . import marks
from .errors import damage_of
from .marks import Mark
from .records import (
    DOUBTS,
    LATER,
    STATE_AFTER,
    Contradiction,
    Counts,
    Doubt,
    Job,
    Kind,
    Look,
    RowView,
    Run,
    State,
    later_of,
)
from .reference import reference_of
from .sqlite.statements import KINDS
from .sqlite.storage import SQLiteReader
from .storage import ReadStorage

_ROWS = """
SELECT r.row, r.key, r.digest, r.occurrence, r.line, r.traits, f.kind, f.ticket_id, f.status,
    f.error, f.words, p.payload, f.at, (SELECT max(g.attempt) FROM facts AS g WHERE g.row = r.row),
    (SELECT max(g.at) FROM facts AS g WHERE g.row = r.row AND g.kind = 'intent')
FROM rows AS r
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
LEFT JOIN payloads AS p ON p.row = r.row
WHERE f.kind IN ({kinds}) {more}
ORDER BY r.row
"""

_DOUBTS = """
SELECT r.row, r.key, r.digest, r.occurrence, r.line, r.traits, f.kind, {payload},
    (SELECT max(g.attempt) FROM facts AS g WHERE g.row = r.row), i.at,
    (SELECT min(g.at) FROM facts AS g WHERE g.row = r.row AND g.kind = 'intent'),
    (SELECT max(g.at) FROM facts AS g WHERE g.row = r.row AND g.kind IN ('intent', 'unknown')),
    (SELECT count(*) FROM facts AS g WHERE g.row = r.row AND g.kind = 'missing'
        AND g.fact > i.fact),
    (SELECT max(g.at) FROM facts AS g WHERE g.row = r.row AND g.kind = 'missing'
        AND g.fact > i.fact),
    u.error, u.words
FROM rows AS r
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
CROSS JOIN facts AS i
    ON i.row = r.row AND i.fact = (
        SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row AND g.kind = 'intent')
LEFT JOIN facts AS u
    ON u.row = r.row AND u.fact = (
        SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row AND g.kind = 'unknown')
{join}
WHERE f.kind IN ({kinds})
ORDER BY r.row
"""

_PAYLOADS = """
SELECT p.row, p.payload FROM payloads AS p JOIN last_facts AS f ON f.row = p.row
WHERE f.kind IN ({kinds})
"""

_REASONS = """
SELECT kind, error, status, words, attempt = 0, count(*) FROM last_facts WHERE kind IN ({kinds})
GROUP BY kind, error, status, words, attempt = 0
"""


_NAMES = """
SELECT r.key, r.digest, r.occurrence, f.kind FROM rows AS r
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
"""


_SENT = "SELECT DISTINCT CAST(at / 3600 AS INTEGER) * 3600 FROM facts WHERE kind = 'intent'"
_FOUND_BY_COPIES = """
SELECT min(i.at), max(f.at) FROM facts AS f
JOIN facts AS i ON i.row = f.row AND i.attempt = f.attempt AND i.kind = 'intent'
WHERE f.evidence LIKE '%"older_copy"%'
"""

_COMPARED = """
SELECT r.row, r.key, r.digest, r.occurrence, r.line, r.traits, f.kind, f.ticket_id, f.at,
    (SELECT min(g.at) FROM facts AS g WHERE g.row = r.row AND g.kind = 'intent'),
    (SELECT max(g.at) FROM facts AS g WHERE g.row = r.row AND g.kind = 'intent')
FROM rows AS r
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
WHERE r.row > ?
ORDER BY r.row LIMIT ?
"""

_FINDINGS = """
SELECT r.key, r.digest, r.occurrence, r.line, c.kind, c.ticket_ids, c.at
FROM findings AS c JOIN rows AS r ON r.row = c.row ORDER BY c.finding
"""


class Compared(NamedTuple):
    """A row of the journal, as it is compared with what a lookup has shown."""

    row: int
    reference: str
    key: str | None
    line: int | None
    kind: str
    """Of its last event."""
    own: str | None
    """The id that the service gave for it, or an earlier lookup."""
    traits: int = 0
    last_at: float = 0.0
    """When its last event was written."""
    first_intent_at: float | None = None
    """When it may have been sent first; ``None`` if it never was."""
    sent_at: float | None = None
    """When it may have been sent last."""

    @property
    def state(self) -> State:
        """Its state."""
        return STATE_AFTER[self.kind]


class Reason(NamedTuple):
    """Why some rows are where they are."""

    state: State
    kind: Kind
    """Of their last event."""
    error: str | None
    """Class name of the error."""
    status: int | None
    words: str | None
    never: bool
    """They cannot be sent as they are."""
    rows: int


def kinds_of(states: tuple[State, ...]) -> list[str]:
    """The kinds of events that put a row into one of these states."""
    return [kind for kind, state in STATE_AFTER.items() if state in states]


class ReadJournal:
    """A journal that is open for reading. It never holds a push up, and sees what is durable.

    While a push runs, the rows it has under way show as unknown; see :func:`.owner_of`.
    Use from one thread at a time. Close it, or use it as a context manager.
    """

    def __init__(self, storage: ReadStorage) -> None:
        self.path: str = storage.path
        self.job: Job = storage.job
        self._storage = storage

    @classmethod
    def open_to_read(cls, path: str | os.PathLike[str], *, restored: bool = False) -> ReadJournal:
        """Open a journal for reading. Changes nothing in it.

        Args:
            path: its file.
            restored: it is an older copy: without its ``-wal`` file it is read all the same.

        Raises:
            JournalError: it is not there, is not a journal, or a part of it is lost.
        """
        return ReadJournal(SQLiteReader.open_to_read(path, restored=restored))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it. May be called again."""
        self._storage.close()

    def counts(self) -> Counts:
        """How many rows are in which state."""
        with self._our_errors():
            return Counts.of({kind: count for kind, count, _ in self._all(KINDS)})

    def kinds(self) -> dict[Kind, int]:
        """How many rows have which kind of last event: ``intent`` is under way, if anything is."""
        with self._our_errors():
            return {Kind(kind): count for kind, count, _ in self._all(KINDS)}

    def reasons(self, *states: State) -> Iterator[Reason]:
        """Why rows are in these states: equal reasons together, in no order."""
        kinds = kinds_of(states)
        for kind, error, status, words, never, rows in self._each(
            _REASONS.format(kinds=_marks(kinds)), kinds
        ):
            with self._our_errors():
                reason = Reason(
                    STATE_AFTER[kind], Kind(kind), error, status, words, bool(never), rows
                )
            yield reason

    def doubts(self, *states: State, payloads: bool = True) -> Iterator[Doubt]:
        """Rows that may be in the helpdesk, in the order they came.

        Args:
            states: only those in these states.
            payloads: with what they were sent with. Many rows in doubt need much memory then.
        """
        kinds = kinds_of(states or tuple(DOUBTS))
        question = _DOUBTS.format(
            kinds=_marks(kinds),
            payload="p.payload" if payloads else "NULL",
            join="LEFT JOIN payloads AS p ON p.row = r.row" if payloads else "",
        )
        for found in self._each(question, kinds):
            row, key, digest, occurrence, line, traits, kind, payload, attempts, *rest = found
            sent_at, first_at, last_at, looks, looked_at, error, words = rest
            with self._our_errors():
                doubt = Doubt(
                    row=row,
                    key=key,
                    line=line,
                    reference=reference_of(self.job.job_id, key, digest, occurrence),
                    state=STATE_AFTER[kind],
                    payload=payload,
                    attempts=attempts,
                    first_intent_at=float(first_at),
                    sent_at=float(sent_at),
                    last_at=float(last_at),
                    error=error,
                    words=words,
                    absent_looks=looks,
                    last_look_at=looked_at,
                    traits=traits,
                )
            yield doubt

    def payloads_of(self, *states: State) -> Iterator[tuple[int, bytes]]:
        """What rows in these states were sent with, as far as it is kept: row and payload."""
        kinds = kinds_of(states)
        yield from self._each(_PAYLOADS.format(kinds=_marks(kinds)), kinds)

    def payload_of(self, row: int) -> bytes | None:
        """What a row was sent with, if it is kept."""
        found = list(self._each("SELECT payload FROM payloads WHERE row = ?", [row]))
        return found[0][0] if found else None

    def sent_hours(self) -> list[int]:
        """The hours since the epoch in which anything was sent, in order.

        Of what an older copy has found, only from when to when is known: all hours of that time.
        """
        hours = {int(at // 3600) for (at,) in self._each(_SENT, [])}
        ((first, last),) = self._all(_FOUND_BY_COPIES)
        if first is not None:
            hours |= set(range(int(first // 3600), int(last // 3600) + 1))
        return sorted(hours)

    def payloads_between(self, first: int, last: int) -> dict[int, bytes]:
        """What the rows from one to another were sent with, as far as it is kept."""
        question = "SELECT row, payload FROM payloads WHERE row BETWEEN ? AND ?"
        return dict(self._each(question, [first, last]))

    def rows_in(self, *states: State) -> Iterator[RowView]:
        """Rows in any of these states, in the order they came."""
        return self._views(kinds_of(states), "", [])

    def names(self) -> Iterator[tuple[str | None, bytes, int, State]]:
        """What each row is found again by, and its state: its key; or else the digest of its
        content, and how many rows of equal content came before it."""
        for key, digest, occurrence, kind in self._each(_NAMES, []):
            with self._our_errors():
                state = STATE_AFTER[kind]
            yield key, digest, occurrence, state

    def pending(self, again: frozenset[str] = LATER, *, after: int = 0) -> Iterator[RowView]:
        """Rows that can be sent from what the journal holds, without their source.

        Args:
            again: class names of refusals after which a row may be sent as it is.
            after: only rows beyond this one.
        """
        kinds = kinds_of((State.NOT_SENT, State.REJECTED))
        names = sorted(later_of(self.job.operation, again))
        more = (
            "AND p.payload IS NOT NULL AND ((f.kind IN ('not_sent', 'absent') AND f.attempt > 0) "
            f"OR (f.kind = 'rejected' AND (f.error IN ({_marks(names)}) "
            f"OR f.error || ' ' || f.status IN ({_marks(names)})))) AND r.row > ?"
        )
        return self._views(kinds, more, [*names, *names, after])

    def changed(self) -> int:
        """How many rows are in the helpdesk and came with other content since."""
        question = "SELECT row FROM rows WHERE changed"
        found = {row for (row,) in self._all(question)}
        if not found:
            return 0
        there = "SELECT row FROM last_facts WHERE kind IN ('accepted', 'present')"
        return sum(row in found for (row,) in self._each(there, []))

    def evidence_of(self, row: int) -> str | None:
        """What the last verdict on a row is based on, as JSON."""
        question = "SELECT evidence FROM last_facts WHERE row = ?"
        found = list(self._each(question, [row]))
        return found[0][0] if found else None

    def runs(self) -> list[Run]:
        """Every process's time with the journal, the latest last."""
        found = self._all(
            "SELECT run, began, ended, pid, host, longest_call FROM runs ORDER BY run"
        )
        return [
            Run(run=run, began=began, ended=ended, pid=pid, host=host, longest_call=longest)
            for run, began, ended, pid, host, longest in found
        ]

    def newer_copy(self) -> Mark | None:
        """The mark of this journal, if it tells of events that are not in it: then this is an
        older copy. See :mod:`.marks`."""
        mark = marks.read(self.job)  # before what it is compared with, which may grow meanwhile
        if mark is None:
            return None
        tally = self._all(KINDS)
        rows = sum(number for _, number, _ in tally)
        events = max((last for *_, last in tally), default=0)
        runs = self._all("SELECT nonce, rows, events FROM runs ORDER BY run")
        return mark if marks.is_ahead(mark, runs, rows, events) else None

    def was_restored(self) -> bool:
        """Whether it was pushed with as an older copy, and so still looks up what it sends."""
        ((found,),) = self._all("SELECT restored FROM job")
        return found is not None

    def made(self) -> float:
        """When the journal was made."""
        ((found,),) = self._all("SELECT made FROM job")
        with self._our_errors():
            return float(found)

    def longest_call(self, since: float) -> float | None:
        """The most seconds that a call could take in the runs that went on after a moment."""
        question = "SELECT max(longest_call) FROM runs WHERE ended IS NULL OR ended >= ?"
        ((found,),) = self._each(question, [since])
        longest: float | None = found
        return longest

    def accepted_among(self, ticket_ids: Collection[str]) -> set[str]:
        """Of some ticket ids those that rows got that are in the helpdesk for sure."""
        if not ticket_ids:
            return set()
        question = "SELECT ticket_id FROM last_facts WHERE kind IN ('accepted', 'present')"
        return {ticket for (ticket,) in self._each(question, []) if ticket in ticket_ids}

    def looks(self) -> list[Look]:
        """Every lookup of many rows, the latest last."""
        found = self._all("SELECT look, at, evidence FROM looks ORDER BY look")
        return [Look(look=look, at=at, evidence=evidence) for look, at, evidence in found]

    def compared(self, after: int, most: int) -> list[Compared]:
        """Rows beyond one of them, in the order they came, as they are compared with a lookup."""
        job_id = self.job.job_id
        found = []
        for row, key, digest, occurrence, line, *rest in self._each(_COMPARED, [after, most]):
            traits, kind, own, *times = rest
            reference = reference_of(job_id, key, digest, occurrence)
            found.append(Compared(row, reference, key, line, kind, own, traits, *times))
        return found

    def contradictions(self) -> Iterator[Contradiction]:
        """What lookups have shown that the outcomes deny, in the order it was found."""
        for key, digest, occurrence, line, kind, ticket_ids, at in self._each(_FINDINGS, []):
            reference = reference_of(self.job.job_id, key, digest, occurrence)
            tickets = tuple(map(str, json.loads(ticket_ids)))
            yield Contradiction(kind, key, line, reference, tickets, at)

    def contradicted(self) -> dict[str, int]:
        """How many contradictions of which kind were found."""
        return dict(self._all("SELECT kind, count(*) FROM findings GROUP BY kind"))

    def _views(self, kinds: list[str], more: str, values: list[Any]) -> Iterator[RowView]:
        question = _ROWS.format(kinds=_marks(kinds), more=more)
        for found in self._each(question, [*kinds, *values]):
            row, key, digest, occurrence, line, traits, kind, ticket_id, status, *rest = found
            error, words, payload, at, attempts, sent_at = rest
            with self._our_errors():
                view = RowView(
                    row=row,
                    key=key,
                    line=line,
                    reference=reference_of(self.job.job_id, key, digest, occurrence),
                    state=STATE_AFTER[kind],
                    kind=Kind(kind),
                    ticket_id=ticket_id,
                    status=status,
                    error=error,
                    words=words,
                    payload=payload,
                    at=float(at),
                    sent_at=None if sent_at is None else float(sent_at),
                    attempts=attempts,
                    traits=traits,
                )
            yield view

    def _all(self, question: str) -> list[Any]:
        return list(self._each(question, []))

    def _each(self, question: str, values: Sequence[Any]) -> Iterator[Any]:
        return self._storage.ask(question, values)

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            made = damage_of(self.path, error)
            if made is not error:
                raise made from error
            raise


def job_at(path: str | os.PathLike[str], *, restored: bool = False) -> Job:
    """What the journal of a file is for; see :meth:`ReadJournal.open_to_read`.

    Raises:
        JournalError: there is none, or it cannot be read.
    """
    with ReadJournal.open_to_read(path, restored=restored) as journal:
        return journal.job


def _marks(values: list[str]) -> str:
    return ",".join("?" * len(values))
