"""What ``on_event=`` callbacks are told: of a client's attempts, and of a push."""

from __future__ import annotations

from kapture_async._core.push.events import (
    PushEvent,
    PushObserver,
    PushPaused,
    PushStopped,
    RowFinished,
)
from kapture_async._core.transport.events import (
    AttemptFinished,
    AttemptStarted,
    Observer,
    RetryScheduled,
    SlotWaiting,
    TransportEvent,
)

__all__ = [
    "AttemptFinished",
    "AttemptStarted",
    "Observer",
    "PushEvent",
    "PushObserver",
    "PushPaused",
    "PushStopped",
    "RetryScheduled",
    "RowFinished",
    "SlotWaiting",
    "TransportEvent",
]
