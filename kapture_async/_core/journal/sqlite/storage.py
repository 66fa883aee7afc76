"""A journal in one SQLite file: opened alone, written in transactions, closed into one file.

The cost of a row is less the disk than the GIL, which changes hands with the event loop's thread
for every statement. So a batch is one statement, whatever is in it: its values are passed as JSON,
and a trigger writes them to the tables.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Self

from ...errors import JournalError
from ...filelock import FileLock, owner_of
from .. import marks
from ..marks import EVERY, FIRST, SMALLEST, MarkWriter, sketch_of
from ..records import Job, Owner, same_again, trouble
from ..storage import EncodedBatch, JournalSummary, OpenOptions, PaceChange, WriteBatch, agreed
from .errors import DAMAGED, damage_of, path_text, trouble_of
from .integrity import take_seal
from .reader import SQLiteReader, as_json
from .schema import ANOTHER_RUN, WAL_BYTES, WRITE, connect, disconnect, examine, make, seal

logger = logging.getLogger("kapture_async.push")

_DEAD = "its process ended while it was under way"


class SQLiteStorage(SQLiteReader):
    """A journal's file, open for writing: see :class:`.Storage`.

    Its lock guarantees one run at a time: no claim is lost, and every other run is over.
    """

    shared = False

    def __init__(
        self,
        path: str,
        connection: sqlite3.Connection,
        job: Job,
        lock: FileLock,
        seen: os.stat_result,
        now: Callable[[], float],
    ) -> None:
        super().__init__(path, connection, job)
        self.now = now
        self.broken: JournalError | None = None
        self.tell: Callable[[str], None] = logger.warning
        self._lock = lock
        self._inode = (seen.st_dev, seen.st_ino)
        self._wal_inode: tuple[int, int] | None = None
        self._wal_limit = 0
        self._half_through = False
        self._run = 0
        self._next_row = self._next_event = 1
        self.restored: float | None = None
        self.sent_in_all: int | None = None
        self._nonce = secrets.token_hex(8)
        self._marks = MarkWriter(job, path, self._nonce, self._sketch)

    @classmethod
    def open(cls, path: str | os.PathLike[str], options: OpenOptions) -> Self:
        """Open a journal, exclusively.

        Rows whose attempt has no result become unknown: their process died.

        Args:
            path: its file.
            options: how.

        Raises:
            JournalError: see its message; nothing was changed.
        """
        job, restored = options.job, options.restored
        text, at = path_text(path), options.now()
        lock = _locked(text, at)
        storage: Self | None = None
        try:
            if options.create and job is not None and not os.path.lexists(text):
                make(text, job, at)
            reader, stored, seen = examine(text, restored=restored)
            disconnect(reader, text)
            _check_links(text, seen)
            stored = agreed(text, stored, job, create=options.create)
            _check_other_copy(stored, text)
            take_seal(text)
            storage = cls(text, connect(text, "mode=rw"), stored, lock, seen, options.now)
            storage._begin_run(at, restored=restored)
        except BaseException as error:
            if storage is not None:
                storage._let_go()
            lock.release()
            made = damage_of(text, error)
            if made is not error:
                raise made from error
            raise
        return storage

    def _begin_run(self, at: float, *, restored: bool) -> None:
        execute = self._connection.execute
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = OFF",
            "secure_delete = ON",  # payloads are gone when they are deleted
            "wal_autocheckpoint = 0",  # see _write_through
            "journal_size_limit = 0",  # so that the -wal file is as long as what is in it
            "cache_size = -8000",
            "temp_store = MEMORY",
        ):
            execute(f"PRAGMA {pragma}")
        if execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise trouble(self.path, "its file system does not support WAL", "Use a local disk.")
        try:
            for statement in WRITE:
                execute(statement)
            execute("SELECT json_extract('[1]', '$[0]') FROM json_each('[1]')").fetchone()
        except sqlite3.OperationalError as error:
            words = f"this Python's SQLite ({sqlite3.sqlite_version}) lacks its JSON functions"
            raise trouble(self.path, words, "Use a Python with SQLite 3.38 or newer.") from error
        # A row missing from an index would be taken for new.
        problem = execute("PRAGMA integrity_check(1)").fetchone()[0]
        if problem != "ok":
            raise trouble(self.path, f"the file is damaged ({problem})", DAMAGED)
        execute("BEGIN IMMEDIATE")
        found = self.summary()
        self._first_row = self._next_row = found.last_row + 1
        last_event = self.last_event()
        if not self.job.payloads:  # also those that earlier runs have kept
            execute("DELETE FROM payloads")
        reached = sum(found.kinds.values()), last_event
        self._note_older_copy(*reached, restored=restored)
        cursor = execute(
            "INSERT INTO runs (began, pid, host, longest_call, nonce, rows, events) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (at, os.getpid(), socket.gethostname(), self.job.longest_call, self._nonce, *reached),
        )
        assert cursor.lastrowid is not None
        self._run = cursor.lastrowid
        execute("UPDATE job SET source = ?", (self.job.source,))
        cut_off = execute(
            "SELECT row, (SELECT max(attempt) FROM events AS f WHERE f.row = u.row) "
            "FROM unaccepted AS u WHERE kind = 'intent'"
        ).fetchall()
        self._connection.executemany(
            "INSERT INTO events (row, event, kind, attempt, at, words) "
            "VALUES (?, ?, 'unknown', ?, ?, ?)",
            (
                (row, number, attempt, at, _DEAD)
                for number, (row, attempt) in enumerate(cut_off, last_event + 1)
            ),
        )
        execute("UPDATE unaccepted SET kind = 'unknown' WHERE kind = 'intent'")
        self._next_event = last_event + len(cut_off) + 1
        execute("UPDATE job SET events = ?", (self._next_event - 1,))
        execute("COMMIT")
        self._wal_inode = _place_of(f"{self.path}-wal")[0]
        self._write_through()
        self._check_place()
        if reached[0]:
            self._marks.leave(at, self.kinds(), self._next_event - 1)

    # --- the run ------------------------------------------------------------------------

    def summary(self) -> JournalSummary:
        """See :meth:`.Storage.summary`."""
        last_row, with_key, without_key, has_repeats = self._connection.execute(
            "SELECT max(row), EXISTS (SELECT 1 FROM rows WHERE key IS NOT NULL), "
            "EXISTS (SELECT 1 FROM rows WHERE key IS NULL), "
            "EXISTS (SELECT 1 FROM rows WHERE repeat_of IS NOT NULL) FROM rows"
        ).fetchone()
        return JournalSummary(
            self.kinds(), last_row or 0, bool(with_key), bool(without_key), bool(has_repeats)
        )

    def may_send(self) -> bool:
        """See :meth:`.Storage.may_send`."""
        return self._lock.held

    def claim_reconciler(self) -> None:
        """See :meth:`.Storage.claim_reconciler`."""

    def hurry(self) -> None:
        """See :meth:`.Storage.hurry`. Nothing is waited for here."""

    def reserve(self, count: int) -> Sequence[int]:
        """See :meth:`.Storage.reserve`."""
        first = self._next_row
        self._next_row += count
        return range(first, first + count)

    # --- writing --------------------------------------------------------------------------------

    def write(self, batch: WriteBatch) -> Collection[int]:
        """See :meth:`.Storage.write`."""
        if self._connection.in_transaction:
            self._insert(batch)
            return ()
        if self.broken is not None:
            raise same_again(self.broken)
        try:
            self._insert(batch)
        except BaseException as error:
            raise self._break(error) from error
        self._has_committed()
        return ()

    def _insert(self, batch: WriteBatch) -> None:
        one = EncodedBatch.of(batch)
        self._connection.execute(
            "INSERT INTO new_batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._run,
                batch.at,
                self._next_event,
                as_json(one.rows),
                one.contents,
                as_json(one.accepted),
                as_json(one.events),
                as_json(one.revised),
                as_json(one.payloads),
                as_json(one.forgotten),
            ),
        )
        self._next_event += len(one.accepted) + len(one.events)
        if batch.contradictions:
            self._connection.executemany(
                "INSERT OR IGNORE INTO contradictions (row, kind, ticket_ids, at) "
                "VALUES (?, ?, ?, ?)",
                batch.contradictions,
            )
        if batch.lookups:
            self._connection.executemany(
                "INSERT INTO lookups (at, evidence) VALUES (?, ?)", batch.lookups
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See :meth:`.Storage.transaction`."""
        if self.broken is not None:
            raise same_again(self.broken)
        before = self._next_event
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            (run,) = self._connection.execute("SELECT max(run) FROM runs").fetchone()
            if run != self._run:
                raise self._not_ours()
        except (sqlite3.Error, JournalError) as error:
            raise self._break(error) from error
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self._break(error) from error
        except BaseException:
            self._roll_back()
            self._next_event = before
            raise
        try:
            self._connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise self._break(error) from error
        self._has_committed()

    def _has_committed(self) -> None:
        """Check that what was written can be found again."""
        try:
            if self._check_place() > self._wal_limit:
                self._write_through()
        except (OSError, sqlite3.Error, JournalError) as error:
            raise self._break(error) from error

    def _roll_back(self) -> None:
        self._has_index.clear()
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _break(self, error: BaseException) -> JournalError:
        """Note that nothing more can be written, because of this error."""
        self._roll_back()
        if str(error) == ANOTHER_RUN:
            error = self._not_ours()
        self.broken = trouble_of(self.path, error)
        return self.broken

    def _not_ours(self) -> JournalError:
        # The lock file was deleted, or the disk is shared with another machine.
        return trouble(self.path, "another process has started using it", "Let it finish.")

    def _write_through(self) -> None:
        """Checkpoint the ``-wal`` file into the main file.

        The main file is marked as incomplete first, and the first entry of the new ``-wal`` file
        marks it as complete again. So the main file alone is never taken for the journal.
        """
        execute = self._connection.execute
        self._half_through = True
        execute("UPDATE job SET whole = 0")
        execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        execute("UPDATE job SET whole = 1")
        self._half_through = False
        # While someone reads, it may not shrink.
        self._wal_limit = _place_of(f"{self.path}-wal")[1] + WAL_BYTES

    def _check_place(self) -> int:
        """Check that the files were not moved or deleted: writes would succeed and then be lost.
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

    # --- older copies: see marks ----------------------------------------------------------------

    def _note_older_copy(self, rows: int, events: int, *, restored: bool) -> None:
        """Check whether it is an older copy, and record in it that it is or was."""
        ((before,),) = self._connection.execute("SELECT restored FROM job").fetchall()
        mark = marks.read(self.job)
        runs = self._connection.execute("SELECT nonce, rows, events FROM runs ORDER BY run")
        behind = mark is not None and marks.is_ahead(mark, runs.fetchall(), rows, events)
        if mark is not None and not behind:
            self._marks.resume(mark)
        if not (restored or behind):
            self.restored = before
            return
        # The last row may have been sent up to one mark interval after the mark.
        busy = mark is not None and behind and not mark.quiet
        until = mark.at + EVERY if mark is not None and busy else 0.0
        if mark is not None and behind and mark.quiet and before is None:
            self.sent_in_all = mark.sent
        self.restored = max(before or 0.0, until)
        self._connection.execute("UPDATE job SET restored = ?", (self.restored,))

    def change_pace(self, change: PaceChange) -> Any:
        """See :meth:`.Storage.change_pace`. Nobody shares this one."""
        return change(None, self.now())[1]

    def tick(self, kinds: Mapping[str, int]) -> None:
        """See :meth:`.Storage.tick`: leaves a mark if there is news, and not too often."""
        self._marks.leave_soon(self.now(), kinds, self._next_event - 1)

    def _sketch(self) -> str:
        first = self._all("SELECT digest FROM rows ORDER BY row LIMIT ?", (FIRST,))
        least = self._all("SELECT digest FROM rows ORDER BY digest LIMIT ?", (SMALLEST,))
        return sketch_of((one for (one,) in first), (one for (one,) in least))

    # --- the end --------------------------------------------------------------------------------

    def end(self, kinds: Mapping[str, int]) -> None:
        """See :meth:`.Storage.end`: makes the journal one single file."""
        at, done = self.now(), False
        try:
            self._check_place()
            with self.transaction():
                self._connection.execute("UPDATE runs SET ended = ? WHERE run = ?", (at, self._run))
            self._marks.leave(at, kinds, self._next_event - 1, closed=True)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            done = True
        except (OSError, sqlite3.Error) as error:
            raise trouble_of(self.path, error) from error
        finally:
            self._let_go(to_seal=done)

    def close(self) -> None:
        """Close it as it is, and release the lock. May be called again."""
        if self._lock.held:
            self._let_go()

    def _let_go(self, *, to_seal: bool = False) -> None:
        with suppress(sqlite3.Error):
            if self._half_through:
                # SQLite may be about to checkpoint the rest and remove the -wal file.
                self._connection.execute("UPDATE job SET whole = 1")
        with suppress(sqlite3.Error):
            super().close()
        if to_seal:
            with suppress(OSError):  # it is complete without a seal
                seal(self.path)
        self._lock.release()


def _locked(path: str, at: float) -> FileLock:
    """The lock of a journal, held.

    Raises:
        JournalError: another process has it, or this one; names which and since when. Or it
            cannot be made.
    """
    lock = FileLock(path)
    refusal = lock.acquire(at)
    if refusal is None:
        return lock
    if refusal.held:
        raise trouble(path, *_refusal(refusal.owner))
    raise trouble(path, refusal.words, refusal.next_step)


def _refusal(owner: Owner | None) -> tuple[str, str]:
    if owner is None:
        return "another process is using it", "Wait until that process ends."
    if owner.is_this_process:
        return "this process is using it already", "Let that push end first."
    began = datetime.fromtimestamp(owner.since).astimezone().isoformat(" ", "seconds")
    return (
        f"process {owner.pid} on {owner.host} is using it (since {began})",
        "Wait until that process ends, or end it; a push can always be resumed.",
    )


def _place_of(path: str) -> tuple[tuple[int, int] | None, int]:
    """Device and inode, and length."""
    try:
        seen = os.stat(path)
    except FileNotFoundError:
        return None, 0
    return (seen.st_dev, seen.st_ino), seen.st_size


def _check_other_copy(job: Job, path: str) -> None:
    """Refuse to push with two copies of a journal at the same time: neither sees the other."""
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
            f"another copy of it, {mark.path!r}, is in use (process {owner.pid})",
            "Let that push finish. Then use only the newer of the two.",
        )


def _check_links(path: str, seen: os.stat_result) -> None:
    if seen.st_nlink > 1:
        raise trouble(
            path,
            "the file has a second name (a hard link), but its -wal file has not",
            "Copy it to a separate file, and use that.",
        )


def put_source(path: str | os.PathLike[str], source: str, *, at: float) -> None:
    """Put other words in place of :attr:`.Job.source`, after the push. No run is noted for it.

    Args:
        path: of the journal.
        source: the words.
        at: the wall clock.

    Raises:
        JournalError: another process has it, or it cannot be written. It is as it was, then.
    """
    text = path_text(path)
    lock = _locked(text, at)
    try:
        disconnect(examine(text)[0], text)
        take_seal(text)
        connection = connect(text, "mode=rw")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("UPDATE job SET source = ?", (source,))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            disconnect(connection, text)
        seal(text)
    except (OSError, sqlite3.Error) as error:
        raise trouble_of(text, error) from error
    finally:
        lock.release()
