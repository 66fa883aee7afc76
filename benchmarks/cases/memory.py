"""Peak memory of a push, as the number of rows grows."""

from __future__ import annotations

from . import Case, Contender


def _tasks(name: str, share: float) -> Contender:
    return Contender(
        name, "aiohttp, a task per row, {rows} rows", "aiohttp_raw", "push_tasks", (), share
    )


CASES = [
    Case(
        name="memory",
        title="Memory of a push",
        contenders=(
            Contender("10k", "this library, {rows} rows", "kapture", "push", share=0.01),
            Contender("100k", "this library, {rows} rows", "kapture", "push", share=0.1),
            Contender("1M", "this library, {rows} rows", "kapture", "push"),
            _tasks("tasks-10k", 0.01),
            _tasks("tasks-100k", 0.1),
        ),
        rows=1_000_000,
        quick=10_000,
        unit="memory",
        rounds=1,
        enough=1,
        timeout=3600,
    )
]
