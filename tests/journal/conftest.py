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


STORES = ("file", "postgres")
CONTRACT = ("test_decisions", "test_ends")
"""What any place must do that keeps journals: these tests run over each of them."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.module.__name__.rpartition(".")[2]
    if "opened" in metafunc.fixturenames and name in CONTRACT:
        metafunc.parametrize("kept_in", STORES)


@pytest.fixture
def kept_in() -> str:
    """Which place keeps the journal."""
    return "file"


@pytest.fixture
def opened(
    kept_in: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Driven]]:
    """Opens the journal of the test; closes what is left open."""
    if kept_in == "postgres":
        where = request.getfixturevalue("postgres")
        on_the_clock_of_the_test(monkeypatch)
    else:
        where = request.getfixturevalue("path")
    yield from _opened(where)


@pytest.fixture
def opened_file(path: Path) -> Iterator[Callable[..., Driven]]:
    """:func:`opened`, whatever the store: a file."""
    yield from _opened(path)


def on_the_clock_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are written with the time that the test says, and not with the database's."""
    from kapture_async._core.journal.postgres.storage import PostgresStorage

    begin = PostgresStorage._begin_run

    def _open(cls: Any, *args: Any, now: Any, **more: Any) -> Any:
        def begun(storage: PostgresStorage, **restored: bool) -> None:
            monkeypatch.setattr(storage, "now", now, raising=True)
            begin(storage, **restored)

        monkeypatch.setattr(PostgresStorage, "_begin_run", begun)
        return original(*args, now=now, **more)

    original = PostgresStorage.open
    monkeypatch.setattr(PostgresStorage, "open", classmethod(_open))


def _opened(path: Path | str) -> Iterator[Callable[..., Driven]]:
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
