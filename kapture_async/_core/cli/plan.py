"""The ``plan`` command: what a push would do, without sending anything."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..errors import InvalidInputError
from ..journal.reader import ReadJournal
from ..journal.records import DOUBTS
from ..push.journaling import KeyRules
from ..push.sources import FileRows
from .console import console, json_line, one_line, show_error
from .endreport import heading, show_commands
from .exit_codes import DONE, REJECTED, USAGE
from .formatting import count, duration
from .knownrows import KeyTrouble, KnownRows
from .lint import Lint
from .next_steps import push_command
from .options import Target
from .pushoptions import PushOptions
from .rowsfile import KEY, announce, name_of_file, opened, rows_of
from .saved_options import check_operation, check_shape, job_in, shape_of
from .service import Service

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
    second: int = 0
    repeated: int = 0
    keys: KeyTrouble = field(factory=KeyTrouble)

    @property
    def to_send(self) -> int:
        """Rows that a push would send now, as far as that is known."""
        if self.keys.stops:
            return self.states["not_sent"] if self.states is not None else 0
        if self.states is None:
            return self.rows - self.bad - self.second - self.repeated
        return self.states["new"] + self.states["not_sent"]

    @property
    def look_at_keys(self) -> bool:
        """Whether there are keys that somebody has to look at."""
        return bool(self.second or self.keys.respelled or self.keys.changed or self.keys.stops)


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
        journaled = options.journal_path is not None
        try:
            for row in rows:
                plan.rows += 1
                own_key = row.key if row.keyed else None
                before = plan.lint.repeated_keys, plan.lint.clashes
                plan.lint.end_row(row.line, own_key, good=row.problem is None)
                again, second = plan.lint.repeated_keys - before[0], plan.lint.clashes - before[1]
                if row.problem is not None:
                    plan.bad += 1
                    if len(plan.shown) < most:
                        plan.shown.append(one_line(row.problem.message))
                elif journaled and again:
                    plan.second += second
                    plan.repeated += not second
                elif plan.states is not None and known is not None:
                    plan.states[known.state_of(row)] += 1
        except InvalidInputError as error:
            plan.unreadable = error
        if plan.states is not None and known is not None:
            plan.states["new"] -= known.end()
            plan.states["respelled"] = known.trouble.respelled
            plan.states += Counter()  # without what is 0
            plan.keys = known.trouble
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
        told = {**_json(plan, rows, rate, seconds), "reference": _reference(options)}
        print(json_line(told), flush=True)
    if plan.bad or plan.unreadable:
        return USAGE
    return REJECTED if plan.look_at_keys else DONE


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
        rules = KeyRules(exact=options.keys_exact, new=options.new_keys)
        return KnownRows(journal, service.pack, rules)


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
    for words, number, style, told in [*_from_journal(plan), *_of_keys(plan)]:
        table.add_row("", Text(words, style), Text(f"{number:,}", style), Text(told, "dim"))
    table.add_row("", "to send", f"{plan.to_send:,}", Text(_time_for(plan.to_send, rate), "dim"))
    screen.print(table)
    if _reference(options) == "text":
        words = (
            f"  A push adds one line, the row's reference, at the end of {options.reference_means}."
        )
        screen.print()
        screen.print(Text(words, "dim"))
    if plan.keys.stops:
        screen.print()
        screen.print(
            Text(
                f"  A push would stop: {plan.keys.alike} of the first rows with new keys hold what "
                "the journal has under other keys. If they are other tickets, go ahead with "
                "--new-keys.",
                "yellow",
            )
        )
    if plan.lint.clashes and plan.second:
        _show_clashes(screen, plan)
    if plan.shown:
        more = f", the first {len(plan.shown)} of them; a pipe gets all"
        heading(screen, f"Bad rows{more if plan.bad > len(plan.shown) else ''}")
        for line in plan.shown:
            screen.print(Text(f"  {line}"), soft_wrap=not screen.is_terminal)
    _show_remarks(screen, plan)


def _reference(options: PushOptions) -> str | None:
    """Where each row's reference goes: ``text``, a field, or nowhere."""
    if options.journal_path is None or options.reference == "none":
        return None
    return options.reference or "text"


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


def _of_keys(plan: _Plan) -> list[tuple[str, int, str, str]]:
    told = (
        ("second rows", plan.second, "red", "not sent: their keys stand in earlier rows"),
        ("repeated", plan.repeated, "dim", "the same row again, under the same key"),
        (
            "respelled",
            plan.keys.respelled,
            "red",
            "not sent: other spellings of known keys; see --keys-exact",
        ),
        ("changed since", plan.keys.changed, "yellow", "already there, with other content"),
    )
    return [one for one in told if one[1]]


def _show_clashes(screen: Console, plan: _Plan) -> None:
    from rich.text import Text

    lines = plan.lint.clash_lines
    shown = lines[: _BAD_SHOWN if screen.is_terminal else len(lines)]
    more = f", the first {len(shown)} of them" if plan.lint.clashes > len(shown) else ""
    heading(screen, f"Two rows under one key: give the second a key of its own{more}")
    for first, second in shown:
        screen.print(Text(f"  line {second}: its key stood in line {first}, with other content"))


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
        "second_rows": plan.second,
        "second_row_lines": [list(pair) for pair in plan.lint.clash_lines],
        "respelled_keys": plan.keys.respelled,
        "changed_since": plan.keys.changed,
        "would_stop": plan.keys.stops,
        "repeated_contents": plan.lint.repeated_contents,
        "remarks": [
            {"field": r.name, "words": r.words, "rows": r.rows, "lines": r.lines}
            for r in plan.lint.remarks
        ],
        "journal": None if plan.journal is None else {"path": plan.journal, **(plan.states or {})},
        "estimate_seconds": round(plan.to_send / rate, 1) if rate else None,
        "seconds": round(seconds, 3),
    }
