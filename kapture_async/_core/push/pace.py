"""One pace for many processes: what they send together obeys the limit of the service.

The learned rate of a target is one value in the shared journal. Each process draws turns ahead,
for an eighth of a second at a time, and says what has become of its requests since; a refusal is
told to all within a quarter of a second. The first part is pure: what one draw changes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

from attrs import frozen

from ..errors import HelpdeskError
from ..journal.storage import PaceState
from .rate import AdaptiveRateLimit

_CHUNK = 0.125
"""Seconds' worth of turns that are drawn at a time."""
_AHEAD = 0.25
"""Turns are given out for so many seconds ahead."""
_HEARD = 0.3
"""Seconds after which what happened is known from all processes: they report more often."""
_MEANWHILE = 0.9
"""The share of the level that is used until then, after a refusal."""
_PROBE, _PROBE_MORE, _PROBE_AFTER = 1.15, 0.25, 2.0
"""How far a probe exceeds the level: so many times; and by how much more for each second after so
many seconds in which nothing was refused."""
_STALE = 1.0
"""Seconds after which a turn that was not used is gone."""
_EVERY, _AT_FIRST = 0.25, 0.05
"""Seconds between two draws while no limit is known: usually, and in the first seconds, in which
processes find the limit together."""
_FIRST_SECONDS = 10.0
_TOGETHER = 0.02
"""Seconds within which accepted requests are told as one."""


@frozen
class PaceReport:
    """What a process has seen since it last drew, and what it wants.

    Attributes:
        accepted: how many seconds ago requests were accepted, and how many.
        refused: for each that was refused as too many: how many seconds ago, and how many seconds
            ago it was sent; and how long the service asks to wait, 0 if it does not say.
        wanted: turns.
        round_trip: seconds that an answer takes.
        most: requests per second that the processes may send together; infinity for any number.
    """

    accepted: tuple[tuple[float, int], ...] = ()
    refused: tuple[tuple[float, float, float], ...] = ()
    wanted: int = 0
    round_trip: float = 0.0
    most: float = inf


@frozen
class PaceGrant:
    """Turns.

    Attributes:
        rate: requests per second; infinity while no limit is known: then no turn is needed.
        turns: how many there are, one each ``1 / rate`` seconds.
        wait: seconds until the first of them.
        paused: seconds for which nobody sends anything.
    """

    rate: float = inf
    turns: int = 0
    wait: float = 0.0
    paused: float = 0.0


def draw(state: PaceState, now: float, report: PaceReport) -> tuple[PaceState, PaceGrant]:
    """What a draw changes, and what it gives.

    Args:
        state: before.
        now: the time.
        report: of the process that draws.
    """
    rate, events = _restored(state.rate, now)
    paused_until, drawn_at = state.paused_until, state.drawn_at or now
    rate.round_trip = max(report.round_trip, 0.0)
    if state.next_at < now and now >= paused_until:  # nobody waited for a turn
        rate.idle(now, now - max(drawn_at, state.next_at))
    events += [(now - ago, count, 0.0, 0.0) for ago, count in report.accepted]
    for ago, sent_ago, retry_after in report.refused:
        events.append((now - ago, 0, now - sent_ago, retry_after))
        until = now - ago + 1.02 * retry_after
        if retry_after and until - paused_until > 0.3 * retry_after:
            paused_until = max(until, paused_until)
    events.sort()
    heard = [event for event in events if event[0] <= now - _HEARD]
    events = events[len(heard) :]
    for at, count, sent_at, retry_after in heard:
        if count:
            rate.accepted(at, count)
        elif rate.refused(at, sent_at, retry_after) and retry_after:
            rate.paused(at, max(at, paused_until))
    level = min(rate.at(now), _probed(rate, now), report.most)
    if any(not count for _, count, *_ in events):
        # A refusal of a moment ago: what it means is known when all have said what they have seen.
        level = min(level, _MEANWHILE * (rate.level or 0.0))
        if rate.level is None:
            paused_until = max(paused_until, events[-1][0] + _HEARD)
    next_at, grant = state.next_at, PaceGrant(level, paused=max(0.0, paused_until - now))
    if 0.0 < level < inf:
        start = max(next_at, now, paused_until)
        turns = 0
        if start - max(now, paused_until) < _AHEAD:
            turns = min(report.wanted, max(1, int(_CHUNK * level)))
            next_at = start + turns / level
        grant = PaceGrant(level, turns, start - now, grant.paused)
    return PaceState(_kept(rate, events), next_at, paused_until, now), grant


def _probed(rate: AdaptiveRateLimit, now: float) -> float:
    """The most that is tried. A refusal is heard later than in one process, and meanwhile all of
    them send at the rate that was too high: so the level is exceeded by a little at first."""
    if rate.level is None:
        return inf
    probing = now - rate._hold_from - rate._hold
    return rate.level * (_PROBE + _PROBE_MORE * max(0.0, probing - _PROBE_AFTER))


_Event = tuple[float, int, float, float]
"""When; how many were accepted, or 0 for a refusal: when that was sent, and the pause it asks for.
"""


def _kept(rate: AdaptiveRateLimit, events: list[_Event]) -> str:
    """What is known, as text."""
    values = {n: list(v) if isinstance(v, deque) else v for n, v in vars(rate).items()}
    return json.dumps({"rate": values, "events": events})


def _restored(text: str, now: float) -> tuple[AdaptiveRateLimit, list[_Event]]:
    """The reverse; a new one where another version has written it."""
    rate = AdaptiveRateLimit(now)
    said = json.loads(text) if text else {}
    if said.get("rate", {}).keys() != vars(rate).keys():
        return rate, []
    for name, value in said["rate"].items():
        before = getattr(rate, name)
        if isinstance(before, deque):
            value = deque(map(tuple, value), before.maxlen)
        setattr(rate, name, value)
    return rate, [(at, count, sent, wait) for at, count, sent, wait in said["events"]]


Exchange = Callable[[Callable[[Any, float], Any]], Awaitable[Any]]
"""Changes the shared state by a function of it and of the database's time; see
:meth:`.Journal.change_pace`."""


class SharedPace:
    """The turns of this process.

    Args:
        exchange: how the shared state is changed.
        now: a monotonic clock.
        most: requests per second that the processes may send together.
        wanted: how many turns could be used now.
        changed: called when there are turns, or a pause.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        now: Callable[[], float] = time.monotonic,
        most: float = inf,
        wanted: Callable[[], int],
        changed: Callable[[float], None],
    ) -> None:
        self.rate = inf
        """Requests per second of all processes; infinity if no limit is known."""
        self.round_trip = 0.0
        self._exchange = exchange
        self._now = now
        self._most = most
        self._wanted = wanted
        self._changed = changed
        self._turns: deque[float] = deque()
        self._accepted: list[tuple[float, int]] = []
        self._refused: list[tuple[float, float, float]] = []
        self._unlimited = most == inf
        self._wake = asyncio.Event()

    @property
    def unlimited(self) -> bool:
        """Whether no turn is needed."""
        return self._unlimited

    def wait_for(self, now: float) -> float:
        """Seconds until a turn; infinity until one has been drawn."""
        if self._unlimited:
            return 0.0
        turns = self._turns
        while turns and turns[0] < now - _STALE:
            turns.popleft()
        if len(turns) < 2:
            self._wake.set()
        return max(0.0, turns[0] - now) if turns else inf

    def take(self) -> None:
        """Use a turn."""
        if self._turns:
            self._turns.popleft()

    def accepted(self, count: int) -> None:
        """The service accepted so many more."""
        now, seen = self._now(), self._accepted
        if seen and now - seen[-1][0] < _TOGETHER:
            seen[-1] = (seen[-1][0], seen[-1][1] + count)
        elif count:
            seen.append((now, count))

    def refused(self, sent_at: float, retry_after: float) -> None:
        """The service refused a request as too many: send nothing until all know it."""
        self._refused.append((self._now(), sent_at, retry_after))
        self._unlimited = False
        self._turns.clear()
        self._wake.set()

    async def run(self) -> None:
        """Draw turns as they are needed, until cancelled."""
        began = self._now()
        while True:
            try:
                await self.draw()
            except HelpdeskError:
                return  # whoever has a row to begin is told of it
            every = _AT_FIRST if self._now() - began < _FIRST_SECONDS else _EVERY
            wait = every
            if not self._unlimited:
                self._wake.clear()
                short = len(self._turns) < 2 and self._wanted() > 0
                wait = _CHUNK / 2 if short else _EVERY
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(_CHUNK / 10)  # what is refused together is told together
            except TimeoutError:
                pass

    async def draw(self) -> None:
        """Report, and draw turns once."""
        accepted, self._accepted = self._accepted, []
        refused, self._refused = self._refused, []
        wanted = max(0, self._wanted() - len(self._turns))
        clock, round_trip, most = self._now, self.round_trip, self._most

        def change(state: PaceState | None, at: float) -> tuple[PaceState, PaceGrant]:
            now = clock()
            report = PaceReport(
                tuple((now - at, count) for at, count in accepted),
                tuple((now - at, now - sent_at, wait) for at, sent_at, wait in refused),
                wanted,
                round_trip,
                most,
            )
            return draw(state or PaceState(), at, report)

        before = self._now()
        grant: PaceGrant = await self._exchange(change)
        self.rate = grant.rate
        if not self._refused:  # else it is over already
            self._unlimited = grant.rate == inf
            first = before + grant.wait
            self._turns.extend(first + turn / self.rate for turn in range(grant.turns))
        self._changed(before + grant.paused if grant.paused else 0.0)
