"""An export: rows into a file, once or again and again, each run with what is new since the last.

The service lists tickets by the day of their creation, and knows no "changed since". So a run
begins some days before the newest ticket that the runs before have seen (by the service's own
data; the clock of this machine decides nothing), reads those days once more, and leaves out what
was handed out before, by id. What is listed later than that, at an older day, is missed: that is
what the overlap is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from attrs import field, frozen

from ..errors import HelpdeskError, InvalidInputError
from .arriving import content_digest
from .output import Output
from .pages import Pages, compact, days_between
from .sinks import Format, Shape, Sink, sink_for
from .state import Memory, State

T = TypeVar("T")
R = TypeVar("R")

OVERLAP: Final = 1
_ROWS_AT_ONCE = 32
"""Handed to the thread together, at least: each hand-over costs a switch of threads, and rows that
live long cost the garbage collector's time."""


@frozen
class ExportProgress:
    """How far an export is.

    Attributes:
        day: the day that is being read, as ``YYYY-MM-DD``.
        number: which one of ``days`` it is, from 1.
        days: how many there are.
        rows: rows written so far.
    """

    day: str
    number: int
    days: int
    rows: int


PullObserver = Callable[[ExportProgress], None]
"""Called in the event loop, synchronously: it must not block. What it raises ends the export."""


@frozen(kw_only=True)
class Exported:
    """What an export has written.

    Attributes:
        path: where it is.
        rows: rows in it.
        changed: how many of them were in an earlier output, with another content.
        days: days that were read.
        newest: the newest creation that any run has seen; ``None`` without a state, or where no
            ticket was seen.
        short: days of which the service gave fewer tickets than it said there are: where it
            limits its answers, it says so nowhere else. What is missing is in no output.
    """

    path: str
    rows: int
    changed: int = 0
    days: int
    newest: str | None = None
    short: tuple[str, ...] = ()


@frozen(kw_only=True)
class Export(Generic[T]):
    """What an export reads and how.

    Attributes:
        pages: the pages of some days, each day a window named ``YYYY-MM-DD``.
        shape: what the files look like.
        id_of: a row's id.
        content_of: the row as the service sent it.
        created_at: when the ticket was created.
        is_open: whether its content may still change.
        today: the day of now in the service's zone.
        on_progress: told of every block of rows.
    """

    pages: Callable[[list[str]], Pages[T]]
    shape: Shape
    id_of: Callable[[T], str | None]
    content_of: Callable[[T], Any]
    created_at: Callable[[T], datetime | None]
    is_open: Callable[[T], bool]
    today: Callable[[], date]
    on_progress: Callable[[ExportProgress], None] | None = field(default=None)

    async def once(self, output: Output, format_: Format, start: date, end: date) -> Exported:
        """Write the rows of some days.

        Raises:
            HelpdeskError: a pull failed; nothing was written under the name of the output.
            OSError: the disk failed; the same.
        """
        days = [day.isoformat() for day in days_between(start, end)]
        with OneThread() as settled:
            try:
                written, short = await self._write(
                    settled, output, format_, days, lambda rows, _: rows
                )
                await settled(output.publish)
            finally:
                await settled(output.discard)
        return Exported(path=output.target, rows=written, days=len(days), short=short)

    async def since_last(
        self,
        state: State,
        output: Output,
        format_: Format,
        *,
        start: date | None,
        end: date | None,
        overlap: int = OVERLAP,
        recheck_open: bool = False,
    ) -> Exported:
        """Write what is new since the last run with this state.

        Args:
            state: the state, not entered.
            output: where to.
            format_: in which form.
            start: the first day of all; needed by the first run.
            end: the last day; by default as far as there are tickets.
            overlap: days before the newest known ticket that are read once more.
            recheck_open: read the days of tickets that were open when they were last handed
                out, too, and write those whose content has changed.

        Raises:
            StateError: the state cannot be used.
            InvalidInputError: the first run has no start, or a later one another start.
            HelpdeskError: a pull failed: the run has not happened.
            OSError: the disk failed; the same.
        """
        with OneThread() as settled:
            await settled(state.__enter__)
            try:
                memory = self._memory(state, start, output)
                run = Run(self, memory, overlap=overlap, recheck_open=recheck_open)
                days = run.days(self._last_day(memory, end))
                try:
                    await settled(state.begin, memory, output)
                    written, short = await self._write(settled, output, format_, days, run.chosen)
                    run.remember(written)
                except BaseException:
                    await settled(output.discard)
                    raise
                # What goes wrong from here on may have happened; the next run knows.
                await settled(state.commit, memory, output)
            finally:
                await settled(state.__exit__, None, None, None)
        return Exported(
            path=output.target,
            rows=written,
            changed=run.changed,
            days=len(days),
            newest=memory.newest_moment or memory.newest,
            short=short,
        )

    def _memory(self, state: State, start: date | None, output: Output) -> Memory:
        memory = state.memory
        if output.target == state.path:
            raise InvalidInputError("the output and the state are the same file")
        if memory is None:
            if start is None:
                raise InvalidInputError(
                    "the first run with a state needs to know where to begin",
                    next_step="Give the first day (--from DAY); later runs know by themselves.",
                )
            first = start.isoformat()
            return state.new(first)
        if start is not None and start.isoformat() != memory.start:
            raise InvalidInputError(
                f"this state begins with {memory.start}, and not with {start}",
                next_step="Leave the first day out, or begin a new state.",
            )
        return memory

    def _last_day(self, memory: Memory, end: date | None) -> date:
        """How far to look: beyond today, and beyond the newest ticket, should the clock be slow."""
        if end is not None:
            return end
        newest = date.fromisoformat(memory.newest or memory.start)
        return max(self.today(), newest) + timedelta(days=1)

    async def _write(
        self,
        settled: OneThread,
        output: Output,
        format_: Format,
        days: list[str],
        chosen: Callable[[list[T], str], list[T]],
    ) -> tuple[int, tuple[str, ...]]:
        """Write the chosen rows of some days into the hidden file, and close it."""
        written = 0
        sink = await settled(self._sink, output, format_)
        numbers = {day: number for number, day in enumerate(days, 1)}
        waiting: list[T] = []
        async with self.pages(days) as pages:
            while (rows := await _next(pages)) is not None:
                new = chosen(rows, pages.window)
                written += len(new)
                waiting += new
                if len(waiting) >= _ROWS_AT_ONCE:
                    await settled(sink.put, waiting)
                    waiting = []
                if self.on_progress is not None:
                    day = pages.window
                    self.on_progress(ExportProgress(day, numbers[day], len(days), written))
            short = pages.short
        await settled(_finish, sink, waiting, output)
        return written, short

    def _sink(self, output: Output, format_: Format) -> Sink:
        output.begin()
        return sink_for(format_, output.file, self.shape)


class OneThread:
    """A thread for all that blocks: the same one each time, as each has memory of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="export")

    async def __call__(self, act: Callable[..., R], *args: Any) -> R:
        """Call something there. A cancellation waits until the thread is done with it."""
        call = asyncio.get_running_loop().run_in_executor(self._pool, act, *args)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait({call})
            if not call.cancelled():
                call.exception()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False)


async def _next(pages: Pages[T]) -> list[T] | None:
    try:
        return await pages.next_rows()
    except HelpdeskError as error:
        error.add_note("the export has written nothing; rows that came before are in no file")
        raise


def _finish(sink: Sink, rows: list[Any], output: Output) -> None:
    if rows:
        sink.put(rows)
    sink.finish()
    output.seal()


class Run(Generic[T]):
    """One run of an incremental export: which days, which rows, and what to remember.

    Args:
        export: what the rows are.
        memory: what the runs before remember; changed by :meth:`remember`.
        overlap, recheck_open: see :meth:`Export.since_last`.
    """

    def __init__(
        self, export: Export[T], memory: Memory, *, overlap: int, recheck_open: bool
    ) -> None:
        if overlap < 0:
            raise InvalidInputError("overlap must be 0 or more days")
        self._export = export
        self._memory = memory
        self._overlap = timedelta(days=overlap)
        self._recheck_open = recheck_open
        self.changed = 0
        self._first = self._first_day()
        self._ids: dict[str, set[int | str]] = {
            day: set(map(compact, ids)) for day, ids in memory.ids.items()
        }
        self._names: dict[str, list[str]] = {day: list(ids) for day, ids in memory.ids.items()}
        self._open = {day: dict(tickets) for day, tickets in memory.open.items()}
        self._newest = memory.newest
        self._moment = memory.newest_moment

    def days(self, last: date) -> list[str]:
        """The days to read: those of open tickets, if they are looked at again; then the new."""
        new: Iterable[date] = days_between(self._first, last) if last >= self._first else ()
        days = {day.isoformat() for day in new}
        if self._recheck_open:
            days |= {day for day, tickets in self._open.items() if tickets}
        return sorted(days)

    def chosen(self, rows: list[T], day: str) -> list[T]:
        """Of the rows of a day, those that belong into the output."""
        export = self._export
        chosen = []
        for row in rows:
            name = export.id_of(row) or f"#{content_digest(export.content_of(row)).hex()}"
            known = self._known_open(name, day)
            if known is not None:
                digest = self._digest(row)
                if not self._recheck_open or digest == known:
                    continue
                self.changed += 1
            elif day < self._memory.kept_from or self._is_known(name):
                continue  # handed out by an earlier run
            else:
                self._note(name, day)
                digest = ""
            chosen.append(row)
            self._note_open(row, name, day, digest)
        if rows and day >= self._first.isoformat():
            self._move_on(rows, day)
        return chosen

    def remember(self, written: int) -> None:
        """Put what is known now into the memory."""
        memory = self._memory
        first = self._kept_from()
        memory.ids = {day: ids for day, ids in self._names.items() if day >= first}
        memory.open = {day: tickets for day, tickets in self._open.items() if tickets}
        memory.newest, memory.newest_moment = self._newest, self._moment
        memory.kept_from = first
        memory.rows += written
        memory.runs += 1

    # --- below: no public names -----------------------------------------------------------------

    def _first_day(self) -> date:
        memory = self._memory
        kept = date.fromisoformat(memory.kept_from)
        if memory.newest is None:
            return kept
        # Before that, nobody knows any more what was handed out.
        return max(kept, date.fromisoformat(memory.newest) - self._overlap)

    def _kept_from(self) -> str:
        kept = self._memory.kept_from
        if self._newest is None:
            return kept
        return max(kept, (date.fromisoformat(self._newest) - self._overlap).isoformat())

    def _is_known(self, name: str) -> bool:
        key = compact(name)
        return any(key in ids for ids in self._ids.values())

    def _note(self, name: str, day: str) -> None:
        self._ids.setdefault(day, set()).add(compact(name))
        self._names.setdefault(day, []).append(name)

    def _known_open(self, name: str, day: str) -> str | None:
        tickets = self._open.get(day)
        return None if tickets is None else tickets.get(name)

    def _note_open(self, row: T, name: str, day: str, digest: str) -> None:
        if self._export.is_open(row):
            self._open.setdefault(day, {})[name] = digest or self._digest(row)
        else:
            self._open.get(day, {}).pop(name, None)

    def _digest(self, row: T) -> str:
        return content_digest(self._export.content_of(row)).hex()

    def _move_on(self, rows: list[T], day: str) -> None:
        """Take notice of the newest ticket, and forget the ids of days that are over."""
        if self._newest is None or day > self._newest:
            self._newest = day
            first = self._kept_from()
            for old in [old for old in self._ids if old < first]:
                del self._ids[old], self._names[old]
        for row in rows:
            created = self._export.created_at(row)
            if created is None or created.date().isoformat() != day:
                continue  # what does not lie in its day proves nothing
            moment = created.isoformat()
            if self._moment is None or moment > self._moment:
                self._moment = moment
