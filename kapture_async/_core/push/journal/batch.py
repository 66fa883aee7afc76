"""Many rows that come in at once: what to do with each, and the few statements for all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from .facts import STATE_AFTER, Action, Identity, Job, Sighted, State, Taken, action_for
from .memory import Memory, writable
from .reference import reference_of
from .statements import (
    Known,
    delete_payloads,
    index_content,
    index_keyed_content,
    insert_facts,
    insert_intents,
    insert_rows,
    keyed_by_content,
    known_by_content,
    known_by_key,
    put_payloads,
)
from .traits import traits_of


class Incoming(NamedTuple):
    """A row that comes in."""

    identity: Identity
    payload: bytes | None
    """The body it is sent with; ``None`` to keep it out of the journal."""
    at: float
    refusal: tuple[str, str] | None = None
    """Why it cannot be sent at all: the error's class name, and words for a person."""
    new: bool = False
    """For sure, its name has not come before; so it is not looked up."""
    sighted: Sighted | None = None
    """Why it is not to be sent, though the journal would."""

    def __repr__(self) -> str:
        return f"<Incoming at {self.at}>"  # key, payload and words are the caller's


def _is_there(sighted: Sighted | None) -> bool:
    return sighted is not None and sighted.kind == "present"


_MAYBE = (
    "OutcomeUnknownError",
    "an older copy of the journal came in its place; a lookup has not proven that the row was not "
    "sent since that copy was made",
)
"""Of a row that was not found and may be there: the error's class name, and words."""


class Batch:
    """Decides for rows one after the other, then writes for all: :meth:`write`.

    Args:
        connection: in a transaction.
        memory: of the run.
        job: what the journal is for.
        incoming: the rows that will come; looked up in advance.
        again: class names of refusals after which the same content may be sent again.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        memory: Memory,
        job: Job,
        incoming: Sequence[Incoming],
        again: frozenset[str],
    ) -> None:
        self._connection = connection
        self._memory = memory
        self._job = job
        self._again = again
        self._rows: list[Any] = []
        self._facts: list[Any] = []
        self._intents: list[Any] = []
        self._payloads: list[Any] = []
        self._gone: list[int] = []
        self._found: list[int] = []
        self._mended: list[tuple[bytes, int | None, int, int]] = []
        self._by_key: dict[str, Known] = {}
        self._by_content: dict[tuple[bytes, int], Known] = {}
        self._indexed = False
        self._next: dict[bytes, int] = {}  # content -> the number of its next occurrence
        keys: list[str] = []
        contents: list[tuple[bytes, int]] = []
        for one in incoming:
            if one.new:
                continue
            key, digest, _ = one.identity
            if key is not None:
                keys.append(key)
            else:
                contents.append((digest, memory.equal.get(digest, 0)))
        if keys:
            self._by_key = known_by_key(connection, keys)
        if contents:
            self._by_content = self._find_all(list(dict.fromkeys(contents)))

    def take(self, one: Incoming) -> Taken:
        """Decide for the next row."""
        identity, payload, at, refusal, _, sighted = one
        key, digest, line = identity
        occurrence = 0
        if key is not None:
            known = self._by_key.get(key)
        else:
            occurrence, known = self._find_equal(digest)
        if known is None:
            other = self._under_another_name(identity) if self._memory.older else None
            if other is not None:
                if key is None:  # it is none of its equals
                    self._next[digest] = occurrence
                    if occurrence:
                        self._memory.equal[digest] = occurrence
                return self.answer("renamed", other)
            return self._new(one, occurrence)
        if self._memory.came(known.row):
            return self.answer("repeated", known)
        # Only what comes is marked, and equals in their order: so those that came are always
        # the first ones. A row that is taken again by its number has not come.
        self._memory.mark(known.row)
        state = STATE_AFTER[known.kind]
        same = known.digest == digest
        if refusal is None:
            action = action_for(
                state, same=same, error=known.error, status=known.status, again=self._again
            )
            if action != "send":
                return self.answer(action, known)
        elif state is State.NOT_SENT or state is State.REJECTED:
            action = "refused"
        else:
            return self.answer(action_for(state, same=same, error=None), known)
        if not same:
            # Nothing of the row is in the helpdesk, so it may become another.
            traits = 0 if payload is None else traits_of(payload)
            self._mended.append((digest, line, traits, known.row))
            self._gone.append(known.row)
        if payload is not None and self._job.payloads and not _is_there(sighted):
            self._payloads += (known.row, payload)
        if refusal is None:
            return self.resend(known, at, sighted)
        return self._refuse(known, refusal, at, same=same)

    def _find_equal(self, digest: bytes) -> tuple[int, Known | None]:
        """The occurrence number this row has among its equals, and the row if it is known."""
        memory = self._memory
        number = self._next.get(digest)
        if number is None:
            number = memory.equal.get(digest, 0)
            known = self._by_content.get((digest, number))
            # The bits alone tell a content that came once from one that did not come.
            while known is not None and memory.came(known.row):
                number += 1
                known = self._look_up(digest, number)
        else:
            known = self._look_up(digest, number)
        self._next[digest] = number + 1
        if number:
            memory.equal[digest] = number + 1
        return number, known

    def _look_up(self, digest: bytes, number: int) -> Known | None:
        return self._find_all([(digest, number)]).get((digest, number))

    def _find_all(self, contents: list[tuple[bytes, int]]) -> dict[tuple[bytes, int], Known]:
        if not self._memory.content_is_indexed:
            index_content(self._connection)
            self._memory.content_is_indexed = True
        return known_by_content(self._connection, contents)

    def _under_another_name(self, identity: Identity) -> Known | None:
        """For a new row with a key: one of an earlier run with the same content and none; or the
        reverse. One that came in this run as well is another row."""
        key, digest, _ = identity
        memory = self._memory
        if key is not None:
            if not memory.older_without_key:
                return None
            number = 0
            found = self._look_up(digest, number)
            while found is not None and memory.came(found.row):
                number += 1
                found = self._look_up(digest, number)
        else:
            if not memory.older_with_key:
                return None
            if not self._indexed:
                self._indexed = True
                index_keyed_content(self._connection)
            same = keyed_by_content(self._connection, digest)
            found = next((one for one in same if not memory.came(one.row)), None)
        return found if found is not None and found.row < memory.first_row else None

    def _new(self, one: Incoming, occurrence: int) -> Taken:
        (key, digest, line), payload, at, refusal, _, sighted = one
        memory = self._memory
        row = next(memory.row_numbers)
        traits = 0 if payload is None else traits_of(payload)
        self._rows += (row, key, digest, occurrence, line, at, traits)
        if payload is not None and self._job.payloads and not _is_there(sighted):
            self._payloads += (row, payload)
        reference = reference_of(self._job.job_id, key, digest, occurrence)
        if refusal is None and sighted is not None:
            taken = self._note_sighted(row, 0, None, reference, sighted, at)
            kind, attempt, error, words = str(sighted.kind), 1, None, None
        elif refusal is None:
            memory.intent(self._intents, row, 1, at)
            memory.move(None, "intent")
            taken = Taken("send", row, reference, 1, State.UNKNOWN)
            kind, attempt, error, words = "intent", 1, None, None
        else:
            error, words = refusal
            memory.fact(self._facts, row, "not_sent", 0, at, error=error, words=words)
            memory.move(None, "not_sent")
            taken = Taken("refused", row, reference, 0, State.NOT_SENT, None, error, words)
            kind, attempt = "not_sent", 0
        if key is not None:  # it may come again in this very batch
            self._by_key[key] = Known(
                row, key, digest, 0, kind, attempt, None, None, error, words, attempt
            )
        return taken

    def _note_sighted(
        self, row: int, attempts: int, old: str | None, reference: str, sighted: Sighted, at: float
    ) -> Taken:
        """A row that a lookup has found, or has not proven absent: it is not sent."""
        memory, facts, (kind, ids, since, last) = self._memory, self._facts, sighted
        attempt = attempts + 1
        evidence = json.dumps({"at": round(at, 3), "ticket_ids": list(ids), "older_copy": True})
        if kind == "present":
            ticket_id = ids[0] if ids else None
            memory.fact(facts, row, kind, attempt, at, ticket_id=ticket_id, evidence=evidence)
            self._found.append(row)
        else:
            ticket_id = None
            memory.fact(facts, row, "intent", attempt, since)
            said: dict[str, Any] = {"error": _MAYBE[0], "words": _MAYBE[1], "evidence": evidence}
            memory.fact(facts, row, "unknown", attempt, last, **said)
            if kind != "unknown":
                memory.fact(facts, row, kind, attempt, at, evidence=evidence)
        memory.move(old, kind)
        action: Action = "done" if kind == "present" else "doubt"
        return Taken(action, row, reference, attempt, STATE_AFTER[kind], ticket_id)

    def resend(self, known: Known, at: float, sighted: Sighted | None = None) -> Taken:
        """A new attempt of a row the journal holds, under the same reference."""
        if sighted is not None:
            reference = self._reference(known)
            return self._note_sighted(known.row, known.attempts, known.kind, reference, sighted, at)
        memory, row = self._memory, known.row
        attempt = known.attempts + 1
        memory.intent(self._intents, row, attempt, at)
        memory.move(known.kind, "intent")
        return Taken("send", row, self._reference(known), attempt, State.UNKNOWN)

    def _refuse(self, known: Known, refusal: tuple[str, str], at: float, *, same: bool) -> Taken:
        memory, row = self._memory, known.row
        error, words = refusal
        said = (known.kind, known.attempt, known.error, known.words)
        if not same or said != ("not_sent", 0, error, writable(words)):
            memory.fact(self._facts, row, "not_sent", 0, at, error=error, words=words)
            memory.move(known.kind, "not_sent")
        return Taken(
            "refused",
            row,
            self._reference(known),
            known.attempts,
            State.NOT_SENT,
            None,
            error,
            words,
        )

    def answer(self, action: Action, known: Known) -> Taken:
        """An answer by which nothing is sent."""
        return Taken(
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

    def write(self) -> None:
        """Write what was decided."""
        connection = self._connection
        insert_rows(connection, self._rows)
        if self._mended:
            connection.executemany(
                "UPDATE rows SET digest = ?, line = ?, traits = ? WHERE row = ?", self._mended
            )
            delete_payloads(connection, self._gone)
        delete_payloads(connection, self._found)
        put_payloads(connection, self._payloads)
        insert_intents(connection, self._intents)
        insert_facts(connection, self._facts)

    def _reference(self, known: Known) -> str:
        return reference_of(self._job.job_id, known.key, known.digest, known.occurrence)
