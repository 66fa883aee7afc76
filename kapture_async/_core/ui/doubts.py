"""The rows in doubt of a journal, one by one, with what they were sent with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from ..cli.journal_status import LINE, moment, ticket_ids_in
from ..errors import InvalidInputError
from ..journal.reader import ReadJournal
from ..journal.records import DOUBTS, State
from .preview import texts_in

SHOWN = 500
"""Rows in doubt that the page lists; others follow once these are resolved."""


def doubts_in(path: str) -> list[dict[str, Any]]:
    """The first rows in doubt, in the order they came. Safe during a push.

    Raises:
        JournalError: the journal cannot be read.
    """
    with ReadJournal.open_to_read(path) as journal:
        return list(islice(_doubts(journal), SHOWN))


def _doubts(journal: ReadJournal) -> Iterator[dict[str, Any]]:
    for doubt in journal.doubts(*DOUBTS, payloads=False):
        looked_up = doubt.state is not State.UNKNOWN
        tickets = ticket_ids_in(journal.evidence_of(doubt.row)) if looked_up else ()
        yield {
            "row": doubt.row,
            "key": doubt.key,
            "line": doubt.line,
            "state": doubt.state.value,
            "reference": None if journal.job.place == "none" else doubt.reference,
            "sent": moment(doubt.sent_at),
            "tries": doubt.attempts,
            "why": LINE.sub("", " ".join((doubt.words or "").split())) or doubt.error,
            "tickets": list(tickets),
            "lookups": doubt.absent_lookups,
        }


def content_of(path: str, row: int, first: Sequence[str]) -> dict[str, str] | None:
    """What a row was sent with, by wire names; ``None`` if the journal does not hold it.

    Args:
        path: of the journal.
        row: its number.
        first: names that come before others.

    Raises:
        JournalError: the journal cannot be read.
    """
    with ReadJournal.open_to_read(path) as journal:
        payload = journal.payload_of(row)
    try:
        content = json.loads(payload or b"")
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    texts = texts_in(content)
    return {name: texts[name] for name in dict.fromkeys((*first, *texts)) if name in texts}


def doubt_in(path: str, row: int) -> dict[str, Any]:
    """One row in doubt.

    Raises:
        InvalidInputError: it is not in doubt, or not any more.
        JournalError: the journal cannot be read.
    """
    with ReadJournal.open_to_read(path) as journal:
        found = next((one for one in _doubts(journal) if one["row"] == row), None)
    if found is None:
        raise InvalidInputError("the row is not in doubt any more")
    return found
