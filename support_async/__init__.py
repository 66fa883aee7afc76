"""Client of the white-label Support Ticket API: asyncio first, with a sync twin.

No ticket lost, none twice, and a list of every doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapture_async._core.download.stream import Download
from kapture_async._core.download.transfer import DownloadProgress, ProgressObserver
from kapture_async._core.errors import (
    AttachmentTooLargeError,
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    ConflictError,
    ConnectError,
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
from kapture_async._core.lazy import loaded_late
from kapture_async._core.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Unknown,
)
from kapture_async._core.phase import Attempt, Phase
from kapture_async._core.pull.pages import Pages
from kapture_async._core.push.doctor import Diagnosis
from kapture_async._core.push.engine import Push, PushCounts
from kapture_async._core.push.journal.reading import ReadJournal
from kapture_async._core.push.reconcile import Reconciliation, Resolved
from kapture_async._core.push.rows import Row
from kapture_async._core.secret import Secret
from kapture_async._core.transport.endings import interrupted_by
from kapture_async._core.transport.retry import RetryPolicy
from kapture_async._core.transport.settings import Timeout
from kapture_async._core.transport.tokens import TokenProvider
from kapture_async._core.version import __version__

from .attachments import Attachments
from .categories import Categories
from .client import SupportClient
from .files import AttachmentLike
from .models import (
    Category,
    Conversation,
    CreatedTicket,
    NewTicket,
    Priority,
    Status,
    Tag,
    TicketAttachment,
    TicketDetail,
    TicketRow,
    Tokens,
)
from .service import TicketIdIn
from .tags import Tags
from .tickets import Tickets

if TYPE_CHECKING:
    from kapture_async._core.facade.download import SyncDownload
    from kapture_async._core.facade.loop import SyncInAsyncWarning
    from kapture_async._core.facade.pages import SyncPages
    from kapture_async._core.facade.push import SyncPush

    from .sync import SyncAttachments, SyncCategories, SyncSupportClient, SyncTags, SyncTickets

__all__ = [
    "Accepted",
    "AttachmentLike",
    "AttachmentTooLargeError",
    "Attachments",
    "Attempt",
    "AuthenticationError",
    "Categories",
    "Category",
    "ClientStateError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "Conversation",
    "CreatedTicket",
    "Diagnosis",
    "Download",
    "DownloadProgress",
    "HelpdeskError",
    "InvalidInputError",
    "JournalError",
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
    "__version__",
    "interrupted_by",
]

_SYNC = {
    "SyncAttachments": ".sync",
    "SyncCategories": ".sync",
    "SyncDownload": "kapture_async._core.facade.download",
    "SyncInAsyncWarning": "kapture_async._core.facade.loop",
    "SyncPages": "kapture_async._core.facade.pages",
    "SyncPush": "kapture_async._core.facade.push",
    "SyncSupportClient": ".sync",
    "SyncTags": ".sync",
    "SyncTickets": ".sync",
}


# The sync twin is loaded when first asked for: it is generated from what is loaded here.
__getattr__ = loaded_late(__name__, _SYNC)


def __dir__() -> list[str]:
    return __all__
