"""The ``status`` command: how a push stands, on one screen; and the journals of a folder."""

from __future__ import annotations

import functools
import glob
import json
import shlex
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..errors import JournalError
from ..journal.records import Contradiction, State
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
    show_commands,
    table,
)
from .exit_codes import DONE
from .journal_status import JournalStatus, read_status
from .next_steps import next_steps, show_next
from .options import journal_argument, one_json_option
from .running import reading
from .service import Service, Vendor

if TYPE_CHECKING:
    from rich.console import Console

_REASONS_SHOWN = 6
_CONTRADICTIONS_IN_BRIEF = 3
_REASONS_IN_BRIEF = 4
_CONTRADICTIONS_SHOWN = 10
_SHOWN = {
    State.ACCEPTED: ("in the helpdesk", "green"),
    State.REJECTED: ("rejected", "yellow"),
    State.NOT_SENT: ("not sent", "cyan"),
    State.UNKNOWN: ("in doubt", "red"),
    State.AMBIGUOUS: ("ambiguous", "red"),
    State.PROBABLE: ("probable", "red"),
    State.REPLACED: ("replaced", "dim"),
}


def show_status(path: str, service: Service, *, as_json: bool, verbose: bool = False) -> int:
    """Show how a push stands; returns the exit code.

    Args:
        path: of its journal.
        service: what was pushed to.
        as_json: one JSON object on stdout instead.
        verbose: everything, instead of what fits on a screen of 24 lines.
    """
    status = read_status(path)
    if as_json:
        print(json_line(status.as_json()))
        return DONE
    screen = console()
    steps = next_steps(status, service)
    if verbose:
        job = status.job
        heading(screen, f"{path}: {job.service} {job.operation} to {job.target}")
        show_journal_status(screen, status)
        if steps:
            show_commands(screen, [(f"{words}:", command) for words, command in steps])
        else:
            heading(screen, nothing_to_type(status))
    else:
        show_standing(screen, status)
        if steps:
            show_next(screen, steps, f"status {shlex.quote(path)} --verbose")
        else:
            heading(screen, nothing_to_type(status))
    screen.print()
    return DONE


def nothing_to_type(status: JournalStatus) -> str:
    """What to say where no command is left to type."""
    if status.unread is not None:
        return f"Push {status.unread} again with this journal, to resume."
    if not status.counts.rows:
        return "Nothing has been pushed yet."
    if status.changed:
        rows = count(status.changed, "row")
        which = "that ticket" if status.changed == 1 else "those tickets"
        return f"Nothing is left to send. {rows} changed since: update {which} in the helpdesk."
    if status.contradicted:
        return "Nothing is left to send. Look at the contradictions in the helpdesk."
    return "Nothing is left to do."


def show_standing(screen: Console, status: JournalStatus) -> None:
    """What is in the helpdesk, what is not, what is in doubt, and why: at most 15 lines."""
    from rich.text import Text

    job, counts = status.job, status.counts
    wide = max(screen.width, 40)
    heading(screen, one_line(f"{status.path}: {job.operation} to {job.target}", wide))
    share = f"{100 * counts.accepted // counts.rows} % " if counts.rows else ""
    there = [f"{share}{_of_all(status)}" if counts.rows else "nothing was pushed yet"]
    if status.changed:
        there.append(f"{status.changed:,} changed in the file since")
    absent = [f"{status.sendable:,} to send"] if status.sendable else []
    to_reject = counts.rejected - status.later
    absent += [f"{to_reject:,} rejected"] if to_reject else []
    which = "it is" if status.refused == 1 else "they are"
    absent += [f"{status.refused:,} cannot be sent as {which}"] if status.refused else []
    doubts = [f"{status.to_look_up:,} to look up"] if status.to_look_up else []
    to_resolve = counts.ambiguous + counts.probable + status.left_open
    doubts += [f"{to_resolve:,} for you to resolve"] if to_resolve else []
    every = status.in_doubt + counts.ambiguous + counts.probable
    rows = [
        counted("in the helpdesk", counts.accepted, "green", "; ".join(there)),
        counted("not there", counts.rejected + counts.not_sent, "yellow", ", ".join(absent)),
        counted("in doubt", every, "red", ", ".join(doubts)),
    ]
    if status.owner is not None:
        rows.append(counted("in flight", status.under_way, "bold", "being sent now"))
    if shown := _frequent(status.reasons, _REASONS_IN_BRIEF):
        rows.append(("", "", ""))
        rows += [
            (Text(*_SHOWN[state]), f"{number:,}", Text(one_line(words), "dim"))
            for state, words, number in shown
        ]
    screen.print(table("state number line", rows))
    notes = []
    if status.older_copy:
        notes.append("an older copy: it does not know all that was sent; use the newest one")
    if status.unread is not None:
        notes.append(f"{status.unread} was not read to its end and may hold more rows")
    contradicted = sum(status.contradicted.values())
    show_contradictions(screen, status.contradictions[:_CONTRADICTIONS_IN_BRIEF], contradicted)
    screen.print()
    for text in notes:
        screen.print(Text(f"  {one_line(text, wide - 2)}", "bold yellow"))
    times = _times(status)
    for text in (times[0], times[-1]) if len(times) > 1 else times:
        screen.print(Text(f"  {one_line(text, wide - 2)}", "dim"))


def _frequent(reasons: Sequence[tuple[State, str, int]], most: int) -> list[tuple[State, str, int]]:
    """Of each state the most frequent reason, and then whatever is frequent; state by state."""
    first = {found[0]: found for found in reversed(reasons)}.values()
    rest = [found for found in reasons if found not in first]
    shown = [*sorted(first, key=reasons.index), *rest][:most]
    order = list(State)
    return sorted(shown, key=lambda one: (order.index(one[0]), -one[2]))


def show_journal_status(screen: Console, status: JournalStatus) -> None:
    """Counts, reasons, doubts and what happened when."""
    _show_older_copy(screen, status)
    _show_counts(screen, status)
    show_contradictions(screen, status.contradictions, sum(status.contradicted.values()))
    _show_reasons(screen, status)
    _show_doubts(screen, status)
    _show_open(screen, status)
    _show_times(screen, status)


def _show_older_copy(screen: Console, status: JournalStatus) -> None:
    if not status.older_copy:
        return
    newer, known = status.newer, status.counts.rows
    words = "This is an older copy of the journal: it does not know what was sent after the copy"
    if newer is not None:
        rows = f"{newer.rows:,} rows, not {known:,}" if newer.rows != known else "more events"
        words += f" (this machine has seen {rows}, {_clock(newer.at)})"
    words += ". Use the newest copy; with this one, a push looks each row up before sending it."
    screen.print(words, style="bold yellow")
    screen.print()


def _show_counts(screen: Console, status: JournalStatus) -> None:
    counts = status.counts
    rows = []

    def line(state: State, number: int, meaning: str) -> None:
        word, style = _SHOWN[state]
        rows.append(counted(word, number, style, meaning))

    line(State.ACCEPTED, counts.accepted, _of_all(status))
    if status.changed:
        details = "in the helpdesk with earlier content; the file has changed since"
        rows.append(counted("changed since", status.changed, "yellow", details))
    if status.owner is not None:
        rows.append(counted("in flight", status.under_way, "bold", "being sent now"))
    details = "refused by the service, not in the helpdesk"
    if status.later:
        to_fix = counts.rejected - status.later
        details += f"; {status.later:,} will be resent" if to_fix else "; will be resent"
    line(State.REJECTED, counts.rejected, details)
    which = "it is" if status.refused == 1 else "they are"
    refused = f"; {status.refused:,} cannot be sent as {which}" if status.refused else ""
    line(State.NOT_SENT, counts.not_sent, f"not in the helpdesk{refused}")
    since = status.doubts_since
    details = "may or may not be in the helpdesk" + ("" if since is None else f"; {_since(since)}")
    line(State.UNKNOWN, status.in_doubt, details)
    if counts.ambiguous:
        line(State.AMBIGUOUS, counts.ambiguous, "several tickets match: check them")
    if counts.probable:
        line(State.PROBABLE, counts.probable, "a ticket with the same content exists")
    if counts.replaced:
        line(State.REPLACED, counts.replaced, "fixed, and counted as the rows they became")
    screen.print(table("word number text", rows))
    if status.unread is not None:
        screen.print()
        words = f"  {status.unread} was not read to its end and may hold more rows"
        screen.print(words, style="yellow")


def _of_all(status: JournalStatus) -> str:
    rows = status.counts.rows
    if status.unread is not None:
        return f"of {count(rows, 'row')} read so far"
    return f"of {count(rows, 'row')}" if status.counts.accepted < rows else "all of them"


def _show_reasons(screen: Console, status: JournalStatus) -> None:
    from rich.text import Text

    shown = _frequent(status.reasons, _REASONS_SHOWN)
    if not shown:
        return
    heading(screen, "Why")
    rows = [
        (Text(*_SHOWN[state]), f"{number:,}", one_line(words, 150))
        for state, words, number in shown
    ]
    left = sum(number for _, _, number in status.reasons) - sum(number for _, _, number in shown)
    if left:
        rows.append((Text(), f"{left:,}", "for other reasons"))
    screen.print(table("word number text", rows))


def _show_doubts(screen: Console, status: JournalStatus) -> None:
    from rich.text import Text

    if not status.in_doubt or status.owner is not None:
        return
    shown = status.doubts
    heading(screen, f"In doubt{first_of(len(shown), status.in_doubt)}")
    rows = [
        (
            one_line(name_of(doubt.key, doubt.line)),
            Text(f"sent {_clock(doubt.first_intent_at)}", "dim"),
        )
        for doubt in shown
    ]
    screen.print(table("name text", rows))


def _show_open(screen: Console, status: JournalStatus) -> None:
    from rich.text import Text

    if not status.open:
        return
    total = status.counts.ambiguous + status.counts.probable
    heading(screen, f"For you to resolve{first_of(len(status.open), total)}")
    rows = [
        (
            one_line(name_of(row.key, row.line)),
            Text(*_SHOWN[row.state]),
            f"tickets {', '.join(map(one_line, row.ticket_ids))}"
            if row.ticket_ids
            else "no ticket recorded",
        )
        for row in status.open
    ]
    screen.print(table("name text text", rows))


def show_contradictions(screen: Console, found: Sequence[Contradiction], total: int) -> None:
    """What lookups showed against the recorded outcomes: the number, and the first by name."""
    from rich.text import Text

    if not found:
        return
    shown = found[:_CONTRADICTIONS_SHOWN]
    title = "Contradictions: the helpdesk disagrees with recorded outcomes"
    heading(screen, f"{title}{first_of(len(shown), total)}")
    rows = [
        (
            one_line(name_of(one.key, one.line)),
            Text(one.words, "bold red"),
            f"tickets {', '.join(map(one_line, one.ticket_ids)) or 'without a readable id'}",
        )
        for one in shown
    ]
    screen.print(table("name text text", rows))


def _show_times(screen: Console, status: JournalStatus) -> None:
    if lines := _times(status):
        screen.print()
        for text in lines:
            screen.print(f"  {text}", style="dim")


def _times(status: JournalStatus) -> list[str]:
    lines = []
    if (owner := status.owner) is not None:
        who = f"process {owner.pid} on {one_line(owner.host, 40)}" if owner.pid else "a process"
        since = f" {_since(owner.since)}" if owner.since else ""
        lines.append(f"in use by {who}{since}")
    elif (run := status.last_run) is not None:
        ended = "was cut off" if run.ended is None else f"ended {_clock(run.ended)}"
        lines.append(f"last run started {_clock(run.began)} and {ended}")
    if (look := status.last_look) is not None:
        try:
            tickets = f"; {count(int(json.loads(look.evidence)['tickets']), 'ticket')} checked"
        except (ValueError, KeyError, TypeError):
            tickets = ""
        lines.append(f"last lookup in the helpdesk {_clock(look.at)}{tickets}")
    if status.proved is not None:
        share, at = status.proved
        lines.append(f"last verified {_clock(at)}; {percent(share)} proved")
    return lines


def _since(at: float) -> str:
    return f"since {_clock(at)}"


def _clock(at: float) -> str:
    """A moment in local time, and how long ago it was."""
    then = datetime.fromtimestamp(at)
    passed = int(time.time() - at)
    ago = ""
    if 0 <= passed < 3600:
        ago = " (just now)" if passed < 2 else f" ({duration(passed)} ago)"
    if then.date() == datetime.now().date():
        return f"{then:%H:%M:%S}{ago}"
    return f"{then:%Y-%m-%d %H:%M}{ago}"


def list_journals(vendor: Vendor, *, as_json: bool) -> int:
    """List the journals of this folder, those with something left to do first."""
    from rich.text import Text

    found, others = [], []
    for path in sorted(glob.glob("*.journal")):
        try:
            found.append(read_status(path))
        except JournalError as error:
            others.append((path, error.message))
    if as_json:
        print(json_line({"journals": [status.as_json() for status in found]}))
        return DONE
    if not found and not others:
        say("no journal in this folder: a push of FILE writes FILE.journal")
        return DONE
    screen = console()
    left = {status.path: next_steps(status, vendor.service_for(status.path)) for status in found}
    found.sort(key=lambda status: not left[status.path])
    heading(screen, f"{count(len(found), 'journal')} in this folder")
    rows: list[tuple[Any, ...]] = []
    for status in found:
        counts = status.counts
        doubts = status.in_doubt + counts.ambiguous + counts.probable
        parts = [f"{counts.accepted:,} of {count(counts.rows, 'row')} in the helpdesk"]
        if doubts:
            parts.append(f"{doubts:,} in doubt")
        if status.owner is not None:
            parts.append("running")
        what, style = ("to do", "yellow") if left[status.path] else ("done", "green")
        name = Text(one_line(status.path), "bold")
        rows.append((name, Text(what, style), ", ".join(parts)))
    rows += [(Text(one_line(path), "bold"), Text("unusable", "red"), why) for path, why in others]
    screen.print(table("name word line", rows))
    if found:
        program = vendor.service().program
        command = f"{program} status {shlex.quote(found[0].path)}"
        show_next(screen, [("see how one of them stands", command)])
    screen.print()
    return DONE


@reading
@functools.partial(journal_argument, required=False)
@click.option("--verbose", "-v", is_flag=True, help="Everything, also what fits on no screen.")
@one_json_option
def status(vendor: Vendor, journal: str | None, as_json: bool, verbose: bool) -> int:
    """Show how a push stands: what is in the helpdesk, what is not and why, what is in doubt,
    and the one command to type next. Reads only the journal; safe during a push.

    JOURNAL may also be the file that was pushed. Without it, the journals of this folder are
    listed."""
    if journal is None:
        return list_journals(vendor, as_json=as_json)
    return show_status(journal, vendor.service_for(journal), as_json=as_json, verbose=verbose)
