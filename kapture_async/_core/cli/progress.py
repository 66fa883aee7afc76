"""How far a push is: a live display on a terminal, a plain line every so often elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..push.events import PushEvent, PushNoticed, PushPaused, RowFinished, RowKnown
from .console import console
from .formatting import STYLES, WORDS, clock, duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_LIVE_SECONDS = 0.1
_PLAIN_SECONDS = 5.0


class Progress:
    """Shows a push on stderr while it is entered; give it to the push as ``on_event``.

    Args:
        title: what is being done.
        done: tells which share of the work is done, from 0 to 1, if that can be told.
    """

    def __init__(self, title: str, done: Callable[[int], float | None]) -> None:
        self._title = title
        self._done = done
        self._console = console(stderr=True)
        self._counts: Counter[str] = Counter()
        self._known = 0
        self._note = ""
        self._note_until = 0.0
        self._began = time.monotonic()
        self._live: Live | None = None
        self._ticker: asyncio.Task[None] | None = None

    def on_event(self, event: PushEvent) -> None:
        """Take notice of what a push tells."""
        if isinstance(event, RowFinished):
            self._counts[event.outcome.name] += 1
        elif isinstance(event, RowKnown):
            self._known += 1
        elif isinstance(event, PushPaused):
            self.note(f"waiting {duration(event.seconds)}: {event.reason}", seconds=event.seconds)
        elif isinstance(event, PushNoticed):
            self.announce(event.words)

    def note(self, text: str, *, seconds: float) -> None:
        """Show a line below the counts, for so long."""
        self._note, self._note_until = text, time.monotonic() + seconds

    def announce(self, text: str) -> None:
        """Show a line from now on; without a live display, at once."""
        self.note(text, seconds=float("inf"))
        if self._live is None:
            self._console.print(f"{self._title}: {text}", soft_wrap=True)

    async def __aenter__(self) -> Self:
        self._began = time.monotonic()
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(
                self._picture(), console=self._console, auto_refresh=False, transient=True
            )
            self._live.start()
        self._ticker = asyncio.create_task(self._tick(), name="progress")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._ticker is not None
        self._ticker.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        finally:
            if self._live is not None:
                self._live.stop()

    async def _tick(self) -> None:
        while True:
            if self._live is None:
                await asyncio.sleep(_PLAIN_SECONDS)
                self._console.print(self._line(), soft_wrap=True)
            else:
                await asyncio.sleep(_LIVE_SECONDS)
                self._live.update(self._picture(), refresh=True)

    # --- what is shown -------------------------------------------------------------------------

    def _figures(self) -> tuple[int, float, float | None]:
        rows = self._counts.total()
        seconds = time.monotonic() - self._began
        return rows, rows / seconds if seconds > 0 else 0.0, self._done(rows + self._known)

    def _line(self) -> str:
        rows, rate, done = self._figures()
        share = "" if done is None else f" ({done:.0%})"
        counts = ", ".join(f"{self._counts[name]:,} {WORDS[name]}" for name in WORDS)
        known = f", {self._known:,} from earlier runs" if self._known else ""
        return f"{self._title}: {rows:,} rows{share}: {counts}{known}; {rate:,.0f}/s{self._noted()}"

    def _noted(self) -> str:
        return f"; {self._note}" if time.monotonic() < self._note_until else ""

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        _, rate, done = self._figures()
        seconds = time.monotonic() - self._began
        head = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=1.0, completed=done or 0.0, width=30, pulse=done is None)
        share = "" if done is None else f"{done:.0%}"
        head.add_row(Text(self._title, style="bold"), bar, share, clock(seconds))
        counts = Text("  ")
        for name in WORDS:
            number = self._counts[name]
            counts.append(f"{number:,} {WORDS[name]}", style=STYLES[name] if number else "dim")
            counts.append("   ")
        if self._known:
            counts.append(f"{self._known:,} earlier   ", style="dim")
        counts.append(f"{rate:,.0f}/s", style="bold")
        note = Text(f"  {self._noted()[2:]}", style="yellow")
        return Group(head, counts, note)
