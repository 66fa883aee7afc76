"""A confirmed call stays confirmed in whatever charset, and with odd texts in it."""

from __future__ import annotations

import pytest

from support_async import SupportClient, UnreadableReplyError

from ..pull.raw import answering

DONE = '{"status_code":200,"errors":{},"data":{"id":7,"comment":"Café"}}'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"\xef\xbb\xbf" + DONE.encode()),
        ("application/json", b")]}',\n" + DONE.encode()),
        ("application/json; charset=ISO-8859-1", DONE.encode("latin-1")),
        ("application/json; charset=windows-1252", DONE.encode("cp1252")),
        ("application/json", DONE.encode("utf-16")),
        ("application/json", DONE.encode().replace("é".encode(), b"\xe9")),
        ("application/json", DONE.replace("é", "\\ud83d").encode()),
        ("application/json", DONE.replace("é", "\t").encode()),
        ("application/json", DONE.replace("7", "NaN").encode()),
    ],
    ids=range(9),
)
async def test_a_confirmed_call_stays_confirmed(content_type: str, body: bytes) -> None:
    async with (
        answering(body, content_type) as server,
        SupportClient(server.url, apikey="k", access_token="t") as client,
    ):
        found = await client.request("/support/x/", form={"a": "b"})
    assert found["data"]["comment"].startswith("Caf")


async def test_an_unknown_answer_is_quoted() -> None:
    body = b'{"status":"error","message":"subject is missing"}'
    async with (
        answering(body) as server,
        SupportClient(server.url, apikey="k", access_token="t") as client,
    ):
        with pytest.raises(UnreadableReplyError, match="subject is missing"):
            await client.request("/support/x/", form={"a": "b"})
