"""What Django REST Framework does around an endpoint: negotiation, bodies, errors, pages.

The texts and the order of checks are those of stock Django 5.2 and Django REST Framework 3.18
(SERVICE.md, sections 6.1 and 8), which tests compare with a real server.
"""

from __future__ import annotations

import codecs
import functools
import os.path
import re
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

import orjson

from kapture_async._core.testing.forms import (
    Form,
    FormFile,
    FormTooLarge,
    FormValue,
    UnreadableForm,
    header_parameters,
    read_multipart,
    read_urlencoded,
)
from kapture_async._core.testing.http import EmulatorReply, EmulatorRequest
from kapture_async._core.transport.request import media_type_of

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
    except LookupError:  # Django falls back to its own
        return kind, "utf-8"
    try:
        "".encode(charset)
    except LookupError:  # known, but no encoding of text
        text = f'Unsupported charset "{asked}" in request Content-Type header.'
        raise ApiError(400, {"detail": text}) from None
    return kind, charset


MAX_FILE_NAME = 100

# Files above this size wait on Django's disk, in an object of another type.
_IN_MEMORY = 2_621_440

T = TypeVar("T")


class FieldError(Exception):
    """A field is refused; ``texts`` say why."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.texts: list[str] = list(texts)


class Fields:
    """The fields of one request; ask for all of them, then call :meth:`finish`."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._errors: dict[str, list[str]] = {}

    def finish(self) -> None:
        """Refuse the request if any field was refused."""
        if self._errors:
            raise ApiError(400, self._errors)

    def text(self, name: str, *, max_length: int | None = None) -> str:
        """Return a text without outer white space; it may be neither missing nor blank."""
        return self._checked(name, lambda value: _text(value, max_length)) or ""

    def choice(self, name: str, choices: Collection[str], *, required: bool = True) -> str | None:
        """Return one of the choices; ``None`` where an optional one was left out or empty."""

        def check(value: FormValue) -> str:
            if (text := shown(value)) not in choices:
                raise FieldError(f'"{text}" is not a valid choice.')
            return text

        return self._checked(name, check, required=required)

    def related(
        self, name: str, known: Mapping[int, T], check: Callable[[T], None] | None = None
    ) -> T | None:
        """Return the object of an id; ``check`` may raise FieldError about it."""

        def find(value: FormValue) -> T:
            if value == "":
                raise FieldError("This field may not be null.")
            found = known[_known_id(value, known)]
            if check is not None:
                check(found)
            return found

        return self._checked(name, find)

    def many_related(self, name: str, known: Mapping[int, Any]) -> None:
        """Take the ids of at least one object; only the first bad one is named."""
        values = self._form.values(name)
        try:
            if not values:
                raise FieldError("This list may not be empty.")
            for value in values:
                _known_id(value, known)
        except FieldError as error:
            self._errors[name] = error.texts

    def file(self, name: str, max_bytes: int) -> FormFile | None:
        """Return an optional file."""
        return self._checked(name, lambda value: _file(value, max_bytes), required=False)

    def _checked(
        self, name: str, check: Callable[[FormValue], T], *, required: bool = True
    ) -> T | None:
        value = self._form.last(name)
        if value is None or (value == "" and not required):  # how a form leaves a field out
            if required:
                self._errors[name] = ["This field is required."]
            return None
        try:
            return check(value)
        except FieldError as error:
            self._errors[name] = error.texts
            return None


def shown(value: FormValue) -> str:
    """Return a value as messages show it: a file by its name."""
    return value if isinstance(value, str) else value.name


def as_id(value: FormValue) -> int | None:
    """Return the number that Django takes a value for, or ``None`` when it takes it for none.

    A text may have outer blanks, a sign, and digits of any script.
    """
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: FormValue, max_length: int | None) -> str:
    if isinstance(value, FormFile):
        raise FieldError("Not a valid string.")
    text = value.strip()
    if not text:
        raise FieldError("This field may not be blank.")
    problems: list[str] = []
    if max_length is not None and len(text) > max_length:
        problems.append(f"Ensure this field has no more than {max_length} characters.")
    if "\x00" in text:
        problems.append("Null characters are not allowed.")
    if problems:
        raise FieldError(*problems)
    return text


def _known_id(value: FormValue, known: Mapping[int, Any]) -> int:
    number = as_id(value)
    if number is None:
        raise FieldError(f"Incorrect type. Expected pk value, received {_type_name(value)}.")
    if number not in known:
        raise FieldError(f'Invalid pk "{value}" - object does not exist.')
    return number


def _type_name(value: FormValue) -> str:
    if isinstance(value, str):
        return "str"
    return "InMemoryUploadedFile" if value.size <= _IN_MEMORY else "TemporaryUploadedFile"


def _file(value: FormValue, max_bytes: int) -> FormFile:
    if isinstance(value, str):
        raise FieldError("The submitted data was not a file. Check the encoding type on the form.")
    if not value.size:
        raise FieldError("The submitted file is empty.")
    length = len(value.name)
    if length > MAX_FILE_NAME:
        raise FieldError(
            f"Ensure this filename has at most {MAX_FILE_NAME} characters (it has {length})."
        )
    if value.size > max_bytes:
        raise FieldError(f"File is too big. Max filesize: {_size(max_bytes)}.")
    return value


def _size(count: int) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB")):
        if count and count % unit == 0:
            return f"{count // unit}{name}"
    return f"{count}B"


_QUOTABLE = re.compile(r"[\t \x21-\x7e]*")


def file_reply(name: str, content: bytes) -> EmulatorReply:
    """Return the answer that sends a file."""
    base = os.path.basename(name)
    kind = media_type_of(base)
    return EmulatorReply(200, content, kind, (("Content-Disposition", disposition(base)),))


def disposition(name: str) -> str:
    """Return ``Content-Disposition``: the name quoted, or percent-encoded where it cannot be."""
    if not name:
        return "attachment"
    if _QUOTABLE.fullmatch(name):
        quoted = name.replace("\\", "\\\\").replace('"', r"\"")
        return f'attachment; filename="{quoted}"'
    return f"attachment; filename*=utf-8''{urllib.parse.quote(name)}"
