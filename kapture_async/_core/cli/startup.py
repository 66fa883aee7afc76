"""What happens before click is imported: signals, and the check that the extra is installed.

Nothing here takes time to import: a Ctrl-C before :meth:`Stopping.take` is Python's own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

STOPPING: tuple[signal.Signals, ...] = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a program to stop. All of them do the same."""
INTERRUPTED = 130
"""The exit code of a program that one of them stopped."""
_GRACEFUL = 2
"""So many ask for an orderly stop; the next one breaks off whatever is running."""


def is_ignored(number: signal.Signals) -> bool:
    """Whether the signal was ignored when the program started, as under ``nohup``."""
    return signal.getsignal(number) in (signal.SIG_IGN, None)


class Stopping:
    """What the signals do, which depends on how far the program is.

    Attributes:
        presses: how many came since the program was loaded, except those handled elsewhere.
    """

    def __init__(self) -> None:
        self.presses = 0
        self._loading = self._running = False
        self._task: asyncio.Task[Any] | None = None

    def take(self) -> None:
        """Handle the signals. Until :meth:`loaded`, one of them ends the program at once, since
        nothing has been done yet."""
        self._loading = True
        for number in STOPPING:
            with contextlib.suppress(ValueError):  # not the main thread
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    signal.signal(number, self._press)

    def loaded(self) -> None:
        """From now on a signal raises ``KeyboardInterrupt``."""
        self._loading = False

    def over(self) -> None:
        """All output is written: ignore Ctrl-C, and let the others end a program that hangs."""
        for number in STOPPING:
            with contextlib.suppress(ValueError):
                if signal.getsignal(number) == self._press:
                    quiet = number == signal.SIGINT
                    signal.signal(number, signal.SIG_IGN if quiet else signal.SIG_DFL)

    def run(self, task: asyncio.Task[Any] | None) -> None:
        """An event loop runs in this thread: a signal cancels this task and raises nothing.
        With ``None`` it cancels nothing either: the loop is about to be closed."""
        self._running, self._task = True, task

    def stop_running(self) -> None:
        """The event loop is closed."""
        self._running, self._task = False, None

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._loading:
            with contextlib.suppress(OSError):
                os.write(2, b"Interrupted.\n")
            os._exit(INTERRUPTED)
        self.presses += 1
        if not self._running or self.presses > _GRACEFUL:
            raise KeyboardInterrupt
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._task.get_loop().call_soon_threadsafe(_wake_up)


def _wake_up() -> None:
    """The loop may be waiting for its sockets."""


stopping = Stopping()


def run_program(module: str) -> None:
    """Import a command line, and run its ``main``.

    Args:
        module: such as ``kapture_async.cli.app``.
    """
    stopping.take()
    if not all(map(importlib.util.find_spec, ("click", "rich"))):
        words = "The command line needs click and rich: pip install 'kapture-async[cli]'"
        print(words, file=sys.stderr)
        raise SystemExit(2)
    __import__(module)
    sys.modules[module].main()
