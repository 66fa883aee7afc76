"""Ways to run an emulator outside the caller's own loop: a thread, a process, a command."""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from .ledger import Ledger, LedgerEntry

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_GREETING = "emulator: "


class Runnable(Protocol):
    """What can be run: an emulator."""

    async def start(self) -> None:
        """Start in the running loop."""

    async def stop(self) -> None:
        """Stop, leaving nothing behind."""

    @property
    def url(self) -> str:
        """Where it listens."""
        ...


R = TypeVar("R", bound=Runnable)


class InThread(Generic[R]):
    """Runs an emulator in a daemon thread with a loop of its own, as a context.

    It is a class because a generator left open would be closed, and so would wait for its thread,
    while the interpreter ends: when no thread runs any more.
    """

    def __init__(self, emulator: R) -> None:
        self._emulator = emulator
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: asyncio.Event | None = None

    def __enter__(self) -> R:
        if self._thread is not None:
            raise RuntimeError("the emulator runs already")
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="emulator", daemon=True
        )
        self._thread.start()
        try:
            started.result(_START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self._emulator

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    async def _serve(self, started: concurrent.futures.Future[None]) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._emulator.start()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(None)
        try:
            await self._told.wait()
        finally:
            await self._emulator.stop()

    def _end(self) -> None:
        if self._loop is not None and self._told is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._told.set)
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        self._thread = self._loop = self._told = None


def run_until_told(emulator: Runnable, *, stdin_closes: bool = False) -> None:
    """Run an emulator until SIGINT or SIGTERM, after one line on stdout that says where it listens.

    With ``stdin_closes`` it also ends when its standard input does: so no orphan outlives the
    process that started it, however that process died.
    """
    with asyncio.Runner() as runner:  # Ctrl-C may come before there is a loop
        runner.run(_run_until_told(emulator, stdin_closes))


async def _run_until_told(emulator: Runnable, stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        # Where a loop cannot take signals (Windows), KeyboardInterrupt ends the run.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, told.set)
    await emulator.start()
    try:
        print(f"{_GREETING}{emulator.url}", flush=True)
        if stdin_closes:
            threading.Thread(target=_await_eof, args=(loop, told), daemon=True).start()
        await told.wait()
    finally:
        await emulator.stop()


def _await_eof(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    # Not sys.stdin: a daemon thread inside its buffer would break the interpreter's shutdown.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # stopped by a signal meanwhile
        loop.call_soon_threadsafe(told.set)


class EmulatorProcess:
    """An emulator in a process of its own: for trials at full speed and for killing.

    ``module`` is run by this interpreter with ``arguments``; it must call :func:`run_until_told`.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        ledger: str | os.PathLike[str] | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", module, *arguments, "--stdin-closes"]
        if ledger is not None:
            self._command += ["--ledger", os.fspath(ledger)]
        self._ledger = ledger
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def __repr__(self) -> str:
        return f"EmulatorProcess({self._url or 'not running'})"

    @property
    def url(self) -> str:
        """Where the running emulator listens."""
        if self._process is None:
            raise RuntimeError("the emulator is not running; start it first")
        return self._url

    @property
    def pid(self) -> int:
        """The process that runs the emulator."""
        if self._process is None:
            raise RuntimeError("the emulator is not running; start it first")
        return self._process.pid

    @property
    def entries(self) -> list[LedgerEntry]:
        """What the emulator has executed so far, as its ledger file says."""
        if self._ledger is None:
            raise RuntimeError("the emulator keeps no ledger file; give it one by ledger=PATH")
        return Ledger.read(self._ledger)

    def start(self) -> None:
        """Start the process and wait until it listens."""
        if self._process is not None:
            raise RuntimeError("the emulator runs already")
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter, no shell)
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            # Ctrl-C in a terminal is for the caller; the emulator ends when the caller is done.
            start_new_session=os.name == "posix",
        )
        line = _first_line(self._process)
        if not line.startswith(_GREETING):
            code = self._end(kill=True)
            raise RuntimeError(f"the emulator did not start; its process ended with code {code}")
        self._url = line.removeprefix(_GREETING).strip()

    def stop(self) -> None:
        """End the emulator by closing its standard input. May be called twice."""
        self._end(kill=False)

    def kill(self) -> None:
        """End the emulator with no chance to tidy up (SIGKILL), as a crash would."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> int | None:
        process, self._process, self._url = self._process, None, ""
        if process is None:
            return None
        # communicate() closes the pipes, and closing stdin is what the emulator waits for.
        try:
            if kill:
                process.kill()
            process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _first_line(process: subprocess.Popen[bytes]) -> str:
    """Return the process's first line, or nothing when it ended or took too long."""
    assert process.stdout is not None
    # A process that says nothing is killed, which ends the read below: no wait without an end.
    watch = threading.Timer(_START_SECONDS, process.kill)
    watch.daemon = True
    watch.start()
    try:
        return process.stdout.readline().decode()
    finally:
        watch.cancel()
        watch.join()


def _environment() -> dict[str, str]:
    """Return an environment in which a child finds this package, installed or not."""
    root = str(Path(__file__).resolve().parents[3])
    environment = dict(os.environ)
    if root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{root}{os.pathsep}{known}" if known else root
    return environment


def parser_of(module: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options that every emulator has.

    Args:
        module: what is run, as ``python -m`` takes it.
        description: what it is.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--faults", type=float, default=0.0, metavar="RATE", dest="fault_rate")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--ledger", metavar="FILE", help="one JSON line per executed call")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--stdin-closes", action="store_true", help="end when stdin does")
    return parser


def run(
    parser: argparse.ArgumentParser, serve: Callable[..., None], arguments: Sequence[str] | None
) -> int:
    """Serve with the settings that were given, until told to stop; return the exit code."""
    settings = parser.parse_args(arguments)
    try:
        serve(**vars(settings))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
