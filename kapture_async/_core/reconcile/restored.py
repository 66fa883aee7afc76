"""An older copy of a journal: rows are looked up in the helpdesk before they are sent.

The copy does not know what was sent later. But the reference of a row depends only on the journal
and the row, so it is the same in every copy, even for rows that this copy has never seen. A row
that is found is accepted; one proven absent, by the rules of :mod:`.reconcile`, is sent; any other
is in doubt.

A copy may look up thousands of rows that were never sent. A single unexplained ticket would leave
all of them in doubt, were it not for the customer: agents who rewrite a text do not change whose
ticket it is. If the rows found show that tickets keep the e-mail address of their rows, a ticket
with another address is not the row's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from math import inf
from typing import NamedTuple

from attrs import define, evolve, field

from ..errors import ConfirmationNeededError
from ..journal import marks
from ..journal.marks import TRIED, Mark, is_in, unpacked
from ..journal.records import Doubt, Job, LookupVerdict, State
from ..journal.reference import traits_of
from ..journal.writer import Journal
from .candidates import addresses_in
from .contradictions import LookupRecorder
from .evidence import MARGIN, ListedTicket, ListEnd, ListTickets
from .lookup import AskRows, ListLookup, Lookup, LookupMethods, LookupResult, lookup_for
from .reconcile import longest_call, settle_time
from .seen_tickets import made_by


class PendingRow(NamedTuple):
    """A row that would be sent."""

    key: str | None
    line: int | None
    reference: str
    payload: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"<PendingRow {self.reference}>"  # key and payload are the caller's


_NO: tuple[str, tuple[str, ...]] = ("", ())


class RestoredSearch:
    """Looks rows up before they are sent. The lists are read once, before the first row.

    If the newer copy was closed without doubts, its mark records how many rows it had sent. Once
    that many are found, all others are absent, whatever the lists prove.

    Args:
        journal: the older copy, open.
        methods: how rows are found.
        longest: the most seconds a call may take.
        now: the wall clock.
    """

    def __init__(
        self,
        journal: Journal,
        methods: LookupMethods,
        *,
        longest: float | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._methods = methods
        self._longest = longest
        self._now = now
        self._made = 0.0
        self._until = 0.0
        self._settle = 0.0
        self._recorder = LookupRecorder(journal, content=True)
        self._found = 0
        self._lists: ListLookup | None = None
        self._doubts: list[Doubt] = []
        self._beginnings: dict[int, tuple[str, str]] = {}
        self._addresses: dict[int, frozenset[str]] = {}
        self._addresses_of: dict[str, frozenset[str]] = {}
        """Those of the tickets that concern the rows in question."""
        self._kept = self._lost = 0
        """Rows found with their address, and without it."""

    async def begin(self) -> None:
        """Read the lists.

        Raises:
            HelpdeskError: the helpdesk could not be queried.
        """
        self._made = await self._journal.call(lambda session: session.made())
        noted = await self._journal.call(lambda session: session.longest_call(0.0))
        self._settle = settle_time(None, max(longest_call(self._longest), noted or 0.0))
        self._until = self._now()
        if isinstance(self._methods.look, AskRows):
            return
        way = await self._lookup(self._tickets, [self._doubt(-1, PendingRow(None, None, "", b""))])
        assert isinstance(way, ListLookup)
        await way.read(self._made - MARGIN, self._until + MARGIN)
        self._lists = way

    async def end(self) -> None:
        """Record what the lists show about rows that the copy has but this run did not look up.

        Raises:
            JournalError: it could not be written.
        """
        with self._recorder:
            await self._recorder.compare(self._until)

    async def look_up(self, wanted: Sequence[PendingRow]) -> list[LookupVerdict | None]:
        """The results for rows; ``None`` for one that is proven absent.

        Raises:
            HelpdeskError: the helpdesk could not be queried.
        """
        doubts = [self._doubt(-1 - number, one) for number, one in enumerate(wanted)]
        if not doubts:
            return []
        self._doubts = doubts
        beginning_of = self._methods.beginning_of
        self._beginnings.clear()
        if beginning_of is not None:
            self._beginnings.update({d.row: beginning_of(d.payload or b"{}") for d in doubts})
        self._addresses.clear()
        clues_of = self._methods.clues_of
        if clues_of is not None:
            self._addresses = {d.row: addresses_in(clues_of(d.payload or b"{}")) for d in doubts}
        since, until = self._made - MARGIN, self._until + MARGIN
        look, lists = self._methods.look, self._lists
        if lists is None:
            assert isinstance(look, AskRows)
            way = await self._lookup(self._recorder.record(look), doubts)
            result = await way.look(doubts, since, until)
        else:
            makers = lists.makers
            result = await lists.look(doubts, since, until)
            self._learn(result)
            if lists.makers != makers:
                # It has learned who makes the tickets; now those that nothing explains.
                result = await lists.look(doubts, since, until)
        found = [d.reference for d in doubts if result.found.get(d.row, _NO)[0] == "present"]
        self._found = await self._journal.call(lambda _: self._recorder.seen.note_found(found))
        return [self._sighted(result, doubt.row) for doubt in doubts]

    async def _lookup(self, look: ListTickets | AskRows, doubts: list[Doubt]) -> Lookup:
        async def payloads() -> dict[int, bytes]:
            return {one.row: one.payload for one in self._doubts if one.payload is not None}

        return await lookup_for(
            self._journal,
            look,
            evolve(self._methods, day_of=None),
            doubts,
            self._settle,
            None if self._methods.beginning_of is None else self._beginnings,
            self._now,
            may_be=self._may_be,
            listed_until=inf,
            payloads=payloads,
        )

    def _learn(self, result: LookupResult) -> None:
        """Whether the tickets of rows that were found have the addresses of their rows."""
        for row, (kind, ids) in result.found.items():
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

    async def _tickets(self, since: float, until: float) -> AsyncIterator[ListedTicket | ListEnd]:
        """All there are, the first time; then those that concern the rows looked for."""
        if self._lists is not None:
            references = [doubt.reference for doubt in self._doubts]
            titles = [title for title, _ in self._beginnings.values()]
            makers = [str(maker) for maker in self._lists.makers]
            found = await self._journal.call(
                lambda _: self._recorder.seen.of(references, titles, makers)
            )
            self._addresses_of = {
                one.ticket_id: addresses_in(one.clues())
                for one in found
                if one.ticket_id is not None and one.clues is not None
            }
            for one in found:
                yield one
            return
        look = self._methods.look
        assert not isinstance(look, AskRows)
        async for shown in self._recorder.record_lists(look)(since, until):
            if isinstance(shown, ListedTicket):
                shown = evolve(shown, made_by=made_by(shown))
            yield shown
        await self._recorder.flush()

    def _sighted(self, result: LookupResult, row: int) -> LookupVerdict | None:
        last = self._journal.restored or self._until
        found = result.found.get(row) or result.alike.get(row)
        if found is not None:
            return LookupVerdict(found[0], found[1], self._made, last)
        if row in result.candidates:
            return LookupVerdict("probable", result.candidates[row], self._made, last)
        sent = self._journal.sent_in_all
        if sent is not None and self._found >= sent:
            return None  # all that the newer copy had sent was found, so this is not among it
        if row in result.gaps:
            return LookupVerdict("unknown", (), self._made, last)
        if self._until < self.settled_at:  # the lists were read too early, however late it is
            return LookupVerdict("unsettled", (), self._made, last)
        return None

    @property
    def settled_at(self) -> float:
        """When everything that another copy sent has been processed."""
        return (self._journal.restored or 0.0) + self._settle

    def _doubt(self, number: int, one: PendingRow) -> Doubt:
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
            absent_lookups=0,
            last_lookup_at=None,
            traits=traits_of(one.payload),
        )


_FEW = 3
"""How many rows in common with another journal are no coincidence."""


@define
class _OtherJournal:
    mark: Mark
    contents: set[str] = field(repr=False)
    known: int = 0


class OtherJournals:
    """Compares the first rows of a push with what other journals have sent to the same place.

    The push stops when one of them has sent more than half of the rows so far; or when more than
    half of what it has sent is among them, as when a file has grown and its journal is gone.

    Args:
        path: of the new journal.
        others: the marks of the others.
    """

    def __init__(self, path: str, others: Sequence[Mark]) -> None:
        self._path = path
        self._others = [_OtherJournal(mark, unpacked(mark.contents)) for mark in others]
        self._tried = 0

    @classmethod
    def of(cls, job: Job, path: str) -> OtherJournals | None:
        """For a journal without rows; ``None`` if no other has sent anything there."""
        others = [mark for mark in marks.of_same_target(job) if mark.sent and mark.contents]
        return cls(path, others) if others else None

    def compare(self, digests: Sequence[bytes], *, ended: bool) -> bool:
        """Compare the next rows. Returns whether enough were.

        Args:
            digests: of their contents.
            ended: there are no more.

        Raises:
            ConfirmationNeededError: they were already sent with another journal.
        """
        for digest in digests[: TRIED - self._tried]:
            self._tried += 1
            for other in self._others:
                other.known += is_in(digest, other.contents)
        for other in self._others:
            most = 2 * other.known
            if most > self._tried or (other.known >= _FEW and most > other.mark.sent):
                raise self._error(other.mark)
        return ended or self._tried >= TRIED

    def _error(self, mark: Mark) -> ConfirmationNeededError:
        day = datetime.fromtimestamp(mark.at).strftime("%Y-%m-%d %H:%M")
        are = "is, or may be," if mark.sent == 1 else "are, or may be,"
        if mark.path == self._path:
            what = f"a different journal was at {mark.path!r} before"
        elif mark.is_there:
            what = f"these rows were already sent with another journal ({mark.path!r})"
        else:
            what = f"these rows were already sent with another journal ({mark.path!r}, now missing)"
        if mark.path != self._path and mark.is_there:
            way = f"To resume that push, use its journal: --journal {mark.path}."
        else:
            way = "To resume that push, restore its journal, and use --restored (restored=True)."
        error = ConfirmationNeededError(
            f"{what}: {mark.sent:,} of its rows (last sent {day}) {are} in the helpdesk, and a new "
            "journal would send them again",
            next_step=f"{way} To send them again, use --new-journal (Python: new_journal=True).",
        )
        if mark.path != self._path and mark.is_there:
            error.journal = mark.path
        return error
