"""What the demos share: tickets that look real, and the comparison with the emulator's ledger."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from ..outcome import Outcome
from ..push.report import NAMES
from .formatting import count

if TYPE_CHECKING:
    from rich.console import Console

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
    """A ticket nobody wrote."""

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

    For demos only: where it counts, columns are named, never guessed.
    """
    by_name = {name.strip().lower(): name for name in header}
    guessed: dict[str, str] = {}
    for field, names in _HEADERS.items():
        found = next((by_name[name] for name in names if name in by_name), None)
        if found is not None:
            guessed[field] = found
    return guessed


class Beliefs:
    """What the client believes became of each row, one byte per row."""

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}

    def add(self, outcome: Outcome) -> None:
        """Take down an outcome."""
        self._codes[int(outcome.key or outcome.index)] = NAMES.index(outcome.name)

    def add_state(self, key: str, state: str) -> None:
        """Take down what a journal says of a row."""
        self._codes[int(key)] = NAMES.index(state if state in NAMES else "unknown")

    def compare(self, executed: Iterable[int]) -> Truth:
        """Hold them against the rows that the server executed, each as often as it did."""
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
        from rich.table import Table
        from rich.text import Text

        accepted, unknown = self.believed["accepted"], self.believed["unknown"]
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=1)
        table.add_column()
        table.add_column(justify="right")
        table.add_column(style="dim")
        lost = accepted - self.there["accepted"]
        each = "each is in the ledger, once" if not lost and not self.twice else f"{lost:,} missing"
        table.add_row("", "accepted by us", f"{accepted:,}", each)
        if unknown:
            happened = self.there["unknown"]
            fate = f"{happened:,} happened, {unknown - happened:,} did not"
            table.add_row("", "unknown to us", f"{unknown:,}", fate)
        table.add_row("", "in the ledger", f"{self.executed:,}", "")
        style, words = ("bold green", "none") if not self.contradictions else ("bold red", "")
        if self.contradictions:
            words = f"{count(self.twice, 'row')} executed twice" if self.twice else "this is a bug"
        number = Text(f"{self.contradictions:,}", style)
        table.add_row("", Text("contradictions", style), number, Text(words, style))
        screen.print(table)
