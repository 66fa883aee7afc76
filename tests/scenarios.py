"""What the same-scenario tests of both services share: one way to call, one story to compare."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from kapture_async import HelpdeskError
from kapture_async._core.testing.emulator import Emulator


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
        """What comes out of an ``async with``, or a ``with``: a push, or a download."""

        async def read() -> list[Any]:
            async with push as outcomes:
                return [outcome async for outcome in outcomes]

        if hasattr(push, "__aenter__"):
            return self.run(read())
        with push as outcomes:
            return list(outcomes)

    def copy(self, **options: Any) -> Do:
        return Do(self.client.with_options(**options), self.run)


Scenario = Callable[[Do], Any]


def told_by_async(
    scenario: Scenario, emulator: Emulator, make: Callable[[], Any]
) -> dict[str, Any]:
    """The story of a scenario through the async client that ``make`` makes."""
    with emulator.in_thread(), asyncio.Runner() as runner:
        client = make()
        story = _story(scenario, Do(client, runner.run), emulator)
        runner.run(client.aclose())
    return story


def told_by_sync(scenario: Scenario, emulator: Emulator, make: Callable[[], Any]) -> dict[str, Any]:
    """The story of the same scenario through the sync client."""
    with emulator.in_thread(), make() as client:
        return _story(scenario, Do(client, lambda result: result), emulator)


def plain(story: dict[str, Any]) -> str:
    """A story without what differs by chance: each emulator's port, each form's boundary."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", repr(story))
    return re.sub(r"(--|boundary=)[0-9a-f]{32}", r"\1b", text)


def _story(scenario: Scenario, do: Do, emulator: Emulator) -> dict[str, Any]:
    ending: tuple[str, Any]
    try:
        ending = ("result", scenario(do))
    except HelpdeskError as error:
        attempts = [(a.number, a.phase, a.status, a.failure) for a in error.attempts]
        ending = ("error", (type(error), str(error), dict(error.fields), attempts))
    return {
        "ending": ending,
        "requests": [
            (request.method, request.path, request.query, request.body, _headers(request.headers))
            for request in emulator.received
        ],
        "ledger": [(entry.operation, entry.payload) for entry in emulator.ledger.entries],
    }


def _headers(headers: Any) -> dict[str, str | None]:
    names = ("accept", "accept-language", "apikey", "authorization", "content-type", "user-agent")
    return {name: headers.get(name) for name in names}
