"""The throttle of a push against simulated services, in simulated time."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kapture_async._core.push.throttle import RetryBudget, Signal, Throttle
from kapture_async._core.push.wait_queue import pause_on_clock

from .throttle_simulation import (
    Answer,
    FixedWindow,
    Limiter,
    Run,
    Service,
    SlidingWindow,
    TokenBucket,
    push,
    simulate,
)


def about(seconds: float, seed: int = 3) -> Callable[[], float]:
    rand = random.Random(seed)
    return lambda: seconds * rand.uniform(0.8, 1.3)


def nothing(wait: float) -> None:
    return None


def whole_seconds(wait: float) -> float:
    return float(max(1, math.ceil(wait)))


def exact(wait: float) -> float:
    return wait


def new_throttle(**settings: Any) -> Throttle:
    """For use inside a simulation."""
    settings.setdefault("max_concurrency", 64)
    loop = asyncio.get_running_loop()
    return Throttle(now=loop.time, pause=pause_on_clock, rand=random.Random(1).random, **settings)


# --- the window ------------------------------------------------------------------------------


def test_a_service_without_limits_is_used_in_full_after_a_moment() -> None:
    run = push(Service(latency=lambda: 0.1), 10, watch=0.05)
    reached = next(at for at, state in run.states if state.limit == 64)
    assert 0.2 < reached < 1.5, "neither all at once nor slowly"
    assert min(state.limit for at, state in run.states if at > 1.5) == 64
    assert run.service.rate_between(1.5, 10) >= 0.95 * 640
    assert run.states[0][1].mode == "ramping"
    assert run.states[-1][1].mode == "steady"


def test_it_begins_small() -> None:
    run = push(Service(latency=lambda: 0.1), 0.35)
    assert sum(at < 0.1 for at in run.service.tries) == 8
    assert sum(at < 0.2 for at in run.service.tries) <= 8 + 16


@pytest.mark.parametrize("latency", [1 / 5000, 1 / 500])
def test_a_service_bound_by_its_processor_keeps_its_window(latency: float) -> None:
    # One at a time: the latency is sixty-four times higher at the full window.
    run = push(Service(latency=lambda: latency, servers=lambda now: 1), 1000 * latency, watch=0.02)
    assert run.service.rate_between(0.1 * run.seconds, run.seconds) >= 0.97 / latency
    # By the thousand a second, more of them out would only cost our own processor.
    assert run.states[-1][1].limit == (48 if latency < 0.001 else 64)


def test_answers_that_had_to_connect_are_no_measure() -> None:
    first = iter([0.02] * 8)
    run = push(
        Service(latency=lambda: next(first, 1 / 5000), servers=lambda now: 1), 0.5, watch=0.02
    )
    assert run.states[-1][1].limit == 48


@pytest.mark.parametrize("kind", ["lognormal", "two kinds", "long tail"])
def test_a_latency_that_varies_by_nature_costs_no_throughput(kind: str) -> None:
    rand = random.Random(5)
    latency: Callable[[], float] = {
        "lognormal": lambda: 0.2 * rand.lognormvariate(0, 1),
        "two kinds": lambda: rand.choice((0.05, 0.5)),
        "long tail": lambda: 2.0 if rand.random() < 0.05 else 0.1,
    }[kind]
    mean = sum(latency() for _ in range(20_000)) / 20_000
    run = push(Service(latency=latency), 40)
    assert run.service.rate_between(5, 40) >= 0.93 * 64 / mean


def test_a_service_that_became_slower_keeps_its_window() -> None:
    service = Service(latency=lambda: 0.1 if asyncio.get_running_loop().time() < 10 else 0.6)
    run = push(service, 60)
    assert service.rate_between(25, 60) >= 0.95 * 64 / 0.6
    assert run.throttle.state.limit == 64


def test_a_service_that_can_do_less_gets_a_smaller_window_at_no_cost() -> None:
    service = Service(latency=lambda: 0.1, servers=lambda now: 64 if now < 10 else 12)
    run = push(service, 50, watch=1.0)
    assert max(state.limit for at, state in run.states if at > 35) <= 48
    assert min(state.limit for at, state in run.states if at > 35) >= 12
    assert service.rate_between(15, 50) >= 0.97 * 120
    assert run.states[-1][1].mode == "holding back"


def test_failures_shrink_the_window_while_that_may_help() -> None:
    # Works for 16 at a time and falls over beyond.
    service = Service(latency=lambda: 0.1)
    service.fate = lambda now: Answer("failed", 0.1) if service.inside >= 24 else None
    run = push(service, 30, watch=0.5)
    assert sum(state.limit for at, state in run.states if at > 5) / 50 < 40
    assert len(service.taken) > 30 * 100


def test_failures_that_come_whatever_is_out_do_not_strangle_the_push() -> None:
    rand = random.Random(2)
    service = Service(
        latency=lambda: 0.1,
        fate=lambda now: Answer("failed", 0.1) if rand.random() < 0.2 else None,
    )
    push(service, 60)
    assert service.rate_between(0, 60) >= 0.7 * 640 * 0.8


# --- the rate --------------------------------------------------------------------------------


def hidden_limit(limiter: Limiter, tells: Any, segment: float, latency: float = 0.1) -> Run:
    service = Service(
        latency=about(latency),
        limiter=limiter,
        rate=lambda now: 50.0 if now < segment else 10.0 if now < 2 * segment else 80.0,
        retry_after=tells,
    )
    return push(service, 3 * segment, watch=1.0)


@pytest.mark.parametrize(
    ("limiter", "tells", "segment", "share"),
    [
        (TokenBucket, nothing, 150.0, 0.9),
        (TokenBucket, exact, 150.0, 0.9),
        (SlidingWindow, nothing, 150.0, 0.9),
        (SlidingWindow, exact, 150.0, 0.9),
        # A whole second of silence for each touch of the limit: it is probed less often, so that
        # nine tenths remain of a limit that stays as it is, and a rise is found later.
        (TokenBucket, whole_seconds, 240.0, 0.88),
    ],
)
def test_a_hidden_limit_is_found_kept_and_found_again(
    limiter: type[Limiter], tells: Any, segment: float, share: float
) -> None:
    run = hidden_limit(limiter(), tells, segment)
    assert len(run.service.taken) >= share * segment * (50 + 10 + 80)
    assert run.refused_share <= 0.02
    # After the fall it asks for little more than it gets, and soon after the rise it has it all.
    assert len([at for at in run.service.tries if segment + 10 <= at < 2 * segment]) < 11 * segment
    assert run.service.rate_between(2 * segment + 25, 3 * segment) >= 0.9 * 80
    assert run.states[-1][1].mode in ("holding back", "paused", "probing")


def test_what_the_service_asks_for_holds_for_all() -> None:
    run = hidden_limit(SlidingWindow(), whole_seconds, 20.0)
    refused = run.service.refused
    assert refused
    for at in refused:
        # The answer takes up to 0.13 s to come back.
        assert not [late for late in run.service.tries if at + 0.13 < late < at + 1.08]


def test_those_who_are_refused_together_report_one_pause() -> None:
    async def main() -> list[float]:
        throttle = new_throttle(max_concurrency=8)
        for _ in range(8):
            assert await throttle.acquire()
        waits = []
        for _ in range(8):
            await asyncio.sleep(0.01)
            waits.append(throttle.release("slow_down", 0.1, 2.0))
        waits.append(throttle.state.paused_for)
        return waits

    first, *others, paused_for = simulate(main())
    assert 2.0 <= first <= 2.05
    assert others == [0.0] * 7
    assert paused_for >= 2.0, "counted from the last refusal"


def test_a_quota_for_a_minute_is_spread_over_it() -> None:
    service = Service(latency=about(0.1), limiter=FixedWindow(60.0), rate=lambda now: 20.0)
    run = push(service, 420)
    assert len(service.taken) >= 0.97 * 20 * 420
    assert run.refused_share <= 0.05
    # At first it is spent in seconds; once that is understood, half of it is left after half.
    by_half = [sum(m * 60 <= at < m * 60 + 30 for at in service.taken) for m in range(7)]
    assert by_half[0] == 1200
    assert min(by_half) < 800


def test_refusals_that_do_not_depend_on_the_rate_do_not_strangle_the_push() -> None:
    rand = random.Random(4)
    service = Service(
        latency=lambda: 0.1,
        fate=lambda now: Answer("slow_down", 0.1) if rand.random() < 0.004 else None,
    )
    push(service, 30)
    assert service.rate_between(0, 30) >= 0.8 * 640


def test_a_limit_of_how_many_at_a_time_is_respected() -> None:
    service = Service(latency=lambda: 0.1, concurrency=16)
    run = push(service, 60)
    assert service.rate_between(15, 60) >= 0.85 * 160
    assert run.refused_share <= 0.02


# --- outages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "after"), [("unreachable", 0.001), ("failed", 0.02), ("lost", 30.0)]
)
def test_an_outage_of_five_minutes(signal: Signal, after: float) -> None:
    def fate(now: float) -> Answer | None:
        return Answer(signal, after) if 5 <= now < 305 else None

    run = push(Service(latency=lambda: 0.1, fate=fate), 320, watch=0.5)
    service = run.service
    during = [at for at in service.tries if 5 <= at < 305]
    assert len(during) <= 64 + 64
    retries = [at for at in run.retries if 5 <= at < 305]
    assert len(retries) <= 0.2 * 640 * 300 / 100, "far under a fifth of normal traffic"
    # One at a time, with longer and longer waits; not all together when it is back.
    probes = [at for at in during if at > 40]
    assert all(2.0 <= late - soon <= 8.2 for soon, late in pairwise(probes))
    assert service.rate_between(314, 320) >= 0.95 * 640
    first = min(at for at in service.taken if at > 305)
    assert sum(first < at <= first + 0.15 for at in service.tries) <= 64 // 2
    modes = {state.mode for at, state in run.states if 40 < at < 300}
    assert modes <= {"paused", "probing"}
    assert max(state.down_for for _, state in run.states) > 290
    assert run.states[-1][1].down_for == 0


def test_a_gateway_that_only_says_slow_down_is_an_outage_too() -> None:
    def fate(now: float) -> Answer | None:
        return Answer("slow_down", 0.02) if 20 <= now < 140 else None

    service = Service(latency=lambda: 0.1, fate=fate)
    push(service, 155)
    assert sum(20 <= at < 140 for at in service.tries) < 200
    assert service.rate_between(150, 155) >= 0.9 * 640


@pytest.mark.parametrize(
    ("signal", "after"), [("unreachable", 0.001), ("failed", 0.02), ("lost", 5.0)]
)
def test_what_never_worked_is_not_waited_for(signal: Signal, after: float) -> None:
    service = Service(latency=lambda: 0.1, fate=lambda now: Answer(signal, after))
    run = push(service, 100 / 8 * after + 0.2, retries_of=frozenset())
    assert len(service.tries) >= 100
    assert run.throttle.state.down_for == 0
    assert run.throttle.state.limit == 8


def test_a_bad_row_now_and_then_is_no_outage() -> None:
    count = 0

    def fate(now: float) -> Answer | None:
        nonlocal count
        count += 1
        return Answer("failed", 0.1) if count % 6 else None

    # Five failures in a row, then one that works.
    run = push(Service(latency=lambda: 0.1, fate=fate), 5, workers=1, watch=0.01)
    assert all(state.down_for == 0 for _, state in run.states)


# --- retries ---------------------------------------------------------------------------------


def test_repetitions_stay_a_fifth_of_the_traffic() -> None:
    rand = random.Random(6)
    service = Service(
        latency=lambda: 0.05,
        fate=lambda now: Answer("unreachable", 0.01) if rand.random() < 0.4 else None,
    )
    run = push(service, 60)
    failed = len(service.tries) - len(service.taken)
    assert failed > 0.35 * len(service.tries), "far more would be repeated without a budget"
    for begin in range(0, 60, 10):
        repeated = sum(begin <= at < begin + 10 for at in run.retries)
        tried = sum(begin <= at < begin + 10 for at in service.tries)
        assert repeated <= 0.2 * tried + 64 + 10


def test_a_small_push_may_repeat_each_row() -> None:
    async def main() -> None:
        throttle = new_throttle(max_concurrency=4)
        for again in (False, True, True, True):
            assert await throttle.acquire(again=again)
            throttle.release("ok", 0.0)
        assert asyncio.get_running_loop().time() == 0.0

    simulate(main())


def test_who_all_wait_to_repeat_are_not_stuck() -> None:
    async def main() -> float:
        throttle = new_throttle(max_concurrency=1)
        for _ in range(14):
            assert await throttle.acquire(again=True)
            throttle.release("refused", 0.0)
        return asyncio.get_running_loop().time()

    assert simulate(main()) == pytest.approx(4.0)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["first", "again", "back"]), st.floats(0, 3)), max_size=200
    ),
    floor=st.integers(1, 20),
)
def test_the_budget_is_never_overdrawn(steps: list[tuple[str, float]], floor: int) -> None:
    budget = RetryBudget(0.0, floor=float(floor))
    now, firsts, repeated = 0.0, 0, 0
    for step, passed in steps:
        now += passed
        if step == "first":
            budget.earn()
            firsts += 1
        elif step == "again" and budget.wait_for(now) == 0.0:
            budget.spend(now)
            repeated += 1
        elif step == "back" and repeated:
            budget.refund()
            repeated -= 1
        assert -1e-9 <= budget.tokens <= floor
        assert repeated <= floor + 0.2 * firsts + now + 1e-6


# --- the line --------------------------------------------------------------------------------


def test_first_come_first_served() -> None:
    async def main() -> list[int]:
        throttle = new_throttle(max_concurrency=1)
        order: list[int] = []

        async def work(number: int) -> None:
            for _ in range(3):
                assert await throttle.acquire()
                order.append(number)
                await asyncio.sleep(0.01)
                throttle.release("ok", 0.01)

        await asyncio.gather(*(work(number) for number in range(5)))
        return order

    assert simulate(main()) == [0, 1, 2, 3, 4] * 3


@pytest.mark.parametrize("reason", ["window", "pause", "budget", "rate"])
def test_stopping_frees_all_at_once(reason: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        throttle = new_throttle(max_concurrency=2, max_rate=0.001 if reason == "rate" else None)
        again = reason == "budget"
        if reason == "budget":
            for _ in range(10):
                assert await throttle.acquire(again=True)
                throttle.release("refused", 0.0)
        else:
            assert await throttle.acquire()
            if reason == "window":
                assert await throttle.acquire()
            elif reason == "pause":
                assert throttle.release("slow_down", 0.0, 1000.0) >= 1000.0
        waiting = [asyncio.ensure_future(throttle.acquire(again=again)) for _ in range(20)]
        await asyncio.sleep(0.5)
        assert throttle.state.waiting == 20
        throttle.stopped.set()
        assert await asyncio.gather(*waiting) == [False] * 20
        assert loop.time() == 0.5
        assert not await throttle.acquire()
        assert not await throttle.acquire(again=True)
        assert throttle.state.waiting == 0

    simulate(main())


def test_a_turn_given_to_one_who_was_cancelled_goes_to_the_next() -> None:
    async def main() -> None:
        throttle = new_throttle(max_concurrency=1)
        assert await throttle.acquire()
        gone = asyncio.ensure_future(throttle.acquire(again=True))
        next_one = asyncio.ensure_future(throttle.acquire())
        await asyncio.sleep(0)
        left = throttle.state.retries_left
        throttle.release("ok", 0.1)
        gone.cancel()  # it has the turn, and has not run yet
        assert await next_one
        assert gone.cancelled()
        assert (throttle.state.in_flight, throttle.state.waiting) == (1, 0)
        assert throttle.state.retries_left == left + 1

    simulate(main())


def test_who_keeps_the_clock_may_be_cancelled() -> None:
    async def main() -> float:
        throttle = new_throttle()
        assert await throttle.acquire()
        throttle.release("slow_down", 0.0, 5.0)
        waiting = [asyncio.ensure_future(throttle.acquire()) for _ in range(4)]
        await asyncio.sleep(1)
        waiting[0].cancel()
        assert await waiting[1]
        return asyncio.get_running_loop().time()

    assert 5.0 <= simulate(main()) <= 5.2


SIGNALS = st.sampled_from(
    ["ok"] * 8 + ["refused", "slow_down", "slow_down", "unreachable", "lost", "failed", "failed"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ends=st.lists(
        st.tuples(SIGNALS, st.floats(0.0, 2.0), st.sampled_from([None, None, 0.0, 0.3, 2.0])),
        min_size=1,
        max_size=150,
    ),
    most=st.integers(1, 12),
    max_rate=st.sampled_from([None, 5.0, 300.0]),
    cancelled=st.sets(st.integers(0, 15), max_size=6),
)
def test_no_turn_is_lost_and_no_bound_exceeded(
    ends: list[tuple[Signal, float, float | None]],
    most: int,
    max_rate: float | None,
    cancelled: set[int],
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        throttle = new_throttle(max_concurrency=most, max_rate=max_rate)
        left = list(ends)
        entered: list[float] = []
        inside = 0

        async def work() -> None:
            nonlocal inside
            again = False
            while left:
                if not await throttle.acquire(again=again):
                    return
                inside += 1
                state = throttle.state
                assert inside <= state.in_flight <= most
                assert state.limit <= most
                entered.append(loop.time())
                signal, latency, retry_after = left.pop() if left else ("ok", 0.0, None)
                try:
                    await asyncio.sleep(latency)
                finally:
                    inside -= 1
                    wait = throttle.release(signal, latency, retry_after)
                    assert wait >= 0
                    if signal == "slow_down" and retry_after:
                        assert throttle.state.paused_for >= retry_after - 1e-6
                again = signal in ("slow_down", "unreachable")

        tasks = [asyncio.ensure_future(work()) for _ in range(16)]
        for number in sorted(cancelled):
            await asyncio.sleep(0.05 * number)
            tasks[number].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            result is None or isinstance(result, asyncio.CancelledError) for result in done
        ), done
        assert (throttle.state.in_flight, throttle.state.waiting) == (0, 0)
        if max_rate is not None:
            for first in range(len(entered)):
                for last in range(first, len(entered)):
                    span = entered[last] - entered[first] + 0.005
                    assert last - first <= max_rate * span + 1 + 1e-6

    simulate(main())


def test_the_cap_on_the_rate_is_reached_and_kept() -> None:
    run = push(Service(latency=about(0.1)), 30, max_rate=100.0)
    tries = run.service.tries
    assert len(tries) >= 0.98 * 100 * 30
    for first in range(0, len(tries) - 100, 7):
        assert tries[first + 100] - tries[first] >= 0.99


def test_an_open_throttle_costs_next_to_nothing() -> None:
    async def nothing() -> bool:
        return time.monotonic() > 0

    async def main() -> float:
        throttle = Throttle(
            max_concurrency=64, now=time.monotonic, pause=pause_on_clock, rand=random.random
        )
        open_, idle = math.inf, math.inf
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(5_000):
                await throttle.acquire()
                throttle.release("ok", 0.001)
            between = time.perf_counter()
            for _ in range(5_000):
                await nothing()
            open_ = min(open_, between - began)
            idle = min(idle, time.perf_counter() - between)
        return open_ / idle

    # As much as a handful of such calls; a bound that only a change of kind breaks.
    assert asyncio.run(main()) < 100
