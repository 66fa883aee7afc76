"""HTTP/1.1 as the emulators read and write it: requests, replies, and a reader of bytes."""

from __future__ import annotations

import http
import re
from collections.abc import Iterator, Mapping

import attrs


class Headers(Mapping[str, str]):
    """Header fields by name, in whatever case they are asked for; repeated ones are joined."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        """Take a dict whose keys are in lower case already."""
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        # Names only: the values hold credentials.
        return f"Headers({', '.join(self._fields)})"


@attrs.define(eq=False)
class EmulatorRequest:
    """One request as it came; ``body`` stays empty until all of it has been read."""

    method: str
    path: str
    query: str
    headers: Headers
    keep_alive: bool = attrs.field(default=True, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class EmulatorReply:
    """What an emulator answers; the server adds ``Content-Length`` and ``Connection``."""

    status: int = 200
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str = "application/json;charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    """What ``Content-Length`` says, where it is not the truth; the connection ends after the body.
    Below zero there is no such header, and the end of the connection is the end of the body."""
    piece: int = 0
    """Send the body in pieces of so many bytes; 0 sends it at once."""
    pause: float = 0.0
    """Seconds before each piece."""


def reason(status: int) -> str:
    """Return the standard phrase of an HTTP status."""
    return _REASONS.get(status, "Unknown")


def html_reply(status: int, *headers: tuple[str, str]) -> EmulatorReply:
    """Return the page that a proxy before the service answers with: HTML, never JSON."""
    title = f"{status} {reason(status)}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return EmulatorReply(status, page.encode(), "text/html", headers)


# Python 3.13 renamed the phrase of 413; the wire keeps the one that proxies send.
_REASONS = {status.value: status.phrase for status in http.HTTPStatus} | {
    413: "Request Entity Too Large"
}


MAX_HEAD = 64 * 1024
MAX_BODY = 16 * 1024 * 1024

_DIGITS = re.compile(r"[0-9]{1,18}")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,8}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class UnreadableRequest(Exception):
    """The bytes are no acceptable request; ``status`` says how to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"unreadable request: HTTP {status}")
        self.status = status


class RequestReader:
    """Takes one request after the other from what was fed; pipelined ones simply wait inside."""

    __slots__ = ("_body", "_buffer", "_max_body", "_remaining")

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._max_body = max_body
        self._buffer = bytearray()
        self._body = bytearray()
        self._remaining: int | None = 0  # None while the body is chunked

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes that came from the client."""
        self._buffer += data

    def clear(self) -> None:
        """Forget what was fed and not yet taken."""
        self._buffer.clear()

    def take_head(self) -> EmulatorRequest | None:
        """Return the next request without its body, or ``None`` while its head is incomplete."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: blank lines before a request
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(buffer) >= MAX_HEAD:
                raise UnreadableRequest(431)
            return None
        lines = buffer[:end].decode("latin-1").split("\r\n")
        del buffer[: end + 4]
        self._body.clear()
        request = _parse_head(lines)
        self._remaining = _body_length(request.headers)
        return request

    def wants_continue(self, request: EmulatorRequest) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends the body."""
        expects = request.headers.get("expect", "").lower() == "100-continue"
        return expects and (self._remaining is None or 0 < self._remaining <= self._max_body)

    def take_body(self) -> bytes | None:
        """Return the whole body of the request taken last, or ``None`` while it is incomplete."""
        size = self._remaining
        if size is None:
            return self._take_chunks()
        if size > self._max_body:
            raise UnreadableRequest(413)
        if len(self._buffer) < size:
            return None
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        return body

    def _take_chunks(self) -> bytes | None:
        """Move whole chunks into the body; a chunk cut by the network waits for its rest."""
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n", 0, MAX_HEAD)
            if end < 0:
                if len(buffer) >= MAX_HEAD:
                    raise UnreadableRequest(400)
                return None
            digits = bytes(buffer[:end]).partition(b";")[0].strip()
            if not _HEX.fullmatch(digits):
                raise UnreadableRequest(400)
            size = int(digits, 16)
            if size == 0:
                return self._take_trailers(end)
            if len(self._body) + size > self._max_body:
                raise UnreadableRequest(413)
            start = end + 2
            if len(buffer) < start + size + 2:
                return None
            if buffer[start + size : start + size + 2] != b"\r\n":
                raise UnreadableRequest(400)
            self._body += buffer[start : start + size]
            del buffer[: start + size + 2]

    def _take_trailers(self, last_chunk: int) -> bytes | None:
        # The blank line ends the last chunk's own line when there are no trailers.
        end = self._buffer.find(b"\r\n\r\n", last_chunk, MAX_HEAD)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD:
                raise UnreadableRequest(431)
            return None
        del self._buffer[: end + 4]
        return bytes(self._body)


def _parse_head(lines: list[str]) -> EmulatorRequest:
    parts = lines[0].split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]):
        raise UnreadableRequest(400)
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise UnreadableRequest(505 if version.startswith("HTTP/") else 400)
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise UnreadableRequest(400)
        name, value = name.lower(), value.strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    if not target.startswith("/") and "://" in target:  # the form that proxies are sent
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    connection = fields.get("connection", "").lower()
    keep_alive = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
    return EmulatorRequest(method, path, query, Headers(fields), keep_alive)


def _body_length(headers: Headers) -> int | None:
    """Return how long the body will be; ``None`` when it comes in chunks."""
    length = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise UnreadableRequest(400)
        return None
    if length is None:
        return 0
    if not _DIGITS.fullmatch(length):
        raise UnreadableRequest(400)
    return int(length)
