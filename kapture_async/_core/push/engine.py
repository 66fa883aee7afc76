"""The push itself: a fixed set of workers between a source of rows and a stream of outcomes.

Walk of one row: taken from the source → passes the gate → is sent, once → if that is safe and
of use, sent again → its outcome stands in the buffer → is read by the caller. Every row that
is taken gets exactly one outcome, whatever happens: error, cancellation, a bug in here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from ..errors import (
    ClientStateError,
    ConnectError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    PushStoppedError,
    RateLimitedError,
)
from ..outcome import Accepted, AnyOutcome, NotSent
from ..phase import Phase
from ..transport.endings import interrupted_by
from ..transport.retry import Ending, RetryPolicy, Wait, decide
from .events import PushEvent, PushObserver, PushPaused, PushStopped, RowFinished, RowKnown
from .journal.facts import Taken
from .line import Pauser, pause_on_clock
from .live import Live, is_hopeless, sign_of
from .pace import Pace
from .recorder import Recorder
from .rows import Row, Rows, Source

R = TypeVar("R")

logger = logging.getLogger("kapture_async.push")

MAX_CONCURRENCY = 100
"""As many as a client has connections by default. How many are used, the pace finds out."""
_DRAWN_AHEAD = 8
"""Rows that are drawn from the source and not yet sent; so a fresh one is there when it is due."""


@frozen
class PushCounts:
    """How many rows were taken from the source, and what became of them so far.

    ``earlier`` counts those that a journal knew from earlier runs and that were passed over.
    """

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0
    earlier: int = 0

    @property
    def in_flight(self) -> int:
        """Rows that were taken and have no outcome yet."""
        ended = self.accepted + self.rejected + self.not_sent + self.unknown + self.earlier
        return self.rows - ended


class Push(Generic[R]):
    """A running push: an async context manager, and inside it an iterator over outcomes.

    ::

        async with client.tickets.push(rows) as outcomes:
            async for outcome in outcomes:
                print(outcome.key, outcome.name, outcome.ticket_id, outcome.reason)

    Outcomes come as they finish, not in the order of the rows; each carries its row's index,
    key and the row itself. A consumer that is slow slows the push down, so memory stays flat.

    Leaving the ``async with`` early, by ``break`` or by an error, takes no further rows and
    waits for those in flight; what finished but was not read is given by :meth:`unread`.
    A cancellation (Ctrl-C) does the same; a second one cuts off what is in flight, and each
    such row is reported ``Unknown`` or ``NotSent``, as is true of it.

    Made by ``tickets.push``; see there for the settings.
    """

    def __init__(
        self,
        source: Source[Any],
        send: Callable[[Any], Awaitable[R]],
        *,
        service: str,
        operation: str,
        retry: RetryPolicy,
        key: Callable[[Any], str] | None = None,
        max_concurrency: int = MAX_CONCURRENCY,
        max_rate: float | None = None,
        patience: float = 300.0,
        give_up_after: int | None = 100,
        on_event: PushObserver | None = None,
        recorder: Recorder | None = None,
        held: bool = False,
        now: Callable[[], float] = time.monotonic,
        pause: Pauser = pause_on_clock,
        rand: Callable[[], float] = random.random,
    ) -> None:
        if type(max_concurrency) is not int or not 1 <= max_concurrency <= 10_000:
            raise InvalidInputError("max_concurrency must be a whole number from 1 to 10,000")
        if max_rate is not None and not 0 < max_rate < math.inf:
            raise InvalidInputError("max_rate must be more than 0 requests per second")
        if give_up_after is not None and give_up_after < 1:
            raise InvalidInputError("give_up_after must be 1 or more, or None for never")
        if patience < 0:
            raise InvalidInputError("patience must be 0 seconds or more")
        self._rows = Rows(source)
        self._send = send
        self._service = service
        self._operation = operation
        self._retry = retry
        self._key = key
        self._workers = max_concurrency
        self._patience = patience
        self._give_up_after = give_up_after
        self._on_event = on_event
        self._now = now
        self._rand = rand
        self._pause = pause
        self._pace = Pace(
            max_concurrency=max_concurrency, max_rate=max_rate, now=now, pause=pause, rand=rand
        )
        self._recorder = recorder
        self._held = held
        self._hired = 0
        self._group: TaskGroup
        self._drawing = asyncio.Semaphore(_DRAWN_AHEAD)
        self._taken = 0
        names = ("accepted", "rejected", "not_sent", "unknown", "earlier")
        self._tally: dict[str, int] = dict.fromkeys(names, 0)
        self._hopeless = 0
        self._worked = False
        self._buffer: deque[AnyOutcome[R]] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._stop_reason: str | None = None
        self._exhausted = False
        self._failure: BaseException | None = None
        self._runner: asyncio.Task[None] | None = None
        self._reported = False
        self._takers: set[asyncio.Task[Any]] = set()

    # --- for the caller ------------------------------------------------------------------------

    @property
    def counts(self) -> PushCounts:
        """How many rows so far, and what became of them."""
        return PushCounts(rows=self._taken, **self._tally)

    @property
    def stop_reason(self) -> str | None:
        """Why no more rows are taken, if the push was stopped before its source ended."""
        return self._stop_reason

    def stop(self, reason: str = "stopped by the caller") -> None:
        """Take no further rows. What is in flight finishes, and its outcomes still come."""
        if self._pace.stopped.is_set():
            return
        self._pace.stopped.set()
        if not self._exhausted:
            self._stop_reason = reason
            self._tell(PushStopped(reason))
        self._room.set()
        for worker in self._takers:  # an async source may never give another row
            worker.cancel()

    def unread(self) -> list[AnyOutcome[R]]:
        """Outcomes that finished and were not read from the iterator; each is given once."""
        left = []
        while self._buffer:
            left.append(self._buffer.popleft())
        self._room.set()
        return left

    async def __aenter__(self) -> Push[R]:
        if self._runner is not None:
            raise ClientStateError(
                "a push runs once", next_step="Call push() again for another run."
            )
        if self._recorder is not None:
            await self._recorder.open()
            if self._held:
                self._rows.then(self._recorder.held())
        self._runner = asyncio.create_task(self._run(), name="push")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner = self._runner
        assert runner is not None
        if not runner.done():
            left = "the consumer left" if exc is None else f"the consumer met {_name_of(exc)}"
            self.stop(left)
        # Shielded, so that a cancelled scope around us does not cut the waiting short; a further
        # cancellation of this very task still does.
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.wait({runner})
            except asyncio.CancelledError:
                runner.cancel()
                await asyncio.wait({runner})
                raise
        if exc_type is None:
            self._raise_failure()  # what the iteration would have raised at its end

    def __aiter__(self) -> Push[R]:
        return self

    async def __anext__(self) -> AnyOutcome[R]:
        while not self._buffer:
            if await self.wait_for_change():
                raise StopAsyncIteration
        outcome = self._buffer.popleft()
        self._room.set()
        return outcome

    async def next_batch(self) -> list[AnyOutcome[R]]:
        """All outcomes that are ready, at least one; an empty list at the end.

        Raises:
            PushStoppedError: the push gave up; every row taken has had its outcome before.
            Exception: what the source raised, likewise at the end.
        """
        while not self._buffer:
            if await self.wait_for_change():
                return []
        return self.take_ready()

    def report_unsent(self, rows: Iterable[Any]) -> None:
        """Give rows that were drawn from a source, and never taken from it, their outcome."""
        error = NotSentError("the push was stopped before it was taken", **self._us)
        for row in rows:
            index = self._taken
            self._taken += 1
            key = row.key if isinstance(row, Row) else None
            self._finish(NotSent(index=index, key=key, row=row, attempts=0, error=error))

    def wake(self) -> None:
        """Let :meth:`wait_for_change` return."""
        self._wake.set()

    def take_ready(self) -> list[AnyOutcome[R]]:
        """The outcomes that are ready, possibly none; makes room for further ones."""
        self._room.set()
        return self.unread()

    async def wait_for_change(self) -> bool:
        """Wait until something may have changed. True at the end of the push.

        Raises:
            PushStoppedError: the push gave up; every row taken has had its outcome before.
            Exception: what the source raised, likewise at the end.
        """
        if self._runner is None:
            raise ClientStateError(
                "the push is not running", next_step="Use it as `async with ... as outcomes`."
            )
        if self._runner.done():
            self._raise_failure()
            return True
        self._wake.clear()
        await self._wake.wait()
        return False

    def _raise_failure(self) -> None:
        """Raise what ended the push before its source did; each is raised once."""
        runner, failure = self._runner, self._failure
        if failure is None and runner is not None and not self._reported:
            if runner.cancelled():
                words = "the push was cut off"
                failure = PushStoppedError(words, service=self._service, operation=self._operation)
            else:
                failure = runner.exception()
        self._failure, self._reported = None, True
        if failure is not None:
            raise failure

    # --- the workers ---------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self._hire()
        finally:
            try:
                await self._rows.aclose()
            finally:
                await self._close_journal()
                # Readers look at the runner only after this turn of the loop, when it is done.
                asyncio.get_running_loop().call_soon(self._wake.set)

    def _hire(self) -> None:
        """As many workers as may send at a time: others would only wait in line.

        With a journal twice as many, since half of them wait for the disk.
        """
        wanted = min(self._pace.room, self._workers)
        while self._hired < (wanted if self._recorder is None else 2 * wanted):
            self._hired += 1
            self._group.start_soon(self._work)

    def _is_over(self) -> bool:
        return self._stop_reason is not None or self._exhausted

    async def _work(self) -> None:
        while not self._is_over():
            if len(self._buffer) >= 2 * self._workers:
                self._room.clear()
                await self._room.wait()
                continue
            # Held until the row has its turn to be sent, so that few are drawn ahead of that.
            await self._drawing.acquire()
            if self._is_over():  # while we waited
                self._drawing.release()
                return
            try:
                row = await self._take()
            except BaseException as error:
                self._drawing.release()
                if isinstance(error, StopAsyncIteration):
                    self._exhausted = True
                elif isinstance(error, Exception) and not isinstance(error, _Stopped):
                    error.add_note(
                        f"raised by the source of the push after {self._taken} rows; every row "
                        "taken before has its outcome"
                    )
                    self._fail(error, f"the source failed with {type(error).__name__}")
                elif not isinstance(error, Exception):
                    raise
                return
            index = self._taken
            self._taken += 1
            await self._settle(index, row)

    async def _take(self) -> Any:
        worker = asyncio.current_task()
        assert worker is not None
        self._takers.add(worker)
        try:
            return await self._rows.take()
        except asyncio.CancelledError:
            if self._cut_off:
                raise
            if not self._pace.stopped.is_set():
                raise RuntimeError("the source of the push was cancelled") from None
            worker.uncancel()
            raise _Stopped from None
        finally:
            self._takers.discard(worker)

    @property
    def _cut_off(self) -> bool:
        """Whether the push itself is being cancelled, and not something inside it."""
        return self._runner is not None and self._runner.cancelling() > 0

    async def _settle(self, index: int, row: Any) -> None:
        """Bring one row to its outcome. Nothing leaves here without one."""
        live: Live[R] = Live(row, self._now())
        interruption: BaseException | None = None
        try:
            if live.key is None and self._key is not None:
                live.key = live.own_key = self._key_of(live.value)
            await self._send_row(live)
        except HelpdeskError as error:
            live.last = error.with_traceback(None)
            if isinstance(error, JournalError):
                self._fail(error, "the journal failed")
        except BaseException as error:
            interruption = error
            live.last = interrupted_by(error) or live.last or self._story_of(error, live.tries)
            if not self._cut_off:
                error.add_note(f"while pushing row {index}")
                self._fail(_not_a_cancellation(error), f"row {index} met {_name_of(error)}")
        if live.drawing:
            self._drawing.release()
        if live.has_turn:
            self._pace.unused()
        if live.known is not None:
            self._pass_over(index, live, live.known)
        else:
            outcome = live.outcome(index, self._now())
            if live.entry is not None and self._recorder is not None:
                self._recorder.end(live.entry, outcome, partial(self._written, outcome))
            else:
                self._finish(outcome)
        if interruption is not None and self._cut_off:
            raise interruption

    async def _send_row(self, live: Live[R]) -> None:
        recorder, pace = self._recorder, self._pace
        if live.problem is not None:
            if recorder is not None:
                await recorder.refuse(live.own_key, live.row, live.problem)
            raise live.problem
        if recorder is not None and await pace.clear():
            # Before its turn, so that nobody's turn is spent on waiting for the disk.
            live.drawing = False
            self._drawing.release()
            begun = await recorder.begin(live.own_key, live.row, live.value)
            if isinstance(begun, Taken):
                live.known = begun
                return
            live.entry, live.value = begun, begun.value
        live.has_turn = await pace.enter()
        if live.drawing:
            live.drawing = False
            self._drawing.release()
        while live.has_turn:
            live.tries += 1
            live.last = None
            began = self._now()
            try:
                live.result.append(await self._send(live.value))
            except HelpdeskError as error:
                live.last = error.with_traceback(None)  # its frames would keep the row alive
            wait = self._leave(live, began)
            if live.last is None or not await self._worth_again(live.last, live, wait):
                return
            if recorder is not None and live.entry is not None:
                recorder.put_off(live.entry, live.last)
                entry, live.entry = live.entry, None
                live.has_turn = await pace.enter(again=True)
                if live.has_turn:
                    live.entry = await recorder.again(entry)
            else:
                live.has_turn = await pace.enter(again=True)
        # Stopped while it waited. If it was tried before, that error stands.
        live.last = live.last or NotSentError("the push was stopped before it was sent", **self._us)

    def _leave(self, live: Live[R], began: float) -> float:
        """Give the turn back; returns the seconds all wait because of how the try ended."""
        live.has_turn = False
        error = live.last
        sign = "ok" if error is None else sign_of(error)
        if sign is None:
            self._pace.unused()
            return 0.0
        retry_after = error.retry_after if error is not None else None
        wait = self._pace.leave(sign, self._now() - began, retry_after)
        if self._hired < self._pace.room:
            self._hire()
        if wait:
            reason = "the service asks to slow down" if sign == "slow_down" else "it is down"
            self._tell(PushPaused(wait, reason))
        return wait

    async def _worth_again(self, error: HelpdeskError, live: Live[R], wait: float) -> bool:
        """Whether to send the row again."""
        passed = self._now() - live.started
        told = isinstance(error, RateLimitedError)  # then each row has its own patience
        if wait and not told and self._pace.state.shut_for > self._patience:
            self._stop_with(f"the service has not worked for {self._patience:g} s")
            return False
        if isinstance(error, RateLimitedError):
            asked = error.retry_after
            if asked is not None and asked > self._patience:
                # Nobody's row will fare better, and asking on would only anger the service.
                self._stop_with(
                    f"the service asks to wait {asked:g} s, which is more than the patience of "
                    f"{self._patience:g} s",
                    retry_after=asked,
                )
                return False
            return passed + wait <= self._patience
        if isinstance(error, OutcomeUnknownError) or not error.attempts:
            return False
        if isinstance(error, ConnectError) and self._worked:
            # It worked a moment ago: a restart, most likely. All wait, as for "slow down".
            if passed + wait <= self._patience:
                return True
            self._stop_with(f"the service could not be reached for {self._patience:g} s")
            return False
        decision = decide(
            self._retry,
            "write",
            Ending(phase=error.phase or Phase.WAITING, status=error.status),
            attempt=live.tries,
            time_left=self._patience - passed,
            rand=self._rand(),
        )
        if isinstance(decision, Wait):
            await self._pause(self._pace.stopped, decision.seconds)
            return True
        return False

    def _pass_over(self, index: int, live: Live[R], known: Taken) -> None:
        """A row that the journal knows, and that is not to be sent now."""
        if known.action in _OUT_OF_ORDER:
            live.last = InvalidInputError(_OUT_OF_ORDER[known.action], **self._us)
            self._finish(live.outcome(index, self._now()))
            return
        self._tally["earlier"] += 1
        self._wake.set()
        self._tell(RowKnown(live.key, known.state.value))

    def _written(self, outcome: AnyOutcome[R], problem: JournalError | None) -> None:
        if problem is not None:
            self._fail(problem, "the journal failed")
        self._finish(outcome)

    async def _close_journal(self) -> None:
        if self._recorder is not None:
            await self._recorder.aclose()

    def _key_of(self, value: Any) -> str:
        assert self._key is not None
        try:
            return str(self._key(value))
        except Exception as error:
            raise InvalidInputError(f"key= failed on it with {_name_of(error)}") from None

    @property
    def _us(self) -> dict[str, Any]:
        return {"service": self._service, "operation": self._operation, "effect": "write"}

    def _story_of(self, error: BaseException, tries: int) -> HelpdeskError:
        words = f"interrupted by {_name_of(error)}"
        if tries == 0:
            return NotSentError(f"{words} before it was sent", **self._us)
        return NoReplyError(f"{words} while it was being sent", **self._us)

    def _finish(self, outcome: AnyOutcome[R]) -> None:
        self._tally[outcome.name] += 1
        self._buffer.append(outcome)
        self._wake.set()
        self._worked = self._worked or isinstance(outcome, Accepted)
        if is_hopeless(outcome):
            self._hopeless += 1
            if self._hopeless == self._give_up_after and self._stop_reason is None:
                self._give_up(outcome)
        else:
            self._hopeless = 0
        self._tell(RowFinished(outcome))

    def _give_up(self, outcome: AnyOutcome[R]) -> None:
        cause: HelpdeskError = getattr(outcome, "error")  # noqa: B009 - only failures get here
        self._stop_with(f"{self._hopeless} rows in a row failed, the last with: {cause.message}")

    def _stop_with(self, reason: str, *, retry_after: float | None = None) -> None:
        error = PushStoppedError(
            f"the push gave up after {self._taken:,} rows: {reason}",
            service=self._service,
            operation=self._operation,
            retry_after=retry_after,
        )
        self._fail(error, reason)

    def _fail(self, error: BaseException, reason: str) -> None:
        if self._failure is None:
            self._failure = error
        self.stop(reason)

    def _tell(self, event: PushEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            logger.exception("an observer failed; the push goes on")


_OUT_OF_ORDER = {
    "changed": "this row was pushed before with other content, and is in the helpdesk",
    "repeated": "its key stood in an earlier row of this push",
}
"""Rows that a journaled push does not send, and why."""


class _Stopped(Exception):
    """A worker was called back from a source that had no row for it yet."""


def _name_of(error: BaseException) -> str:
    return type(error).__name__


def _not_a_cancellation(error: BaseException) -> BaseException:
    """A stray cancellation inside a call must not look like one of the caller's own task."""
    if isinstance(error, asyncio.CancelledError):
        return RuntimeError("a call of the push was cancelled from inside")
    return error
