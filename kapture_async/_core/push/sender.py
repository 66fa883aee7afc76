"""What a worker of a push does: row after row, a try in its turn, and again where that is safe
and of use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sized
from typing import Any, Generic, TypeVar

from ..errors import (
    AnswerMismatchError,
    ConnectError,
    HelpdeskError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitedError,
)
from ..phase import Phase
from ..transport.retry import Ending, RetryPolicy, Wait, decide
from .answers import Answers, Contradiction
from .drawing import Feed
from .line import Pauser
from .live import Live, sign_of
from .pace import Pace
from .recorder import Recorder

R = TypeVar("R")


class Sender(Generic[R]):
    """Sends rows, each in its turn.

    Args:
        send: sends one row, once.
        feed: gives the rows.
        pace: gives the turns.
        recorder: notes the attempts, if there is a journal.
        retry: how often what never left may be tried.
        patience: seconds that a row may be put off.
        us: what errors of our own carry: service, operation, effect.
        now, pause, rand: clock, waiting, and a random number in [0, 1).
        unread, most_unread: outcomes that nobody has read yet, and how many are too many.
        keep_up: waits until they are fewer.
        end: told of each row that has come to its end.
        interrupted: told of what broke into a row; whether the worker is to end with it.
        on_pause: told when all have to wait, for how long, and why.
        on_room: called when more may be out at a time than before.
        give_up: stops the push, for this reason, and perhaps seconds to wait.
        answers: compares answers with their rows, if they repeat anything.
        contradicted: told of a row whose answer belongs to another.
    """

    def __init__(
        self,
        send: Callable[[Any], Awaitable[R]],
        feed: Feed[R],
        pace: Pace,
        recorder: Recorder | None,
        *,
        retry: RetryPolicy,
        patience: float,
        us: dict[str, Any],
        now: Callable[[], float],
        pause: Pauser,
        rand: Callable[[], float],
        unread: Sized,
        most_unread: int,
        keep_up: Callable[[], Awaitable[None]],
        end: Callable[[Live[R]], None],
        interrupted: Callable[[Live[R], BaseException], bool],
        on_pause: Callable[[float, str], None],
        on_room: Callable[[], None],
        give_up: Callable[[str, float | None], None],
        answers: Answers | None,
        contradicted: Callable[[Live[R], Contradiction], None],
    ) -> None:
        self._send = send
        self._feed = feed
        self._pace = pace
        self._recorder = recorder
        self._retry = retry
        self._patience = patience
        self._us = us
        self._now = now
        self._pause = pause
        self._rand = rand
        self._unread = unread
        self._most_unread = most_unread
        self._keep_up = keep_up
        self._end = end
        self._interrupted = interrupted
        self._on_pause = on_pause
        self._on_room = on_room
        self._give_up = give_up
        self._answers = answers
        self._contradicted = contradicted
        self._room = pace.room
        self._worked = False

    async def work(self) -> None:
        """Bring rows to their ends, until there are no more.

        All in one coroutine: another for each row would cost a push 1 %.
        """
        feed, pace, send, now = self._feed, self._pace, self._send, self._now
        unread, most_unread, end = self._unread, self._most_unread, self._end
        answers = self._answers
        while True:
            if len(unread) >= most_unread:
                await self._keep_up()
            live = feed.at_hand() or await feed.next()
            if live is None:
                return
            if live.problem is not None:
                live.last = live.problem
                live.give_way()
                end(live)
                continue
            try:
                live.has_turn = pace.enter_at_once()
                if not live.has_turn:
                    feed.keep_waiting(live)
                    live.has_turn = await pace.enter()
                if live.drawn is not None:
                    live.give_way()
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
                            self._contradicted(live, Contradiction(error))
                    else:
                        if answers is not None:
                            found = answers.check(live)
                            if found is not None:
                                self._contradicted(live, found)
                        live.has_turn = False
                        self._worked = True
                        live.ended = ended = now()
                        pace.leave("ok", ended - began, now=ended)
                        if pace.window.limit >= self._room + 1:
                            self._room = pace.room
                            self._on_room()
                        break
                    if not await self._comes_again(live, live.last, began):
                        break
                else:
                    live.last = self._stopped_while_it_waited(live.last)
            except HelpdeskError as error:
                live.last = error.with_traceback(None)
                if live.has_turn:
                    pace.unused()
            except BaseException as error:
                over = self._interrupted(live, error)
                end(live)
                if over:
                    raise
                continue
            end(live)

    async def _comes_again(self, live: Live[R], error: HelpdeskError, began: float) -> bool:
        """After a try that did not succeed: wait for another turn, if that is of use.

        Returns:
            Whether it was of use. If there is no turn then, the push was stopped.

        Raises:
            JournalError: the journal failed between two tries.
        """
        wait = self._leave(live, error, began)
        if not await self._worth_again(error, live, wait):
            return False
        await self._enter_again(live, error)
        return True

    async def _enter_again(self, live: Live[R], error: HelpdeskError) -> None:
        recorder = self._recorder
        if recorder is None or live.entry is None:
            live.has_turn = await self._pace.enter(again=True)
            return
        recorder.put_off(live, error)
        live.has_turn = await self._pace.enter(again=True)
        if live.has_turn:
            await recorder.again(live)

    def _leave(self, live: Live[R], error: HelpdeskError, began: float) -> float:
        """Give the turn back; returns the seconds all wait because of how the try ended."""
        live.has_turn = False
        sign = sign_of(error)
        if sign is None:
            self._pace.unused()
            return 0.0
        wait = self._pace.leave(sign, self._now() - began, error.retry_after)
        if wait:
            why = "the service asks to slow down" if sign == "slow_down" else "it is down"
            self._on_pause(wait, why)
        return wait

    async def _worth_again(self, error: HelpdeskError, live: Live[R], wait: float) -> bool:
        """Whether to send the row again."""
        passed = self._now() - live.started
        told = isinstance(error, RateLimitedError)  # then each row has its own patience
        if wait and not told and self._pace.state.shut_for > self._patience:
            self._give_up(f"the service has not worked for {self._patience:g} s", None)
            return False
        if told:
            asked = error.retry_after
            if asked is not None and asked > self._patience:
                # Nobody's row will fare better, and asking on would only anger the service.
                self._give_up(
                    f"the service asks to wait {asked:g} s, which is more than the patience of "
                    f"{self._patience:g} s",
                    asked,
                )
                return False
            return passed + wait <= self._patience
        if isinstance(error, OutcomeUnknownError) or not error.attempts:
            return False
        if isinstance(error, ConnectError) and self._worked:
            # It worked a moment ago: a restart, most likely. All wait, as for "slow down".
            if passed + wait <= self._patience:
                return True
            self._give_up(f"the service could not be reached for {self._patience:g} s", None)
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

    def _stopped_while_it_waited(self, last: HelpdeskError | None) -> HelpdeskError:
        """Why a row ended that had no turn any more. If it was tried before, that error stands.

        But "slow down" is no verdict on a row: it is free to go again.
        """
        if last is None:
            return NotSentError("the push was stopped before it was sent", **self._us)
        if not isinstance(last, RateLimitedError):
            return last
        error = NotSentError(
            "the service asked to slow down, and the push was stopped before its next turn",
            status=last.status,
            attempts=last.attempts,
            retry_after=last.retry_after,
            vendor_message=last.vendor_message,
            **self._us,
        )
        error.__cause__ = last
        return error
