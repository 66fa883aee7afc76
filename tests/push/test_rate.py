"""What a push gets from services with a hidden limit, in simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import ceil, inf

import pytest
from attrs import define

from kapture_async._core.push.rate import AdaptiveRateLimit

from .throttle_simulation import FixedWindow, Limiter, Service, SlidingWindow, TokenBucket, push

SEGMENT = 90.0
LIMITS = (50.0, 10.0, 80.0)


def limit_at(now: float) -> float:
    return LIMITS[min(int(now / SEGMENT), len(LIMITS) - 1)]


def says_nothing(wait: float) -> float | None:
    return None


def says_zero(wait: float) -> float | None:
    return 0.0


def says_one(wait: float) -> float | None:
    return 1.0


def says_a_date(wait: float) -> float | None:
    return max(0.0, ceil(wait) - 0.5)


@pytest.mark.parametrize(
    ("tells", "share"),
    # A second of silence for every touch of the limit leaves less.
    [(says_nothing, 0.93), (says_zero, 0.93), (says_one, 0.9), (says_a_date, 0.9)],
)
@pytest.mark.parametrize("limiter", [FixedWindow, SlidingWindow, TokenBucket])
def test_a_minute_after_a_change_most_of_the_limit_is_used(
    limiter: type[Limiter], tells: Callable[[float], float | None], share: float
) -> None:
    rand = random.Random(3)
    service = Service(
        latency=lambda: 0.05 * rand.uniform(0.8, 1.3),
        limiter=limiter(),
        rate=limit_at,
        retry_after=tells,
    )
    push(service, SEGMENT * len(LIMITS))
    for number, limit in enumerate(LIMITS):
        start, end = number * SEGMENT + 60.0, (number + 1) * SEGMENT
        assert service.rate_between(start, end) >= share * limit
        refused = sum(start <= at < end for at in service.refused)
        assert refused <= 0.05 * limit * (end - start)


@define
class HalfSecondBucket(Limiter):
    """A token bucket that saves what it gives in half a second, whatever its rate."""

    _tokens: float = 0.0
    _at: float = 0.0

    def ask(self, now: float, rate: float) -> float:
        self._tokens = min(rate / 2, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / rate


@pytest.mark.parametrize("tells", [says_nothing, says_one])
@pytest.mark.parametrize("limiter", [FixedWindow, SlidingWindow, HalfSecondBucket])
def test_a_limit_that_changes_every_twenty_five_seconds_is_followed(
    limiter: type[Limiter], tells: Callable[[float], float | None]
) -> None:
    taken = [0.0] * len(LIMITS)
    runs = (24.0, 25.0, 25.5, 26.5)  # how a change meets the probes is chance
    for seconds in runs:
        rand = random.Random(int(seconds))
        service = Service(
            latency=lambda rand=rand: 0.05 * rand.uniform(0.9, 1.4),
            limiter=limiter(),
            rate=lambda now, seconds=seconds: LIMITS[min(int(now / seconds), len(LIMITS) - 1)],
            retry_after=tells,
        )
        push(service, seconds * len(LIMITS), workers=100)
        for number in range(len(LIMITS)):
            taken[number] += service.rate_between(number * seconds, (number + 1) * seconds)
    shares = [rate / limit / len(runs) for rate, limit in zip(taken, LIMITS, strict=True)]
    assert min(shares) >= 0.7, shares


def test_a_latency_under_load_does_not_drift_upward() -> None:
    rand = random.Random(7)
    service = Service(latency=lambda: 0.1 * rand.uniform(0.5, 1.5), servers=lambda now: 12)
    run = push(service, 300, workers=128, watch=1.0)
    limits = [(at, state.limit) for at, state in run.states]
    early = [limit for at, limit in limits if 60 <= at < 120]
    late = [limit for at, limit in limits if at >= 240]
    assert sum(late) / len(late) <= 1.25 * sum(early) / len(early)
    assert max(late) <= 72, "three requests wait for each that is worked on, at most six"
    assert service.rate_between(60, 300) >= 0.95 * 120


def told(limit: AdaptiveRateLimit, start: float, end: float, rate: float) -> None:
    """The service accepted so many requests per second for a while."""
    now = start
    while now < end:
        limit.accepted(now, 1)
        now += 1.0 / rate


def test_no_limit_is_believed_before_a_refusal() -> None:
    limit = AdaptiveRateLimit(0.0)
    told(limit, 0.0, 5.0, 100.0)
    assert limit.at(5.0) == inf
    assert not limit.refused(5.0, 4.9), "one now and then is no limit"
    assert limit.at(5.0) == inf
    assert limit.refused(5.01, 4.95)
    assert 80 <= limit.at(5.02) <= 100


def test_refusals_of_what_was_sent_before_the_last_change_do_not_count() -> None:
    limit = AdaptiveRateLimit(0.0)
    told(limit, 0.0, 5.0, 100.0)
    assert limit.refused(5.0, 4.9, pause=1.0)
    level = limit.level
    for late in range(20):
        assert not limit.refused(5.0 + late / 100, 4.95, pause=1.0)
    assert limit.level == level


def test_a_time_in_which_something_else_bounds_proves_nothing() -> None:
    limit = AdaptiveRateLimit(0.0)
    told(limit, 0.0, 5.0, 100.0)
    assert limit.refused(5.0, 4.9, pause=1.0)
    level = limit.level
    for tick in range(600):
        limit.idle(5.1 + tick / 10, 0.1)
    assert limit.at(65.0) == level


def test_the_rate_rises_eightfold_within_seconds_without_refusals() -> None:
    limit = AdaptiveRateLimit(0.0)
    told(limit, 0.0, 5.0, 100.0)
    assert limit.refused(5.0, 4.9, pause=1.0)
    assert limit.level is not None
    assert limit.at(5.5) == limit.level
    assert limit.at(9.0) >= 8 * limit.level
