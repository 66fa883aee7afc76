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
    """The journal knows the row from an earlier run, and it is not sent now."""

    key: str | None
    state: str
    """``accepted``, ``rejected``, ``not_sent``, ``unknown``, ``ambiguous`` or ``probable``."""


@frozen
class PushPaused:
    """All workers wait."""

    seconds: float
    reason: str


@frozen
class PushStopped:
    """No more rows are taken; what is in flight finishes."""

    reason: str


PushEvent = RowFinished | RowKnown | PushPaused | PushStopped
PushObserver = Callable[[PushEvent], None]
"""Called in the event loop, synchronously: it must not block. What it raises is logged and
otherwise ignored."""
