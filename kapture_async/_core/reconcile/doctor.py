"""Trial tickets: one that shows what a list would show of a row's kind, and one that shows whether
references come back (the ``doctor`` method).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import orjson
from attrs import frozen

from ..errors import HelpdeskError, InvalidInputError
from ..journal.reader import ReadJournal
from ..journal.reference import EMOJI, MARKUP, length_of, reference_of
from .evidence import MARGIN, ListedTicket, ListTickets

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
        """How the journal records it, among the lookups."""
        return {"at": round(self.at, 3), "trial": self.reference, "traits": self.traits}


def trials_in(journal: ReadJournal) -> list[MadeTrial]:
    """The trial tickets recorded in a journal."""
    told = [orjson.loads(look.evidence) for look in journal.lookups()]
    return [MadeTrial(one["trial"], one["at"], one["traits"]) for one in told if "trial" in one]


def trial_reference() -> str:
    """A reference of its own."""
    return reference_of(secrets.token_hex(16), "trial")


def trial_text(traits: int) -> str:
    """A neutral text with the traits of the rows that it is evidence for.

    Fields of a tenant's own are left out: what they would trigger is not known.
    """
    text = _TEXT
    if traits & EMOJI:
        text += " \U0001f642"
    if traits & MARKUP:
        text += " <b>It may be closed.</b>"
    filling = "\nIt may be closed."
    missing = length_of(traits) - len(text)
    return text + filling * (missing // len(filling) + 1) if missing > 0 else text


Guarantee = Literal["exactly once with proof", "at most once with a list of doubts"]

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0


@frozen(kw_only=True)
class Diagnosis:
    """What a trial ticket has shown.

    Attributes:
        guarantee: what a journaled push can promise here.
        why: the reason, in one sentence.
        reference: the trial ticket's reference.
        ticket_id: the trial ticket, where its id is known: please close it.
        seconds: until the reference came back; ``None`` if it did not.
        twice: the reference came back on more than one ticket.
    """

    guarantee: Guarantee
    why: str
    reference: str
    ticket_id: str | None = None
    seconds: float | None = None
    twice: bool = False


async def examine(
    create: Callable[[str], Awaitable[str | None]],
    look: ListTickets,
    *,
    patience: float,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Diagnosis:
    """Create a trial ticket with a reference, and see whether a look brings it back.

    Args:
        create: creates the ticket with this reference, and gives its id if the service does.
        look: as for a reconciliation.
        patience: seconds to wait for it at most.
        now: the wall clock.
        sleep: waits.

    Raises:
        HelpdeskError: the ticket was not created, or that is in doubt.
    """
    reference = reference_of(secrets.token_hex(16), "trial")
    began = now()
    ticket_id = await create(reference)
    wait = _FIRST_WAIT
    problem: HelpdeskError | None = None
    while True:
        found: set[str | None] = set()
        try:
            async for seen in look(began - MARGIN, now() + MARGIN):
                if isinstance(seen, ListedTicket) and reference in seen.references:
                    found.add(seen.ticket_id)
            problem = None
        except HelpdeskError as error:
            problem = error
        seconds = now() - began
        if found:
            twice = len(found) > 1
            if ticket_id is not None and ticket_id not in found:
                why = "the reference came back on another ticket than the one that was created"
            elif twice:
                why = f"the reference came back on {len(found)} tickets after one create"
            else:
                return Diagnosis(
                    guarantee="exactly once with proof",
                    why=f"the reference came back after {seconds:.1f} s, so a lost answer can be "
                    "looked up",
                    reference=reference,
                    ticket_id=next(iter(found)),
                    seconds=seconds,
                )
            return _at_most_once(why, reference, ticket_id, seconds, twice)
        if seconds + wait > patience:
            break
        await sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)
    why = f"the reference did not come back within {patience:g} s"
    if problem is not None:
        why = f"the look for the reference failed: {problem.message}"
    return _at_most_once(why, reference, ticket_id, None, twice=False)


def long_text(text: str, length: int) -> str:
    """A text of so many characters: lines that anybody may read, or a part of the first.

    Raises:
        InvalidInputError: that is no length.
    """
    if type(length) is not int or length < 1:
        raise InvalidInputError("long must be a whole number of characters, 1 or more")
    lines = f"{text}\n" * (length // (len(text) + 1) + 1)
    return f"{lines[: length - 1]}."


def _at_most_once(
    why: str, reference: str, ticket_id: str | None, seconds: float | None, twice: bool
) -> Diagnosis:
    return Diagnosis(
        guarantee="at most once with a list of doubts",
        why=why,
        reference=reference,
        ticket_id=ticket_id,
        seconds=seconds,
        twice=twice,
    )
