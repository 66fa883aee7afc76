"""Kapture's rule of success, against every sample and against shapes nobody documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from kapture_async import (
    AuthenticationError,
    ConflictError,
    EndpointNotFoundError,
    HelpdeskError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RejectedError,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)
from kapture_async._api import ADD_TICKET, GET_TICKET, PULL_TICKETS, UPDATE_TICKET
from kapture_async._core.response import ResponseContext
from kapture_async._core.transport.auth import KeyPerApi
from kapture_async._core.transport.request import Operation, RawReply
from kapture_async._core.transport.settings import TransportSettings
from kapture_async._core.transport.transport import Transport
from kapture_async._core.transport.urls import parse_base_url
from kapture_async._responses import check_response, is_nothing_found
from kapture_async.tickets.export import rows_of

TRANSPORT = Transport(
    TransportSettings(service="kapture", base_url=parse_base_url("https://t.kapturecrm.com")),
    KeyPerApi(None, {}),
)
ALL = [ADD_TICKET, UPDATE_TICKET, GET_TICKET, PULL_TICKETS]


def response_of(
    operation: Operation, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> ResponseContext:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    reply = RawReply(status=status, headers=CIMultiDict(headers or {}), body=raw)
    return ResponseContext(TRANSPORT, operation, reply)


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (ADD_TICKET, "add_ticket.response"),
        (UPDATE_TICKET, "update_ticket.response"),
        (GET_TICKET, "get_ticket.response.partial"),
        (PULL_TICKETS, "pull_tickets_by_date_range.response"),
    ],
)
def test_the_samples_are_success(sample: Any, operation: Operation, name: str) -> None:
    body = sample(f"kapture/{name}")
    assert check_response(response_of(operation, body)) == body


FAILURES = {
    "any_endpoint.bad_auth": AuthenticationError,
    "add_ticket.no_title": ValidationError,
    "update_ticket.no_ticket": NotFoundError,
    "update_ticket.bad_callback": ValidationError,
    "get_ticket_or_pull_ticket.bad_json": ValidationError,
    "get_ticket_or_pull_ticket.no_ids": ValidationError,
    "add_or_update_customer.missing_fields": ValidationError,
    "get_customer.not_found": NotFoundError,
    "legacy.bad_auth": AuthenticationError,
    "legacy_pull_ticket.no_start_date": ValidationError,
    "legacy_order.failed": RejectedError,
    "legacy_enquiry.missing_fields": ValidationError,
    "legacy_enquiry.duplicate": ConflictError,
}


@pytest.mark.parametrize("status", [200, 400, 401, 404])
@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
@pytest.mark.parametrize("label", FAILURES)
def test_the_documented_failures(
    sample: Any, label: str, operation: Operation, status: int
) -> None:
    failures = sample("kapture/failures")
    assert set(failures) == set(FAILURES)
    with pytest.raises(RejectedError) as caught:
        check_response(response_of(operation, failures[label], status))
    if status == 200 or FAILURES[label] is not RejectedError:
        assert type(caught.value) is FAILURES[label]
    body = failures[label]
    words = body.get("message") or body.get("Message") or body.get("Customer Details")
    assert caught.value.vendor_message == words


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        check_response(response_of(ADD_TICKET, {"message": "title is missing", "status": "failed"}))
    assert caught.value.fields == {"title": ("title is missing",)}


@pytest.mark.parametrize("operation", ALL, ids=lambda operation: operation.name)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ticket_id": "713516551148"},
        {"status": None},
        {"status": True},
        {"status": 1},
        {"status": "ok"},
        {"status": ["success"]},
        {"success": True, "ticket_id": "713516551148"},
        {"Status": "Queued"},
        "success",
        1,
        None,
        True,
        b"",
        b"   ",
        b"<html>login</html>",
        b'{"status":"success"',
        b'{"status":"success"}{"status":"success"}',
        b"\xff\xfe",
    ],
    ids=repr,
)
def test_an_unknown_shape_is_never_success(operation: Operation, body: Any) -> None:
    with pytest.raises(UnreadableReplyError) as caught:
        check_response(response_of(operation, body))
    assert caught.value.outcome == "unknown"


@pytest.mark.parametrize("operation", [ADD_TICKET, UPDATE_TICKET, PULL_TICKETS])
def test_a_list_is_success_only_where_lists_are_answered(operation: Operation) -> None:
    with pytest.raises(UnreadableReplyError):
        check_response(response_of(operation, [{"status": "success"}]))


@pytest.mark.parametrize("status", [400, 500, 502])
def test_success_in_the_body_and_failure_in_the_status_is_a_doubt(status: int) -> None:
    with pytest.raises(UnreadableReplyError, match="says success"):
        check_response(response_of(ADD_TICKET, {"status": "success", "ticket_id": "1"}, status))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ValidationError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, EndpointNotFoundError),
        (409, ConflictError),
        (429, RateLimitedError),
        (418, RejectedError),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
    ],
)
@pytest.mark.parametrize("body", [b"<h1>no</h1>", {"message": "Something went wrong"}, [1]])
def test_without_a_word_the_status_decides(
    status: int, expected: type[HelpdeskError], body: Any
) -> None:
    with pytest.raises(HelpdeskError) as caught:
        check_response(response_of(ADD_TICKET, body, status, {"Retry-After": "7"}))
    assert type(caught.value) is expected
    assert caught.value.retry_after == 7


def test_an_unknown_refusal_with_5xx_is_a_doubt() -> None:
    with pytest.raises(ServerError):
        check_response(
            response_of(ADD_TICKET, {"message": "Something odd", "status": "failed"}, 500)
        )


@pytest.mark.parametrize("key", ["status", "Status", "STATUS"])
@pytest.mark.parametrize("word", ["success", "Success", " success "])
def test_case_does_not_matter(key: str, word: str) -> None:
    assert check_response(response_of(ADD_TICKET, {key: word}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_only_the_mark_of_success_is_success(body: Any) -> None:
    try:
        raw = orjson.dumps(body)
    except TypeError:  # lone surrogates
        return
    marked = isinstance(body, dict) and any(
        key.lower() == "status" and isinstance(value, str) and value.strip().lower() == "success"
        for key, value in body.items()
    )
    try:
        check_response(response_of(ADD_TICKET, raw))
    except HelpdeskError:
        return
    assert marked


@pytest.mark.parametrize(
    ("message", "count"), [([{"ticketId": "1"}] * 2, 2), ({"ticketId": "1"}, 1), ("No data", 0)]
)
def test_a_pulls_message_has_three_shapes(message: Any, count: int) -> None:
    body = {"status": "success", "message": message}
    response = response_of(PULL_TICKETS, body)
    response.body = check_response(response)
    assert len(rows_of(response)) == count


@pytest.mark.parametrize("message", [None, 1, ["x"], [[]], True])
def test_any_other_message_is_unreadable(message: Any) -> None:
    body = {"status": "success", "message": message}
    response = response_of(PULL_TICKETS, body)
    response.body = check_response(response)
    with pytest.raises(UnreadableReplyError):
        rows_of(response)


@pytest.mark.parametrize(
    "words",
    [
        "Internal error",
        "Request timed out",
        "java.lang.NullPointerException: required bean missing",
        "Service unavailable, please try again later",
        "ServerFailure",
    ],
)
@pytest.mark.parametrize("status", [200, 500, 504])
def test_a_service_that_broke_down_leaves_a_doubt(words: str, status: int) -> None:
    with pytest.raises(ServerError):
        check_response(response_of(ADD_TICKET, {"message": words, "status": "failed"}, status))


@pytest.mark.parametrize(
    "body",
    [
        {"status": False, "Status": "success"},
        {"status": "success", "Status": "failed"},
        {"status": "error", "message": "?"},
        [{"status": "success"}, {"status": "failed"}],
    ],
)
def test_contradictions_and_unknown_marks_are_no_success_and_no_refusal(body: Any) -> None:
    with pytest.raises(UnreadableReplyError):
        check_response(response_of(ADD_TICKET, body))


def test_lists_of_the_older_endpoints_carry_marks() -> None:
    request = Operation(name="request", path="/x", effect="write")
    good = [{"status": "success", "order_id": "1"}]
    assert check_response(response_of(request, good)) == good
    with pytest.raises(RejectedError):
        check_response(response_of(request, [{"status": "failed", "message": "no"}]))
    with pytest.raises(UnreadableReplyError):
        check_response(response_of(request, [{"order_id": "1"}]))
    unmarked = Operation(name="request", path="/x", effect="read", marks_success=False)
    assert check_response(response_of(unmarked, [{"order_id": "1"}]))


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("No Data Found", True),
        ("no tickets found for the given dates", True),
        ("Data not found", True),
        ("Tickets are not available", True),
        ("", True),
        ("Result too large, narrow the range", False),
        ("You have no permission to view tickets", False),
        ("No Data found.", True),
        ("No data", True),
        ("0 records", True),
        ("Nothing found", True),
        ("Auth key not found", False),
        ("Service temporarily not available", False),
        ("Host not found", False),
        ("No data source found", False),
        ("Data store not found", False),
        ("No more than 24 hours of data in one range", False),
        ("Done", False),
    ],
)
def test_only_a_text_that_says_none_means_none(text: str, none: bool) -> None:
    response = response_of(PULL_TICKETS, {"status": "success", "message": text})
    response.body = check_response(response)
    if none:
        assert rows_of(response) == []
    else:
        with pytest.raises(UnreadableReplyError):
            rows_of(response)
    with pytest.raises(RejectedError) as caught:
        check_response(response_of(PULL_TICKETS, {"status": "failed", "message": text}))
    assert is_nothing_found(caught.value) == (none and bool(text))


@pytest.mark.parametrize(
    "body",
    [
        {"status": "error", "message": {"text": "title is missing"}},
        {"status": "error", "errors": ["title is missing"]},
        {"status": "error", "error": "title is missing"},
        [{"status": "error", "message": "title is missing"}],
    ],
)
def test_an_unknown_mark_hides_no_words(body: Any) -> None:
    with pytest.raises(UnreadableReplyError, match="status is 'error'") as caught:
        check_response(response_of(ADD_TICKET, body))
    assert caught.value.vendor_message == "title is missing"
