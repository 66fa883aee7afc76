"""Client of the Kapture CRM API: asyncio first, with a sync twin.

No ticket lost, none twice, and a list of every doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core.errors import (
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
from ._core.lazy import loaded_late
from ._core.outcome import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Unknown,
)
from ._core.phase import Attempt, Phase
from ._core.pull.export import Exported, ExportProgress
from ._core.pull.pages import Pages
from ._core.push.doctor import Diagnosis
from ._core.push.engine import Push, PushCounts
from ._core.push.journal.reading import ReadJournal
from ._core.push.reconcile import Reconciliation, Resolved
from ._core.push.rows import Row
from ._core.transport.endings import interrupted_by
from ._core.transport.retry import RetryPolicy
from ._core.transport.settings import Timeout
from ._core.version import __version__
from .callbacks import InvalidCallbackError, StatusCallback, parse_callback
from .client import KaptureClient
from .customer_models import (
    Contact,
    Customer,
    CustomerContact,
    CustomerFields,
    CustomerRow,
    Enquiry,
    NewCustomer,
    SavedCustomer,
)
from .customers import Customers
from .faq_models import FaqCategory, FaqContent
from .faqs import Faqs
from .models import AddedTicket, NewTicket, Ticket, TicketDetail, TicketRow, UpdatedTicket
from .order_models import NewOrder, OrderRow, SavedOrder
from .orders import Orders
from .references import Field
from .tickets import TicketLookup, Tickets
from .updates import TicketUpdate

if TYPE_CHECKING:
    from ._core.facade.loop import SyncInAsyncWarning
    from ._core.facade.pages import SyncPages
    from ._core.facade.push import SyncPush
    from .sync import SyncCustomers, SyncFaqs, SyncKaptureClient, SyncOrders, SyncTickets

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
    "Contact",
    "Customer",
    "CustomerContact",
    "CustomerFields",
    "CustomerRow",
    "Customers",
    "Diagnosis",
    "Enquiry",
    "ExportProgress",
    "Exported",
    "FaqCategory",
    "FaqContent",
    "Faqs",
    "Field",
    "HelpdeskError",
    "InvalidCallbackError",
    "InvalidInputError",
    "JournalError",
    "KaptureClient",
    "NewCustomer",
    "NewOrder",
    "NewTicket",
    "NoReplyError",
    "NotFoundError",
    "NotSent",
    "NotSentError",
    "NotSentTimeoutError",
    "OpenTicketLimitError",
    "OrderRow",
    "Orders",
    "Outcome",
    "OutcomeUnknownError",
    "Pages",
    "PermissionDeniedError",
    "Phase",
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
    "SavedCustomer",
    "SavedOrder",
    "ServerError",
    "StateError",
    "StatusCallback",
    "SyncCustomers",
    "SyncFaqs",
    "SyncInAsyncWarning",
    "SyncKaptureClient",
    "SyncOrders",
    "SyncPages",
    "SyncPush",
    "SyncTickets",
    "Ticket",
    "TicketDetail",
    "TicketLookup",
    "TicketRow",
    "TicketUpdate",
    "Tickets",
    "Timeout",
    "Unknown",
    "UnreadableReplyError",
    "UpdatedTicket",
    "ValidationError",
    "__version__",
    "interrupted_by",
    "parse_callback",
]

_SYNC = {
    "SyncCustomers": ".sync",
    "SyncFaqs": ".sync",
    "SyncOrders": ".sync",
    "SyncInAsyncWarning": "._core.facade.loop",
    "SyncKaptureClient": ".sync",
    "SyncPages": "._core.facade.pages",
    "SyncPush": "._core.facade.push",
    "SyncTickets": ".sync",
}


# The sync twin is loaded when first asked for: it is generated from what is loaded here.
__getattr__ = loaded_late(__name__, _SYNC)


def __dir__() -> list[str]:
    return __all__
