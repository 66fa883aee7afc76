"""Pulling a day of 50,000 tickets: objects per second, memory, and how long the loop stands."""

from __future__ import annotations

from . import Case, Contender

DAY = 50_000
QUICK_DAY = 5_000
CASES = [
    Case(
        name="pull",
        title="A pull of {rows} tickets",
        contenders=(
            Contender(
                "pydantic",
                "aiohttp read(), pydantic",
                "pydantic_models",
                "pull",
                needs=("pydantic",),
            ),
            Contender("pull", "this library", "kapture", "pull"),
            Contender("read", "this library, every field read", "kapture", "pull_read"),
            Contender("dicts", "aiohttp read(), orjson, dicts only", "aiohttp_raw", "pull"),
            Contender(
                "requests",
                "requests, pydantic",
                "pydantic_models",
                "pull_requests",
                needs=("requests", "pydantic"),
            ),
        ),
        rows=DAY,
        quick=QUICK_DAY,
        columns=(("growth", "MiB more"), ("stall", "worst stall ms")),
        day=True,
    )
]
