"""Lists as they come: on the screen, as JSON Lines on stdout, or in a file that is whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, BinaryIO, Protocol

import click

from ..atomicfile import AtomicFile
from ..jsontext import line_of
from .console import json_line
from .newfile import check_new
from .options import Command, timeout_option, with_options
from .running import run


class _Row(Protocol):
    @property
    def raw(self) -> Any: ...


def listing_options(command: Command) -> Command:
    """Give a command ``out=``, ``timeout=`` and ``as_json=``, all that a list needs."""
    return with_options(
        (
            click.option(
                "--out", metavar="FILE.jsonl", help="Write JSON Lines there; `-` is stdout."
            ),
            timeout_option,
            click.option("--json", "as_json", is_flag=True, help="The same as --out -"),
        )
    )(command)


def refuse_both(out: str | None, *, as_json: bool) -> None:
    """See that a list goes to one place only.

    Raises:
        click.UsageError: ``--json`` and a file were given.
    """
    if as_json and out not in (None, "-"):
        raise click.UsageError("--json writes to stdout, --out to a file: give one of them")


def put_rows(
    rows: Callable[[], AsyncGenerator[_Row, None]],
    show: Callable[[Any], None],
    *,
    out: str | None,
    as_json: bool,
) -> tuple[int, str]:
    """Put each row where it belongs, as it comes.

    A file is written beside its place and moved there when it is whole; only its owner may
    read it.

    Args:
        rows: makes the rows, in an event loop of its own.
        show: prints one for a person.
        out: a file, or ``-`` for stdout.
        as_json: stdout gets JSON.

    Raises:
        click.UsageError: the file already exists.

    Returns:
        How many there were, and the words ``" to FILE"`` if they went to one.
    """
    to_stdout = as_json or out == "-"
    output = None
    if out is not None and not to_stdout:
        check_new(out)
        output = AtomicFile(out)

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

    if output is None:
        return run(lambda: put(None)), ""
    try:
        output.begin()
        number = run(lambda: put(output.file))
        output.seal()
        output.publish()
    finally:
        output.discard()
    return number, f" to {out}"
