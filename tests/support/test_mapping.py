"""Which call makes which request, field for field: quick checks without a socket.

aioresponses answers in place of aiohttp, so these see what is handed to it, and nothing of the
wire; the tests against the emulator do that.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from aioresponses import aioresponses
from aioresponses.compat import normalize_url
from yarl import URL

from support_async import InvalidInputError, SupportClient, UnreadableReplyError

from .made import TICKET

HOST = "https://support.example.com/api/v1"
DETAIL = f"{HOST}/support/ticket/detailed-view/"
UPDATE = f"{HOST}/support/update/ticket/"

CALLS: dict[str, tuple[str, str, str, Any, Any]] = {
    "categories": (
        "GET",
        "/support/get/category-list/",
        "category_list",
        lambda c: c.categories.list(),
        None,
    ),
    "tags": ("GET", "/support/get/ticket/tags/", "tag_list", lambda c: c.tags.list(), None),
    "create": (
        "POST",
        "/support/create/ticket/",
        "create_ticket",
        lambda c: c.tickets.create(**TICKET),
        [
            ("subject", "First sample subject"),
            ("priority", "1"),
            ("comment", "First sample text"),
            ("category", "3"),
        ],
    ),
    "history": (
        "GET",
        "/support/get/ticket/history/?offset=0&limit=50",
        "ticket_history",
        lambda c: c.tickets.history(),
        None,
    ),
    "history with filters": (
        "GET",
        "/support/get/ticket/history/?offset=10&limit=5&subject=a+%26+%C3%BC%2B%25&category=3&status=1",
        "ticket_history",
        lambda c: c.tickets.history(offset=10, limit=5, subject="a & ü+%", category="3", status=1),
        None,
    ),
    "get": (
        "GET",
        "/support/ticket/detailed-view/?ticket_id=101",
        "detailed_view",
        lambda c: c.tickets.get(101),
        [("ticket_id", "101")],
    ),
    "update": (
        "POST",
        "/support/update/ticket/",
        "update_ticket",
        lambda c: c.tickets.update("101", tags=[2, 1, 2], priority="3"),
        [("ticket_id", "101"), ("priority", "3"), ("tags", "2"), ("tags", "1")],
    ),
    "reply": (
        "POST",
        "/support/ticket/conversation/",
        "add_conversation",
        lambda c: c.tickets.reply("101", "c", attachment=("a b.txt", b"12")),
        [("ticket", "101"), ("comment", "c"), ("attachment", "12")],
    ),
    "close": (
        "POST",
        "/support/ticket/status/",
        "change_status",
        lambda c: c.tickets.close("101"),
        [("ticket", "101"), ("status", "3")],
    ),
    "reopen": (
        "POST",
        "/support/ticket/status/",
        "change_status",
        lambda c: c.tickets.reopen("101"),
        [("ticket", "101"), ("status", "2")],
    ),
    "login": (
        "POST",
        "/user/login/",
        "login",
        lambda c: c.login("u", "p"),
        [("username", "u"), ("password", "p")],
    ),
}


def new_client(**more: Any) -> SupportClient:
    return SupportClient(HOST, apikey="k", access_token="t", **more)


def fields_of(body: bytes) -> list[tuple[str, str]]:
    parts = re.findall(rb'form-data; name="(\w+)"[^\r]*\r\n(?:[\w-]+: .*\r\n)*\r\n(.*)\r\n--', body)
    return [(name.decode(), value.decode()) for name, value in parts]


@pytest.mark.parametrize("name", CALLS)
async def test_requests(sample: Any, name: str) -> None:
    method, path, reply, call, fields = CALLS[name]
    with aioresponses() as mock:
        mock.add(HOST + path, method, payload=sample(f"support/{reply}.response"))
        async with new_client() as client:
            await call(client)
        [(called, [request])] = mock.requests.items()
    # As it goes over the wire (compared decoded, a plus and a blank would be the same), though
    # aioresponses puts the parts of a query in an order of its own.
    assert called == (method, normalize_url(URL(HOST + path, encoded=True)))
    headers = request.kwargs["headers"]
    assert headers["apikey"] == "k"
    assert headers.get("Authorization") == (None if name == "login" else "Bearer t")
    assert request.kwargs["allow_redirects"] is False
    data = request.kwargs["data"]
    assert (data is None) == (fields is None)
    if fields is not None:
        body = await data.as_bytes()
        assert fields_of(body) == fields
        assert data.size == len(body)
        assert data.content_type.startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize(
    ("reply", "shape"),
    [
        ("category_list", lambda data: data["CategoryList"]),
        ("category_list", lambda data: {"results": data["CategoryList"], "count": 2}),
        ("category_list", lambda data: {"CategoryList": data["CategoryList"], "more": 1}),
    ],
    ids=["bare", "results", "further keys"],
)
async def test_shapes_of_a_list(sample: Any, reply: str, shape: Any) -> None:
    body = sample(f"support/{reply}.response")
    with aioresponses() as mock:
        mock.get(f"{HOST}/support/get/category-list/", payload=body | {"data": shape(body["data"])})
        async with new_client() as client:
            assert [row.category_id for row in await client.categories.list()] == ["3", "4"]


async def test_one_object_is_a_list_of_one(sample: Any) -> None:
    body = sample("support/tag_list.response")
    body["data"]["TicketTagList"] = body["data"]["TicketTagList"][0]
    with aioresponses() as mock:
        mock.get(f"{HOST}/support/get/ticket/tags/", payload=body)
        async with new_client() as client:
            assert [tag.tag_id for tag in await client.tags.list()] == ["1"]


async def test_another_ticket_than_asked_for_is_no_answer(sample: Any) -> None:
    with aioresponses() as mock:
        mock.get(f"{DETAIL}?ticket_id=7", payload=sample("support/detailed_view.response"))
        async with new_client() as client:
            with pytest.raises(UnreadableReplyError, match="another ticket than the requested one"):
                await client.tickets.get(7)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"ticket": {"subject": "canary"}}, "a ticket"),
        ({"conversations": [{"comment": "canary"}]}, "a reply"),
        ({"attachments": [{"name": "canary"}]}, "an attachment"),
    ],
)
async def test_what_has_no_id_makes_an_answer_unreadable(
    sample: Any, part: Any, words: str
) -> None:
    body = sample("support/detailed_view.response")
    body["data"] |= part
    with aioresponses() as mock:
        mock.get(f"{DETAIL}?ticket_id=101", payload=body)
        mock.get(
            f"{HOST}/support/get/category-list/",
            payload={**body, "data": {"CategoryList": [{"category": "canary"}]}},
        )
        mock.get(
            f"{HOST}/support/get/ticket/tags/",
            payload={**body, "data": {"TicketTagList": [{"id": 1}, {"tag": "canary"}]}},
        )
        async with new_client() as client:
            for call, what in (
                (client.tickets.get(101), words),
                (client.categories.list(), "a category"),
                (client.tags.list(), "a tag"),
            ):
                with pytest.raises(UnreadableReplyError, match=f"{what} without an id") as caught:
                    await call
                assert "canary" not in str(caught.value)
                assert (caught.value.service, caught.value.status) == ("support", 200)


async def test_the_ticket_id_may_come_as_text(sample: Any) -> None:
    body = sample("support/detailed_view.response")
    body["data"]["ticket"]["id"] = "101"
    with aioresponses() as mock:
        mock.get(f"{DETAIL}?ticket_id=101", payload=body)
        async with new_client() as client:
            assert (await client.tickets.get(101)).ticket_id == "101"


@pytest.mark.parametrize("tags", [[1, {"id": 2}], [1, True], "1,2", {"1": 2}], ids=repr)
async def test_tags_that_cannot_be_read_are_never_sent_back_in_part(sample: Any, tags: Any) -> None:
    # The tags replace what is there: one that was not understood would be lost.
    body = sample("support/detailed_view.response")
    body["data"]["ticket"]["tags"] = tags
    with aioresponses() as mock:
        mock.get(f"{DETAIL}?ticket_id=101", payload=body)
        mock.post(UPDATE, payload=sample("support/update_ticket.response"))
        async with new_client() as client:
            with pytest.raises((UnreadableReplyError, InvalidInputError)) as caught:
                await client.tickets.set_priority(101, 3)
        assert ("POST", URL(UPDATE)) not in mock.requests
    # It has tags, so to say that it has none would be wrong.
    assert "has no tags" not in str(caught.value)
