"""A push that is repeated until nothing more can be done without a person: what was not sent is
sent again, and what is in doubt is looked up and, if it proves absent, sent again, too."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from attrs import frozen

from ..arguments import check_seconds
from ..errors import (
    ConnectError,
    HelpdeskError,
    JournalError,
    NotSentTimeoutError,
    OutcomeUnknownError,
    PushStoppedError,
    RateLimitedError,
)
from ..journal.reader import ReadJournal
from ..journal.records import Kind, State, goes_again, later_of
from ..reconcile.results import Reconciliation

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""Seconds between two passes without progress; they double."""
_FRUITLESS = 3
"""So many passes that were not stopped and made no progress: what is left is left, as each of its
rows has used up its own patience every time."""


@frozen(kw_only=True)
class UntilDone:
    """How a repeated push ended.

    Attributes:
        stopped: why it ended while a person is needed, or the service did not work for longer than
            its patience; ``None`` if every row is in the helpdesk, rejected, or listed in the
            journal as one for a person to resolve.
        passes: how often rows were pushed.
        lookups: how often doubts were looked up.
    """

    stopped: HelpdeskError | None = None
    passes: int = 0
    lookups: int = 0


@frozen
class WaitingToPush:
    """The service did not work, or other processes are at it; the next pass, or lookup, comes after
    so many seconds."""

    seconds: float
    because: HelpdeskError | None


async def push_until_done(
    journal: str | os.PathLike[str],
    push: Callable[[], Awaitable[HelpdeskError | None]],
    reconcile: Callable[[], Awaitable[Reconciliation]],
    *,
    patience: float = 3600.0,
    on_wait: Callable[[WaitingToPush], None] = lambda event: None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> UntilDone:
    """Push, settle, reconcile and resume, until every row is in the helpdesk, rejected, or listed
    in the journal for a person to resolve. Where other processes push with the journal, too, their
    rows are waited for: a process that dies leaves them in doubt.

    Rows that can be sent never wait for rows in doubt: all that is left of the source, and all
    that the journal can send, is pushed first; the settle time passes meanwhile, and the lookup
    comes when nothing else is left to do. Rows that the lookup proves absent are pushed by the next
    pass, whose tickets help the next lookup to prove more.

    Args:
        journal: the file. Nobody holds it open between two calls of ``push`` and ``reconcile``.
        push: one pass: pushes what is left of the source (the *same* iterator each time, continued
            where a stopped pass left it), and then what only the journal holds
            (``from_journal=True``). Returns why it stopped early, or ``None``. What may pass by
            itself (:attr:`.PushStoppedError.temporary`) is tried again; anything else ends this,
            an interruption by the user, too, for which any other error will do.
        reconcile: looks the doubts up, including the wait for the settle time.
        patience: the most seconds without any progress, waits included, while the service does not
            work.
        on_wait: told before each wait that is not a settle time.
        now: a monotonic clock, in seconds.
        sleep: waits.

    Returns:
        How it ended; where the rows are, the journal says.

    Raises:
        InvalidInputError: ``patience`` is not a time.
        JournalError: the journal cannot be read. It is safe to do the same again.
        Exception: whatever ``push`` raises; and ``reconcile``, unless the service could not be
            asked, which is tried again.
    """
    check_seconds("patience", patience)
    passes = lookups = fruitless = 0
    pause, progress_at, settled = _FIRST_PAUSE, now(), -1
    while True:
        stopped = await push()
        passes += 1
        left = await asyncio.to_thread(_left_in, journal)
        if stopped is not None and not _may_pass(stopped, left):
            break
        if left.settled != settled:
            settled, pause, progress_at, fruitless = left.settled, _FIRST_PAUSE, now(), 0
        elif stopped is None:
            fruitless += 1
        if stopped is None and (not left.sendable or fruitless >= _FRUITLESS):
            if not left.doubts:
                break
            try:
                found = await reconcile()
            except (
                OutcomeUnknownError,
                NotSentTimeoutError,
                ConnectError,
                RateLimitedError,
            ) as error:
                stopped = error
            except JournalError as error:
                if not left.others:
                    raise
                stopped = error  # another process looks doubts up just now
            else:
                lookups += 1
                if found.absent:
                    continue
                left = await asyncio.to_thread(_left_in, journal)
                if not (left.others and left.doubts):
                    break
        wait = pause if stopped is None else max(pause, stopped.retry_after or 0.0)
        if now() + wait - progress_at > patience:
            break
        on_wait(WaitingToPush(wait, stopped))
        await sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return UntilDone(stopped=stopped, passes=passes, lookups=lookups)


@frozen
class _Left:
    """How a journal stands: rows that are in the helpdesk; that need nothing more, or a person;
    that can be sent; and that are in doubt and were not yet looked up to the end, or in flight;
    and whether other processes push with it."""

    accepted: int
    settled: int
    sendable: int
    doubts: int
    others: bool


def _left_in(path: str | os.PathLike[str]) -> _Left:
    with ReadJournal.open_to_read(path) as journal:
        again, counts, sendable = later_of(journal.job.operation), journal.counts(), 0
        for reason in journal.reasons(State.NOT_SENT, State.REJECTED):
            if reason.kind is Kind.REJECTED:
                goes = goes_again(reason.error, reason.status, again)
            else:
                goes = not reason.never
            sendable += reason.rows if goes else 0
        others = bool(journal.writers())
    settled = counts.rows - sendable - counts.unknown
    return _Left(counts.accepted, settled, sendable, counts.unknown, others)


def _may_pass(stopped: HelpdeskError, left: _Left) -> bool:
    """Whether a push may be continued later without a person. An address that never took a row is
    wrong rather than down."""
    if not (isinstance(stopped, PushStoppedError) and stopped.temporary):
        return False
    return bool(left.accepted or stopped.retry_after)
