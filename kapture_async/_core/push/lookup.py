"""One lookup in the helpdesk, for rows in doubt: in a list of all tickets, or row by row.

A *list lookup* (:mod:`.list_lookup`) reads every ticket of a time, and finds rows among them. A
*row lookup* asks about each row by itself, where nothing lists them: an update, say, is only to be
seen in its ticket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal, Protocol

from attrs import define, field, frozen

from ..journal.records import Doubt, RowView
from ..journal.traits import lacking, strongest, vouches

Finding = Literal["present", "ambiguous", "probable"]


@frozen
class ListedTicket:
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
    created_at: float | None = None
    """The minute it was made in, by the service's clock."""
    made_by: object = None
    """Who made it, and from where, as far as the list tells it."""
    clues: Callable[[], frozenset[str]] | None = field(default=None, repr=False)
    """Gives what it may share with a row in doubt: addresses, numbers, words."""


@frozen
class ListEnd:
    """A list, or the part of it that is a day, has ended.

    Attributes:
        day: which day's it was; ``None`` for all there is.
        rows: how many tickets it gave, with those that were dropped as repeats.
        total: how many there are, as it says.
        ended: it was read page by page, up to one without rows.
    """

    day: object = None
    rows: int | None = None
    total: int | None = None
    ended: bool = False


ListTickets = Callable[[float, float], AsyncIterator[ListedTicket | ListEnd]]
"""A survey: gives every ticket created between two moments, in seconds since the epoch, and
perhaps more; and says where each of its lists ends."""


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


@frozen
class Gap:
    """Why a row that was not found is not absent for that.

    Attributes:
        why: for a person.
        against: there is more against it than that a proof is missing: the look saw too little.
        trial: a trial ticket that a look shows may be the proof.
    """

    why: str
    against: bool = False
    trial: bool = False


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


MARGIN = 26 * 3600.0
"""Seconds by which the clocks of two machines may differ: one of them may take its local time for
that of another zone."""


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
                elif not any(vouches(shown, doubt.traits) for shown in kinds):
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
