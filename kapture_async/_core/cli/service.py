"""What the command line must know of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from attrs import Factory, evolve, frozen

from ..journal.reader import job_at
from ..push.sources.rows import Build
from .options import Target
from .push_run import Connect

if TYPE_CHECKING:
    from ..outcome import Outcome
    from ..reconcile.doctor import Diagnosis
    from .push_options import PushOptions


TicketTexts = Mapping[str, str | None]
"""What a person recognizes a ticket by, by names for that person; ``url`` is where to open it."""


@frozen(kw_only=True)
class Service:
    """What the commands around a push must know of the service.

    Attributes:
        program: the command line as it is typed, such as ``"example"``.
        command: its command for this kind of push.
        operation: what is done with each row, as a journal has it.
        resource: the part of a client that does it.
        options: the class of the options of its push.
        target: the class of its targets.
        wire_fields: fields that are taken from columns of the same name.
        required: fields without which nothing can be pushed.
        fills: further required fields, each with the value of the option of its name, for rows
            that lack it; ``None`` if that was not given.
        usual: what columns are usually called, by wire name.
        only_these: rows have no other fields than ``wire_fields``.
        zone: of the service's dates.
        build: a row from a mapping by wire names.
        check: raises ``InvalidInputError`` for a row that could not be encoded.
        connect: makes a client.
        look_up: a command that helps to look up doubts without a journal.
        place_in: where references travel, from the journal's word for it.
        pack: a row without a key, as a journal identifies it.
        wire: a row with a reference at a place, as it is sent, by wire names.
        answer: what the service answered for an accepted row, by names for a person.
        get_tickets: gets tickets by their ids with a client, as far as they exist; ``None`` if
            the rows are not tickets.
    """

    program: str
    options: type[PushOptions]
    target: type[Target]
    wire_fields: tuple[str, ...]
    required: tuple[str, ...]
    build: Build
    check: Callable[[Any], None]
    connect: Connect
    look_up: str
    place_in: Callable[[str], Any]
    pack: Callable[[Any], bytes]
    wire: Callable[[Any, str, Any], Mapping[str, Any]]
    answer: Callable[[Outcome], Mapping[str, str | None]]
    operation: str
    command: str = "push"
    resource: str = "tickets"
    fills: Mapping[str, str | None] = Factory(dict)
    usual: Mapping[str, tuple[str, ...]] = Factory(dict)
    only_these: bool = False
    zone: tzinfo = UTC
    get_tickets: Callable[[Any, Sequence[str]], Awaitable[Mapping[str, TicketTexts]]] | None = None

    @property
    def filled_in(self) -> dict[str, str]:
        """What is filled into rows that lack it."""
        return {name: value for name, value in self.fills.items() if value is not None}

    def without_models(self) -> Service:
        """It for counting rows, which are not made then."""
        return evolve(self, build=lambda content: None)

    def build_row(self, content: dict[str, Any]) -> Any:
        """A row with what is filled in."""
        return self.build(self.filled_in | content)


@frozen
class Work:
    """One kind of push.

    Attributes:
        operation: what is done with each row, as a journal has it.
        options: the class of its options.
        service_of: makes the service from those, or from ``None``.
    """

    operation: str
    options: type[PushOptions]
    service_of: Callable[[PushOptions | None], Service]


@frozen
class Vendor:
    """What the shared commands must know of a command line.

    Attributes:
        target: the class of its targets.
        works: the kinds of push; the first is that of ``push`` and ``plan``.
        fields: a paragraph for the help of ``push`` on what a row is made of.
    """

    target: type[Target]
    works: tuple[Work, ...]
    fields: str = ""

    @property
    def program(self) -> str:
        """The name of the command line."""
        return self.target.program

    @property
    def options(self) -> type[PushOptions]:
        """The options of ``push``."""
        return self.works[0].options

    def service(self, options: PushOptions | None = None) -> Service:
        """The service of ``push``."""
        return self.works[0].service_of(options)

    def work_of(self, journal: str, *, restored: bool = False) -> Work:
        """Which kind of push a journal is of; the first, if it is none of them.

        Args:
            journal: its path.
            restored: it is an older copy; see :meth:`.ReadJournal.open_to_read`.

        Raises:
            JournalError: it does not exist, or cannot be read.
        """
        operation = job_at(journal, restored=restored).operation
        return next((w for w in self.works if w.operation == operation), self.works[0])

    def service_for(self, journal: str) -> Service:
        """The service that a journal is of."""
        return self.work_of(journal).service_of(None)


Examine = Callable[[Any], Awaitable["Diagnosis"]]
"""Finds out, with a client, whether lost answers can be looked up."""
