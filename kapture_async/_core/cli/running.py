"""Running commands: the event loop, Ctrl-C, and errors as a person can read them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

import click

from ..errors import HelpdeskError
from ..transport.failures import interrupted_by
from .console import (
    data_to_stdout,
    guard_streams,
    labelled,
    one_line,
    output_of,
    say,
    show_error,
    warn,
)
from .exit_codes import BUG, DONE, REJECTED, USAGE, code_of_error
from .options import Sectioned
from .startup import INTERRUPTED, STOPPING, is_ignored, stopping

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


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
    guard_streams()
    try:
        stopping.loaded()
        code = _code_of(commands, name, debug_variable)
    except KeyboardInterrupt:
        stopping.over()
        say("Interrupted.", stderr=True)
        code = INTERRUPTED
    stopping.over()
    _tell_lost()
    sys.exit(INTERRUPTED if stopping.presses else code)


def _code_of(commands: click.Command, name: str, debug_variable: str) -> int | str | None:
    try:
        result = commands.main(prog_name=name, standalone_mode=False)
        return result if isinstance(result, int) else DONE
    except SystemExit as error:
        return error.code
    except click.Abort:  # Ctrl-C, as click passes it on
        raise KeyboardInterrupt from None
    except _Unwritten as error:
        warn(error.message)
        return error.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HelpdeskError as error:
        if os.environ.get(debug_variable):
            raise
        show_error(error)
        for note in getattr(error, "__notes__", ()):
            labelled(("note", note, "bold"))
        return code_of_error(error)
    except OSError as error:
        if os.environ.get(debug_variable):
            raise
        if error.filename is None:
            return _unexpected(error, debug_variable)
        labelled(("error", f"{error.filename}: {error.strerror}", "bold red"))
        return USAGE
    except Exception as error:
        if os.environ.get(debug_variable):
            raise
        return _unexpected(error, debug_variable)


def _unexpected(error: Exception, debug_variable: str) -> int:
    what = one_line(f"{type(error).__name__}: {error}", 200)
    labelled(("error", f"a bug, {what} ({debug_variable}=1 shows where)", "bold red"))
    return BUG


def _tell_lost() -> None:
    """Say on standard error what standard output did not take."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    output = output_of(sys.stdout)
    if output is not None and output.lost:
        assert output.failure is not None
        warn(f"{_unwritable(output.failure)}; it would have said:")
        sys.stderr.write(output.lost.decode(sys.stdout.encoding, "replace"))
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()


def _unwritable(error: OSError) -> str:
    if isinstance(error, BrokenPipeError):
        return "standard output was closed before the end"
    return f"standard output could not be written: {error.strerror or 'it is closed'}"


class Reading(Sectioned):
    """A command whose output is its work: it fails if that cannot be written."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            with data_to_stdout():
                return super().invoke(ctx)
        except OSError as error:
            output = output_of(sys.stdout)
            if output is None or output.failure is not error:
                raise
            raise _Unwritten(error) from None


def reading(function: F) -> F:
    """Make a shared command a :class:`Reading` one."""
    function.command_class = Reading  # type: ignore[attr-defined]
    return function


class _Unwritten(click.ClickException):
    def __init__(self, error: OSError) -> None:
        super().__init__(_unwritable(error))
        # Who reads no further, as `head` does, has what was wanted.
        self.code = REJECTED if isinstance(error, BrokenPipeError) else USAGE


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop of its own: uvloop's if that is installed.

    Ctrl-C cancels it, says what may have happened by then, and ends the program.
    """
    story: list[HelpdeskError] = []

    async def watched() -> T:
        stopping.run(asyncio.current_task())
        try:
            if stopping.presses:  # before there was a task to cancel
                raise asyncio.CancelledError
            return await main()
        except asyncio.CancelledError as error:
            left = interrupted_by(error)
            if left is not None:
                story.append(left)
            raise
        finally:
            stopping.run(None)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            stopping.run(None)
            return runner.run(watched())
    except (KeyboardInterrupt, asyncio.CancelledError):
        for error in story:
            show_error(error)
        raise KeyboardInterrupt from None
    finally:
        stopping.stop_running()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class Interrupts:
    """Takes Ctrl-C, SIGTERM and SIGHUP while it is entered, and says how often one came. A signal
    that the program inherited as ignored stays ignored.

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
        for number in STOPPING:
            try:
                if is_ignored(number):
                    continue
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
