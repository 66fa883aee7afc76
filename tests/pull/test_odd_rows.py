"""One odd row of a day concerns that row only, in whatever pieces the answer comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kapture_async import HelpdeskError, KaptureClient, RetryPolicy, UnreadableReplyError
from kapture_async._api import INDIA, codec_of
from kapture_async._core.pull.json_stream import RowSplitter
from kapture_async.tickets.models import TicketRow

from .raw import answering

ODD = {
    "half a surrogate": (b'"detail":"cut \\ud83d"', "detail: half a surrogate pair"),
    "NaN": (b'"score":NaN', "score: NaN"),
    "a control character": (b'"detail":"a\tb"', "detail: a raw control character"),
    "a bad byte": (b'"detail":"caf\xe9"', "detail: a byte that is no UTF-8"),
    "a key given twice": (b'"lob":1,"lob":2', "lob: given 2 times"),
}


def day(more: bytes, *, odd: int = 2, rows: int = 5) -> bytes:
    written = [
        b'{"ticketId":"%d"%s}' % (number, b"," + more if number == odd else b"")
        for number in range(1, rows + 1)
    ]
    return b'{"message":[' + b",".join(written) + b'],"status":"success"}'


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_the_other_rows_come_whole(name: str, step: int) -> None:
    more, problem = ODD[name]
    document = day(more)
    splitter = RowSplitter("message")
    rows: list[Any] = []
    for at in range(0, len(document), step):
        rows += splitter.feed(document[at : at + step])
    assert splitter.finish() == "whole"
    codec = codec_of(INDIA)
    tickets = [codec.decode(row, TicketRow) for row in rows]
    assert [ticket.ticket_id for ticket in tickets] == ["1", "2", "3", "4", "5"]
    assert tickets[1].problems[0].startswith(problem)
    assert not any(ticket.problems for ticket in tickets if ticket.ticket_id != "2")


async def _pull(body: bytes, content_type: str = "application/json") -> list[TicketRow]:
    retry = RetryPolicy(attempts=1)
    async with answering(body, content_type) as server:
        async with KaptureClient(base_url=server.url, token="t", retry=retry) as client:
            return await client.tickets.pull("2024-04-19").all()


@pytest.mark.parametrize(
    ("content_type", "encoding", "before"),
    [
        ("application/json", "utf-8", b"\xef\xbb\xbf"),
        ("application/json", "utf-8", b")]}',\n"),
        ("application/json;charset=ISO-8859-1", "latin-1", b""),
        ("application/json; charset=windows-1252", "cp1252", b""),
        ("application/json; charset=utf-16", "utf-16", b""),
    ],
)
async def test_charsets_of_a_pull(content_type: str, encoding: str, before: bytes) -> None:
    rows = [{"ticketId": str(n), "taskTitle": "Café"} for n in range(50)]
    text = json.dumps({"message": rows, "status": "success"}, ensure_ascii=False)
    found = await _pull(before + text.encode(encoding), content_type)
    assert [row.title for row in found] == ["Café"] * 50
    assert not any(row.problems for row in found)


async def test_a_large_integer_is_exact_and_its_export_keeps_it(tmp_path: Path) -> None:
    number = 123456789012345678901234567890
    body = day(b'"lob":%d' % number)
    (row,) = [row for row in await _pull(body) if row.ticket_id == "2"]
    assert row.raw["lob"] == number
    async with answering(body) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            for form in ("jsonl", "csv"):
                out = tmp_path / f"out.{form}"
                await client.tickets.export(out, start="2024-04-19")
                assert str(number) in out.read_text()


async def test_a_key_given_twice_in_the_envelope_is_a_contradiction() -> None:
    with pytest.raises(UnreadableReplyError, match="twice"):
        await _pull(b'{"message":[],"status":"failed","status":"success"}')


async def test_a_mark_given_twice_confirms_no_ticket() -> None:
    body = b'{"ticket_id":"1","status":"failed","status":"success"}'
    async with answering(body) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            with pytest.raises(HelpdeskError) as caught:
                await client.tickets.add(title="x")
    assert caught.value.outcome == "unknown"


async def test_a_key_given_twice_stands_in_problems_and_the_export_keeps_both(
    tmp_path: Path,
) -> None:
    body = day(b'"lob":1.10,"lob":2')
    (row,) = [row for row in await _pull(body) if row.ticket_id == "2"]
    assert row.raw["lob"] == 2
    assert row.problems == ("lob: given 2 times, the last one is shown",)
    async with answering(body) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            await client.tickets.export(tmp_path / "out.jsonl", start="2024-04-19")
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert lines[1] == b'{"ticketId":"2","lob":1.10,"lob":2}'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"\xef\xbb\xbf" + b'{"ticket_id":"1","status":"success"}'),
        ("application/json", b'{"ticket_id":"1","title":"cut \\ud83d","status":"success"}'),
        ("application/json", b'{"ticket_id":"1","title":"caf\xe9","score":NaN,"status":"success"}'),
        ("text/html; charset=latin-1", b'{"ticket_id":"1","title":"caf\xe9","status":"success"}'),
        ("application/json", '{"ticket_id":"1","status":"success"}'.encode("utf-16")),
    ],
)
async def test_a_confirmed_ticket_stays_confirmed(content_type: str, body: bytes) -> None:
    async with answering(body, content_type) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            assert (await client.tickets.add(title="x")).ticket_id == "1"
    assert len(server.calls) == 1
