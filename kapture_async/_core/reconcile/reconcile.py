"""Doubts and what becomes of them: look the references up in the helpdesk, and believe only that.

A doubt is a row that was sent, or may have been, and has no clear answer. It becomes *present*
when a look finds exactly one ticket with its reference, *absent* when two looks find none that
could not have missed it (see :mod:`.evidence`), *ambiguous* when one finds several, *probable* when
a ticket without a reference may be it. Looks begin when the settle time
is over: an answer that was lost says nothing of when the service gets round to the work. It goes
by the wall clock: one that is put forward between push and look takes of it, unnoticed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen

from ..arguments import check_seconds
from ..errors import HelpdeskError, InvalidInputError, JournalError, OutcomeUnknownError
from ..journal.records import TOLD, Doubt, Kind, State
from ..journal.session import Session
from ..journal.traits import OBJECTS, covers, strongest
from ..journal.writer import Journal
from .candidates import CluesOf
from .contradictions import LookupRecorder
from .doctor import MadeTrial, Trial, trial_reference, trials_in
from .evidence import MARGIN, Gap, ListTickets
from .lookup import (
    AskRows,
    Finding,
    ListLookup,
    Lookup,
    lookup_for,
)
from .results import Reconciliation, Resolved

SETTLE: float = 300.0
"""Seconds. One service was seen to finish a create 222 s after it came."""
_BETWEEN = 0.2
"""The pause between two looks, as a part of the settle time."""
_LONGEST = 3.0
"""The longest such pause, likewise: a row that a lookup let go again is newer than the others by
the time of that lookup, and more."""
_TRIAL_LOOKS = 3
"""Looks for a trial ticket."""
_SHARED = (
    "more rows than this may be the tickets named, which nothing explains; judge those that are, "
    "and reconcile again"
)
_SEVERAL = "several tickets have its reference or its content, or one that has no id"


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


def longest_call(total: float | None) -> float:
    """The seconds a call may take, for one that has no limit, too."""
    return SETTLE / 2 if total is None else total


def settle_time(given: float | None, longest: float | None, *, whose: str = "a call") -> float:
    """The settle time: what was given, or the default.

    Args:
        given: seconds, or ``None``.
        longest: the most seconds a call may take; the answer that was given up on may have
            come up to twice as late.
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
            next_step="Give it that, or leave it out.",
        )
    check_seconds("settle", given)
    return given


async def reconcile(
    journal: Journal,
    look: ListTickets | AskRows,
    *,
    settle: float | None,
    longest: float | None = 0.0,
    content_of: Callable[[bytes], str] | None = None,
    beginning_of: Callable[[bytes], tuple[str, str]] | None = None,
    day_of: Callable[[float], object] | None = None,
    assume_complete: bool = False,
    clues_of: CluesOf | None = None,
    trial: Trial | None = None,
    on_event: ReconcileObserver | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Reconciliation:
    """Resolve the doubts of a journal as far as that can be done, and write down why.

    Args:
        journal: open for writing, so that nobody pushes meanwhile.
        look: gives the tickets of a time, or asks about single rows.
        settle: seconds after the last sign of a doubtful row until the first look; ``None`` for
            the default.
        longest: the most seconds a call of this client may take. Those of the runs that left
            the doubts stand in the journal; the most of all counts.
        content_of: what a survey compares, from a row's payload; given only where no reference
            travels.
        beginning_of: title and text, from a row's payload, as :func:`.looks.beginning` gives
            them; given where a reference may be cut off the end of a text.
        day_of: see :class:`.looks.ListLookup`.
        assume_complete: take for absent also what :attr:`Reconciliation.unconfirmed` counts.
        clues_of: what a ticket may share with a row, from its payload; see :mod:`.candidates`.
        trial: makes a trial ticket, if that is wanted where nothing else vouches for a row.
        on_event: told of waits and looks.
        now: the wall clock.
        sleep: waits.

    Raises:
        InvalidInputError: ``settle`` is too short.
        HelpdeskError: a look failed. What was resolved before stands in the journal, and
            :meth:`Reconciliation.before` gives it.
        JournalError: the journal failed.
    """
    tell = on_event or (lambda event: None)
    result = Reconciliation()
    doubts = await journal.call(
        lambda session: list(
            session.doubts(
                State.UNKNOWN,
                # A survey by references needs none of them whole.
                payloads=isinstance(look, AskRows) or content_of is not None,
            )
        )
    )
    if not doubts:
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
        tell(Settling(wait, len(doubts)))
        await sleep(wait)
    beginnings: dict[int, tuple[str, str]] | None = None
    if beginning_of is not None:
        beginnings = await journal.call(
            lambda session: {
                row: beginning_of(payload) for row, payload in session.payloads_of(State.UNKNOWN)
            }
        )
    recorder = LookupRecorder(journal)
    look = recorder.record(look)
    way = await lookup_for(
        journal, look, content_of, doubts, seconds, day_of, beginnings, clues_of, now
    )
    if isinstance(way, ListLookup):
        for made in await journal.call(trials_in):
            way.add_confirmed(made.reference, made.at, made.traits)
    looker = _Reconciler(journal, way, now)
    missing = doubts
    try:
        missing = await looker.resolve(missing, result, tell)
        missing += await looker.sharing()
        if missing:
            # Longer, if that proves that a list without anything newer is up to date.
            more = looker.wait if looker.wait <= _LONGEST * seconds else 0.0
            if more > seconds:
                tell(Settling(more, len(missing)))
            await sleep(max(seconds * _BETWEEN, more))
            missing = await looker.resolve(missing, result, tell)
        if trial is not None and isinstance(way, ListLookup) and looker.to_try(missing):
            await looker.try_out(trial, way, missing, result, seconds)
            looks = _TRIAL_LOOKS if result.trial is not None else 0
            for _ in range(looks):
                if not looker.to_try(missing):
                    break
                await sleep(seconds * _BETWEEN)
                missing = await looker.resolve(missing, result, tell)
        missing = await looker.alike(missing, result)
        absent = [doubt for doubt in missing if not looker.stays_open(doubt, assume_complete)]
        await looker.absent(absent)
        result.absent += map(_resolved, absent)
        missing = [doubt for doubt in missing if looker.stays_open(doubt, assume_complete)]
        result.contradictions += await recorder.compare(now())
    except HelpdeskError as error:
        if not isinstance(error, JournalError):
            result.contradictions += await recorder.compare(now())
        if result.doubts or result.contradictions:
            result.keep_with(error)
        if result.doubts:
            were = "doubt was" if result.doubts == 1 else "doubts were"
            error.add_note(f"{result.doubts} {were} resolved before; that stands in the journal")
        raise
    finally:
        recorder.close()
        result.unseen = looker.unseen
        result.unconfirmed = len(looker.unconfirmed(missing))
        result.open += map(looker.still_open, missing)
    return result


class _Reconciler:
    def __init__(self, journal: Journal, way: Lookup, now: Callable[[], float]) -> None:
        self._journal = journal
        self._way = way
        self._now = now
        self._evidence: list[dict[str, Any]] = []
        self.unseen = 0
        self.wait = 0.0
        self._gaps: dict[int, Gap] = {}
        self._alike: dict[int, tuple[Finding, set[str]]] = {}
        self._present: dict[int, str] = {}
        self._candidates: dict[int, tuple[str, ...]] = {}
        self._shared: set[int] = set()

    async def resolve(
        self, doubts: list[Doubt], result: Reconciliation, tell: ReconcileObserver
    ) -> list[Doubt]:
        """Look once, and write down what was found; returns what was not."""
        since = min(doubt.first_intent_at for doubt in doubts) - MARGIN
        seen = await self._way.look(doubts, since, self._now() + MARGIN)
        at = self._now()
        evidence: dict[str, Any] = {
            "at": round(at, 3),
            "since": round(since, 3),
            "tickets": seen.tickets,
        }
        if seen.unseen:
            evidence["unseen"] = seen.unseen
        self.unseen = max(self.unseen, seen.unseen)
        # What a look has said against it holds; what it could not prove, the next one may.
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
            again: Finding = like if before == like and len(both) < 2 else "ambiguous"
            self._alike[row] = again, both
        self._evidence.append(evidence)
        found: list[tuple[Doubt, str, tuple[str, ...]]] = []
        missing = []
        for doubt in doubts:
            if doubt.row in seen.found:
                found.append((doubt, *seen.found[doubt.row]))
            else:
                missing.append(doubt)
        written = [*found, *((doubt, "missing", ()) for doubt in missing)]
        await self._journal.call(lambda session: _write(session, written, evidence, at))
        for doubt, kind, ids in found:
            why = "" if kind == "present" else _SEVERAL
            getattr(result, kind).append(_resolved(doubt, ids, why))
            if kind == "present":
                self._present[doubt.row] = ids[0]
        tell(Looked(seen.tickets, len(found), len(missing)))
        return missing

    async def sharing(self) -> list[Doubt]:
        """Rows that were accepted with the ids of tickets that turned out to be other rows'. From
        now on they are in doubt: the next look finds them on the same tickets (then they were
        merged), on others, or not at all, which proves nothing yet."""
        if not self._present or not isinstance(self._way, ListLookup):
            return []
        present, at = self._present, self._now()
        doubts = await self._journal.call(lambda session: _doubt_sharing(session, present, at))
        gap = Gap("its ticket turned out to be another row's", against=True)
        self._gaps.update((doubt.row, gap) for doubt in doubts)
        return doubts

    async def alike(self, doubts: list[Doubt], result: Reconciliation) -> list[Doubt]:
        """Of rows that two looks have not found, write down those of which a ticket has the title
        and the beginning, and no reference: it may have been cut off. Returns the others."""
        found: list[tuple[Doubt, Finding, tuple[str, ...]]] = [
            (doubt, kind, tuple(sorted(ids)))
            for doubt in doubts
            if doubt.row in self._alike
            for kind, ids in [self._alike[doubt.row]]
        ]
        likely = self._candidates.keys() - self._alike.keys() - self._shared
        found.extend(
            (doubt, "probable", self._candidates[doubt.row])
            for doubt in doubts
            if doubt.row in likely
        )
        at, looks = self._now(), {"looks": list(self._evidence)}
        if found:
            await self._journal.call(lambda session: _write(session, found, looks, at))
        for doubt, kind, ids in found:
            getattr(result, kind).append(_resolved(doubt, ids, self._why(doubt)))
        written = {doubt.row for doubt, _, _ in found}
        return [doubt for doubt in doubts if doubt.row not in written]

    def _why(self, doubt: Doubt) -> str:
        if doubt.row in self._alike:
            return "a ticket without a reference begins as it does"
        return "a ticket without a reference may be it: made by the same user at its time"

    def stays_open(self, doubt: Doubt, assume_complete: bool) -> bool:
        """Whether that it was not found says too little."""
        gap = self._gaps.get(doubt.row)
        if doubt.row in self._shared or (gap is not None and gap.against):
            return True
        return gap is not None and not assume_complete

    def unconfirmed(self, doubts: list[Doubt]) -> list[Doubt]:
        """Those that only lack a proof that the look could not have missed them."""
        return [
            doubt
            for doubt in doubts
            if doubt.row in self._gaps
            and not self._gaps[doubt.row].against
            and doubt.row not in self._candidates
            and doubt.row not in self._alike
        ]

    def to_try(self, doubts: list[Doubt]) -> list[Doubt]:
        """Of those, the ones that a trial ticket may vouch for."""
        return [doubt for doubt in self.unconfirmed(doubts) if self._gaps[doubt.row].trial]

    def still_open(self, doubt: Doubt) -> Resolved:
        """A row that stays in doubt, and why."""
        if doubt.row in self._shared:
            ids, why = self._candidates[doubt.row], _SHARED
            return _resolved(doubt, ids, why)
        gap = self._gaps.get(doubt.row)
        return _resolved(doubt, (), "the looks did not come to an end" if gap is None else gap.why)

    async def try_out(
        self,
        trial: Trial,
        way: ListLookup,
        doubts: list[Doubt],
        result: Reconciliation,
        wait: float,
    ) -> None:
        """Make a trial ticket that vouches for all of these, if looks show it. One that was made
        a short time ago is looked for instead."""
        rows = self.to_try(doubts)
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
            pass  # a look will tell
        except HelpdeskError as error:
            result.trial = None
            why = f"; and the trial ticket was not made: {error.message}"
            for doubt in rows:
                self._gaps[doubt.row] = Gap(self._gaps[doubt.row].why + why)
            return
        way.add_confirmed(made.reference, made.at, made.traits)

    async def absent(self, doubts: list[Doubt]) -> None:
        """Write down that two looks have not found them."""
        at, looks = self._now(), list(self._evidence)
        verdicts: list[tuple[Doubt, str, tuple[str, ...]]] = [(d, "absent", ()) for d in doubts]
        await self._journal.call(lambda session: _write(session, verdicts, {"looks": looks}, at))


def _write(
    session: Session,
    verdicts: Sequence[tuple[Doubt, str, tuple[str, ...]]],
    evidence: dict[str, Any],
    at: float,
) -> None:
    for doubt, kind, ids in verdicts:
        told = {**evidence, "ticket_ids": list(ids)} if ids else evidence
        ticket_id = ids[0] if kind == "present" else None
        session.verdict(doubt.row, Kind(kind), at, ticket_id=ticket_id, evidence=told)
    if "looks" not in evidence:
        session.note_lookup(at, evidence)


def _doubt_sharing(session: Session, present: dict[int, str], at: float) -> list[Doubt]:
    sharing = [
        row
        for row, ticket_id in session.rows_with(set(present.values()))
        if row not in present
        and session.doubt(row, ticket_id, at, f"ticket {ticket_id} turned out to be another row's")
    ]
    if not sharing:
        return []
    return [d for d in session.doubts(State.UNKNOWN, payloads=False) if d.row in sharing]


def _resolved(doubt: Doubt, ids: tuple[str, ...] = (), reason: str = "") -> Resolved:
    return Resolved(doubt.key, doubt.line, doubt.reference, ids, reason)


_NEXT = "Look which rows of the journal are in doubt."


async def resolve(
    journal: str | os.PathLike[str],
    key: str | None,
    *,
    line: int | None,
    present: str | None,
    absent: bool,
    now: Callable[[], float] = time.time,
) -> Resolved:
    """Write down what a person has found out of a row in doubt.

    Args:
        journal: the file.
        key: the row's key.
        line: where the row stands in its file, for one without a key.
        present: it is in the helpdesk, under this id.
        absent: it is not there; the next push sends it.
        now: the wall clock.

    Raises:
        InvalidInputError: it is not said which row, or what became of it; or that row is not in
            doubt. Nothing was written.
        JournalError: the journal cannot be used.
    """
    if (key is None) == (line is None):
        raise InvalidInputError("name the row either by its key or by its line")
    if (present is None) != absent:
        raise InvalidInputError("say either present, with the id, or absent")
    if present is not None and not present.strip():
        raise InvalidInputError("present needs the id under which the row is in the helpdesk")
    opened = await Journal.open(journal, now=now)
    try:
        return await opened.call(lambda session: _written(session, key, line, present, now()))
    finally:
        await opened.aclose()


def _written(
    session: Session, key: str | None, line: int | None, present: str | None, at: float
) -> Resolved:
    doubt = _find(session, key, line)
    ids = () if present is None else (present.strip(),)
    session.verdict(
        doubt.row,
        Kind.ABSENT if present is None else Kind.PRESENT,
        at,
        ticket_id=ids[0] if ids else None,
        words=TOLD,
        evidence={"at": round(at, 3), "why": TOLD, "was": doubt.state.value},
    )
    return Resolved(doubt.key, doubt.line, doubt.reference, ids)


def _find(session: Session, key: str | None, line: int | None) -> Doubt:
    name = f"key {key!r}" if key is not None else f"line {line}"

    def named(row_key: str | None, row_line: int | None) -> bool:
        return row_key == key if key is not None else row_line == line

    found = [doubt for doubt in session.doubts() if named(doubt.key, doubt.line)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInputError(
            f"{len(found)} rows in doubt stand under {name}; name one by its key",
            next_step=_NEXT,
        )
    for row in session.rows_in(*State):
        if named(row.key, row.line):
            raise InvalidInputError(
                f"the row of {name} is not in doubt: it is {row.state.value}", next_step=_NEXT
            )
    raise InvalidInputError(f"the journal has no row of {name}", next_step=_NEXT)
