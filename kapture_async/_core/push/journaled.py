"""Rows on their way through the journal: none is sent before its intent is on the disk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import ConflictError, HelpdeskError, InvalidInputError, JournalError
from ..journal.errors import same_again
from ..journal.records import Decision
from .journaling import JournalBridge
from .rows import InFlightRow, Row

if TYPE_CHECKING:
    from .push import Push

R = TypeVar("R")

_FARTHEST = 8.0
"""Rows ahead at most, for each request that may be out."""


_LOOKED_UP_AT_ONCE = 500
_GATHERING = 0.05
"""Seconds in which rows of a slow source are gathered before they are looked up."""


class JournaledFeed(Generic[R]):
    """Has rows written down ahead of the workers, so that no worker waits for the disk.

    What is ahead stays small, since after a crash each such row is in doubt: one for each request
    that may be out, and up to eight where workers would otherwise wait for the disk.

    Args:
        push: whose rows they are. Those that need no worker are finished there: known to the
            journal, refused, or left over.
        recorder: writes them down.
    """

    def __init__(self, push: Push[R], recorder: JournalBridge) -> None:
        self._push = push
        self._reader = push._reader
        self._looked_up: deque[InFlightRow[R]] = deque()
        self._reading: asyncio.Task[InFlightRow[R] | None] | None = None
        self._recorder = recorder
        self._throttle = push._throttle
        self._finish = push._end_alone
        self._ready: deque[InFlightRow[R]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._hungry = asyncio.Event()
        self._reach = 2.0
        self._starved = False
        self._low = 0
        """With so few rows ahead it is time for more."""
        self._begun = 0
        self._exhausted = False
        self._left = False

    async def run(self) -> None:
        """Read rows as they are needed; returns when there are no more."""
        reader, begin = self._reader, self._recorder.begin
        released = self._recorder.released
        try:
            while await self._throttle.wait_while_paused():
                most = self._most()
                for _ in range(most - self._ahead):
                    live: InFlightRow[R] | None
                    if released:
                        live = released.popleft()
                    elif self._looks_up:
                        live = await self._read_looked_up()
                    else:
                        live = reader.read_nowait() if reader.at_once else await reader.read()
                    if live is None:
                        if released:
                            break
                        return
                    self._begun += 1
                    begin(live)
                await self._push._wait_for_consumer()
                self._low = most // 2
                self._hungry.clear()
                more = not reader.over or self._looks_up or released
                if more and self._ahead > self._low:
                    await self._hungry.wait()
        finally:
            for live in await self._left_over():
                self._finish(live)
            self._exhausted = True
            self._tell_workers()

    def get_nowait(self) -> InFlightRow[R] | None:
        """See :class:`.rows.Feed`."""
        ready = self._ready
        if not ready:
            return None
        live = ready.popleft()
        if self._begun + len(ready) <= self._low:
            self._hungry.set()
        return live

    async def get(self) -> InFlightRow[R] | None:
        """See :class:`.rows.Feed`."""
        while True:
            live = self.get_nowait()
            if live is not None or (self._exhausted and not self._begun):
                return live
            self._starved = True
            await self._wait()

    def hold_slot(self, row: InFlightRow[R]) -> None:
        """See :class:`.rows.Feed`; what is written down may wait."""

    def stop(self) -> None:
        """No more rows are wanted. Those that are ready still go to the workers."""
        self._hungry.set()

    def set_aside(self) -> None:
        """A row waits for others, and needs no room meanwhile."""
        self._begun -= 1
        self._hungry.set()
        if self._exhausted:
            self._tell_workers()

    def leave(self) -> None:
        """No worker will take any more: finish what is ready, and what will be."""
        self._left = True
        for live in self._recorder.left():
            self._finish(live)
        while self._ready:
            self._finish(self._ready.popleft())

    def _most(self) -> int:
        """How many rows may be ahead: more if workers had to wait for one, else less and less."""
        if self._starved:
            self._starved = False
            self._reach = min(1.25 * self._reach, _FARTHEST)
        else:
            self._reach = max(0.98 * self._reach, 1.0)
        return max(2, int(self._reach * self._throttle.limit))

    @property
    def _ahead(self) -> int:
        return self._begun + len(self._ready)

    async def _wait(self) -> None:
        """Until there may be a row, or none any more."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._wake_one()  # pass the turn on to a worker that can take it
            raise

    def _wake_one(self) -> None:
        while self._idle:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def have_begun(self, lives: Sequence[InFlightRow[R]], problem: JournalError | None) -> None:
        """See :meth:`.JournalBridge.open`."""
        self._begun -= len(lives)
        for live in lives:
            if problem is not None:
                live.entry, live.last = None, same_again(problem)
            if live.entry is None or self._left:
                self._finish(live)
                self._hungry.set()
            else:
                self._ready.append(live)
                if self._idle:
                    self._wake_one()
        if self._exhausted:
            self._tell_workers()

    def _tell_workers(self) -> None:
        if not self._begun:
            for _ in range(len(self._idle)):
                self._wake_one()

    # --- rows that are looked up before they are written down -----------------------------------

    @property
    def _looks_up(self) -> bool:
        return bool(self._looked_up) or self._reading is not None or self._recorder.screens

    async def _read_looked_up(self) -> InFlightRow[R] | None:
        """The next row, or ``None`` when there are no more, or the push failed.

        Rows are read some at a time, and looked up: by an older copy of a journal, or compared
        with what other journals have sent.
        """
        if not self._looked_up:
            some: list[InFlightRow[R]] = []
            try:
                await self._gather(some)
                await self._recorder.screen(some)
            except HelpdeskError as error:
                self._push._fail(error, "rows could not be looked up before they are sent")
                return None
            finally:
                self._looked_up.extend(some)
        live = self._looked_up.popleft() if self._looked_up else None
        if not self._looked_up:
            self._recorder.all_begun.set()  # it is, before anybody who waits for it continues
        return live

    async def _left_over(self) -> list[InFlightRow[R]]:
        """Rows that were read and never written down."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            if not self._reading.cancelled() and self._reading.exception() is None:
                live = self._reading.result()
                self._looked_up.extend([] if live is None else [live])
            self._reading = None
        left = list(self._looked_up)
        self._looked_up.clear()
        self._recorder.all_begun.set()
        return left

    async def _gather(self, some: list[InFlightRow[R]]) -> None:
        reader = self._reader
        if reader.at_once:
            while len(some) < _LOOKED_UP_AT_ONCE and (live := reader.read_nowait()) is not None:
                some.append(live)
            return
        timeout: float | None = None
        while len(some) < _LOOKED_UP_AT_ONCE:
            if self._reading is None:
                self._reading = asyncio.create_task(reader.read())
            done, _ = await asyncio.wait({self._reading}, timeout=timeout)
            if not done:
                return
            task, self._reading = self._reading, None
            live = task.result()
            if live is None:
                return
            some.append(live)
            self._recorder.all_begun.clear()
            timeout = _GATHERING


def refusal_of(row: InFlightRow[Any], known: Decision, **call: Any) -> HelpdeskError | None:
    """Why a row that the journal knows in another form is refused; ``None`` if it is only skipped.

    Args:
        row: the row.
        known: what the journal knows.
        call: what the error says of the call: service, operation, effect.
    """
    if known.action == "clash":
        line = row.row.line if isinstance(row.row, Row) else None
        where = "" if line is None else f"line {line}: "
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
"""Rows that a journaled push refuses to send, why, and what to do. Never "not sent": that would
say that it is safe to send them."""


_CLASH = "Give it a key of its own if it is another ticket; else take it out of the source."
