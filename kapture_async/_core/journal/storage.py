"""What a journal asks of the place that keeps it: a protocol, and the values that pass through it.

:mod:`.sqlite` keeps a journal in a file. Nothing above this protocol knows a file, a lock or a
connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from ..errors import JournalError
from .records import Job
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

    def has_content(self, digest: bytes) -> bool:
        """Whether it has this content, or had it before it was corrected."""
        if digest == self.digest:
            return True
        former = self.former
        if former is None:
            return False
        return any(former[at : at + DIGEST] == digest for at in range(0, len(former), DIGEST))


class JournalSummary(NamedTuple):
    """What a run finds in the journal when it begins."""

    kinds: Mapping[str, int]
    """How many rows have which kind of last event."""
    last_row: int
    last_event: int
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

    @property
    def event_count(self) -> int:
        """How many numbers its events take. First attempts of new rows have number 0."""
        return len(self.accepted) // self.ACCEPTED + len(self.events) // self.EVENT


class ReadStorage(Protocol):
    """A journal that is open for reading. For one thread at a time."""

    path: str
    """Where it is, for messages."""
    job: Job

    def ask(self, question: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """Put a ``SELECT`` to the tables; ``?`` for each value.

        Raises:
            JournalError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Close it. May be called again."""
        ...


class Storage(ReadStorage, Protocol):
    """A journal that is open for writing, in a run of its own.

    Opening it writes ``unknown`` for every row whose attempt has no result and whose run is over.

    Attributes:
        broken: why nothing more can be made durable, once that is so.
        row_numbers: numbers for new rows, each given once; may be drawn in any thread.
        restored: it is, or was, an older copy: rows that it would send may be in the helpdesk.
            Until when they may have been sent, if that may be just now; else 0.
        sent_in_all: how many of its rows are in the helpdesk, as the newer one had it when it was
            closed without a doubt. Known only in the run that finds that this is an older copy.
    """

    broken: JournalError | None
    row_numbers: Iterator[int]
    restored: float | None
    sent_in_all: int | None

    def summary(self) -> JournalSummary:
        """What stands in it now."""
        ...

    def names(self) -> Iterator[tuple[str | None, bytes]]:
        """Key and digest of every row."""
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

    def write(self, batch: WriteBatch, first_event: int) -> Iterable[int]:
        """Write a batch: all of it or nothing, durable when this returns, unless inside
        :meth:`transaction`.

        Args:
            batch: what to write.
            first_event: the number of its first event: of those accepted first.

        Returns:
            New rows that another run has begun before: they must not be sent.

        Raises:
            JournalError: it could not be made durable.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """What is written inside becomes durable when it is left, or nothing of it.

        Raises:
            JournalError: it could not be made durable.
        """
        ...

    def note_progress(self, at: float, kinds: Mapping[str, int], last_event: int) -> None:
        """Called every now and then with what has become durable. Never fails a push."""
        ...

    def end(self, at: float, kinds: Mapping[str, int], last_event: int) -> None:
        """Note the end of the run, and close it.

        Raises:
            JournalError: that did not succeed; closed it is nevertheless.
        """
        ...
