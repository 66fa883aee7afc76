"""Rows looked up in a list of all tickets of a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf

from ..journal.records import Doubt, RowView
from .beginnings import Beginnings
from .candidates import Candidates, CluesOf
from .evidence import Evidence, Witness
from .lookup import MARGIN, Gap, KnownElsewhere, ListEnd, Look, Seen, Sight

Payloads = Callable[[], Awaitable[Mapping[int, bytes]]]
"""Gives what rows in doubt were sent with, as far as it is kept."""


class Survey:
    """Looks through all tickets of a time.

    What it does not find is absent only if there is no :meth:`.Evidence.gap`, and no ticket that
    may be it: neither one that begins as it does, nor one that nothing else explains.

    Args:
        look: gives them.
        content_of: what is compared, from a row's payload; only where no reference travels.
        witnesses: rows that are in the helpdesk for sure, by which a look is judged.
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
        look: Look,
        content_of: Callable[[bytes], str] | None,
        witnesses: Iterable[RowView],
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
        self._witnesses: dict[str, Witness] = {}
        self._shown: dict[str, str | None] = {}
        for row in witnesses:
            if row.sent_at is not None:
                self._witnesses[row.reference] = Witness.of_row(row, self._day_of)
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
        async for seen in self._look(since, until):
            if isinstance(seen, ListEnd):
                evidence.end(seen)
                continue
            evidence.add(seen)
            unseen.strike(seen)
            if self._candidates is not None and not seen.references:
                self._candidates.add(seen)
        evidence.close()
        if self._candidates is not None:
            self._candidates.learn(evidence.makers, evidence.ahead, evidence.behind)
        self._whole = evidence, len(unseen.left)

    @property
    def makers(self) -> frozenset[object]:
        """Who makes the tickets of this journal, after :meth:`read`."""
        return frozenset() if self._whole is None else frozenset(self._whole[0].makers)

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> Sight:
        """See :class:`.Looking`."""
        sight = Sight()
        names = [self._name_of(doubt) for doubt in doubts]
        wanted: dict[str, set[str | None]] = {name: set() for name in names if name}
        new = [doubt for doubt in doubts if doubt.reference not in self._witnesses]
        for doubt in new:  # found by its reference, it vouches for the others
            self._witnesses[doubt.reference] = Witness.of_doubt(doubt, self._day_of)
        began, unseen = self._now(), self._unseen()
        if self._candidates is not None:
            self._candidates.begin(doubts)
        evidence = self._evidence() if self._whole is None else self._whole[0]
        cut = Beginnings(doubts, self._beginnings or {})
        async for seen in self._look(since, until):
            if isinstance(seen, ListEnd):
                evidence.end(seen)
                continue
            sight.tickets += 1
            if self._whole is None:
                evidence.add(seen)
                unseen.strike(seen)
            else:
                evidence.vouch(seen)
            for name in self._names_of(seen):
                if name in wanted:
                    wanted[name].add(seen.ticket_id)
            if not seen.references:
                if seen.beginning is not None:
                    cut.compare(seen.beginning, seen.ticket_id)
                if self._candidates is not None:
                    self._candidates.add(seen)
        if self._whole is None:
            evidence.close()
            sight.unseen = len(unseen.left)
        else:
            sight.unseen = self._whole[1]
            for doubt in new:  # else they all would be kept
                self._witnesses.pop(doubt.reference, None)
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
                gap = self._gap(sight, doubt, evidence, up_to)
                if gap is not None:
                    sight.gaps[doubt.row] = gap
            elif self._content_of is None:
                # Under an id that cannot be read it is there, but nobody can say where.
                proven = len(found) == 1 and bool(ids)
                sight.found[doubt.row] = ("present" if proven else "ambiguous", ids)
            else:
                alone = len(found) == len(ids) == 1 and times[name] == 1
                sight.found[doubt.row] = ("probable" if alone else "ambiguous", ids)
        explained = set(known)
        for row, tickets in cut.found.items():
            if row not in sight.found and tickets - known:
                ids = tuple(sorted(t for t in tickets - known if t is not None))
                alone = len(tickets - known) == len(ids) == 1 and cut.alone(row)
                sight.alike[row] = ("probable" if alone else "ambiguous", ids)
                if alone:
                    explained |= tickets
        if self._candidates is not None:
            await self._add_candidates(self._candidates, sight, doubts, explained)
            self._candidates.learn(evidence.makers, evidence.ahead, evidence.behind)
        self._before = self._now(), evidence.freshest
        late = [d.last_at - evidence.freshest for d in doubts if d.row not in sight.found]
        sight.wait = max(late, default=0.0) if evidence.shown else 0.0
        return sight

    def _evidence(self) -> Evidence:
        return Evidence(self._witnesses, self._day_of, self._now())

    def _unseen(self) -> _Unseen:
        return _Unseen(self._shown)

    def add_witness(self, reference: str, at: float, traits: int) -> None:
        """A trial ticket was made, and is there for sure if a look shows it."""
        self._witnesses[reference] = Witness(at, inf, traits, self._day_of(at))

    def _gap(self, sight: Sight, doubt: Doubt, evidence: Evidence, up_to: float) -> Gap | None:
        if self._content_of is not None:
            return Gap("without a reference, that nothing was found proves nothing", against=True)
        if sight.unseen:
            words = f"{sight.unseen:,} tickets that are there for sure were not shown, either"
            return Gap(words, against=True)
        if self._beginnings is not None and doubt.row not in self._beginnings:
            return Gap("its content is not kept, so a ticket that lost its reference is not told")
        return evidence.gap(doubt, up_to)

    async def _add_candidates(
        self,
        candidates: Candidates,
        sight: Sight,
        doubts: Sequence[Doubt],
        explained: set[str | None],
    ) -> None:
        """Of rows that have not been found, add those that an unexplained ticket may be."""
        left = [d for d in doubts if d.row not in sight.found and d.row not in sight.alike]
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
            sight.candidates[row] = tickets
            if max(rows[ticket] for ticket in tickets) > len(tickets):
                sight.shared.add(row)

    def _name_of(self, doubt: Doubt) -> str:
        if self._content_of is None:
            return doubt.reference
        return self._content_of(doubt.payload) if doubt.payload is not None else ""

    def _names_of(self, seen: Seen) -> Iterable[str]:
        if self._content_of is None:
            return seen.references
        return () if seen.content is None else (seen.content,)


class _Unseen:
    """Tickets that are there for sure, until they are shown."""

    def __init__(self, shown: Mapping[str, str | None]) -> None:
        self.left = dict(shown)
        self._names = {ticket: name for name, ticket in shown.items() if ticket}

    def strike(self, seen: Seen) -> None:
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
