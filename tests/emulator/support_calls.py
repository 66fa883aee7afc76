"""Calls to the Support emulator by http.client, with a form writer of its own."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

CATEGORIES = "/support/get/category-list/"
TAGS = "/support/get/ticket/tags/"
CREATE = "/support/create/ticket/"
HISTORY = "/support/get/ticket/history/"
DETAIL = "/support/ticket/detailed-view/"
UPDATE = "/support/update/ticket/"
REPLY = "/support/ticket/conversation/"
STATUS = "/support/ticket/status/"
DOWNLOAD = "/support/ticket/download/{}/"
LOGIN = "/user/login/"

BOUNDARY = "a-boundary-of-tests"
OTHER = "other@example.com"

TICKET = {"subject": "A subject", "comment": "A comment", "priority": "1", "category": "3"}

Pairs = Sequence[tuple[str, str | bytes]]


class Callee(Protocol):
    """What a call must know of an emulator, wherever it runs."""

    apikey: str

    @property
    def port(self) -> int: ...
    @property
    def token(self) -> str: ...


class Reply(NamedTuple):
    """What a client sees of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """The data of a success."""
        content = self.json
        assert (self.status, content["status_code"], content["errors"]) == (200, 200, {}), content
        return content["data"]

    @property
    def errors(self) -> Any:
        """The errors of a refusal in its envelope."""
        content = self.json
        assert content == {"status_code": self.status, "errors": content["errors"], "data": {}}
        return content["errors"]


def multipart(fields: Pairs) -> bytes:
    """Return a form; bytes are the content of a file named ``sample.txt``."""
    pieces: list[bytes] = []
    for name, value in fields:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            head += '; filename="sample.txt"\r\nContent-Type: text/plain'
        content = value if isinstance(value, bytes) else value.encode()
        pieces.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def call(
    emulator: Callee,
    method: str,
    path: str,
    fields: Pairs | dict[str, str] | None = None,
    *,
    token: str | None = None,
    timeout: float = 5.0,
    headers: dict[str, str | None] | None = None,
    **query: str,
) -> Reply:
    """Send one request on a connection of its own; a header that is ``None`` is left out."""
    wanted: dict[str, str | None] = {
        "apikey": emulator.apikey,
        "Authorization": f"Bearer {token or emulator.token}",
    }
    body = None
    if fields is not None:
        body = multipart(list(fields.items()) if isinstance(fields, dict) else fields)
        wanted["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    wanted |= headers or {}
    sent = {name: value for name, value in wanted.items() if value is not None}
    target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=timeout)
    try:
        connection.request(method, target, body, sent)
        reply = connection.getresponse()
        return Reply(reply.status, dict(reply.getheaders()), reply.read())
    finally:
        connection.close()


def create(emulator: Callee, file: bytes | None = None, **fields: str) -> Reply:
    """Create a ticket that is accepted, but for the fields named."""
    pairs: list[tuple[str, str | bytes]] = list((TICKET | fields).items())
    if file is not None:
        pairs.append(("attachment", file))
    return call(emulator, "POST", CREATE, pairs)


def detail(emulator: Callee, ticket_id: str) -> Any:
    """Return what the detailed view tells of a ticket."""
    return call(emulator, "GET", DETAIL, {"ticket_id": ticket_id}).data
