"""The request rate that a service accepts, learned from its rate-limit refusals."""

from __future__ import annotations

from collections import deque
from math import inf

_LOOKBACK = 1.0
"""Seconds over which the accepted rate is measured: most limits count by the second."""
_FEW = 8
"""Fewer accepted requests than that are measured over a longer time."""
_TOLERATED = 80
"""One refusal in so many accepted requests is ignored: services refuse for other reasons, too."""
_MARGIN, _FAST_MARGIN = 0.97, 0.85
"""The level as a share of the measured rate: usually, and after a steep rise, in which more than
one window's worth may have been accepted within a second."""
_COSTLY = 0.5
"""Seconds of a pause from which on a refusal costs more than sending a little less would."""
_COSTLY_MARGIN, _COSTLY_FAST_MARGIN = 0.93, 0.72
"""The same shares then: a level that is too high is refused again and again."""
_CUT = 0.07
"""By how much the level falls at least; twice as much after each refusal in a row."""
_DEEPEST_CUT, _COSTLY_DEEPEST_CUT = 0.3, 0.14
"""The most that this grows to: usually, and where refusals are costly."""
_DEEPEST_FALL, _COSTLY_DEEPEST_FALL = 0.3, 0.15
"""The share of itself to which the level falls at most, as the measure may be wrong: usually, and
where each further step would cost a pause."""
_FIRST_HOLD, _SHORT_HOLD, _LONG_HOLD, _QUOTA_HOLD = 1.0, 3.0, 10.0, 120.0
"""Seconds for which the level is held before it is exceeded: while it is a first guess; while it
is new; once it has settled; and for a quota per minute or longer."""
_SHORT_PAUSE_HOLD, _COSTLY_SHORT_PAUSE_HOLD, _LONG_PAUSE_HOLD = 5.0, 12.0, 28.0
"""Seconds for which a level is held longer per second of the pause that a probe costs: while it is
new, where refusals are costly likewise, and once it has settled."""
_SLOW = 40.0
"""Requests per second below which a new level is held for less: a pause costs fewer requests."""
_FAR_BELOW = 0.5
"""Below this share of the highest level so far, the limit has probably been lowered for a while,
and finding the rise early gains more than the pauses cost."""
_FAR_SHORT_HOLD, _FAR_LONG_HOLD = 3.0, 35.0
"""Seconds for which such a level is held per second of pause: while new, and once settled."""
_SETTLED = 30.0
"""Seconds until a level is no longer new."""
_STEEPNESS, _COSTLY_STEEPNESS, _GUESS_STEEPNESS = 1.8, 1.0, 5.0
"""Seconds until a probe has doubled the rate: usually; where refusals are costly; and above a
guess, since a second steep probe would miss the limit as far as the first did."""
_CREEP = 0.15
"""Share of the level by which a guess is exceeded more per second."""
_TOO_HIGH_WITHIN, _TOO_HIGH_CUT = 2.2, 0.8
"""A guess that is refused within so many seconds was above the limit; what is kept of it."""
_LONG_PAUSE = 5.0
"""A pause of so many seconds means a quota, or an outage."""


class AdaptiveRateLimit:
    """Holds a rate just below the limit of the service, and probes now and then for a higher one.

    No limit is known until the service refuses a request as too many. From then on there is a
    *level* in requests per second, and two phases that alternate:

    - *hold*: send at the level;
    - *probe*: exceed it, by a few percent first, eightfold after three seconds without a refusal.

    Where the service asks for a pause with each refusal, a touch of the limit is costly. There a
    probe is steeper, to find a rise of the limit early, and leads to a *guess* that is exceeded
    slowly.

    A refusal ends either phase. It leads to a new level, taken from what the service accepted
    during the last second: higher after a probe, lower after a hold. A level that was refused
    while it was held bounds later ones, so that probes approach the limit by halves.

    Args:
        now: the time, from a monotonic clock, like all times here.
    """

    def __init__(self, now: float) -> None:
        self.level: float | None = None
        """Requests per second; ``None`` while no limit is known."""
        self.round_trip = 0.0
        """Seconds until an answer arrives. Faster probes would overshoot."""
        self._hold_from = now
        self._hold = 0.0
        self._changed_at = now
        self._too_high = inf
        self._cut = _CUT
        self._reference = 0.0
        """The level when it last changed by much; 0 while there is but a first guess."""
        self._new_since = now
        self._pause = 0.0
        self._costly = False
        """The last refusal asked for a pause long enough to matter."""
        self._highest = 0.0
        self._accepted = 0
        self._marks = deque([(now, 0)], maxlen=64)
        self._refusals = 0.0
        self._accepted_at_refusal = 0
        self._cycle_from, self._accepted_before_cycle = now, 0
        self._quota = False
        self._guess = False
        """A steep probe found the level, so it is set well below what was accepted then."""

    def at(self, now: float) -> float:
        """Requests per second to send now; infinity if no limit is known."""
        level = self.level
        if level is None:
            return inf
        probing = now - self._hold_from - self._hold
        if probing <= 0.0:
            return level
        if self._guess:
            return level * (1.0 + _CREEP * probing + (probing / _GUESS_STEEPNESS) ** 4)
        steepness = _COSTLY_STEEPNESS if self._costly else _STEEPNESS
        doubled = max(steepness, 2.0 * self.round_trip, 5.0 / level)
        return level * (1.0 + (probing / doubled) ** 4)

    def accepted(self, now: float, count: int) -> None:
        """The service accepted ``count`` more requests."""
        self._accepted += count
        if now - self._marks[-1][0] >= 0.05:
            self._marks.append((now, self._accepted))

    def idle(self, now: float, seconds: float) -> None:
        """Something else limited the rate for so many seconds, which proves nothing."""
        if self._hold_from < now:
            self._hold_from = min(self._hold_from + seconds, now)

    def refused(self, now: float, sent_at: float, pause: float = 0.0) -> bool:
        """The service refused a request because there were too many.

        Args:
            now: the time.
            sent_at: when the request was sent.
            pause: seconds for which the service asks to wait; 0 if it does not say.

        Returns:
            Whether it counts. An occasional refusal does not, nor does one of a request that was
            sent before the last refusal that counted.
        """
        if sent_at < self._changed_at:
            return False
        since = self._accepted - self._accepted_at_refusal
        self._accepted_at_refusal = self._accepted
        self._refusals = max(0.0, self._refusals - since / _TOLERATED) + 1.0
        if self._refusals < 2.0 and not pause:
            return False
        self._refusals = 1.0
        measured = self._measured(now)
        level, rate = self.level, self.at(sent_at)
        guess, self._guess = self._guess, False
        self._costly = pause >= _COSTLY
        if level is None:
            if measured:
                self.level = 0.9 * measured
        elif guess and now - self._hold_from < _TOO_HIGH_WITHIN:
            self._too_high = level
            self._set_level(now, _TOO_HIGH_CUT * level)
        elif rate > 1.001 * level:
            self._raise(
                now, level, measured, rate, steep=measured > (2.0 if guess else 1.5) * level
            )
        elif measured <= level or self._costly or now - self._hold_from > _LOOKBACK:
            self._lower(now, level, measured)
        # Else the last second is still full of what a probe sent.
        self._pause = pause
        self._start_hold(now)
        return True

    def _raise(
        self, now: float, level: float, measured: float, rate: float, *, steep: bool
    ) -> None:
        if steep:
            self._too_high = inf
            self._guess = self._costly
            found = (_COSTLY_FAST_MARGIN if self._costly else _FAST_MARGIN) * measured
        else:
            found = min((_COSTLY_MARGIN if self._costly else _MARGIN) * measured, measured - 0.4)
        found = min(found, rate, (level + self._too_high) / 2.0)
        self._too_high *= 1.03  # the limit may have risen a little
        self._cut = _CUT
        self._set_level(now, max(level, found))

    def _lower(self, now: float, level: float, measured: float) -> None:
        self._too_high = level
        found = min(_MARGIN * measured, measured - 0.4, (1.0 - self._cut) * level)
        self._cut = min(2.0 * self._cut, _COSTLY_DEEPEST_CUT if self._costly else _DEEPEST_CUT)
        fall = _COSTLY_DEEPEST_FALL if self._costly else _DEEPEST_FALL
        self._set_level(now, max(fall * level, found))

    def _set_level(self, now: float, level: float) -> None:
        self.level = level
        self._highest = max(self._highest, level)
        if not 0.75 * self._reference < level < 1.33 * self._reference:
            self._reference, self._new_since = level, now
            self._too_high = inf

    def paused(self, since: float, until: float) -> None:
        """Sending is paused, because the service refused everything.

        Args:
            since: when the pause began.
            until: when it ended, or will end.
        """
        self._pause = until - since
        if self._pause >= _LONG_PAUSE:
            accepted = self._accepted - self._accepted_before_cycle
            if accepted and self.level is not None:
                if self._quota:  # one pause may mean anything; a second one means a quota
                    share = accepted / (until - self._cycle_from)
                    self.level = min(self.level, 1.1 * share)
                self._quota = True
            self._cycle_from, self._accepted_before_cycle = until, self._accepted
        self._start_hold(until)

    def _start_hold(self, at: float) -> None:
        self._hold_from = self._changed_at = at
        if self.level is None:
            return
        # A pause that may be a whole quota says nothing about the cost of a probe.
        far_below = self._costly and self.level < _FAR_BELOW * self._highest
        far_below = far_below and self._pause < _LONG_PAUSE
        if self._quota:
            self._hold = _QUOTA_HOLD
        elif not self._reference or self._guess:
            self._hold = _FIRST_HOLD
        elif at - self._new_since < max(_SETTLED, 100.0 / self.level):
            longer = _SHORT_PAUSE_HOLD
            if self._costly:
                longer = _COSTLY_SHORT_PAUSE_HOLD * min(self.level / _SLOW, 1.0)
            longer *= min(self._pause, 1.0)
            hold = _FAR_SHORT_HOLD * self._pause if far_below else _SHORT_HOLD + longer
            self._hold = max(hold, 20.0 / self.level)
        else:
            longer = _LONG_PAUSE_HOLD * min(self._pause, 1.0)
            hold = _FAR_LONG_HOLD * self._pause if far_below else _LONG_HOLD + longer
            self._hold = max(hold, (20.0 if far_below else 100.0) / self.level)

    def _measured(self, now: float) -> float:
        """Requests per second accepted lately: over one second, or longer if few were accepted."""
        recent = 0.0
        for at, count in reversed(self._marks):
            if now - at < _LOOKBACK:
                continue
            accepted = self._accepted - count
            # All that was accepted since the first such mark was accepted within the lookback.
            recent = max(recent, accepted / (now - at)) if recent else accepted / _LOOKBACK
            if accepted >= _FEW:
                return recent
        at, count = self._marks[0]
        return max(recent, (self._accepted - count) / max(now - at, _LOOKBACK))
