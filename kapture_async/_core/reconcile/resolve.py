"""Recording what a person found out about rows in doubt, and undoing that."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence

from attrs import frozen

from ..errors import InvalidInputError
from ..journal.records import BY_PERSON, Doubt, Kind, RowView, State
from ..journal.session import Session
from ..journal.writer import Journal
from .results import Resolved

_NEXT = "See which rows of the journal are in doubt."
_UNDONE = "the operator undid `resolve`"


@frozen(kw_only=True)
class Answer:
    """What a person found out about one row.

    Attributes:
        key: of the row.
        line: its line in its file, if it has no key.
        present: the id under which it is in the helpdesk; ``None`` if it is not there.
    """

    key: str | None = None
    line: int | None = None
    present: str | None = None

    @property
    def name(self) -> str:
        """The row in words."""
        return f"key {self.key!r}" if self.key is not None else f"line {self.line}"

    def names(self, key: str | None, line: int | None) -> bool:
        """Whether it is about the row with this key and line."""
        return key == self.key if self.key is not None else line == self.line


async def resolve(
    journal: str | os.PathLike[str],
    key: str | None,
    *,
    line: int | None,
    present: str | None,
    absent: bool,
    now: Callable[[], float] = time.time,
) -> Resolved:
    """Record what a person found out about a row in doubt.

    Args:
        journal: the file.
        key: the row's key.
        line: the row's line in its file, for one without a key.
        present: it is in the helpdesk, under this id.
        absent: it is not there; the next push sends it.
        now: the wall clock.

    Raises:
        InvalidInputError: neither the row nor its state is clear from the arguments, or the row
            is not in doubt. Nothing was written.
        JournalError: the journal cannot be used.
    """
    if (present is None) != absent:
        raise InvalidInputError("say either present, with the id, or absent")
    [row] = await resolve_all(journal, [Answer(key=key, line=line, present=present)], now=now)
    return row


async def resolve_all(
    journal: str | os.PathLike[str],
    answers: Sequence[Answer],
    *,
    now: Callable[[], float] = time.time,
) -> list[Resolved]:
    """Record what a person found out about rows in doubt: all of it, or nothing.

    Args:
        journal: the file.
        answers: what was found.
        now: the wall clock.

    Raises:
        InvalidInputError: an answer names no single row in doubt. Nothing was written.
        JournalError: the journal cannot be used.
    """
    for answer in answers:
        _check_named(answer)
        if answer.present is not None and not answer.present.strip():
            raise InvalidInputError("present needs the id under which the row is in the helpdesk")
    opened = await Journal.open(journal, now=now)
    try:
        return await opened.call(lambda session: _written(session, answers, now()))
    finally:
        await opened.aclose()


async def take_back(
    journal: str | os.PathLike[str],
    answers: Sequence[Answer],
    *,
    now: Callable[[], float] = time.time,
) -> list[Resolved]:
    """Undo :func:`resolve`: the rows are in doubt again, all of them or none.

    Args:
        journal: the file.
        answers: name the rows; the rest is ignored.
        now: the wall clock.

    Raises:
        InvalidInputError: a row was not resolved by a person, or was sent since. Nothing was
            written.
        JournalError: the journal cannot be used.
    """
    for answer in answers:
        _check_named(answer)
    opened = await Journal.open(journal, now=now)
    try:
        return await opened.call(lambda session: _taken_back(session, answers, now()))
    finally:
        await opened.aclose()


def _check_named(answer: Answer) -> None:
    if (answer.key is None) == (answer.line is None):
        raise InvalidInputError("name the row either by its key or by its line")


def _written(session: Session, answers: Sequence[Answer], at: float) -> list[Resolved]:
    rows = _find(session, answers)
    written = []
    for doubt, answer in zip(rows, answers, strict=True):
        ids = () if answer.present is None else (answer.present.strip(),)
        before = session.evidence_of(doubt.row)
        session.verdict(
            doubt.row,
            Kind.PRESENT if ids else Kind.ABSENT,
            at,
            ticket_id=ids[0] if ids else None,
            words=BY_PERSON,
            evidence={
                "at": round(at, 3),
                "why": BY_PERSON,
                "was": doubt.state.value,
                "before": None if before is None else json.loads(before),
            },
        )
        written.append(Resolved(doubt.key, doubt.line, doubt.reference, ids))
    return written


def _find(session: Session, answers: Sequence[Answer]) -> list[Doubt]:
    """The row in doubt that each answer is about."""
    by_key: dict[str | None, list[Doubt]] = {}
    by_line: dict[int | None, list[Doubt]] = {}
    for doubt in session.doubts(payloads=False):
        by_key.setdefault(doubt.key, []).append(doubt)
        by_line.setdefault(doubt.line, []).append(doubt)
    rows = []
    for answer in answers:
        if answer.key is not None:
            found = by_key.get(answer.key, [])
        else:
            found = by_line.get(answer.line, [])
        if len(found) != 1:
            raise _not_one(session, answer, len(found))
        if found[0] in rows:
            raise InvalidInputError(f"the row with {answer.name} is named twice")
        rows.append(found[0])
    return rows


def _not_one(session: Session, answer: Answer, found: int) -> InvalidInputError:
    if found:
        what = f"{found} rows in doubt have {answer.name}; name one by its key"
        return InvalidInputError(what, next_step=_NEXT)
    for row in session.rows_in(*State):
        if answer.names(row.key, row.line):
            what = f"the row with {answer.name} is not in doubt: it is {row.state.value}"
            return InvalidInputError(what, next_step=_NEXT)
    return InvalidInputError(f"the journal has no row with {answer.name}", next_step=_NEXT)


def _taken_back(session: Session, answers: Sequence[Answer], at: float) -> list[Resolved]:
    told: dict[tuple[str | None, int | None], RowView] = {}
    for row in session.rows_in(State.ACCEPTED, State.NOT_SENT):
        if row.words == BY_PERSON:
            told[row.key, None if row.key is not None else row.line] = row
    rows = []
    for answer in answers:
        found = told.pop((answer.key, answer.line), None)
        if found is None:
            raise InvalidInputError(
                f"nothing to take back for the row with {answer.name}",
                next_step="Only what `resolve` recorded can be taken back, as long as the row "
                "was not sent since.",
            )
        rows.append(found)
    for row in rows:
        said = json.loads(session.evidence_of(row.row) or "{}")
        session.doubt_again(row.row, State(said["was"]), at, _UNDONE, said.get("before"))
    return [Resolved(row.key, row.line, row.reference, ()) for row in rows]
