"""Clients for the emulator's tests: plain sockets and http.client, none of the project's own
code."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

ADD = "/add-ticket-from-other-source.html/v.2.0"
TOKEN = "Basic emulator-token"


class Answer(NamedTuple):
    """What a client sees of a reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.fixture
def call() -> Callable[..., Answer]:
    """Send one request on a connection of its own."""

    def send(
        url: str,
        path: str = ADD,
        body: Any = None,
        *,
        method: str = "POST",
        timeout: float = 5.0,
        **headers: str,
    ) -> Answer:
        fields = {"Authorization": TOKEN, "Content-Type": "application/json"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*address(url), timeout=timeout)
        try:
            connection.request(method, path, content, fields)
            reply = connection.getresponse()
            return Answer(reply.status, dict(reply.getheaders()), reply.read())
        finally:
            connection.close()

    return send


@pytest.fixture
def wire() -> Callable[..., bytes]:
    """Send bytes, close the sending side, return all that comes back."""

    def exchange(url: str, *pieces: bytes, half_close: bool = True) -> bytes:
        with socket.create_connection(address(url), timeout=5) as client:
            for piece in pieces:
                client.sendall(piece)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            parts: list[bytes] = []
            while part := client.recv(65536):
                parts.append(part)
            return b"".join(parts)

    return exchange


@pytest.fixture
def raw_add() -> Callable[..., bytes]:
    """Return the bytes of an add-ticket request."""

    def build(title: str = "T", *extra: str, body: bytes | None = None) -> bytes:
        content = json.dumps([{"title": title}]).encode() if body is None else body
        lines = [
            f"POST {ADD} HTTP/1.1",
            "Host: emulator",
            f"Authorization: {TOKEN}",
            f"Content-Length: {len(content)}",
            *extra,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content

    return build
