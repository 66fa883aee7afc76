"""The end of a push: counts and reasons, how everything stands, and what to type next."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from ..errors import (
    AuthenticationError,
    ConfirmationNeededError,
    ConnectError,
    HelpdeskError,
    JournalError,
    PushStoppedError,
    RejectedError,
)
from ..outcome import Outcome
from ..push.report import Summary
from ..push.sources.rows import FileRows
from .console import (
    MEANINGS,
    STYLES,
    WORDS,
    console,
    count,
    duration,
    heading,
    json_line,
    labelled,
    one_line,
    say,
    show_commands,
    table,
    warn,
)
from .exit_codes import worst_of
from .journal_status import JournalStatus, counts_json, read_status
from .next_steps import Ended, next_steps, show_next, steps_to_another_address
from .options import Target
from .push_options import PushOptions
from .push_run import PushRun
from .service import Service
from .source_file import name_of_file, warn_of_keys, warn_of_unused
from .verify import verify_after_push

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


def show_meanings(screen: Console, summary: Summary) -> None:
    """What the outcomes mean, and what is safe to do next; nothing if all is well."""
    from rich.text import Text

    came = [name for name in WORDS if summary.counts[name] and name != "accepted"]
    if came:
        heading(screen, "What this means")
        rows = [(Text(WORDS[n], STYLES[n]), Text(MEANINGS[n], "dim")) for n in came]
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


# --- a whole push ----------------------------------------------------------------------------


def end_json(pushing: PushRun, options: PushOptions) -> dict[str, Any]:
    """The numbers of a push, for programs.

    ``rows`` and the outcomes are of this run; ``earlier`` counts the rows that were skipped, by
    the state that earlier runs left them in; ``journal`` is how all of them stand. ``stopped`` is
    why the push ended early, or null.
    """
    details = pushing.summary.as_json()
    details["stopped"] = why_it_stopped(pushing)
    status = _status(options)
    if status is None:
        return details
    journal = {**counts_json(status.counts), "path": status.path}
    return {**details, "earlier": dict(pushing.earlier), "journal": journal}


def end_of(pushing: PushRun, options: PushOptions, target: Target, service: Service) -> int:
    """Verify the journal, if that was asked for, and print the numbers for programs; returns the
    exit code."""
    code, verification = pushing.exit_code, None
    path = options.journal_path
    if options.verify and path is not None and not pushing.interrupted:
        checked, verification = verify_after_push(path, target, service, as_json=options.as_json)
        code = worst_of((code, checked))
    if options.as_json:
        details = end_json(pushing, options)
        if options.verify:
            details["verification"] = verification
        print(json_line(details))
    return code


def show_end(
    pushing: PushRun,
    rows: FileRows | None,
    options: PushOptions,
    target: Target,
    service: Service,
) -> None:
    """Show how it went, and what to type next.

    Args:
        pushing: the push.
        rows: of the file; ``None`` if only the journal's rows were pushed.
        options, target, service: of the push.
    """
    summary = pushing.summary
    status = _status(options)
    unnamed = pushing.report is None or pushing.report_error is not None

    screen = console(stderr=options.as_json)
    title = f"Pushed {'the rows of the journal' if rows is None else name_of_file(options)}"
    if summary.rows or not pushing.earlier:
        show_summary(screen, summary, title, pushing.earlier)
    else:
        show_nothing_new(screen, title, pushing.earlier)
    if status is None:  # otherwise the one command to type next says it
        show_meanings(screen, summary)
    if unnamed:
        failed = summary.rows - summary.counts["accepted"]
        # The journal names the others.
        show_failures(screen, pushing.failures, failed if status is None else pushing.bad)
    print(file=sys.stderr)
    say_how_it_ended(pushing, rows, options, target)
    if status is not None:
        say(f"journal: {status.path}: {in_words(status)}", stderr=True)
        if rows is not None and _went_to_a_wrong_address(pushing, status):
            show_commands(
                console(stderr=True), steps_to_another_address(status, service, options, target)
            )
            return
        steps = next_steps(status, service, ended(pushing, rows, options, target))
        if target.headers and steps:
            warn("--header values may be secret and are not shown below")
        more = f"{service.program} status {shlex.quote(status.path)} --verbose"
        show_next(console(stderr=True), steps, more)
    else:
        show_next(console(stderr=True), _steps_without_journal(pushing, service))


def why_it_stopped(pushing: PushRun) -> str | None:
    if pushing.interrupted:
        return "interrupted"
    error = pushing.stopped or pushing.unreadable or pushing.report_error
    return None if error is None else one_line(getattr(error, "message", str(error)), 400)


@contextlib.contextmanager
def failure_as_json(options: PushOptions) -> Iterator[None]:
    """If programs read standard output, a push that could not start says why there, too."""
    try:
        yield
    except Exception as error:
        if options.as_json and not isinstance(error, click.ClickException):
            words = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            print(json_line({"stopped": one_line(words, 400)}))
        raise


def ended(
    pushing: PushRun,
    rows: FileRows | None,
    options: PushOptions,
    target: Target,
    listed: str = "",
) -> Ended:
    """What the journal does not know of how the push ended.

    Args:
        pushing: the push.
        rows: of the file, if there is one.
        options, target: of the push.
        listed: the file in which the doubts were listed, if they were.
    """
    error, first, more = pushing.stopped, "", list[str]()
    again = rows is not None and (options.from_pipe or options.shard is not None)
    if isinstance(error, ConfirmationNeededError):
        twice = "--new-journal" in error.next_step
        first = "only to send them twice, " if twice else "only if they are new tickets, "
        more = ["--new-journal" if twice else "--new-keys"]
    elif isinstance(error, PushStoppedError) and not error.temporary:
        cause = error.__cause__
        if isinstance(cause, RejectedError) and not isinstance(cause, AuthenticationError):
            first, more = "once the cause is fixed, ", ["--rejected-too"]
    if isinstance(error, PushStoppedError) and isinstance(error.__cause__, ConnectError):
        first = "once the server can be reached, "
    elif isinstance(error, JournalError):  # a full disk, for example
        first = "once that is fixed, "
    return Ended(
        push=[*options.as_arguments(), *target.as_arguments()] if again else None,
        unread=pushing.unlisted or error is not None,
        first=first,
        options=more,
        listed=listed,
        journal=getattr(error, "journal", None),
    )


def _went_to_a_wrong_address(pushing: PushRun, status: JournalStatus) -> bool:
    """Whether nothing of the journal is in the helpdesk, since the address was wrong."""
    counts, stopped = status.counts, pushing.stopped
    wrong = isinstance(stopped, PushStoppedError) and stopped.wrong_address
    return wrong and not (counts.accepted or counts.ambiguous or counts.probable)


def _status(options: PushOptions) -> JournalStatus | None:
    if options.journal_path is None:
        return None
    try:
        return read_status(options.journal_path)
    except JournalError as error:
        warn(error.message)
        return None


def in_words(status: JournalStatus) -> str:
    """How many rows are in which state."""
    counts = status.counts
    parts = [f"{counts.accepted:,} of {count(counts.rows, 'row')} in the helpdesk"]
    for number, words in (
        (counts.rejected, "rejected"),
        (counts.not_sent, "not sent"),
        (status.changed, "changed since"),
        (status.in_doubt, "in doubt"),
        (counts.ambiguous, "ambiguous"),
        (counts.probable, "probable"),
    ):
        if number:
            parts.append(f"{number:,} {words}")
    return ", ".join(parts)


def say_how_it_ended(
    pushing: PushRun, rows: FileRows | None, options: PushOptions, target: Target
) -> None:
    """Say what else happened, in lines on standard error."""
    if rows is not None:
        if options.journal_path is None:
            warn_of_keys(rows)
        warn_of_unused(rows)
    if repeated := pushing.earlier["repeated"]:
        words = f"{count(repeated, 'row')} repeated with the same key and content"
        say(f"{words}: sent once", stderr=True)
    if pushing.cut_off:
        warn("interrupted twice: requests in flight were cut off")
    elif pushing.interrupted:
        warn("interrupted: requests in flight have finished")
    for event in pushing.doubted:
        which = "an accepted row" if event.index is None else f"accepted row {event.index}"
        which += "" if event.key is None else f" (key {event.key!r})"
        warn(one_line(f"{which} is in doubt after all: {event.reason}", 400))
    for differing in pushing.differing:
        warn(
            f"{differing.rows} answers repeat a {differing.field} that fits no row (the service "
            "may rewrite it); it cannot show that they are right"
        )
    if pushing.stopped is not None:
        lines = [("error", one_line(pushing.stopped.message, 400), "bold red")]
        if isinstance(pushing.stopped.__cause__, AuthenticationError):
            lines.append(("refused", target.credentials_from, "bold red"))
        if isinstance(pushing.stopped, JournalError) or pushing.stopped.has_own_next_step:
            lines.append(("next", pushing.stopped.next_step, "bold"))
        labelled(*lines)
    if pushing.unreadable is not None:
        what = one_line(str(getattr(pushing.unreadable, "message", pushing.unreadable)))
        labelled(("error", f"the rest of the file could not be read: {what}", "bold red"))
    if pushing.unlisted:
        warn("the input was not read to its end; the rest is not counted")
    if pushing.bad and options.journal_path is not None:
        which = "it is" if pushing.bad == 1 else "they are"
        listed = "`plan` with the same options lists all such rows"
        warn(f"{count(pushing.bad, 'row')} cannot be sent as {which}; {listed}")
    if pushing.report_error is not None:
        words = f"the report is incomplete: {pushing.report_error.strerror}"
        labelled(("error", words, "bold red"))
    elif pushing.report is not None:
        say(f"report: {pushing.report.path}", stderr=True)


def _steps_without_journal(pushing: PushRun, service: Service) -> list[tuple[str, str]]:
    """What is in doubt comes first; to resume takes a journal."""
    doubts = pushing.summary.counts["unknown"]
    reported = pushing.report is not None and pushing.report_error is None
    where = f"marked unknown in {pushing.report.path}" if reported and pushing.report else "above"
    steps = []
    if doubts:
        steps.append((f"first look up the {count(doubts, 'row')} {where}:", service.look_up))
    return steps
