"""The asyncio face of a journal: the event loop never waits on the disk.

One thread per journal takes whatever waits, writes it in one transaction, and wakes the loop
once for all of it. The busier the push, the larger the groups, and the cheaper each row.

What is cancelled is not forgotten: an intent whose taker is gone before it could send anything
is settled as not sent, so that a cancellation leaves no doubt behind.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import JournalError
from .batch import Incoming
from .facts import LATER, Counts, Identity, Job, Kind, Settled, Taken, check_identity
from .store import Store
from .thread import Again, Done, TakenDone, Worker
from .trouble import same_again, text_of, trouble

T = TypeVar("T")


class Journal:
    """A journal opened for writing, for one event loop.

    ::

        taken = await journal.take(Identity("A-1", digest_of(body)), body)
        if taken.action == "send":
            ...  # send it, under taken.reference
            await journal.settle(taken.row, taken.attempt, "accepted", ticket_id="1")

    Attributes:
        path: its file, in full.
    """

    def __init__(self, worker: Worker, path: str, now: Callable[[], float]) -> None:
        self.path = path
        self._worker = worker
        self._now = now

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        job: Job | None = None,
        create: bool = True,
        again: frozenset[str] = LATER,
        now: Callable[[], float] = time.time,
    ) -> Journal:
        """Open a journal, alone, or make it.

        Args:
            path: its file.
            job: what it must be for. Without it the journal must be there, and is taken as it
                is.
            create: whether to make it if it is not there.
            again: class names of refusals after which the same content may be sent again.
            now: the wall clock.

        Raises:
            JournalError: another process pushes with it, it belongs to another push, is
                damaged, or cannot be written. Nothing was changed.
        """
        text = text_of(path)
        worker = Worker(
            lambda: Store.open(text, job=job, create=create, again=again, at=now()), text, now
        )
        worker.start()
        try:
            await asyncio.shield(worker.opened)
        except asyncio.CancelledError:
            worker.opened.add_done_callback(_ignore)
            worker.stop()
            raise
        except BaseException:
            worker.join()  # it has nothing left to do but to return
            raise
        return cls(worker, text, now)

    @property
    def job(self) -> Job:
        """What it is for, as it stands in the journal."""
        return self._store.job

    @property
    def broken(self) -> JournalError | None:
        """Why it can write no more, once that is so. From then on every call fails with it."""
        return self._worker.broken

    @property
    def counts(self) -> Counts:
        """How many rows are in which state. Rows under way are unknown."""
        return self._store.counts()

    @property
    def under_way(self) -> int:
        """How many rows have an attempt of this run without an end."""
        return self._store.under_way

    async def take(self, identity: Identity, payload: bytes | None) -> Taken:
        """Ask what to do with a row. With ``send``, its intent is on the disk.

        Every ``send`` must be settled, whatever happens. If this call is cancelled, that is
        done here.

        Args:
            identity: which row it is.
            payload: the body it is sent with; ``None`` to keep it out of the journal.

        Raises:
            InvalidInputError: its key is empty or unreadable. Nothing was written.
            JournalError: the intent could not be made durable: the row must not be sent.
        """
        check_identity(identity)
        return await self._take(Incoming(identity, payload, self._now()))

    def take_soon(
        self,
        identity: Identity,
        payload: bytes | None,
        done: TakenDone,
        token: Any = None,
        *,
        refusal: tuple[str, str] | None = None,
    ) -> None:
        """:meth:`take` without waiting, or :meth:`refuse`.

        Every ``send`` must be settled, also when it comes after :meth:`aclose` was called, which
        waits for that.

        Args:
            identity, payload: as for :meth:`take`. A digest is taken as it is.
            done: called in the loop with the token, the answer and ``None``, or with the token,
                ``None`` and an error.
            token: the caller's own; saves it a callback for each row.
            refusal: why it cannot be sent at all: the error's class name, and words.

        Raises:
            InvalidInputError: its key is empty or unreadable. Nothing was written.
            JournalError: the journal can be used no more.
        """
        if identity.key is not None:
            check_identity(identity)
        self._check_usable()
        self._worker.put_take(Incoming(identity, payload, self._now(), refusal), done, token)

    def take_again_soon(self, row: int, done: TakenDone, token: Any = None) -> None:
        """:meth:`take_again` without waiting; see :meth:`take_soon`."""
        self._check_usable()
        self._worker.put_take(Again(row, self._now()), done, token)

    async def take_again(self, row: int) -> Taken:
        """:meth:`take` for a row the journal holds: to try it once more in this run, or to send
        it from its payload without the source.

        Raises:
            JournalError: as for :meth:`take`; or there is no such row.
        """
        return await self._take(Again(row, self._now()))

    async def refuse(
        self, identity: Identity, payload: bytes | None, error: str, words: str
    ) -> Taken:
        """Note a row that cannot be sent as it is: ``refused``, unless it is in the helpdesk
        already, in doubt, or repeated.

        Args:
            identity: which row it is.
            payload: whatever helps to mend it.
            error: the error's class name.
            words: why, for a person.
        """
        check_identity(identity)
        return await self._take(Incoming(identity, payload, self._now(), (error, words)))

    async def settle(
        self,
        row: int,
        attempt: int,
        kind: Kind | str,
        *,
        phase: int | None = None,
        status: int | None = None,
        ticket_id: str | None = None,
        error: str | None = None,
        words: str | None = None,
    ) -> None:
        """Write how an attempt ended; returns when that is durable. A cancellation ends the
        waiting, not the writing.

        Args:
            row, attempt: from :class:`.Taken`.
            kind: ``accepted``, ``rejected``, ``not_sent`` or ``unknown``.
            phase: the furthest point it reached.
            status: the HTTP status.
            ticket_id: what the service gave.
            error: the error's class name.
            words: what the service said, secrets masked.

        Raises:
            JournalError: it could not be written: to the journal, the row stays in doubt.
        """
        end = Settled(row, attempt, kind, self._now(), phase, status, ticket_id, error, words)
        self._check_usable()
        future: asyncio.Future[None] = self._worker.loop.create_future()
        self._worker.put_end(future, end)
        await future

    def settle_soon(
        self,
        row: int,
        attempt: int,
        kind: Kind | str,
        done: Done | None = None,
        token: Any = None,
        *,
        phase: int | None = None,
        status: int | None = None,
        ticket_id: str | None = None,
        error: str | None = None,
        words: str | None = None,
    ) -> None:
        """:meth:`settle` without waiting. :meth:`aclose` waits for it.

        Args:
            done: called in the loop once it is durable, with the token and ``None``; or with the
                token and the error. Also called if the journal is broken already; this method
                raises nothing then.
            token: the caller's own.

        See :meth:`settle` for the others.
        """
        end = Settled(row, attempt, kind, self._now(), phase, status, ticket_id, error, words)
        try:
            self._check_usable(ending=True)
        except JournalError as problem:
            if done is not None:
                self._worker.loop.call_soon(done, token, problem)
            return
        self._worker.put_end(done, end, token)

    async def call(self, function: Callable[[Store], T]) -> T:
        """Run something in the journal's thread, in a transaction of its own.

        What it returns must be complete: a list, and not an iterator over the store. What it
        raises undoes the transaction and is raised here.

        Raises:
            JournalError: it could not be made durable.
        """
        self._check_usable()
        return await self._worker.put_call(function)

    async def aclose(self) -> None:
        """Write what waits, note the end of the run, and give the journal back.

        Raises nothing and may be called again; what failed stands in :attr:`broken`. A
        cancellation ends the waiting, not the closing.
        """
        worker = self._worker
        if os.getpid() != worker.pid:
            return  # the parent of the fork has it, and only the parent
        if not worker.closing:
            worker.closing = True
            # Behind all that waits; and what becomes of cancelled takes comes before the end.
            worker.put_call(lambda store: None).add_done_callback(self._end)
        await asyncio.shield(worker.ended)
        worker.join()  # it has nothing left to do but to return

    @property
    def _store(self) -> Store:
        assert self._worker.store is not None
        return self._worker.store

    async def _take(self, one: Incoming | Again) -> Taken:
        self._check_usable()
        future: asyncio.Future[Taken] = self._worker.loop.create_future()
        self._worker.put_take(one, future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._worker.unsend(future.result())
            raise

    def _check_usable(self, *, ending: bool = False) -> None:
        """Args: ending: what was taken before the closing may end while that is under way."""
        worker = self._worker
        if worker.broken is not None:
            raise same_again(worker.broken)
        if worker.stopping if ending else worker.closing:
            raise trouble(self.path, "it is closed", "Open it again.")
        if os.getpid() != worker.pid:
            raise trouble(self.path, "it was opened before a fork", "Open it in this process.")

    def _end(self, barrier: asyncio.Future[None]) -> None:
        _ignore(barrier)
        self._worker.stop()


def _ignore(future: asyncio.Future[Any]) -> None:
    """Look at its exception, so that nobody complains that nobody did."""
    if not future.cancelled():
        future.exception()
