"""A journal open for writing; the event loop never waits for the disk.

Rows and results are collected for one turn of the loop and handed to the journal's thread; see
:mod:`.thread`. An intent whose caller was cancelled before it could send anything gets the result
``not_sent``, so a cancellation leaves no doubt behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from ..errors import JournalError
from .address import is_address, name_of
from .decisions import Again, Incoming
from .pending import writable
from .records import (
    LATER,
    Counts,
    Decision,
    Identity,
    Job,
    LookupVerdict,
    check_identity,
    same_again,
    trouble,
)
from .reference import traits_of
from .session import Session
from .storage import OpenOptions
from .thread import MOST_BYTES, Answer, Done, JournalThread, Waiter

T = TypeVar("T")

logger = logging.getLogger("kapture_async.push")

_LINGER = 0.01
"""Seconds that a result waits for an intent to share a commit with. No worker waits for a result,
so this costs no throughput, and saves most commits of a busy push."""

OnAnswers = Callable[[Sequence[Any], Sequence[Answer]], None]
"""Called with the tokens of submitted rows, in order, and their answers."""
OnWritten = Callable[[Sequence[Any], JournalError | None], None]
"""Called with the tokens of results that shared a commit, and the error if it failed."""


class Journal:
    """A journal that is open for writing, for one event loop. Made by :meth:`open`.

    Every row is given to :meth:`submit`; the answer says whether it may be sent. Each attempt that
    is allowed must get a result, by :meth:`accept` or :meth:`end`, whatever happens.

    Attributes:
        path: its full path or address.
        on_notice: called in the loop with a message for the user.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self.on_notice: Callable[[str], None] = lambda words: None
        self._on_answers: OnAnswers | None = None
        self._on_ended: OnWritten | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._thread: JournalThread
        self._keeps = True

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
        """Open a journal for one run, or create it.

        Args:
            path: its file, or its address: ``postgresql://...``.
            job: what it must be for. Without it the journal must exist, and is used as it is.
            create: whether to create it if it does not exist.
            again: class names of refusals after which the same content may be sent again.
            now: the clock of this machine; see :meth:`now`.
            to_push: load the keys and contents of all rows, so that new ones need no lookup.
            restored: the caller knows that it is an older copy; see :attr:`restored`.
            exact_keys: treat a variant spelling of a key as a different key.

        Raises:
            JournalError: another process is using it, it belongs to another push, is damaged,
                or cannot be written. Nothing was changed.
        """
        name = name_of(path)
        where = path if is_address(path) else name

        options = OpenOptions(
            job=job,
            create=create,
            again=again,
            now=now,
            to_push=to_push,
            restored=restored,
            exact_keys=exact_keys,
        )
        journal = cls(name)
        journal._thread = thread = JournalThread(
            where, name, options, journal._deliver, journal._tell_person
        )
        thread.start()
        try:
            await asyncio.shield(thread.opened)
        except asyncio.CancelledError:
            thread.opened.add_done_callback(_ignore)
            thread.stop()
            raise
        except BaseException:
            thread.join()
            raise
        journal._keeps = journal.job.payloads
        return journal

    # --- what it is -----------------------------------------------------------------------------

    @property
    def job(self) -> Job:
        """What it is for, as recorded in it."""
        return self._thread.storage.job

    @property
    def restored(self) -> float | None:
        """Whether it is, or was, an older copy; see :attr:`.Storage.restored`."""
        return self._thread.storage.restored

    @property
    def sent_in_all(self) -> int | None:
        """How many of its rows are in the helpdesk; see :attr:`.Storage.sent_in_all`."""
        return self._thread.storage.sent_in_all

    @property
    def broken(self) -> JournalError | None:
        """Why it can no longer write, if so. Every call then fails with this error."""
        return self._thread.broken

    @property
    def failed(self) -> asyncio.Future[JournalError]:
        """Done with the reason once nothing more may be begun: this run is over, or the journal is
        broken. Rows that wait for the service, and not for the journal, learn it nowhere else."""
        return self._thread.failed

    @property
    def counts(self) -> Counts:
        """How many rows are in which state. Rows in flight count as unknown."""
        return Counts.of(self._thread.state.kinds)

    @property
    def has_older_keys(self) -> bool:
        """Whether earlier runs had rows with keys."""
        return self._thread.state.older_with_key

    @property
    def shared(self) -> bool:
        """Whether other runs may write to it at the same time; see :attr:`.Storage.shared`."""
        return self._thread.storage.shared

    def now(self) -> float:
        """The clock that timestamps its events; see :meth:`.Storage.now`."""
        return self._thread.storage.now()

    def hurry(self) -> None:
        """The push is about to end; see :meth:`.Storage.hurry`."""
        self._thread.storage.hurry()

    def may_send(self) -> bool:
        """Whether this run may send: ask right before the bytes of a row are written. A row that
        may not be sent ends as ``not_sent``; see :meth:`.Storage.may_send`."""
        return self._thread.broken is None and self._thread.storage.may_send()

    # --- rows and results -----------------------------------------------------------------------

    def listen(self, answers: OnAnswers, ended: OnWritten) -> None:
        """Set the listeners for :meth:`submit`, :meth:`accept` and :meth:`end`.

        Args:
            answers: gets what to do with each row. The intent of a row to be sent is durable then.
            ended: gets results once they are durable, or an error.
        """
        self._on_answers, self._on_ended = answers, ended

    def submit(
        self,
        token: Any,
        which: Identity | int,
        payload: bytes | None = None,
        *,
        refusal: tuple[str, str] | None = None,
        verdict: LookupVerdict | None = None,
        replaces: int | None = None,
        probe: bool = False,
        ask_only: bool = False,
    ) -> bool:
        """Ask whether a row may be sent; the listener gets the answer, see :meth:`listen`.

        With ``send``, the intent is durable, even if the answer arrives after :meth:`aclose` was
        called, which then waits for the result.

        Args:
            token: the caller's own; passed on with the answer.
            which: the row by its key or content; or its number in the journal, to send it again.
                A digest is used as it is.
            payload: the body it is sent with; ``None`` to keep it out of the journal.
            refusal: why it cannot be sent at all: the error's class name, and a message.
            verdict: a lookup's reason not to send it.
            replaces: the refused row that it replaces.
            probe: if it is new, write nothing and answer ``new``.
            ask_only: unless it is certainly new: if it would be sent, or anything about it would be
                written, write nothing and answer ``new``. So many rows can be asked about at once,
                and none of them is in doubt after a crash.

        Returns:
            Whether it is certainly new, so that it needs no lookup.

        Raises:
            InvalidInputError: its key is empty or unreadable.
            JournalError: the journal can no longer be used.
        """
        thread = self._thread
        if thread.broken is not None or thread.closing or os.getpid() != self._pid:
            raise self._unusable()
        batch, new = thread.batch, False
        if isinstance(which, int):
            batch.asked.append((token, Again(which, self._thread.now(), verdict), batch.count))
        else:
            key, digest, line = which
            if key is not None and not (key and key.isascii() and "\0" not in key):
                check_identity(which)
            new = thread.names is not None and thread.names.claim(key, digest)
            if (
                not new
                or probe
                or refusal
                or verdict
                or replaces is not None
                or type(token) is Waiter
            ):
                one = Incoming(
                    which, payload, self._thread.now(), refusal, new, verdict, replaces, probe,
                    ask_only and not new,
                )  # fmt: skip
                batch.asked.append((token, one, batch.count))
            elif payload is None:
                batch.rows += (0, key, line, digest, b"", 0, token)
            else:
                kept = payload if self._keeps else b""
                batch.rows += (0, key, line, digest, kept, traits_of(payload), token)
        if payload:
            batch.size += len(payload)
            if batch.size > MOST_BYTES:
                thread.hand_over()
        if not thread.asked:
            self._ask()
        return new

    async def submit_and_wait(
        self, which: Identity | int, payload: bytes | None = None
    ) -> Decision:
        """:meth:`submit`, waiting for the answer. A cancellation leaves no intent behind.

        Raises:
            JournalError: the intent could not be made durable: the row must not be sent. Or there
                is no such row.
        """
        waiter = Waiter(loop=self._loop)
        self.submit(waiter, which, payload)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._withdraw(waiter.result())
            raise

    def accept(self, token: Any, row: int, attempt: int, ticket_id: str | None) -> None:
        """Record that an attempt was accepted; see :meth:`end`."""
        thread = self._thread
        if thread.broken is not None or thread.stopping or os.getpid() != self._pid:
            self._refuse_result(token)
            return
        if ticket_id is not None and not ticket_id.isalnum():
            ticket_id = writable(ticket_id)
        thread.batch.accepted += (row, attempt, ticket_id, token)
        if not thread.asked and self._lingering is None:
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
        """Record the result of an attempt; see :meth:`listen`. :meth:`aclose` waits for it. If the
        journal is already broken, the listener gets that error; nothing is raised.

        Args:
            token: for the listener; ``None`` not to call it.
            row, attempt: from :class:`.Decision`.
            kind: ``rejected``, ``not_sent`` or ``unknown``.
            phase: the furthest point it reached.
            status: the HTTP status.
            error: the error's class name.
            words: the service's message, secrets masked.
        """
        thread = self._thread
        if thread.broken is not None or thread.stopping or os.getpid() != self._pid:
            self._refuse_result(token)
            return
        words = words and writable(words)
        thread.batch.events += (
            row, kind, attempt, None, phase, status, None, error, words, None, token
        )  # fmt: skip
        self._linger()

    # --- anything else --------------------------------------------------------------------------

    async def call(self, function: Callable[[Session], T]) -> T:
        """Run a function in the journal's thread, in a transaction of its own.

        It must return complete values: a list, not an iterator over the journal. An exception
        rolls the transaction back and is raised here.

        Raises:
            JournalError: it could not be made durable.
        """
        self._check_usable()
        return await self._put_call(function)

    async def change_pace(self, change: Callable[[Any, float], tuple[Any, T]]) -> T:
        """Change the pace state that all processes sharing the journal use for its target.

        Args:
            change: called in the journal's thread, perhaps more than once, with the state
                (``None`` at first) and the database's time; gives the new state, and a value.

        Returns:
            That value.

        Raises:
            JournalError: the journal can no longer be used.
        """
        self._check_usable()
        future: asyncio.Future[T] = self._loop.create_future()
        self._thread.batch.paces.append((future, change))
        self._ask()
        return await future

    def call_soon(
        self,
        function: Callable[[Session], T],
        done: Callable[[asyncio.Future[T]], None] | None = None,
    ) -> None:
        """:meth:`call` without waiting. Does nothing if the journal is broken or closing.

        Args:
            function: as for :meth:`call`.
            done: called in the loop with the finished future. Without it, an exception of the
                function is dropped; if the transaction failed, the journal is broken.
        """
        if self._thread.broken is None and not self._thread.closing:
            self._put_call(function).add_done_callback(done or _ignore)

    async def aclose(self) -> None:
        """Write everything pending, record the end of the run, and release the journal.

        Raises nothing and may be called again; :attr:`broken` holds the error, if any. A
        cancellation stops the waiting, not the closing.
        """
        if os.getpid() != self._pid:
            return  # only the parent of the fork has it
        if not self._thread.closing:
            self._thread.closing = True
            self._thread.storage.hurry()
            # After everything pending, and after the results of cancelled rows.
            self._put_call(lambda session: None).add_done_callback(self._stop_after)
        await asyncio.shield(self._thread.ended)
        self._thread.join()

    # --- in the loop ----------------------------------------------------------------------------

    def _check_usable(self) -> None:
        if self._thread.broken is not None or self._thread.closing or os.getpid() != self._pid:
            raise self._unusable()

    def _unusable(self) -> JournalError:
        if self._thread.broken is not None:
            return same_again(self._thread.broken)
        if self._thread.closing:
            return trouble(self.path, "it is closed", "Open it again.")
        return trouble(self.path, "it was opened before a fork", "Open it in this process.")

    def _refuse_result(self, token: Any) -> None:
        """Tell the listener that a result cannot be written. While the journal closes it still
        can, as long as rows begun before may end."""
        if token is not None and self._on_ended is not None:
            self._loop.call_soon(self._on_ended, [token], self._unusable())

    def _put_call(self, function: Callable[[Session], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._thread.batch.calls.append((future, function))
        self._ask()
        return future

    def _linger(self) -> None:
        """Hand over soon."""
        if not self._thread.asked and self._lingering is None:
            self._lingering = self._loop.call_later(_LINGER, self._ask)

    def _ask(self) -> None:
        """Hand over at the end of this turn of the loop."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if not self._thread.asked:
            # One turn later: whatever is added until then shares a commit.
            self._thread.asked = True
            self._loop.call_soon(self._thread.hand_over)

    def _withdraw(self, decided: Decision) -> None:
        """Record that a row that may be sent will not be."""
        if decided.action == "send":
            self._thread.batch.not_sent(decided.row, decided.attempt)
            self._linger()

    def _stop_after(self, barrier: asyncio.Future[None]) -> None:
        _ignore(barrier)
        self._thread.stop()

    def _deliver(
        self,
        done: Sequence[Done],
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

    def _tell_person(self, words: str) -> None:
        """Called in the thread."""
        logger.warning("%s", words)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.on_notice, words)


def _ignore(future: asyncio.Future[Any]) -> None:
    """Read its exception, so that asyncio does not warn that it was never retrieved."""
    if not future.cancelled():
        future.exception()
