"""What goes out on the wire."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapture_async._core.testing.forms import FormFile, read_multipart
from kapture_async._core.transport.request import form_body
from support_async import NewTicket, SupportClient
from support_async._files import read_attachment
from support_async.events import RetryScheduled, TransportEvent
from support_async.testing import Fault, FaultPlan, SupportEmulator
from support_async.tickets.models import create_form

from ..wire import TICKET, client_of
from .shared import CONTENT, WHOLE, assert_sent


async def test_a_form_has_a_length_and_no_empty_fields(
    emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = emulator.seed(tags=[1])
    await client.tickets.create(**TICKET)
    await client.tickets.create(**TICKET, attachment=("a.bin", WHOLE))
    await client.tickets.reply(ticket_id, "x")
    await client.tickets.update(ticket_id, tags=[2, 3, 1, 3])
    await client.tickets.update(ticket_id, tags=[3], priority="2")
    await client.tickets.close(ticket_id)
    expected = [
        [*["subject", "priority", "comment", "category"]],
        [*["subject", "priority", "comment", "category", "attachment"]],
        ["ticket", "comment"],
        ["ticket_id", "tags", "tags", "tags"],
        ["ticket_id", "priority", "tags"],
        ["ticket", "status"],
    ]
    found = []
    for request in emulator.received:
        assert request.method == "POST"
        assert int(request.headers["Content-Length"]) == len(request.body) > 0
        assert "Transfer-Encoding" not in request.headers
        assert "Expect" not in request.headers
        assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
        form = read_multipart(request.body, request.headers["Content-Type"])
        assert all(value != "" for name in form for value in form.values(name))
        found.append([n.decode() for n in re.findall(rb'form-data; name="(\w+)"', request.body)])
    assert found == expected
    assert emulator.ledger.of("tickets.update")[0].payload["tags"] == ["2", "3", "1"]


NAMES = {
    "plain.txt": "plain.txt",
    "résumé 日本語 \N{GRINNING FACE}.txt": "résumé 日本語 \N{GRINNING FACE}.txt",
    'quo"ted".txt': "quo_ted_.txt",
    "100%25 ;=',.txt": "100%25 ;=',.txt",
    "../../etc/passwd": "passwd",
    "C:\\dir\\sample.txt": "sample.txt",
    'a\r\nContent-Type: text/html\r\n\r\n<b>"': "html____<b>_",
    "..": "attachment",
    "\x80\u200b": "attachment",
    "dir/": "file",
    "no UTF-8 \udce9.txt": "no UTF-8 _.txt",
    "&amp; &#47; x.txt": "_amp; _#47; x.txt",
    "AT&T.txt": "AT&T.txt",
    "x" * 300 + ".txt": "x" * 96 + ".txt",
    "é" * 300: "é" * 100,
    "x." + "y" * 300: "x." + "y" * 98,
}


@pytest.mark.parametrize("name", NAMES)
async def test_names_as_the_service_keeps_them(
    emulator: SupportEmulator, client: SupportClient, name: str
) -> None:
    await client.tickets.create(**TICKET, attachment=(name, b"content"))
    assert_sent(emulator, b"content", NAMES[name])
    head = emulator.received[-1].body.partition(b'name="attachment"')[2].partition(b"\r\n\r\n")[0]
    # One line for the name, which is as it is shown; one for the type; no other.
    assert head.decode().split("\r\n")[0] == f'; filename="{NAMES[name]}"'
    assert len(head.split(b"\r\n")) == 2


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1) | st.text("&#x2f47;./ \\lt", min_size=1))
def test_no_name_leaves_its_place(name: str) -> None:
    """Whatever the name, the form holds one file with that content, and nothing else new."""
    if not name.strip():
        return
    file = asyncio.run(read_attachment((name, b"content"), 100))
    ticket = NewTicket(subject="s", comment="c", category="3", priority="1")
    body = form_body(create_form(ticket, file))
    form = read_multipart(b"".join(body.segments), body.content_type)
    assert sorted(form) == ["attachment", "category", "comment", "priority", "subject"]
    kept = form.last("attachment")
    assert isinstance(kept, FormFile)
    assert kept.content == b"content"
    assert 0 < len(kept.name) <= 100
    assert not set(kept.name) & set('/\\"\r\n\0')


async def test_told_to_wait_the_same_bytes_go_again(
    emulator: SupportEmulator, tmp_path: Path
) -> None:
    emulator.faults = FaultPlan.script([Fault("status", status=429, retry_after="0")])
    source = tmp_path / "a.bin"
    source.write_bytes(WHOLE)

    def change(event: TransportEvent) -> None:
        if isinstance(event, RetryScheduled):
            source.write_bytes(b"changed meanwhile")

    async with client_of(emulator, on_event=change) as client:
        await client.tickets.create(**TICKET, attachment=source)
    first, second = emulator.received
    assert first.body == second.body
    assert source.read_bytes() == b"changed meanwhile"
    assert_sent(emulator, WHOLE, "a.bin")


async def test_after_a_refused_connection_all_of_it_goes_out(emulator: SupportEmulator) -> None:
    """Out of a pipe, which can be read only once."""
    emulator.stop_listening()
    tries = []

    def up_again(event: TransportEvent) -> None:
        if isinstance(event, RetryScheduled):
            tries.append(event.number)
            emulator.listen_again()

    ends = os.pipe()
    with os.fdopen(ends[1], "wb") as pipe:
        pipe.write(CONTENT[:4096])
    with os.fdopen(ends[0], "rb") as pipe:
        async with client_of(emulator, on_event=up_again) as client:
            await client.tickets.create(**TICKET, attachment=("piped.bin", pipe))
    assert tries == [1]
    assert_sent(emulator, CONTENT[:4096], "piped.bin")
    assert len(emulator.received) == 1
