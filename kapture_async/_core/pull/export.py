"""Exports: pulled rows written to a file, once or incrementally with a watermark."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from attrs import field, frozen

from ..atomicfile import AtomicFile
from ..errors import HelpdeskError, InvalidInputError
from .pages import Pages, compact, days_between, expand
from .sinks import Format, Shape, Sink, sink_for
from .watermark import Watermark, WatermarkFile
from .window import content_digest

R = TypeVar("R")


class OneThread:
    """Runs blocking calls, one after another in the same thread."""

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


T = TypeVar("T")

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
        incomplete: days of which the service gave fewer tickets than it said there are: where it
            limits its answers, it says so nowhere else. What is missing is in no output. With a
            state, such days of earlier runs, too: each run reads them again until they are whole.
    """

    path: str
    rows: int
    changed: int = 0
    days: int
    newest: str | None = None
    incomplete: tuple[str, ...] = ()


@frozen(kw_only=True)
class Export(Generic[T]):
    """What an export reads and how.

    Attributes:
        pages: the pages of some days, each day a window named ``YYYY-MM-DD``.
        shape: what the files look like.
        id_of: a row's id.
        content_of: of a row as the service sent it, what does not change by itself with time.
        created_at: when the ticket was created.
        is_open: whether its content may still change.
        today: the day of now in the service's zone.
        on_progress: called for every block of rows.
    """

    pages: Callable[[list[str]], Pages[T]]
    shape: Shape
    id_of: Callable[[T], str | None]
    content_of: Callable[[T], Any]
    created_at: Callable[[T], datetime | None]
    is_open: Callable[[T], bool]
    today: Callable[[], date]
    on_progress: Callable[[ExportProgress], None] | None = field(default=None)

    async def once(self, output: AtomicFile, format_: Format, start: date, end: date) -> Exported:
        """Write the rows of some days.

        Raises:
            HelpdeskError: a pull failed; nothing was written under the name of the output.
            OSError: the disk failed; the same.
        """
        days = [day.isoformat() for day in days_between(start, end)]
        with OneThread() as settled:
            try:
                written, short = await self._write(settled, output, format_, days)
                await settled(output.publish)
            finally:
                await settled(output.discard)
        return Exported(path=output.target, rows=written, days=len(days), incomplete=short)

    async def since_last(
        self,
        state: WatermarkFile,
        output: AtomicFile,
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
            InvalidInputError: the first run has no start, or a later one another start; the
                output is the state, or would replace what an earlier run has written.
            HelpdeskError: a pull failed: the run has not happened.
            OSError: the disk failed; the same.
        """
        if output.overwrite:
            raise InvalidInputError(
                "an export with a state overwrites nothing: a file that is replaced may be the "
                "only one with the rows of an earlier run",
                next_step="Give each run a name of its own.",
            )
        if state.is_own(output.target):
            raise InvalidInputError(
                "the output and the state are the same file",
                next_step="Give each run's output a name of its own.",
            )
        with OneThread() as settled:
            await settled(state.__enter__)
            try:
                watermark = self._watermark(state, start)
                run = ExportRun(self, watermark, overlap=overlap, recheck_open=recheck_open)
                days = run.days(self._last_day(watermark, end))
                try:
                    output.keep_after_a_kill()
                    await settled(state.begin, watermark, output)
                    written, short = await self._write(settled, output, format_, days, run)
                    run.remember(written, short)
                except BaseException:
                    await settled(output.discard)
                    raise
                # What goes wrong from here on may have happened; the next run knows.
                await settled(
                    lambda: state.commit(
                        watermark, output, rows=written, first=min(days, default="")
                    )
                )
            finally:
                await settled(state.__exit__, None, None, None)
        return Exported(
            path=output.target,
            rows=written,
            changed=run.changed,
            days=len(days),
            newest=watermark.newest_moment or watermark.newest,
            incomplete=short,
        )

    def _watermark(self, state: WatermarkFile, start: date | None) -> Watermark:
        watermark = state.watermark
        if watermark is None or (watermark.runs == 0 and start is not None):
            if start is None:
                raise InvalidInputError(
                    "the first run with a state needs to know where to begin",
                    next_step="Give the first day (--from DAY); later runs know by themselves.",
                )
            first = start.isoformat()
            return state.new(first)
        if start is not None and start.isoformat() != watermark.start:
            raise InvalidInputError(
                f"this state begins with {watermark.start}, and not with {start}",
                next_step="Leave the first day out, or begin a new state.",
            )
        return watermark

    def _last_day(self, watermark: Watermark, end: date | None) -> date:
        """How far to look: beyond today, and beyond the newest ticket, should the clock be slow."""
        if end is not None:
            return end
        newest = date.fromisoformat(watermark.newest or watermark.start)
        return max(self.today(), newest) + timedelta(days=1)

    async def _write(
        self,
        settled: OneThread,
        output: AtomicFile,
        format_: Format,
        days: list[str],
        run: ExportRun[T] | None = None,
    ) -> tuple[int, tuple[str, ...]]:
        """Write the rows of some days, or what a run chooses, into the hidden file; close it."""
        written = 0
        sink = await settled(self._sink, output, format_)
        numbers = {day: number for number, day in enumerate(days, 1)}
        waiting: list[T] = []
        async with self.pages(days) as pages:
            pages.own = format_ == "jsonl"
            if run is not None:
                pages.on_repeats = run.repeated
            while (rows := await _next(pages)) is not None:
                new = rows if run is None else run.chosen(rows, pages.window, pages.incomplete)
                written += len(new)
                waiting += new
                if len(waiting) >= _ROWS_AT_ONCE:
                    await settled(sink.put, waiting)
                    waiting = []
                if self.on_progress is not None:
                    day = pages.window
                    self.on_progress(ExportProgress(day, numbers[day], len(days), written))
            short = pages.incomplete
        await settled(_finish, sink, waiting, output)
        return written, short

    def _sink(self, output: AtomicFile, format_: Format) -> Sink:
        output.begin()
        return sink_for(format_, output.file, self.shape)


async def _next(pages: Pages[T]) -> list[T] | None:
    try:
        return await pages.next_rows()
    except HelpdeskError as error:
        error.add_note("the export has written nothing; rows that came before are in no file")
        raise


def _finish(sink: Sink, rows: list[Any], output: AtomicFile) -> None:
    if rows:
        sink.put(rows)
    sink.finish()
    output.seal()


class ExportRun(Generic[T]):
    """One run of an incremental export: which days, which rows, and what to remember.

    Args:
        export: what the rows are.
        watermark: what the runs before remember; changed by :meth:`remember`.
        overlap, recheck_open: see :meth:`Export.since_last`.
    """

    def __init__(
        self, export: Export[T], watermark: Watermark, *, overlap: int, recheck_open: bool
    ) -> None:
        if overlap < 0:
            raise InvalidInputError("overlap must be 0 or more days")
        self._export = export
        self._watermark = watermark
        self._overlap = timedelta(days=overlap)
        self._recheck_open = recheck_open
        self._watching = recheck_open or watermark.recheck
        self.changed = 0
        self._first = self._first_day()
        self._day_of: dict[int | str, str] = {
            compact(name): day for day in sorted(watermark.ids) for name in watermark.ids[day]
        }
        self._open = {day: dict(tickets) for day, tickets in watermark.open.items()}
        self._newest = watermark.newest
        self._moment = watermark.newest_moment

    def days(self, last: date) -> list[str]:
        """The days to read: the new, short ones, and, if they are rechecked, of open tickets."""
        new: Iterable[date] = days_between(self._first, last) if last >= self._first else ()
        days = {day.isoformat() for day in new}.union(self._watermark.short)
        if self._recheck_open:
            days |= {day for day, tickets in self._open.items() if tickets}
        return sorted(days)

    def chosen(self, rows: list[T], day: str, short: tuple[str, ...] = ()) -> list[T]:
        """Of the rows of a day, those that belong into the output.

        Args:
            rows: some of them.
            day: the day that listed them.
            short: days before it that came short, in this run.
        """
        export = self._export
        chosen = []
        forgotten = day < self._watermark.kept_from and day not in self._watermark.short
        for row in rows:
            name = export.id_of(row) or f"#{content_digest(export.content_of(row)).hex()}"
            known = self._known_open(name, day)
            if known is not None:
                digest = self._digest(row)
                if not self._recheck_open or digest == known:
                    continue
                self.changed += 1
            elif forgotten or compact(name) in self._day_of:
                self._note(name, day)  # handed out by an earlier run
                self._watch_from_now(row, name, day)
                continue
            else:
                self._note(name, day)
                digest = ""
            chosen.append(row)
            self._note_open(row, name, day, digest)
        if rows and day >= self._first.isoformat():
            self._move_on(rows, day, short)
        return chosen

    def repeated(self, names: list[str], day: str) -> None:
        """Take notice of rows that this day has listed, too, and that were handed out before."""
        for name in names:
            self._note(name, day)

    def remember(self, written: int, short: tuple[str, ...]) -> None:
        """Put what is known now into the watermark.

        Args:
            written: rows in the output.
            short: days that came short, in this run.
        """
        watermark = self._watermark
        # What was handed out of other days is no longer known: they were whole when last read.
        watermark.short = [
            day for day in short if day >= watermark.kept_from or day in watermark.short
        ]
        self._forget(())
        watermark.ids = {}
        for key, day in self._day_of.items():
            watermark.ids.setdefault(day, []).append(expand(key))
        watermark.recheck = self._watching
        watermark.open = {day: tickets for day, tickets in self._open.items() if tickets}
        watermark.newest, watermark.newest_moment = self._newest, self._moment
        watermark.kept_from = self._kept_from()
        watermark.rows += written
        watermark.runs += 1

    # --- below: no public names -----------------------------------------------------------------

    def _first_day(self) -> date:
        watermark = self._watermark
        kept = date.fromisoformat(watermark.kept_from)
        if watermark.newest is None:
            return kept
        # What was handed out before that is no longer known.
        return max(kept, date.fromisoformat(watermark.newest) - self._overlap)

    def _kept_from(self) -> str:
        kept = self._watermark.kept_from
        if self._newest is None:
            return kept
        return max(kept, (date.fromisoformat(self._newest) - self._overlap).isoformat())

    def _note(self, name: str, day: str) -> None:
        """File an id under the latest day that has listed it: windows may share a midnight."""
        key = compact(name)
        self._day_of[key] = max(day, self._day_of.get(key, day))

    def _forget(self, short: tuple[str, ...]) -> None:
        """Forget the ids of days that are over: not of what may be read again, nor beside it."""
        first = _beside(self._kept_from(), -1)
        beside = {_beside(day, n) for day in (*self._watermark.short, *short) for n in (-1, 0, 1)}
        self._day_of = {
            key: day for key, day in self._day_of.items() if day >= first or day in beside
        }

    def _known_open(self, name: str, day: str) -> str | None:
        tickets = self._open.get(day)
        return None if tickets is None else tickets.get(name)

    def _note_open(self, row: T, name: str, day: str, digest: str) -> None:
        if not self._watching:
            return
        if self._export.is_open(row):
            self._open.setdefault(day, {})[name] = digest or self._digest(row)
        else:
            self._open.get(day, {}).pop(name, None)

    def _watch_from_now(self, row: T, name: str, day: str) -> None:
        """What was handed out before anybody asked to look again: as it is now, it is known."""
        if self._recheck_open and all(
            self._known_open(name, _beside(day, n)) is None for n in (-1, 1)
        ):
            self._note_open(row, name, day, "")

    def _digest(self, row: T) -> str:
        return content_digest(self._export.content_of(row)).hex()

    def _move_on(self, rows: list[T], day: str, short: tuple[str, ...]) -> None:
        """Take notice of the newest ticket, and forget the ids of days that are over."""
        if self._newest is None or day > self._newest:
            self._newest = day
            self._forget(short)
        for row in rows:
            created = self._export.created_at(row)
            if created is None or created.date().isoformat() != day:
                continue  # what does not lie in its day proves nothing
            moment = created.isoformat()
            if self._moment is None or moment > self._moment:
                self._moment = moment


def _beside(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
