"""The statements of a journal's hot path, each for many rows at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

_MOST = 64
"""Rows in one statement: 64 times 11 columns are below the 999 values old SQLites allow."""


_INTENTS = "INSERT INTO facts (row, fact, kind, attempt, at)"
_DELETE = "DELETE FROM payloads WHERE row IN ({})"


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


_KNOWN = """
SELECT r.row, r.key, r.digest, r.occurrence, f.kind, f.attempt, f.ticket_id, f.status, f.error,
    f.words, (SELECT max(g.attempt) FROM facts AS g WHERE g.row = r.row)
FROM {source}
CROSS JOIN facts AS f
    ON f.row = r.row AND f.fact = (SELECT max(g.fact) FROM facts AS g WHERE g.row = r.row)
{where}
"""


def known_by_key(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Known]:
    """The rows that bear these keys."""
    found: dict[str, Known] = {}
    for some in _parts(keys):
        for values in connection.execute(_by_key(len(some)), some).fetchall():
            known = Known(*values)
            assert known.key is not None
            found[known.key] = known
    return found


def known_by_content(
    connection: sqlite3.Connection, contents: Sequence[tuple[bytes, int]]
) -> dict[tuple[bytes, int], Known]:
    """The rows without a key that have these contents and occurrence numbers."""
    found: dict[tuple[bytes, int], Known] = {}
    for some in _parts(contents):
        flat = [value for pair in some for value in pair]
        for values in connection.execute(_by_content(len(some)), flat).fetchall():
            known = Known(*values)
            found[known.digest, known.occurrence] = known
    return found


def known_by_number(connection: sqlite3.Connection, row: int) -> Known | None:
    """The row of this number."""
    question = _KNOWN.format(source="rows AS r", where="WHERE r.row = ?")
    values = connection.execute(question, (row,)).fetchone()
    return None if values is None else Known(*values)


def index_keyed_content(connection: sqlite3.Connection) -> None:
    """Make :func:`keyed_by_content` quick. Only a journal whose rows came with keys and then
    without needs it."""
    connection.execute(
        "CREATE INDEX IF NOT EXISTS rows_by_keyed_content ON rows (digest) WHERE key IS NOT NULL"
    )


def keyed_by_content(connection: sqlite3.Connection, digest: bytes) -> Iterator[Known]:
    """The rows with a key that have this content, in the order they came."""
    question = _KNOWN.format(
        source="rows AS r", where="WHERE r.key IS NOT NULL AND r.digest = ? ORDER BY r.row"
    )
    return (Known(*values) for values in connection.execute(question, (digest,)))


def insert_rows(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """New rows: row, key, digest, occurrence, line, planned for each."""
    _insert(connection, "INSERT INTO rows", 6, flat)


def put_payloads(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """What rows are sent with: row, payload for each."""
    _insert(connection, "INSERT OR REPLACE INTO payloads", 2, flat)


def insert_intents(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """New facts of one kind: row, fact, attempt, at for each."""
    _insert(connection, _INTENTS, 4, flat, "(?,?,'intent',?,?)")


def insert_facts(connection: sqlite3.Connection, flat: list[Any]) -> None:
    """New facts; their columns as :meth:`.Memory.fact` makes them."""
    _insert(connection, "INSERT INTO facts", 11, flat)


def delete_payloads(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Forget what rows were sent with."""
    for some in _parts(rows):
        connection.execute(_delete(len(some)), some)


def _insert(
    connection: sqlite3.Connection, into: str, width: int, flat: list[Any], one: str = ""
) -> None:
    place = 0
    one = one or f"({','.join('?' * width)})"
    for size in _sizes(len(flat) // width):
        end = place + size * width
        connection.execute(_values(into, one, size), flat[place:end])
        place = end


def _sizes(count: int) -> Iterator[int]:
    """Powers of two that make up the count: so few texts that all stay prepared."""
    size = _MOST
    while count:
        while count >= size:
            yield size
            count -= size
        size >>= 1


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    place = 0
    for size in _sizes(len(values)):
        yield values[place : place + size]
        place += size


@cache
def _values(into: str, one: str, count: int) -> str:
    return f"{into} VALUES {','.join([one] * count)}"


@cache
def _by_key(count: int) -> str:
    marks = ",".join("?" * count)
    return _KNOWN.format(source="rows AS r", where=f"WHERE r.key IN ({marks})")


@cache
def _by_content(count: int) -> str:
    wanted = ",".join(["(?,?)"] * count)
    source = (
        f"(VALUES {wanted}) AS w CROSS JOIN rows AS r ON r.key IS NULL "
        "AND r.digest = w.column1 AND r.occurrence = w.column2"
    )
    return _KNOWN.format(source=source, where="")


@cache
def _delete(count: int) -> str:
    return _DELETE.format(",".join("?" * count))
