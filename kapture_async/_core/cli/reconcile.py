"""The ``reconcile`` command: look up what is in doubt, and say what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, fields

from ..errors import (
    ConfigurationError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    RejectedError,
)
from ..journal import marks
from ..journal.findings import Contradicts
from ..journal.records import Job
from ..push.reconcile import Looked, Reconciliation, Resolved, Settling
from .console import clean, console, json_line, one_line, warn
from .endreport import heading, show_commands
from .exit_codes import CONTRADICTION, DONE, UNKNOWN
from .formatting import clock, count
from .journal_status import Standing, contradiction_json, standing_of
from .next_steps import ways_on
from .options import Target, target_options
from .running import run
from .saved_options import Note
from .service import Service
from .status import name_of, show_standing

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

_SHOWN = 10
_UNVOUCHED = (
    "that nothing was found proves little. Reconcile again once there are newer tickets; or with "
    "--probe, which makes one trial ticket to look for; or look yourself and judge them; or, if a "
    "pull surely lists every ticket, reconcile with --trust-empty."
)
_TRIAL = "A trial ticket was made, {}: please close it."
_REASONS = 5
_TRIES = 3
_BETWEEN_TRIES = 2.0
TIMEOUT = 60.0


def reconcile_journal(
    path: str,
    target: Target,
    service: Service,
    *,
    settle: float | None,
    timeout: float | None,
    trust_empty: bool,
    probe: bool = False,
    as_json: bool,
) -> int:
    """Look up the doubts of a journal; returns the exit code.

    Args:
        path: of the journal.
        target: where to look; what it leaves out is as the push had it.
        service: how.
        settle: seconds to give the service; ``None`` for the default.
        timeout: seconds for a request; ``None`` for what the push had.
        trust_empty: take for absent what is not found, though nothing of the journal is.
        probe: make a trial ticket where nothing else vouches for a row.
        as_json: end with one JSON object on stdout.

    Raises:
        InvalidInputError: a trial ticket proves nothing of what the journal is of.
    """
    before = standing_of(path)
    if probe and service.resource != "tickets":
        raise InvalidInputError(
            f"a trial ticket proves nothing of {service.resource}", next_step="Leave out --probe."
        )
    target = target_of(before, target)
    if timeout is None:
        timeout = before.note.timeout if before.note is not None else None
    if not before.in_doubt:  # nobody has to be asked
        found = Reconciliation()
    else:
        settings = target.settings()
        place = service.place_in(before.job.place)
        seconds = timeout or TIMEOUT
        waiting = _Waiting()

        async def main() -> Reconciliation:
            connection = service.connect(settings, 1, seconds)
            async with connection as (client, _):
                resource = getattr(client, service.resource)
                return await patiently(
                    lambda: resource.reconcile(
                        path,
                        reference=place,
                        settle=settle,
                        trust_empty=trust_empty,
                        on_event=waiting.on_event,
                        **({"probe": True} if probe else {}),
                    ),
                    waiting.warn,
                )

        try:
            with waiting:
                found = run(main)
        except HelpdeskError as error:
            earlier = Reconciliation.before(error)
            if earlier is not None:
                _show(console(stderr=True), earlier, before, standing_of(path))
            raise
    after = standing_of(path)
    left = after.counts.unknown + after.counts.ambiguous + after.counts.probable
    if as_json:
        present = present_between(before, after)
        told = {**after.as_json(), "present": present, "absent": len(found.absent)}
        if found.merged:
            told["merged"] = sorted(found.merged)
        if found.trial is not None:
            told["trial_ticket"] = found.trial
        told["open_because"] = [
            {"reason": reason, "rows": rows} for reason, rows in found.reasons.items()
        ]
        told["candidates"] = [
            {"key": one.key, "line": one.line, "tickets": list(one.ticket_ids)}
            for one in found.probable
        ]
        seen = [contradiction_json(one) for one in found.contradictions]
        print(
            json_line({**told, "still_open": len(found.open), "contradictions_seen": seen}),
            flush=True,
        )
    screen = console(stderr=as_json)
    _show(screen, found, before, after)
    ways = ways_on(after, service, target=target.as_arguments())
    if ways:
        show_commands(screen, "To go on", ways)
    screen.print()
    if found.contradictions:
        return CONTRADICTION
    return UNKNOWN if left else DONE


async def patiently(
    look: Callable[[], Awaitable[Reconciliation]], tell: Callable[[str], None] = warn
) -> Reconciliation:
    """Ask again if the helpdesk could not be asked: nothing is sent, so that is safe."""
    tries = 0
    earlier: Reconciliation | None = None
    while True:
        tries += 1
        try:
            found = await look()
            if earlier is not None:
                found.found_before(earlier)
            return found
        except HelpdeskError as error:
            earlier = error_story(error, earlier)
            bound = (ConfigurationError, InvalidInputError, JournalError, RejectedError)
            if tries == _TRIES or isinstance(error, bound):
                raise
            tell(f"a look failed and is tried again: {error.message}")
            await asyncio.sleep(_BETWEEN_TRIES)


def error_story(error: HelpdeskError, earlier: Reconciliation | None) -> Reconciliation | None:
    """What all tries so far have found, also told by the last one's error."""
    found = Reconciliation.before(error)
    if found is None:
        if earlier is not None:
            earlier.keep_with(error)
        return earlier
    if earlier is not None:
        found.found_before(earlier)
    return found


def target_of(standing: Standing, given: Target) -> Target:
    """Where the push went, unless the command line says otherwise.

    Raises:
        ConfigurationError: see :func:`may_take_address`.
    """
    noted = _noted(type(given), standing.note)
    changes: dict[str, Any] = {}
    who = {"token", "token_file", "username"}
    kept = who if any(getattr(given, name) for name in who) else set()
    takes = may_take_address(standing.job, given)
    if not takes:
        kept = kept.union(given.where)
    for attribute in fields(type(given)):
        mine, theirs = getattr(given, attribute.name), getattr(noted, attribute.name)
        if mine == attribute.default and theirs != mine and attribute.name not in kept:
            changes[attribute.name] = theirs
    target = evolve(given, **changes)
    if takes and not any(getattr(target, name) for name in target.where):
        target = evolve(target, base_url=standing.job.target)
    if standing.note is not None and standing.note.headers and not given.headers:
        names = ", ".join(standing.note.headers)
        warn(f"the push had extra headers ({names}); if they are needed, give --header again")
    return target


def may_take_address(job: Job, given: Target) -> bool:
    """Whether the address in a journal may be used: if the options name none, and this user has
    pushed to it with this journal from this machine. A token must not go where somebody else's
    file says.

    Raises:
        ConfigurationError: nothing but the journal says where to.
    """
    if any(getattr(given, name) for name in given.where):
        return False
    if marks.read(job) is not None:
        return True
    if any(given.variable(name.upper()) for name in given.where):
        return False
    raise ConfigurationError(
        f"the journal was pushed to {job.target}, but not from here",
        next_step=f"If that is the right address for your token, add --base-url {job.target}.",
    )


def _noted(kind: type[Target], note: Note | None) -> Target:
    import click

    @click.command()
    @target_options(kind)
    def read(target: Target) -> Target:
        return target

    arguments = [] if note is None else list(note.target)
    noted: Target = read.main(args=arguments, prog_name="noted", standalone_mode=False)
    return noted


class _Waiting:
    """The countdown on a terminal; a line elsewhere."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._until = 0.0
        self._words = "looking"
        self._live: Live | None = None

    def on_event(self, event: Settling | Looked) -> None:
        """Take notice of how far it is."""
        if isinstance(event, Settling):
            self._until = time.monotonic() + event.seconds
            at = datetime.now() + timedelta(seconds=event.seconds)
            rows = count(event.doubts, "row")
            self._words = f"the service has until {at:%H:%M:%S} to finish {rows}"
            if self._live is None:
                wait = clock(event.seconds)
                self._say(f"waiting {wait}: {self._words}; Ctrl-C leaves all as it is")
        else:
            self._until = 0.0
            seen = count(event.tickets, "ticket")
            words = f"looked at {seen}: found {event.found:,}, not found {event.missing:,}"
            self._say(words)
            self._words = "looking again in a moment, for what was not found"

    def warn(self, text: str) -> None:
        """A warning; above the countdown, if there is one."""
        if self._live is None:
            warn(text)
        else:
            from rich.text import Text

            self._console.print(Text.assemble(("warning: ", "yellow"), one_line(text)))

    def _say(self, words: str) -> None:
        self._console.print(words, soft_wrap=not self._console.is_terminal)

    def __rich__(self) -> Any:
        from rich.text import Text

        left = self._until - time.monotonic()
        if left <= 0:
            return Text(f"{self._words}...", "dim")
        tail = "; Ctrl-C leaves all as it is"
        return Text.assemble((clock(left), "bold"), f"  {self._words}", (tail, "dim"))

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _show(screen: Console, found: Reconciliation, before: Standing, after: Standing) -> None:
    from rich.table import Table
    from rich.text import Text

    if not before.in_doubt:
        heading(screen, f"{before.path}: there was nothing to look up")
    else:
        present = present_between(before, after)
        heading(screen, f"What became of the {count(before.in_doubt, 'row')} in doubt")
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=1)
        table.add_column(min_width=15)
        table.add_column(justify="right")
        table.add_column()
        kinds = (
            ("present", present, "green", "they are in the helpdesk, each once"),
            (
                "merged",
                sum(map(len, found.merged.values())),
                "yellow",
                "of these, some are one ticket, which carries the references of all",
            ),
            ("absent", len(found.absent), "cyan", "they are not; the next push sends them"),
            (
                "ambiguous",
                len(found.ambiguous),
                "red",
                "several tickets have the reference, or one without an id",
            ),
            ("probable", len(found.probable), "red", "a ticket without a reference may be it"),
            ("still open", len(found.open), "red", "not found, which proves nothing here"),
        )
        for words, rows, style, told in kinds:
            if rows or words in ("present", "absent"):
                shown = style if rows else "dim"
                meaning = Text(told if rows else "", "dim")
                table.add_row("", Text(words, shown), Text(f"{rows:,}", shown), meaning)
        screen.print(table)
        judge = [*found.ambiguous, *found.probable, *found.open]
        if judge:
            _show_rows(screen, judge)
        for reason, rows in list(found.reasons.items())[:_REASONS]:
            screen.print(Text(f"  {count(rows, 'row')} open: {reason}", "dim"))
        if found.trial is not None:
            screen.print(Text(f"  {_TRIAL.format(one_line(found.trial))}"))
        if found.unvouched:
            some = count(found.unvouched, "row")
            screen.print(Text(f"  {some} open: {_UNVOUCHED}", "dim"))
    heading(screen, f"{after.path} now")
    show_standing(screen, after)


def present_between(before: Standing, after: Standing) -> int:
    """Doubts that turned out to be in the helpdesk, also by looks that failed later on."""
    accepted = after.counts.accepted - before.counts.accepted
    kinds = (Contradicts.REJECTED_PRESENT.value, Contradicts.NOT_SENT_PRESENT.value)
    turned = (after.contradicted.get(k, 0) - before.contradicted.get(k, 0) for k in kinds)
    return accepted - sum(turned)


def _show_rows(screen: Console, rows: Sequence[Resolved]) -> None:
    from rich.text import Text

    heading(screen, "For you to judge; none of them is sent")
    for row in rows[:_SHOWN]:
        tickets = ", ".join(map(one_line, row.ticket_ids))
        words = f"tickets {tickets}" if tickets else "no ticket found"
        name = one_line(name_of(row.key, row.line), 40)
        screen.print(Text.assemble(f"  {clean(name)}  ", (words, "dim")))
    if len(rows) > _SHOWN:
        screen.print(Text(f"  and {len(rows) - _SHOWN:,} more", "dim"))
