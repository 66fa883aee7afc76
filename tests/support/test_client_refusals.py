"""What both servers refuse, and which error the client makes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support_async import (
    AttachmentTooLargeError,
    AuthenticationError,
    ConflictError,
    HelpdeskError,
    NotFoundError,
    OpenTicketLimitError,
    PermissionDeniedError,
    RedirectedError,
    RejectedError,
    SupportClient,
    ValidationError,
)

from .clients import MIB, RANDOM, connect, create
from .servers import MEMBER, OTHER, Server, Stage

BOTH_SHAPES = pytest.mark.parametrize(
    "stage", [Stage(wrapped=True), Stage(wrapped=False)], ids=["wrapped", "bare"]
)
Call = Callable[[SupportClient], Awaitable[Any]]
NOT_OWNER = "You are not the owner of the requested ticket"
NOWHERE = Path("not-made.bin")
NO_CHOICE = '"9" is not a valid choice.'

# The member's ticket 101 is open and 102 closed; 103 is somebody else's, with file 901.
REFUSALS: dict[str, tuple[Call, type[HelpdeskError], dict[str, tuple[str, ...]]]] = {
    "create: priority": (
        lambda c: create(c, priority="9"),
        ValidationError,
        {"priority": (NO_CHOICE,)},
    ),
    "create: category": (
        lambda c: create(c, category=999),
        ValidationError,
        {"category": ('Invalid pk "999" - object does not exist.',)},
    ),
    "create: both": (
        lambda c: create(c, category=999, priority="9"),
        ValidationError,
        {
            "priority": (NO_CHOICE,),
            "category": ('Invalid pk "999" - object does not exist.',),
        },
    ),
    "create: empty file": (
        lambda c: create(c, attachment=b""),
        ValidationError,
        {"attachment": ("The submitted file is empty.",)},
    ),
    "create: null character": (
        lambda c: create(c, subject="a\0b"),
        ValidationError,
        {"subject": ("Null characters are not allowed.",)},
    ),
    "create: more text than the server reads": (
        lambda c: create(c, comment="x" * (5 * MIB // 2)),
        ValidationError,
        {},
    ),
    "create: file too large": (
        lambda c: create(c, attachment=RANDOM + b"x"),
        AttachmentTooLargeError,
        {"attachment": ("File is too big. Max filesize: 2MiB.",)},
    ),
    "get: unknown": (
        lambda c: c.tickets.get(999),
        NotFoundError,
        {"ticket_id": ("Ticket id is not valid",)},
    ),
    "get: no number that a database has": (
        lambda c: c.tickets.get("9" * 30),
        NotFoundError,
        {"ticket_id": ("Ticket id is not valid",)},
    ),
    "get: foreign": (
        lambda c: c.tickets.get(103),
        PermissionDeniedError,
        {"ticket_id": (NOT_OWNER,)},
    ),
    "update: unknown": (
        lambda c: c.tickets.update(999, tags=[1]),
        NotFoundError,
        {"ticket_id": ("Ticket id is not valid",)},
    ),
    "update: foreign": (
        lambda c: c.tickets.update(103, tags=[1]),
        PermissionDeniedError,
        {"ticket_id": (NOT_OWNER,)},
    ),
    "update: tag": (
        lambda c: c.tickets.update(101, tags=[1, 99]),
        ValidationError,
        {"tags": ('Invalid pk "99" - object does not exist.',)},
    ),
    "update: priority": (
        lambda c: c.tickets.update(101, tags=[1], priority="9"),
        ValidationError,
        {"priority": (NO_CHOICE,)},
    ),
    "set_priority: foreign": (
        lambda c: c.tickets.set_priority(103, "1"),
        PermissionDeniedError,
        {"ticket_id": (NOT_OWNER,)},
    ),
    "reply: unknown": (
        lambda c: c.tickets.reply(999, "x"),
        NotFoundError,
        {"ticket_id": ('Invalid pk "999" - object does not exist.',)},
    ),
    "reply: foreign": (
        lambda c: c.tickets.reply(103, "x"),
        PermissionDeniedError,
        {"ticket_id": (f"{NOT_OWNER}.",)},
    ),
    "reply: empty file": (
        lambda c: c.tickets.reply(101, "x", attachment=b""),
        ValidationError,
        {"attachment": ("The submitted file is empty.",)},
    ),
    "reply: file too large": (
        lambda c: c.tickets.reply(101, "x", attachment=RANDOM + b"x"),
        AttachmentTooLargeError,
        {"attachment": ("File is too big. Max filesize: 2MiB.",)},
    ),
    "close: already closed": (
        lambda c: c.tickets.close(102),
        ConflictError,
        {"ticket_id": ("Ticket is already closed",)},
    ),
    "reopen: already open": (
        lambda c: c.tickets.reopen(101),
        ConflictError,
        {"ticket_id": ("Ticket is already open",)},
    ),
    "close: unknown": (
        lambda c: c.tickets.close(999),
        NotFoundError,
        {"ticket_id": ("Ticket id is not valid",)},
    ),
    "close: foreign": (
        lambda c: c.tickets.close(103),
        PermissionDeniedError,
        {"ticket_id": ("You Can't open or close this Ticket",)},
    ),
    "download: unknown": (
        lambda c: c.attachments.download(999, NOWHERE),
        NotFoundError,
        {"": ("No TicketAttachment matches the given query.",)},
    ),
    "download: foreign": (
        lambda c: _read(c, 901),
        NotFoundError,
        {"": ("No TicketAttachment matches the given query.",)},
    ),
}


@BOTH_SHAPES
async def test_refusals(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the download would be
    async with connect(server, max_attachment_bytes=4 * MIB) as client:
        async with connect(server, OTHER) as other:
            await create(client)
            await client.tickets.close(await create(client))
            await create(other, attachment=("a.txt", b"a"))
        before = await client.tickets.get("101"), await client.tickets.get("102")
        for name, (call, kind, fields) in REFUSALS.items():
            with pytest.raises(RejectedError) as caught:
                await call(client)
            found = type(caught.value), dict(caught.value.fields)
            assert found == (kind, fields), name
            assert caught.value.status == (404 if name.startswith("download") else 400), name
        after = await client.tickets.get("101"), await client.tickets.get("102")
    assert [ticket.raw for ticket in before] == [ticket.raw for ticket in after]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "stage", [Stage(True, open_ticket_limit=1), Stage(False, open_ticket_limit=1)]
)
async def test_open_ticket_limit_is_no_matter_of_tokens(server: Server) -> None:
    asked: list[str] = []

    async def provider() -> str:
        asked.append("asked")
        return server.token()

    token = server.token()
    async with connect(server, access_token=token, token_provider=provider) as client:
        await create(client)
        with pytest.raises(OpenTicketLimitError, match="Currenly Open Ticket Limit Exceed"):
            await create(client)
        await client.tickets.close("101")
        assert await create(client) == "102"
    assert asked == []


@BOTH_SHAPES
async def test_bad_credentials(server: Server) -> None:
    for settings, kind, status in (
        ({"access_token": server.token(MEMBER, -60)}, AuthenticationError, 401),
        ({"access_token": "a.b.c"}, AuthenticationError, 401),
        ({"apikey": "wrong"}, PermissionDeniedError, 403),
    ):
        async with connect(server, **settings) as client:
            with pytest.raises(kind) as caught:
                await create(client)
        assert caught.value.status == status
    async with connect(server) as client:
        with pytest.raises(AuthenticationError, match="No active account found") as caught:
            await client.login(MEMBER, "wrong")
        assert caught.value.status == 401
        assert await client.tickets.history() == []


async def test_wrong_addresses(server: Server) -> None:
    paths = {"tags.list": "/get/ticket/tags/", "categories.list": "/support/get/category-list"}
    async with connect(server, paths=paths) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.tags.list()
        assert "paths" in str(caught.value) + str(caught.value.next_step)
        with pytest.raises(RedirectedError):
            await client.categories.list()


async def _read(client: SupportClient, attachment_id: int) -> bytes:
    async with client.attachments.stream(attachment_id) as download:
        return b"".join([chunk async for chunk in download])
