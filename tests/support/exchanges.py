"""Raw HTTP for the contract table: http.client and hand-made bodies, none of the project's code."""

from __future__ import annotations

import http.client
import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

from .servers import MEMBER, OTHER, Server, address

BOUNDARY = "----a-boundary-in-no-file"

Pairs = tuple[tuple[str, str], ...]


class File(NamedTuple):
    """A part with a file; ``disposition`` replaces the usual ``filename="..."``."""

    name: str = "sample.txt"
    content: bytes = b"sample bytes"
    field: str = "attachment"
    content_type: str = "text/plain"
    disposition: str | None = None

    def head(self) -> str:
        told = f'filename="{self.name}"' if self.disposition is None else self.disposition
        extra = f"; {told}" if told else ""
        kind = f"\r\nContent-Type: {self.content_type}"
        return f'Content-Disposition: form-data; name="{self.field}"{extra}{kind}'


class Ask(NamedTuple):
    """One request. ``token`` is whose; ``headers`` replace the usual ones, None leaves one out."""

    method: str
    path: str
    fields: Pairs | None = None
    files: tuple[File, ...] = ()
    query: Pairs = ()
    token: str = "member"
    headers: Mapping[str, str | None] = {}
    form: str = "multipart"
    body: bytes | None = None


class Answer(NamedTuple):
    """What of an answer must be the same, whoever gives it."""

    status: int
    kind: str
    challenged: bool
    location: str | None
    disposition: str | None
    content: Any


class Tokens(dict[str, str]):
    """Tokens by the names that the table gives them, made when they are asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __missing__(self, name: str) -> str:
        match name:
            case "member":
                token = self._server.token()
            case "other":
                token = self._server.token(OTHER)
            case "expired":
                token = self._server.token(MEMBER, -60)
            case "refresh":
                token = self._server.refresh_token()
            case _:
                raise KeyError(name)
        self[name] = token
        return token


class Wire:
    """One connection to a server, kept open, and tokens of its users."""

    def __init__(self, server: Server) -> None:
        self._apikey = server.apikey
        self._tokens = Tokens(server)
        host, port = address(server.url)
        self._connection = http.client.HTTPConnection(host, port, timeout=10)

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        self._connection.close()

    def exchange(self, ask: Ask) -> Answer:
        """Send one request, and read the answer."""
        headers: dict[str, str | None] = {
            "Accept": "application/json",
            "apikey": self._apikey,
            "Authorization": f"Bearer {self._tokens[ask.token]}",
        }
        body = ask.body
        if body is None and (ask.fields is not None or ask.files):
            body, headers["Content-Type"] = _encoded(ask)
        for name, value in ask.headers.items():
            headers[name] = value and value.format_map(self._tokens)
        sent = {name: value for name, value in headers.items() if value is not None}
        chunked = sent.get("Transfer-Encoding") == "chunked"
        self._connection.request(
            ask.method,
            ask.path + (f"?{urllib.parse.urlencode(ask.query)}" if ask.query else ""),
            iter([body or b""]) if chunked else body,
            sent,
            encode_chunked=chunked,
        )
        return _answer(self._connection.getresponse())


def _encoded(ask: Ask) -> tuple[bytes, str]:
    fields = ask.fields or ()
    if ask.form == "urlencoded":
        return urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded"
    parts = [
        (f'Content-Disposition: form-data; name="{name}"', value.encode()) for name, value in fields
    ]
    parts += [(file.head(), file.content) for file in ask.files]
    mark = f"--{BOUNDARY}"
    pieces = [
        mark.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join([*pieces, f"{mark}--\r\n".encode()]), (
        f"multipart/form-data; boundary={BOUNDARY}"
    )


def _answer(reply: http.client.HTTPResponse) -> Answer:
    content: Any = reply.read()
    kind = (reply.getheader("Content-Type") or "").partition(";")[0]
    disposition = reply.getheader("Content-Disposition")
    if disposition is None and kind == "application/json":
        content = _without_tokens(json.loads(content))
    elif disposition is None:
        content = b""  # pages of errors are each server's own; that it is a page is the fact
    return Answer(
        reply.status,
        kind,
        reply.getheader("WWW-Authenticate") is not None,
        reply.getheader("Location"),
        disposition,
        content,
    )


_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


def _without_tokens(content: Any) -> Any:
    """Replace what is different at each login."""
    if isinstance(content, dict) and content.keys() == {"refresh", "access"}:
        return {name: bool(_JWT.fullmatch(value)) for name, value in content.items()}
    return content
