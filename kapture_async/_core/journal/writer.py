"""A journal that is written: the event loop never waits for the disk.

The loop collects what it has to say in a batch, one for each of its turns, and hands it to the
journal's thread. The thread joins the batches that wait, decides about rows that may be known (see
:mod:`.decisions`), writes all of it in one transaction, and wakes the loop once for everything.
The busier the push, the larger the batches, and the cheaper each row.

What is cancelled is not forgotten: an intent whose caller is gone before it could send anything
gets the result ``not_sent``, so that a cancellation leaves no doubt behind.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..errors import JournalError
from .address import is_address
from .decisions import Again, Decisions, Incoming, writable
from .errors import same_again, trouble
from .keys import SeenNames
from .records import (
    LATER,
    Counts,
    Decision,
    Identity,
    Job,
    Sighted,
    State,
    check_identity,
    later_of,
)
from .reference import reference_of
from .run_state import RunState, learn_names
from .session import Session
from .storage import Storage, WriteBatch, _Interrupted, _RunOver
from .storages import name_of, open_storage
from .traits import traits_of

T = TypeVar("T")

logger = logging.getLogger("kapture_async.push")

_POLL = 1.0
"""Seconds between two checks whether the loop is gone without closing us."""
_AT_EXIT = 5.0
"""Seconds the interpreter's end waits for the last commit."""
_LINGER = 0.01
"""Seconds that the result of an attempt waits for an intent to share its commit with. No worker
waits for a result, so this costs no throughput, and most commits of a busy push are saved."""
_MOST_BYTES = 16 * 1024 * 1024
"""Of payloads in one batch, before it is handed over; the database takes no more than a billion."""

Answer = Decision | JournalError
"""What to do with a row that was submitted, or why it must not be sent."""
OnAnswers = Callable[[Sequence[Any], Sequence[Answer]], None]
"""Called with the tokens of rows that were submitted, in their order, and the answers."""
OnWritten = Callable[[Sequence[Any], JournalError | None], None]
"""Called with the tokens of results that shared a commit, and with what went wrong for all."""

_Asked = tuple[Any, Incoming | Again, int]
"""A token, the row it stands for, and how many new rows of the batch came before."""
_Done = tuple[asyncio.Future[Any], Any, BaseException | None]
"""Who waits, and for what: a value or an error."""


class _Waiter(asyncio.Future[Decision]):
    """The token of a row whose answer one coroutine waits for."""


class _Batch(WriteBatch):
    """What the event loop has collected.

    Attributes:
        asked: rows to decide about.
        calls: functions that are to be called in a transaction of their own.
        paces: functions that change the shared pace.
        size: bytes of the payloads.
    """

    def __init__(self, at: float = 0.0) -> None:
        super().__init__(at)
        self.asked: list[_Asked] = []
        self.calls: list[tuple[asyncio.Future[Any], Callable[[Session], Any]]] = []
        self.paces: list[tuple[asyncio.Future[Any], Callable[[Any, float], Any]]] = []
        self.size = 0

    def join(self, later: _Batch) -> None:
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
        """A row that was about to be sent will not be: it is not sent, and not in doubt."""
        words = "cancelled before it was sent"
        self.events += (row, "not_sent", attempt, None, None, None, None, None, words, None, None)


class Journal:
    """A journal that is open for writing, for one event loop. Made by :meth:`open`.

    Every row goes in by :meth:`submit`, and the answer says whether it may be sent. Every attempt
    that may be made must get its result, by :meth:`accept` or :meth:`end`, whatever happens.

    Attributes:
        path: where it is, in full.
        on_notice: called in the loop with a message for a person.
    """

    def __init__(self, opened: Callable[[], Storage], path: str, now: Callable[[], float]) -> None:
        self.path = path
        self._open_storage = opened
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._again: frozenset[str] = LATER
        self._exact_keys = False
        self._keeps = True
        self._names: SeenNames | None = None
        self._broken: JournalError | None = None
        self._closing = self._stopping = self._asked = False
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.on_notice: Callable[[str], None] = lambda words: None
        self._on_answers: OnAnswers | None = None
        self._on_ended: OnWritten | None = None
        self._batch = _Batch()
        self._batches: SimpleQueue[_Batch] = SimpleQueue()
        self._lingering: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._work, name="kapture-journal", daemon=True)
        self._storage: Storage
        self._state: RunState

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        job: Job | None = None,
        create: bool = True,
        again: frozenset[str] = LATER,
        now: Callable[[], float] = time.time,
        to_push: bool = False,
        restored: bool = False,
        exact_keys: bool = False,
    ) -> Journal:
        """Open a journal, alone, or make it.

        Args:
            path: its file, or its address: ``postgresql://...``.
            job: what it must be for. Without it the journal must be there, and is taken as it
                is.
            create: whether to make it if it is not there.
            again: class names of refusals after which the same content may be sent again.
            now: the clock of this machine; see :meth:`now`.
            to_push: learn which rows there are, so that new ones need not be looked up.
            restored: it is an older copy, as the caller knows; see :attr:`restored`.
            exact_keys: a variant spelling of a key is another key.

        Raises:
            JournalError: another process pushes with it, it belongs to another push, is
                damaged, or cannot be written. Nothing was changed.
        """
        name = name_of(path)
        where = path if is_address(path) else name

        def opened() -> Storage:
            return open_storage(where, job=job, create=create, now=now, restored=restored)

        journal = cls(opened, name, now)
        journal._again, journal._exact_keys = again, exact_keys
        journal._names = SeenNames() if to_push else None
        journal._thread.start()
        atexit.register(journal._at_exit)
        try:
            await asyncio.shield(journal._opened)
        except asyncio.CancelledError:
            journal._opened.add_done_callback(_ignore)
            journal._stop()
            raise
        except BaseException:
            journal._thread.join()  # it has nothing left to do but to return
            raise
        return journal

    # --- what it is -----------------------------------------------------------------------------

    @property
    def job(self) -> Job:
        """What it is for, as it stands in the journal."""
        return self._storage.job

    @property
    def restored(self) -> float | None:
        """Whether it is, or was, an older copy; see :attr:`.Storage.restored`."""
        return self._storage.restored

    @property
    def sent_in_all(self) -> int | None:
        """How many of its rows are in the helpdesk; see :attr:`.Storage.sent_in_all`."""
        return self._storage.sent_in_all

    @property
    def broken(self) -> JournalError | None:
        """Why it can write no more, once that is so. From then on every call fails with it."""
        return self._broken

    @property
    def counts(self) -> Counts:
        """How many rows are in which state. Rows under way are unknown."""
        return Counts.of(self._state.kinds)

    @property
    def has_older_keys(self) -> bool:
        """Whether earlier runs had rows with keys."""
        return self._state.older_with_key

    @property
    def shared(self) -> bool:
        """Whether other runs may write to it at the same time; see :attr:`.Storage.shared`."""
        return self._storage.shared

    def now(self) -> float:
        """The clock that its events are written with; see :meth:`.Storage.now`."""
        return self._storage.now()

    def hurry(self) -> None:
        """The push is about to end; see :meth:`.Storage.hurry`."""
        self._storage.hurry()

    def may_send(self) -> bool:
        """Whether this run may send: ask directly before the bytes of a row are written. What may
        not be sent ends as ``not_sent``; see :meth:`.Storage.may_send`."""
        return self._broken is None and self._storage.may_send()

    # --- rows and results -----------------------------------------------------------------------

    def listen(self, answers: OnAnswers, ended: OnWritten) -> None:
        """Set who is told of what was given to :meth:`submit`, :meth:`accept` and :meth:`end`.

        Args:
            answers: told what to do with each row. What is to be sent is durable then.
            ended: told of results once they are durable, or could not be made so.
        """
        self._on_answers, self._on_ended = answers, ended

    def submit(
        self,
        token: Any,
        which: Identity | int,
        payload: bytes | None = None,
        *,
        refusal: tuple[str, str] | None = None,
        sighted: Sighted | None = None,
        replaces: int | None = None,
        probe: bool = False,
        look: bool = False,
    ) -> bool:
        """Ask whether a row may be sent; :meth:`listen` gets the answer.

        With ``send``, the intent is durable: also when the answer comes after :meth:`aclose` was
        called, which waits for the result.

        Args:
            token: the caller's own; the answer comes with it.
            which: the row by its key or content; or its number in the journal, to send it once
                more, from its payload perhaps. A digest is taken as it is.
            payload: the body it is sent with; ``None`` to keep it out of the journal.
            refusal: why it cannot be sent at all: the error's class name, and words.
            sighted: why it is not to be sent, if a lookup says so.
            replaces: the row whose place it takes.
            probe: if it is new, write nothing, and answer ``new``.
            look: if it is not surely new, and would be sent, or written in any other form: write
                nothing, and answer ``new``. So many may be asked about at once, and after a crash
                none of them is in doubt.

        Returns:
            Whether it is surely new, so that it need not be looked up.

        Raises:
            InvalidInputError: its key is empty or unreadable.
            JournalError: the journal can be used no more.
        """
        if self._broken is not None or self._closing or os.getpid() != self._pid:
            raise self._unusable()
        batch, new = self._batch, False
        if isinstance(which, int):
            batch.asked.append((token, Again(which, self._now(), sighted), batch.count))
        else:
            key, digest, line = which
            if key is not None and not (key and key.isascii() and "\0" not in key):
                check_identity(which)
            new = self._names is not None and self._names.claim(key, digest)
            if (
                not new
                or probe
                or refusal
                or sighted
                or replaces is not None
                or type(token) is _Waiter
            ):
                one = Incoming(
                    which, payload, self._now(), refusal, new, sighted, replaces, probe,
                    look and not new,
                )  # fmt: skip
                batch.asked.append((token, one, batch.count))
            elif payload is None:
                batch.rows += (0, key, line, digest, b"", 0, token)
            else:
                kept = payload if self._keeps else b""
                batch.rows += (0, key, line, digest, kept, traits_of(payload), token)
        if payload:
            batch.size += len(payload)
        self._ask(batch)
        return new

    async def submit_and_wait(
        self, which: Identity | int, payload: bytes | None = None
    ) -> Decision:
        """:meth:`submit`, waiting for the answer. A cancellation leaves no intent behind.

        Raises:
            JournalError: the intent could not be made durable: the row must not be sent. Or there
                is no such row.
        """
        waiter = _Waiter(loop=self._loop)
        self.submit(waiter, which, payload)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._withdraw(waiter.result())
            raise

    def accept(self, token: Any, row: int, attempt: int, ticket_id: str | None) -> None:
        """Have written that an attempt was accepted; see :meth:`end`."""
        if self._takes_results(token):
            ticket_id = ticket_id and writable(ticket_id)
            self._batch.accepted += (row, attempt, ticket_id, token)
            self._linger()

    def end(
        self,
        token: Any,
        row: int,
        attempt: int,
        kind: str,
        *,
        phase: int | None = None,
        status: int | None = None,
        error: str | None = None,
        words: str | None = None,
    ) -> None:
        """Have the result of an attempt written; see :meth:`listen`. :meth:`aclose` waits for it.
        If the journal is broken already, that is told; nothing is raised.

        Args:
            token: to be told of; ``None`` for nothing.
            row, attempt: from :class:`.Decision`.
            kind: ``rejected``, ``not_sent`` or ``unknown``.
            phase: the furthest point it reached.
            status: the HTTP status.
            error: the error's class name.
            words: what the service said, secrets masked.
        """
        if self._takes_results(token):
            words = words and writable(words)
            self._batch.events += (
                row, kind, attempt, None, phase, status, None, error, words, None, token
            )  # fmt: skip
            self._linger()

    # --- anything else --------------------------------------------------------------------------

    async def call(self, function: Callable[[Session], T]) -> T:
        """Run something in the journal's thread, in a transaction of its own.

        What it returns must be complete: a list, and not an iterator over the journal. What it
        raises undoes the transaction and is raised here.

        Raises:
            JournalError: it could not be made durable.
        """
        self._check_usable()
        return await self._put_call(function)

    async def change_pace(self, change: Callable[[Any, float], tuple[Any, T]]) -> T:
        """Change what all processes that share the journal know of the pace of its target.

        Args:
            change: called in the journal's thread, perhaps more than once, with the state
                (``None`` at first) and the database's time; gives the new state, and a value.

        Returns:
            That value.

        Raises:
            JournalError: the journal can be used no more.
        """
        self._check_usable()
        future: asyncio.Future[T] = self._loop.create_future()
        self._batch.paces.append((future, change))
        self._ask(self._batch)
        return await future

    def call_soon(
        self,
        function: Callable[[Session], T],
        done: Callable[[asyncio.Future[T]], None] | None = None,
    ) -> None:
        """:meth:`call` without waiting. Does nothing if the journal is broken, or closing, already.

        Args:
            function: as for :meth:`call`.
            done: called in the loop with a future that is done. Without it, what the function
                raises is lost; if it could not be made durable, the journal is broken.
        """
        if self._broken is None and not self._closing:
            self._put_call(function).add_done_callback(done or _ignore)

    async def aclose(self) -> None:
        """Write what waits, note the end of the run, and give the journal back.

        Raises nothing and may be called again; what failed stands in :attr:`broken`. A
        cancellation ends the waiting, not the closing.
        """
        if os.getpid() != self._pid:
            return  # the parent of the fork has it, and only the parent
        if not self._closing:
            self._closing = True
            self._storage.hurry()
            # Behind all that waits; and what becomes of cancelled rows comes before the end.
            self._put_call(lambda session: None).add_done_callback(self._stop_after)
        await asyncio.shield(self._ended)
        self._thread.join()  # it has nothing left to do but to return

    # --- in the loop ----------------------------------------------------------------------------

    def _check_usable(self) -> None:
        if self._broken is not None or self._closing or os.getpid() != self._pid:
            raise self._unusable()

    def _unusable(self) -> JournalError:
        if self._broken is not None:
            return same_again(self._broken)
        if self._closing:
            return trouble(self.path, "it is closed", "Open it again.")
        return trouble(self.path, "it was opened before a fork", "Open it in this process.")

    def _takes_results(self, token: Any) -> bool:
        """What was begun before the closing may end while that is under way."""
        problem = self._broken
        if problem is None and self._stopping:
            problem = trouble(self.path, "it is closed", "Open it again.")
        if problem is None and os.getpid() != self._pid:
            problem = trouble(self.path, "it was opened before a fork", "Open it in this process.")
        if problem is None:
            return True
        if token is not None and self._on_ended is not None:
            self._loop.call_soon(self._on_ended, [token], problem)
        return False

    def _put_call(self, function: Callable[[Session], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._batch.calls.append((future, function))
        self._ask(self._batch)
        return future

    def _linger(self) -> None:
        """Have written what waits, before long."""
        if not self._asked and self._lingering is None:
            self._lingering = self._loop.call_later(_LINGER, self._ask, None)

    def _ask(self, batch: _Batch | None) -> None:
        """Have written what waits."""
        if batch is not None and batch.size > _MOST_BYTES:
            self._hand_over()
        if self._asked:
            return
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        # One turn of the loop later: what is put until then shares a commit.
        self._asked = True
        self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._asked = False
        batch, self._batch = self._batch, _Batch()
        batch.at = self._now()
        self._batches.put(batch)

    def _withdraw(self, decided: Decision) -> None:
        """A row that was taken will not be sent."""
        if decided.action == "send":
            self._batch.not_sent(decided.row, decided.attempt)
            self._linger()

    def _stop_after(self, barrier: asyncio.Future[None]) -> None:
        _ignore(barrier)
        self._stop()

    def _stop(self) -> None:
        """Write what waits, then close; ``_ended`` tells when."""
        self._closing = True
        self._hand_over()
        self._stopping = True  # after what is to be written is there
        self._batches.put(_Batch())

    def _deliver(
        self,
        done: Sequence[_Done],
        tokens: Sequence[Any],
        answers: Sequence[Answer],
        ended: Sequence[Any],
        problem: JournalError | None,
    ) -> None:
        if ended:
            self._tell(self._on_ended, ended, problem)
        for waiter, value, error in done:
            if waiter.done():  # cancelled meanwhile
                if isinstance(value, Decision):
                    self._withdraw(value)
            elif error is None:
                waiter.set_result(value)
            else:
                waiter.set_exception(error)
        if tokens:
            self._tell(self._on_answers, tokens, answers)

    def _tell(self, listener: Callable[..., None] | None, *what: Any) -> None:
        assert listener is not None, "no listener"
        try:
            listener(*what)
        except Exception:
            logger.exception("a callback of the journal failed; the push continues")

    # --- in the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self._closing = True
            atexit.unregister(self._at_exit)
            self._post([(self._opened, None, error), (self._ended, None, None)])
            return
        listening = self._post([(self._opened, None, None)])
        while listening and not (self._stopping and self._batches.empty()):
            try:
                batch = self._batches.get(timeout=_POLL)
                while batch.size < _MOST_BYTES and not self._batches.empty():
                    batch.join(self._batches.get())
            except Empty:
                listening = not self._loop.is_closed()
            else:
                listening = self._write(batch) and self._call_all(batch)
            self._tick()
        self._finish()

    def _open(self) -> None:
        storage = self._open_storage()
        try:
            state = RunState(storage)
            if self._names is not None:
                self._names = learn_names(storage, state, exact_keys=self._exact_keys)
        except BaseException as error:
            storage.close()
            made = storage.explain(error)
            if made is not error:
                raise made from error
            raise
        self._again = later_of(storage.job.operation, self._again)
        storage.tell = self._tell_person
        self._storage, self._state, self._now = storage, state, storage.now
        self._keeps = storage.job.payloads

    def _tell_person(self, words: str) -> None:
        logger.warning("%s", words)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.on_notice, words)

    def _write(self, batch: _Batch) -> bool:
        """One batch. False if the loop is gone."""
        asked = [
            one for one in batch.asked if not (isinstance(one[0], _Waiter) and one[0].cancelled())
        ]
        if not (asked or batch):
            return True
        tokens: list[Any] = batch.rows[WriteBatch.ROW - 1 :: WriteBatch.ROW]
        places = [(place, 1) for place in range(len(tokens))] if asked else []
        tokens += [token for token, _, _ in asked]
        ended = batch.accepted[WriteBatch.ACCEPTED - 1 :: WriteBatch.ACCEPTED]
        others = batch.events[WriteBatch.EVENT - 1 :: WriteBatch.EVENT]
        ended += [token for token in others if token is not None]
        answers: list[Answer]
        problem: JournalError | None = None
        try:
            if self._storage.broken is not None:
                raise same_again(self._storage.broken)
            if batch.rows:
                batch.rows[:: WriteBatch.ROW] = self._state.reserve(self._storage, batch.count)
            answers = self._decide(batch, [one for _, one, _ in asked])
        except _RunOver as over:
            # What has ended is durable, and nothing else. This run may have more results.
            for row in batch.accepted[:: WriteBatch.ACCEPTED] + batch.events[:: WriteBatch.EVENT]:
                self._state.open.pop(row, None)
            if not self._post(ended=ended):
                return False
            ended, answers = [], [same_again(over.problem) for _ in tokens]
        except BaseException as error:
            # Nothing of the batch is durable, whatever it was: so nothing of it is sent.
            problem = self._break(error)
            answers = [same_again(problem) for _ in tokens]
        done: list[_Done] = []
        if asked:
            places += [(behind, 0) for _, _, behind in asked]
            tokens, answers = self._in_order(places, tokens, answers, done)
        return self._post(done, tokens, answers, ended, problem)

    def _decide(self, batch: WriteBatch, asked: Sequence[Incoming | Again]) -> list[Answer]:
        """Write a batch, with what is decided about rows that may be known.

        Returns:
            The answers for its new rows, and then for those.
        """
        decisions = Decisions(
            self._storage, self._state, batch, self._again, exact_keys=self._exact_keys
        )
        decided = decisions.answer(asked) if asked else []
        lost = decisions.write() if batch else set()
        decisions.apply(lost)
        rows, width, job_id = batch.rows, WriteBatch.ROW, self._storage.job.job_id
        answers: list[Answer] = [
            Decision("send", row, reference_of(job_id, key, digest), 1, State.UNKNOWN)
            for row, key, digest in zip(rows[::width], rows[1::width], rows[3::width], strict=True)
        ]
        new = len(answers)
        answers += decided
        if lost:  # another run had these rows before: they are decided like any other
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

    @staticmethod
    def _in_order(
        places: Sequence[tuple[int, int]],
        tokens: Sequence[Any],
        answers: Sequence[Answer],
        done: list[_Done],
    ) -> tuple[list[Any], list[Answer]]:
        """The answers in the order of the rows; those that one coroutine waits for are done."""
        kept: tuple[list[Any], list[Answer]] = [], []
        for place in sorted(range(len(tokens)), key=places.__getitem__):
            token, answer = tokens[place], answers[place]
            if not isinstance(token, _Waiter):
                kept[0].append(token)
                kept[1].append(answer)
            elif isinstance(answer, JournalError):
                done.append((token, None, answer))
            else:
                done.append((token, answer, None))
        return kept

    def _call_all(self, batch: _Batch) -> bool:
        for pace, change in batch.paces:
            found, failure = None, None
            try:
                found = self._storage.change_pace(change)
            except BaseException as error:
                failure = error
            if not self._post([(pace, found, failure)]):
                return False
        for future, function in batch.calls:
            value, problem = None, None
            try:
                value = self._call(function)
            except BaseException as error:
                problem = error
                if self._storage.broken is not None:
                    problem = same_again(self._break(self._storage.broken))
            if not self._post([(future, value, problem)]):
                return False
        return True

    def _call(self, function: Callable[[Session], T]) -> T:
        while True:
            try:
                with self._storage.transaction():
                    decisions = Decisions(
                        self._storage, self._state, WriteBatch(self._now()), self._again
                    )
                    session = Session(self._storage, decisions)
                    value = function(session)
                    session.flush()
            except _Interrupted:
                continue
            except _RunOver as over:
                raise same_again(over.problem) from None
            decisions.apply(set())
            return value

    def _break(self, error: BaseException) -> JournalError:
        if self._broken is None:
            self._broken = self._storage.broken or self._error_of(error)
            self._storage.broken = self._broken
        return self._broken

    def _error_of(self, error: BaseException) -> JournalError:
        if isinstance(error, JournalError):
            return error
        made = trouble(self.path, f"an error of this package, {type(error).__name__}: {error}")
        made.__cause__ = error
        return made

    def _tick(self) -> None:
        if self._storage.broken is None:
            try:
                self._storage.tick(self._state.kinds)
            except _RunOver:
                pass  # whoever wants to begin anything more is told
            except BaseException as error:
                self._break(error)

    def _post(
        self,
        done: Sequence[_Done] = (),
        tokens: Sequence[Any] = (),
        answers: Sequence[Answer] = (),
        ended: Sequence[Any] = (),
        problem: JournalError | None = None,
    ) -> bool:
        """Wake the loop, once for all of these. False if it is gone."""
        try:
            self._loop.call_soon_threadsafe(self._deliver, done, tokens, answers, ended, problem)
        except RuntimeError:
            # The loop is closed: what was decided will not be sent.
            for value in (*answers, *(value for _, value, _ in done)):
                if isinstance(value, Decision) and value.action == "send":
                    self._batch.not_sent(value.row, value.attempt)
            return False
        return True

    def _finish(self) -> None:
        storage, state = self._storage, self._state
        try:
            if storage.broken is None:
                # What is left by a loop that is gone, or was put after the end.
                left, self._batch = self._batch, _Batch()
                while not self._batches.empty():
                    left.join(self._batches.get())
                left.at = self._now()
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
            self._closing = True
            self._post([(self._ended, None, None)])

    def _at_exit(self) -> None:
        try:
            if not self._loop.is_running():
                raise RuntimeError
            self._loop.call_soon_threadsafe(self._stop)  # in a thread of its own: only it may put
        except RuntimeError:
            self._stop()
        if self._pid == os.getpid():
            self._thread.join(_AT_EXIT)


def _ignore(future: asyncio.Future[Any]) -> None:
    """Read its exception, so that asyncio does not warn that it was never retrieved."""
    if not future.cancelled():
        future.exception()
