"""What an answer proves: every status, every claim of a body, writes and reads, on real sockets.

The tables are the whole belief: "accepted" and "rejected" need a proof, all else is a doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from kapture_async import HelpdeskError, KaptureClient, RetryPolicy
from support_async import SupportClient

from ..scripted import Asked, answer, scripted

ONCE = RetryPolicy(attempts=1)

GROUPS: dict[str, tuple[int, ...]] = {
    "done": (200, 201, 202, 203, 206, 207, 226, 299),
    "empty": (204,),
    "elsewhere": (300, 301, 302, 303, 305, 306, 307, 308, 399),
    "not modified": (304,),
    "refused": (
        *(400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417),
        *(418, 419, 420, 421, 422, 423, 424, 426, 428, 431, 440, 444, 451, 494, 498),
    ),
    "slow down": (429,),
    "too early": (425,),
    "gave up": (408, 460, 499),
    "broke down": (500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 524, 530, 599, 600, 999),
}
"""Statuses that prove the same."""

ALWAYS_REFUSED = dict.fromkeys(GROUPS, "rejected")
DOUBT = dict.fromkeys(GROUPS, "unknown")
BY_STATUS = DOUBT | {
    "refused": "rejected",
    "slow down": "rejected",
    "too early": "not_sent",
}
"""Where the body says nothing."""
NO_BODY = {"empty": "unknown", "not modified": "unknown"}

TICKET = {"ticketId": "713516551148"}
KAPTURE: dict[str, tuple[Any, dict[str, str]]] = {
    "success": (
        {"status": "success", "ticket_id": "713516551148", "ticket": TICKET},
        DOUBT | {"done": "accepted"},
    ),
    "success, in a list": ([{"status": "success", "ticket_id": "713516551148"}], DOUBT),
    "success and failed": ({"status": "success", "Status": "failed"}, DOUBT),
    "success, cut off": (b'{"ticket_id": "713516551148", "status": "success", "ti', DOUBT),
    "success, twice": (b'{"Status": "Success"}{"Status": "Success"}', DOUBT),
    "a ticket, no mark": ({"ticket_id": "713516551148", "message": "slow down"}, DOUBT),
    "a ticket, failed": ({"ticket_id": "713516551148", "status": "failed"}, DOUBT),
    "documented refusal": (
        {"message": "title is missing", "status": "failed"},
        ALWAYS_REFUSED | NO_BODY,
    ),
    "other refusal": (
        {"message": "Queue not found", "status": "failed"},
        BY_STATUS | {"done": "rejected"},
    ),
    "limit": (
        {"message": "Daily API limit exceeded, try again later", "status": "failed"},
        BY_STATUS | {"done": "rejected"},
    ),
    "breakdown": ({"message": "Internal error", "status": "failed"}, BY_STATUS),
    "other mark": ({"message": "?", "status": "queued"}, BY_STATUS),
    "number as mark": ({"status": 404, "error": "Not Found"}, BY_STATUS),
    "no mark": ({"message": "no"}, BY_STATUS),
    "page": (b"<html><meta http-equiv='refresh' content='0; url=/login'></html>", BY_STATUS),
    "nothing": (b"", BY_STATUS),
}
SUPPORT: dict[str, tuple[Any, dict[str, str]]] = {
    "success": (
        {"status_code": 200, "errors": {}, "data": {}},
        DOUBT | {"done": "accepted"},
    ),
    "success, cut off": (b'{"status_code": 200, "errors": {}, "da', DOUBT),
    "field": (
        {"status_code": 400, "errors": {"subject": ["This field is required."]}, "data": {}},
        BY_STATUS | {"done": "rejected"},
    ),
    "breakdown inside": ({"status_code": 503, "errors": {"detail": "No"}}, DOUBT),
    "success beside errors": (
        {"status_code": 200, "errors": {"subject": ["no"]}, "data": {}},
        BY_STATUS,
    ),
    "throttled": (
        {"detail": "Request was throttled. Expected available in 60 seconds."},
        BY_STATUS,
    ),
    "detail": ({"detail": "No"}, BY_STATUS),
    "page": (b"<html>login</html>", BY_STATUS),
    "nothing": (b"", BY_STATUS),
}


def cases(table: dict[str, tuple[Any, dict[str, str]]]) -> Iterator[tuple[int, str, Any, str]]:
    for claim, (body, proves) in table.items():
        for group, statuses in GROUPS.items():
            expected = (proves | NO_BODY)[group]
            for status in statuses:
                yield status, claim, body, expected


async def outcome_of(call: Any) -> tuple[str, bool]:
    """How a call ended, and whether it says that it may have been applied."""
    try:
        await call
    except HelpdeskError as error:
        return error.outcome, error.may_have_been_applied
    return "accepted", False


async def test_kapture() -> None:
    table = list(cases(KAPTURE))
    todo = iter([])

    def script(_: Asked) -> bytes:
        return next(todo)

    wrong = []
    async with scripted(script) as served:
        async with KaptureClient(base_url=served.url, token="t", retry=ONCE) as client:
            for status, claim, body, expected in table:
                todo = iter([answer(body, status)])
                found, doubtful = await outcome_of(client.tickets.add(title="a"))
                if (found, doubtful) != (expected, expected == "unknown"):
                    wrong.append((status, claim, found, expected))
                todo = iter([answer(body, status)])
                read = await outcome_of(client.tickets.get("713516551148"))
                if read[1]:
                    wrong.append((status, claim, "a read is said to have been applied", read[0]))
    assert wrong == []
    assert len(served.asked) == 2 * len(table)  # nothing was sent again


async def test_support() -> None:
    table = list(cases(SUPPORT))
    todo = iter([])

    def script(_: Asked) -> bytes:
        return next(todo)

    wrong = []
    async with scripted(script) as served:
        async with SupportClient(
            served.url, apikey="a", access_token="t", allow_http=True, retry=ONCE
        ) as client:
            for status, claim, body, expected in table:
                todo = iter([answer(body, status)])
                call = client.tickets.create(subject="a", comment="b", category=3, priority="1")
                found, doubtful = await outcome_of(call)
                if (found, doubtful) != (expected, expected == "unknown"):
                    wrong.append((status, claim, found, expected))
                todo = iter([answer(body, status)])
                read = await outcome_of(client.categories.list())
                if read[1]:
                    wrong.append((status, claim, "a read is said to have been applied", read[0]))
    assert wrong == []
    assert len(served.asked) == 2 * len(table)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n", "accepted"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "accepted"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 5, "accepted"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "unknown",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "unknown"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /x\r\n\r\n", "unknown"),
    ],
    ids=["100", "103", "102", "101", "204", "302"],
)
async def test_what_comes_before_an_answer(before: bytes, expected: str) -> None:
    success = answer({"status": "success", "ticket_id": "713516551148", "ticket": TICKET})
    async with scripted(lambda _: before + success) as served:
        async with KaptureClient(base_url=served.url, token="t", timeout=5) as client:
            found, _ = await outcome_of(client.tickets.add(title="a"))
    assert found == expected
    assert len(served.asked) == 1


@pytest.mark.parametrize("status", [425, 429])
async def test_a_write_that_was_not_taken_goes_again_unless_the_body_claims_success(
    status: int,
) -> None:
    success = {"status": "success", "ticket_id": "713516551148", "ticket": TICKET}

    def script(asked: Asked) -> bytes:
        wait = "Retry-After: 0"
        return answer(b"", status, wait) if asked.number == 1 else answer(success, 429, wait)

    async with scripted(script) as served:
        async with KaptureClient(base_url=served.url, token="t") as client:
            async with asyncio.timeout(10):
                found, doubtful = await outcome_of(client.tickets.add(title="a"))
    assert (found, doubtful) == ("unknown", True)
    assert len(served.asked) == 2
