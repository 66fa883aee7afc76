"""How far a pull is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .console import console, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..pull.export import ExportProgress

_SECONDS = 0.1


class PullBar:
    """Shows a pull on stderr while it is entered, and nothing is left of it afterwards.

    Give :meth:`on_progress` to the export.

    Args:
        title: what is done.
    """

    def __init__(self, title: str) -> None:
        self._title = one_line(title, 40)
        self._bar: Progress | None = None
        self._task: Any = None
        self._next = 0.0

    def on_progress(self, progress: ExportProgress) -> None:
        """Take notice of how far it is."""
        now = time.monotonic()
        if self._bar is None or (now < self._next and progress.number < progress.days):
            return
        self._next = now + _SECONDS
        self._bar.update(
            self._task,
            completed=progress.number - 1,
            total=progress.days,
            day=one_line(progress.day, 10),
            place=f"day {progress.number:,} of {progress.days:,}",
            rows=f"{progress.rows:,} tickets",
        )

    def __enter__(self) -> Self:
        screen = console(stderr=True)
        if screen.is_terminal and not screen.is_dumb_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("{task.description}", style="bold", markup=False),
                TextColumn("{task.fields[day]}", markup=False),
                BarColumn(30),
                TextColumn("{task.fields[place]}", style="dim", markup=False),
                TextColumn("{task.fields[rows]}", style="green", markup=False),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=screen, transient=True)
            self._task = self._bar.add_task(self._title, total=None, day="", place="", rows="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
