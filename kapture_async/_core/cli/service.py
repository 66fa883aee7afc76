"""What the command line must know of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import Factory, frozen

from ..journal.reader import job_at
from ..push.sources import Build
from .options import Target
from .pushing import Connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..outcome import Outcome
    from ..push.trial import Diagnosis
    from .pushoptions import PushOptions


@frozen(kw_only=True)
class Service:
    """What the commands around a push must know of the service.

    Attributes:
        program: the command line as it is typed, such as ``"example"``.
        command: its word for this kind of push.
        operation: what is done with each row, as a journal has it.
        resource: the part of a client that does it.
        target: the class of its targets.
        wire_fields: fields that are taken from columns of their name.
        required: fields without which nothing can be pushed.
        fills: further required fields, each with what an option of its name fills in where a
            row lacks it; ``None`` if that was not given.
        build: a row from a mapping by wire names.
        check: raises ``InvalidInputError`` for a row that could not be encoded.
        connect: makes a client.
        look_up: a command that helps to look up what is in doubt without a journal.
        place_in: where references travel, from the word that a journal has for it.
        pack: a row as a journal identifies it, where it has no key.
        wire: a row with a reference at a place, as it is sent, by wire names.
        answer: what the service answered to an accepted row, by names for a person.
    """

    program: str
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

    @property
    def filled_in(self) -> dict[str, str]:
        """What rows get that lack it."""
        return {name: value for name, value in self.fills.items() if value is not None}

    def build_row(self, content: dict[str, Any]) -> Any:
        """A row with all that it shall have."""
        return self.build(self.filled_in | content)


@frozen
class Work:
    """One of the things that rows are pushed for.

    Attributes:
        operation: what is done with each row, as a journal has it.
        options: the class of its options.
        service_of: makes the service from those, or from ``None``.
    """

    operation: str
    options: type[PushOptions]
    service_of: Callable[[PushOptions | None], Service]


def work_of(journal: str, works: Sequence[Work], *, restored: bool = False) -> Work:
    """What a journal is of. What it does not say is left to those who open it.

    Args:
        journal: its path.
        works: what there is.
        restored: it is an older copy; see :meth:`.ReadJournal.open_to_read`.

    Raises:
        JournalError: there is none, or it cannot be read.
    """
    operation = job_at(journal, restored=restored).operation
    return next((work for work in works if work.operation == operation), works[0])


Examine = Callable[[Any], Awaitable["Diagnosis"]]
"""Finds out with a client which guarantee holds."""
