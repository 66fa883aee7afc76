"""Client of the Kapture CRM API: asyncio first, with a sync client.

No ticket lost, none twice, and a list of every doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core.lazy import loaded_late
from ._core.version import __version__

if TYPE_CHECKING:
    from ._core.errors import (
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
    from ._core.journal.findings import Contradiction
    from ._core.journal.reader import ReadJournal
    from ._core.outcome import Accepted, NotSent, Outcome, Rejected, Unknown
    from ._core.phase import Attempt, Phase
    from ._core.pull.export import Exported, ExportProgress
    from ._core.pull.pages import Pages
    from ._core.push.doctor import Diagnosis
    from ._core.push.push import Push, PushCounts
    from ._core.push.reconcile import Reconciliation, Resolved
    from ._core.push.rows import Row
    from ._core.push.verification import ListCheck, RowCheck, Verification
    from ._core.sync.base import SyncPages
    from ._core.sync.portal import SyncInAsyncWarning
    from ._core.sync.push import SyncPush
    from ._core.transport.failures import interrupted_by
    from ._core.transport.retry import RetryPolicy
    from ._core.transport.settings import Timeout
    from ._reference import Field
    from .client import KaptureClient
    from .customers.models import (
        Contact,
        Customer,
        CustomerContact,
        CustomerFields,
        CustomerRow,
        Enquiry,
        NewCustomer,
        SavedCustomer,
    )
    from .customers.resource import Customers
    from .faqs import FaqCategory, FaqContent, Faqs
    from .orders import NewOrder, OrderRow, Orders, SavedOrder
    from .sync import SyncCustomers, SyncFaqs, SyncKaptureClient, SyncOrders, SyncTickets
    from .tickets.models import (
        AddedTicket,
        NewTicket,
        Ticket,
        TicketDetail,
        TicketLookup,
        TicketRow,
        TicketUpdate,
        UpdatedTicket,
    )
    from .tickets.resource import Tickets
    from .webhooks import InvalidCallbackError, StatusCallback, parse_callback

__all__ = [
    "Accepted",
    "AddedTicket",
    "AnswerMismatchError",
    "AttachmentTooLargeError",
    "Attempt",
    "AuthenticationError",
    "ClientStateError",
    "ConfigurationError",
    "ConfirmationNeededError",
    "ConflictError",
    "ConnectError",
    "Contact",
    "Contradiction",
    "Customer",
    "CustomerContact",
    "CustomerFields",
    "CustomerRow",
    "Customers",
    "Diagnosis",
    "EndpointNotFoundError",
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
    "ListCheck",
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
    "RowCheck",
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
    "Verification",
    "__version__",
    "interrupted_by",
    "parse_callback",
]

# Loaded when first asked for: importing the package alone takes a few milliseconds.
_HOMES = {
    "Accepted": "._core.outcome",
    "AddedTicket": ".tickets.models",
    "AnswerMismatchError": "._core.errors",
    "AttachmentTooLargeError": "._core.errors",
    "Attempt": "._core.phase",
    "AuthenticationError": "._core.errors",
    "ClientStateError": "._core.errors",
    "ConfigurationError": "._core.errors",
    "ConfirmationNeededError": "._core.errors",
    "ConflictError": "._core.errors",
    "ConnectError": "._core.errors",
    "Contact": ".customers.models",
    "Contradiction": "._core.journal.findings",
    "Customer": ".customers.models",
    "CustomerContact": ".customers.models",
    "CustomerFields": ".customers.models",
    "CustomerRow": ".customers.models",
    "Customers": ".customers.resource",
    "Diagnosis": "._core.push.doctor",
    "EndpointNotFoundError": "._core.errors",
    "Enquiry": ".customers.models",
    "ExportProgress": "._core.pull.export",
    "Exported": "._core.pull.export",
    "FaqCategory": ".faqs",
    "FaqContent": ".faqs",
    "Faqs": ".faqs",
    "Field": "._reference",
    "HelpdeskError": "._core.errors",
    "InvalidCallbackError": ".webhooks",
    "InvalidInputError": "._core.errors",
    "JournalError": "._core.errors",
    "KaptureClient": ".client",
    "ListCheck": "._core.push.verification",
    "NewCustomer": ".customers.models",
    "NewOrder": ".orders",
    "NewTicket": ".tickets.models",
    "NoReplyError": "._core.errors",
    "NotFoundError": "._core.errors",
    "NotSent": "._core.outcome",
    "NotSentError": "._core.errors",
    "NotSentTimeoutError": "._core.errors",
    "OpenTicketLimitError": "._core.errors",
    "OrderRow": ".orders",
    "Orders": ".orders",
    "Outcome": "._core.outcome",
    "OutcomeUnknownError": "._core.errors",
    "Pages": "._core.pull.pages",
    "PermissionDeniedError": "._core.errors",
    "Phase": "._core.phase",
    "Push": "._core.push.push",
    "PushCounts": "._core.push.push",
    "PushStoppedError": "._core.errors",
    "RateLimitedError": "._core.errors",
    "ReadJournal": "._core.journal.reader",
    "Reconciliation": "._core.push.reconcile",
    "RedirectedError": "._core.errors",
    "Rejected": "._core.outcome",
    "RejectedError": "._core.errors",
    "ReplyTimeoutError": "._core.errors",
    "ReplyTooLargeError": "._core.errors",
    "RequestTooLargeError": "._core.errors",
    "Resolved": "._core.push.reconcile",
    "RetryPolicy": "._core.transport.retry",
    "Row": "._core.push.rows",
    "RowCheck": "._core.push.verification",
    "SavedCustomer": ".customers.models",
    "SavedOrder": ".orders",
    "ServerError": "._core.errors",
    "StateError": "._core.errors",
    "StatusCallback": ".webhooks",
    "SyncCustomers": ".sync",
    "SyncFaqs": ".sync",
    "SyncInAsyncWarning": "._core.sync.portal",
    "SyncKaptureClient": ".sync",
    "SyncOrders": ".sync",
    "SyncPages": "._core.sync.base",
    "SyncPush": "._core.sync.push",
    "SyncTickets": ".sync",
    "Ticket": ".tickets.models",
    "TicketDetail": ".tickets.models",
    "TicketLookup": ".tickets.models",
    "TicketRow": ".tickets.models",
    "TicketUpdate": ".tickets.models",
    "Tickets": ".tickets.resource",
    "Timeout": "._core.transport.settings",
    "Unknown": "._core.outcome",
    "UnreadableReplyError": "._core.errors",
    "UpdatedTicket": ".tickets.models",
    "ValidationError": "._core.errors",
    "Verification": "._core.push.verification",
    "interrupted_by": "._core.transport.failures",
    "parse_callback": ".webhooks",
}

__getattr__ = loaded_late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
