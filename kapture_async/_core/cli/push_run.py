"""One push from the command line: counted, shown, reported, and stopped by Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field

from ..errors import (
    ConfirmationNeededError,
    ConnectError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    PushStoppedError,
)
from ..outcome import Outcome
from ..push.events import (
    AnswersDiffer,
    PushEvent,
    PushObserver,
    RowDoubted,
    RowFinished,
    RowKnown,
)
from ..push.push import Push
from ..push.report import ReportFile, Summary
from ..push.row_codec import SourceFile
from ..push.rows import Row
from ..push.throttle import ThrottleState
from .exit_codes import code_of_push
from .progress import PushDisplay
from .running import Interrupts

T = TypeVar("T")


class Start(Protocol):
    """Starts a push of a source, with an observer."""

    def __call__(self, source: Any, observer: PushObserver, **settings: Any) -> Push[Any]:
        """The settings are those of ``tickets.push``."""
        ...


Connect = Callable[[Mapping[str, Any], int, float], AbstractAsyncContextManager[tuple[Any, Start]]]
"""Makes a client from its settings, a concurrency and a timeout; entering it gives the client and
the function that starts a push."""

_LEAST_CONNECTIONS = 100
_SHOWN_FAILURES = 20
_FIRST_UNREACHED = 10
_SHOWN_WITH_JOURNAL = 8


def connect_by(
    client: Callable[..., AbstractAsyncContextManager[Any]],
    push_of: Callable[[Any], Callable[..., Push[Any]]] = lambda made: made.tickets.push,
) -> Connect:
    """How to connect, from what makes a client.

    Args:
        client: called with the client's settings, ``timeout`` and ``max_connections``.
        push_of: the method of a client that starts a push.
    """

    @asynccontextmanager
    async def connect(
        settings: Mapping[str, Any], concurrency: int, timeout: float
    ) -> AsyncIterator[tuple[Any, Start]]:
        connections = max(_LEAST_CONNECTIONS, concurrency)
        making = client(**settings, timeout=timeout, max_connections=connections)
        async with making as made:

            def start(source: Any, observer: PushObserver, **settings: Any) -> Push[Any]:
                how = {"max_concurrency": concurrency, "on_event": observer, **settings}
                return push_of(made)(source, **how)

            yield made, start

    return connect


@define
class PushRun:
    """What happens in one push, and what is known at its end.

    Attributes:
        display: how far it is.
        signals: Ctrl-C and the like stop it; otherwise only :meth:`stop` does.
        report: where each row is written, if anywhere.
        on_outcome: called with each outcome.
        journaled: the journal has what the report would have.
        summary: the counts; complete when :meth:`go` has returned.
        earlier: rows that the journal knew from earlier runs, by their state.
        interrupted: Ctrl-C came.
        cut_off: it came twice: requests in flight were not waited for.
        stopped: why the push stopped early.
        unreadable: why the source could not be read to its end.
        report_error: why the report could not be written.
        unlisted: the rest of the source was not read.
        failures: rows that were not accepted and are in no report; of those that were not sent
            only the first, and with a journal only those that are bad.
        bad: rows that cannot be sent as they are.
        doubted: rows that were accepted, and are in doubt after all.
        differing: fields that answers repeat in a form that fits no row.
    """

    display: PushDisplay
    signals: bool = True
    report: ReportFile | None = None
    on_outcome: Callable[[Outcome], None] | None = None
    journaled: bool = False
    summary: Summary = field(factory=Summary)
    earlier: Counter[str] = field(factory=Counter)
    interrupted: bool = False
    cut_off: bool = False
    stopped: HelpdeskError | None = None
    unreadable: Exception | None = None
    report_error: OSError | None = None
    unlisted: bool = False
    failures: list[Outcome] = field(factory=list)
    bad: int = 0
    doubted: list[RowDoubted] = field(factory=list)
    differing: list[AnswersDiffer] = field(factory=list)
    _unreached: int | None = 0
    _unsaved: list[Outcome] = field(factory=list)
    _source_error: Exception | None = None
    _push: Push[Any] | None = None
    _source: ReadInThread[Row[Any]] | None = None

    @property
    def exit_code(self) -> int:
        """The exit code that fits."""
        return code_of_push(
            self.summary,
            interrupted=self.interrupted,
            unreadable=self.unreadable is not None,
            left_over=self.unlisted,
            broken_off=self.stopped is not None,
            to_confirm=isinstance(self.stopped, ConfirmationNeededError),
            earlier=self.earlier,
        )

    @property
    def complete(self) -> bool:
        """Whether the source was read to its end, and each of its rows was handled."""
        broken_off = self.interrupted or self.unlisted or self.cut_off
        failed = self.stopped is not None or self.unreadable is not None
        # Of those that were not sent, only the bad ones never can be.
        left = self.summary.counts["not_sent"] - self.bad
        return not (broken_off or failed or left)

    @property
    def throttle(self) -> ThrottleState | None:
        """The limits that the push has found; ``None`` before it has begun."""
        return None if self._push is None else self._push._throttle.state

    def stop(self) -> None:
        """Take no further rows. What is in flight finishes."""
        self.interrupted = True
        self._stop("interrupted")

    def on_event(self, event: PushEvent) -> None:
        """Note what the push reports."""
        if isinstance(event, RowKnown):
            self.earlier[event.state] += 1
        elif isinstance(event, RowDoubted):
            self.doubted.append(event)
        elif isinstance(event, AnswersDiffer):
            self.differing.append(event)
        elif isinstance(event, RowFinished) and self._unreached is not None:
            self._watch_first(event.outcome)
        self.display.on_event(event)

    def _watch_first(self, outcome: Outcome) -> None:
        """Stop early if nothing answers: most likely the address is wrong, not the service."""
        error = getattr(outcome, "error", None)
        if not isinstance(error, ConnectError):
            self._unreached = None if outcome.attempts else self._unreached
            return
        assert self._unreached is not None
        self._unreached += 1
        if self._unreached == _FIRST_UNREACHED:
            self._unreached = None
            words = f"the server could not be reached for the first {_FIRST_UNREACHED} rows"
            self.stopped = PushStoppedError(f"push stopped: {words}: {error.message}")
            self.stopped.temporary, self.stopped.__cause__ = True, error
            self._stop(words)

    async def go(
        self,
        start: Start,
        rows: Iterable[Row[Any]],
        *,
        source: SourceFile | None = None,
        pipe: bool = False,
        **settings: Any,
    ) -> None:
        """Push all rows. Returns when each has its outcome, also after Ctrl-C.

        Args:
            start: starts the push.
            rows: what is pushed.
            source: what the journal records of the file they come from.
            pipe: reading them may block.
            settings: for ``start``.

        Raises:
            JournalError: the journal cannot be used; nothing was sent.
        """
        task = asyncio.current_task()
        assert task is not None
        iterator = self._watched(iter(rows))
        if pipe:
            self._source = ReadInThread(iterator)
        push = self._push = start(self._source or iterator, self.on_event, **settings)
        self.display.taken = lambda: push.counts.rows
        if source is not None:
            push._describe_source(source)

        def press(number: int) -> None:
            if number == 1:
                self.stop()
                self.display.announce(
                    "stopping once requests in flight have finished; Ctrl-C again cuts them off"
                )
            else:
                self.interrupted = self.cut_off = True
                task.cancel()

        try:
            signals = Interrupts(press) if self.signals else contextlib.nullcontext()
            with signals, self.display:
                began = time.monotonic()
                try:
                    await self._read(push, task)
                except asyncio.CancelledError:
                    if not self.cut_off:
                        raise
                    while task.uncancel():
                        pass
                except (PushStoppedError, JournalError) as error:
                    if not push.counts.rows and isinstance(error, JournalError):
                        raise
                    self.stopped = error
                except Exception as error:
                    readable = isinstance(error, (InvalidInputError, OSError))
                    if error is self._source_error and readable:
                        self.unreadable = error
                    else:  # no more threads or memory, for example, or a bug
                        what = f"{type(error).__name__}: {error}"
                        self.stopped = PushStoppedError(f"push stopped ({what})")
                finally:
                    self.summary.seconds = time.monotonic() - began
                    self._take(push.unread())
                if push.stop_reason is None and not self.cut_off:
                    self.interrupted = False  # it came after the last row
                self.unlisted = push.stop_reason is not None and self.unreadable is None
        finally:
            self._save()

    def _watched(self, rows: Iterator[Row[Any]]) -> Iterator[Row[Any]]:
        try:
            yield from rows
        except Exception as error:
            self._source_error = error
            raise

    async def _read(self, push: Push[Any], task: asyncio.Task[Any]) -> None:
        second: asyncio.Handle | None = None
        try:
            async with push:
                try:
                    while batch := await push.next_batch():
                        self._take(batch)
                except asyncio.CancelledError:
                    # Leaving waits for what is in flight; being cancelled there cuts it off.
                    second = asyncio.get_running_loop().call_soon(task.cancel)
                    raise
        finally:
            if second is not None:
                second.cancel()

    def _stop(self, reason: str) -> None:
        if self._push is not None:
            self._push.stop(reason)
        if self._source is not None:
            self._source.end()

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.summary.add(outcome)
            self.bad += _is_bad(outcome)
            if self.report is None or self.report_error is not None:
                self._name(outcome)
            else:
                self._unsaved.append(outcome)
            if self.on_outcome is not None:
                self.on_outcome(outcome)
            self._write(lambda report, outcome=outcome: report.add(outcome))  # type: ignore[misc]
        self._write(ReportFile.save)
        if self.report_error is None:
            self._unsaved.clear()

    def _name(self, outcome: Outcome) -> None:
        """Keep a row for the screen: every doubt, if nothing else names them."""
        if outcome.name == "accepted":
            return
        if self.journaled:
            if _is_bad(outcome) and len(self.failures) < _SHOWN_WITH_JOURNAL:
                self.failures.append(outcome)
        elif outcome.name == "unknown" or len(self.failures) < _SHOWN_FAILURES:
            self.failures.append(outcome)

    def _write(self, act: Callable[[ReportFile], None]) -> None:
        if self.report is None or self.report_error is not None:
            return
        try:
            act(self.report)
        except OSError as error:
            self.report_error = error
            for outcome in self._unsaved:  # which of them are on the disk is not known
                self._name(outcome)
            self._unsaved.clear()
            self._stop("the report cannot be written")

    def _save(self) -> None:
        if self.report is not None:
            try:
                self.report.close()
            except OSError as error:
                self.report_error = error


def _is_bad(outcome: Outcome) -> bool:
    return isinstance(getattr(outcome, "error", None), InvalidInputError)


_AHEAD = 1000


class ReadInThread(AsyncIterator[T], Generic[T]):
    """An iterable, read ahead by a daemon thread, as an async iterator that can be ended: reading a
    row from a pipe may block for ever, which must not stop the event loop."""

    def __init__(self, rows: Iterable[T]) -> None:
        self._rows = rows
        self._ready: deque[T] = deque()
        self._room = threading.Semaphore(_AHEAD)
        self._changed = asyncio.Event()
        self._ended = False
        self._exhausted = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __anext__(self) -> T:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            # A thread that waits for a pipe cannot be stopped: nothing may wait for it.
            threading.Thread(target=self._read, name="reader", daemon=True).start()
        while not self._ended:
            if self._ready:
                self._room.release()
                return self._ready.popleft()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._exhausted:
                break
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration

    def end(self) -> None:
        """Give no further rows, not even to a reader that is waiting for one."""
        self._ended = True
        self._changed.set()
        self._room.release()

    def _read(self) -> None:
        try:
            for row in self._rows:
                self._room.acquire()
                if self._ended:
                    return
                self._post(row)
            self._post()
        except Exception as error:
            self._post(error=error)

    def _post(self, *rows: T, error: BaseException | None = None) -> None:
        def take() -> None:
            self._ready.extend(rows)
            self._error = error
            self._exhausted = not rows
            self._changed.set()

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(take)
