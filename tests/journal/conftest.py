"""What the tests of the journal share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import kapture_async
from kapture_async._core.journal.records import Identity, Job
from kapture_async._core.journal.reference import digest_of

from ..driven import Driven

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(kapture_async.__file__).parent.parent

JOB = Job(
    service="helpdesk",
    operation="tickets.add",
    target="https://example.com",
    place="ticket_details",
    keys="id",
)


@pytest.fixture
def job() -> Job:
    return JOB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickets.journal"


@pytest.fixture
def row() -> Callable[..., Identity]:
    """An identity: ``row("A-1")`` by key, ``row(None, "text")`` by content."""

    def make(key: str | None = None, content: str = "hello", line: int | None = None) -> Identity:
        return Identity(key, digest_of(content.encode()), line)

    return make


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Driven]]:
    """Opens the journal at ``path``; closes what is left open."""
    journals: list[Driven] = []

    def open_it(where: Path | None = None, *, at: float = 1.0, **changes: Any) -> Driven:
        again = changes.pop("again", None)
        more = {} if again is None else {"again": again}
        job = evolve(JOB, **changes)
        journals.append(Driven(where or path, job=job, at=at, **more))
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()


@pytest.fixture
def program() -> Callable[..., subprocess.Popen[bytes]]:
    """Starts a program from ``programs``, with pipes, in a session without warnings."""

    def start(name: str, *args: object, **kwargs: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(PROGRAMS / f"{name}.py"), *map(str, args)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            **kwargs,
        )

    return start
