"""What a journal has of the rows of a file, as a push of them would find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

from ..journal.reader import ReadJournal
from ..journal.reference import digest_of
from ..journal.spelling import fold
from ..push.journaling import PROBED, SUSPICIOUS, KeyRules
from ..push.rows import Row

NEW = "new"
_FREE = frozenset({"not_sent", "rejected"})


@define
class _Key:
    state: str
    digest: bytes
    came: bool = False


@define
class KeyTrouble:
    """What a push would make of keys that the journal does not have.

    Attributes:
        respelled: rows whose keys are other spellings of known ones, and that it would not send.
        changed: rows that are in the helpdesk with other content.
        alike: of the first rows with new keys, those whose contents stand under other keys; it
            stops if they are too many.
    """

    respelled: int = 0
    changed: int = 0
    alike: int = 0
    stops: bool = False


class KnownRows:
    """The states of a journal's rows, by what names them: their keys, or else their contents.

    Rows of equal content are told apart by their order, as a push does; so each row of the file
    is asked for once, in the order of the file.

    Args:
        journal: it is read to its end here.
        pack: a row as a journal identifies it.
        rules: how the push takes new keys.
    """

    def __init__(self, journal: ReadJournal, pack: Callable[[Any], bytes], rules: KeyRules) -> None:
        self._pack = pack
        self._rules = rules
        self._by_key: dict[str, _Key] = {}
        self._first: dict[bytes, str] = {}
        self._further: dict[tuple[bytes, int], str] = {}
        self._came: dict[bytes, int] = {}
        self._spellings: dict[str, list[_Key]] | None = None
        self._contents: set[bytes] = set()
        self._new: list[bytes] = []
        self._waiting: list[list[_Key]] = []
        self.trouble = KeyTrouble()
        for key, digest, occurrence, state in journal.names():
            if key is not None:
                if occurrence >= 0:  # else it is a second row under the key
                    self._by_key[key] = _Key(state.value, digest)
                    self._contents.add(digest)
            elif occurrence:
                self._further[digest, occurrence] = state.value
            else:
                self._first[digest] = state.value

    def state_of(self, row: Row[Any]) -> str:
        """The state of the file's next row, which can be sent; ``"new"`` if it is not known, and
        ``"respelled"`` if only its key is."""
        digest = digest_of(self._pack(row.value))
        if row.keyed and row.key is not None:
            return self._state_of_key(row.key, digest)
        if digest not in self._first:
            return NEW
        number = self._came[digest] = self._came.get(digest, -1) + 1
        return self._further.get((digest, number), NEW) if number else self._first[digest]

    def end(self) -> int:
        """The file is at its end. Returns how many rows of those that were called new are not to be
        sent, since their keys are other spellings of keys that the file has no more."""
        gone = sum(not any(key.came for key in keys) for keys in self._waiting)
        self.trouble.respelled += gone
        self.trouble.alike = sum(digest in self._contents for digest in self._new)
        self.trouble.stops = self.trouble.alike > SUSPICIOUS and not self._rules.new
        return gone

    def _state_of_key(self, key: str, digest: bytes) -> str:
        known = self._by_key.get(key)
        if known is not None:
            if known.state == "accepted" and known.digest != digest and not known.came:
                self.trouble.changed += 1
            known.came = True
            return known.state
        alike = self._alike(key)
        if any(one.digest == digest and one.state not in _FREE for one in alike):
            self.trouble.respelled += 1
            return "respelled"
        if alike:
            # One that is not in the helpdesk is sent either way, as itself or as the new row.
            if not any(one.state in _FREE for one in alike):
                self._waiting.append(alike)
        elif len(self._new) < PROBED and self._by_key:
            self._new.append(digest)
        return NEW

    def _alike(self, key: str) -> list[_Key]:
        if self._rules.exact or not self._by_key:
            return []
        if self._spellings is None:
            self._spellings = {}
            for known, about in self._by_key.items():
                self._spellings.setdefault(fold(known), []).append(about)
        return self._spellings.get(fold(key), [])
