"""What a verification has found: the proof of a push, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, get_args

from attrs import define, field, frozen

from ..journal.records import Contradiction
from .contradictions import named
from .seen_tickets import SeenTickets

_BEFORE = "_reconciliation"


@frozen
class Resolved:
    """A row that was in doubt, and its result.

    Attributes:
        key: the row's key, or ``None``.
        line: where it stood in its file, if it did.
        reference: what it was looked up by.
        ticket_ids: the tickets that match it, or may be it.
        reason: why it is still in doubt; empty for a row that is present or absent.
    """

    key: str | None
    line: int | None
    reference: str
    ticket_ids: tuple[str, ...] = ()
    reason: str = ""


@define
class Reconciliation:
    """The results for the rows of a journal that were in doubt.

    Attributes:
        present: they are in the helpdesk, once.
        absent: they are not; the next push of this journal sends them.
        ambiguous: several tickets carry the reference. Look at them; nothing is sent.
        probable: a ticket without a reference may be it: one with the same content, or one that
            nothing else explains, made by the same user when the row may have been executed.
            Nothing is sent.
        open: still in doubt: not found, in a way that proves nothing. Each has its ``reason``.
        unseen: tickets known to be in the helpdesk that a lookup did not find. If there are any,
            the lookup missed something (another user's tickets, a list that was cut short), so
            no row is taken for absent, and rows that were not found stay open.
        unconfirmed: open rows whose only sign of absence is that the lookup found nothing. They
            are absent only if the lookup could not have missed them.
            Reconcile again once another ticket has been made, or with ``probe``; or check
            yourself, and :meth:`resolve`; or accept the empty lookup as proof, with
            ``assume_complete``.
        trial: the trial ticket that ``probe`` made, if it did: please close it.
        contradictions: what the lookups found of other rows that contradicts the journal: rejected
            or not sent, but there (present from now on); accepted, but there twice or on another
            ticket. They stay listed in the journal.
    """

    present: list[Resolved] = field(factory=list)
    absent: list[Resolved] = field(factory=list)
    ambiguous: list[Resolved] = field(factory=list)
    probable: list[Resolved] = field(factory=list)
    open: list[Resolved] = field(factory=list)
    unseen: int = 0
    unconfirmed: int = 0
    contradictions: list[Contradiction] = field(factory=list)
    trial: str | None = None

    @property
    def reasons(self) -> dict[str, int]:
        """Why rows are still open, each reason with the number of its rows; the most first."""
        return dict(Counter(row.reason for row in self.open).most_common())

    @property
    def doubts(self) -> int:
        """How many rows were in doubt."""
        kinds = (self.present, self.absent, self.ambiguous, self.probable, self.open)
        return sum(map(len, kinds))

    @property
    def merged(self) -> dict[str, list[Resolved]]:
        """Rows that share a ticket, by its id. The ticket carries all their references, as after
        the helpdesk or an agent merged their tickets. They are in :attr:`present`, too."""
        rows: dict[str, list[Resolved]] = {}
        for row in self.present:
            rows.setdefault(row.ticket_ids[0], []).append(row)
        return {ticket_id: some for ticket_id, some in rows.items() if len(some) > 1}

    @staticmethod
    def before(error: BaseException) -> Reconciliation | None:
        """What a reconciliation found before it failed; ``None`` if it had found nothing.

        The journal has these results. Rows that were still being looked for are ``open``.
        """
        found = getattr(error, _BEFORE, None)
        return found if isinstance(found, Reconciliation) else None

    def keep_with(self, error: BaseException) -> None:
        """Make :meth:`before` return this for the error."""
        vars(error)[_BEFORE] = self

    def found_before(self, earlier: Reconciliation) -> None:
        """Add the results of an earlier attempt."""
        self.present[:0] = earlier.present
        self.absent[:0] = earlier.absent
        self.ambiguous[:0] = earlier.ambiguous
        self.probable[:0] = earlier.probable
        later = [c for c in self.contradictions if c not in earlier.contradictions]
        self.contradictions = [*earlier.contradictions, *later]


RowResult = Literal[
    "present", "absent", "missing", "twice", "contradicted", "not_seen", "in_doubt", "unchecked"
]
"""What a verification found for a row.

============ ======================================================================================
present      it is in the helpdesk, once
absent       it is not there, as the journal says: it was rejected, or not sent
missing      the journal says that it is there, but it is not
twice        it is there more than once
contradicted the journal says that it is not there, but it is; or it is on another ticket than the
             one that the service named
not_seen     it was not found, which proves nothing here
in_doubt     the journal does not know whether it is there, and it was not found
unchecked    it carries nothing to look it up by
============ ======================================================================================
"""

RESULTS: tuple[RowResult, ...] = get_args(RowResult)
PROVED: frozenset[RowResult] = frozenset({"present", "absent"})
BAD: frozenset[RowResult] = frozenset({"twice", "contradicted"})
BY_ID = "found by id; its text no longer has the reference"
ONE_OF_SEVERAL = (
    "found by id without its reference; another ticket from the same time starts the same: a "
    "possible duplicate"
)
NAMED = 10
"""Rows of each result that are kept by name."""
NAMED_UNEXPLAINED = 1_000


@frozen
class RowCheck:
    """A row, and what a verification found for it.

    Attributes:
        key: the row's key, or ``None``.
        line: where it stood in its file, if it did.
        reference: what it was looked up by.
        state: what the journal said before, as ``accepted``.
        result: what was found; see :data:`RowResult`.
        ticket_ids: the tickets that carry its reference; or the one found by id, with those without
            a reference that may be duplicates of the row.
        why: the reason, where the result needs one.
    """

    key: str | None
    line: int | None
    reference: str
    state: str
    result: RowResult
    ticket_ids: tuple[str, ...] = ()
    why: str | None = None


@frozen
class ListCheck:
    """A list that was read.

    Attributes:
        day: the day it covers, such as ``2024-04-19``; ``None`` for all tickets.
        tickets: how many tickets it returned.
        total: how many there are by its own count; ``None`` if it has none.
    """

    day: str | None
    tickets: int
    total: int | None = None

    @property
    def incomplete(self) -> bool:
        """Whether it returned fewer tickets than its own count says there are."""
        return self.total is not None and self.tickets < self.total


@define(eq=False)
class Verification:
    """What one lookup of all rows of a journal proves.

    The rows are kept in a temporary file until this is closed or dropped.

    Attributes:
        journal: the path of the journal.
        service, operation, target: what was pushed where.
        place: the field that holds the references.
        began: when the lookup began, in seconds since the epoch.
        ended: when it ended.
        row_by_row: each row was looked up by itself; otherwise lists were read.
        tickets: how many tickets were seen.
        lists: the lists that were read; one per day where the service lists tickets by day.
        counts: the number of rows with each result.
        by_id: how many of the present rows were found by id, without their reference.
        reasons: why rows could not be proved, each with the number of rows.
        contradictions: what this lookup found that contradicts the journal.
        noted: how many contradictions the journal lists, including those of earlier lookups.
        first: the first rows of each result that proves nothing.
        unexplained: tickets without a reference that belong to no row, made by the journal's own
            user in hours in which rows were sent. Each may be a row that was executed twice and
            then rewritten by an agent, or something else that this user made.
        unexplained_ids: the ids of the first thousand of them.
    """

    journal: str
    service: str
    operation: str
    target: str
    place: str
    began: float
    ended: float
    row_by_row: bool
    tickets: int
    lists: tuple[ListCheck, ...]
    counts: Counter[RowResult] = field(factory=Counter)
    by_id: int = 0
    reasons: Counter[str] = field(factory=Counter)
    contradictions: list[Contradiction] = field(factory=list)
    noted: int = 0
    first: dict[RowResult, list[RowCheck]] = field(factory=dict)
    unexplained: int = 0
    unexplained_ids: list[str] = field(factory=list)
    _seen: SeenTickets | None = field(default=None, repr=False, alias="seen")

    @property
    def total(self) -> int:
        """All rows of the journal."""
        return self.counts.total()

    @property
    def present(self) -> int:
        """Rows that are in the helpdesk, once."""
        return self.counts["present"]

    @property
    def absent(self) -> int:
        """Rows that are not in the helpdesk, as the journal says."""
        return self.counts["absent"]

    @property
    def missing(self) -> int:
        """Rows that the journal says are there, but are not."""
        return self.counts["missing"]

    @property
    def twice(self) -> int:
        """Rows that are there more than once."""
        return self.counts["twice"]

    @property
    def contradicted(self) -> int:
        """Rows that are there against what the journal says."""
        return self.counts["contradicted"]

    @property
    def proved(self) -> float:
        """The share of rows whose recorded state the lookup proves, from 0 to 1; 1 without rows."""
        proved = sum(self.counts[result] for result in PROVED)
        return proved / self.total if self.total else 1.0

    @property
    def all_proved(self) -> bool:
        """Whether nothing is missing, twice, contradicted, in doubt, or unproved."""
        return not (self.contradictions or any(self.counts[r] for r in RESULTS if r not in PROVED))

    @property
    def denied(self) -> bool:
        """Whether the helpdesk contradicts an outcome."""
        return bool(self.contradictions or any(self.counts[result] for result in BAD))

    def rows(self) -> Iterator[RowCheck]:
        """Every row of the journal in order, with its result.

        May be called again, and needs little memory. It reads a local file, and does not query
        the helpdesk.

        Raises:
            ValueError: this is closed.
        """
        if self._seen is None:
            raise ValueError("the verification is closed")
        for one, tickets, result, why in self._seen.rows():
            yield RowCheck(
                one.key,
                one.line,
                one.reference,
                one.state.value,
                _result(result),
                ids_of(one.own, tickets, why, self._seen),
                why,
            )

    def close(self) -> None:
        """Discard the rows and keep the numbers. May be called again."""
        if self._seen is not None:
            self._seen.close()
            self._seen = None

    def take(self, check: RowCheck) -> None:
        """Count a row."""
        self.counts[check.result] += 1
        self.by_id += check.why == BY_ID
        if check.result in PROVED:
            return
        some = self.first.setdefault(check.result, [])
        if len(some) < NAMED:
            some.append(check)
        if check.why is not None and check.result not in BAD and check.result != "missing":
            self.reasons[check.why] += 1

    def evidence(self) -> dict[str, object]:
        """The numbers, as the journal keeps them."""
        return {
            "verified": self.total,
            "tickets": self.tickets,
            "began": round(self.began, 3),
            "at": round(self.ended, 3),
            "proved": round(self.proved, 6),
            **{result: self.counts[result] for result in RESULTS},
            "contradictions": len(self.contradictions),
            "unexplained": self.unexplained,
        }


def ids_of(
    own: str | None, tickets: dict[str, int], why: str | None, seen: SeenTickets
) -> tuple[str, ...]:
    """The tickets of a row: those with its reference; or its own if that was found by id, and
    those that may also be it."""
    if tickets or own is None or why not in (BY_ID, ONE_OF_SEVERAL):
        return named(tickets)
    return (own, *seen.alike(own)) if why == ONE_OF_SEVERAL else (own,)


def _result(text: str | None) -> RowResult:
    for result in RESULTS:
        if result == text:
            return result
    return "unchecked"
