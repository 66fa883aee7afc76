"""The writing side of a journal: synchronous, one thread at a time, no asyncio.

Speed here is a matter of how often the interpreter's lock changes hands: SQLite gives it up for
every statement, and gets it back only when the event loop's thread next waits. So rows that are
new, and ends, are one statement for all (:meth:`Store.put`), and a batch of rows that have to be
looked up is a handful, whatever its size.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from ..errors import JournalError
from .batch import Batch, Incoming
from .books import close_books
from .group import Group
from .memory import writable
from .names import Names
from .owned import OwnedJournal
from .records import (
    DOUBTS,
    OUTCOMES,
    STATE_AFTER,
    VERDICTS,
    Counts,
    Identity,
    Kind,
    Settled,
    Sighted,
    State,
    Taken,
    action_for,
    check_identity,
)
from .reference import DIGEST
from .spelling import fold
from .statements import (
    ANOTHER_RUN,
    Known,
    delete_payloads,
    index_keyed_content,
    insert_facts,
    insert_group,
    keyed_by_content,
    known_by_number,
)
from .trouble import same_again, trouble

# SQLite's module is slow with enums.
_OUTCOMES: dict[str, str] = {kind.value: kind.value for kind in OUTCOMES}


_OTHER_OUTCOMES = frozenset(_OUTCOMES) - {Kind.ACCEPTED.value}
_NOT_THERE = frozenset({State.REJECTED, State.NOT_SENT})


class Store(OwnedJournal):
    """A journal opened for writing, by one process, from one thread at a time.

    Facts are written inside :meth:`transaction`. What it has made durable when it is left may
    be acted upon, and nothing before.

    Attributes:
        exact_keys: another spelling of a key is another key.
    """

    exact_keys = False

    @property
    def row_numbers(self) -> Iterator[int]:
        """Numbers for new rows; may be drawn from in any thread."""
        return self._memory.row_numbers

    def learn_names(self) -> Names:
        """The names of all rows there are."""
        names = Names()
        memory = self._memory
        names.content_counts = memory.older_without_key
        spellings = None
        if memory.older_with_key and not self.exact_keys:
            names.spellings = spellings = Names()
        for key, digest in self._each("SELECT key, digest FROM rows", []):
            names.add(digest)
            if key is not None:
                names.add(key)
                if spellings is not None:
                    spellings.add(fold(key))
        return names

    def take(self, identity: Identity, payload: bytes | None, at: float) -> Taken:
        """Decide what to do with a row; with ``send``, its intent is written.

        Args:
            identity: which row it is.
            payload: the body it would be sent with; ``None`` to keep it out of the journal.
            at: the wall clock.

        Raises:
            InvalidInputError: its key is empty or unreadable. Nothing was written.
        """
        check_identity(identity)
        return self.take_many([Incoming(identity, payload, at)])[0]

    def refuse(
        self, identity: Identity, payload: bytes | None, error: str, words: str, at: float
    ) -> Taken:
        """Note a row that cannot be sent as it is: ``refused``, unless it is in the helpdesk
        already, in doubt, or repeated.

        Args:
            identity: which row it is.
            payload: whatever helps to mend it.
            error: the error's class name.
            words: why, for a person.
            at: the wall clock.
        """
        check_identity(identity)
        return self.take_many([Incoming(identity, payload, at, (error, words))])[0]

    def take_many(self, incoming: Sequence[Incoming]) -> list[Taken]:
        """:meth:`take` or :meth:`refuse` for each, in order; identities are checked before."""
        self._check_transaction()
        batch = self._batch(incoming)
        taken = [batch.take(one) for one in incoming]
        batch.write()
        return taken

    def put(self, group: Group) -> None:
        """Write the new rows and the ends of a group; in a transaction, or as one.

        Raises:
            JournalError: an attempt ended that was not under way, or it could not be made
                durable; the store takes nothing more then.
        """
        alone = not self._connection.in_transaction
        if self.broken is not None:
            raise same_again(self.broken)
        try:
            self._put(group)
        except BaseException as error:
            if alone:
                self.rollback()
            if str(error) == ANOTHER_RUN:
                error = self._not_ours()
            raise self._break(error) from error
        if alone:
            self._has_committed()

    def _put(self, group: Group) -> None:
        memory, columns = self._memory, [group.rows[at :: group.ROW] for at in range(group.ROW)]
        rows, keys, lines, digests, payloads, traits, _ = columns
        accepted = [group.accepted[at :: group.ACCEPTED] for at in range(group.ACCEPTED - 1)]
        ended = [group.ended[at :: group.ENDED] for at in range(group.ENDED - 1)]
        for ends, attempts, *_ in (accepted, ended):
            wrong = memory.end_all(ends, attempts)
            if wrong is not None:
                raise trouble(self.path, f"an attempt of row {wrong} ended that was not under way")
        if not _OTHER_OUTCOMES.issuperset(ended[2]):
            raise trouble(self.path, "an attempt ended in a way that is none")
        memory.move("intent", "accepted", len(accepted[0]))
        for kind, count in Counter(ended[2]).items():
            memory.move("intent", kind, count)
        if any(len(digest) != DIGEST for digest in digests):
            raise trouble(self.path, "the digest of a row has another length")
        memory.begin_all(rows)
        lengths = [len(payload) or None for payload in payloads]
        starts = accumulate((DIGEST + (length or 0) for length in lengths), initial=1)
        contents = [part for both in zip(digests, payloads, strict=True) for part in both]
        insert_group(
            self._connection,
            self._run,
            group.at,
            memory.facts_from(len(accepted[0]) + len(ended[0])),
            # There is a start too many.
            zip(rows, keys, lines, starts, lengths, traits, strict=False),
            b"".join(contents),
            zip(*accepted, strict=True),
            zip(*ended, strict=True),
        )

    def take_again(self, row: int, at: float, sighted: Sighted | None = None) -> Taken:
        """Decide what to do with a row the journal holds, as it holds it: to send it once more in
        this run, or from its payload without the source.

        Args:
            row: its number.
            at: the wall clock.
            sighted: why it is not to be sent, if a lookup says so.

        Raises:
            JournalError: there is no such row.
        """
        self._check_transaction()
        known = known_by_number(self._connection, row)
        if known is None:
            raise trouble(self.path, f"it has no row {row}")
        batch = self._batch([])
        if known.repeat_of is not None:
            taken = batch.take_held(known, at, sighted)
        elif known.kind == "not_sent" and known.attempt == 0:
            taken = batch.answer("refused", known)
        else:
            action = action_for(
                STATE_AFTER[known.kind],
                same=True,
                error=known.error,
                status=known.status,
                again=self._again,
            )
            taken = (
                batch.resend(known, at, sighted)
                if action == "send"
                else batch.answer(action, known)
            )
        batch.write()
        return taken

    def goes_as(self, rows: Sequence[int]) -> list[str]:
        """The references of rows that were held till the end of the source, were they sent now.

        Raises:
            JournalError: there is no such row.
        """
        batch, references = self._batch([]), []
        for row in rows:
            known = known_by_number(self._connection, row)
            if known is None:
                raise trouble(self.path, f"it has no row {row}")
            references.append(batch.goes_as(known))
        return references

    def _batch(self, incoming: Sequence[Incoming]) -> Batch:
        return Batch(
            self._connection, self._memory, self.job, incoming, self._again, self.exact_keys
        )

    def with_other_keys(self, digests: Sequence[bytes]) -> int:
        """How many of these contents rows of earlier runs have that bear keys."""
        self._check_transaction()
        index_keyed_content(self._connection)
        first = self._memory.first_row
        return sum(
            any(known.row < first for known in keyed_by_content(self._connection, digest))
            for digest in digests
        )

    @property
    def has_older_keys(self) -> bool:
        """Whether earlier runs had rows with keys."""
        return self._memory.older_with_key

    def close_books(self, at: float, *, same_source: bool) -> int:
        """At the end of a source that was read whole: see which rows that were refused have been
        given again as others, and need no further care. Returns how many.

        Args:
            at: the wall clock.
            same_source: it is the very source of the earlier runs, mended perhaps.
        """
        self._check_transaction()
        return close_books(self._connection, self._memory, at, same_source=same_source)

    def settle(
        self,
        row: int,
        attempt: int,
        kind: Kind | str,
        at: float,
        *,
        phase: int | None = None,
        status: int | None = None,
        ticket_id: str | None = None,
        error: str | None = None,
        words: str | None = None,
    ) -> None:
        """Write how an attempt of this run ended.

        Raises:
            JournalError: that attempt is not under way. Nothing was written.
        """
        end = Settled(row, attempt, kind, at, phase, status, ticket_id, error, words)
        (problem,) = self.settle_many([end])
        if problem is not None:
            raise problem

    def settle_many(self, ends: Sequence[Settled]) -> list[JournalError | None]:
        """:meth:`settle` for each; gives for each ``None``, or why it was not written."""
        self._check_transaction()
        problems: list[JournalError | None] = []
        facts: list[Any] = []
        gone: list[int] = []
        memory = self._memory
        counted: dict[str, int] = {}
        for row, attempt, named, at, phase, status, ticket_id, error, words in ends:
            kind = _OUTCOMES.get(named)
            if kind is None or memory.open.get(row) != attempt:
                words = f"row {row} has no attempt {attempt} under way that could end as {named}"
                problems.append(trouble(self.path, words))
                continue
            memory.end(row)
            memory.fact(facts, row, kind, attempt, at, phase, status, ticket_id, error, words)
            counted[kind] = counted.get(kind, 0) + 1
            if kind == "accepted":
                gone.append(row)
            problems.append(None)
        for kind, count in counted.items():
            memory.move("intent", kind, count)
        insert_facts(self._connection, facts)
        if self.job.payloads:  # else there are none: see OwnedJournal
            delete_payloads(self._connection, gone)
        return problems

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
        """Write what a look at the helpdesk, or a person, said of a row in doubt.

        Args:
            row: the row.
            kind: one of ``missing``, ``present``, ``absent``, ``ambiguous``, ``probable``.
            at: the wall clock.
            ticket_id: the ticket that was found.
            words: who said so, if it was no look.
            evidence: what it is based on; anything JSON can hold.

        Raises:
            JournalError: the row is not in doubt, or under way just now.
        """
        self._check_transaction()
        known = known_by_number(self._connection, row)
        state = None if known is None else STATE_AFTER[known.kind]
        if known is None or state not in DOUBTS or row in self._memory.open or kind not in VERDICTS:
            raise trouble(self.path, f"row {row} is not in doubt; it cannot be {kind}")
        said = None if evidence is None else json.dumps(evidence)
        self._say(known, Kind(kind), at, ticket_id, words, said)

    def found_after_all(
        self, row: int, at: float, *, ticket_id: str | None, evidence: Mapping[str, Any]
    ) -> None:
        """Write that a row that was refused or not sent is in the helpdesk: it is present.

        Args:
            row: the row.
            at: the wall clock.
            ticket_id: the ticket that was found.
            evidence: what it is based on; anything JSON can hold.

        Raises:
            JournalError: the row is neither, or under way just now.
        """
        self._check_transaction()
        known = known_by_number(self._connection, row)
        state = None if known is None else STATE_AFTER[known.kind]
        if known is None or state not in _NOT_THERE or row in self._memory.open:
            raise trouble(self.path, f"row {row} is neither rejected nor not sent")
        self._say(known, Kind.PRESENT, at, ticket_id, None, json.dumps(evidence))

    def contradict(self, row: int, kind: str, ticket_ids: Sequence[str], at: float) -> None:
        """Note what contradicts the state of a row. What stands there already is not noted again.

        Args:
            row: the row.
            kind: one of :class:`.findings.Contradicts`.
            ticket_ids: the tickets that were found, sorted.
            at: the wall clock.
        """
        self._check_transaction()
        self._connection.execute(
            "INSERT OR IGNORE INTO findings (row, kind, ticket_ids, at) VALUES (?, ?, ?, ?)",
            (row, str(kind), writable(json.dumps(list(ticket_ids))), at),
        )

    def doubt(self, row: int, ticket_id: str, at: float, words: str) -> bool:
        """Write that an accepted row is in doubt after all, as another got its id.

        Args:
            row: the row.
            ticket_id: that id.
            at: the wall clock.
            words: why, naming the other row.

        Returns:
            Whether the row was accepted with this id. If not, nothing was written.
        """
        self._check_transaction()
        known = known_by_number(self._connection, row)
        if (
            known is None
            or STATE_AFTER[known.kind] is not State.ACCEPTED
            or known.ticket_id != ticket_id
            or row in self._memory.open
        ):
            return False
        facts: list[Any] = []
        self._memory.fact(
            facts, row, "unknown", known.attempts, at, error="AnswerMismatchError", words=words
        )
        insert_facts(self._connection, facts)
        self._memory.move(known.kind, "unknown")
        return True

    def rows_with(self, ticket_ids: set[str]) -> list[tuple[int, str]]:
        """The rows that were ever given one of these ids: row and id."""
        found = self._each("SELECT row, ticket_id FROM facts WHERE ticket_id IS NOT NULL", [])
        return [(row, ticket_id) for row, ticket_id in found if ticket_id in ticket_ids]

    def last_ids(self, most: int) -> list[tuple[int, str]]:
        """The ids of the last rows that got one: row and id, the last first."""
        question = (
            "SELECT row, ticket_id FROM facts WHERE ticket_id IS NOT NULL ORDER BY row DESC LIMIT ?"
        )
        return list(self._each(question, [most]))

    def look(self, at: float, evidence: Mapping[str, Any]) -> int:
        """Note a look at the helpdesk. Returns its number."""
        self._check_transaction()
        cursor = self._connection.execute(
            "INSERT INTO looks (at, evidence) VALUES (?, ?)", (at, json.dumps(evidence))
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def counts(self) -> Counts:
        """How many rows are in which state, from memory."""
        return Counts.of(self._memory.tally)

    def came(self, row: int) -> bool:
        """Whether the row came from the source in this run."""
        return self._memory.came(row)

    @property
    def under_way(self) -> int:
        """How many rows have an attempt of this run without an end."""
        return len(self._memory.open)

    def _say(
        self,
        known: Known,
        kind: Kind,
        at: float,
        ticket_id: str | None,
        words: str | None,
        evidence: str | None,
    ) -> None:
        facts: list[Any] = []
        self._memory.fact(
            facts,
            known.row,
            kind.value,
            known.attempts,
            at,
            ticket_id=ticket_id,
            words=words,
            evidence=evidence,
        )
        insert_facts(self._connection, facts)
        self._memory.move(known.kind, kind.value)
        if kind is Kind.PRESENT:
            delete_payloads(self._connection, [known.row])

    def _check_transaction(self) -> None:
        if not self._connection.in_transaction:
            raise RuntimeError("facts are written inside a transaction")
