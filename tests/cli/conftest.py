"""The command line as a process of its own, against a twin on a loopback socket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import KaptureTwin

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def server() -> Iterator[KaptureTwin]:
    with KaptureTwin().in_thread() as twin:
        yield twin


@pytest.fixture
def environment(server: KaptureTwin, tmp_path: Path) -> dict[str, str]:
    """Only what a command line needs, and nothing that the machine has set by chance."""
    kept = ("PATH", "PYTHONPATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    return variables | {
        "KAPTURE_BASE_URL": server.url,
        "KAPTURE_TOKEN": "twin-token",
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "error",
        "HOME": str(tmp_path),
        "COLUMNS": "200",
    }


@pytest.fixture
def run_cli(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs the command line to its end."""

    def run(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "kapture_async", *arguments],
            env=environment | (env or {}),
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            **options,
        )

    return run


@pytest.fixture
def start_cli(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command line and leaves it running; what is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kapture_async", *arguments],
            env=environment,
            cwd=tmp_path,
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
