"""The ``judge`` command: what a person says of rows in doubt."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..journal.reader import ReadJournal
from ..push.resolving import judge
from .console import console, one_line, say
from .endreport import show_commands
from .exit_codes import DONE
from .journal_status import standing_of
from .next_steps import ways_on
from .running import run
from .service import Service
from .status import name_of


def judge_rows(
    path: str,
    keys: Sequence[str],
    line: int | None,
    service: Service,
    *,
    present: str | None,
    absent: bool,
) -> int:
    """Write down what became of rows; returns the exit code.

    Args:
        path: of the journal.
        keys: of the rows.
        line: of a row without a key.
        service: what was pushed to.
        present: the id under which the row is in the helpdesk.
        absent: they are not there.

    Raises:
        click.UsageError: the options do not go together.
        InvalidInputError: a row is not in doubt; those before it were written down.
        JournalError: the journal cannot be used.
    """
    if bool(keys) == (line is not None):
        raise click.UsageError("name the rows by their keys, or one without a key with --line")
    if (present is None) != absent:
        raise click.UsageError("give either --present with the id, or --absent")
    if present is not None and len(keys) > 1:
        raise click.UsageError("--present is for one row at a time")
    with ReadJournal.open_to_read(path):
        pass  # what is no journal is refused before anything else

    async def main() -> None:
        for key in keys or (None,):
            row = await judge(path, key, line=line, present=present, absent=absent)
            name = one_line(name_of(row.key, row.line), 60)
            said = "not there; the next push sends it" if absent else f"there, as {present}"
            say(f"{name}: {one_line(said)}", stderr=True)

    run(main)
    ways = ways_on(standing_of(path), service)
    if ways:
        show_commands(console(stderr=True), "To go on", ways)
    return DONE
