"""Files that a command makes for a person: never over another, and whole or not at all."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, BinaryIO, Literal, Protocol, TextIO

import click

from ..atomicfile import AtomicFile
from ..errors import InvalidInputError
from ..jsontext import line_of
from .console import json_line, warn
from .options import Command, timeout_option, with_options
from .running import run

excel_option = click.option(
    "--excel", is_flag=True, help="Start a CSV file with the byte order mark that Excel needs."
)
out_option = click.option(
    "--out", required=True, metavar="FILE", help="The file to create: .csv or .jsonl."
)
_OTHER = "it may hold rows that you have edited; use another name"


def format_to_write(out: str, *, excel: bool = False) -> Literal["csv", "jsonl"]:
    """The format that a file's name stands for.

    Raises:
        click.UsageError: it stands for none, or for one that Excel does not open.
    """
    if excel and not out.lower().endswith(".csv"):
        raise click.UsageError("--excel is for a .csv file")
    if out.lower().endswith(".csv"):
        return "csv"
    if out.lower().endswith(".jsonl"):
        return "jsonl"
    raise click.UsageError("the name given to --out must end in .csv or .jsonl")


def new_output(out: str) -> AtomicFile:
    """A file to be.

    Raises:
        InvalidInputError: it exists, or cannot be made.
    """
    try:
        return AtomicFile(out)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, next_step=f"If it exists, {_OTHER}.") from None


@contextmanager
def new_file(out: str, *, excel: bool = False) -> Iterator[TextIO]:
    """A text file to write to, which only its owner may read. It gets its name once it is whole.

    Args:
        out: its name.
        excel: it starts with a byte order mark.

    Raises:
        InvalidInputError: it exists, or cannot be made.
    """
    output = new_output(out)
    try:
        output.begin()
        encoding = "utf-8-sig" if excel else "utf-8"
        text = io.TextIOWrapper(output.file, encoding, newline="")
        yield text
        text.detach()
        output.finish()
    except FileExistsError:
        raise InvalidInputError(f"{out} exists already: {_OTHER}") from None
    finally:
        output.discard()


# --- lists -----------------------------------------------------------------------------------


class _Row(Protocol):
    @property
    def raw(self) -> Any: ...


def listing_options(command: Command) -> Command:
    """Give a command ``out=``, ``timeout=`` and ``as_json=``, all that a list needs."""
    return with_options(
        (
            click.option(
                "--out", metavar="FILE.jsonl", help="Write JSON Lines to it; `-` is stdout."
            ),
            timeout_option,
            click.option("--json", "as_json", is_flag=True, help="The same as --out -"),
        )
    )(command)


def refuse_both(out: str | None, *, as_json: bool) -> None:
    """Check that a list goes to one place only.

    Raises:
        click.UsageError: ``--json`` and a file were given.
    """
    if as_json and out not in (None, "-"):
        raise click.UsageError("use either --json (stdout) or --out (a file), not both")


def put_rows(
    rows: Callable[[], AsyncGenerator[_Row, None]],
    show: Callable[[Any], None],
    *,
    out: str | None,
    as_json: bool,
) -> tuple[int, str]:
    """Write each row as it comes: on the screen, as JSON Lines on stdout, or to a file.

    A file gets its name when it is whole; only its owner may read it.

    Args:
        rows: makes the rows, in an event loop of its own.
        show: prints one for a person.
        out: a file, or ``-`` for stdout.
        as_json: stdout gets JSON.

    Raises:
        InvalidInputError: the file exists, or cannot be made.

    Returns:
        How many there were, and the words ``" to FILE"`` if they went to one.
    """
    to_stdout = as_json or out == "-"

    async def put(file: BinaryIO | None) -> int:
        number = 0
        async with aclosing(rows()) as coming:
            async for row in coming:
                number += 1
                if file is not None:
                    file.write(line_of(row.raw))
                elif to_stdout:
                    print(json_line(row.raw))
                else:
                    show(row)
        return number

    if out is None or to_stdout:
        return run(lambda: put(None)), ""
    output = new_output(out)
    try:
        output.begin()
        number = run(lambda: put(output.file))
        output.finish()
    finally:
        output.discard()
    return number, f" to {out}"


def warn_of_short(short: tuple[str, ...], what: str, *, then: str = "") -> None:
    """Warn that the service returned fewer rows than it counts, and for which days."""
    days = [day for day in short if day]
    more = f" and {len(days) - 5:,} more days" if len(days) > 5 else ""
    of = f", for {', '.join(days[:5])}{more}" if days else ""
    if short:
        warn(
            f"the service returned fewer {what} than it counts{of}; it may limit its answers{then}"
        )
