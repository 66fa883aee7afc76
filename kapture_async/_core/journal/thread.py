"""The thread of a journal: it decides about rows, writes batches, and wakes the event loop.

The loop collects rows and results in a batch, one for each of its turns, and hands it over. The
thread merges the waiting batches, decides about rows that may be known (see :mod:`.decisions`),
writes everything in one transaction, and wakes the loop once. The busier the push, the larger the
batches, and the cheaper each row.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..errors import JournalError
from .address import open_storage
from .decisions import Again, Decisions, Incoming
from .records import Decision, Identity, State, same_again, trouble
from .reference import reference_of
from .run_state import RunState, SeenNames, learn_names
from .session import Session
from .storage import OpenOptions, PaceChange, Storage, WriteBatch, _Interrupted, _RunOver

T = TypeVar("T")

_POLL = 1.0
"""Seconds between two checks whether the loop was closed without closing the journal."""
_AT_EXIT = 5.0
"""Seconds that interpreter shutdown waits for the last commit."""
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of payloads after which a batch is handed over at once; SQLite's limit is a billion."""

Answer = Decision | JournalError
"""What to do with a row that was submitted, or why it must not be sent."""
Done = tuple[asyncio.Future[Any], Any, BaseException | None]
"""A future to be set, with its value or its error."""


class Waiter(asyncio.Future[Decision]):
    """The token of a row whose answer one coroutine waits for."""


class Batch(WriteBatch):
    """What the event loop has collected.

    Attributes:
        asked: rows to decide about: token, row, and how many new rows of the batch came before.
        calls: functions to call, each in a transaction of its own.
        paces: changes of the pace that all processes share.
        size: bytes of the payloads.
    """

    def __init__(self, at: float = 0.0) -> None:
        super().__init__(at)
        self.asked: list[tuple[Any, Incoming | Again, int]] = []
        self.calls: list[tuple[asyncio.Future[Any], Callable[[Session], Any]]] = []
        self.paces: list[tuple[asyncio.Future[Any], PaceChange]] = []
        self.size = 0

    def join(self, later: Batch) -> None:
        """Add what was collected later."""
        before = self.count
        self.at = max(self.at, later.at)
        self.rows += later.rows
        self.accepted += later.accepted
        self.events += later.events
        self.asked += [(token, one, behind + before) for token, one, behind in later.asked]
        self.calls += later.calls
        self.paces += later.paces
        self.size += later.size

    def not_sent(self, row: int, attempt: int) -> None:
        """Record that a row about to be sent was not sent, so it is not in doubt."""
        words = "cancelled before it was sent"
        self.events += (row, "not_sent", attempt, None, None, None, None, None, words, None, None)


class JournalThread:
    """Opens a journal, writes what is handed over, and closes it.

    Args:
        where: its file, or its address.
        path: the same, for messages.
        options: how it is opened.
        deliver: called in the loop with futures that are done; with tokens of rows and their
            answers; and with tokens of results, and what went wrong for all of them.
        tell: called in the thread with a message for the user.

    Attributes:
        batch: what the loop has collected and not handed over yet.
        asked: it will be handed over at the end of this turn of the loop.
        broken: why nothing more can be written, once that is so.
        closing: no more rows are taken.
        stopping: no more results are taken either.
        opened, ended: done once the journal is open, and closed.
        failed: done with the reason once nothing more may be begun: the run is over, or the
            journal is broken.
        storage, state: there once it is open.
        names: which rows there are; ``None`` if that was not asked for.
    """

    storage: Storage
    state: RunState

    def __init__(
        self,
        where: str | os.PathLike[str],
        path: str,
        options: OpenOptions,
        deliver: Callable[..., None],
        tell: Callable[[str], None],
    ) -> None:
        self.batch = Batch()
        self.broken: JournalError | None = None
        self.closing = self.stopping = False
        self.names: SeenNames | None = None
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.failed: asyncio.Future[JournalError] = self._loop.create_future()
        self._has_failed = False
        self.now = options.now
        self._where, self._path, self._options = where, path, options
        self._deliver, self._tell = deliver, tell
        self.asked = False
        self._pid = os.getpid()
        self._batches: SimpleQueue[Batch] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="kapture-journal", daemon=True)

    # --- for the loop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Open the journal; :attr:`opened` tells when."""
        self._thread.start()
        atexit.register(self._at_exit)

    def hand_over(self) -> None:
        """Pass on what was collected."""
        self.asked = False
        batch, self.batch = self.batch, Batch()
        batch.at = self.now()
        self._batches.put(batch)

    def stop(self) -> None:
        """Write what waits, then close; :attr:`ended` tells when."""
        self.closing = True
        self.hand_over()
        self.stopping = True  # only once everything to be written is queued
        self._batches.put(Batch())

    def join(self) -> None:
        """Wait for the thread, which has nothing left to do but to return."""
        self._thread.join()

    # --- in the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self.closing = True
            atexit.unregister(self._at_exit)
            self._post([(self.opened, None, error), (self.ended, None, None)])
            return
        listening = self._post([(self.opened, None, None)])
        while listening and not (self.stopping and self._batches.empty()):
            try:
                batch = self._batches.get(timeout=_POLL)
                while batch.size < MOST_BYTES and not self._batches.empty():
                    batch.join(self._batches.get())
            except Empty:
                listening = not self._loop.is_closed()
            else:
                listening = self._write(batch)
                if listening and (batch.calls or batch.paces):
                    listening = self._call_all(batch)
            self._tick()
        self._finish()

    def _open(self) -> None:
        storage = open_storage(self._where, self._options)
        try:
            state = RunState(storage, self._options)
            if self._options.to_push:
                self.names = learn_names(storage, state)
        except BaseException as error:
            storage.close()
            made = storage.explain(error)
            if made is not error:
                raise made from error
            raise
        storage.tell = self._tell
        self.storage, self.state, self.now = storage, state, storage.now

    def _write(self, batch: Batch) -> bool:
        """Write a batch. Returns whether the loop is still there."""
        asked = [
            one for one in batch.asked if not (isinstance(one[0], Waiter) and one[0].cancelled())
        ]
        if not (asked or batch):
            return True
        tokens: list[Any] = batch.rows[WriteBatch.ROW - 1 :: WriteBatch.ROW]
        places = [(place, 1) for place in range(len(tokens))] if asked else []
        tokens += [token for token, _, _ in asked]
        ended = batch.accepted[WriteBatch.ACCEPTED - 1 :: WriteBatch.ACCEPTED]
        others = batch.events[WriteBatch.EVENT - 1 :: WriteBatch.EVENT]
        ended += [token for token in others if token is not None]
        answers: Sequence[Answer]
        problem: JournalError | None = None
        try:
            if self.storage.broken is not None:
                raise same_again(self.storage.broken)
            if batch.rows:
                batch.rows[:: WriteBatch.ROW] = self.state.reserve(self.storage, batch.count)
            answers = self._decide(batch, [one for _, one, _ in asked])
        except _RunOver as over:
            # The results are durable, nothing else is. This run may have more results.
            for row in batch.accepted[:: WriteBatch.ACCEPTED] + batch.events[:: WriteBatch.EVENT]:
                self.state.open.pop(row, None)
            if not self._post(ended=ended):
                return False
            ended, answers = [], [same_again(over.problem) for _ in tokens]
        except BaseException as error:
            # Nothing in the batch is durable, whatever the cause, so nothing in it is sent.
            problem = self._break(error)
            answers = [same_again(problem) for _ in tokens]
        done: list[Done] = []
        if asked:
            places += [(behind, 0) for _, _, behind in asked]
            order = sorted(range(len(tokens)), key=places.__getitem__)  # that of submission
            done = [_settled(tokens[at], answers[at]) for at in order if _waits(tokens[at])]
            order = [at for at in order if not _waits(tokens[at])]
            tokens, answers = [tokens[at] for at in order], [answers[at] for at in order]
        return self._post(done, tokens, answers, ended, problem)

    def _decide(self, batch: WriteBatch, asked: Sequence[Incoming | Again]) -> list[Answer]:
        """Decide about rows that may be known, and write the batch.

        Returns:
            The answers for the new rows of the batch, then those for ``asked``.
        """
        decisions = Decisions(self.storage, self.state, batch)
        decided = decisions.answer(asked) if asked else []
        lost = self.storage.write(batch) if batch else ()
        decisions.apply(lost)
        rows, width, job_id = batch.rows, WriteBatch.ROW, self.storage.job.job_id
        answers: list[Answer] = [
            Decision("send", row, reference_of(job_id, key, digest), 1, State.UNKNOWN)
            for row, key, digest in zip(rows[::width], rows[1::width], rows[3::width], strict=True)
        ]
        new = len(answers)
        answers += decided
        if lost:  # another run began these rows first: decide again
            beaten = [
                at
                for at, answer in enumerate(answers)
                if isinstance(answer, Decision) and answer.row in lost
            ]
            once_more: list[Incoming | Again] = []
            for at in beaten:
                if at < new:
                    _, key, line, digest, payload, *_ = rows[at * width : (at + 1) * width]
                    identity = Identity(key, digest, line)
                    once_more.append(Incoming(identity, payload or None, batch.at))
                else:
                    one = asked[at - new]
                    once_more.append(one._replace(new=False) if isinstance(one, Incoming) else one)
            found = self._decide(WriteBatch(batch.at), once_more)
            for at, answer in zip(beaten, found, strict=True):
                answers[at] = answer
        return answers

    def _call_all(self, batch: Batch) -> bool:
        """Run the calls of a batch. Returns whether the loop is still there."""
        calls: list[tuple[asyncio.Future[Any], Callable[[Any], Any], Any]] = [
            *((future, self.storage.change_pace, change) for future, change in batch.paces),
            *((future, self._call, function) for future, function in batch.calls),
        ]
        for future, call, argument in calls:
            value, problem = None, None
            try:
                value = call(argument)
            except BaseException as error:
                problem = error
                if self.storage.broken is not None:
                    problem = same_again(self._break(self.storage.broken))
            if not self._post([(future, value, problem)]):
                return False
        return True

    def _call(self, function: Callable[[Session], T]) -> T:
        while True:
            try:
                with self.storage.transaction():
                    decisions = Decisions(self.storage, self.state, WriteBatch(self.now()))
                    session = Session(self.storage, decisions)
                    value = function(session)
                    session.flush()
            except _Interrupted:
                continue
            except _RunOver as over:
                raise same_again(over.problem) from None
            decisions.apply(())
            return value

    def _break(self, error: BaseException) -> JournalError:
        if self.broken is None:
            self.broken = self.storage.broken or self._error_of(error)
            self.storage.broken = self.broken
        return self.broken

    def _error_of(self, error: BaseException) -> JournalError:
        if isinstance(error, JournalError):
            return error
        made = trouble(self._path, f"internal error, {type(error).__name__}: {error}")
        made.__cause__ = error
        return made

    def _tick(self) -> None:
        problem = self.broken
        if self.storage.broken is None:
            try:
                self.storage.tick(self.state.kinds)
            except _RunOver as over:
                problem = over.problem
            except BaseException as error:
                problem = self._break(error)
        if problem is not None and not self._has_failed:
            self._has_failed = True
            self._post([(self.failed, problem, None)])

    def _post(
        self,
        done: Sequence[Done] = (),
        tokens: Sequence[Any] = (),
        answers: Sequence[Answer] = (),
        ended: Sequence[Any] = (),
        problem: JournalError | None = None,
    ) -> bool:
        """Wake the loop, once for all of these. Returns whether it is still there."""
        try:
            self._loop.call_soon_threadsafe(self._deliver, done, tokens, answers, ended, problem)
        except RuntimeError:
            # The loop is closed: these rows will not be sent.
            for value in (*answers, *(value for _, value, _ in done)):
                if isinstance(value, Decision) and value.action == "send":
                    self.batch.not_sent(value.row, value.attempt)
            return False
        return True

    def _finish(self) -> None:
        storage, state = self.storage, self.state
        try:
            if storage.broken is None:
                # Left over by a closed loop, or handed over after the end.
                left, self.batch = self.batch, Batch()
                while not self._batches.empty():
                    left.join(self._batches.get())
                left.at = self.now()
                left.rows = []  # they will not be sent
                if left:
                    with suppress(_RunOver):
                        self._decide(left, ())
                storage.end(state.kinds)
            else:
                storage.close()
        except BaseException as error:
            self._break(error)
            storage.close()
        finally:
            atexit.unregister(self._at_exit)
            self.closing = True
            self._post([(self.ended, None, None)])

    def _at_exit(self) -> None:
        try:
            if not self._loop.is_running():
                raise RuntimeError
            self._loop.call_soon_threadsafe(
                self.stop
            )  # from the loop's thread: only it may hand over
        except RuntimeError:
            self.stop()
        if self._pid == os.getpid():
            self._thread.join(_AT_EXIT)


def _waits(token: Any) -> bool:
    return isinstance(token, Waiter)


def _settled(waiter: Waiter, answer: Answer) -> Done:
    return (waiter, None, answer) if isinstance(answer, JournalError) else (waiter, answer, None)
