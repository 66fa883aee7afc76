"""How far a download is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .console import console, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..download.download import DownloadProgress


class TransferBar:
    """Shows a transfer on stderr while it is entered, and nothing is left of it afterwards.

    Give :meth:`on_progress` to the download.

    Args:
        title: what is transferred.
    """

    def __init__(self, title: str) -> None:
        self._title = one_line(title, 40)
        self._bar: Progress | None = None
        self._task: Any = None

    def on_progress(self, progress: DownloadProgress) -> None:
        """Take notice of how far it is."""
        if self._bar is not None:
            self._bar.update(self._task, completed=progress.received, total=progress.size)

    def __enter__(self) -> Self:
        screen = console(stderr=True)
        if screen.is_terminal and not screen.is_dumb_terminal:
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
            from rich.progress import TransferSpeedColumn as Speed

            title = TextColumn("{task.description}", style="bold", markup=False)
            columns = (title, BarColumn(30), DownloadColumn(binary_units=True), Speed())
            self._bar = Progress(*columns, console=screen, transient=True)
            self._task = self._bar.add_task(self._title, total=None)
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
