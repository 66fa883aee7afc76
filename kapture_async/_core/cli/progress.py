"""How far a command is: a few lines that are redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..push.events import PushEvent, PushNoticed, PushPaused, RowFinished, RowKnown
from .console import STYLES, WORDS, clock, console, count, duration, is_live, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from ..download.download import DownloadProgress
    from ..pull.export import ExportProgress
    from ..reconcile.reconcile import Looked, Settling

_PLAIN_SECONDS = 5.0


class Display:
    """Shows a command's progress on stderr while it is entered; nothing of it is left.

    A subclass says what is shown: :meth:`picture` on a terminal, :meth:`line` every few seconds
    elsewhere.
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
            words = Text.assemble((f"{label}: " if label else "", "yellow"), one_line(text))
            self._console.print(words, soft_wrap=not self._console.is_terminal)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
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
            threading.Thread(target=self._print_lines, name="progress", daemon=True).start()
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

    def _print_lines(self) -> None:
        while not self._over.wait(_PLAIN_SECONDS):
            if text := self.line():
                self._console.print(text, soft_wrap=True)

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


class PushDisplay(Display):
    """How far a push is; its observer is :meth:`on_event`.

    Args:
        title: what is being done.
        done: the share of the work that is done, from 0 to 1, by the number of rows that are;
            ``None`` if it is not known.
    """

    def __init__(self, title: str, done: Callable[[int], float | None] = lambda _: None) -> None:
        super().__init__()
        self._title = title
        self._done = done
        self._counts: Counter[str] = Counter()
        self._known = 0
        self._note = ""
        self._note_until = 0.0

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

    def _figures(self) -> tuple[int, float, float | None]:
        rows = self._counts.total()
        seconds = time.monotonic() - self._began
        return rows, rows / seconds if seconds > 0 else 0.0, self._done(rows + self._known)

    def line(self) -> str:
        """The counts, and what is waited for."""
        rows, rate, done = self._figures()
        share = "" if done is None else f" ({done:.0%})"
        counts = ", ".join(f"{self._counts[name]:,} {WORDS[name]}" for name in WORDS)
        known = f", {self._known:,} from earlier runs" if self._known else ""
        noted = f"; {note}" if (note := self._noted()) else ""
        return f"{self._title}: {rows:,} rows{share}: {counts}{known}; {rate:,.0f}/s{noted}"

    def picture(self) -> RenderableType:
        """A bar, the counts, and what is waited for."""
        from rich.console import Group
        from rich.text import Text

        _, rate, done = self._figures()
        share = "" if done is None else f"{done:.0%}"
        counts = Text("  ")
        for name in WORDS:
            number = self._counts[name]
            counts.append(f"{number:,} {WORDS[name]}   ", STYLES[name] if number else "dim")
        if self._known:
            counts.append(f"{self._known:,} earlier   ", "dim")
        counts.append(f"{rate:,.0f}/s", "bold")
        passed = clock(time.monotonic() - self._began)
        head = self._head(self._title, done, share, passed)
        return Group(head, counts, Text(f"  {self._noted()}", "yellow"))


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

    def on_event(self, event: Settling | Looked) -> None:
        """Note what is waited for, or what was found."""
        from ..reconcile.reconcile import Settling

        if isinstance(event, Settling):
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

    def picture(self) -> RenderableType:
        """The time that is left, and what for."""
        from rich.text import Text

        left = self._until - time.monotonic()
        if left <= 0:
            return Text(f"{self._words}...", "dim")
        return Text.assemble((clock(left), "bold"), f"  {self._words}", (f"; {self._SAFE}", "dim"))
