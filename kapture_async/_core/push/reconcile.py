"""Doubts and what becomes of them: look the references up in the helpdesk, and believe only that.

A doubt is a row that was sent, or may have been, and has no clear answer. It becomes *present*
when a look finds exactly one ticket with its reference, *absent* when two looks find none,
*ambiguous* when one finds several. Looks begin when the settle time is over: an answer that was
lost says nothing of when the service gets round to the work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from attrs import define, field, frozen

from ..errors import InvalidInputError
from .journal.facts import Doubt, Kind, RowView, State
from .journal.store import Store
from .journal.writer import Journal

SETTLE: float = 300.0
"""Seconds. One service was seen to finish a create 222 s after it came."""
_BETWEEN = 0.2
"""The pause between two looks, as a part of the settle time."""
_WITNESSES = 500
"""Rows, spread evenly, by which a look is judged."""
_MARGIN = 3600.0
"""Seconds by which the clocks of two machines may differ."""


@frozen
class Seen:
    """A ticket as a look found it."""

    ticket_id: str
    references: frozenset[str] = frozenset()
    content: str | None = field(default=None, repr=False)
    """What can be compared with a row's content; only where no reference travels."""


Look = Callable[[float, float], AsyncIterator[Seen]]
"""Gives every ticket created between two moments, in seconds since the epoch, and perhaps more."""


@frozen
class Settling:
    """The settle time is not over yet."""

    seconds: float
    doubts: int


@frozen
class Looked:
    """A look is over: how many tickets it saw, and how many doubts it found among them."""

    tickets: int
    found: int
    missing: int


ReconcileEvent = Settling | Looked
ReconcileObserver = Callable[[ReconcileEvent], None]


@frozen
class Resolved:
    """A doubt and what became of it.

    Attributes:
        key: the row's key, or ``None``.
        line: where it stood in its file, if it did.
        reference: what it was looked up by.
        ticket_ids: the tickets that match it.
    """

    key: str | None
    line: int | None
    reference: str
    ticket_ids: tuple[str, ...] = ()


@define
class Reconciliation:
    """What became of the doubts of a journal.

    Attributes:
        present: they are in the helpdesk, once.
        absent: they are not; the next push of this journal sends them.
        ambiguous: several tickets carry the reference. Look at them; nothing is sent.
        probable: exactly one ticket has the same content; without a reference no more can be
            said. Nothing is sent.
        open: still in doubt.
        unseen: tickets that are surely in the helpdesk, and that a look did not show. If there
            are any, the look saw too little (another user's tickets, a list that was cut short),
            so nothing is taken for absent and what was not found stays open.
    """

    present: list[Resolved] = field(factory=list)
    absent: list[Resolved] = field(factory=list)
    ambiguous: list[Resolved] = field(factory=list)
    probable: list[Resolved] = field(factory=list)
    open: list[Resolved] = field(factory=list)
    unseen: int = 0

    @property
    def doubts(self) -> int:
        """How many there were."""
        kinds = (self.present, self.absent, self.ambiguous, self.probable, self.open)
        return sum(map(len, kinds))


def settle_time(given: float | None, longest_call: float | None) -> float:
    """The settle time: what was given, or the default.

    Args:
        given: seconds, or ``None``.
        longest_call: the most seconds a call may take; the answer that was given up on may
            have come up to twice as late.

    Raises:
        InvalidInputError: it is too short.
    """
    least = 2 * (longest_call if longest_call is not None else SETTLE / 2)
    if given is None:
        return max(SETTLE, least)
    if not given >= least:
        raise InvalidInputError(
            f"settle must be {least:g} seconds or more, twice the time a call may take"
        )
    return given


async def reconcile(
    journal: Journal,
    look: Look,
    *,
    settle: float,
    content_of: Callable[[bytes], str] | None = None,
    on_event: ReconcileObserver | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Reconciliation:
    """Resolve the doubts of a journal as far as that can be done, and write down why.

    Args:
        journal: open for writing, so that nobody pushes meanwhile.
        look: gives the tickets of a time.
        settle: seconds after the last sign of a doubtful row until the first look.
        content_of: what a look compares, from a row's payload; given only where no reference
            travels.
        on_event: told of waits and looks.
        now: the wall clock.
        sleep: waits.

    Raises:
        HelpdeskError: a look failed. What was resolved before stands in the journal.
        JournalError: the journal failed.
    """
    tell = on_event or (lambda event: None)
    result = Reconciliation()
    doubts = await journal.call(
        lambda store: [doubt for doubt in store.doubts() if doubt.state is State.UNKNOWN]
    )
    if not doubts:
        return result
    wait = max(doubt.last_at for doubt in doubts) + settle - now()
    if wait > 0:
        tell(Settling(wait, len(doubts)))
        await sleep(wait)
    since, until = _surely_shown(doubts), now() - settle
    witnesses = await journal.call(lambda store: _witnesses(store, since, until))
    looker = _Looker(journal, look, content_of, witnesses, now, tell)
    missing = await looker.resolve(doubts, result)
    if missing:
        await sleep(settle * _BETWEEN)
        missing = await looker.resolve(missing, result)
    result.unseen = looker.unseen
    if content_of is None and not looker.unseen:
        await looker.absent(missing)
        result.absent += map(_resolved, missing)
    else:  # what is not found by its content may be there in other words
        result.open += map(_resolved, missing)
    return result


class _Looker:
    def __init__(
        self,
        journal: Journal,
        look: Look,
        content_of: Callable[[bytes], str] | None,
        witnesses: list[RowView],
        now: Callable[[], float],
        tell: ReconcileObserver,
    ) -> None:
        self._journal = journal
        self._look = look
        self._content_of = content_of
        self._witnesses = witnesses if content_of is None else []
        self.unseen = 0
        self._now = now
        self._tell = tell
        self._evidence: list[dict[str, Any]] = []

    async def resolve(self, doubts: list[Doubt], result: Reconciliation) -> list[Doubt]:
        """Look once, and write down what was found; returns what was not."""
        since = min(doubt.first_intent_at for doubt in doubts) - _MARGIN
        until = self._now() + _MARGIN
        wanted: dict[str, set[str]] = {name: set() for name in map(self._name_of, doubts) if name}
        tickets = 0
        shown = _surely_shown(doubts)
        unseen = {row.reference for row in self._witnesses if row.at >= shown}
        async for seen in self._look(since, until):
            tickets += 1
            unseen -= seen.references
            for name in self._names_of(seen):
                if name in wanted:
                    wanted[name].add(seen.ticket_id)
        at = self._now()
        evidence = {"at": round(at, 3), "since": round(since, 3), "tickets": tickets}
        if unseen:
            evidence["unseen"] = len(unseen)
        self.unseen = max(self.unseen, len(unseen))
        self._evidence.append(evidence)
        found: list[tuple[Doubt, str, tuple[str, ...]]] = []
        missing = []
        names = [self._name_of(doubt) for doubt in doubts]
        for doubt, name in zip(doubts, names, strict=True):
            ids = tuple(sorted(wanted.get(name, ())))
            if not ids:
                missing.append(doubt)
            elif self._content_of is None:
                found.append((doubt, "present" if len(ids) == 1 else "ambiguous", ids))
            elif len(ids) == 1 and names.count(name) == 1:
                found.append((doubt, "probable", ids))
            else:
                found.append((doubt, "ambiguous", ids))
        written = [*found, *((doubt, "missing", ()) for doubt in missing)]
        await self._journal.call(lambda store: _write(store, written, evidence, at))
        for doubt, kind, ids in found:
            getattr(result, kind).append(_resolved(doubt, ids))
        self._tell(Looked(tickets, len(found), len(missing)))
        return missing

    async def absent(self, doubts: list[Doubt]) -> None:
        """Write down that two looks have not found them."""
        at, looks = self._now(), list(self._evidence)
        verdicts: list[tuple[Doubt, str, tuple[str, ...]]] = [(d, "absent", ()) for d in doubts]
        await self._journal.call(lambda store: _write(store, verdicts, {"looks": looks}, at))

    def _name_of(self, doubt: Doubt) -> str:
        if self._content_of is None:
            return doubt.reference
        return self._content_of(doubt.payload) if doubt.payload is not None else ""

    def _names_of(self, seen: Seen) -> Iterable[str]:
        if self._content_of is None:
            return seen.references
        return () if seen.content is None else (seen.content,)


def _surely_shown(doubts: list[Doubt]) -> float:
    """Since when a look for these shows every ticket, however the clocks differ."""
    return min(doubt.first_intent_at for doubt in doubts) - _MARGIN / 2


def _witnesses(store: Store, since: float, until: float) -> list[RowView]:
    """Rows that came into the helpdesk between two moments."""
    found: list[RowView] = []
    every = 1
    confirmed = (row for row in store.rows_in(State.ACCEPTED) if since <= row.at <= until)
    for number, row in enumerate(confirmed):
        if number % every == 0:
            found.append(row)
        if len(found) == 2 * _WITNESSES:
            found, every = found[::2], every * 2
    return found


def _write(
    store: Store,
    verdicts: list[tuple[Doubt, str, tuple[str, ...]]],
    evidence: dict[str, Any],
    at: float,
) -> None:
    for doubt, kind, ids in verdicts:
        told = {**evidence, "ticket_ids": list(ids)} if ids else evidence
        ticket_id = ids[0] if kind == "present" else None
        store.verdict(doubt.row, Kind(kind), at, ticket_id=ticket_id, evidence=told)
    if "looks" not in evidence:
        store.look(at, evidence)


def _resolved(doubt: Doubt, ids: tuple[str, ...] = ()) -> Resolved:
    return Resolved(doubt.key, doubt.line, doubt.reference, ids)
