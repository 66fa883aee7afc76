"""Rows as they will be once a batch is written.

Nothing is changed before the batch is durable: :meth:`PendingRows.apply` then brings the state of
the run up to date.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .records import OUTCOMES, STATE_AFTER, Action, Decision, Identity, trouble
from .reference import DIGEST, reference_of
from .run_state import RunState
from .storage import KnownRow, Storage, WriteBatch

_SAID = ("kind", "attempt", "ticket_id", "status", "error", "words")
"""The fields of a known row that its last event determines."""
_OTHER_RESULTS = frozenset(kind.value for kind in OUTCOMES) - {"accepted"}


class PendingRows:
    """Rows as they will be once a batch is written, and the batch that is filled.

    Args:
        storage: of the journal, for looking rows up.
        state: of the run.
        batch: what will be written. What it already holds counts as written.

    Raises:
        JournalError: a result belongs to no attempt in flight.
    """

    def __init__(self, storage: Storage, state: RunState, batch: WriteBatch) -> None:
        self._storage = storage
        self.state = state
        self.batch = batch
        self._job = storage.job
        self._latest: dict[int, KnownRow] = {}
        self._came: set[int] = set()
        self._next: dict[bytes, int] = {}  # content -> the number of its next occurrence
        self._by_key: dict[str, KnownRow] = {}
        self._by_content: dict[tuple[bytes, int], KnownRow] = {}
        self._repeats: list[KnownRow] = []
        self._moves: dict[tuple[str | None, str], int] = {}
        self._opened: dict[int, int] = {}
        self._has_repeats = state.has_repeats
        self._ends: dict[int, dict[str, Any]] | None = None
        if any(len(digest) != DIGEST for digest in batch.rows[3 :: WriteBatch.ROW]):
            raise trouble(storage.path, "the digest of a row has the wrong length")
        if batch.rows:
            self._move(None, "intent", batch.count)
        self._closed = self._check_results() if batch.accepted or batch.events else {}

    # --- what the batch holds already -----------------------------------------------------------

    def _check_results(self) -> dict[int, int]:
        """The attempts that have ended: row to attempt."""
        batch, going = self.batch, self.state.open
        accepted, events = batch.accepted, batch.events
        width, other = WriteBatch.ACCEPTED, WriteBatch.EVENT
        rows = accepted[::width] + events[::other]
        attempts = accepted[1::width] + events[2::other]
        kinds = events[1::other]
        closed = dict(zip(rows, attempts, strict=True))
        if len(closed) != len(rows) or not closed.items() <= going.items():
            seen: set[int] = set()
            for row, attempt in zip(rows, attempts, strict=True):
                if row in seen or going.get(row) != attempt:
                    words = f"a result for row {row} belongs to no attempt that was under way"
                    raise trouble(self._storage.path, words)
                seen.add(row)
        if not _OTHER_RESULTS.issuperset(kinds):
            raise trouble(self._storage.path, "an attempt ended in something that is not a result")
        if accepted:
            self._move("intent", "accepted", len(accepted) // width)
        for kind in kinds:
            self._move("intent", kind)
        return closed

    def _note_what_came(self) -> None:
        """Let lookups see what the batch already holds."""
        batch = self.batch
        for at in range(0, len(batch.rows), WriteBatch.ROW):
            row, key, line, digest, _, traits, _ = batch.rows[at : at + WriteBatch.ROW]
            known = KnownRow.new(row, key, line, digest, traits)
            self._latest[row] = known
            if key is not None:
                self._by_key[key] = known
            else:
                self._by_content[digest, 0] = known

    def _results(self) -> dict[int, dict[str, Any]]:
        """The last event of each row with a result in the batch."""
        if self._ends is None:
            self._ends = {}
            values: list[tuple[Any, ...]] = []
            for at in range(0, len(self.batch.accepted), WriteBatch.ACCEPTED):
                row, attempt, ticket_id, _ = self.batch.accepted[at : at + WriteBatch.ACCEPTED]
                values.append((row, "accepted", attempt, ticket_id, None, None, None))
            for at in range(0, len(self.batch.events), WriteBatch.EVENT):
                row, kind, attempt, _, _, *said = self.batch.events[at : at + WriteBatch.EVENT]
                status, ticket_id, error, words, *_ = said
                values.append((row, kind, attempt, ticket_id, status, error, words))
            for row, *said in values:
                self._ends[row] = dict(zip(_SAID, said, strict=True))
        return self._ends

    # --- finding rows, as they will be once the batch is written --------------------------------

    def _now(self, known: KnownRow) -> KnownRow:
        """A row that was just looked up, updated with what the batch holds."""
        latest = self._latest.get(known.row)
        if latest is None:
            end = self._results().get(known.row) if known.row in self._closed else None
            latest = known if end is None else known._replace(**end)
            self._latest[known.row] = latest
        return latest

    def row(self, number: int) -> KnownRow | None:
        """The row of this number."""
        known = self._latest.get(number)
        if known is None:
            for found in self._storage.with_numbers([number]):
                known = self._now(found)
        return known

    def came(self, row: int) -> bool:
        """Whether the row came in this run."""
        return row in self._came or self.state.came(row)

    def is_open(self, row: int) -> bool:
        """Whether an attempt of the row is in flight."""
        return row in self._opened or (row in self.state.open and row not in self._closed)

    def _find_equal(self, digest: bytes) -> tuple[int, KnownRow | None]:
        """The number of this row among its duplicates, and the row if it is known."""
        number = self._next.get(digest)
        if number is None:
            number = self.state.equal.get(digest, 0)
            known = self._by_content.get((digest, number))
            # Whether a content came once is known only from the bit of its row.
            while known is not None and self.came(known.row):
                number += 1
                known = self._with_content(digest, number)
        else:
            known = self._with_content(digest, number)
        self._next[digest] = number + 1
        return number, None if known is None else self._now(known)

    def _with_content(self, digest: bytes, number: int) -> KnownRow | None:
        known = self._by_content.get((digest, number))
        for found in () if known is not None else self._storage.with_contents([(digest, number)]):
            known = self._now(found)
        return known

    def _repeats_of(self, row: int, key: str, digest: bytes) -> KnownRow | None:
        """The row with this key and content that repeats another row."""
        if not self._has_repeats:
            return None
        found = [self._now(known) for known in self._storage.repeats_of(row)] + self._repeats
        for known in found:
            if (known.repeat_of, known.key, known.digest) == (row, key, digest):
                return known
        return None

    def _under_another_name(self, identity: Identity) -> KnownRow | None:
        """For a new row with a key: an earlier run's row with the same content and no key; or the
        reverse. A row that also came in this run is a different one."""
        key, digest, _ = identity
        state = self.state
        if key is not None:
            if not state.older_without_key:
                return None
            number = 0
            found = self._with_content(digest, number)
            while found is not None and self.came(found.row):
                number += 1
                found = self._with_content(digest, number)
        else:
            if not state.older_with_key:
                return None
            same = self._storage.with_key_and_content(digest)
            found = next((self._now(one) for one in same if not self.came(one.row)), None)
        return found if found is not None and found.row < state.first_row else None

    # --- filling the batch ----------------------------------------------------------------------

    def say(
        self,
        known: KnownRow,
        kind: str,
        at: float,
        *,
        ticket_id: str | None = None,
        error: str | None = None,
        words: str | None = None,
        evidence: str | None = None,
    ) -> None:
        """Add an event for a row that is not in flight."""
        self._event(
            known.row, kind, known.attempts, at,
            ticket_id=ticket_id, error=error, words=words, evidence=evidence,
        )  # fmt: skip
        self._move(known.kind, kind)
        self._latest[known.row] = known._replace(
            kind=kind, attempt=known.attempts, ticket_id=ticket_id, status=None, error=error,
            words=words,
        )  # fmt: skip

    def _event(
        self,
        row: int,
        kind: str,
        attempt: int,
        at: float,
        *,
        ticket_id: str | None = None,
        error: str | None = None,
        words: str | None = None,
        evidence: str | None = None,
    ) -> None:
        ticket_id, words = ticket_id and writable(ticket_id), words and writable(words)
        self.batch.events += (
            row, kind, attempt, at, None, None, ticket_id, error, words, evidence, None
        )  # fmt: skip

    def _move(self, old: str | None, new: str, rows: int = 1) -> None:
        """Count rows whose last event changed from one kind (``None`` for new rows) to another."""
        self._moves[old, new] = self._moves.get((old, new), 0) + rows

    def _revise(self, known: KnownRow) -> KnownRow:
        self.batch.revised[known.row] = known
        self._latest[known.row] = known
        return known

    def _keep(self, row: int, payload: bytes) -> None:
        if self._job.payloads:
            self.batch.payloads[row] = payload

    def _answer(self, action: Action, known: KnownRow) -> Decision:
        """An answer that sends nothing."""
        return Decision(
            action,
            known.row,
            self._reference(known),
            known.attempts,
            STATE_AFTER[known.kind],
            known.ticket_id,
            known.error,
            known.words,
            known.status,
        )

    def _reference(self, known: KnownRow) -> str:
        return reference_of(self._job.job_id, known.key, known.digest, known.occurrence)

    def note_replaced(self, known: KnownRow, words: str, at: float) -> None:
        """Record that a row that was never in the helpdesk needs no further care."""
        self.say(known, "replaced", at, words=words)
        self.batch.payloads[known.row] = None

    # --- writing it -----------------------------------------------------------------------------

    def apply(self, lost: Collection[int]) -> None:
        """Update the state of the run, once the batch is durable.

        Args:
            lost: the rows that another run began first.
        """
        state, batch = self.state, self.batch
        for (old, new), rows in self._moves.items():
            if old is not None:
                state.kinds[old] -= rows
            state.kinds[new] += rows
        if lost:
            state.kinds.update(dict.fromkeys(state.kinds, 0) | dict(self._storage.kinds()))
        for row in self._closed:
            del state.open[row]
        if batch.rows:
            state.open.update(dict.fromkeys(batch.rows[:: WriteBatch.ROW], 1))
        state.open.update(self._opened)
        for row in lost:
            state.open.pop(row, None)
        if self._came:
            state.mark(row for row in self._came if not state.is_own(row))
        for digest, number in self._next.items():
            if number > 1 or digest in state.equal:
                state.equal[digest] = number
        state.has_repeats = self._has_repeats


def writable(text: str) -> str:
    """The text without lone surrogates and NULs, which cannot be written. An odd character in a
    service's message must not cost us the event it belongs to."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
