"""The rows of the file that a command names, and what is shown of them beforehand."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from attrs import evolve

from ..errors import InvalidInputError
from ..push.csv import CsvRows
from ..push.jsonl import JsonlRows
from ..push.sources import (
    RAW,
    Columns,
    FileRows,
    check_start,
    delimiter_of,
    format_of,
    is_array,
    listed,
    no_array,
)
from .console import count, say, warn
from .progress import Work
from .push_options import STDIN, PushOptions

if TYPE_CHECKING:
    from .service import Service

KEY = "_key"
ENTRY = "_row"
ADDED = (KEY, "_line", "_reason", "_ticket", ENTRY)
"""The columns that ``rejects`` adds to those of the rows; they are never sent."""


def opened(path: str) -> BinaryIO:
    """A file, or standard input, as bytes."""
    # Not sys.stdin: a thread that waits inside its buffer would break the interpreter's exit.
    return open(0 if path == STDIN else path, "rb", buffering=0, closefd=path != STDIN)


def size_of(stream: BinaryIO) -> int | None:
    """The size of a regular file in bytes; ``None`` for what may block or has no end."""
    found = os.fstat(stream.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def name_of_file(options: PushOptions) -> str:
    """The name of the source on the screen."""
    return "standard input" if options.file == STDIN else os.path.basename(options.file)


def rows_of(
    stream: BinaryIO,
    options: PushOptions,
    service: Service,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
) -> FileRows:
    """The rows of the file, read as the options say.

    Args:
        stream: the file.
        options: what was asked for.
        service: what is pushed to.
        watch: called with the content of each row, by wire names; then encoding is checked, too.

    Raises:
        InvalidInputError: its header cannot be used.
        click.UsageError: the options do not say enough.
    """
    rows = _rows_of(stream, options, service, watch)
    if options.shared:
        rows.share(os.path.basename(options.file) if options.file != STDIN else "-", options.part)
    return rows


def _rows_of(
    stream: BinaryIO,
    options: PushOptions,
    service: Service,
    watch: Callable[[Mapping[str, Any]], None] | None,
) -> FileRows:
    format_ = options.format or format_of(options.file)
    if format_ is None:
        _check_start(stream)
        raise click.UsageError(
            "cannot tell the format from the file name; add --format csv or jsonl"
        )
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise click.BadParameter("must be one character, or \\t", param_hint="--delimiter")
    build = service.build_row
    if watch is not None:
        build = functools.partial(_built_and_watched, service, watch)
    columns = columns_of(options)
    if format_ == "jsonl":
        return JsonlRows(
            stream,
            columns,
            functools.partial(_built_without_added, build),
            wire_fields=service.wire_fields,
            whole=options.key == KEY,  # what `rejects` wrote
            encoding=options.encoding,
        )
    rows = CsvRows(
        stream,
        columns,
        build,
        wire_fields=service.wire_fields,
        required=service.required,
        delimiter=options.delimiter,
        likely=delimiter_of(options.file),
        encoding=options.encoding,
    )
    for name, value in service.fills.items():
        if value is None and name not in rows.used:
            raise InvalidInputError(
                f"no column is mapped to {name!r}; the columns are {listed(rows.header)}",
                next_step=f"Name its column with --map {name}=COLUMN, or set "
                f"--{name.replace('_', '-')} for all rows.",
            )
    return rows


def _check_start(stream: BinaryIO) -> None:
    """Refuse a file that holds no rows in any format."""
    if size_of(stream) is None:
        return  # reading may wait for ever
    start = stream.read(16)
    check_start(start)
    if is_array(start):
        raise no_array()


def columns_of(options: PushOptions) -> Columns:
    """Which column goes where; with the column that names rows of the journal, in a file that
    ``rejects`` made."""
    columns = options.columns
    return evolve(columns, entry=ENTRY) if options.key == KEY else columns


def _built_and_watched(
    service: Service, watch: Callable[[Mapping[str, Any]], None], content: dict[str, Any]
) -> Any:
    watch(content)
    row = service.build_row(content)
    service.check(row)
    return row


def _built_without_added(build: Callable[[dict[str, Any]], Any], content: dict[str, Any]) -> Any:
    added = (*ADDED, RAW)
    return build({name: value for name, value in content.items() if name not in added})


def announce(rows: FileRows, service: Service) -> None:
    """Show which columns are sent, before anything is."""
    sent = [n if n == c else f"{n} from {c!r}" for n, c in rows.used.items()]
    if rows.open_ended:
        first = [name for name in rows.first_fields if name not in (*rows.unused, *ADDED)]
        sent += [*first, "and any other documented field of a row"]
    if sent:
        say(f"sending columns: {', '.join(sent)}", stderr=True)
    if service.filled_in:
        given = (f"{name} {value}" for name, value in service.filled_in.items())
        say(f"filled in where missing: {', '.join(given)}", stderr=True)
    if rows.unused:
        say(f"not sending columns: {_names(rows.unused)}", style="dim", stderr=True)
    rows.announced = frozenset(rows.unused)


def warn_of_unused(rows: FileRows) -> None:
    """Show what else was not sent, if later rows had other columns than the first."""
    found = [name for name in rows.unused if name not in rows.announced]
    if found:
        warn(f"later rows have more columns, which were not sent: {_names(found)}")


def _names(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - 12} more" if len(columns) > 12 else ""
    return ", ".join(map(repr, columns[:12])) + more


def warn_of_keys(rows: FileRows) -> None:
    """Show how many rows have the key of an earlier one."""
    if rows.repeated_keys:
        warn(f"{count(rows.repeated_keys, 'row')} with the key of an earlier row")


_MOST_COUNTED = 32 * 1024 * 1024


def work_of(rows: FileRows, stream: BinaryIO, options: PushOptions, service: Service) -> Work:
    """How much a push of a file has to do.

    Args:
        rows: of the file.
        stream: they are read from it.
        options: how.
        service: what is pushed to.
    """
    size = size_of(stream)
    if size is None:
        return Work()

    def total() -> int | None:
        if size > _MOST_COUNTED:
            return None
        with opened(options.file) as again:
            counted = rows_of(again, options, service.without_models())
            return sum(1 for _ in counted)

    return Work(total, lambda: stream.tell() / size if size else None)
