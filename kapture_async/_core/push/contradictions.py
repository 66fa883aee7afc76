"""Everything that a lookup sees counts: also what contradicts rows that nobody looked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Self

from ..journal.findings import Contradiction
from ..journal.records import State
from ..journal.store import Store
from ..journal.writer import Journal
from .lookup import AskAboutRows, AskedRow, AskRows, ListedTicket, ListEnd, ListTickets, RowAnswer
from .seen_tickets import SeenTickets, contradictions_of, named, sightings_in

AT_ONCE = 2000
"""Rows of the journal that are compared at a time: some 20 ms of its thread."""


class Watch:
    """Takes note of every reference that lookups show. Close it.

    Args:
        journal: open for writing; its thread puts away what is seen.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.sightings = SeenTickets()
        self.tickets = 0
        """How many tickets were seen in lists, each as often as it was listed."""
        self._waiting: list[ListedTicket] = []

    def close(self) -> None:
        """Forget what was seen."""
        self.sightings.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def over(self, way: ListTickets | AskRows) -> ListTickets | AskRows:
        """The same way to look, watched."""
        if isinstance(way, AskRows):
            return AskRows(self.over_asking(way.ask))
        return self.over_list(way)

    def over_list(self, look: ListTickets) -> ListTickets:
        """The same lists, watched."""

        async def watched(since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
            async for seen in look(since, until):
                if isinstance(seen, ListedTicket):
                    self._waiting.append(seen)
                if len(self._waiting) == AT_ONCE:
                    await self.keep()
                yield seen

        return watched

    def over_asking(self, ask: AskAboutRows) -> AskAboutRows:
        """The same questions, watched."""

        async def watched(sought: Sequence[AskedRow]) -> AsyncIterator[RowAnswer]:
            references = {one.row: one.reference for one in sought}
            async for told in ask(sought):
                seen: list[tuple[str, str | None]] = list(told.others)
                if told.proven:
                    seen += [(references[told.row], ticket) for ticket in told.ticket_ids]
                self.sightings.add(sightings_in(seen))
                yield told

        return watched

    async def keep(self) -> None:
        """Put away what waits in memory."""
        some, self._waiting = self._waiting, []
        self.tickets += len(some)
        if some:
            await self._journal.call(lambda store: _put_away(self.sightings, some))

    async def compare(self, at: float) -> list[Contradiction]:
        """Compare the rows of the journal with what was seen, and note what contradicts them.

        Rows that were rejected or not sent, and are there, are present from then on.

        Args:
            at: when it was seen.

        Raises:
            JournalError: it could not be written.
        """
        await self.keep()
        await keep_rows(self._journal, self.sightings)
        return await self._journal.call(
            lambda store: note_contradictions(store, self.sightings, at)
        )


async def keep_rows(journal: Journal, sightings: SeenTickets, *, every: bool = False) -> None:
    """Put the rows of a journal beside what was seen: those that were, or all of them."""
    after: int | None = 0

    def some(store: Store) -> int | None:
        assert after is not None
        rows = store.compared(after, AT_ONCE)
        sightings.keep(rows, every=every)
        return rows[-1].row if rows else None

    while after is not None:
        after = await journal.call(some)


def note_contradictions(store: Store, sightings: SeenTickets, at: float) -> list[Contradiction]:
    """Note what contradicts rows that are kept beside what was seen."""
    found: list[Contradiction] = []
    for one, tickets, *_ in sightings.rows():
        kinds = contradictions_of(one, tickets, sightings)
        if not kinds:
            continue
        ids = named(tickets)
        for kind in kinds:
            store.contradict(one.row, kind.value, ids, at)
            found.append(Contradiction(kind.value, one.key, one.line, one.reference, ids, at))
        if one.state is not State.ACCEPTED:
            evidence = {"at": round(at, 3), "was": one.state.value, "ticket_ids": list(ids)}
            ticket_id = ids[0] if ids else None
            store.found_after_all(one.row, at, ticket_id=ticket_id, evidence=evidence)
    return found


def _put_away(sightings: SeenTickets, some: Sequence[ListedTicket]) -> None:
    # Two looks may have shown the same ticket.
    shown = {(ref, seen.ticket_id or "", 1) for seen in some for ref in seen.references}
    sightings.add(shown)
    sightings.add_bare(
        (s.ticket_id, _digest(s.beginning), s.created_at)
        for s in some
        if s.ticket_id and not s.references
    )
    pairs = ((s.ticket_id, s.merged_into) for s in some if s.ticket_id and s.merged_into)
    sightings.add_merged(pairs)


def _digest(beginning: tuple[str, str] | None) -> bytes | None:
    if beginning is None:
        return None
    return blake2b("\0".join(beginning).encode(errors="replace"), digest_size=16).digest()
