"""Rows that a journal knows, or may know, under another key, and why some of them are not sent.

A key that a spreadsheet has changed must not create a second ticket. A variant spelling of an
earlier key may be the same row: if that is undecided, the row waits for the end of the source. And
if many rows have new keys but contents known under other keys, all keys were probably changed: the
first of them wait until enough have come to decide.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import frozen

from ..errors import (
    ConfirmationNeededError,
    ConflictError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
)
from ..journal.records import Decision
from ..journal.session import Session
from .rows import InFlightRow

if TYPE_CHECKING:
    from .journaling import JournalBridge

PROBED = 100
"""How many rows with new keys are compared with the journal before any of them is sent."""
SUSPICIOUS = 50
"""If more of them have contents known under other keys, the push stops."""
_HELD_BACK = 1000
"""The most rows that may wait for the end of the source."""


@frozen(kw_only=True)
class KeyRules:
    """How a push treats keys that are new to its journal.

    Attributes:
        exact: a variant spelling of a known key is a different key.
        new: many new keys with contents known under other keys are intended.
    """

    exact: bool = False
    new: bool = False


class HeldBack(NamedTuple):
    """A row that waits for the end of the source, as its key may be a variant spelling of an
    earlier key."""

    row: int


class KeyCheck:
    """Rows that wait because of their keys, without taking up room.

    Args:
        bridge: begins them once they no longer need to wait.

    Attributes:
        probing: rows with new keys go to :meth:`probe`.
        released: rows that waited and are to be begun now.
    """

    def __init__(self, bridge: JournalBridge[Any]) -> None:
        self._bridge = bridge
        self.probing = False
        self._doubtful = False
        self._new: list[tuple[InFlightRow[Any], bytes]] = []
        self._held_back: list[InFlightRow[Any]] = []
        self.released: deque[InFlightRow[Any]] = deque()

    def hold_back(self, row: InFlightRow[Any], number: int) -> bool:
        """Let a row wait for the end of the source; returns whether there is room for it."""
        if len(self._held_back) >= _HELD_BACK:
            return False
        row.value = HeldBack(number)
        self._held_back.append(row)
        self._bridge.set_aside()
        return True

    def probe(self, row: InFlightRow[Any], digest: bytes) -> None:
        """Collect the first rows with new keys, to see whether many of their contents are known
        under other keys. None of them is sent before that is decided."""
        bridge = self._bridge
        if self._doubtful:
            bridge.give_up(row)
            return
        if not self.probing:  # decided meanwhile
            bridge.begin(row)
            return
        self._new.append((row, digest))
        if len(self._new) > PROBED:
            return  # it keeps its room, so no more are read until the answer comes
        bridge.set_aside()
        if len(self._new) == PROBED:
            try:
                bridge.journal.call_soon(self._comparison(), self._has_compared)
            except JournalError as error:
                self._doubtful = True
                bridge.stop_push(error)

    def _comparison(self) -> Callable[[Session], int]:
        digests = [digest for _, digest in self._new]
        return lambda session: session.with_other_keys(digests)

    def _has_compared(self, answer: asyncio.Future[int]) -> None:
        problem: BaseException | None
        try:
            problem = self._doubt_of(answer.result())
        except (asyncio.CancelledError, HelpdeskError) as error:
            problem = error
        rows = [row for row, _ in self._new]
        if problem is None:
            self.probing = False
            self._new.clear()
            self.released.extend(rows)
            for _ in rows[PROBED:]:
                self._bridge.set_aside()
            return
        self._doubtful = True
        del self._new[PROBED:]
        if isinstance(problem, HelpdeskError):
            self._bridge.stop_push(problem)
        for row in rows[PROBED:]:
            self._bridge.give_up(row)

    def _doubt_of(self, known: int) -> ConfirmationNeededError | None:
        """Why the new rows must not be sent; ``None`` if they may be."""
        if known <= SUSPICIOUS:
            return None
        return ConfirmationNeededError(
            f"the push stopped before it sent any row with a new key: {known} of the first "
            f"{len(self._new)} such rows match rows recorded under other keys, as if the keys had "
            "been changed",
            next_step="Use the previous keys. If these rows are new tickets, push with "
            "new_keys=True (--new-keys on the command line).",
        )

    async def rest(self) -> AsyncIterator[InFlightRow[Any]]:
        """The rows that waited, once the source has ended and all others have begun."""
        journal = self._bridge.journal
        await journal.call(lambda session: None)  # what came before has been looked up then
        if self._new and not self._doubtful:
            problem = self._doubt_of(await journal.call(self._comparison()))
            if problem is not None:
                self._doubtful = True
                self._bridge.stop_push(problem)
                await asyncio.sleep(0)  # which resumes whoever waits for one of these rows
                return
            self.probing = False
            while self._new:
                yield self._new.pop(0)[0]
            await journal.call(lambda session: None)
        while self._held_back:
            yield self._held_back.pop(0)

    @property
    def stopped(self) -> bool:
        """Whether the push must stop: the new keys need confirmation."""
        return self._doubtful

    @property
    def waiting(self) -> int:
        """How many rows wait."""
        return len(self.released) + len(self._new) + len(self._held_back)

    def left(self) -> list[InFlightRow[Any]]:
        """The rows that still wait and will not be sent."""
        rows = [*self.released, *(row for row, _ in self._new), *self._held_back]
        self.released.clear()
        self._new.clear()
        self._held_back.clear()
        return rows


def refusal_of(row: InFlightRow[Any], known: Decision, **call: Any) -> HelpdeskError | None:
    """Why a known row is refused; ``None`` if it is only skipped.

    Args:
        row: the row.
        known: what the journal knows.
        call: the call for the error: service, operation, effect.
    """
    if known.action == "clash":
        where = "" if row.line is None else f"line {row.line}: "
        return InvalidInputError(f"{where}{known.words}", next_step=_CLASH, **call)
    if known.action in _OUT_OF_ORDER:
        words, next_step = _OUT_OF_ORDER[known.action]
        return ConflictError(words, next_step=next_step, **call)
    return None


_OUT_OF_ORDER = {
    "changed": (
        "this row was pushed before with other content, and is in the helpdesk",
        "Change the ticket there, or give the row a key of its own if it is another ticket.",
    ),
    "renamed": (
        "an earlier run of this journal had a row with this content, but only one of the two has "
        "a key",
        "Use the same keys as before; or, if this is a different row, use another journal.",
    ),
    "respelled": (
        "its key is a variant spelling of an earlier key, whose row may be in the helpdesk",
        "Use the previous spelling. If this is a new ticket, push with keys_exact=True "
        "(--keys-exact on the command line).",
    ),
    "held": (
        "its key, like too many others in this push, is a variant spelling of an earlier key",
        "Use the previous spelling. If these are new tickets, push with keys_exact=True "
        "(--keys-exact on the command line).",
    ),
}
"""Rows that a journaled push refuses to send: the reason, and what to do. Never "not sent", which
would mean that sending them is safe."""


_CLASH = "Give it a key of its own if it is another ticket; else take it out of the source."
