"""A trial ticket: made where no row of a journal proves what a list would show."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from attrs import frozen

from ..journal.reader import ReadJournal
from ..journal.reference import reference_of
from ..journal.traits import EMOJI, MARKUP, length_of

Trial = Callable[[str, int, bytes | None], Awaitable[str | None]]
"""Makes a ticket with a reference and these traits, and gives its id if the service does. It gets
what one of the rows was sent with, for what the service demands."""

TITLE = "Trial ticket of a lookup: please close it"
_TEXT = "This ticket was made to see whether the list of tickets shows one of its kind."


@frozen
class MadeTrial:
    """A trial ticket as a journal notes it, before it is made."""

    reference: str
    at: float
    traits: int

    def as_json(self) -> dict[str, Any]:
        """What stands in the journal, among the looks."""
        return {"at": round(self.at, 3), "trial": self.reference, "traits": self.traits}


def trials_in(journal: ReadJournal) -> list[MadeTrial]:
    """The trial tickets that a journal tells of."""
    told = [orjson.loads(look.evidence) for look in journal.looks()]
    return [MadeTrial(one["trial"], one["at"], one["traits"]) for one in told if "trial" in one]


def trial_reference() -> str:
    """A reference of its own."""
    return reference_of(secrets.token_hex(16), "trial")


def trial_text(traits: int) -> str:
    """A neutral text with the traits of the rows that it shall vouch for.

    Fields of a tenant's own are left out: nobody knows what they would do.
    """
    text = _TEXT
    if traits & EMOJI:
        text += " \U0001f642"
    if traits & MARKUP:
        text += " <b>It may be closed.</b>"
    filling = "\nIt may be closed."
    missing = length_of(traits) - len(text)
    return text + filling * (missing // len(filling) + 1) if missing > 0 else text
