"""The answers of the fixed server, made once from the vendor's own samples."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent.parent / "tests" / "samples"
PULL = "kapture/pull_tickets_by_date_range.response.json"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_bytes())


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def http(body: bytes) -> bytes:
    """A whole HTTP answer around a body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def ticket_added_parts() -> Callable[[bytes, bytes], bytes]:
    """What Add Ticket says: 58 fields of a ticket in 1,563 bytes, as the vendor shows it; made
    from an id and a title as JSON has it."""
    added = sample("kapture/add_ticket.response.json")
    wire = compact(added)
    given, title = added["ticket_id"].encode(), added["title"].encode()
    pieces = re.split(b"(%b|%b)" % (re.escape(given), re.escape(title)), wire)
    ids = [place for place, piece in enumerate(pieces) if piece == given]
    titles = [place for place, piece in enumerate(pieces) if piece == title]

    def answer(ticket_id: bytes, sent: bytes) -> bytes:
        made = list(pieces)
        for place in ids:
            made[place] = ticket_id
        for place in titles:
            made[place] = sent
        return b"".join(made)

    return answer


def ticket_created() -> bytes:
    """What the Support Ticket API says to a create."""
    return compact(sample("support/create_ticket.response.json"))


def pulled(number: int, **more: Any) -> dict[str, Any]:
    """One row of a pull: the 44 documented fields, filled as a busy tenant's would be."""
    row: dict[str, Any] = sample(PULL)["message"][0] if not _ROW else dict(_ROW)
    if not _ROW:
        _ROW.update(row)
    minute = f"19-04-2024 {number // 60 % 24:02}:{number % 60:02}"
    row.update(
        date=minute,
        lastFollowUp=minute,
        nextFollowUp=minute,
        lastConvesationTime=minute,
        taskId=530_000_000 + number,
        ticketId=str(713_500_000_000 + number),
        customerId=number % 977,
        lastConversationId=number % 89,
        total_conversations=number % 7,
        taskTitle=f"Parcel {number} came on Monday, but the box was empty",
        detail=f"The customer of order {number} wrote: nothing was in it. Please call back.",
        email=f"user{number}@example.com",
        phone=f"+9198{number % 10**8:08}",
        orderId=f"A-{number:07}",
        **more,
    )
    return row


_ROW: dict[str, Any] = {}


def day(count: int) -> bytes:
    """The answer to a pull of one day with so many tickets."""
    rows = b",".join(compact(pulled(number)) for number in range(count))
    return b'{"totalCount":%d,"message":[%b],"status":"success"}' % (count, rows)
