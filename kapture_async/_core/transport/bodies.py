"""Request bodies: made once, a known size, sendable again.

A body is a row of byte segments, so that a form with a large file is never copied into one
string, and a second attempt sends exactly the same bytes. The size is always known: there are
servers that ignore chunked uploads altogether.
"""

from __future__ import annotations

import re
import secrets
from typing import Any
from urllib.parse import urlencode

import orjson
from attrs import define, field, frozen

from ..errors import InvalidInputError
from ..mime import media_type_of

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
        InvalidInputError: it holds something JSON cannot carry, or text that is no Unicode.
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
    quotes and control characters: the one form that every server stores as it was meant.

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
