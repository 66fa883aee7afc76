"""The statements of a journal's hot path, each for many rows at once.

Each costs two changes of the interpreter's lock, which a busy event loop makes long. So new rows
and ends, which are nearly all there is, are one (:func:`insert_group`); and for the rest there is
one for all rows of a kind: of a few sizes, so that all stay prepared, and filled up with nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson

from .reference import DIGEST

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Rows in one statement: 64 times 11 columns are below the 999 values old SQLites allow."""
_MOST = _SIZES[-1]

_INSERT = "INSERT {} SELECT {} FROM ({}) WHERE column1 IS NOT NULL"
_DELETE = "DELETE FROM payloads WHERE row IN ({})"


_AT = "json_extract(value, '$[{}]')".format

ANOTHER_RUN = "another run has begun"
"""What :func:`insert_group` fails with then."""

_GROUP = (
    "CREATE TEMP VIEW IF NOT EXISTS new_group AS SELECT NULL AS run, NULL AS at, NULL AS fact, "
    "NULL AS rows, NULL AS contents, NULL AS accepted, NULL AS ended",
    f"""
    CREATE TEMP TRIGGER IF NOT EXISTS write_group INSTEAD OF INSERT ON new_group BEGIN
        SELECT RAISE(ABORT, '{ANOTHER_RUN}') WHERE NEW.run IS NOT (SELECT max(run) FROM runs);
        INSERT INTO rows (row, key, line, digest, occurrence, planned, traits)
            SELECT {_AT(0)}, {_AT(1)}, {_AT(2)}, substr(NEW.contents, {_AT(3)}, {DIGEST}), 0,
                NEW.at, {_AT(5)}
            FROM json_each(NEW.rows);
        INSERT INTO payloads (row, payload)
            SELECT {_AT(0)}, substr(NEW.contents, {_AT(3)} + {DIGEST}, {_AT(4)})
            FROM json_each(NEW.rows) WHERE {_AT(4)} IS NOT NULL;
        INSERT INTO facts (row, fact, kind, attempt, at)
            SELECT {_AT(0)}, 0, 'intent', 1, NEW.at FROM json_each(NEW.rows);
        INSERT INTO facts (row, fact, kind, attempt, at, ticket_id)
            SELECT {_AT(0)}, NEW.fact + key, 'accepted', {_AT(1)}, NEW.at, {_AT(2)}
            FROM json_each(NEW.accepted);
        DELETE FROM payloads WHERE row IN (SELECT {_AT(0)} FROM json_each(NEW.accepted));
        INSERT INTO facts
            (row, fact, kind, attempt, at, phase, status, error, words)
            SELECT {_AT(0)}, NEW.fact + json_array_length(NEW.accepted) + key, {_AT(2)}, {_AT(1)},
                NEW.at, {_AT(3)}, {_AT(4)}, {_AT(5)}, {_AT(6)}
            FROM json_each(NEW.ended);
    END
    """,  # noqa: S608 - of constants
)


class Known(NamedTuple):
    """A row the journal holds, with its last fact."""

    row: int
    key: str | None
    digest: bytes
    occurrence: int
    kind: str
    attempt: int
    """Of its last fact: 0 if that says that it cannot be sent as it is."""
    ticket_id: str | None
    status: int | None
    error: str | None
    words: str | None
    attempts: int
    """The number of its last attempt; 0 if there was none."""
    repeat_of: int | None = None
    """The row whose key it has, or has in another spelling."""
    former: bytes | None = None
    """Digests of what it held before it was mended, one after the other."""
    line: int | None = None
    changed: int = 0
    """Whether it came with other content after it was in the helpdesk."""

    def holds(self, digest: bytes) -> bool:
        """Whether it has this content, or had it before it was mended."""
        if digest == self.digest:
            return True
        former = self.former
        if former is None:
            return False
        return any(former[at : at + DIGEST] == digest for at in range(0, len(former), DIGEST))


_KNOWN = """
SELECT r.row, r.key, r.digest, r.occurrence, f.kind, f.attempt, f.ticket_id, f.status, f.error,
    f.words, (SELECT max(g.attempt) FROM facts AS g WHERE g.row = r.row), r.repeat_of, r.former,
    r.line, r.changed
FROM {source}
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
{where}
"""


def known_by_key(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Known]:
    """The rows that bear these keys."""
    found: dict[str, Known] = {}
    for size, some in _parts(keys, 1):
        for values in connection.execute(_by_key(size), some).fetchall():
            known = Known(*values)
            assert known.key is not None
            found[known.key] = known
    return found


def index_content(connection: sqlite3.Connection) -> None:
    """Make :func:`known_by_content` quick.

    Not before it is needed: a new row has a page of this index to itself, and costs a third less
    without it.
    """
    connection.execute(
        "CREATE UNIQUE INDEX IF NOT EXISTS rows_by_content ON rows (digest, occurrence) "
        "WHERE key IS NULL"
    )


def known_by_content(
    connection: sqlite3.Connection, contents: Sequence[tuple[bytes, int]]
) -> dict[tuple[bytes, int], Known]:
    """The rows without a key that have these contents and occurrence numbers."""
    found: dict[tuple[bytes, int], Known] = {}
    for size, flat in _parts([value for pair in contents for value in pair], 2):
        for values in connection.execute(_by_content(size), flat).fetchall():
            known = Known(*values)
            found[known.digest, known.occurrence] = known
    return found


def known_by_number(connection: sqlite3.Connection, row: int) -> Known | None:
    """The row of this number."""
    question = _KNOWN.format(source="rows AS r", where="WHERE r.row = ?")
    values = connection.execute(question, (row,)).fetchone()
    return None if values is None else Known(*values)


def repeats_of(connection: sqlite3.Connection, row: int, digest: bytes) -> list[Known]:
    """The rows of this content that bear the key of a row, or another spelling of it."""
    question = _KNOWN.format(
        source="rows AS r", where="WHERE r.repeat_of = ? AND r.digest = ? ORDER BY r.row"
    )
    return [Known(*values) for values in connection.execute(question, (row, digest)).fetchall()]


def index_keyed_content(connection: sqlite3.Connection) -> None:
    """Make :func:`keyed_by_content` quick. Only a journal whose rows came with keys and then
    without needs it."""
    connection.execute(
        "CREATE INDEX IF NOT EXISTS rows_by_keyed_content ON rows (digest) WHERE key IS NOT NULL"
    )


def keyed_by_content(connection: sqlite3.Connection, digest: bytes) -> Iterator[Known]:
    """The rows with a key that have this content, in the order they came."""
    question = _KNOWN.format(
        source="rows AS r",
        where="WHERE r.key IS NOT NULL AND r.digest = ? AND r.occurrence >= 0 ORDER BY r.row",
    )
    return (Known(*values) for values in connection.execute(question, (digest,)))


def insert_rows(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """New rows: row, key, digest, occurrence, line, planned, traits, repeat_of for each."""
    into = "INTO rows (row, key, digest, occurrence, line, planned, traits, repeat_of)"
    _insert(connection, into, "*", 8, flat)


def put_payloads(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """What rows are sent with: row, payload for each."""
    _insert(connection, "OR REPLACE INTO payloads", "*", 2, flat)


def insert_intents(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """New facts of one kind: row, fact, attempt, at for each."""
    into = "INTO facts (row, fact, attempt, at, kind)"
    _insert(connection, into, "*, 'intent'", 4, flat)


def prepare_groups(connection: sqlite3.Connection) -> bool:
    """Make :func:`insert_group` possible. False if this SQLite cannot read JSON."""
    try:
        connection.execute("SELECT json_extract('[1]', '$[0]') FROM json_each('[1]')").fetchone()
    except sqlite3.OperationalError:
        return False
    connection.execute("PRAGMA temp_store = MEMORY")
    for statement in _GROUP:
        connection.execute(statement)
    return True


def insert_group(
    connection: sqlite3.Connection,
    run: int,
    at: float,
    fact: int,
    rows: Iterable[tuple[Any, ...]],
    contents: bytes,
    accepted: Iterable[tuple[Any, ...]],
    ended: Iterable[tuple[Any, ...]],
) -> None:
    """New rows that are to be sent, with their first intents, and ends; one statement for all,
    so that the interpreter's lock changes hands once.

    The text must hold no NUL: SQLite takes it for the end when it reads JSON.

    Args:
        connection: in a transaction, or it is one of its own.
        run: which must be the last; else nothing is written, see ``ANOTHER_RUN``.
        at: the time of all.
        fact: the first number of an end; there is one for each, those of the accepted first.
            An intent of a new row has the number 0.
        rows: row, key, line, where its digest begins in the contents, counted from 1, the length
            of the payload behind it, or ``None`` for none, and its traits. That their names are
            new must be sure.
        contents: digests and payloads, one after the other.
        accepted: row, attempt, ticket_id; their payloads are forgotten.
        ended: row, attempt, kind, phase, status, error, words; none of them accepted.
    """
    texts = [orjson.dumps(list(some)).decode() for some in (rows, accepted, ended)]
    connection.execute(
        "INSERT INTO new_group (run, at, fact, rows, contents, accepted, ended) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (run, at, fact, texts[0], contents, texts[1], texts[2]),
    )


def insert_facts(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """New facts; their columns as :meth:`.Memory.fact` makes them."""
    _insert(connection, "INTO facts", "*", 11, flat)


def delete_payloads(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Forget what rows were sent with."""
    for size, some in _parts(rows, 1):
        connection.execute(_delete(size), some)


def _insert(
    connection: sqlite3.Connection, into: str, columns: str, width: int, flat: list[Any]
) -> None:
    for size, some in _parts(flat, width):
        connection.execute(_values(into, columns, width, size), some)


def _parts(flat: Sequence[Any], width: int) -> Iterator[tuple[int, Sequence[Any]]]:
    """Rows of so many values as the sizes there are: the size, and the values, filled up."""
    most = _MOST * width
    for place in range(0, len(flat), most):
        some = flat[place : place + most]
        count = len(some) // width
        size = next(size for size in _SIZES if size >= count)
        if size > count:
            some = [*some, *[None] * ((size - count) * width)]
        yield size, some


@cache
def _values(into: str, columns: str, width: int, size: int) -> str:
    one = f"({','.join('?' * width)})"
    values = f"VALUES {','.join([one] * size)}"
    return _INSERT.format(into, columns, values)


@cache
def _by_key(size: int) -> str:
    marks = ",".join("?" * size)
    return _KNOWN.format(
        source="rows AS r", where=f"WHERE r.key IN ({marks}) AND r.repeat_of IS NULL"
    )


@cache
def _by_content(size: int) -> str:
    wanted = ",".join(["(?,?)"] * size)
    source = (
        f"(VALUES {wanted}) AS w CROSS JOIN rows AS r ON r.key IS NULL "
        "AND r.digest = w.column1 AND r.occurrence = w.column2"
    )
    return _KNOWN.format(source=source, where="")


@cache
def _delete(size: int) -> str:
    return _DELETE.format(",".join("?" * size))
