"""What Django REST Framework does around an endpoint: negotiation, bodies, errors, pages.

The texts and the order of checks are those of stock Django 5.2 and Django REST Framework 3.18
(SERVICE.md, sections 6.1 and 8), which tests compare with a real server.
"""

from __future__ import annotations

import codecs
import functools
from typing import Any, Literal, TypeAlias

import orjson

from kapture_async._core.testing.forms import (
    Form,
    FormTooLarge,
    UnreadableForm,
    header_parameters,
    read_multipart,
    read_urlencoded,
)
from kapture_async._core.testing.message import EmulatorReply, EmulatorRequest

Envelope: TypeAlias = Literal["wrapped", "bare"]
Headers: TypeAlias = tuple[tuple[str, str], ...]

JSON = "application/json"
_HTML = "text/html; charset=utf-8"
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_MAX_MEDIA_TYPE = 256
_PAGES = {
    400: ("Bad Request (400)", ""),
    404: ("Not Found", "The requested resource was not found on this server."),
    500: ("Server Error (500)", ""),
}


class ApiError(Exception):
    """An answer that refuses, with the body that the framework gives it."""

    def __init__(self, status: int, body: Any, headers: Headers = ()) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.headers = headers


class Unhandled(Exception):
    """What the framework does not handle itself: Django answers with a page, 400 or 500."""

    def __init__(self, status: int = 500) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def success(data: Any) -> bytes:
    """Return the body of a success (SERVICE.md, section 2.4)."""
    return b'{"status_code":200,"errors":{},"data":' + orjson.dumps(data) + b"}"


NOTHING = success({})
"""The body of a success that has nothing to say."""


def error_reply(error: ApiError, envelope: Envelope) -> EmulatorReply:
    """Return a refusal as the project's exception handler sends it, or bare (section 6.1)."""
    body = error.body
    if envelope == "wrapped":
        body = {"status_code": error.status, "errors": body, "data": {}}
    return EmulatorReply(error.status, orjson.dumps(body), JSON, error.headers)


def page(status: int) -> EmulatorReply:
    """Return one of Django's own pages, which no exception handler wraps."""
    title, details = _PAGES[status]
    text = (
        f'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>{title}</title>\n</head>\n<body>\n'
        f"  <h1>{title}</h1><p>{details}</p>\n</body>\n</html>\n"
    )
    return EmulatorReply(status, text.encode(), _HTML)


def slash_redirect(request: EmulatorRequest) -> EmulatorReply:
    """Return what Django's common middleware answers to a path that lacks its last slash."""
    query = f"?{request.query}" if request.query else ""
    return EmulatorReply(301, b"", _HTML, (("Location", f"{request.path}/{query}"),))


def negotiate(request: EmulatorRequest) -> None:
    """Raise 406 unless the client takes JSON, the only kind there is."""
    if request.query and "format" in request.query:
        wanted = read_urlencoded(request.query.encode()).last("format")
        if wanted not in (None, "", "json"):
            raise ApiError(404, {"detail": "Not found."})
    if not _takes_json(request.headers.get("accept", "*/*")):
        raise ApiError(406, {"detail": "Could not satisfy the request Accept header."})


@functools.lru_cache(maxsize=256)
def _takes_json(accept: str) -> bool:
    for token in accept.split(","):
        kind, _, subkind = token.partition(";")[0].strip().lower().partition("/")
        if kind in ("*", "application") and subkind in ("*", "json"):
            return True
    return False


def read_form(request: EmulatorRequest) -> Form:
    """Return the form of a request; an empty one where there is no body, whatever its type.

    A body in chunks has no ``Content-Length``, and without one Django reads nothing: every field
    of such a request is missing (SERVICE.md, section 8).
    """
    content_type = request.headers.get("content-type", "")
    if not request.body or "transfer-encoding" in request.headers:
        return Form()
    kind, charset = _media_type(content_type)
    try:
        if kind == _MULTIPART:
            return read_multipart(request.body, content_type, charset)
        if kind == _URLENCODED:
            return read_urlencoded(request.body, charset)
    except UnreadableForm as error:
        text = f"Multipart form parse error - {error}"
        raise ApiError(400, {"detail": text}) from None
    except FormTooLarge:
        raise Unhandled(400) from None
    # The service reads forms and nothing else (section 4.1).
    raise ApiError(415, {"detail": f'Unsupported media type "{content_type}" in request.'})


def _media_type(content_type: str) -> tuple[str, str]:
    """Return the kind of a body and its charset; no kind where it cannot be read."""
    if content_type.startswith("multipart/form-data; boundary=") and content_type.count(";") == 1:
        return _MULTIPART, "utf-8"
    if len(content_type) > _MAX_MEDIA_TYPE:
        return "", "utf-8"
    try:
        kind, parameters = header_parameters(content_type)
    except ValueError:
        return "", "utf-8"
    asked = parameters.get("charset", "utf-8")
    try:
        charset = codecs.lookup(asked).name
    except LookupError:  # Django goes on with its own
        return kind, "utf-8"
    try:
        "".encode(charset)
    except LookupError:  # known, but no encoding of text
        text = f'Unsupported charset "{asked}" in request Content-Type header.'
        raise ApiError(400, {"detail": text}) from None
    return kind, charset
