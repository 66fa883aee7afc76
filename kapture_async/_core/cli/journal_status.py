"""How a push stands according to its journal: for ``status`` and the end of other commands."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from attrs import frozen

from ..journal.marks import Mark
from ..journal.reader import ReadJournal, Reason
from ..journal.records import (
    BY_PERSON,
    Contradiction,
    Counts,
    Doubt,
    Job,
    Kind,
    Owner,
    PastLookup,
    Run,
    State,
    goes_again,
    later_of,
)
from .saved_options import SavedOptions

_DOUBTS_NAMED = 5
_OPEN_NAMED = 5
_CONTRADICTIONS_NAMED = 20
LINE = re.compile(r"^(?:line|row) \d+: ")
"""Precedes a reason; the line is shown beside it anyway."""
_LOST = "no outcome was recorded"
_SAID = "marked absent by you; will be sent next time"
_ABSENT = "looked up twice and not found; will be sent next time"


@frozen
class Open:
    """A row for a person to resolve, with the tickets that may be it."""

    key: str | None
    line: int | None
    state: State
    ticket_ids: tuple[str, ...]


@frozen(kw_only=True)
class JournalStatus:
    """What is in the helpdesk, what is not, and what is in doubt.

    Attributes:
        path: of the journal.
        job: what it is for.
        saved: the saved options of the push, if a command line made it.
        counts: rows by their state.
        under_way: of the unknown ones, those that a running push is sending now.
        owner: the process that is using it now.
        last_run: the latest process that used it.
        last_look: the latest lookup in the helpdesk.
        changed: rows in the helpdesk that came with other content later.
        later: rejected rows that the next push resends as they are.
        refused: rows not sent that cannot be sent as they are.
        token_refused: of those for later, the ones whose token was refused.
        reasons: why rows are not in the helpdesk, by state, the most frequent first.
        doubts: the first rows in doubt.
        doubts_since: when the first of them was sent.
        doubts_until: when one of them was last in flight.
        open: the first rows for a person to resolve.
        left_open: rows in doubt that lookups have not resolved.
        to_resolve: one of all those for a person to resolve.
        contradictions: the first of those between lookups and recorded outcomes.
        contradicted: their numbers, by kind.
        proved: the share of the rows that the last verification proved, and when.
        older_copy: it does not know all that was sent; see :mod:`..push.journal.marks`.
        newer: what this machine remembers of the newer copy, if anything.
    """

    path: str
    job: Job
    saved: SavedOptions | None
    counts: Counts
    under_way: int
    owner: Owner | None
    last_run: Run | None
    last_look: PastLookup | None
    changed: int
    later: int
    refused: int
    token_refused: int
    reasons: tuple[tuple[State, str, int], ...]
    doubts: tuple[Doubt, ...]
    doubts_since: float | None
    doubts_until: float | None
    open: tuple[Open, ...]
    left_open: int
    to_resolve: Open | None
    contradictions: tuple[Contradiction, ...]
    contradicted: Mapping[str, int]
    proved: tuple[float, float] | None
    older_copy: bool
    newer: Mark | None

    @property
    def unread(self) -> str | None:
        """What was not read to its end, so that it may hold rows that the journal does not know;
        ``None`` if it was, or if that is not known."""
        if self.owner is not None or self.saved is None or self.saved.read_to_end:
            return None
        return self.saved.source

    @property
    def in_doubt(self) -> int:
        """Rows without an outcome that are not in flight now."""
        return self.counts.unknown - self.under_way

    @property
    def to_look_up(self) -> int:
        """Of those, the ones that lookups may still resolve."""
        return 0 if self.owner is not None else self.in_doubt - self.left_open

    @property
    def unlisted(self) -> int:
        """All that may or may not be in the helpdesk, if more than are named here; else 0."""
        counts = self.counts
        named = len(self.doubts) + len(self.open)
        every = counts.unknown + counts.ambiguous + counts.probable
        return every if self.owner is None and every > named else 0

    @property
    def sendable(self) -> int:
        """Rows that the next push sends, as far as the journal knows."""
        return self.counts.not_sent - self.refused + self.later

    @property
    def to_fix(self) -> int:
        """Rows that the next push does not send unless they are fixed."""
        return self.counts.rejected - self.later + self.refused

    def as_json(self) -> dict[str, Any]:
        """The numbers, for programs."""
        owner, look = self.owner, self.last_look
        return {
            **counts_json(self.counts),
            "changed": self.changed,
            "under_way": self.under_way,
            "running": None
            if owner is None
            else {"pid": owner.pid, "host": owner.host, "since": moment(owner.since)},
            "in_doubt_since": moment(self.doubts_since),
            "last_look": None if look is None else moment(look.at),
            "verified": None if self.proved is None else moment(self.proved[1]),
            "proved": None if self.proved is None else self.proved[0],
            "older_copy": self.older_copy,
            "contradictions": sum(self.contradicted.values()),
            "contradictions_named": [contradiction_json(one) for one in self.contradictions],
            "sendable": self.sendable,
            "read_to_end": None if self.saved is None else self.saved.read_to_end,
            "service": self.job.service,
            "operation": self.job.operation,
            "target": self.job.target,
            "reference": self.job.place,
            "journal": self.path,
        }


def counts_json(counts: Counts) -> dict[str, int]:
    """The counts, under the names that all commands use."""
    names = ("rows", *(state.value for state in State))
    return {name: getattr(counts, name) for name in names}


def contradiction_json(one: Contradiction) -> dict[str, Any]:
    """A contradiction, for programs."""
    return {
        "kind": one.kind,
        "key": one.key,
        "line": one.line,
        "reference": one.reference,
        "ticket_ids": list(one.ticket_ids),
        "at": moment(one.at),
    }


def moment(at: float | None) -> str | None:
    """A moment as ISO 8601 text in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def read_status(path: str, *, restored: bool = False) -> JournalStatus:
    """Read how things stand. Safe during a push.

    Args:
        path: of the journal.
        restored: it is an older copy; see :meth:`.ReadJournal.open_to_read`.

    Raises:
        JournalError: there is no journal, or it cannot be read.
    """
    with ReadJournal.open_to_read(path, restored=restored) as journal:
        owner = next(iter(journal.writers()), None)  # before what it has under way
        kinds = journal.kinds()
        doubts = list(journal.doubts(State.UNKNOWN, payloads=False))
        reasons, later, refused, token_refused = _reasons(journal)
        runs, looks, newer = journal.runs(), journal.lookups(), journal.newer_copy()
        left = [d for d in doubts if d.absent_lookups > 1]
        opened = [*_open(journal), *(Open(d.key, d.line, d.state, ()) for d in left[:1])]
        named = [row for row in opened if row.key is not None or row.line is not None]
        return JournalStatus(
            path=path,
            job=journal.job,
            saved=SavedOptions.read(journal.job.source),
            counts=journal.counts(),
            under_way=0 if owner is None else kinds.get(Kind.INTENT, 0),
            owner=owner,
            last_run=runs[-1] if runs else None,
            last_look=looks[-1] if looks else None,
            changed=journal.changed(),
            later=later,
            refused=refused,
            token_refused=token_refused,
            reasons=reasons,
            doubts=tuple(doubts[:_DOUBTS_NAMED]),
            doubts_since=min((d.first_intent_at for d in doubts), default=None),
            doubts_until=max((d.last_at for d in doubts), default=None),
            open=tuple(row for row in opened if row.state is not State.UNKNOWN),
            left_open=len(left),
            to_resolve=named[0] if named else None,
            contradictions=tuple(islice(journal.contradictions(), _CONTRADICTIONS_NAMED)),
            contradicted=journal.contradicted(),
            proved=_proved(looks),
            older_copy=newer is not None or journal.was_restored(),
            newer=newer,
        )


def _proved(looks: Sequence[PastLookup]) -> tuple[float, float] | None:
    """The share that the last verification proved, and when."""
    for look in reversed(looks):
        try:
            said = json.loads(look.evidence)
            if "verified" in said:
                return float(said["proved"]), look.at
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _reasons(journal: ReadJournal) -> tuple[tuple[tuple[State, str, int], ...], int, int, int]:
    found: Counter[tuple[State, str]] = Counter()
    later = refused = token = 0
    again = later_of(journal.job.operation)
    for reason in journal.reasons(*(set(State) - {State.ACCEPTED, State.REPLACED})):
        if reason.kind is Kind.INTENT:
            continue
        found[reason.state, _words(reason)] += reason.rows
        if reason.kind is Kind.REJECTED and goes_again(reason.error, reason.status, again):
            later += reason.rows
            token += reason.rows if reason.error == "AuthenticationError" else 0
        refused += reason.rows if reason.kind is Kind.NOT_SENT and reason.never else 0
    return (
        tuple((state, words, rows) for (state, words), rows in found.most_common()),
        later,
        refused,
        token,
    )


def _words(reason: Reason) -> str:
    if reason.kind is Kind.ABSENT and reason.words == BY_PERSON:
        return _SAID
    if reason.kind is Kind.ABSENT:
        return _ABSENT
    if reason.kind is Kind.MISSING:
        return "looked up and not found, which proves nothing yet"
    words = LINE.sub("", reason.words or _LOST)
    return f"{words} (HTTP {reason.status})" if reason.status not in (None, 200) else words


def _open(journal: ReadJournal) -> list[Open]:
    rows = journal.rows_in(State.AMBIGUOUS, State.PROBABLE)
    return [
        Open(row.key, row.line, row.state, ticket_ids_in(journal.evidence_of(row.row)))
        for row in islice(rows, _OPEN_NAMED)
    ]


def ticket_ids_in(evidence: str | None) -> tuple[str, ...]:
    """The tickets that a verdict's evidence names."""
    try:
        return tuple(map(str, json.loads(evidence or "{}").get("ticket_ids", ())))
    except (ValueError, AttributeError, TypeError):
        return ()
