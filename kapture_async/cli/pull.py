"""The command ``pull``: tickets of some days to the screen or into a file, once or again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from .._api import INDIA
from .._core.cli.console import count, json_line, one_line, say
from .._core.cli.exit_codes import DONE, UNKNOWN
from .._core.cli.options import (
    Decorator,
    OptionGroup,
    Target,
    gathering,
    pairs,
    target_options,
    timeout_option,
)
from .._core.cli.output import excel_option, refuse_both, warn_of_short
from .._core.cli.progress import PullDisplay
from .._core.cli.running import Reading, run
from .._core.pull.sinks import FORMATS, format_of, sink_for
from ..client import KaptureClient
from ..tickets.export import file_shape
from ..tickets.models import TicketRow
from .options import KaptureTarget, set_option

if TYPE_CHECKING:
    from .._core.pull.export import Exported


@frozen(kw_only=True)
class PullOptions(OptionGroup):
    """What to pull, and where to."""

    start: str | None
    end: str | None
    out: str | None
    format: str | None
    overwrite: bool
    as_json: bool
    since_last: str | None
    overlap: int
    recheck_open: bool
    customer_code: str | None
    status: str | None
    limit: int | None
    offset: int | None
    extra: tuple[str, ...]
    ahead: int
    excel: bool
    timeout: float

    @classmethod
    def options(cls) -> tuple[Decorator, ...]:
        """See :class:`.OptionGroup`."""
        return (
            click.option(
                "--from", "start", metavar="DAY", help="The first day, such as 2026-01-31."
            ),
            click.option(
                "--to",
                "end",
                metavar="DAY",
                help="The last day; see below.",
            ),
            click.option("--out", metavar="FILE", help="Write to FILE; `-` is stdout."),
            click.option(
                "--format",
                type=click.Choice(FORMATS),
                help="Otherwise by the name of FILE.",
            ),
            click.option(
                "--overwrite", is_flag=True, help="Replace FILE if it exists; not with STATE."
            ),
            click.option(
                "--json", "as_json", is_flag=True, help="The same as --out - --format jsonl."
            ),
            click.option(
                "--since-last",
                metavar="STATE",
                help="Only what no run with STATE has written yet; the first creates STATE.",
            ),
            click.option(
                "--overlap",
                type=click.IntRange(min=0),
                default=1,
                show_default=True,
                metavar="DAYS",
                help="How far back to look for tickets that are listed late.",
            ),
            click.option(
                "--recheck-open",
                is_flag=True,
                help="Write again tickets that were open and have changed since.",
            ),
            click.option("--customer-code", metavar="CODE", help="Of this customer only."),
            click.option("--status", metavar="CODE", help="Only these, such as P; tenants differ."),
            click.option(
                "--limit",
                type=click.IntRange(1),
                metavar="ROWS",
                help="Rows per page, for this pull; see --page-size.",
            ),
            click.option(
                "--offset",
                type=click.IntRange(0),
                metavar="ROWS",
                help="Rows to skip; shows one page of each day.",
            ),
            set_option,
            click.option(
                "--ahead",
                type=click.IntRange(min=1),
                default=4,
                show_default=True,
                metavar="DAYS",
                help="Days to fetch at a time.",
            ),
            excel_option,
            timeout_option,
        )

    @property
    def filters(self) -> dict[str, Any]:
        """What a client is asked for beside the days."""
        return {
            "customer_code": self.customer_code,
            "status": self.status,
            "extra": pairs(self.extra, option="--set"),
            "ahead": self.ahead,
        }


@click.command(cls=Reading, short_help="Pull the tickets created on some days.")
@gathering("options", PullOptions)
@target_options(KaptureTarget)
def pull(options: PullOptions, target: Target) -> None:
    """Pull the tickets created on the days from DAY to DAY, by the service's calendar.

    Without --to, pulls one day, or with --since-last all days up to now.

    FILE is written completely or not at all, and only its owner may read it: .jsonl has the rows
    as they came, .csv a table that is safe to open in a spreadsheet, .parquet typed columns.

    With --since-last STATE, each run writes what is new, whenever it runs and however the last
    one ended: all files together hold each ticket once. The first run needs --from, and each run
    a FILE of its own.

    If the service returns fewer tickets of a day than it counts, the exit code is 3; with STATE,
    the next runs read that day again until it is complete.
    """
    refuse_both(options.out, as_json=options.as_json)
    to_file = options.out not in (None, "-") and not options.as_json
    if options.since_last is not None and not to_file:
        raise click.UsageError(
            "--since-last needs --out FILE: output to a pipe cannot be undone, so a ticket could "
            "come twice or not at all"
        )
    if options.since_last is not None and options.overwrite:
        raise click.UsageError(
            "--since-last never overwrites, since FILE may be the only one with the tickets of an "
            "earlier run; use a new FILE for each run"
        )
    if options.since_last is None:
        if options.start is None and (to_file or not options.customer_code):
            raise click.UsageError("--from DAY is required")
        if options.recheck_open:
            raise click.UsageError("--recheck-open needs --since-last STATE")
    if to_file:
        if options.offset is not None:
            raise click.UsageError("--offset shows a single page; with --out, leave it out")
        settings = target.settings()
        if options.limit is not None:
            settings["page_size"] = options.limit
        _to_file(options, settings)
    else:
        _to_stdout(options, target.settings())


def _to_file(options: PullOptions, settings: dict[str, Any]) -> None:
    assert options.out is not None

    async def export() -> Exported:
        with PullDisplay() as bar:
            async with KaptureClient(**settings, timeout=options.timeout) as client:
                return await client.tickets.export(
                    options.out or "",
                    start=options.start,
                    end=options.end,
                    state=options.since_last,
                    format=options.format,
                    overwrite=options.overwrite,
                    overlap=options.overlap,
                    recheck_open=options.recheck_open,
                    on_progress=bar.on_progress,
                    excel=options.excel,
                    **options.filters,
                )

    done = run(export)
    details = f"{count(done.rows, 'ticket')} to {options.out}"
    if done.changed:
        details += f", {done.changed:,} of them changed since they were last written"
    if options.since_last is not None and done.newest is not None:
        details += f"; the newest from {done.newest[:16].replace('T', ' ')}"
    say(details, style="dim", stderr=True)
    sys.exit(_warn_of(done.incomplete, again=options.since_last is not None))


def _warn_of(short: tuple[str, ...], *, again: bool) -> int:
    """Say of which days tickets are missing, and give the exit code."""
    warn_of_short(short, "tickets", then="; the next run reads them again" if again else "")
    return UNKNOWN if short else DONE


def _to_stdout(options: PullOptions, settings: dict[str, Any]) -> None:
    form = "jsonl" if options.as_json else options.format
    if options.excel and form != "csv":
        raise click.UsageError("--excel is for CSV; add --format csv")
    if options.out == "-" and form is None:
        form = "jsonl"
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet output needs a file: use --out FILE")

    async def put() -> tuple[int, tuple[str, ...]]:
        number = 0
        async with (
            KaptureClient(**settings, timeout=options.timeout) as client,
            client.tickets.pull(
                options.start,
                options.end,
                limit=options.limit,
                offset=options.offset,
                **options.filters,
            ) as pages,
        ):
            pages.own = form == "jsonl"
            sink = None
            if form is not None and not (form == "jsonl" and sys.stdout.isatty()):
                shape = file_shape(INDIA, excel=options.excel)
                sink = sink_for(format_of("", form), sys.stdout.buffer, shape)
            while (rows := await pages.next_rows()) is not None:
                number += len(rows)
                if sink is not None:
                    sink.put(rows)
                    continue
                for row in rows:
                    if form is None:
                        _show_row(row)
                    else:
                        print(json_line(row.raw))
            if sink is not None:
                sink.finish()
        return number, pages.incomplete

    number, short = run(put)
    say(count(number, "ticket"), style="dim", stderr=True)
    sys.exit(_warn_of(short, again=False))


def _show_row(row: TicketRow) -> None:
    created = "" if row.created_at is None else f"{row.created_at:%Y-%m-%d %H:%M}"
    status = one_line(row.status_label or "", 12)
    title = one_line(row.title or "", 80)
    print(f"{one_line(row.ticket_id or ''):<14} {created:<16} {status:<12} {title}")
