"""A service and its workers in simulated time: real coroutines, real queues, no real clock.

The event loop below jumps to its next timer instead of sleeping, so minutes pass in
milliseconds, and the same run gives the same numbers every time.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, TypeVar

from attrs import define, field, frozen

from kapture_async._core.push.throttle import Signal, Throttle
from kapture_async._core.push.wait_queue import pause_on_clock

T = TypeVar("T")


class _Leap(selectors.SelectSelector):
    """Nothing is ever ready; to wait is to move the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        self.now += max(timeout, 0.0)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


# --- services --------------------------------------------------------------------------------


@frozen
class Answer:
    signal: Signal
    latency: float
    retry_after: float | None = None


class Limiter:
    """Says yes, or how long until it will."""

    def ask(self, now: float, rate: float) -> float:
        raise NotImplementedError


@define
class TokenBucket(Limiter):
    burst: float = 10.0
    _tokens: float = 10.0
    _at: float = 0.0

    def ask(self, now: float, rate: float) -> float:
        self._tokens = min(self.burst, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / rate


@define
class SlidingWindow(Limiter):
    seconds: float = 1.0
    counts_refused: bool = False
    _log: deque[float] = field(factory=deque[float])

    def ask(self, now: float, rate: float) -> float:
        log = self._log
        while log and log[0] <= now - self.seconds:
            log.popleft()
        most = int(rate * self.seconds)
        if len(log) < most:
            log.append(now)
            return 0.0
        wait = log[-most] + self.seconds - now
        if self.counts_refused:
            log.append(now)
        return wait


@define
class FixedWindow(Limiter):
    seconds: float = 1.0
    _window: int = -1
    _count: int = 0

    def ask(self, now: float, rate: float) -> float:
        window = int(now / self.seconds)
        if window != self._window:
            self._window, self._count = window, 0
        if self._count < rate * self.seconds:
            self._count += 1
            return 0.0
        return (window + 1) * self.seconds - now


@define
class Service:
    """Answers each request as its settings say, and counts.

    Args:
        latency: seconds of one request that need not queue, drawn anew for each.
        rate: requests per second it takes at a time; infinity for no limit.
        retry_after: what a refusal tells, given the true wait.
        servers: how many it works on at a time; more queue.
        concurrency: how many may be there; more are refused.
        fate: overrides the answer of a request, ``None`` for none.
    """

    latency: Callable[[], float]
    limiter: Limiter = field(factory=TokenBucket)
    rate: Callable[[float], float] = lambda now: inf
    retry_after: Callable[[float], float | None] = lambda wait: None
    servers: Callable[[float], int] | None = None
    concurrency: int | None = None
    fate: Callable[[float], Answer | None] = lambda now: None
    inside: int = 0
    taken: list[float] = field(factory=list[float])
    refused: list[float] = field(factory=list[float])
    tries: list[float] = field(factory=list[float])
    _busy: list[float] = field(factory=list[float])

    async def call(self) -> Answer:
        loop = asyncio.get_running_loop()
        now = loop.time()
        answer = self._decide(now)
        self.inside += 1
        try:
            await asyncio.sleep(answer.latency)
        finally:
            self.inside -= 1
        return answer

    def _decide(self, now: float) -> Answer:
        self.tries.append(now)
        answer = self.fate(now)
        if answer is not None:
            return answer
        latency = self.latency()
        rate = self.rate(now)
        if rate < inf:
            wait = self.limiter.ask(now, rate)
            if wait > 0:
                self.refused.append(now)
                return Answer("slow_down", latency, self.retry_after(wait))
        if self.concurrency is not None and self.inside >= self.concurrency:
            self.refused.append(now)
            return Answer("slow_down", latency / 10, None)
        self.taken.append(now)
        return Answer("ok", latency + self._queue(now, latency))

    def _queue(self, now: float, latency: float) -> float:
        if self.servers is None:
            return 0.0
        busy = self._busy
        while busy and (busy[0] <= now):
            heapq.heappop(busy)
        while len(busy) > 4096:  # pragma: no cover - a simulation that ran away
            raise RuntimeError("the queue grows without end")
        servers = self.servers(now)
        if len(busy) < servers:
            heapq.heappush(busy, now + latency)
            return 0.0
        ends = heapq.nsmallest(len(busy) - servers + 1, busy)[-1]
        heapq.heappush(busy, ends + latency)
        return ends - now

    def rate_between(self, begin: float, end: float) -> float:
        """Requests per second that were taken."""
        return sum(begin <= at < end for at in self.taken) / (end - begin)


@define
class Run:
    """What came of a push in simulated time."""

    service: Service
    throttle: Throttle
    seconds: float
    retries: list[float]
    states: list[Any]

    @property
    def refused_share(self) -> float:
        return len(self.service.refused) / max(1, len(self.service.tries))


def push(
    service: Service,
    seconds: float,
    *,
    workers: int = 64,
    max_rate: float | None = None,
    seed: int = 1,
    watch: float | None = None,
    retries_of: frozenset[str] = frozenset({"slow_down", "unreachable"}),
) -> Run:
    """Push rows without end for so many seconds, the way the engine does."""
    retries: list[float] = []
    states: list[Any] = []

    async def main() -> Run:
        loop = asyncio.get_running_loop()
        throttle = Throttle(
            max_concurrency=workers,
            max_rate=max_rate,
            now=loop.time,
            pause=pause_on_clock,
            rand=random.Random(seed).random,
        )

        async def work() -> None:
            while True:
                again = False
                while True:
                    if not await throttle.acquire(again=again):
                        return
                    began = loop.time()
                    if again:
                        retries.append(began)
                    answer = await service.call()
                    throttle.release(answer.signal, loop.time() - began, answer.retry_after)
                    if answer.signal not in retries_of:
                        break
                    again = True

        tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
        if watch is None:
            await asyncio.sleep(seconds)
        else:
            while loop.time() < seconds:
                states.append((loop.time(), throttle.state))
                await asyncio.sleep(watch)
        throttle.stopped.set()
        await asyncio.gather(*tasks)
        return Run(service, throttle, seconds, retries, states)

    return simulate(main())
