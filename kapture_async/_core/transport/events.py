"""What an observer of the send path is told. No event holds a secret or a payload."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ..phase import Attempt


@frozen
class AttemptStarted:
    """A try begins; it may have to wait for a free connection slot first."""

    operation: str
    number: int


@frozen
class AttemptFinished:
    """A try ended, with an answer or without one (see ``attempt.failure``)."""

    operation: str
    attempt: Attempt


@frozen
class SlotWaiting:
    """All connection slots are taken (``max_connections``); the try waits for one."""

    operation: str
    number: int


@frozen
class RetryScheduled:
    """It will be sent again after ``delay`` seconds."""

    operation: str
    number: int
    """The number of the try that just ended."""
    delay: float


TransportEvent = AttemptStarted | AttemptFinished | SlotWaiting | RetryScheduled
Observer = Callable[[TransportEvent], None]
"""Called in the event loop, synchronously: it must not block. What it raises is logged and
otherwise ignored, since an observer's bug must not turn a sent ticket into a lost one."""
