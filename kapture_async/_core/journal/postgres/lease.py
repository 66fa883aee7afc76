"""How long a run may send: its lease, by the clock of the database, measured on this machine.

The lease is counted from *before* it was asked for, by a clock that runs on while the machine
sleeps. A process that was stopped, a machine that was suspended, a database that hangs: each finds
its lease over, and sends nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

SPARE = 15.0
"""Seconds that a lease is longer than the longest call."""
RENEW = 3.0
"""Seconds between two renewals."""


def boot_time() -> float:
    """Seconds of a clock that nobody sets, and that runs on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """The lease of a run, and the clock of its database. Read in any thread.

    Args:
        longest: the most seconds that a call may take.
        clock: see :func:`boot_time`.
    """

    def __init__(self, longest: float, clock: Callable[[], float] = boot_time) -> None:
        self.seconds = longest + SPARE
        self.over = False
        """Others have seen it end. It stays so."""
        self._clock = clock
        self._longest = longest
        self._send_until = -inf
        self._renew_at = -inf
        self._offset = 0.0

    def ask(self) -> float:
        """When a renewal is asked for; for :meth:`renewed`."""
        return self._clock()

    def renewed(self, asked: float, database: float) -> None:
        """It was renewed.

        Args:
            asked: what :meth:`ask` gave before.
            database: the time of the database, at which it was.
        """
        self._offset = database - asked
        self._renew_at = asked + RENEW
        self._send_until = asked + self.seconds - self._longest

    @property
    def is_due(self) -> bool:
        """Whether it is time to renew it."""
        return self._clock() >= self._renew_at

    def may_send(self) -> bool:
        """Whether a call that begins now is over before the lease is."""
        return self._clock() < self._send_until and not self.over

    def now(self) -> float:
        """The time of the database, as far as it is known: at most a renewal's way ahead."""
        return self._clock() + self._offset
