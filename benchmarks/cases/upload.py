"""Sending files of 2 MiB, 16 at a time."""

from __future__ import annotations

from . import Case, Contender

SIZE = {"size": 2 * 2**20}
CASES = [
    Case(
        name="upload",
        title="Uploads of 2 MiB, 16 at a time",
        contenders=(
            Contender(
                "R", "aiohttp FormData (R)", "aiohttp_raw", "upload", concurrency=16, options=SIZE
            ),
            Contender("create", "this library", "kapture", "upload", concurrency=16, options=SIZE),
            Contender(
                "requests",
                "requests, 16 threads",
                "requests_threads",
                "upload",
                needs=("requests",),
                concurrency=16,
                options=SIZE,
            ),
        ),
        rows=200,
        quick=32,
    )
]
