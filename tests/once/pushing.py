"""A journaled push in one line, and the whole story it told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from kapture_async import KaptureClient, RetryPolicy, Row, Timeout
from kapture_async.events import RowKnown
from kapture_async.testing import KaptureEmulator

ENOUGH = Timeout(total=20)
"""For any call, on any machine: no test of these is about time-outs."""
SETTLE = 40.0
"""As short as it may be with such a time-out. Nobody waits for it: see ``clock.py``."""


def client_of(emulator: KaptureEmulator, **settings: Any) -> KaptureClient:
    given = {"timeout": ENOUGH, "retry": RetryPolicy(first_wait=0.001), **settings}
    return KaptureClient(base_url=emulator.url, token=emulator.token, **given)


def plain(*titles: str) -> list[dict[str, str]]:
    """Rows without keys."""
    return [{"title": title, "ticket_details": f"About {title}."} for title in titles]


def keyed(**titles: str) -> list[Row[dict[str, str]]]:
    """Rows with keys: ``keyed(k1="title")``."""
    return [
        Row({"title": title, "ticket_details": f"About {title}."}, key)
        for key, title in titles.items()
    ]


@define
class Story:
    """What a push said."""

    outcomes: list[Any] = field(factory=list)
    known: list[tuple[str | None, str]] = field(factory=list)
    """Rows that were passed over: key and state."""

    @property
    def names(self) -> list[str]:
        """Of the outcomes, in the order of their rows."""
        return [one.name for one in sorted(self.outcomes, key=lambda one: one.index)]

    @property
    def states(self) -> Counter[str]:
        """How many rows were known in which state."""
        return Counter(state for _, state in self.known)

    def by_title(self) -> Mapping[str, str]:
        """Title to outcome."""
        return {one.row["title"]: one.name for one in self.outcomes}


async def push(client: KaptureClient, rows: Iterable[Any], journal: Path, **settings: Any) -> Story:
    """Push to the end."""
    story = Story()

    def note(event: Any) -> None:
        if isinstance(event, RowKnown):
            story.known.append((event.key, event.state))

    settings.setdefault("on_event", note)
    async with client.tickets.push(rows, journal=journal, **settings) as outcomes:
        async for outcome in outcomes:
            story.outcomes.append(outcome)
    return story


def titles(emulator: KaptureEmulator) -> Counter[str]:
    """What was executed, by title."""
    return Counter(entry.payload["title"] for entry in emulator.ledger.of("tickets.add"))
