"""``push --trial``: one row first, shown whole, and the rest only if somebody says so."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any

import click

from ..errors import HelpdeskError
from ..journal.reader import ReadJournal
from ..journal.records import State
from ..outcome import Outcome
from ..push.events import PushEvent, RowFinished, RowKnown
from ..push.journaling import JournalFile
from ..push.rows import Row
from .console import (
    STYLES,
    WORDS,
    clean,
    console,
    heading,
    name_of,
    one_line,
    say,
    show_commands,
    show_error,
)
from .exit_codes import DONE, NOT_SENT, code_of_error
from .options import Target
from .pushjournal import journal_for, push_settings
from .pushoptions import PushOptions
from .rowsfile import announce, opened, rows_of
from .running import run
from .service import Service

_LINES_SHOWN = 12


def try_one(options: PushOptions, target: Target, service: Service) -> int | None:
    """Push the first row that can be sent; ``None`` if the rest is wanted, else the exit code."""
    with opened(options.file) as stream:
        rows = rows_of(stream, options, service)
        announce(rows, service)
        journal = journal_for(rows, options, target, service)
        assert journal is not None
        settings = target.settings()
        trial = _Trial(rows)

        async def main() -> None:
            connection = service.connect(settings, 1, options.timeout)
            async with connection as (_, start):
                how = push_settings(options, journal) | {"max_concurrency": 1}
                async with start(trial.rows(), trial.on_event, **how) as outcomes:
                    async for outcome in outcomes:
                        trial.take(outcome)

        run(main)
    outcome = trial.sent
    if outcome is None:
        what = "no row is left that can be sent"
        say(f"{what}: {trial.known:,} are in the journal, {trial.bad:,} are bad", stderr=True)
        return NOT_SENT if trial.bad else DONE
    _show(outcome, journal, options, service)
    command = [
        *service.program.split(),
        service.command,
        *options.as_arguments(),
        *target.as_arguments(),
    ]
    if outcome.name != "accepted":
        error: HelpdeskError = outcome.error  # type: ignore[attr-defined]
        show_error(error)
        if outcome.name == "unknown":
            look = [*service.program.split(), "reconcile", journal.path, *target.as_arguments()]
            ways = [("find out whether it is there, before the rest:", shlex.join(look))]
        else:
            ways = [("once that is mended, try again:", shlex.join([*command, "--trial"]))]
        show_commands(console(stderr=True), ways)
        return code_of_error(error)
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(file=sys.stderr)
        if click.confirm("Push the rest?", default=False, err=True):
            return None
    show_commands(console(stderr=True), [("push the rest:", shlex.join(command))])
    return DONE


class _Trial:
    """Gives one row after the other, until one of them was sent."""

    def __init__(self, rows: Iterable[Row[Any]]) -> None:
        self._rows = rows
        self._ended = asyncio.Event()
        self.sent: Outcome | None = None
        self.known = 0
        self.bad = 0

    async def rows(self) -> AsyncIterator[Row[Any]]:
        """The rows; the next one only when it is known that the one before was not sent."""
        for row in self._rows:
            self._ended.clear()
            yield row
            await self._ended.wait()
            if self.sent is not None:
                return

    def on_event(self, event: PushEvent) -> None:
        """Take notice of how a row ended."""
        if isinstance(event, RowKnown):
            self.known += 1
        elif isinstance(event, RowFinished):
            if event.outcome.attempts:
                self.sent = event.outcome
        else:
            return
        self._ended.set()

    def take(self, outcome: Outcome) -> None:
        """Count what could not be sent."""
        self.bad += not outcome.attempts


def _show(outcome: Outcome, journal: JournalFile, options: PushOptions, service: Service) -> None:
    from rich.text import Text

    screen = console(stderr=options.as_json)
    row: Row[Any] = outcome.row
    heading(screen, f"Sent: {name_of(row.key if row.keyed else None, row.line)}")
    reference = _reference_of(row, journal)
    for name, value in service.wire(row.value, reference, options.place).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *more = clean(text).split("\n")
        screen.print(Text.assemble((f"  {name:<16} ", "dim"), first))
        for line in more[:_LINES_SHOWN]:
            screen.print(Text(f"  {'':<16} {line}"))
        if len(more) > _LINES_SHOWN:
            left = f"({len(more) - _LINES_SHOWN} more lines)"
            screen.print(Text(f"  {'':<16} {left}", "dim"))
            screen.print(Text(f"  {'':<16} {more[-1]}"))
    heading(screen, "Came back")
    screen.print(Text(f"  {WORDS[outcome.name]}", STYLES[outcome.name]))
    if outcome.name != "accepted":
        return
    for name, value in service.answer(outcome).items():
        if value:
            told = Text.assemble((f"  {name:<16} ", "dim"), one_line(value))
            screen.print(told, soft_wrap=True)


def _reference_of(row: Row[Any], journal: JournalFile) -> str:
    """The reference it was sent with: of the row whose last fact is the newest."""
    with ReadJournal.open_to_read(journal.path) as read:
        key = row.key if row.keyed else None
        found = [
            view
            for view in read.rows_in(*State)
            if view.key == key and (key is not None or view.line == row.line)
        ]
    return max(found, key=lambda view: view.at).reference if found else ""
