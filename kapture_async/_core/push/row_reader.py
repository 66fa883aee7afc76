"""Reads rows from the source, for any number of workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from ..errors import InvalidInputError
from ..transport.call_state import Semaphore
from .in_flight import InFlightRow
from .rows import Rows

R = TypeVar("R")

_READ_AHEAD = 8
"""Rows that are read ahead, so that a fresh one is there when it is due."""


class RowReader(Generic[R]):
    """Takes rows from the source until it ends, fails, or is no longer wanted.

    Args:
        rows: the source.
        key: gives a row's name.
        now: a monotonic clock.
        fail: told of what the source raised, and in words.
        cut_off: whether the push itself is being cancelled, and not something inside it.
    """

    def __init__(
        self,
        rows: Rows,
        key: Callable[[Any], str] | None,
        now: Callable[[], float],
        fail: Callable[[BaseException, str], None],
        cut_off: Callable[[], bool],
    ) -> None:
        self._rows = rows
        self._key = key
        self._now = now
        self._fail = fail
        self._cut_off = cut_off
        self._waiting: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self.taken = 0
        """Rows that came out of the source."""
        self.over = False
        """There will be no more."""
        self.exhausted = False
        """Because the source is at its end."""

    async def read(self) -> InFlightRow[R] | None:
        """The next row, or ``None`` when there are no more."""
        if self.at_once:
            return self.read_nowait()
        if self.over:
            return None
        try:
            row = await self._wait_for_one()
        except BaseException as error:
            self._ends(error)
            return None
        if isinstance(row, InFlightRow):  # it came before, and waited for the end of the source
            row.started = row.ended = self._now()
            return row
        return self._live(row)

    @property
    def at_once(self) -> bool:
        """Whether the source never blocks, so that :meth:`read_nowait` may be used."""
        return self._rows.at_once is not None

    def read_nowait(self) -> InFlightRow[R] | None:
        """:meth:`read` without waiting, which saves a coroutine per row."""
        rows = self._rows.at_once
        if self.over or rows is None:
            return None
        try:
            for row in rows:  # noqa: B007 - the next one
                break
            else:
                raise StopAsyncIteration
        except BaseException as error:
            self._ends(error)
            return None
        return self._live(row)

    def _live(self, row: Any) -> InFlightRow[R]:
        live: InFlightRow[R] = InFlightRow(self.taken, row, self._now())
        self.taken += 1
        if self._key is not None and live.key is None and live.problem is None:
            self._name(live)
        return live

    def _ends(self, error: BaseException) -> None:
        """The source gives no more; why, is told, unless it is simply at its end."""
        self.over = True
        if isinstance(error, StopAsyncIteration):
            self.exhausted = True
        elif isinstance(error, _Stopped):
            pass
        elif isinstance(error, Exception):
            error.add_note(
                f"raised by the source of the push after {self.taken} rows; every row taken "
                "before has its outcome"
            )
            self._fail(error, f"the source failed with {type(error).__name__}")
        else:
            raise error

    def stop(self) -> None:
        """Take no more. Workers that wait for the source, perhaps for ever, are cancelled."""
        self._stopped = self.over = True
        for worker in self._waiting:
            worker.cancel()

    async def _wait_for_one(self) -> Any:
        worker = asyncio.current_task()
        assert worker is not None
        self._waiting.add(worker)
        try:
            return await self._rows.take()
        except asyncio.CancelledError:
            if self._cut_off():
                raise
            if not self._stopped:
                raise RuntimeError("the source of the push was cancelled") from None
            worker.uncancel()
            raise _Stopped from None
        finally:
            self._waiting.discard(worker)

    def _name(self, live: InFlightRow[R]) -> None:
        assert self._key is not None
        try:
            key: Any = self._key(live.value)
        except Exception as error:
            words = f"key= failed on it with {type(error).__name__}"
            live.problem = InvalidInputError(words)
            return
        if isinstance(key, str):
            live.key = live.own_key = key
        elif isinstance(key, int) and not isinstance(key, bool):
            live.key = live.own_key = str(key)
        elif key is not None:  # 7 and 7.0 would be two rows, and "nan" one for many
            words = f"key= must give text or a whole number, not {type(key).__name__}"
            live.problem = InvalidInputError(words)


class Feed(Protocol[R]):
    """Where the workers of a push get their rows."""

    def get_nowait(self) -> InFlightRow[R] | None:
        """A row that is there already; ``None`` if :meth:`get` must be awaited."""
        ...

    async def get(self) -> InFlightRow[R] | None:
        """A row to be sent, or with its ``problem``; ``None`` when there are no more."""
        ...

    def hold_slot(self, live: InFlightRow[R]) -> None:
        """It has to wait for its turn."""
        ...


class DirectFeed(Generic[R]):
    """Rows straight from the source, a few ahead of their turn."""

    def __init__(self, reader: RowReader[R]) -> None:
        self._reader = reader
        self._at_once = reader.at_once
        self._ahead = Semaphore(_READ_AHEAD)

    def get_nowait(self) -> InFlightRow[R] | None:
        """See :class:`Feed`."""
        # Without a slot: nothing else runs before it has its turn or holds a slot.
        return self._reader.read_nowait() if self._at_once and self._ahead.free else None

    async def get(self) -> InFlightRow[R] | None:
        """See :class:`Feed`."""
        ahead = self._ahead
        await ahead.acquire()
        live = None
        try:
            live = await self._reader.read()
        finally:
            if live is None:
                ahead.release()
        if live is not None:
            live.slot = ahead
        return live

    def hold_slot(self, live: InFlightRow[R]) -> None:
        """See :class:`Feed`."""
        if live.slot is None:
            self._ahead.free -= 1
            live.slot = self._ahead


class _Stopped(Exception):
    """A worker's wait for a row was cancelled."""
