"""The ``verify`` command: the proof of a push, as a page of text and a line for each row."""

from __future__ import annotations

import asyncio
import csv
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..errors import HelpdeskError, InvalidInputError, RejectedError
from ..reconcile.results import RESULTS, RowCheck, RowResult, Verification
from ..spreadsheet import harmless
from .commands import exit_codes
from .console import (
    console,
    count,
    counted,
    duration,
    first_of,
    heading,
    json_line,
    name_of,
    one_line,
    percent,
    say,
    show_error,
    table,
    warn,
)
from .exit_codes import CONTRADICTION, DONE, NOT_SENT, UNKNOWN
from .journal_status import contradiction_json, moment, read_status
from .options import Target, journal_argument, lookup_timeout_option, one_json_option, positive
from .output import format_to_write, new_file, new_output
from .reconcile import OURS, ask_helpdesk, target_of
from .running import run
from .service import Service, Vendor
from .status import show_contradictions

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("key", "line", "result", "state", "tickets", "reference", "why")
"""The columns of the file."""
_TEXT = ("key", "tickets", "why")
"""Columns that a spreadsheet might take for formulas."""
_TRIES = 3
_BETWEEN_TRIES = 2.0
_REASONS = 8
_LISTS = 12
_UNEXPLAINED = 20
_SHOWN: dict[RowResult, tuple[str, str, str]] = {
    "present": ("present", "green", "in the helpdesk, each once"),
    "absent": ("absent", "cyan", "rejected or not sent, and not in the helpdesk"),
    "missing": ("missing", "red", "accepted, but not in the helpdesk"),
    "twice": ("twice", "red", "in the helpdesk more than once"),
    "contradicted": ("contradicted", "red", "the helpdesk disagrees with the journal"),
    "not_seen": ("not seen", "yellow", "not found, which proves nothing here; see below"),
    "in_doubt": ("in doubt", "yellow", "may or may not be in the helpdesk"),
    "unchecked": ("not checkable", "yellow", "they were sent without a reference"),
}
_LISTED: tuple[RowResult, ...] = (
    "missing",
    "twice",
    "contradicted",
    "in_doubt",
    "not_seen",
    "unchecked",
)


def verify_journal(
    path: str,
    target: Target,
    service: Service,
    *,
    settle: float | None,
    timeout: float | None,
    out: str | None,
    as_json: bool,
) -> int:
    """Check every row of a journal; returns the exit code.

    Args:
        path: of the journal.
        target: where to look; the rest is as for the push.
        service: how.
        settle: seconds until what was sent has to be visible; ``None`` for the default.
        timeout: seconds for a request; ``None`` for that of the push.
        out: a CSV file to create, with every row; ``None`` for none.
        as_json: end with one JSON object on stdout; the page goes to stderr.
    """
    if out is not None:
        if format_to_write(out) != "csv":
            raise InvalidInputError("--out must end in .csv, the format of the rows")
        new_output(out)
    found = _verified(path, target, service, settle=settle, timeout=timeout)
    if isinstance(found, int):
        return found
    try:
        if out is not None:
            write_rows(out, found)
        show_verification(console(stderr=as_json), found)
        if out is not None:
            say(f"every row: {out}", stderr=True)
        if as_json:
            print(json_line(verification_json(found)), flush=True)
        return code_of_verification(found)
    finally:
        found.close()


def verify_after_push(
    path: str, target: Target, service: Service, *, as_json: bool
) -> tuple[int, dict[str, Any] | None]:
    """Check every row at the end of a push, and show the page; returns the exit code, and the
    numbers for programs."""
    found = _verified(path, target, service, settle=None, timeout=None)
    if isinstance(found, int):
        return found, None
    try:
        show_verification(console(stderr=as_json), found)
        return code_of_verification(found), verification_json(found)
    finally:
        found.close()


def _verified(
    path: str, target: Target, service: Service, *, settle: float | None, timeout: float | None
) -> Verification | int:
    """What was found; or the exit code, if the helpdesk could not be asked."""
    before = read_status(path)
    target = target_of(before, target)

    async def look(resource: Any, place: Any) -> Verification:
        tries = 0
        while True:
            tries += 1
            try:
                found: Verification = await resource.verify(path, reference=place, settle=settle)
                return found
            except HelpdeskError as error:
                if tries == _TRIES or isinstance(error, (*OURS, RejectedError)):
                    raise
                warn(f"the lookup failed and will be retried: {error.message}")
            await asyncio.sleep(_BETWEEN_TRIES)

    say(f"checking {count(before.counts.rows, 'row')} of {path} against the helpdesk", stderr=True)
    try:
        found: Verification = run(lambda: ask_helpdesk(before, target, service, timeout, look))
    except HelpdeskError as error:
        if isinstance(error, OURS):
            raise
        show_error(error)
        for note in getattr(error, "__notes__", ()):
            warn(note)
        return NOT_SENT
    return found


def code_of_verification(found: Verification) -> int:
    """The exit code of a verification."""
    if found.denied:
        return CONTRADICTION
    return DONE if found.all_proved else UNKNOWN


def write_rows(out: str, found: Verification) -> None:
    """Write every row to a file: whole or not at all.

    Raises:
        click.UsageError: there is such a file already.
    """
    with new_file(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in found.rows():
            writer.writerow(_cells(row))
        for ticket_id in found.unexplained_ids:
            writer.writerow([None, None, "unexplained", None, harmless(ticket_id), None, None])


def _cells(row: RowCheck) -> list[str | int | None]:
    values: dict[str, str | int | None] = {
        "key": row.key,
        "line": row.line,
        "result": row.result,
        "state": row.state,
        "tickets": " ".join(row.ticket_ids),
        "reference": row.reference,
        "why": row.why,
    }
    return [harmless(str(v or "")) if name in _TEXT else v for name, v in values.items()]


def verification_json(found: Verification) -> dict[str, Any]:
    """The numbers, for programs."""
    return {
        "rows": found.total,
        **{result: found.counts[result] for result in RESULTS},
        "by_id": found.by_id,
        "proved": found.proved,
        "all_proved": found.all_proved,
        "contradictions": [contradiction_json(one) for one in found.contradictions],
        "contradictions_noted": found.noted,
        "unexplained": found.unexplained,
        "unexplained_tickets": found.unexplained_ids,
        "reasons": dict(found.reasons.most_common()),
        "lists": [
            {"day": one.day, "tickets": one.tickets, "total": one.total} for one in found.lists
        ],
        "tickets": found.tickets,
        "began": moment(found.began),
        "ended": moment(found.ended),
        "service": found.service,
        "operation": found.operation,
        "target": found.target,
        "reference": found.place,
        "journal": found.journal,
    }


def show_verification(screen: Console, found: Verification) -> None:
    """The page: what was checked, when and how, what is proved, and what is not."""
    heading(screen, f"Verification of {found.journal}")
    began = datetime.fromtimestamp(found.began).astimezone()
    lines = (
        f"{found.service} {found.operation} to {found.target}; references in {found.place}",
        f"started {began:%Y-%m-%d %H:%M:%S %Z}, took {duration(found.ended - found.began)}",
        _how(found),
    )
    for line in lines:
        screen.print(f"  {one_line(line)}", style="dim")
    _show_counts(screen, found)
    show_contradictions(screen, found.contradictions, len(found.contradictions))
    for result in _LISTED:
        _show_rows(screen, found, result)
    _show_reasons(screen, found)
    _show_unexplained(screen, found)
    _show_lists(screen, found)
    earlier = found.noted - len(found.contradictions)
    if earlier > 0:
        words = f"{count(earlier, 'contradiction')} of earlier lookups: see `status`"
        screen.print()
        screen.print(f"  {words}", style="dim")
    screen.print()


def _how(found: Verification) -> str:
    if found.place == "none":
        return "nothing was looked up: the rows were sent without references"
    if found.row_by_row:
        return f"looked up each row by itself; {count(found.tickets, 'answer')}"
    lists = count(len(found.lists), "list")
    return f"read {lists} with {count(found.tickets, 'ticket')}"


def _show_counts(screen: Console, found: Verification) -> None:
    rows = []
    for result, (word, style, meaning) in _SHOWN.items():
        number = found.counts[result]
        if not number and result not in ("present", "missing", "twice", "contradicted"):
            continue
        if result == "present":
            meaning = f"of {count(found.total, 'row')}: {meaning}"
            if found.by_id:
                meaning += f"; {found.by_id:,} by id only, since their texts were changed"
        rows.append(counted(word, number, style, meaning))
    screen.print()
    screen.print(table("word number text", rows))
    screen.print()
    style = "bold green" if found.all_proved else "bold"
    share = percent(found.proved)
    screen.print(f"  Proved: {share} of {count(found.total, 'row')}", style=style)


def _show_rows(screen: Console, found: Verification, result: RowResult) -> None:
    from rich.text import Text

    rows = found.first.get(result, [])
    if not rows:
        return
    more = first_of(len(rows), found.counts[result])
    heading(screen, f"{_SHOWN[result][0].capitalize()}{more}")
    for row in rows:
        name = one_line(name_of(row.key, row.line), 40)
        details = [f"tickets {', '.join(map(one_line, row.ticket_ids))}"] if row.ticket_ids else []
        details += [one_line(row.why)] if row.why else []
        screen.print(Text.assemble(f"  {name}  ", ("; ".join(details), "dim")))


def _show_reasons(screen: Console, found: Verification) -> None:
    from rich.text import Text

    if not found.reasons:
        return
    heading(screen, "Why rows could not be proved")
    for why, rows in found.reasons.most_common(_REASONS):
        screen.print(Text.assemble(f"  {rows:>9,}  ", (one_line(why), "dim")))


def _show_unexplained(screen: Console, found: Verification) -> None:
    if not found.unexplained:
        return
    shown = found.unexplained_ids[:_UNEXPLAINED]
    more = first_of(len(shown), found.unexplained)
    heading(screen, f"Tickets that no row explains{more}")
    words = (
        "made by the same user in hours in which rows were sent, without a reference: other work "
        "of that user, or a row that was executed twice and then rewritten"
    )
    screen.print(f"  {words}", style="dim")
    screen.print(f"  {', '.join(map(one_line, shown))}")


def _show_lists(screen: Console, found: Verification) -> None:
    lists = [one for one in found.lists if one.tickets or one.total]
    if not lists:
        return
    incomplete = [one for one in lists if one.incomplete]
    shown = [*incomplete, *(one for one in lists if not one.incomplete)][:_LISTS]
    heading(screen, "Lists that were read")
    for one in shown:
        total = "the service gives no total"
        if one.total is not None:
            total = f"of {one.total:,} by the service's own count"
        style = "bold red" if one.incomplete else "dim"
        day = one.day or "all"
        screen.print(f"  {day}  {count(one.tickets, 'ticket')}, {total}", style=style)
    if len(lists) > len(shown):
        screen.print(f"  and {len(lists) - len(shown):,} more", style="dim")


@exit_codes
@journal_argument
@click.option(
    "--settle",
    type=positive,
    metavar="SECONDS",
    help="How long the service may take to show what was sent; at least twice --timeout.  "
    "[default: 300]",
)
@lookup_timeout_option
@click.option("--out", metavar="FILE.csv", help="Write every row to this file.")
@one_json_option
def verify(vendor: Vendor, journal: str, target: Target, **how: Any) -> int:
    """Check every row of JOURNAL against the helpdesk: the proof of a push.

    Each row is present once, absent as it should be, missing, there twice, contradicted, or
    not provable, with the reason. The screen shows what was checked, when and how, and what
    share is proved; --out writes every row. Sends nothing. Records in JOURNAL what it finds:
    rows in doubt that are found count as in the helpdesk."""
    return verify_journal(journal, target, vendor.service_for(journal), **how)
