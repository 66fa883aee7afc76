"""The push itself: a fixed set of workers between a source of rows and a stream of outcomes.

Walk of one row: taken from the source → passes the gate → is sent, once → if that is safe and
of use, sent again → its outcome stands in the buffer → is read by the caller. Every row that
is taken gets exactly one outcome, whatever happens: error, cancellation, a bug in here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

import anyio
from attrs import frozen

from ..errors import (
    AuthenticationError,
    ClientStateError,
    ConnectError,
    HelpdeskError,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    NotSentError,
    OpenTicketLimitError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PushStoppedError,
    RateLimitedError,
    RedirectedError,
    RejectedError,
)
from ..outcome import Accepted, AnyOutcome, NotSent, Outcome, Rejected, Unknown
from ..phase import Phase
from ..transport.endings import interrupted_by
from ..transport.retry import Ending, RetryPolicy, Wait, decide
from .events import PushEvent, PushObserver, PushPaused, PushStopped, RowFinished
from .pace import Gate, Pauser, pause_on_clock
from .rows import Row, Rows, Source

R = TypeVar("R")

logger = logging.getLogger("kapture_async.push")

DEFAULT_CONCURRENCY = 32
"""Past the knee of what one core can send; more only pays where the service answers slowly."""


@frozen
class PushCounts:
    """How many rows were taken from the source, and what became of them so far."""

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    not_sent: int = 0
    unknown: int = 0

    @property
    def in_flight(self) -> int:
        """Rows that were taken and have no outcome yet."""
        return self.rows - self.accepted - self.rejected - self.not_sent - self.unknown


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
        concurrency: int = DEFAULT_CONCURRENCY,
        patience: float = 300.0,
        give_up_after: int | None = 100,
        on_event: PushObserver | None = None,
        now: Callable[[], float] = time.monotonic,
        pause: Pauser = pause_on_clock,
        rand: Callable[[], float] = random.random,
    ) -> None:
        if type(concurrency) is not int or not 1 <= concurrency <= 10_000:
            raise InvalidInputError("concurrency must be a whole number from 1 to 10,000")
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
        self._concurrency = concurrency
        self._patience = patience
        self._give_up_after = give_up_after
        self._on_event = on_event
        self._now = now
        self._rand = rand
        self._pause = pause
        self._gate = Gate(now, pause)
        self._taken = 0
        self._tally = {"accepted": 0, "rejected": 0, "not_sent": 0, "unknown": 0}
        self._hopeless = 0
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
        if self._gate.stopped.is_set():
            return
        self._gate.stopped.set()
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
        self._runner = asyncio.create_task(self._run(), name="kapture-push")
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
                for _ in range(self._concurrency):
                    group.start_soon(self._work)
        finally:
            try:
                await self._rows.aclose()
            finally:
                # Readers look at the runner only after this turn of the loop, when it is done.
                asyncio.get_running_loop().call_soon(self._wake.set)

    async def _work(self) -> None:
        while self._stop_reason is None and not self._exhausted:
            if len(self._buffer) >= 2 * self._concurrency:
                self._room.clear()
                await self._room.wait()
                continue
            if not await self._gate.passed():
                return
            try:
                row = await self._take()
            except StopAsyncIteration:
                self._exhausted = True
                return
            except _Stopped:
                return
            except Exception as error:
                error.add_note(
                    f"raised by the source of the push after {self._taken} rows; every row "
                    "taken before has its outcome"
                )
                self._fail(error, f"the source failed with {type(error).__name__}")
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
            if not self._gate.stopped.is_set():
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
        started = self._now()
        key, problem = None, None
        value = row
        if isinstance(row, Row):
            key, problem, value = row.key, row.problem, row.value
        tries = 0
        last: HelpdeskError | None = None
        interruption: BaseException | None = None
        result: list[R] = []
        try:
            if key is None and self._key is not None:
                key = self._key_of(value)
            if problem is not None:
                raise problem
            while await self._gate.passed():
                tries += 1
                last = None
                try:
                    result.append(await self._send(value))
                    break
                except HelpdeskError as error:
                    last = error.with_traceback(None)  # its frames would keep the row alive
                if not await self._worth_again(last, tries, started):
                    break
            else:
                # Stopped while it waited. If it was tried before, that error stands.
                last = last or NotSentError("the push was stopped before it was sent", **self._us)
        except HelpdeskError as error:
            last = error.with_traceback(None)
        except BaseException as error:
            interruption = error
            last = interrupted_by(error) or last or self._story_of(error, tries)
            if not self._cut_off:
                error.add_note(f"while pushing row {index}")
                self._fail(_not_a_cancellation(error), f"row {index} met {_name_of(error)}")
        common: dict[str, Any] = {
            "index": index,
            "key": key,
            "row": row,
            "attempts": tries,
            "elapsed": self._now() - started,
        }
        if result:
            self._finish(Accepted(result=result[0], **common))
        elif isinstance(last, RejectedError):
            self._finish(Rejected(error=last, **common))
        elif isinstance(last, NotSentError):
            self._finish(NotSent(error=last, **common))
        else:
            assert isinstance(last, OutcomeUnknownError)
            self._finish(Unknown(error=last, **common))
        if interruption is not None and self._cut_off:
            raise interruption

    async def _worth_again(self, error: HelpdeskError, tries: int, started: float) -> bool:
        """Whether to send the row again; waits as long as that needs."""
        if isinstance(error, RateLimitedError):
            asked = error.retry_after
            seconds = self._gate.shut(asked)
            if seconds:
                self._tell(PushPaused(seconds, "the service asks to slow down"))
            if asked is not None and asked > self._patience:
                # Nobody's row will fare better, and asking on would only anger the service.
                self._stop_with(
                    f"the service asks to wait {asked:g} s, which is more than the patience of "
                    f"{self._patience:g} s",
                    retry_after=asked,
                )
                return False
            return self._now() - started + seconds <= self._patience
        if isinstance(error, OutcomeUnknownError) or not error.attempts:
            return False
        if isinstance(error, ConnectError) and self._tally["accepted"]:
            # It worked a moment ago: a restart, most likely. All wait, as for "slow down".
            seconds = self._gate.shut(None)
            if seconds:
                self._tell(PushPaused(seconds, "the service cannot be reached"))
            if self._now() - started + seconds <= self._patience:
                return True
            self._stop_with(f"the service could not be reached for {self._patience:g} s")
            return False
        decision = decide(
            self._retry,
            "write",
            Ending(phase=error.phase or Phase.WAITING, status=error.status),
            attempt=tries,
            time_left=self._patience - (self._now() - started),
            rand=self._rand(),
        )
        if isinstance(decision, Wait):
            await self._pause(self._gate.stopped, decision.seconds)
            return True
        return False

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
        if isinstance(outcome, Accepted):
            self._gate.accepted()
        if _is_hopeless(outcome):
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


class _Stopped(Exception):
    """A worker was called back from a source that had no row for it yet."""


def _is_hopeless(outcome: Outcome) -> bool:
    """Failures that say something of the service or the settings, not of the row."""
    if isinstance(outcome, Unknown):
        return True
    if isinstance(outcome, NotSent):
        return not isinstance(outcome.error, InvalidInputError)
    return isinstance(outcome, Rejected) and isinstance(
        outcome.error,
        (
            AuthenticationError,
            NotFoundError,
            OpenTicketLimitError,
            PermissionDeniedError,
            RateLimitedError,
            RedirectedError,
        ),
    )


def _name_of(error: BaseException) -> str:
    return type(error).__name__


def _not_a_cancellation(error: BaseException) -> BaseException:
    """A stray cancellation inside a call must not look like one of the caller's own task."""
    if isinstance(error, asyncio.CancelledError):
        return RuntimeError("a call of the push was cancelled from inside")
    return error
