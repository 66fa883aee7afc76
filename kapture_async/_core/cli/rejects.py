"""Rows of a journal as files for a person: ``rejects`` (to fix) and ``doubts`` (to look up)."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import click
from attrs import define, field

from ..errors import InvalidInputError
from ..journal.reader import ReadJournal
from ..journal.records import DOUBTS, Job, RowView, State, entry_name, goes_again, later_of
from ..push.sources.rows import RAW
from ..spreadsheet import harmless
from .console import console, count, say, show_commands, warn
from .exit_codes import DONE
from .journal_status import LINE, moment, ticket_ids_in
from .options import journal_argument, parse
from .output import excel_option, format_to_write, new_file, out_option
from .saved_options import SavedOptions
from .service import Service, Vendor
from .source_file import ADDED, KEY

_PATH = "."
_OF_THE_FILE = (
    *("map", "set", "date_format", "key", "format", "sheet", "skip_title_rows"),
    *("delimiter", "encoding"),
)
"""Options that are not for a file that `rejects` made."""


@define
class _Shape:
    """What the rows have, as far as it is known."""

    rows: int = 0
    bare: int = 0
    raw: int = 0
    plain: dict[str, None] = field(factory=dict)
    nested: dict[str, None] = field(factory=dict)
    objects: set[str] = field(factory=set)


def write_rejects(path: str, out: str, service: Service, *, excel: bool = False) -> int:
    """Write the rows of a journal that have to be fixed; returns the exit code.

    Raises:
        click.UsageError: the name of the file stands for no format.
        InvalidInputError: the file exists, or a row has what no CSV cell can hold.
        JournalError: the journal cannot be read.
    """
    format_ = format_to_write(out, excel=excel)
    with ReadJournal.open_to_read(path) as journal:
        shape = _shape_of(journal, flat=format_ == "csv")
        if shape.raw:  # so that there is a column for whatever is read out of them
            for name in _columns_of(journal.job, service):
                place = shape.nested if _PATH in name else shape.plain
                place[name] = None
        known = [name for name in service.wire_fields if name in shape.plain]
        shape.plain = dict.fromkeys([*known, *shape.plain])
        if not shape.rows:
            say("no rows to fix; no file was written", stderr=True)
            return DONE
        with new_file(out, excel=excel) as file:
            if format_ == "csv":
                _write_csv(file, journal, shape)
            else:
                _write_jsonl(file, journal)
        job = journal.job
    say(f"{count(shape.rows, 'row')} to {out}, each with its reason in _reason", stderr=True)
    if shape.bare:
        warn(
            f"the journal does not hold the content of {count(shape.bare, 'row')}, only {KEY}, "
            "_line and _reason: fix them in the original file and push that again, to resume"
        )
    if shape.raw:
        warn(
            f"{count(shape.raw, 'row')} could not be parsed: {RAW} holds the original text; "
            "move it into the other columns"
        )
    if shape.bare < shape.rows:
        saved = SavedOptions.read(job.source)
        steps = [_next_step(path, out, saved, shape, service, flat=format_ == "csv")]
        show_commands(console(stderr=True), steps)
    return DONE


def _to_fix(journal: ReadJournal) -> Iterator[RowView]:
    later = later_of(journal.job.operation)
    for row in journal.rows_in(State.REJECTED, State.NOT_SENT):
        if row.state is State.REJECTED:
            if not goes_again(row.error, row.status, later):
                yield row
        elif not row.attempts:
            yield row


def _content(row: RowView) -> dict[str, Any]:
    try:
        content = json.loads(row.payload or b"{}")
    except ValueError:
        content = {}
    return content if isinstance(content, dict) else {}


def _shape_of(journal: ReadJournal, *, flat: bool) -> _Shape:
    shape = _Shape()
    for row in _to_fix(journal):
        shape.rows += 1
        content = _content(row)
        shape.bare += not content
        shape.raw += RAW in content
        for name, value in content.items():
            if name == RAW:
                continue
            inner = _object(value)
            if inner is None and isinstance(value, (Mapping, list)) and flat:
                raise InvalidInputError(
                    f"{name!r} of a row is a list or an object that no CSV cell can hold",
                    next_step="Write a .jsonl file.",
                )
            if inner is None:
                shape.plain[name] = None
                continue
            shape.nested.update(dict.fromkeys(f"{name}{_PATH}{part}" for part in inner))
            if isinstance(value, Mapping):
                shape.objects.add(name)
    return shape


def _columns_of(job: Job, service: Service) -> list[str]:
    """The wire names that the columns of the source went to."""
    try:
        return list(json.loads(job.shape or "")["columns"]) or list(service.required)
    except (ValueError, TypeError, KeyError):
        return list(service.required)


def _object(value: Any) -> Mapping[str, Any] | None:
    """The one flat object that a value is or holds; ``None`` if it is something else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, Mapping):
        return None
    return None if any(isinstance(v, (Mapping, list)) for v in value.values()) else value


def _added(row: RowView, job: Job) -> dict[str, str | int | None]:
    reason = LINE.sub("", " ".join((row.words or "").split()))
    if row.status not in (None, 200):
        reason = f"{reason} (HTTP {row.status})"
    values = (row.key, row.line, reason, row.ticket_id, entry_name(row.row, job))
    return dict(zip(ADDED, values, strict=True))


def _write_csv(file: TextIO, journal: ReadJournal, shape: _Shape) -> None:
    columns = [*shape.plain, *shape.nested]
    writer = csv.writer(file, lineterminator="\n")
    raw = [RAW] * bool(shape.raw)
    writer.writerow([harmless(name) for name in (*ADDED, *raw, *columns)])
    for row in _to_fix(journal):
        cells: dict[str, Any] = {}
        for name, value in _content(row).items():
            inner = _object(value)
            if inner is None:
                cells[name] = value
            else:
                cells |= {f"{name}{_PATH}{part}": text for part, text in inner.items()}
        found = [*_added(row, journal.job).values(), *(cells.get(n) for n in (*raw, *columns))]
        writer.writerow([harmless(_cell(value)) for value in found])


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _write_jsonl(file: TextIO, journal: ReadJournal) -> None:
    for row in _to_fix(journal):
        content = {**_added(row, journal.job), **_content(row)}
        file.write(json.dumps(content, ensure_ascii=False) + "\n")


def _next_step(
    path: str,
    out: str,
    saved: SavedOptions | None,
    shape: _Shape,
    service: Service,
    *,
    flat: bool,
) -> tuple[str, str]:
    command = [*service.program.split(), service.command, out]
    if flat:
        if set(shape.plain) - set(service.wire_fields):
            command += [part for name in shape.plain for part in ("--map", f"{name}={name}")]
        command += [part for name in shape.nested for part in ("--map", f"{name}={name}")]
    command += ["--key", KEY, "--journal", path]
    if saved is not None:
        kept = {name: v for name, v in saved.options.items() if name not in _OF_THE_FILE}
        kept |= dict(saved.target)
        options, target = parse((service.options, service.target), [], kept, file=out)
        command += [*options.as_arguments()[1:], *target.as_arguments()]
    what = "fix them, and push them with the same journal (keep the columns _key and _row):"
    return what, shlex.join(command)


# --- doubts ----------------------------------------------------------------------------------

_DOUBT_COLUMNS = (
    *(
        "key",
        "line",
        "state",
        "reference",
        "sent",
        "sent_last",
        "tries",
        "tickets",
        "why",
        "verdict",
        "ticket_id",
    ),
)
_TEXT = ("key", "tickets", "why")
"""Columns that a spreadsheet might take for formulas."""


def write_doubts(path: str, out: str, *, excel: bool = False) -> int:
    """Write all rows of a journal that may or may not be in the helpdesk; returns the exit code.

    Raises:
        click.UsageError: the name of the file stands for no format, or a push is running.
        InvalidInputError: the file exists.
        JournalError: the journal cannot be read.
    """
    format_ = format_to_write(out, excel=excel)
    with ReadJournal.open_to_read(path) as journal:
        if journal.writers():
            raise click.UsageError(
                "another process is using the journal; wait until it ends, then list its doubts"
            )
        counts = journal.counts()
        rows = counts.unknown + counts.ambiguous + counts.probable
        if not rows:
            say("no row is in doubt; no file was written", stderr=True)
            return DONE
        with new_file(out, excel=excel) as file:
            if format_ == "csv":
                writer = csv.DictWriter(file, _DOUBT_COLUMNS, lineterminator="\n")
                writer.writeheader()
                for row in _doubts_of(journal):
                    shown = {name: harmless(str(row[name] or "")) for name in _TEXT}
                    writer.writerow(row | shown)
            else:
                for row in _doubts_of(journal):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    say(
        f"{count(rows, 'row')} to {out}: each may or may not be in the helpdesk, and none is "
        "resent until that is known",
        stderr=True,
    )
    return DONE


def _doubts_of(journal: ReadJournal) -> Iterator[dict[str, Any]]:
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
            None,
            None,
        )
        yield dict(zip(_DOUBT_COLUMNS, values, strict=True))


@journal_argument
@out_option
@excel_option
def rejects(vendor: Vendor, journal: str, out: str, excel: bool) -> int:
    """Write the rows that the service refused, and those that cannot be sent as they are, to
    FILE, each with its reason. Columns that begin with _ are added, and never sent.

    Fix the rows, and push them with `--key _key` and the same journal: each keeps its key,
    and _row tells the journal which row it replaces. Of two rows with one key, give the
    second a _key of its own. For a row that could not be parsed, _raw holds the original
    text; move it into the other columns."""
    return write_rejects(journal, out, vendor.service_for(journal), excel=excel)


@journal_argument
@out_option
@excel_option
def doubts(vendor: Vendor, journal: str, out: str, excel: bool) -> int:
    """Write every row that may or may not be in the helpdesk to FILE: key, line, reference,
    when and how often it was sent, the tickets that may be it, and why it is in doubt. The
    content of the row is not written; search the helpdesk for the reference.

    Reads only the journal. Use `reconcile` first. For what it leaves, fill in the last two
    columns: present and the ticket_id, or absent; `resolve --from FILE` records it."""
    return write_doubts(journal, out, excel=excel)
