"""Calls in the journal's thread: they read, and record what lookups and people find."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .decisions import Decisions
from .pending import writable
from .reader import ReadJournal
from .records import DOUBTS, STATE_AFTER, VERDICTS, Kind, State, trouble
from .storage import KnownRow, Storage, StoredRow, rows_of

_NOT_THERE = frozenset({State.REJECTED, State.NOT_SENT})


class Session(ReadJournal):
    """The journal, as seen by a function given to :meth:`.Journal.call`.

    Everything it writes becomes durable together, when the function returns; it reads its own
    writes.
    """

    def __init__(self, storage: Storage, decisions: Decisions) -> None:
        super().__init__(storage)
        self._written = storage
        self._decisions = decisions

    def _read(self) -> Storage:
        self.flush()
        return self._written

    def flush(self) -> None:
        """Write everything pending."""
        decisions = self._decisions
        if decisions.batch:
            self._written.write(decisions.batch)
            decisions.batch = type(decisions.batch)(decisions.batch.at)

    def _doubtful(self, states: tuple[State, ...]) -> list[str]:
        kinds = super()._doubtful(states)
        return [kind for kind in kinds if not (self._written.shared and kind == "intent")]

    def came(self, row: int) -> bool:
        """Whether the row came from the source in this run."""
        return self._decisions.came(row)

    def goes_as(self, rows: Sequence[int]) -> list[str]:
        """The references under which rows held until the end of the source would be sent now.

        Raises:
            JournalError: there is no such row.
        """
        return [self._decisions.goes_as(row) for row in rows]

    def with_other_keys(self, digests: Sequence[bytes]) -> int:
        """How many of these contents belong to rows of earlier runs with keys."""
        first = self._decisions.state.first_row
        return sum(
            any(known.row < first for known in self._written.with_key_and_content(digest))
            for digest in digests
        )

    def rows_with(self, ticket_ids: set[str]) -> list[tuple[int, str]]:
        """The rows that were ever given one of these ids: row and id."""
        return self._read().rows_with_ids(ticket_ids)

    def last_ids(self, most: int, before: int | None = None) -> list[tuple[int, str]]:
        """The ids of the last rows that got one, or of the last before a row: row and id, the last
        first."""
        return self._read().last_ids(most, before)

    def claim_reconciler(self) -> None:
        """Become the one run that reconciles; see :meth:`.Storage.claim_reconciler`.

        Raises:
            JournalError: another run is reconciling.
        """
        self._written.claim_reconciler()

    # --- what lookups and people find ------------------------------------------------------------

    def verdict(
        self,
        row: int,
        kind: Kind | str,
        at: float,
        *,
        ticket_id: str | None = None,
        words: str | None = None,
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Record what a lookup or a person found out about a row in doubt.

        Args:
            row: the row.
            kind: one of ``missing``, ``present``, ``absent``, ``ambiguous``, ``probable``.
            at: the wall clock.
            ticket_id: the ticket that was found.
            words: who found out, if it was not a lookup.
            evidence: what it is based on; anything JSON can hold.

        Raises:
            JournalError: the row is not in doubt, or is in flight.
        """
        known = self._known_in(row, DOUBTS)
        if known is None or kind not in VERDICTS:
            raise trouble(self.path, f"row {row} is not in doubt; it cannot be {kind}")
        said = None if evidence is None else json.dumps(evidence)
        self._say(known, str(kind), at, ticket_id=ticket_id, words=words, evidence=said)

    def found_after_all(
        self, row: int, at: float, *, ticket_id: str | None, evidence: Mapping[str, Any]
    ) -> None:
        """Record that a row that was rejected or not sent is in the helpdesk after all.

        Args:
            row: the row.
            at: the wall clock.
            ticket_id: the ticket that was found.
            evidence: what it is based on; anything JSON can hold.

        Raises:
            JournalError: the row is neither, or is in flight.
        """
        known = self._known_in(row, _NOT_THERE)
        if known is None:
            raise trouble(self.path, f"row {row} is neither rejected nor not sent")
        self._say(known, "present", at, ticket_id=ticket_id, evidence=json.dumps(evidence))

    def contradict(self, row: int, kind: str, ticket_ids: Sequence[str], at: float) -> None:
        """Record a contradiction to the state of a row; the same one is recorded once.

        Args:
            row: the row.
            kind: one of :class:`.Contradicts`.
            ticket_ids: the tickets that were found, sorted.
            at: the wall clock.
        """
        ids = writable(json.dumps(list(ticket_ids)))
        self._decisions.batch.contradictions.append((row, str(kind), ids, at))

    def doubt(self, row: int, ticket_id: str, at: float, words: str) -> bool:
        """Record that an accepted row is in doubt because another row got its id.

        Args:
            row: the row.
            ticket_id: that id.
            at: the wall clock.
            words: why, naming the other row.

        Returns:
            Whether the row was accepted with this id; otherwise nothing is written.
        """
        known = self._known_in(row, {State.ACCEPTED})
        if known is None or known.ticket_id != ticket_id:
            return False
        self._say(known, "unknown", at, error="AnswerMismatchError", words=words)
        return True

    def doubt_again(
        self, row: int, state: State, at: float, words: str, evidence: Mapping[str, Any] | None
    ) -> None:
        """Put a row back in doubt, as it was before a person resolved it.

        Args:
            row: the row.
            state: its state then, one of :data:`.DOUBTS`.
            at: the wall clock.
            words: why.
            evidence: what that state was based on.

        Raises:
            JournalError: the row is neither accepted nor not sent, or is in flight.
        """
        known = self._known_in(row, {State.ACCEPTED, State.NOT_SENT})
        if known is None or state not in DOUBTS:
            raise trouble(self.path, f"row {row} cannot be in doubt again")
        said = None if evidence is None else json.dumps(evidence)
        self._say(known, state.value, at, words=words, evidence=said)

    def note_lookup(self, at: float, evidence: Mapping[str, Any]) -> None:
        """Record a lookup of many rows and what it found."""
        self._decisions.batch.lookups.append((at, json.dumps(evidence)))

    def _known_in(self, row: int, states: set[State] | frozenset[State]) -> KnownRow | None:
        known = self._decisions.row(row)
        if known is None or STATE_AFTER[known.kind] not in states or self._decisions.is_open(row):
            return None
        # Of a run that is not over: of any other it would be unknown by now.
        return None if self._written.shared and known.kind == "intent" else known

    def _say(self, known: KnownRow, kind: str, at: float, **more: str | None) -> None:
        self._decisions.say(known, kind, at, **more)
        if kind == "present":
            self._decisions.batch.payloads[known.row] = None

    # --- rows that need no further care ---------------------------------------------------------

    def note_corrected(self, at: float, *, same_source: bool) -> int:
        """Mark refused rows that came back as other rows, so that they need no further care. Called
        when the source was read to its end. Returns how many there are.

        A second row under a key was given its own key if the same content came under another key.
        A row without a key is identified by its content, so a corrected one is a new row: it is on
        the same line of the same source, most of whose other rows are known.

        Args:
            at: the wall clock.
            same_source: it is the source of the earlier runs, perhaps corrected.
        """
        state = self._decisions.state
        if not state.kinds["not_sent"] + state.kinds["rejected"]:
            return 0
        found = self._repeats_with_own_keys() if state.has_repeats else {}
        if same_source and state.older:
            found |= self._corrected_in_their_lines()
        for row, words in found.items():
            known = self._decisions.row(row)
            assert known is not None
            self._decisions.note_replaced(known, words, at)
        return len(found)

    def _repeats_with_own_keys(self) -> dict[int, str]:
        found: dict[int, str] = {}
        taken: set[int] = set()
        for row in list(rows_of(self._read(), kinds=("not_sent",))):
            if row.repeat_of is None or self.came(row.row):
                continue
            for other in self._written.with_key_and_content(row.digest):
                there = other.kind in ("accepted", "present") and self.came(other.row)
                if there and other.row not in taken:
                    taken.add(other.row)
                    found[row.row] = f"row {other.row} has its content"
                    break
        return found

    def _corrected_in_their_lines(self) -> dict[int, str]:
        state = self._decisions.state
        lines = {
            row.line: row.row
            for row in rows_of(self._read(), kinds=("rejected", "not_sent"))
            if row.row < state.first_row and _is_refused(row) and not self.came(row.row)
        }
        if not lines:
            return {}
        new, known = state.new_rows, state.known_came
        if new > known:
            return {}
        own = (
            row for row in rows_of(self._read(), after=state.first_row - 1) if state.is_own(row.row)
        )
        return {lines[row.line]: f"replaced by row {row.row}" for row in own if row.line in lines}


def _is_refused(row: StoredRow) -> bool:
    """Whether it was refused and can only be identified by its line."""
    if row.key is not None or row.line is None:
        return False
    return row.kind == "rejected" or not row.attempt
