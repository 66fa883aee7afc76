"""Learning the rate a service takes from where it says "too many"."""

from __future__ import annotations

from collections import deque
from math import inf

_SHORTEST, _LONGEST, _PATIENT = 4.0, 50.0, 120.0
_DEBT = 2.5
"""Refusals that are close together."""
_BRIEF = 0.2
"""Seconds of a pause that costs little."""


class LearnedRate:
    """A level believed to be the limit; held, then carefully exceeded to see if it has risen.

    No limit is known until the service refuses for the first time. Then there is a *level*, and
    a cycle of two parts. The plateau: the level itself, for so long that what a refusal costs
    (itself, and the pause it brings) stays a small share. Then the climb: a little above the
    level at first, a multiple of it within seconds if nothing is refused.

    - Refused in the climb: the plateau was clean, so it stands, or rises to just below what
      was taken. It is held longer next time.
    - Refused on the plateau: the level falls by the share that was refused, to the last level
      with a clean plateau first if it lies above that.
    - One now and then, less than in eighty, is nothing to act on, unless it brings a pause:
      services refuse for other reasons, too.
    - Shut out for long twice running: a quota, for a minute perhaps, that was used up before
      its time; the level becomes what it took per second of the whole time.

    Args:
        now: the time; a monotonic clock, as everywhere here.
    """

    def __init__(self, now: float) -> None:
        self.level: float | None = None
        """Requests per second; ``None`` while no limit is known."""
        self.round_trip = 0.0
        """Seconds an answer takes; the climb must not be faster than the news of it."""
        self._dip = 0.0
        self._dip_until = now
        self._reacted_at = now
        self._since = now
        self._plateau = _SHORTEST
        self._stretch = 1.0
        self._doubt = 1.0
        self._pause = 0.0
        self._proved: float | None = None
        self._best = 0.0
        self._total = 0
        self._marks: deque[tuple[float, int]] = deque([(now, 0)], maxlen=64)
        self._total_at_reaction = 0
        self._total_at_opening = 0
        self._opened_at = now
        self._long_shut = False
        self._total_at_news = 0
        self._debt = 0.0

    def at(self, now: float) -> float:
        """Requests per second to send now; infinity if no limit is known."""
        level = self.level
        if level is None:
            return inf
        if now < self._dip_until:
            return min(level, self._dip)
        above = (now - self._since - self._plateau) / max(1.0, 4.0 * self.round_trip, 5.0 / level)
        if above <= 0:
            return level
        steep = 0.05 * min(max(self._best / level, 1.0), 4.0)  # what it took before, it may again
        return level * (1.0 + 0.02 * above + steep * above * above * above)

    def taken(self, now: float, count: int) -> None:
        """The service took so many requests since this was last told."""
        self._total += count
        if now - self._marks[-1][0] >= 0.2:
            self._marks.append((now, self._total))

    def idle(self, now: float, seconds: float) -> None:
        """The rate did not bind for so long: that time proves nothing about it."""
        self._since = max(self._since, min(self._since + seconds, now))

    def refused(self, now: float, sent_at: float, asked: float = 0.0) -> bool:
        """The service refused a request as too many.

        Args:
            now: the time.
            sent_at: when it was sent.
            asked: seconds the service asks to wait; 0 if it does not say.

        Returns:
            Whether that is news, and no echo of what was sent before the last reaction.
        """
        if sent_at < self._reacted_at:
            if asked >= _BRIEF:
                self._wait_until(now + asked)
            return False
        self._debt = max(0.0, self._debt - (self._total - self._total_at_news) / 80.0) + 1.0
        self._total_at_news = self._total
        rare = self._debt < _DEBT and (self.level is None or max(self._pause, asked) < _BRIEF)
        if now < self._dip_until or rare:
            if asked >= _BRIEF:
                self._wait_until(now + asked)
            return True
        self._debt = _DEBT - 0.5
        level, taken = self.level, self._total - self._total_at_reaction
        if level is None:
            if taken >= 3:
                self.level = 0.9 * self._measured(now)
                self._doubt = 1.0
        elif now - self._since > self._plateau:
            self._refused_in_climb(now, level, sent_at)
        elif taken:  # none at all says that it is shut, and nothing of a rate
            self._refused_on_plateau(now, level, taken)
        if asked < _BRIEF:
            self._pause = asked
            self._begin_plateau(now)
        else:
            self._note_shut(now, now + asked, now + asked - 1.0)  # they round up
            self._wait_until(now + asked)
        return True

    def _wait_until(self, until: float) -> None:
        self._opened_at = until
        self._forget(until)

    def _measured(self, now: float) -> float:
        """Requests per second it took lately: over a second, more if they are few."""
        for at, total in reversed(self._marks):
            if now - at >= 1.0 and self._total - total >= 8:
                break
        else:
            at, total = self._marks[0]
        return (self._total - total) / max(now - at, 0.01)

    def _refused_in_climb(self, now: float, level: float, sent_at: float) -> None:
        # The one is too low, as the climb went on; the other too high, as a bucket gave more.
        sent, measured = self.at(sent_at), self._measured(now)
        reached = min(sent, (sent + measured) / 2)
        self._proved = level
        if reached > 1.15 * level:
            # Steep climbs go further beyond before the news comes.
            self.level = max(level, (0.85 if reached > 1.5 * level else 0.95) * reached)
            self._stretch = 1.0
        else:
            self.level = level + 0.25 * max(0.95 * reached - level, 0.0)
            self._stretch = min(self._stretch * 1.5, 4.0)
        self._doubt = self.level / level - 1.0
        # What was sent too fast fills the service's count for a while yet.
        self._dip, self._dip_until = level, now + 1.0
        self._best = max(self._best * 0.95 + level * 0.05, level)

    def _refused_on_plateau(self, now: float, level: float, taken: int) -> None:
        self._stretch = 1.0
        # A bucket that was full hides at first how far above its rate this is.
        held = max(now - self._since, 0.1)
        cut = min(0.35, max(1.2 / (taken + 1) + 0.01, 0.2 / held))
        self.level = level * (1.0 - cut)
        if self._proved is not None and level > self._proved * 1.001:
            self.level = max(self.level, (level + self._proved) / 2)
        elif self._proved is not None and held < 2.0:
            self.level = 0.98 * level  # it was clean a moment ago: an aftershock of the climb
            self._proved = None
        else:
            self._proved = None
        self._doubt = level / self.level - 1.0

    def resumed(self, now: float) -> None:
        """After an outage, which says nothing about the rate."""
        self._wait_until(now)

    def opened(self, now: float, shut_at: float, refused_at: float) -> None:
        """It takes requests again.

        Args:
            now: the time.
            shut_at: since when it took none.
            refused_at: when it refused for the last time.
        """
        self._note_shut(shut_at, now, refused_at)
        self._wait_until(now)

    def _note_shut(self, shut_at: float, until: float, refused_at: float) -> None:
        """Learn from a time in which it took nothing; up to ``refused_at`` for certain."""
        shut_for = until - shut_at
        cycle, taken = refused_at - self._opened_at, self._total - self._total_at_opening
        long = shut_for > 5.0
        found = inf
        if taken > 3 and (
            self._long_shut if long else refused_at - shut_at > 0.2 * max(cycle, 0.0)
        ):
            found = 1.1 * taken / max(cycle, 0.1)
        elif taken <= 3 and cycle > 0:
            found = 1.5 * (taken + 1) / cycle
        if found < (inf if self.level is None else self.level):
            self.level = found
            self._proved = None
            self._doubt = 0.3
        if not long:
            self._pause = shut_for
        else:  # one such may be anything; two make a habit
            self._pause = _PATIENT if self._long_shut else 0.0
        self._long_shut = long

    def _forget(self, at: float) -> None:
        """What was measured before is no measure of what comes."""
        self._total_at_opening = self._total
        self._marks.clear()
        self._marks.append((at, self._total))
        self._begin_plateau(at)

    def _begin_plateau(self, at: float) -> None:
        self._since = max(at, self._dip_until)
        self._reacted_at = at
        self._total_at_reaction = self._total
        if self.level is None:
            return
        usual = max(_SHORTEST * self._stretch, 100.0 / self.level, 40.0 * self._pause)
        usual *= min(1.0, 0.03 / max(self._doubt, 0.001))  # far from sure: look again soon
        usual *= min(1.0, self.level / self._best) if self._best else 1.0
        longest = _PATIENT if self._pause >= _PATIENT else _LONGEST
        longest = max(longest, min(100.0 / self.level, 3.0 * _PATIENT))
        self._plateau = max(2.0, min(usual, longest))
