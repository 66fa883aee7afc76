"""Creates that an agent may ask for again: by a reference of its own, with a journal behind them.

An agent that gets no answer asks again, and a helpdesk without idempotency keys then has two
tickets. So a create is a push of one row, whose key is the reference: what is in the helpdesk, or
may be, is never sent again. ``check`` looks up what may be.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from ..errors import (
    ConflictError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    NotSentError,
    PushStoppedError,
)
from ..journal.address import exists
from ..journal.reader import ReadJournal
from ..journal.records import RowView, State
from ..outcome import Accepted, NotSent, Outcome, Rejected
from ..push.rows import Row
from ..reconcile.evidence import ListedTicket, ListTickets
from ..reconcile.reconcile import settle_time
from ..reconcile.results import Reconciliation

Answer = dict[str, Any]

_MOST = 200
"""Characters of a reference."""
_PATIENCE = 10.0
"""Seconds to wait for a server that is down, and for a journal that another process uses."""
_CLOCKS = 3600.0
"""Seconds by which the service's clock may differ in a first look; a wrong one only finds less."""
_WAIT = 20.0
"""Seconds that a check waits for a lookup; MCP clients give up after a minute or so."""

_CREATED = "The ticket is in the helpdesk."
_UNKNOWN = (
    "The ticket may or may not exist. Do not create it under another reference. Call "
    "check_reference until it says created or not_sent; creating it again with this reference "
    "sends nothing while that is not known."
)
_SAFE = "It is not in the helpdesk. It is safe to create it again with the same reference."
_TAKEN = (
    "A ticket was created with this reference before, from other content; nothing was sent. If "
    "this is another case, give it a reference of its own; else update that ticket."
)
_PERSON = "A person must look, and say what happened: see the command `resolve`."
_OPEN = (
    "The lookup proved nothing yet. Check again after another ticket was created, or have a person "
    "look: see the command `resolve`."
)


class References:
    """Creates and checks by reference.

    Args:
        tickets: the client's tickets: its ``push`` and its ``reconcile``.
        journal: a file, or the URL of a PostgreSQL database. Server processes may share it; a file
            is used by one of them at a time.
        look: lists the tickets of a time, with the references in them.
        settle: seconds until a lookup of a lost answer may prove that there is no ticket; see
            ``reconcile``.
        longest: the most seconds that one call may take.
    """

    def __init__(
        self,
        tickets: Any,
        journal: str,
        *,
        look: ListTickets,
        settle: float | None,
        longest: float | None,
    ) -> None:
        self._tickets = tickets
        self._look = look
        self._journal = journal
        self._settle = settle_time(settle, longest)
        self._longest = longest or 0.0
        self._one = asyncio.Lock()
        self._lookup: asyncio.Task[Reconciliation] | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def create(self, reference: str, row: Any) -> Answer:
        """Create a ticket, unless one with the reference is there, or may be.

        It is finished once it has begun, also if the caller stops waiting.
        """
        _check(reference)
        task = asyncio.ensure_future(self._create(reference, row))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _create(self, reference: str, row: Any) -> Answer:
        async with self._one:
            try:
                outcome = await self._patiently(lambda: self._push(reference, row))
            except PushStoppedError as error:
                found = await self._find(reference)
                if found is not None and found.state is State.UNKNOWN:
                    return _of_row(found)
                return _answer("not_sent", reference, why=str(error), next=_SAFE)
            except NotSentError as error:  # the journal, or a row that cannot be sent
                return _answer("not_sent", reference, why=str(error))
        if outcome is None:  # an earlier create has settled it, or left it in doubt
            found = await self._find(reference)
            if found is None:
                return _answer("unknown", reference, next=_UNKNOWN)
            return {**await self._seen(found), "sent_now": False}
        if isinstance(outcome, Accepted):
            return _answer("created", reference, ticket_id=outcome.ticket_id, next=_CREATED)
        if isinstance(outcome, Rejected):
            if isinstance(outcome.error, ConflictError) and not outcome.attempts:
                found = await self._find(reference)
                ticket_id = None if found is None else found.ticket_id
                return _answer("rejected", reference, ticket_id=ticket_id, why=_TAKEN)
            return _answer("rejected", reference, why=outcome.reason)
        if isinstance(outcome, NotSent):
            return _answer("not_sent", reference, why=outcome.reason, next=_SAFE)
        return _answer("unknown", reference, why=outcome.reason, next=_UNKNOWN)

    async def _push(self, reference: str, row: Any) -> Outcome | None:
        push = self._tickets.push(
            [Row(row, key=reference)],
            journal=self._journal,
            keys_exact=True,
            patience=_PATIENCE,
            max_concurrency=1,
        )
        outcomes: list[Outcome] = await push.all()
        return outcomes[0] if outcomes else None

    async def _patiently(self, call: Callable[[], Any]) -> Any:
        """Wait a little for a journal that another process uses just now."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return await call()
            except JournalError as error:
                if "is using it" not in error.message or time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)

    async def check(self, reference: str) -> Answer:
        """What is known of a create, after looking it up if that is not known yet."""
        _check(reference)
        found = await self._find(reference)
        if found is None:
            return _answer(
                "never_asked",
                reference,
                next="No ticket was created with this reference by this journal.",
            )
        seen = await self._seen(found)
        if seen["outcome"] != "unknown" or found.state is not State.UNKNOWN:
            return seen
        wait = (found.sent_at or found.at) + self._settle + self._longest - time.time()
        if wait > 0 and self._lookup is None:
            return {
                **_of_row(found),
                "why": "the service may still be working on it",
                "check_again_in_seconds": max(1, round(wait)),
            }
        if self._lookup is None:
            self._lookup = asyncio.ensure_future(self._reconcile())
        lookup = self._lookup
        done, _ = await asyncio.wait([lookup], timeout=_WAIT)
        if not done:
            return {**_of_row(found), "why": "a lookup is under way", "check_again_in_seconds": 15}
        if self._lookup is lookup:
            self._lookup = None
        try:
            result = lookup.result()
        except HelpdeskError as error:
            return {**_of_row(found), "why": f"the lookup failed: {error}"}
        found = await self._find(reference) or found
        answer = _of_row(found)
        reasons = [row.reason for row in result.open if row.key == reference]
        return {**answer, "why": reasons[0], "next": _OPEN} if reasons else answer

    async def _seen(self, row: RowView) -> Answer:
        """What is known of a row. One in doubt is looked for: a ticket with its reference proves
        that it is there, at any time; that there is none proves nothing yet."""
        answer = _of_row(row)
        if row.state is not State.UNKNOWN:
            return answer
        ids: set[str | None] = set()
        try:
            async for ticket in self._look(
                (row.sent_at or row.at) - _CLOCKS, time.time() + _CLOCKS
            ):
                if isinstance(ticket, ListedTicket) and row.reference in ticket.references:
                    ids.add(ticket.ticket_id)
        except HelpdeskError as error:
            return {**answer, "why": f"the lookup failed: {error}"}
        if len(ids) != 1:
            return answer
        return _answer("created", answer["reference"], ticket_id=ids.pop(), next=_CREATED)

    async def _reconcile(self) -> Reconciliation:
        async with self._one:
            found: Reconciliation = await self._patiently(
                lambda: self._tickets.reconcile(self._journal, settle=self._settle)
            )
        return found

    async def _find(self, reference: str) -> RowView | None:
        return await asyncio.to_thread(self._read, reference)

    def _read(self, reference: str) -> RowView | None:
        if not exists(self._journal):
            return None
        with ReadJournal.open_to_read(self._journal) as journal:
            rows = journal.rows_in(*State)
            return next((row for row in rows if row.key == reference), None)

    async def aclose(self) -> None:
        """Finish what has begun, but wait for no lookup."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.wait([self._lookup])
        if self._running:
            await asyncio.wait(self._running)


def default_journal(folder: str, service: str, base_url: str) -> str:
    """Where the creates of all servers for one helpdesk are written down, if nothing else is said.

    Args:
        folder: the user's state directory.
        service: its name.
        base_url: its address.
    """
    where = "".join(one if one.isalnum() else "-" for one in base_url.partition("//")[2])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, f"mcp-{service}-{where.strip('-')}.journal")


def _check(reference: str) -> None:
    if not reference.strip() or len(reference) > _MOST or not reference.isprintable():
        raise InvalidInputError(
            f"a reference is 1 to {_MOST} printable characters",
            next_step="Take the order number, the message id, or another name of this very case.",
        )


def _of_row(row: RowView) -> Answer:
    """What a row of the journal says of its create."""
    reference = row.key or ""
    if row.state is State.ACCEPTED:
        return _answer("created", reference, ticket_id=row.ticket_id, next=_CREATED)
    if row.state is State.REJECTED:
        return _answer("rejected", reference, why=row.words or row.error or "")
    if row.state in (State.NOT_SENT, State.REPLACED):
        return _answer("not_sent", reference, why=row.words or "", next=_SAFE)
    if row.state is State.UNKNOWN:
        return _answer("unknown", reference, why=row.words or "", next=_UNKNOWN)
    return _answer("unknown", reference, why="several tickets may be it", next=_PERSON)


def _answer(outcome: str, reference: str, **more: Any) -> Answer:
    return {"outcome": outcome, "reference": reference, **{k: v for k, v in more.items() if v}}
