"""What the page shows and does: one file, its journal, and what is being done with it.

Every browser sees the same, since all of it is here; none of it ends with a browser.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import click
from attrs import define, evolve, field

from ..cli.console import clean, one_line
from ..cli.journal_status import JournalStatus, read_status
from ..cli.options import SUFFIX, Target, pairs, parse
from ..cli.push import OneRow, reference_of, send_one
from ..cli.push_options import PushOptions
from ..cli.push_source import held_push, push_settings, save_the_end, source_for
from ..cli.reconcile import ask_helpdesk, patiently, target_of
from ..cli.rejects import write_rejects
from ..cli.saved_options import job_in
from ..cli.service import Service, Vendor, Work
from ..cli.source_file import opened, rows_of
from ..errors import ClientStateError, HelpdeskError, InvalidInputError
from ..outcome import Outcome
from ..push.sources.mapping import guessed_key, guesses
from ..reconcile.reconcile import LookupFinished, SettleTimeStarted
from ..reconcile.resolve import Answer, take_back
from ..reconcile.resolve import resolve as record
from ..reconcile.results import Reconciliation
from .doubts import content_of, doubt_in, doubts_in
from .files import Shelf, set_aside, summary_of
from .live import LivePush
from .preview import Head, PlannedRows, head_of, texts_in

_TICK = 0.25
_PLAN_STEP = 0.3
_MOST_TITLES = 1000


def trouble_of(error: BaseException) -> dict[str, str]:
    """What went wrong and what to do, for a person. Never a bug's own words."""
    if isinstance(error, HelpdeskError):
        message = error.message
        if error.vendor_message:
            message += f" (the service says: {error.vendor_message[:200]!r})"
        return {"message": clean(message), "next_step": clean(error.next_step)}
    if isinstance(error, click.ClickException):
        return {"message": clean(error.format_message()), "next_step": ""}
    if isinstance(error, OSError):
        name = os.path.basename(str(error.filename or ""))
        words = (error.strerror or "the system refused it").lower()
        return {"message": clean(f"{name}: {words}" if name else words), "next_step": ""}
    return {"message": f"a bug: {type(error).__name__}", "next_step": "Please report it."}


EXPECTED = (HelpdeskError, click.ClickException, OSError)
"""What may go wrong without a bug."""


@define
class Opened:
    """A file with its journal, or a journal whose file is gone.

    Attributes:
        file: the path; ``None`` for a journal that names none.
        work: what the rows become.
        options: of the push, with the mapping.
        journal: the path; it need not exist.
        service: what is pushed to, with these options.
        kept: the file was dropped, and is kept in the folder of the page.
        head: its columns, if it can be read.
        guessed: columns that were mapped by their names, each with what speaks for it.
        trouble: why it cannot be read, or not with these options.
        status: what the journal says, if it exists.
        planned: what a push would do.
        rows: how many the file has, once it was read to its end.
        trial: how the trial ticket went.
        reasons: why rows are still in doubt, by what names them, of the last lookup.
    """

    file: str | None
    work: Work
    options: PushOptions
    journal: str
    service: Service
    kept: bool
    head: Head | None = None
    guessed: dict[str, str] = field(factory=dict)
    trouble: dict[str, str] | None = None
    status: JournalStatus | None = None
    planned: PlannedRows | None = None
    rows: int | None = None
    plan_number: int = 0
    trial: dict[str, Any] | None = None
    push: LivePush | None = None
    found: dict[str, Any] | None = None
    doubts_number: int = 0
    reasons: dict[tuple[str | None, int | None], tuple[str, tuple[str, ...]]] = field(factory=dict)

    @property
    def readable(self) -> bool:
        """Whether the file is there."""
        return self.file is not None and os.path.isfile(self.file)


@define
class Activity:
    """What is being done with the file: one thing at a time.

    Attributes:
        kind: ``trial``, ``push`` or ``lookup``.
        words: how far it is.
        until: when a wait is over, in seconds since the epoch.
        stopping: it was told to stop.
    """

    kind: str
    words: str = ""
    until: float | None = None
    stopping: bool = False
    task: asyncio.Task[None] | None = None


class Workbench:
    """All that the page shows, and all that it can do.

    Args:
        vendor: what is pushed, and to what.
        target: where, as the command line and the environment say.
        shelf: the files.
        given: options of a push that were given on the command line.
        settle: seconds to wait for late results before a lookup; ``None`` for the default.
    """

    def __init__(
        self,
        vendor: Vendor,
        target: Target,
        shelf: Shelf,
        *,
        given: Mapping[str, Any],
        settle: float | None = None,
    ) -> None:
        self._vendor = vendor
        self._target = target
        self._given = given
        self._settle = settle
        self.shelf = shelf
        self._opened: Opened | None = None
        self._activity: Activity | None = None
        self._trouble: dict[str, str] | None = None
        self._listed: list[dict[str, Any]] = []
        self._number = 0
        self._changed = asyncio.Event()
        self._planning: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._aimed: dict[str, Any] = {}
        self.closing = False

    # --- what is shown -------------------------------------------------------------------------

    async def watch(self) -> AsyncIterator[dict[str, Any]]:
        """What is shown, now and whenever it has changed; ends when the page is closed."""
        while True:
            changed = self._changed
            yield self.snapshot()
            if self.closing:
                return
            await changed.wait()
            await asyncio.sleep(_TICK)  # what changes often is shown a few times a second

    def tell(self) -> None:
        """Something has changed."""
        self._number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def snapshot(self) -> dict[str, Any]:
        """All that is shown except rows."""
        activity = self._activity
        return {
            "number": self._number,
            "program": self._vendor.service(None).program,
            "target": self._aimed,
            "folder": self.shelf.folder,
            "listed": self._listed,
            "file": None if self._opened is None else self._file_json(self._opened),
            "activity": None
            if activity is None
            else {
                "kind": activity.kind,
                "words": activity.words,
                "until": activity.until,
                "stopping": activity.stopping,
            },
            "trouble": self._trouble,
            "closing": self.closing,
        }

    def _aim(self, one: Opened | None) -> None:
        """Find out where a push would go. Not for each snapshot: files are read for it."""
        try:
            settings = self._target_of(one).settings(may_prompt=False)
        except EXPECTED as error:
            self._aimed = {"address": None, "trouble": trouble_of(error)}
            return
        address = settings.get("base_url") or settings.get("subdomain")
        self._aimed = {"address": None if address is None else str(address), "trouble": None}

    def _file_json(self, one: Opened) -> dict[str, Any]:
        options, status = one.options, one.status
        head = one.head
        return {
            "name": os.path.basename(one.file or one.journal),
            "path": one.file,
            "journal": one.journal,
            "kept": one.kept,
            "readable": one.readable,
            "what": one.service.command,
            "trouble": one.trouble,
            "fields": [
                {
                    "name": name,
                    "required": name in one.service.required
                    or one.service.fills.get(name, "") is None,
                }
                for name in one.service.wire_fields
            ],
            "fills": {name: value or "" for name, value in one.service.fills.items()},
            "mapping": pairs(options.map, option="--map"),
            "guessed": one.guessed,
            "set": options.constants,
            "date_format": pairs(options.date_format, option="--date-format"),
            "key": options.key,
            "encoding": options.encoding,
            "delimiter": options.delimiter,
            "sheet": options.sheet or (None if head is None else head.sheet),
            "skip_title_rows": options.skip_title_rows,
            "is_sheet": head is not None and head.sheet is not None,
            "max_rate": options.max_rate,
            "locked": status is not None,
            "columns": None
            if head is None
            else [{"name": name, "samples": list(some)} for name, some in head.columns.items()],
            "plan": None if one.planned is None else one.planned.as_json(),
            "plan_number": one.plan_number,
            "rows": one.rows,
            "status": None if status is None else _status_json(status),
            "trial": one.trial,
            "push": None if one.push is None else one.push.as_json(),
            "found": one.found,
            "doubts_number": one.doubts_number,
        }

    def rows(self, which: str) -> dict[str, Any]:
        """The first rows of the plan, or those with something to look at."""
        planned = None if self._opened is None else self._opened.planned
        rows = [] if planned is None else planned.marked if which == "marked" else planned.first
        return {"rows": rows[:]}

    async def doubts(self) -> dict[str, Any]:
        """The rows in doubt."""
        one = self._need()
        found = await asyncio.to_thread(doubts_in, one.journal)
        for doubt in found:
            why, tickets = one.reasons.get((doubt["key"], doubt["line"]), ("", ()))
            doubt["why_open"] = why
            doubt["tickets"] = list(dict.fromkeys((*doubt["tickets"], *tickets)))
        return {"doubts": found}

    async def doubt(self, row: int) -> dict[str, Any]:
        """A row in doubt: what it was sent with, and the tickets that may be it, as the helpdesk
        shows them."""
        one = self._need()
        found = await asyncio.to_thread(doubt_in, one.journal, row)
        content = await asyncio.to_thread(content_of, one.journal, row, one.service.wire_fields)
        _, more = one.reasons.get((found["key"], found["line"]), ("", ()))
        ids = [each for each in dict.fromkeys((*found["tickets"], *more)) if each != "?"]
        tickets, trouble = await self._tickets(one, ids)
        return {"row": row, "content": content, "tickets": tickets, "trouble": trouble}

    async def _tickets(
        self, one: Opened, ids: list[str]
    ) -> tuple[list[dict[str, Any]], dict[str, str] | None]:
        shown: Mapping[str, Mapping[str, str | None]] = {}
        trouble = None
        get = one.service.get_tickets
        if ids and get is not None:
            try:
                settings = self._target_of(one).settings(may_prompt=False)
                async with one.service.connect(settings, 1, one.options.timeout) as (client, _):
                    shown = await get(client, ids)
            except EXPECTED as error:
                trouble = trouble_of(error)
        tickets = [
            {"id": each, "found": each in shown, "fields": _cleaned(shown.get(each, {}))}
            for each in ids
        ]
        return tickets, trouble

    # --- files ---------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Look at the folders anew."""
        if not self._aimed:
            self._aim(None)
        self._listed = await asyncio.to_thread(self.shelf.listed)
        self.tell()

    async def take(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Take a dropped file in, and open it."""
        self._idle()
        known = await self.shelf.keep(name, pieces)
        await self.open(known.path)

    async def open(self, path: str) -> None:
        """Open a file, or the journal of one.

        Raises:
            ClientStateError: another one is being worked with.
            HelpdeskError: it cannot be opened at all.
        """
        self._idle()
        async with self._lock:
            self._idle()
            one = await asyncio.to_thread(self._opened_at, path)
            self._stop_plan()
            self._opened, self._trouble = one, None
            await self._read_status(one)
            if one.readable:
                try:
                    one.head = await asyncio.to_thread(head_of, one.options, one.service)
                except EXPECTED as error:
                    one.trouble = trouble_of(error)
        if one.status is None:
            self._guess(one)
        self._plan(one)
        await self.refresh()

    async def close_file(self) -> None:
        """Show the list of files again."""
        self._idle()
        self._stop_plan()
        self._opened = self._trouble = None
        self._aim(None)
        await self.refresh()

    def _opened_at(self, path: str) -> Opened:
        path = os.path.abspath(path)
        if path.endswith(SUFFIX):
            journal, file = path, None
        else:
            journal, file = path + SUFFIX, path
            if not os.path.isfile(path):
                raise InvalidInputError(f"there is no file {os.path.basename(path)!r}")
        stored = job_in(journal)
        work = self._vendor.works[0] if stored is None else self._vendor.work_of(journal)
        saved = None if stored is None else read_status(journal).saved
        if file is None:
            file = journal.removesuffix(SUFFIX) if saved is None else saved.file
        options: PushOptions = parse(
            [work.options], [], {} if saved is None else saved.options, file=file or ""
        )[0]
        options = evolve(options, **self._given)
        if file is None or os.path.realpath(file + SUFFIX) != os.path.realpath(journal):
            options = evolve(options, journal=journal)
        kept = file is not None and os.path.dirname(file) == self.shelf.folder
        return Opened(file, work, options, journal, work.service_of(options), kept)

    async def _read_status(self, one: Opened) -> None:
        one.status = await asyncio.to_thread(_status_at, one.journal)
        one.doubts_number += 1
        self._aim(one)

    # --- columns and plan ----------------------------------------------------------------------

    async def map_columns(self, said: Mapping[str, Any]) -> None:
        """Choose where columns go, how rows are told apart, and how the file is read."""
        one = self._need()
        self._idle()
        if one.status is not None:
            raise InvalidInputError(
                "the columns are fixed, since the journal was made with them",
                next_step="Push the rest with them; or correct the file, and open it under "
                "another name.",
            )
        options = _chosen(one.options, said, one.service)
        if "column" in said:
            one.guessed.pop(str(said["column"]), None)
        again = any(getattr(options, name) != getattr(one.options, name) for name in _READING)
        one.options, one.service, one.trouble = options, one.work.service_of(options), None
        if again:
            one.head = one.rows = None
            try:
                one.head = await asyncio.to_thread(head_of, options, one.service)
            except EXPECTED as error:
                one.trouble = trouble_of(error)
            else:
                self._forget_missing(one, one.head)
        self._plan(one)

    def _forget_missing(self, one: Opened, head: Head) -> None:
        """Take out choices of columns that the file, as it is read now, does not have."""
        mapped = pairs(one.options.map, option="--map")
        kept = {name: column for name, column in mapped.items() if column in head.columns}
        key = one.options.key if one.options.key in head.columns else None
        one.options = evolve(one.options, map=_as_pairs(kept), key=key)
        one.service = one.work.service_of(one.options)
        self._guess(one)

    async def change_columns(self) -> None:
        """Free the columns of a file of which nothing is in the helpdesk, nor may be: its journal
        is kept under another name."""
        one = self._need()
        self._idle()
        await asyncio.to_thread(set_aside, one.journal)
        one.trial = one.push = one.found = None
        await self._read_status(one)
        self._plan(one)
        await self.refresh()

    def _guess(self, one: Opened) -> None:
        """Map columns by their names, as far as they tell what they are; a person sees it."""
        if one.head is None or one.options.map:
            return
        header = list(one.head.columns)
        found = guesses(header, one.service.wire_fields, one.service.usual)
        one.guessed = {guess.column: guess.why for guess in found}
        pairs = tuple(f"{guess.field}={guess.column}" for guess in found)
        one.options = evolve(one.options, map=pairs, key=one.options.key or guessed_key(header))
        one.service = one.work.service_of(one.options)

    def _plan(self, one: Opened) -> None:
        self._stop_plan()
        one.planned = None
        one.plan_number += 1
        if one.readable and one.head is not None:
            planned = one.planned = PlannedRows()
            self._planning = asyncio.create_task(self._read_plan(one, planned))
        self.tell()

    def _stop_plan(self) -> None:
        if self._opened is not None and self._opened.planned is not None:
            self._opened.planned.stopped = True

    async def _read_plan(self, one: Opened, planned: PlannedRows) -> None:
        reading = asyncio.create_task(asyncio.to_thread(planned.read, one.options, one.service))
        while not (await asyncio.wait({reading}, timeout=_PLAN_STEP))[0]:
            self.tell()
        if one.planned is not planned:
            reading.exception()
            return
        error = reading.exception()
        if error is None:
            one.rows = planned.plan.rows
        else:
            one.planned = None
            if not planned.stopped:
                one.trouble = trouble_of(error)
        one.plan_number += 1
        self.tell()

    # --- what can be done ----------------------------------------------------------------------

    def _start(self, kind: str, do: Callable[[Opened, Activity], Awaitable[None]]) -> None:
        one = self._need()
        self._idle()
        self._trouble = None
        activity = self._activity = Activity(kind)

        async def act() -> None:
            try:
                await do(one, activity)
            except asyncio.CancelledError:
                pass
            except Exception as error:
                self._trouble = trouble_of(error)
            finally:
                try:  # before it counts as ended, so that nobody sees how things stood before
                    await self._read_status(one)
                except EXPECTED as error:
                    self._trouble = trouble_of(error)
                if one.push is not None:
                    one.push.end()
                self._activity = None
                await self.refresh()

        activity.task = asyncio.create_task(act())
        self.tell()

    async def try_one(self) -> None:
        """Send the first row that can be sent, and no other."""
        self._start("trial", self._try_one)

    async def _try_one(self, one: Opened, activity: Activity) -> None:
        options, service, target = one.options, one.service, self._target_of(one)
        settings = target.settings(may_prompt=False)
        one.trial = None
        with opened(options.file) as stream:
            rows = rows_of(stream, options, service, quiet=True)
            source = source_for(rows, options, target, service)
            assert source is not None
            sent = OneRow(rows)
            await send_one(sent, source, options, settings, service)
        if sent.sent is None:
            one.trial = {"outcome": None, "known": sent.known, "bad": sent.bad}
        else:
            one.trial = await asyncio.to_thread(_trial_json, sent.sent, one)

    async def push(self) -> None:
        """Push, or resume."""
        self._start("push", self._push)

    async def _push(self, one: Opened, activity: Activity) -> None:
        options, service, target = one.options, one.service, self._target_of(one)
        settings = target.settings(may_prompt=False)
        live = one.push = LivePush()
        connection = service.connect(settings, options.max_concurrency, options.timeout)
        ticking = asyncio.create_task(self._tick(live))
        try:
            async with connection as (_, start):
                if one.readable:
                    with opened(options.file) as stream:
                        rows = rows_of(stream, options, service, quiet=True)
                        source = source_for(rows, options, target, service)
                        assert source is not None
                        how = push_settings(options)
                        await live.run.go(start, rows, source=source, **how)
                    if live.run.complete:
                        await asyncio.to_thread(save_the_end, options, source)
                else:
                    job = await asyncio.to_thread(job_in, one.journal)
                    if job is None:
                        raise InvalidInputError("neither the file nor its journal is there")
                    held, how = held_push(job, options, service)
                    await live.run.go(start, [], source=held, **how)
        finally:
            ticking.cancel()
        stopped = live.run.stopped or live.run.unreadable
        if stopped is not None:
            self._trouble = trouble_of(stopped)
        # What was planned has changed: rows are in the journal now.
        self._plan(one)

    async def _tick(self, live: LivePush) -> None:
        while True:
            live.sample()
            self.tell()
            await asyncio.sleep(_TICK)

    async def look_up(self, *, assume_complete: bool = False) -> None:
        """Look the rows in doubt up in the helpdesk."""

        async def look_up(one: Opened, activity: Activity) -> None:
            await self._look_up(one, activity, assume_complete)

        self._start("lookup", look_up)

    async def _look_up(self, one: Opened, activity: Activity, assume_complete: bool) -> None:
        before = await asyncio.to_thread(read_status, one.journal)

        def on_event(event: SettleTimeStarted | LookupFinished) -> None:
            if isinstance(event, SettleTimeStarted):
                activity.until = time.time() + event.seconds
                activity.words = "waiting for late results of the helpdesk"
            else:
                activity.until = None
                activity.words = (
                    f"checked {event.tickets:,} tickets: found {event.found:,}, "
                    f"not found {event.missing:,}"
                )
            self.tell()

        def say(words: str) -> None:
            activity.words = one_line(words, 300)
            self.tell()

        async def look(resource: Any, place: Any) -> Reconciliation:
            return await patiently(
                lambda: resource.reconcile(
                    one.journal,
                    reference=place,
                    settle=self._settle,
                    assume_complete=assume_complete,
                    on_event=on_event,
                ),
                say,
            )

        activity.words = "looking the rows up"
        self.tell()
        found: Reconciliation
        try:
            target = target_of(before, self._target)
            found = await ask_helpdesk(before, target, one.service, None, look)
        except HelpdeskError as error:
            earlier = Reconciliation.before(error)
            if earlier is not None:
                self._keep(one, earlier)
            raise
        self._keep(one, found)

    def _keep(self, one: Opened, found: Reconciliation) -> None:
        rows = (*found.open, *found.ambiguous, *found.probable)
        one.reasons = {(row.key, row.line): (row.reason, row.ticket_ids) for row in rows}
        one.found = {
            "present": len(found.present),
            "absent": len(found.absent),
            "ambiguous": len(found.ambiguous),
            "probable": len(found.probable),
            "open": len(found.open),
            "unconfirmed": found.unconfirmed,
            "contradictions": len(found.contradictions),
            "reasons": found.reasons,
        }

    async def resolve(self, said: Mapping[str, Any]) -> None:
        """Record what a person has found out about a row in doubt."""
        one = self._need()
        self._idle()
        key, line, present = said.get("key"), said.get("line"), said.get("present")
        await record(
            one.journal,
            None if key is None else str(key),
            line=None if key is not None else _whole(line),
            present=None if present is None else str(present),
            absent=said.get("absent") is True,
        )
        await self._read_status(one)
        self.tell()

    async def undo(self, said: Mapping[str, Any]) -> None:
        """Take back what a person has said of a row: it is in doubt again."""
        one = self._need()
        self._idle()
        key, line = said.get("key"), said.get("line")
        named = Answer(key=str(key)) if key is not None else Answer(line=_whole(line))
        await take_back(one.journal, [named])
        await self._read_status(one)
        self.tell()

    async def write_rejects(self) -> str:
        """Write the rows to fix beside the journal; returns the path."""
        one = self._need()
        path = await asyncio.to_thread(_free_name, one.journal.removesuffix(SUFFIX))
        await asyncio.to_thread(write_rejects, one.journal, path, one.service)
        return path

    def stop(self) -> None:
        """Stop what is being done: a push lets its requests in flight finish."""
        activity, one = self._activity, self._opened
        if activity is None:
            return
        activity.stopping = True
        if activity.kind == "push" and one is not None and one.push is not None:
            one.push.run.stop()
        elif activity.kind == "lookup" and activity.task is not None:
            activity.task.cancel()
        self.tell()

    async def close(self) -> None:
        """End: what is being done is stopped, and every browser is told."""
        self._stop_plan()
        self.stop()
        if self._activity is not None and self._activity.task is not None:
            await asyncio.wait({self._activity.task})
        if self._planning is not None:
            await asyncio.wait({self._planning})
        self.closing = True
        self.tell()

    def cut_off(self) -> None:
        """Do not wait for requests in flight."""
        if self._activity is not None and self._activity.task is not None:
            self._activity.task.cancel()

    # --- inside --------------------------------------------------------------------------------

    def _target_of(self, one: Opened | None) -> Target:
        if one is None or one.status is None:
            return self._target
        return target_of(one.status, self._target)

    def _need(self) -> Opened:
        if self._opened is None:
            raise InvalidInputError("no file is open")
        return self._opened

    def _idle(self) -> None:
        if self._activity is not None:
            what = {"trial": "a trial ticket", "push": "a push", "lookup": "a lookup"}
            words = f"{what[self._activity.kind]} is under way"
            raise ClientStateError(words, next_step="Stop it, or wait for its end.")


def _status_at(journal: str) -> JournalStatus | None:
    return read_status(journal) if os.path.lexists(journal) else None


def _whole(number: Any) -> int | None:
    return number if type(number) is int else None


def _free_name(start: str) -> str:
    number = 1
    while True:
        more = "" if number == 1 else f"-{number}"
        path = f"{start}.rejects{more}.csv"
        if not os.path.lexists(path):
            return path
        number += 1


_READING = ("encoding", "delimiter", "sheet", "skip_title_rows")
"""Options that say how the file is read; another value of them may give other columns."""


def _chosen(options: PushOptions, said: Mapping[str, Any], service: Service) -> PushOptions:
    """The options, with what was chosen on the page: one thing at a time, so that two browsers, or
    two quick choices, do not undo each other.

    Raises:
        InvalidInputError: it cannot be chosen.
    """
    changes: dict[str, Any] = {}
    if "column" in said:
        column, name = str(said["column"]), str(said.get("field") or "").strip()
        before = pairs(options.map, option="--map")
        kept = {n: c for n, c in before.items() if c != column and n != name}
        changes["map"] = _as_pairs(kept | ({name: column} if name else {}))
    for name in ("set", "date_format"):
        if name in said:
            values = pairs(getattr(options, name), option=name)
            for one, value in dict(said[name] or {}).items():
                values.pop(one, None)
                if value not in (None, ""):
                    values[str(one).strip()] = str(value)
            changes[name] = _as_pairs(values)
    for name in ("key", "encoding", "delimiter", "sheet"):
        if name in said:
            changes[name] = None if said[name] in (None, "") else str(said[name])
    if "skip_title_rows" in said:
        rows = str(said["skip_title_rows"] or 0)
        if not rows.isdecimal() or int(rows) > _MOST_TITLES:
            raise InvalidInputError("that is not a number of rows")
        changes["skip_title_rows"] = int(rows)
    for name, value in dict(said.get("fills") or {}).items():
        if name in service.fills:
            changes[name] = str(value) or None
    return evolve(options, **changes)


def _as_pairs(values: Mapping[str, str]) -> tuple[str, ...]:
    bad = next((name for name in values if not name or "=" in name), None)
    if bad is not None:
        raise InvalidInputError(f"{bad!r} cannot be used: it is empty, or holds a =")
    return tuple(f"{name}={value}" for name, value in values.items())


def _cleaned(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {clean(name): clean(value) for name, value in fields.items() if value}


def _status_json(status: JournalStatus) -> dict[str, Any]:
    said = status.as_json()
    return {
        **said,
        **summary_of(said),
        "in_doubt": status.in_doubt,
        "open": status.counts.ambiguous + status.counts.probable + status.left_open,
        "to_fix": status.to_fix,
        "later": status.later,
        "refused": status.refused,
        "unread": status.unread,
        "reasons": [
            {"state": state.value, "words": clean(words), "rows": rows}
            for state, words, rows in status.reasons[:20]
        ],
    }


def _trial_json(outcome: Outcome, one: Opened) -> dict[str, Any]:
    row = outcome.row
    key = row.key if row.keyed else None
    reference = reference_of(key, row.line, one.journal)
    wire = one.service.wire(row.value, reference, one.options.place)
    error = getattr(outcome, "error", None)
    answer = one.service.answer(outcome) if outcome.name == "accepted" else {}
    return {
        "outcome": outcome.name,
        "key": key,
        "line": row.line,
        "sent": {name: clean(text) for name, text in texts_in(wire).items()},
        "answer": _cleaned(answer),
        "trouble": None if error is None else trouble_of(error),
    }
