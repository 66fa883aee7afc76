"""One lookup in the helpdesk, for rows in doubt: in a list of all tickets, or row by row.

A *list lookup* reads every ticket of a time, and finds rows among them. A *row lookup* asks about
each row by itself, where nothing lists them: an update, say, is only to be seen in its ticket.
What a lookup proves about a row that it did not find is in :mod:`.evidence`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Literal, Protocol

from attrs import define, field, frozen

from ..journal.records import BY_PERSON, Doubt, RowView, Run, State
from ..journal.reference import covers
from ..journal.session import Session
from ..journal.writer import Journal
from .candidates import Beginnings, Candidates, CluesOf, MayBe
from .evidence import (
    MARGIN,
    NEWEST,
    SPREAD,
    ConfirmedRow,
    Evidence,
    Gap,
    ListedTicket,
    ListTickets,
    Sample,
    no_comparable_row,
)

Finding = Literal["present", "ambiguous", "probable"]


@frozen(kw_only=True)
class AskedRow:
    """A row that the helpdesk is asked about by itself.

    Attributes:
        row: its number in the journal.
        key: the row's key, or ``None``.
        reference: what it is known by.
        payload: what it was sent with. ``None`` if the journal keeps none, which is so for every
            row that is certainly in the helpdesk.
        ticket_id: what the service gave, for a row that is certainly in the helpdesk.
        marked: whether it carries a reference; ``None`` to see from the payload.
    """

    row: int
    key: str | None
    reference: str
    payload: bytes | None = field(default=None, repr=False)
    ticket_id: str | None = None
    marked: bool | None = None


@frozen(kw_only=True)
class RowAnswer:
    """What the helpdesk shows of one row.

    Attributes:
        row: its number in the journal.
        ticket_ids: where it was found, each place once.
        proven: it was found by its reference, and not only by its content.
        telling: that it was not found there proves that it is not there.
        others: references of other rows that were seen on the way, each with where.
        there: what the row made was shown under its own id, without the reference.
        why: why it is not ``telling``.
    """

    row: int
    ticket_ids: tuple[str, ...] = ()
    proven: bool = True
    telling: bool = True
    others: tuple[tuple[str, str], ...] = ()
    there: bool = False
    why: str = "what the helpdesk shows of it proves nothing"


AskAboutRows = Callable[[Sequence[AskedRow]], AsyncIterator[RowAnswer]]
"""Asks about rows. For a row that cannot be asked about, it gives nothing."""


@frozen
class AskRows:
    """A way to look rows up that asks about each by itself."""

    ask: AskAboutRows


@frozen(kw_only=True)
class LookupMethods:
    """How the rows of an operation are found in the helpdesk.

    Attributes:
        look: lists all tickets of a time, or asks about each row.
        content_of: what lists are compared with, from a row's payload; given only where no
            reference is sent.
        beginning_of: title and text, from a row's payload, as :func:`.beginning` gives them;
            given where a reference at the end of a text may be cut off.
        clues_of: what a ticket may share with a row, from its payload; see :mod:`.candidates`.
        day_of: the day of the service's calendar that a moment falls on, where the service lists
            day by day.
    """

    look: ListTickets | AskRows
    content_of: Callable[[bytes], str] | None = None
    beginning_of: Callable[[bytes], tuple[str, str]] | None = None
    clues_of: CluesOf | None = None
    day_of: Callable[[float], object] | None = None


@define
class LookupResult:
    """What one lookup has shown.

    Attributes:
        tickets: how many it saw.
        found: the rows that it found, by number, each with its tickets.
        gaps: rows that it did not find, by number, each with why that does not prove them absent.
        alike: rows that it did not find, by number, each with tickets that begin alike and have
            no reference: the reference may have been cut off.
        candidates: the same, each with tickets that no row explains; see :mod:`.candidates`.
        shared: those of ``candidates`` that are more rows than there are tickets for them.
        wait: seconds until the next lookup, for its list to be as new as what was not found.
        unseen: rows that are certainly in the helpdesk, and that it did not show.
    """

    tickets: int = 0
    found: dict[int, tuple[Finding, tuple[str, ...]]] = field(factory=dict)
    gaps: dict[int, Gap] = field(factory=dict)
    alike: dict[int, tuple[Finding, tuple[str, ...]]] = field(factory=dict)
    candidates: dict[int, tuple[str, ...]] = field(factory=dict)
    shared: set[int] = field(factory=set)
    wait: float = 0.0
    unseen: int = 0


KnownElsewhere = Callable[[set[str]], Awaitable[set[str]]]
"""Of some ticket ids those that the journal knows as other rows' tickets."""
Payloads = Callable[[], Awaitable[Mapping[int, bytes]]]
"""Gives what rows in doubt were sent with, as far as it is kept."""


class Lookup(Protocol):
    """A way to look rows up."""

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> LookupResult:
        """Look rows up once that were sent between two moments."""
        ...


class RowLookup:
    """Asks about each row by itself, and about a few that are certainly in the helpdesk.

    The journal does not know which of those carry a reference (an update without a comment
    carries none). So one that comes back is enough; but where none does, no row is absent.

    Args:
        ask: asks about rows.
        confirmed: rows that are certainly in the helpdesk.
        known: gives the tickets that are other rows'.
    """

    def __init__(
        self, ask: AskAboutRows, confirmed: Sequence[RowView], known: KnownElsewhere
    ) -> None:
        self._ask = ask
        self._confirmed = [
            AskedRow(row=one.row, key=one.key, reference=one.reference, ticket_id=one.ticket_id)
            for one in confirmed
        ]
        self._known = known
        self._traits = {one.row: one.traits for one in confirmed}

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> LookupResult:
        """See :class:`Lookup`."""
        asked = [
            AskedRow(row=d.row, key=d.key, reference=d.reference, payload=d.payload) for d in doubts
        ]
        self._traits |= {doubt.row: doubt.traits for doubt in doubts}
        answers = {one.row: one async for one in self._ask([*asked, *self._confirmed])}
        result = LookupResult(tickets=len(answers))
        by_reference = {one.row for one in answers.values() if one.proven and one.ticket_ids}
        traits = {self._traits[row] for row in by_reference}
        if not by_reference:
            result.unseen = sum(one.row in answers for one in self._confirmed)
        alike = {t for one in answers.values() if not one.proven for t in one.ticket_ids}
        known = await self._known(alike) if alike else set[str]()
        for doubt in doubts:
            answer = answers.get(doubt.row)
            ids = () if answer is None else answer.ticket_ids
            if answer is not None and not answer.proven:
                ids = tuple(ticket for ticket in ids if ticket not in known)
            if answer is None or not ids:
                gap = self._gap(doubt, answer, result.unseen, traits)
                if gap is not None:
                    result.gaps[doubt.row] = gap
            elif len(ids) > 1:
                result.found[doubt.row] = ("ambiguous", ids)
            else:
                result.found[doubt.row] = ("present" if answer.proven else "probable", ids)
        if len(self._confirmed) < NEWEST:  # the next lookup asks about these again
            self._confirmed += [one for one in asked if one.row in by_reference][:NEWEST]
        return result

    @staticmethod
    def _gap(doubt: Doubt, answer: RowAnswer | None, unseen: int, traits: set[int]) -> Gap | None:
        if unseen:
            words = f"{unseen:,} rows known to be in the helpdesk were not found either"
            return Gap(words, against=True)
        if answer is None:
            return Gap("the helpdesk could not be asked about this row", against=True)
        if not answer.proven:
            return Gap("the only similar ticket belongs to another row", against=True)
        if not answer.telling:
            return Gap(answer.why, against=True)
        if not traits:
            return Gap("no other row of the journal was found")
        if not any(covers(shown, doubt.traits) for shown in traits):
            return Gap(no_comparable_row(traits, doubt))
        return None


class ListLookup:
    """Reads all tickets of a time, and finds rows among them.

    A row that it does not find is absent only if there is no :meth:`.Evidence.gap`, and no ticket
    that may be the row: neither one that begins alike, nor one that nothing else explains.

    Args:
        look: lists the tickets.
        methods: how they are compared with rows.
        confirmed: rows that are certainly in the helpdesk, by which a list is judged.
        known: gives the tickets that are other rows'.
        since: a list must show those of ``confirmed`` that were sent after this moment,
        until: and before this one. It may show any of the others.
        beginnings: of rows in doubt, where a reference may be cut off: their beginnings, as
            :func:`.beginning` gives them. A row that is missing there is never absent.
        candidates: collects tickets that nothing explains; ``None`` where no reference is sent.
        payloads: gives payloads, where clues are needed.
        now: the wall clock.
        listed_until: whatever was made before this moment is in the lists, as the caller knows.
    """

    def __init__(
        self,
        look: ListTickets,
        methods: LookupMethods,
        confirmed: Iterable[RowView],
        known: KnownElsewhere,
        *,
        now: Callable[[], float],
        since: float,
        until: float,
        beginnings: Mapping[int, tuple[str, str]] | None,
        candidates: Candidates | None,
        payloads: Payloads,
        listed_until: float,
    ) -> None:
        self._look = look
        self._content_of = methods.content_of
        self._clues_of = methods.clues_of
        self._day_of = methods.day_of or one_day
        self._confirmed: dict[str, ConfirmedRow] = {}
        self._expected: dict[str, str | None] = {}
        for row in confirmed:
            if row.sent_at is not None:
                self._confirmed[row.reference] = ConfirmedRow.of_row(row, self._day_of)
                if self._content_of is None and since <= row.sent_at and row.at <= until:
                    self._expected[row.reference] = row.ticket_id
        self._known = known
        self._beginnings = beginnings
        self._candidates = candidates
        self._payloads = payloads
        self._now = now
        self._listed_until = listed_until
        self._before: tuple[float, float] | None = None
        """When the lookup before ended, and how new its list was."""
        self._read: tuple[Evidence, int] | None = None

    async def read(self, since: float, until: float) -> None:
        """Read all tickets once. Lookups after that are to be given only the tickets that concern
        their rows: with one of their references, or with none."""
        evidence, unseen = self._evidence(), _Unseen(self._expected)
        if self._candidates is not None:
            self._candidates.begin(())
        async for ticket in evidence.read(self._look, since, until):
            unseen.strike(ticket)
            if self._candidates is not None and not ticket.references:
                self._candidates.add(ticket)
        if self._candidates is not None:
            self._candidates.learn(evidence.makers, evidence.ahead, evidence.behind)
        self._read = evidence, len(unseen.left)

    @property
    def makers(self) -> frozenset[object]:
        """Who makes the tickets of this journal, after :meth:`read`."""
        return frozenset() if self._read is None else frozenset(self._read[0].makers)

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> LookupResult:
        """See :class:`Lookup`."""
        result, began = LookupResult(), self._now()
        names = [self._name_of(doubt) for doubt in doubts]
        by_name: dict[str, set[str | None]] = {name: set() for name in names if name}
        new = [doubt for doubt in doubts if doubt.reference not in self._confirmed]
        for doubt in new:  # found by its reference, it is evidence for the others
            self._confirmed[doubt.reference] = ConfirmedRow.of_doubt(doubt, self._day_of)
        unseen = _Unseen(self._expected)
        if self._candidates is not None:
            self._candidates.begin(doubts)
        if self._read is None:
            evidence = self._evidence()
            tickets = evidence.read(self._look, since, until)
        else:
            evidence = self._read[0]
            tickets = self._tickets_read(evidence, since, until)
        beginnings = Beginnings(doubts, self._beginnings or {})
        async for ticket in tickets:
            result.tickets += 1
            unseen.strike(ticket)
            for name in self._names_of(ticket):
                if name in by_name:
                    by_name[name].add(ticket.ticket_id)
            if not ticket.references:
                if ticket.beginning is not None:
                    beginnings.compare(ticket.beginning, ticket.ticket_id)
                if self._candidates is not None:
                    self._candidates.add(ticket)
        result.unseen = len(unseen.left)
        if self._read is not None:
            result.unseen = self._read[1]
            for doubt in new:  # else all of a push would be kept
                self._confirmed.pop(doubt.reference, None)
        some = [*by_name.values(), *beginnings.found.values()]
        known: set[str | None] = set()
        if self._content_of is not None or beginnings.found:
            known |= await self._known({t for found in some for t in found if t is not None})
        # By now the list shows what was as old then as the newest that it showed the time before.
        up_to = self._listed_until
        if self._before is not None:
            up_to = max(up_to, began - self._before[0] + self._before[1])
        times = Counter(names)
        for doubt, name in zip(doubts, names, strict=True):
            found = by_name.get(name, set())
            if self._content_of is not None:
                found = found - known
            ids = _sorted(found)
            if not found:
                gap = self._gap(doubt, evidence, up_to, result.unseen)
                if gap is not None:
                    result.gaps[doubt.row] = gap
            elif self._content_of is None:
                # A ticket whose id cannot be read is there, but cannot be named.
                once = len(found) == len(ids) == 1
                result.found[doubt.row] = ("present" if once else "ambiguous", ids)
            else:
                once = len(found) == len(ids) == 1 and times[name] == 1
                result.found[doubt.row] = ("probable" if once else "ambiguous", ids)
        explained = set(known)
        for row, like in beginnings.found.items():
            left = like - known
            if row not in result.found and left:
                ids = _sorted(left)
                alone = len(left) == len(ids) == 1 and beginnings.alone(row)
                result.alike[row] = ("probable" if alone else "ambiguous", ids)
                if alone:
                    explained |= like
        if self._candidates is not None:
            await self._add_candidates(self._candidates, result, doubts, explained)
            self._candidates.learn(evidence.makers, evidence.ahead, evidence.behind)
        self._before = self._now(), evidence.freshest
        late = [d.last_at - evidence.freshest for d in doubts if d.row not in result.found]
        result.wait = max(late, default=0.0) if evidence.shown else 0.0
        return result

    def add_confirmed(self, reference: str, at: float, traits: int) -> None:
        """A trial ticket was made; it is certainly there if a lookup shows it."""
        self._confirmed[reference] = ConfirmedRow(at, inf, traits, self._day_of(at))

    def _evidence(self) -> Evidence:
        return Evidence(self._confirmed, self._day_of, self._now())

    async def _tickets_read(
        self, evidence: Evidence, since: float, until: float
    ) -> AsyncIterator[ListedTicket]:
        """Tickets of lists that :meth:`read` has read."""
        async for ticket in self._look(since, until):
            if isinstance(ticket, ListedTicket):
                evidence.note(ticket)
                yield ticket

    def _gap(self, doubt: Doubt, evidence: Evidence, up_to: float, unseen: int) -> Gap | None:
        if self._content_of is not None:
            return Gap("it has no reference, so not finding it proves nothing", against=True)
        if unseen:
            words = f"{unseen:,} tickets known to be in the helpdesk were not found either"
            return Gap(words, against=True)
        if self._beginnings is not None and doubt.row not in self._beginnings:
            return Gap("its content is not kept, so a ticket without its reference may be it")
        return evidence.gap(doubt, up_to)

    async def _add_candidates(
        self,
        candidates: Candidates,
        result: LookupResult,
        doubts: Sequence[Doubt],
        explained: set[str | None],
    ) -> None:
        """Of rows that were not found, add those that an unexplained ticket may be."""
        left = [d for d in doubts if d.row not in result.found and d.row not in result.alike]
        if not left or not candidates.ticket_ids:
            return
        explained |= await self._known(candidates.ticket_ids)
        clues: dict[int, frozenset[str]] = {}
        if candidates.need_clues and self._clues_of is not None:
            kept = await self._payloads()
            clues = {row: self._clues_of(payload) for row, payload in kept.items()}
        found = candidates.of(left, explained, clues)
        rows = Counter(ticket for tickets in found.values() for ticket in tickets)
        for row, tickets in found.items():
            result.candidates[row] = tickets
            if max(rows[ticket] for ticket in tickets) > len(tickets):
                result.shared.add(row)

    def _name_of(self, doubt: Doubt) -> str:
        if self._content_of is None:
            return doubt.reference
        return self._content_of(doubt.payload) if doubt.payload is not None else ""

    def _names_of(self, ticket: ListedTicket) -> Iterable[str]:
        if self._content_of is None:
            return ticket.references
        return () if ticket.content is None else (ticket.content,)


class _Unseen:
    """Tickets that are certainly there, until they are shown."""

    def __init__(self, expected: Mapping[str, str | None]) -> None:
        self.left = dict(expected)
        self._names = {ticket: name for name, ticket in expected.items() if ticket}

    def strike(self, shown: ListedTicket) -> None:
        """A ticket was shown."""
        for reference in shown.references:
            self.left.pop(reference, None)
        if shown.ticket_id in self._names:  # it is there, whatever happened to its text
            self.left.pop(self._names[shown.ticket_id], None)


async def lookup_for(
    journal: Journal,
    look: ListTickets | AskRows,
    methods: LookupMethods,
    doubts: list[Doubt],
    settle: float,
    beginnings: dict[int, tuple[str, str]] | None,
    now: Callable[[], float],
    *,
    listed_until: float = -inf,
    payloads: Payloads | None = None,
    may_be: MayBe | None = None,
) -> Lookup:
    """How these rows are looked up, and by which others the result is judged.

    See :class:`.Candidates` for ``may_be``, and :class:`ListLookup` for the rest. ``look`` is
    that of ``methods``, recorded.
    """
    until = now() - settle

    async def known(ticket_ids: set[str]) -> set[str]:
        return await journal.call(lambda session: session.accepted_among(ticket_ids))

    if isinstance(look, AskRows):
        some = await journal.call(lambda session: _confirmed(session, 0.0, until, NEWEST, None))
        return RowLookup(look.ask, some, known)
    # Every list shows tickets since then, however the clocks differ.
    since, day_of = min(doubt.first_intent_at for doubt in doubts) - MARGIN / 2, methods.day_of
    some = await journal.call(lambda session: _confirmed(session, since, inf, SPREAD, day_of))
    candidates = None
    if methods.content_of is None:
        runs = await journal.call(lambda session: _sending(session.runs(), doubts))
        candidates = Candidates(settle, runs, may_be)

    async def kept() -> dict[int, bytes]:
        return await journal.call(lambda session: dict(session.payloads_of(State.UNKNOWN)))

    return ListLookup(
        look,
        methods,
        some,
        known,
        since=since,
        until=until,
        beginnings=beginnings,
        candidates=candidates,
        payloads=payloads or kept,
        now=now,
        listed_until=listed_until,
    )


def _sending(runs: Sequence[Run], doubts: Sequence[Doubt]) -> list[tuple[float, float]]:
    """When runs may have sent. When a run that was killed ended is not known."""
    last = max(doubt.last_at for doubt in doubts)
    ends = [*(run.began for run in runs[1:]), last]
    return [
        (run.began, max(run.began, next_began) if run.ended is None else run.ended)
        for run, next_began in zip(runs, ends, strict=True)
        if run.longest_call is not None
    ]


def _confirmed(
    session: Session,
    since: float,
    until: float,
    most: int,
    day_of: Callable[[float], object] | None,
) -> list[RowView]:
    """Rows that came into the helpdesk between two moments, as the service or a lookup said:
    spread evenly, some of each day, and those that were sent last."""
    sample = Sample[RowView](most, 0 if day_of is None else NEWEST)
    for row in session.rows_in(State.ACCEPTED):
        sent_at = row.sent_at
        if sent_at is None or sent_at < since or row.at > until or row.words == BY_PERSON:
            continue
        sample.add(row, row.row, sent_at, None if day_of is None else day_of(sent_at))
    return sample.rows()


def one_day(at: float) -> object:
    """The day of every moment, where lists are not by day."""
    return None


def _sorted(ids: set[str | None]) -> tuple[str, ...]:
    return tuple(sorted(one for one in ids if one is not None))
