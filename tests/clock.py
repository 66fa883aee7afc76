"""A wall clock that jumps where somebody would sleep, for journals and looks of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from kapture_async._core.journal.writer import Journal
from kapture_async._core.push import operation
from kapture_async._core.reconcile.doctor import examine
from kapture_async._core.reconcile.reconcile import reconcile
from kapture_async._core.reconcile.verify import verify


class Clock:
    """Shows the time of another clock, and what was slept since.

    What is due at a time happens when a sleep gets there.
    """

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self.ahead = 0.0
        self.due: list[tuple[float, Any]] = []
        self._base = base

    @classmethod
    def standing(cls) -> Clock:
        """A clock that nothing moves but a sleep, however slow the machine is."""
        began = time.time()
        return cls(lambda: began)

    def now(self) -> float:
        return self._base() + self.ahead

    async def sleep(self, seconds: float) -> None:
        end = self.now() + seconds
        while self.due and self.due[0][0] <= end:
            at, act = self.due.pop(0)
            self.ahead += max(0.0, at - self.now())
            act()
        self.ahead += max(0.0, end - self.now())

    def install(self, put: Callable[[Any, str, Any], None] = setattr) -> None:
        """Let everything around a journal go by this clock, in this process."""
        real = Journal.open.__func__  # type: ignore[attr-defined]

        async def open_(cls: Any, path: Any, **settings: Any) -> Journal:
            if settings.get("now", time.time) is time.time:  # a test may have a clock of its own
                settings["now"] = self.now
            return await real(cls, path, **settings)

        put(Journal, "open", classmethod(open_))
        put(operation, "verify", partial(verify, now=self.now))
        for work in (reconcile, examine):
            put(operation, work.__name__, partial(work, now=self.now, sleep=self.sleep))
