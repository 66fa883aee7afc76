"""Client of the Kapture CRM API: asyncio first, with a sync twin.

No ticket lost, none twice, and a list of every doubt.
"""

from __future__ import annotations

from ._core.errors import (
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
from ._core.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Unknown,
)
from ._core.phase import Attempt, Phase
from ._core.pull.pages import Pages
from ._core.push.engine import Push, PushCounts
from ._core.push.rows import Row
from ._core.transport.retry import RetryPolicy
from ._core.transport.settings import Timeout
from ._version import __version__
from .client import KaptureClient
from .models import AddedTicket, NewTicket, Ticket, TicketDetail, TicketRow, UpdatedTicket
from .tickets import TicketLookup, Tickets

__all__ = [
    "Accepted",
    "AddedTicket",
    "AttachmentTooLargeError",
    "Attempt",
    "AuthenticationError",
    "ClientStateError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "HelpdeskError",
    "InvalidInputError",
    "KaptureClient",
    "NewTicket",
    "NoReplyError",
    "NotFoundError",
    "NotSent",
    "NotSentError",
    "NotSentTimeoutError",
    "OpenTicketLimitError",
    "Outcome",
    "OutcomeUnknownError",
    "Pages",
    "PermissionDeniedError",
    "Phase",
    "Push",
    "PushCounts",
    "PushStoppedError",
    "RateLimitedError",
    "RedirectedError",
    "Rejected",
    "RejectedError",
    "ReplyTimeoutError",
    "ReplyTooLargeError",
    "RequestTooLargeError",
    "RetryPolicy",
    "Row",
    "ServerError",
    "Ticket",
    "TicketDetail",
    "TicketLookup",
    "TicketRow",
    "Tickets",
    "Timeout",
    "Unknown",
    "UnreadableReplyError",
    "UpdatedTicket",
    "ValidationError",
    "__version__",
]
