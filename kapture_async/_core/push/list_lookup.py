"""Rows looked up in a list of all tickets: by reference, by content, or by how they begin."""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf

from ..journal.records import Doubt, RowView
from .candidates import Candidates, CluesOf
from .evidence import ConfirmedRow, Evidence
from .lookup import MARGIN, Gap, KnownElsewhere, ListedTicket, ListEnd, ListTickets, LookupResult

_TAG = re.compile(r"<[^<>]*>")
_BEGINNING = 200
"""Characters of a text that are compared."""
_SURE = 30
"""Characters that a text which was cut must still have to be taken for the one that was sent."""


_PART = re.compile(r"\s*\\?\[(?:r(?:e(?:f(?::[a-z2-7]*)?)?)?)?\Z")


def beginning(title: str | None, text: str | None) -> tuple[str, str]:
    """Title and the beginning of a text, as they are compared: white space and mark-up do not
    survive every way."""
    return _folded(title), _folded((text or "")[: 20 * _BEGINNING])[:_BEGINNING]


def _folded(text: str | None) -> str:
    plain = html.unescape(html.unescape(text or ""))
    return " ".join(_TAG.sub(" ", plain).split()).casefold()


class Beginnings:
    """Rows in doubt by how they begin: title, and beginning of the text.

    Args:
        doubts: the rows.
        beginnings: of each how it begins.
    """

    def __init__(self, doubts: Sequence[Doubt], beginnings: Mapping[int, tuple[str, str]]) -> None:
        self.found: dict[int, set[str | None]] = {}
        self._rows: dict[str, dict[str, list[int]]] = {}
        self._own = beginnings
        for doubt in doubts:
            if doubt.row in beginnings:
                title, text = beginnings[doubt.row]
                self._rows.setdefault(title, {}).setdefault(text, []).append(doubt.row)
        self._texts = {title: sorted(texts) for title, texts in self._rows.items()}

    def compare(self, seen: tuple[str, str], ticket_id: str | None) -> None:
        """Note the rows that a ticket may be: it has the row's title, and the beginning of the
        text, perhaps cut short, or perhaps with a part of the reference."""
        title, text = seen
        texts = self._texts.get(title)
        if texts is None:
            return
        text = _PART.sub("", text)
        for place in range(bisect_left(texts, text), len(texts)):
            own = texts[place]
            if not own.startswith(text):
                break
            if len(text) >= min(len(own), _SURE):
                for row in self._rows[title][own]:
                    self.found.setdefault(row, set()).add(ticket_id)

    def alone(self, row: int) -> bool:
        """Whether no other row begins as this one."""
        title, text = self._own[row]
        return len(self._rows[title][text]) == 1


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
        evidence = self._evidence() if self._whole is None else self._whole[0]
        cut = Beginnings(doubts, self._beginnings or {})
        async for seen in self._look(since, until):
            if isinstance(seen, ListEnd):
                evidence.end(seen)
                continue
            result.tickets += 1
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
        for row, tickets in cut.found.items():
            if row not in result.found and tickets - known:
                ids = tuple(sorted(t for t in tickets - known if t is not None))
                alone = len(tickets - known) == len(ids) == 1 and cut.alone(row)
                result.alike[row] = ("probable" if alone else "ambiguous", ids)
                if alone:
                    explained |= tickets
        if self._candidates is not None:
            await self._add_candidates(self._candidates, result, doubts, explained)
            self._candidates.learn(evidence.makers, evidence.ahead, evidence.behind)
        self._before = self._now(), evidence.freshest
        late = [d.last_at - evidence.freshest for d in doubts if d.row not in result.found]
        result.wait = max(late, default=0.0) if evidence.shown else 0.0
        return result

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
