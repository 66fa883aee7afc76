"""Query strings and forms of any call, the window of a pull, and what clients found in the wild."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kapture_async import InvalidInputError, KaptureClient, UnreadableReplyError
from kapture_async._api import INDIA, codec_of
from kapture_async.tickets.models import TicketRow

from ..pull.raw import RawServer, answering

EMPTY = b'{"message":[],"status":"success"}'


async def sent_by(*arguments: Any, **more: Any) -> tuple[str, str, bytes]:
    """The first line, the content type and the body of one request."""
    async with (
        answering(b'{"success":true}') as server,
        KaptureClient(base_url=server.url, token="t") as client,
    ):
        await client.request(*arguments, marks_success=False, effect="read", **more)
    (call,) = server.calls
    first, *lines = call.head.decode().split("\r\n")
    kinds = [line for line in lines if line.lower().startswith("content-type")]
    return first, kinds[0].partition(":")[2].strip() if kinds else "", call.body


async def test_a_query_string() -> None:
    query = {"phone": "+49 1&2", "n": 7, "tag": ["a", "b"], "none": None}
    first, _, body = await sent_by("/ms/order/list", method="GET", query=query)
    assert first == "GET /ms/order/list?phone=%2B49+1%262&n=7&tag=a&tag=b HTTP/1.1"
    assert body == b""
    first, _, body = await sent_by("/pull-data", {"a": 1}, wrap="object", query={"b": "2"})
    assert first == "POST /pull-data?b=2 HTTP/1.1"
    assert json.loads(body) == {"a": 1}


async def test_a_form() -> None:
    form = {"reportType": "T", "ids": [1, 2], "text": "ü&="}
    first, kind, body = await sent_by("/ms/kreport/generic-report/generate", form=form)
    assert first.startswith("POST /ms/kreport/generic-report/generate ")
    assert kind == "application/x-www-form-urlencoded"
    assert body == b"reportType=T&ids=1&ids=2&text=%C3%BC%26%3D"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"body": {}, "form": {}}, "not both"),
        ({"query": "a=1"}, "query must be a mapping"),
        ({"form": {"a": object()}}, "form: a must be text or a number"),
        ({"query": {"a": "\ud800"}}, "not valid Unicode"),
        ({"path": "/x?a=1"}, "is not a path"),
    ],
)
async def test_what_cannot_be_sent(more: dict[str, Any], words: str) -> None:
    async with answering(EMPTY) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            with pytest.raises(InvalidInputError, match=words) as caught:
                await client.request(**{"path": "/x", **more})
    assert not server.calls
    if "path" in more:
        assert "query=" in str(caught.value)


async def windows(server: RawServer) -> list[tuple[str, str]]:
    bodies = [json.loads(call.body)[0] for call in server.calls]
    return sorted((body["start_date"], body["end_date"]) for body in bodies)


async def test_a_window_of_another_form_is_sent_as_it_is() -> None:
    async with answering(EMPTY) as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            await client.tickets.pull("2024-04-19", extra={"end_date": "2024-04-20"}).all()
            with pytest.raises(InvalidInputError, match="one day only"):
                client.tickets.pull("2024-04-19", "2024-04-20", extra={"end_date": "2024-04-21"})
            with pytest.raises(InvalidInputError, match="start and end"):
                await client.tickets.export("x.csv", start="2024-04-19", extra={"end_date": "x"})
        assert await windows(server) == [("2024-04-19", "2024-04-20")]


async def test_an_exclusive_end(tmp_path: Path) -> None:
    async with answering(EMPTY) as server:
        async with KaptureClient(base_url=server.url, token="t", exclusive_end=True) as client:
            await client.tickets.pull("2024-02-28", "2024-02-29").all()
            await client.with_options(timeout=9).tickets.export(
                tmp_path / "x.csv", start="2024-12-31"
            )
        assert await windows(server) == [
            ("2024-02-28", "2024-02-29"),
            ("2024-02-29", "2024-03-01"),
            ("2024-12-31", "2025-01-01"),
        ]


async def test_replies_of_older_pages_in_lower_case() -> None:
    async def answer(body: dict[str, Any], what: str) -> Any:
        async with (
            answering(json.dumps(body).encode()) as server,
            KaptureClient(base_url=server.url, token="t") as client,
        ):
            if what == "ticket":
                return await client.tickets.add(title="x")
            if what == "customer":
                return await client.customers.add(customer_name="x", phone="1")
            return await client.customers.get(customer_id="7")

    added = await answer({"status": "Success", "ticket id": "7"}, "ticket")
    assert added.ticket_id == "7"
    saved = await answer(
        {"status": "success", "message": "added", "kapture customer id": 7}, "customer"
    )
    assert (saved.customer_id, saved.message) == ("7", "added")
    found = await answer({"status": "success", "customer details": {"id": 7, "attr20": "x"}}, "get")
    assert found.customer_id == "7"
    assert found.details["attr20"] == "x"


async def test_success_false_confirms_nothing() -> None:
    async with answering(b'{"success":false}') as server:
        async with KaptureClient(base_url=server.url, token="t") as client:
            with pytest.raises(UnreadableReplyError):
                await client.request("/x", {}, marks_success=False)


def test_columns_that_only_some_tenants_have() -> None:
    more = {"city": "x", "hub": 1, "lob": None, "comment": "y"}
    row = codec_of(INDIA).decode({"ticketId": 7, "referenceId": 2**40, **more}, TicketRow)
    assert (row.ticket_id, row.reference_id) == ("7", str(2**40))
    assert row.extra == more
    assert not row.problems
