"""What a worker of a push does: row after row, a try in its turn, and again where that is safe
and of use.

A row that is told to slow down again and again is *set apart*: a worker of its own waits with it,
and the others go on. As long as others pass, its refusals are no sign of the service's throttle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import (
    AnswerMismatchError,
    ConnectError,
    HelpdeskError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitedError,
)
from ..phase import Phase
from ..transport.retry import Ending, RetryIn, RetryPolicy, decide
from .answers import Contradiction
from .events import PushPaused
from .in_flight import InFlightRow, Slowed, sign_of
from .refusals import Stop
from .wait_queue import Pauser

if TYPE_CHECKING:
    from .push import Push

R = TypeVar("R")

_TOLD_OFTEN = 2
"""So often told to slow down, a row is set apart."""
_OTHERS_PASS = 3
"""So many accepted rows show that "slow down" was meant for one row; if at most a quarter as many
were told the same."""
_APART_MOST = 1_000
_APART_BLIND = 8
"""Rows set apart at most, while others pass and while nobody does."""
_FIRST_WAIT, _LONGEST_WAIT, _BLIND_WAIT = 0.25, 30.0, 1.0
"""Seconds between two tries of a row that is set apart: they double, up to the last where nobody
passes, and all may have to wait."""


class Worker(Generic[R]):
    """Sends rows, each in its turn. The workers of a push are one object, and as many coroutines
    of its :meth:`work`.

    Args:
        push: whose rows it sends.
        send: sends one row, once.
        retry: how often what never left may be tried.
        patience: seconds that a row may be deferred.
        pause, rand: waiting, and a random number in [0, 1).
    """

    def __init__(
        self,
        push: Push[R],
        send: Callable[[Any], Awaitable[R]],
        *,
        retry: RetryPolicy,
        patience: float,
        pause: Pauser,
        rand: Callable[[], float],
    ) -> None:
        self._push = push
        self._send = send
        self._retry = retry
        self._patience = patience
        self._pause = pause
        self._rand = rand
        self._room = push._throttle.room
        self._waiting: set[InFlightRow[R]] = set()
        self._slowed = 0
        self._apart = 0

    async def work(self, apart: InFlightRow[R] | None = None) -> None:
        """Bring rows to their ends, until there are no more.

        All in one coroutine: another for each row would cost a push 1 %.

        Args:
            apart: a row that was set apart; then this one alone.
        """
        push, send = self._push, self._send
        feed, throttle, now = push._feed, push._throttle, push._now
        unread, most_unread, end = push._unread, push._most_unread, push._end
        answers, refusals = push._answers, push._refusals
        while True:
            if apart is not None:
                live: InFlightRow[R] | None = apart
            else:
                if len(unread) >= most_unread:
                    await push._wait_for_consumer()
                live = feed.get_nowait() or await feed.get()
            if live is None:
                return
            if live.problem is not None:
                live.last = live.problem
                live.release_slot()
                end(live)
                continue
            try:
                if apart is not None:
                    assert live.last is not None
                    self._waiting.discard(live)
                    await self._enter_again(live, live.last)
                else:
                    live.has_turn = throttle.enter_at_once()
                    if not live.has_turn:
                        feed.hold_slot(live)
                        live.has_turn = await throttle.enter()
                    if live.slot is not None:
                        live.release_slot()
                while live.has_turn:
                    live.tries += 1
                    live.last = None
                    if answers is not None and live.sent is None:
                        answers.note(live)
                    began = now()
                    try:
                        live.result = await send(live.value)
                    except HelpdeskError as error:
                        # Its frames would keep the row alive.
                        live.last = error.with_traceback(None)
                        if isinstance(error, AnswerMismatchError):
                            push._contradicted(live, Contradiction(error))
                    else:
                        if answers is not None:
                            found = answers.check(live)
                            if found is not None:
                                push._contradicted(live, found)
                                refusals.accepted -= 1
                        live.has_turn = False
                        refusals.accepted += 1
                        live.ended = ended = now()
                        throttle.leave("ok", ended - began, now=ended)
                        if throttle.window.limit >= self._room + 1:
                            self._room = throttle.room
                            push._spawn_workers()
                        break
                    if not await self._comes_again(live, live.last, began):
                        break
                else:
                    live.last = self._stopped_while_it_waited(live.last)
                if apart is None and live.slowed is not None and live.slowed.apart:
                    self._waiting.add(live)
                    push._spawn_worker_for(live)
                    continue
            except HelpdeskError as error:
                live.last = error.with_traceback(None)
                if live.has_turn:
                    throttle.unused()
            except BaseException as error:
                if push._interrupted(live, error):
                    end(live)
                    raise
            end(live)
            if apart is not None:
                self._apart -= 1
                return

    def leave(self) -> None:
        """No worker will come any more: end the rows that were set apart for one."""
        for live in self._waiting:
            live.last = self._stopped_while_it_waited(live.last)
            self._push._end(live)
        self._waiting.clear()

    async def _comes_again(self, live: InFlightRow[R], error: HelpdeskError, began: float) -> bool:
        """After a try that did not succeed: wait for another turn, if that is of use.

        Returns:
            Whether it was of use. If there is no turn then, the push was stopped.

        Raises:
            JournalError: the journal failed between two tries.
        """
        wait = self._leave(live, error, began)
        stop = self._push._refusals.look(error)
        if stop is not None:
            self._push._stop_with(stop)
            return False
        if not await self._worth_again(error, live, wait):
            return False
        if self._set_apart(live.slowed):
            return False
        await self._enter_again(live, error)
        return True

    async def _enter_again(self, live: InFlightRow[R], error: HelpdeskError) -> None:
        recorder = self._push._recorder if live.entry is not None else None
        if recorder is not None:
            recorder.defer(live, error)
        if live.slowed is not None and live.slowed.wait:
            await self._pause(self._push._throttle.stopped, live.slowed.wait)
        live.has_turn = await self._push._throttle.enter(again=True)
        if recorder is not None and live.has_turn:
            await recorder.again(live)

    def _leave(self, live: InFlightRow[R], error: HelpdeskError, began: float) -> float:
        """Give the turn back; returns the seconds all wait because of how the try ended."""
        live.has_turn = False
        sign = sign_of(error)
        if sign is None:
            self._push._throttle.unused()
            return 0.0
        if isinstance(error, RateLimitedError) and self._slow(live, error):
            sign = "refused"
        wait = self._push._throttle.leave(sign, self._push._now() - began, error.retry_after)
        if sign == "refused" and self._push._refusals.keep_going and self._push._throttle.alone:
            self._push._throttle.let_others_go()
            self._push._spawn_workers()
        if wait:
            slow = sign in ("slow_down", "limit")
            self._push._tell(
                PushPaused(wait, "the service asks to slow down" if slow else "it is down")
            )
        return wait

    def _slow(self, live: InFlightRow[R], error: RateLimitedError) -> bool:
        """Note that a row was told to slow down, and how long it waits by itself.

        Returns:
            Whether that was meant for this row alone: others passed since it was told so last.
        """
        slowed, accepted = live.slowed, self._push._refusals.accepted
        if slowed is None:
            live.slowed = slowed = Slowed()
        passed, told = accepted - slowed.passed, self._slowed - slowed.others
        slowed.told += 1
        often = slowed.told >= _TOLD_OFTEN
        slowed.own = often and passed >= max(_OTHERS_PASS, 4 * told)
        self._slowed += not slowed.own
        slowed.passed, slowed.others = accepted, self._slowed
        if often:
            longest = _LONGEST_WAIT if slowed.own else _BLIND_WAIT
            wait = min(longest, _FIRST_WAIT * 2.0 ** min(slowed.told - _TOLD_OFTEN, 60))
            slowed.wait = (error.retry_after or 0.0) + wait * (0.75 + 0.25 * self._rand())
        return slowed.own

    def _set_apart(self, slowed: Slowed | None) -> bool:
        """Have another worker wait with a row that is told to slow down again and again."""
        if slowed is None or slowed.apart or slowed.told < _TOLD_OFTEN:
            return False
        slowed.apart = self._apart < (_APART_MOST if slowed.own else _APART_BLIND)
        self._apart += slowed.apart
        return slowed.apart

    async def _worth_again(self, error: HelpdeskError, live: InFlightRow[R], wait: float) -> bool:
        """Whether to send the row again."""
        passed = self._push._now() - live.started
        told = isinstance(error, RateLimitedError)  # then each row has its own patience
        if wait and not told and self._push._throttle.state.shut_for > self._patience:
            self._push._stop_with(Stop(f"the service has not worked for {self._patience:g} s"))
            return False
        if told:
            asked, slowed = error.retry_after, live.slowed
            assert slowed is not None
            if asked is not None and asked > self._patience and not slowed.own:
                # Nobody's row will fare better, and asking on would only anger the service.
                reason = (
                    f"the service asks to wait {asked:g} s, which is more than the patience of "
                    f"{self._patience:g} s"
                )
                self._push._stop_with(Stop(reason, retry_after=asked))
                return False
            return passed + max(wait, slowed.wait) <= self._patience
        if isinstance(error, OutcomeUnknownError) or not error.attempts:
            return False
        if isinstance(error, ConnectError) and self._push._refusals.accepted:
            # It worked a moment ago: a restart, most likely. All wait, as for "slow down".
            if passed + wait <= self._patience:
                return True
            self._push._stop_with(
                Stop(f"the service could not be reached for {self._patience:g} s")
            )
            return False
        decision = decide(
            self._retry,
            "write",
            Ending(phase=error.phase or Phase.WAITING, status=error.status),
            attempt=live.tries,
            time_left=self._patience - passed,
            rand=self._rand(),
        )
        if isinstance(decision, RetryIn):
            await self._pause(self._push._throttle.stopped, decision.seconds)
            return True
        return False

    def _stopped_while_it_waited(self, last: HelpdeskError | None) -> HelpdeskError:
        """Why a row ended that had no turn any more. If it was tried before, that error stands.

        But "slow down" is no verdict on a row: it is free to go again.
        """
        if last is None:
            return NotSentError("the push was stopped before it was sent", **self._push._us)
        if not isinstance(last, RateLimitedError):
            return last
        error = NotSentError(
            "the service asked to slow down, and the push was stopped before its next turn",
            status=last.status,
            attempts=last.attempts,
            retry_after=last.retry_after,
            vendor_message=last.vendor_message,
            **self._push._us,
        )
        error.__cause__ = last
        return error
