"""Steps of a journal in one line."""

from __future__ import annotations

from collections.abc import Callable

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Identity

from ...driven import Driven

Open = Callable[..., Driven]
MakeRow = Callable[..., Identity]
DEAD = "its process ended while it was under way"


def check_counts(journal: Driven) -> None:
    """What it keeps in memory is what a reader finds on the disk."""
    with ReadJournal.open_to_read(journal.path) as reader:
        assert reader.counts() == journal.counts()
