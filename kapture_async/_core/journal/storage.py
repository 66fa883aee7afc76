"""The storage of a journal: a protocol, and the values that pass through it.

:mod:`.sqlite` stores a journal in a file, :mod:`.postgres` in a database. Nothing above this
protocol knows a file, a lock, a connection or SQL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from attrs import evolve, frozen

from ..errors import JournalError
from .marks import Mark
from .records import LATER, Contradiction, Job, Owner, PastLookup, Run, trouble
from .reference import DIGEST


@frozen(kw_only=True)
class OpenOptions:
    """How a journal is opened for a run.

    Attributes:
        job: what it must be for; ``None`` for whatever it is. Payloads are kept only if both want
            it.
        create: create it if it does not exist; needs ``job``.
        again: class names of refusals after which the same content may be sent again.
        now: the clock of this machine. A storage shared by several machines uses its own.
        to_push: load the keys and contents of all rows, so that new ones need no lookup.
        restored: the caller knows that it is an older copy.
        exact_keys: treat a variant spelling of a key as a different key.
    """

    job: Job | None = None
    create: bool = True
    again: frozenset[str] = LATER
    now: Callable[[], float] = time.time
    to_push: bool = False
    restored: bool = False
    exact_keys: bool = False


class KnownRow(NamedTuple):
    """A row that the journal has, with its last event."""

    row: int
    key: str | None
    digest: bytes
    occurrence: int
    kind: str
    attempt: int
    """Of its last event: 0 if it cannot be sent as it is."""
    ticket_id: str | None
    status: int | None
    error: str | None
    words: str | None
    attempts: int
    """The number of its last attempt; 0 if there was none."""
    repeat_of: int | None = None
    """The row that has the same key, or another spelling of it."""
    former: bytes | None = None
    """The digests of its contents before it was corrected, concatenated."""
    line: int | None = None
    changed: int = 0
    """Whether it came with different content after it was in the helpdesk."""
    traits: int = 0

    @classmethod
    def new(
        cls, row: int, key: str | None, line: int | None, digest: bytes, traits: int, **more: Any
    ) -> KnownRow:
        """A row whose first attempt is about to be made."""
        known = cls(row, key, digest, 0, "intent", 1, None, None, None, None, 1)
        return known._replace(line=line, traits=traits, **more)

    def has_content(self, digest: bytes) -> bool:
        """Whether it has this content, or had it before it was corrected."""
        if digest == self.digest:
            return True
        former = self.former
        if former is None:
            return False
        return any(former[at : at + DIGEST] == digest for at in range(0, len(former), DIGEST))


class StoredRow(NamedTuple):
    """A row of the journal, with its last event and a summary of all its events."""

    row: int
    key: str | None
    digest: bytes
    occurrence: int
    line: int | None
    traits: int
    repeat_of: int | None
    kind: str
    """Of its last event, as all up to ``evidence``."""
    attempt: int
    at: float
    ticket_id: str | None
    status: int | None
    error: str | None
    words: str | None
    evidence: str | None
    attempts: int
    """The number of its last attempt; 0 if there was none."""
    first_intent_at: float | None
    """When it may have been sent first; ``None`` if it never was."""
    sent_at: float | None
    """When it may have been sent last."""
    last_at: float | None
    """When it was last known to be in flight, or its run was found to be over."""
    missing: int
    """How many lookups since the last attempt did not find it,"""
    missing_at: float | None
    """and when the last of them was."""
    unknown_error: str | None
    """Of its last ``unknown`` event."""
    unknown_words: str | None
    payload: bytes | None
    """The body it is sent with, if asked for and kept."""


class StoredName(NamedTuple):
    """What identifies a row, and the kind of its last event."""

    row: int
    key: str | None
    digest: bytes
    occurrence: int
    kind: str


class StoredReason(NamedTuple):
    """How many rows share the same last event."""

    kind: str
    error: str | None
    status: int | None
    words: str | None
    never: int
    """Whether they cannot be sent as they are."""
    rows: int


class JournalSummary(NamedTuple):
    """The contents of a journal when a run begins."""

    kinds: Mapping[str, int]
    """How many rows have which kind of last event."""
    last_row: int
    with_key: bool
    """Whether there are rows with a key,"""
    without_key: bool
    """and without."""
    has_repeats: bool
    """Whether there are rows with a key that an earlier row has."""


class NewRow(NamedTuple):
    """A new row with more fields than an entry of :attr:`WriteBatch.rows`."""

    row: int
    key: str | None
    line: int | None
    digest: bytes
    payload: bytes
    """Empty to keep it out of the journal."""
    traits: int
    occurrence: int = 0
    repeat_of: int | None = None
    is_sent: bool = True
    """Whether its first attempt is about to be made."""


class WriteBatch:
    """Everything that is written in one transaction.

    New rows and results of attempts, of which a push has many, are stored in flat lists: with an
    object for each, the garbage collector would traverse everything pending again and again.

    Attributes:
        at: the time of everything that has none of its own.
        rows: for each new row that is about to be sent first: row, key, line, digest, payload
            (empty to keep it out of the journal), traits, and a token of the writer's.
        accepted: for each attempt that was accepted: row, attempt, ticket_id, token.
        events: for each other event: row, kind, attempt, at (``None``: that of the batch), phase,
            status, ticket_id, error, words, evidence, token. Those of a row in their order.
        new_rows: further new rows.
        revised: known rows whose content, flags or key have changed, as they are now.
        payloads: the new bodies of known rows; ``None`` to delete one.
        contradictions: row, kind, ticket ids as JSON, time.
        lookups: time, evidence as JSON.
    """

    ROW, ACCEPTED, EVENT = 7, 4, 11
    """Values per entry. They are added in one operation, so an entry is never incomplete."""

    def __init__(self, at: float = 0.0) -> None:
        self.at = at
        self.rows: list[Any] = []
        self.accepted: list[Any] = []
        self.events: list[Any] = []
        self.new_rows: list[NewRow] = []
        self.revised: dict[int, KnownRow] = {}
        self.payloads: dict[int, bytes | None] = {}
        self.contradictions: list[tuple[int, str, str, float]] = []
        self.lookups: list[tuple[float, str]] = []

    def __bool__(self) -> bool:
        return bool(
            self.rows
            or self.accepted
            or self.events
            or self.new_rows
            or self.revised
            or self.payloads
            or self.contradictions
            or self.lookups
        )

    @property
    def count(self) -> int:
        """How many rows of :attr:`rows` there are."""
        return len(self.rows) // self.ROW


class EncodedBatch(NamedTuple):
    """A batch as lists that JSON can hold.

    JSON holds no bytes, so digests and payloads stand one behind the other in :attr:`contents`,
    and are given by where they begin, counted from 1, and their length.
    """

    rows: list[tuple[Any, ...]]
    """Row, payload (behind its digest), length, key, line, traits, occurrence, repeat_of,
    is_sent."""
    accepted: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]
    """Both without their tokens."""
    revised: list[tuple[Any, ...]]
    """Row, digest, former digests, their length, occurrence, line, traits, repeat_of, changed."""
    payloads: list[tuple[int, int, int]]
    """Row, payload, length."""
    forgotten: list[int]
    """Rows whose payload is replaced or deleted."""
    contents: bytes

    @classmethod
    def of(cls, batch: WriteBatch) -> EncodedBatch:
        """Encode a batch."""
        parts: list[bytes] = []
        end = 1

        def add(content: bytes) -> tuple[int, int]:
            nonlocal end
            parts.append(content)
            place, end = end, end + len(content)
            return place, len(content)

        new: list[tuple[Any, ...]] = []
        for row, key, line, digest, payload, traits in _columns(batch.rows, WriteBatch.ROW):
            parts += (digest, payload)  # written out, as it is done for every row of a push
            length = len(payload)
            new.append((row, end + DIGEST, length, key, line, traits, 0, None, True))
            end += DIGEST + length
        for one in batch.new_rows:
            add(one.digest)
            new.append(
                (one.row, *add(one.payload), one.key, one.line, one.traits, one.occurrence,
                 one.repeat_of, one.is_sent)
            )  # fmt: skip
        revised = [
            (row, add(now.digest)[0], *add(now.former or b""), now.occurrence, now.line, now.traits,
             now.repeat_of, now.changed)
            for row, now in batch.revised.items()
        ]  # fmt: skip
        payloads = [
            (row, *add(payload)) for row, payload in batch.payloads.items() if payload is not None
        ]
        return cls(
            new,
            list(_columns(batch.accepted, WriteBatch.ACCEPTED)),
            list(_columns(batch.events, WriteBatch.EVENT)),
            revised,
            payloads,
            list(batch.payloads),
            b"".join(parts),
        )


def _columns(flat: list[Any], width: int) -> Iterator[tuple[Any, ...]]:
    """The values of a flat list, some together, without the token that is their last."""
    return zip(*(flat[at::width] for at in range(width - 1)), strict=True)


class PaceState(NamedTuple):
    """The pace of a target, shared by all processes. Times are those of the storage."""

    rate: str = ""
    """The learned rate, as text."""
    next_at: float = 0.0
    """When the next free turn is."""
    paused_until: float = 0.0
    """Nothing is sent before this time."""
    drawn_at: float = 0.0
    """When a process last took turns."""


PaceChange = Callable[[PaceState | None, float], tuple[PaceState, Any]]
"""The new state, and a value for the caller, from the state and the storage's time."""


class _RunOver(Exception):
    """This run shares the journal, its lease has expired, and others have noticed: it may begin
    nothing more. The results of its rows in flight are still recorded.

    Attributes:
        problem: the error for the caller.
    """

    def __init__(self, problem: JournalError) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Interrupted(Exception):
    """The connection was lost during a transaction, and nothing was written. It is back: the
    transaction can be retried."""


class ReadStorage(Protocol):
    """A journal open for reading, by one thread at a time.

    It reads what is durable, also while other processes write. Unbounded results are read in pages,
    in the order of the rows: those after a given row, up to a maximum. A shorter page is the last.

    Every method raises :class:`.JournalError` where the journal cannot be read.

    Attributes:
        path: where it is, for messages: never with a password.
        job: what it is for.
    """

    path: str
    job: Job

    def kinds(self) -> Mapping[str, int]:
        """How many rows have which kind of last event."""
        ...

    def rows(
        self,
        after: int,
        most: int,
        *,
        kinds: Collection[str] | None = None,
        payloads: bool = False,
    ) -> list[StoredRow]:
        """A page of rows.

        Args:
            after: rows beyond this one.
            most: so many at most.
            kinds: only those whose last event is of one of these kinds.
            payloads: include the bodies they are sent with.
        """
        ...

    def names(self, after: int, most: int) -> list[StoredName]:
        """A page of all names."""
        ...

    def payloads(self, first: int, last: int) -> dict[int, bytes]:
        """The bodies of a range of rows, where they are kept."""
        ...

    def reasons(self, kinds: Collection[str]) -> list[StoredReason]:
        """Why rows have a last event of these kinds, grouped by reason."""
        ...

    def changed(self) -> int:
        """How many rows are in the helpdesk and have since come with different content."""
        ...

    def sent_hours(self) -> set[int]:
        """The hours since the epoch in which anything was sent. For what an older copy found, only
        the first and last hour are known: all hours between them."""
        ...

    def accepted_among(self, ticket_ids: Collection[str]) -> set[str]:
        """Of some ticket ids, those of rows that are in the helpdesk for sure."""
        ...

    def rows_with_ids(self, ticket_ids: Collection[str]) -> list[tuple[int, str]]:
        """The rows that were ever given one of these ids: row and id."""
        ...

    def last_ids(self, most: int, before: int | None = None) -> list[tuple[int, str]]:
        """The ids of the last rows that got one, or of the last before a row: row and id, the last
        first."""
        ...

    def runs(self) -> list[Run]:
        """Every process's time with the journal, the latest last."""
        ...

    def lookups(self) -> list[PastLookup]:
        """Every lookup of many rows, the latest last."""
        ...

    def contradictions(self) -> list[Contradiction]:
        """The contradictions that lookups found, in order."""
        ...

    def contradicted(self) -> Mapping[str, int]:
        """How many contradictions of which kind were found."""
        ...

    def made(self) -> float:
        """When the journal was made."""
        ...

    def was_restored(self) -> bool:
        """Whether it was used as an older copy, and so still looks up what it sends."""
        ...

    def newer_copy(self) -> Mark | None:
        """What this machine knows of a newer copy of this journal; ``None`` if nothing, or if
        there can be none."""
        ...

    def writers(self) -> list[Owner]:
        """Who has it open for writing now."""
        ...

    def explain(self, error: BaseException) -> BaseException:
        """An error of reading it, as our own error where the storage or its contents are at fault;
        any other error unchanged."""
        ...

    def close(self) -> None:
        """Close it. May be called again."""
        ...


class Storage(ReadStorage, Protocol):
    """A journal open for writing, in a run of its own.

    Opening it records ``unknown`` for every attempt without a result whose run is over.

    Attributes:
        broken: why nothing more can be made durable, if so.
        tell: called in the journal's thread with a message for the user.
        shared: other runs may write to it at the same time. Only a key identifies a row across runs
            then, so a row without one cannot be pushed.
        restored: set if it is, or was, an older copy: rows it would send may be in the helpdesk.
            The time until which they may have been sent, if recent; otherwise 0.
        sent_in_all: how many of its rows are in the helpdesk according to the newer copy, if that
            was closed without doubts. Known only in the run that detects the older copy.
    """

    broken: JournalError | None
    tell: Callable[[str], None]
    shared: bool
    restored: float | None
    sent_in_all: int | None

    # --- in any thread, without waiting ---------------------------------------------------------

    def now(self) -> float:
        """The clock that timestamps events, in seconds since the epoch: the machine's or, where
        several machines write, the storage's."""
        ...

    def may_send(self) -> bool:
        """Whether this run may send: asked right before the bytes of a row are written.

        A run that shares the journal has a lease. The answer is no as soon as a call could still
        be in flight when the lease expires, as other runs then consider this one dead.
        """
        ...

    def hurry(self) -> None:
        """The run is about to end: wait for nothing any more, or not for long."""
        ...

    # --- in the journal's thread ----------------------------------------------------------------

    def summary(self) -> JournalSummary:
        """What it contains now."""
        ...

    def reserve(self, count: int) -> Sequence[int]:
        """Ascending numbers for this many new rows, each given once; unused ones stay unused."""
        ...

    def with_keys(self, keys: Sequence[str]) -> list[KnownRow]:
        """The rows with these keys, without those that repeat one."""
        ...

    def with_contents(self, contents: Sequence[tuple[bytes, int]]) -> list[KnownRow]:
        """The rows without a key that have these digests and occurrence numbers."""
        ...

    def with_numbers(self, rows: Sequence[int]) -> list[KnownRow]:
        """The rows with these numbers."""
        ...

    def with_key_and_content(self, digest: bytes) -> list[KnownRow]:
        """The rows with a key that have this content, in their order."""
        ...

    def repeats_of(self, row: int) -> list[KnownRow]:
        """The rows that have the key of a row, or another spelling of it, in their order."""
        ...

    def with_spelling_of(self, key: str) -> list[KnownRow]:
        """The rows of earlier runs whose keys are other spellings of this one."""
        ...

    def write(self, batch: WriteBatch) -> Collection[int]:
        """Write a batch, all or nothing, durable on return unless inside :meth:`transaction`. The
        storage numbers the events, those of a row in order.

        Inserting a new row, and the intent of a known one, is a claim: it is lost if another run
        already has the row's name or has begun the same attempt. Nothing is written for a lost
        row; the rest of the batch is.

        Returns:
            The lost rows: they must not be sent.

        Raises:
            _RunOver: this run is over. Only the results in the batch were written.
            JournalError: it could not be made durable.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """A transaction: everything written inside becomes durable at its end, or nothing does.

        Raises:
            _RunOver: this run is over.
            _Interrupted: nothing was written, and it can be retried.
            JournalError: it could not be made durable.
        """
        ...

    def claim_reconciler(self) -> None:
        """Become the one run that reconciles, until it ends.

        Raises:
            JournalError: another run is reconciling.
        """
        ...

    def change_pace(self, change: PaceChange) -> Any:
        """Change the pace that all runs to the same target share; see
        :meth:`.Journal.change_pace`. Without sharing there is nothing to change."""
        ...

    def tick(self, kinds: Mapping[str, int]) -> None:
        """Called after each batch, and about once a second otherwise: renews leases, and records
        how far the journal is.

        Args:
            kinds: how many rows have which kind of last event, as known to this run.

        Raises:
            _RunOver: this run is over: nothing more may be sent.
            JournalError: nothing more can be made durable.
        """
        ...

    def end(self, kinds: Mapping[str, int]) -> None:
        """Record the end of the run, and close it.

        Args:
            kinds: as for :meth:`tick`.

        Raises:
            JournalError: that failed; it is closed nevertheless.
        """
        ...


_PAGE = 500
_NAMES = 2_000


def rows_of(
    storage: ReadStorage,
    *,
    kinds: Collection[str] | None = None,
    payloads: bool = False,
    after: int = 0,
) -> Iterator[StoredRow]:
    """All pages of :meth:`.ReadStorage.rows`, one row after the other."""
    while True:
        page = storage.rows(after, _PAGE, kinds=kinds, payloads=payloads)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].row


def names_of(storage: ReadStorage) -> Iterator[StoredName]:
    """All pages of :meth:`.ReadStorage.names`, one name after the other."""
    after = 0
    while True:
        page = storage.names(after, _NAMES)
        yield from page
        if len(page) < _NAMES:
            return
        after = page[-1].row


def agreed(path: str, stored: Job, job: Job | None, *, create: bool) -> Job:
    """The job of a journal, combined with what the caller asks for.

    Raises:
        JournalError: it is for another push.
    """
    if job is None:
        return stored
    if not create:
        # Who resumes with what it has brings no rows, so none of another shape.
        job = evolve(job, keys=stored.keys, shape=stored.shape)
    differences = stored.differences(job)
    if differences:
        raise trouble(
            path,
            f"it belongs to another push: its {'; its '.join(differences)}",
            "Use another journal, or push with the same settings as before.",
        )
    return evolve(
        stored,
        payloads=stored.payloads and job.payloads,
        source=job.source or stored.source,
        longest_call=job.longest_call,
    )
