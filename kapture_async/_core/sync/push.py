"""The blocking counterpart of a push.

The push itself runs wholly inside the private loop. The caller's thread keeps two things: it
draws the rows from the source, since a source may be bound to its thread (a database cursor
is), and it reads the outcomes. Each crossing hands over a batch of both.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..errors import InvalidInputError, PushStoppedError
from ..outcome import AnyOutcome
from ..pull.arrow import ArrowStream, is_frame
from ..push.counts import Failures, PushCounts, PushReport
from ..push.push import Push
from .portal import Portal

R = TypeVar("R")

_ROWS_AT_ONCE = 256
"""Rows handed over ahead of the workers; bounds memory, and how much a crash leaves unsent."""
_SECONDS_AT_ONCE = 0.02
"""A source slower than this hands over what it has: finished outcomes should not wait for it."""


class _Feed:
    """The async end of a source that is drawn from in another thread."""

    def __init__(self) -> None:
        self._rows: deque[Any] = deque()
        self._ended = False
        self._filled = asyncio.Event()
        self.on_hungry: Callable[[], None] = lambda: None

    @property
    def hungry(self) -> bool:
        """Whether it should be filled up."""
        return not self._ended and len(self._rows) <= _ROWS_AT_ONCE // 2

    @property
    def room(self) -> int:
        """How many rows it takes now."""
        return 0 if self._ended else _ROWS_AT_ONCE - len(self._rows)

    def put(self, rows: list[Any], *, ended: bool) -> None:
        """Add rows, and say whether they were the last."""
        self._rows.extend(rows)
        self._ended = self._ended or ended
        self._filled.set()

    def drain(self) -> list[Any]:
        """The rows that were not taken."""
        rows = list(self._rows)
        self._rows.clear()
        self._ended = True
        return rows

    def __aiter__(self) -> _Feed:
        return self

    async def __anext__(self) -> Any:
        while not self._rows:
            if self._ended:
                raise StopAsyncIteration
            self._filled.clear()
            self.on_hungry()
            await self._filled.wait()
        row = self._rows.popleft()
        if len(self._rows) == _ROWS_AT_ONCE // 2:
            self.on_hungry()
        return row


class SyncPush(Generic[R]):
    """A running push for blocking code: a context manager, and in it an iterator over outcomes.

    ::

        with client.tickets.push(rows) as outcomes:
            for outcome in outcomes:
                print(outcome.key, outcome.name, outcome.ticket_id, outcome.reason)

    Or in one call: ``client.tickets.push(rows).all()`` gives all outcomes, and ``.run()`` only
    counts them.

    Like the async one in all else: outcomes come as they finish; leaving early, by ``break``
    or by an error, takes no further rows and waits for those in flight; :meth:`unread` gives
    what finished and was not read. Ctrl-C does the same; a second one cuts off what is in
    flight, and each such row is reported ``Unknown`` or ``NotSent``. Leaving it normally without
    having asked for a single outcome pushes all rows, as :meth:`run` does; :meth:`unread` then
    gives the failures.

    The source is drawn from in the calling thread, up to 256 rows ahead of the workers. What was
    drawn and not taken when a push is left early is reported ``NotSent``. (A data frame is read in
    the client's own thread, as its rows are due.)
    """

    __module__ = "kapture_async"  # also where support_async shows it

    def __init__(
        self, portal: Portal, make: Callable[[Any], Push[R]], source: Iterable[Any] | ArrowStream
    ) -> None:
        if isinstance(source, AsyncIterable) and not isinstance(source, Iterable):
            raise InvalidInputError("the sync client takes a plain iterable, not an async one")
        self._portal = portal
        self._feed = _Feed()
        frame = is_frame(source)  # bound to no thread
        self._push = make(source if frame else self._feed)
        self._feed.on_hungry = self._push.wake
        # Only now: a source that is refused above is left as it was.
        self._source = iter(() if frame else _checked(source))
        self._source_ended = frame
        self._source_error: Exception | None = None
        # Kept here and not in variables, so that nothing is lost when Ctrl-C strikes in between.
        self._drawn: list[Any] = []
        self._ready: deque[AnyOutcome[R]] = deque()
        self._entered = self._asked_for = False

    def __repr__(self) -> str:
        return repr(self._push).replace("<Push", "<SyncPush", 1)

    @property
    def counts(self) -> PushCounts:
        """How many rows so far, by outcome."""
        return self._push.counts

    @property
    def stop_reason(self) -> str | None:
        """Why no more rows are taken, if the push was stopped before its source ended."""
        return self._push.stop_reason

    def all(self) -> list[AnyOutcome[R]]:
        """Push all rows, and give their outcomes, in the order they ended.

        All are in memory then; for very many rows, iterate or :meth:`run`. Inside ``with`` it
        gives those that were not read yet.

        Raises:
            PushStoppedError: the push stopped early; its ``outcomes`` are those of the rows that
                were taken.
            JournalError: the journal cannot be used. Nothing was sent.
            Exception: what the source raised. :meth:`unread` of this push gives the outcomes.
        """
        outcomes: list[AnyOutcome[R]] = []
        self._consume(outcomes, outcomes.extend)
        return outcomes

    def run(self) -> PushReport:
        """Push all rows, and count the outcomes. Memory stays flat.

        Returns:
            The counts, with the rows that were not accepted.

        Raises:
            PushStoppedError: the push stopped early; :attr:`counts` has the counts, and the
                ``outcomes`` of the error are those of rows that were not accepted.
            JournalError: the journal cannot be used. Nothing was sent.
            Exception: what the source raised. :meth:`unread` of this push gives the failures.
        """
        failures, began = Failures(), time.monotonic()
        self._consume(failures, failures.add)
        return failures.report(self.counts, time.monotonic() - began)

    def _consume(
        self, kept: Sequence[AnyOutcome[R]], keep: Callable[[Iterable[AnyOutcome[R]]], object]
    ) -> None:
        """Push to the end; if that fails, what was kept is unread again."""
        self._push.check_not_left()
        try:
            if self._entered:
                self._read_all(keep)
            else:
                with self:
                    self._read_all(keep)
        except BaseException as error:
            self._ready.extendleft(reversed(kept))
            self._ready.extend(self._push.unread())
            if isinstance(error, PushStoppedError):
                error.outcomes = tuple(self._ready)
            raise

    def _read_all(self, keep: Callable[[Iterable[AnyOutcome[R]]], object]) -> None:
        for outcome in self:
            keep((outcome,))

    def stop(self, reason: str = "stopped by the caller") -> None:
        """Take no further rows. What is in flight finishes, and its outcomes still come."""
        self._portal.call(self._stop(reason))

    def unread(self) -> list[AnyOutcome[R]]:
        """Outcomes that finished and were not read from the iterator; each is given once."""
        self._ready.extend(self._push.unread())
        left = []
        while self._ready:
            left.append(self._ready.popleft())
        return left

    def __enter__(self) -> SyncPush[R]:
        self._portal.call(self._push.__aenter__())
        self._entered = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None and not self._asked_for and self._push.stop_reason is None:
            failures = Failures()
            try:
                self._consume(failures, failures.add)
            except BaseException as error:
                self._portal.call(self._leave(error))
                raise
            self._ready.extend(failures)
        self._portal.call(self._leave(exc))

    def __iter__(self) -> Iterator[AnyOutcome[R]]:
        """The outcomes as they finish.

        Raises:
            PushStoppedError: after the last outcome: the push stopped early.
            Exception: after the last outcome: what the source raised.
        """
        finished, self._asked_for = False, True
        while not finished:
            while self._ready:
                yield self._ready.popleft()
            self._draw()
            finished = self._portal.call(self._exchange())
        if self._source_error is not None:
            error, self._source_error = self._source_error, None
            raise error

    def _draw(self) -> None:
        """Take rows from the source, in the caller's thread; its error is kept until the end."""
        room = self._feed.room
        deadline = time.monotonic() + _SECONDS_AT_ONCE
        while len(self._drawn) < room and not self._source_ended:
            try:
                self._drawn.append(next(self._source))
            except StopIteration:
                self._source_ended = True
            except Exception as error:
                error.add_note(
                    "raised by the source of the push; every row taken before has its outcome"
                )
                self._source_error = error
                self._source_ended = True
            if time.monotonic() > deadline:
                break

    async def _exchange(self) -> bool:
        """Hand over what was drawn, and wait for outcomes; True at the end of the push."""
        rows, self._drawn = self._drawn, []
        self._feed.put(rows, ended=self._source_ended)
        while not (batch := self._push.unread()):
            if self._feed.hungry and self._push.stop_reason is None:
                return False
            if await self._push.wait_for_change():
                return True
        self._ready.extend(batch)
        return False

    async def _leave(self, exc: BaseException | None) -> None:
        try:
            await self._push.leave(exc)
        finally:
            rows, self._drawn = self._drawn, []
            self._push.report_unsent([*self._feed.drain(), *rows])

    async def _stop(self, reason: str) -> None:
        self._push.stop(reason)


def _checked(source: Any) -> Iterable[Any]:
    if isinstance(source, (str, bytes, dict)) or not isinstance(source, Iterable):
        raise InvalidInputError(
            f"a push takes an iterable of rows, not a single {type(source).__name__}"
        )
    return source
