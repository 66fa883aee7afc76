"""One lookup in the helpdesk, for rows in doubt: in a list of all tickets, or row by row.

A *list lookup* (:mod:`.list_lookup`) reads every ticket of a time, and finds rows among them. A
*row lookup* asks about each row by itself, where nothing lists them: an update, say, is only to be
seen in its ticket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Literal, Protocol

from attrs import define, field, frozen

from ..journal.records import TOLD, Doubt, RowView, Run, State
from ..journal.session import Session
from ..journal.traits import covers, lacking, strongest
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
)

Finding = Literal["present", "ambiguous", "probable"]


@frozen(kw_only=True)
class AskedRow:
    """A row that a helpdesk is asked about by itself.

    Attributes:
        row: its number in the journal.
        key: the row's key, or ``None``.
        reference: what it is known by.
        payload: what it was sent with. ``None`` if the journal keeps none: of rows that are in
            the helpdesk for sure, it never does.
        ticket_id: what the service gave, for a row that is in the helpdesk for sure.
        marked: whether a reference travels with it; ``None`` if that is for the payload to tell.
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
        telling: that it was not found there says that it is not there.
        others: references of other rows that were seen on the way, each with where.
        there: what the row made was shown under its own id, without the reference.
        why: why it does not say so, if it does not.
    """

    row: int
    ticket_ids: tuple[str, ...] = ()
    proven: bool = True
    telling: bool = True
    others: tuple[tuple[str, str], ...] = ()
    there: bool = False
    why: str = "what was shown of it does not tell"


AskAboutRows = Callable[[Sequence[AskedRow]], AsyncIterator[RowAnswer]]
"""Asks about rows. Of a row that cannot be asked about, nothing is given."""


@frozen
class AskRows:
    """A way to look that asks about each row by itself."""

    ask: AskAboutRows


@define
class LookupResult:
    """What one look has shown.

    Attributes:
        tickets: how many it saw.
        found: rows that it found, by number, each with its tickets.
        gaps: rows that it did not find, by number, without that saying that they are not there;
            and why it does not.
        alike: rows that it did not find, by number, each with tickets that begin as it does and
            have no reference: it may be one that was cut off.
        candidates: the same, each with tickets that nothing explains; see :mod:`.candidates`.
        shared: of those, rows of which there are more than of tickets that may be them.
        wait: seconds by which the next look should come later, to be as new as what was not
            found.
        unseen: rows that are surely in the helpdesk, and that it did not show.
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


class Lookup(Protocol):
    """A way to look for rows."""

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> LookupResult:
        """Look once for rows sent between two moments."""
        ...


_VOUCHING = 20
"""Rows that one look found, and by which the next is judged."""


class RowLookup:
    """Asks about each row by itself, and about a few that are there for sure.

    Which of those carry a reference, nobody knows any more (an update without a comment carries
    none). So one that shows is enough; but where no reference shows, nothing is taken for absent.

    Args:
        ask: does it.
        confirmed: rows that are in the helpdesk for sure.
        known: tells tickets that are other rows'.
    """

    def __init__(
        self, ask: AskAboutRows, confirmed: Sequence[RowView], known: KnownElsewhere
    ) -> None:
        self._ask = ask
        self._confirmed = [
            AskedRow(row=w.row, key=w.key, reference=w.reference, ticket_id=w.ticket_id)
            for w in confirmed
        ]
        self._known = known
        self._traits = {w.row: w.traits for w in confirmed}

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> LookupResult:
        """See :class:`Lookup`."""
        result = LookupResult()
        sought = [
            AskedRow(row=d.row, key=d.key, reference=d.reference, payload=d.payload) for d in doubts
        ]
        self._traits |= {doubt.row: doubt.traits for doubt in doubts}
        told: dict[int, RowAnswer] = {}
        async for one in self._ask([*sought, *self._confirmed]):
            told[one.row] = one
        result.tickets = len(told)
        showing = {one.row for one in told.values() if one.proven and one.ticket_ids}
        shows = bool(showing)
        kinds = {self._traits[row] for row in showing}
        asked = sum(row.row in told for row in self._confirmed)
        if asked and not shows:
            result.unseen = asked
        alike = {t for one in told.values() if not one.proven for t in one.ticket_ids}
        known = await self._known(alike) if alike else set[str]()
        for doubt in doubts:
            found = told.get(doubt.row)
            ids = () if found is None else found.ticket_ids
            if found is not None and not found.proven:
                ids = tuple(ticket for ticket in ids if ticket not in known)
            if found is None or not ids:
                if found is None or not found.proven or not found.telling or result.unseen:
                    result.gaps[doubt.row] = self._gap(found, result.unseen)
                elif not shows:
                    result.gaps[doubt.row] = Gap("no other row of the journal came back")
                elif not any(covers(shown, doubt.traits) for shown in kinds):
                    lacks = lacking(strongest(iter(kinds)), doubt.traits) or "all that it has"
                    result.gaps[doubt.row] = Gap(
                        f"no row of its kind came back by its reference: with {lacks}"
                    )
            elif len(ids) > 1:
                result.found[doubt.row] = ("ambiguous", ids)
            else:
                result.found[doubt.row] = ("present" if found.proven else "probable", ids)
        if len(self._confirmed) < _VOUCHING:  # for the next look
            self._confirmed += [one for one in sought if one.row in showing][:_VOUCHING]
        return result

    @staticmethod
    def _gap(found: RowAnswer | None, unseen: int) -> Gap:
        if unseen:
            words = f"{unseen:,} rows that are in the helpdesk for sure were not shown, either"
            return Gap(words, against=True)
        if found is None:
            return Gap("it could not be asked for", against=True)
        if not found.proven:
            return Gap("what is like it is another row's", against=True)
        return Gap(found.why, against=True)


Payloads = Callable[[], Awaitable[Mapping[int, bytes]]]
"""Gives what rows in doubt were sent with, as far as it is kept."""


class ListLookup:
    """Looks through all tickets of a time.

    What it does not find is absent only if there is no :meth:`.Evidence.gap`, and no ticket that
    may be it: neither one that begins as it does, nor one that nothing else explains.

    Args:
        look: gives them.
        content_of: what is compared, from a row's payload; only where no reference travels.
        confirmed: rows that are in the helpdesk for sure, by which a look is judged.
        since: a look must show those of them that were sent after this moment,
        until: and before this one. Any of the others may be shown.
        day_of: the day of the service's calendar that a moment falls on, where days are listed
            one by one.
        beginnings: of rows in doubt, where a reference may be cut off: their beginnings, as
            :func:`.beginning` gives them. A row that is missing there proves nothing.
        known: tells tickets that are other rows'.
        candidates: collects tickets that nothing explains; ``None`` where no reference travels.
        clues_of: what a ticket may share with a row, from its payload.
        payloads: gives payloads, where clues are needed.
        now: the wall clock.
        listed_until: whatever was made before this moment is in the lists, by what the caller
            knows.
    """

    def __init__(
        self,
        look: ListTickets,
        content_of: Callable[[bytes], str] | None,
        confirmed: Iterable[RowView],
        known: KnownElsewhere,
        *,
        now: Callable[[], float],
        since: float = 0.0,
        until: float = inf,
        day_of: Callable[[float], object] | None = None,
        beginnings: Mapping[int, tuple[str, str]] | None = None,
        candidates: Candidates | None = None,
        clues_of: CluesOf | None = None,
        payloads: Payloads | None = None,
        listed_until: float = -inf,
    ) -> None:
        self._look = look
        self._content_of = content_of
        self._day_of = day_of or _one_day
        self._confirmed: dict[str, ConfirmedRow] = {}
        self._shown: dict[str, str | None] = {}
        for row in confirmed:
            if row.sent_at is not None:
                self._confirmed[row.reference] = ConfirmedRow.of_row(row, self._day_of)
                if content_of is None and since <= row.sent_at and row.at <= until:
                    self._shown[row.reference] = row.ticket_id
        self._known = known
        self._beginnings = beginnings
        self._candidates = candidates
        self._clues_of = clues_of
        self._payloads = payloads
        self._now = now
        self._listed_until = listed_until
        self._before: tuple[float, float] | None = None
        self._whole: tuple[Evidence, int] | None = None

    async def read(self, since: float, until: float) -> None:
        """Look through all tickets once. Looks after that are to be given only those that concern
        their rows: with one of their references, or with none."""
        evidence, unseen = self._evidence(), self._unseen()
        if self._candidates is not None:
            self._candidates.begin(())
        async for seen in evidence.read(self._look, since, until):
            unseen.strike(seen)
            if self._candidates is not None and not seen.references:
                self._candidates.add(seen)
        if self._candidates is not None:
            self._candidates.learn(evidence.makers, evidence.ahead, evidence.behind)
        self._whole = evidence, len(unseen.left)

    @property
    def makers(self) -> frozenset[object]:
        """Who makes the tickets of this journal, after :meth:`read`."""
        return frozenset() if self._whole is None else frozenset(self._whole[0].makers)

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> LookupResult:
        """See :class:`.Lookup`."""
        result = LookupResult()
        names = [self._name_of(doubt) for doubt in doubts]
        wanted: dict[str, set[str | None]] = {name: set() for name in names if name}
        new = [doubt for doubt in doubts if doubt.reference not in self._confirmed]
        for doubt in new:  # found by its reference, it vouches for the others
            self._confirmed[doubt.reference] = ConfirmedRow.of_doubt(doubt, self._day_of)
        began, unseen = self._now(), self._unseen()
        if self._candidates is not None:
            self._candidates.begin(doubts)
        if self._whole is None:
            evidence = self._evidence()
            tickets = evidence.read(self._look, since, until)
        else:
            evidence = self._whole[0]
            tickets = self._known_tickets(evidence, since, until)
        cut = Beginnings(doubts, self._beginnings or {})
        async for seen in tickets:
            result.tickets += 1
            unseen.strike(seen)
            for name in self._names_of(seen):
                if name in wanted:
                    wanted[name].add(seen.ticket_id)
            if not seen.references:
                if seen.beginning is not None:
                    cut.compare(seen.beginning, seen.ticket_id)
                if self._candidates is not None:
                    self._candidates.add(seen)
        if self._whole is None:
            result.unseen = len(unseen.left)
        else:
            result.unseen = self._whole[1]
            for doubt in new:  # else they all would be kept
                self._confirmed.pop(doubt.reference, None)
        some = [*wanted.values(), *cut.found.values()]
        known: set[str | None] = set()
        if self._content_of is not None or cut.found:
            known |= await self._known({t for found in some for t in found if t is not None})
        times = Counter(names)
        # What was as old then as the newest that the look before had shown, is shown by now.
        up_to = self._listed_until
        if self._before is not None:
            up_to = max(up_to, began - self._before[0] + self._before[1])
        for doubt, name in zip(doubts, names, strict=True):
            found = wanted.get(name, set())
            if self._content_of is not None:
                found = found - known
            ids = tuple(sorted(ticket for ticket in found if ticket is not None))
            if not found:
                gap = self._gap(result, doubt, evidence, up_to)
                if gap is not None:
                    result.gaps[doubt.row] = gap
            elif self._content_of is None:
                # Under an id that cannot be read it is there, but nobody can say where.
                proven = len(found) == 1 and bool(ids)
                result.found[doubt.row] = ("present" if proven else "ambiguous", ids)
            else:
                alone = len(found) == len(ids) == 1 and times[name] == 1
                result.found[doubt.row] = ("probable" if alone else "ambiguous", ids)
        explained = set(known)
        for row, like in cut.found.items():
            if row not in result.found and like - known:
                ids = tuple(sorted(t for t in like - known if t is not None))
                alone = len(like - known) == len(ids) == 1 and cut.alone(row)
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

    async def _known_tickets(
        self, evidence: Evidence, since: float, until: float
    ) -> AsyncIterator[ListedTicket]:
        """Tickets of lists that :meth:`read` has taken in already."""
        async for seen in self._look(since, until):
            if isinstance(seen, ListedTicket):
                evidence.note(seen)
                yield seen

    def _evidence(self) -> Evidence:
        return Evidence(self._confirmed, self._day_of, self._now())

    def _unseen(self) -> _Unseen:
        return _Unseen(self._shown)

    def add_confirmed(self, reference: str, at: float, traits: int) -> None:
        """A trial ticket was made, and is there for sure if a look shows it."""
        self._confirmed[reference] = ConfirmedRow(at, inf, traits, self._day_of(at))

    def _gap(
        self, result: LookupResult, doubt: Doubt, evidence: Evidence, up_to: float
    ) -> Gap | None:
        if self._content_of is not None:
            return Gap("without a reference, that nothing was found proves nothing", against=True)
        if result.unseen:
            words = f"{result.unseen:,} tickets that are there for sure were not shown, either"
            return Gap(words, against=True)
        if self._beginnings is not None and doubt.row not in self._beginnings:
            return Gap("its content is not kept, so a ticket that lost its reference is not told")
        return evidence.gap(doubt, up_to)

    async def _add_candidates(
        self,
        candidates: Candidates,
        result: LookupResult,
        doubts: Sequence[Doubt],
        explained: set[str | None],
    ) -> None:
        """Of rows that have not been found, add those that an unexplained ticket may be."""
        left = [d for d in doubts if d.row not in result.found and d.row not in result.alike]
        if not left or not candidates.ticket_ids:
            return
        explained |= await self._known(candidates.ticket_ids)
        clues: dict[int, frozenset[str]] = {}
        if candidates.need_clues and self._payloads is not None and self._clues_of is not None:
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

    def _names_of(self, seen: ListedTicket) -> Iterable[str]:
        if self._content_of is None:
            return seen.references
        return () if seen.content is None else (seen.content,)


class _Unseen:
    """Tickets that are there for sure, until they are shown."""

    def __init__(self, shown: Mapping[str, str | None]) -> None:
        self.left = dict(shown)
        self._names = {ticket: name for name, ticket in shown.items() if ticket}

    def strike(self, seen: ListedTicket) -> None:
        """A ticket was shown."""
        for reference in seen.references:
            self.left.pop(reference, None)
        if seen.ticket_id in self._names:  # it is there, whatever became of its text
            self.left.pop(self._names[seen.ticket_id], None)


def surely_shown(doubts: Sequence[Doubt]) -> float:
    """Since when a survey for these shows every ticket, however the clocks differ."""
    return min(doubt.first_intent_at for doubt in doubts) - MARGIN / 2


def _one_day(at: float) -> object:
    return None


async def lookup_for(
    journal: Journal,
    look: ListTickets | AskRows,
    content_of: Callable[[bytes], str] | None,
    doubts: list[Doubt],
    settle: float,
    day_of: Callable[[float], object] | None,
    beginnings: dict[int, tuple[str, str]] | None,
    clues_of: CluesOf | None,
    now: Callable[[], float],
    *,
    listed_until: float = -inf,
    payloads: Payloads | None = None,
    may_be: MayBe | None = None,
) -> Lookup:
    """How these rows are looked for, and by which others a look is judged.

    See :class:`.Candidates` for ``may_be``, and :class:`.ListLookup` for the rest.
    """
    until = now() - settle

    async def known(ticket_ids: set[str]) -> set[str]:
        return await journal.call(lambda session: session.accepted_among(ticket_ids))

    if isinstance(look, AskRows):
        some = await journal.call(lambda session: _confirmed(session, 0.0, until, NEWEST, None))
        return RowLookup(look.ask, some, known)
    since = surely_shown(doubts)
    some = await journal.call(lambda session: _confirmed(session, since, inf, SPREAD, day_of))
    candidates = None
    if content_of is None:
        runs = await journal.call(lambda session: _sending(session.runs(), doubts))
        candidates = Candidates(settle, runs, may_be)

    async def kept() -> dict[int, bytes]:
        return await journal.call(lambda session: dict(session.payloads_of(State.UNKNOWN)))

    return ListLookup(
        look,
        content_of,
        some,
        known,
        since=since,
        until=until,
        day_of=day_of,
        beginnings=beginnings,
        candidates=candidates,
        clues_of=clues_of,
        payloads=payloads or kept,
        now=now,
        listed_until=listed_until,
    )


def _sending(runs: Sequence[Run], doubts: Sequence[Doubt]) -> list[tuple[float, float]]:
    """When runs may have sent. Of one that was killed, nobody knows when."""
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
    """Rows that came into the helpdesk between two moments, as the service or a look said: spread
    evenly, some of each day, and those that were sent last, which say how new a list is."""
    sample = Sample[RowView](most, 0 if day_of is None else NEWEST)
    for row in session.rows_in(State.ACCEPTED):
        sent_at = row.sent_at
        if sent_at is None or sent_at < since or row.at > until or row.words == TOLD:
            continue
        sample.add(row, row.row, sent_at, None if day_of is None else day_of(sent_at))
    return sample.rows()
