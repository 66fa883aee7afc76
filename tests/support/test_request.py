"""Calls that have no method: any path, with the same sending and judging."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from support_async import (
    AuthenticationError,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    Secret,
    SupportClient,
    SyncSupportClient,
    UnreadableReplyError,
    ValidationError,
)
from support_async.testing import EmulatorReply, EmulatorRequest, SupportEmulator

from .made import QUICK, client_of
from .wire import ONCE, Served, reset, serving, settings_for

DONE = {"status_code": 200, "errors": {}, "data": {"name": "x"}}


class Platform(SupportEmulator):
    """An emulator that serves more than the documented calls."""

    def __init__(self, body: Any = DONE, status: int = 200, **settings: Any) -> None:
        super().__init__(**settings)
        self.body = body if isinstance(body, bytes) else orjson.dumps(body)
        self.status = status

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        if request.path.startswith("/user/login/"):
            return super().handle(request)
        return EmulatorReply(self.status, self.body, "application/json")


async def test_what_goes_out() -> None:
    async with Platform() as emulator, client_of(emulator) as client:
        answer = await client.request(
            "/user/profile/",
            method="post",
            form={"name": "é & ü", "tags": [1, "2"], "left_out": None, "size": 1.5},
            query={"page": 2, "of": ("a b", "c&d")},
            headers={"X-One": "1"},
        )
        assert answer == DONE
        await client.request("/user/profile/", method="GET", effect="read")
        await client.request("/user/logout/")
    first, second, third = emulator.received
    assert (first.method, first.path) == ("POST", "/user/profile/")
    assert first.query == "page=2&of=a+b&of=c%26d"
    assert first.headers["content-type"].startswith("multipart/form-data")
    assert int(first.headers["content-length"]) == len(first.body)
    assert first.headers["x-one"] == "1"
    parts = [part.split(b"\r\n") for part in first.body.split(b"--")[1:] if b"name=" in part]
    assert [(p[1].split(b'"')[1].decode(), p[3].decode()) for p in parts] == [
        ("name", "é & ü"),
        ("tags", "1"),
        ("tags", "2"),
        ("size", "1.5"),
    ]
    assert (second.method, second.query, second.body) == ("GET", "", b"")
    assert (third.method, third.body) == ("POST", b"")
    for request in emulator.received:
        assert request.headers["authorization"] == f"Bearer {emulator.token}"
        assert request.headers["apikey"] == emulator.apikey


async def test_without_the_access_token() -> None:
    async with Platform() as emulator:
        async with SupportClient(emulator.url, apikey=emulator.apikey) as client:
            await client.request("/user/token/refresh/", authenticated=False)
        [request] = emulator.received
        assert "authorization" not in request.headers
        assert request.headers["apikey"] == emulator.apikey


@pytest.mark.parametrize(
    ("body", "bare_is_taken"),
    [
        (DONE, True),
        ({"status_code": 200, "errors": {}, "data": []}, True),
        ({"access": "t"}, True),
        ([{"id": 1}], True),
        ([], True),
        ({}, True),
        ("text", False),
        (None, False),
        (b"not json", False),
        (b"", False),
        ({"status_code": 200, "errors": {"a": ["b"]}, "data": {}}, False),
        ({"status_code": 404, "errors": {"detail": "b"}, "data": {}}, False),
        ({"errors": {"a": ["b"]}}, False),
    ],
    ids=repr,
)
async def test_what_is_success(body: Any, bare_is_taken: bool) -> None:
    enveloped = isinstance(body, dict) and body.get("status_code") == 200 and not body["errors"]
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    async with Platform(raw) as emulator, client_of(emulator) as client:
        for marks_success, taken in ((True, enveloped), (False, bare_is_taken)):
            call = client.request("/x/", marks_success=marks_success)
            if taken:
                assert await call == body
                continue
            with pytest.raises((UnreadableReplyError, ValidationError, NotFoundError)) as caught:
                await call
            assert "not json" not in str(caught.value)  # it may be a token


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ValidationError), (401, AuthenticationError), (404, NotFoundError)],
)
async def test_refusals(status: int, error: type[Exception]) -> None:
    async with Platform({"detail": "no"}, status) as emulator, client_of(emulator) as client:
        with pytest.raises(error) as caught:
            await client.request("/x/", marks_success=False)
        assert "request" in str(caught.value)


async def test_only_reads_go_again() -> None:
    async def script(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await served.request(reader)
        reset(writer)

    async with serving(script) as served:
        async with SupportClient(**settings_for(served.url)) as client:
            with pytest.raises(NoReplyError) as caught:
                await client.request("/x/")
            assert (len(served.heads), caught.value.may_have_been_applied) == (1, True)
            with pytest.raises(NoReplyError) as caught:
                await client.request("/x/", effect="read")
            assert (len(served.heads), caught.value.may_have_been_applied) == (4, False)


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "x"},
        {"path": "https://other.example/x/"},
        {"path": "/a/../b/"},
        {"path": "/x/?a=b"},
        {"path": "/x/", "effect": "both"},
        {"path": "/x/", "method": "GE T"},
        {"path": "/x/", "method": 7},
        {"path": "/x/", "method": "GET"},  # a write
        {"path": "/x/", "form": ["a"]},
        {"path": "/x/", "form": {"a": {"b": "canary"}}},
        {"path": "/x/", "form": {"a": b"canary"}},
        {"path": "/x/", "form": {"a": True}},
        {"path": "/x/", "form": {"a": "canary\ud800"}},
        {"path": "/x/", "form": {'a"b': "canary"}},
        {"path": "/x/", "query": {"a": "canary\ud800"}},
        {"path": "/x/", "query": {"a": ["x", ...]}},
    ],
    ids=repr,
)
async def test_what_cannot_be_meant(arguments: dict[str, Any]) -> None:
    async with Platform() as emulator, client_of(emulator, retry=ONCE) as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.request(**arguments)
        assert not emulator.requests
    assert "canary" not in str(caught.value) + repr(caught.value)


async def test_the_refresh_of_the_docstring() -> None:
    """A provider that asks for another token by a path of the installation's own."""
    async with Platform({"access": "second"}) as emulator:

        async def provider() -> Secret:
            answer = await client.request(
                "/user/token/refresh/",
                form={"refresh": "r"},
                effect="read",
                authenticated=False,
                marks_success=False,
            )
            return Secret(answer["access"])

        client = SupportClient(
            emulator.url, apikey=emulator.apikey, token_provider=provider, retry=QUICK
        )
        async with client:
            await client.request("/x/", marks_success=False)
        assert [request.headers.get("authorization") for request in emulator.received] == [
            None,
            "Bearer second",
        ]


async def test_an_unauthenticated_call_asks_nobody_for_a_token() -> None:
    async def provider() -> str:
        raise AssertionError

    refusal = {"detail": "x", "code": "token_not_valid"}
    async with Platform(refusal, 401) as emulator:
        async with client_of(emulator, token_provider=provider) as client:
            with pytest.raises(AuthenticationError):
                await client.request("/x/", authenticated=False)
        assert len(emulator.received) == 1


def test_the_sync_client() -> None:
    with Platform().in_thread() as emulator:
        with SyncSupportClient(
            emulator.url, apikey=emulator.apikey, access_token=emulator.token
        ) as client:
            assert client.request("/x/", form={"a": 1}) == DONE
