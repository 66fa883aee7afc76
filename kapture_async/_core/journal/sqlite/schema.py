"""The tables of a journal, how they are written, and how its file is created and opened."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from collections import Counter
from urllib.parse import quote

from attrs import evolve

from ...atomicfile import PartFile, publish
from ..records import Job, trouble
from ..reference import DIGEST
from .errors import DAMAGED, damage_of, trouble_of
from .integrity import (
    RESTORE,
    check_file,
    check_seal,
    check_wal,
    put_seal,
    wal_index,
    wal_is_there,
)

VERSION = 6
"""Of the tables. Any other version is refused: a journal is for one push, not for years."""
APPLICATION = 0x706A726E
"""In the file's header: distinguishes a journal from other SQLite databases."""
WAL_BYTES = 16 * 1024 * 1024
"""How long the ``-wal`` file may grow before it is checkpointed into the main file."""
BUSY = 15.0
"""Seconds to wait for another program, such as a backup, that has the file locked."""

_TABLES = """
CREATE TABLE job (
    job_id TEXT NOT NULL, service TEXT NOT NULL, operation TEXT NOT NULL, target TEXT NOT NULL,
    place TEXT NOT NULL, keys TEXT, shape TEXT, payloads INTEGER NOT NULL, source TEXT,
    made REAL NOT NULL, whole INTEGER NOT NULL, restored REAL, events INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, began REAL NOT NULL, ended REAL, pid INTEGER NOT NULL,
    host TEXT NOT NULL, longest_call REAL, nonce TEXT NOT NULL DEFAULT '',
    rows INTEGER NOT NULL DEFAULT 0, events INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE rows (
    row INTEGER PRIMARY KEY, key TEXT, digest BLOB NOT NULL, occurrence INTEGER NOT NULL,
    line INTEGER, planned REAL NOT NULL, traits INTEGER NOT NULL DEFAULT 0, repeat_of INTEGER,
    former BLOB, changed INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX rows_by_key ON rows (key) WHERE key IS NOT NULL AND repeat_of IS NULL;
CREATE INDEX repeats ON rows (repeat_of, digest) WHERE repeat_of IS NOT NULL;
CREATE INDEX rows_changed ON rows (row) WHERE changed;
CREATE TABLE payloads (row INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE events (
    row INTEGER NOT NULL, event INTEGER NOT NULL, kind TEXT NOT NULL, attempt INTEGER NOT NULL,
    at REAL NOT NULL, phase INTEGER, status INTEGER, ticket_id TEXT, error TEXT, words TEXT,
    evidence TEXT, PRIMARY KEY (row, event)
) WITHOUT ROWID;
CREATE TABLE unaccepted (row INTEGER PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE lookups (lookup INTEGER PRIMARY KEY, at REAL NOT NULL, evidence TEXT NOT NULL);
CREATE TABLE contradictions (
    contradiction INTEGER PRIMARY KEY, row INTEGER NOT NULL, kind TEXT NOT NULL,
    ticket_ids TEXT NOT NULL, at REAL NOT NULL, UNIQUE (row, kind, ticket_ids)
);
"""
# events: the events. unaccepted: the rows whose last event is not "accepted", with its kind; most
# journals have few of them, so counting and listing them does not read the others.

ANOTHER_RUN = "another run has begun"
"""The error of writing a batch then."""
_AT = "json_extract(value, '$[{}]')".format
_PAYLOAD = f"substr(NEW.contents, {_AT(1)}, {_AT(2)})"
WRITE = (
    "CREATE TEMP VIEW IF NOT EXISTS new_batch AS SELECT NULL AS run, NULL AS at, NULL AS event, "
    "NULL AS rows, NULL AS contents, NULL AS accepted, NULL AS events, NULL AS revised, "
    "NULL AS payloads, NULL AS forgotten",
    f"""
    CREATE TEMP TRIGGER IF NOT EXISTS write_batch INSTEAD OF INSERT ON new_batch BEGIN
        SELECT RAISE(ABORT, '{ANOTHER_RUN}') WHERE NEW.run IS NOT (SELECT max(run) FROM runs);
        INSERT INTO rows (row, key, line, digest, occurrence, planned, traits, repeat_of)
            SELECT {_AT(0)}, {_AT(3)}, {_AT(4)},
                substr(NEW.contents, {_AT(1)} - {DIGEST}, {DIGEST}), {_AT(6)},
                NEW.at, {_AT(5)}, {_AT(7)}
            FROM json_each(NEW.rows);
        INSERT INTO payloads (row, payload)
            SELECT {_AT(0)}, {_PAYLOAD} FROM json_each(NEW.rows) WHERE {_AT(2)} > 0;
        INSERT INTO events (row, event, kind, attempt, at)
            SELECT {_AT(0)}, 0, 'intent', 1, NEW.at FROM json_each(NEW.rows)
            WHERE {_AT(8)};
        INSERT INTO events (row, event, kind, attempt, at, ticket_id)
            SELECT {_AT(0)}, NEW.event + key, 'accepted', {_AT(1)}, NEW.at, {_AT(2)}
            FROM json_each(NEW.accepted);
        INSERT INTO unaccepted (row, kind)
            SELECT {_AT(0)}, 'intent' FROM json_each(NEW.rows) WHERE {_AT(8)};
        DELETE FROM payloads WHERE row IN (SELECT {_AT(0)} FROM json_each(NEW.accepted));
        DELETE FROM unaccepted WHERE row IN (SELECT {_AT(0)} FROM json_each(NEW.accepted));
        INSERT INTO events
            (row, event, kind, attempt, at, phase, status, ticket_id, error, words, evidence)
            SELECT {_AT(0)}, NEW.event + json_array_length(NEW.accepted) + key, {_AT(1)}, {_AT(2)},
                coalesce({_AT(3)}, NEW.at), {_AT(4)}, {_AT(5)}, {_AT(6)}, {_AT(7)}, {_AT(8)},
                {_AT(9)}
            FROM json_each(NEW.events);
        INSERT OR REPLACE INTO unaccepted (row, kind)
            SELECT {_AT(0)}, {_AT(1)} FROM json_each(NEW.events) ORDER BY key;
        DELETE FROM unaccepted
            WHERE kind = 'accepted' AND row IN (SELECT {_AT(0)} FROM json_each(NEW.events));
        UPDATE job SET events =
            NEW.event - 1 + json_array_length(NEW.accepted) + json_array_length(NEW.events);
        INSERT INTO rows
            SELECT r.row, r.key, substr(NEW.contents, {_AT(1)}, {DIGEST}), {_AT(4)}, {_AT(5)},
                r.planned, {_AT(6)}, {_AT(7)},
                CASE WHEN {_AT(3)} > 0 THEN substr(NEW.contents, {_AT(2)}, {_AT(3)}) END, {_AT(8)}
            FROM json_each(NEW.revised) AS v CROSS JOIN rows AS r
                ON r.row = json_extract(v.value, '$[0]')
            WHERE true
            ON CONFLICT (row) DO UPDATE SET digest = excluded.digest,
                occurrence = excluded.occurrence, line = excluded.line, traits = excluded.traits,
                repeat_of = excluded.repeat_of, former = excluded.former,
                changed = excluded.changed;
        DELETE FROM payloads WHERE row IN (SELECT value FROM json_each(NEW.forgotten));
        INSERT OR REPLACE INTO payloads (row, payload)
            SELECT {_AT(0)}, {_PAYLOAD} FROM json_each(NEW.payloads);
    END
    """,  # noqa: S608 - of constants
)
"""How a batch is written: one insert into a view, whose trigger puts it into the tables."""


# Closing any file descriptor of a file releases all locks of this process on it, including those of
# SQLite on its main and -shm files (sqlite.org/howtocorrupt.html, 2.2). So these are only opened
# directly while no connection of this process has them open.
_connections: Counter[str] = Counter()
_guard = threading.Lock()


def connect(path: str, how: str) -> sqlite3.Connection:
    """Open an existing file; close it with :func:`disconnect`.

    Args:
        path: the file.
        how: ``mode=ro``, ``mode=rw`` or ``immutable=1``.
    """
    with _guard:
        _connections[path] += 1
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?{how}",
            uri=True,
            timeout=BUSY,
            isolation_level=None,
            # The lock, not SQLite, ensures that there is one thread at a time.
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        disconnect(connection, path)
        raise
    return connection


def disconnect(connection: sqlite3.Connection | None, path: str) -> None:
    """Close a connection of :func:`connect`. Call it once for each."""
    try:
        if connection is not None:
            connection.close()
    finally:
        with _guard:
            _connections[path] -= 1
            if not _connections[path]:
                del _connections[path]


def seal(path: str) -> None:
    """Seal a journal that is a single file and not open in this process.

    Raises:
        OSError: it could not be written.
    """
    with _guard:
        if path not in _connections and not wal_is_there(path):
            put_seal(path)


def make(path: str, job: Job, at: float) -> None:
    """Create a new journal.

    It appears under its name complete or not at all, so that an empty file is never taken for a
    new journal.

    Raises:
        JournalError: it cannot be created; nothing is left behind.
    """
    job = evolve(job, job_id=secrets.token_hex(16))
    folder = os.path.dirname(path)
    # SQLite would make it readable by everyone; the -wal and -shm files get the same mode.
    part, temporary = None, ""
    try:
        part = PartFile(folder)
        temporary = part.path
        os.close(part.descriptor)
        connection = connect(temporary, "mode=rw")
        try:
            _fill(connection, job, at)
        finally:
            disconnect(connection, temporary)
        publish(temporary, path)
        _sync_folder(folder)
    except (OSError, sqlite3.Error) as error:
        raise trouble_of(path, error) from error
    finally:
        if part is not None:
            part.release()
            for end in ("-journal", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(temporary + end)


def _fill(connection: sqlite3.Connection, job: Job, at: float) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise sqlite3.OperationalError(f"its file system does not support WAL, only {mode}")
    connection.executescript(
        f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {_TABLES}"
    )
    connection.execute(
        "INSERT INTO job VALUES (?,?,?,?,?,?,?,?,?,?,1,NULL,0)",
        (
            job.job_id,
            job.service,
            job.operation,
            job.target,
            job.place,
            job.keys,
            job.shape,
            job.payloads,
            job.source,
            at,
        ),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sync_folder(folder: str) -> None:
    """Make the new name itself survive a power failure, where the system supports that."""
    if hasattr(os, "O_DIRECTORY"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def examine(path: str, *, restored: bool = False) -> tuple[sqlite3.Connection, Job, os.stat_result]:
    """Open a journal for reading, if it is one and nothing is missing from it.

    Nothing is changed, so a refused file stays as it was.

    Args:
        path: of the file.
        restored: it is known to be an older copy: the main file is enough.

    Raises:
        JournalError: it is not a journal, has another version, or a part of it is missing.
    """
    connection: sqlite3.Connection | None = None
    try:
        seen = check_file(path)
        with _guard:
            index = None
            if path not in _connections:
                index = wal_index(path)
                check_seal(path)
        if not restored:
            check_wal(path, index)
        had_wal = wal_is_there(path)
        connection = _open_to_read(path, had_wal=had_wal)
        job = _check(connection, path, whole=had_wal or restored)
    except BaseException as error:
        if connection is not None:
            disconnect(connection, path)
        made = damage_of(path, error)
        if made is not error:
            raise made from error
        raise
    return connection, job, seen


def _open_to_read(path: str, *, had_wal: bool) -> sqlite3.Connection:
    # In read-only mode SQLite would leave its -wal and -shm files behind; where they already exist,
    # it must not checkpoint what the owner of the journal left in them.
    connection = connect(path, "mode=ro" if had_wal else "mode=rw")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        disconnect(connection, path)
        name = str(getattr(error, "sqlite_errorname", ""))
        if had_wal or not name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise
        # In a read-only folder SQLite cannot create its -shm file. Everything is in the main file,
        # and nothing can change it.
        return connect(path, "immutable=1")
    except BaseException:
        disconnect(connection, path)
        raise
    return connection


def _check(connection: sqlite3.Connection, path: str, *, whole: bool) -> Job:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise trouble(path, "it is an SQLite database, but not a journal", "Use another file.")
    if version > VERSION:
        raise trouble(
            path,
            f"it was created by a newer version of this package (format {version}, not {VERSION})",
            "Use that version, or a newer one.",
        )
    if version < VERSION:
        raise trouble(
            path,
            f"it was created by an older version of this package (format {version}, not {VERSION})",
            "Finish the push with that version.",
        )
    said = connection.execute(
        "SELECT service, operation, target, place, keys, shape, payloads, source, job_id, "
        "whole FROM job"
    ).fetchall()
    if len(said) != 1:
        raise trouble(path, "it is damaged: its job is missing", DAMAGED)
    service, operation, target, place, keys, shape, payloads, source, job_id, says_whole = said[0]
    if not says_whole and not whole:
        raise trouble(path, "its -wal file is missing or empty", RESTORE)
    return Job(
        service=service,
        operation=operation,
        target=target,
        place=place,
        keys=keys,
        shape=shape,
        payloads=bool(payloads),
        source=source,
        job_id=job_id,
    )
