"""Resolve doubts: look their references up in the helpdesk, and believe only what it shows.

A doubt is a row that was sent, or may have been, and has no clear answer. It becomes *present*
when a lookup finds exactly one ticket with its reference, *absent* when two lookups that could not
have missed it find none (see :mod:`.evidence`), *ambiguous* when one finds several, *probable* when
a ticket without a reference may be it. Lookups begin after the settle time, because a lost answer
does not tell when the service does the work. The settle time goes by the wall clock: setting the
clock forward between push and lookup shortens it, unnoticed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen

from ..arguments import check_seconds
from ..errors import HelpdeskError, InvalidInputError, JournalError, OutcomeUnknownError
from ..journal.records import Doubt, Kind, State
from ..journal.reference import OBJECTS, covers, strongest
from ..journal.session import Session
from ..journal.writer import Journal
from .contradictions import LookupRecorder
from .doctor import MadeTrial, Trial, trial_reference, trials_in
from .evidence import MARGIN, Gap
from .lookup import (
    AskRows,
    Finding,
    ListLookup,
    Lookup,
    LookupMethods,
    lookup_for,
)
from .results import Reconciliation, Resolved

SETTLE: float = 300.0
"""Seconds. One service was seen to finish a create 222 s after the request."""
_BETWEEN = 0.2
"""The pause between two lookups, as a part of the settle time."""
_LONGEST = 3.0
"""The longest such pause, likewise: a row that a lookup put back in doubt is newer than the others
by at least the time of that lookup."""
_TRIAL_LOOKUPS = 3
"""Lookups of a trial ticket."""
_SHARED = (
    "these unexplained tickets could belong to several rows; resolve the ones you recognize, then "
    "reconcile again"
)
_BEGINS_ALIKE = "a ticket without a reference starts with the same text"
_UNEXPLAINED = (
    "a ticket without a reference, made by the same user at the same time, may be this row"
)
_SEVERAL = "several tickets have its reference or its content, or one of them has no id"


@frozen
class SettleTimeStarted:
    """The settle time is not over yet."""

    seconds: float
    doubts: int


@frozen
class LookupFinished:
    """A lookup has ended: how many tickets it saw, and how many doubts it found among them."""

    tickets: int
    found: int
    missing: int


ReconcileEvent = SettleTimeStarted | LookupFinished
ReconcileObserver = Callable[[ReconcileEvent], None]
_Verdict = tuple[Doubt, str, tuple[str, ...]]


def longest_call(total: float | None) -> float:
    """The seconds a call may take, also for one without a limit."""
    return SETTLE / 2 if total is None else total


def settle_time(given: float | None, longest: float | None, *, whose: str = "a call") -> float:
    """The settle time: what was given, or the default.

    Args:
        given: seconds, or ``None``.
        longest: the most seconds a call may take; an abandoned answer may come up to twice as
            late.
        whose: whose time that is, for the error.

    Raises:
        InvalidInputError: it is too short.
    """
    least = 2 * longest_call(longest)
    if given is None:
        return max(SETTLE, least)
    if isinstance(given, (int, float)) and not given >= least:
        raise InvalidInputError(
            f"settle must be {least:g} seconds or more, twice the time {whose} may take",
            next_step="Use at least that, or leave it out.",
        )
    check_seconds("settle", given)
    return given


async def reconcile(
    journal: Journal,
    methods: LookupMethods,
    *,
    settle: float | None,
    longest: float | None = 0.0,
    assume_complete: bool = False,
    trial: Trial | None = None,
    on_event: ReconcileObserver | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Reconciliation:
    """Resolve the doubts of a journal as far as possible, and record why.

    Args:
        journal: open for writing, so that no push can run meanwhile.
        methods: how rows are found.
        settle: seconds from the last event of a doubtful row to the first lookup; ``None`` for
            the default.
        longest: the most seconds a call of this client may take. The journal has those of the
            runs that left the doubts; the longest of all counts.
        assume_complete: also treat as absent what :attr:`Reconciliation.unconfirmed` counts.
        trial: makes a trial ticket, where no other ticket is evidence for a row; ``None`` to
            make none.
        on_event: called for waits and lookups.
        now: the wall clock.
        sleep: waits.

    Raises:
        InvalidInputError: ``settle`` is too short.
        HelpdeskError: a lookup failed. What was resolved before is in the journal, and
            :meth:`Reconciliation.before` gives it.
        JournalError: the journal failed.
    """
    tell = on_event or (lambda event: None)
    result = Reconciliation()
    doubts = await journal.call(
        lambda session: list(
            session.doubts(
                State.UNKNOWN,
                # A list lookup by references needs none of them whole.
                payloads=isinstance(methods.look, AskRows) or methods.content_of is not None,
            )
        )
    )
    if not doubts:
        await _check_others(journal)
        return result
    began = min(doubt.first_intent_at for doubt in doubts)
    noted = await journal.call(lambda session: session.longest_call(began))
    mine = longest_call(longest)
    if noted is not None and noted > mine:
        seconds = settle_time(settle, noted, whose="a call of the push")
    else:
        seconds = settle_time(settle, mine)
    wait = max(doubt.last_at for doubt in doubts) + seconds - now()
    if wait > 0:
        tell(SettleTimeStarted(wait, len(doubts)))
        await sleep(wait)
    beginnings: dict[int, tuple[str, str]] | None = None
    beginning_of = methods.beginning_of
    if beginning_of is not None:
        beginnings = await journal.call(
            lambda session: {
                row: beginning_of(payload) for row, payload in session.payloads_of(State.UNKNOWN)
            }
        )
    recorder = LookupRecorder(journal)
    look = recorder.record(methods.look)
    lookup = await lookup_for(journal, look, methods, doubts, seconds, beginnings, now)
    if isinstance(lookup, ListLookup):
        for made in await journal.call(trials_in):
            lookup.add_confirmed(made.reference, made.at, made.traits)
    run = _Reconciler(journal, lookup, result, tell, now)
    missing = doubts
    try:
        missing = await run.look(missing)
        missing += await run.sharing()
        if missing:
            # Longer, if that proves that a list without newer tickets is up to date.
            more = run.wait if run.wait <= _LONGEST * seconds else 0.0
            if more > seconds:
                tell(SettleTimeStarted(more, len(missing)))
            await sleep(max(seconds * _BETWEEN, more))
            missing = await run.look(missing)
        if trial is not None and isinstance(lookup, ListLookup) and run.to_try(missing):
            await run.make_trial(trial, lookup, missing, seconds)
            for _ in range(0 if result.trial is None else _TRIAL_LOOKUPS):
                if not run.to_try(missing):
                    break
                await sleep(seconds * _BETWEEN)
                missing = await run.look(missing)
        missing = await run.note_alike(missing)
        absent = [doubt for doubt in missing if not run.stays_open(doubt, assume_complete)]
        await run.note_absent(absent)
        missing = [doubt for doubt in missing if run.stays_open(doubt, assume_complete)]
        result.contradictions += await recorder.compare(now())
    except HelpdeskError as error:
        if not isinstance(error, JournalError):
            result.contradictions += await recorder.compare(now())
        if result.doubts or result.contradictions:
            result.keep_with(error)
        if result.doubts:
            were = "doubt was" if result.doubts == 1 else "doubts were"
            error.add_note(f"{result.doubts} {were} resolved before; the journal has them")
        raise
    finally:
        recorder.close()
        result.unconfirmed = len(run.unconfirmed(missing))
        result.open += map(run.still_open, missing)
    return result


async def _check_others(journal: Journal) -> None:
    """Without doubts: check that no dead run is about to leave some.

    Raises:
        JournalError: other runs have rows under way.
    """
    kinds = await journal.call(lambda session: session.kinds())
    under_way = kinds.get(Kind.INTENT, 0) if journal.shared else 0
    if under_way:
        raise JournalError(
            f"no row is in doubt yet, but other runs have {under_way:,} under way",
            next_step="Reconcile when they have ended. If one of them died: when its lease has "
            "expired, shortly after the longest request it may have made.",
        )


class _Reconciler:
    """One reconciliation: lookups, and what they have shown so far of the rows in doubt."""

    def __init__(
        self,
        journal: Journal,
        lookup: Lookup,
        result: Reconciliation,
        tell: ReconcileObserver,
        now: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._lookup = lookup
        self._result = result
        self._tell = tell
        self._now = now
        self._evidence: list[dict[str, Any]] = []
        self.wait = 0.0
        self._gaps: dict[int, Gap] = {}
        self._alike: dict[int, tuple[Finding, set[str]]] = {}
        self._present: dict[int, str] = {}
        self._candidates: dict[int, tuple[str, ...]] = {}
        self._shared: set[int] = set()

    async def look(self, doubts: list[Doubt]) -> list[Doubt]:
        """Look rows up once, and record what was found; returns those that were not."""
        since = min(doubt.first_intent_at for doubt in doubts) - MARGIN
        seen = await self._lookup.look(doubts, since, self._now() + MARGIN)
        at = self._now()
        evidence: dict[str, Any] = {
            "at": round(at, 3),
            "since": round(since, 3),
            "tickets": seen.tickets,
        }
        if seen.unseen:
            evidence["unseen"] = seen.unseen
        self._result.unseen = max(self._result.unseen, seen.unseen)
        # Evidence against absence stays; what one lookup could not prove, the next one may.
        self._gaps = {row: gap for row, gap in self._gaps.items() if gap.against}
        self._gaps = {**seen.gaps, **self._gaps}
        self._candidates.update(seen.candidates)
        self._shared |= seen.shared
        self.wait = seen.wait
        if seen.gaps:
            evidence["open"] = dict(Counter(gap.why for gap in seen.gaps.values()))
        for row, (like, tickets) in seen.alike.items():
            before, others = self._alike.get(row, (like, set[str]()))
            both = others.union(tickets)
            kind: Finding = like if before == like and len(both) < 2 else "ambiguous"
            self._alike[row] = kind, both
        self._evidence.append(evidence)
        found: list[_Verdict] = [(d, *seen.found[d.row]) for d in doubts if d.row in seen.found]
        missing = [doubt for doubt in doubts if doubt.row not in seen.found]
        every = [*found, *((doubt, "missing", ()) for doubt in missing)]
        await self._write(every, evidence, at)
        for doubt, verdict, ids in found:
            self._add(doubt, verdict, ids, "" if verdict == "present" else _SEVERAL)
            if verdict == "present":
                self._present[doubt.row] = ids[0]
        self._tell(LookupFinished(seen.tickets, len(found), len(missing)))
        return missing

    async def sharing(self) -> list[Doubt]:
        """Rows that were accepted with the ids of tickets that turned out to be other rows'. From
        now on they are in doubt: the next lookup finds them on the same tickets (then they were
        merged), on others, or not at all, which proves nothing yet."""
        if not self._present or not isinstance(self._lookup, ListLookup):
            return []
        present, at = self._present, self._now()
        doubts = await self._journal.call(lambda session: _doubt_sharing(session, present, at))
        gap = Gap("its ticket turned out to belong to another row", against=True)
        self._gaps.update((doubt.row, gap) for doubt in doubts)
        return doubts

    async def note_alike(self, doubts: list[Doubt]) -> list[Doubt]:
        """Of rows that two lookups have not found, record those that a ticket without a reference
        may be: one that begins alike, or one that nothing explains. Returns the others."""
        found: list[tuple[_Verdict, str]] = []
        left = []
        for doubt in doubts:
            if doubt.row in self._alike:
                kind, ids = self._alike[doubt.row]
                found.append(((doubt, kind, tuple(sorted(ids))), _BEGINS_ALIKE))
            elif doubt.row in self._candidates and doubt.row not in self._shared:
                found.append(((doubt, "probable", self._candidates[doubt.row]), _UNEXPLAINED))
            else:
                left.append(doubt)
        await self._write([verdict for verdict, _ in found])
        for verdict, why in found:
            self._add(*verdict, why)
        return left

    async def note_absent(self, doubts: list[Doubt]) -> None:
        """Record that two lookups have not found these rows."""
        await self._write([(doubt, "absent", ()) for doubt in doubts])
        for doubt in doubts:
            self._add(doubt, "absent")

    def _add(self, doubt: Doubt, kind: str, ids: tuple[str, ...] = (), why: str = "") -> None:
        getattr(self._result, kind).append(_resolved(doubt, ids, why))

    async def _write(
        self,
        verdicts: Sequence[_Verdict],
        lookup: dict[str, Any] | None = None,
        at: float | None = None,
    ) -> None:
        """Write verdicts into the journal, with the lookup that gave them, or with all."""
        when = self._now() if at is None else at
        evidence = {"looks": list(self._evidence)} if lookup is None else lookup

        def write(session: Session) -> None:
            for doubt, kind, ids in verdicts:
                own = {**evidence, "ticket_ids": list(ids)} if ids else evidence
                ticket_id = ids[0] if kind == "present" else None
                session.verdict(doubt.row, Kind(kind), when, ticket_id=ticket_id, evidence=own)
            if lookup is not None:
                session.note_lookup(when, lookup)

        await self._journal.call(write)

    def stays_open(self, doubt: Doubt, assume_complete: bool) -> bool:
        """Whether a row is not proven absent, although it was not found."""
        gap = self._gaps.get(doubt.row)
        if doubt.row in self._shared or (gap is not None and gap.against):
            return True
        return gap is not None and not assume_complete

    def unconfirmed(self, doubts: list[Doubt]) -> list[Doubt]:
        """Those that only lack a proof that the lookup could not have missed them."""
        return [
            doubt
            for doubt in doubts
            if doubt.row in self._gaps
            and not self._gaps[doubt.row].against
            and doubt.row not in self._candidates
            and doubt.row not in self._alike
        ]

    def to_try(self, doubts: list[Doubt]) -> list[Doubt]:
        """Of those, the ones that a trial ticket may be evidence for."""
        return [doubt for doubt in self.unconfirmed(doubts) if self._gaps[doubt.row].trial]

    def still_open(self, doubt: Doubt) -> Resolved:
        """A row that stays in doubt, and why."""
        if doubt.row in self._shared:
            return _resolved(doubt, self._candidates[doubt.row], _SHARED)
        gap = self._gaps.get(doubt.row)
        return _resolved(doubt, (), "the lookup did not finish" if gap is None else gap.why)

    async def make_trial(
        self, trial: Trial, lookup: ListLookup, doubts: list[Doubt], wait: float
    ) -> None:
        """Make a trial ticket that is evidence for all of these, if lookups show it. One that was
        made a short time ago is looked up instead."""
        rows, result = self.to_try(doubts), self._result
        traits = strongest(doubt.traits for doubt in rows)
        now = self._now()
        for before in await self._journal.call(trials_in):
            if before.at > now - wait and covers(before.traits, traits & ~OBJECTS):
                result.trial = before.reference
                return
        like = await self._journal.call(lambda session: session.payload_of(rows[0].row))
        made = MadeTrial(trial_reference(), now, traits & ~OBJECTS)
        await self._journal.call(lambda session: session.note_lookup(now, made.as_json()))
        result.trial = made.reference
        try:
            result.trial = await trial(made.reference, traits, like) or made.reference
        except OutcomeUnknownError:
            pass  # a lookup will tell
        except HelpdeskError as error:
            result.trial = None
            why = f"; and the trial ticket was not made: {error.message}"
            for doubt in rows:
                self._gaps[doubt.row] = Gap(self._gaps[doubt.row].why + why)
            return
        lookup.add_confirmed(made.reference, made.at, made.traits)


def _doubt_sharing(session: Session, present: dict[int, str], at: float) -> list[Doubt]:
    sharing = [
        row
        for row, ticket_id in session.rows_with(set(present.values()))
        if row not in present
        and session.doubt(
            row, ticket_id, at, f"ticket {ticket_id} turned out to belong to another row"
        )
    ]
    if not sharing:
        return []
    return [d for d in session.doubts(State.UNKNOWN, payloads=False) if d.row in sharing]


def _resolved(doubt: Doubt, ids: tuple[str, ...] = (), reason: str = "") -> Resolved:
    return Resolved(doubt.key, doubt.line, doubt.reference, ids, reason)
