"""Attachments come back as Django sends files; planted answers do the harm they are told to."""

from __future__ import annotations

import http.client
import socket
import time
import zlib
from collections.abc import Iterator

import pytest

from support_async.testing import EmulatorReply, EmulatorRequest, SupportEmulator, bomb

from .support_calls import DOWNLOAD, OTHER, Reply, call, create

FIRST = DOWNLOAD.format("901")
MISSING = {"detail": "No TicketAttachment matches the given query."}


@pytest.fixture
def emulator() -> Iterator[SupportEmulator]:
    with SupportEmulator().in_thread() as emulator:
        yield emulator


def download(emulator: SupportEmulator, attachment: str = "901") -> Reply:
    return call(emulator, "GET", DOWNLOAD.format(attachment))


def request() -> bytes:
    """Return the bytes of a download; all emulators take the same token."""
    emulator = SupportEmulator()
    lines = [
        f"GET {FIRST} HTTP/1.1",
        f"apikey: {emulator.apikey}",
        f"Authorization: Bearer {emulator.token}",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def raw(emulator: SupportEmulator) -> bytes:
    """Return all bytes of an answer, as they come, until the connection ends."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as client:
        client.sendall(request())
        parts: list[bytes] = []
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_a_file_comes_back_as_it_went(emulator: SupportEmulator) -> None:
    content = bytes(range(256)) * 100
    create(emulator, content)
    answer = download(emulator)
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sample.txt"'
    found = emulator.attachment("901")
    assert found is not None
    assert (found.ticket_id, found.conversation_id, found.content) == (101, None, content)


@pytest.mark.parametrize(
    ("name", "disposition", "kind"),
    [
        ("a b.txt", 'attachment; filename="a b.txt"', "text/plain"),
        ('"a"\\b.json', r'attachment; filename="\"a\"\\b.json"', "application/json"),
        ("résumé.pdf", "attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf", "application/pdf"),
        ("a\r\nb", "attachment; filename*=utf-8''a%0D%0Ab", "application/octet-stream"),
        ("../a.tar.gz", 'attachment; filename="a.tar.gz"', "application/gzip"),
        ("a/", "attachment", "application/octet-stream"),
    ],
)
def test_how_a_name_is_sent(
    emulator: SupportEmulator, name: str, disposition: str, kind: str
) -> None:
    attachment = emulator.seed_attachment(emulator.seed(), name, b"x")
    answer = download(emulator, attachment)
    assert (answer.status, answer.body) == (200, b"x")
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["Content-Type"] == kind


def test_what_is_unknown_or_foreign_is_not_found(emulator: SupportEmulator) -> None:
    emulator.seed_attachment(emulator.seed(author=OTHER), "a.txt", b"x")
    for number in ("901", "902", "9" * 100):
        answer = download(emulator, number)
        assert (answer.status, answer.errors) == (404, MISSING)
    assert b"<h1>Not Found</h1>" in download(emulator, "9" * 5000).body


def test_files_of_replies_are_seeded_with_them(emulator: SupportEmulator) -> None:
    ticket = emulator.seed()
    reply = emulator.seed_reply(ticket, "An answer")
    attachment = emulator.seed_attachment(ticket, "a.txt", b"x", conversation_id=reply)
    found = emulator.ticket(ticket)
    assert found is not None
    assert [(one.id, one.author) for one in found.conversations] == [(501, "agent@example.com")]
    assert [(one.id, one.conversation_id) for one in found.attachments] == [(901, 501)]
    assert download(emulator, attachment).body == b"x"
    with pytest.raises(ValueError, match="no reply 7"):
        emulator.seed_attachment(ticket, "a", b"", conversation_id=7)
    with pytest.raises(ValueError, match="no ticket 7"):
        emulator.seed_attachment(7, "a", b"")
    assert len(emulator.ledger) == 0


# Planted answers.


def test_a_planted_answer_still_asks_who_is_there(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(200, b"planted", "text/plain")
    assert download(emulator).body == b"planted"
    assert call(emulator, "GET", FIRST, headers={"Authorization": None}).status == 401


def test_a_planted_answer_may_depend_on_the_request(emulator: SupportEmulator) -> None:
    def answer(request: EmulatorRequest) -> EmulatorReply:
        return EmulatorReply(200, request.query.encode(), "text/plain")

    emulator.downloads["7"] = answer
    assert call(emulator, "GET", DOWNLOAD.format("7"), a="b").body == b"a=b"


def test_a_name_may_be_anything(emulator: SupportEmulator) -> None:
    headers = (("Content-Disposition", "attachment; filename=\"../../x\"; filename*=utf-8''%2F"),)
    emulator.downloads["901"] = EmulatorReply(200, b"x", "text/plain", headers)
    assert download(emulator).headers["Content-Disposition"] == headers[0][1]


def test_a_length_may_be_a_lie(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(200, b"short", "text/plain", length=10 * 2**30)
    with pytest.raises(http.client.IncompleteRead) as caught:
        download(emulator)
    assert (caught.value.partial, caught.value.expected) == (b"short", 10 * 2**30 - 5)
    emulator.downloads["901"] = EmulatorReply(200, b"too long", "text/plain", length=3)
    head, _, body = raw(emulator).partition(b"\r\n\r\n")
    assert b"Content-Length: 3\r\n" in head
    assert body == b"too long"


def test_a_body_may_end_with_the_connection(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(200, b"to the end", "text/plain", length=-1)
    answer = download(emulator)
    assert "Content-Length" not in answer.headers
    assert answer.body == b"to the end"


def test_a_body_may_drip(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(200, b"drip" * 5, "text/plain", piece=4, pause=0.01)
    started = time.monotonic()
    assert download(emulator).body == b"drip" * 5
    assert time.monotonic() - started >= 0.05
    emulator.downloads["901"] = EmulatorReply(200, b"", "text/plain", piece=4, pause=0.01)
    assert download(emulator).body == b""


def test_a_drip_leaves_the_connection_usable(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(200, b"drip", "text/plain", piece=1, pause=0.001)
    headers = {"apikey": emulator.apikey, "Authorization": f"Bearer {emulator.token}"}
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=5)
    for _ in range(2):
        connection.request("GET", FIRST, headers=headers)
        assert connection.getresponse().read() == b"drip"
    connection.close()
    assert emulator.connections_total == 1


def test_a_drip_ends_when_the_client_leaves(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(200, b"x" * 10**6, "text/plain", piece=1, pause=0.01)
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as client:
        client.sendall(request())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert emulator.connections_open == 1
    deadline = time.monotonic() + 5
    while emulator.connections_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert emulator.connections_open == 0


def test_a_drip_ends_when_the_emulator_does() -> None:
    with SupportEmulator().in_thread() as emulator:
        emulator.downloads["901"] = EmulatorReply(200, b"x" * 10, "text/plain", piece=1, pause=60)
        with pytest.raises(TimeoutError):
            call(emulator, "GET", FIRST, timeout=0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 30


def test_a_body_may_be_a_bomb(emulator: SupportEmulator) -> None:
    emulator.downloads["901"] = EmulatorReply(
        200, bomb(), "text/plain", (("Content-Encoding", "gzip"),)
    )
    answer = download(emulator)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 2**20
    unpacked = zlib.decompressobj(wbits=31).decompress(answer.body, 2**24)
    assert unpacked == b" " * 2**24


def test_a_download_may_lead_elsewhere(emulator: SupportEmulator) -> None:
    headers = (("Location", "http://elsewhere.invalid/"),)
    emulator.downloads["901"] = EmulatorReply(302, b"", "text/html", headers)
    answer = download(emulator)
    assert (answer.status, answer.headers["Location"]) == (302, "http://elsewhere.invalid/")
