"""The report at the end of a push, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import HelpdeskError
from ..outcome import Outcome
from ..push.report import Summary
from .console import MEANINGS, STYLES, WORDS, count, duration, heading, one_line, table

if TYPE_CHECKING:
    from rich.console import Console

_DONE = ("accepted", "replaced", "repeated")
NOTHING: Mapping[str, int] = MappingProxyType({})
_BAR = 28
_REASONS_SHOWN = 8
_EARLIER = {
    "accepted": "already in the helpdesk",
    "rejected": "rejected earlier",
    "not_sent": "could not be sent earlier",
    "unknown": "still unconfirmed from an earlier run",
    "ambiguous": "ambiguous since an earlier lookup",
    "probable": "probable since an earlier lookup",
    "replaced": "fixed, and pushed as other rows",
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
        earlier: rows that were skipped, by the state that earlier runs left them in.
    """
    from rich.text import Text

    heading(screen, title)
    bars = screen.width >= 60  # numbers matter more than bars
    block, end = _bar_signs(screen)
    rows: list[tuple[Any, ...]] = []
    for name, word in WORDS.items():
        number = summary.counts[name]
        share = number / summary.rows if summary.rows else 0.0
        style = STYLES[name] if number else "dim"
        filled = round(share * _BAR)
        bar = block * filled if filled or not number else end
        percent = f"{share:.1%}" if share in (0, 1) or 0.001 <= share <= 0.999 else _close(share)
        row = (Text(word, style), Text(f"{number:,}", style), Text(percent, "dim"))
        rows.append((*row, Text(bar, style)) if bars else row)
    screen.print(table("word number number bar" if bars else "word number number", rows))
    screen.print()
    speed = f"{duration(summary.seconds)} for {count(summary.rows, 'row')}"
    if summary.sent:
        speed += f", {_rate(summary.rate)} sent per second"
    facts = [("time", speed)]
    if summary.latency.count:
        parts = [f"p{n} {duration(summary.latency.percentile(n))}" for n in (50, 90, 99)]
        facts.append(("latency", "   ".join([*parts, f"max {duration(summary.latency.longest)}"])))
    if summary.unchecked:
        facts.append(("unchecked", _unchecked(summary)))
    dim = [(Text(name, "dim"), text) for name, text in facts]
    screen.print(table("word text", [*dim, *_earlier(earlier)]))
    _show_reasons(screen, summary)


def _unchecked(summary: Summary) -> str:
    """Said once, and not for each row."""
    which = "all" if summary.unchecked == summary.counts["accepted"] else f"{summary.unchecked:,}"
    return (
        f"the answers to {which} of the accepted rows repeat nothing that would tell one row "
        "from another"
    )


def show_failures(screen: Console, failures: Sequence[Outcome], total: int) -> None:
    """Name single rows that were not accepted: for a push without a report. Doubts first."""
    from rich.text import Text

    if not failures:
        return
    more = f" ({len(failures):,} of {total:,})" if total > len(failures) else ""
    heading(screen, f"Not accepted, by key{more}")
    rows = []
    for outcome in sorted(failures, key=lambda failure: failure.name != "unknown"):
        error: HelpdeskError = outcome.error  # type: ignore[attr-defined]
        key = outcome.key if outcome.key is not None else str(outcome.index)
        word = Text(WORDS[outcome.name], STYLES[outcome.name])
        rows.append((one_line(key, 24), word, one_line(error.message)))
    screen.print(table("name text text", rows))


def show_meanings(
    screen: Console, summary: Summary, meanings: Mapping[str, str] = MEANINGS
) -> None:
    """What the outcomes mean, and what is safe to do next; nothing if all is well."""
    from rich.text import Text

    came = [name for name in WORDS if summary.counts[name] and name != "accepted"]
    if came:
        heading(screen, "What this means")
        rows = [(Text(WORDS[n], STYLES[n]), Text(meanings[n], "dim")) for n in came]
        screen.print(table("word text", rows))


def show_nothing_new(screen: Console, title: str, earlier: Mapping[str, int]) -> None:
    """The end of a push that skipped every row."""
    heading(screen, f"{title}: nothing new in {count(sum(earlier.values()), 'row')}")
    screen.print(table("word text", _earlier(earlier)))


def _earlier(earlier: Mapping[str, int]) -> Iterator[tuple[Any, ...]]:
    from rich.text import Text

    name = "earlier"
    for state, words in _EARLIER.items():
        if number := earlier.get(state, 0):
            style = "" if state in _DONE else STYLES.get(state, "red")
            yield Text(name, "dim"), Text(f"{words}: {number:,}", style)
            name = ""


def _show_reasons(screen: Console, summary: Summary) -> None:
    from rich.text import Text

    if not summary.reasons:
        return
    heading(screen, "Why")
    order = list(WORDS)
    ranked = sorted(
        summary.reasons.items(), key=lambda entry: (order.index(entry[0][0]), -entry[1])
    )
    shown = sorted(ranked, key=lambda entry: -entry[1])[:_REASONS_SHOWN]
    rows: list[tuple[Any, ...]] = []
    before = ""
    for (name, reason), number in (entry for entry in ranked if entry in shown):
        word = Text("" if name == before else WORDS[name], STYLES[name])
        rows.append((word, f"{number:,}", one_line(reason)))
        before = name
    left = sum(number for _, number in ranked) - sum(number for _, number in shown)
    if left:
        rows.append(("", f"{left:,}", Text("for other reasons", "dim")))
    screen.print(table("word number text", rows))


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
