"""The end of a push: what became of the rows, and what to type next."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from ..errors import (
    AuthenticationError,
    ConfirmationNeededError,
    JournalError,
    PushStoppedError,
)
from ..push.sources import FileRows
from .console import (
    JOURNALED,
    MEANINGS,
    console,
    count,
    json_line,
    labelled,
    one_line,
    say,
    show_commands,
    warn,
)
from .endreport import show_failures, show_meanings, show_nothing_new, show_summary
from .exit_codes import worst_of
from .journal_status import Standing, counts_json, standing_of
from .next_steps import ways_on, ways_to_another_address
from .options import Target
from .pushing import PushRun
from .pushoptions import PushOptions
from .rowsfile import name_of_file, warn_of_keys, warn_of_unused
from .service import Service
from .verify import verify_after_push


def end_json(pushing: PushRun, options: PushOptions) -> dict[str, Any]:
    """The numbers of a push, for programs.

    ``rows`` and the outcomes are of this run; ``earlier`` counts the rows that were passed over,
    by the state that earlier runs left them in; ``journal`` is how all of them stand. ``stopped``
    is why the push ended before its rows did, or null.
    """
    told = pushing.summary.as_json()
    told["stopped"] = _why_it_stopped(pushing)
    standing = _standing(options)
    if standing is None:
        return told
    journal = {**counts_json(standing.counts), "path": standing.path}
    return {**told, "earlier": dict(pushing.earlier), "journal": journal}


def end_of(pushing: PushRun, options: PushOptions, target: Target, service: Service) -> int:
    """Verify the journal, if that was asked for, and give programs their numbers; returns the
    exit code."""
    code, verification = pushing.exit_code, None
    path = options.journal_path
    if options.verify and path is not None and not pushing.interrupted:
        checked, verification = verify_after_push(path, target, service, as_json=options.as_json)
        code = worst_of((code, checked))
    if options.as_json:
        told = end_json(pushing, options)
        if options.verify:
            told["verification"] = verification
        print(json_line(told))
    return code


def show_end(
    pushing: PushRun,
    rows: FileRows | None,
    options: PushOptions,
    target: Target,
    service: Service,
) -> None:
    """Tell the person at the terminal how it went, and what to type next.

    Args:
        pushing: the push.
        rows: of the file; ``None`` if only what the journal holds was pushed.
        options, target, service: of the push.
    """
    summary = pushing.summary
    standing = _standing(options)
    unnamed = pushing.report is None or pushing.report_error is not None

    screen = console(stderr=options.as_json)
    title = f"Pushed {'what the journal holds' if rows is None else name_of_file(options)}"
    if summary.rows or not pushing.earlier:
        show_summary(screen, summary, title, pushing.earlier)
    else:
        show_nothing_new(screen, title, pushing.earlier)
    show_meanings(screen, summary, MEANINGS if standing is None else JOURNALED)
    if unnamed:
        failed = summary.rows - summary.counts["accepted"]
        # The journal names the others.
        show_failures(screen, pushing.failures, failed if standing is None else pushing.bad)
    print(file=sys.stderr)
    _say_how_it_ended(pushing, rows, options)
    if standing is not None:
        say(f"journal: {standing.path}: {in_words(standing)}", stderr=True)
        if rows is not None and _went_to_a_wrong_address(pushing, standing):
            ways = ways_to_another_address(standing, service, options, target)
        else:
            ways = ways_on(
                standing,
                service,
                push=None if rows is None else _to_go_ahead(options, pushing),
                target=target.as_arguments(),
                unread=pushing.unlisted or pushing.stopped is not None,
                first=_first_of_all(pushing),
                refused_too=isinstance(pushing.stopped, PushStoppedError),
            )
        if target.headers and ways:
            warn("the values of --header are not repeated below, since they may be secret")
    else:
        ways = _without_a_journal(pushing, service)
    if ways:
        show_commands(console(stderr=True), ways)


def _why_it_stopped(pushing: PushRun) -> str | None:
    if pushing.interrupted:
        return "interrupted"
    error = pushing.stopped or pushing.unreadable or pushing.report_error
    return None if error is None else one_line(getattr(error, "message", str(error)), 400)


@contextlib.contextmanager
def failure_as_json(options: PushOptions) -> Iterator[None]:
    """A push that could not even begin says why on standard output, too, if programs read it."""
    try:
        yield
    except Exception as error:
        if options.as_json and not isinstance(error, click.ClickException):
            words = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            print(json_line({"stopped": one_line(words, 400)}))
        raise


def _first_of_all(pushing: PushRun) -> str:
    """What has to be done before the next command is of use."""
    cause = None if pushing.stopped is None else pushing.stopped.__cause__
    if isinstance(cause, AuthenticationError):
        return "renew the token, then "
    if isinstance(pushing.stopped, ConfirmationNeededError):
        return "if they are to be sent all the same, "
    return ""


def _to_go_ahead(options: PushOptions, pushing: PushRun) -> list[str]:
    """The arguments of the push; of one that stopped to be confirmed, with the option for that."""
    arguments, error = options.as_arguments(), pushing.stopped
    if not isinstance(error, ConfirmationNeededError):
        return arguments
    option = "--new-journal" if "--new-journal" in error.next_step else "--new-keys"
    return [*arguments, option]


def _went_to_a_wrong_address(pushing: PushRun, standing: Standing) -> bool:
    """And so did all that the journal has: nothing of it is in the helpdesk."""
    counts, stopped = standing.counts, pushing.stopped
    wrong = isinstance(stopped, PushStoppedError) and stopped.wrong_address
    return wrong and not (counts.accepted or counts.ambiguous or counts.probable)


def _standing(options: PushOptions) -> Standing | None:
    if options.journal_path is None:
        return None
    try:
        return standing_of(options.journal_path)
    except JournalError as error:
        warn(error.message)
        return None


def in_words(standing: Standing) -> str:
    """How many rows are in which state."""
    counts = standing.counts
    parts = [f"{counts.accepted:,} of {count(counts.rows, 'row')} in the helpdesk"]
    for number, words in (
        (counts.rejected, "rejected"),
        (counts.not_sent, "not sent"),
        (standing.changed, "changed since"),
        (standing.in_doubt, "in doubt"),
        (counts.ambiguous, "ambiguous"),
        (counts.probable, "probable"),
    ):
        if number:
            parts.append(f"{number:,} {words}")
    return ", ".join(parts)


def _say_how_it_ended(pushing: PushRun, rows: FileRows | None, options: PushOptions) -> None:
    if rows is not None:
        if options.journal_path is None:
            warn_of_keys(rows)
        warn_of_unused(rows)
    if repeated := pushing.earlier["repeated"]:
        words = f"{count(repeated, 'row')} came twice, with the same key and the same content"
        say(f"{words}: one ticket each", stderr=True)
    if pushing.cut_off:
        warn("interrupted twice: what was in flight was cut off")
    elif pushing.interrupted:
        warn("interrupted: what was in flight has finished")
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
        if isinstance(pushing.stopped, JournalError) or pushing.stopped.has_own_next_step:
            lines.append(("next", pushing.stopped.next_step, "bold"))
        labelled(*lines)
    if pushing.unreadable is not None:
        what = one_line(str(getattr(pushing.unreadable, "message", pushing.unreadable)))
        labelled(("error", f"the rest could not be read: {what}", "bold red"))
    if pushing.unlisted:
        warn("the input was not read to its end; what follows was not sent and is in no count")
    if pushing.bad and options.journal_path is not None:
        which = "it is" if pushing.bad == 1 else "they are"
        listed = "`plan`, with the same options, lists all such rows"
        warn(f"{count(pushing.bad, 'row')} cannot be sent as {which}; {listed}")
    if pushing.report_error is not None:
        words = f"the report is not complete: {pushing.report_error.strerror}"
        labelled(("error", words, "bold red"))
    elif pushing.report is not None:
        say(f"report: {pushing.report.path}", stderr=True)


def _without_a_journal(pushing: PushRun, service: Service) -> list[tuple[str, str]]:
    """What to type next where no journal knows the rows."""
    counts = pushing.summary.counts
    reported = pushing.report is not None and pushing.report_error is None
    where = f"marked unknown in {pushing.report.path}" if reported and pushing.report else "above"
    if not counts["unknown"]:
        return []
    what = f"look up the {count(counts['unknown'], 'row')} {where}, before anything else:"
    return [(what, service.look_up)]
