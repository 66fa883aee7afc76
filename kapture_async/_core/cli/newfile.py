"""Files that a command makes for a person: never over another, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal, TextIO

import click

from ..atomicfile import PartFile, publish


def format_to_write(out: str, *, excel: bool = False) -> Literal["csv", "jsonl"]:
    """The format that a file's name tells.

    Raises:
        click.UsageError: it tells none, or one that is not for Excel where that is wanted.
    """
    if excel and not out.lower().endswith(".csv"):
        raise click.UsageError(EXCEL_IS_CSV)
    if out.lower().endswith(".csv"):
        return "csv"
    if out.lower().endswith(".jsonl"):
        return "jsonl"
    raise click.UsageError("the name of --out ends in .csv or .jsonl")


EXCEL_IS_CSV = "--excel is for a .csv file"
excel_option = click.option(
    "--excel", is_flag=True, help="Begin a CSV file with a byte order mark, which Excel needs."
)


def check_new(out: str) -> None:
    """See that a file is not there yet.

    Raises:
        click.UsageError: it is.
    """
    if os.path.lexists(out):
        refuse_special(out)
        raise _there_already(out)


def refuse_special(out: str) -> None:
    """Say that a name is a device's or a pipe's, where nothing can be kept whole.

    Raises:
        click.UsageError: it is.
    """
    if os.path.exists(out) and not os.path.isfile(out):
        raise click.UsageError(f"{out} is not an ordinary file; name a new file")


@contextlib.contextmanager
def new_file(out: str, *, excel: bool = False) -> Iterator[TextIO]:
    """A file to write to, which only its owner may read. It has its name once it is whole.

    Args:
        out: its name.
        excel: it begins with a byte order mark.

    Raises:
        click.UsageError: there is such a file already.
    """
    check_new(out)
    part = None
    try:
        part = PartFile(os.path.dirname(out) or os.curdir)
        encoding = "utf-8-sig" if excel else "utf-8"
        with open(part.descriptor, "w", encoding=encoding, newline="") as file:
            yield file
        publish(part.path, out)
    except FileExistsError:
        raise _there_already(out) from None
    except OSError as error:
        if part is None:
            error.filename = out  # which is what its user knows
        raise
    finally:
        if part is not None:
            part.release()


def _there_already(out: str) -> click.UsageError:
    return click.UsageError(
        f"{out} is there already, and may hold rows that somebody has worked on; give another name"
    )
