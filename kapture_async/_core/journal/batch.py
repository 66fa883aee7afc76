"""Many rows that come in at once: what to do with each, and the few statements for all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from .memory import Memory, writable
from .records import (
    STATE_AFTER,
    Action,
    Identity,
    Job,
    Sighted,
    State,
    Taken,
    action_for,
    goes_again,
)
from .reference import reference_of
from .spelling import other_spellings
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
    known_by_number,
    put_payloads,
    repeats_of,
)
from .traits import traits_of

REPEAT = -1
"""In place of the occurrence number of a row whose key another row has."""
_FREE = frozenset({State.NOT_SENT, State.REJECTED})
"""Nothing of such a row is in the helpdesk."""
_RESPELLED = "its key is another spelling of a key that an earlier run had"


def _clash_words(known: Known) -> str:
    where = "" if known.line is None else f" (line {known.line})"
    return f"its key stood in an earlier row{where}, with other content"


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
    replaces: int | None = None
    """The row whose place it takes: one that was refused, and mended."""
    probe: bool = False
    """If it is new, nothing is written, and the answer is ``new``."""

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
        exact: another spelling of a key is another key.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        memory: Memory,
        job: Job,
        incoming: Sequence[Incoming],
        again: frozenset[str],
        exact: bool = False,
    ) -> None:
        self._exact = exact
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
        self._replaced: list[int] = []
        self._changed: list[tuple[int, int]] = []
        self._mended: list[tuple[bytes, bytes | None, int | None, int, int]] = []
        self._written: tuple[list[Any], ...] = (
            self._rows, self._facts, self._intents, self._payloads, self._gone, self._found,
            self._replaced, self._mended, self._changed,
        )  # fmt: skip
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
        taken = self._take(one)
        if one.replaces is not None:
            self._replace(one.replaces, taken, one.at)
        return taken

    def _take(self, one: Incoming) -> Taken:
        identity, payload, at, refusal, _, sighted, _, probe = one
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
            if key is not None and self._memory.older_with_key and not self._exact:
                taken = self._under_another_spelling(one, key)
                if taken is not None:
                    return taken
            if probe and key is not None and refusal is None:
                return Taken("new", 0, "", 0, State.NOT_SENT)
            return self._new(one, occurrence)
        if key is not None and not known.holds(digest):
            clash = self._clash(one, known)
            if clash is not None:
                return clash
        if self._memory.came(known.row):
            return self.answer("repeated", known)
        # Only what comes is marked, and equals in their order: so those that came are always
        # the first ones. A row that is taken again by its number has not come.
        self._memory.mark(known.row)
        state = STATE_AFTER[known.kind]
        same = known.digest == digest or (state is not State.NOT_SENT and known.holds(digest))
        if refusal is None:
            action = action_for(
                state, same=same, error=known.error, status=known.status, again=self._again
            )
            if action != "send":
                if known.changed != (action == "changed"):
                    self._changed.append((int(action == "changed"), known.row))
                return self.answer(action, known)
        elif state is State.NOT_SENT or state is State.REJECTED:
            action = "refused"
        else:
            return self.answer(action_for(state, same=same, error=None), known)
        same = known.digest == digest
        if not same:
            # Nothing of the row is in the helpdesk, so it may become another.
            self._mend(known, digest, line, payload)
        if payload is not None and self._job.payloads and not _is_there(sighted):
            self._payloads += (known.row, payload)
        if refusal is None:
            return self.resend(known, at, sighted)
        return self._refuse(known, refusal, at, same=same)

    def _mend(self, known: Known, digest: bytes, line: int | None, payload: bytes | None) -> None:
        """The row has this content from now on."""
        refused = known.kind == "rejected" and not goes_again(known.error, known.status)
        former = known.former
        if refused or (known.kind == "not_sent" and not known.attempt):
            former = (former or b"") + known.digest  # it is not to be tried again
        traits = 0 if payload is None else traits_of(payload)
        self._mended.append((digest, former, line, traits, known.row))
        self._gone.append(known.row)
        if known.key is not None:  # it may come again in this very batch
            self._by_key[known.key] = known._replace(digest=digest, former=former, line=line)

    def _clash(self, one: Incoming, known: Known) -> Taken | None:
        """A row with the key of another, and with other content: a second row, if the other one
        came in this run, or is in the helpdesk and this one was a second row in an earlier run.
        ``None`` if it is the other one, changed."""
        memory, (_, digest, _) = self._memory, one.identity
        came = memory.came(known.row)
        if not came and (not memory.has_repeats or STATE_AFTER[known.kind] in _FREE):
            return None
        found = self._repeats_of(known.row, digest)
        key = one.identity.key
        second = next((each for each in found if each.key == key), None)
        if second is None:
            return self._second(one, known, "clash", _clash_words(known)) if came else None
        if memory.came(second.row):
            return self.answer("repeated", second)
        memory.mark(second.row)
        done = second.kind == "replaced"
        return self.answer("done" if done else "clash", second)

    def _under_another_spelling(self, one: Incoming, key: str) -> Taken | None:
        """For a row with a key that no row has: one of an earlier run that has it in another
        spelling, if it may be the same row."""
        memory, digest = self._memory, one.identity.digest
        found = other_spellings(
            self._connection, key, memory.first_row, is_listed=memory.spellings_are_listed
        )
        memory.spellings_are_listed = True
        equal = next((known for known in found if known.holds(digest)), None)
        if equal is not None and STATE_AFTER[equal.kind] not in _FREE:
            return self.answer("respelled", equal)
        gone = [known for known in found if not memory.came(known.row)]
        if not gone:  # both spellings are in the source: two rows
            return None
        known = equal if equal in gone and equal is not None else gone[0]
        found = self._repeats_of(known.row, digest)
        second = next((each for each in found if each.key == key), None)
        if second is None:
            action: Action = "held" if one.refusal is None else "refused"
            return self._second(one, known, action, _RESPELLED)
        if memory.came(second.row):
            return self.answer("repeated", second)
        memory.mark(second.row)
        if second.kind == "replaced" or one.refusal is not None:
            return self.answer("done" if second.kind == "replaced" else "refused", second)
        if one.payload is not None and self._job.payloads:
            self._payloads += (second.row, one.payload)
        return self.answer("held", second)

    def _repeats_of(self, row: int, digest: bytes) -> list[Known]:
        memory = self._memory
        if not memory.has_repeats:
            return []
        self.write()
        return repeats_of(self._connection, row, digest)

    def _second(self, one: Incoming, known: Known, action: Action, words: str) -> Taken:
        """A row that is not sent, as another one has its key."""
        (key, digest, line), payload, at, refusal, *_ = one
        memory = self._memory
        row = next(memory.row_numbers)
        memory.has_repeats = True
        traits = 0 if payload is None else traits_of(payload)
        self._rows += (row, key, digest, REPEAT, line, at, traits, known.row)
        if payload is not None and self._job.payloads:
            self._payloads += (row, payload)
        error = "InvalidInputError"
        if refusal is not None:
            error, words = refusal
        memory.fact(self._facts, row, "not_sent", 0, at, error=error, words=words)
        memory.move(None, "not_sent")
        reference = reference_of(self._job.job_id, key, digest, REPEAT)
        return Taken(action, row, reference, 0, State.NOT_SENT, None, error, words)

    def take_held(self, held: Known, at: float, sighted: Sighted | None = None) -> Taken:
        """Decide for a row that was held till the end of the source."""
        assert held.repeat_of is not None
        assert held.key is not None
        memory, connection = self._memory, self._connection
        first = known_by_number(connection, held.repeat_of)
        if first is None or held.kind == "replaced":
            return self.answer("done", held)
        if memory.came(first.row):  # both spellings are in the source: two rows
            other = known_by_key(connection, [held.key]).get(held.key)
            if other is not None:  # a second row with this very key
                connection.execute(
                    "UPDATE rows SET repeat_of = ? WHERE row = ?", (other.row, held.row)
                )
                return self.answer("clash", held)
            connection.execute(
                "UPDATE rows SET repeat_of = NULL, occurrence = 0 WHERE row = ?", (held.row,)
            )
            return self.resend(held._replace(repeat_of=None, occurrence=0), at, sighted)
        if STATE_AFTER[first.kind] not in _FREE:
            return self.answer("respelled", held)
        # It is that row, mended perhaps: nothing of it is in the helpdesk.
        memory.mark(first.row)
        if first.digest != held.digest:
            kept = connection.execute(
                "SELECT payload FROM payloads WHERE row = ?", (held.row,)
            ).fetchone()
            self._mend(first, held.digest, held.line, kept and kept[0])
            self.write()
        connection.execute("DELETE FROM payloads WHERE row = ?", (first.row,))
        connection.execute("UPDATE payloads SET row = ? WHERE row = ?", (first.row, held.row))
        self._note_replaced(held, f"it is row {first.row}, with its key in another spelling", at)
        return self.resend(first, at, sighted)

    def goes_as(self, held: Known) -> str:
        """The reference of a row that was held till the end of the source, were it sent now: that
        of the row whose key it has in another spelling, unless both are in the source."""
        first = None
        if held.repeat_of is not None:
            first = known_by_number(self._connection, held.repeat_of)
        if first is None or self._memory.came(first.row):
            return self._reference(held._replace(occurrence=0))
        return self._reference(first)

    def _replace(self, row: int, taken: Taken, at: float) -> None:
        """A row of the journal that was mended came as another one."""
        if taken.row == row or taken.action in ("renamed", "respelled", "new"):
            return
        self.write()
        known = known_by_number(self._connection, row)
        if known is not None and STATE_AFTER[known.kind] in _FREE and row not in self._memory.open:
            self._note_replaced(known, f"row {taken.row} is what it was mended to", at)

    def _note_replaced(self, known: Known, words: str, at: float) -> None:
        memory = self._memory
        memory.fact(self._facts, known.row, "replaced", known.attempts, at, words=words)
        memory.move(known.kind, "replaced")
        self._replaced.append(known.row)

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
        (key, digest, line), payload, at, refusal, _, sighted, *_ = one
        memory = self._memory
        row = next(memory.row_numbers)
        traits = 0 if payload is None else traits_of(payload)
        self._rows += (row, key, digest, occurrence, line, at, traits, None)
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
                row, key, digest, 0, kind, attempt, None, None, error, words, attempt, line=line
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
            memory.fact(facts, row, "intent", attempt, since)
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
        """Write what was decided so far."""
        connection = self._connection
        if self._mended:
            connection.executemany(
                "UPDATE rows SET digest = ?, former = ?, line = ?, traits = ? WHERE row = ?",
                self._mended,
            )
            delete_payloads(connection, self._gone)
        delete_payloads(connection, self._found)
        if self._changed:
            connection.executemany("UPDATE rows SET changed = ? WHERE row = ?", self._changed)
        insert_rows(connection, self._rows)
        put_payloads(connection, self._payloads)
        insert_intents(connection, self._intents)
        insert_facts(connection, self._facts)
        if self._replaced:
            delete_payloads(connection, self._replaced)
        for some in self._written:
            some.clear()

    def _reference(self, known: Known) -> str:
        return reference_of(self._job.job_id, known.key, known.digest, known.occurrence)
