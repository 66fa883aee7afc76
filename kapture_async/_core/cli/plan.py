"""The ``plan`` command: what a push would do, without sending anything."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..errors import InvalidInputError
from ..push.journal.facts import DOUBTS
from ..push.journal.reading import ReadJournal
from ..push.sources import FileRows
from .advice import push_command
from .endreport import heading, show_commands
from .exits import DONE, USAGE
from .knownrows import KnownRows
from .lint import Lint
from .note import check_operation, check_shape, job_in, shape_of
from .options import Target
from .pushoptions import PushOptions
from .rowsfile import KEY, announce, name_of_file, opened, rows_of
from .screen import console, json_line, one_line, show_error
from .service import Service
from .words import count, duration

if TYPE_CHECKING:
    from rich.console import Console

_BAD_SHOWN = 20
"""On a terminal; a pipe gets them all."""
_BAD_KEPT = 100_000
_REMARKS_SHOWN = 12
_RATES = (100.0, 10.0)
"""Tickets per second: what a good day and a slow service would make of it."""


@define
class _Plan:
    rows: int = 0
    bad: int = 0
    shown: list[str] = field(factory=list)
    unreadable: InvalidInputError | None = None
    states: Counter[str] | None = None
    journal: str | None = None
    lint: Lint = field(factory=Lint)

    @property
    def to_send(self) -> int:
        """Rows that a push would send now, as far as that is known."""
        good = self.rows - self.bad
        return good if self.states is None else self.states["new"] + self.states["not_sent"]


def plan_file(
    options: PushOptions,
    service: Service,
    target: Target | None = None,
    *,
    rate: float | None = None,
) -> int:
    """Read a file as a push would, and tell of it; returns the exit code."""
    options.check_together()
    began = time.monotonic()
    screen = console(stderr=options.as_json)
    plan = _Plan()
    most = _BAD_SHOWN if screen.is_terminal else _BAD_KEPT
    with opened(options.file) as stream:
        rows = rows_of(stream, options, service, plan.lint.look)
        announce(rows, service)
        known = _known(plan, rows, options, service)
        try:
            for row in rows:
                plan.rows += 1
                own_key = row.key if row.keyed else None
                plan.lint.end_row(row.line, own_key, good=row.problem is None)
                if row.problem is not None:
                    plan.bad += 1
                    if len(plan.shown) < most:
                        plan.shown.append(one_line(row.problem.message))
                elif plan.states is not None and known is not None:
                    plan.states[known.state_of(row)] += 1
        except InvalidInputError as error:
            plan.unreadable = error
    seconds = time.monotonic() - began
    _show(screen, plan, rows, options, rate)
    if plan.unreadable is not None:
        show_error(plan.unreadable)
    elif not options.as_json and plan.to_send:
        command = push_command(service, options, target)
        show_commands(
            screen,
            "To go on",
            [("push one row, and look at it:", f"{command} --trial"), ("push them all:", command)],
        )
    if not options.as_json:
        screen.print()
    if options.as_json:
        print(json_line(_json(plan, rows, rate, seconds)), flush=True)
    return USAGE if plan.bad or plan.unreadable else DONE


def _known(plan: _Plan, rows: FileRows, options: PushOptions, service: Service) -> KnownRows | None:
    """What the journal has; ``None`` if there is none."""
    path = options.journal_path
    stored = None if path is None else job_in(path)
    if path is None or stored is None:
        return None
    plan.journal = path
    check_operation(path, stored, service.operation)
    if options.key != KEY:
        shape = shape_of(options.columns, rows.used, service.filled_in, options.shaping)
        check_shape(path, stored, options.keys, shape)
    plan.states = Counter()
    with ReadJournal.open_to_read(path) as journal:
        return KnownRows(journal, service.pack)


def _show(
    screen: Console, plan: _Plan, rows: FileRows, options: PushOptions, rate: float | None
) -> None:
    from rich.table import Table
    from rich.text import Text

    heading(screen, f"Plan for {name_of_file(options)}; nothing is sent")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(min_width=14, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    table.add_row("", "rows", f"{plan.rows:,}", _blank(rows))
    style = "red" if plan.bad else "dim"
    bad = Text("cannot be sent; the others can", "dim") if plan.bad else ""
    table.add_row("", Text("bad", style), Text(f"{plan.bad:,}", style), bad)
    for words, number, style, told in _from_journal(plan):
        table.add_row("", Text(words, style), Text(f"{number:,}", style), Text(told, "dim"))
    table.add_row("", "to send", f"{plan.to_send:,}", Text(_time_for(plan.to_send, rate), "dim"))
    screen.print(table)
    if plan.shown:
        more = f", the first {len(plan.shown)} of them; a pipe gets all"
        heading(screen, f"Bad rows{more if plan.bad > len(plan.shown) else ''}")
        for line in plan.shown:
            screen.print(Text(f"  {line}"), soft_wrap=not screen.is_terminal)
    _show_remarks(screen, plan)


def _blank(rows: FileRows) -> str:
    return f"and {count(rows.blank, 'blank one')}, passed over" if rows.blank else ""


def _from_journal(plan: _Plan) -> list[tuple[str, int, str, str]]:
    states = plan.states
    if states is None:
        return []
    doubts = sum(states[state.value] for state in DOUBTS)
    return [
        ("already there", states["accepted"], "green", f"by {plan.journal}"),
        *(
            [("rejected", states["rejected"], "yellow", "go again if mended")]
            * bool(states["rejected"])
        ),
        *([("in doubt", doubts, "red", "reconcile them")] * bool(doubts)),
    ]


def _time_for(rows: int, rate: float | None) -> str:
    """How long it takes, and how that is known."""
    if not rows:
        return ""
    if rate is not None:
        return f"about {duration(rows / rate)} at {rate:g} a second, as --rate says"
    fast, slow = (duration(rows / each) for each in _RATES)
    return (
        f"between {fast} and {slow}: at {_RATES[0]:g} and {_RATES[1]:g} a second; nothing was "
        "measured, and --rate PER_SECOND takes your own figure"
    )


def _show_remarks(screen: Console, plan: _Plan) -> None:
    from rich.table import Table
    from rich.text import Text

    remarks = plan.lint.remarks
    if not remarks:
        return
    heading(screen, "Worth a look; these rows would be sent as they are")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column(ratio=1)
    for remark in remarks[:_REMARKS_SHOWN]:
        more = ", ..." if remark.rows > len(remark.lines) else ""
        word = "line" if remark.rows == 1 else "lines"
        lines = f"{word} {', '.join(map(str, remark.lines))}{more}"
        what = Text.assemble(remark.words, (f"  {lines}", "dim"))
        table.add_row("", f"{remark.rows:,}", Text(one_line(remark.name or "", 40)), what)
    screen.print(table)
    if len(remarks) > _REMARKS_SHOWN:
        screen.print(Text(f"  and {len(remarks) - _REMARKS_SHOWN} other kinds", "dim"))


def _json(plan: _Plan, rows: FileRows, rate: float | None, seconds: float) -> dict[str, Any]:
    return {
        "rows": plan.rows,
        "bad": plan.bad,
        "blank": rows.blank,
        "to_send": plan.to_send,
        "repeated_keys": plan.lint.repeated_keys,
        "repeated_contents": plan.lint.repeated_contents,
        "remarks": [
            {"field": r.name, "words": r.words, "rows": r.rows, "lines": r.lines}
            for r in plan.lint.remarks
        ],
        "journal": None if plan.journal is None else {"path": plan.journal, **(plan.states or {})},
        "estimate_seconds": round(plan.to_send / rate, 1) if rate else None,
        "seconds": round(seconds, 3),
    }
