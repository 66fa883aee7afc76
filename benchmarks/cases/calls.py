"""One blocking call after the other: what a script or a notebook waits for."""

from __future__ import annotations

from . import Case, Contender

CASES = [
    Case(
        name="sync",
        title="One blocking call, the connection open",
        contenders=(
            Contender(
                "requests",
                "requests.Session.post",
                "requests_threads",
                "calls",
                needs=("requests",),
                concurrency=1,
            ),
            Contender("sync", "SyncKaptureClient", "kapture", "calls", concurrency=1),
            Contender(
                "sync-uvloop",
                "SyncKaptureClient, uvloop",
                "kapture",
                "calls",
                needs=("uvloop",),
                concurrency=1,
                uvloop=True,
            ),
            Contender(
                "httpx", "httpx.Client", "httpx_async", "calls", needs=("httpx",), concurrency=1
            ),
            Contender(
                "httpx2",
                "httpx2.Client",
                "httpx_async",
                "calls",
                needs=("httpx2",),
                concurrency=1,
                options={"library": "httpx2"},
            ),
            Contender(
                "niquests",
                "niquests.Session.post",
                "niquests_calls",
                "calls",
                concurrency=1,
                own="niquests",
            ),
        ),
        rows=1000,
        quick=200,
        unit="micro",
        columns=(("p99", "us (p99)"),),
    )
]
