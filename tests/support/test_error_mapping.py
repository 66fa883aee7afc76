"""Which error each refusal is: every documented text in every shape, and every status."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from support_async import (
    AttachmentTooLargeError,
    AuthenticationError,
    ConflictError,
    EndpointNotFoundError,
    HelpdeskError,
    NoReplyError,
    NotFoundError,
    NotSentError,
    OpenTicketLimitError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectedError,
    RejectedError,
    ReplyTimeoutError,
    RequestTooLargeError,
    ServerError,
    UnreadableReplyError,
    ValidationError,
)

from .replies import (
    ALL,
    BAD_PK,
    BEARER,
    DOWNLOAD,
    LIMIT,
    LISTS,
    NOT_MINE,
    OF_ONE_TICKET,
    PLAIN,
    REQUIRED,
    SAMPLES,
    TOO_BIG,
    WRITES,
    refused,
    stale,
)

# --- refusals with 400 -------------------------------------------------------------------------

BAD_TYPE = "Incorrect type. Expected pk value, received str."

# Operation, field, text, class: what the documentation prints, and what stock parts send.
TEXTS: list[tuple[str, str, str, type[HelpdeskError]]] = [
    ("tickets.create", "subject", REQUIRED, ValidationError),
    ("tickets.create", "subject", "This field may not be blank.", ValidationError),
    (
        "tickets.create",
        "subject",
        "Ensure this field has no more than 500 characters.",
        ValidationError,
    ),
    ("tickets.create", "comment", REQUIRED, ValidationError),
    ("tickets.create", "priority", '"\\"priority\\" is not a valid choice.', ValidationError),
    ("tickets.create", "priority", '"9" is not a valid choice.', ValidationError),
    ("tickets.create", "category", BAD_PK, ValidationError),
    (
        "tickets.create",
        "category",
        'Invalid pk"\\"category\\" - object does not exist.',
        ValidationError,
    ),
    ("tickets.create", "category", BAD_TYPE, ValidationError),
    ("tickets.create", "category", "This field may not be null.", ValidationError),
    ("tickets.create", "attachment", TOO_BIG, AttachmentTooLargeError),
    ("tickets.create", "attachment", "file  is TOO LARGE", AttachmentTooLargeError),
    ("tickets.create", "attachment", "Maximum allowed file size is 2 MB", AttachmentTooLargeError),
    ("tickets.create", "attachment", "Max upload size: 2MB", AttachmentTooLargeError),
    ("tickets.create", "attachment", "File exceeds the maximum of 2 MB", AttachmentTooLargeError),
    ("tickets.create", "attachment", "The file is larger than 2 MiB", AttachmentTooLargeError),
    ("tickets.create", "attachment", "Above the size limit.", AttachmentTooLargeError),
    ("tickets.create", "attachment", "The name exceeds 100 letters.", ValidationError),
    ("tickets.create", "attachment", "The submitted file is empty.", ValidationError),
    (
        "tickets.create",
        "attachment",
        "The submitted data was not a file. Check the encoding type on the form.",
        ValidationError,
    ),
    (
        "tickets.create",
        "attachment",
        "Ensure this filename has at most 100 characters (it has 120).",
        ValidationError,
    ),
    ("tickets.create", "attachment", "File type not allowed.", ValidationError),
    ("tickets.create", "subject", "The subject is too large", ValidationError),
    ("tickets.create", "", "The attachment is too big.", AttachmentTooLargeError),
    ("tickets.create", "", "The text is too big.", ValidationError),
    ("tickets.create", "ticket", NOT_MINE, ValidationError),
    ("tickets.reply", "attachment", TOO_BIG, AttachmentTooLargeError),
    ("tickets.update", "attachment", TOO_BIG, ValidationError),
    ("tickets.history", "category", "Catogory id is not valid numeric", ValidationError),
    ("tickets.history", "status", "Status id is not valid numeric", ValidationError),
    ("tickets.update", "ticket", NOT_MINE, PermissionDeniedError),
    ("tickets.update", "ticket_id", NOT_MINE, PermissionDeniedError),
    ("tickets.update", "ticket", "Ticket id is not valid,", NotFoundError),
    (
        "tickets.update",
        "ticket",
        "Ticket id is required and this may not be blank.",
        ValidationError,
    ),
    ("tickets.update", "priority", '"9" is not a valid choice.', ValidationError),
    ("tickets.update", "tags", "This list may not be empty.", ValidationError),
    ("tickets.update", "tags", BAD_TYPE, ValidationError),
    ("tickets.update", "tags", BAD_PK, ValidationError),
    ("tickets.update", "ticket", "Ticket is already closed", ValidationError),
    ("tickets.get", "ticket", NOT_MINE, PermissionDeniedError),
    ("tickets.get", "ticket", "Ticket id is not valid", NotFoundError),
    ("tickets.get", "ticket", "TICKET  ID IS NOT VALID.", NotFoundError),
    (
        "tickets.get",
        "ticket",
        "Ticket id is required and this may not be blank.",
        ValidationError,
    ),
    ("tickets.reply", "ticket", REQUIRED, ValidationError),
    (
        "tickets.reply",
        "ticket",
        "You are not the owner of the requested ticket.",
        PermissionDeniedError,
    ),
    ("tickets.reply", "ticket", BAD_TYPE, NotFoundError),
    ("tickets.reply", "ticket", BAD_PK, NotFoundError),
    ("tickets.reply", "ticket", "This field may not be null.", ValidationError),
    ("tickets.reply", "comment", "This field may not be blank.", ValidationError),
    (
        "tickets.set_status",
        "ticket",
        "You Can't open or close this Ticket,",
        PermissionDeniedError,
    ),
    (
        "tickets.set_status",
        "ticket",
        "You Can’t open or close this Ticket,",
        PermissionDeniedError,
    ),
    ("tickets.set_status", "ticket", "Ticket id is not valid", NotFoundError),
    ("tickets.set_status", "ticket", "Ticket is already closed,", ConflictError),
    ("tickets.set_status", "ticket", "ticket is ALREADY\nprocessing", ConflictError),
    (
        "tickets.set_status",
        "ticket",
        "Ticket is already processing, Ticket is already open,",
        ConflictError,
    ),
    (
        "tickets.set_status",
        "ticket",
        "Ticket id is required and this may not be blank.",
        ValidationError,
    ),
    ("tickets.set_status", "status", '"7" is not a valid choice.', ValidationError),
    ("tickets.set_status", "status", "Status id is already bad", ValidationError),
    ("tickets.set_status", "", "Ticket is already closed", ConflictError),
    ("tickets.set_status", "", "You are already gone", ValidationError),
    ("tickets.set_status", "ticket", "Dieses Ticket ist bereits geschlossen.", ValidationError),
    ("attachments.download", "", "Attachment id is not valid", NotFoundError),
    ("attachments.download", "attachment", BAD_PK, NotFoundError),
    ("attachments.download", "ticket", NOT_MINE, PermissionDeniedError),
    ("attachments.download", "", "No.", ValidationError),
    ("categories.list", "", "No.", ValidationError),
]


def shapes_of(field: str, text: str) -> list[Any]:
    """One text of one field in every shape of section 6.2."""
    key = field or "non_field_errors"
    shapes: list[Any] = [
        {"status_code": 400, "errors": {key: [text]}, "data": {}},
        {"status_code": 400, "errors": {key: text}, "data": {}},
        {"errors": {key: [text]}},
        {key: [text]},
        {key: text},
        {key: {"0": [text]}} if field else {"errors": {"": text}},
    ]
    if not field:
        shapes += [
            {"status_code": 400, "errors": text, "data": {}},
            {"status_code": 400, "errors": [text], "data": {}},
            {"status_code": 400, "errors": {"detail": text}, "data": {}},
            {"detail": text},
            [text],
            text,
            {"message": text},
            {"error": text},
        ]
    return shapes


@pytest.mark.parametrize(("name", "field", "text", "cls"), TEXTS)
@pytest.mark.parametrize("status", [400, 422])
def test_every_text_in_every_shape(
    name: str, field: str, text: str, cls: type[HelpdeskError], status: int
) -> None:
    public = {"ticket": "ticket_id"}.get(field, field)
    for body in shapes_of(field, text):
        if isinstance(body, dict) and "status_code" in body:
            body["status_code"] = status
        error = refused(name, body, status)
        assert type(error) is cls, body
        assert [found.split(".")[0] for found in error.fields] == [public]
        assert next(iter(error.fields.values())) == (" ".join(text.split()),)
        assert " ".join(text.split()) in (error.vendor_message or "")
        assert not stale(name, body, status)


def test_each_refusal_of_a_ticket_says_what_to_do() -> None:
    def told(text: str) -> tuple[str, str]:
        error = refused("tickets.set_status", {"ticket": [text]}, 400)
        return error.message, error.next_step

    assert told(NOT_MINE) == (
        "the ticket belongs to another user",
        "Use the account that owns the ticket.",
    )
    assert told("Ticket id is not valid")[0] == "the service does not know this ticket"
    assert told("Ticket is already closed")[0] == "the ticket is in that state already"


def test_with_another_field_at_fault_a_state_is_no_conflict() -> None:
    body = {"ticket": ["Ticket is already closed"], "status": ['"7" is not a valid choice.']}
    error = refused("tickets.set_status", body, 400)
    assert type(error) is ValidationError
    assert set(error.fields) == {"ticket_id", "status"}


def test_with_another_field_at_fault_the_larger_obstacle_names_the_error() -> None:
    body = {"attachment": [TOO_BIG], "subject": [REQUIRED]}
    error = refused("tickets.create", body, 400)
    assert type(error) is AttachmentTooLargeError
    assert set(error.fields) == {"attachment", "subject"}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("page", [b"<h1>Bad Request (400)</h1>", b"", b'{"cut": "of'])
def test_a_page_with_400_hints_at_what_a_stock_server_means(name: str, page: bytes) -> None:
    error = refused(name, page, 400)
    assert type(error) is ValidationError
    assert "host" in error.next_step
    assert error.vendor_message == ("Bad Request (400)" if page[:1] == b"<" else None)


# --- 401 ---------------------------------------------------------------------------------------

CODES = ["token_not_valid", "user_inactive", "user_not_found", "bad_authorization_header"]

# Operation, body, headers, class, and whether another token may help.
UNAUTHORIZED: list[tuple[str, Any, dict[str, str], type[HelpdeskError], bool]] = [
    ("tickets.create", {"detail": LIMIT}, {}, OpenTicketLimitError, False),
    ("tickets.create", {"detail": LIMIT}, BEARER, OpenTicketLimitError, False),
    ("tickets.create", {"errors": {"": LIMIT}}, {}, OpenTicketLimitError, False),
    ("tickets.create", {"errors": {"": [LIMIT]}}, BEARER, OpenTicketLimitError, False),
    ("tickets.create", {"errors": LIMIT}, {}, OpenTicketLimitError, False),
    ("tickets.create", {"errors": [LIMIT]}, {}, OpenTicketLimitError, False),
    ("tickets.create", [LIMIT], {}, OpenTicketLimitError, False),
    ("tickets.create", {"message": LIMIT.upper()}, {}, OpenTicketLimitError, False),
    (
        "tickets.create",
        {"detail": LIMIT, "code": "request_failed"},
        {},
        OpenTicketLimitError,
        False,
    ),
    ("tickets.create", {"detail": "Limit reached"}, {}, OpenTicketLimitError, False),
    ("tickets.create", {"detail": "Limit reached"}, BEARER, AuthenticationError, True),
    ("tickets.create", {"detail": "Too many open tickets"}, {}, OpenTicketLimitError, False),
    ("tickets.create", {"detail": "The token is past its limit"}, {}, AuthenticationError, True),
    ("tickets.create", {"detail": "Unlimited access denied"}, {}, AuthenticationError, False),
    ("tickets.create", {"detail": LIMIT, "code": CODES[0]}, {}, AuthenticationError, True),
    ("tickets.create", {"detail": "Request Failed"}, {}, AuthenticationError, False),
    ("tickets.create", b"", {}, AuthenticationError, False),
    ("tickets.create", b"<h1>401</h1>", BEARER, AuthenticationError, True),
    ("tickets.update", {"detail": LIMIT}, {}, AuthenticationError, False),
    ("tickets.reply", {"detail": LIMIT}, {}, AuthenticationError, False),
    ("tickets.update", {"detail": LIMIT}, BEARER, AuthenticationError, True),
    ("tickets.get", {"detail": LIMIT}, {}, AuthenticationError, True),
    ("tags.list", b"", {}, AuthenticationError, True),
    ("tickets.get", {"detail": "Token is invalid or expired"}, {}, AuthenticationError, True),
    (DOWNLOAD, {"detail": "Token is invalid or expired"}, BEARER, AuthenticationError, True),
    (
        "tags.list",
        {"message": "No API key found in request"},
        {"WWW-Authenticate": "Key"},
        AuthenticationError,
        False,
    ),
    (
        "tags.list",
        {"message": "Unauthorized"},
        {"WWW-Authenticate": 'Key r="x"'},
        AuthenticationError,
        False,
    ),
    ("tickets.create", {"detail": "Invalid apikey"}, {}, AuthenticationError, False),
    ("tickets.create", {"detail": "Api-Key limit exceeded"}, BEARER, AuthenticationError, False),
    ("tags.list", {"detail": "apikey?", "code": CODES[0]}, {}, AuthenticationError, True),
]


@pytest.mark.parametrize(("name", "body", "headers", "cls", "renewable"), UNAUTHORIZED)
def test_the_meanings_of_401(
    name: str, body: Any, headers: dict[str, str], cls: type[HelpdeskError], renewable: bool
) -> None:
    error = refused(name, body, 401, headers)
    assert type(error) is cls
    assert stale(name, body, 401, headers) == renewable


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", [name for name in ALL if name != "login"])
def test_a_code_settles_it(name: str, code: str) -> None:
    inner = {"detail": f"{LIMIT} ticket limit", "code": code}
    for body in (inner, {"status_code": 401, "errors": inner, "data": {}}, {"errors": inner}):
        error = refused(name, body, 401)
        assert type(error) is AuthenticationError
        assert "token" in error.message
        assert stale(name, body, 401)


@pytest.mark.parametrize("body", [{"detail": LIMIT}, [LIMIT], {"errors": {"": LIMIT}}], ids=str)
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_a_token_is_stale_only_with_401(body: Any, status: int) -> None:
    expired = {"detail": "Token is expired", "code": "token_not_valid"}
    for told in (body, expired):
        assert not stale("tickets.create", told, status, BEARER)


@pytest.mark.parametrize("status", [200, 400])
def test_401_inside_counts_as_401(status: int) -> None:
    expired = {"detail": "Token is expired", "code": "token_not_valid"}
    body = {"status_code": 401, "errors": expired, "data": {}}
    assert stale("tickets.create", body, status)
    assert type(refused("tickets.create", body, status)) is AuthenticationError
    body = {"status_code": "401", "errors": {"detail": LIMIT}, "data": {}}
    assert not stale("tickets.create", body, status)
    assert type(refused("tickets.create", body, status)) is OpenTicketLimitError


@pytest.mark.parametrize(
    "body",
    [
        [{"detail": "x", "status_code": 401}],
        {"error": {"detail": "x", "status_code": 401}},
        {"status_code": 200, "errors": {"detail": "x", "status_code": 401}, "data": {}},
        {"status_code": 200, "errors": {}, "data": {"rows": [{"status_code": 401}]}},
        b'{"status_code": 401, "errors"',
    ],
    ids=repr,
)
def test_a_401_further_inside_of_a_good_status_is_nothing_to_act_on(body: Any) -> None:
    assert not stale("tickets.create", body, 200)


def test_a_breakdown_inside_a_401_is_not_about_the_token() -> None:
    body = {"status_code": 503, "errors": {"detail": "x", "code": "token_not_valid"}}
    assert not stale("tickets.create", body, 401, BEARER)
    assert type(refused("tickets.create", body, 401, BEARER)) is ServerError


@pytest.mark.parametrize(
    ("body", "headers", "of_the_token", "at_the_door"),
    [
        (b"", {}, False, False),
        (b"<html>no</html>", {}, False, False),
        (b"", BEARER, True, True),
        ({"detail": "Nope"}, {}, False, False),
        ({"errors": {"": ["Feature is switched off."]}, "data": {}}, {}, False, False),
        ({"detail": "Nope"}, BEARER, True, True),
        ({"detail": "Nope"}, {"WWW-Authenticate": "Basic"}, False, True),
        ({"detail": "Authentication credentials were not provided."}, {}, True, True),
        ({"detail": "Nope", "code": "user_inactive"}, {}, True, True),
        ({"message": "Token expired"}, {}, True, True),
    ],
)
def test_only_what_speaks_of_the_token_is_told_as_such(
    body: Any, headers: dict[str, str], of_the_token: bool, at_the_door: bool
) -> None:
    """A write goes again only after a refusal at the door; a read may in any case."""
    for name in PLAIN:
        error = refused(name, body, 401, headers)
        assert ("access token" in error.message) == of_the_token
        assert stale(name, body, 401, headers) == (at_the_door or name not in WRITES)


def test_a_file_that_reads_like_a_refusal_is_a_file() -> None:
    assert not stale(DOWNLOAD, {"status_code": 401, "errors": {"detail": "x"}}, 200)
    assert stale(DOWNLOAD, {"status_code": 401, "errors": {"detail": "x"}}, 401)


@pytest.mark.parametrize("name", [*PLAIN, DOWNLOAD])
def test_the_next_step_tells_token_and_apikey_apart(name: str) -> None:
    token = refused(name, {"detail": "Token is expired", "code": "token_not_valid"}, 401)
    assert "token_provider" in token.next_step
    assert "apikey" in token.next_step
    key = refused(name, {"detail": "Invalid API key"}, 401)
    assert "apikey" in key.message
    assert "token_provider" not in key.next_step
    unclear = refused(name, {"detail": "Feature is switched off."}, 401)
    assert "token" not in unclear.message
    for error in (token, key, unclear):
        assert "Kapture" not in str(error)


# --- the other statuses ------------------------------------------------------------------------

OTHERS: list[tuple[int, type[HelpdeskError]]] = [
    (400, ValidationError),
    (401, AuthenticationError),
    (402, RejectedError),
    (403, PermissionDeniedError),
    (404, EndpointNotFoundError),
    (405, RejectedError),
    (406, RejectedError),
    (408, ReplyTimeoutError),
    (409, ConflictError),
    (410, RejectedError),
    (411, RejectedError),
    (414, RejectedError),
    (415, RejectedError),
    (418, RejectedError),
    (422, ValidationError),
    (429, RateLimitedError),
    (451, RejectedError),
    (425, NotSentError),
    (499, NoReplyError),
    (500, ServerError),
    (501, ServerError),
    (502, ServerError),
    (503, ServerError),
    (504, ServerError),
    (520, ServerError),
    (599, ServerError),
]
BODIES = [
    b"",
    b"<html><body><h1>No</h1></body></html>",
    {},
    [],
    None,
    {"detail": "No"},
    {"message": "No"},
    {"error": "No"},
    ["No"],
    {"errors": {"non_field_errors": ["No"]}, "data": {}},
    {"status_code": 400, "errors": {"detail": "No"}, "data": {}},
]


def told(cls: type[HelpdeskError], error: HelpdeskError) -> type[HelpdeskError]:
    """A 404 in the service's own words is about the thing that was asked for."""
    missing = error.message.startswith("the service does not know this")
    return NotFoundError if missing and cls is EndpointNotFoundError else cls


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("status", "cls"), OTHERS)
def test_without_a_clear_word_the_status_decides(
    name: str, status: int, cls: type[HelpdeskError]
) -> None:
    for body in BODIES:
        error = refused(name, body, status, {"Retry-After": "7"})
        assert type(error) is told(cls, error), body
        assert error.retry_after == 7
        if body and b"No" in (body if isinstance(body, bytes) else orjson.dumps(body)):
            assert error.vendor_message == "No"


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("status", "cls"), OTHERS)
@pytest.mark.parametrize("http", [200, 400])
def test_the_status_inside_is_judged_like_one_outside(
    name: str, status: int, cls: type[HelpdeskError], http: int
) -> None:
    for body in (
        {"status_code": status, "errors": {"detail": "No"}, "data": {}},
        {"status_code": status, "errors": {}, "data": {}, "message": "No"},
        {"status_code": status, "message": "No"},
        {"status_code": str(status), "detail": "No"},
    ):
        error = refused(name, body, http)
        assert type(error) is told(cls, error), body
        assert error.vendor_message == "No"
        assert (f"with status {status} in the body" in error.message) == (status != http)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("http", [200, 400, 401, 403, 404, 409, 413, 422, 429])
def test_a_breakdown_on_either_side_leaves_a_doubt(name: str, http: int) -> None:
    inside = refused(name, {"status_code": 503, "errors": {"detail": "No"}}, http)
    outside = refused(name, {"status_code": 400, "errors": {"subject": ["No"]}}, 503)
    for error in (inside, outside):
        assert type(error) is ServerError
        assert error.vendor_message in ("No", "subject: No")
        assert error.may_have_been_applied == (name in WRITES)


@pytest.mark.parametrize("http", [401, 403, 404, 409, 422, 429])
def test_a_telling_http_status_is_not_overruled(http: int) -> None:
    error = refused("tickets.create", {"status_code": 400, "errors": {"detail": "No"}}, http)
    assert type(error) is dict(OTHERS)[http]


@pytest.mark.parametrize("name", OF_ONE_TICKET)
@pytest.mark.parametrize(
    "body",
    [
        {"detail": "No Ticket matches the given query."},
        {"status_code": 404, "errors": {"detail": "Not found."}, "data": {}},
        {"errors": ["Not found."]},
        {"ticket": ["Nicht gefunden."]},
    ],
    ids=str,
)
def test_a_missing_ticket_is_told_from_a_missing_address(name: str, body: Any) -> None:
    error = refused(name, body, 404)
    assert type(error) is NotFoundError
    assert error.message == "the service does not know this ticket"
    for page in (b"<h1>Not Found</h1>", b"", {"message": "no Route matched"}, ["x"]):
        error = refused(name, page, 404)
        assert type(error) is EndpointNotFoundError
        assert error.message == "the service has no such address"
        assert "paths=" in error.next_step


def test_a_missing_attachment_is_told_from_a_missing_address() -> None:
    assert refused(DOWNLOAD, {"detail": "Not found."}, 404).message == (
        "the service does not know this attachment"
    )
    assert refused(DOWNLOAD, b"<h1>Not Found</h1>", 404).message == (
        "the service has no such address"
    )


@pytest.mark.parametrize("name", ["tickets.create", *LISTS, "login"])
def test_where_nothing_is_named_only_the_address_can_be_missing(name: str) -> None:
    assert refused(name, {"detail": "Not found."}, 404).message == (
        "the service has no such address"
    )


@pytest.mark.parametrize("name", ALL)
def test_413_of_a_call_with_a_file_is_about_the_file(name: str) -> None:
    page = (SAMPLES / "errors" / "nginx_413.html").read_bytes()
    for body in (page, b"", {"detail": "Too large"}):
        error = refused(name, body, 413)
        if name in ("tickets.create", "tickets.reply"):
            assert type(error) is AttachmentTooLargeError
            assert "proxy" in error.message
            assert "1 MiB" in error.message
        else:
            assert type(error) is RequestTooLargeError


@pytest.mark.parametrize("name", ALL)
def test_403_points_at_the_apikey(name: str) -> None:
    error = refused(name, {"detail": "You do not have permission to perform this action."}, 403)
    assert type(error) is PermissionDeniedError
    assert "apikey" in error.next_step


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 306, 307, 308, 399])
@pytest.mark.parametrize("body", [b"", b"<h1>Moved</h1>", {"detail": "Moved"}])
def test_redirects_are_not_followed(name: str, status: int, body: Any) -> None:
    error = refused(name, body, status, {"Location": "https://other.example.com/secret/path"})
    doubtful = name in WRITES  # it may follow what was carried out, with any 3xx
    assert type(error) is (UnreadableReplyError if doubtful else RedirectedError)
    assert "other.example.com" in error.message
    assert "secret/path" not in str(error)
