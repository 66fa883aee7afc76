"""What the command line must know of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import Factory, frozen

from ..push.sources import Build
from .options import Target
from .pushing import Connect

if TYPE_CHECKING:
    from ..outcome import Outcome
    from ..push.doctor import Diagnosis


@frozen(kw_only=True)
class Service:
    """What the commands around a push must know of the service.

    Attributes:
        program: the command line as it is typed, such as ``"example"``.
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
    wire: Callable[[Any, str, Any], Mapping[str, Any]]
    answer: Callable[[Outcome], Mapping[str, str | None]]
    fills: Mapping[str, str | None] = Factory(dict)

    @property
    def filled_in(self) -> dict[str, str]:
        """What rows get that lack it."""
        return {name: value for name, value in self.fills.items() if value is not None}

    def build_row(self, content: dict[str, Any]) -> Any:
        """A row with all that it shall have."""
        return self.build(self.filled_in | content)


Examine = Callable[[Any], Awaitable["Diagnosis"]]
"""Finds out with a client which guarantee holds."""
