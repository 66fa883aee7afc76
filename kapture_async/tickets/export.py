"""Pulled tickets: where the rows of a reply are, and how they become files.

Each fact names its section of ``SERVICE.md``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, tzinfo
from functools import partial
from typing import Any, Final

from .._api import INDIA, PULL_TICKETS, WINDOW_KEYS, format_day, window_of
from .._core.arguments import Payload
from .._core.atomicfile import AtomicFile
from .._core.codec import Codec, wire_fields
from .._core.errors import InvalidInputError, UnreadableReplyError
from .._core.pull.arrow import Frame
from .._core.pull.export import Export, Exported, PullObserver
from .._core.pull.pages import PagedWindow, Pages, days_between
from .._core.pull.sinks import Shape, format_of
from .._core.pull.watermark import WatermarkFile, digest_of
from .._core.pull.window import RowsRule, StreamedWindow
from .._core.requestor import ApiRequestor, PageSize
from .._core.response import DOCUMENTED, ResponseContext, StreamedResponse, VendorWords
from .._core.secret import Secret
from .._core.transport.settings import CallOptions
from .._responses import count_in, is_nothing_found, none_said, said_in, shape_of, wants_limit
from .._validation import number_of
from .models import TicketRow

ROW_KEYS: Final = (
    *("tat", "sla", "date", "status", "nextFollowUp", "lastFollowUp", "taskId", "lastSource"),
    *("orderId", "lastConvesationTime", "ticketId", "folderId", "primarySource", "detail"),
    *("mergedTicketId", "contactId", "productId", "creatorId", "substatusKey", "customerId"),
    *("assignedId", "referenceId", "creatorName", "priority", "pendingTaskId", "assignedToName"),
    *("callBack", "customer_rating", "queueKey", "lastConversationId", "slaStatus", "queueName"),
    *("total_conversations", "disposition", "taskTitle", "taskEnddate", "url", "substatus"),
    *("assigneeCode", "ftr", "email", "phone", "attachments", "additional_info"),
)
"""The keys of a row in the order of the wire: the columns of CSV."""


MOVING_KEYS: Final = frozenset({"tat", "sla", "slaStatus"})
"""Keys whose values change with time alone: minutes left, and whether they are exceeded."""


def rows_rule(codec: Codec, words: VendorWords = DOCUMENTED) -> RowsRule[TicketRow]:
    """Where the rows are, how they become tickets, and what says that there are none."""

    def decode(rows: list[dict[str, Any]]) -> list[TicketRow]:
        return [codec.decode(row, TicketRow) for row in rows]

    return RowsRule(
        key=ROWS_KEY,
        decode=decode,
        id_of=lambda row: row.ticket_id,
        rest_of=rows_of,
        total_of=total_of,
        says_none=lambda error: is_nothing_found(error, words),
        no_row=lambda response, row: None if is_row(row.raw) else no_ticket(response, [row.raw]),
    )


def windows_between(first: date, last: date, filters: Mapping[str, Any]) -> Iterable[str]:
    """The windows of a pull: the days, as the service writes them.

    Raises:
        InvalidInputError: there are several, and the filters name a window of their own.
    """
    if filters.keys() & WINDOW_KEYS and last != first:
        raise InvalidInputError(
            "start_date and end_date in extra apply to one day only: the other days have dates of "
            "their own",
            next_step="Pull day by day; if the tenant's end_date is exclusive, give the client "
            "exclusive_end=True.",
        )
    return map(format_day, days_between(first, last))


def pull_windows(
    requestor: ApiRequestor,
    windows: Iterable[str],
    filters: Payload,
    headers: Mapping[str, Secret],
    ahead: int,
) -> Pages[TicketRow]:
    """The tickets of some days, each streamed, page by page where the service wants pages.

    Args:
        requestor: makes the calls.
        windows: the days; an empty text is a call without dates.
        filters: further fields of every call.
        headers: headers of every call.
        ahead: days fetched at a time.
    """
    rule = rows_rule(requestor.codec, requestor.words)
    size, whole = requestor.page_size, "offset" not in filters
    if "limit" in filters or not whole:  # for this pull alone
        size = PageSize(number_of(filters.get("limit")) if whole else None)

    def ask(day: str, limit: int | None, offset: int) -> StreamedWindow[TicketRow]:
        body = Payload(filters)
        if day:
            body = Payload(window_of(day, exclusive_end=requestor.exclusive_end) | filters)
        if limit is not None:
            body.setdefault("limit", limit)
        if offset:
            body["offset"] = offset

        async def begin(options: CallOptions) -> StreamedResponse:
            return await requestor.with_options(options).stream(PULL_TICKETS, body, headers=headers)

        return StreamedWindow(begin, requestor.options, rule, own=pages.own)

    def fetch(day: str) -> PagedWindow[TicketRow]:
        return PagedWindow(
            partial(ask, day), size, id_of=rule.id_of, wants_limit=wants_limit, whole=whole
        )

    pages = Pages(
        windows, fetch, id_of=rule.id_of, ahead=ahead, frame=frame_of(requestor.codec.zone)
    )
    return pages


def frame_of(zone: tzinfo) -> Frame:
    """The rows as columns. India has kept one offset for as long as there have been tickets."""
    return Frame(TicketRow, zone, zone_name="Asia/Kolkata" if zone == INDIA else None)


def file_shape(zone: tzinfo, *, excel: bool = False) -> Shape:
    """What the files of an export look like."""
    words = frozenset(key for _, key, kind in wire_fields(TicketRow) if kind == "words")
    return Shape(columns=ROW_KEYS, words=words, frame=frame_of(zone), excel=excel)


def is_open(row: TicketRow) -> bool:
    """Whether a ticket may still change: its end is empty while it is open (section 4)."""
    end = row.raw.get("taskEnddate")
    return not (end.strip() if isinstance(end, str) else end)


def content_of(row: TicketRow) -> dict[str, Any]:
    """The part of a ticket that differs if the ticket has changed."""
    return {key: value for key, value in row.raw.items() if key not in MOVING_KEYS}


async def export_tickets(
    pages: Callable[[list[str]], Pages[TicketRow]],
    codec: Codec,
    place: str,
    *,
    out: str | os.PathLike[str],
    start: date | None,
    end: date | None,
    state: str | os.PathLike[str] | None,
    filters: Mapping[str, Any],
    format_: str | None,
    overwrite: bool,
    overlap: int,
    recheck_open: bool,
    on_progress: PullObserver | None,
    excel: bool = False,
) -> Exported:
    """See :meth:`.tickets.Tickets.export`.

    Args:
        pages: the tickets of some days.
        codec: the client's.
        place: the tenant's address.
        out, start, end, state, filters, format_, overwrite, overlap, recheck_open, on_progress,
        excel: what to export, where to, and how.
    """
    zone = codec.zone
    output = AtomicFile(out, overwrite=overwrite)
    form = format_of(output.target, format_)
    if excel and form != "csv":
        raise InvalidInputError("excel= is for CSV only")
    shape = file_shape(zone, excel=excel)
    if form == "parquet":
        _ = shape.frame.schema  # a missing package must show before any request
    export = Export(
        pages=pages,
        shape=shape,
        id_of=lambda row: row.ticket_id,
        content_of=content_of,
        created_at=lambda row: row.created_at,
        is_open=is_open,
        today=lambda: datetime.now(zone).date(),
        on_progress=on_progress,
    )
    if state is None:
        if recheck_open:
            raise InvalidInputError("recheck_open needs a state")
        if start is None:
            raise InvalidInputError("an export needs a start, or a state that has one")
        return await export.once(output, form, start, start if end is None else end)
    bound = digest_of({"place": place, "zone": str(zone), "filters": dict(filters)})
    return await export.since_last(
        WatermarkFile(state, bound=bound, place=place),
        output,
        form,
        start=start,
        end=end,
        overlap=overlap,
        recheck_open=recheck_open,
    )


ROWS_KEY: Final = "message"
"""Where a pull's answer has its rows. In the sample, ``status`` comes after them."""


def is_row(part: Mapping[str, Any]) -> bool:
    """Whether an object is a ticket of a pull: it has an id, or a key that only tickets have."""
    if part.get("ticketId"):
        return True
    return any(key in _ROW_KEYS for key in part) and not any(_BAD_KEY.search(key) for key in part)


_BAD_KEY = re.compile(r"error|exception|fault|failure", re.IGNORECASE)
_ROW_KEYS = frozenset(
    {
        *("ticketId", "taskId", "taskTitle", "taskEnddate", "lastFollowUp", "nextFollowUp"),
        *("lastSource", "primarySource", "lastConvesationTime", "lastConversationId", "folderId"),
        *("mergedTicketId", "contactId", "productId", "creatorId", "creatorName", "substatusKey"),
        *("substatus", "customerId", "assignedId", "assignedToName", "assigneeCode", "queueKey"),
        *("queueName", "pendingTaskId", "slaStatus", "total_conversations", "disposition"),
        *("customer_rating", "callBack", "referenceId"),
    }
)


def rows_of(response: ResponseContext) -> list[dict[str, Any]]:
    """The rows of a pull: ``message`` is a list, one ticket, or a text that says "none".

    Also an object of tickets whose keys are numbers, which is how PHP writes a list with gaps.

    Raises:
        UnreadableReplyError: it is anything else: an object that is not a ticket is an error or
            a wrapper, never a row.
    """
    message = response.body.get(ROWS_KEY)
    if isinstance(message, str):
        if not message.strip() or none_said(response, message):
            return []
        raise response.error(
            UnreadableReplyError,
            "the answer holds a text in place of the rows",
            words=message,
            next_step="If it says that there are none, name it with says_none=.",
        )
    rows = _listed(message)
    if rows is None:
        raise response.unreadable("the answer's 'message' is neither rows nor a text")
    if not all(is_row(row) for row in rows):
        raise no_ticket(response, rows)
    return rows


def no_ticket(response: ResponseContext, rows: Iterable[Mapping[str, Any]]) -> UnreadableReplyError:
    """The error for a list of which some objects are not tickets."""
    odd = next(row for row in rows if not is_row(row))
    return response.error(
        UnreadableReplyError,
        f"in place of a ticket, the answer holds {shape_of(odd)}",
        words=said_in(odd),
    )


def _listed(message: Any) -> list[dict[str, Any]] | None:
    if isinstance(message, dict):
        numbered = message and all(key.isascii() and key.isdigit() for key in message)
        message = list(message.values()) if numbered else [message]
    if isinstance(message, list) and all(isinstance(row, dict) for row in message):
        return message
    return None


def total_of(response: ResponseContext) -> int | None:
    """How many rows there are: null in the sample, a number or absent elsewhere (section 4)."""
    return count_in(response.body)
