"""The commands that need no service: ``demo``, a push into an emulator and the truth about it, and
``emulator``, which runs one."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from ..errors import HelpdeskError, InvalidInputError
from ..journal.marks import kept_in
from ..journal.reader import ReadJournal
from ..journal.records import State
from ..outcome import Outcome
from ..push.report import NAMES
from ..push.rows import Row
from ..push.sources.columns import Columns
from ..push.sources.csv import CsvRows
from ..testing.ledger import LedgerEntry
from ..testing.runner import EmulatorProcess
from .console import WORDS, console, count, heading, one_line, say, show_commands, show_error, table
from .exit_codes import BUG, DONE
from .journal_status import read_status
from .options import Decorator, OptionGroup, with_options
from .progress import PushDisplay, Work
from .push_end import show_meanings, show_summary
from .push_run import Connect, PushRun, Start
from .reconcile import patiently, present_between
from .running import run
from .startup import INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

# --- the options -----------------------------------------------------------------------------

_FAULTS: Mapping[str, Any] = {
    "type": click.FloatRange(0, 1),
    "default": 0.0,
    "metavar": "RATE",
    "help": "Share of requests that fail, such as 0.05.",
}


@frozen(kw_only=True)
class DemoOptions(OptionGroup):
    """How much to push, and how badly the server behaves."""

    tickets: int | None
    faults: float
    file: str | None
    concurrency: int
    seed: int
    journal: bool

    @property
    def timeout(self) -> float:
        """Seconds for a request: short if some answers never come."""
        return 2.0 if self.faults else 30.0

    @classmethod
    def options(cls) -> tuple[Decorator, ...]:
        """See :class:`.OptionGroup`."""
        return (
            click.option(
                "--tickets",
                type=click.IntRange(1),
                help="Number of tickets.  [default: 2000, or all of the file]",
            ),
            click.option("--faults", **_FAULTS),
            click.option(
                "--file",
                type=click.Path(exists=True, dir_okay=False),
                help="Take the tickets from a CSV file.",
            ),
            click.option(
                "--concurrency", type=click.IntRange(1, 1000), default=32, show_default=True
            ),
            click.option("--seed", type=int, default=0, help="Seed of the tickets and the faults."),
            click.option(
                "--journal",
                is_flag=True,
                help="Keep a journal; look up doubts and push again until none is left.",
            ),
        )


def emulator_options(*own: Decorator, port: int) -> Decorator:
    """Give a command the options of an emulator, named like the parameters of its ``serve``.

    Args:
        own: the options of this service's emulator.
        port: where it listens by default.
    """
    return with_options(
        (
            click.option("--port", type=click.IntRange(0, 65535), default=port, show_default=True),
            *own,
            click.option("--faults", "fault_rate", **_FAULTS),
            click.option("--seed", type=int, default=0, help="Seed of the faults."),
            click.option("--ledger", metavar="FILE", help="Log each executed call there."),
            click.option("--latency", type=click.FloatRange(0), default=0.0, metavar="SECONDS"),
        )
    )


def run_emulator(serve: Callable[..., None], exports: Mapping[str, str], **settings: Any) -> None:
    """Run an emulator until Ctrl-C, after saying how to reach it.

    Args:
        serve: runs it.
        exports: environment variables for a client; ``{url}`` in a value is its address.
        settings: for ``serve``.

    Raises:
        click.UsageError: it cannot run: its port is in use, for example.
    """
    if settings["port"]:
        url = f"http://127.0.0.1:{settings['port']}"
        say("To use it, run in another terminal:", style="dim", stderr=True)
        for name, value in exports.items():
            say(f"  export {name}={value.replace('{url}', url)}", stderr=True)
    try:
        serve(**settings)
    except OSError as error:
        raise click.UsageError(f"could not start the emulator: {error.strerror or error}") from None
    except KeyboardInterrupt:
        pass


# --- tickets ---------------------------------------------------------------------------------

_THINGS = (
    "invoice", "delivery", "password", "subscription", "refund", "mobile app", "order",
    "warranty card", "router", "gift voucher", "account", "newsletter",
)  # fmt: skip
_TROUBLES = (
    "The {thing} is not what I ordered",
    "Where is my {thing}?",
    "{Thing}: charged twice",
    "Cannot open the {thing} since yesterday",
    "Question about the {thing}",
    "{Thing} damaged on arrival",
    "Please cancel the {thing}",
    "{Thing} kommt verspätet an",
    "{Thing} नहीं मिला",
)
_STORIES = (
    "I have tried it three times, on two devices, with the same result.",
    'The page says "try again later", and has said so since Monday.',
    "My colleague had the same trouble last month; then it went away by itself.",
    "I attach nothing, since the form does not let me.",
    "It worked well until the last update; now it stops half way.",
    "The amount on the statement is 1,249.00, the agreed one 1,029.00.",
)
_GREETINGS = ("Hello,", "Good morning,", "Dear team,", "Hi there,", "नमस्ते,", "Guten Tag,")
_NAMES = ("Asha", "Ben", "Chen", "Dana", "Emre", "Farah", "Goran", "Hana", "Imran", "Jo")
_HEADERS = {
    "title": ("title", "subject", "ticket subject", "summary"),
    "details": (
        "details",
        "ticket_details",
        "description",
        "ticket description",
        "body",
        "comment",
    ),
    "email": ("email_id", "email", "e-mail", "customer email", "requester email"),
}


@frozen
class DemoTicket:
    """An invented ticket."""

    title: str
    details: str
    email: str
    urgent: bool


def invent_tickets(number: int, seed: int) -> Iterator[DemoTicket]:
    """So many tickets; the same for the same seed."""
    dice = random.Random(seed)
    for serial in range(1, number + 1):
        thing = dice.choice(_THINGS)
        title = dice.choice(_TROUBLES).format(thing=thing, Thing=thing.capitalize())
        name = dice.choice(_NAMES)
        story = "\n".join(dice.sample(_STORIES, dice.randint(1, 4)))
        details = f"{dice.choice(_GREETINGS)}\n\n{story}\n\nThank you\n{name}"
        email = f"{name.lower()}.{serial}@example.com"
        yield DemoTicket(title, details, email, dice.random() < 0.1)


def guess_columns(header: Iterable[str]) -> dict[str, str]:
    """The columns that hold title, details and e-mail, by the names such columns often have.

    For the demo only: a push never guesses columns.
    """
    by_name = {name.strip().lower(): name for name in header}
    guessed: dict[str, str] = {}
    for field, names in _HEADERS.items():
        found = next((by_name[name] for name in names if name in by_name), None)
        if found is not None:
            guessed[field] = found
    return guessed


class Beliefs:
    """What the client believes happened to each row."""

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}

    def add(self, outcome: Outcome) -> None:
        """Record an outcome."""
        self._codes[int(outcome.key or outcome.index)] = NAMES.index(outcome.name)

    def add_state(self, key: str, state: str) -> None:
        """Record what a journal says of a row."""
        self._codes[int(key)] = NAMES.index(state if state in NAMES else "unknown")

    def compare(self, executed: Iterable[int]) -> Truth:
        """Compare them with the rows that the server executed, each as often as it did."""
        times = Counter(executed)
        number: Counter[str] = Counter()
        there: Counter[str] = Counter()
        for row, code in self._codes.items():
            number[NAMES[code]] += 1
            there[NAMES[code]] += times[row] > 0
        return Truth(
            believed=number,
            there=there,
            executed=times.total(),
            twice=sum(times[row] > 1 for row in times),
            strangers=sum(row not in self._codes for row in times),
        )


@frozen
class Truth:
    """Beliefs beside facts.

    Attributes:
        believed: rows per outcome.
        there: of these, how many the ledger has.
        executed: how many creates the ledger has.
        twice: rows that it has more than once.
        strangers: rows in it that have no outcome.
    """

    believed: Mapping[str, int]
    there: Mapping[str, int]
    executed: int
    twice: int
    strangers: int

    @property
    def contradictions(self) -> int:
        """Rows of which the client believes what is not so."""
        lost = self.believed["accepted"] - self.there["accepted"]
        denied = self.there["rejected"] + self.there["not_sent"]
        return lost + denied + self.twice + self.strangers

    def show(self, screen: Console) -> None:
        """Print the comparison."""
        from rich.text import Text

        accepted, unknown = self.believed["accepted"], self.believed["unknown"]
        lost = accepted - self.there["accepted"]
        each = "each is in the ledger, once" if not lost and not self.twice else f"{lost:,} missing"
        rows: list[tuple[Any, ...]] = [("accepted", f"{accepted:,}", Text(each, "dim"))]
        if unknown:
            happened = self.there["unknown"]
            fate = f"{happened:,} happened, {unknown - happened:,} did not"
            rows.append(("unknown", f"{unknown:,}", Text(fate, "dim")))
        rows.append(("in the ledger", f"{self.executed:,}", ""))
        style, words = ("bold green", "none") if not self.contradictions else ("bold red", "")
        if self.contradictions:
            words = f"{count(self.twice, 'row')} executed twice" if self.twice else "this is a bug"
        cells = ("contradictions", f"{self.contradictions:,}", words)
        screen.print(table("word number text", [*rows, tuple(Text(cell, style) for cell in cells)]))


# --- the demo --------------------------------------------------------------------------------

_USUAL_NUMBER = 2000
_LOOKED_AFTER = 5
_ROUNDS = 10


@frozen(kw_only=True)
class DemoService:
    """What a demo must know of the service.

    Attributes:
        name: of the service.
        emulator: makes the emulator's process from the path of its ledger.
        settings: of a client, from the emulator's URL.
        ticket: makes what is pushed from a ticket and its number, which must reach the ledger.
        number_of: finds that number in an entry of the ledger; ``None`` if it is no create.
        connect: makes a client from settings, a concurrency and a timeout; entered, it gives
            itself and the function that starts a push.
        look_around: does something with the first accepted tickets, whose outcomes it gets, and
            reports it; a key there is the ticket's number.
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
        say(f"Starting a {service.name} emulator on this machine, in its own process.")
        beliefs = Beliefs()
        first: list[Outcome] = []

        def on_outcome(outcome: Outcome) -> None:
            beliefs.add(outcome)
            if outcome.name == "accepted" and len(first) < _LOOKED_AFTER:
                first.append(outcome)

        display = PushDisplay("Pushing tickets", Work(total=lambda: number))
        pushing = PushRun(display, on_outcome=on_outcome)

        async def main(url: str) -> list[str]:
            settings = service.settings(url)
            connection = service.connect(settings, options.concurrency, options.timeout)
            async with connection as (client, start):
                if options.journal:
                    await pushing.go(start, rows, journal=journal)
                    if pushing.interrupted:
                        return []
                    return await _finish(client, start, journal, 2 * options.timeout)
                await pushing.go(start, rows)
                return [] if pushing.interrupted else await service.look_around(client, first)

        with service.emulator(ledger) as emulator:
            lines = run(lambda: main(emulator.url))
            executed = [n for n in map(service.number_of, emulator.entries) if n is not None]
        if options.journal:
            beliefs = _beliefs_of(journal)
    truth = beliefs.compare(executed)

    screen = console()
    bad = f", {100 * options.faults:.3g}% of the requests fail" if options.faults else ""
    title = f"{count(pushing.summary.rows, 'ticket')}, {options.concurrency} at a time{bad}"
    show_summary(screen, pushing.summary, title)
    show_meanings(screen, pushing.summary)
    story = [one_line(line) for line in lines]
    if options.journal:
        _show_story(screen, "Then, with the journal", story)
    heading(screen, "Compared with the emulator's ledger of what it executed")
    truth.show(screen)
    if options.journal:
        lost = truth.believed["accepted"] - truth.there["accepted"]
        screen.print()
        screen.print(
            f"  unresolved doubts: {truth.believed['unknown']:,}, twice: {truth.twice:,}, "
            f"lost: {lost:,}"
        )
    else:
        _show_story(screen, "Then", story)
    for error in (pushing.stopped, pushing.unreadable):
        if isinstance(error, HelpdeskError):
            screen.print()
            show_error(error)
    show_commands(screen, service.next_commands, "Try next")
    screen.print()
    if truth.contradictions:
        return BUG
    return INTERRUPTED if pushing.interrupted else DONE


def _show_story(screen: Console, title: str, story: list[str]) -> None:
    if story:
        heading(screen, title)
        for line in story:
            screen.print(f"  {line}")


async def _finish(client: Any, start: Start, journal: Path, settle: float) -> list[str]:
    """Look up the doubts and push what is not there, until there are no doubts left."""
    lines: list[str] = []
    for _ in range(_ROUNDS):
        before = read_status(str(journal))
        if not before.in_doubt and lines:
            break
        say(f"Waiting {settle:g} s for late results, then looking up the doubts.")
        found = await patiently(lambda: client.tickets.reconcile(journal, settle=settle))
        present = present_between(before, read_status(str(journal)))
        lines.append(
            f"looked up {count(before.in_doubt, 'row')} in doubt: {present:,} found, "
            f"{len(found.absent):,} absent"
        )
        sent: Counter[str] = Counter()
        async with start([], lambda _: None, journal=journal, from_journal=True) as outcomes:
            async for outcome in outcomes:
                sent[outcome.name] += 1
        if not sent:
            break
        words = ", ".join(f"{number:,} {WORDS[name]}" for name, number in sent.items())
        lines.append(f"pushed {count(sent.total(), 'row')} again: {words}")
    return lines


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
            next_step="Rename it to `title`, or use the command push, which has --map.",
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
