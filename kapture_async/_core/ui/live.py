"""How far a push is, over time, for whoever looks at the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ..cli.console import one_line
from ..cli.progress import PushDisplay
from ..cli.push_run import PushRun
from ..push.throttle import ThrottleState

_POINTS = 240
_NOTICES = 50
_RATE_OVER = 5.0


class PageDisplay(PushDisplay):
    """The progress of a push, kept instead of printed."""

    def __init__(self) -> None:
        super().__init__("push")
        self.notices: list[dict[str, Any]] = []
        self._noted_words = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def note(self, text: str, *, seconds: float) -> None:
        """Keep a line, with its time; of like ones in a row the last."""
        words = one_line(text, 300)
        start = words.partition(":")[0].partition(" 0")[0][:24]
        if self.notices and self._noted_words == start:
            self.notices.pop()
        self._noted_words = start
        self.notices.append({"at": time.time(), "words": words})
        del self.notices[:-_NOTICES]

    def announce(self, text: str) -> None:
        """Keep a line."""
        self.note(text, seconds=0.0)

    @property
    def counts(self) -> dict[str, int]:
        """Rows with an outcome, by its name, and those that were known before."""
        names = ("accepted", "rejected", "not_sent", "unknown")
        return {**{name: self._counts[name] for name in names}, "earlier": self._known}


class LivePush:
    """A push that runs, or that has run: its counts, and how they grew.

    Args:
        now: a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.display = PageDisplay()
        self.run = PushRun(self.display, signals=False, journaled=True)
        self._now = now
        self._began = now()
        self._ended: float | None = None
        self._points: list[list[float | None]] = []
        self._step = 0.5
        self._last: ThrottleState | None = None

    def sample(self) -> None:
        """Take a point of the picture."""
        at = self._now() - self._began
        if self._points and at - (self._points[-1][0] or 0.0) < self._step:
            return
        counts = self.display.counts
        state = self._last = self.run.throttle or self._last
        self._points.append(
            [
                round(at, 2),
                *(counts[name] for name in ("accepted", "rejected", "not_sent", "unknown")),
                None if state is None else state.limit,
                None if state is None or state.rate is None else round(state.rate, 1),
            ]
        )
        if len(self._points) > _POINTS:
            del self._points[1:-1:2]
            self._step *= 2

    def end(self) -> None:
        """It has ended. May be called again."""
        if self._ended is not None:
            return
        self._step = 0.0
        self.sample()
        self._ended = self._now()

    @property
    def rate(self) -> float:
        """Rows with an outcome per second, of late; over all, once it has ended."""
        if not self._points:
            return 0.0
        last, first = self._points[-1], self._points[0]
        if self._ended is None:
            since = (last[0] or 0.0) - _RATE_OVER
            first = next((point for point in self._points if (point[0] or 0.0) >= since), last)
        rows = sum(last[place] or 0 for place in range(1, 5))
        rows -= sum(first[place] or 0 for place in range(1, 5))
        seconds = (last[0] or 0.0) - (first[0] or 0.0)
        return rows / seconds if seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """It, for the page."""
        state = None if self._ended is not None else self.run.throttle
        found = state or self._last
        ended = self._now() if self._ended is None else self._ended
        return {
            "running": self._ended is None,
            "seconds": round(ended - self._began, 1),
            **self.display.counts,
            "rate": round(self.rate, 1),
            "points": self._points,
            "notices": self.display.notices,
            "limit": None
            if found is None
            else {
                "mode": found.mode,
                "in_flight": 0 if state is None else state.in_flight,
                "concurrency": found.limit,
                "rate": None if found.rate is None else round(found.rate, 1),
            },
        }
