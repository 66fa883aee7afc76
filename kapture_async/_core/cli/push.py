"""The command ``push``, for any service: a file in, outcomes out."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import click

from ..errors import HelpdeskError, JournalError
from ..journal.reader import ReadJournal
from ..journal.records import Job, State
from ..outcome import Outcome
from ..push.events import PushEvent, RowFinished, RowKnown
from ..push.report import ReportFile
from ..push.row_codec import SourceFile
from ..push.rows import Row
from .commands import exit_codes
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
from .hook import calling_hook
from .next_steps import push_command
from .options import Target
from .plan import plan_file
from .progress import PushDisplay
from .push_end import end_of, failure_as_json, show_end
from .push_options import STDIN, PushOptions
from .push_run import PushRun
from .push_source import held_push, push_settings, save_the_end, source_for
from .running import run
from .service import Service, Vendor
from .source_file import announce, constants_of, name_of_file, opened, rows_of, size_of, work_of
from .until_done import push_to_the_end

_LINES_SHOWN = 12


@exit_codes
def push(vendor: Vendor, options: PushOptions, target: Target) -> int:
    """Push a FILE of tickets: CSV, JSON, a spreadsheet, Parquet or Arrow, also packed; `-` is
    standard input.

    FIELDS

    A cell is sent as the text it shows; empty cells and columns that are not mapped are not
    sent. A row that cannot be sent, or is rejected, never stops the others.

    A journal records what was sent and the results. Rerun the same command to resume, however
    the push ended: what is in the helpdesk is not resent, and neither is what may be there;
    `reconcile` looks that up. Ctrl-C lets requests in flight finish; a second one cuts them off.
    With --until-done all of that is one command, and its output is fit for a log file.
    """
    return push_file(options, target, vendor.service(options))


def push_file(options: PushOptions, target: Target, service: Service) -> int:
    """Push a file, or check it; returns the exit code."""
    options.check_together()
    if options.check:
        return plan_file(options, service)
    if options.trial:
        code = push_one(options, target, service)
        if code is not None:
            return code
    with calling_hook(options) as hook:
        if options.until_done:
            with failure_as_json(options):
                code = push_to_the_end(options, target, service)
        else:
            code = _push_once(options, target, service)
        hook.code = code
    return code


def _push_once(options: PushOptions, target: Target, service: Service) -> int:
    with failure_as_json(options), opened(options.file) as stream:
        rows = rows_of(stream, options, service)
        announce(rows, constants_of(options, service))
        source = source_for(rows, options, target, service)
        settings = target.settings(may_prompt=options.file != STDIN)
        title = f"Pushing {one_line(name_of_file(options), 40)}"
        work = work_of(rows, stream, options, service)

        async def main() -> PushRun:
            pushing = PushRun(PushDisplay(title, work), journaled=source is not None)
            connection = service.connect(settings, options.max_concurrency, options.timeout)
            async with connection as (_, start):
                pushing.report = _report_for(options)  # not before there is a client
                how = push_settings(options)
                pipe = size_of(stream) is None
                try:
                    await pushing.go(start, rows, source=source, pipe=pipe, **how)
                except JournalError:  # only before the first row
                    if pushing.report is not None:
                        pushing.report.discard()
                    raise
            return pushing

        pushing = run(main)
    if source is not None and pushing.complete and options.shard is None:
        save_the_end(options, source)
    show_end(pushing, rows, options, target, service)
    return end_of(pushing, options, target, service)


def push_held(job: Job, options: PushOptions, target: Target, service: Service) -> int:
    """Push the rows that a journal itself holds; returns the exit code.

    Args:
        job: what the journal is for.
        options: of the push, with the journal's path.
        target: where to.
        service: what is pushed to.
    """
    with calling_hook(options) as hook:
        if options.until_done:
            with failure_as_json(options):
                code = push_to_the_end(options, target, service, job)
        else:
            code = _push_held_once(job, options, target, service)
        hook.code = code
    return code


def _push_held_once(job: Job, options: PushOptions, target: Target, service: Service) -> int:
    settings = target.settings()
    source, how = held_push(job, options, service)

    async def main() -> PushRun:
        pushing = PushRun(PushDisplay("Pushing the journal's rows"), journaled=True)
        connection = service.connect(settings, options.max_concurrency, options.timeout)
        async with connection as (_, start):
            await pushing.go(start, [], source=source, **how)
        return pushing

    with failure_as_json(options):
        pushing = run(main)
    show_end(pushing, None, options, target, service)
    return end_of(pushing, options, target, service)


def _report_for(options: PushOptions) -> ReportFile | None:
    """The report that was asked for, or one in this folder: doubts need a place."""
    if options.report:
        try:
            return ReportFile(options.report, excel=options.excel)
        except FileExistsError:
            if not os.path.isfile(options.report):
                raise click.UsageError(
                    f"{options.report} is not a regular file; use a new file"
                ) from None
            raise click.UsageError(
                f"the report {options.report} already exists, and may be the only record of "
                "another push; use another name, or move it away"
            ) from None
    if options.no_report or options.journal_path is not None:
        return None
    name = "stdin" if options.file == STDIN else os.path.basename(options.file)
    if name.isdecimal() and options.from_pipe:  # /dev/fd/63 is a name for the shell alone
        name = "stdin"
    stem = name.rpartition(".")[0] or name
    for number in range(1, 1000):
        path = f"{stem}.report.csv" if number == 1 else f"{stem}.report-{number}.csv"
        try:
            return ReportFile(path, excel=options.excel)
        except FileExistsError:
            continue
        except OSError as error:
            raise click.UsageError(
                f"cannot write a report here ({error.strerror}); use --report PATH, or "
                "--no-report if you do not need it"
            ) from None
    raise click.UsageError("there are a thousand reports here; move some away")


# --- push --trial ----------------------------------------------------------------------------


def push_one(options: PushOptions, target: Target, service: Service) -> int | None:
    """Push the first row that can be sent, and show it in full; returns ``None`` if the rest is
    wanted, else the exit code."""
    with opened(options.file) as stream:
        rows = rows_of(stream, options, service)
        announce(rows, constants_of(options, service))
        journal = options.journal_path
        source = source_for(rows, options, target, service)
        assert source is not None
        assert journal is not None
        settings = target.settings()
        one = OneRow(rows)
        run(lambda: send_one(one, source, options, settings, service))
    outcome = one.sent
    if outcome is None:
        what = "no row left that can be sent"
        say(f"{what}: {one.known:,} are in the journal, {one.bad:,} are bad", stderr=True)
        return NOT_SENT if one.bad else DONE
    _show_row(outcome, journal, options, service)
    command = push_command(service, options, target)
    if outcome.name != "accepted":
        error: HelpdeskError = outcome.error  # type: ignore[attr-defined]
        show_error(error)
        if outcome.name == "unknown":
            look = [*service.program.split(), "reconcile", journal, *target.as_arguments()]
            steps = [("before the rest, find out whether it is there:", shlex.join(look))]
        else:
            steps = [("once that is fixed, try again:", f"{command} --trial")]
        show_commands(console(stderr=True), steps)
        return code_of_error(error)
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(file=sys.stderr)
        if click.confirm("Push the rest?", default=False, err=True):
            return None
    show_commands(console(stderr=True), [("push the rest:", command)])
    return DONE


async def send_one(
    one: OneRow,
    source: SourceFile,
    options: PushOptions,
    settings: Mapping[str, Any],
    service: Service,
) -> None:
    """Push the first row that can be sent, and no other.

    Args:
        one: gives it, and has its outcome afterwards.
        source: what the journal records of the file.
        options: of the push.
        settings: of the client.
        service: what is pushed to.
    """
    async with service.connect(settings, 1, options.timeout) as (_, start):
        how = push_settings(options) | {"max_concurrency": 1}
        push = start(one.rows(), one.on_event, **how)
        push._describe_source(source)
        async with push as outcomes:
            async for outcome in outcomes:
                one.take(outcome)


class OneRow:
    """Gives one row after the other, until one of them was sent."""

    def __init__(self, rows: Iterable[Row[Any]]) -> None:
        self._rows = rows
        self._ended = asyncio.Event()
        self.sent: Outcome | None = None
        self.known = 0
        self.bad = 0

    async def rows(self) -> AsyncIterator[Row[Any]]:
        """The rows; the next one only when the one before is known not to have been sent."""
        for row in self._rows:
            self._ended.clear()
            yield row
            await self._ended.wait()
            if self.sent is not None:
                return

    def on_event(self, event: PushEvent) -> None:
        """Note how a row ended."""
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


def _show_row(outcome: Outcome, journal: str, options: PushOptions, service: Service) -> None:
    from rich.text import Text

    screen = console(stderr=options.as_json)
    row: Row[Any] = outcome.row
    key = row.key if row.keyed else None
    heading(screen, f"Sent: {name_of(key, row.line)}")

    def show(fields: Mapping[str, str | None]) -> None:
        for name, value in fields.items():
            if value:
                first, *more = clean(value).split("\n")
                screen.print(Text.assemble((f"  {name:<16} ", "dim"), first), soft_wrap=True)
                for line in more[:_LINES_SHOWN]:
                    screen.print(f"  {'':<16} {line}")
                if len(more) > _LINES_SHOWN:
                    left = f"({len(more) - _LINES_SHOWN} more lines)"
                    screen.print(f"  {'':<16} {left}", style="dim")
                    screen.print(f"  {'':<16} {more[-1]}")

    wire = service.wire(row.value, reference_of(key, row.line, journal), options.place)
    show(
        {n: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for n, v in wire.items()}
    )
    heading(screen, "Result")
    screen.print(f"  {WORDS[outcome.name]}", style=STYLES[outcome.name])
    if outcome.name == "accepted":
        show({name: one_line(value or "") for name, value in service.answer(outcome).items()})


def reference_of(key: str | None, line: int | None, journal: str) -> str:
    """The reference that the row was sent with: that of the newest row of its name."""
    with ReadJournal.open_to_read(journal) as read:
        found = [
            view
            for view in read.rows_in(*State)
            if view.key == key and (key is not None or view.line == line)
        ]
    return max(found, key=lambda view: view.at).reference if found else ""
