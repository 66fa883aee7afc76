"""The pace of a push: found by trying, from nothing but how the tries end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Literal

from attrs import frozen

from .circuit_breaker import CircuitBreaker
from .concurrency import AdaptiveConcurrency
from .rate import AdaptiveRateLimit
from .retry_budget import RetryBudget
from .wait_queue import Pauser, WaitQueue

Sign = Literal["ok", "refused", "slow_down", "limit", "unreachable", "lost", "failed"]
"""How one try ended, as far as the pace is concerned:

- ``ok``: the service accepted it;
- ``refused``: it did not, for a reason of that one row; the service works;
- ``slow_down``: it refused it as too many (429, 503), with or without a time to wait;
- ``limit``: the same, but only in words: it is asked again soon whether they are meant so;
- ``unreachable``: no connection came about;
- ``lost``: sent, and no answer came (time-out, reset);
- ``failed``: it answered that something is wrong with itself (500, 502 ...).
"""

Mode = Literal["ramping", "steady", "holding back", "paused", "probing"]

_LONGEST_WAIT = 8.0
"""Seconds between two probes at most. With the time to ramp up that leaves full speed within
ten seconds after a service is back."""
_WORDS_WAIT = 0.5
"""The same after a limit that was told in words alone, so that a push that meets one which will
not end while it runs soon knows."""
_TICK = 0.1
_STREAK = 6
"""Failures in a row, none without an answer between, that mean it is down; a refused connection
counts twice."""
_HICCUP = 1.5
"""Seconds within which a service that was down does not come back."""
_CREDIT = 0.005
"""Seconds by which a turn may be late and still not delay those behind it: what timers and a
busy loop need. So in ``w`` seconds go at most ``max_rate * (w + 0.005) + 1``."""


@frozen
class ThrottleState:
    """What the pace is now; for display and for tests.

    Attributes:
        mode: ``ramping``: still doubling; ``steady``; ``holding back``: the service has shown a
            limit that is kept below; ``paused``: nobody sends; ``probing``: one does, to see
            whether the service works again.
        limit: requests that may be out at a time.
        in_flight: requests that are.
        waiting: workers that wait for their turn.
        rate: requests per second that are sent at most; ``None`` without a limit.
        paused_for: seconds until somebody may send; 0 if nobody has to wait.
        shut_for: seconds since the service last worked, if it was found not to; else 0.
        retries_left: tries beyond the first of a row that could be made at once.
    """

    mode: Mode
    limit: int
    in_flight: int
    waiting: int
    rate: float | None
    paused_for: float
    shut_for: float
    retries_left: int


class _Stopped(asyncio.Event):
    """Tells those in line, too."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def set(self) -> None:
        super().set()
        self._then()


class Throttle:
    """When each worker of a push may send.

    A worker calls :meth:`enter` before each try, and :meth:`leave` after it, exactly once. All
    waiting is first come, first served. There are no settings but the two caps: how many may be
    out is found by :class:`AdaptiveConcurrency`, the rate a service takes by
    :class:`AdaptiveRateLimit`,
    pauses and their ends are the business of :class:`CircuitBreaker`, and :class:`RetryBudget`
    bounds
    repetitions.

    Before the service has worked for the first time it is never taken for "down", so that rows
    fail at the pace of a small window and the caller can give up soon.

    Args:
        max_concurrency: the most requests that are out at a time.
        max_rate: the most requests per second; ``None`` for no cap.
        alone: until the first is accepted one request at most is out, so that a wrong address
            or token costs one.
        now: a monotonic clock.
        pause: waits so long, or until the event is set.
        rand: a random number in [0, 1); for jitter only.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_rate: float | None = None,
        alone: bool = False,
        now: Callable[[], float],
        pause: Pauser,
        rand: Callable[[], float],
    ) -> None:
        start = now()
        self.alone = alone
        self._now = now
        self._pause = pause
        self._max_rate = inf if max_rate is None else max_rate
        self._in_flight = 0
        self.window = AdaptiveConcurrency(max_concurrency)
        self._rate = AdaptiveRateLimit(start)
        self._door = CircuitBreaker(longest=_LONGEST_WAIT, rand=rand)
        self._budget = RetryBudget(start, floor=float(max(10, max_concurrency)))
        self._turns = WaitQueue(
            wait_for=self._wait_for,
            take=self._take,
            give_back=self._give_back,
            now=now,
            pause=pause,
        )
        self._retries = WaitQueue(
            wait_for=self._budget.wait_for,
            take=self._budget.spend,
            give_back=self._budget.give_back,
            now=now,
            pause=pause,
        )
        self.stopped = _Stopped(self._stop)
        """Set it to stop: all who wait, and all who come, are sent away."""
        self._slot_at = -inf
        self._taken = 0
        self._rate_binds = False
        self._ticked_at = start
        self._worked = False
        self._streak = 0
        self._worked_at = start
        self._before = self.window.limit
        self._free = False
        self._over = False
        self._find_free(start)

    # --- for the workers -----------------------------------------------------------------------

    async def enter(self, *, again: bool = False) -> bool:
        """Wait for one's turn.

        Args:
            again: the row was tried before, so this try is charged to the retry budget.

        Returns:
            True: send now, and call :meth:`leave` afterwards. False: the push was stopped.
        """
        if again:
            if not await self._afford():
                return False
        else:
            self._budget.earn()
            if self._retries.waiting:
                self._retries.advance()
        if not self._turns.waiting and not self.stopped.is_set():
            now = self._now()
            if self._wait_for(now) <= 0.0:
                self._take(now)
                return True
        try:
            return await self._turns.join()
        except BaseException:
            if again:
                self._budget.give_back()
            raise

    def enter_at_once(self) -> bool:
        """:meth:`enter` where nobody has to wait, which is the usual case.

        Returns:
            True: send now, and call :meth:`leave` afterwards. False: call :meth:`enter`.
        """
        if (
            not self._free
            or self._turns.waiting
            or self._retries.waiting
            or self._in_flight >= self.window.limit
            or self._over
        ):
            return False
        budget = self._budget
        if budget.tokens < budget.floor:
            budget.earn()
        self._in_flight += 1
        return True

    def leave(
        self,
        sign: Sign,
        latency: float,
        retry_after: float | None = None,
        *,
        now: float | None = None,
    ) -> float:
        """Give the turn back, and say how the try ended.

        Args:
            sign: how it ended.
            latency: seconds from :meth:`enter` to the end.
            retry_after: seconds the service asks to wait, if it says so.
            now: the time, if it is known.

        Returns:
            Seconds all wait from now because of this try; 0 if it brought no new pause.
        """
        if now is None:
            now = self._now()
        in_use = self._in_flight + 1.0 > self.window.limit
        self._in_flight -= 1
        wait = 0.0
        if sign == "ok" or sign == "refused":
            self._taken += 1
            self._worked_at = now
            if not self._worked or self._streak or not self._free:
                if sign == "ok":
                    self.alone = False
                self._works(now, now - latency)
                self._learn(now)
            self.window.worked(latency, in_use)
        elif sign == "slow_down" or sign == "limit":
            longest = inf if sign == "slow_down" else _WORDS_WAIT
            wait = self._slow_down(now, now - latency, retry_after, longest)
        else:
            wait = self._fails(now, now - latency, sign)
        if now - self._ticked_at >= _TICK:
            self._tick(now, in_use)
        if self._turns.waiting:
            self._turns.advance()
        return wait

    @property
    def room(self) -> int:
        """How many may be out at a time, as of now."""
        return 1 if self.alone else int(self.window.limit)

    def let_others_go(self) -> None:
        """One request at a time is no longer all."""
        self.alone = False
        self._find_free(self._now())
        self._turns.advance()

    async def clear(self) -> bool:
        """Wait while everybody waits, without taking a turn.

        Returns:
            False if the push was stopped.
        """
        while not self.stopped.is_set():
            wait = self._door.wait_for(self._now())
            if wait <= 0:
                return True
            await self._pause(self.stopped, wait)
        return False

    def unused(self) -> None:
        """Give the turn back of a try that never came to the network. It says nothing."""
        self._in_flight -= 1
        if self._turns.waiting:
            self._turns.advance()

    @property
    def state(self) -> ThrottleState:
        """What the pace is now."""
        now = self._now()
        rate = min(self._max_rate, self._rate.at(now))
        paused = self._door.wait_for(now)
        cause = self._door.cause
        window = self.window
        mode: Mode
        if self._door.probing:
            mode = "probing"
        elif paused > 0 or cause is not None:
            mode = "paused"
        elif self._rate.level is not None:
            mode = "holding back"
        elif window.ramping:
            mode = "ramping"
        elif window.limit < window.most:
            mode = "holding back"
        else:
            mode = "steady"
        self._budget.wait_for(now)
        return ThrottleState(
            mode=mode,
            limit=int(window.limit),
            in_flight=self._in_flight,
            waiting=self._turns.waiting + self._retries.waiting,
            rate=None if rate == inf else rate,
            paused_for=paused,
            shut_for=0.0 if cause is None else now - self._worked_at,
            retries_left=int(self._budget.tokens),
        )

    # --- who may pass --------------------------------------------------------------------------

    async def _afford(self) -> bool:
        if self.stopped.is_set():
            return False
        return await self._retries.join()

    def _wait_for(self, now: float) -> float:
        if self._in_flight + 1.0 > (1.0 if self.alone else self.window.limit):
            return inf
        wait = self._door.wait_for(now)
        until_slot = self._slot_at - now
        if until_slot <= wait:
            return wait
        self._rate_binds = True
        return until_slot

    def _take(self, now: float) -> None:
        self._in_flight += 1
        if self._free:
            return
        rate = min(self._max_rate, self._rate.at(now))
        if rate < inf:
            slot = self._slot_at
            self._slot_at = (slot if slot > now - _CREDIT else now) + 1.0 / rate
        if self._door.passed(now):
            self._budget.give_back()  # probes have a bound of their own
        self._find_free(now)

    def _give_back(self) -> None:
        self._in_flight -= 1

    def _stop(self) -> None:
        self._over = True
        self._turns.close()
        self._retries.close()

    def _find_free(self, now: float) -> None:
        """Nothing but the window bounds: the way of most pushes, and the fast one."""
        self._free = (
            not self.alone
            and self._max_rate == inf
            and self._rate.level is None
            and self._door.cause is None
            and self._door.wait_for(now) <= 0.0
        )

    # --- what the ends of tries mean -----------------------------------------------------------

    def _works(self, now: float, sent_at: float) -> None:
        self._worked = True
        door = self._door
        if door.cause is None:
            self._streak = 0
        elif sent_at >= door.shut_at:
            self._streak = 0
            self._reopen(now)
        self._find_free(now)

    def _reopen(self, now: float) -> None:
        door = self._door
        self._learn(now)
        if door.cause == "down":
            if now - door.shut_at < _HICCUP:  # the load was too much, rather
                self._before = max(1.0, 0.7 * self._before)
            self.window.restart(now, self._before)
            self._rate.paused(now, now)
        else:
            self._rate.paused(door.shut_at, now)
        door.open(now)

    def _slow_down(
        self, now: float, sent_at: float, retry_after: float | None, longest: float
    ) -> float:
        door = self._door
        held_until = door.held_until
        wait = door.hold(now, retry_after) if retry_after else 0.0
        if door.cause is not None:
            if sent_at < door.shut_at:
                return wait
            door.probing = False
            return max(wait, door.wait_for(now))
        self._learn(now)
        changed = self._rate.refused(now, sent_at, retry_after or 0.0)
        if retry_after:
            if wait:
                self._rate.paused(now, now + wait)
            if self._worked_at < held_until <= sent_at:  # the time was not enough
                wait = door.shut(now, "slow_down", max(0.5, retry_after), longest)
        elif changed:
            first = min(0.5, max(0.02, self._rate.round_trip, 2.0 / self._rate.at(now)))
            wait = door.shut(now, "slow_down", first, longest)
        self._free = False
        return wait

    def _fails(self, now: float, sent_at: float, sign: Sign) -> float:
        self._streak += 2 if sign == "unreachable" else 1
        if not self._worked:
            return 0.0
        door = self._door
        if door.cause == "down":
            if sent_at < door.shut_at:
                return 0.0
            door.probing = False
            return door.wait_for(now)
        self.window.failed()
        if self._streak < _STREAK:
            return 0.0
        if now - door.opened_at > 5.0:  # else the window is still on its way back
            self._before = self.window.limit
        self._free = False
        return door.shut(now, "down", 0.5)

    def _learn(self, now: float) -> None:
        self._rate.accepted(now, self._taken)
        self._taken = 0

    def _tick(self, now: float, in_use: bool) -> None:
        passed = now - self._ticked_at
        self._ticked_at = now
        self._learn(now)
        if not self._rate_binds:
            self._rate.idle(now, passed)
        self._rate_binds = False
        self.window.tick(now, passed)
        self._rate.round_trip = self.window.usual
