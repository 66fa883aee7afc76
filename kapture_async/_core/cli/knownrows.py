"""What a journal has of the rows of a file, as a push of them would find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..push.journal.reading import ReadJournal
from ..push.journal.reference import digest_of
from ..push.rows import Row

NEW = "new"


class KnownRows:
    """The states of a journal's rows, by what names them: their keys, or else their contents.

    Rows of equal content are told apart by their order, as a push does; so each row of the file
    is asked for once, in the order of the file.

    Args:
        journal: it is read to its end here.
        pack: a row as a journal identifies it.
    """

    def __init__(self, journal: ReadJournal, pack: Callable[[Any], bytes]) -> None:
        self._pack = pack
        self._by_key: dict[str, str] = {}
        self._first: dict[bytes, str] = {}
        self._further: dict[tuple[bytes, int], str] = {}
        self._came: dict[bytes, int] = {}
        for key, digest, occurrence, state in journal.names():
            if key is not None:
                self._by_key[key] = state.value
            elif occurrence:
                self._further[digest, occurrence] = state.value
            else:
                self._first[digest] = state.value

    def state_of(self, row: Row[Any]) -> str:
        """The state of the file's next row, which can be sent; ``"new"`` if it is not known."""
        if row.keyed and row.key is not None:
            return self._by_key.get(row.key, NEW)
        digest = digest_of(self._pack(row.value))
        if digest not in self._first:
            return NEW
        number = self._came[digest] = self._came.get(digest, -1) + 1
        return self._further.get((digest, number), NEW) if number else self._first[digest]
