"""The ``status`` command: how a push stands, on one screen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ..journal.findings import Contradiction
from ..journal.records import State
from .console import console, json_line, one_line
from .endreport import heading, show_commands
from .exit_codes import DONE
from .formatting import count, duration, percent
from .journal_status import Standing, standing_of
from .next_steps import ways_on
from .service import Service

if TYPE_CHECKING:
    from rich.console import Console

_REASONS_SHOWN = 6
_CONTRADICTIONS_SHOWN = 10
_STYLES = {
    State.ACCEPTED: "green",
    State.REJECTED: "yellow",
    State.NOT_SENT: "cyan",
    State.UNKNOWN: "red",
    State.AMBIGUOUS: "red",
    State.PROBABLE: "red",
    State.REPLACED: "dim",
}
_WORDS = {
    State.ACCEPTED: "in the helpdesk",
    State.REJECTED: "rejected",
    State.NOT_SENT: "not sent",
    State.UNKNOWN: "in doubt",
    State.AMBIGUOUS: "ambiguous",
    State.PROBABLE: "probable",
    State.REPLACED: "replaced",
}


def show_status(path: str, service: Service, *, as_json: bool) -> int:
    """Show how a push stands; returns the exit code.

    Args:
        path: of its journal.
        service: what was pushed to.
        as_json: one JSON object on stdout instead.
    """
    standing = standing_of(path)
    if as_json:
        print(json_line(standing.as_json()))
        return DONE
    screen = console()
    job = standing.job
    heading(screen, f"{path}: {job.service} {job.operation} to {job.target}")
    show_standing(screen, standing)
    ways = ways_on(standing, service)
    if ways:
        show_commands(screen, "To go on", ways)
    elif standing.unread is not None:
        heading(screen, f"Give {standing.unread} to the same push again; it goes on.")
    elif not standing.counts.rows:
        heading(screen, "Nothing was pushed yet.")
    elif standing.changed:
        rows = count(standing.changed, "row")
        which = "that ticket" if standing.changed == 1 else "those tickets"
        heading(
            screen,
            f"Nothing is left to send. {rows} changed since: change {which} in the helpdesk.",
        )
    else:
        heading(screen, "Nothing is left to do.")
    screen.print()
    return DONE


def show_standing(screen: Console, standing: Standing) -> None:
    """Counts, reasons, doubts and what has been going on."""
    _show_older_copy(screen, standing)
    _show_counts(screen, standing)
    show_contradictions(screen, standing.contradictions, sum(standing.contradicted.values()))
    _show_reasons(screen, standing)
    _show_doubts(screen, standing)
    _show_open(screen, standing)
    _show_times(screen, standing)


def _show_older_copy(screen: Console, standing: Standing) -> None:
    from rich.text import Text

    if not standing.older_copy:
        return
    newer, known = standing.newer, standing.counts.rows
    words = "This is an older copy: it does not know all that was sent since it was made"
    if newer is not None:
        rows = (
            f"{count(newer.rows, 'row')}, not {known:,}" if newer.rows != known else "more events"
        )
        words += f" (this machine has seen {rows}, {_clock(newer.at)})"
    words += ". Use the newest copy; or a push looks up each row before it sends it."
    screen.print(Text(words, "bold yellow"))
    screen.print()


def _show_counts(screen: Console, standing: Standing) -> None:
    from rich.table import Table
    from rich.text import Text

    counts = standing.counts
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(min_width=15, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()

    def line(words: str, number: int, style: str, meaning: str) -> None:
        shown = style if number else "dim"
        told = Text(meaning if number else "", "dim")
        table.add_row("", Text(words, shown), Text(f"{number:,}", shown), told)

    line(_WORDS[State.ACCEPTED], counts.accepted, "green", _of_all(standing))
    if standing.changed:
        told = "in the helpdesk with earlier content; the source has other content since"
        line("changed since", standing.changed, "yellow", told)
    if standing.owner is not None:
        line("under way", standing.under_way, "bold", "being sent just now")
    mended = standing.counts.rejected - standing.later
    told = "refused by the service, not in the helpdesk"
    if standing.later:
        told += f"; {standing.later:,} go again by themselves" if mended else "; they go again"
    line(_WORDS[State.REJECTED], counts.rejected, "yellow", told)
    which = "it is" if standing.refused == 1 else "they are"
    refused = f"; {standing.refused:,} cannot be sent as {which}" if standing.refused else ""
    line(_WORDS[State.NOT_SENT], counts.not_sent, "cyan", f"not in the helpdesk{refused}")
    since = standing.doubts_since
    told = "may be in the helpdesk or not" + ("" if since is None else f"; since {_clock(since)}")
    line(_WORDS[State.UNKNOWN], standing.in_doubt, "red", told)
    if counts.ambiguous:
        line("ambiguous", counts.ambiguous, "red", "several tickets match: look at them")
    if counts.probable:
        line("probable", counts.probable, "red", "a ticket with the same content is there")
    if counts.replaced:
        line("replaced", counts.replaced, "dim", "mended, and counted as the rows they became")
    screen.print(table)
    if standing.unread is not None:
        screen.print()
        words = f"  {standing.unread} was not read to its end: there may be further rows in it"
        screen.print(Text(words, "yellow"))


def _of_all(standing: Standing) -> str:
    rows = standing.counts.rows
    if standing.unread is not None:
        return f"of the {count(rows, 'row')} that {'was' if rows == 1 else 'were'} read so far"
    return f"of {count(rows, 'row')}" if standing.counts.accepted < rows else "all of them"


def _show_reasons(screen: Console, standing: Standing) -> None:
    from rich.table import Table
    from rich.text import Text

    # Of each state the most frequent one, and then whatever is frequent.
    seen: set[State] = set()
    first = []
    for found in standing.reasons:
        if found[0] not in seen:
            seen.add(found[0])
            first.append(found)
    rest = [found for found in standing.reasons if found not in first]
    shown = [*first, *rest][:_REASONS_SHOWN]
    if not shown:
        return
    heading(screen, "Why")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(min_width=8, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    order = list(State)
    for state, words, rows in sorted(shown, key=lambda found: (order.index(found[0]), -found[2])):
        table.add_row("", Text(_WORDS[state], _STYLES[state]), f"{rows:,}", one_line(words, 150))
    left = sum(rows for _, _, rows in standing.reasons) - sum(rows for _, _, rows in shown)
    if left:
        table.add_row("", "", f"{left:,}", Text("for other reasons", "dim"))
    screen.print(table)


def _show_doubts(screen: Console, standing: Standing) -> None:
    from rich.table import Table
    from rich.text import Text

    if not standing.in_doubt or standing.owner is not None:
        return
    shown = standing.doubts
    more = f", the first {len(shown)} of them" if standing.in_doubt > len(shown) else ""
    heading(screen, f"In doubt{more}")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column(no_wrap=True)
    for doubt in shown:
        sent = Text(f"sent {_clock(doubt.first_intent_at)}", "dim")
        table.add_row("", one_line(name_of(doubt.key, doubt.line)), sent)
    screen.print(table)


def _show_open(screen: Console, standing: Standing) -> None:
    from rich.table import Table
    from rich.text import Text

    if not standing.open:
        return
    total = standing.counts.ambiguous + standing.counts.probable
    more = f", the first {len(standing.open)} of them" if total > len(standing.open) else ""
    heading(screen, f"For you to judge{more}")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for row in standing.open:
        tickets = ", ".join(map(one_line, row.ticket_ids)) or "no ticket is noted"
        word = Text(_WORDS[row.state], _STYLES[row.state])
        table.add_row("", one_line(name_of(row.key, row.line)), word, f"tickets {tickets}")
    screen.print(table)


def show_contradictions(screen: Console, found: Sequence[Contradiction], total: int) -> None:
    """What lookups have shown that the outcomes deny: all in number, and the first by name."""
    from rich.table import Table
    from rich.text import Text

    if not found:
        return
    shown = found[:_CONTRADICTIONS_SHOWN]
    more = f", the first {len(shown)} of {total:,}" if total > len(shown) else ""
    heading(screen, f"Contradictions: the helpdesk shows what an outcome denies{more}")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for one in shown:
        tickets = ", ".join(map(one_line, one.ticket_ids)) or "without a readable id"
        words = Text(one.words, "bold red")
        table.add_row("", one_line(name_of(one.key, one.line)), words, f"tickets {tickets}")
    screen.print(table)


def _show_times(screen: Console, standing: Standing) -> None:
    from rich.text import Text

    lines = []
    if (owner := standing.owner) is not None:
        who = f"process {owner.pid} on {one_line(owner.host, 40)}" if owner.pid else "a process"
        since = f" since {_clock(owner.since)}" if owner.since else ""
        lines.append(f"{who} has the journal{since}")
    elif (run := standing.last_run) is not None:
        ended = "was cut off" if run.ended is None else f"ended {_clock(run.ended)}"
        lines.append(f"the last run began {_clock(run.began)} and {ended}")
    if (look := standing.last_look) is not None:
        try:
            tickets = f"; {count(int(json.loads(look.evidence)['tickets']), 'ticket')} seen"
        except (ValueError, KeyError, TypeError):
            tickets = ""
        lines.append(f"the last look at the helpdesk was {_clock(look.at)}{tickets}")
    if standing.proved is not None:
        share, at = standing.proved
        lines.append(f"the last verification was {_clock(at)}; it proved {percent(share)}")
    if lines:
        screen.print()
        for text in lines:
            screen.print(Text(f"  {text}", "dim"))


def name_of(key: str | None, line: int | None) -> str:
    """A row's name for a person: its key, and else its line."""
    if key is not None:
        return key if line is None else f"{key} (line {line})"
    return "a row without a name" if line is None else f"line {line}"


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
