"""What clients say of a POST that was executed: the server's count is the judge."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from benchmarks import truth
from benchmarks.truth import CONNECTIONS, FAULTS, Found, Server, find

EVERY = {(fault, kept) for fault in FAULTS for kept in CONNECTIONS}


@pytest.mark.parametrize(("name", "verdict"), [("kapture", "says so"), ("aiohttp", "by class")])
def test_a_client_is_run_and_judged(name: str, verdict: str) -> None:
    server = Server()
    with server as url:
        found = find(name, sys.executable, server, url)
    assert found.verdict == dict.fromkeys(EVERY, verdict)
    assert set(server.executed.values()) == {1, 2}  # 2 where a first call made the connection
    assert {found.refused, found.unreachable}.isdisjoint(found.said.values())


@pytest.mark.parametrize(
    ("said", "executed", "verdict"),
    [
        ({"error": "ConnectError", "doubt": False}, 2, "twice"),
        ({"error": "ConnectError", "doubt": False}, 1, "lost"),
        ({"error": "ConnectTimeout", "doubt": False}, 1, "lost"),
        ({"error": "ReadError", "doubt": False}, 1, "by class"),
        ({"error": "NoReplyError", "doubt": True}, 1, "says so"),
        ({"error": "NoReplyError", "doubt": True}, 2, "twice"),
    ],
)
def test_the_verdict(said: dict[str, Any], executed: int, verdict: str) -> None:
    assert truth._verdict(said, Found("ConnectError", "ConnectTimeout"), executed) == verdict


def test_a_cell_says_what_differs_on_a_kept_connection() -> None:
    found = Found()
    found.said = {("close", "new"): "A", ("close", "kept"): "B"}
    found.verdict = {("close", "new"): "by class", ("close", "kept"): "by class"}
    assert found.cell("close") == "**by class**: `A`, kept `B`"
    found.verdict["close", "kept"] = "twice"
    assert found.cell("close") == "**by class**: `A`; kept **twice**: `B`"


def test_who_cannot_run_is_named() -> None:
    assert truth.lacking("aiohttp") == ""
    assert truth.lacking("niquests") in ("", "a Python of its own in BENCH_NIQUESTS")
