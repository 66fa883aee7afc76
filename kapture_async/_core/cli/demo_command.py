"""The ``demo`` command, for any service: an emulator, a push into it, and the truth about it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..errors import HelpdeskError, InvalidInputError
from ..journal.marks import kept_in
from ..journal.reader import ReadJournal
from ..journal.records import State
from ..outcome import Outcome
from ..push.csv import CsvRows
from ..push.rows import Row
from ..push.sources import Columns
from ..testing.ledger import LedgerEntry
from ..testing.runner import EmulatorProcess
from .console import console, one_line, say, show_error
from .demo import Beliefs, DemoTicket, guess_columns, invent_tickets
from .emulator import DemoOptions
from .endreport import heading, show_commands, show_meanings, show_summary
from .exit_codes import BUG, DONE
from .formatting import WORDS, count
from .journal_status import standing_of
from .progress import Progress
from .pushing import Connect, PushRun, Start
from .reconcile import patiently, present_between
from .running import run
from .signals import INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

_USUAL_NUMBER = 2000
_LOOKED_AFTER = 5
_ROUNDS = 10


@frozen(kw_only=True)
class DemoService:
    """What a demo must know of the service.

    Attributes:
        name: of the service.
        emulator: makes the emulator's process from the path of its ledger.
        settings: where it is and how to be let in, from its URL.
        ticket: makes what is pushed from a ticket and its number, which must reach the ledger.
        number_of: finds that number in an entry of the ledger; ``None`` if it is no create.
        connect: makes a client from settings, a concurrency and a timeout; entered, it gives
            itself and the function that starts a push.
        look_around: does something with the first tickets that were accepted, whose outcomes it
            gets, and tells of it; a key there is the ticket's number.
        next_commands: what to try next.
    """

    name: str
    emulator: Callable[[Path], EmulatorProcess]
    settings: Callable[[str], Mapping[str, Any]]
    ticket: Callable[[DemoTicket, int], Any]
    number_of: Callable[[LedgerEntry], int | None]
    connect: Connect
    look_around: Callable[[Any, list[Outcome]], Awaitable[list[str]]]
    next_commands: tuple[tuple[str, str], ...]


def play_demo(options: DemoOptions, service: DemoService) -> int:
    """Run the demo; returns the exit code: 0 if nothing contradicts the ledger."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder, kept_in(folder):
        ledger = Path(folder) / "ledger.jsonl"
        journal = Path(folder) / "demo.journal"
        rows, number = _rows(options, service)
        say(f"Starting a {service.name} server on this machine, in a process of its own.")
        beliefs = Beliefs()
        first: list[Outcome] = []

        def on_outcome(outcome: Outcome) -> None:
            beliefs.add(outcome)
            if outcome.name == "accepted" and len(first) < _LOOKED_AFTER:
                first.append(outcome)

        def done(finished: int) -> float | None:
            return finished / number if number else None

        pushing = PushRun(progress=Progress("Pushing tickets", done), on_outcome=on_outcome)

        async def main(url: str) -> list[str]:
            settings = service.settings(url)
            connection = service.connect(settings, options.concurrency, options.timeout)
            async with connection as (client, start):
                if options.journal:
                    await pushing.go(start, rows, journal=journal)
                    if pushing.interrupted:
                        return []
                    return await _go_on(client, start, journal, 2 * options.timeout)
                await pushing.go(start, rows)
                return [] if pushing.interrupted else await service.look_around(client, first)

        with service.emulator(ledger) as emulator:
            told = run(lambda: main(emulator.url))
            executed = [n for n in map(service.number_of, emulator.entries) if n is not None]
        if options.journal:
            beliefs = _beliefs_of(journal)
    truth = beliefs.compare(executed)

    screen = console()
    bad = f", {100 * options.faults:.3g}% of the requests disturbed" if options.faults else ""
    title = f"{count(pushing.summary.rows, 'ticket')}, {options.concurrency} at a time{bad}"
    show_summary(screen, pushing.summary, title)
    show_meanings(screen, pushing.summary)
    story = [one_line(line) for line in told]
    if options.journal:
        _tell(screen, "And then, with the journal", story)
    heading(screen, "The truth, from the server's ledger of what it executed")
    truth.show(screen)
    if options.journal:
        lost = truth.believed["accepted"] - truth.there["accepted"]
        screen.print()
        screen.print(
            f"  unresolved doubts: {truth.believed['unknown']:,}, twice: {truth.twice:,}, "
            f"lost: {lost:,}"
        )
    else:
        _tell(screen, "And then", story)
    for error in (pushing.stopped, pushing.unreadable):
        if isinstance(error, HelpdeskError):
            screen.print()
            show_error(error)
    show_commands(screen, "Try next", service.next_commands)
    screen.print()
    if truth.contradictions:
        return BUG
    return INTERRUPTED if pushing.interrupted else DONE


def _tell(screen: Console, title: str, story: list[str]) -> None:
    if story:
        heading(screen, title)
        for line in story:
            screen.print(f"  {line}")


async def _go_on(client: Any, start: Start, journal: Path, settle: float) -> list[str]:
    """Look up the doubts and push what is not there, until there are no doubts left."""
    told: list[str] = []
    for _ in range(_ROUNDS):
        before = standing_of(str(journal))
        if not before.in_doubt and told:
            break
        say(f"Giving the server {settle:g} s for what is in doubt, then looking it up.")
        found = await patiently(lambda: client.tickets.reconcile(journal, settle=settle))
        present = present_between(before, standing_of(str(journal)))
        told.append(
            f"looked up {count(before.in_doubt, 'row')} in doubt: {present:,} found, "
            f"{len(found.absent):,} not there"
        )
        sent: Counter[str] = Counter()
        async with start([], lambda _: None, journal=journal, from_journal=True) as outcomes:
            async for outcome in outcomes:
                sent[outcome.name] += 1
        if not sent:
            break
        words = ", ".join(f"{number:,} {WORDS[name]}" for name, number in sent.items())
        told.append(f"pushed {count(sent.total(), 'row')} again: {words}")
    return told


def _beliefs_of(journal: Path) -> Beliefs:
    beliefs = Beliefs()
    with ReadJournal.open_to_read(journal) as read:
        for row in read.rows_in(*State):
            beliefs.add_state(row.key or "0", row.state.value)
    return beliefs


def _rows(options: DemoOptions, service: DemoService) -> tuple[Iterable[Row[Any]], int | None]:
    """The rows, and how many they are if that is known."""
    if options.file is None:
        number = options.tickets or _USUAL_NUMBER
        tickets = enumerate(invent_tickets(number, options.seed), start=1)
        return (Row(service.ticket(ticket, n), str(n)) for n, ticket in tickets), number
    return _rows_of_file(options.file, _guessed(options.file), options, service), options.tickets


def _rows_of_file(
    path: str, fields: dict[str, str], options: DemoOptions, service: DemoService
) -> Iterator[Row[Any]]:
    with open(path, "rb") as file:
        rows = CsvRows(file, Columns(fields=fields), lambda content: content)
        for number, row in enumerate(islice(rows, options.tickets), start=1):
            yield _marked(row, number, service)


def _guessed(path: str) -> dict[str, str]:
    with open(path, "rb") as file:
        header = CsvRows(file, Columns(), lambda content: content).header
    guessed = guess_columns(header)
    if "title" not in guessed:
        raise InvalidInputError(
            f"no column of {path} looks like a title",
            next_step="Name it `title`, or use the command push, which lets you name columns.",
        )
    return guessed


def _marked(row: Row[Any], number: int, service: DemoService) -> Row[Any]:
    key = str(number)
    if row.problem is not None:
        return Row(None, key, row.line, row.problem)
    ticket = DemoTicket(
        title=row.value.get("title", ""),
        details=row.value.get("details", ""),
        email=row.value.get("email", ""),
        urgent=False,
    )
    try:
        return Row(service.ticket(ticket, number), key, row.line)
    except InvalidInputError as error:
        return Row(None, key, row.line, error)
