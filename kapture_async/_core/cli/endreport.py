"""The report at the end of a push, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import HelpdeskError
from ..outcome import Outcome
from ..push.report import Summary
from .console import clean, one_line
from .formatting import MEANINGS, STYLES, WORDS, count, duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_DONE = ("accepted", "replaced", "repeated")
NOTHING: Mapping[str, int] = MappingProxyType({})
_BAR = 28
_REASONS_SHOWN = 8
_EARLIER = {
    "accepted": "already there",
    "rejected": "rejected earlier",
    "not_sent": "could not be sent earlier",
    "unknown": "in doubt since an earlier run",
    "ambiguous": "ambiguous since an earlier look",
    "probable": "probable since an earlier look",
    "replaced": "mended, and pushed as other rows",
    "repeated": "the same row again",
}


def show_summary(
    screen: Console, summary: Summary, title: str, earlier: Mapping[str, int] = NOTHING
) -> None:
    """Counts, rate, latency and reasons.

    Args:
        screen: where.
        summary: of the rows that were tried.
        title: what was done.
        earlier: rows that were passed over, by the state that earlier runs left them in.
    """
    from rich.table import Table
    from rich.text import Text

    heading(screen, title)
    block, end = _bar_signs(screen)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(min_width=10, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    if screen.width >= 60:  # numbers matter more than bars
        table.add_column(no_wrap=True, overflow="crop")
    for name, word in WORDS.items():
        number = summary.counts[name]
        share = number / summary.rows if summary.rows else 0.0
        style = STYLES[name] if number else "dim"
        filled = round(share * _BAR)
        bar = block * filled if filled or not number else end
        percent = f"{share:.1%}" if share in (0, 1) or 0.001 <= share <= 0.999 else _close(share)
        cells = [Text(word, style), Text(f"{number:,}", style), Text(percent, "dim")]
        cells += [Text(bar, style)] if screen.width >= 60 else []
        table.add_row("", *cells)
    screen.print(table)
    screen.print()
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(width=1)
    facts.add_column(style="dim", min_width=10)
    facts.add_column()
    speed = f"{duration(summary.seconds)} for {count(summary.rows, 'row')}"
    if summary.sent:
        speed += f", {_rate(summary.rate)} sent per second"
    facts.add_row("", "time", speed)
    if summary.latency.count:
        parts = [f"p{n} {duration(summary.latency.percentile(n))}" for n in (50, 90, 99)]
        longest = f"longest {duration(summary.latency.longest)}"
        facts.add_row("", "latency", "   ".join([*parts, longest]))
    if summary.unchecked:
        facts.add_row("", "unchecked", _unchecked(summary))
    _add_earlier(facts, earlier)
    screen.print(facts)
    _show_reasons(screen, summary)


def _unchecked(summary: Summary) -> str:
    """Said once, and not for each row."""
    which = "all" if summary.unchecked == summary.counts["accepted"] else f"{summary.unchecked:,}"
    return (
        f"the answers to {which} of the accepted rows repeat nothing of the row by which they "
        "could be told from another row's"
    )


def heading(screen: Console, text: str) -> None:
    """A line that begins a part of a report."""
    from rich.text import Text

    screen.print()
    screen.print(Text(one_line(text), style="bold"))
    screen.print()


def show_failures(screen: Console, failures: Sequence[Outcome], total: int) -> None:
    """Name single rows that were not accepted: for a push whose report cannot. Doubts first."""
    from rich.table import Table
    from rich.text import Text

    if not failures:
        return
    more = f" ({len(failures):,} of {total:,})" if total > len(failures) else ""
    heading(screen, f"Not accepted, by key{more}")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for outcome in sorted(failures, key=lambda failure: failure.name != "unknown"):
        error: HelpdeskError = outcome.error  # type: ignore[attr-defined]
        key = outcome.key if outcome.key is not None else str(outcome.index)
        word = Text(WORDS[outcome.name], STYLES[outcome.name])
        table.add_row("", one_line(key), word, one_line(error.message))
    screen.print(table)


def show_meanings(
    screen: Console, summary: Summary, meanings: Mapping[str, str] = MEANINGS
) -> None:
    """What the outcomes that came mean, and what is safe to do next; nothing if all is well."""
    from rich.table import Table
    from rich.text import Text

    came = [name for name in WORDS if summary.counts[name] and name != "accepted"]
    if not came:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(min_width=10)
    table.add_column()
    for name in came:
        table.add_row("", Text(WORDS[name], STYLES[name]), Text(meanings[name], "dim"))
    heading(screen, "Which means")
    screen.print(table)


def show_commands(screen: Console, title: str, commands: Sequence[tuple[str, str]]) -> None:
    """Commands to go on with, each below a few words on it, in one piece for copying."""
    from rich.text import Text

    heading(screen, title)
    for what, command in commands:
        screen.print(Text(f"  {what}", style="dim"))
        screen.print(Text(f"  {clean(command)}"), soft_wrap=True)


def show_nothing_new(screen: Console, title: str, earlier: Mapping[str, int]) -> None:
    """The end of a push that passed over every row."""
    from rich.table import Table

    heading(screen, f"{title}: nothing new in {count(sum(earlier.values()), 'row')}")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(width=1)
    facts.add_column(style="dim", min_width=10)
    facts.add_column()
    _add_earlier(facts, earlier)
    screen.print(facts)


def _add_earlier(facts: Table, earlier: Mapping[str, int]) -> None:
    from rich.text import Text

    name = "earlier"
    for state, words in _EARLIER.items():
        if number := earlier.get(state, 0):
            style = "" if state in _DONE else STYLES.get(state, "red")
            facts.add_row("", name, Text(f"{words}: {number:,}", style))
            name = ""


def _show_reasons(screen: Console, summary: Summary) -> None:
    from rich.table import Table
    from rich.text import Text

    if not summary.reasons:
        return
    heading(screen, "Why")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=1)
    table.add_column(min_width=10)
    table.add_column(justify="right")
    table.add_column(ratio=1)
    order = list(WORDS)
    ranked = sorted(
        summary.reasons.items(), key=lambda entry: (order.index(entry[0][0]), -entry[1])
    )
    shown = sorted(ranked, key=lambda entry: -entry[1])[:_REASONS_SHOWN]
    before = ""
    for (name, reason), number in (entry for entry in ranked if entry in shown):
        word = Text("" if name == before else WORDS[name], STYLES[name])
        table.add_row("", word, f"{number:,}", one_line(reason))
        before = name
    left = sum(number for _, number in ranked) - sum(number for _, number in shown)
    if left:
        table.add_row("", "", f"{left:,}", Text("for other reasons", "dim"))
    screen.print(table)


def _bar_signs(screen: Console) -> tuple[str, str]:
    try:
        "█▏".encode(screen.encoding)
    except UnicodeEncodeError:
        return "#", "|"
    return "█", "▏"


def _close(share: float) -> str:
    return "<0.1%" if share < 0.5 else ">99.9%"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
