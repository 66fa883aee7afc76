"""Compares what lookups found with every row of the journal, and finds contradictions.

A reference is a hash, so it cannot be turned back into its row. So everything a lookup returns is
kept (see :mod:`.seen_tickets`), and each row of the journal is compared with it once, by its
reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self

from ..journal.reader import Compared
from ..journal.records import DOUBTS, Contradiction, Contradicts, State
from ..journal.session import Session
from ..journal.writer import Journal
from .evidence import ListedTicket, ListEnd, ListTickets
from .lookup import AskAboutRows, AskedRow, AskRows, RowAnswer
from .seen_tickets import SeenTickets

BATCH = 2000
"""Tickets stored, and rows compared, at a time: about 20 ms of the journal's thread."""


class LookupRecorder:
    """Records every ticket that lookups return, whatever they look for. Close it after use.

    Args:
        journal: open for writing; its thread stores the tickets.
        content: see :class:`SeenTickets`.
    """

    def __init__(self, journal: Journal, *, content: bool = False) -> None:
        self._journal = journal
        self.seen = SeenTickets(content=content)
        self.tickets = 0
        """How many tickets were listed, counting repeats."""
        self._waiting: list[ListedTicket] = []

    def close(self) -> None:
        """Delete the recorded tickets."""
        self.seen.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, look: ListTickets | AskRows) -> ListTickets | AskRows:
        """The same lookup method, recorded."""
        if isinstance(look, AskRows):
            return AskRows(self.record_answers(look.ask))
        return self.record_lists(look)

    def record_lists(self, look: ListTickets) -> ListTickets:
        """The same lists, recorded."""

        async def recorded(since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
            async for shown in look(since, until):
                if isinstance(shown, ListedTicket):
                    self._waiting.append(shown)
                if len(self._waiting) == BATCH:
                    await self.flush()
                yield shown

        return recorded

    def record_answers(self, ask: AskAboutRows) -> AskAboutRows:
        """The same questions, their answers recorded."""

        async def recorded(rows: Sequence[AskedRow]) -> AsyncIterator[RowAnswer]:
            references = {one.row: one.reference for one in rows}
            async for answer in ask(rows):
                seen: list[tuple[str, str | None]] = list(answer.others)
                if answer.proven:
                    seen += [(references[answer.row], ticket) for ticket in answer.ticket_ids]
                self.seen.add_references(seen)
                yield answer

        return recorded

    async def flush(self) -> None:
        """Session what is still in memory."""
        some, self._waiting = self._waiting, []
        self.tickets += len(some)
        if some:
            await self._journal.call(lambda session: self.seen.add(some))

    async def add_rows(self, *, every: bool = False) -> None:
        """Keep the rows of the journal beside what was seen: those that were seen, or all."""
        await self.flush()
        after: int | None = 0

        def some(session: Session) -> int | None:
            assert after is not None
            rows = session.compared(after, BATCH)
            self.seen.add_rows(rows, every=every)
            return rows[-1].row if rows else None

        while after is not None:
            after = await self._journal.call(some)

    async def compare(self, at: float) -> list[Contradiction]:
        """Compare the rows of the journal with what was seen, and note what contradicts them.

        Rows that were rejected or not sent, and are in the helpdesk, are present from then on.

        Args:
            at: when it was seen.

        Raises:
            JournalError: it could not be written.
        """
        await self.add_rows()
        return await self._journal.call(lambda session: note_contradictions(session, self.seen, at))


def note_contradictions(session: Session, seen: SeenTickets, at: float) -> list[Contradiction]:
    """Note what contradicts rows that are kept beside what was seen."""
    found: list[Contradiction] = []
    for one, tickets, *_ in seen.rows():
        kinds = contradictions_of(one, tickets, seen)
        if not kinds:
            continue
        ids = named(tickets)
        for kind in kinds:
            session.contradict(one.row, kind.value, ids, at)
            found.append(Contradiction(kind.value, one.key, one.line, one.reference, ids, at))
        if one.state is not State.ACCEPTED:
            evidence = {"at": round(at, 3), "was": one.state.value, "ticket_ids": list(ids)}
            ticket_id = ids[0] if ids else None
            session.found_after_all(one.row, at, ticket_id=ticket_id, evidence=evidence)
    return found


def contradictions_of(
    one: Compared, tickets: dict[str, int], seen: SeenTickets
) -> list[Contradicts]:
    """How what was seen contradicts what the journal says of a row. Nothing can contradict a
    doubt.

    Tickets that agents merged are no contradiction, as long as one of them is the row's own.
    """
    if not tickets or one.state in DOUBTS:
        return []
    tickets = unmerged(one, tickets, seen)
    found = []
    if one.state is State.REJECTED:
        found.append(Contradicts.REJECTED_PRESENT)
    elif one.state is State.NOT_SENT:
        found.append(Contradicts.NOT_SENT_PRESENT)
    if sum(tickets.values()) > 1:
        found.append(Contradicts.TWICE)
    if one.state is State.ACCEPTED and is_elsewhere(one, tickets, seen):
        found.append(Contradicts.OTHER_TICKET)
    return found


def is_elsewhere(one: Compared, tickets: dict[str, int], seen: SeenTickets) -> bool:
    """Whether a row's reference is only on tickets that the service did not name for it, and into
    which its own was not merged."""
    known = one.own and one.own not in tickets and "" not in tickets
    return bool(known) and not any(seen.is_merger(ticket) for ticket in tickets)


def unmerged(one: Compared, tickets: dict[str, int], seen: SeenTickets) -> dict[str, int]:
    """The tickets of a row; of those that agents merged only one, its own if that is among
    them."""
    own = one.own
    if len(tickets) == 1 and own in (None, *tickets):
        return tickets
    left = dict(tickets)
    for source, target in seen.merged_into({*tickets, *([own] if own else [])}).items():
        if target == own:
            left.pop(source, None)
        elif target in left and (source in left or source == own):
            times = left.pop(target)
            left.setdefault(source, times)
    if own in left:
        for ticket in [ticket for ticket in left if ticket != own and seen.is_merger(ticket)]:
            del left[ticket]
    return left


def named(tickets: Iterable[str]) -> tuple[str, ...]:
    """The ids that could be read, sorted."""
    return tuple(sorted(ticket for ticket in tickets if ticket))
