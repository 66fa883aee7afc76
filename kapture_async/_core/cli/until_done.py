"""``push --until-done``: push, settle, reconcile, resume what is absent, and so on to the end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import click
from attrs import define, field

from ..errors import HelpdeskError, JournalError, PushStoppedError
from ..journal.address import is_address, stem_of
from ..journal.records import Job
from ..push.report import Summary
from ..push.sources.rows import FileRows
from ..push.until_done import UntilDone, WaitingToPush, push_until_done
from ..reconcile.results import Reconciliation
from .console import WORDS, clock, console, count, json_line, one_line, say
from .exit_codes import CONTRADICTION, code_of_push, worst_of
from .journal_status import JournalStatus, counts_json, read_status
from .next_steps import next_steps, show_next
from .options import Target
from .progress import PushDisplay, WaitDisplay, Work
from .push_end import ended, in_words, say_how_it_ended, why_it_stopped
from .push_options import PushOptions
from .push_run import PushRun, Start
from .push_source import held_push, push_settings, save_the_end, source_for
from .reconcile import patiently
from .rejects import write_doubts
from .running import run
from .service import Service
from .source_file import (
    announce,
    constants_of,
    name_of_file,
    opened,
    rows_of,
    size_of,
    work_of,
)
from .startup import INTERRUPTED
from .status import nothing_to_type, show_standing
from .verify import verify_after_push


def tell(text: str) -> None:
    """A line of the story, with the time of day: on a terminal as in a log file."""
    say(f"{datetime.now():%H:%M:%S} {one_line(text)}", stderr=True)


def push_to_the_end(
    options: PushOptions, target: Target, service: Service, held: Job | None = None
) -> int:
    """Push until nothing is left that can be done without a person; returns the exit code.

    Args:
        options: of the push, with a journal.
        target: where to.
        service: what is pushed to.
        held: of a journal whose file is not to be read: only its own rows are pushed.

    Raises:
        JournalError: the journal cannot be used; nothing was sent.
    """
    settings = target.settings(may_prompt=not options.from_pipe)
    story = Story(options, target, service, held)
    began = time.monotonic()

    async def main() -> UntilDone:
        task = asyncio.current_task()
        assert task is not None
        connection = service.connect(settings, options.max_concurrency, options.timeout)
        async with connection as (client, start):
            try:
                return await push_until_done(
                    story.journal,
                    lambda: story.push(start),
                    lambda: story.reconcile(getattr(client, service.resource)),
                    on_wait=story.note_wait,
                )
            except asyncio.CancelledError:
                while task.uncancel():
                    pass
                story.interrupted = True
                return UntilDone()
            except HelpdeskError as error:
                if story.passes < 2 and isinstance(error, JournalError):
                    raise
                return UntilDone(stopped=error)

    done = run(main)
    return story.end(done, time.monotonic() - began)


@define
class Story:
    """The passes and lookups of one ``push --until-done``, told line by line.

    Attributes:
        passes: how often rows were pushed.
        lookups: how often doubts were looked up.
        interrupted: Ctrl-C came.
        contradictions: how many rows lookups found otherwise than recorded.
    """

    _options: PushOptions
    _target: Target
    _service: Service
    _held: Job | None
    passes: int = 0
    lookups: int = 0
    interrupted: bool = False
    contradictions: int = 0
    _rows: FileRows | None = None
    _pushing: PushRun | None = None
    _read_to_end: bool = False
    _bad: int = field(default=0)

    @property
    def journal(self) -> str:
        """The path of the journal."""
        assert self._options.journal_path is not None
        return self._options.journal_path

    async def push(self, start: Start) -> HelpdeskError | None:
        """One pass; returns why it stopped early, if it did."""
        self.passes += 1
        status = read_status(self.journal) if self.passes > 1 else None
        job = self._held
        if status is not None and status.job.payloads and self._read_to_end:
            job = status.job
        pushing = await (self._push_file(start) if job is None else self._push_held(start, job))
        self._pushing = pushing
        summary = pushing.summary
        if summary.rows or self.passes == 1:
            counts = ", ".join(f"{summary.counts[n]:,} {w}" for n, w in WORDS.items())
            known = pushing.earlier.total()
            known_words = f", {known:,} known from before" if known else ""
            tell(f"pass {self.passes} ended after {clock(summary.seconds)}: {counts}{known_words}")
        if pushing.interrupted:
            self.interrupted = True
            return PushStoppedError("interrupted")
        if isinstance(error := pushing.stopped or pushing.unreadable, HelpdeskError):
            if job is None and self._options.from_pipe:  # what was read ahead is lost
                return PushStoppedError(error.message)
            return error
        if error is not None:
            return PushStoppedError(f"the file could not be read: {error}")
        return None

    async def _push_file(self, start: Start) -> PushRun:
        options, service = self._options, self._service
        with ExitStack() as stack:
            stream = stack.enter_context(opened(options.file))
            rows = rows_of(stream, options, service)
            if self.passes == 1:
                announce(rows, constants_of(options, service))
            source = source_for(rows, options, self._target, service)
            assert source is not None
            tell(f"pass {self.passes}: pushing {one_line(name_of_file(options), 60)}")
            pushing = PushRun(
                PushDisplay(
                    f"pushing {one_line(name_of_file(options), 40)}",
                    work_of(rows, stream, options, service),
                ),
                journaled=True,
            )
            pipe = size_of(stream) is None
            await pushing.go(start, rows, source=source, pipe=pipe, **push_settings(options))
            self._rows, self._bad = rows, pushing.bad
            whole = pushing.stopped is None and pushing.unreadable is None
            self._read_to_end = whole and not pushing.unlisted
            if pushing.complete and options.shard is None:
                save_the_end(options, source)
        return pushing

    async def _push_held(self, start: Start, job: Job) -> PushRun:
        options = self._options
        status = read_status(self.journal)
        if self.passes > 1 and status.sendable:
            tell(f"pass {self.passes}: pushing {count(status.sendable, 'row')} again")
        display = PushDisplay("pushing again", Work(total=lambda: status.sendable))
        pushing = PushRun(display, journaled=True)
        source, how = held_push(job, options, self._service)
        await pushing.go(start, [], source=source, **how)
        return pushing

    async def reconcile(self, resource: Any) -> Reconciliation:
        """Look the doubts up."""
        before = read_status(self.journal)
        place = self._service.place_in(before.job.place)
        waiting = WaitDisplay()
        tell(f"{count(before.in_doubt, 'row')} in doubt: looking them up")
        with waiting:
            found = await patiently(
                lambda: resource.reconcile(
                    self.journal,
                    reference=place,
                    settle=self._options.settle,
                    on_event=waiting.on_event,
                ),
                lambda text: waiting.say(text, label="warning"),
            )
        self.lookups += 1
        self.contradictions += len(found.contradictions)
        after = read_status(self.journal)
        left = after.in_doubt + after.counts.ambiguous + after.counts.probable
        absent = count(len(found.absent), "row")
        tell(
            f"of {count(before.in_doubt, 'row')} in doubt {len(found.present):,} are "
            f"in the helpdesk, {absent} are not and will be pushed, {left:,} stay in doubt"
        )
        return found

    def note_wait(self, event: WaitingToPush) -> None:
        """Say why nothing happens for a while."""
        why = "" if event.because is None else f": {event.because.message}"
        if not why and read_status(self.journal).owner is not None:
            why = ": other processes are pushing"
        tell(f"trying again in {clock(event.seconds)}{why}")

    def end(self, done: UntilDone, seconds: float) -> int:
        """Show how it ended, and what to type next; returns the exit code."""
        options, service, target = self._options, self._service, self._target
        status = read_status(self.journal)
        pushing = self._pushing
        print(file=sys.stderr)
        if pushing is not None and not self.interrupted:
            if done.stopped is not None and pushing.stopped is None:
                pushing.stopped = done.stopped
            say_how_it_ended(pushing, self._rows, options, target)
        times = "pass" if self.passes == 1 else "passes"
        looked = f", {count(self.lookups, 'lookup')}" if self.lookups else ""
        how = "interrupted" if self.interrupted else "stopped" if done.stopped else "done"
        tell(f"{how} after {clock(seconds)}, {self.passes} {times}{looked}: {in_words(status)}")
        listed = self._list_doubts(status)
        code = self._code(done, status)
        verification = None
        if options.verify and not self.interrupted:
            checked, verification = verify_after_push(
                self.journal, target, service, as_json=options.as_json
            )
            code = worst_of((code, checked))
        screen = console(stderr=options.as_json)
        show_standing(screen, status)
        what = None if pushing is None else ended(pushing, self._rows, options, target, listed)
        steps = next_steps(status, service, what)
        if steps:
            show_next(screen, steps, f"{service.program} status {self.journal} --verbose")
        else:
            screen.print()
            screen.print(nothing_to_type(status), style="bold")
        if options.as_json:
            details = {
                **counts_json(status.counts),
                "stopped": None if pushing is None else why_it_stopped(pushing),
                "passes": self.passes,
                "lookups": self.lookups,
                "seconds": round(seconds, 3),
                "doubts": listed or None,
                "journal": {**counts_json(status.counts), "path": status.path},
            }
            if options.verify:
                details["verification"] = verification
            print(json_line(details))
        return code

    def _list_doubts(self, status: JournalStatus) -> str:
        """Write what stays in doubt to a file; returns its name, or nothing."""
        counts = status.counts
        if self.interrupted or not (status.in_doubt + counts.ambiguous + counts.probable):
            return ""
        folder = "" if is_address(self.journal) else os.path.dirname(self.journal)
        stem = os.path.join(folder, stem_of(self.journal))
        number, out = 2, f"{stem}.doubts.csv"
        while os.path.lexists(out):
            out, number = f"{stem}.doubts-{number}.csv", number + 1
        try:
            write_doubts(self.journal, out)
        except (HelpdeskError, OSError, click.UsageError) as error:
            tell(f"the doubts could not be listed in {out}: {getattr(error, 'message', error)}")
            return ""
        return out

    def _code(self, done: UntilDone, status: JournalStatus) -> int:
        if self.interrupted:
            return INTERRUPTED
        options = self._options
        of_push = code_of_push(
            Summary(),
            left_over=status.unread is not None
            and not (options.shard is not None and self._read_to_end),
            broken_off=done.stopped is not None,
            earlier=counts_json(status.counts),
        )
        codes = [of_push]
        if self._pushing is not None and self._pushing.stopped is not None:
            codes.append(self._pushing.exit_code)
        return worst_of([*codes, *([CONTRADICTION] if self.contradictions else [])])
