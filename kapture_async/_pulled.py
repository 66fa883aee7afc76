"""What a pull answers, as those need to know it who read at scale (SERVICE.md, section 4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from typing import Any, Final

from ._api import INDIA, ROWS_KEY, is_nothing_found, is_row, no_ticket, rows_of, total_of
from ._core.codec import Codec, wire_fields
from ._core.errors import InvalidInputError
from ._core.pull.arriving import RowsRule
from ._core.pull.arrow import Frame
from ._core.pull.export import Export, Exported, PullObserver
from ._core.pull.output import Output
from ._core.pull.pages import Pages
from ._core.pull.sinks import Shape, format_of
from ._core.pull.watermark import State, digest_of
from ._core.vendorwords import DOCUMENTED, VendorWords
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
"""What becomes another value by time alone: minutes in hand, and whether they are exceeded."""


def rows_rule(codec: Codec, words: VendorWords = DOCUMENTED) -> RowsRule[TicketRow]:
    """Where the rows are, what makes tickets of them, and what says that there are none."""

    def decode(rows: list[dict[str, Any]]) -> list[TicketRow]:
        return [codec.decode(row, TicketRow) for row in rows]

    return RowsRule(
        key=ROWS_KEY,
        decode=decode,
        id_of=lambda row: row.ticket_id,
        rest_of=rows_of,
        total_of=total_of,
        says_none=lambda error: is_nothing_found(error, words),
        no_row=lambda judged, row: None if is_row(row.raw) else no_ticket(judged, [row.raw]),
    )


def frame_of(zone: tzinfo) -> Frame:
    """The rows as columns. India has had one offset for all the time that there are tickets."""
    return Frame(TicketRow, zone, zone_name="Asia/Kolkata" if zone == INDIA else None)


def shape_of(zone: tzinfo, *, excel: bool = False) -> Shape:
    """What the files of an export look like."""
    words = frozenset(key for _, key, kind in wire_fields(TicketRow) if kind == "words")
    return Shape(columns=ROW_KEYS, words=words, frame=frame_of(zone), excel=excel)


def is_open(row: TicketRow) -> bool:
    """Whether a ticket may still change: its end is empty while it is open (section 4)."""
    end = row.raw.get("taskEnddate")
    return not (end.strip() if isinstance(end, str) else end)


def content_of(row: TicketRow) -> dict[str, Any]:
    """What must differ in a ticket for it to have changed."""
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
    output = Output(out, overwrite=overwrite)
    form = format_of(output.target, format_)
    if excel and form != "csv":
        raise InvalidInputError("excel is for CSV: another format is no table for it")
    shape = shape_of(zone, excel=excel)
    if form == "parquet":
        _ = shape.frame.schema  # what is not installed must show before anything is asked
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
            raise InvalidInputError("an export needs its first day, or a state that knows it")
        return await export.once(output, form, start, start if end is None else end)
    bound = digest_of({"place": place, "zone": str(zone), "filters": dict(filters)})
    return await export.since_last(
        State(state, bound=bound, place=place),
        output,
        form,
        start=start,
        end=end,
        overlap=overlap,
        recheck_open=recheck_open,
    )
