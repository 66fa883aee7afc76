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
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from heapq import heappush, heappushpop
from math import inf
from typing import Any

from attrs import define, field, frozen

from ..arguments import check_seconds
from ..errors import HelpdeskError, InvalidInputError, JournalError, OutcomeUnknownError
from ..journal.findings import Contradiction
from ..journal.records import TOLD, Doubt, Kind, RowView, Run, State
from ..journal.store import Store
from ..journal.traits import OBJECTS, strongest, vouches
from ..journal.writer import Journal
from .candidates import Candidates, CluesOf, MayBe
from .contradictions import Watch
from .list_lookup import ListLookup, Payloads, surely_shown
from .lookup import MARGIN, AskRows, Finding, Gap, ListTickets, Lookup, RowLookup
from .trial import MadeTrial, Trial, trial_reference, trials_in

SETTLE: float = 300.0
"""Seconds. One service was seen to finish a create 222 s after it came."""
_BETWEEN = 0.2
"""The pause between two looks, as a part of the settle time."""
_LONGEST = 3.0
"""The longest such pause, likewise: a row that a lookup let go again is newer than the others by
the time of that lookup, and more."""
_CONFIRMED = 500
"""Rows, spread evenly, by which a survey is judged."""
_ASKED = 20
"""The same for an inquiry, which has to ask for each."""
_TRIAL_LOOKS = 3
"""Looks for a trial ticket."""
_SHARED = (
    "more rows than this may be the tickets named, which nothing explains; judge those that are, "
    "and reconcile again"
)
_SEVERAL = "several tickets have its reference or its content, or one that has no id"
_BEFORE = "_reconciliation"


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
        ticket_ids: the tickets that match it, or may be it.
        reason: why it is not known what became of it; empty for what is present or absent.
    """

    key: str | None
    line: int | None
    reference: str
    ticket_ids: tuple[str, ...] = ()
    reason: str = ""


@define
class Reconciliation:
    """What became of the doubts of a journal.

    Attributes:
        present: they are in the helpdesk, once.
        absent: they are not; the next push of this journal sends them.
        ambiguous: several tickets carry the reference. Look at them; nothing is sent.
        probable: a ticket without a reference may be it: one with the same content, or one that
            nothing else explains, made by the same user when the row may have been executed.
            Nothing is sent.
        open: still in doubt: not found, in a way that proves nothing. Each has its ``reason``.
        unseen: tickets that are surely in the helpdesk, and that a look did not show. If there
            are any, the look saw too little (another user's tickets, a list that was cut short),
            so nothing is taken for absent and what was not found stays open.
        unconfirmed: of the open ones, those of which there is no other proof against them but that
            nothing was found. What a look does not show is absent only if the look could not
            have missed it; see :mod:`.evidence`. Reconcile again once somebody has made another
            ticket, or with ``probe``; or look yourself, and :meth:`resolve`; or take an empty look
            for a proof, by ``assume_complete``.
        trial: the trial ticket that ``probe`` made, if it was made: please close it.
        contradictions: what the looks have shown of other rows that the journal denies: rejected
            or not sent, and there (present from now on); accepted, and there twice, or on another
            ticket. They stay listed in the journal.
    """

    present: list[Resolved] = field(factory=list)
    absent: list[Resolved] = field(factory=list)
    ambiguous: list[Resolved] = field(factory=list)
    probable: list[Resolved] = field(factory=list)
    open: list[Resolved] = field(factory=list)
    unseen: int = 0
    unconfirmed: int = 0
    contradictions: list[Contradiction] = field(factory=list)
    trial: str | None = None

    @property
    def reasons(self) -> dict[str, int]:
        """Why rows are still open, each reason with the number of its rows; the most first."""
        return dict(Counter(row.reason for row in self.open).most_common())

    @property
    def doubts(self) -> int:
        """How many there were."""
        kinds = (self.present, self.absent, self.ambiguous, self.probable, self.open)
        return sum(map(len, kinds))

    @property
    def merged(self) -> dict[str, list[Resolved]]:
        """Rows that are one ticket, by its id: it carries the references of all of them, as when
        the helpdesk or an agent has merged theirs. They are in :attr:`present`, too."""
        rows: dict[str, list[Resolved]] = {}
        for row in self.present:
            rows.setdefault(row.ticket_ids[0], []).append(row)
        return {ticket_id: some for ticket_id, some in rows.items() if len(some) > 1}

    @staticmethod
    def before(error: BaseException) -> Reconciliation | None:
        """What a reconciliation had found before it ended with an error; ``None`` for nothing.

        It stands in the journal already. What was still looked for is ``open`` in it.
        """
        found = getattr(error, _BEFORE, None)
        return found if isinstance(found, Reconciliation) else None

    def keep_with(self, error: BaseException) -> None:
        """Let :meth:`before` give it for this error."""
        vars(error)[_BEFORE] = self

    def found_before(self, earlier: Reconciliation) -> None:
        """Take in what an earlier try of the same has found."""
        self.present[:0] = earlier.present
        self.absent[:0] = earlier.absent
        self.ambiguous[:0] = earlier.ambiguous
        self.probable[:0] = earlier.probable
        later = [c for c in self.contradictions if c not in earlier.contradictions]
        self.contradictions = [*earlier.contradictions, *later]


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
        lambda store: list(
            store.doubts(
                State.UNKNOWN,
                # A survey by references needs none of them whole.
                payloads=isinstance(look, AskRows) or content_of is not None,
            )
        )
    )
    if not doubts:
        return result
    began = min(doubt.first_intent_at for doubt in doubts)
    noted = await journal.call(lambda store: store.longest_call(began))
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
            lambda store: {
                row: beginning_of(payload) for row, payload in store.payloads_of(State.UNKNOWN)
            }
        )
    watch = Watch(journal)
    look = watch.over(look)
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
        result.contradictions += await watch.compare(now())
    except HelpdeskError as error:
        if not isinstance(error, JournalError):
            result.contradictions += await watch.compare(now())
        if result.doubts or result.contradictions:
            result.keep_with(error)
        if result.doubts:
            were = "doubt was" if result.doubts == 1 else "doubts were"
            error.add_note(f"{result.doubts} {were} resolved before; that stands in the journal")
        raise
    finally:
        watch.close()
        result.unseen = looker.unseen
        result.unconfirmed = len(looker.unconfirmed(missing))
        result.open += map(looker.still_open, missing)
    return result


async def lookup_for(
    journal: Journal,
    look: ListTickets | AskRows,
    content_of: Callable[[bytes], str] | None,
    doubts: list[Doubt],
    settle: float,
    day_of: Callable[[float], object] | None,
    beginnings: dict[int, tuple[str, str]] | None,
    clues_of: CluesOf | None,
    now: Callable[[], float],
    *,
    listed_until: float = -inf,
    payloads: Payloads | None = None,
    may_be: MayBe | None = None,
) -> Lookup:
    """How these rows are looked for, and by which others a look is judged.

    See :class:`.Candidates` for ``may_be``, and :class:`.ListLookup` for the rest.
    """
    until = now() - settle

    async def known(ticket_ids: set[str]) -> set[str]:
        return await journal.call(lambda store: store.accepted_among(ticket_ids))

    if isinstance(look, AskRows):
        some = await journal.call(lambda store: _confirmed(store, 0.0, until, _ASKED, None))
        return RowLookup(look.ask, some, known)
    since = surely_shown(doubts)
    some = await journal.call(lambda store: _confirmed(store, since, inf, _CONFIRMED, day_of))
    candidates = None
    if content_of is None:
        runs = await journal.call(lambda store: _sending(store.runs(), doubts))
        candidates = Candidates(settle, runs, may_be)

    async def kept() -> dict[int, bytes]:
        return await journal.call(lambda store: dict(store.payloads_of(State.UNKNOWN)))

    return ListLookup(
        look,
        content_of,
        some,
        known,
        since=since,
        until=until,
        day_of=day_of,
        beginnings=beginnings,
        candidates=candidates,
        clues_of=clues_of,
        payloads=payloads or kept,
        now=now,
        listed_until=listed_until,
    )


def _sending(runs: Sequence[Run], doubts: Sequence[Doubt]) -> list[tuple[float, float]]:
    """When runs may have sent. Of one that was killed, nobody knows when."""
    last = max(doubt.last_at for doubt in doubts)
    ends = [*(run.began for run in runs[1:]), last]
    return [
        (run.began, max(run.began, next_began) if run.ended is None else run.ended)
        for run, next_began in zip(runs, ends, strict=True)
        if run.longest_call is not None
    ]


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
        await self._journal.call(lambda store: _write(store, written, evidence, at))
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
        doubts = await self._journal.call(lambda store: _doubt_sharing(store, present, at))
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
            await self._journal.call(lambda store: _write(store, found, looks, at))
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
            if before.at > now - wait and vouches(before.traits, traits & ~OBJECTS):
                result.trial = before.reference
                return
        like = await self._journal.call(lambda store: store.payload_of(rows[0].row))
        made = MadeTrial(trial_reference(), now, traits & ~OBJECTS)
        await self._journal.call(lambda store: store.look(now, made.as_json()))
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
        await self._journal.call(lambda store: _write(store, verdicts, {"looks": looks}, at))


def _confirmed(
    store: Store,
    since: float,
    until: float,
    most: int,
    day_of: Callable[[float], object] | None,
) -> list[RowView]:
    """Rows that came into the helpdesk between two moments, as the service or a look said: spread
    evenly, some of each day, and those that were sent last, which say how new a list is."""
    found: list[RowView] = []
    newest: list[tuple[float, int, RowView]] = []
    days: dict[object, list[RowView]] = {}
    every = 1
    confirmed = (
        row
        for row in store.rows_in(State.ACCEPTED)
        if row.sent_at is not None
        and since <= row.sent_at
        and row.at <= until
        and row.words != TOLD
    )
    for number, row in enumerate(confirmed):
        assert row.sent_at is not None
        keep = heappush if len(newest) < _ASKED else heappushpop
        keep(newest, (row.sent_at, row.row, row))
        if day_of is not None and row.sent_at is not None:
            day = days.setdefault(day_of(row.sent_at), [])
            if len(day) < _ASKED:
                day.append(row)
        if number % every == 0:
            found.append(row)
        if len(found) == 2 * most:
            found, every = found[::2], every * 2
    last = [row for _, _, row in newest]
    return list({row.row: row for some in (found, *days.values(), last) for row in some}.values())


def _write(
    store: Store,
    verdicts: Sequence[tuple[Doubt, str, tuple[str, ...]]],
    evidence: dict[str, Any],
    at: float,
) -> None:
    for doubt, kind, ids in verdicts:
        told = {**evidence, "ticket_ids": list(ids)} if ids else evidence
        ticket_id = ids[0] if kind == "present" else None
        store.verdict(doubt.row, Kind(kind), at, ticket_id=ticket_id, evidence=told)
    if "looks" not in evidence:
        store.look(at, evidence)


def _doubt_sharing(store: Store, present: dict[int, str], at: float) -> list[Doubt]:
    sharing = [
        row
        for row, ticket_id in store.rows_with(set(present.values()))
        if row not in present
        and store.doubt(row, ticket_id, at, f"ticket {ticket_id} turned out to be another row's")
    ]
    if not sharing:
        return []
    return [d for d in store.doubts(State.UNKNOWN, payloads=False) if d.row in sharing]


def _resolved(doubt: Doubt, ids: tuple[str, ...] = (), reason: str = "") -> Resolved:
    return Resolved(doubt.key, doubt.line, doubt.reference, ids, reason)
