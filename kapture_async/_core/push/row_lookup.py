"""Rows looked up one by one, each by itself."""

from __future__ import annotations

from collections.abc import Sequence

from ..journal.records import Doubt, RowView
from ..journal.traits import lacking, strongest, vouches
from .lookup import Ask, Gap, KnownElsewhere, Sight, Sought, Told

_VOUCHING = 20
"""Rows that one look found, and by which the next is judged."""


class Asking:
    """Asks about each row by itself, and about a few that are there for sure.

    Which of those carry a reference, nobody knows any more (an update without a comment carries
    none). So one that shows is enough; but where no reference shows, nothing is taken for absent.

    Args:
        ask: does it.
        witnesses: rows that are in the helpdesk for sure.
        known: tells tickets that are other rows'.
    """

    def __init__(self, ask: Ask, witnesses: Sequence[RowView], known: KnownElsewhere) -> None:
        self._ask = ask
        self._witnesses = [
            Sought(row=w.row, key=w.key, reference=w.reference, ticket_id=w.ticket_id)
            for w in witnesses
        ]
        self._known = known
        self._traits = {w.row: w.traits for w in witnesses}

    async def look(self, doubts: Sequence[Doubt], since: float, until: float) -> Sight:
        """See :class:`Looking`."""
        sight = Sight()
        sought = [
            Sought(row=d.row, key=d.key, reference=d.reference, payload=d.payload) for d in doubts
        ]
        self._traits |= {doubt.row: doubt.traits for doubt in doubts}
        told: dict[int, Told] = {}
        async for one in self._ask([*sought, *self._witnesses]):
            told[one.row] = one
        sight.tickets = len(told)
        showing = {one.row for one in told.values() if one.proven and one.ticket_ids}
        shows = bool(showing)
        kinds = {self._traits[row] for row in showing}
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
                    sight.gaps[doubt.row] = self._gap(found, sight.unseen)
                elif not shows:
                    sight.gaps[doubt.row] = Gap("no other row of the journal came back")
                elif not any(vouches(shown, doubt.traits) for shown in kinds):
                    lacks = lacking(strongest(iter(kinds)), doubt.traits) or "all that it has"
                    sight.gaps[doubt.row] = Gap(
                        f"no row of its kind came back by its reference: with {lacks}"
                    )
            elif len(ids) > 1:
                sight.found[doubt.row] = ("ambiguous", ids)
            else:
                sight.found[doubt.row] = ("present" if found.proven else "probable", ids)
        if len(self._witnesses) < _VOUCHING:  # for the next look
            self._witnesses += [one for one in sought if one.row in showing][:_VOUCHING]
        return sight

    @staticmethod
    def _gap(found: Told | None, unseen: int) -> Gap:
        if unseen:
            words = f"{unseen:,} rows that are in the helpdesk for sure were not shown, either"
            return Gap(words, against=True)
        if found is None:
            return Gap("it could not be asked for", against=True)
        if not found.proven:
            return Gap("what is like it is another row's", against=True)
        return Gap(found.why, against=True)
