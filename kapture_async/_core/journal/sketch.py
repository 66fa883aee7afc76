"""Some rows that stand for all of a journal: by them a new journal of the same rows is known.

The first rows, and those whose digests are the smallest of all: whatever order rows come in, two
journals of the same rows have the same smallest digests, and of a small journal it is every row.
"""

from __future__ import annotations

import sqlite3

_FIRST = 64
_SMALLEST = 1024
_LENGTH = 8
"""Bytes of a digest: enough that no two are equal by chance."""
TRIED = 64
"""First rows of a push by which it is decided whether it is of the same rows."""


def sketch_of(connection: sqlite3.Connection) -> str:
    """The sketch of a journal, as text."""
    question = "SELECT digest FROM rows ORDER BY {} LIMIT ?"
    first = connection.execute(question.format("row"), (_FIRST,)).fetchall()
    least = connection.execute(question.format("digest"), (_SMALLEST,)).fetchall()
    found = {bytes(digest[:_LENGTH]) for (digest,) in first + least}
    return b"".join(sorted(found)).hex()


def is_in(digest: bytes, sketch: set[str]) -> bool:
    """Whether a row is in an unpacked sketch."""
    return digest[:_LENGTH].hex() in sketch


def unpacked(sketch: str) -> set[str]:
    """A sketch to look into."""
    size = 2 * _LENGTH
    return {sketch[start : start + size] for start in range(0, len(sketch), size)}
