"""The ``plan`` command: what a push would do, without sending anything."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from ..errors import InvalidInputError
from ..journal.reader import ReadJournal
from ..journal.records import DOUBTS
from ..journal.reference import digest_of
from ..journal.run_state import fold
from ..push.keys import PROBED, SUSPICIOUS, KeyRules
from ..push.rows import Row
from ..push.sources.columns import listed
from ..push.sources.mapping import guessed_key, guesses, write_mapping
from ..push.sources.rows import FileRows
from .commands import exit_codes
from .console import (
    console,
    count,
    counted,
    duration,
    first_of,
    heading,
    json_line,
    one_line,
    say,
    show_commands,
    show_error,
    table,
)
from .exit_codes import DONE, REJECTED, USAGE
from .lint import Lint
from .next_steps import push_command
from .options import Target, positive
from .output import new_file
from .push_options import PushOptions
from .running import reading
from .saved_options import check_operation, check_shape, job_in, shape_of
from .service import Service, Vendor
from .source_file import (
    KEY,
    announce,
    constants_of,
    header_of,
    name_of_file,
    opened,
    rows_of,
)

if TYPE_CHECKING:
    from rich.console import Console

_BAD_SHOWN = 20
"""On a terminal; a pipe gets them all."""
_BAD_KEPT = 100_000
_REMARKS_SHOWN = 12
_RATES = (100.0, 10.0)
"""Tickets per second: a good day and a slow service."""


@define
class KeyTrouble:
    """What a push would make of keys that the journal does not have.

    Attributes:
        respelled: rows whose keys are other spellings of known ones, and that it would not send.
        changed: rows that are in the helpdesk with other content.
        alike: of the first rows with new keys, those whose contents stand under other keys; it
            stops if they are too many.
    """

    respelled: int = 0
    changed: int = 0
    alike: int = 0
    stops: bool = False


Finding = tuple[str, str | None]
"""What looks wrong in a row: words, and the wire name."""


@define
class Plan:
    """What a push of a file would do.

    Attributes:
        most: so many messages of bad rows are kept.
        rows: in the file.
        bad: of them those that cannot be sent.
        shown: messages of the first of those.
        unreadable: why the file could not be read to its end.
        states: rows by the state that the journal has for them; ``None`` without a journal.
        journal: its path, then.
        lint: what looks wrong.
        second, repeated: rows with the key of an earlier one, with other or with the same content.
        keys: what a push would make of keys that the journal does not have.
    """

    most: int = _BAD_KEPT
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
        """Rows that a push would send now, as far as is known."""
        if self.keys.stops:
            return self.states["not_sent"] if self.states is not None else 0
        if self.states is None:
            return self.rows - self.bad - self.second - self.repeated
        return self.states["new"] + self.states["not_sent"]

    @property
    def look_at_keys(self) -> bool:
        """Whether there are keys that a person has to check."""
        return bool(self.second or self.keys.respelled or self.keys.changed or self.keys.stops)

    def read(
        self,
        rows: FileRows,
        options: PushOptions,
        service: Service,
        on_row: Callable[[Row[Any], list[Finding]], None] = lambda row, findings: None,
    ) -> None:
        """Read the rows to their end; their content must be given to the lint as they come.

        Args:
            rows: of the file.
            options: of the push.
            service: what it goes to.
            on_row: called with each row, and with what looks wrong in it.

        Raises:
            JournalError: the journal is of another push.
        """
        known = _known(self, rows, options, service)
        journaled = options.journal_path is not None
        try:
            for row in rows:
                self.rows += 1
                own_key = row.key if row.keyed else None
                before = self.lint.repeated_keys, self.lint.clashes
                on_row(row, self.lint.end_row(row.line, own_key, good=row.problem is None))
                again, second = self.lint.repeated_keys - before[0], self.lint.clashes - before[1]
                if row.problem is not None:
                    self.bad += 1
                    if len(self.shown) < self.most:
                        self.shown.append(one_line(row.problem.message))
                elif journaled and again:
                    self.second += second
                    self.repeated += not second
                elif self.states is not None and known is not None:
                    self.states[known.state_of(row)] += 1
        except InvalidInputError as error:
            self.unreadable = error
        if self.states is not None and known is not None:
            self.states["new"] -= known.end()
            self.states["respelled"] = known.trouble.respelled
            self.states += Counter()  # without what is 0
            self.keys = known.trouble


def plan_file(
    options: PushOptions,
    service: Service,
    target: Target | None = None,
    *,
    rate: float | None = None,
) -> int:
    """Read a file as a push would, and report on it; returns the exit code."""
    options.check_together()
    began = time.monotonic()
    screen = console(stderr=options.as_json)
    plan = Plan(most=_BAD_SHOWN if screen.is_terminal else _BAD_KEPT)
    with opened(options.file) as stream:
        rows = rows_of(stream, options, service, plan.lint.look)
        announce(rows, constants_of(options, service))
        plan.read(rows, options, service)
    seconds = time.monotonic() - began
    _show(screen, plan, rows, options, rate)
    if plan.unreadable is not None:
        show_error(plan.unreadable)
    elif not options.as_json and plan.to_send:
        command = push_command(service, options, target)
        steps = [("push one row, and check it:", f"{command} --trial"), ("push them all:", command)]
        show_commands(screen, steps)
    if not options.as_json:
        screen.print()
    if options.as_json:
        details = {**_json(plan, rows, rate, seconds), "reference": _reference(options)}
        print(json_line(details), flush=True)
    if plan.bad or plan.unreadable:
        return USAGE
    return REJECTED if plan.look_at_keys else DONE


def propose_mapping(options: PushOptions, service: Service, out: str) -> int:
    """Write a mapping that the names of a file's columns suggest; returns the exit code.

    Raises:
        InvalidInputError: the names cannot be read, or the file exists.
    """
    header, sheet = header_of(options, service)
    found = guesses(header, service.wire_fields, service.usual)
    columns = {guess.field: guess.column for guess in found}
    key = guessed_key(header)
    with new_file(out) as file:
        write_mapping(
            file,
            name_of_file(options),
            header,
            found,
            key=key,
            required=service.required,
            sheet=sheet,
            skip_title_rows=options.skip_title_rows,
        )
    screen = console()
    heading(screen, f"Guessed from the names of the columns, and written to {out}")
    rows = [(guess.field, one_line(guess.column, 40), guess.why) for guess in found]
    if key is not None:
        rows.append(("(key)", one_line(key, 40), "identifies each row"))
    rows += [
        (name, "?", "required: no column looks like it")
        for name in service.required
        if name not in columns
    ]
    screen.print(table("name name text", rows))
    if left := [name for name in header if name and name not in columns.values()]:
        say(f"not sent: {listed(left)}", style="dim")
    command = shlex.join([*service.program.split(), "plan", options.file, "--mapping", out])
    show_commands(screen, [("correct the file, and see what a push would do:", command)])
    screen.print()
    return DONE


def _known(plan: Plan, rows: FileRows, options: PushOptions, service: Service) -> KnownRows | None:
    """What the journal has; ``None`` if there is none."""
    path = options.journal_path
    stored = None if path is None else job_in(path)
    if path is None or stored is None:
        return None
    plan.journal = path
    check_operation(path, stored, service.operation)
    if options.key != KEY:
        shape = shape_of(
            options.columns, rows.used, constants_of(options, service), options.shaping
        )
        check_shape(path, stored, options.keys, shape)
    plan.states = Counter()
    with ReadJournal.open_to_read(path) as journal:
        rules = KeyRules(exact=options.keys_exact, new=options.new_keys)
        return KnownRows(journal, service.pack, rules)


def _show(
    screen: Console, plan: Plan, rows: FileRows, options: PushOptions, rate: float | None
) -> None:
    from rich.text import Text

    heading(screen, f"Plan for {name_of_file(options)}; nothing is sent")
    blank = f"and {count(rows.blank, 'blank one')}, skipped" if rows.blank else ""
    time_for = Text(_time_for(plan.to_send, rate), "dim")
    lines = [
        ("rows", f"{plan.rows:,}", blank),
        counted("bad", plan.bad, "red", "cannot be sent; the others can"),
        *(counted(*line) for line in (*_from_journal(plan), *_of_keys(plan))),
        ("to send", f"{plan.to_send:,}", time_for),
    ]
    screen.print(table("word number text", lines))
    if _reference(options) == "text":
        where = f"at the end of {options.reference_means}"
        screen.print()
        screen.print(f"  A push adds one line, the row's reference, {where}.", style="dim")
    if plan.keys.stops:
        words = (
            f"  A push would stop: {plan.keys.alike} of the first rows with new keys have the "
            "content of rows that the journal has under other keys. If they are other tickets, "
            "use --new-keys."
        )
        screen.print()
        screen.print(words, style="yellow")
    if plan.lint.clashes and plan.second:
        _show_clashes(screen, plan)
    if plan.shown:
        more = first_of(len(plan.shown), plan.bad)
        heading(screen, f"Bad rows{more}{'; a pipe gets all' if more else ''}")
        for line in plan.shown:
            screen.print(f"  {line}", soft_wrap=not screen.is_terminal)
    _show_remarks(screen, plan)


def _reference(options: PushOptions) -> str | None:
    """Where each row's reference goes: ``text``, a field, or nowhere."""
    if options.journal_path is None or options.reference == "none":
        return None
    return options.reference or "text"


def _from_journal(plan: Plan) -> Iterator[tuple[str, int, str, str]]:
    if (states := plan.states) is None:
        return
    yield "already there", states["accepted"], "green", f"according to {plan.journal}"
    if states["rejected"]:
        yield "rejected", states["rejected"], "yellow", "will be sent once they are fixed"
    if doubts := sum(states[state.value] for state in DOUBTS):
        yield "in doubt", doubts, "red", "look them up with `reconcile`"


def _of_keys(plan: Plan) -> Iterator[tuple[str, int, str, str]]:
    keys = plan.keys
    if plan.second:
        yield "second rows", plan.second, "red", "will not be sent: an earlier row has the key"
    if plan.repeated:
        yield "repeated", plan.repeated, "dim", "the same row again, with the same key"
    if keys.respelled:
        details = "will not be sent: other spellings of known keys; see --keys-exact"
        yield "respelled", keys.respelled, "red", details
    if keys.changed:
        yield "changed since", keys.changed, "yellow", "already there, with other content"


def _show_clashes(screen: Console, plan: Plan) -> None:
    lines = plan.lint.clash_lines
    shown = lines[: _BAD_SHOWN if screen.is_terminal else len(lines)]
    more = first_of(len(shown), plan.lint.clashes)
    heading(screen, f"Two rows under one key: give the second a key of its own{more}")
    for first, second in shown:
        screen.print(f"  line {second} has the key of line {first}, with other content")


def _time_for(rows: int, rate: float | None) -> str:
    """How long it takes, and what that is based on."""
    if not rows:
        return ""
    if rate is not None:
        return f"about {duration(rows / rate)} at {rate:g} per second (--rate)"
    fast, slow = (duration(rows / each) for each in _RATES)
    return (
        f"{fast} to {slow}, at {_RATES[0]:g} to {_RATES[1]:g} per second; not measured, "
        "use --rate for your own figure"
    )


def _show_remarks(screen: Console, plan: Plan) -> None:
    from rich.text import Text

    remarks = plan.lint.remarks
    if not remarks:
        return
    heading(screen, "Worth a look; these rows would be sent as they are")
    rows = []
    for remark in remarks[:_REMARKS_SHOWN]:
        more = ", ..." if remark.rows > len(remark.lines) else ""
        word = "line" if remark.rows == 1 else "lines"
        lines = f"{word} {', '.join(map(str, remark.lines))}{more}"
        what = Text.assemble(remark.words, (f"  {lines}", "dim"))
        rows.append((f"{remark.rows:,}", one_line(remark.name or "", 40), what))
    screen.print(table("number name text", rows))
    if len(remarks) > _REMARKS_SHOWN:
        screen.print(f"  and {len(remarks) - _REMARKS_SHOWN} other kinds", style="dim")


def _json(plan: Plan, rows: FileRows, rate: float | None, seconds: float) -> dict[str, Any]:
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


# --- what the journal has ---------------------------------------------------------------------

NEW = "new"
_FREE = frozenset({"not_sent", "rejected"})


@define
class _Key:
    state: str
    digest: bytes
    came: bool = False


class KnownRows:
    """The states of a journal's rows, by what names them: their keys, or else their contents.

    Rows of equal content are details apart by their order, as a push does; so each row of the file
    is asked for once, in the order of the file.

    Args:
        journal: it is read to its end here.
        pack: a row as a journal identifies it.
        rules: how the push takes new keys.
    """

    def __init__(self, journal: ReadJournal, pack: Callable[[Any], bytes], rules: KeyRules) -> None:
        self._pack = pack
        self._rules = rules
        self._by_key: dict[str, _Key] = {}
        self._first: dict[bytes, str] = {}
        self._further: dict[tuple[bytes, int], str] = {}
        self._came: dict[bytes, int] = {}
        self._spellings: dict[str, list[_Key]] | None = None
        self._contents: set[bytes] = set()
        self._new: list[bytes] = []
        self._waiting: list[list[_Key]] = []
        self.trouble = KeyTrouble()
        for key, digest, occurrence, state in journal.names():
            if key is not None:
                if occurrence >= 0:  # else it is a second row under the key
                    self._by_key[key] = _Key(state.value, digest)
                    self._contents.add(digest)
            elif occurrence:
                self._further[digest, occurrence] = state.value
            else:
                self._first[digest] = state.value

    def state_of(self, row: Row[Any]) -> str:
        """The state of the file's next row, which can be sent; ``"new"`` if it is not known, and
        ``"respelled"`` if only its key is."""
        digest = digest_of(self._pack(row.value))
        if row.keyed and row.key is not None:
            return self._state_of_key(row.key, digest)
        if digest not in self._first:
            return NEW
        number = self._came[digest] = self._came.get(digest, -1) + 1
        return self._further.get((digest, number), NEW) if number else self._first[digest]

    def end(self) -> int:
        """The file is at its end. Returns how many rows of those that were called new are not to be
        sent, since their keys are other spellings of keys that the file has no more."""
        gone = sum(not any(key.came for key in keys) for keys in self._waiting)
        self.trouble.respelled += gone
        self.trouble.alike = sum(digest in self._contents for digest in self._new)
        self.trouble.stops = self.trouble.alike > SUSPICIOUS and not self._rules.new
        return gone

    def _state_of_key(self, key: str, digest: bytes) -> str:
        known = self._by_key.get(key)
        if known is not None:
            if known.state == "accepted" and known.digest != digest and not known.came:
                self.trouble.changed += 1
            known.came = True
            return known.state
        alike = self._alike(key)
        if any(one.digest == digest and one.state not in _FREE for one in alike):
            self.trouble.respelled += 1
            return "respelled"
        if alike:
            # One that is not in the helpdesk is sent either way, as itself or as the new row.
            if not any(one.state in _FREE for one in alike):
                self._waiting.append(alike)
        elif len(self._new) < PROBED and self._by_key:
            self._new.append(digest)
        return NEW

    def _alike(self, key: str) -> list[_Key]:
        if self._rules.exact or not self._by_key:
            return []
        if self._spellings is None:
            self._spellings = {}
            for known, about in self._by_key.items():
                self._spellings.setdefault(fold(known), []).append(about)
        return self._spellings.get(fold(key), [])


@reading
@exit_codes
@click.option(
    "--rate", type=positive, metavar="PER_SECOND", help="Tickets per second, to estimate the time."
)
@click.option(
    "--write-mapping",
    metavar="FILE.toml",
    help="Only read the names of the columns, guess what they are, and write a file for --mapping.",
)
def plan(
    vendor: Vendor,
    options: PushOptions,
    target: Target,
    rate: float | None,
    write_mapping: str | None,
) -> int:
    """Show what a push of FILE would do: which rows cannot be sent, what looks wrong, how long
    it takes, and which rows the journal knows already. Sends nothing.

    It takes the options of push: change one word to run the push."""
    service = vendor.service(options)
    if write_mapping is not None:
        return propose_mapping(options, service, write_mapping)
    return plan_file(options, service, target, rate=rate)
