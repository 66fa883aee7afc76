"""Check every row of a journal against the helpdesk, not only the doubts.

One lookup: the lists of the days on which anything was sent, or each row by itself where no list
shows it. Nothing is sent. The results are recorded: doubts found exactly once are present, and
contradictions to an outcome are listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import inf

from attrs import frozen

from ..errors import HelpdeskError, JournalError
from ..journal.reader import Compared
from ..journal.records import DOUBTS, Contradiction, Contradicts, Doubt, Job, Kind, State
from ..journal.reference import COMMENT
from ..journal.session import Session
from ..journal.writer import Journal
from .contradictions import (
    BATCH,
    LookupRecorder,
    is_elsewhere,
    named,
    note_contradictions,
    unmerged,
)
from .evidence import MARGIN, MINUTE, SPREAD, ConfirmedRow, Evidence, ListTickets, Sample
from .lookup import AskedRow, AskRows, RowAnswer
from .reconcile import longest_call, settle_time
from .results import (
    BY_ID,
    NAMED_UNEXPLAINED,
    ONE_OF_SEVERAL,
    ListCheck,
    RowCheck,
    RowResult,
    Verification,
    ids_of,
)

_ASKED = 500
"""How many rows are looked up before their results are stored."""
_OF_A_KIND = 3
"""How many rows of each day and kind of content show whether a list is complete."""

NOWHERE = "this push sent no references, so there is nothing to look for"
NO_COMMENT = "it was sent without a comment, so it carries no reference"
YOUNG = "not yet visible: it was sent too recently (its settle time is not over)"
WHENEVER = "not seen: the journal does not know when it was sent"
_DOUBTFUL = "not found; reconcile to find out"
_AMBIGUOUS = "check it by hand, then resolve it"
_NOT_ASKED = "the helpdesk returned nothing to look this row up by"
_ALIKE = "a similar ticket without the reference is there"
_NOT_SHOWING = "no row looked up at the same time was found by its reference"


@frozen
class Checked:
    """Progress of a verification: tickets seen in lists, or rows looked up."""

    tickets: int
    rows: int


VerifyEvent = Checked
VerifyObserver = Callable[[VerifyEvent], None]


async def verify(
    journal: Journal,
    way: ListTickets | AskRows,
    *,
    settle: float | None,
    longest: float | None = 0.0,
    day_of: Callable[[float], object] | None = None,
    on_event: VerifyObserver | None = None,
    now: Callable[[], float] = time.time,
) -> Verification:
    """Check every row of a journal with one lookup, and record the results.

    Args:
        journal: open for writing, so that no push can run meanwhile.
        way: lists the tickets of a period, or asks about single rows.
        settle: seconds after which everything sent must be visible; ``None`` for the default.
        longest: the most seconds a call of this client may take.
        day_of: see :class:`.lookup.ListLookup`; ``None`` where the lists are not by day.
        on_event: called with the progress.
        now: the wall clock.

    Raises:
        InvalidInputError: ``settle`` is too short.
        HelpdeskError: the lookup failed. Contradictions found by then are in the journal.
        JournalError: the journal failed.
    """
    noted = await journal.call(lambda session: session.longest_call(0.0))
    mine = longest_call(longest)
    seconds = settle_time(settle, max(mine, noted or 0.0), whose="a call of the push")
    recorder = LookupRecorder(journal)
    began = now()
    verifier = _Verifier(journal, recorder, seconds, day_of, on_event or (lambda event: None), now)
    try:
        try:
            if journal.job.place == "none":
                await recorder.add_rows(every=True)
            elif isinstance(way, AskRows):
                await recorder.add_rows(every=True)
                await verifier.ask(AskRows(recorder.record_answers(way.ask)))
            else:
                await verifier.read(recorder.record_lists(way))
                await recorder.add_rows(every=True)
        except HelpdeskError as error:
            if not isinstance(error, JournalError):
                await recorder.compare(now())
            raise
        found = await verifier.check(began, row_by_row=isinstance(way, AskRows))
    except BaseException:
        recorder.close()
        raise
    return found


class _Verifier:
    """One verification.

    Args:
        journal: the journal to verify.
        recorder: records the tickets found.
        settle: seconds after which everything sent must be visible.
        day_of, tell, now: as for :func:`verify`.
    """

    def __init__(
        self,
        journal: Journal,
        recorder: LookupRecorder,
        settle: float,
        day_of: Callable[[float], object] | None,
        tell: Callable[[Checked], None],
        now: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._settle = settle
        self._day_of = day_of
        self._tell = tell
        self._now = now
        self._evidence: Evidence | None = None
        self._lists: list[ListCheck] = []
        self._asked = 0
        self._at = 0.0

    # --- lists -----------------------------------------------------------------------------------

    async def read(self, look: ListTickets) -> None:
        """Read the lists of all days on which anything was sent."""
        day_of = self._day_of or _one_day
        confirmed = await confirmed_rows(self._journal, day_of)
        evidence = self._evidence = Evidence(confirmed, day_of, self._now())
        tickets = 0
        for since, until in await self._times():
            async for _ in evidence.read(look, since, until):
                tickets += 1
                if not tickets % BATCH:
                    self._tell(Checked(tickets, 0))
        self._lists = [
            ListCheck(None if end.day is None else str(end.day), end.rows or 0, end.total)
            for end in evidence.lists
        ]
        await self._recorder.flush()
        self._tell(Checked(tickets, 0))

    async def _times(self) -> list[tuple[float, float]]:
        """The periods to read lists for: where tickets are listed by day, only days of pushes."""
        hours = await self._journal.call(lambda session: session.sent_hours())
        if not hours:
            return []
        after = 3600.0 + MARGIN
        if self._day_of is None:
            return [(hours[0] * 3600.0 - MARGIN, hours[-1] * 3600.0 + after)]
        parts = [[hours[0], hours[0]]]
        for before, hour in pairwise(hours):
            if (hour - before) * 3600.0 > 2 * MARGIN + 86400:
                parts.append([hour, hour])
            parts[-1][1] = hour
        return [(first * 3600.0 - MARGIN, last * 3600.0 + after) for first, last in parts]

    # --- row by row ------------------------------------------------------------------------------

    async def ask(self, look: AskRows) -> None:
        """Ask about each row that was ever sent, in groups."""
        by_comment = self._journal.job.place == "comment"
        seen = self._recorder.seen
        some: list[Compared] = []
        for one, *_ in seen.rows():
            if one.sent_at is None:
                continue
            some.append(one)
            if len(some) == _ASKED:
                await self._ask(some, look, by_comment=by_comment)
                some = []
        if some:
            await self._ask(some, look, by_comment=by_comment)

    async def _ask(self, some: list[Compared], look: AskRows, *, by_comment: bool) -> None:
        first, last = some[0].row, some[-1].row
        payloads = await self._journal.call(lambda session: session.payloads_between(first, last))
        unmarked = {one.row for one in some if by_comment and not one.traits & COMMENT}
        asked = [
            AskedRow(
                row=one.row,
                key=one.key,
                reference=one.reference,
                payload=payloads.get(one.row),
                ticket_id=one.own,
                marked=one.row not in unmarked if by_comment else None,
            )
            for one in some
        ]
        answers = {answer.row: answer async for answer in look.ask(asked)}
        shows = any(one.proven and one.ticket_ids for one in answers.values())
        notes = (
            (*_answer(answers.get(one.row), shows=shows, marked=one.row not in unmarked), one.row)
            for one in some
        )
        self._recorder.seen.note(notes)
        self._recorder.tickets += len(answers)
        self._asked += len(some)
        self._tell(Checked(0, self._asked))

    # --- the results ------------------------------------------------------------------------

    async def check(self, began: float, *, row_by_row: bool) -> Verification:
        """Determine the result of each row, and record what is new."""
        self._at = self._now()
        job, recorder = self._journal.job, self._recorder
        found = Verification(
            journal=self._journal.path,
            service=job.service,
            operation=job.operation,
            target=job.target,
            place=job.place,
            began=began,
            ended=self._at,
            row_by_row=row_by_row,
            tickets=recorder.tickets,
            lists=tuple(self._lists),
            seen=recorder.seen,
        )
        await self._journal.call(lambda session: self._check(session, job, found))
        return found

    def _check(self, session: Session, job: Job, found: Verification) -> None:
        seen = self._recorder.seen
        found.contradictions += note_contradictions(session, seen, self._at)
        results: list[tuple[str, str | None, int]] = []
        for one, tickets, told, why in seen.rows():
            result, words = self._result(session, job, one, tickets, told, why)
            if result == "contradicted" and words == Contradicts.OTHER_ROW.value:
                found.contradictions.append(self._other_row(session, one))
                words = None
            results.append((result, words, one.row))
            ids = ids_of(one.own, tickets, words, seen)
            found.take(
                RowCheck(one.key, one.line, one.reference, one.state.value, result, ids, words)
            )
            if len(results) == BATCH:
                seen.note(results)
                results.clear()
        seen.note(results)
        self._find_unexplained(session, found)
        found.noted = sum(session.contradicted().values())
        session.note_lookup(self._at, found.evidence())

    def _find_unexplained(self, session: Session, found: Verification) -> None:
        """Count the tickets that no row explains, where the lists show who created them."""
        evidence = self._evidence
        if evidence is None or not evidence.shown:
            return
        hours = frozenset(session.sent_hours())
        makers = [repr(maker) for maker in evidence.makers if maker is not None]
        behind, ahead = evidence.behind, evidence.ahead + self._settle
        for ticket_id in self._recorder.seen.unexplained(makers, hours, behind, ahead):
            found.unexplained += 1
            if len(found.unexplained_ids) < NAMED_UNEXPLAINED:
                found.unexplained_ids.append(ticket_id)

    def _result(
        self,
        session: Session,
        job: Job,
        one: Compared,
        tickets: dict[str, int],
        told: str | None,
        why: str | None,
    ) -> tuple[RowResult, str | None]:
        if tickets:
            return self._result_of_found(session, one, tickets)
        if one.sent_at is None and one.state is not State.ACCEPTED:
            return "absent", None
        if one.state in DOUBTS:
            return "in_doubt", _DOUBTFUL if one.state is State.UNKNOWN else _AMBIGUOUS
        if job.place == "none":
            return "unchecked", NOWHERE
        if told == "unchecked":
            return "unchecked", why
        if one.state is State.ACCEPTED and self._evidence is not None and one.own:
            if self._recorder.seen.is_bare(one.own):
                return (
                    ("not_seen", ONE_OF_SEVERAL) if self._may_be_twice(one) else ("present", BY_ID)
                )
            if self._recorder.seen.merged_into([one.own]):
                return "present", BY_ID
            if self._recorder.seen.references_on(one.own):
                return "contradicted", Contradicts.OTHER_ROW.value
        if told == "there":
            return "present", BY_ID
        if self._at - one.last_at < self._settle:
            return "not_seen", YOUNG
        if one.sent_at is None:
            return "not_seen", WHENEVER
        gap = self._gap(one) if told is None else why
        if gap is not None:
            return "not_seen", gap
        return ("missing" if one.state is State.ACCEPTED else "absent"), None

    def _result_of_found(
        self, session: Session, one: Compared, tickets: dict[str, int]
    ) -> tuple[RowResult, str | None]:
        seen = self._recorder.seen
        left = unmerged(one, tickets, seen)
        once = sum(left.values()) == 1
        if one.state in DOUBTS:
            if one.state is State.AMBIGUOUS:
                return ("in_doubt", _AMBIGUOUS) if once else ("twice", None)
            kind = Kind.PRESENT if once and "" not in left else Kind.AMBIGUOUS
            ids = named(left)
            evidence = {"at": round(self._at, 3), "ticket_ids": list(ids)}
            ticket_id = ids[0] if kind is Kind.PRESENT else None
            session.verdict(one.row, kind, self._at, ticket_id=ticket_id, evidence=evidence)
            return ("present" if once else "twice"), None
        if one.state is not State.ACCEPTED:
            return "contradicted", f"{one.state.value.replace('_', ' ')}, but in the helpdesk"
        if not once:
            return "twice", None
        if is_elsewhere(one, left, seen):
            return "contradicted", f"the service named ticket {one.own}"
        return "present", None

    def _other_row(self, session: Session, one: Compared) -> Contradiction:
        kind, ids = Contradicts.OTHER_ROW.value, named([one.own or ""])
        session.contradict(one.row, kind, ids, self._at)
        if one.own is not None:
            words = f"ticket {one.own} turned out to belong to another row"
            session.doubt(one.row, one.own, self._at, words)
        return Contradiction(kind, one.key, one.line, one.reference, ids, self._at)

    def _may_be_twice(self, one: Compared) -> bool:
        """Whether an unexplained ticket may also be the row. Only for a row whose own ticket lost
        its reference: the other would have lost it in the same way."""
        evidence = self._evidence
        assert evidence is not None
        assert one.own is not None
        if one.first_intent_at is None:
            return False
        first = one.first_intent_at + evidence.behind - MINUTE
        last = one.last_at + self._settle + evidence.ahead
        return self._recorder.seen.find_alike(one.own, first, last)

    def _gap(self, one: Compared) -> str | None:
        """Why it is not missing, although no list showed it; ``None`` if it is missing."""
        assert self._evidence is not None
        own = one.own if one.state is State.ACCEPTED else None
        gap = self._evidence.gap(_as_doubt(one), self._at - self._settle, ticket_id=own)
        return None if gap is None else f"not seen: {gap.why}"


def _answer(answer: RowAnswer | None, *, shows: bool, marked: bool) -> tuple[str, str | None]:
    """The result of asking about a row, for one whose reference was not seen, as far as it is known
    by now; and the reason."""
    if not marked and not (answer is not None and answer.proven and answer.ticket_ids):
        return "unchecked", NO_COMMENT
    if answer is None:
        return "not_seen", f"not seen: {_NOT_ASKED}"
    if answer.there:
        return "there", None
    if not answer.proven and answer.ticket_ids:
        return "not_seen", f"not seen: {_ALIKE}"
    if not answer.telling:
        return "not_seen", f"not seen: {answer.why}"
    if not shows:
        return "not_seen", f"not seen: {_NOT_SHOWING}"
    return "missing", None


async def confirmed_rows(
    journal: Journal, day_of: Callable[[float], object]
) -> dict[str, ConfirmedRow]:
    """Accepted rows whose references must be found: evenly spread, some of each day and kind of
    content, and those sent last."""
    sample = Sample[tuple[str, ConfirmedRow]](SPREAD, _OF_A_KIND)
    after = 0
    while rows := await journal.call(partial(_compared, after=after)):
        after = rows[-1].row
        for one in rows:
            if one.state is State.ACCEPTED and one.sent_at is not None:
                by = one.last_at if one.kind == Kind.ACCEPTED.value else inf
                day = day_of(one.sent_at)
                confirmed = ConfirmedRow(one.sent_at, by, one.traits, day)
                sample.add((one.reference, confirmed), one.row, one.sent_at, (day, one.traits))
    return dict(sample.rows())


def _compared(session: Session, after: int) -> list[Compared]:
    return session.compared(after, BATCH)


def _as_doubt(one: Compared) -> Doubt:
    """The row as a doubt, to judge lists by."""
    assert one.first_intent_at is not None
    assert one.sent_at is not None
    return Doubt(
        row=one.row,
        key=one.key,
        line=one.line,
        reference=one.reference,
        state=one.state,
        payload=None,
        attempts=1,
        first_intent_at=one.first_intent_at,
        sent_at=one.sent_at,
        last_at=one.last_at,
        error=None,
        words=None,
        absent_lookups=0,
        last_lookup_at=None,
        traits=one.traits,
    )


def _one_day(at: float) -> object:
    return None
