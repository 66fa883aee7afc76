"""Client of the white-label Support Ticket API: announced, not here yet.

This package already has the vocabulary that both clients share: the errors and the outcomes,
the very same classes as in :mod:`kapture_async`. The client itself comes with the next
release: categories, tags, tickets with attachments, conversations, status and downloads, async
and sync, on the same send path.
"""

from __future__ import annotations

from kapture_async._core.errors import (
    AttachmentTooLargeError,
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    HelpdeskError,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    NotSentError,
    NotSentTimeoutError,
    OpenTicketLimitError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PushStoppedError,
    RateLimitedError,
    RedirectedError,
    RejectedError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    RequestTooLargeError,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)
from kapture_async._core.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Unknown,
)
from kapture_async._core.phase import Attempt, Phase

__all__ = [
    "Accepted",
    "AttachmentTooLargeError",
    "Attempt",
    "AuthenticationError",
    "ClientStateError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "HelpdeskError",
    "InvalidInputError",
    "NoReplyError",
    "NotFoundError",
    "NotSent",
    "NotSentError",
    "NotSentTimeoutError",
    "OpenTicketLimitError",
    "Outcome",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "Phase",
    "PushStoppedError",
    "RateLimitedError",
    "RedirectedError",
    "Rejected",
    "RejectedError",
    "ReplyTimeoutError",
    "ReplyTooLargeError",
    "RequestTooLargeError",
    "ServerError",
    "Unknown",
    "UnreadableReplyError",
    "ValidationError",
]
