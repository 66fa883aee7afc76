"""What is sent and what came back: an operation, a request made from it, its body, the raw reply.

A body is a row of byte segments, so that a form with a large file is never copied into one
string, and a second attempt sends exactly the same bytes. Its size is always known: some servers
ignore chunked uploads altogether.
"""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import orjson
from attrs import define, field, frozen

from ..errors import InvalidInputError
from ..phase import Attempt, Effect
from ..secret import Secret

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
_UNSAFE_IN_NAME = re.compile(r'[\x00-\x1f\x7f"\\/]')


@define
class Body:
    """Bytes on their way out. The repr shows their size only."""

    content_type: str
    segments: tuple[bytes, ...] = field(repr=False)
    size: int
    has_file: bool = False

    @classmethod
    def of(cls, content_type: str, *segments: bytes, has_file: bool = False) -> Body:
        """A body of these segments, one after the other."""
        return cls(content_type, segments, sum(map(len, segments)), has_file)


NOTHING = Body.of("application/octet-stream")
"""The body of a POST that carries none; the same on the wire, and it can be marked."""


@frozen
class Attachment:
    """A file for a form: its name, its bytes, its media type (guessed from the name)."""

    filename: str = field(repr=False)
    content: bytes = field(repr=False)
    content_type: str | None = None


@frozen
class Form:
    """The data of an operation that travels as a form. Names may repeat.

    Attributes:
        fields: names and texts.
        files: names and files.
        urlencoded: it travels as ``application/x-www-form-urlencoded``, without files, and not
            as ``multipart/form-data``.
    """

    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    files: tuple[tuple[str, Attachment], ...] = ()
    urlencoded: bool = False


def json_body(value: Any) -> Body:
    """``value`` as JSON.

    Raises:
        InvalidInputError: it holds something JSON cannot carry, or invalid Unicode.
    """
    try:
        content = orjson.dumps(value)
        return Body(JSON, (content,), len(content))
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    # Raised outside the handler: the codec's error would carry the payload along.
    raise _not_json(reason)


def sorted_json(value: Any) -> bytes:
    """``value`` as JSON, always the same for the same content.

    Raises:
        InvalidInputError: as :func:`json_body`.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    raise _not_json(reason)


def _not_json(reason: str) -> InvalidInputError:
    return InvalidInputError(f"the data cannot be written as JSON: {reason[:200]}")


def form_body(form: Form) -> Body:
    """The body of a form: ``multipart/form-data``, unless it is to be urlencoded.

    File names go out as UTF-8, not percent-encoded, reduced to their last path part, without
    quotes and control characters: the one form that every server stores correctly.

    Raises:
        InvalidInputError: a name or value cannot be written as UTF-8, or a name is empty or
            holds a line break or a quote.
    """
    if form.urlencoded:
        return _urlencoded(form)
    boundary = secrets.token_hex(16)
    segments: list[bytes] = []
    try:
        for name, value in form.fields:
            segments.append(_part_head(boundary, name) + value.encode() + b"\r\n")
        for name, file in form.files:
            filename = clean_filename(file.filename)
            kind = file.content_type or media_type_of(filename)
            head = _part_head(boundary, name, filename, kind)
            segments += [head, file.content, b"\r\n"]
    except UnicodeEncodeError:
        segments = []
    else:
        segments.append(f"--{boundary}--\r\n".encode())
        whole = f"multipart/form-data; boundary={boundary}"
        return Body.of(whole, *segments, has_file=bool(form.files))
    raise InvalidInputError("the form holds text that is not valid Unicode")


def _urlencoded(form: Form) -> Body:
    try:
        return Body.of(URLENCODED, urlencode(form.fields).encode())
    except UnicodeEncodeError:
        pass
    raise InvalidInputError("the form holds text that is not valid Unicode")


def clean_filename(name: str) -> str:
    """The last path part of a file name, safe inside a header; ``"file"`` if nothing is left."""
    base = re.split(r"[/\\]", name)[-1]
    return _UNSAFE_IN_NAME.sub("_", base).strip() or "file"


def _part_head(
    boundary: str, name: str, filename: str | None = None, content_type: str | None = None
) -> bytes:
    if not name or _UNSAFE_IN_NAME.search(name):
        raise InvalidInputError(f"{name[:40]!r} cannot name a form field")
    text = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        text += f'; filename="{filename}"'
    if content_type is not None:
        if re.search(r"[\x00-\x1f\x7f]", content_type):
            raise InvalidInputError("the attachment's content type holds a control character")
        text += f"\r\nContent-Type: {content_type}"
    return (text + "\r\n\r\n").encode()


UNKNOWN = "application/octet-stream"

# What is packed is of the packing's type: named by what is inside, it would be unpacked by
# an intermediary, or shown as what it is not.
_PACKED = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}


def media_type_of(filename: str) -> str:
    """The media type that a file's name stands for."""
    kind, packing = mimetypes.guess_type(filename)
    if packing is not None:
        return _PACKED.get(packing, UNKNOWN)
    return kind or UNKNOWN


Wrap = Literal["array", "object", "form", "none"]
"""How an operation's data travels in the body: a JSON array of one, a JSON object, a multipart
form, or not at all. A query string may stand beside any of them."""

MEBI = 1024 * 1024


@frozen(kw_only=True)
class Operation:
    """One documented call of a service, as data.

    Attributes:
        name: such as ``"tickets.add"``; used in errors, logs and events.
        path: path template below the base URL, such as ``"/x/{attachment_id}/"``.
        effect: ``read`` or ``write``; decides what may be repeated.
        api: which of the service's credentials it needs, where there are several.
        method: HTTP verb.
        wrap: how its data travels.
        reply_cap: the most decoded bytes its reply may have.
        marks_success: its good replies carry the service's mark of success; without that mark
            an answer counts as unreadable.
    """

    name: str
    path: str
    effect: Effect
    api: str = ""
    method: str = "POST"
    wrap: Wrap = "none"
    reply_cap: int = 8 * MEBI
    marks_success: bool = True


@define(kw_only=True)
class Request:
    """One request, ready to be sent any number of times. Its repr shows no payload."""

    operation: Operation
    path: str = field(repr=False)  # with ids filled in
    body: Body | None = None
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: Mapping[str, Secret] = field(factory=dict)  # of this call alone


@define(kw_only=True)
class RawReply:
    """A whole answer, undecoded. Its repr shows no payload."""

    status: int
    headers: Mapping[str, str] = field(repr=False)  # case-insensitive
    body: bytes = field(repr=False)
    attempts: tuple[Attempt, ...] = ()
    cause: BaseException | None = field(default=None, repr=False)  # why no new token was given

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; empty if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
