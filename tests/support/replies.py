"""Replies of the support service for its rule of success: made here, judged in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from kapture_async._core.response import ResponseContext
from kapture_async._core.secret import Secret
from kapture_async._core.transport.auth import KeyPerApi
from kapture_async._core.transport.request import Operation, RawReply
from kapture_async._core.transport.settings import TransportSettings
from kapture_async._core.transport.transport import Transport
from kapture_async._core.transport.urls import parse_base_url
from support_async import HelpdeskError
from support_async._responses import check_response, is_stale_token

SAMPLES = Path(__file__).parent.parent / "samples" / "support"
APIKEY, TOKEN = "canary-apikey-77b1", "canary-token-5f2e9a"

TRANSPORT = Transport(
    TransportSettings(service="support", base_url=parse_base_url("https://help.example.com/api")),
    KeyPerApi(None, {}, also=(Secret(APIKEY), Secret(TOKEN))),
)
WRITES = ["tickets.create", "tickets.update", "tickets.reply", "tickets.set_status"]
LISTS = ["categories.list", "tags.list", "tickets.history"]
WITH_FILE = ["tickets.create", "tickets.reply"]
DOWNLOAD = "attachments.download"
PLAIN = [*WRITES, *LISTS, "tickets.get"]
ALL = [*PLAIN, DOWNLOAD, "login"]
OF_ONE_TICKET = ["tickets.get", "tickets.update", "tickets.reply", "tickets.set_status"]


def operation(name: str) -> Operation:
    return Operation(name=name, path="/x/", effect="write" if name in WRITES else "read")


def response_of(
    name: str, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> ResponseContext:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    reply = RawReply(status=status, headers=CIMultiDict(headers or {}), body=raw)
    return ResponseContext(TRANSPORT, operation(name), reply, with_file=name in WITH_FILE)


def refused(
    name: str, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> HelpdeskError:
    with pytest.raises(HelpdeskError) as caught:
        check_response(response_of(name, body, status, headers))
    assert caught.value.operation == name
    assert caught.value.status == status
    return caught.value


def stale(
    name: str, body: Any, status: int = 401, headers: Mapping[str, str] | None = None
) -> bool:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return is_stale_token(operation(name), status, CIMultiDict(headers or {}), raw)


BEARER = {"WWW-Authenticate": 'Bearer realm="api"'}

# Texts of the service, as its documentation prints them.
REQUIRED = "This field is required."
TOO_BIG = "File is too big. Max filesize: 2MiB."
NOT_MINE = "You are not the owner of the requested ticket,"
BAD_PK = 'Invalid pk "999" - object does not exist.'
LIMIT = "Currenly Open Ticket Limit Exceed."
