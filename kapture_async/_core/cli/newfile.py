"""Files that a command makes for a person: never over another, and whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal, TextIO

import click


def format_to_write(out: str) -> Literal["csv", "jsonl"]:
    """The format that a file's name tells.

    Raises:
        click.UsageError: it tells none.
    """
    if out.lower().endswith(".csv"):
        return "csv"
    if out.lower().endswith(".jsonl"):
        return "jsonl"
    raise click.UsageError("the name of --out ends in .csv or .jsonl")


@contextlib.contextmanager
def new_file(out: str) -> Iterator[TextIO]:
    """A file to write to, which only its owner may read. It is gone again if that fails.

    Raises:
        click.UsageError: there is such a file already.
    """
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.UsageError(
            f"{out} is there already, and may hold rows that somebody has worked on; give another "
            "name"
        ) from None
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(out)
        raise
