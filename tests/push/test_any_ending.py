"""Pushes that end in any way at any moment, under faults: the ledger never contradicts them."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kapture_async import KaptureClient, Outcome, Push, PushStoppedError, RetryPolicy, Timeout
from kapture_async.testing import FaultPlan, KaptureEmulator

from ..weather import HASTY

# `PUSH_SEEDS=500 pytest tests/push/test_any_ending.py` for a long run.
SEEDS = int(os.environ.get("PUSH_SEEDS", "24"))
ENDINGS = ("to the end", "break", "stop twice", "unread", "cancel", "cancel twice")


async def consume(push: Push[Any], seen: list[Outcome], ending: str, dice: random.Random) -> None:
    enough = dice.randint(1, 60)
    async with push as outcomes:
        async for outcome in outcomes:
            seen.append(outcome)
            if ending == "break" and len(seen) >= enough:
                break
            if ending == "stop twice" and len(seen) >= enough:
                push.stop()
                push.stop()
            if ending == "unread" and dice.random() < 0.2:
                seen += push.unread()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_any_ending(seed: int) -> None:
    dice = random.Random(seed)
    count, ending = dice.randint(1, 150), ENDINGS[seed % len(ENDINGS)]
    faults = FaultPlan.rate(dice.choice([0.0, 0.05, 0.3]), seed=seed, kinds=HASTY)

    async def rows() -> AsyncIterator[dict[str, str]]:
        for n in range(count):
            if dice.random() < 0.1:
                await asyncio.sleep(dice.random() * 0.01)
            yield {"title": f"t{n}"}

    async with (
        KaptureEmulator(faults=faults, latency=dice.choice([0.0, 0.005])) as emulator,
        KaptureClient(
            base_url=emulator.url,
            token=emulator.token,
            timeout=Timeout(total=0.3),
            retry=RetryPolicy(first_wait=0.001),
            max_connections=dice.choice([2, 100]),
        ) as client,
    ):
        source: Any = rows() if dice.random() < 0.5 else [{"title": f"t{n}"} for n in range(count)]
        push = client.tickets.push(
            source,
            max_concurrency=dice.choice([1, 4, 32]),
            patience=dice.choice([0.2, 5]),
            give_up_after=dice.choice([5, 100]),
        )
        seen: list[Outcome] = []
        task = asyncio.create_task(consume(push, seen, ending, dice))
        await asyncio.sleep(0)  # a task that was cancelled before it began would push nothing
        if ending.startswith("cancel"):
            await asyncio.sleep(dice.random() * 0.1)
            task.cancel()
            if ending == "cancel twice":
                await asyncio.sleep(dice.random() * 0.02)
                task.cancel()
        done, _ = await asyncio.wait({task}, timeout=60)
        assert done, "it hangs"
        if not task.cancelled():
            assert isinstance(task.exception(), PushStoppedError | None)
        seen += push.unread()

        entries = emulator.ledger.of("tickets.add")
        executed = Counter(entry.payload["title"] for entry in entries)
        ids = {entry.payload["title"]: entry.ticket_id for entry in entries}
        assert sorted(outcome.index for outcome in seen) == list(range(push.counts.rows))
        assert max(executed.values(), default=0) <= 1
        assert {int(title[1:]) for title in executed} <= set(range(push.counts.rows))
        for outcome in seen:
            title = outcome.row["title"]
            if outcome.name == "accepted":
                assert ids[title] == outcome.ticket_id
            elif outcome.name != "unknown":
                assert title not in executed, outcome.reason
