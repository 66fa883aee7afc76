"""Client of the white-label Support Ticket API: asyncio first, with a sync client.

No ticket lost, none twice, and a list of every doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapture_async._core.lazy import loaded_late
from kapture_async._core.version import __version__

if TYPE_CHECKING:
    from kapture_async._core.download.download import Download, DownloadProgress, ProgressObserver
    from kapture_async._core.errors import (
        AnswerMismatchError,
        AttachmentTooLargeError,
        AuthenticationError,
        ClientStateError,
        ConfigurationError,
        ConfirmationNeededError,
        ConflictError,
        ConnectError,
        EndpointNotFoundError,
        HelpdeskError,
        InvalidInputError,
        JournalError,
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
        StateError,
        UnreadableReplyError,
        ValidationError,
    )
    from kapture_async._core.journal.findings import Contradiction
    from kapture_async._core.journal.reader import ReadJournal
    from kapture_async._core.outcome import Accepted, NotSent, Outcome, Rejected, Unknown
    from kapture_async._core.phase import Attempt, Phase
    from kapture_async._core.pull.pages import Pages
    from kapture_async._core.push.doctor import Diagnosis
    from kapture_async._core.push.push import Push, PushCounts
    from kapture_async._core.push.reconcile import Reconciliation, Resolved
    from kapture_async._core.push.rows import Row
    from kapture_async._core.push.verification import ListCheck, RowCheck, Verification
    from kapture_async._core.secret import Secret
    from kapture_async._core.sync.base import SyncDownload, SyncPages
    from kapture_async._core.sync.portal import SyncInAsyncWarning
    from kapture_async._core.sync.push import SyncPush
    from kapture_async._core.transport.auth import TokenProvider
    from kapture_async._core.transport.failures import interrupted_by
    from kapture_async._core.transport.retry import RetryPolicy
    from kapture_async._core.transport.settings import Timeout

    from ._api import TicketIdIn
    from ._files import AttachmentLike
    from .attachments import Attachments
    from .categories import Categories, Category
    from .client import SupportClient, Tokens
    from .sync import SyncAttachments, SyncCategories, SyncSupportClient, SyncTags, SyncTickets
    from .tags import Tag, Tags
    from .tickets.models import (
        Conversation,
        CreatedTicket,
        NewTicket,
        Priority,
        Status,
        TicketAttachment,
        TicketDetail,
        TicketRow,
    )
    from .tickets.resource import Tickets

__all__ = [
    "Accepted",
    "AnswerMismatchError",
    "AttachmentLike",
    "AttachmentTooLargeError",
    "Attachments",
    "Attempt",
    "AuthenticationError",
    "Categories",
    "Category",
    "ClientStateError",
    "ConfigurationError",
    "ConfirmationNeededError",
    "ConflictError",
    "ConnectError",
    "Contradiction",
    "Conversation",
    "CreatedTicket",
    "Diagnosis",
    "Download",
    "DownloadProgress",
    "EndpointNotFoundError",
    "HelpdeskError",
    "InvalidInputError",
    "JournalError",
    "ListCheck",
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
    "Priority",
    "ProgressObserver",
    "Push",
    "PushCounts",
    "PushStoppedError",
    "RateLimitedError",
    "ReadJournal",
    "Reconciliation",
    "RedirectedError",
    "Rejected",
    "RejectedError",
    "ReplyTimeoutError",
    "ReplyTooLargeError",
    "RequestTooLargeError",
    "Resolved",
    "RetryPolicy",
    "Row",
    "RowCheck",
    "Secret",
    "ServerError",
    "StateError",
    "Status",
    "SupportClient",
    "SyncAttachments",
    "SyncCategories",
    "SyncDownload",
    "SyncInAsyncWarning",
    "SyncPages",
    "SyncPush",
    "SyncSupportClient",
    "SyncTags",
    "SyncTickets",
    "Tag",
    "Tags",
    "TicketAttachment",
    "TicketDetail",
    "TicketIdIn",
    "TicketRow",
    "Tickets",
    "Timeout",
    "TokenProvider",
    "Tokens",
    "Unknown",
    "UnreadableReplyError",
    "ValidationError",
    "Verification",
    "__version__",
    "interrupted_by",
]

# Loaded when first asked for: importing the package alone takes a few milliseconds.
_HOMES = {
    "Accepted": "kapture_async._core.outcome",
    "AnswerMismatchError": "kapture_async._core.errors",
    "AttachmentLike": "._files",
    "AttachmentTooLargeError": "kapture_async._core.errors",
    "Attachments": ".attachments",
    "Attempt": "kapture_async._core.phase",
    "AuthenticationError": "kapture_async._core.errors",
    "Categories": ".categories",
    "Category": ".categories",
    "ClientStateError": "kapture_async._core.errors",
    "ConfigurationError": "kapture_async._core.errors",
    "ConfirmationNeededError": "kapture_async._core.errors",
    "ConflictError": "kapture_async._core.errors",
    "ConnectError": "kapture_async._core.errors",
    "Contradiction": "kapture_async._core.journal.findings",
    "Conversation": ".tickets.models",
    "CreatedTicket": ".tickets.models",
    "Diagnosis": "kapture_async._core.push.doctor",
    "Download": "kapture_async._core.download.download",
    "DownloadProgress": "kapture_async._core.download.download",
    "EndpointNotFoundError": "kapture_async._core.errors",
    "HelpdeskError": "kapture_async._core.errors",
    "InvalidInputError": "kapture_async._core.errors",
    "JournalError": "kapture_async._core.errors",
    "ListCheck": "kapture_async._core.push.verification",
    "NewTicket": ".tickets.models",
    "NoReplyError": "kapture_async._core.errors",
    "NotFoundError": "kapture_async._core.errors",
    "NotSent": "kapture_async._core.outcome",
    "NotSentError": "kapture_async._core.errors",
    "NotSentTimeoutError": "kapture_async._core.errors",
    "OpenTicketLimitError": "kapture_async._core.errors",
    "Outcome": "kapture_async._core.outcome",
    "OutcomeUnknownError": "kapture_async._core.errors",
    "Pages": "kapture_async._core.pull.pages",
    "PermissionDeniedError": "kapture_async._core.errors",
    "Phase": "kapture_async._core.phase",
    "Priority": ".tickets.models",
    "ProgressObserver": "kapture_async._core.download.download",
    "Push": "kapture_async._core.push.push",
    "PushCounts": "kapture_async._core.push.push",
    "PushStoppedError": "kapture_async._core.errors",
    "RateLimitedError": "kapture_async._core.errors",
    "ReadJournal": "kapture_async._core.journal.reader",
    "Reconciliation": "kapture_async._core.push.reconcile",
    "RedirectedError": "kapture_async._core.errors",
    "Rejected": "kapture_async._core.outcome",
    "RejectedError": "kapture_async._core.errors",
    "ReplyTimeoutError": "kapture_async._core.errors",
    "ReplyTooLargeError": "kapture_async._core.errors",
    "RequestTooLargeError": "kapture_async._core.errors",
    "Resolved": "kapture_async._core.push.reconcile",
    "RetryPolicy": "kapture_async._core.transport.retry",
    "Row": "kapture_async._core.push.rows",
    "RowCheck": "kapture_async._core.push.verification",
    "Secret": "kapture_async._core.secret",
    "ServerError": "kapture_async._core.errors",
    "StateError": "kapture_async._core.errors",
    "Status": ".tickets.models",
    "SupportClient": ".client",
    "SyncAttachments": ".sync",
    "SyncCategories": ".sync",
    "SyncDownload": "kapture_async._core.sync.base",
    "SyncInAsyncWarning": "kapture_async._core.sync.portal",
    "SyncPages": "kapture_async._core.sync.base",
    "SyncPush": "kapture_async._core.sync.push",
    "SyncSupportClient": ".sync",
    "SyncTags": ".sync",
    "SyncTickets": ".sync",
    "Tag": ".tags",
    "Tags": ".tags",
    "TicketAttachment": ".tickets.models",
    "TicketDetail": ".tickets.models",
    "TicketIdIn": "._api",
    "TicketRow": ".tickets.models",
    "Tickets": ".tickets.resource",
    "Timeout": "kapture_async._core.transport.settings",
    "TokenProvider": "kapture_async._core.transport.auth",
    "Tokens": ".client",
    "Unknown": "kapture_async._core.outcome",
    "UnreadableReplyError": "kapture_async._core.errors",
    "ValidationError": "kapture_async._core.errors",
    "Verification": "kapture_async._core.push.verification",
    "interrupted_by": "kapture_async._core.transport.failures",
}

__getattr__ = loaded_late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
