"""The two servers of the contract tests: stock Django REST Framework, and the emulator.

The framework runs in a process of its own (``drf/``); nothing of it is imported here.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import pytest

from support_async.testing import SupportEmulator

APIKEY = "emulator-apikey"
PASSWORD = "emulator-password"
MEMBER = "member@example.com"
OTHER = "other@example.com"

_START_SECONDS = 30.0
_END_SECONDS = 10.0


class Server(Protocol):
    """A support service on the wire, empty but for its users, categories and tags."""

    url: str
    apikey: str

    def token(self, email: str = MEMBER, seconds: float = 3600) -> str:
        """Return an access token; one with a negative life has expired."""
        ...

    def refresh_token(self) -> str:
        """Return a refresh token, which opens nothing by itself."""
        ...


class Stage(NamedTuple):
    """What a test may choose about the service before it begins."""

    wrapped: bool = True
    open_ticket_limit: int | None = None
    inactive: str = ""
    """A user who may not come in any more."""


class DrfServer:
    """The process of ``drf/``: one for all tests, emptied before each."""

    apikey = APIKEY

    def __init__(self, home: Path) -> None:
        self.log = home / "output.txt"
        path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "DRF_HOME": str(home),
            "DRF_APIKEY": APIKEY,
            "DRF_WRAP_ERRORS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            # Deprecations of its packages are theirs, whatever this process was told to do.
            "PYTHONWARNINGS": "ignore",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "drf"],
                stdin=subprocess.PIPE,  # its end ends the service, even if this process is killed
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the tests; they end the service themselves
            )
        try:
            self.url = self._await_url()
        except BaseException:
            self.end()
            raise

    def output(self) -> str:
        """Return what the process has written, tracebacks included."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def token(self, email: str = MEMBER, seconds: float = 3600) -> str:
        return self._ask("/-/token/", kind="access", email=email, seconds=seconds)

    def refresh_token(self) -> str:
        return self._ask("/-/token/", kind="refresh", email=MEMBER, seconds=3600)

    def set_stage(self, stage: Stage) -> None:
        """Forget all tickets; ids begin again."""
        limit = "" if stage.open_ticket_limit is None else stage.open_ticket_limit
        self._ask("/-/stage/", wrapped=int(stage.wrapped), limit=limit, inactive=stage.inactive)

    def end(self) -> None:
        """End the process, and whatever it has started."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()

    def _await_url(self) -> str:
        assert self._process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(
            target=_read_line, args=(self._process.stdout, lines), daemon=True
        )
        reader.start()
        try:
            name, _, url = lines.get(timeout=_START_SECONDS).partition(": ")
        except queue.Empty:
            name = url = ""
        if name != "drf":
            pytest.fail(f"Django REST Framework did not start:\n{self.output()}", pytrace=False)
        return url.strip()

    def _ask(self, path: str, **query: Any) -> str:
        host, port = address(self.url)
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        if reply.status >= 400:
            pytest.fail(f"{path}: HTTP {reply.status}\n{self.output()}", pytrace=False)
        return text


class EmulatorServer:
    """The emulator behind the same few names."""

    apikey = APIKEY

    def __init__(self, emulator: SupportEmulator) -> None:
        self._emulator = emulator
        self.url = emulator.url

    def token(self, email: str = MEMBER, seconds: float = 3600) -> str:
        return self._emulator.issue_token(email=email, seconds=seconds)

    def refresh_token(self) -> str:
        return self._emulator.issue_refresh_token()


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


class EmulatorLoop:
    """An event loop in a thread for emulators that come and go: there are hundreds of them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @contextmanager
    def emulator(self, stage: Stage) -> Iterator[EmulatorServer]:
        """Run an emulator as the stage says."""
        envelope: Any = "wrapped" if stage.wrapped else "bare"
        emulator = SupportEmulator(envelope=envelope, open_ticket_limit=stage.open_ticket_limit)
        if stage.inactive:
            emulator.deactivate(stage.inactive)
        self._run(emulator.start())
        try:
            yield EmulatorServer(emulator)
        finally:
            self._run(emulator.stop())

    def end(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_END_SECONDS)


@pytest.fixture(scope="session")
def drf_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrfServer]:
    """Start Django REST Framework once for all tests that need it."""
    if sys.platform == "win32":
        pytest.skip("gunicorn does not run on Windows")
    server = DrfServer(tmp_path_factory.mktemp("drf"))
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="session")
def emulator_loop() -> Iterator[EmulatorLoop]:
    """Where the emulators of all tests run that do not bring a loop of their own."""
    loop = EmulatorLoop()
    try:
        yield loop
    finally:
        loop.end()


@pytest.fixture
def stage() -> Stage:
    """What the servers begin with; ``@pytest.mark.parametrize("stage", ...)`` chooses."""
    return Stage()


@pytest.fixture
def drf_output(drf_process: DrfServer, request: pytest.FixtureRequest) -> Iterator[None]:
    """Show what Django REST Framework writes during a test, if the test fails."""
    before = len(drf_process.output())
    yield
    if written := drf_process.output()[before:]:
        request.node.add_report_section("teardown", "Django REST Framework", written)


@pytest.fixture
def drf(drf_process: DrfServer, drf_output: None, stage: Stage) -> DrfServer:
    """Django REST Framework without tickets."""
    drf_process.set_stage(stage)
    return drf_process


@pytest.fixture(params=["drf", "emulator"])
def server(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Server]:
    """A support service without tickets: first Django REST Framework, then the emulator."""
    if request.param == "drf":
        yield request.getfixturevalue("drf")
    else:
        emulator_loop: EmulatorLoop = request.getfixturevalue("emulator_loop")
        with emulator_loop.emulator(stage) as emulator:
            yield emulator


def _read_line(stream: IO[bytes], lines: queue.Queue[str]) -> None:
    lines.put(stream.readline().decode())
