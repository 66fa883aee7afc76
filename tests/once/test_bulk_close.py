"""The bulk close from a CSV file, from the command line: killed twice, each ticket closed once.

`ONCE_ROWS=8469 ONCE_SECONDS=600` makes it as large as you like; see the numbers with `-s`.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kapture_async
from kapture_async.testing import FaultPlan, KaptureEmulator

ROWS = int(os.environ.get("ONCE_ROWS", "100"))
SECONDS = float(os.environ.get("ONCE_SECONDS", "60"))
ROOT = Path(kapture_async.__file__).parent.parent
FAULTS = ["close_before", "close_after", "reset_after", "garbage", "bad_json"]
LATENCY = 0.05
"""So that a kill hits several rows under way."""
UPDATE = "tickets.update"


class Commands:
    """Runs commands of the command line against an emulator."""

    def __init__(self, emulator: KaptureEmulator, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "KAPTURE_BASE_URL": emulator.url,
            "KAPTURE_TOKEN": emulator.token or "",
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "kapture_async", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *arguments: str) -> tuple[int, Any]:
        process = self.start(*arguments, "--json")
        out, _ = process.communicate(timeout=SECONDS)
        return process.returncode, json.loads(out.splitlines()[-1])


def killed_at(emulator: KaptureEmulator, updates: int, start: Callable[[], Any]) -> dict[str, Any]:
    process = start()
    end = time.monotonic() + SECONDS
    while not emulator.ledger.wait_for(updates, 0.05):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < end, "it does not end"
    process.kill()
    process.communicate()
    return {"updates": len(emulator.ledger), "code": process.returncode}


def test_killed_twice_and_each_ticket_is_closed_once(tmp_path: Path) -> None:
    with KaptureEmulator().in_thread() as emulator:
        ids = [emulator.seed(title=f"Ticket {number}") for number in range(ROWS)]
        with (tmp_path / "close.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Ticket ID", "Team", "comment"])
            for ticket_id in ids:
                writer.writerow([ticket_id, "North", f"Closed: {ticket_id}.\nIt was “solved”."])
            writer.writerow([ids[0], "North", "The same ticket once more."])
        emulator.latency = LATENCY
        emulator.faults = FaultPlan.rate(0.03, seed=8, kinds=FAULTS, only=UPDATE)
        commands = Commands(emulator, tmp_path)
        close = ("update-many", "close.csv", "--map", "ticket_id=Ticket ID")
        close += ("--map", "comment=comment", "--sub-status", "CL", "--timeout", "0.5")
        # A kill leaves in doubt what was written down ahead: not so much that nothing is left.
        close += ("--max-concurrency", "4")
        began = time.monotonic()
        kills = [
            killed_at(emulator, ROWS * part // 4, lambda: commands.start(*close)) for part in (1, 2)
        ]
        assert [kill["code"] for kill in kills] == [-9, -9]
        _, standing = commands.run("status", "close.csv.journal")
        at_kill = standing["unknown"]
        assert at_kill > 0
        rounds = 0
        while standing["accepted"] < ROWS:
            rounds += 1
            assert time.monotonic() < began + SECONDS, standing
            if standing["unknown"]:
                code, found = commands.run("reconcile", "close.csv.journal", "--settle", "1")
                assert code == 0, found
                assert found["still_open"] == 0
            commands.run("resume", "close.csv.journal")
            _, standing = commands.run("status", "close.csv.journal")
        print(
            f"\n{ROWS:,} tickets, killed at {[kill['updates'] for kill in kills]} updates, "
            f"{at_kill} rows in doubt then, {rounds} rounds, {emulator.faulted.total()} faults, "
            f"{time.monotonic() - began:.0f} s: {len(emulator.ledger.of(UPDATE)):,} updates"
        )

    # By the emulator's own books, and by what stands in its tickets.
    updates = Counter(entry.ticket_id for entry in emulator.ledger.of(UPDATE))
    assert updates == dict.fromkeys(ids, 1)
    assert len(emulator.ledger) == ROWS
    for ticket_id in ids:
        ticket = emulator.ticket(ticket_id)
        assert ticket is not None
        assert (ticket.status, ticket.sub_status) == ("C", "CL")
        (note,) = ticket.notes
        text, _, marker = note.rpartition("\n")
        assert text == f"Closed: {ticket_id}.\nIt was “solved”."
        assert marker.startswith("[ref:")
        assert len(marker) == 26
