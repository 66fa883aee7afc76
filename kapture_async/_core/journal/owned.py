"""A journal's file in one pair of hands: opened, written to in transactions, closed."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from attrs import evolve

from ..errors import JournalError
from . import marks
from .lock import Lock, owner_of
from .marks import Mark
from .memory import Memory
from .reader import ReadJournal
from .records import LATER, Counts, Job, later_of
from .schema import WAL_BYTES, connect, disconnect, examine, make, seal
from .seal import take_seal
from .sketch import sketch_of
from .statements import insert_facts, prepare_groups
from .trouble import DAMAGED, damage_of, same_again, text_of, trouble, trouble_of

logger = logging.getLogger("kapture_async.push")

_MARKS_EVERY = 2.0
"""Seconds between two marks."""
_DEAD = "its process ended while it was under way"


class OwnedJournal(ReadJournal):
    """A journal opened for writing, by one process, from one thread at a time.

    Attributes:
        broken: why nothing more can be made durable, once that is so.
        reads_json: whether SQLite does, so that :meth:`.Store.put` may be used.
        restored: it is, or was, an older copy: rows that it would send may be in the helpdesk.
            Until when they may have been sent, if that may be just now; else 0.
        sent_in_all: how many of its rows are in the helpdesk, as the newer one had it when it was
            closed without a doubt. Known only in the run that finds that this is an older copy.
    """

    def __init__(
        self,
        path: str,
        connection: sqlite3.Connection,
        job: Job,
        lock: Lock,
        seen: os.stat_result,
        again: frozenset[str],
    ) -> None:
        super().__init__(path, connection, job)
        self.broken: JournalError | None = None
        self._lock = lock
        self._again = later_of(job.operation, again)
        self._inode = (seen.st_dev, seen.st_ino)
        self._wal_inode: tuple[int, int] | None = None
        self._wal_limit = 0
        self._half_through = False
        self._run = 0
        self._memory = Memory()
        self.reads_json = False
        self.restored: float | None = None
        self.sent_in_all: int | None = None
        self._nonce = secrets.token_hex(8)
        self._marking = True
        self._marked = (0.0, (0, 0))
        self._sketched = 0
        self._contents = ""

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        job: Job | None,
        create: bool,
        at: float,
        again: frozenset[str] = LATER,
        restored: bool = False,
    ) -> Self:
        """Open a journal, alone.

        Rows whose attempt has no end become unknown: their process died.

        Args:
            path: its file.
            job: what it must be for; ``None`` takes it as it is. Its payload setting can only
                take away: what is kept is what both want.
            create: make it if it is not there; needs ``job``.
            at: the wall clock.
            again: class names of refusals after which the same content may be sent again.
            restored: it is an older copy, as the caller knows; see :attr:`restored`.

        Raises:
            JournalError: see its message; nothing was changed.
        """
        text = text_of(path)
        lock = Lock(text)
        lock.acquire(at)
        store: Self | None = None
        try:
            if create and job is not None and not os.path.lexists(text):
                make(text, job, at)
            reader, stored, seen = examine(text, restored=restored)
            disconnect(reader, text)
            _check_links(text, seen)
            if job is not None and not create:
                # Whoever goes on with what it holds brings no rows, so none of another shape.
                job = evolve(job, keys=stored.keys, shape=stored.shape)
            differences = stored.differences(job) if job is not None else []
            if differences:
                raise trouble(
                    text,
                    f"it belongs to another push: its {'; its '.join(differences)}",
                    "Name another journal, or push as before.",
                )
            if job is not None:
                keeps = stored.payloads and job.payloads
                stored = evolve(
                    stored,
                    payloads=keeps,
                    source=job.source or stored.source,
                    longest_call=job.longest_call,
                )
            _check_other_copy(stored, text)
            take_seal(text)
            store = cls(text, connect(text, "mode=rw"), stored, lock, seen, again)
            store._begin_run(at, restored=restored)
        except BaseException as error:
            if store is not None:
                store._let_go()
            lock.release()
            made = damage_of(text, error)
            if made is not error:
                raise made from error
            raise
        return store

    def _begin_run(self, at: float, *, restored: bool) -> None:
        execute = self._connection.execute
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = OFF",
            "secure_delete = ON",  # payloads are gone when they are deleted
            "wal_autocheckpoint = 0",  # see _write_through
            "journal_size_limit = 0",  # so that the -wal file is as long as what is in it
            "cache_size = -8000",
        ):
            execute(f"PRAGMA {pragma}")
        if execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise trouble(self.path, "its file system allows no WAL", "Put it on a local disk.")
        self.reads_json = prepare_groups(self._connection)
        # A row that its index does not know any more would be taken for new.
        problem = execute("PRAGMA integrity_check(1)").fetchone()[0]
        if problem != "ok":
            raise trouble(self.path, f"the file is damaged ({problem})", DAMAGED)
        execute("BEGIN IMMEDIATE")
        self._memory.begin(self._connection)
        if not self.job.payloads:  # also those that earlier runs have kept
            execute("DELETE FROM payloads")
        self._note_older_copy(restored=restored)
        rows, events = self._reached()
        cursor = execute(
            "INSERT INTO runs (began, pid, host, longest_call, nonce, rows, events) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                at,
                os.getpid(),
                socket.gethostname(),
                self.job.longest_call,
                self._nonce,
                rows,
                events,
            ),
        )
        assert cursor.lastrowid is not None
        self._run = cursor.lastrowid
        execute("UPDATE job SET source = ?", (self.job.source,))
        facts: list[Any] = []
        for row, attempt in execute(
            "SELECT row, attempt FROM last_facts WHERE kind = 'intent'"
        ).fetchall():
            self._memory.fact(facts, row, "unknown", attempt, at, words=_DEAD)
        insert_facts(self._connection, facts)
        execute("COMMIT")
        self._memory.keep()
        self._wal_inode = _place_of(f"{self.path}-wal")[0]
        self._write_through()
        self._check_place()
        if rows:
            self.leave_mark(at)

    # --- older copies: see marks ---------------------------------------------------------------

    def _reached(self) -> tuple[int, int]:
        return sum(self._memory.tally.values()), self._memory.events

    def _note_older_copy(self, *, restored: bool) -> None:
        """See whether it is an older copy; that it is, or was, stays noted in it."""
        ((before,),) = self._connection.execute("SELECT restored FROM job").fetchall()
        mark = marks.read(self.job)
        behind = mark is not None and self._is_behind(mark)
        if mark is not None and not behind:
            self._contents, self._sketched = mark.contents, mark.rows
        if not (restored or behind):
            self.restored = before
            return
        # A mark may be older than what was sent last by as much as marks are apart.
        busy = mark is not None and behind and not mark.quiet
        until = mark.at + _MARKS_EVERY if mark is not None and busy else 0.0
        if mark is not None and behind and mark.quiet and before is None:
            self.sent_in_all = mark.sent
        self.restored = max(before or 0.0, until)
        self._connection.execute("UPDATE job SET restored = ?", (self.restored,))

    def _is_behind(self, mark: Mark) -> bool:
        """Whether events that this machine has seen are not in it."""
        runs = self._connection.execute("SELECT nonce, rows, events FROM runs ORDER BY run")
        return marks.is_ahead(mark, runs.fetchall(), *self._reached())

    def keep_mark(self, now: Callable[[], float]) -> None:
        """:meth:`leave_mark` if there is something new, and not too often."""
        last, seen = self._marked
        if time.monotonic() - last >= _MARKS_EVERY and seen != self._reached():
            self.leave_mark(now())

    def leave_mark(self, at: float, *, closed: bool = False) -> None:
        """Note outside the file what is in it. It may fail: no push fails by it."""
        if not self._marking:
            return
        rows, events = self._reached()
        counts = Counts.of(self._memory.tally)
        doubts = counts.unknown + counts.ambiguous + counts.probable
        self._marked = time.monotonic(), (rows, events)
        if not counts.rows:
            return
        if counts.accepted + doubts and (closed or rows >= 2 * self._sketched):
            self._contents, self._sketched = sketch_of(self._connection), rows
        mark = Mark(
            job_id=self.job.job_id,
            nonce=self._nonce,
            rows=rows,
            events=events,
            path=self.path,
            at=at,
            closed=closed,
            doubts=doubts,
            sent=counts.accepted + doubts,
            contents=self._contents,
        )
        try:
            marks.write(mark, self.job)
            if closed:
                marks.tidy()
        except OSError as error:
            self._marking = False
            logger.warning(
                "no mark of the journal can be left in %s (%s): an older copy of it would not be "
                "recognised; set %s to a directory that can be written",
                marks.folder(),
                error.strerror,
                marks.VARIABLE,
            )

    def _write_through(self) -> None:
        """Write the ``-wal`` file through to the main file.

        The main file gets the state in which the journal is not whole; that it is whole is
        again the first thing in the ``-wal`` file. So the main file alone is never taken for
        the journal.
        """
        execute = self._connection.execute
        self._half_through = True
        execute("UPDATE job SET whole = 0")
        execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        execute("UPDATE job SET whole = 1")
        self._half_through = False
        # If someone reads, it may have stayed as long as it was.
        self._wal_limit = _place_of(f"{self.path}-wal")[1] + WAL_BYTES

    # --- transactions --------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes durable when it is left, or nothing.

        Raises:
            JournalError: it could not be made durable. The store takes nothing more then.
        """
        self.begin()
        try:
            yield
        except BaseException as error:
            self.rollback()
            if isinstance(error, (OSError, sqlite3.Error)):
                raise self._break(error) from error
            raise
        self.commit()

    def begin(self) -> None:
        """Begin a transaction; see :meth:`transaction`."""
        if self.broken is not None:
            raise same_again(self.broken)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            (run,) = self._connection.execute("SELECT max(run) FROM runs").fetchone()
        except sqlite3.Error as error:
            self.rollback()
            raise self._break(error) from error
        if run != self._run:
            self.rollback()
            raise self._break(self._not_ours())

    def commit(self) -> None:
        """Make it durable. Raises JournalError if it cannot be relied upon that it is."""
        try:
            self._connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            self.rollback()
            raise self._break(error) from error
        self._has_committed()

    def _has_committed(self) -> None:
        """See that what was made durable can be found. Raises JournalError as :meth:`commit`."""
        try:
            if self._check_place() > self._wal_limit:
                self._write_through()
        except (OSError, sqlite3.Error, JournalError) as error:
            self.rollback()
            raise self._break(error) from error
        self._memory.keep()

    def rollback(self) -> None:
        """Forget everything since :meth:`begin`."""
        self._memory.undo()
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._memory.load(self._connection)

    def _break(self, error: BaseException) -> JournalError:
        self.broken = trouble_of(self.path, error)
        return self.broken

    def _not_ours(self) -> JournalError:
        # Its lock file was deleted, or its disk is shared with another machine.
        return trouble(self.path, "another process has begun to push with it", "Let it finish.")

    def _check_place(self) -> int:
        """Files that were moved or deleted are still written to, but nobody would find them.
        Returns the length of the ``-wal`` file."""
        if _place_of(self.path)[0] != self._inode:
            raise trouble(
                self.path,
                "the file was moved, deleted or replaced while the push ran",
                "Put it back, with its -wal file; then run the same push again.",
            )
        inode, size = _place_of(f"{self.path}-wal")
        if inode != self._wal_inode:
            raise trouble(
                self.path,
                "its -wal file was moved, deleted or replaced while the push ran",
                "Put it back; then run the same push again.",
            )
        return size

    def close(self, at: float | None = None) -> None:
        """Close it, and give the lock back. May be called again.

        Args:
            at: the wall clock; notes the end of the run, and makes the journal one single file.

        Raises:
            JournalError: that did not succeed; closed it is nevertheless.
        """
        if not self._lock.held:
            return
        done = False
        try:
            if at is not None and self.broken is None:
                self._check_place()
                with self.transaction():
                    self._connection.execute(
                        "UPDATE runs SET ended = ? WHERE run = ?", (at, self._run)
                    )
                self.leave_mark(at, closed=True)
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                done = True
        except (OSError, sqlite3.Error) as error:
            raise trouble_of(self.path, error) from error
        finally:
            self._let_go(to_seal=done)

    def _let_go(self, *, to_seal: bool = False) -> None:
        with suppress(sqlite3.Error):
            if self._half_through:
                # SQLite may be about to write the rest through, and to remove the -wal file.
                self._connection.execute("UPDATE job SET whole = 1")
        with suppress(sqlite3.Error):
            super().close()
        if to_seal:
            with suppress(OSError):  # it is complete, and a seal is no part of it
                seal(self.path)
        self._lock.release()


def _place_of(path: str) -> tuple[tuple[int, int] | None, int]:
    """Device and inode, and length."""
    try:
        seen = os.stat(path)
    except FileNotFoundError:
        return None, 0
    return (seen.st_dev, seen.st_ino), seen.st_size


def _check_other_copy(job: Job, path: str) -> None:
    """Two copies of a journal that push at the same time cannot know what the other sends."""
    mark = marks.read(job)
    if mark is None or mark.path == path:
        return
    owner = owner_of(mark.path)
    if owner is None:
        return
    try:
        reader, other, _ = examine(mark.path)
    except JournalError:
        return
    disconnect(reader, mark.path)
    if other.job_id == job.job_id:
        raise trouble(
            path,
            f"another copy of it, {mark.path!r}, is in use just now (process {owner.pid})",
            "Let that finish. Then use only the newer one of the two.",
        )


def _check_links(path: str, seen: os.stat_result) -> None:
    if seen.st_nlink > 1:
        raise trouble(
            path,
            "the file has a second name (a hard link), and the journal's other files have not",
            "Copy it to a file of its own, and use that.",
        )
