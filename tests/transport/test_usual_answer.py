"""The look for a usual answer sees what aiohttp's parser would have read, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler
from hypothesis import given
from hypothesis import strategies as st

from kapture_async._core.transport.aiohttp_internals import expect_answer, whole_body
from kapture_async._core.transport.usual_answer import usual_answer

LENGTH = "Content-Length: 2"


def answer(*lines: str, start: str = "HTTP/1.1 200 OK", body: bytes = b"{}") -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1") + body


USUAL = {
    "short": answer(LENGTH),
    "created": answer(LENGTH, start="HTTP/1.1 201 Created"),
    "no reason": answer(LENGTH, start="HTTP/1.1 200 "),
    "empty": answer("Content-Length: 0", body=b""),
    "any case": answer("content-LENGTH:2", "CONNECTION: Keep-Alive"),
    "of a gateway": answer(
        "Server: nginx",
        "Date: Tue, 01 Dec 2026 12:00:00 GMT",
        "Content-Type: application/json; charset=utf-8",
        LENGTH,
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "X-Empty:",
        "Set-Cookie: a=1",
        "Set-Cookie: b=2",
    ),
}
OTHERS = {
    "no length": answer(),
    "two lengths": answer(LENGTH, LENGTH),
    "two lengths that differ": answer(LENGTH, "Content-Length: 3"),
    "a signed length": answer("Content-Length: +2"),
    "more than it says": answer(LENGTH, body=b"{}{"),
    "less than it says": answer(LENGTH, body=b"{"),
    "half a head": answer(LENGTH)[:-4],
    "two answers": answer(LENGTH) * 2,
    "in chunks": answer(LENGTH, "Transfer-Encoding: chunked"),
    "packed": answer(LENGTH, "Content-Encoding: gzip"),
    "it closes": answer(LENGTH, "Connection: close"),
    "it switches": answer(LENGTH, "Connection: upgrade", "Upgrade: h2c"),
    "it upgrades": answer(LENGTH, "Upgrade: h2c"),
    "a folded line": answer(LENGTH, "X-Long: a", " b"),
    "a bare line feed": answer(LENGTH, "X-A: a\nConnection: close"),
    "a zero": answer(LENGTH, "X-A: \0"),
    "beyond ASCII": answer(LENGTH, "X-A: \xe9"),
    "a blank before the colon": answer("Content-Length : 2"),
    "an older protocol": answer(LENGTH, start="HTTP/1.0 200 OK"),
    "no content": answer(start="HTTP/1.1 204 No Content", body=b""),
    "a refusal": answer(LENGTH, start="HTTP/1.1 429 Too Many Requests"),
    "not yet": answer(LENGTH, start="HTTP/1.1 100 Continue"),
    "many fields": answer(LENGTH, *(f"X-{n}: {n}" for n in range(300))),
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
}


def lower(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in fields]


def read_by_aiohttp(data: bytes) -> Any:
    """What aiohttp reads in these bytes; ``None`` unless it is one whole answer and no more."""

    async def read() -> Any:
        handler = ResponseHandler(asyncio.get_running_loop())
        expect_answer(handler)
        handler.data_received(data)
        message, content = await asyncio.wait_for(handler.read(), 1)
        assert content.is_eof()
        assert not handler.should_close
        return message.code, lower(message.headers.items()), whole_body(content)

    return asyncio.run(read())


def seen(data: bytes) -> Any:
    found = usual_answer(data)
    assert found is not None
    status, fields, body = found
    return status, lower(fields._read().items()), body


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL)
def test_what_is_usual_reads_as_with_aiohttp(data: bytes) -> None:
    assert seen(data) == read_by_aiohttp(data)


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_what_is_not_usual(data: bytes) -> None:
    assert usual_answer(data) is None


STARTS = st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 201 ", "HTTP/1.1  200 OK", "HTTP/1.1 206 x"])
LINES = st.one_of(
    st.sampled_from(
        [
            *(line for data in USUAL.values() for line in data.decode().split("\r\n")[1:-2]),
            *(
                line
                for data in OTHERS.values()
                for line in data.decode("latin-1").split("\r\n")[1:-2]
            ),
            "Connection: keep-alive, close",
            "Proxy-Connection: close",
            "Transfer-Encoding: identity",
            "Content-Length: 2, 2",
            ": x",
            "X",
        ]
    ),
    st.builds(
        "{}:{}".format,
        st.text("aZ9-_. ", max_size=3),
        st.text(st.characters(max_codepoint=255), max_size=4),
    ),
)


@given(STARTS, st.lists(LINES, max_size=5), st.sampled_from([b"{}", b"", b"{}\r\n"]))
def test_whatever_is_taken_for_usual_reads_as_with_aiohttp(
    start: str, lines: list[str], body: bytes
) -> None:
    data = answer(*lines, start=start, body=body)
    if usual_answer(data) is not None:
        assert seen(data) == read_by_aiohttp(data)


def test_the_fields_are_found_in_any_case() -> None:
    found = usual_answer(USUAL["of a gateway"])
    assert found is not None
    fields = found[1]
    assert fields["content-type"] == "application/json; charset=utf-8"
    assert fields.get("RETRY-AFTER") is None
    assert "x-empty" in fields
    assert len(fields) == 9
    assert {"Server", "Date"} < set(fields)
