"""The ``push`` command, for any service: a file in, outcomes out."""

from __future__ import annotations

import os

import click

from ..errors import JournalError
from ..push.report import ReportFile
from .console import one_line
from .options import Target
from .plan import plan_file
from .progress import PushDisplay
from .pushend import end_of, failure_as_json, show_end
from .pushing import PushRun
from .pushjournal import journal_for, note_the_end, push_settings
from .pushoptions import STDIN, PushOptions
from .rowsfile import announce, name_of_file, opened, rows_of, size_of
from .running import run
from .service import Service
from .trial import try_one


def push_file(options: PushOptions, target: Target, service: Service) -> int:
    """Push a file, or check it; returns the exit code."""
    options.check_together()
    if options.check:
        return plan_file(options, service)
    if options.trial:
        code = try_one(options, target, service)
        if code is not None:
            return code
    with failure_as_json(options), opened(options.file) as stream:
        rows = rows_of(stream, options, service)
        announce(rows, service)
        journal = journal_for(rows, options, target, service)
        settings = target.settings(may_prompt=options.file != STDIN)
        size = size_of(stream)
        name = name_of_file(options)

        def done(_: int) -> float | None:
            return stream.tell() / size if size else None

        async def main() -> PushRun:
            pushing = PushRun(
                progress=PushDisplay(f"Pushing {one_line(name, 40)}", done),
                journaled=journal is not None,
            )
            connection = service.connect(settings, options.max_concurrency, options.timeout)
            async with connection as (_, start):
                pushing.report = _report_for(options)  # there may be nobody to push to
                how = push_settings(options, journal)
                try:
                    await pushing.go(start, rows, pipe=size is None, **how)
                except JournalError:  # only before the first row was taken
                    if pushing.report is not None:
                        pushing.report.discard()
                    raise
            return pushing

        pushing = run(main)
    if journal is not None and pushing.complete:
        note_the_end(journal)
    show_end(pushing, rows, options, target, service)
    return end_of(pushing, options, target, service)


def _report_for(options: PushOptions) -> ReportFile | None:
    """The report that was asked for, or else one beside the caller: doubts need a place."""
    if options.report:
        return _new_report(options.report, excel=options.excel)
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
                f"no report can be written here ({error.strerror}); give --report PATH, or "
                "--no-report if its rows may go unnamed"
            ) from None
    raise click.UsageError("there are a thousand reports here; move some away")


def _new_report(path: str, *, excel: bool) -> ReportFile:
    try:
        return ReportFile(path, excel=excel)
    except FileExistsError:
        if not os.path.isfile(path):
            raise click.UsageError(f"{path} is not a regular file; name a new file") from None
        raise click.UsageError(
            f"the report {path} exists already, and may be the only record of another push; "
            "give another name, or move it away"
        ) from None
