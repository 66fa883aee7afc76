"""Steps of a store in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Identity, Taken
from kapture_async._core.journal.store import Store

Open = Callable[..., Store]
MakeRow = Callable[..., Identity]
DEAD = "its process ended while it was under way"


def take(
    store: Store, identity: Identity, payload: bytes | None = b"body", at: float = 2.0
) -> Taken:
    with store.transaction():
        return store.take(identity, payload, at)


def settle(store: Store, taken: Taken, kind: str, at: float = 3.0, **more: Any) -> None:
    with store.transaction():
        store.settle(taken.row, taken.attempt, kind, at, **more)


def verdict(store: Store, taken: Taken, kind: str, at: float = 4.0, **more: Any) -> None:
    with store.transaction():
        store.verdict(taken.row, kind, at, **more)


def check_counts(store: Store) -> None:
    """What it keeps in memory is what a reader finds on the disk."""
    with ReadJournal.open_to_read(store.path) as reader:
        assert reader.counts() == store.counts()


def refuse(store: Store, identity: Identity, words: str = "no title") -> Taken:
    with store.transaction():
        return store.refuse(identity, b"raw cells", "InvalidInputError", words, 2.0)
