"""The service's rule of success: what confirms a call, and what an unclear answer ends in.

The facts are in ``SERVICE.md``; each is named with its section. Which error a
refusal becomes is in :mod:`._error_mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kapture_async._core.errors import HelpdeskError, UnreadableReplyError
from kapture_async._core.lazy import lazy_pattern
from kapture_async._core.response import NOT_JSON, ResponseContext, json_of
from kapture_async._core.transport.request import Operation

from ._error_mapping import DOWNLOAD, LOGIN, REQUEST, may_renew, meaning_for, status_of
from ._error_parsing import ENVELOPE, Refusal, refusal_of, status_code_of

_LISTS = frozenset({"categories.list", "tags.list", "tickets.history", REQUEST})
_EXPLAINS = frozenset(
    {"status_code", "status", "success", "detail", "code", "message", "error", "error_type"}
)
_NO_FILE_BY_ITSELF = frozenset(
    {"text/html", "application/xhtml+xml", "application/json", "application/problem+json"}
)
_CLAIMS_SUCCESS = lazy_pattern(rb'"status_code"\s*:\s*"?2\d\d\b')
_SAYS_401 = lazy_pattern(rb'"status_code"\s*:\s*"?401\b')


def check_response(response: ResponseContext) -> Any:
    """The service's rule of success: an unknown shape is never success, and no contradiction is.

    Confirmed is HTTP 2xx with an object that names no other status, reports no errors and has
    ``data`` (section 2.4). A login answers a bare object with the text ``access`` (2.3).

    Returns:
        The decoded body of a confirmed call, in its envelope; for a login the object that
        holds ``access``.

    Raises:
        HelpdeskError: anything else.
    """
    status = response.reply.status
    body = response.json()
    if 200 <= status < 300:
        return _confirmed(response, body)
    claimed = claims_success(response.reply.body)
    if claimed or (response.operation.name == LOGIN and _tokens_in(body)):
        raise response.error(
            UnreadableReplyError, "the body says success, the HTTP status says failure"
        )
    if status < 400:
        raise response.by_status()
    raise _refused(response, body)


def claims_success(body: bytes) -> bool:
    """Whether a body says that the call was carried out, whatever the HTTP status says.

    In JSON that is broken, too: it tells a success from a refusal.
    """
    decoded = json_of(body)
    if decoded is NOT_JSON:
        return _CLAIMS_SUCCESS.search(body) is not None
    return _says_success(decoded)


def is_file(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer to a download is the file (section 3.7): HTTP 200, and not the page of a
    login or an envelope, which some installations answer with 200, too.

    A page or JSON is a file where a ``Content-Disposition`` says so; files of other types may
    come without one.
    """
    if status != 200:  # half a file (206) was not asked for, and "accepted" (202) is none
        return False
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind not in _NO_FILE_BY_ITSELF or "Content-Disposition" in headers


def is_stale_token(
    operation: Operation, status: int, headers: Mapping[str, str], body: bytes
) -> bool:
    """Whether an answer says that the access token is no longer good (section 6.4).

    It is asked before a call is tried once more with another token, so it says no wherever
    another token cannot help (the open-ticket limit, a refused apikey, a login), and for a
    write wherever nothing shows that it was refused at the door.

    Args:
        operation: what was called.
        status: the HTTP status.
        headers: of the answer, case-insensitive.
        body: of the answer, as it came.
    """
    if status != 401:
        # The status may stand inside. A good answer is searched, but not decoded twice; a good
        # download is a file, whatever it holds.
        inside = status == 400 or (200 <= status < 300 and operation.name != DOWNLOAD)
        if not inside or not _SAYS_401.search(body):
            return False
    decoded = json_of(body)
    if _says_success(decoded) or (status != 401 and status_code_of(decoded) != 401):
        return False
    refusal = None if decoded is NOT_JSON else refusal_of(decoded)
    if status_of(status, refusal) != 401:
        return False
    return may_renew(operation, headers, refusal)


_STATUS_CAP = 40


def _confirmed(response: ResponseContext, body: Any) -> Any:
    if body is NOT_JSON:
        raise _not_json(response)
    if isinstance(body, list) and not response.operation.marks_success:
        return body
    if not isinstance(body, dict):
        kind = "a list" if isinstance(body, list) else f"a bare {type(body).__name__}"
        raise response.unreadable(f"the answer is {kind}, not an object")
    code = status_code_of(body)
    if code is not None and code >= 400:
        raise _refused(response, body)
    if not _is_empty(body.get("errors")):
        raise _reports_errors(response, body)
    if "status_code" in body and (code is None or not 200 <= code < 300):
        shown = response.mask(str(body["status_code"]))[:_STATUS_CAP]
        why = f"the answer's 'status_code' is {shown!r}, which is no status of success"
        raise _unclear(response, body, why)
    if response.operation.name == LOGIN:
        holder = _tokens_in(body)
        if holder is None:
            raise _unclear(response, body, "the answer holds no access token")
        return holder
    if not response.operation.marks_success:
        return body
    data = body.get("data")
    if isinstance(data, dict) or (isinstance(data, list) and response.operation.name in _LISTS):
        return body
    raise _unclear(response, body, "the answer has no 'data' of the documented kind")


def _not_json(response: ResponseContext) -> HelpdeskError:
    page = response.reply.body.lstrip()[:1] == b"<"
    if response.operation.name in (LOGIN, REQUEST) and not page:
        # It may be the token itself, which must not be quoted.
        return response.error(UnreadableReplyError, "the answer is not readable as JSON")
    return response.unreadable()


def _reports_errors(response: ResponseContext, body: Mapping[str, Any]) -> HelpdeskError:
    """Errors with HTTP 2xx (section 6.2, variant 12).

    Alone they are a refusal. Beside a sign of success the work may have been done.
    """
    known = {key: value for key, value in body.items() if key in ENVELOPE}
    if "status_code" not in body and _is_empty(body.get("data")):
        return _refused(response, known)
    beside = "a status of its own" if "status_code" in body else "data"
    return _error(
        response,
        UnreadableReplyError,
        f"the answer reports errors beside {beside}",
        refusal_of(known, response.mask),
    )


def _unclear(response: ResponseContext, body: Mapping[str, Any], why: str) -> HelpdeskError:
    # A bare text may explain it. Anything more may echo what a customer wrote.
    if {key for key, value in body.items() if not _is_empty(value)} <= _EXPLAINS:
        refusal = refusal_of(body, response.mask)
        return _error(response, UnreadableReplyError, why, refusal)
    return response.unreadable(why)


def _refused(response: ResponseContext, body: Any) -> HelpdeskError:
    reply = response.reply
    refusal = None if body is NOT_JSON else refusal_of(body, response.mask)
    status = status_of(reply.status, refusal)
    meaning = meaning_for(
        response.operation, status, reply.headers, refusal, with_file=response.with_file
    )
    if refusal is None:
        return response.error(
            meaning.cls, meaning.message, words=response.excerpt(), next_step=meaning.next_step
        )
    message = meaning.message
    if refusal.status_code == status != reply.status:
        message += f", with status {status} in the body"
    error = _error(response, meaning.cls, message, refusal, meaning.next_step)
    error.about_data = meaning.is_about_data(refusal)
    return error


def _error(
    response: ResponseContext,
    cls: type[HelpdeskError],
    message: str,
    refusal: Refusal,
    next_step: str | None = None,
) -> HelpdeskError:
    return response.error(
        cls, message, words=refusal.words, fields=refusal.fields, next_step=next_step
    )


def _says_success(body: Any) -> bool:
    if not isinstance(body, dict) or not _is_empty(body.get("errors")):
        return False
    if body.keys() & {"detail", "error"}:
        return False  # a status of success that an error handler left in place
    if "status_code" in body:
        code = status_code_of(body)
        return code is not None and 200 <= code < 300
    return "errors" in body and isinstance(body.get("data"), dict)


def _tokens_in(body: Any) -> dict[str, Any] | None:
    """The object that holds an access token: the body itself, or ``data`` in an envelope."""
    if isinstance(body, dict):
        for holder in (body, body.get("data")):
            if isinstance(holder, dict):
                access = holder.get("access")
                if isinstance(access, str) and access.strip():
                    return holder
    return None


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [], "")
