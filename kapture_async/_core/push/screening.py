"""Rows checked before they are recorded: looked up in the helpdesk if the journal is an older copy,
or compared with what other journals of this machine have sent."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import HelpdeskError, JournalError, NotSentError
from ..journal.reference import digest_of, reference_of
from ..reconcile.lookup import LookupMethods
from ..reconcile.restored import OtherJournals, PendingRow, RestoredSearch
from .keys import HeldBack
from .rows import Held, InFlightRow

if TYPE_CHECKING:
    from .journaling import JournalBridge

_AT_ONCE = 500
_GATHERING = 0.05
"""Seconds for which rows of a slow source are collected before they are looked up."""


class Screening:
    """Reads rows in groups, checks them, and returns them one by one.

    Args:
        bridge: what it reads for, with an open journal.

    Attributes:
        search: looks rows up in the helpdesk, for an older copy of a journal.
        all_begun: set while no row read from the source waits here.
    """

    def __init__(self, bridge: JournalBridge[Any]) -> None:
        self._bridge = bridge
        self.search: RestoredSearch | None = None
        self._others: OtherJournals | None = None
        self._equal: Counter[bytes] = Counter()
        self._looked_up: deque[InFlightRow[Any]] = deque()
        self._reading: asyncio.Task[InFlightRow[Any] | None] | None = None
        self.all_begun = asyncio.Event()
        self.all_begun.set()

    @property
    def needed(self) -> bool:
        """Whether the next row has to come from :meth:`read`."""
        waiting = self._looked_up or self._reading is not None
        return bool(waiting) or self.search is not None or self._others is not None

    async def open(self, methods: LookupMethods | None) -> None:
        """Find out which checks are needed.

        Args:
            methods: how rows are looked up; ``None`` if they cannot be.

        Raises:
            JournalError: it is an older copy, and rows cannot be looked up.
            HelpdeskError: the helpdesk could not be queried.
        """
        journal, settings = self._bridge.journal, self._bridge.settings
        if journal.restored is None:
            if not (journal.counts.rows or settings.new_journal):
                self._others = await asyncio.to_thread(OtherJournals.of, journal.job, journal.path)
            return
        if methods is None:
            raise JournalError(
                f"the journal {journal.path!r} is an older copy, and its rows carry no "
                "reference by which to look them up before sending",
                next_step="Use the newest copy of the journal. Without one, check in the helpdesk "
                "which rows are there, and push only the others, with a new journal.",
            )
        self._bridge.notice(
            "this journal is an older copy: it does not know what was sent later, so each row is "
            "looked up before it is sent"
        )
        longest = self._bridge.codec.job.longest_call
        search = RestoredSearch(journal, methods, longest=longest)
        await search.begin()
        self.search = search

    async def read(self) -> InFlightRow[Any] | None:
        """The next row, or ``None`` when there are no more, or the push failed."""
        if not self._looked_up:
            some: list[InFlightRow[Any]] = []
            try:
                await self._gather(some)
                await self.look_at(some)
            except HelpdeskError as error:
                words = "rows could not be looked up before they are sent"
                self._bridge.stop_push(error, words)
                return None
            finally:
                self._looked_up.extend(some)
        row = self._looked_up.popleft() if self._looked_up else None
        if not self._looked_up:
            self.all_begun.set()  # the row is begun before any waiter resumes
        return row

    async def _gather(self, some: list[InFlightRow[Any]]) -> None:
        reader = self._bridge.reader
        if reader.at_once:
            while len(some) < _AT_ONCE and (row := reader.read_nowait()) is not None:
                some.append(row)
            return
        timeout: float | None = None
        while len(some) < _AT_ONCE:
            if self._reading is None:
                self._reading = asyncio.create_task(reader.read())
            done, _ = await asyncio.wait({self._reading}, timeout=timeout)
            if not done:
                return
            task, self._reading = self._reading, None
            row = task.result()
            if row is None:
                return
            some.append(row)
            self.all_begun.clear()
            timeout = _GATHERING

    async def look_at(self, rows: Sequence[InFlightRow[Any]]) -> None:
        """Check rows before they are begun.

        Raises:
            ConfirmationNeededError: these rows were already sent with another journal.
            HelpdeskError: they could not be looked up.
        """
        wanted: list[PendingRow] = []
        which: list[InFlightRow[Any]] = []
        held = await self._held_back(rows)
        for row in rows:
            pending = held.get(row) or self._pending(row)
            if pending is not None:
                wanted.append(pending)
                which.append(row)
        if self.search is not None:
            for row, found in zip(which, await self.search.look_up(wanted), strict=True):
                row.found = found
        if self._others is not None:
            digests = [digest_of(pending.payload) for pending in wanted]
            if self._others.compare(digests, ended=not rows):
                self._others = None

    async def _held_back(
        self, rows: Sequence[InFlightRow[Any]]
    ) -> dict[InFlightRow[Any], PendingRow]:
        """The rows that waited for the end of the source and were not found by their own
        references, with the references to send them under, which may be those of earlier rows."""
        held = [row for row in rows if isinstance(row.value, HeldBack) and row.found is None]
        if not held:
            return {}
        numbers = [row.value.row for row in held]
        references = await self._bridge.journal.call(lambda session: session.goes_as(numbers))
        pack = self._bridge.codec.pack
        return {
            row: PendingRow(row.own_key, row.line, reference, pack(row.ready))
            for row, reference in zip(held, references, strict=True)
        }

    def _pending(self, row: InFlightRow[Any]) -> PendingRow | None:
        """A row as it would be sent; ``None`` if it cannot be, which the bridge then reports."""
        value, codec, job_id = row.value, self._bridge.codec, self._bridge.journal.job.job_id
        if isinstance(value, Held):
            return PendingRow(row.key, row.line, value.reference, value.payload)
        if row.problem is not None or isinstance(value, HeldBack):
            return None
        try:
            packed = codec.pack(codec.ready(value))
            key, digest = row.own_key, digest_of(packed)
            if key is None:
                number = self._equal[digest]
                self._equal[digest] += 1
                reference = reference_of(job_id, None, digest, number)
            else:
                reference = reference_of(job_id, str.__str__(key), digest)
        except Exception:
            return None
        return PendingRow(key, row.line, reference, packed)

    def unsettled(self, row: InFlightRow[Any]) -> NotSentError | None:
        """Why a row cannot be sent yet, if another copy was used just now."""
        if row.found is None or row.found.kind != "unsettled":
            return None
        assert self.search is not None
        at = datetime.fromtimestamp(self.search.settled_at)
        return NotSentError(
            "a push with another copy of this journal was just interrupted; its last requests may "
            f"still arrive until {at:%H:%M:%S}",
            next_step=f"Push again after {at:%H:%M:%S}; no decision is needed before then.",
        )

    async def left_over(self) -> list[InFlightRow[Any]]:
        """Rows that were read and will no longer be begun."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            if not self._reading.cancelled() and self._reading.exception() is None:
                row = self._reading.result()
                self._looked_up.extend([] if row is None else [row])
            self._reading = None
        left = list(self._looked_up)
        self._looked_up.clear()
        self.all_begun.set()
        return left

    async def aclose(self) -> None:
        """Record the end of the search, while the journal is still open."""
        if self.search is not None and self._bridge.journal.broken is None:
            with suppress(JournalError):  # it reports that when it is opened again
                await self.search.end()
