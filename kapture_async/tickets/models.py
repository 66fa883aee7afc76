"""Tickets: what is sent, and what comes back.

One meaning has one name, whichever endpoint it came from (the wire has up to three: SERVICE.md,
"Same thing, different names"). ``..._code`` is the tenant's key, ``..._label`` its display
text. Ids and phone numbers are text, empty where the wire has ``0`` or ``""``. Moments are
aware datetimes, read in the client's time zone; the wire's own text stays in ``raw``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, tzinfo
from typing import Any, NoReturn, Self

from attrs import define, field, frozen

from .._api import INDIA, format_moment, parse_moment
from .._core.arguments import Payload, given, members
from .._core.codec import WireModel, wire
from .._core.errors import HelpdeskError, InvalidInputError
from .._validation import (
    Outgoing,
    as_sent,
    check_names,
    checked_id,
    checked_row,
    checked_text,
    sent,
)

KNOWN_FIELDS = ("title", "ticket_details", "due_date", "email_id")
"""The documented fields of a new ticket (SERVICE.md, section 1)."""


@frozen(kw_only=True, repr=False)
class NewTicket(Outgoing):
    """A ticket to add. Its repr shows none of its text.

    Attributes:
        title: the title; must not be blank (SERVICE.md, section 1: "title is missing").
        ticket_details: the description.
        due_date: the desired closing date; a date, a datetime, or text that is sent as it is. The
            vendor states no format; ``YYYY-MM-DD HH:MM:SS`` is what it echoes.
        email_id: e-mail address of the customer to attach.
        extra: further fields, by their wire names: the tenant's associate objects, or fields
            that live clients send beside the documented ones (``customer_id``, ``phone``,
            ``queue``, ``disposition``, ...). Any JSON value, also dates.

    Raises:
        InvalidInputError: the title is blank, a field has the wrong type, or ``extra`` repeats
            a documented field.
    """

    title: str = field(converter=given, metadata=as_sent())
    ticket_details: str | None = sent()
    due_date: str | date | datetime | None = sent("date")
    email_id: str | None = sent()

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Self:
        """A ticket from a mapping by wire names: undocumented fields become ``extra``.

        Raises:
            InvalidInputError: as for the class.
        """
        row = members(checked_row(row, cls.__name__))
        if row.get("title") is None:
            _refuse("title", "is missing")
        return super().from_mapping(row)

    @staticmethod
    def wire_of(row: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`from_mapping` and then :meth:`to_wire` give, in one step.

        Raises:
            InvalidInputError: as for the class.
        """
        # A mapping may have values of its own making.
        body = row.copy() if type(row) is dict else {name: row[name] for name in row}
        for value in body.values():
            if value.__class__ is not str:
                break
        else:
            for name in body:
                if name.__class__ is not str:
                    break
            else:
                if body.get("title", "").strip():
                    return body  # nearly always
        body = members(body)
        if body.get("title") is None:
            _refuse("title", "is missing")
        get = body.get
        _check(body["title"], get("ticket_details"), get("due_date"), get("email_id"), body)
        for name in KNOWN_FIELDS:
            if name in body and body[name] is None:
                del body[name]
        return body

    def _check(self) -> None:
        _check(self.title, self.ticket_details, self.due_date, self.email_id, ())
        check_names("extra", self.extra, self._taken())


def _check(title: Any, details: Any, due: Any, email: Any, names: Iterable[Any]) -> None:
    if type(title) is not str:
        _refuse("title", f"must be text, not {type(title).__name__}")
    if not title.strip():
        _refuse("title", "is blank")
    for name, value in (("ticket_details", details), ("email_id", email)):
        if value is not None and type(value) is not str:
            _refuse(name, f"must be text, not {type(value).__name__}")
    if due is not None and not isinstance(due, (str, date)):
        _refuse("due_date", f"must be text or a date, not {type(due).__name__}")
    for name in names:
        if not isinstance(name, str):
            _refuse("extra", "must have text keys")


def _refuse(name: str, text: str) -> NoReturn:
    raise InvalidInputError(f"{name} {text}", fields={name: (text,)})


@define(eq=False, repr=False)
class Ticket(WireModel):
    """The ``ticket`` object of the add and update replies (SERVICE.md, sections 1 and 2)."""

    ticket_id: str | None = wire("ticketId", "ident", shown=True)
    task_id: str | None = wire("id", "ident", shown=True)
    title: str | None = wire("taskTitle", "words")
    detail: str | None = wire("detail", "words")
    status_code: str | None = wire("status", shown=True)
    status_label: str | None = wire("statusName", "words")
    sub_status_code: str | None = wire("substatus", shown=True)
    sub_status_label: str | None = wire("substatusName", "words")
    created_at: datetime | None = wire("date", "moment")
    end_at: datetime | None = wire("taskEnddate", "moment")
    last_follow_up_at: datetime | None = wire("lastFollowUp", "moment")
    next_follow_up_at: datetime | None = wire("nextFollowUp", "moment")
    last_conversation_at: datetime | None = wire("lastConversationTime", "moment")
    last_conversation_id: str | None = wire("lastConversationId", "ident")
    last_conversation_type_code: str | None = wire("lastConversationType")
    last_conversation_type_label: str | None = wire("lastConversationTypeName", "words")
    conversation_count: int | None = wire("totalConversationCount", "integer")
    priority: int | None = wire("priority", "integer")
    out_of_sla: bool | None = wire("isOutOfSLA", "flag")
    is_unread: bool | None = wire("isUnread", "flag")
    is_call_back: bool | None = wire("isCallBack", "flag")
    is_escalated: bool | None = wire("isEscalated", "flag")
    type_code: str | None = wire("type")
    type_label: str | None = wire("typeName", "words")
    queue_key: str | None = wire("queueKey")
    queue_name: str | None = wire("queueName", "words")
    folder_id: str | None = wire("folderId", "ident")
    folders: list[str] | None = wire("folders", "texts")
    folder_color: str | None = wire("folderColor")
    creator_id: str | None = wire("creatorId", "ident")
    creator_name: str | None = wire("creatorName", "words")
    assignee_id: str | None = wire("assignedToId", "ident")
    assignee_name: str | None = wire("assignedToName", "words")
    assignee_phone: str | None = wire("assignedToPhone", "ident")
    assignee_email: str | None = wire("assignedToEmail")
    email: str | None = wire("email")
    phone: str | None = wire("phone", "ident")
    ticket_email: str | None = wire("ticketEmail")
    encrypted_phone: str | None = wire("encryptedPhone")
    encrypted_email: str | None = wire("encryptedEmail")
    contact_id: str | None = wire("contactId", "ident")
    enquiry_id: str | None = wire("enquiryId", "ident")
    reference_id: str | None = wire("referenceId", "ident")
    order_id: str | None = wire("orderId", "ident")
    erp_order_id: str | None = wire("erpOrderId", "ident")
    product_id: str | None = wire("productId", "ident")
    product_name: str | None = wire("productName", "words")
    sku_code: str | None = wire("skuCode")
    pending_task_id: str | None = wire("pendingTaskId", "ident")
    agency_brief_id: str | None = wire("agencyBriefId", "ident")
    twitter_user_id: str | None = wire("twitterUserId", "ident")
    facebook_user_id: str | None = wire("facebookUserId", "ident")
    play_store_review_id: str | None = wire("playStoreReviewId", "ident")
    associative_file: str | None = wire("associativefile")
    customer_feedback: int | None = wire("customerFeedback", "integer")
    merged_into: str | None = wire("mergeTicketId", "ident")
    relative_url: str | None = wire("ticketURL")
    creator_relative_url: str | None = wire("ticketCreatorURL")


@define(eq=False, repr=False)
class AddedTicket(WireModel):
    """The reply to an added ticket (SERVICE.md, section 1)."""

    _wire_status: str | None = wire("status")
    _wire_id: str | None = wire("ticket_id", "ident", at_once=True)
    _wire_id_again: str | None = wire("Ticket Id", "ident")
    title: str | None = wire("title", "words")
    due_at: datetime | None = wire("due_date", "moment")
    customer_id: str | None = wire("customer_id", "ident")
    url: str | None = wire("ticket_url")
    _ticket_object: Mapping[str, Any] | None = wire("ticket", "mapping")
    associate_fields: Mapping[str, Any] | None = wire("Additional_details", "mapping")

    @property
    def ticket(self) -> Ticket | None:
        """The ticket as it is now."""
        return self._part("ticket", Ticket)

    @property
    def ticket_id(self) -> str:
        """The new ticket's id, from whichever of the three places has it.

        Opaque text, even if it looks like a number. Empty only if the reply has none,
        which :meth:`Tickets.add` does not let through.
        """
        if self._wire_id or self._wire_id_again:
            return self._wire_id or self._wire_id_again or ""
        ticket = self.ticket
        return (ticket.ticket_id if ticket is not None else None) or ""

    def __repr__(self) -> str:
        return f"<AddedTicket ticket_id={self.ticket_id!r}>"


@define(eq=False, repr=False)
class UpdatedTicket(WireModel):
    """The reply to an updated ticket (SERVICE.md, section 2)."""

    _wire_status: str | None = wire("status")
    _wire_message: str | None = wire("message", "words")
    _ticket_object: Mapping[str, Any] | None = wire("ticket", "mapping")
    associate_fields: Mapping[str, Any] | None = wire("Additional_details", "mapping")

    @property
    def ticket(self) -> Ticket | None:
        """The ticket as it is now."""
        return self._part("ticket", Ticket)

    @property
    def ticket_id(self) -> str | None:
        """The id of the ticket, as the reply names it."""
        ticket = self.ticket
        return ticket.ticket_id if ticket is not None else None

    @property
    def message(self) -> str:
        """The service's message, without its trailing line end."""
        return (self._wire_message or "").strip()

    def __repr__(self) -> str:
        return f"<UpdatedTicket ticket_id={self.ticket_id!r}>"


@define(eq=False, repr=False)
class TicketRow(WireModel):
    """One row of a pull (SERVICE.md, section 4: 44 keys, and two more with a customer)."""

    ticket_id: str | None = wire("ticketId", "ident", shown=True, at_once=True)
    task_id: str | None = wire("taskId", "ident", shown=True)
    title: str | None = wire("taskTitle", "words")
    detail: str | None = wire("detail", "words")
    status_label: str | None = wire("status", "words", shown=True)
    sub_status_code: str | None = wire("substatusKey", shown=True)
    sub_status_label: str | None = wire("substatus", "words")
    created_at: datetime | None = wire("date", "moment")
    end_at: datetime | None = wire("taskEnddate", "moment")
    last_follow_up_at: datetime | None = wire("lastFollowUp", "moment")
    next_follow_up_at: datetime | None = wire("nextFollowUp", "moment")
    last_conversation_at: datetime | None = wire("lastConvesationTime", "moment")  # sic
    last_conversation_id: str | None = wire("lastConversationId", "ident")
    conversation_count: int | None = wire("total_conversations", "integer")
    priority: str | None = wire("priority", "code")  # "low", or a number as at call-backs
    tat: str | None = wire("tat", "words")
    sla: str | None = wire("sla", "words")
    sla_status: str | None = wire("slaStatus", "words")
    first_time_resolution: str | None = wire("ftr")
    call_back: str | None = wire("callBack", "words")
    primary_source: str | None = wire("primarySource", "words")
    last_source: str | None = wire("lastSource", "words")
    queue_key: str | None = wire("queueKey")
    queue_name: str | None = wire("queueName", "words")
    folder_id: str | None = wire("folderId", "ident")
    disposition: str | None = wire("disposition", "words")
    creator_id: str | None = wire("creatorId", "ident")
    creator_name: str | None = wire("creatorName", "words")
    assignee_id: str | None = wire("assignedId", "ident")
    assignee_name: str | None = wire("assignedToName", "words")
    assignee_code: str | None = wire("assigneeCode")
    customer_id: str | None = wire("customerId", "ident")
    customer_name: str | None = wire("customerName", "words")
    customer_phone: str | None = wire("customerPhone", "ident")
    customer_rating: int | None = wire("customer_rating", "integer")
    email: str | None = wire("email")
    phone: str | None = wire("phone", "ident")
    contact_id: str | None = wire("contactId", "ident")
    reference_id: str | None = wire("referenceId", "ident")
    order_id: str | None = wire("orderId", "ident")
    product_id: str | None = wire("productId", "ident")
    pending_task_id: str | None = wire("pendingTaskId", "ident")
    merged_into: str | None = wire("mergedTicketId", "ident")
    url: str | None = wire("url")
    attachments: list[Any] | None = wire("attachments", "items")
    associate_fields: Mapping[str, Any] | None = wire("additional_info", "mapping")

    @property
    def out_of_sla(self) -> bool | None:
        """Whether the ticket is out of its service level; ``None`` if the row does not say."""
        return self.sla_status.strip().lower() == "out of sla" if self.sla_status else None

    @property
    def folders(self) -> list[str]:
        """The parts of ``disposition``, which joins them with a vertical bar."""
        return [part.strip() for part in (self.disposition or "").split("|") if part.strip()]


@define(eq=False, repr=False)
class TicketDetail(WireModel):
    """One ticket as Get Ticket gives it (SERVICE.md, section 3; most keys known from clients)."""

    ticket_id: str | None = wire("ticketId", "ident", section="task_details", shown=True)
    title: str | None = wire("title", "words", section="task_details")
    status_label: str | None = wire("status", "words", section="task_details", shown=True)
    sub_status_label: str | None = wire("substatus", "words", section="task_details")
    created_at: datetime | None = wire("date", "moment", section="task_details")
    end_at: datetime | None = wire("taskEnddate", "moment", section="task_details")
    next_follow_up_at: datetime | None = wire("nextFollowUp", "moment", section="task_details")
    priority: str | None = wire("priority", "code", section="task_details")
    tat: str | None = wire("tat", "words", section="task_details")
    sla: str | None = wire("sla", "words", section="task_details")
    sla_status: str | None = wire("slaStatus", "words", section="task_details")
    disposition: str | None = wire("disposition", "words", section="task_details")
    assignee_name: str | None = wire("assignedToName", "words", section="task_details")
    url: str | None = wire("url", section="task_details")
    history: Mapping[str, Any] | None = wire("history", "mapping")
    conversations: Mapping[str, Any] | None = wire("conversation_type", "mapping")
    associate_fields: Mapping[str, Any] | None = wire("additional_info", "mapping")

    @property
    def folders(self) -> list[str]:
        """The parts of ``disposition``, which joins them with a vertical bar."""
        return [part.strip() for part in (self.disposition or "").split("|") if part.strip()]


UPDATE_FIELDS = (
    "ticket_id",
    "sub_status",
    "queue",
    "comment",
    "callback_time",
    "disposition",
    "status",
)
"""The fields of an update (SERVICE.md, section 2; ``status`` is sent by live clients)."""


@frozen(kw_only=True, repr=False)
class TicketUpdate(Outgoing):
    """A change to one ticket, for ``tickets.update_many``. Its repr shows none of its text.

    Attributes:
        ticket_id: the ticket.
        sub_status: the key of the sub-status, such as ``"CL"``; tenants define their own
            (SERVICE.md, sections 2 and 15). The service wants one: a row without one
            gets that of the whole push.
        comment: text to add.
        callback_time: when to call back; a datetime, or text as ``YYYY-MM-DD HH:MM:SS``.
        queue: the key of the queue.
        disposition: the folder path.
        status: display label such as ``"Complete"``; not documented, sent by live clients.
        extra: further fields by their wire names, such as the tenant's associate objects; also
            another field that is not given, to be sent as it is.

    Raises:
        InvalidInputError: the ticket id is missing or invalid, a field has the wrong type, or
            ``extra`` repeats a given field.
    """

    ticket_id: str = field(converter=checked_id, metadata=as_sent())
    sub_status: str | None = sent()
    comment: str | None = sent()
    callback_time: datetime | str | None = sent("moment")
    queue: str | None = sent()
    disposition: str | None = sent()
    status: str | None = sent()

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> Self:
        """An update from a mapping by wire names: undocumented fields become ``extra``.

        Raises:
            InvalidInputError: as for the class.
        """
        row = members(checked_row(row, cls.__name__))
        if row.get("ticket_id") is None:
            _refuse("ticket_id", "is missing")
        return super().from_mapping(row)

    def to_wire(self, zone: tzinfo = INDIA) -> dict[str, Any]:
        """The fields by their wire names, without those that are ``None``; not yet encoded.

        Args:
            zone: the zone of the service's dates.

        Raises:
            InvalidInputError: there is no sub-status, or the call-back time has another form.
        """
        body = Payload(self._fields())
        if "sub_status" not in body:
            _refuse("sub_status", "is missing")
        if self.sub_status is not None:
            checked_text("sub_status", self.sub_status)
        if self.callback_time is not None:
            body["callback_time"] = callback_text(self.callback_time, zone)
        return body

    def _taken(self) -> Mapping[str, Any]:
        return {name: name for name in UPDATE_FIELDS if getattr(self, name) is not None}

    def __repr__(self) -> str:
        names = [*self._fields()][1:]
        return f"<TicketUpdate of {self.ticket_id!r} with {', '.join(names)}>"


def callback_text(value: datetime | str, zone: tzinfo) -> str:
    """A call-back time as the service reads it.

    Raises:
        InvalidInputError: a text of another form.
    """
    if isinstance(value, datetime):
        return format_moment(value, zone)
    if value == "":  # "no call-back", as the vendor's own sample writes it (section 2)
        return ""
    try:
        # Read and written again: what the service would read otherwise never gets there.
        moment = parse_moment(value, zone) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or format_moment(moment, zone) != value.strip():
        raise InvalidInputError(
            "callback_time must be a datetime or text as YYYY-MM-DD HH:MM:SS",
            fields={"callback_time": ("has another form",)},
        )
    return value.strip()


@frozen(kw_only=True)
class TicketLookup:
    """The result for many ids. Every id is in exactly one of the three.

    Attributes:
        found: id to ticket, in the order the ids were given.
        missing: ids the service does not know; each was also requested by itself.
        failed: id to the error of its lookup.
    """

    found: Mapping[str, TicketDetail] = field(repr=lambda found: f"<{len(found)}>", hash=False)
    missing: tuple[str, ...]
    failed: Mapping[str, HelpdeskError] = field(hash=False)
