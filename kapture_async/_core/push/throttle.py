"""When a push may send: limits found from nothing but the results of its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Literal

from attrs import frozen

from .circuit_breaker import CircuitBreaker
from .concurrency import AdaptiveConcurrency
from .pace import Exchange, SharedPace
from .rate import AdaptiveRateLimit
from .wait_queue import Pauser, WaitQueue

Signal = Literal["ok", "refused", "slow_down", "limit", "unreachable", "lost", "failed"]
"""What the result of one attempt says about the service:

- ``ok``: the service accepted it;
- ``refused``: it rejected this one row; the service itself works;
- ``slow_down``: rate-limited (429, 503), with or without ``Retry-After``;
- ``limit``: the same, but only the text of the answer says so, so it is checked again soon;
- ``unreachable``: could not connect;
- ``lost``: sent, but no answer arrived (time-out, reset);
- ``failed``: a server error (500, 502 ...).
"""

Mode = Literal["ramping", "steady", "holding back", "paused", "probing"]

_LONGEST_WAIT = 8.0
"""Maximum seconds between two probes. With the ramp-up, full speed returns within ten seconds
after a recovery."""
_WORDED_LIMIT_WAIT = 0.5
"""The same after ``limit``, so that a push soon notices one that will not end."""
_TICK = 0.1
_FAILURES = 6
"""Consecutive failures that mean the service is down; a failure to connect counts twice."""
_HICCUP = 1.5
"""Seconds within which a service does not recover from an outage: it was overloaded."""
_CREDIT = 0.005
"""Seconds by which a request may be late without delaying the next ones, to absorb the jitter of
timers. So at most ``max_rate * (w + 0.005) + 1`` requests are sent in ``w`` seconds."""


@frozen
class ThrottleState:
    """The current limits, for display and for tests.

    Attributes:
        mode: ``ramping``: concurrency still doubles; ``steady``: at full concurrency;
            ``holding back``: below a limit of the service; ``paused``: nothing is sent;
            ``probing``: one request checks whether the service works again.
        limit: how many requests may be in flight.
        in_flight: how many are.
        waiting: workers waiting to send.
        rate: maximum requests per second; ``None`` without a limit.
        paused_for: seconds until a request may be sent.
        down_for: seconds since the service last worked while the breaker is open; else 0.
        retries_left: how many retries could be sent at once.
    """

    mode: Mode
    limit: int
    in_flight: int
    waiting: int
    rate: float | None
    paused_for: float
    down_for: float
    retries_left: int


class RetryBudget:
    """Bounds retries to a share of the traffic, so that they cannot overload a failing service.

    First attempts earn tokens and retries spend them. In ``w`` seconds with ``n`` first attempts
    there are at most ``share * n + slow * w + floor`` retries.

    Args:
        now: the time.
        floor: tokens at the start, and the most that are kept: enough for small pushes, and
            for each worker to retry its row once after an outage.
        share: tokens earned by a first attempt.
        slow: tokens earned per second, so that workers that all wait to retry are not stuck.
    """

    __slots__ = ("_at", "floor", "share", "slow", "tokens")

    def __init__(self, now: float, *, floor: float, share: float = 0.2, slow: float = 1.0) -> None:
        self.floor = floor
        self.share = share
        self.slow = slow
        self.tokens = floor
        self._at = now

    def earn(self) -> None:
        """A row is sent for the first time."""
        tokens = self.tokens + self.share
        self.tokens = tokens if tokens < self.floor else self.floor

    def wait_for(self, now: float) -> float:
        """Seconds until there is a token, if nothing is earned meanwhile."""
        passed = now - self._at
        if passed > 0:
            self._at = now
            self.tokens = min(self.tokens + passed * self.slow, self.floor)
        return max(0.0, (1.0 - self.tokens) / self.slow)

    def spend(self, now: float) -> None:
        """A row is sent again."""
        self.tokens -= 1.0

    def refund(self) -> None:
        """Undo :meth:`spend`: the row was not sent."""
        self.tokens = min(self.tokens + 1.0, self.floor)


class _Stopped(asyncio.Event):
    """An event that also empties the queues."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def set(self) -> None:
        super().set()
        self._then()


class Throttle:
    """When each worker of a push may send.

    A worker calls :meth:`acquire` before each attempt, and :meth:`release` exactly once after it.
    Waiting workers are served in order. :class:`AdaptiveConcurrency` finds how many requests may
    be in flight, :class:`AdaptiveRateLimit` the rate that the service accepts,
    :class:`CircuitBreaker` handles outages and pauses, and :class:`RetryBudget` bounds retries.

    The service is never taken for down before it has worked once: until then rows fail at a small
    concurrency, and the caller can soon give up.

    Args:
        max_concurrency: maximum requests in flight.
        max_rate: maximum requests per second; ``None`` for no limit.
        single: allow one request at a time until the first is accepted, so that a wrong address
            or token fails one request only.
        now: a monotonic clock.
        pause: waits for so many seconds, or until the event is set.
        rand: a random number in [0, 1); for jitter only.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        max_rate: float | None = None,
        single: bool = False,
        now: Callable[[], float],
        pause: Pauser,
        rand: Callable[[], float],
    ) -> None:
        start = now()
        self.single = single
        self._now = now
        self._pause = pause
        self._max_rate = inf if max_rate is None else max_rate
        self._in_flight = 0
        self.concurrency = AdaptiveConcurrency(max_concurrency)
        self._rate = AdaptiveRateLimit(start)
        self.pace: SharedPace | None = None
        """That of other processes as well, instead of the rate learned here."""
        self._breaker = CircuitBreaker(longest=_LONGEST_WAIT, rand=rand)
        self._budget = RetryBudget(start, floor=float(max(10, max_concurrency)))
        self._queue = WaitQueue(
            wait_for=self._wait_for,
            on_admit=self._admit,
            on_abandon=self._abandon,
            now=now,
            pause=pause,
        )
        self._retry_queue = WaitQueue(
            wait_for=self._budget.wait_for,
            on_admit=self._budget.spend,
            on_abandon=self._budget.refund,
            now=now,
            pause=pause,
        )
        self.stopped = _Stopped(self._stop)
        """Set it to stop: from then on :meth:`acquire` returns False, also for those who wait."""
        self._next_at = -inf
        self._accepted = 0
        self._rate_limited = False
        self._ticked_at = start
        self._has_worked = False
        self._failures = 0
        self._last_worked_at = start
        self._limit_before = self.concurrency.limit
        self._unrestricted = False
        self._closed = False
        self._update_unrestricted(start)

    # --- for the workers -----------------------------------------------------------------------

    async def acquire(self, *, again: bool = False) -> bool:
        """Wait until a request may be sent.

        Args:
            again: this is a retry, to be charged to the retry budget.

        Returns:
            True: send now, and call :meth:`release` afterwards. False: the push was stopped.
        """
        if again:
            if not await self._wait_for_budget():
                return False
        else:
            self._budget.earn()
            if self._retry_queue.waiting:
                self._retry_queue.advance()
        if not self._queue.waiting and not self.stopped.is_set():
            now = self._now()
            if self._wait_for(now) <= 0.0:
                self._admit(now)
                return True
        try:
            return await self._queue.wait()
        except BaseException:
            if again:
                self._budget.refund()
            raise

    def try_acquire(self) -> bool:
        """:meth:`acquire` without waiting, for the usual case that nothing limits.

        Returns:
            True: send now, and call :meth:`release` afterwards. False: call :meth:`acquire`.
        """
        if (
            not self._unrestricted
            or self._queue.waiting
            or self._retry_queue.waiting
            or self._in_flight >= self.concurrency.limit
            or self._closed
        ):
            return False
        budget = self._budget
        if budget.tokens < budget.floor:
            budget.earn()
        self._in_flight += 1
        return True

    def release(
        self,
        signal: Signal,
        latency: float,
        retry_after: float | None = None,
        *,
        now: float | None = None,
    ) -> float:
        """Report the result of an attempt.

        Args:
            signal: the result.
            latency: seconds from :meth:`acquire` to the end.
            retry_after: seconds the service asks to wait, if it says so.
            now: the time, if it is known.

        Returns:
            Seconds for which this result pauses all workers; 0 if it starts no new pause.
        """
        if now is None:
            now = self._now()
        in_use = self._in_flight + 1.0 > self.concurrency.limit
        self._in_flight -= 1
        wait = 0.0
        if signal == "ok" or signal == "refused":
            self._accepted += 1
            self._last_worked_at = now
            if not self._has_worked or self._failures or not self._unrestricted:
                if signal == "ok":
                    self.single = False
                self._on_success(now, now - latency)
                self._report_accepted(now)
            self.concurrency.succeeded(latency, in_use)
        elif signal == "slow_down" or signal == "limit":
            longest = inf if signal == "slow_down" else _WORDED_LIMIT_WAIT
            wait = self._on_slow_down(now, now - latency, retry_after, longest)
        else:
            wait = self._on_failure(now, now - latency, signal)
        if now - self._ticked_at >= _TICK:
            self._tick(now, in_use)
        if self._queue.waiting:
            self._queue.advance()
        return wait

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return 1 if self.single else int(self.concurrency.limit)

    def allow_concurrency(self) -> None:
        """Lift the limit of one request at a time."""
        self.single = False
        self._update_unrestricted(self._now())
        self._queue.advance()

    async def wait_while_paused(self) -> bool:
        """Wait until sending is not paused, without acquiring.

        Returns:
            False if the push was stopped.
        """
        while not self.stopped.is_set():
            wait = self._breaker.wait_for(self._now())
            if wait <= 0:
                return True
            await self._pause(self.stopped, wait)
        return False

    def release_unused(self) -> None:
        """Release without a result: nothing was sent."""
        self._in_flight -= 1
        if self._queue.waiting:
            self._queue.advance()

    @property
    def state(self) -> ThrottleState:
        """The current limits."""
        now = self._now()
        rate = min(self._max_rate, self._rate.at(now))
        if self.pace is not None:
            rate = self.pace.rate
        paused = self._breaker.wait_for(now)
        cause = self._breaker.cause
        concurrency = self.concurrency
        mode: Mode
        if self._breaker.probing:
            mode = "probing"
        elif paused > 0 or cause is not None:
            mode = "paused"
        elif self._rate.level is not None or (self.pace is not None and not self.pace.unlimited):
            mode = "holding back"
        elif concurrency.ramping:
            mode = "ramping"
        elif concurrency.limit < concurrency.maximum:
            mode = "holding back"
        else:
            mode = "steady"
        self._budget.wait_for(now)
        return ThrottleState(
            mode=mode,
            limit=int(concurrency.limit),
            in_flight=self._in_flight,
            waiting=self._queue.waiting + self._retry_queue.waiting,
            rate=None if rate == inf else rate,
            paused_for=paused,
            down_for=0.0 if cause is None else now - self._last_worked_at,
            retries_left=int(self._budget.tokens),
        )

    def share(self, exchange: Exchange) -> SharedPace:
        """Send at a pace that other processes share, from now on.

        Args:
            exchange: how its state is changed; see :mod:`.pace`.
        """

        def changed(paused_until: float) -> None:
            if paused_until > self._breaker.paused_until:
                self._breaker.paused_until = paused_until
            self._update_unrestricted(self._now())
            self._queue.advance()

        self.pace = SharedPace(
            exchange,
            now=self._now,
            most=self._max_rate,
            wanted=lambda: int(self.concurrency.limit),
            changed=changed,
        )
        self._update_unrestricted(self._now())
        return self.pace

    # --- admission -----------------------------------------------------------------------------

    async def _wait_for_budget(self) -> bool:
        if self.stopped.is_set():
            return False
        return await self._retry_queue.wait()

    def _wait_for(self, now: float) -> float:
        if self._in_flight + 1.0 > (1.0 if self.single else self.concurrency.limit):
            return inf
        wait = self._breaker.wait_for(now)
        pace = self.pace
        until_next = self._next_at - now if pace is None else pace.wait_for(now)
        if until_next <= wait:
            return wait
        self._rate_limited = True
        return until_next

    def _admit(self, now: float) -> None:
        self._in_flight += 1
        if self._unrestricted:
            return
        rate = min(self._max_rate, self._rate.at(now))
        if self.pace is not None:
            self.pace.take()
        elif rate < inf:
            next_at = self._next_at
            self._next_at = (next_at if next_at > now - _CREDIT else now) + 1.0 / rate
        if self._breaker.acquired(now):
            self._budget.refund()  # probes have their own limit
        self._update_unrestricted(now)

    def _abandon(self) -> None:
        self._in_flight -= 1

    def _stop(self) -> None:
        self._closed = True
        self._queue.close()
        self._retry_queue.close()

    def _update_unrestricted(self, now: float) -> None:
        """Whether only concurrency limits, which takes the fast path."""
        self._unrestricted = (
            not self.single
            and self._max_rate == inf
            and self._rate.level is None
            and (self.pace is None or self.pace.unlimited)
            and self._breaker.cause is None
            and self._breaker.wait_for(now) <= 0.0
        )

    # --- results -------------------------------------------------------------------------------

    def _on_success(self, now: float, sent_at: float) -> None:
        self._has_worked = True
        breaker = self._breaker
        if breaker.cause is None:
            self._failures = 0
        elif sent_at >= breaker.opened_at:
            self._failures = 0
            self._resume(now)
        self._update_unrestricted(now)

    def _resume(self, now: float) -> None:
        breaker = self._breaker
        self._report_accepted(now)
        if breaker.cause == "down":
            if now - breaker.opened_at < _HICCUP:  # overloaded rather than down
                self._limit_before = max(1.0, 0.7 * self._limit_before)
            self.concurrency.restart(now, self._limit_before)
            self._rate.paused(now, now)
        else:
            self._rate.paused(breaker.opened_at, now)
        breaker.close(now)

    def _on_slow_down(
        self, now: float, sent_at: float, retry_after: float | None, longest: float
    ) -> float:
        breaker = self._breaker
        paused_until = breaker.paused_until
        wait = breaker.pause(now, retry_after) if retry_after else 0.0
        if breaker.cause is not None:
            if sent_at < breaker.opened_at:
                return wait
            breaker.probing = False
            return max(wait, breaker.wait_for(now))
        self._report_accepted(now)
        if self.pace is not None:
            self.pace.refused(sent_at, retry_after or 0.0)
            self._unrestricted = False
            return wait
        changed = self._rate.refused(now, sent_at, retry_after or 0.0)
        if retry_after:
            if wait:
                self._rate.paused(now, now + wait)
            if self._last_worked_at < paused_until <= sent_at:  # the pause was too short
                wait = breaker.open(now, "slow_down", max(0.5, retry_after), longest)
        elif changed:
            first = min(0.5, max(0.02, self._rate.round_trip, 2.0 / self._rate.at(now)))
            wait = breaker.open(now, "slow_down", first, longest)
        self._unrestricted = False
        return wait

    def _on_failure(self, now: float, sent_at: float, signal: Signal) -> float:
        self._failures += 2 if signal == "unreachable" else 1
        if not self._has_worked:
            return 0.0
        breaker = self._breaker
        if breaker.cause == "down":
            if sent_at < breaker.opened_at:
                return 0.0
            breaker.probing = False
            return breaker.wait_for(now)
        self.concurrency.failed()
        if self._failures < _FAILURES:
            return 0.0
        if now - breaker.closed_at > 5.0:  # else it is still ramping up
            self._limit_before = self.concurrency.limit
        self._unrestricted = False
        return breaker.open(now, "down", 0.5)

    def _report_accepted(self, now: float) -> None:
        self._rate.accepted(now, self._accepted)
        if self.pace is not None:
            self.pace.accepted(self._accepted)
        self._accepted = 0

    def _tick(self, now: float, in_use: bool) -> None:
        passed = now - self._ticked_at
        self._ticked_at = now
        self._report_accepted(now)
        if not self._rate_limited:
            self._rate.idle(now, passed)
        self._rate_limited = False
        self.concurrency.tick(now, passed)
        self._rate.round_trip = self.concurrency.usual_latency
        if self.pace is not None:
            self.pace.round_trip = self.concurrency.usual_latency
            self._update_unrestricted(now)
