"""The asyncio face of a journal: the event loop never waits on the disk.

There are two ways into it. A push goes the short one: :meth:`Journal.reference_of_new` tells that a
row is new, :meth:`Journal.begin_soon` and :meth:`Journal.end_soon` put its intent and its end, and
who listens is told of all that shared a commit. Rows that may be known are looked up, and go the
long one, :meth:`Journal.take_soon`; one at a time it is :meth:`Journal.take`.

What is cancelled is not forgotten: an intent whose taker is gone before it could send anything
is settled as not sent, so that a cancellation leaves no doubt behind.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import JournalError
from .batch import Incoming
from .group import Again
from .memory import writable
from .names import Names
from .records import LATER, Counts, Identity, Job, Kind, Settled, Sighted, Taken, check_identity
from .reference import reference_of
from .store import Store
from .thread import AllDone, Done, TakenDone, Worker
from .trouble import same_again, text_of, trouble

T = TypeVar("T")

_LARGE = 16 * 1024
"""Bytes of a payload that does not travel with others: all of a group are one value to SQLite,
which takes no more than a billion."""


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

    def __init__(
        self, worker: Worker, path: str, now: Callable[[], float], names: Names | None
    ) -> None:
        self.path = path
        self._worker = worker
        self._now = now
        self._job_id = self._store.job.job_id
        self._names = names
        self._reads_json = self._store.reads_json
        self._row_numbers = self._store.row_numbers

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
            path: its file.
            job: what it must be for. Without it the journal must be there, and is taken as it
                is.
            create: whether to make it if it is not there.
            again: class names of refusals after which the same content may be sent again.
            now: the wall clock.
            to_push: learn which rows there are, so that new ones need not be looked up.
            restored: it is an older copy, as the caller knows; see :attr:`restored`.
            exact_keys: another spelling of a key is another key.

        Raises:
            JournalError: another process pushes with it, it belongs to another push, is
                damaged, or cannot be written. Nothing was changed.
        """
        text = text_of(path)
        names: list[Names] = []

        def open_store() -> Store:
            store = Store.open(
                text, job=job, create=create, again=again, at=now(), restored=restored
            )
            store.exact_keys = exact_keys
            if to_push:
                try:
                    names.append(store.learn_names())
                except BaseException:
                    store.close()
                    raise
            return store

        worker = Worker(open_store, text, now)
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
        return cls(worker, text, now, names[0] if names else None)

    @property
    def job(self) -> Job:
        """What it is for, as it stands in the journal."""
        return self._store.job

    @property
    def restored(self) -> float | None:
        """Whether it is, or was, an older copy; see :attr:`.OwnedJournal.restored`."""
        return self._store.restored

    @property
    def sent_in_all(self) -> int | None:
        """How many of its rows are in the helpdesk; see :attr:`.OwnedJournal.sent_in_all`."""
        return self._store.sent_in_all

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
        new = self.claim(identity.key, identity.digest)
        return await self._take(Incoming(identity, payload, self._now(), None, new))

    def take_soon(
        self,
        identity: Identity,
        payload: bytes | None,
        done: TakenDone,
        token: Any = None,
        *,
        refusal: tuple[str, str] | None = None,
        new: bool = False,
        sighted: Sighted | None = None,
        replaces: int | None = None,
        probe: bool = False,
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
            new: what :meth:`claim` said of it.
            sighted: why it is not to be sent, if a lookup says so.
            replaces: the row whose place it takes.
            probe: if it is new, write nothing, and answer ``new``.

        Raises:
            JournalError: the journal can be used no more.
        """
        self._check_usable()
        one = Incoming(identity, payload, self._now(), refusal, new, sighted, replaces, probe)
        self._worker.put_take(one, done, token)

    def listen(self, begun: AllDone, ended: AllDone) -> None:
        """Be told of what :meth:`begin_soon` and :meth:`end_soon` put, once it is durable: of
        all that shared a commit, their tokens and ``None``; or the tokens and an error.

        Args:
            begun: told of rows whose intent is on the disk.
            ended: told of ends.
        """
        self._worker.on_begun, self._worker.on_ended = begun, ended

    def claim(self, key: str | None, digest: bytes) -> bool:
        """A row comes. Returns whether it surely never came before; ask once for each.

        Args:
            key, digest: as :class:`.Identity` has them.

        Raises:
            InvalidInputError: its key is empty or unreadable.
            JournalError: the journal can be used no more.
        """
        self._check_usable()
        if key is not None and not (key and key.isascii()):
            check_identity(Identity(key, digest))
        return self._names is not None and self._names.claim(key, digest)

    def reference_of_new(self, key: str | None, digest: bytes, size: int) -> str | None:
        """The reference of a row that was claimed as new, and may go the short way; ``None`` if it
        has to go the long one.

        Args:
            key, digest: as :class:`.Identity` has them.
            size: of its payload.
        """
        if not self._reads_json or size > _LARGE or (key is not None and "\0" in key):
            return None
        return reference_of(self._job_id, key, digest)

    def begin_soon(
        self,
        key: str | None,
        digest: bytes,
        line: int | None,
        payload: bytes,
        token: Any,
        traits: int = 0,
    ) -> int:
        """Have the intent of a new row written; see :meth:`listen`. It is its first attempt, and
        must be settled, as with :meth:`take_soon`.

        Args:
            key, digest, line: as :class:`.Identity` has them.
            payload: the body it is sent with; empty to keep it out of the journal.
            token: to be told of.
            traits: see :func:`.traits_of`.

        Returns:
            Its number in the journal.
        """
        worker, row = self._worker, next(self._row_numbers)
        worker.group.rows += (row, key, line, digest, payload, traits, token)
        if not worker.asked:
            worker.ask()
        return row

    def accept_soon(self, token: Any, row: int, attempt: int, ticket_id: str | None) -> None:
        """Have written that an attempt was accepted; see :meth:`end_soon`."""
        if self._may_join(ticket_id or ""):
            ticket_id = ticket_id and writable(ticket_id)
            self._worker.group.accepted += (row, attempt, ticket_id, token)
            self._worker.linger()
        else:
            self.settle_soon(row, attempt, "accepted", self._tell_ended, token, ticket_id=ticket_id)

    def end_soon(
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
        """:meth:`settle` without waiting; see :meth:`listen`. If the journal is broken already,
        that is told; nothing is raised.

        Args:
            token: to be told of; ``None`` for nothing.
            kind: ``rejected``, ``not_sent`` or ``unknown``.

        See :meth:`settle` for the others.
        """
        if self._may_join(words or ""):
            words = words and writable(words)
            self._worker.group.ended += (
                row, attempt, kind, phase, status, error, words, token
            )  # fmt: skip
            self._worker.linger()
        else:
            done = None if token is None else self._tell_ended
            self.settle_soon(
                row,
                attempt,
                kind,
                done,
                token,
                phase=phase,
                status=status,
                error=error,
                words=words,
            )

    def take_again_soon(
        self, row: int, done: TakenDone, token: Any = None, *, sighted: Sighted | None = None
    ) -> None:
        """:meth:`take_again` without waiting; see :meth:`take_soon`."""
        self._check_usable()
        self._worker.put_take(Again(row, self._now(), sighted), done, token)

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
        new = self.claim(identity.key, identity.digest)
        return await self._take(Incoming(identity, payload, self._now(), (error, words), new))

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

    @property
    def has_older_keys(self) -> bool:
        """Whether earlier runs had rows with keys."""
        return self._store.has_older_keys

    def call_soon(
        self,
        function: Callable[[Store], T],
        done: Callable[[asyncio.Future[T]], None] | None = None,
    ) -> None:
        """:meth:`call` without waiting. Does nothing if the journal is broken, or closing, already.

        Args:
            function: as for :meth:`call`.
            done: called in the loop with a future that is done. Without it, what the function
                raises is lost; if it could not be made durable, the journal is broken.
        """
        if self._worker.broken is None and not self._worker.closing:
            self._worker.put_call(function).add_done_callback(done or _ignore)

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

    def _may_join(self, text: str) -> bool:
        """Whether an end with this text may go the short way. If the journal cannot be used any
        more, the long one tells why."""
        worker = self._worker
        return (
            self._reads_json
            and "\0" not in text
            and worker.broken is None
            and not worker.stopping
            and worker.pid == os.getpid()
        )

    def _tell_ended(self, token: Any, problem: JournalError | None) -> None:
        if self._worker.on_ended is not None:
            self._worker.on_ended([token], problem)

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
