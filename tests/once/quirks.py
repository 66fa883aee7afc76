"""An emulator whose list of tickets is as odd as those of some tenants."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable
from typing import Any

import orjson
from attrs import define, evolve

from kapture_async.testing import KaptureEmulator


@define(kw_only=True)
class Quirks:
    """What a list does to its tickets."""

    total: bool = False
    cap: int | None = None
    newest: bool = False
    shuffle: bool = False
    delay: float = 0.0
    mb3: bool = False
    trunc: int | None = None
    title: int | None = None
    escape: int = 0
    fold: bool = False
    upper: bool = False
    br: bool = False
    wrap: int | None = None
    hides: Callable[[dict[str, Any]], bool] | None = None
    changes: Callable[[dict[str, Any]], Any] | None = None


class QuirkyEmulator(KaptureEmulator):
    """Shows its tickets with quirks; what it executes is as ever."""

    def __init__(self, quirks: Quirks, **settings: Any) -> None:
        super().__init__(pull_counts=False, **settings)
        self.quirks = quirks
        self._dice = random.Random(1)

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.pull":
            return reply
        body = orjson.loads(reply.body)
        if not isinstance(body["message"], list):
            return reply
        body["message"], total = self._listed(body["message"])
        body["totalCount"] = total if self.quirks.total else None
        if not body["message"]:
            body["message"] = "No tickets found"
        return evolve(reply, body=orjson.dumps(body))

    def _listed(self, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
        quirks = self.quirks
        if quirks.delay:
            made = {entry.ticket_id: entry.time for entry in self.ledger.of("tickets.add")}
            latest = self.timestamp() - quirks.delay
            rows = [row for row in rows if made[row["ticketId"]] <= latest]
        if quirks.hides is not None:
            rows = [row for row in rows if not quirks.hides(row)]
        if quirks.newest:
            rows = rows[::-1]
        if quirks.shuffle:
            self._dice.shuffle(rows)
        total = len(rows)
        for row in rows:
            self._change(row)
        return rows[: quirks.cap], total

    def _change(self, row: dict[str, Any]) -> None:
        quirks = self.quirks
        title, text = row["taskTitle"], row["detail"]
        if quirks.mb3:
            title, text = (re.split("[\U00010000-\U0010ffff]", one)[0] for one in (title, text))
        text, title = text[: quirks.trunc], title[: quirks.title]
        for _ in range(quirks.escape):
            title, text = html.escape(title), html.escape(text)
        if quirks.fold:
            title, text = title.casefold(), text.casefold()
        if quirks.upper:
            title, text = title.upper(), text.upper()
        if quirks.br:
            text = text.replace("\n", "<br/>")
        if quirks.wrap:
            text = "\n".join(text[at : at + quirks.wrap] for at in range(0, len(text), quirks.wrap))
        row["taskTitle"], row["detail"] = title, text
        if quirks.changes is not None:
            quirks.changes(row)
