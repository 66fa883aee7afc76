"""What a journal asks of the place that keeps it: a protocol, and the values that pass through it.

:mod:`.sqlite` keeps a journal in a file. Nothing above this protocol knows a file, a lock, a
connection or SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from attrs import evolve

from ..errors import JournalError
from .marks import Mark
from .records import Contradiction, Job, Owner, PastLookup, Run, trouble
from .reference import DIGEST


class KnownRow(NamedTuple):
    """A row that the journal has, with its last event."""

    row: int
    key: str | None
    digest: bytes
    occurrence: int
    kind: str
    attempt: int
    """Of its last event: 0 if that says that it cannot be sent as it is."""
    ticket_id: str | None
    status: int | None
    error: str | None
    words: str | None
    attempts: int
    """The number of its last attempt; 0 if there was none."""
    repeat_of: int | None = None
    """The row whose key it has, or has in another spelling."""
    former: bytes | None = None
    """Digests of what it contained before it was corrected, one after the other."""
    line: int | None = None
    changed: int = 0
    """Whether it came with other content after it was in the helpdesk."""
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
    """A row of the journal, with its last event and what its events say together."""

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
    """When it was last known to be under way, or its run was found to be over."""
    missing: int
    """How many lookups since the last attempt did not find it,"""
    missing_at: float | None
    """and when the last of them was."""
    unknown_error: str | None
    """Of the last event by which its outcome is unknown."""
    unknown_words: str | None
    payload: bytes | None
    """What it is sent with, if that was asked for and is kept."""


class StoredName(NamedTuple):
    """What a row is found again by, and the kind of its last event."""

    row: int
    key: str | None
    digest: bytes
    occurrence: int
    kind: str


class StoredReason(NamedTuple):
    """How many rows have a last event that says the same."""

    kind: str
    error: str | None
    status: int | None
    words: str | None
    never: int
    """Whether they cannot be sent as they are."""
    rows: int


class JournalSummary(NamedTuple):
    """What a run finds in the journal when it begins."""

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
    """A new row that needs more than a :attr:`WriteBatch.rows` entry says."""

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
    """Its first attempt is about to be made."""


class WriteBatch:
    """Everything that is written in one transaction.

    New rows and the results of attempts, of which a push has many, stand in flat lists: an object
    for each would have the garbage collector look through all that wait, again and again.

    Attributes:
        at: when: of all that has no time of its own.
        rows: for each new row that is about to be sent first: row, key, line, digest, payload
            (empty to keep it out of the journal), traits, and a token of the writer's.
        accepted: for each attempt that was accepted: row, attempt, ticket_id, token.
        events: for each other event: row, kind, attempt, at (``None``: that of the batch), phase,
            status, ticket_id, error, words, evidence, token. Those of a row in their order.
        new_rows: further new rows.
        revised: known rows whose content, flags or key have changed, as they are now.
        payloads: what known rows are sent with from now on; ``None`` to forget it.
        contradictions: row, kind, ticket ids as JSON, time.
        lookups: time, evidence as JSON.
    """

    ROW, ACCEPTED, EVENT = 7, 4, 11
    """Values for each. They are added at once, so that none is ever there without the others."""

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
    """What all processes know together of the pace of a target. Times are those of the storage."""

    rate: str = ""
    """The learned rate, as text."""
    next_at: float = 0.0
    """When the next turn is that nobody has drawn."""
    paused_until: float = 0.0
    """Nothing is sent before."""
    drawn_at: float = 0.0
    """When anybody last drew turns."""


PaceChange = Callable[[PaceState | None, float], tuple[PaceState, Any]]
"""The new state, and a value for the caller, from the state and the storage's time."""


class _RunOver(Exception):
    """This run shares the journal, its lease is over, and others have noticed: it may begin
    nothing more. The results of what it has under way are written all the same.

    Attributes:
        problem: that, for the caller.
    """

    def __init__(self, problem: JournalError) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Interrupted(Exception):
    """The connection was lost in the middle of a transaction, of which nothing was written. It is
    back: the same can be tried again."""


class ReadStorage(Protocol):
    """A journal that is open for reading. For one thread at a time.

    What is read is what is durable, also while other processes write. Whatever has no bound is
    read in pages, in the order of the rows: those beyond one of them, so many at most. A page that
    is shorter than that is the last one.

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
            payloads: with what they are sent with.
        """
        ...

    def names(self, after: int, most: int) -> list[StoredName]:
        """A page of all names."""
        ...

    def payloads(self, first: int, last: int) -> dict[int, bytes]:
        """What the rows from one to another are sent with, as far as it is kept."""
        ...

    def reasons(self, kinds: Collection[str]) -> list[StoredReason]:
        """Why rows have a last event of these kinds: equal reasons together."""
        ...

    def changed(self) -> int:
        """How many rows are in the helpdesk and came with other content since."""
        ...

    def sent_hours(self) -> set[int]:
        """The hours since the epoch in which anything was sent. Of what an older copy has found,
        only from when to when is known: all hours of that time."""
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
        """What lookups have shown that the outcomes deny, in the order it was found."""
        ...

    def contradicted(self) -> Mapping[str, int]:
        """How many contradictions of which kind were found."""
        ...

    def made(self) -> float:
        """When the journal was made."""
        ...

    def was_restored(self) -> bool:
        """Whether it was pushed with as an older copy, and so still looks up what it sends."""
        ...

    def newer_copy(self) -> Mark | None:
        """What this machine has seen of a newer copy of this journal; ``None`` if it has seen
        none, or if there can be none."""
        ...

    def writers(self) -> list[Owner]:
        """Who has it open for writing now."""
        ...

    def explain(self, error: BaseException) -> BaseException:
        """What came of reading it, as our own error where the storage, or what stands in it, is at
        fault; any other error as it is."""
        ...

    def close(self) -> None:
        """Close it. May be called again."""
        ...


class Storage(ReadStorage, Protocol):
    """A journal that is open for writing, in a run of its own.

    Opening it writes ``unknown`` for every row whose attempt has no result and whose run is over.

    Attributes:
        broken: why nothing more can be made durable, once that is so.
        tell: called in the journal's thread with a message for a person.
        shared: other runs may write to it at the same time. Then a row's key is all that tells
            whether another run has it: a row without one cannot be pushed.
        restored: it is, or was, an older copy: rows that it would send may be in the helpdesk.
            Until when they may have been sent, if that may be just now; else 0.
        sent_in_all: how many of its rows are in the helpdesk, as the newer one had it when it was
            closed without a doubt. Known only in the run that finds that this is an older copy.
    """

    broken: JournalError | None
    tell: Callable[[str], None]
    shared: bool
    restored: float | None
    sent_in_all: int | None

    # --- in any thread, without waiting ---------------------------------------------------------

    def now(self) -> float:
        """The clock that events are written with, in seconds since the epoch: the machine's, or,
        where several machines write, that of the storage."""
        ...

    def may_send(self) -> bool:
        """Whether this run may send: asked directly before the bytes of a row are written.

        A run that shares the journal has a lease. This says no from the moment on at which a call
        could still be under way when the lease ends: others then take the run for over.
        """
        ...

    def hurry(self) -> None:
        """The run is about to end: nothing is waited for any more, or not for long."""
        ...

    # --- in the journal's thread ----------------------------------------------------------------

    def summary(self) -> JournalSummary:
        """What stands in it now."""
        ...

    def reserve(self, count: int) -> Sequence[int]:
        """Numbers for so many new rows, ascending, each given once; those that are not used stay
        unused."""
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
        """Write a batch: all of it or nothing, durable when this returns, unless inside
        :meth:`transaction`. The storage numbers the events, those of a row in their order.

        The insert of a new row, and the intent of a known one, is a claim: it is lost if another
        run has the row's name, or has begun the same attempt, before. Of a row that is lost nothing
        is written, and the rest of the batch is.

        Returns:
            The rows that are lost: they must not be sent.

        Raises:
            _RunOver: this run is over. Of the batch its results are written, and nothing else.
            JournalError: it could not be made durable.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """What is written inside becomes durable when it is left, or nothing of it.

        Raises:
            _RunOver: this run is over.
            _Interrupted: nothing of it was written, and it can be tried again.
            JournalError: it could not be made durable.
        """
        ...

    def claim_reconciler(self) -> None:
        """Become the one run that looks doubts up and writes verdicts, until the run ends.

        Raises:
            JournalError: another run is at it just now.
        """
        ...

    def change_pace(self, change: PaceChange) -> Any:
        """Change what all runs to the same target know of its pace; see
        :meth:`.Journal.change_pace`. Where nobody shares it there is nothing to change."""
        ...

    def tick(self, kinds: Mapping[str, int]) -> None:
        """Called after each batch, and about once a second while there is none: to renew what
        must be renewed, and to note how far the journal is.

        Args:
            kinds: how many rows have which kind of last event, as this run knows.

        Raises:
            _RunOver: this run is over: nothing more may be sent.
            JournalError: nothing more can be made durable.
        """
        ...

    def end(self, kinds: Mapping[str, int]) -> None:
        """Note the end of the run, and close it.

        Args:
            kinds: as for :meth:`tick`.

        Raises:
            JournalError: that did not succeed; closed it is nevertheless.
        """
        ...


_PAGE = 500


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
        page = storage.names(after, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].row


def agreed(path: str, stored: Job, job: Job | None, *, create: bool) -> Job:
    """What the journal is for, and what the caller wants of it.

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
            "Name another journal, or push as before.",
        )
    return evolve(
        stored,
        payloads=stored.payloads and job.payloads,
        source=job.source or stored.source,
        longest_call=job.longest_call,
    )
