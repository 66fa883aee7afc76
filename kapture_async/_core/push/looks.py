"""One look at the helpdesk, for rows in doubt: at all there is, or at each row by itself.

A *survey* lists every ticket of a time, and finds rows among them. An *inquiry* asks about each
row by itself, where nothing lists them: an update, say, is only to be seen in its ticket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Literal, Protocol

from attrs import define, field, frozen

from .journal.facts import Doubt, RowView

Finding = Literal["present", "ambiguous", "probable"]


@frozen
class Seen:
    """A ticket as a survey found it."""

    ticket_id: str
    references: frozenset[str] = frozenset()
    content: str | None = field(default=None, repr=False)
    """What can be compared with a row's content; only where no reference travels."""


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
    """

    row: int
    ticket_ids: tuple[str, ...] = ()
    proven: bool = True
    telling: bool = True


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
        unseen: rows that are surely in the helpdesk, and that it did not show.
    """

    tickets: int = 0
    found: dict[int, tuple[Finding, tuple[str, ...]]] = field(factory=dict)
    unproven: set[int] = field(factory=set)
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

    Args:
        look: gives them.
        content_of: what is compared, from a row's payload; only where no reference travels.
        witnesses: rows that are in the helpdesk for sure, by which a look is judged.
        known: tells tickets that are other rows'.
    """

    def __init__(
        self,
        look: Look,
        content_of: Callable[[bytes], str] | None,
        witnesses: Iterable[RowView],
        known: KnownElsewhere,
    ) -> None:
        self._look = look
        self._content_of = content_of
        self._witnesses = list(witnesses) if content_of is None else []
        self._known = known

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> Sight:
        """See :class:`Looking`."""
        sight = Sight()
        names = [self._name_of(doubt) for doubt in doubts]
        wanted: dict[str, set[str]] = {name: set() for name in names if name}
        shown = surely_shown(doubts)
        unseen = {row.reference for row in self._witnesses if row.at >= shown}
        async for seen in self._look(since, until):
            sight.tickets += 1
            unseen -= seen.references
            for name in self._names_of(seen):
                if name in wanted:
                    wanted[name].add(seen.ticket_id)
        sight.unseen = len(unseen)
        if self._content_of is not None:
            known = await self._known({ticket for found in wanted.values() for ticket in found})
            wanted = {name: found - known for name, found in wanted.items()}
        for doubt, name in zip(doubts, names, strict=True):
            ids = tuple(sorted(wanted.get(name, ())))
            if not ids:
                if self._content_of is not None or unseen:
                    sight.unproven.add(doubt.row)
            elif self._content_of is None:
                sight.found[doubt.row] = ("present" if len(ids) == 1 else "ambiguous", ids)
            else:
                alone = len(ids) == 1 and names.count(name) == 1
                sight.found[doubt.row] = ("probable" if alone else "ambiguous", ids)
        return sight

    def _name_of(self, doubt: Doubt) -> str:
        if self._content_of is None:
            return doubt.reference
        return self._content_of(doubt.payload) if doubt.payload is not None else ""

    def _names_of(self, seen: Seen) -> Iterable[str]:
        if self._content_of is None:
            return seen.references
        return () if seen.content is None else (seen.content,)


class Asking:
    """Asks about each row by itself, and about a few that are there for sure.

    Which of those carry a reference, nobody knows any more (an update without a comment carries
    none). So one that shows is enough; but where none shows, nothing is taken for absent.

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
        shows = any(one.proven and one.ticket_ids for one in told.values())
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
            elif len(ids) > 1:
                sight.found[doubt.row] = ("ambiguous", ids)
            else:
                sight.found[doubt.row] = ("present" if found.proven else "probable", ids)
        return sight


def surely_shown(doubts: Sequence[Doubt]) -> float:
    """Since when a survey for these shows every ticket, however the clocks differ."""
    return min(doubt.first_intent_at for doubt in doubts) - MARGIN / 2


MARGIN = 3600.0
"""Seconds by which the clocks of two machines may differ."""
