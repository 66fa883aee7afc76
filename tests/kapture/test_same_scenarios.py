"""One list of scenarios through both clients: equal results, errors and requests.

The sync client has no code of its own to test, so this replaces a second test suite.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from kapture_async import (
    HelpdeskError,
    KaptureClient,
    NewTicket,
    RetryPolicy,
    SyncKaptureClient,
    Timeout,
)
from kapture_async.testing import Fault, FaultPlan, KaptureTwin

START = datetime(2024, 4, 19, 8, 49, 11, tzinfo=UTC)


class Do:
    """Calls a client the same way, whichever of the two it is."""

    def __init__(self, client: Any, run: Callable[[Any], Any]) -> None:
        self.client = client
        self.tickets = client.tickets
        self.run = run

    def call(self, result: Any) -> Any:
        return self.run(result) if asyncio.iscoroutine(result) else result

    def rows(self, pages: Any) -> list[Any]:
        async def read() -> list[Any]:
            return [row async for row in pages]

        return list(pages) if hasattr(pages, "__iter__") else self.run(read())

    def outcomes(self, push: Any) -> list[Any]:
        async def read() -> list[Any]:
            async with push as outcomes:
                return [outcome async for outcome in outcomes]

        if hasattr(push, "__aenter__"):
            return self.run(read())
        with push as outcomes:
            return list(outcomes)

    def copy(self, **options: Any) -> Do:
        return Do(self.client.with_options(**options), self.run)


SCENARIOS: dict[str, Callable[[Do], Any]] = {
    "add by fields": lambda do: (
        do.call(
            do.tickets.add(title="Grüße", ticket_details="a\nb", email_id="user@example.com")
        ).raw
    ),
    "add whole": lambda do: do.call(do.tickets.add(NewTicket(title="x", extra={"f": [{}]}))).raw,
    "add bad": lambda do: do.call(do.tickets.add(title=" ")),
    "add with a lost answer": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("reset_after").headers())
    ),
    "add refused": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("failed", message="no").headers())
    ),
    "add told to wait for long": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("status", status=429, retry_after="99").headers())
    ),
    "add with a login page": lambda do: do.call(
        do.tickets.add(title="x", headers=Fault("login_html").headers())
    ),
    "silence": lambda do: do.call(
        do.copy(timeout=0.2).tickets.add(title="x", headers=Fault("silence_before").headers())
    ),
    "update": lambda do: (
        do.call(
            do.tickets.update(
                do.call(do.tickets.add(title="x")).ticket_id, sub_status="PS", comment="hi"
            )
        ).message
    ),
    "update nothing": lambda do: do.call(do.tickets.update("0", sub_status="PS")),
    "get": lambda do: do.call(do.tickets.get(do.call(do.tickets.add(title="x")).ticket_id)).raw,
    "get nothing": lambda do: do.call(do.tickets.get("0")),
    "get many": lambda do: (
        do.call(
            do.tickets.get_many(
                [do.call(do.tickets.add(title=f"t{n}")).ticket_id for n in range(3)] + ["0"]
            )
        ).missing
    ),
    "a read is asked again": lambda do: do.call(
        do.tickets.get("0", headers=Fault("close_before").headers())
    ),
    "pull": lambda do: (
        do.call(do.tickets.add(title="x")),
        [row.raw for row in do.rows(do.tickets.pull("2024-04-18", "2024-04-20", ahead=1))],
    )[1],
    "pull backwards": lambda do: do.rows(do.tickets.pull("2024-04-20", "2024-04-18")),
    "pull refused": lambda do: do.rows(
        do.tickets.pull("2024-04-18", headers=Fault("status", status=403).headers())
    ),
    "request": lambda do: do.call(
        do.client.request("/add-ticket-from-other-source.html/v.2.0", {"title": "raw"})
    ),
    "request nowhere": lambda do: do.call(do.client.request("/nowhere", {})),
    "push": lambda do: sorted(
        (outcome.index, outcome.name, outcome.key, type(getattr(outcome, "error", None)).__name__)
        for outcome in do.outcomes(
            do.tickets.push(
                [{"title": "a"}, {"title": ""}, NewTicket(title="c"), 5],
                key=lambda row: "k",
                concurrency=1,
            )
        )
    ),
    "push of one row": lambda do: do.outcomes(do.tickets.push({"title": "a"})),
    "push with a wrong key": lambda do: do.outcomes(
        do.copy(headers={"Authorization": "Basic wrong"}).tickets.push(
            [{"title": "a"}] * 10, give_up_after=1, concurrency=1
        )
    ),
}


def story(name: str, do: Do, twin: KaptureTwin) -> dict[str, Any]:
    twin.now = START
    try:
        ending = ("result", SCENARIOS[name](do))
    except HelpdeskError as error:
        attempts = [(a.number, a.phase, a.status, a.failure) for a in error.attempts]
        ending = ("error", (type(error), str(error), attempts))
    requests = [
        (r.method, r.path, r.body, r.headers.get("authorization"), r.headers.get("user-agent"))
        for r in twin.received
    ]
    return {
        "ending": ending,
        "requests": requests,
        "ledger": [(entry.operation, entry.payload) for entry in twin.ledger.entries],
    }


SETTINGS: dict[str, Any] = {
    "timeout": Timeout(total=5.0),
    "retry": RetryPolicy(attempts=2, first_wait=0.001),
}


def through_async(name: str) -> dict[str, Any]:
    with KaptureTwin(faults=FaultPlan(), clock=lambda: START.timestamp()).in_thread() as twin:
        with asyncio.Runner() as runner:
            client = KaptureClient(base_url=twin.url, token=twin.token, **SETTINGS)
            told = story(name, Do(client, runner.run), twin)
            runner.run(client.aclose())
    return told


def through_sync(name: str) -> dict[str, Any]:
    with KaptureTwin(faults=FaultPlan(), clock=lambda: START.timestamp()).in_thread() as twin:
        with SyncKaptureClient(base_url=twin.url, token=twin.token, **SETTINGS) as client:
            return story(name, Do(client, lambda result: result), twin)


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_clients_tell_the_same_story(name: str) -> None:
    first, second = through_async(name), through_sync(name)
    port = ":0"  # each twin has its own
    assert _plain(first, port) == _plain(second, port)


def _plain(value: Any, port: str) -> str:
    import re

    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1" + port, repr(value))
