"""An older copy of a journal: what it would send is looked up in the helpdesk first.

It does not know what was sent after it was made. But the reference of a row depends on the journal
and on the row alone, so it is equal in every copy, also for rows that this copy has never seen. A
row that is found is accepted; one that is proven absent, by the rules of :mod:`.reconcile`, is
sent; any other is in doubt.

A copy may ask for thousands of rows that were never sent. Each ticket that nothing explains would
leave all of them in doubt, if there were not the customer: agents who write another text leave a
ticket with whom it is of. Where the rows that were found show that tickets keep the e-mail address
of their rows, a ticket of another address is not the row's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from math import inf
from typing import NamedTuple

from attrs import evolve, field, frozen

from ..journal.records import Doubt, Sighted, State
from ..journal.traits import traits_of
from ..journal.writer import Journal
from .candidates import CluesOf, addresses_in
from .contradictions import AT_ONCE, Watch
from .list_lookup import Survey
from .lookup import MARGIN, Inquiry, ListEnd, Look, Looking, Seen, Sight
from .reconcile import longest_call, settle_time, way_to_look
from .shown import Shown, maker_of


@frozen(kw_only=True)
class Ways:
    """How the rows of an operation are found in the helpdesk.

    Attributes:
        look: all of a time, or each by itself.
        beginning_of: title and text, from a row's payload; see :func:`.reconcile.reconcile`.
        clues_of: what a ticket may share with a row, from its payload; likewise.
    """

    look: Look | Inquiry
    beginning_of: Callable[[bytes], tuple[str, str]] | None = None
    clues_of: CluesOf | None = None


class Wanted(NamedTuple):
    """A row that would be sent."""

    key: str | None
    line: int | None
    reference: str
    payload: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"<Wanted {self.reference}>"  # key and payload are the caller's


_NO: tuple[str, tuple[str, ...]] = ("", ())


class Search:
    """Looks rows up before they are sent. The lists are read once, whole, before the first row.

    Where the newer copy was closed without a doubt, its mark says how many rows it had sent. Once
    as many are found, all others are absent, whatever the lists prove.

    Args:
        journal: the older copy, open.
        ways: how rows are found.
        longest: the most seconds a call may take.
        now: the wall clock.
    """

    def __init__(
        self,
        journal: Journal,
        ways: Ways,
        *,
        longest: float | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._ways = ways
        self._longest = longest
        self._now = now
        self._made = 0.0
        self._until = 0.0
        self._settle = 0.0
        self._watch = Watch(journal)
        self._shown = Shown()
        self._found = 0
        self._survey: Survey | None = None
        self._doubts: list[Doubt] = []
        self._beginnings: dict[int, tuple[str, str]] = {}
        self._addresses: dict[int, frozenset[str]] = {}
        self._addresses_of: dict[str, frozenset[str]] = {}
        """Of the tickets that concern the rows looked for."""
        self._kept = self._lost = 0
        """Rows that were found with their address, and without it."""

    async def begin(self) -> None:
        """Read the lists.

        Raises:
            HelpdeskError: the helpdesk could not be asked.
        """
        self._made = await self._journal.call(lambda store: store.made())
        noted = await self._journal.call(lambda store: store.longest_call(0.0))
        self._settle = settle_time(None, max(longest_call(self._longest), noted or 0.0))
        self._until = self._now()
        if isinstance(self._ways.look, Inquiry):
            return
        way = await self._way(self._tickets, [self._doubt(-1, Wanted(None, None, "", b""))])
        assert isinstance(way, Survey)
        await way.read(self._made - MARGIN, self._until + MARGIN)
        self._survey = way

    async def end(self) -> None:
        """Note what was seen of rows that the copy knows, and nobody asked for.

        Raises:
            JournalError: it could not be written.
        """
        self._shown.close()
        with self._watch:
            await self._watch.compare(self._until)

    async def sight(self, wanted: Sequence[Wanted]) -> list[Sighted | None]:
        """What was found of rows; ``None`` for one that is proven not to be there.

        Raises:
            HelpdeskError: the helpdesk could not be asked.
        """
        doubts = [self._doubt(-1 - number, one) for number, one in enumerate(wanted)]
        if not doubts:
            return []
        self._doubts = doubts
        beginning_of = self._ways.beginning_of
        self._beginnings.clear()
        if beginning_of is not None:
            self._beginnings.update({d.row: beginning_of(d.payload or b"{}") for d in doubts})
        self._addresses.clear()
        clues_of = self._ways.clues_of
        if clues_of is not None:
            self._addresses = {d.row: addresses_in(clues_of(d.payload or b"{}")) for d in doubts}
        since, until = self._made - MARGIN, self._until + MARGIN
        look, survey = self._ways.look, self._survey
        if survey is None:
            assert isinstance(look, Inquiry)
            way = await self._way(self._watch.over(look), doubts)
            sight = await way.look(doubts, since, until)
        else:
            makers = survey.makers
            sight = await survey.look(doubts, since, until)
            self._learn(sight)
            if survey.makers != makers:
                # It has learned who makes the tickets; now those that nothing explains.
                sight = await survey.look(doubts, since, until)
        found = [d.reference for d in doubts if sight.found.get(d.row, _NO)[0] == "present"]
        self._found = await self._journal.call(lambda store: self._shown.note_found(found))
        return [self._sighted(sight, doubt.row) for doubt in doubts]

    async def _way(self, look: Look | Inquiry, doubts: list[Doubt]) -> Looking:
        async def payloads() -> dict[int, bytes]:
            return {one.row: one.payload for one in self._doubts if one.payload is not None}

        return await way_to_look(
            self._journal,
            look,
            None,
            doubts,
            self._settle,
            None,
            None if self._ways.beginning_of is None else self._beginnings,
            self._ways.clues_of,
            self._now,
            may_be=self._may_be,
            listed_until=inf,
            payloads=payloads,
        )

    def _learn(self, sight: Sight) -> None:
        """Whether the tickets of rows that were found have the addresses of their rows."""
        for row, (kind, ids) in sight.found.items():
            own = self._addresses.get(row)
            if kind == "present" and own:
                kept = bool(own & self._addresses_of.get(ids[0], frozenset()))
                self._kept, self._lost = self._kept + kept, self._lost + (not kept)

    def _may_be(self, row: int, ticket_id: str | None) -> bool:
        """Whether a ticket that nothing explains may be a row's, by its customer."""
        if self._lost or not self._kept or ticket_id is None:
            return True
        own, others = self._addresses.get(row), self._addresses_of.get(ticket_id)
        return not own or not others or bool(own & others)

    async def _tickets(self, since: float, until: float) -> AsyncIterator[Seen | ListEnd]:
        """All there are, the first time; then those that concern the rows looked for."""
        if self._survey is not None:
            references = [doubt.reference for doubt in self._doubts]
            titles = [title for title, _ in self._beginnings.values()]
            makers = [str(maker) for maker in self._survey.makers]
            found = await self._journal.call(
                lambda store: self._shown.of(references, titles, makers)
            )
            self._addresses_of = {
                one.ticket_id: addresses_in(one.clues())
                for one in found
                if one.ticket_id is not None and one.clues is not None
            }
            for one in found:
                yield one
            return
        look = self._ways.look
        assert not isinstance(look, Inquiry)
        some: list[Seen] = []
        async for seen in self._watch.over_list(look)(since, until):
            if isinstance(seen, Seen):
                some.append(seen)
                if len(some) == AT_ONCE:
                    await self._keep(some)
                yield evolve(seen, made_by=maker_of(seen))
            else:
                yield seen
        await self._keep(some)

    async def _keep(self, some: list[Seen]) -> None:
        kept = some.copy()
        some.clear()
        await self._journal.call(lambda store: self._shown.add(kept))

    def _sighted(self, sight: Sight, row: int) -> Sighted | None:
        last = self._journal.restored or self._until
        found = sight.found.get(row) or sight.alike.get(row)
        if found is not None:
            return Sighted(found[0], found[1], self._made, last)
        if row in sight.candidates:
            return Sighted("probable", sight.candidates[row], self._made, last)
        sent = self._journal.sent_in_all
        if sent is not None and self._found >= sent:
            return None  # all that the newer copy had sent was found, so this is not among it
        if row in sight.gaps:
            return Sighted("unknown", (), self._made, last)
        if self._until < self.settled_at:  # the lists were read too early, however late it is
            return Sighted("unsettled", (), self._made, last)
        return None

    @property
    def settled_at(self) -> float:
        """When everything that another copy has sent must be done."""
        return (self._journal.restored or 0.0) + self._settle

    def _doubt(self, number: int, one: Wanted) -> Doubt:
        return Doubt(
            row=number,
            key=one.key,
            line=one.line,
            reference=one.reference,
            state=State.UNKNOWN,
            payload=one.payload,
            attempts=1,
            first_intent_at=self._made,
            sent_at=self._made,
            last_at=self._journal.restored or self._until,
            error=None,
            words=None,
            absent_looks=0,
            last_look_at=None,
            traits=traits_of(one.payload),
        )
