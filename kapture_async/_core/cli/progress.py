"""How far a command is: a few lines that are redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from attrs import frozen

from ..push.events import PushEvent, PushNoticed, PushPaused, RowFinished, RowKnown
from .console import STYLES, WORDS, clock, console, count, duration, is_live, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from ..download.download import DownloadProgress
    from ..pull.export import ExportProgress
    from ..reconcile.reconcile import LookupFinished, SettleTimeStarted

_HEARTBEAT = 30.0
"""Seconds between two lines where nothing can be redrawn."""
_COUNT_AFTER = 1.0
"""Seconds until the rows of a file are counted: a short push needs no such number."""


class Display:
    """Shows a command's progress on stderr while it is entered; nothing of it is left.

    A subclass says what is shown: :meth:`picture` on a terminal, :meth:`line` every 30 seconds
    elsewhere, after the time of day. It may be entered more than once.
    """

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live: Live | None = None
        self._over = threading.Event()
        self._began = time.monotonic()

    def picture(self) -> RenderableType:
        """What is redrawn on a terminal."""
        raise NotImplementedError

    def line(self) -> str:
        """What is printed elsewhere; empty for nothing."""
        return ""

    def say(self, text: str, *, label: str = "", everywhere: bool = True) -> None:
        """A line that stays, above the picture.

        Args:
            text: it.
            label: stands before it, in yellow.
            everywhere: also where there is a picture.
        """
        from rich.text import Text

        if everywhere or self._live is None:
            at = "" if self._live is not None else f"{datetime.now():%H:%M:%S} "
            label = f"{label}: " if label else ""
            words = Text.assemble((at, "dim"), (label, "yellow"), one_line(text))
            self._console.print(words, soft_wrap=not self._console.is_terminal)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._over = threading.Event()
        if is_live(self._console):
            from rich.live import Live

            self._live = Live(
                console=self._console,
                get_renderable=self.picture,
                refresh_per_second=10,
                transient=True,
            )
            self._live.start()
        else:
            threading.Thread(
                target=self._print_lines, args=[self._over], name="progress", daemon=True
            ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print_lines(self, over: threading.Event) -> None:
        while not over.wait(_HEARTBEAT):
            if text := self.line():
                self.say(text)

    def _head(self, title: str, share: float | None, *parts: str) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 2, 0, 0))
        width = min(30, max(5, self._console.width - 50))
        bar = ProgressBar(total=1.0, completed=share or 0.0, width=width, pulse=share is None)
        cells = (Text(part, no_wrap=True) for part in parts)
        head.add_row(Text(title, "bold", no_wrap=True), bar, *cells)
        return head


@frozen
class Work:
    """How much a push has to do, as far as that is known.

    Attributes:
        total: counts the rows; called once, when the push has lasted for a while, in a thread.
            Gives ``None`` if that would take too long.
        share: of the source that was read, from 0 to 1; ``None`` if its size is not known.
    """

    total: Callable[[], int | None] = lambda: None
    share: Callable[[], float | None] = lambda: None


class PushDisplay(Display):
    """How far a push is: rows with an outcome, not rows read. Its observer is :meth:`on_event`.

    Args:
        title: what is being done.
        work: how much there is to do.

    Attributes:
        taken: how many rows were read so far.
    """

    def __init__(self, title: str, work: Work | None = None) -> None:
        super().__init__()
        self._title = title
        self._work = work or Work()
        self._counts: Counter[str] = Counter()
        self._known = 0
        self._note = ""
        self._note_until = 0.0
        self._total: int | None = None
        self._counted = False
        self.taken: Callable[[], int] = lambda: 0

    def on_event(self, event: PushEvent) -> None:
        """Count what the push reports."""
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
        """Show a line from now on; without a picture, at once."""
        self.note(text, seconds=float("inf"))
        self.say(f"{self._title}: {text}", everywhere=False)

    def _noted(self) -> str:
        return self._note if time.monotonic() < self._note_until else ""

    def _far(self) -> tuple[float | None, str, str]:
        """The share that is done; how many rows of how many; rate and time left."""
        seconds = time.monotonic() - self._began
        if not self._counted and seconds > _COUNT_AFTER:
            self._counted, self._total = True, self._work.total()
        tried = self._counts.total()
        done, taken = tried + self._known, self.taken()
        share: float | None = None
        if self._total:
            share = min(done / self._total, 1.0)
        elif (read := self._work.share()) is not None and taken:
            share = read * min(done / taken, 1.0)
        rows = count(done, "row") if self._total is None else f"{done:,} of {self._total:,} rows"
        rows += "" if share is None else f" ({int(share * 100)}%)"
        # Rows that an earlier run has sent pass in no time, and tell nothing of those to come.
        rate = tried / seconds if seconds > 0 else 0.0
        speed = f"{rate:,.0f}/s" if rate >= 10 or not rate else f"{rate:.1f}/s"
        if self._total is not None and tried and seconds > _COUNT_AFTER and done < self._total:
            speed += f", {clock((self._total - done) / rate)} left"
        elif self._total is None and share and tried and seconds > _COUNT_AFTER and share < 1:
            speed += f", about {clock(seconds * (1 - share) / share)} left"
        return share, rows, speed

    def line(self) -> str:
        """The counts, and what is waited for."""
        _, rows, speed = self._far()
        counts = ", ".join(f"{self._counts[name]:,} {WORDS[name]}" for name in WORDS)
        known = f", {self._known:,} from earlier runs" if self._known else ""
        noted = f"; {note}" if (note := self._noted()) else ""
        return f"{self._title}: {rows}: {counts}{known}; {speed}{noted}"

    def picture(self) -> RenderableType:
        """A bar, the counts, and what is waited for."""
        from rich.console import Group
        from rich.text import Text

        share, rows, speed = self._far()
        counts = Text("  ")
        for name in WORDS:
            number = self._counts[name]
            counts.append(f"{number:,} {WORDS[name]}   ", STYLES[name] if number else "dim")
        if self._known:
            counts.append(f"{self._known:,} earlier", "dim")
        head = self._head(self._title, share, clock(time.monotonic() - self._began))
        return Group(
            head,
            Text.assemble(("  ", ""), (rows, "bold"), (f"   {speed}", "")),
            counts,
            Text(f"  {self._noted()}", "yellow"),
        )


class PullDisplay(Display):
    """How far a pull is; its observer is :meth:`on_progress`."""

    _last: ExportProgress | None = None

    def on_progress(self, progress: ExportProgress) -> None:
        """Note how far it is."""
        self._last = progress

    def picture(self) -> RenderableType:
        """A bar, the day, and the tickets so far."""
        if (last := self._last) is None:
            return self._head("Pulling", None)
        passed = clock(time.monotonic() - self._began)
        place = f"day {last.number:,} of {last.days:,}"
        share = (last.number - 1) / max(last.days, 1)
        title = f"Pulling {one_line(last.day, 10)}"
        return self._head(title, share, place, count(last.rows, "ticket"), passed)


class DownloadDisplay(Display):
    """How far a download is; its observer is :meth:`on_progress`.

    Args:
        title: what is downloaded.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = one_line(title, 40)
        self._last: DownloadProgress | None = None

    def on_progress(self, progress: DownloadProgress) -> None:
        """Note how far it is."""
        self._last = progress

    def picture(self) -> RenderableType:
        """A bar, the bytes so far, and how many come in a second."""
        if (last := self._last) is None:
            return self._head(self._title, None)
        seconds = max(time.monotonic() - self._began, 0.001)
        share = last.received / last.size if last.size else None
        done = _bytes(last.received, *([] if last.size is None else [last.size]))
        return self._head(self._title, share, done, f"{_bytes(last.received / seconds)}/s")


def _bytes(*numbers: float) -> str:
    """Numbers of bytes, in the unit of the largest: ``0.5/1.0 MiB``."""
    units = ["KiB", "MiB", "GiB"]
    while max(numbers) >= 1024**2 and len(units) > 1:
        numbers = tuple(number / 1024 for number in numbers)
        del units[0]
    return "/".join(f"{number / 1024:,.1f}" for number in numbers) + f" {units[0]}"


class WaitDisplay(Display):
    """The countdown before a lookup; its observer is :meth:`on_event`."""

    _SAFE = "Ctrl-C is safe"

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0
        self._words = "looking"

    def on_event(self, event: SettleTimeStarted | LookupFinished) -> None:
        """Note what is waited for, or what was found."""
        from ..reconcile.reconcile import SettleTimeStarted

        if isinstance(event, SettleTimeStarted):
            self._until = time.monotonic() + event.seconds
            at = datetime.now() + timedelta(seconds=event.seconds)
            rows = count(event.doubts, "row")
            self._words = f"waiting until {at:%H:%M:%S} for late results ({rows})"
            self.say(f"{self._words}; {self._SAFE}", everywhere=False)
        else:
            self._until = 0.0
            seen = count(event.tickets, "ticket")
            self.say(f"checked {seen}: found {event.found:,}, not found {event.missing:,}")
            self._words = "looking again in a moment for what was not found"

    def line(self) -> str:
        """The time that is left."""
        left = self._until - time.monotonic()
        return f"{self._words}; {clock(left)} left" if left > 0 else ""

    def picture(self) -> RenderableType:
        """The time that is left, and what for."""
        from rich.text import Text

        left = self._until - time.monotonic()
        if left <= 0:
            return Text(f"{self._words}...", "dim")
        return Text.assemble((clock(left), "bold"), f"  {self._words}", (f"; {self._SAFE}", "dim"))
