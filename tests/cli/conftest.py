"""The command lines as processes of their own, against emulators on loopback sockets.

Those that run to their end are forks of a process that has imported everything, and a settle time
passes at once for them; those that are started and left running are started in the usual way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import KaptureEmulator
from support_async.testing import SupportEmulator
from support_async.testing.emulator import PASSWORD

from .running import Lines

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def server() -> Iterator[KaptureEmulator]:
    with KaptureEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def environment(server: KaptureEmulator, tmp_path: Path) -> dict[str, str]:
    """Only what a command line needs, and nothing that the machine has set by chance."""
    return bare_environment(tmp_path) | {
        "KAPTURE_BASE_URL": server.url,
        "KAPTURE_TOKEN": "emulator-token",
    }


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    """Where the command lines are forked that run to their end."""
    lines = Lines(bare_environment(tmp_path_factory.mktemp("home")))
    yield lines
    lines.end()


@pytest.fixture
def run_cli(lines: Lines, environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs the command line to its end."""
    return runner(lines, "kapture_async", environment, tmp_path)


@pytest.fixture
def start_cli(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts the command line and leaves it running; what is left at the end is killed."""
    yield from starter("kapture_async", environment, tmp_path)


@pytest.fixture
def support_server() -> Iterator[SupportEmulator]:
    with SupportEmulator().in_thread() as emulator:
        yield emulator


@pytest.fixture
def support_environment(support_server: SupportEmulator, tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path) | {
        "SUPPORT_BASE_URL": support_server.url,
        "SUPPORT_APIKEY": support_server.apikey,
        "SUPPORT_ACCESS_TOKEN": support_server.token,
    }


@pytest.fixture
def run_support(lines: Lines, support_environment: dict[str, str], tmp_path: Path) -> Run:
    return runner(lines, "support_async", support_environment, tmp_path)


@pytest.fixture
def start_support(support_environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    yield from starter("support_async", support_environment, tmp_path)


@pytest.fixture
def as_user() -> dict[str, str]:
    """What makes the support command line log in by itself."""
    return {
        "SUPPORT_ACCESS_TOKEN": "",
        "SUPPORT_USERNAME": "member@example.com",
        "SUPPORT_PASSWORD": PASSWORD,
    }


def bare_environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "PYTHONPATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    return variables | {
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "error",
        "HOME": str(home),
        "COLUMNS": "200",
    }


def runner(lines: Lines, module: str, environment: dict[str, str], folder: Path) -> Run:
    def run(
        *words: str,
        env: dict[str, str] | None = None,
        input: str | None = None,
        folder: Path = folder,
    ) -> Any:
        return lines.run(
            module, *words, environment=environment | (env or {}), folder=folder, text=input
        )

    return run


def starter(module: str, environment: dict[str, str], folder: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment | (env or {}),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
