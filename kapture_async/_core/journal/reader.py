"""What a journal answers: counts, doubts, rows. Reading only, also while a push writes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from .address import open_reader
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
    Owner,
    PastLookup,
    RowView,
    Run,
    State,
    action_for,
    later_of,
)
from .reference import reference_of
from .storage import ReadStorage, StoredRow, names_of, rows_of


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

    While a push runs, the rows it has under way show as unknown; see :meth:`writers`.
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
            path: its file, or its address; see :func:`.open_reader`.
            restored: it is an older copy: without its ``-wal`` file it is read all the same.

        Raises:
            JournalError: it is not there, is not a journal, or a part of it is lost.
        """
        return ReadJournal(open_reader(path, restored=restored))

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

    def _read(self) -> ReadStorage:
        """The storage, with all that was written so far."""
        return self._storage

    def writers(self) -> list[Owner]:
        """Who is pushing with it now, or has it open for writing otherwise."""
        return self._read().writers()

    def counts(self) -> Counts:
        """How many rows are in which state."""
        return Counts.of(self._read().kinds())

    def kinds(self) -> dict[Kind, int]:
        """How many rows have which kind of last event: ``intent`` is under way, if anything is."""
        return {Kind(kind): count for kind, count in self._read().kinds().items()}

    def reasons(self, *states: State) -> Iterator[Reason]:
        """Why rows are in these states: equal reasons together, in no order."""
        for kind, error, status, words, never, rows in self._read().reasons(kinds_of(states)):
            yield Reason(STATE_AFTER[kind], Kind(kind), error, status, words, bool(never), rows)

    def doubts(self, *states: State, payloads: bool = True) -> Iterator[Doubt]:
        """Rows that may be in the helpdesk, in the order they came.

        Args:
            states: only those in these states.
            payloads: with what they were sent with. Many rows in doubt need much memory then.
        """
        kinds = self._doubtful(states)
        for found in rows_of(self._read(), kinds=kinds, payloads=payloads):
            if found.first_intent_at is None or found.sent_at is None or found.last_at is None:
                continue  # it was never sent
            yield Doubt(
                row=found.row,
                key=found.key,
                line=found.line,
                reference=self._reference(found),
                state=STATE_AFTER[found.kind],
                payload=found.payload,
                attempts=found.attempts,
                first_intent_at=found.first_intent_at,
                sent_at=found.sent_at,
                last_at=found.last_at,
                error=found.unknown_error,
                words=found.unknown_words,
                absent_lookups=found.missing,
                last_lookup_at=found.missing_at,
                traits=found.traits,
            )

    def _doubtful(self, states: tuple[State, ...]) -> list[str]:
        """The kinds of the last events of rows that are in doubt."""
        return kinds_of(states or tuple(DOUBTS))

    def payloads_of(self, *states: State) -> Iterator[tuple[int, bytes]]:
        """What rows in these states were sent with, as far as it is kept: row and payload."""
        for found in rows_of(self._read(), kinds=kinds_of(states), payloads=True):
            if found.payload is not None:
                yield found.row, found.payload

    def payload_of(self, row: int) -> bytes | None:
        """What a row was sent with, if it is kept."""
        return self.payloads_between(row, row).get(row)

    def sent_hours(self) -> list[int]:
        """The hours since the epoch in which anything was sent, in order.

        Of what an older copy has found, only from when to when is known: all hours of that time.
        """
        return sorted(self._read().sent_hours())

    def payloads_between(self, first: int, last: int) -> dict[int, bytes]:
        """What the rows from one to another were sent with, as far as it is kept."""
        return self._read().payloads(first, last)

    def rows_in(self, *states: State) -> Iterator[RowView]:
        """Rows in any of these states, in the order they came."""
        for found in rows_of(self._read(), kinds=kinds_of(states), payloads=True):
            yield self._view(found)

    def names(self) -> Iterator[tuple[str | None, bytes, int, State]]:
        """What each row is found again by, and its state: its key; or else the digest of its
        content, and how many rows of equal content came before it."""
        for _, key, digest, occurrence, kind in names_of(self._read()):
            yield key, digest, occurrence, STATE_AFTER[kind]

    def pending(self, again: frozenset[str] = LATER, *, after: int = 0) -> Iterator[RowView]:
        """Rows that can be sent from what the journal holds, without their source.

        Args:
            again: class names of refusals after which a row may be sent as it is.
            after: only rows beyond this one.
        """
        again = later_of(self.job.operation, again)
        kinds = kinds_of((State.NOT_SENT, State.REJECTED))
        for found in rows_of(self._read(), kinds=kinds, payloads=True, after=after):
            action = action_for(
                STATE_AFTER[found.kind],
                same=True,
                error=found.error,
                status=found.status,
                again=again,
            )
            refused = found.kind == Kind.NOT_SENT and not found.attempt
            if action == "send" and not refused and found.payload is not None:
                yield self._view(found)

    def changed(self) -> int:
        """How many rows are in the helpdesk and came with other content since."""
        return self._read().changed()

    def evidence_of(self, row: int) -> str | None:
        """What the last verdict on a row is based on, as JSON."""
        found = self._read().rows(row - 1, 1)
        return found[0].evidence if found and found[0].row == row else None

    def runs(self) -> list[Run]:
        """Every process's time with the journal, the latest last."""
        return self._read().runs()

    def newer_copy(self) -> Mark | None:
        """The mark of this journal, if it tells of events that are not in it: then this is an
        older copy. See :mod:`.marks`."""
        return self._read().newer_copy()

    def was_restored(self) -> bool:
        """Whether it was pushed with as an older copy, and so still looks up what it sends."""
        return self._read().was_restored()

    def made(self) -> float:
        """When the journal was made."""
        return self._read().made()

    def longest_call(self, since: float) -> float | None:
        """The most seconds that a call could take in the runs that went on after a moment."""
        return max(
            (
                run.longest_call
                for run in self.runs()
                if run.longest_call is not None and (run.ended is None or run.ended >= since)
            ),
            default=None,
        )

    def accepted_among(self, ticket_ids: Collection[str]) -> set[str]:
        """Of some ticket ids those that rows got that are in the helpdesk for sure."""
        return self._read().accepted_among(ticket_ids) if ticket_ids else set()

    def lookups(self) -> list[PastLookup]:
        """Every lookup of many rows, the latest last."""
        return self._read().lookups()

    def compared(self, after: int, most: int) -> list[Compared]:
        """Rows beyond one of them, in the order they came, as they are compared with a lookup."""
        return [
            Compared(
                row=found.row,
                reference=self._reference(found),
                key=found.key,
                line=found.line,
                kind=found.kind,
                own=found.ticket_id,
                traits=found.traits,
                last_at=found.at,
                first_intent_at=found.first_intent_at,
                sent_at=found.sent_at,
            )
            for found in self._read().rows(after, most)
        ]

    def contradictions(self) -> Iterator[Contradiction]:
        """What lookups have shown that the outcomes deny, in the order it was found."""
        return iter(self._read().contradictions())

    def contradicted(self) -> dict[str, int]:
        """How many contradictions of which kind were found."""
        return dict(self._read().contradicted())

    def _view(self, found: StoredRow) -> RowView:
        return RowView(
            row=found.row,
            key=found.key,
            line=found.line,
            reference=self._reference(found),
            state=STATE_AFTER[found.kind],
            kind=Kind(found.kind),
            ticket_id=found.ticket_id,
            status=found.status,
            error=found.error,
            words=found.words,
            payload=found.payload,
            at=found.at,
            sent_at=found.sent_at,
            attempts=found.attempts,
            traits=found.traits,
        )

    def _reference(self, found: StoredRow) -> str:
        return reference_of(self.job.job_id, found.key, found.digest, found.occurrence)


def job_at(path: str | os.PathLike[str], *, restored: bool = False) -> Job:
    """What the journal of a file is for; see :meth:`ReadJournal.open_to_read`.

    Raises:
        JournalError: there is none, or it cannot be read.
    """
    with ReadJournal.open_to_read(path, restored=restored) as journal:
        return journal.job
