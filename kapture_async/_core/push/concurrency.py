"""How many requests may be in flight."""

from __future__ import annotations

from math import inf

_START = 8
_FLOOR = 8.0
_TOLERATED = 0.35
"""Share of failures that does not reduce the limit."""
_CUTS = 3
_TOLERATED_QUEUEING = 0.1
"""Seconds of queueing to ignore. Below that, growing latency means nothing: a service on the same
machine answers ten times slower at the best limit than at the smallest."""
_CHECKPOINT = 48.0
"""Here the doubling stops until the latency is known."""
_CLIENT_BOUND_RATE = 1000.0
"""Requests per second from which the queue is in our own process: one core sends a few thousand,
and more requests in flight only cost time [measured on loopback]."""
_CLIENT_BOUND_LATENCY = 2.0
"""Multiple of the lowest latency that shows such a queue."""


class AdaptiveConcurrency:
    """A limit that doubles per round trip until something stops it, then grows 1/8 per second.

    It is stopped by

    - this process: from 48 on, if thousands of answers per second arrive later and later;
    - failures: more than a third of recent requests cut the limit by 30 %, repeatedly while that
      helps. If three cuts do not help, they are undone;
    - latency above twice the lowest average plus a tenth of a second. Then a trial: three quarters
      of the limit for a while. If the latency falls in proportion, the requests were queueing, and
      the lower limit stays. Otherwise the service itself has become slower: the limit is restored,
      and this latency is the new baseline. So latency that comes from queueing does not become
      the baseline, and a service whose latency varies by itself does not lose throughput for
      long.

    Args:
        maximum: the limit is never higher.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = float(maximum)
        self.limit = min(float(_START), self.maximum)
        self.target = min(self.maximum, _CHECKPOINT)
        """Doubling ends here."""
        self._results = 0
        self._failures = 0
        self._cut_in_effect = True
        self._failure_share = 0.0
        self._tolerated = _TOLERATED
        self._cuts = 0
        self._before_cuts = self.limit
        self._share_before = 0.0
        self._sum = 0.0
        self._count = 0
        self._round_from = -inf
        self.usual_latency = 0.0
        """Smoothed latency in seconds."""
        self._lowest_usual = inf
        self._first_sum = 0.0
        self._first_count = 0
        self._lowest_latency = inf
        self._past_checkpoint = self.maximum <= _CHECKPOINT
        self._trial: tuple[float, float] | None = None
        self._no_trial_until = -inf
        self._in_use = False
        self._may_grow = True

    @property
    def ramping(self) -> bool:
        """Whether the limit still doubles."""
        return self.limit < self.target

    def succeeded(self, latency: float, in_use: bool) -> None:
        """A request succeeded. ``in_use``: the limit was fully used."""
        self._sum += latency
        self._count += 1
        if not self._past_checkpoint:
            self._first_sum += latency
            self._first_count += 1
            if self._first_count == _START:
                # The first requests had to connect: compare with the fastest group instead.
                self._lowest_latency = min(self._lowest_latency, self._first_sum / _START)
                self._first_sum, self._first_count = 0.0, 0
        if in_use:
            self._in_use = True
            if self.limit < self.target:
                self.limit = min(self.limit + 1.0, self.target)
        self._results += 1

    def failed(self) -> None:
        """A request failed, or its answer was lost."""
        self._results += 1
        self._failures += 1

    def _check_failures(self, now: float) -> None:
        if self._results < max(64.0, self.limit):
            return
        share, in_effect = self._failures / self._results, self._cut_in_effect
        self._results = self._failures = 0
        self._cut_in_effect = True
        if not in_effect:
            return  # these were still in flight when the limit was cut
        self._failure_share = share
        if share <= self._tolerated:
            self._cuts = 0
            if share < _TOLERATED / 2:
                self._tolerated = _TOLERATED
            return
        if self._cuts == 0:
            self._before_cuts, self._share_before = self.limit, share
        elif self._cuts >= _CUTS and share > 0.8 * self._share_before:
            self._cut(now, self._before_cuts)  # failures do not depend on the load
            self._tolerated = min(0.95, 1.5 * share)
            self._cuts = 0
            return
        self._cuts += 1
        self._cut(now, 0.7 * self.limit)

    def _cut(self, now: float, limit: float) -> None:
        self.limit = self.target = max(limit, 1.0)
        self._cut_in_effect = False
        self._results = self._failures = 0
        self._trial = None
        self._begin_round(now)

    def restart(self, now: float, before: float) -> None:
        """After an outage: start at half the limit before it, and double."""
        self.limit, self.target = max(1.0, before / 2), before
        self._failure_share = 0.0
        self._results = self._failures = 0
        self._trial = None
        self._begin_round(now)

    def tick(self, now: float, seconds: float) -> None:
        """Call this a few times per second.

        Args:
            now: the time.
            seconds: since the last call.
        """
        self._check_failures(now)
        self._check_latency(now)
        if not self._past_checkpoint and self.limit >= self.target and self.usual_latency:
            self._past_checkpoint = True
            if not self._is_client_bound():
                self.target = self.maximum
        if (
            self._in_use
            and self._may_grow
            and not self._is_client_bound()
            and self._trial is None
            and self.limit >= self.target
            and self._failure_share < self._tolerated / 2
            and self.limit < self.maximum
        ):
            self.limit = min(self.limit + max(1.0, 0.125 * self.limit) * seconds, self.maximum)
            self.target = self.limit
        self._in_use = False

    def _is_client_bound(self) -> bool:
        """Whether more requests in flight would only queue in this process."""
        if self.limit < _CHECKPOINT or self.limit < _CLIENT_BOUND_RATE * self.usual_latency:
            return False
        return self.usual_latency > _CLIENT_BOUND_LATENCY * self._lowest_latency

    def _begin_round(self, now: float) -> None:
        self._sum, self._count, self._round_from = 0.0, 0, now

    def _check_latency(self, now: float) -> None:
        trial = self._trial
        wanted = 8.0
        if trial is not None:
            wanted = max(32.0, 4.0 * self.limit)  # enough to tell a quarter less from chance
        elif self._in_use:
            wanted = max(32.0, 2.0 * self.limit)
        if self._count < wanted:
            return
        mean = self._sum / self._count
        if trial is not None:
            if now - self._round_from < 2.0 * mean:
                return
            self._end_trial(now, mean, trial)
        self._begin_round(now)
        usual_latency = self.usual_latency = (
            0.7 * self.usual_latency + 0.3 * mean if self.usual_latency else mean
        )
        self._lowest_usual = min(self._lowest_usual, usual_latency)
        self._may_grow = usual_latency < 1.5 * self._lowest_usual + _TOLERATED_QUEUEING / 2
        if (
            trial is None
            and self._in_use
            and self.limit > _FLOOR
            and now >= self._no_trial_until
            and usual_latency > 2.0 * self._lowest_usual + _TOLERATED_QUEUEING
        ):
            self._trial = (self.limit, mean)
            self.limit = self.target = max(_FLOOR, 0.75 * self.limit)

    def _end_trial(self, now: float, mean: float, trial: tuple[float, float]) -> None:
        limit, before = trial
        self._trial = None
        self.usual_latency = mean
        middle = 0.5 * (1.0 + self.limit / limit)  # halfway between queueing and a slower service
        if mean > middle * before:
            self.limit = self.target = limit
            self._lowest_usual = min(mean, before)
            self._no_trial_until = now + 30.0
