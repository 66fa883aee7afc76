"""One look at the helpdesk, for rows in doubt: at all there is, or at each row by itself.

A *survey* lists every ticket of a time, and finds rows among them. An *inquiry* asks about each
row by itself, where nothing lists them: an update, say, is only to be seen in its ticket.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Literal, Protocol

from attrs import define, field, frozen

from .journal.facts import Doubt, RowView

Finding = Literal["present", "ambiguous", "probable"]


@frozen
class Seen:
    """A ticket as a survey found it."""

    ticket_id: str | None
    """``None`` if it has none that can be read: then it is there, but cannot be named."""
    references: frozenset[str] = frozenset()
    content: str | None = field(default=None, repr=False)
    """What can be compared with a row's content; only where no reference travels."""
    beginning: tuple[str, str] | None = field(default=None, repr=False)
    """Title and text, of a ticket that may have lost a reference at the end of its text."""
    merged_into: str | None = None
    """The ticket that agents merged it into."""


Look = Callable[[float, float], AsyncIterator[Seen]]
"""A survey: gives every ticket created between two moments, in seconds since the epoch, and
perhaps more."""


@frozen(kw_only=True)
class Sought:
    """A row that a helpdesk is asked about by itself.

    Attributes:
        row: its number in the journal.
        key: the row's key, or ``None``.
        reference: what it is known by.
        payload: what it was sent with. ``None`` if the journal keeps none: of rows that are in
            the helpdesk for sure, it never does.
        ticket_id: what the service gave, for a row that is in the helpdesk for sure.
    """

    row: int
    key: str | None
    reference: str
    payload: bytes | None = field(default=None, repr=False)
    ticket_id: str | None = None


@frozen(kw_only=True)
class Told:
    """What the helpdesk shows of one row.

    Attributes:
        row: its number in the journal.
        ticket_ids: where it was found, each place once.
        proven: it was found by its reference, and not only by its content.
        telling: that it was not found there says that it is not there.
        others: references of other rows that were seen on the way, each with where.
    """

    row: int
    ticket_ids: tuple[str, ...] = ()
    proven: bool = True
    telling: bool = True
    others: tuple[tuple[str, str], ...] = ()


Ask = Callable[[Sequence[Sought]], AsyncIterator[Told]]
"""Asks about rows. Of a row that cannot be asked about, nothing is given."""


@frozen
class Inquiry:
    """A way to look that asks about each row by itself."""

    ask: Ask


@define
class Sight:
    """What one look has shown.

    Attributes:
        tickets: how many it saw.
        found: rows that it found, by number, each with its tickets.
        unproven: rows that it did not find, without that saying that they are not there.
        unvouched: of these, rows that would be absent if the look had shown anything of the
            journal beside them; see :attr:`.Reconciliation.unvouched`.
        alike: rows that it did not find, by number, each with tickets that begin as it does and
            have no reference: it may be one that was cut off.
        unseen: rows that are surely in the helpdesk, and that it did not show.
    """

    tickets: int = 0
    found: dict[int, tuple[Finding, tuple[str, ...]]] = field(factory=dict)
    unproven: set[int] = field(factory=set)
    unvouched: set[int] = field(factory=set)
    alike: dict[int, tuple[Finding, tuple[str, ...]]] = field(factory=dict)
    unseen: int = 0


KnownElsewhere = Callable[[set[str]], Awaitable[set[str]]]
"""Of some ticket ids those that the journal knows as other rows' tickets."""


class Looking(Protocol):
    """A way to look for rows."""

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> Sight:
        """Look once for rows sent between two moments."""
        ...


class Survey:
    """Looks through all tickets of a time.

    A row that it does not find is taken for absent only if it has shown some other row of the
    journal that was sent on the same day: a list that is empty, or that shows no references,
    proves nothing.

    Args:
        look: gives them.
        content_of: what is compared, from a row's payload; only where no reference travels.
        witnesses: rows that are in the helpdesk for sure, by which a look is judged.
        since: a look must show those of them that were sent after this moment,
        until: and before this one. Any of the others may be shown.
        day_of: the day of the service's calendar that a moment falls on, where days are listed
            one by one.
        beginnings: of rows in doubt, where a reference may be cut off: their beginnings, as
            :func:`beginning` gives them. A row that is missing there proves nothing.
        known: tells tickets that are other rows'.
    """

    def __init__(
        self,
        look: Look,
        content_of: Callable[[bytes], str] | None,
        witnesses: Iterable[RowView],
        known: KnownElsewhere,
        *,
        since: float = 0.0,
        until: float = inf,
        day_of: Callable[[float], object] | None = None,
        beginnings: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:
        self._look = look
        self._content_of = content_of
        self._day_of = day_of or _one_day
        sent = [(w, w.sent_at) for w in witnesses if w.sent_at is not None]
        self._days = {w.reference: self._day_of(sent_at) for w, sent_at in sent}
        self._shown = {w.reference for w, at in sent if since <= at and w.at <= until}
        if content_of is not None:
            self._shown.clear()
        self._known = known
        self._beginnings = beginnings

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> Sight:
        """See :class:`Looking`."""
        sight = Sight()
        names = [self._name_of(doubt) for doubt in doubts]
        wanted: dict[str, set[str | None]] = {name: set() for name in names if name}
        unseen = set(self._shown)
        for doubt in doubts:  # found by its reference, it vouches for the others
            self._days.setdefault(doubt.reference, self._day_of(doubt.sent_at))
        vouched: set[object] = set()
        cut = _Beginnings(doubts, self._beginnings or {})
        async for seen in self._look(since, until):
            sight.tickets += 1
            unseen -= seen.references
            vouched.update(self._days[r] for r in seen.references if r in self._days)
            for name in self._names_of(seen):
                if name in wanted:
                    wanted[name].add(seen.ticket_id)
            if seen.beginning is not None and not seen.references:
                cut.compare(seen.beginning, seen.ticket_id)
        sight.unseen = len(unseen)
        some = [*wanted.values(), *cut.found.values()]
        known: set[str | None] = set()
        if self._content_of is not None or cut.found:
            known |= await self._known({t for found in some for t in found if t is not None})
        times = Counter(names)
        for doubt, name in zip(doubts, names, strict=True):
            found = wanted.get(name, set())
            if self._content_of is not None:
                found = found - known
            ids = tuple(sorted(ticket for ticket in found if ticket is not None))
            if not found:
                self._judge_missing(sight, doubt, vouched)
            elif self._content_of is None:
                # Under an id that cannot be read it is there, but nobody can say where.
                proven = len(found) == 1 and bool(ids)
                sight.found[doubt.row] = ("present" if proven else "ambiguous", ids)
            else:
                alone = len(found) == len(ids) == 1 and times[name] == 1
                sight.found[doubt.row] = ("probable" if alone else "ambiguous", ids)
        for row, tickets in cut.found.items():
            if row not in sight.found and tickets - known:
                ids = tuple(sorted(t for t in tickets - known if t is not None))
                alone = len(tickets - known) == len(ids) == 1 and cut.alone(row)
                sight.alike[row] = ("probable" if alone else "ambiguous", ids)
        return sight

    def _judge_missing(self, sight: Sight, doubt: Doubt, vouched: set[object]) -> None:
        if self._content_of is not None or sight.unseen:
            sight.unproven.add(doubt.row)
        elif self._day_of(doubt.sent_at) not in vouched or (
            self._beginnings is not None and doubt.row not in self._beginnings
        ):
            sight.unvouched.add(doubt.row)

    def _name_of(self, doubt: Doubt) -> str:
        if self._content_of is None:
            return doubt.reference
        return self._content_of(doubt.payload) if doubt.payload is not None else ""

    def _names_of(self, seen: Seen) -> Iterable[str]:
        if self._content_of is None:
            return seen.references
        return () if seen.content is None else (seen.content,)


def beginning(title: str | None, text: str | None) -> tuple[str, str]:
    """Title and the beginning of a text, as they are compared: white space and mark-up do not
    survive every way."""
    return _folded(title), _folded((text or "")[: 20 * _BEGINNING])[:_BEGINNING]


def _folded(text: str | None) -> str:
    plain = html.unescape(html.unescape(text or ""))
    return " ".join(_TAG.sub(" ", plain).split()).casefold()


def _one_day(at: float) -> object:
    return None


_TAG = re.compile(r"<[^<>]*>")
_BEGINNING = 200
"""Characters of a text that are compared."""
_SURE = 30
"""Characters that a text which was cut must still have to be taken for the one that was sent."""


class _Beginnings:
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


_VOUCHING = 20
"""Rows that one look found, and by which the next is judged."""
_PART = re.compile(r"\s*\\?\[(?:r(?:e(?:f(?::[a-z2-7]*)?)?)?)?\Z")


class Asking:
    """Asks about each row by itself, and about a few that are there for sure.

    Which of those carry a reference, nobody knows any more (an update without a comment carries
    none). So one that shows is enough; but where no reference shows, nothing is taken for absent.

    Args:
        ask: does it.
        witnesses: rows that are in the helpdesk for sure.
        known: tells tickets that are other rows'.
    """

    def __init__(self, ask: Ask, witnesses: Iterable[RowView], known: KnownElsewhere) -> None:
        self._ask = ask
        self._witnesses = [
            Sought(row=w.row, key=w.key, reference=w.reference, ticket_id=w.ticket_id)
            for w in witnesses
        ]
        self._known = known

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> Sight:
        """See :class:`Looking`."""
        sight = Sight()
        sought = [
            Sought(row=d.row, key=d.key, reference=d.reference, payload=d.payload) for d in doubts
        ]
        told: dict[int, Told] = {}
        async for one in self._ask([*sought, *self._witnesses]):
            told[one.row] = one
        sight.tickets = len(told)
        showing = {one.row for one in told.values() if one.proven and one.ticket_ids}
        shows = bool(showing)
        asked = sum(witness.row in told for witness in self._witnesses)
        if asked and not shows:
            sight.unseen = asked
        alike = {t for one in told.values() if not one.proven for t in one.ticket_ids}
        known = await self._known(alike) if alike else set[str]()
        for doubt in doubts:
            found = told.get(doubt.row)
            ids = () if found is None else found.ticket_ids
            if found is not None and not found.proven:
                ids = tuple(ticket for ticket in ids if ticket not in known)
            if found is None or not ids:
                if found is None or not found.proven or not found.telling or sight.unseen:
                    sight.unproven.add(doubt.row)
                elif not shows:
                    sight.unvouched.add(doubt.row)
            elif len(ids) > 1:
                sight.found[doubt.row] = ("ambiguous", ids)
            else:
                sight.found[doubt.row] = ("present" if found.proven else "probable", ids)
        if len(self._witnesses) < _VOUCHING:  # for the next look
            self._witnesses += [one for one in sought if one.row in showing][:_VOUCHING]
        return sight


def surely_shown(doubts: Sequence[Doubt]) -> float:
    """Since when a survey for these shows every ticket, however the clocks differ."""
    return min(doubt.first_intent_at for doubt in doubts) - MARGIN / 2


MARGIN = 26 * 3600.0
"""Seconds by which the clocks of two machines may differ: one of them may take its local time for
that of another zone."""
