"""How many requests may be out at a time."""

from __future__ import annotations

from math import inf

_START = 8
_FLOOR = 8.0
_BEARABLE = 0.35
"""Share of failures that leaves the window as it is."""
_CUTS = 3
_LATER = 0.1
"""Seconds of queueing that nobody minds. Below that a latency that grows is no signal: a
service on the same machine answers ten times slower at the best window than at the smallest."""

_LANDING = 48.0
"""Here the doubling waits for a look at the latency."""
_OURSELVES = 1000.0
"""Requests per second from which on the queue is in our own process: one core sends a few
thousand. More of them out then only cost [measured on loopback]."""
_KNEE = 2.0


class AdaptiveConcurrency:
    """Doubles per round trip until something objects, then grows by an eighth per second.

    What objects:

    - ourselves: from 48 on, if answers come by the thousand a second and ever later;
    - failures: more than a third of the last tries, and the window shrinks by 30 %, again
      and again while that helps. If three times did not, it is given back;
    - latency, if it is more than twice the lowest average plus a tenth of a second. Then a
      trial: three quarters of the window, for a while. If the latency follows, the requests
      were only queueing, and the smaller window stays. If it does not, it is in the nature of
      the service; the window is given back, and this latency is the new normal. So a service
      whose latency varies by itself never loses throughput to this for long, and none has to
      be known beforehand.

    Args:
        most: never more than this.
    """

    def __init__(self, most: int) -> None:
        self.most = float(most)
        self.limit = min(float(_START), self.most)
        self.target = min(self.most, _LANDING)
        """Doubling goes on to here."""
        self._seen = 0
        self._bad = 0
        self._settled = True
        self._failing = 0.0
        self._bearable = _BEARABLE
        self._cuts = 0
        self._before_cuts = self.limit
        self._share_before = 0.0
        self._sum = 0.0
        self._count = 0
        self._round_from = -inf
        self.usual = 0.0
        """Seconds an answer usually takes."""
        self._base = inf
        self._few_sum = 0.0
        self._few_count = 0
        self._quickest = inf
        self._landed = self.most <= _LANDING
        self._trial: tuple[float, float] | None = None
        self._quiet_until = -inf
        self._used = False
        self._grow = True

    @property
    def ramping(self) -> bool:
        """Whether it doubles per round trip."""
        return self.limit < self.target

    def worked(self, latency: float, in_use: bool) -> None:
        """A request came back well."""
        self._sum += latency
        self._count += 1
        if not self._landed:
            self._few_sum += latency
            self._few_count += 1
            if self._few_count == _START:
                # The first few had to connect, so not they are the measure, but the quickest.
                self._quickest = min(self._quickest, self._few_sum / _START)
                self._few_sum, self._few_count = 0.0, 0
        if in_use:
            self._used = True
            if self.limit < self.target:
                self.limit = min(self.limit + 1.0, self.target)
        self._seen += 1

    def failed(self) -> None:
        """A request failed, or its answer was lost."""
        self._seen += 1
        self._bad += 1

    def _look_at_failures(self, now: float) -> None:
        if self._seen < max(64.0, self.limit):
            return
        share, settled = self._bad / self._seen, self._settled
        self._seen = self._bad = 0
        self._settled = True
        if not settled:
            return  # these were still out when the window shrank
        self._failing = share
        if share <= self._bearable:
            self._cuts = 0
            if share < _BEARABLE / 2:
                self._bearable = _BEARABLE
            return
        if self._cuts == 0:
            self._before_cuts, self._share_before = self.limit, share
        elif self._cuts >= _CUTS and share > 0.8 * self._share_before:
            self._cut(now, self._before_cuts)  # it did not help: as many fail whatever is out
            self._bearable = min(0.95, 1.5 * share)
            self._cuts = 0
            return
        self._cuts += 1
        self._cut(now, 0.7 * self.limit)

    def _cut(self, now: float, limit: float) -> None:
        self.limit = self.target = max(limit, 1.0)
        self._settled = False
        self._seen = self._bad = 0
        self._trial = None
        self._begin_round(now)

    def restart(self, now: float, before: float) -> None:
        """After an outage: half of what was out before at once, the rest by doubling."""
        self.limit, self.target = max(1.0, before / 2), before
        self._failing = 0.0
        self._seen = self._bad = 0
        self._trial = None
        self._begin_round(now)

    def tick(self, now: float, seconds: float) -> None:
        """To be called a few times a second.

        Args:
            now: the time.
            seconds: since the last call.
        """
        self._look_at_failures(now)
        self._look_at_latency(now)
        if not self._landed and self.limit >= self.target and self.usual:
            self._landed = True
            if not self._is_ourselves():
                self.target = self.most
        if (
            self._used
            and self._grow
            and not self._is_ourselves()
            and self._trial is None
            and self.limit >= self.target
            and self._failing < self._bearable / 2
            and self.limit < self.most
        ):
            self.limit = min(self.limit + max(1.0, 0.125 * self.limit) * seconds, self.most)
            self.target = self.limit
        self._used = False

    def _is_ourselves(self) -> bool:
        """Whether more requests out would only queue in this process."""
        if self.limit < _LANDING or self.limit < _OURSELVES * self.usual:
            return False
        return self.usual > _KNEE * self._quickest

    def _begin_round(self, now: float) -> None:
        self._sum, self._count, self._round_from = 0.0, 0, now

    def _look_at_latency(self, now: float) -> None:
        trial = self._trial
        wanted = 8.0
        if trial is not None:
            wanted = max(32.0, 4.0 * self.limit)  # it must tell a quarter less from chance
        elif self._used:
            wanted = max(32.0, 2.0 * self.limit)
        if self._count < wanted:
            return
        mean = self._sum / self._count
        if trial is not None:
            if now - self._round_from < 2.0 * mean:
                return
            self._end_trial(now, mean, trial)
        self._begin_round(now)
        usual = self.usual = 0.7 * self.usual + 0.3 * mean if self.usual else mean
        self._base = min(self._base, usual)
        self._grow = usual < 1.5 * self._base + _LATER / 2
        if (
            trial is None
            and self._used
            and self.limit > _FLOOR
            and now >= self._quiet_until
            and usual > 2.0 * self._base + _LATER
        ):
            self._trial = (self.limit, mean)
            self.limit = self.target = max(_FLOOR, 0.75 * self.limit)

    def _end_trial(self, now: float, mean: float, trial: tuple[float, float]) -> None:
        limit, before = trial
        self._trial = None
        self.usual = mean
        middle = 0.5 * (1.0 + self.limit / limit)  # halfway between queueing and nature
        if mean > middle * before:
            self.limit = self.target = limit
            self._base = min(mean, before)
            self._quiet_until = now + 30.0
