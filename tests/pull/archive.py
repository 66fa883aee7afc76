"""An archive of one tenant's tickets, kept by exports with a state."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kapture_async import Exported, KaptureClient, RetryPolicy
from kapture_async._api import INDIA
from kapture_async.testing import KaptureEmulator

NOON = datetime(2024, 4, 19, 12, 0, tzinfo=INDIA)
START = "2024-04-15"
QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)


class Archive:
    """Exports of one tenant into one folder, numbered."""

    def __init__(self, emulator: KaptureEmulator, client: KaptureClient, folder: Path) -> None:
        self.emulator = emulator
        self.client = client
        self.folder = folder
        self.state = folder / "tickets.state"
        self.runs = 0
        emulator.now = NOON

    async def run(self, **more: Any) -> Exported:
        self.runs += 1
        day = (self.emulator.now + timedelta(days=1)).date()  # as far as the service's clock is
        settings = {"start": START, "end": day, "state": self.state, **more}
        return await self.client.tickets.export(self.folder / f"{self.runs:04}.jsonl", **settings)

    @property
    def outputs(self) -> list[dict[str, Any]]:
        files = sorted(self.folder.rglob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    @property
    def ids(self) -> list[str]:
        return [row["ticketId"] for row in self.outputs]

    @property
    def truth(self) -> set[str]:
        return set(self.emulator._store.tickets)

    def holds(self) -> bool:
        return sorted(self.ids) == sorted(self.truth)

    @property
    def leftovers(self) -> list[str]:
        names = {path.name for path in self.folder.iterdir() if path.suffix != ".jsonl"}
        return sorted(names - {self.state.name})

    @property
    def memory(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found
