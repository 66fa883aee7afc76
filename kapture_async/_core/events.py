"""What ``on_event=`` callbacks are told: of a client's attempts, and of a push."""

from __future__ import annotations

from .push.events import (
    AnswersDiffer,
    PushEvent,
    PushNoticed,
    PushObserver,
    PushPaused,
    PushStopped,
    RowDoubted,
    RowFinished,
    RowKnown,
)
from .push.reconcile import Looked, ReconcileEvent, ReconcileObserver, Settling
from .push.verify import Checked, VerifyEvent, VerifyObserver
from .transport.transport import (
    AttemptFinished,
    AttemptStarted,
    Observer,
    RetryScheduled,
    SlotWaiting,
    TransportEvent,
)

__all__ = [
    "AnswersDiffer",
    "AttemptFinished",
    "AttemptStarted",
    "Checked",
    "Looked",
    "Observer",
    "PushEvent",
    "PushNoticed",
    "PushObserver",
    "PushPaused",
    "PushStopped",
    "ReconcileEvent",
    "ReconcileObserver",
    "RetryScheduled",
    "RowDoubted",
    "RowFinished",
    "RowKnown",
    "Settling",
    "SlotWaiting",
    "TransportEvent",
    "VerifyEvent",
    "VerifyObserver",
]
