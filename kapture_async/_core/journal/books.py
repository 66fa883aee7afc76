"""Rows that were refused, and need no further care: they were given again as others."""

from __future__ import annotations

import sqlite3
from typing import Any

from .memory import Memory
from .statements import delete_payloads, index_keyed_content, insert_facts, keyed_by_content

_SECONDS = """
SELECT r.row, r.digest FROM rows AS r JOIN last_facts AS f ON f.row = r.row
WHERE r.repeat_of IS NOT NULL AND f.kind = 'not_sent'
"""
_NAMELESS = """
SELECT r.row, r.line FROM rows AS r JOIN last_facts AS f ON f.row = r.row
WHERE r.key IS NULL AND r.line IS NOT NULL AND r.row < ?
    AND (f.kind = 'rejected' OR (f.kind = 'not_sent' AND f.attempt = 0))
"""


def close_books(
    connection: sqlite3.Connection, memory: Memory, at: float, *, same_source: bool
) -> int:
    """See :meth:`.Store.close_books`.

    A second row under a key has got a key of its own where its very content came under another.
    A row without a key is told by its content, so a mended one is another: it stands in the same
    line of the same source, whose other rows are known for the most part.
    """
    if not memory.tally["not_sent"] + memory.tally["rejected"]:
        return 0
    found = _seconds(connection, memory) if memory.has_repeats else {}
    if same_source and memory.older:
        found |= _mended(connection, memory)
    facts: list[Any] = []
    for row, (kind, attempt, words) in found.items():
        memory.fact(facts, row, "replaced", attempt, at, words=words)
        memory.move(kind, "replaced")
    insert_facts(connection, facts)
    delete_payloads(connection, list(found))
    return len(found)


def _seconds(connection: sqlite3.Connection, memory: Memory) -> dict[int, tuple[str, int, str]]:
    found: dict[int, tuple[str, int, str]] = {}
    taken: set[int] = set()
    seconds = [one for one in connection.execute(_SECONDS) if not memory.came(one[0])]
    if seconds:
        index_keyed_content(connection)
    for row, digest in seconds:
        for other in keyed_by_content(connection, digest):
            there = other.kind in ("accepted", "present") and memory.came(other.row)
            if there and other.row not in taken:
                taken.add(other.row)
                found[row] = ("not_sent", 0, f"row {other.row} has its content")
                break
    return found


def _mended(connection: sqlite3.Connection, memory: Memory) -> dict[int, tuple[str, int, str]]:
    lines = {
        line: row
        for row, line in connection.execute(_NAMELESS, (memory.first_row,))
        if not memory.came(row)
    }
    if not lines:
        return {}
    new = connection.execute(
        "SELECT row, line FROM rows WHERE row >= ?", (memory.first_row,)
    ).fetchmany(memory.known_came + 1)
    if len(new) > memory.known_came:
        return {}
    found: dict[int, tuple[str, int, str]] = {}
    for row, line in new:
        if line in lines:
            before = lines[line]
            kind, attempt = connection.execute(
                "SELECT kind, attempt FROM last_facts WHERE row = ?", (before,)
            ).fetchone()
            found[before] = (kind, attempt, f"row {row} is what it was mended to")
    return found
