"""What an observer of a push is told. No event shows a row's content in its repr."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ..outcome import Outcome


@frozen
class RowFinished:
    """A row has its outcome; the consumer may not have read it yet."""

    outcome: Outcome


@frozen
class RowKnown:
    """The journal knows the row, and it is not sent now."""

    key: str | None
    state: str
    """Since an earlier run: ``accepted``, ``rejected``, ``not_sent``, ``unknown``, ``ambiguous``,
    ``probable`` or ``replaced``. ``repeated``: it came before in this push, under the same key and
    with the same content."""


@frozen
class PushPaused:
    """All workers wait."""

    seconds: float
    reason: str


@frozen
class PushStopped:
    """No more rows are taken; what is in flight finishes."""

    reason: str


@frozen
class RowDoubted:
    """A row that was accepted is in doubt after all: another row was given the same id.

    Attributes:
        index: the row's place in the source; ``None`` if it came long before, or in another run.
        key: its key, if it has one and that is still known.
        ticket_id: the id that both were given.
        reason: which other row that is.
    """

    index: int | None
    key: str | None
    ticket_id: str
    reason: str


@frozen
class AnswersDiffer:
    """So many answers repeat a field in a form that fits no row. Told once for each field.

    Some tenants rewrite titles, say. It is no doubt, but such a field cannot show that an answer
    is its row's.
    """

    field: str
    rows: int


@frozen
class PushNoticed:
    """Something a person should know before rows are sent: the journal is an older copy."""

    words: str


PushEvent = (
    RowFinished | RowKnown | RowDoubted | AnswersDiffer | PushPaused | PushStopped | PushNoticed
)
PushObserver = Callable[[PushEvent], None]
"""Called in the event loop, synchronously: it must not block. What it raises is logged and
otherwise ignored."""
