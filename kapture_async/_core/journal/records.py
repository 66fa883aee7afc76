"""What a journal holds, and what follows from it. Pure: no disk, no clock, no loop.

A journal is an append-only list of events. The last event of a row determines its state, and
:func:`action_for` is the whole rule of what may be sent in a later run.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NamedTuple

from attrs import field, frozen

from ..errors import InvalidInputError, JournalError
from ..filelock import Owner as Owner

Action = Literal[
    "send", "done", "changed", "doubt", "elsewhere", "rejected", "repeated", "clash", "renamed",
    "respelled", "held", "new", "refused",
]  # fmt: skip
"""What to do with a row. Only ``send`` lets anything leave this machine.

========= ===================================================================================
send      its intent is durable: send it now, once, and record the result
done      it is in the helpdesk already
changed   it is in the helpdesk already, but with different content: report it
doubt     it may be in the helpdesk: reconcile first
elsewhere another run is sending it: its result will be in the journal
rejected  the service refused it, and it is unchanged: correct it
repeated  its key and content came before in this run
clash     its key came before in this run with different content: give one of them its own key
renamed   an earlier run had its content with a key, now it has none, or the reverse: report it
respelled its key is a variant spelling of an earlier key: report it
held      the same, but undecided until the end of the source; ask again then
new       it would be sent; nothing was written, as the caller asked
refused   it cannot be sent as it is; the journal records why
========= ===================================================================================
"""


class State(StrEnum):
    """What is known of a row."""

    ACCEPTED = "accepted"
    """In the helpdesk: the service confirmed it, or it was found there."""
    REJECTED = "rejected"
    """Refused by the service; not in the helpdesk."""
    NOT_SENT = "not_sent"
    """Not in the helpdesk: it never left, or it was proven absent."""
    UNKNOWN = "unknown"
    """It may or may not be in the helpdesk."""
    AMBIGUOUS = "ambiguous"
    """Found more than once, or without proof: needs a person to resolve it."""
    PROBABLE = "probable"
    """A ticket without its reference may be this row."""
    REPLACED = "replaced"
    """Never in the helpdesk, and not needed: another row of the journal replaced it."""


class Kind(StrEnum):
    """What happened to a row."""

    INTENT = "intent"
    """It is about to be sent."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    MISSING = "missing"
    """A lookup did not find it. That is no proof yet: it stays in doubt."""
    PRESENT = "present"
    """A lookup found it, once, by its reference."""
    ABSENT = "absent"
    """Proven not to be there."""
    AMBIGUOUS = "ambiguous"
    PROBABLE = "probable"
    REPLACED = "replaced"
    """Another row replaced it."""


STATE_AFTER: dict[str, State] = {
    Kind.INTENT.value: State.UNKNOWN,
    Kind.ACCEPTED.value: State.ACCEPTED,
    Kind.REJECTED.value: State.REJECTED,
    Kind.NOT_SENT.value: State.NOT_SENT,
    Kind.UNKNOWN.value: State.UNKNOWN,
    Kind.MISSING.value: State.UNKNOWN,
    Kind.PRESENT.value: State.ACCEPTED,
    Kind.ABSENT.value: State.NOT_SENT,
    Kind.AMBIGUOUS.value: State.AMBIGUOUS,
    Kind.PROBABLE.value: State.PROBABLE,
    Kind.REPLACED.value: State.REPLACED,
}
"""The state of a row whose last event is of this kind."""

OUTCOMES = frozenset({Kind.ACCEPTED, Kind.REJECTED, Kind.NOT_SENT, Kind.UNKNOWN})
"""How an attempt can end."""
VERDICTS = frozenset({Kind.MISSING, Kind.PRESENT, Kind.ABSENT, Kind.AMBIGUOUS, Kind.PROBABLE})
"""The possible results of looking up a row in doubt."""
BY_PERSON = "recorded by the operator"
"""The message of a verdict given by a person, not by a lookup."""
DOUBTS = frozenset({State.UNKNOWN, State.AMBIGUOUS, State.PROBABLE})
"""States in which a row is never sent."""

LATER = frozenset(
    {
        "RateLimitedError",
        "AuthenticationError",
        "PermissionDeniedError",
        "OpenTicketLimitError",
        "EndpointNotFoundError",
        "NotFoundError 404",  # a proxy, a wrong path; in the service's own words it is the row
        *(f"RejectedError {status}" for status in (402, 405, 421, 426, 431, 451)),
    }
)
"""Refusals that are not about the row itself: a later run may send it again unchanged. Class
names, some with an HTTP status. Redirects are not among them: they prove nothing."""


def later_of(operation: str, again: frozenset[str] = LATER) -> frozenset[str]:
    """Those of an operation: for an update, a 404 means that the ticket does not exist."""
    return again - {"NotFoundError 404"} if operation.endswith(".update") else again


def goes_again(error: str | None, status: int | None, again: frozenset[str] = LATER) -> bool:
    """Whether a refused row may be sent again as it is."""
    return error in again or f"{error} {status}" in again


def action_for(
    state: State,
    *,
    same: bool,
    error: str | None,
    status: int | None = None,
    again: frozenset[str] = LATER,
) -> Action:
    """What to do with a known row when it comes again.

    Args:
        state: its state.
        same: whether its content is unchanged.
        error: the class name of the error it last had.
        status: its HTTP status.
        again: class names of refusals after which the same content may be sent again.
    """
    if state is State.NOT_SENT:
        return "send"
    if state is State.REJECTED:
        # A corrected row may be sent again: nothing of the refused one is in the helpdesk.
        return "send" if not same or goes_again(error, status, again) else "rejected"
    if state is State.REPLACED:
        return "done"
    if state is State.ACCEPTED:
        return "done" if same else "changed"
    return "doubt"


@frozen(kw_only=True)
class Job:
    """What a journal is for. Another push must not use it.

    Attributes:
        service: the service's name.
        operation: the operation's name.
        target: the base URL, without secrets.
        place: where the reference is put, such as ``"ticket_details"`` or ``"none"``.
        keys: what identifies rows, such as the name of the key column; ``None`` for content.
        shape: how rows are built from the source (columns, fixed values), where known. Without
            keys, a different shape makes every row new.
        payloads: whether the journal keeps the content of rows until it is in the helpdesk.
        source: the caller's own note of the source; not compared.
        longest_call: the most seconds a call of this run may take; recorded per run, not compared.
        job_id: random, created with the journal; every reference depends on it.
    """

    service: str
    operation: str
    target: str
    place: str
    keys: str | None = None
    shape: str | None = field(default=None, repr=False)
    payloads: bool = True
    source: str | None = field(default=None, repr=False)
    longest_call: float | None = None
    job_id: str = ""

    def differences(self, other: Job) -> list[str]:
        """How ``other`` differs, as messages; empty if it is the same job."""
        found = []
        for name in ("service", "operation", "target", "place", "keys", "shape"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                found.append(f"{name} is {_short(mine)}, not {_short(theirs)}")
        return found


def _short(value: str | None) -> str:
    text = "not set" if value is None else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def entry_name(row: int, job: Job) -> str:
    """The name of a journal's row outside of it, which no other journal mistakes for its own."""
    return f"r{row}.{job.job_id[:8]}"


def entry_of(name: str, job: Job) -> int:
    """The reverse of :func:`entry_name`.

    Raises:
        InvalidInputError: it names no row of this journal.
    """
    row, dot, tag = name.strip().removeprefix("r").partition(".")
    if not dot or tag != job.job_id[:8] or not (row.isascii() and row.isdecimal()):
        raise InvalidInputError(
            "its _row names no row of this journal",
            next_step="Name the journal that the rows came from, or take the column _row out.",
        )
    return int(row[:18])


class Identity(NamedTuple):
    """What identifies a row: its key if it has one, otherwise its content."""

    key: str | None
    digest: bytes
    """16 bytes, see :func:`.digest_of`. Duplicates are distinguished by counting them."""
    line: int | None = None
    """Where it is in its source, for messages."""


def is_name(key: str | None) -> bool:
    """Whether a key can name a row in a journal; see :func:`check_identity`."""
    if not key or "\0" in key:
        return False
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            return False
    return True


def check_identity(identity: Identity) -> None:
    """Refuse an identity that the journal could not find again.

    Raises:
        InvalidInputError: the key is empty, holds a NUL, or cannot be written as UTF-8.
    """
    key, digest, _ = identity
    if key is not None and not is_name(key):
        if not key:
            raise InvalidInputError("its key is empty", next_step="Give it a key of its own.")
        if "\0" in key:
            raise InvalidInputError("its key holds a NUL character")
        raise InvalidInputError("its key is not readable text (UTF-8)")
    if len(digest) != 16:
        raise ValueError("a digest has 16 bytes")


class Decision(NamedTuple):
    """The journal's decision about a row."""

    action: Action
    row: int
    reference: str
    attempt: int
    """With ``send`` the number of this attempt, otherwise of the last; 0 if there was none."""
    state: State
    ticket_id: str | None = None
    error: str | None = None
    """Class name of the error it last had, with every action but ``send``."""
    words: str | None = None
    status: int | None = None


class LookupVerdict(NamedTuple):
    """Why a row that an older copy of a journal would send must not be sent, by a lookup."""

    kind: Literal["present", "ambiguous", "probable", "unknown", "unsettled"]
    """``unsettled``: the service may still be processing it, so nothing is known yet."""
    ticket_ids: tuple[str, ...]
    since: float
    """It may have been sent between this time"""
    last: float
    """and this one."""


@frozen
class Counts:
    """How many rows are in which state. Replaced rows do not count as rows."""

    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0
    ambiguous: int = 0
    probable: int = 0
    replaced: int = 0

    @classmethod
    def of(cls, kinds: Mapping[str, int]) -> Counts:
        """From how many rows have which kind of last event."""
        states: dict[str, int] = {}
        for kind, count in kinds.items():
            name = STATE_AFTER[kind].value
            states[name] = states.get(name, 0) + count
        return cls(**states)

    @property
    def rows(self) -> int:
        """All of them, without those that were replaced."""
        return (
            self.accepted
            + self.rejected
            + self.not_sent
            + self.unknown
            + self.ambiguous
            + self.probable
        )


@frozen(kw_only=True)
class Doubt:
    """A row that may be in the helpdesk. Never sent again before a verdict."""

    row: int
    key: str | None
    line: int | None
    reference: str
    state: State
    payload: bytes | None = field(repr=False)
    attempts: int
    first_intent_at: float
    """When it may have been sent first."""
    sent_at: float
    """When it may have been sent last."""
    last_at: float
    """When it was last known to be in flight, or its process was found dead: the settle time
    starts here."""
    error: str | None
    words: str | None = field(repr=False)
    absent_lookups: int
    """How many lookups since the last attempt did not find it."""
    last_lookup_at: float | None
    """When the last of those was."""
    traits: int = 0
    """What its content is like; see :func:`.traits_of`."""


@frozen(kw_only=True)
class RowView:
    """A row as the journal knows it."""

    row: int
    key: str | None
    line: int | None
    reference: str
    state: State
    kind: Kind
    """Of its last event."""
    ticket_id: str | None
    status: int | None
    error: str | None
    words: str | None = field(repr=False)
    payload: bytes | None = field(repr=False)
    at: float
    """When its last event was written."""
    sent_at: float | None
    """When it may have been sent last; ``None`` if it never was."""
    attempts: int
    """0 if it could never be sent at all."""
    traits: int = 0
    """What its content is like; see :func:`.traits_of`."""


@frozen(kw_only=True)
class Run:
    """One process's time with the journal."""

    run: int
    began: float
    ended: float | None
    """``None`` while it runs, and if its process was killed."""
    pid: int
    host: str
    longest_call: float | None = None
    """Seconds that one of its calls could take at most, if it sent anything."""


@frozen(kw_only=True)
class PastLookup:
    """One lookup of many rows, for the record."""

    lookup: int
    at: float
    evidence: str


# --- what contradicts a journal: a lookup has shown what an outcome denies


class Contradicts(StrEnum):
    """How a lookup contradicts the state of a row."""

    REJECTED_PRESENT = "rejected_present"
    """The service refused the row, and its reference is in the helpdesk. It counts as accepted
    from then on."""
    NOT_SENT_PRESENT = "not_sent_present"
    """The row was not sent, or proved absent, and its reference is in the helpdesk. It counts as
    accepted from then on."""
    TWICE = "twice"
    """The reference of an accepted row was found more than once: the row was created twice, or
    another ticket quotes its text."""
    OTHER_TICKET = "other_ticket"
    """The reference of an accepted row is on another ticket than the service named."""
    OTHER_ROW = "other_row"
    """The ticket that the service named for an accepted row carries only references of others."""


WORDS: dict[str, str] = {
    Contradicts.REJECTED_PRESENT.value: "rejected, but in the helpdesk",
    Contradicts.NOT_SENT_PRESENT.value: "not sent, but in the helpdesk",
    Contradicts.TWICE.value: "its reference is there twice",
    Contradicts.OTHER_TICKET.value: "on another ticket than the service named",
    Contradicts.OTHER_ROW.value: "its ticket is another row's",
}
"""Each kind in a few words."""


@frozen
class Contradiction:
    """A lookup found something that contradicts the outcome of a row.

    Attributes:
        kind: ``rejected_present``, ``not_sent_present``, ``twice``, ``other_ticket`` or
            ``other_row``; see :class:`Contradicts`.
        key: the row's key, or ``None``.
        line: where it stood in its file, if it did.
        reference: what was looked up.
        ticket_ids: the tickets that were found, sorted.
        at: when that was first seen, in seconds since the epoch.
    """

    kind: str
    key: str | None
    line: int | None
    reference: str
    ticket_ids: tuple[str, ...]
    at: float

    @property
    def words(self) -> str:
        """The kind in a few words."""
        return WORDS.get(self.kind, self.kind)


# --- what goes wrong with a journal


def trouble(path: str, what: str, next_step: str | None = None) -> JournalError:
    """An error that names the journal and what is wrong with it."""
    return JournalError(f"the journal {path!r}: {what}", next_step=next_step)


def same_again(error: JournalError) -> JournalError:
    """The same error for another caller, so that no two raise (and grow) one object."""
    again = JournalError(error.message, next_step=error.next_step)
    again.__cause__ = error.__cause__
    return again
