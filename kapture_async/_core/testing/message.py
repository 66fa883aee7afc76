"""Requests and replies as an emulator sees them: small values, no I/O, no vendor."""

from __future__ import annotations

import http
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
