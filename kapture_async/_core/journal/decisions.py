"""What to do with rows that come in: each decision fills the batch that is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import JournalError
from .pending import PendingRows, writable
from .records import (
    STATE_AFTER,
    Action,
    Decision,
    Identity,
    LookupVerdict,
    State,
    action_for,
    goes_again,
    trouble,
)
from .reference import traits_of
from .storage import KnownRow, NewRow

REPEAT = -1
"""The occurrence number of a row whose key belongs to another row."""
_UNSENT = frozenset({State.NOT_SENT, State.REJECTED})
"""States of rows that are not in the helpdesk."""
_RESPELLED = "its key is a variant spelling of an earlier key"
_NOT_PROVEN = (
    "OutcomeUnknownError",
    "the journal was replaced by an older copy, and a lookup could not prove that the row was not "
    "sent after that copy was made",
)
"""For a row that was not found but may be there: the error's class name, and a message."""


_NOTHING = Decision("new", 0, "", 0, State.NOT_SENT)
"""Nothing was written, as the caller asked."""


class Incoming(NamedTuple):
    """A row that comes from the source."""

    identity: Identity
    payload: bytes | None
    """The body it is sent with; ``None`` to keep it out of the journal."""
    at: float
    refusal: tuple[str, str] | None = None
    """Why it cannot be sent at all: the error's class name, and a message."""
    new: bool = False
    """It has certainly not been seen before, so it is not looked up."""
    verdict: LookupVerdict | None = None
    """Why it must not be sent, although the journal would allow it."""
    replaces: int | None = None
    """The refused row that it replaces, corrected."""
    probe: bool = False
    """If it is new, write nothing and answer ``new``."""
    ask_only: bool = False
    """The same if it is known and would be sent, or if anything about it would be written."""

    def __repr__(self) -> str:
        return f"<Incoming at {self.at}>"  # key, payload and words are the caller's


class Again(NamedTuple):
    """A row of the journal that is to be sent again."""

    row: int
    at: float
    verdict: LookupVerdict | None = None


class Decisions(PendingRows):
    """Decides for rows that come together, one after the other, and fills the batch with it."""

    def answer(self, incoming: Sequence[Incoming | Again]) -> list[Decision | JournalError]:
        """Decide for each, in order; an error where the journal has no such row."""
        self._note_what_came()
        self._look_ahead(incoming)
        return [
            self._take(one) if isinstance(one, Incoming) else self._take_again(one)
            for one in incoming
        ]

    def _look_ahead(self, incoming: Sequence[Incoming | Again]) -> None:
        keys: list[str] = []
        contents: dict[tuple[bytes, int], None] = {}
        rows: list[int] = []
        for one in incoming:
            if isinstance(one, Again):
                rows.append(one.row)
            elif not one.new:
                key, digest, _ = one.identity
                if key is None:
                    contents[digest, self.state.equal.get(digest, 0)] = None
                elif key not in self._by_key:
                    keys.append(key)
        found: list[KnownRow] = []
        if rows:
            found += self._storage.with_numbers(rows)
        if keys:
            for known in self._storage.with_keys(keys):
                found.append(known)
                assert known.key is not None
                self._by_key[known.key] = known
        if contents:
            for known in self._storage.with_contents(list(contents)):
                found.append(known)
                self._by_content[known.digest, known.occurrence] = known
        for known in found:
            self._now(known)

    # --- rows from the source -------------------------------------------------------------------

    def _take(self, one: Incoming) -> Decision:
        decided = self._decide(one)
        if one.replaces is not None:
            self._replace(one.replaces, decided, one.at)
        return decided

    def _decide(self, one: Incoming) -> Decision:
        identity, payload, at, refusal, _, verdict, _, probe, ask_only = one
        key, digest, line = identity
        state, occurrence = self.state, 0
        if key is not None:
            known = self._by_key.get(key)
            known = None if known is None else self._now(known)
        else:
            occurrence, known = self._find_equal(digest)
        if ask_only and not self._is_settled(known, digest):
            if key is None:  # it does not count as seen yet
                self._next[digest] = occurrence
            return _NOTHING
        if known is None:
            other = self._under_another_name(identity) if state.older else None
            if other is not None:
                if key is None:  # it is not one of its duplicates
                    self._next[digest] = occurrence
                return self._answer("renamed", other)
            if key is not None and state.older_with_key and not self.state.exact_keys:
                decided = self._under_another_spelling(one, key)
                if decided is not None:
                    return decided
            if probe and key is not None and refusal is None:
                return _NOTHING
            return self._new(one, occurrence)
        if key is not None and not known.has_content(digest):
            clash = self._clash(one, known)
            if clash is not None:
                return clash
        if self.came(known.row):
            return self._answer("repeated", known)
        # Only rows from the source are marked, and duplicates in order, so those marked are always
        # the first ones. A row that is sent again by its number is not marked.
        self._came.add(known.row)
        before = STATE_AFTER[known.kind]
        same = known.digest == digest or (
            before is not State.NOT_SENT and known.has_content(digest)
        )
        if refusal is None:
            action = self._action(known, same=same)
            if action != "send":
                if known.changed != (action == "changed"):
                    self._revise(known._replace(changed=int(action == "changed")))
                return self._answer(action, known)
        elif before not in _UNSENT:
            return self._answer(self._action(known, same=same), known)
        same = known.digest == digest
        if not same:
            # The row is not in the helpdesk, so its content may change.
            known = self._correct(known, digest, line, payload)
        if payload is not None and not _is_present(verdict):
            self._keep(known.row, payload)
        if refusal is None:
            return self._send(known, at, verdict)
        return self._refuse(known, refusal, at, same=same)

    def _is_settled(self, known: KnownRow | None, digest: bytes) -> bool:
        """Whether the row needs nothing sent and nothing written."""
        if known is None or not known.has_content(digest):
            return False
        return self.came(known.row) or self._action(known, same=known.digest == digest) != "send"

    def _action(self, known: KnownRow, *, same: bool) -> Action:
        if known.kind == "intent" and not self.is_open(known.row):
            return "elsewhere"
        return action_for(
            STATE_AFTER[known.kind],
            same=same,
            error=known.error,
            status=known.status,
            again=self.state.again,
        )

    def _new(self, one: Incoming, occurrence: int) -> Decision:
        (key, digest, line), payload, at, refusal, _, verdict, *_ = one
        (row,) = self.state.reserve(self._storage, 1)
        keeps = self._job.payloads and payload is not None and not _is_present(verdict)
        traits = 0 if payload is None else traits_of(payload)
        is_sent = refusal is None and verdict is None
        self.batch.new_rows.append(
            NewRow(
                row, key, line, digest, payload if keeps and payload else b"", traits, occurrence,
                is_sent=is_sent,
            )
        )  # fmt: skip
        known = KnownRow.new(row, key, line, digest, traits, occurrence=occurrence, attempts=0)
        self._latest[row] = known
        if key is not None:  # it may come again in this batch
            self._by_key[key] = known
        if is_sent:
            self._latest[row] = known._replace(attempts=1)
            self._opened[row] = 1
            self._move(None, "intent")
            return Decision("send", row, self._reference(known), 1, State.UNKNOWN)
        if refusal is None:
            assert verdict is not None
            return self._note_verdict(known, None, verdict, at)
        return self._not_sent("refused", known, refusal, at, None)

    def _correct(
        self, known: KnownRow, digest: bytes, line: int | None, payload: bytes | None
    ) -> KnownRow:
        """Give the row this content."""
        rejected = known.kind == "rejected" and not goes_again(known.error, known.status)
        former = known.former
        if rejected or (known.kind == "not_sent" and not known.attempt):
            former = (former or b"") + known.digest  # not to be tried again
        traits = 0 if payload is None else traits_of(payload)
        self.batch.payloads[known.row] = None
        return self._revise(known._replace(digest=digest, former=former, line=line, traits=traits))

    def _clash(self, one: Incoming, known: KnownRow) -> Decision | None:
        """A row with the key of another row but different content: a second row if the other one
        came in this run, or if it is in the helpdesk and this one was a second row in an earlier
        run. ``None`` if it is the same row, changed."""
        key, digest, _ = one.identity
        assert key is not None
        came = self.came(known.row)
        if not came and (not self._has_repeats or STATE_AFTER[known.kind] in _UNSENT):
            return None
        second = self._repeats_of(known.row, key, digest)
        if second is None:
            if not came:
                return None
            where = "" if known.line is None else f" (line {known.line})"
            words = f"its key stood in an earlier row{where}, with other content"
            return self._repeat(one, known, "clash", words)
        if self.came(second.row):
            return self._answer("repeated", second)
        self._came.add(second.row)
        return self._answer("done" if second.kind == "replaced" else "clash", second)

    def _under_another_spelling(self, one: Incoming, key: str) -> Decision | None:
        """For a row with a new key: the row of an earlier run whose key is another spelling of it,
        if both may be the same row."""
        digest = one.identity.digest
        found = [self._now(known) for known in self._storage.with_spelling_of(key)]
        found = [known for known in found if known.repeat_of is None]
        equal = next((known for known in found if known.has_content(digest)), None)
        if equal is not None and STATE_AFTER[equal.kind] not in _UNSENT:
            return self._answer("respelled", equal)
        absent = [known for known in found if not self.came(known.row)]
        if not absent:  # both spellings are in the source: two rows
            return None
        known = equal if equal is not None and equal in absent else absent[0]
        second = self._repeats_of(known.row, key, digest)
        if second is None:
            action: Action = "held" if one.refusal is None else "refused"
            return self._repeat(one, known, action, _RESPELLED)
        if self.came(second.row):
            return self._answer("repeated", second)
        self._came.add(second.row)
        if second.kind == "replaced" or one.refusal is not None:
            return self._answer("done" if second.kind == "replaced" else "refused", second)
        if one.payload is not None:
            self._keep(second.row, one.payload)
        return self._answer("held", second)

    def _repeat(self, one: Incoming, known: KnownRow, action: Action, words: str) -> Decision:
        """A row that is not sent because another row has its key."""
        (key, digest, line), payload, at, refusal, *_ = one
        (row,) = self.state.reserve(self._storage, 1)
        traits = 0 if payload is None else traits_of(payload)
        kept = payload if payload is not None and self._job.payloads else b""
        self.batch.new_rows.append(
            NewRow(row, key, line, digest, kept, traits, REPEAT, known.row, is_sent=False)
        )
        second = KnownRow.new(row, key, line, digest, traits, occurrence=REPEAT)
        second = second._replace(kind="not_sent", attempt=0, attempts=0, repeat_of=known.row)
        self._has_repeats = True
        self._repeats.append(second)
        self._latest[row] = second
        return self._not_sent(action, second, refusal or ("InvalidInputError", words), at, None)

    def _refuse(
        self, known: KnownRow, refusal: tuple[str, str], at: float, *, same: bool
    ) -> Decision:
        error, words = refusal
        said = (known.kind, known.attempt, known.error, known.words)
        if same and said == ("not_sent", 0, error, writable(words)):  # already recorded
            return self._answer("refused", known)._replace(error=error, words=words, status=None)
        return self._not_sent("refused", known, refusal, at, known.kind)

    def _not_sent(
        self, action: Action, known: KnownRow, why: tuple[str, str], at: float, old: str | None
    ) -> Decision:
        error, words = why
        self._event(known.row, "not_sent", 0, at, error=error, words=words)
        self._move(old, "not_sent")
        self._latest[known.row] = known._replace(
            kind="not_sent", attempt=0, ticket_id=None, status=None, error=error, words=words
        )
        return Decision(
            action, known.row, self._reference(known), known.attempts, State.NOT_SENT, None, error,
            words,
        )  # fmt: skip

    def _send(self, known: KnownRow, at: float, verdict: LookupVerdict | None = None) -> Decision:
        """A new attempt for a known row, under the same reference."""
        if verdict is not None:
            return self._note_verdict(known, known.kind, verdict, at)
        row, attempt = known.row, known.attempts + 1
        self._event(row, "intent", attempt, at)
        self._opened[row] = attempt
        self._move(known.kind, "intent")
        self._latest[row] = known._replace(
            kind="intent", attempt=attempt, attempts=attempt, ticket_id=None, status=None,
            error=None, words=None,
        )  # fmt: skip
        return Decision("send", row, self._reference(known), attempt, State.UNKNOWN)

    def _note_verdict(
        self, known: KnownRow, old: str | None, verdict: LookupVerdict, at: float
    ) -> Decision:
        """A row that a lookup found, or could not prove absent: it is not sent."""
        kind, ids, since, last = verdict
        row, attempt = known.row, known.attempts + 1
        evidence = json.dumps({"at": round(at, 3), "ticket_ids": list(ids), "older_copy": True})
        self._event(row, "intent", attempt, since)
        ticket_id = None
        if kind == "present":
            ticket_id = ids[0] if ids else None
            self._event(row, kind, attempt, at, ticket_id=ticket_id, evidence=evidence)
            self.batch.payloads[row] = None
        else:
            error, words = _NOT_PROVEN
            self._event(row, "unknown", attempt, last, error=error, words=words, evidence=evidence)
            if kind != "unknown":
                self._event(row, kind, attempt, at, evidence=evidence)
        self._move(old, kind)
        self._latest[row] = known._replace(
            kind=kind, attempt=attempt, attempts=attempt, ticket_id=ticket_id, status=None
        )
        action: Action = "done" if kind == "present" else "doubt"
        reference = self._reference(known)
        return Decision(action, row, reference, attempt, STATE_AFTER[kind], ticket_id)

    def _replace(self, row: int, decided: Decision, at: float) -> None:
        """A row of the journal came back, corrected, as another row."""
        if decided.row == row or decided.action in ("renamed", "respelled", "new"):
            return
        known = self.row(row)
        if known is not None and STATE_AFTER[known.kind] in _UNSENT and not self.is_open(row):
            self.note_replaced(known, f"replaced by row {decided.row}", at)

    # --- rows of the journal --------------------------------------------------------------------

    def _take_again(self, one: Again) -> Decision | JournalError:
        """For a known row: send it again in this run, or from its payload without the source."""
        known = self.row(one.row)
        if known is None:
            return trouble(self._storage.path, f"it has no row {one.row}")
        if known.repeat_of is not None:
            return self._take_held(known, one.at, one.verdict)
        if known.kind == "not_sent" and known.attempt == 0:
            return self._answer("refused", known)
        action = self._action(known, same=True)
        if action == "send":
            return self._send(known, one.at, one.verdict)
        return self._answer(action, known)

    def _take_held(self, held: KnownRow, at: float, verdict: LookupVerdict | None) -> Decision:
        """For a row that was held until the end of the source."""
        assert held.repeat_of is not None
        assert held.key is not None
        first = self.row(held.repeat_of)
        if first is None or held.kind == "replaced":
            return self._answer("done", held)
        if self.came(first.row):  # both spellings are in the source: two rows
            same = self._by_key.get(held.key)
            other = next(iter([same] if same else self._storage.with_keys([held.key])), None)
            if other is not None:  # a second row with this very key
                self._revise(held._replace(repeat_of=other.row))
                return self._answer("clash", held)
            held = self._revise(held._replace(repeat_of=None, occurrence=0))
            self._by_key[held.key or ""] = held
            return self._send(held, at, verdict)
        if STATE_AFTER[first.kind] not in _UNSENT:
            return self._answer("respelled", held)
        # It is that row, perhaps corrected, and is not in the helpdesk.
        self._came.add(first.row)
        payload = self._payload_of(held.row)
        if first.digest != held.digest:
            first = self._correct(first, held.digest, held.line, payload)
        self.note_replaced(
            held, f"replaced by row {first.row}, whose key is spelled differently", at
        )
        self.batch.payloads[first.row] = payload
        return self._send(first, at, verdict)

    def _payload_of(self, row: int) -> bytes | None:
        if row in self.batch.payloads:
            return self.batch.payloads[row]
        for new in self.batch.new_rows:
            if new.row == row:
                return new.payload or None
        return self._storage.payloads(row, row).get(row)

    def goes_as(self, row: int) -> str:
        """The reference under which a row held until the end of the source would be sent now: that
        of the row whose key is another spelling of its own, unless both are in the source.

        Raises:
            JournalError: there is no such row.
        """
        held = self.row(row)
        if held is None:
            raise trouble(self._storage.path, f"it has no row {row}")
        first = None if held.repeat_of is None else self.row(held.repeat_of)
        if first is None or self.came(first.row):
            return self._reference(held._replace(occurrence=0))
        return self._reference(first)


def _is_present(verdict: LookupVerdict | None) -> bool:
    return verdict is not None and verdict.kind == "present"
