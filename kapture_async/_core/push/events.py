"""The events of a push, for ``on_event``. No event shows a row's content in its repr."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ..outcome import Outcome
from .counts import PushCounts


@frozen
class PushStarted:
    """A push begins to read its source: the first event of a push.

    Attributes:
        service: ``"kapture"`` or ``"support"``.
        operation: such as ``"tickets.add"``.
    """

    service: str
    operation: str


@frozen(eq=False)
class RowFinished:
    """A row has its outcome; the consumer may not have read it yet."""

    outcome: Outcome


@frozen
class RowKnown:
    """The row is in the journal, and is not sent now."""

    key: str | None
    state: str
    """From an earlier run: ``accepted``, ``rejected``, ``not_sent``, ``unknown``, ``ambiguous``,
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
    """A row that was accepted is in doubt after all: another row got the same id.

    Attributes:
        index: the row's place in the source; ``None`` if it came long before, or in another run.
        key: its key, if it has one and that is still known.
        ticket_id: the id that both got.
        reason: which other row that is.
    """

    index: int | None
    key: str | None
    ticket_id: str
    reason: str


@frozen
class AnswersDiffer:
    """Many answers repeat a field in a form that fits no row. Reported once for each field.

    Some tenants rewrite titles, for example. That puts no row in doubt, but such a field cannot
    show that an answer belongs to its row.
    """

    field: str
    rows: int


@frozen
class PushNoticed:
    """Something to know: the journal is an older copy; or its database is away, or back."""

    words: str


@frozen
class PushFinished:
    """A push has ended, and all its rows have their outcomes. The last event of a push.

    Attributes:
        service: ``"kapture"`` or ``"support"``.
        operation: such as ``"tickets.add"``.
        counts: how many rows, by outcome.
        seconds: from start to end.
        stop_reason: why it stopped before its source ended, if it did.
    """

    service: str
    operation: str
    counts: PushCounts
    seconds: float
    stop_reason: str | None


PushEvent = (
    PushStarted
    | RowFinished
    | RowKnown
    | RowDoubted
    | AnswersDiffer
    | PushPaused
    | PushStopped
    | PushNoticed
    | PushFinished
)
PushObserver = Callable[[PushEvent], None]
"""Called in the event loop, synchronously: it must not block. What it raises is logged and
otherwise ignored."""
