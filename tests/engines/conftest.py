"""Real engines, which take minutes to install and to start: `.ci/engines`, `pytest -m engines`."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

import kapture_async
from kapture_async import JournalError, KaptureClient
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from ..once.judge import judge
from ..postgres import PASSWORD, PostgresServer

ROWS = 1_200
ROOT = Path(kapture_async.__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engines)
            item.add_marker(pytest.mark.timeout(400))


@define
class Helpdesk:
    """The emulator, a journal that all workers reach, and rows to push."""

    emulator: KaptureEmulator
    journal: str
    """Without the password, which is in the environment."""

    def rows(self) -> list[dict[str, Any]]:
        return [{"Id": n, "Subject": f"row {n}", "Left out": "secret"} for n in range(ROWS)]

    @property
    def options(self) -> dict[str, Any]:
        return {
            "journal": self.journal,
            "key": "Id",
            "map": {"title": "Subject"},
            "max_concurrency": 8,
            "timeout": 1.0,
        }

    def executed(self) -> Counter[str]:
        return Counter(entry.payload["title"] for entry in self.emulator.ledger.of("tickets.add"))

    def wait_for(self, rows: int) -> None:
        self.emulator.ledger.wait_for(rows, 200.0)

    async def settle(self, push: Callable[[], Any]) -> None:
        """Reconcile and push again, until every row is in the helpdesk; judged by the ledger."""
        until = time.monotonic() + 200.0
        while judge(self.journal, self.emulator.ledger).accepted < ROWS:
            assert time.monotonic() < until
            async with KaptureClient.from_env(timeout=5.0) as client:
                try:
                    await client.tickets.reconcile(self.journal, settle=10.0)
                except JournalError:  # the lease of the worker that died is not over yet
                    await asyncio.sleep(1.0)
                    continue
            push()
        assert set(self.executed().values()) == {1}
        assert len(self.executed()) == ROWS


@pytest.fixture
def helpdesk(
    postgres: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Helpdesk]:
    slow = FaultPlan.rate(0.3, seed=4, kinds=[Fault("slow", duration=0.05)])
    with KaptureEmulator(faults=slow).in_thread() as emulator:
        monkeypatch.setenv("KAPTURE_BASE_URL", emulator.url)
        monkeypatch.setenv("KAPTURE_TOKEN", emulator.token or "")
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        yield Helpdesk(emulator, postgres.replace(f":{PASSWORD}@", "@"))


def kill_one_of(find: Callable[[], list[int]]) -> int:
    """Kill a process of those that are there, and give its number."""
    until = time.monotonic() + 60.0
    while True:
        for pid in find():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it has just ended
                continue
            return pid
        assert time.monotonic() < until


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                continue
            found[int(entry.name)] = (int(status[1]), command)
    return found


def descendants(pid: int = 0) -> dict[int, str]:
    """The command lines of all processes below one: this one by default."""
    everything = processes()
    below, found = {pid or os.getpid()}, {}
    while True:
        more = {p: c for p, (parent, c) in everything.items() if parent in below and p not in found}
        if not more:
            return found
        found |= more
        below |= set(more)
