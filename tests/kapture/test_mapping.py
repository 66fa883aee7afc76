"""Which call makes which request, key for key: quick checks without a socket.

aioresponses answers in place of aiohttp, so these see what is handed to it, and nothing of the
wire; the tests against the emulator do that.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson
import pytest
from aioresponses import aioresponses
from yarl import URL

from kapture_async import KaptureClient

HOST = "https://devapi.kapturecrm.com"
ADD = f"{HOST}/add-ticket-from-other-source.html/v.2.0"
UPDATE = f"{HOST}/update-ticket-from-other-source.html/v.2.0"
GET = f"{HOST}/search-ticket-by-ticket-id.html/v.2.0"
PULL = f"{HOST}/select-ticket-between-start-and-end-dates.html/v.2.0"

CALLS: list[tuple[str, str, str, Any, Any]] = [
    (
        "add as in the sample",
        ADD,
        "add_ticket.response",
        lambda t: t.add(
            title="TEST 1", ticket_details="", due_date="", email_id="user@example.com"
        ),
        "add_ticket.request",
    ),
    (
        "add with dates and tenant fields",
        ADD,
        "add_ticket.response",
        lambda t: t.add(title="T", due_date=date(2024, 4, 19), extra={"o": [{"f": "v"}]}),
        [{"title": "T", "due_date": "2024-04-19", "o": [{"f": "v"}]}],
    ),
    (
        "update as in the sample",
        UPDATE,
        "update_ticket.response",
        lambda t: t.update(
            "713516551148",
            sub_status="PS",
            comment="",
            queue="",
            disposition="",
            callback_time="",
        ),
        "update_ticket.request",
    ),
    (
        "update with a call-back",
        UPDATE,
        "update_ticket.response",
        lambda t: t.update(
            "713516551148", sub_status="PS", callback_time=datetime(2024, 4, 19, 16, 5)
        ),
        [
            {
                "ticket_id": "713516551148",
                "sub_status": "PS",
                "callback_time": "2024-04-19 16:05:00",
            }
        ],
    ),
    (
        "get as in the sample",
        GET,
        "get_ticket.response.partial",
        lambda t: t.get(
            "713516551148",
            conversation_type="",
            history_type="",
            extra=dict.fromkeys(
                [
                    "assigned",
                    "disposed",
                    "response",
                    "landing_queue",
                    "create",
                    "resolved",
                    "include_emailbody",
                ],
                "",
            ),
        ),
        "get_ticket.request",
    ),
    (
        "get many, joined with commas",
        GET,
        "get_ticket.response.partial",
        lambda t: t.get_many(["1", "2"], conversation_type="notes"),
        {"ticket_ids": "1,2", "conversation_type": "notes"},
    ),
    (
        "pull a day",
        PULL,
        "pull_tickets_by_date_range.response",
        lambda t: t.pull("2024-04-22", limit=1).all(),
        [{"limit": 1, "start_date": "2024-04-22", "end_date": "2024-04-22"}],
    ),
    (
        "pull without dates, as live clients do",
        PULL,
        "pull_tickets_by_date_range.response",
        lambda t: t.pull(customer_code="example-code", status="P", offset="0", limit="100").all(),
        "pull_tickets_by_date_range.request.wild",
    ),
]


@pytest.mark.parametrize(
    ("url", "reply", "call", "expected"),
    [case[1:] for case in CALLS],
    ids=[case[0] for case in CALLS],
)
async def test_request_bodies(sample: Any, url: str, reply: str, call: Any, expected: Any) -> None:
    if isinstance(expected, str):
        expected = sample(f"kapture/{expected}")
    with aioresponses() as mock:
        mock.post(url, payload=sample(f"kapture/{reply}"), repeat=True)
        async with KaptureClient("devapi", token="dG9rZW4=") as client:
            await call(client.tickets)
        [(method, called)] = mock.requests
        first = mock.requests[method, called][0].kwargs
    assert (method, called) == ("POST", URL(url))
    assert orjson.loads(await first["data"].as_bytes()) == expected
    assert first["headers"]["Authorization"] == "Basic dG9rZW4="
    assert first["allow_redirects"] is False
