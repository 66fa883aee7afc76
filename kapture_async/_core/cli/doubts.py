"""The ``doubts`` command: every row that may be in the helpdesk or not, as a file."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from typing import Any

import click

from ..journal.lock import owner_of
from ..journal.reader import ReadJournal
from ..journal.records import DOUBTS, State
from ..spreadsheet import harmless
from .console import say
from .exit_codes import DONE
from .formatting import count
from .journal_status import LINE, moment, ticket_ids_in
from .newfile import format_to_write, new_file

COLUMNS: tuple[str, ...] = (
    "key",
    "line",
    "state",
    "reference",
    "sent",
    "sent_last",
    "tries",
    "tickets",
    "why",
)
_TEXT = ("key", "tickets", "why")
"""What a spreadsheet might take for a formula."""


def write_doubts(path: str, out: str, *, excel: bool = False) -> int:
    """Write all rows of a journal that are in doubt, ambiguous or probable; returns the exit code.

    Raises:
        click.UsageError: the file is there already, its name tells no format, or a push runs.
        JournalError: the journal cannot be read.
    """
    format_ = format_to_write(out, excel=excel)
    with ReadJournal.open_to_read(path) as journal:
        if owner_of(os.path.realpath(path)) is not None:
            raise click.UsageError(
                "a process has the journal just now: which rows it leaves in doubt is known when "
                "it has ended"
            )
        counts = journal.counts()
        rows = counts.unknown + counts.ambiguous + counts.probable
        if not rows:
            say("no row is in doubt; no file was written", stderr=True)
            return DONE
        with new_file(out, excel=excel) as file:
            if format_ == "csv":
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                for row in _rows_of(journal):
                    shown = {name: harmless(str(row[name] or "")) for name in _TEXT}
                    writer.writerow(row | shown)
            else:
                for row in _rows_of(journal):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    say(
        f"{count(rows, 'row')} to {out}: each may be in the helpdesk or not, and none is sent "
        "again before that is known",
        stderr=True,
    )
    return DONE


def _rows_of(journal: ReadJournal) -> Iterator[dict[str, Any]]:
    """In the order they came. Nothing of what they were sent with: the reference finds them."""
    for doubt in journal.doubts(*DOUBTS, payloads=False):
        looked_up = doubt.state is not State.UNKNOWN
        found = ticket_ids_in(journal.evidence_of(doubt.row)) if looked_up else ()
        values = (
            doubt.key,
            doubt.line,
            doubt.state.value,
            None if journal.job.place == "none" else doubt.reference,
            moment(doubt.first_intent_at),
            moment(doubt.sent_at),
            doubt.attempts,
            " ".join(found) or None,
            LINE.sub("", " ".join((doubt.words or "").split())) or doubt.error,
        )
        yield dict(zip(COLUMNS, values, strict=True))
