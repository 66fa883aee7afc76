"""The workers of a push: each sends row after row, in its turn, and again where that is safe and
of use.

A row that is asked to slow down again and again is *set apart*: a worker of its own waits with it,
and the others continue. As long as others are accepted, its refusals say nothing about how fast
the service can be pushed to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from ..errors import (
    AnswerMismatchError,
    ConnectError,
    HelpdeskError,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    ReplyTimeoutError,
)
from ..phase import Phase
from ..transport.call_state import may_send
from ..transport.retry import Ending, RetryIn, RetryPolicy, decide
from .answers import AnswerConflict
from .events import PushPaused
from .rows import InFlightRow, Slowed
from .stop_rules import Stop
from .throttle import Signal
from .wait_queue import Pauser

if TYPE_CHECKING:
    from .push import Push

R = TypeVar("R")

_OFTEN = 2
"""A row is set apart when it was asked to slow down this often."""
_OTHERS_PASS = 3
"""So many accepted rows show that "slow down" was meant for one row; if at most a quarter as many
were asked the same."""
_APART_MOST = 1_000
_APART_BLIND = 8
"""Rows set apart at most, while others are accepted and while none is."""
_FIRST_WAIT, _LONGEST_WAIT, _BLIND_WAIT = 0.25, 30.0, 1.0
"""Seconds between two tries of a row that is set apart: they double, up to the last where no row is
accepted, and all may have to wait."""


class Worker(Generic[R]):
    """Sends rows, each in its turn. The workers of a push are one object, and as many coroutines
    of its :meth:`work`.

    Args:
        push: whose rows it sends.
        send: sends one row, once.
        retry: how often what never left may be tried.
        patience: seconds that a row may be deferred.
        most: how many may send at a time.
        pause, rand: waiting, and a random number in [0, 1).
    """

    def __init__(
        self,
        push: Push[R],
        send: Callable[[Any], Awaitable[R]],
        *,
        retry: RetryPolicy,
        patience: float,
        most: int,
        pause: Pauser,
        rand: Callable[[], float],
    ) -> None:
        self._push = push
        self._send = send
        self._retry = retry
        self._patience = patience
        self._pause = pause
        self._rand = rand
        self._most = most
        self._spawned = 0
        self._throttle, self._rules = push._throttle, push._stop_rules
        self._limit = push._throttle.limit
        self._group: TaskGroup
        self._waiting: set[InFlightRow[R]] = set()
        self._slowed = 0
        self._apart = 0

    async def run(self, *others: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Send all rows, and run these others beside; returns when all have returned."""
        bridge = self._push._bridge
        if bridge is not None and bridge.journal.shared:
            may_send.set(bridge.journal.may_send)  # in the task of this push, and those below
        try:
            async with anyio.create_task_group() as self._group:
                for other in others:
                    self._group.start_soon(other)
                self._spawn_workers()
        finally:
            # No worker will come any more for the rows that were set apart for one.
            for row in self._waiting:
                row.last = self._stopped_while_it_waited(row.last)
                self._push._end(row)
            self._waiting.clear()

    def _spawn_workers(self) -> None:
        """Have as many workers as may send at a time: more would only queue."""
        while self._spawned < min(self._throttle.limit, self._most):
            self._spawned += 1
            self._group.start_soon(self.work)

    async def work(self, apart: InFlightRow[R] | None = None) -> None:
        """Send rows until there are no more.

        All in one coroutine: another for each row would cost a push 1 %.

        Args:
            apart: a row that was set apart; then this one alone.
        """
        push, send = self._push, self._send
        feed, throttle, now = push._feed, self._throttle, push._now
        unread, most_unread, end = push._unread, push._most_unread, push._end
        answers, rules = push._answers, self._rules
        while True:
            if apart is not None:
                row: InFlightRow[R] | None = apart
            else:
                if len(unread) >= most_unread:
                    await push._wait_for_consumer()
                row = feed.get_nowait() or await feed.get()
            if row is None:
                return
            if row.problem is not None:
                row.last = row.problem
                row.release_slot()
                end(row)
                continue
            try:
                if apart is not None:
                    assert row.last is not None
                    self._waiting.discard(row)
                    await self._enter_again(row, row.last)
                else:
                    row.has_turn = throttle.try_acquire()
                    if not row.has_turn:
                        feed.hold_slot(row)
                        row.has_turn = await throttle.acquire()
                    if row.slot is not None:
                        row.release_slot()
                while row.has_turn:
                    row.tries += 1
                    row.last = None
                    if answers is not None and row.sent is None:
                        answers.note(row)
                    began = now()
                    try:
                        row.result = await send(row.value)
                    except HelpdeskError as error:
                        # Its frames would keep the row alive.
                        row.last = error.with_traceback(None)
                        if isinstance(error, AnswerMismatchError):
                            push._drop_connections()
                            if answers is not None:
                                answers.contradicted(row, AnswerConflict(error))
                    else:
                        if answers is not None:
                            found = answers.check(row)
                            if found is not None:
                                push._drop_connections()
                                answers.contradicted(row, found)
                                rules.accepted -= 1
                        row.has_turn = False
                        rules.accepted += 1
                        row.ended = ended = now()
                        throttle.release("ok", ended - began, now=ended)
                        if throttle.concurrency.limit >= self._limit + 1:
                            self._limit = throttle.limit
                            self._spawn_workers()
                        break
                    if not await self._wait_to_retry(row, row.last, began):
                        break
                else:
                    row.last = self._stopped_while_it_waited(row.last)
                if apart is None and row.slowed is not None and row.slowed.apart:
                    self._waiting.add(row)
                    self._group.start_soon(self.work, row)
                    continue
            except HelpdeskError as error:
                row.last = error.with_traceback(None)
                if row.has_turn:
                    throttle.release_unused()
            except BaseException as error:
                if push._interrupted(row, error):
                    end(row)
                    raise
            end(row)
            if apart is not None:
                self._apart -= 1
                return

    async def _wait_to_retry(self, row: InFlightRow[R], error: HelpdeskError, began: float) -> bool:
        """After a failed try: wait for another turn, if another try makes sense.

        Returns:
            Whether it does. If the row has no turn then, the push was stopped.

        Raises:
            JournalError: the journal failed between two tries.
        """
        wait = self._leave(row, error, began)
        stop = self._rules.after_try(error)
        if stop is not None:
            self._push._stop_with(stop)
            return False
        if not await self._should_retry(error, row, wait):
            return False
        if self._set_apart(row.slowed):
            return False
        await self._enter_again(row, error)
        return True

    async def _enter_again(self, row: InFlightRow[R], error: HelpdeskError) -> None:
        bridge = self._push._bridge if row.entry is not None else None
        if bridge is not None:
            bridge.defer(row, error)
        if row.slowed is not None and row.slowed.wait:
            await self._pause(self._throttle.stopped, row.slowed.wait)
        row.has_turn = await self._throttle.acquire(again=True)
        if bridge is not None and row.has_turn and not await bridge.again(row):
            row.has_turn = False
            self._throttle.release_unused()

    def _leave(self, row: InFlightRow[R], error: HelpdeskError, began: float) -> float:
        """Give the turn back; returns how many seconds all rows wait because of this try."""
        row.has_turn = False
        signal = _signal_of(error)
        if signal is None:
            self._throttle.release_unused()
            return 0.0
        if isinstance(error, RateLimitedError) and self._slow(row, error):
            signal = "refused"
        wait = self._throttle.release(signal, self._push._now() - began, error.retry_after)
        if signal == "refused" and self._rules.keep_going and self._throttle.single:
            self._throttle.allow_concurrency()
            self._spawn_workers()
        if wait:
            slow = signal in ("slow_down", "limit")
            self._push._tell(
                PushPaused(wait, "the service asks to slow down" if slow else "the service is down")
            )
        return wait

    def _slow(self, row: InFlightRow[R], error: RateLimitedError) -> bool:
        """Note that a row was asked to slow down, and how long it waits by itself.

        Returns:
            Whether that was meant for this row alone: others were accepted since it was last asked.
        """
        slowed, accepted = row.slowed, self._rules.accepted
        if slowed is None:
            row.slowed = slowed = Slowed()
        passed, asked = accepted - slowed.passed, self._slowed - slowed.others
        slowed.times += 1
        often = slowed.times >= _OFTEN
        slowed.own = often and passed >= max(_OTHERS_PASS, 4 * asked)
        self._slowed += not slowed.own
        slowed.passed, slowed.others = accepted, self._slowed
        if often:
            longest = _LONGEST_WAIT if slowed.own else _BLIND_WAIT
            wait = min(longest, _FIRST_WAIT * 2.0 ** min(slowed.times - _OFTEN, 60))
            slowed.wait = (error.retry_after or 0.0) + wait * (0.75 + 0.25 * self._rand())
        return slowed.own

    def _set_apart(self, slowed: Slowed | None) -> bool:
        """Have another worker wait with a row that is asked to slow down again and again."""
        if slowed is None or slowed.apart or slowed.times < _OFTEN:
            return False
        slowed.apart = self._apart < (_APART_MOST if slowed.own else _APART_BLIND)
        self._apart += slowed.apart
        return slowed.apart

    async def _should_retry(self, error: HelpdeskError, row: InFlightRow[R], wait: float) -> bool:
        """Whether to send the row again."""
        passed = self._push._now() - row.started
        limited = isinstance(error, RateLimitedError)  # then each row has its own patience
        if wait and not limited and self._throttle.state.down_for > self._patience:
            reason = f"the service has not worked for {self._patience:g} s"
            self._push._stop_with(Stop(reason, temporary=True))
            return False
        if limited:
            asked, slowed = error.retry_after, row.slowed
            assert slowed is not None
            if asked is not None and asked > self._patience and not slowed.own:
                # It holds for every row; more requests would only make it worse.
                reason = (
                    f"the service asks to wait {asked:g} s, which is more than the patience of "
                    f"{self._patience:g} s"
                )
                self._push._stop_with(Stop(reason, retry_after=asked, temporary=True))
                return False
            return passed + max(wait, slowed.wait) <= self._patience
        if isinstance(error, OutcomeUnknownError) or not error.attempts:
            return False
        if _was_held(error):  # the database is away; it waits there for its next attempt
            return row.entry is not None and not self._throttle.stopped.is_set()
        if isinstance(error, ConnectError) and self._rules.accepted:
            # It worked a moment ago: a restart, most likely. All wait, as for "slow down".
            if passed + wait <= self._patience:
                return True
            reason = f"the service could not be reached for {self._patience:g} s"
            self._push._stop_with(Stop(reason, temporary=True))
            return False
        decision = decide(
            self._retry,
            "write",
            Ending(phase=error.phase or Phase.WAITING, status=error.status),
            attempt=row.tries,
            time_left=self._patience - passed,
            rand=self._rand(),
        )
        if isinstance(decision, RetryIn):
            await self._pause(self._throttle.stopped, decision.seconds)
            return True
        return False

    def _stopped_while_it_waited(self, last: HelpdeskError | None) -> HelpdeskError:
        """Why a row ended that got no further turn. If it was tried before, that error stands;
        but "slow down" says nothing about a row: it is safe to send again."""
        if last is None:
            return NotSentError(
                "the push was stopped before it was sent", effect="write", **self._push._us
            )
        if not isinstance(last, RateLimitedError):
            return last
        error = NotSentError(
            "the service asked to slow down, and the push was stopped before its next turn",
            status=last.status,
            attempts=last.attempts,
            retry_after=last.retry_after,
            vendor_message=last.vendor_message,
            effect="write",
            **self._push._us,
        )
        error.response, error.__cause__ = last.response, last
        return error


def _signal_of(error: HelpdeskError) -> Signal | None:
    """What a failed try says about the service; ``None`` if nothing."""
    if isinstance(error, RateLimitedError):
        return "slow_down" if error.status == 429 else "limit"
    if isinstance(error, RejectedError):
        return "refused"
    if isinstance(error, (NoReplyError, ReplyTimeoutError)):
        return "lost"
    if isinstance(error, OutcomeUnknownError):
        return "slow_down" if error.status == 503 and error.retry_after else "failed"
    if error.status == 425:
        return "slow_down"
    return "unreachable" if error.attempts and not _was_held(error) else None


def _was_held(error: HelpdeskError) -> bool:
    """Whether nothing was sent because this run might not send just now."""
    return type(error) is NotSentError and error.status is None
