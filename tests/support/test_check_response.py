"""The service's rule of success, against every sample and shapes nobody documented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from support_async import (
    AttachmentTooLargeError,
    AuthenticationError,
    ConflictError,
    HelpdeskError,
    NotFoundError,
    OpenTicketLimitError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    RequestTooLargeError,
    UnreadableReplyError,
    ValidationError,
)
from support_async._responses import check_response, claims_success, is_stale_token

from .replies import (
    ALL,
    APIKEY,
    BAD_PK,
    BEARER,
    LIMIT,
    LISTS,
    NOT_MINE,
    PLAIN,
    SAMPLES,
    TOKEN,
    TOO_BIG,
    WRITES,
    operation,
    refused,
    response_of,
    stale,
)

# --- the samples -------------------------------------------------------------------------------

GOOD = {
    "add_conversation": "tickets.reply",
    "category_list": "categories.list",
    "change_status": "tickets.set_status",
    "create_ticket": "tickets.create",
    "detailed_view": "tickets.get",
    "login": "login",
    "tag_list": "tags.list",
    "ticket_history": "tickets.history",
    "update_ticket": "tickets.update",
}


@pytest.mark.parametrize("label", GOOD)
def test_the_samples_are_success(sample: Any, label: str) -> None:
    body = sample(f"support/{label}.response")
    assert check_response(response_of(GOOD[label], body)) == body


# What index.json expects, in the words of this library, and the call each sample is of.
EXPECTED: dict[str, tuple[str, type[HelpdeskError], tuple[str, ...]]] = {
    "create_enveloped_400.json": ("tickets.create", ValidationError, ("subject", "comment")),
    "create_bare_400.json": (
        "tickets.create",
        ValidationError,
        ("subject", "priority", "category"),
    ),
    "update_tags_400.json": ("tickets.update", ValidationError, ("tags",)),
    "attachment_too_big_400.json": ("tickets.create", AttachmentTooLargeError, ("attachment",)),
    "not_owner_400.json": ("tickets.update", PermissionDeniedError, ("ticket_id",)),
    "status_already_closed_400.json": ("tickets.set_status", ConflictError, ("ticket_id",)),
    "open_limit_401_detail.json": ("tickets.create", OpenTicketLimitError, ("",)),
    "open_limit_401_bare.json": ("tickets.create", OpenTicketLimitError, ("",)),
    "token_expired_401.json": ("tickets.create", AuthenticationError, ("",)),
    "no_credentials_401.json": ("tickets.create", AuthenticationError, ("",)),
    "forbidden_403.json": ("tickets.create", PermissionDeniedError, ("",)),
    "not_found_404.json": ("tickets.get", NotFoundError, ("",)),
    "throttled_429.json": ("tickets.create", RateLimitedError, ("",)),
    "nginx_413.html": ("tickets.create", AttachmentTooLargeError, ()),
}
KINDS = {
    "validation": ValidationError,
    "attachment too large": AttachmentTooLargeError,
    "invalid input / not owner": PermissionDeniedError,
    "state conflict": ConflictError,
    "open-ticket limit, NOT an auth failure": OpenTicketLimitError,
    "auth failure: refresh once": AuthenticationError,
    "auth failure": AuthenticationError,
    "permission (possibly missing apikey)": PermissionDeniedError,
    "not found": NotFoundError,
    "rate limited": RateLimitedError,
    "body too large": RequestTooLargeError,
}
INDEX: list[dict[str, Any]] = json.loads((SAMPLES / "errors" / "index.json").read_text("utf-8"))


def test_every_sample_of_an_error_is_expected() -> None:
    names = {Path(entry["file"]).name for entry in INDEX}
    assert names == set(EXPECTED)
    assert names == {path.name for path in (SAMPLES / "errors").iterdir()} - {"index.json"}


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: Path(entry["file"]).stem)
def test_the_samples_of_errors(entry: dict[str, Any]) -> None:
    raw = (SAMPLES / entry["file"]).read_bytes()
    name, cls, fields = EXPECTED[Path(entry["file"]).name]
    assert issubclass(cls, KINDS[entry["expect"]])
    headers = {"Content-Type": entry["content_type"], **entry["headers"]}
    error = refused(name, raw, entry["http_status"], headers)
    assert type(error) is cls
    assert tuple(error.fields) == fields
    assert error.vendor_message
    assert stale(name, raw, entry["http_status"], headers) == (cls is AuthenticationError)


@pytest.mark.parametrize(
    "entry",
    [entry for entry in INDEX if entry["file"].endswith(".json")],
    ids=lambda entry: Path(entry["file"]).stem,
)
def test_the_samples_mean_the_same_in_an_envelope_and_without(entry: dict[str, Any]) -> None:
    raw = (SAMPLES / entry["file"]).read_bytes()
    name, cls, fields = EXPECTED[Path(entry["file"]).name]
    body, status = orjson.loads(raw), entry["http_status"]
    inner = body.get("errors", body)
    for other in (inner, {"errors": inner}, {"status_code": status, "errors": inner, "data": {}}):
        error = refused(name, other, status, entry["headers"])
        assert type(error) is cls
        assert tuple(error.fields) == fields
    inside = {"status_code": status, "errors": inner, "data": {}}
    error = refused(name, inside, 200, entry["headers"])
    assert type(error) is cls
    assert f"with status {status} in the body" in error.message


# --- what is success, and what is not ----------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    "body",
    [
        {"status_code": 200, "errors": {}, "data": {}},
        {"status_code": 201, "errors": {}, "data": {}},
        {"status_code": "200", "errors": {}, "data": {}},
        {"status_code": 200, "data": {}},
        {"errors": {}, "data": {"x": 1}},
        {"data": {}},
        {"status_code": 200, "errors": [], "data": {}},
        {"status_code": 200, "errors": "", "data": {}},
        {"status_code": 200, "errors": None, "data": {}},
        {"status_code": 200, "errors": {}, "data": {}, "message": "Done", "more": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_envelope_of_success(name: str, body: Any, status: int) -> None:
    assert check_response(response_of(name, body, status)) == body


@pytest.mark.parametrize("name", PLAIN)
def test_data_is_a_list_only_where_lists_are_answered(name: str) -> None:
    body = {"status_code": 200, "errors": {}, "data": [{"id": 1}]}
    if name in LISTS:
        assert check_response(response_of(name, body)) == body
    else:
        assert type(refused(name, body)) is UnreadableReplyError


@pytest.mark.parametrize("name", [*PLAIN, "login"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status_code": 200},
        {"status_code": 200, "errors": {}},
        {"status_code": 200, "errors": {}, "data": None},
        {"status_code": 200, "errors": {}, "data": "x"},
        {"status_code": 200, "errors": {}, "data": 1},
        {"status_code": None, "errors": {}, "data": {}},
        {"status_code": "ok", "errors": {}, "data": {}},
        {"status_code": True, "errors": {}, "data": {}},
        {"status_code": 200.0, "errors": {}, "data": {}},
        {"status_code": [200], "errors": {}, "data": {}},
        {"status_code": 0, "errors": {}, "data": {}},
        {"status_code": 302, "errors": {}, "data": {}},
        {"status_code": 100, "errors": {}, "data": {}},
        {"status": "success"},
        {"id": 7, "subject": "s"},
        {"message": "Ticket created"},
        {"detail": "Not found."},
        {"access": ""},
        {"access": 5},
        {"access": None},
        [],
        [{"status_code": 200, "errors": {}, "data": {}}],
        ["No."],
        "ok",
        1,
        None,
        True,
        b"",
        b"  ",
        b"<html>login</html>",
        b'{"status_code":200,"errors":{},"data":{}',
        b'{"data":{}}{"data":{}}',
        b"\xff\xfe",
    ],
    ids=repr,
)
def test_an_unknown_shape_is_never_success(name: str, body: Any) -> None:
    error = refused(name, body)
    assert type(error) is UnreadableReplyError
    assert error.outcome == "unknown"


def test_a_text_may_explain_an_unknown_shape_but_data_is_not_quoted() -> None:
    assert refused("tickets.create", {"message": "Ticket created"}).vendor_message == (
        "Ticket created"
    )
    assert refused("tickets.create", {"detail": "Down."}, 202).vendor_message == "Down."
    for echo in (
        {"message": "Ticket created", "comment": "of a customer"},
        {"comment": "of a customer"},
        ["of a customer"],
        "of a customer",
    ):
        assert "of a customer" not in str(vars(refused("tickets.create", echo)))
    assert "of a customer" not in str(refused("tickets.get", b'{"comment": "of a customer'))


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("code", [200, "200", 201, 302, "ok", None])
def test_errors_beside_a_status_of_success_are_a_doubt(name: str, code: Any) -> None:
    body = {"status_code": code, "errors": {"subject": ["Too long."]}, "data": {}}
    error = refused(name, body)
    assert type(error) is UnreadableReplyError
    assert error.fields == {"subject": ("Too long.",)}
    assert error.vendor_message == "subject: Too long."
    assert error.may_have_been_applied == (name in WRITES)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("data", [{}, None, [], "absent"], ids=str)
def test_errors_alone_are_a_refusal_in_spite_of_http_200(name: str, data: Any) -> None:
    body = {"errors": {"subject": ["Too long."]}, "data": data}
    if data == "absent":
        del body["data"]
    error = refused(name, body)
    assert type(error) is ValidationError
    assert error.fields == {"subject": ("Too long.",)}
    assert "in the body" not in error.message


@pytest.mark.parametrize("name", PLAIN)
def test_errors_beside_data_are_a_doubt(name: str) -> None:
    body = {"errors": {"subject": ["Too long."]}, "data": {"id": 7, "comment": "of a customer"}}
    error = refused(name, body)
    assert type(error) is UnreadableReplyError
    assert error.fields == {"subject": ("Too long.",)}
    assert "of a customer" not in str(vars(error))


def test_a_refusal_with_http_200_is_as_exact_as_any() -> None:
    body = {"errors": {"ticket": "Ticket is already closed,"}, "other": 1}
    assert type(refused("tickets.set_status", body)) is ConflictError


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("status", [300, 400, 401, 404, 429, 500, 502])
@pytest.mark.parametrize(
    "body",
    [
        {"status_code": 200, "errors": {}, "data": {}},
        {"status_code": 201},
        {"errors": {}, "data": {}},
        {"errors": None, "data": {"x": 1}},
    ],
    ids=str,
)
def test_success_in_the_body_and_failure_in_the_status_is_a_doubt(
    name: str, status: int, body: Any
) -> None:
    error = refused(name, body, status)
    assert type(error) is UnreadableReplyError
    assert "says success" in error.message
    assert claims_success(orjson.dumps(body))
    assert not stale(name, body, status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b"[]",
        b"200",
        b"{}",
        b'{"data":{}}',
        b'{"errors":{}}',
        b'{"errors":{},"data":[]}',
        b'{"status_code":400,"errors":{},"data":{}}',
        b'{"status_code":null,"errors":{},"data":{}}',
        b'{"status_code":200,"errors":{"a":["b"]},"data":{}}',
        b'{"status_code":200,"detail":"Not found."}',
        b'{"access":"x"}',
    ],
)
def test_what_claims_no_success(body: bytes) -> None:
    assert not claims_success(body)


# --- login -------------------------------------------------------------------------------------


def test_a_login_answers_bare_or_in_an_envelope() -> None:
    tokens = {"refresh": "r", "access": "a"}
    assert check_response(response_of("login", tokens)) == tokens
    assert check_response(response_of("login", {"access": "a"})) == {"access": "a"}
    for body in ({"data": tokens}, {"status_code": 200, "errors": {}, "data": tokens}):
        assert check_response(response_of("login", body)) == tokens


@pytest.mark.parametrize("name", [name for name in ALL if name != "login"])
def test_tokens_are_no_success_of_anything_else(name: str) -> None:
    assert type(refused(name, {"access": "a", "refresh": "r"})) is UnreadableReplyError


@pytest.mark.parametrize(
    "body",
    [
        {"access": " ", "refresh": "opaque-canary"},
        {"access": ["opaque-canary"]},
        {"token": "opaque-canary", "access_token": "opaque-canary"},
        {"status_code": 200, "errors": {"x": ["y"]}, "data": {"access": "opaque-canary"}},
        {"access": "opaque-canary", "errors": {"x": ["y"]}},
        b"opaque-canary",
        b'"opaque-canary"',
    ],
    ids=repr,
)
def test_an_unclear_login_shows_no_token(body: Any) -> None:
    error = refused("login", body)
    assert error.outcome == "unknown" or "errors" in body
    assert "opaque-canary" not in f"{error} {vars(error)}"


@pytest.mark.parametrize("status", [302, 400, 401, 500])
def test_tokens_with_a_failing_status_are_a_doubt(status: int) -> None:
    error = refused("login", {"access": "opaque-canary", "refresh": "opaque-canary"}, status)
    assert type(error) is UnreadableReplyError
    assert "opaque-canary" not in f"{error} {vars(error)}"


def test_a_page_in_place_of_tokens_is_quoted() -> None:
    assert refused("login", b"<h1>Sign in here</h1>").vendor_message == "Sign in here"


@pytest.mark.parametrize("body", [{"detail": "Nope"}, b"", b"<h1>Nope</h1>"], ids=repr)
def test_any_401_of_a_login_is_of_the_login(body: Any) -> None:
    assert "password" in refused("login", body, 401).message
    assert not stale("login", body, 401)


def test_a_refused_login_speaks_of_user_name_and_password() -> None:
    body = {"detail": "No active account found with the given credentials"}
    error = refused("login", body, 401, {"WWW-Authenticate": 'Bearer realm="api"'})
    assert type(error) is AuthenticationError
    assert "password" in error.message
    assert not stale("login", body, 401, {"WWW-Authenticate": 'Bearer realm="api"'})
    missing = refused("login", {"username": ["This field is required."]}, 400)
    assert type(missing) is ValidationError
    assert set(missing.fields) == {"username"}


# --- nothing secret ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413, 429, 500])
def test_no_secret_and_no_markup_is_quoted(status: int) -> None:
    for body in (
        {"detail": f"The apikey {APIKEY} and the <b>token</b> {TOKEN} are bad"},
        {"status_code": 400, "errors": {TOKEN: [APIKEY]}, "data": {}},
        {"status_code": 400, "errors": {"subject": "x" * 494 + TOKEN}, "data": {}},
        f"<p>{APIKEY} {TOKEN}</p>".encode(),
    ):
        error = refused("tickets.create", body, status)
        shown = f"{error} {error!r} {vars(error)}"
        assert "cana" not in shown
        assert "<b>" not in shown
        assert "<p>" not in shown


# --- any answer at all -------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        *("status_code", "errors", "data", "detail", "code", "messages", "message", "error"),
        *("error_type", "ticket", "ticket_id", "attachment", "access", "refresh", ""),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(0, 700)
    | st.sampled_from(
        ["", "200", "401", "500", LIMIT, TOO_BIG, NOT_MINE, BAD_PK, "token_not_valid"]
    )
    | st.text(max_size=20)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=5)
    ),
    max_leaves=12,
)
ENVELOPES = st.fixed_dictionaries(
    {}, optional={"status_code": LEAVES, "errors": JSON, "data": JSON, "message": JSON}
)
BODY = (
    (JSON | ENVELOPES).map(lambda body: json.dumps(body).encode("utf-8", "replace"))
    | st.binary(max_size=60)
    | st.sampled_from([b"", b"<html>", b"{", b"[" * 2000])
)
STATUS = st.sampled_from([200, 201, 204, 400, 401, 404, 500]) | st.integers(100, 699)
HEADERS = st.sampled_from([{}, BEARER, {"WWW-Authenticate": "Key"}, {"Retry-After": "x"}])


@given(st.sampled_from(ALL), STATUS, HEADERS, BODY)
def test_any_answer_is_success_or_an_error_of_this_library(
    name: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    renewable = is_stale_token(operation(name), status, CIMultiDict(headers), body)
    claimed = claims_success(body)
    try:
        result = check_response(response_of(name, body, status, headers))
    except HelpdeskError as error:
        check_refusal(error, name, status, renewable=renewable, claimed=claimed)
        return
    assert 200 <= status < 300
    assert not renewable
    if name == "login":
        assert result["access"].strip()
    else:
        assert not result.get("errors")
        assert str(result.get("status_code", 200))[:1] == "2"
        assert isinstance(result["data"], dict | list if name in LISTS else dict)


def check_refusal(
    error: HelpdeskError, name: str, status: int, *, renewable: bool, claimed: bool
) -> None:
    assert str(error)
    if status >= 500:
        assert isinstance(error, OutcomeUnknownError)
    if renewable:
        assert type(error) is AuthenticationError
        assert status != 403
        assert name != "login"
    if claimed and not 200 <= status < 300:
        assert type(error) is UnreadableReplyError
    if type(error) is OpenTicketLimitError:
        assert name == "tickets.create"


@given(st.sampled_from(WRITES), st.integers(500, 599), BODY, st.booleans())
def test_a_breakdown_of_a_write_is_never_a_refusal(
    name: str, status: int, body: bytes, inside: bool
) -> None:
    if inside:
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            return
        if not isinstance(decoded, dict):
            return
        body, status = orjson.dumps({**decoded, "status_code": status}), 200
    error = refused(name, body, status)
    assert error.outcome == "unknown"
    assert error.may_have_been_applied
