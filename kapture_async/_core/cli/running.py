"""Running commands: the event loop, Ctrl-C, and errors as a person can read them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

import click

from ..errors import HelpdeskError
from ..transport.endings import interrupted_by
from .exits import BUG, INTERRUPTED, USAGE, code_of_error
from .screen import labelled, one_line, say, show_error

T = TypeVar("T")


def program_name(command: str, package: str) -> str:
    """How this program was called, for commands to copy.

    Args:
        command: the name of its entry point.
        package: the package that ``python -m`` runs.
    """
    called = os.path.basename(sys.argv[0])
    return f"python -m {package}" if called == "__main__.py" else command


def run_commands(commands: click.Command, *, name: str, debug_variable: str) -> None:
    """Run a command line and end the program with its exit code.

    Args:
        commands: the commands.
        name: what the program is called.
        debug_variable: the environment variable that asks for tracebacks.
    """
    if sys.stdout is None:  # closed by the caller (>&-)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        commands.main(prog_name=name)
    except HelpdeskError as error:
        if os.environ.get(debug_variable):
            raise
        show_error(error)
        for note in getattr(error, "__notes__", ()):
            labelled(("note", note, "bold"))
        sys.exit(code_of_error(error))
    except OSError as error:
        if os.environ.get(debug_variable) or error.filename is None:
            _unexpected(error, debug_variable)
        labelled(("error", f"{error.filename}: {error.strerror}", "bold red"))
        sys.exit(USAGE)
    except Exception as error:
        _unexpected(error, debug_variable)


def _unexpected(error: Exception, debug_variable: str) -> None:
    if os.environ.get(debug_variable):
        raise error
    what = one_line(f"{type(error).__name__}: {error}", 200)
    labelled(("error", f"a bug, {what} ({debug_variable}=1 shows where)", "bold red"))
    sys.exit(BUG)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop of its own: uvloop's if that is installed.

    Ctrl-C cancels it, says what may have happened by then, and ends the program.
    """
    story: list[HelpdeskError] = []

    async def watched() -> T:
        try:
            return await main()
        except asyncio.CancelledError as error:
            left = interrupted_by(error)
            if left is not None:
                story.append(left)
            raise

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(watched())
    except KeyboardInterrupt:
        for error in story:
            show_error(error)
        say("Interrupted.", stderr=True)
        sys.exit(INTERRUPTED)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class Interrupts:
    """Takes Ctrl-C (and SIGTERM) while it is entered, and says how often it came.

    Args:
        on_press: called in the loop with the number of this one, from 1.
    """

    def __init__(self, on_press: Callable[[int], None]) -> None:
        self._on_press = on_press
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._in_loop: set[signal.Signals] = set()
        self.presses = 0

    def __enter__(self) -> Self:
        self._loop = loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.getsignal(number)
                loop.add_signal_handler(number, self._pressed)
                self._in_loop.add(number)
            except (NotImplementedError, RuntimeError):  # Windows has no such loop
                signal.signal(number, self._from_outside)
            except ValueError:  # not the main thread: no signals here
                self._before.pop(number, None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        for number, before in self._before.items():
            if number in self._in_loop:
                self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if before is None else before)

    def _pressed(self) -> None:
        self.presses += 1
        self._on_press(self.presses)

    def _from_outside(self, number: int, frame: FrameType | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._pressed)
