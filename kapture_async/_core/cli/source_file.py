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
from ..push.sources.arrow import ArrowRows
from ..push.sources.columns import Columns, filled, listed, nearest
from ..push.sources.csv import CsvRows
from ..push.sources.file import Found, found_in
from ..push.sources.json import JsonRows
from ..push.sources.rows import RAW, FileRows
from ..push.sources.sheet import SheetRows
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
    *,
    quiet: bool = False,
) -> FileRows:
    """The rows of the file, read as the options say.

    Args:
        stream: the file.
        options: what was asked for.
        service: what is pushed to.
        watch: called with the content of each row, by wire names; then encoding is checked, too.
        quiet: say nothing of how it is read.

    Raises:
        InvalidInputError: its header cannot be used.
        click.UsageError: the options do not say enough.
    """
    rows = _rows_of(stream, options, service, watch, quiet=quiet)
    if options.shared:
        rows.share(os.path.basename(options.file) if options.file != STDIN else "-", options.part)
    return rows


def _rows_of(
    stream: BinaryIO,
    options: PushOptions,
    service: Service,
    watch: Callable[[Mapping[str, Any]], None] | None,
    *,
    quiet: bool,
) -> FileRows:
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise click.BadParameter("must be one character, or \\t", param_hint="--delimiter")
    found = found_in(stream, options.file, options.encoding)
    format_ = _format_of(found, options)
    if found.words and not quiet:
        what = (*found.words, format_.upper()) if format_ in ("csv", "json") else found.words
        say(f"reading {name_of_file(options)}: {', '.join(what)}", style="dim", stderr=True)
    constants = options.constants
    fill = functools.partial(filled, constants=constants, as_list=options.objects_as_list)
    build = functools.partial(_built, service, fill if constants else None, watch)
    columns = evolve(columns_of(options), zone=service.zone)
    _check_fields((*columns.fields, *constants), service, quiet=quiet)
    reading: Mapping[str, Any] = {"wire_fields": service.wire_fields}
    required = tuple(name for name in service.required if name not in constants)
    table: Mapping[str, Any] = {**reading, "required": required}
    skip = options.skip_title_rows
    if options.sheet is not None and format_ != "sheet":
        raise InvalidInputError("--sheet is for spreadsheets, and the file is none")
    if skip and format_ in ("json", "arrow"):
        raise InvalidInputError("--skip-title-rows is for spreadsheets and CSV files")
    rows: FileRows
    if format_ == "json":
        rows = JsonRows(
            found.stream,
            columns,
            functools.partial(_built_without_added, build),
            whole=options.key == KEY,  # what `rejects` wrote
            encoding=options.encoding,
            **reading,
        )
    elif format_ == "sheet":
        rows = SheetRows(found.stream, columns, build, sheet=options.sheet, skip=skip, **table)
    elif format_ == "arrow":
        rows = ArrowRows(found.stream, columns, build, **table)
    else:
        rows = CsvRows(
            found.stream,
            columns,
            build,
            delimiter=options.delimiter,
            likely=found.likely_delimiter,
            encoding=options.encoding,
            skip=skip,
            **table,
        )
    if isinstance(rows, JsonRows):
        return rows
    for name, value in service.fills.items():
        if value is None and name not in rows.used and name not in constants:
            raise InvalidInputError(
                f"no column is mapped to {name!r}; the columns are {listed(rows.header)}",
                next_step=f"Name its column with --map {name}=COLUMN, or set "
                f"--{name.replace('_', '-')} for all rows.",
            )
    return rows


def header_of(options: PushOptions, service: Service) -> tuple[list[str], str | None]:
    """The names of the columns of a file, and of its sheet.

    Raises:
        InvalidInputError: they cannot be read.
    """
    bare = evolve(options, map=(), set=(), date_format=(), key=None)
    anything = evolve(service, required=(), fills={})
    with opened(options.file) as stream:
        rows = rows_of(stream, bare, anything)
        return rows.header, getattr(rows, "sheet", None)


def _format_of(found: Found, options: PushOptions) -> str:
    """How the rows are read: as asked for, if the content allows that."""
    wanted = "json" if options.format == "jsonl" else options.format
    if found.format in ("sheet", "arrow"):
        if wanted is not None:
            raise InvalidInputError(
                f"the file is no text ({found.words[-1]})", next_step="Leave out --format."
            )
    elif wanted is not None:
        return wanted
    elif found.format is None:
        raise click.UsageError("cannot tell the format from the file; add --format csv or json")
    return found.format


def constants_of(options: PushOptions, service: Service) -> dict[str, str]:
    """What rows get that lack it."""
    return {**service.filled_in, **options.constants}


def columns_of(options: PushOptions) -> Columns:
    """Which column goes where; with the column that names rows of the journal, in a file that
    ``rejects`` made."""
    columns = options.columns
    return evolve(columns, entry=ENTRY) if options.key == KEY else columns


def _check_fields(names: Sequence[str], service: Service, *, quiet: bool) -> None:
    """See that the service has the fields that are named, or say which may be misspelled.

    Raises:
        InvalidInputError: it has not, and takes no others.
    """
    unknown = [name for name in names if "." not in name and name not in service.wire_fields]
    for name in unknown:
        like = nearest(name, service.wire_fields)
        meant = f"; did you mean {like!r}?" if like else ""
        if service.only_these:
            raise InvalidInputError(
                f"{name!r} is not a field of the service{meant}",
                next_step=f"Its fields are {', '.join(service.wire_fields)}.",
            )
        if like and not quiet:
            warn(f"{name!r} is not a documented field{meant}")
    others = [name for name in unknown if not nearest(name, service.wire_fields)]
    if others and not quiet:
        say(f"not documented, sent all the same: {_names(others)}", style="dim", stderr=True)


def _built(
    service: Service,
    fill: Callable[[dict[str, Any]], dict[str, Any]] | None,
    watch: Callable[[Mapping[str, Any]], None] | None,
    content: dict[str, Any],
) -> Any:
    if watch is not None:
        watch(content)
    if fill is not None:
        content = fill(content)
    row = service.build_row(content)
    if watch is not None:
        service.check(row)
    return row


def _built_without_added(build: Callable[[dict[str, Any]], Any], content: dict[str, Any]) -> Any:
    added = (*ADDED, RAW)
    return build({name: value for name, value in content.items() if name not in added})


def announce(rows: FileRows, constants: Mapping[str, str]) -> None:
    """Show which columns are sent, before anything is."""
    sent = [n if n == c else f"{n} from {c!r}" for n, c in rows.used.items()]
    if rows.open_ended:
        first = [name for name in rows.first_fields if name not in (*rows.unused, *ADDED)]
        sent += [*first, "and any other documented field of a row"]
    if sent:
        say(f"sending columns: {', '.join(sent)}", stderr=True)
    if constants:
        given = (f"{name} {value}" for name, value in constants.items())
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
    if rows.total is not None:
        return Work(lambda: rows.total)
    if size is None:
        return Work()

    def total() -> int | None:
        if size > _MOST_COUNTED:
            return None
        with opened(options.file) as again:
            counted = rows_of(again, options, service.without_models(), quiet=True)
            return sum(1 for _ in counted)

    return Work(total, lambda: stream.tell() / size if size else None)
