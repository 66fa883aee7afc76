"""What a person says of rows in doubt, written down like the verdict of a look."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ..errors import InvalidInputError
from ..journal.records import TOLD, Doubt, Kind, State
from ..journal.store import Store
from ..journal.writer import Journal
from .reconcile import Resolved

_NEXT = "Look which rows of the journal are in doubt."


async def resolve(
    journal: str | os.PathLike[str],
    key: str | None,
    *,
    line: int | None,
    present: str | None,
    absent: bool,
    now: Callable[[], float] = time.time,
) -> Resolved:
    """Write down what a person has found out of a row in doubt.

    Args:
        journal: the file.
        key: the row's key.
        line: where the row stands in its file, for one without a key.
        present: it is in the helpdesk, under this id.
        absent: it is not there; the next push sends it.
        now: the wall clock.

    Raises:
        InvalidInputError: it is not said which row, or what became of it; or that row is not in
            doubt. Nothing was written.
        JournalError: the journal cannot be used.
    """
    if (key is None) == (line is None):
        raise InvalidInputError("name the row either by its key or by its line")
    if (present is None) != absent:
        raise InvalidInputError("say either present, with the id, or absent")
    if present is not None and not present.strip():
        raise InvalidInputError("present needs the id under which the row is in the helpdesk")
    opened = await Journal.open(journal, now=now)
    try:
        return await opened.call(lambda store: _written(store, key, line, present, now()))
    finally:
        await opened.aclose()


def _written(
    store: Store, key: str | None, line: int | None, present: str | None, at: float
) -> Resolved:
    doubt = _find(store, key, line)
    ids = () if present is None else (present.strip(),)
    store.verdict(
        doubt.row,
        Kind.ABSENT if present is None else Kind.PRESENT,
        at,
        ticket_id=ids[0] if ids else None,
        words=TOLD,
        evidence={"at": round(at, 3), "why": TOLD, "was": doubt.state.value},
    )
    return Resolved(doubt.key, doubt.line, doubt.reference, ids)


def _find(store: Store, key: str | None, line: int | None) -> Doubt:
    name = f"key {key!r}" if key is not None else f"line {line}"

    def named(row_key: str | None, row_line: int | None) -> bool:
        return row_key == key if key is not None else row_line == line

    found = [doubt for doubt in store.doubts() if named(doubt.key, doubt.line)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInputError(
            f"{len(found)} rows in doubt stand under {name}; name one by its key",
            next_step=_NEXT,
        )
    for row in store.rows_in(*State):
        if named(row.key, row.line):
            raise InvalidInputError(
                f"the row of {name} is not in doubt: it is {row.state.value}", next_step=_NEXT
            )
    raise InvalidInputError(f"the journal has no row of {name}", next_step=_NEXT)
