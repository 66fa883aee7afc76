"""A journal in one SQLite file: opened alone, written in transactions, closed into one file.

What a row costs here is less the disk than the interpreter's lock, which changes hands with the
event loop's thread for every statement. So a batch is one statement, whatever is in it: its values
travel as JSON, and a trigger puts them into the tables.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Self

from ...errors import JournalError
from ...filelock import FileLock, owner_of
from .. import marks
from ..errors import same_again, trouble
from ..keys import fold
from ..marks import FIRST, SMALLEST, Mark, sketch_of
from ..records import Counts, Job, Owner
from ..storage import JournalSummary, KnownRow, PaceChange, WriteBatch, agreed
from .errors import DAMAGED, damage_of, path_text, trouble_of
from .integrity import take_seal
from .reader import SQLiteReader, as_json, check_kind
from .schema import WAL_BYTES, connect, disconnect, examine, make, seal
from .statements import (
    ANOTHER_RUN,
    BY_CONTENT,
    BY_KEYED_CONTENT,
    REPEATS_OF,
    WITH_CONTENTS,
    WITH_KEY_AND_CONTENT,
    WITH_KEYS,
    WITH_NUMBERS,
    WITH_SPELLING,
    WRITE,
)

logger = logging.getLogger("kapture_async.push")

_MARKS_EVERY = 2.0
"""Seconds between two marks."""
_DEAD = "its process ended while it was under way"
_MOST_SPELLINGS = 20


class SQLiteStorage(SQLiteReader):
    """A journal's file, open for writing: see :class:`.Storage`.

    The lock on it proves that there is one run at a time: no claim is lost, and every other run is
    over.
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
        self._first_row = 1
        self._next_row = self._next_event = 1
        self.restored: float | None = None
        self.sent_in_all: int | None = None
        self._nonce = secrets.token_hex(8)
        self._marking = True
        self._marked = (0.0, (0, 0))
        self._sketched = 0
        self._contents = ""
        self._has_index: set[str] = set()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        job: Job | None,
        create: bool,
        now: Callable[[], float],
        restored: bool = False,
    ) -> Self:
        """Open a journal, alone.

        Rows whose attempt has no result become unknown: their process died.

        Args:
            path: its file.
            job: what it must be for; ``None`` takes it as it is. Its payload setting can only
                take away: what is kept is what both want.
            create: make it if it is not there; needs ``job``.
            now: the wall clock.
            restored: it is an older copy, as the caller knows.

        Raises:
            JournalError: see its message; nothing was changed.
        """
        text, at = path_text(path), now()
        lock = _locked(text, at)
        storage: Self | None = None
        try:
            if create and job is not None and not os.path.lexists(text):
                make(text, job, at)
            reader, stored, seen = examine(text, restored=restored)
            disconnect(reader, text)
            _check_links(text, seen)
            stored = agreed(text, stored, job, create=create)
            _check_other_copy(stored, text)
            take_seal(text)
            storage = cls(text, connect(text, "mode=rw"), stored, lock, seen, now)
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
            raise trouble(self.path, "its file system allows no WAL", "Put it on a local disk.")
        try:
            for statement in WRITE:
                execute(statement)
            execute("SELECT json_extract('[1]', '$[0]') FROM json_each('[1]')").fetchone()
        except sqlite3.OperationalError as error:
            words = f"this Python's SQLite ({sqlite3.sqlite_version}) lacks its JSON functions"
            raise trouble(self.path, words, "Use a Python with SQLite 3.38 or newer.") from error
        # A row that its index does not know any more would be taken for new.
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
            "SELECT row, (SELECT max(attempt) FROM facts AS f WHERE f.row = u.row) "
            "FROM unaccepted AS u WHERE kind = 'intent'"
        ).fetchall()
        self._connection.executemany(
            "INSERT INTO facts (row, fact, kind, attempt, at, words) "
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
            self._leave_mark(at, self.kinds())

    # --- looking rows up ------------------------------------------------------------------------

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

    def with_keys(self, keys: Sequence[str]) -> list[KnownRow]:
        """See :meth:`.Storage.with_keys`."""
        return self._known(WITH_KEYS, as_json(keys))

    def with_contents(self, contents: Sequence[tuple[bytes, int]]) -> list[KnownRow]:
        """See :meth:`.Storage.with_contents`."""
        self._index(BY_CONTENT)
        digests = b"".join(digest for digest, _ in contents)
        return self._known(WITH_CONTENTS, as_json([number for _, number in contents]), digests)

    def with_numbers(self, rows: Sequence[int]) -> list[KnownRow]:
        """See :meth:`.Storage.with_numbers`."""
        return self._known(WITH_NUMBERS, as_json(rows))

    def with_key_and_content(self, digest: bytes) -> list[KnownRow]:
        """See :meth:`.Storage.with_key_and_content`."""
        self._index(BY_KEYED_CONTENT)
        return self._known(WITH_KEY_AND_CONTENT, digest)

    def repeats_of(self, row: int) -> list[KnownRow]:
        """See :meth:`.Storage.repeats_of`."""
        return self._known(REPEATS_OF, row)

    def with_spelling_of(self, key: str) -> list[KnownRow]:
        """See :meth:`.Storage.with_spelling_of`."""
        if "spellings" not in self._has_index:
            self._list_spellings()
            self._has_index.add("spellings")
        folded = fold(key)
        found = self._known(WITH_SPELLING, hash(folded))[:_MOST_SPELLINGS]
        return [
            known
            for known in found
            if known.key is not None and known.key != key and fold(known.key) == folded
        ]

    def _list_spellings(self) -> None:
        """Make other spellings quick to find, for this connection only."""
        execute = self._connection.execute
        execute("DROP TABLE IF EXISTS temp.spellings")
        execute(
            "CREATE TEMP TABLE spellings (folded INTEGER, row INTEGER, "
            "PRIMARY KEY (folded, row)) WITHOUT ROWID"
        )
        keys = execute(
            "SELECT key, row FROM rows WHERE key IS NOT NULL AND repeat_of IS NULL AND row < ?",
            (self._first_row,),
        )
        self._connection.executemany(
            "INSERT INTO temp.spellings VALUES (?, ?)",
            ((hash(fold(key)), row) for key, row in keys),
        )

    def _index(self, statement: str) -> None:
        if statement not in self._has_index:
            self._all(statement)
            self._has_index.add(statement)

    def _known(self, question: str, *values: Any) -> list[KnownRow]:
        found = [KnownRow(*one) for one in self._all(question, values)]
        with self._our_errors():
            for one in found:
                check_kind(one.kind)
        return found

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
        contents = _Contents()
        rows, accepted, events = (
            list(zip(*(flat[at::width] for at in range(width - 1)), strict=True))
            for flat, width in (
                (batch.rows, WriteBatch.ROW),
                (batch.accepted, WriteBatch.ACCEPTED),
                (batch.events, WriteBatch.EVENT),
            )
        )
        new: list[Any] = [
            (row, *contents.add(payload, digest), key, line, traits)
            for row, key, line, digest, payload, traits in rows
        ]
        new += [
            (
                one.row, *contents.add(one.payload, one.digest), one.key, one.line, one.traits,
                one.occurrence, one.repeat_of, None if one.is_sent else 0,
            )
            for one in batch.new_rows
        ]  # fmt: skip
        revised = [
            (
                row, contents.add(known.digest)[0], *contents.add(known.former or b""),
                known.occurrence, known.line, known.traits, known.repeat_of, known.changed,
            )
            for row, known in batch.revised.items()
        ]  # fmt: skip
        payloads = [
            (row, *contents.add(payload))
            for row, payload in batch.payloads.items()
            if payload is not None
        ]
        self._connection.execute(
            "INSERT INTO new_batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._run,
                batch.at,
                self._next_event,
                as_json(new),
                b"".join(contents.parts),
                as_json(accepted),
                as_json(events),
                as_json(revised),
                as_json(payloads),
                as_json(list(batch.payloads)),
            ),
        )
        self._next_event += len(accepted) + len(events)
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
        """See that what was made durable can be found."""
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
        """Nothing more can be written, because of this error."""
        self._roll_back()
        if str(error) == ANOTHER_RUN:
            error = self._not_ours()
        self.broken = trouble_of(self.path, error)
        return self.broken

    def _not_ours(self) -> JournalError:
        # Its lock file was deleted, or its disk is shared with another machine.
        return trouble(self.path, "another process has begun to push with it", "Let it finish.")

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

    def _check_place(self) -> int:
        """Files that were moved or deleted are still written to, but would not be found.
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
        """See whether it is an older copy; that it is, or was, stays noted in it."""
        ((before,),) = self._connection.execute("SELECT restored FROM job").fetchall()
        mark = marks.read(self.job)
        runs = self._connection.execute("SELECT nonce, rows, events FROM runs ORDER BY run")
        behind = mark is not None and marks.is_ahead(mark, runs.fetchall(), rows, events)
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

    def change_pace(self, change: PaceChange) -> Any:
        """See :meth:`.Storage.change_pace`. Nobody shares this one."""
        return change(None, self.now())[1]

    def tick(self, kinds: Mapping[str, int]) -> None:
        """See :meth:`.Storage.tick`: leaves a mark if there is news, and not too often."""
        last, seen = self._marked
        reached = sum(kinds.values()), self._next_event - 1
        if time.monotonic() - last >= _MARKS_EVERY and seen != reached:
            self._leave_mark(self.now(), kinds)

    def _leave_mark(self, at: float, kinds: Mapping[str, int], *, closed: bool = False) -> None:
        """Note outside the file what is in it. It may fail: no push fails by it."""
        if not self._marking:
            return
        counts, rows, last_event = Counts.of(kinds), sum(kinds.values()), self._next_event - 1
        doubts = counts.unknown + counts.ambiguous + counts.probable
        self._marked = time.monotonic(), (rows, last_event)
        if not counts.rows:
            return
        if counts.accepted + doubts and (closed or rows >= 2 * self._sketched):
            self._contents, self._sketched = self._sketch(), rows
        mark = Mark(
            job_id=self.job.job_id,
            nonce=self._nonce,
            rows=rows,
            events=last_event,
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
            self._leave_mark(at, kinds, closed=True)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            done = True
        except (OSError, sqlite3.Error) as error:
            raise trouble_of(self.path, error) from error
        finally:
            self._let_go(to_seal=done)

    def close(self) -> None:
        """Close it as it is, and give the lock back. May be called again."""
        if self._lock.held:
            self._let_go()

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


class _Contents:
    """Digests and payloads, one after the other: SQLite reads no bytes from JSON."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._end = 1

    def add(self, content: bytes, digest: bytes = b"") -> tuple[int, int]:
        """Where the content begins, counted from 1, and its length. The digest stands before."""
        self.parts += (digest, content)
        start, length = self._end + len(digest), len(content)
        self._end = start + length
        return start, length


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
        return "another process is pushing with it", "Wait until that process ends."
    if owner.is_this_process:
        return "this process is pushing with it already", "Let that push end first."
    began = datetime.fromtimestamp(owner.since).astimezone().isoformat(" ", "seconds")
    return (
        f"process {owner.pid} on {owner.host} is pushing with it since {began}",
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
