"""The push itself: a fixed set of workers between a source of rows and a stream of outcomes.

The way of one row: read from the source (``rows``) → written down, if there is a journal
(``journaling``) → sent in its turn, once, and again if that is safe and of use (``worker``) →
buffered as an outcome → read by the caller. Every row that is taken gets exactly one outcome,
whatever happens: an error, a cancellation, a bug in here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio

from ..errors import (
    ClientStateError,
    HelpdeskError,
    JournalError,
    NoReplyError,
    NotSentError,
    PushStoppedError,
)
from ..journal.records import Decision
from ..outcome import AnyOutcome, NotSent, Unknown
from ..reconcile.lookup import LookupMethods
from ..runtime import running_loop
from ..transport.failures import interrupted_by
from ..transport.retry import RetryPolicy
from .answers import MISMATCHED, AnswerRule, Answers
from .counts import Failures, PushCounts, PushReport
from .events import (
    PushEvent,
    PushFinished,
    PushStarted,
    PushStopped,
    RowFinished,
    RowKnown,
)
from .journaling import JournalBridge
from .keys import refusal_of
from .row_codec import RowCodec, SourceFile
from .rows import NOTHING, Feed, InFlightRow, Row, RowReader, Source
from .settings import PushSettings
from .stop_rules import Stop, StopRules, count_of_rows
from .throttle import Throttle
from .wait_queue import Pauser, pause_on_clock
from .worker import Worker

R = TypeVar("R")

logger = logging.getLogger("kapture_async.push")

MAX_CONCURRENCY = 100
"""As many as a client has connections by default. The throttle finds out how many are of use."""


class Push(Generic[R]):
    """A push: an async context manager, and inside it an iterator over outcomes.

    ::

        async with client.tickets.push(rows) as outcomes:
            async for outcome in outcomes:
                print(outcome.key, outcome.name, outcome.ticket_id, outcome.reason)

    Or in one call: ``await client.tickets.push(rows).all()`` gives all outcomes, and ``.run()``
    only counts them.

    Outcomes come as they finish, not in the order of the rows; each carries its row's index,
    key and the row itself. A consumer that is slow slows the push down, so memory stays flat.

    Leaving the ``async with`` early, by ``break`` or by an error, takes no further rows and
    waits for those in flight; what finished but was not read is given by :meth:`unread`.
    A cancellation (Ctrl-C) does the same; a second one cuts off what is in flight, and each
    such row is reported ``Unknown`` or ``NotSent``, as is true of it. Leaving it normally without
    having asked for a single outcome pushes all rows, as :meth:`run` does; :meth:`unread` then
    gives the failures.

    Made by ``tickets.push``; see there for the settings.
    """

    def __init__(
        self,
        source: Source[Any],
        send: Callable[[Any], Awaitable[R]],
        settings: PushSettings | None = None,
        *,
        service: str,
        operation: str,
        retry: RetryPolicy,
        max_concurrency: int = MAX_CONCURRENCY,
        codec: RowCodec[Any] | None = None,
        methods: LookupMethods | None = None,
        rule: AnswerRule | None = None,
        drop_connections: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
        pause: Pauser = pause_on_clock,
        rand: Callable[[], float] = random.random,
    ) -> None:
        settings = settings or PushSettings()
        max_concurrency = settings.max_concurrency or max_concurrency
        self._us: dict[str, Any] = {"service": service, "operation": operation}
        self._settings = settings
        self._on_event = settings.on_event
        self._now = now
        self._drop_connections = drop_connections
        outcomes = ("accepted", "rejected", "not_sent", "unknown", "earlier")
        self._tally: dict[str, int] = dict.fromkeys(outcomes, 0)
        self._unread: deque[AnyOutcome[R]] = deque()
        self._most_unread = 2 * max_concurrency
        self._wake = asyncio.Event()
        self._consumer_sleeps = False
        self._room = asyncio.Event()
        self._workers_wait = False
        self._stop_reason: str | None = None
        self._failure: BaseException | None = None
        self._runner: asyncio.Task[None] | None = None
        self._reported = False
        self._asked_for = False
        """Somebody reads the outcomes."""
        self._left = False
        self._throttle = Throttle(
            max_concurrency=max_concurrency,
            max_rate=settings.max_rate,
            single=True,
            now=now,
            pause=pause,
            rand=rand,
        )
        self._stop_rules = StopRules(
            operation, keep_going=settings.keep_going, give_up_after=settings.give_up_after
        )
        self._answers = None if rule is None else Answers(self, rule, most=max_concurrency)
        self._reader: RowReader[R] = RowReader(self, source, settings.key)
        self._bridge: JournalBridge[R] | None = None
        if settings.journal is not None and codec is not None:
            self._bridge = JournalBridge(self, settings.journal, codec, methods)
        self._feed: Feed[R] = self._reader if self._bridge is None else self._bridge.ahead
        self._worker: Worker[R] = Worker(
            self,
            send,
            retry=retry,
            patience=settings.patience,
            most=max_concurrency,
            pause=pause,
            rand=rand,
        )

    def _describe_source(self, source: SourceFile) -> None:
        """Have the journal record which file the rows come from; before the push is entered."""
        assert self._bridge is not None
        self._bridge.describe_source(source)

    # --- for the caller ------------------------------------------------------------------------

    @property
    def counts(self) -> PushCounts:
        """How many rows so far, by outcome."""
        return PushCounts(rows=self._reader.taken, **self._tally)

    @property
    def stop_reason(self) -> str | None:
        """Why no more rows are taken, if the push was stopped before its source ended."""
        return self._stop_reason

    def __repr__(self) -> str:
        counts = self.counts
        ended = (f"{number:,} {name}" for name, number in self._tally.items() if number)
        if self._runner is None:
            state = "not begun"
        elif not self._runner.done():
            state = f"{counts.in_flight:,} in flight"
        else:
            state = "ended" if self._stop_reason is None else "stopped early"
        parts = [count_of_rows(counts.rows), *ended, state]
        return f"<Push of {self._us['operation']}: {', '.join(parts)}>"

    async def all(self) -> list[AnyOutcome[R]]:
        """Push all rows, and give their outcomes, in the order they ended.

        All are in memory then; for very many rows, iterate or :meth:`run`. Inside ``async with``
        it gives those that were not read yet.

        Raises:
            PushStoppedError: the push stopped early; its ``outcomes`` are those of the rows that
                were taken.
            JournalError: the journal cannot be used. Nothing was sent.
            Exception: what the source raised. :meth:`unread` of this push gives the outcomes.
        """
        outcomes: list[AnyOutcome[R]] = []
        await self._consume(outcomes, outcomes.extend)
        return outcomes

    async def run(self) -> PushReport:
        """Push all rows, and count the outcomes. Memory stays flat.

        Returns:
            The counts, with the rows that were not accepted.

        Raises:
            PushStoppedError: the push stopped early; :attr:`counts` has the counts, and the
                ``outcomes`` of the error are those of rows that were not accepted.
            JournalError: the journal cannot be used. Nothing was sent.
            Exception: what the source raised. :meth:`unread` of this push gives the failures.
        """
        failures, began = Failures(), self._now()
        await self._consume(failures, failures.add)
        return failures.report(self.counts, self._now() - began)

    async def _consume(
        self,
        kept: Sequence[AnyOutcome[R]],
        keep: Callable[[list[AnyOutcome[R]]], object],
    ) -> None:
        """Push to the end; if that fails, what was kept is unread again."""
        self.check_not_left()
        try:
            if self._runner is None:
                async with self:
                    await self._read_all(keep)
            else:
                await self._read_all(keep)
        except BaseException as error:
            self._unread.extendleft(reversed(kept))
            if isinstance(error, PushStoppedError):
                error.outcomes = tuple(self._unread)
            raise

    async def _read_all(self, keep: Callable[[list[AnyOutcome[R]]], object]) -> None:
        while batch := await self.next_batch():
            keep(batch)

    def stop(self, reason: str = "stopped by the caller") -> None:
        """Take no further rows. What is in flight finishes, and its outcomes still come."""
        if self._throttle.stopped.is_set():
            return
        self._throttle.stopped.set()
        if not self._reader.exhausted:
            self._stop_reason = reason
            self._tell(PushStopped(reason))
        self._room.set()
        self._reader.stop()
        if self._bridge is not None:
            self._bridge.stop()

    def unread(self) -> list[AnyOutcome[R]]:
        """Outcomes that finished and were not read from the iterator; each is given once, and makes
        room for another."""
        left = list(self._unread)
        self._unread.clear()
        self._room.set()
        return left

    async def __aenter__(self) -> Push[R]:
        running_loop()
        if self._runner is not None:
            raise ClientStateError("a push runs once", next_step=_ANOTHER)
        bridge = self._bridge
        if bridge is not None:
            await bridge.open()
            if self._answers is not None and self._answers.gives_ids:
                async for row, ticket_id in bridge.given():
                    self._answers.know(ticket_id, row)
            if bridge.has_rest:
                self._reader.then(bridge.rest())
        self._runner = asyncio.create_task(self._run(), name="push")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None and not self._asked_for and not self._throttle.stopped.is_set():
                failures = Failures()
                await self._consume(failures, failures.add)
                self._unread.extend(failures)
        except BaseException as error:
            await self.leave(error)
            raise
        await self.leave(exc)

    async def leave(self, exc: BaseException | None) -> None:
        """Wait for the end; before the source has ended, of what is in flight.

        Args:
            exc: what the caller raised, if anything.
        """
        self._left = True
        runner = self._runner
        assert runner is not None
        if not runner.done():
            name = None if exc is None else _name_of(exc)
            left = f"the caller raised {name}" if name else "the caller left the push early"
            self.stop(left)
        # Shielded, so that a cancelled scope around us does not cut off what is in flight; a
        # further cancellation of this very task does. In either case we wait for the runner:
        # otherwise its outcomes would be lost, and its journal would stay locked.
        cut_off: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not runner.done():
                try:
                    await asyncio.wait({runner})
                except asyncio.CancelledError as error:
                    cut_off = error
                    runner.cancel()
        if cut_off is not None:
            raise cut_off
        if exc is None:
            self._raise_failure()  # what the iteration would have raised at its end

    def __aiter__(self) -> Push[R]:
        return self

    async def __anext__(self) -> AnyOutcome[R]:
        self._asked_for = True
        while not self._unread:
            if await self.wait_for_change():
                raise StopAsyncIteration
        outcome = self._unread.popleft()
        if self._workers_wait:
            self._workers_wait = False
            self._room.set()
        return outcome

    async def next_batch(self) -> list[AnyOutcome[R]]:
        """All outcomes that are ready, at least one; an empty list at the end.

        Raises:
            PushStoppedError: the push stopped early; every row taken has had its outcome before.
            Exception: what the source raised, likewise at the end.
        """
        self._asked_for = True
        while not self._unread:
            if await self.wait_for_change():
                return []
        return self.unread()

    def check_not_left(self) -> None:
        """Check that this may still be read.

        Raises:
            ClientStateError: it was left, so it has nothing more to give but :meth:`unread`.
        """
        if self._left:
            raise ClientStateError("this push has ended", next_step=_ANOTHER)

    def report_unsent(self, rows: Iterable[Any]) -> None:
        """Report rows that were read from the source, and never taken by the push, as not sent."""
        words = "the push was stopped before it was taken"
        error = NotSentError(words, effect="write", **self._us)
        for row in rows:
            key = row.key if isinstance(row, Row) else None
            index = self._reader.taken
            self._reader.taken += 1
            self._finish(NotSent(index=index, key=key, row=row, attempts=0, error=error))

    def wake(self) -> None:
        """Let :meth:`wait_for_change` return."""
        self._wake.set()

    async def wait_for_change(self) -> bool:
        """Wait until something may have changed. True at the end of the push.

        Raises:
            PushStoppedError: the push stopped early; every row taken has had its outcome before.
            Exception: what the source raised, likewise at the end.
        """
        if self._runner is None:
            raise ClientStateError(
                "the push is not running", next_step="Use it as `async with ... as outcomes`."
            )
        if self._runner.done():
            self._raise_failure()
            return True
        self._consumer_sleeps = True
        self._wake.clear()
        await self._wake.wait()
        return False

    def _raise_failure(self) -> None:
        """Raise what ended the push before its source did; each is raised once."""
        runner, failure = self._runner, self._failure
        if failure is None and runner is not None and not self._reported:
            if runner.cancelled():
                words = "the push was cut off"
                failure = PushStoppedError(words, **self._us)
            else:
                failure = runner.exception()
        self._failure, self._reported = None, True
        if isinstance(failure, PushStoppedError) and failure.message == MISMATCHED:
            failure = self._count_doubts(failure)
        if failure is not None:
            raise failure

    # --- the workers ---------------------------------------------------------------------------

    async def _run(self) -> None:
        pace: asyncio.Task[None] | None = None
        if self._bridge is not None and self._bridge.journal.shared:
            shared = self._throttle.share(self._bridge.journal.change_pace)
            pace = asyncio.create_task(shared.run(), name="push-pace")
        began = self._now()
        if self._on_event is not None:
            self._tell(PushStarted(**self._us))
        try:
            others = () if self._bridge is None else (self._bridge.run,)
            await self._worker.run(*others)
        finally:
            try:
                if pace is not None:
                    pace.cancel()
                await self._reader.aclose()
                await self._close_books()
            finally:
                await self._close_journal()
                self._log_end(self._now() - began)
                if self._on_event is not None:
                    seconds, stopped = self._now() - began, self._stop_reason
                    self._tell(
                        PushFinished(
                            **self._us, counts=self.counts, seconds=seconds, stop_reason=stopped
                        )
                    )
                # Readers look at the runner only after this turn of the loop, when it is done.
                asyncio.get_running_loop().call_soon(self._wake.set)

    async def _wait_for_consumer(self) -> None:
        """Wait for a consumer that is slow."""
        while len(self._unread) >= self._most_unread and not self._throttle.stopped.is_set():
            self._room.clear()
            self._workers_wait = True
            await self._room.wait()

    def _is_cut_off(self) -> bool:
        """Whether the push itself is being cancelled, and not something inside it."""
        return self._runner is not None and self._runner.cancelling() > 0

    def _interrupted(self, row: InFlightRow[R], error: BaseException) -> bool:
        """Set the outcome of a row that an exception interrupted.

        Returns:
            Whether the push itself is being cut off.
        """
        if row.has_turn:
            self._throttle.release_unused()
        row.release_slot()
        row.last = interrupted_by(error) or row.last or self._interruption(error, row.tries)
        if self._is_cut_off():
            return True
        error.add_note(f"while pushing row {row.index}")
        self._fail(_not_a_cancellation(error), f"row {row.index} raised {_name_of(error)}")
        return False

    def _end(self, row: InFlightRow[R]) -> None:
        """Give a row its outcome; with a journal once that is written down."""
        if row.known is not None:
            self._skip(row, row.known)
            return
        if row.result is NOTHING:
            if row.last is None:
                words = "the push was stopped before it was sent"
                row.last = NotSentError(words, effect="write", **self._us)
            if isinstance(row.last, JournalError):
                self._fail(row.last, "the journal failed")
        outcome = row.outcome(self._now)
        if isinstance(outcome, Unknown):
            self._log_doubt(outcome, row.reference)
        if row.entry is not None and self._bridge is not None:
            self._bridge.end(row, outcome)
        else:
            self._finish(outcome)

    def _skip(self, row: InFlightRow[R], known: Decision) -> None:
        """Leave out, or refuse, a row that is already in the journal."""
        error = refusal_of(row, known, effect="write", **self._us)
        if error is not None:
            row.known, row.last = None, error
            self._finish(row.outcome(self._now))
            return
        self._tally["earlier"] += 1
        self._wake.set()
        if self._on_event is not None:
            repeated = known.action == "repeated"
            self._tell(RowKnown(row.key, "repeated" if repeated else known.state.value))

    def _written(self, outcomes: Sequence[AnyOutcome[R]], problem: JournalError | None) -> None:
        if problem is not None:
            self._fail(problem, "the journal failed")
        for outcome in outcomes:
            try:
                self._finish(outcome)
            except Exception as error:  # the other rows still get their outcomes
                self._fail(error, f"row {outcome.index} raised {_name_of(error)}")

    def _end_alone(self, row: InFlightRow[R]) -> None:
        """:meth:`_end` for one of many."""
        try:
            self._end(row)
        except Exception as error:
            self._fail(error, f"row {row.index} raised {_name_of(error)}")

    async def _close_books(self) -> None:
        """If the source was read to its end, have the journal settle rows of earlier runs."""
        if self._bridge is None or not self._reader.exhausted or self._throttle.stopped.is_set():
            return
        with contextlib.suppress(JournalError):  # which the next run sees to
            await self._bridge.close_books()

    async def _close_journal(self) -> None:
        """Close the journal, also while the push is being cut off, however often: the caller must
        get the last outcomes, and whoever resumes must not find the journal locked."""
        if self._bridge is None:
            return
        self._bridge.leave()
        cut_off: asyncio.CancelledError | None = None
        while True:
            try:
                await self._bridge.aclose()
                break
            except asyncio.CancelledError as error:  # ends the waiting, not the closing
                cut_off = error
        if cut_off is not None:
            raise cut_off

    def _interruption(self, error: BaseException, tries: int) -> HelpdeskError:
        words = f"interrupted by {_name_of(error)}"
        if tries == 0:
            return NotSentError(f"{words} before it was sent", effect="write", **self._us)
        return NoReplyError(f"{words} while it was being sent", effect="write", **self._us)

    def _finish(self, outcome: AnyOutcome[R]) -> None:
        self._tally[outcome.name] += 1
        self._unread.append(outcome)
        if self._consumer_sleeps:
            self._consumer_sleeps = False
            self._wake.set()
        if outcome.name == "accepted":
            self._stop_rules.failed_in_row = 0
        else:
            any_accepted = bool(self._tally["accepted"])
            stop = self._stop_rules.after_row(outcome, any_accepted=any_accepted)
            if stop is not None and self._stop_reason is None:
                self._stop_with(stop)
        if self._on_event is not None:
            self._tell(RowFinished(outcome))

    def _stop_with(self, stop: Stop) -> None:
        error = PushStoppedError(
            f"the push stopped after {count_of_rows(self._reader.taken)}: {stop.reason}",
            retry_after=stop.retry_after,
            next_step=self._next_step_after(stop),
            **self._us,
        )
        error.__cause__ = stop.cause
        error.wrong_address, error.temporary = stop.wrong_address, stop.temporary
        self._fail(error, stop.reason)

    def _next_step_after(self, stop: Stop) -> str | None:
        """What is safe next. A journal of the wrong address is of no use for the right one."""
        if not stop.wrong_address or self._bridge is None or self._bridge.has_tickets:
            return stop.next_step
        return f"{stop.next_step} {_OTHER_JOURNAL}"

    def _count_doubts(self, stopped: PushStoppedError) -> PushStoppedError:
        """Why the push was stopped, now that all that was in flight has its outcome."""
        doubts = self._tally["unknown"] + (self._answers.doubted if self._answers else 0)
        look = "look these rows up in the helpdesk before you push again"
        if self._bridge is not None:
            look = "`reconcile` the journal, then run the same push again"
        return PushStoppedError(
            f"the push stopped after {count_of_rows(self._reader.taken)}: {stopped.message}; "
            f"{doubts:,} rows are in doubt",
            next_step=f"Check the service and any proxy before it; {look}.",
            **self._us,
        )

    def _fail(self, error: BaseException, reason: str) -> None:
        if self._failure is None:
            self._failure = error
        self.stop(reason)

    def _log_doubt(self, outcome: Unknown, reference: str) -> None:
        error = outcome.error
        logger.info(
            "%s: row %d is in doubt: %s",
            self._us["operation"],
            outcome.index,
            error.message,
            extra={
                **self._us,
                "reference": reference or None,
                "status": error.status,
                "attempt": outcome.attempts,
                "duration": outcome.elapsed,
            },
        )

    def _log_end(self, seconds: float) -> None:
        counts = self.counts
        logger.info(
            "%s: the push ended: accepted %d, rejected %d, not sent %d, unknown %d, earlier %d",
            self._us["operation"],
            counts.accepted,
            counts.rejected,
            counts.not_sent,
            counts.unknown,
            counts.earlier,
            extra={**self._us, "duration": seconds},
        )

    def _tell(self, event: PushEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            logger.exception("an observer failed; the push continues")


_ANOTHER = "Call push() again for another run."
_OTHER_JOURNAL = (
    "A journal is for one address: with another base URL use another journal (--journal on the "
    "command line), or delete this one: none of its rows is known to be in the helpdesk. Look up "
    "its unconfirmed rows there first."
)


def _name_of(error: BaseException) -> str:
    return type(error).__name__


def _not_a_cancellation(error: BaseException) -> BaseException:
    """A stray cancellation inside a call must not look like one of the caller's own task."""
    if isinstance(error, asyncio.CancelledError):
        return RuntimeError("a call of the push was cancelled from inside")
    return error
