"""The throttle of a push on real sockets: ``python -m benchmarks.outages``, or ``--quick``.

First against a service with a hidden rate limit (50 requests per second, then 10, then 80), then
against one that is down for a while: unreachable, answering 503 or 500, silent. Journal, references
and typed outcomes are on. The push is told nothing about either.

``of ideal`` compares the accepted requests with those that the limit allows; ``tries`` during an
outage are a share of normal traffic; ``back after`` is when nine tenths of full speed were reached
again, measured over half a second.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, field

from kapture_async import KaptureClient, PushStoppedError, Timeout
from kapture_async.events import AttemptStarted
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

BURST = 10.0
LATENCY = 0.05
WORKERS = 20
FULL_SPEED = 0.9
WINDOW = 0.5


@define
class HiddenLimit:
    """A token bucket before the service; its rate changes with time."""

    segment: float
    rates: tuple[float, ...] = (50.0, 10.0, 80.0)
    began: float = field(factory=time.monotonic)
    refused: int = 0
    taken: int = 0
    _tokens: float = BURST
    _at: float = field(factory=time.monotonic)

    def draw(self) -> Fault | None:
        """What the request that comes now has to suffer."""
        now = time.monotonic()
        place = min(int((now - self.began) / self.segment), len(self.rates) - 1)
        rate = self.rates[place]
        self._tokens = min(BURST, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens < 1.0:
            self.refused += 1
            return Fault("status", status=429)
        self._tokens -= 1.0
        self.taken += 1
        return None


@define
class Traffic:
    """When requests were tried, and when tickets were made."""

    tries: list[float] = field(factory=list)
    made: list[float] = field(factory=list)

    def on_event(self, event: object) -> None:
        if isinstance(event, AttemptStarted):
            self.tries.append(time.monotonic())

    def between(self, moments: list[float], start: float, end: float) -> int:
        return bisect_left(moments, end) - bisect_left(moments, start)


def rows() -> Iterator[dict[str, str]]:
    number = 0
    while True:
        number += 1
        yield {"title": f"ticket {number}", "ticket_details": "text " * 20}


async def push_for(
    seconds: float, emulator: KaptureEmulator, traffic: Traffic, timeout: float = 2.0
) -> dict[str, int]:
    """Push for so long; gives how many outcomes of which kind there were."""
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with KaptureClient(
            base_url=emulator.url,
            token=emulator.token,
            timeout=Timeout(total=timeout),
            max_connections=WORKERS,
            on_event=traffic.on_event,
        ) as client:
            journal = Path(folder, "j")
            push = client.tickets.push(
                rows(), journal=journal, give_up_after=None, new_journal=True
            )
            stop = asyncio.get_running_loop().call_later(seconds, push.stop)
            try:
                async with push as outcomes:
                    async for outcome in outcomes:
                        name = outcome.name
                        if push.stop_reason is not None and name in ("rejected", "not_sent"):
                            name = "waiting at the end"
                        counts[name] = counts.get(name, 0) + 1
            except PushStoppedError as error:
                print(error)
            stop.cancel()
    traffic.made = [entry.monotonic for entry in emulator.ledger.entries]
    return counts


def hidden_limits(segment: float) -> None:
    with KaptureEmulator(latency=LATENCY).in_thread() as emulator:
        limit = HiddenLimit(segment)
        emulator.faults = FaultPlan(limit.draw)
        traffic = Traffic()
        # Nothing is silent here: only a machine that halts could let a call run out of time.
        counts = asyncio.run(push_for(segment * len(limit.rates), emulator, traffic, timeout=60.0))
    ideals = [rate * segment for rate in limit.rates]
    for place, rate in enumerate(limit.rates):
        start = limit.began + place * segment
        made = traffic.between(traffic.made, start, start + segment)
        print(f"limit {rate:>3.0f}/s for {segment:g} s: {made / rate / segment:.3f} of ideal")
    share = limit.refused / (limit.refused + limit.taken)
    whole = len(traffic.made) / sum(ideals)
    print(f"limits: {whole:.3f} of ideal, {share:.4f} refused, outcomes {counts}", flush=True)


def outage(kind: str, before: float, during: float, after: float) -> None:
    faults = {
        "answers 503": FaultPlan.rate(1.0, kinds=[Fault("status", status=503)]),
        "answers 500": FaultPlan.rate(1.0, kinds=[Fault("status", status=500)]),
        "is silent": FaultPlan.rate(1.0, kinds=["silence_before"]),
    }
    with KaptureEmulator(latency=LATENCY).in_thread() as emulator:

        def end() -> None:
            if kind == "is unreachable":
                emulator.listen_again()
            emulator.faults = FaultPlan()

        def begin() -> None:
            if kind == "is unreachable":
                emulator.stop_listening()
            else:
                emulator.faults = faults[kind]

        async def run() -> tuple[float, dict[str, int]]:
            started = time.monotonic()
            _at(before, begin)
            _at(before + during, end)
            return started, await push_for(before + during + after, emulator, traffic)

        traffic = Traffic()
        started, counts = asyncio.run(run())
    down, up, over = started + before, started + before + during, started + before + during + after
    normal = traffic.between(traffic.made, down - before / 2, down) / (before / 2)
    tries = traffic.between(traffic.tries, down, up) / max(1.0, normal * during)
    back = _back_at(traffic, up, over, normal) - up
    doubts = counts.get("unknown", 0)
    print(
        f"{kind:>14} for {during:g} s: normal {normal:.0f}/s, tries {tries:.4f} of normal,"
        f" back after {back:.1f} s, doubts {doubts}",
        flush=True,
    )


def _at(seconds: float, act: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(seconds, lambda: loop.run_in_executor(None, act))


def _back_at(traffic: Traffic, up: float, over: float, normal: float) -> float:
    moment = up
    while moment + WINDOW <= over:
        made = traffic.between(traffic.made, moment, moment + WINDOW)
        if made >= FULL_SPEED * normal * WINDOW:
            return moment
        moment += 0.05
    return float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segment", type=float, default=150.0, help="seconds of each limit")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds of each outage")
    parser.add_argument("--quick", action="store_true", help="some seconds of each")
    given = parser.parse_args()
    if given.quick:
        hidden_limits(0.7)
        outage("is unreachable", 0.7, 0.5, 1.5)
        return
    hidden_limits(given.segment)
    for kind in ("is unreachable", "answers 503", "answers 500", "is silent"):
        outage(kind, 10.0, given.outage, 15.0)


if __name__ == "__main__":
    main()
