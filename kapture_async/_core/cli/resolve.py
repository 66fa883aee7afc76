"""The command ``resolve``: records what a person found out about rows in doubt, one or many."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidInputError
from ..journal.reader import ReadJournal
from ..reconcile.resolve import Answer, resolve_all, take_back
from ..reconcile.results import Resolved
from ..spreadsheet import plain
from .commands import exit_codes
from .console import console, count, name_of, one_line, say, warn
from .exit_codes import DONE
from .journal_status import read_status, ticket_ids_in
from .next_steps import next_steps, show_next
from .options import journal_argument
from .running import run
from .service import Service, Vendor

_SHOWN = 5
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d+")
"""What a spreadsheet makes of a long number."""


def resolve_rows(
    path: str, answers: Sequence[Answer], service: Service, *, undo: bool = False
) -> int:
    """Record what happened to rows, as a person found out; returns the exit code.

    Args:
        path: of the journal.
        answers: what was found.
        service: what was pushed to.
        undo: take back what was said of these rows instead.

    Raises:
        InvalidInputError: a row is not in doubt; nothing was recorded.
        JournalError: the journal cannot be used.
    """
    if not undo:
        _warn_of_what_was_seen(path, answers)
    rows: list[Resolved] = run(lambda: (take_back if undo else resolve_all)(path, answers))
    for row in rows[:_SHOWN]:
        if undo:
            said = "in doubt again"
        elif row.ticket_ids:
            said = f"present, as {row.ticket_ids[0]}"
        else:
            said = "absent; will be sent next time"
        say(f"{one_line(name_of(row.key, row.line), 60)}: {one_line(said)}", stderr=True)
    if len(rows) > _SHOWN:
        say(f"and {count(len(rows) - _SHOWN, 'row')} more", stderr=True)
    show_next(console(stderr=True), next_steps(read_status(path), service))
    return DONE


def _warn_of_what_was_seen(path: str, answers: Sequence[Answer]) -> None:
    """Warn of rows that are said to be absent, although a lookup found tickets that may be them."""
    absent = {(a.key, a.line if a.key is None else None) for a in answers if a.present is None}
    found: list[tuple[str, tuple[str, ...], str]] = []
    with ReadJournal.open_to_read(path) as journal:
        for doubt in journal.doubts(payloads=False) if absent else ():
            line = doubt.line if (doubt.key, None) not in absent else None
            key = doubt.key if line is None else None
            if (key, line) not in absent:
                continue
            if tickets := ticket_ids_in(journal.evidence_of(doubt.row)):
                which = [doubt.key] if doubt.key is not None else ["--line", str(doubt.line)]
                name = name_of(doubt.key, doubt.line)
                found.append((name, tickets, shlex.join([path, *which])))
    for name, tickets, _ in found[:_SHOWN]:
        ids = ", ".join(map(one_line, tickets[:3]))
        warn(
            f"{one_line(name, 60)}: a lookup found what may be it ({ids}); if it is, the next "
            "push makes a second ticket"
        )
    if len(found) > _SHOWN:
        warn(f"and {count(len(found) - _SHOWN, 'row')} more of which a lookup found what may be it")
    if found:
        say(
            f"to take it back, as long as nothing was sent: resolve {found[0][2]} --undo",
            stderr=True,
        )


# --- answers in a file ---------------------------------------------------------------------------


def answers_in(file: str, path: str, *, undo: bool) -> list[Answer]:
    """What a person has filled in, in a file that `doubts` wrote.

    Args:
        file: its path: .csv, or .jsonl.
        path: of the journal.
        undo: every row counts, whatever is filled in.

    Raises:
        InvalidInputError: something in it cannot be understood; all of it is named.
    """
    with ReadJournal.open_to_read(path) as journal:
        by_reference = {d.reference: d for d in journal.doubts(payloads=False)}
    answers: list[Answer] = []
    problems: list[str] = []
    settled = 0
    for number, row in _rows_of(file):
        verdict, ticket = row.get("verdict", "").lower(), row.get("ticket_id", "")
        if not (verdict or ticket):
            continue
        if problem := _problem_with(verdict, ticket):
            problems.append(f"row {number}: {problem}")
            continue
        doubt = by_reference.get(row.get("reference", ""))
        if doubt is None and row.get("reference") and not undo:
            settled += 1
            continue
        key, line = row.get("key") or None, row.get("line", "")
        if doubt is not None:
            key, line = doubt.key, str(doubt.line)
        if key is None and not line.isdecimal():
            problems.append(f"row {number}: neither a key nor a line names a row")
            continue
        place = int(line) if key is None else None
        answers.append(Answer(key=key, line=place, present=ticket or None))
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InvalidInputError(
            f"{file}: {'; '.join(problems[:_SHOWN])}{more}",
            next_step="Fill in `present` and the ticket_id, or `absent`, or neither. Nothing was "
            "recorded.",
        )
    if settled:
        warn(f"{count(settled, 'row')} of {file} are not in doubt any more, and were skipped")
    return answers


def _problem_with(verdict: str, ticket: str) -> str:
    if verdict not in ("", "present", "absent"):
        return f"the verdict {one_line(verdict, 20)!r} is neither present nor absent"
    if verdict == "absent" and ticket:
        return "absent, and yet with a ticket_id"
    if verdict == "present" and not ticket:
        return "present, and no ticket_id"
    if _ROUNDED.fullmatch(ticket):
        return f"a spreadsheet has rounded the ticket_id to {ticket!r}"
    return ""


def _rows_of(file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file that `doubts` wrote, as texts, with their numbers."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
        if file.lower().endswith(".jsonl"):
            found: list[Any] = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            lines = text.splitlines(keepends=True)
            semicolons = bool(lines) and lines[0].count(";") > lines[0].count(",")
            found = list(csv.DictReader(lines, delimiter=";" if semicolons else ","))
    except (UnicodeDecodeError, ValueError, csv.Error) as error:
        raise InvalidInputError(
            f"{file} is not what `doubts` wrote: {error}", next_step="Save it as CSV (UTF-8)."
        ) from None
    if found and not {"verdict", "ticket_id"} <= set(found[0]):
        raise InvalidInputError(
            f"{file} has no columns verdict and ticket_id",
            next_step="Write it with `doubts JOURNAL --out FILE`, and fill it in.",
        )
    for number, row in enumerate(found, start=2 if not file.lower().endswith(".jsonl") else 1):
        cells = {name: str(cell).strip() for name, cell in row.items() if name and cell is not None}
        yield number, {name: plain(cell) for name, cell in cells.items()}


@exit_codes
@journal_argument
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--line", type=click.IntRange(1), metavar="N", help="For a row without a key.")
@click.option("--present", metavar="ID", help="It is in the helpdesk, under this id.")
@click.option("--absent", is_flag=True, help="It is not there; it will be sent next time.")
@click.option(
    "--from",
    "file",
    metavar="FILE",
    help="For many rows: a file of `doubts`, in which verdict (present or absent) and ticket_id "
    "are filled in. Rows that are left empty stay in doubt.",
)
@click.option(
    "--undo",
    is_flag=True,
    help="Take back what was recorded so for these rows, as long as they were not sent since.",
)
def resolve(
    vendor: Vendor,
    journal: str,
    keys: tuple[str, ...],
    line: int | None,
    present: str | None,
    absent: bool,
    file: str | None,
    undo: bool,
) -> int:
    """Record by hand what happened to the rows with these KEYs: ambiguous or probable rows, or
    rows that no lookup could resolve. Changes only the journal, for all of them or for none;
    sends nothing."""
    if sum((bool(keys), line is not None, file is not None)) != 1:
        raise click.UsageError(
            "name the rows by their keys, one without a key by --line, or many by --from"
        )
    if file is not None or undo:
        if present is not None or absent:
            raise click.UsageError(f"--{'from' if file else 'undo'} takes no --present or --absent")
    elif (present is None) != absent:
        raise click.UsageError("give either --present with the ticket's id, or --absent")
    if present is not None and len(keys) > 1:
        raise click.UsageError("--present takes one row at a time")
    service = vendor.service_for(journal)
    if file is not None:
        answers = answers_in(file, journal, undo=undo)
        if not answers:
            say(f"nothing is filled in in {file}; nothing was recorded", stderr=True)
            return DONE
    elif line is not None:
        answers = [Answer(line=line, present=present)]
    else:
        answers = [Answer(key=key, present=present) for key in keys]
    return resolve_rows(journal, answers, service, undo=undo)
