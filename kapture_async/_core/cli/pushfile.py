"""The ``push`` command, for any service: a file in, outcomes out."""

from __future__ import annotations

import functools
import os
import shlex
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import click
from attrs import Factory, frozen

from ..errors import InvalidInputError
from ..push.csv_rows import CsvRows
from ..push.jsonl_rows import JsonlRows
from ..push.report import ReportFile
from ..push.rows import Row
from ..push.sources import Build, FileRows, format_of, listed
from .again import Again
from .endreport import show_commands, show_failures, show_meanings, show_summary
from .exits import DONE, USAGE
from .options import Target
from .progress import Progress
from .pushing import Connect, PushRun
from .pushoptions import PushOptions
from .running import run
from .screen import console, json_line, labelled, one_line, say, show_error, warn
from .words import count

_STDIN = "-"


@frozen(kw_only=True)
class Service:
    """What a push must know of the service.

    Attributes:
        command: the command line as it is typed, such as ``"example push"``.
        wire_fields: fields that are taken from columns of their name.
        required: fields without which nothing can be pushed.
        fills: further required fields, each with what an option of its name fills in where a
            row lacks it; ``None`` if that was not given.
        build: a row from a mapping by wire names.
        check: raises ``InvalidInputError`` for a row that could not be encoded.
        connect: makes a client.
        look_up: a command that helps to look up what is in doubt.
    """

    command: str
    wire_fields: tuple[str, ...]
    required: tuple[str, ...]
    build: Build
    check: Callable[[Any], None]
    connect: Connect
    look_up: str
    fills: Mapping[str, str | None] = Factory(dict)

    @property
    def filled_in(self) -> dict[str, str]:
        """What rows get that lack it."""
        return {name: value for name, value in self.fills.items() if value is not None}

    def build_row(self, content: dict[str, Any]) -> Any:
        """A row with all that it shall have."""
        return self.build(self.filled_in | content)


def push_file(options: PushOptions, target: Target, service: Service) -> int:
    """Push a file, or check it; returns the exit code."""
    stream = _opened(options.file)
    with stream:
        rows = _rows_of(stream, options, service)
        _announce(rows, service)
        if options.check:
            return _check(rows, options, service)
        settings = target.settings(may_prompt=options.file != _STDIN)
        chosen = _chosen(rows, options)
        size = _size_of(stream)
        name = "standard input" if options.file == _STDIN else os.path.basename(options.file)

        def done(_: int) -> float | None:
            return stream.tell() / size if size else None

        async def main() -> PushRun:
            pushing = PushRun(progress=Progress(f"Pushing {one_line(name, 40)}", done))
            connection = service.connect(settings, options.concurrency, options.timeout)
            async with connection as (_, start):
                pushing.report = _report_for(options)  # there may be nobody to push to
                await pushing.go(start, chosen, pipe=size is None)
            return pushing

        pushing = run(main)
        pushing.disagreed = chosen.warn() if isinstance(chosen, Again) else False
        _show_end(pushing, rows, options, target, service, name)
    if options.as_json:
        _to_stdout(lambda: print(json_line(pushing.summary.as_json())))
    return pushing.exit_code


def _to_stdout(show: Callable[[], None]) -> None:
    """What cannot be shown there (a closed pipe, a full disk) must not cost the exit code."""
    try:
        show()
        sys.stdout.flush()
    except OSError as error:
        warn(f"standard output could not be written: {error.strerror or 'closed'}")
        # The interpreter flushes it once more at its end, and would complain again.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


# --- reading -----------------------------------------------------------------------------------


def _opened(path: str) -> BinaryIO:
    # Not sys.stdin: a thread that waits inside its buffer would break the interpreter's end.
    return open(0 if path == _STDIN else path, "rb", buffering=0, closefd=path != _STDIN)


def _size_of(stream: BinaryIO) -> int | None:
    """The bytes of a regular file; ``None`` for what may block or has no end."""
    found = os.fstat(stream.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _rows_of(stream: BinaryIO, options: PushOptions, service: Service) -> FileRows:
    format_ = options.format or format_of(options.file)
    if format_ is None:
        raise click.UsageError("the name does not tell the format; add --format csv or jsonl")
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise click.BadParameter("it is one character, or \\t", param_hint="--delimiter")
    build = service.build_row
    if options.check:
        build = functools.partial(_built_and_checked, service)
    if format_ == "jsonl":
        return JsonlRows(
            stream,
            options.columns,
            build,
            wire_fields=service.wire_fields,
            encoding=options.encoding,
        )
    rows = CsvRows(
        stream,
        options.columns,
        build,
        wire_fields=service.wire_fields,
        required=service.required,
        delimiter=options.delimiter,
        encoding=options.encoding,
    )
    for name, value in service.fills.items():
        if value is None and name not in rows.used:
            raise InvalidInputError(
                f"no column goes to {name!r}; the columns are {listed(rows.header)}",
                next_step=f"Name the column for it with --map {name}=COLUMN, or give --{name} "
                "for all rows.",
            )
    return rows


def _built_and_checked(service: Service, content: dict[str, Any]) -> Any:
    row = service.build_row(content)
    service.check(row)
    return row


def _announce(rows: FileRows, service: Service) -> None:
    """Say what is sent and what is not, before anything is."""
    if rows.used:
        sent = (n if n == c else f"{n} from {c!r}" for n, c in rows.used.items())
        say(f"columns sent: {', '.join(sent)}", stderr=True)
    if service.filled_in:
        given = (f"{name} {value}" for name, value in service.filled_in.items())
        say(f"where a row has none: {', '.join(given)}", stderr=True)
    if rows.unused:
        shown = ", ".join(map(repr, rows.unused[:12]))
        more = f" and {len(rows.unused) - 12} more" if len(rows.unused) > 12 else ""
        say(f"columns not sent: {shown}{more}", style="dim", stderr=True)


def _chosen(rows: FileRows, options: PushOptions) -> Iterator[Row[Any]]:
    """The rows that were asked for."""
    chosen: Iterator[Row[Any]] = rows
    if options.from_line is not None:
        first = options.from_line
        chosen = (row for row in chosen if row.line is None or row.line >= first)
    if options.again_from is not None:
        by_line = options.key is None
        return Again(chosen, options.again_from, options.file, by_line=by_line)
    return chosen


def _report_for(options: PushOptions) -> ReportFile | None:
    """The report that was asked for, or else one beside the caller: doubts need a place."""
    if options.report:
        return _new_report(options.report)
    if options.no_report:
        return None
    name = "stdin" if options.file == _STDIN else os.path.basename(options.file)
    stem = name.rpartition(".")[0] or name
    for number in range(1, 1000):
        path = f"{stem}.report.csv" if number == 1 else f"{stem}.report-{number}.csv"
        try:
            return ReportFile(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise click.UsageError(
                f"no report can be written here ({error.strerror}); give --report PATH, or "
                "--no-report if its rows may go unnamed"
            ) from None
    raise click.UsageError("there are a thousand reports here; move some away")


def _new_report(path: str) -> ReportFile:
    try:
        return ReportFile(path)
    except FileExistsError:
        raise click.UsageError(
            f"the report {path} exists already, and may be the only record of another push; "
            "give another name, or move it away"
        ) from None


# --- --check -----------------------------------------------------------------------------------


def _check(rows: FileRows, options: PushOptions, service: Service) -> int:
    began = time.monotonic()
    number = bad = 0
    unreadable: InvalidInputError | None = None
    try:
        for row in rows:
            number += 1
            if row.problem is not None:
                bad += 1
                say(one_line(row.problem.message), stderr=options.as_json)
    except InvalidInputError as error:
        unreadable = error
        show_error(error)
    _warn_of_keys(rows)
    words = f"{count(number, 'row')} read, {bad:,} bad; nothing was sent"
    say(words, style="red" if bad else "green", stderr=options.as_json)
    if options.as_json:
        seconds = round(time.monotonic() - began, 3)
        print(json_line({"rows": number, "bad": bad, "seconds": seconds}), flush=True)
    return USAGE if bad or unreadable else DONE


def _warn_of_keys(rows: FileRows) -> None:
    if rows.repeated_keys:
        warn(f"{count(rows.repeated_keys, 'row')} with a key that an earlier row has")


# --- the end -----------------------------------------------------------------------------------


def _show_end(
    pushing: PushRun,
    rows: FileRows,
    options: PushOptions,
    target: Target,
    service: Service,
    name: str,
) -> None:
    summary = pushing.summary
    unnamed = pushing.report is None or pushing.report_error is not None

    def show() -> None:
        screen = console(stderr=options.as_json)
        show_summary(screen, summary, f"Pushed {name}")
        show_meanings(screen, summary)
        if unnamed:
            tried = summary.rows - summary.untried
            show_failures(screen, pushing.failures, tried - summary.counts["accepted"])

    _to_stdout(show)
    print(file=sys.stderr)
    _warn_of_keys(rows)
    if pushing.cut_off:
        warn("interrupted twice: what was in flight was cut off")
    elif pushing.interrupted:
        warn("interrupted: what was in flight has finished")
    if pushing.stopped is not None:
        labelled(("error", one_line(pushing.stopped.message, 400), "bold red"))
    if pushing.unreadable is not None:
        what = one_line(str(getattr(pushing.unreadable, "message", pushing.unreadable)))
        labelled(("error", f"the rest could not be read: {what}", "bold red"))
    if pushing.unlisted:
        warn("the rest of the input was not read, and is in no count")
    if pushing.report_error is not None:
        words = f"the report is not complete: {pushing.report_error.strerror}"
        labelled(("error", words, "bold red"))
    elif pushing.report is not None:
        say(f"report: {pushing.report.path}", stderr=True)
    again = _ways_on(pushing, options, target, service)
    if again:
        show_commands(console(stderr=True), "To go on", again)


def _ways_on(
    pushing: PushRun, options: PushOptions, target: Target, service: Service
) -> list[tuple[str, str]]:
    """What to type next: for what is surely not in the helpdesk, and for what is in doubt."""
    counts = pushing.summary.counts
    reported = pushing.report is not None and pushing.report_error is None
    where = f"marked unknown in {pushing.report.path}" if reported and pushing.report else "above"
    again = []
    if counts["unknown"]:
        what = f"look up the {count(counts['unknown'], 'row')} {where}, before anything else:"
        again.append((what, service.look_up))
    if options.file == _STDIN or not (counts["not_sent"] or counts["rejected"]):
        return again
    command = [*service.command.split(), *options.as_arguments(), *target.as_arguments()]
    if reported and pushing.report is not None:
        number = count(counts["not_sent"] + counts["rejected"], "row")
        command += ["--again-from", str(pushing.report.path)]
        what = f"push the {number} listed as not_sent or rejected, once the cause is mended:"
        again.append((what, shlex.join(command)))
    elif pushing.first_untried_line is not None and options.again_from is None:
        command += ["--from-line", str(pushing.first_untried_line)]
        what = "push the rows that were not tried (all from this line on; not those listed above):"
        again.append((what, shlex.join(command)))
    return again
