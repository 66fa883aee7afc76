"""The clock of a client: it breaks off what takes too long, with one timer for all calls.

``asyncio.timeout`` sets a timer for each call, and aiohttp's ``sock_read`` two more for each
request. Nearly all of them are cancelled unused, and together they are a seventh of what a
request costs [measured on loopback].
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Literal, Protocol

BrokenOff = Literal["time is up", "silence"]


class Watched(Protocol):
    """Something under way.

    Attributes:
        deadline: by the loop's clock, when it must be over.
        silent_at: by the loop's clock, when the server has been silent for too long; infinity
            while nothing is expected of it.
        patience: seconds of silence that are borne; infinity for any.
        hang_up: breaks off a body that is on its way out.
    """

    deadline: float
    silent_at: float
    patience: float

    hang_up: Callable[[], None] | None

    def break_off(self, reason: BrokenOff) -> None:
        """Interrupt it."""


class DeadlineTimer:
    """Looks after any number of calls in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.all: dict[Watched, None] = {}
        """What is looked after."""
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf

    def add(self, one: Watched, now: float) -> None:
        """Look after it, until it is removed."""
        self.all[one] = None
        # Silence begins later than now, so the timer is never too late for it.
        silent_at = now + one.patience
        due = one.deadline if one.deadline < silent_at else silent_at
        if due < self._rings_at:
            self._set(due)

    def remove(self, one: Watched) -> None:
        """It is over."""
        del self.all[one]
        if not self.all and self._timer is not None:  # a timer would keep the client alive
            self._timer.cancel()
            self._timer, self._rings_at = None, inf

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer, self._rings_at = None, inf
        now = self._loop.time()
        due = inf
        for one in self.all:
            if one.deadline <= now:
                one.break_off("time is up")
            elif one.silent_at <= now:
                one.break_off("silence")
            else:
                # What expects nothing yet may begin to at any time.
                due = min(due, one.deadline, one.silent_at, now + one.patience)
        if due < inf:
            self._set(due)
