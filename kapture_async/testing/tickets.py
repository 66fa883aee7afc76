"""One ticket of the emulator, and the four shapes in which Kapture's endpoints show it.

The same fact has another name, type or format at each endpoint (SERVICE.md, section 20);
every function here builds one shape, with the keys in wire order.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
import orjson

Json: TypeAlias = dict[str, Any]

INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
"""Text dates carry no offset; they are India time (section 0)."""

STATUS_LABELS = {"P": "Pending", "C": "Complete", "J": "Junk"}
"""Status codes that clients were seen to use (section 2)."""

SUB_STATUS_LABELS = {
    "RS": "Resolved",
    "CL": "Closed",
    "OP": "Open",
    "IN": "Pending",
    "CRS": "Reopened",
    "CO": "Completed",
    "PS": "Pending",
    "US": "Unattended",
    "P": "Pending",
}
"""Sub-status keys that clients were seen to use, and ``P`` of the vendor's text (section 2)."""

COMPLETE_SUB_STATUSES = frozenset({"RS", "CL", "CO"})

API_USER_ID = 209803
API_USER = "Example API's"
API_USER_EMAIL = "agent@example.com"
"""Who an updated ticket belongs to, in the samples of sections 2 and 4."""

# Names and texts in pull rows are escaped as in `API&apos;s` (section 4), which is the XML way.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
_DATE_ONLY = re.compile(r"\d{4}-\d{2}-\d{2}")

# Request fields of add-ticket that are not associate objects (section 1).
ADD_FIELDS = frozenset(
    {
        "title",
        "ticket_details",
        "due_date",
        "email_id",
        "customer_id",
        "customer_name",
        "customer_code",
        "phone",
        "address",
        "queue",
        "disposition",
        "classification",
        "user_id",
        "flow_id",
    }
)
# Request fields of update-ticket that are not associate objects (section 2).
UPDATE_FIELDS = frozenset(
    {"ticket_id", "sub_status", "status", "queue", "comment", "callback_time", "disposition"}
)


@attrs.define(eq=False)
class EmulatedTicket:
    """What the emulator knows of a ticket."""

    id: int
    ticket_id: str
    created: float
    title: str
    detail: str = attrs.field(default="", repr=False)
    due: str = ""
    email: str = attrs.field(default="", repr=False)
    phone: str = attrs.field(default="", repr=False)
    customer_id: int = 0
    customer_name: str = attrs.field(default="", repr=False)
    customer_code: str = ""
    status: str = "P"
    sub_status: str = "US"
    queue: str = ""
    disposition: str = "Inbox"
    updated: float | None = None
    completed: float | None = None
    callback: str = ""
    merged_into: str = ""
    notes: list[str] = attrs.field(factory=list[str], repr=False)
    associates: Json = attrs.field(factory=dict[str, Any], repr=False)
    shown: tuple[tuple[Any, ...], bytes] | None = attrs.field(default=None, repr=False)
    """Its row of a pull, and what that row was made from; days may have 50,000 of them."""


def text_of(value: Any) -> str:
    """Return a request value as text: null counts as empty, numbers are taken (section 15)."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)


def associates_of(payload: Mapping[str, Any], known: frozenset[str]) -> Json:
    """Return the associate objects of a request: what is neither documented nor a plain value."""
    return {
        name: value
        for name, value in payload.items()
        if name not in known and isinstance(value, (dict, list))
    }


def long_time(timestamp: float) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS`` in India, the form of add and update."""
    return dt.datetime.fromtimestamp(timestamp, INDIA).strftime("%Y-%m-%d %H:%M:%S")


def short_time(timestamp: float, zone: dt.tzinfo = INDIA) -> str:
    """Return ``DD-MM-YYYY HH:MM``, the form of get and pull."""
    return dt.datetime.fromtimestamp(timestamp, zone).strftime("%d-%m-%Y %H:%M")


def due_text(wished: str, created: float) -> str:
    """Return the echo of a due date: the creation time when none was sent (section 1)."""
    if _DATE_ONLY.fullmatch(wished):
        return f"{wished} 00:00:00"
    return wished or long_time(created)


def escape(value: Any) -> Any:
    """Return texts HTML-escaped, at any depth."""
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, dict):
        return {name: escape(inner) for name, inner in value.items()}
    return [escape(inner) for inner in value] if isinstance(value, list) else value


def _status_label(ticket: EmulatedTicket) -> str:
    return STATUS_LABELS.get(ticket.status, ticket.status)


def _sub_status_label(ticket: EmulatedTicket) -> str:
    return SUB_STATUS_LABELS.get(ticket.sub_status, ticket.sub_status)


def _ticket_keys(ticket: EmulatedTicket) -> Json:
    """Return the ``ticket`` object of add and update: the 58 keys of section 1."""
    created = long_time(ticket.created)
    touched = ticket.updated is not None
    owner, owner_id = (API_USER, API_USER_ID) if touched else ("", 0)
    page = "all-tickets.html?detail=2" if touched else "view-task-detail.html?detail=5"
    link = f"/employee/{page}/{ticket.id}/{ticket.ticket_id}"
    return {
        "id": ticket.id,
        "type": "O",
        "email": ticket.email,
        "phone": ticket.phone,
        "status": ticket.status,
        "orderId": "",
        "queueKey": ticket.queue,
        "ticketId": ticket.ticket_id,
        "folderId": 0,
        "detail": ticket.detail,
        "isUnread": not touched,
        "isOutOfSLA": False,
        "priority": 0,
        "isCallBack": bool(ticket.callback),
        "creatorId": owner_id,
        "enquiryId": 0,
        "contactId": 0,
        "substatus": ticket.sub_status,
        "productId": 0,
        "erpOrderId": "",
        "referenceId": 0,
        "ticketEmail": "",
        "assignedToId": owner_id,
        "pendingTaskId": 0,
        "agencyBriefId": 0,
        "twitterUserId": "",
        "facebookUserId": "",
        "associativefile": "",
        "statusName": _status_label(ticket),
        "customerFeedback": 0,
        "playStoreReviewId": "",
        "lastConversationId": 0,
        "lastConversationType": "O",
        "lastConversationTime": round(ticket.created * 1000),
        "date": created,
        "totalConversationCount": len(ticket.notes),
        "taskTitle": ticket.title,
        "typeName": "Mobile App",
        "taskEnddate": ticket.due if ticket.completed is None else long_time(ticket.completed),
        "lastFollowUp": created if ticket.updated is None else long_time(ticket.updated),
        "nextFollowUp": ticket.callback or created,
        "substatusName": _sub_status_label(ticket),
        "encryptedPhone": "",
        "encryptedEmail": "",
        "lastConversationTypeName": "Mobile App",
        "ticketURL": link,
        "ticketCreatorURL": link,
        "isEscalated": True,
        "folders": ticket.disposition.split("|"),
        "queueName": ticket.queue,
        "creatorName": owner,
        "folderColor": "red",
        "assignedToName": owner,
        "assignedToPhone": "",
        "assignedToEmail": API_USER_EMAIL if touched else "",
        "mergeTicketId": ticket.merged_into,
        "skuCode": "",
        "productName": "",
    }


def _echo(associates: Json) -> Json:
    """Return ``Additional_details``: a list of objects each, even where an object was sent.

    SERVICE.md, section 1: a client that sends an object needs a list back.
    """
    return {
        name: value if isinstance(value, list) else [value] for name, value in associates.items()
    }


def add_reply(ticket: EmulatedTicket, url: str) -> Json:
    """Return the success body of add-ticket (section 1): no ``message``, the id twice."""
    fields = _ticket_keys(ticket)
    return {
        "ticket": fields,
        "Additional_details": _echo(ticket.associates),
        "due_date": ticket.due,
        "title": ticket.title,
        "customer_id": ticket.customer_id,
        "ticket_id": ticket.ticket_id,
        "Ticket Id": ticket.ticket_id,
        "ticket_url": url + fields["ticketURL"],
        "status": "success",
    }


def update_reply(ticket: EmulatedTicket, sent: Json) -> Json:
    """Return the success body of update-ticket (section 2): 57 keys, a text that ends a line."""
    fields = _ticket_keys(ticket)
    del fields["assignedToPhone"]
    return {
        "ticket": fields,
        "Additional_details": _echo(sent),
        "message": "Status and Comment have been updated.\n",
        "status": "success",
    }


def _additional_info(associates: Json) -> Json:
    """Return associate objects as get and pull show them: objects of texts, two levels deep.

    Where a list was sent, its first element stands for it; null comes back as the text ``null``
    (section 1).
    """
    info: Json = {}
    for name, value in associates.items():
        first = value[0] if isinstance(value, list) and value else value
        fields = first if isinstance(first, dict) else {}
        info[name] = {field: _shown(inner) for field, inner in fields.items()}
    return info


def _shown(value: Any) -> Any:
    if isinstance(value, (str, dict, list)):
        return value
    return orjson.dumps(value).decode()


def _short_callback(ticket: EmulatedTicket) -> str:
    if not ticket.callback:
        return ""
    return dt.datetime.fromisoformat(ticket.callback).strftime("%d-%m-%Y %H:%M")


def _sla_status(ticket: EmulatedTicket, now: float) -> str:
    # Both texts compare as dates do; a due date in another form is never overdue.
    return "out of sla" if ticket.due < long_time(now) else "in sla"


def pull_row(ticket: EmulatedTicket, url: str, now: float) -> Json:
    """Return one row of pull-ticket (section 4): 44 keys, labels, short dates, escaped texts."""
    created = short_time(ticket.created)
    touched = ticket.updated is not None
    owner, owner_id = (escape(API_USER), API_USER_ID) if touched else ("", 0)
    row: Json = {
        "tat": "",
        "sla": "",
        "date": created,
        "status": _status_label(ticket),
        "nextFollowUp": _short_callback(ticket) or created,
        "lastFollowUp": created if ticket.updated is None else short_time(ticket.updated),
        "taskId": ticket.id,
        "lastSource": "Mobile App",
        "orderId": "",
        "lastConvesationTime": created,
        "ticketId": ticket.ticket_id,
        "folderId": 0,
        "primarySource": "Mobile App",
        "detail": escape(ticket.detail),
        "mergedTicketId": ticket.merged_into,
        "contactId": 0,
        "productId": 0,
        "creatorId": owner_id,
        "substatusKey": ticket.sub_status,
        "customerId": ticket.customer_id,
        "assignedId": owner_id,
        "referenceId": 0,
        "creatorName": owner,
        "priority": "low",
        "pendingTaskId": 0,
        "assignedToName": owner,
        "callBack": _short_callback(ticket),
        "customer_rating": 0,
        "queueKey": ticket.queue,
        "lastConversationId": 0,
        "slaStatus": _sla_status(ticket, now),
        "queueName": escape(ticket.queue),
        "total_conversations": len(ticket.notes),
        "disposition": escape(ticket.disposition),
        "taskTitle": escape(ticket.title),
        "taskEnddate": "" if ticket.completed is None else short_time(ticket.completed),
        "url": f"{url}/employee/view-task-detail.html?detail=5/{ticket.id}/{ticket.ticket_id}",
        "substatus": escape(_sub_status_label(ticket)),
        "assigneeCode": "",
        "ftr": "no",
        "email": escape(ticket.email),
        "phone": escape(ticket.phone),
        "attachments": [],
        "additional_info": escape(_additional_info(ticket.associates)),
    }
    if ticket.customer_id:
        # Only rows with a customer have these (section 4, a live row).
        row["customerName"] = escape(ticket.customer_name)
        row["customerPhone"] = escape(ticket.phone)
    return row


def get_element(ticket: EmulatedTicket, url: str, now: float, conversations: str) -> Json:
    """Return one element of get-ticket (section 3), as far as its keys were ever seen."""
    element: Json = {
        "additional_info": _additional_info(ticket.associates),
        "history": {},
        "task_details": {
            "date": short_time(ticket.created),
            "tat": "",
            "sla": "",
            "status": _status_label(ticket),
            "substatus": _sub_status_label(ticket),
            "ticketId": ticket.ticket_id,
            "title": ticket.title,
            "disposition": ticket.disposition,
            "assignedToName": "" if ticket.updated is None else API_USER,
            "taskEnddate": "" if ticket.completed is None else short_time(ticket.completed),
            "nextFollowUp": _short_callback(ticket) or short_time(ticket.created),
            "slaStatus": _sla_status(ticket, now),
            "priority": "low",
            "url": f"{url}/employee/view-task-detail.html?detail=5/{ticket.id}/{ticket.ticket_id}",
        },
    }
    if conversations in ("notes", "all"):
        element["conversation_type"] = {"notes": [{"detail": note} for note in ticket.notes]}
        if conversations == "all":
            element["conversation_type"]["chat"] = []
    return element
