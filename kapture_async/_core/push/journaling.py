"""What a journaled push does with a row beside sending it.

The order of events: the reference is fixed and the intent is on the disk before the row is sent;
its outcome is on the disk before anybody hears of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from attrs import evolve, field, frozen

from ..errors import (
    ConfirmationNeededError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    NotSentError,
)
from ..journal.records import LATER, Decision, Identity, Job, entry_of, is_name
from ..journal.reference import digest_of, reference_of
from ..journal.session import Session
from ..journal.traits import traits_of
from ..journal.writer import Journal, OnWritten
from ..outcome import Outcome
from ..reconcile.lookup import LookupMethods
from ..reconcile.restored import OtherJournals, PendingRow, RestoredSearch
from .rows import InFlightRow, Row

V = TypeVar("V")

_HELD_AT_ONCE = 500
_IDS = 200_000
PROBED = 100
"""So many rows with new keys are compared with what the journal has, before any of them goes."""
SUSPICIOUS = 50
"""More of them with contents that the journal has under other keys, and the push stops."""
_HELD_BACK = 1000
"""Rows that may wait for the end of the source, at most."""
_WORDS = 500
_LONGEST_KEY = 2000
"""Bytes, in a journal that is shared: an index holds no longer ones."""


@frozen(kw_only=True)
class RowCodec(Generic[V]):
    """How the rows of one operation stand in a journal.

    Attributes:
        job: what the journal is for.
        ready: a row as what is sent; raises ``InvalidInputError``.
        pack: that as bytes, always the same for the same content.
        unpack: the bytes as what is sent.
        mark: what is sent, with a reference in it.
    """

    job: Job
    ready: Callable[[Any], V]
    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]
    mark: Callable[[V, str], V]


OnStarted = Callable[[Sequence[InFlightRow[Any]], JournalError | None], None]
"""Told of rows that shared a commit, and what went wrong with it."""


class Held(NamedTuple):
    """A row that only the journal holds."""

    row: int
    payload: bytes
    reference: str = ""

    def __repr__(self) -> str:
        return f"<Held row {self.row}>"  # the payload is the caller's


class HeldBack(NamedTuple):
    """A row that waits for the end of the source: is its key a variant spelling of an
    earlier key?"""

    row: int
    ready: Any

    def __repr__(self) -> str:
        return f"<HeldBack row {self.row}>"  # the content is the caller's


@frozen(kw_only=True)
class KeyRules:
    """How a push takes keys that its journal does not have.

    Attributes:
        exact: a variant spelling of a known key is another key.
        new: many new keys with contents that the journal has under other keys are wanted.
    """

    exact: bool = False
    new: bool = False


@frozen
class SourceFile:
    """What a journal records of the file that its rows come from; see :class:`.Job`.

    Attributes:
        keys: what identifies the rows.
        shape: which columns go where.
        saved: the options of the push, as text.
        again: class names of refusals after which a row may be sent once more as it is.
        same: according to the journal, its rows came from this very file.
    """

    keys: str | None = None
    shape: str | None = field(default=None, repr=False)
    saved: str | None = field(default=None, repr=False)
    again: frozenset[str] = LATER
    same: bool = False


class JournalBridge:
    """Between the engine and the journal of one push.

    Args:
        path: the journal's file.
        records: how rows stand in it.
        keys: how it takes new keys.
        methods: how rows are looked up, if an older copy of the journal must; ``None`` if they
            cannot be.
        restored: it is one, as the caller knows.
        new_journal: it may be of rows that another journal has sent.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        records: RowCodec[Any],
        keys: KeyRules = KeyRules(),
        *,
        methods: LookupMethods | None = None,
        restored: bool = False,
        new_journal: bool = False,
    ) -> None:
        self._refusals = LATER
        self._path = path
        self._records = records
        self._same_source = False
        self._keys = keys
        self._probing = self._doubtful = False
        self._new: list[tuple[InFlightRow[Any], bytes]] = []
        self._held_back: list[InFlightRow[Any]] = []
        self.released: deque[InFlightRow[Any]] = deque()
        """Rows that waited, and are to be begun now."""
        self._journal: Journal | None = None
        self._payloads = records.job.payloads
        self._methods = methods
        self._restored = restored
        self._tell: Callable[[str], None] = lambda words: None
        self._new_journal = new_journal
        self._search: RestoredSearch | None = None
        self._other_journals: OtherJournals | None = None
        self._equal: Counter[bytes] = Counter()
        self.all_begun: asyncio.Event = asyncio.Event()
        """No row that was drawn from the source waits to be screened, or to be begun after it."""
        self.all_begun.set()

    def describe_source(self, source: SourceFile) -> None:
        """Say which file the rows come from, before :meth:`open`."""
        job = evolve(self._records.job, keys=source.keys, shape=source.shape, source=source.saved)
        self._records = evolve(self._records, job=job)
        self._refusals, self._same_source = source.again, source.same

    @property
    def journal(self) -> Journal:
        """The journal, open."""
        assert self._journal is not None
        return self._journal

    @property
    def has_tickets(self) -> bool:
        """Whether rows of the journal are in the helpdesk, as far as it knows, or as a lookup
        has it may be."""
        counts = self.journal.counts
        return bool(counts.accepted or counts.ambiguous or counts.probable)

    @property
    def screens(self) -> bool:
        """Whether rows are to be given to :meth:`screen` before :meth:`begin`."""
        return self._search is not None or self._other_journals is not None

    async def open(self, begun: OnStarted, ended: OnWritten, tell: Callable[[str], None]) -> None:
        """Open the journal, or make it.

        Args:
            begun: called with the rows given to :meth:`begin`: with ``entry`` set the intent is
                on the disk, and they are to be sent. With ``known`` the journal says why they
                are not; with ``last`` they cannot be. With an error none of them may be.
            ended: called with outcomes once they are on disk, or with the error that prevented it.
            tell: called with a message for a person if the journal is an older copy.

        Raises:
            JournalError: it cannot be used; nothing was sent.
            HelpdeskError: it is an older copy, and its rows could not be looked up.
        """
        journal = await Journal.open(
            self._path,
            job=self._records.job,
            again=self._refusals,
            to_push=True,
            restored=self._restored,
            exact_keys=self._keys.exact,
        )
        self._tell = tell
        self.use(journal, begun, ended)
        try:
            if journal.restored is not None:
                await self._begin_search(tell)
            elif not journal.counts.rows and not self._new_journal:
                self._other_journals = await asyncio.to_thread(
                    OtherJournals.of, journal.job, journal.path
                )
        except BaseException:
            await journal.aclose()
            raise

    async def _begin_search(self, tell: Callable[[str], None]) -> None:
        if self._methods is None:
            raise JournalError(
                f"the journal {self.journal.path!r} is an older copy, and its rows carry no "
                "reference by which they could be looked up before they are sent",
                next_step="Use the newest copy of the journal. If there is none: look up in the "
                "helpdesk which rows are there, and push only the others, with a new journal.",
            )
        tell(
            "this journal is an older copy: it does not know what was sent after it was made, so "
            "each row is looked up before it is sent"
        )
        search = RestoredSearch(self.journal, self._methods, longest=self._records.job.longest_call)
        await search.begin()
        self._search = search

    async def screen(self, lives: Sequence[InFlightRow[Any]]) -> None:
        """Look at rows before they are begun.

        Raises:
            ConfirmationNeededError: these rows were already sent with another journal.
            HelpdeskError: they could not be looked up.
        """
        wanted: list[PendingRow] = []
        which: list[InFlightRow[Any]] = []
        held = await self._wanted_as(lives)
        for live in lives:
            row = held.get(live) or self._wanted(live)
            if row is not None:
                wanted.append(row)
                which.append(live)
        if self._search is not None:
            for live, sighted in zip(which, await self._search.look_up(wanted), strict=True):
                live.sighted = sighted
        if self._other_journals is not None:
            digests = [digest_of(row.payload) for row in wanted]
            if self._other_journals.compare(digests, ended=not lives):
                self._other_journals = None

    async def _wanted_as(
        self, lives: Sequence[InFlightRow[Any]]
    ) -> dict[InFlightRow[Any], PendingRow]:
        """Rows that waited for the end of the source and were not found by their own references:
        with the references they will be sent under, which may be those of earlier rows."""
        held = [live for live in lives if isinstance(live.value, HeldBack) and live.sighted is None]
        if not held:
            return {}
        numbers = [live.value.row for live in held]
        references = await self.journal.call(lambda session: session.goes_as(numbers))
        pack = self._records.pack
        return {
            live: PendingRow(live.own_key, _line(live), reference, pack(live.value.ready))
            for live, reference in zip(held, references, strict=True)
        }

    def _unsettled(self) -> NotSentError:
        assert self._search is not None
        at = datetime.fromtimestamp(self._search.settled_at)
        return NotSentError(
            "a push with another copy of this journal was just interrupted; its last requests may "
            f"still arrive until {at:%H:%M:%S}",
            next_step=f"Push again after {at:%H:%M:%S}; no decision is needed before then.",
        )

    def _wanted(self, live: InFlightRow[Any]) -> PendingRow | None:
        """A row that may be sent, as it would be; whatever is wrong with it, :meth:`begin` says."""
        value, line, journal = live.value, _line(live), self.journal
        if isinstance(value, Held):
            return PendingRow(live.key, line, value.reference, value.payload)
        if live.problem is not None or isinstance(value, HeldBack):
            return None
        try:
            packed = self._records.pack(self._records.ready(value))
            key, digest = live.own_key, digest_of(packed)
            if key is None:
                number = self._equal[digest]
                self._equal[digest] += 1
                reference = reference_of(journal.job.job_id, None, digest, number)
            else:
                reference = reference_of(journal.job.job_id, _plain(key), digest)
        except Exception:
            return None
        return PendingRow(key, line, reference, packed)

    def hurry(self) -> None:
        """The push takes no more rows: a journal that is away is not waited for much longer."""
        if self._journal is not None:
            self._journal.hurry()

    def serve(
        self,
        set_aside: Callable[[], None],
        stop: Callable[[HelpdeskError], None],
    ) -> None:
        """Say whom to tell of rows that wait, without a turn, for others to come.

        Args:
            set_aside: called for a row that waits and needs no slot meanwhile.
            stop: stops the push.
        """
        self._set_aside, self._stop = set_aside, stop

    def use(self, journal: Journal, begun: OnStarted, ended: OnWritten) -> None:
        """:meth:`open` with a journal that is open."""
        self._journal, self._begun = journal, begun
        self._payloads = journal.job.payloads
        self._probing = journal.has_older_keys and not self._keys.new
        journal.on_notice = self._tell
        journal.listen(self._have_begun, ended, self._is_elsewhere)

    def begin(self, live: InFlightRow[Any]) -> None:
        """Ask whether a row may be sent, without waiting for the answer; see :meth:`open`."""
        records, journal, row, value = self._records, self.journal, live.row, live.value
        problem = live.problem
        if live.sighted is not None and live.sighted.kind == "unsettled":
            live.last = self._unsettled()
            self._begun([live], None)
            return
        if isinstance(value, Held):
            self._begin_held(live, value)
            return
        if isinstance(value, HeldBack):
            self._ask_again(live, value.row, value.ready)
            return
        try:
            if problem is None:
                ready = records.ready(value)
                packed = records.pack(ready)
                key, digest = live.own_key, digest_of(packed)
                if key is not None and type(key) is not str:
                    key = live.own_key = _plain(key)
                if journal.shared:
                    _check_shared(key)
                line = replaces = None
                if isinstance(row, Row):
                    line = row.line
                    if row.entry is not None:
                        replaces = entry_of(row.entry, journal.job)
                new = journal.claim(key, digest)
                probe = self._probing and key is not None
                if new and probe:
                    self._probe(live, digest)
                    return
                if not new or self._search is not None or replaces is not None:
                    journal.take(
                        Identity(key, digest, line),
                        packed,
                        self._has_decided,
                        (live, ready),
                        new=new,
                        sighted=live.sighted,
                        replaces=replaces,
                        probe=probe,
                    )
                    return
                reference = reference_of(journal.job.job_id, key, digest)
                live.value = records.mark(ready, reference)
                payload = packed if self._payloads else b""
                journal.begin(key, digest, line, payload, live, traits_of(packed))
                return
        except JournalError as error:
            live.last = error
            self._begun([live], None)
            return
        except Exception as error:
            problem = _problem_of(error)
        self._refuse(live, problem)

    def _have_begun(
        self,
        lives: Sequence[InFlightRow[Any]],
        entries: Sequence[int],
        problem: JournalError | None,
    ) -> None:
        if problem is None:
            for live, entry in zip(lives, entries, strict=True):
                live.entry, live.attempt = entry, 1
        self._begun(lives, problem)

    def _is_elsewhere(
        self, live: InFlightRow[Any], decided: Decision | None, error: JournalError | None
    ) -> None:
        """A row that seemed to be new, and that another run had before."""
        if decided is None:
            live.last = error
        elif decided.action == "send":  # it carries its reference, which is that of its key
            live.entry, live.attempt = decided.row, decided.attempt
        else:
            live.known = decided
        self._begun([live], None)

    def _begin_held(self, live: InFlightRow[Any], held: Held) -> None:
        """A row that only the journal holds: whatever is wrong with it, it stays as it is there."""
        try:
            ready = self._records.unpack(held.payload)
            self.journal.take_again(
                held.row, self._has_decided, (live, ready), sighted=live.sighted
            )
        except HelpdeskError as error:
            live.last = error.with_traceback(None)
        except Exception as error:
            words = f"the journal's data of it cannot be read ({type(error).__name__})"
            live.last = InvalidInputError(words)
        else:
            return
        self._begun([live], None)

    def _ask_again(self, live: InFlightRow[Any], row: int, ready: Any) -> None:
        try:
            self.journal.take_again(row, self._has_decided, (live, ready), sighted=live.sighted)
        except JournalError as error:
            live.last = error
            self._begun([live], None)

    def _has_decided(
        self,
        begun: tuple[InFlightRow[Any], Any],
        decided: Decision | None,
        error: JournalError | None,
    ) -> None:
        live, ready = begun
        if decided is None:
            live.last = error
        elif decided.action == "new":
            self._probe(live, digest_of(self._records.pack(ready)))
            return
        elif decided.action == "held" and len(self._held_back) < _HELD_BACK:
            live.value = HeldBack(decided.row, ready)
            self._held_back.append(live)
            self._set_aside()
            return
        elif decided.action != "send":
            live.known = decided
        else:
            try:
                live.value = self._records.mark(ready, decided.reference)
            except Exception as failure:
                problem = _problem_of(failure)
                self.journal.end(
                    None,
                    decided.row,
                    decided.attempt,
                    "not_sent",
                    error=type(problem).__name__,
                    words=str(problem),
                )
                live.last = problem
            else:
                live.entry, live.attempt = decided.row, decided.attempt
        self._begun([live], None)

    def _probe(self, live: InFlightRow[Any], digest: bytes) -> None:
        """A row with a new key, of the first that come: do many of them hold what the journal has
        under other keys? None of them is sent before that is known."""
        if self._doubtful:
            self._begun([live], None)
            return
        if not self._probing:  # it is known by now
            self.begin(live)
            return
        self._new.append((live, digest))
        if len(self._new) > PROBED:
            return  # it holds the source up, until the answer is there
        self._set_aside()
        if len(self._new) == PROBED:
            try:
                self.journal.call_soon(self._comparison(), self._has_compared)
            except JournalError as error:
                self._doubtful = True
                self._stop(error)

    def _comparison(self) -> Callable[[Session], int]:
        digests = [digest for _, digest in self._new]
        return lambda session: session.with_other_keys(digests)

    def _has_compared(self, answer: asyncio.Future[int]) -> None:
        lives = [live for live, _ in self._new]
        problem: BaseException | None
        try:
            problem = self._doubt_of(answer.result())
        except (asyncio.CancelledError, HelpdeskError) as error:
            problem = error
        if problem is None:
            self._probing = False
            self._new.clear()
            self.released.extend(lives)
            for _ in lives[PROBED:]:
                self._set_aside()
            return
        self._doubtful = True
        del self._new[PROBED:]
        if isinstance(problem, HelpdeskError):
            self._stop(problem)
        self._begun(lives[PROBED:], None)

    def _doubt_of(self, known: int) -> ConfirmationNeededError | None:
        """Why the new rows must not be sent; ``None`` if they may be."""
        if known <= SUSPICIOUS:
            return None
        return ConfirmationNeededError(
            f"the push stopped before it sent any row with a new key: {known} of the first "
            f"{len(self._new)} such rows match rows recorded under other keys, as if the keys had "
            "been changed",
            next_step="Use the previous keys. If these rows are new tickets, push with "
            "new_keys=True (--new-keys on the command line).",
        )

    @property
    def has_rest(self) -> bool:
        """Whether :meth:`rest` may give rows that waited."""
        return self.journal.has_older_keys

    async def rest(self, *, from_journal: bool) -> AsyncIterator[Any]:
        """Rows to send once the source has ended: those that waited for its end, and then, if
        wanted, those that only the journal holds."""
        await self.all_begun.wait()
        await self.journal.call(lambda session: None)  # what came before has been looked up then
        if self._new and not self._doubtful:
            problem = self._doubt_of(await self.journal.call(self._comparison()))
            if problem is not None:
                self._doubtful = True
                self._stop(problem)
                await asyncio.sleep(0)  # which calls back who waits for a row of ours
                return
            self._probing = False
            while self._new:
                yield self._new.pop(0)[0]
            await self.journal.call(lambda session: None)
        while self._held_back:
            yield self._held_back.pop(0)
        if from_journal:
            async for row in self.held():
                yield row

    def left(self) -> list[InFlightRow[Any]]:
        """Rows that still wait, and that will not be sent."""
        lives = [*self.released, *(live for live, _ in self._new), *self._held_back]
        self.released.clear()
        self._new.clear()
        self._held_back.clear()
        return lives

    async def close_books(self) -> None:
        """The source was read to its end, and all rows have had their turn."""
        same, now = self._same_source, time.time()
        await self.journal.call(lambda session: session.note_corrected(now, same_source=same))

    def _refuse(self, live: InFlightRow[Any], problem: InvalidInputError) -> None:
        """Note a row that cannot be sent as it is.

        It has no content to be told by. Without a key that can name it, it goes by its line and
        by what is wrong with it; where it has no line either, rows with the same trouble are
        counted. That finds it again as long as the source stays as it is.
        """
        row, key = live.row, live.own_key
        if not isinstance(key, str):
            key = live.own_key = None
        line = row.line if isinstance(row, Row) else None
        wrong = problem.message.encode(errors="replace")
        identity = Identity(key, digest_of(wrong), line)
        if not is_name(key) or (self.journal.shared and len(key or "") > _LONGEST_KEY // 4):
            identity = Identity(None, digest_of(b"refused\0%d\0" % (line or 0) + wrong), line)
        live.last = problem
        refusal = (type(problem).__name__, problem.message[:_WORDS])
        payload = _rest_of(live) if self._payloads else None
        replaces = None
        if isinstance(row, Row) and row.entry is not None:
            with suppress(InvalidInputError):
                replaces = entry_of(row.entry, self.journal.job)
        try:
            new = self.journal.claim(identity.key, identity.digest)
            self.journal.take(
                identity,
                payload,
                self._has_refused,
                live,
                refusal=refusal,
                new=new,
                replaces=replaces,
            )
        except JournalError as error:
            live.last = error
            self._begun([live], None)

    def _has_refused(
        self, live: InFlightRow[Any], decided: Decision | None, error: JournalError | None
    ) -> None:
        if error is not None:
            live.last = error
        elif decided is not None and decided.action == "done":  # corrected, sent as another
            live.known = decided
        self._begun([live], None)

    def end(self, live: InFlightRow[Any], outcome: Outcome) -> None:
        """Record the outcome of a row."""
        assert live.entry is not None
        row, attempt, name = live.entry, live.attempt, outcome.name
        error: HelpdeskError | None = getattr(outcome, "error", None)
        if error is None:
            self.journal.accept(outcome, row, attempt, outcome.ticket_id)
            return
        self.journal.end(
            outcome,
            row,
            attempt,
            name,
            phase=None if error.phase is None else int(error.phase),
            status=error.status,
            error=type(error).__name__,
            words=self._words_of(error),
        )

    def defer(self, live: InFlightRow[Any], error: HelpdeskError) -> None:
        """Write down that a row was not taken, and will be tried :meth:`again`."""
        assert live.entry is not None
        self.journal.end(
            None,
            live.entry,
            live.attempt,
            "not_sent",
            status=error.status,
            error=type(error).__name__,
            words=self._words_of(error),
        )
        live.deferred, live.entry = live.entry, None

    async def again(self, live: InFlightRow[Any]) -> None:
        """A new attempt of a row that was put off.

        Raises:
            JournalError: the journal failed: the row must not be sent.
        """
        decided = await self.journal.attempt_again(live.deferred)
        if decided.action != "send":  # sent now, it would be sent twice
            raise JournalError(f"a deferred row was sent meanwhile ({decided.action})")
        live.entry, live.attempt = decided.row, decided.attempt

    async def given(self) -> list[tuple[int, str]]:
        """The rows that got into the helpdesk last in earlier runs, with their ids."""
        if not self.journal.counts.accepted:
            return []
        return await self.journal.call(lambda session: session.last_ids(_IDS))

    def doubt(self, row: int, ticket_id: str, words: str) -> None:
        """Write down that an accepted row is in doubt after all; see :meth:`.Session.doubt`."""
        self.journal.call_soon(lambda session: session.doubt(row, ticket_id, time.time(), words))

    async def held(self) -> AsyncIterator[Row[Held]]:
        """The rows that can be sent from what the journal holds."""
        after = 0
        while True:
            found = await self.journal.call(
                lambda session, after=after: [  # type: ignore[misc]
                    (view, session.came(view.row))
                    for view in islice(session.pending(self._refusals, after=after), _HELD_AT_ONCE)
                ]
            )
            for view, came in found:
                if view.payload is not None and not came:  # else it had its turn, or waits for it
                    held = Held(view.row, view.payload, view.reference)
                    yield Row(held, view.key, view.line)
            if len(found) < _HELD_AT_ONCE:
                return
            after = found[-1][0].row

    def _words_of(self, error: HelpdeskError) -> str:
        """What the service said. It may name what it refused, so a journal that shall keep no
        content keeps only our own words for it."""
        words = error.vendor_message if self._payloads else None
        return (words or error.message)[:_WORDS]

    async def aclose(self) -> None:
        """Write what waits, and give the journal back."""
        if self._journal is None:
            return
        try:
            if self._search is not None and self._journal.broken is None:
                with suppress(JournalError):  # it says so by itself, when it is opened again
                    await self._search.end()
        finally:
            await self._journal.aclose()


def _line(live: InFlightRow[Any]) -> int | None:
    return live.row.line if isinstance(live.row, Row) else None


def _plain(key: Any) -> str:
    """A key of a type of the caller's as plain text: what goes by two names would be two rows."""
    if not isinstance(key, str):
        raise InvalidInputError(f"its key must be text, not {type(key).__name__}")
    return str.__str__(key)


def _check_shared(key: str | None) -> None:
    """Refuse what several processes could not tell apart.

    Raises:
        InvalidInputError: there is no key, or a very long one.
    """
    if key is None:
        raise InvalidInputError(
            "it has no key, and this journal is shared: equal contents cannot be counted across "
            "processes",
            next_step="Give each row a key: key=... (--key COLUMN on the command line).",
        )
    if len(key) > _LONGEST_KEY or len(key.encode()) > _LONGEST_KEY:
        raise InvalidInputError(f"its key is longer than {_LONGEST_KEY:,} bytes")


def _problem_of(error: Exception) -> InvalidInputError:
    """Why a row cannot be sent, without the frames that hold it."""
    if isinstance(error, InvalidInputError):
        return error.with_traceback(None)
    # A type with a bug, a structure that holds itself.
    return InvalidInputError(f"the data cannot be encoded ({type(error).__name__})")


def _rest_of(live: InFlightRow[Any]) -> bytes | None:
    """What could be read of a row that cannot be sent, as far as it can be written."""
    row = live.row
    content = row.content if isinstance(row, Row) else None
    if content is None and isinstance(live.value, Mapping):
        content = dict(live.value)
    if not content:
        return None
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        return None
