"""What a journaled push does with a row besides sending it.

The reference is fixed and the intent durable before a row is sent; its outcome is durable before
it is reported. Rows are recorded ahead of the workers, so no worker waits for the disk.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import evolve

from ..errors import HelpdeskError, InvalidInputError, JournalError
from ..journal.records import Decision, Identity, entry_of, is_name
from ..journal.reference import digest_of
from ..journal.thread import Answer
from ..journal.writer import Journal
from ..outcome import Outcome
from ..reconcile.lookup import LookupMethods
from .ahead import LOOKED_UP, RowsAhead
from .events import PushNoticed
from .keys import HeldBack, KeyCheck
from .row_codec import (
    LONGEST_KEY,
    RowCodec,
    SourceFile,
    check_shared,
    plain_key,
    problem_of,
    rest_of,
)
from .rows import Held, InFlightRow, Row
from .screening import Screening

if TYPE_CHECKING:
    from .push import Push

R = TypeVar("R")

_HELD_AT_ONCE = 500
_IDS, _IDS_AT_ONCE = 200_000, 5_000
_WORDS = 500


class JournalBridge(Generic[R]):
    """Connects a push to its journal: asks whether each row may be sent, and records outcomes.

    Args:
        push: whose rows they are.
        path: the journal's file, or its address.
        codec: how rows are encoded in it.
        methods: how to look rows up, needed for an older copy of a journal; ``None`` if they
            cannot be looked up.

    Attributes:
        journal: the journal, once it is open.
        ahead: rows for the workers.
        unsent: rows that the journal was asked about, and that are to be begun now.
    """

    journal: Journal

    def __init__(
        self,
        push: Push[R],
        path: str | os.PathLike[str],
        codec: RowCodec[Any],
        methods: LookupMethods | None = None,
    ) -> None:
        self.settings = push._settings
        self.reader = push._reader
        self.codec = codec
        self._push = push
        self._path = path
        self._methods = methods
        self._source = SourceFile()
        self._is_open = False
        self._payloads = True
        self._shared = False
        self._keys = KeyCheck(self)
        self._screening = Screening(self)
        self.ahead: RowsAhead[R] = RowsAhead(push)
        self.ahead.on_idle = self._begin_while_reading
        self._left = False
        self._reading = False
        self.unsent: deque[InFlightRow[R]] = deque()

    def describe_source(self, source: SourceFile) -> None:
        """Set the file that the rows come from, before :meth:`open`."""
        job = evolve(self.codec.job, keys=source.keys, shape=source.shape, source=source.saved)
        self.codec = evolve(self.codec, job=job)
        self._source = source

    async def open(self) -> None:
        """Open the journal, or create it.

        Raises:
            JournalError: it cannot be used; nothing was sent.
            HelpdeskError: it is an older copy, and rows could not be looked up.
        """
        journal = await Journal.open(
            self._path,
            job=self.codec.job,
            again=self._source.again,
            to_push=True,
            restored=self.settings.restored,
            exact_keys=self.settings.keys_exact,
        )
        self.use(journal)
        try:
            await self._screening.open(self._methods)
        except BaseException:
            self._is_open = False
            await journal.aclose()
            raise

    def use(self, journal: Journal) -> None:
        """Like :meth:`open`, with a journal that is already open."""
        self.journal, self._is_open = journal, True
        self._payloads = journal.job.payloads
        self._shared = journal.shared
        self._keys.probing = journal.has_older_keys and not self.settings.new_keys
        journal.on_notice = self.notice
        journal.failed.add_done_callback(
            lambda failed: self.stop_push(failed.result(), "the journal failed")
        )
        journal.listen(self._answered, self._push._written)

    def notice(self, words: str) -> None:
        """Give the user a message before rows are sent."""
        self._push._tell(PushNoticed(words))

    def stop_push(self, error: HelpdeskError, reason: str | None = None) -> None:
        """End the push, for this reason or the one that the error gives."""
        self._push._fail(error, reason or error.message)

    # --- rows ahead of the workers --------------------------------------------------------------

    async def run(self) -> None:
        """Read rows as needed; returns when there are no more."""
        push, reader, ahead = self._push, self.reader, self.ahead
        screening, released, unsent = self._screening, self._keys.released, self.unsent
        screens = screening.needed
        try:
            while await push._throttle.wait_while_paused():
                room, at_end = ahead.wanted(), False
                while room > 0 and ahead.looking < LOOKED_UP:
                    row: InFlightRow[R] | None
                    if unsent:
                        row = unsent.popleft()
                    elif released:
                        row = released.popleft()
                    elif screens:
                        self._reading = True
                        row = await screening.read()
                        self._reading = False
                        screens = screening.needed
                        room = min(room, ahead.room)  # others were begun meanwhile
                    elif reader.at_once:
                        row = reader.read_nowait()
                    else:
                        self._reading = True
                        row = await reader.read()
                        self._reading = False
                        room = min(room, ahead.room)
                    if row is None:
                        if not (released or unsent or ahead.looking):
                            return
                        at_end = True
                        break
                    ahead.begun += 1
                    room -= 1
                    looking = ahead.looking
                    self.begin(row)
                    room += ahead.looking - looking
                await push._wait_for_consumer()
                if at_end:
                    if not (released or unsent):
                        await ahead.wait_for_answers()
                elif not push._throttle.stopped.is_set():
                    await ahead.wait_until_low()
        finally:
            for row in await screening.left_over():
                push._end_alone(row)
            ahead.end()

    def stop(self) -> None:
        """Read no more rows. Those that are ready still go to the workers; an unreachable journal
        is not waited for much longer."""
        self.ahead.hurry()
        if self._is_open:
            self.journal.hurry()

    def set_aside(self) -> None:
        """Set a row aside that waits for others; it takes up no room meanwhile."""
        self.ahead.take_out()

    @property
    def waiting(self) -> int:
        """How many rows are set aside."""
        return self._keys.waiting + len(self.unsent)

    def leave(self) -> None:
        """The workers have ended: finish the rows that are ready, and those still to come."""
        self._left = True
        for row in (*self._keys.left(), *self.unsent):
            self._push._end_alone(row)
        self.unsent.clear()
        for row in self.ahead.left():
            self._push._end_alone(row)

    def _answered(self, rows: Sequence[InFlightRow[R]], answers: Sequence[Answer]) -> None:
        """Handle the journal's answers: each row may be sent, or needs no worker."""
        ready: list[InFlightRow[R]] = []
        for row, answer in zip(rows, answers, strict=True):
            looked = row.looking
            if looked:
                row.looking = False
                self.ahead.looking -= 1
            if isinstance(answer, JournalError):
                row.last = answer
            elif row.last is not None:  # it cannot be sent
                if answer.action == "done":  # it was corrected and sent as another row
                    row.known = answer
            elif answer.action == "send":
                if self._mark(row, answer) and not self._left:
                    ready.append(row)
                    continue
            elif answer.action == "new":
                if not self._left:
                    self._begin_new(row, looked=looked)
                    continue
            elif answer.action != "held" or self._left or not self._keys.hold_back(row, answer.row):
                row.known = answer
            else:
                continue
            self._decided(row)
        if ready:
            self.ahead.put(ready)
        self._begin_while_reading()  # a row that is known has left its place

    def _begin_new(self, row: InFlightRow[R], *, looked: bool) -> None:
        """Go on with a row that the journal was only asked about, and that may be sent."""
        if not looked:
            self._keys.probe(row, digest_of(self.codec.pack(row.ready)))
            return
        row.looked_up = True
        self.unsent.append(row)
        self.ahead.take_out()
        self._begin_while_reading()

    def _begin_while_reading(self) -> None:
        """Begin rows while the source is read, as it may wait for one of them before it goes on."""
        # One place stays free, for the row that is being read.
        while self._reading and self.unsent and self.ahead.room > 1:
            self.ahead.begun += 1
            self.begin(self.unsent.popleft())

    def _mark(self, row: InFlightRow[R], answer: Decision) -> bool:
        """Add its reference to a row. If that fails, the row is not sent."""
        try:
            row.reference = answer.reference
            row.value = self.codec.mark(row.ready, row.reference)
        except Exception as error:
            problem = row.last = problem_of(error)
            self.journal.end(
                None,
                answer.row,
                answer.attempt,
                "not_sent",
                error=type(problem).__name__,
                words=str(problem),
            )
            return False
        row.ready = None
        row.entry, row.attempt = answer.row, answer.attempt
        return True

    def _decided(self, row: InFlightRow[R]) -> None:
        """A row is recorded and will be sent; or it needs no worker."""
        if row.entry is None or self._left:
            self._push._end_alone(row)
            self.ahead.take_out()
        else:
            self.ahead.put((row,))

    def give_up(self, row: InFlightRow[R], error: HelpdeskError | None = None) -> None:
        """End a row unsent, for this reason or because the push was stopped."""
        row.last = error
        self._decided(row)

    # --- a row is begun -------------------------------------------------------------------------

    def begin(self, row: InFlightRow[R]) -> None:
        """Ask whether a row may be sent, without waiting for the answer."""
        codec, value, problem = self.codec, row.value, row.problem
        if row.found is not None and (error := self._screening.unsettled(row)) is not None:
            self.give_up(row, error)
            return
        if isinstance(value, (Held, HeldBack)):
            self._begin_again(row, value)
            return
        try:
            if problem is None:
                if row.ready is None:
                    row.ready = codec.ready(value)
                packed = codec.pack(row.ready)
                key = row.own_key
                if key is not None and type(key) is not str:
                    key = row.own_key = plain_key(key)
                if self._shared:
                    check_shared(key)
                replaces = None
                if isinstance(row.row, Row) and row.row.entry is not None:
                    replaces = entry_of(row.row.entry, self.journal.job)
                ask_only = not row.looked_up and replaces is None and self._screening.search is None
                new = self.journal.submit(
                    row,
                    Identity(key, digest_of(packed), row.line),
                    packed,
                    verdict=row.found,
                    replaces=replaces,
                    probe=key is not None and self._keys.probing,
                    ask_only=ask_only,
                )
                if ask_only and not new:
                    row.looking = True
                    self.ahead.looking += 1
                return
        except JournalError as error:
            self.give_up(row, error)
            return
        except Exception as error:
            problem = problem_of(error)
        self._refuse(row, problem)

    def _begin_again(self, row: InFlightRow[R], value: Held | HeldBack) -> None:
        """Begin a known row: whatever is wrong with it, its record stays unchanged."""
        try:
            if isinstance(value, Held):
                row.ready = self.codec.unpack(value.payload)
            self.journal.submit(row, value.row, verdict=row.found)
        except HelpdeskError as error:
            self.give_up(row, error.with_traceback(None))
        except Exception as error:
            words = f"its data in the journal cannot be read ({type(error).__name__})"
            self.give_up(row, InvalidInputError(words))

    def _refuse(self, row: InFlightRow[R], problem: InvalidInputError) -> None:
        """Record a row that cannot be sent as it is.

        It has no content to identify it. Without a usable key it is identified by its line and its
        problem; without a line, rows with the same problem are counted. That finds it again as long
        as the source is unchanged.
        """
        journal, given, key = self.journal, row.row, row.own_key
        if not isinstance(key, str):
            key = row.own_key = None
        line = row.line
        wrong = problem.message.encode(errors="replace")
        identity = Identity(key, digest_of(wrong), line)
        if not is_name(key) or (self._shared and len(key or "") > LONGEST_KEY // 4):
            identity = Identity(None, digest_of(b"refused\0%d\0" % (line or 0) + wrong), line)
        row.last = problem
        replaces = None
        if isinstance(given, Row) and given.entry is not None:
            with suppress(InvalidInputError):
                replaces = entry_of(given.entry, journal.job)
        try:
            journal.submit(
                row,
                identity,
                rest_of(row) if self._payloads else None,
                refusal=(type(problem).__name__, problem.message[:_WORDS]),
                replaces=replaces,
            )
        except JournalError as error:
            self.give_up(row, error)

    # --- a row ends -----------------------------------------------------------------------------

    def end(self, row: InFlightRow[R], outcome: Outcome) -> None:
        """Record the outcome of a row."""
        assert row.entry is not None
        error: HelpdeskError | None = getattr(outcome, "error", None)
        if error is None:
            self.journal.accept(outcome, row.entry, row.attempt, row.given or outcome.ticket_id)
            return
        self.journal.end(
            outcome,
            row.entry,
            row.attempt,
            outcome.name,
            phase=None if error.phase is None else int(error.phase),
            status=error.status,
            error=type(error).__name__,
            words=self._words_of(error),
        )

    def defer(self, row: InFlightRow[R], error: HelpdeskError) -> None:
        """Record that a row was refused for now, and will be sent :meth:`again`."""
        assert row.entry is not None
        self.journal.end(
            None,
            row.entry,
            row.attempt,
            "not_sent",
            status=error.status,
            error=type(error).__name__,
            words=self._words_of(error),
        )
        row.deferred, row.entry = row.entry, None

    async def again(self, row: InFlightRow[R]) -> bool:
        """Whether a deferred row may be sent again. In a shared journal another run may have sent
        it meanwhile.

        Raises:
            JournalError: the journal failed: the row must not be sent.
        """
        decided = await self.journal.submit_and_wait(row.deferred)
        if decided.action != "send":
            row.known = decided
            return False
        row.entry, row.attempt = decided.row, decided.attempt
        return True

    def doubt(self, entry: int, ticket_id: str, words: str) -> None:
        """Record that an accepted row is in doubt after all; see :meth:`.Session.doubt`."""
        self.journal.call_soon(lambda session: session.doubt(entry, ticket_id, time.time(), words))

    def _words_of(self, error: HelpdeskError) -> str:
        """The service's message. It may quote what it refused, so a journal without payloads keeps
        only our own message."""
        words = error.vendor_message if self._payloads else None
        return (words or error.message)[:_WORDS]

    # --- rows of the journal --------------------------------------------------------------------

    @property
    def has_tickets(self) -> bool:
        """Whether rows of the journal are, or by a lookup may be, in the helpdesk."""
        counts = self.journal.counts
        return bool(counts.accepted or counts.ambiguous or counts.probable)

    async def given(self) -> AsyncIterator[tuple[int, str]]:
        """The last rows that earlier runs brought into the helpdesk, with their ids."""
        before = None
        for _ in range(0, _IDS if self.journal.counts.accepted else 0, _IDS_AT_ONCE):
            found = await self.journal.call(
                lambda session, before=before: session.last_ids(_IDS_AT_ONCE, before)  # type: ignore[misc]
            )
            for row, ticket_id in found:
                yield row, ticket_id
            if len(found) < _IDS_AT_ONCE:
                return
            before = found[-1][0]

    @property
    def has_rest(self) -> bool:
        """Whether :meth:`rest` may yield rows."""
        return self.settings.from_journal or self.journal.has_older_keys

    async def rest(self) -> AsyncIterator[Any]:
        """Rows to send at the end of the source: those that waited for it, and then, if requested,
        those that only the journal has."""
        await self._screening.all_begun.wait()
        await self.journal.call(lambda session: None)  # earlier rows have their answers then
        while self.unsent:
            yield self.unsent.popleft()
        async for row in self._keys.rest():
            yield row
        if self.settings.from_journal and not self._keys.stopped:
            async for held in self._held():
                yield held

    async def _held(self) -> AsyncIterator[Row[Held]]:
        after, again = 0, self._source.again
        while True:
            found = await self.journal.call(
                lambda session, after=after: [  # type: ignore[misc]
                    (view, session.came(view.row))
                    for view in islice(session.pending(again, after=after), _HELD_AT_ONCE)
                ]
            )
            for view, came in found:
                if (
                    view.payload is not None and not came
                ):  # otherwise it has had its turn, or waits for it
                    held = Held(view.row, view.payload, view.reference)
                    yield Row(held, view.key, view.line)
            if len(found) < _HELD_AT_ONCE:
                return
            after = found[-1][0].row

    # --- the end --------------------------------------------------------------------------------

    async def close_books(self) -> None:
        """Finish up after the source was read to its end and all rows have had their turn."""
        same, now = self._source.same, time.time()
        await self.journal.call(lambda session: session.note_corrected(now, same_source=same))

    async def aclose(self) -> None:
        """Write everything pending, and close the journal."""
        if not self._is_open:
            return
        try:
            await self._screening.aclose()
        finally:
            await self.journal.aclose()
