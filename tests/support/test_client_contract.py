"""The nine calls of the client against both servers: stock Django REST Framework, the emulator."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from support_async import (
    Accepted,
    InvalidInputError,
    NewTicket,
    Priority,
    Rejected,
    Status,
    SupportClient,
)

from .clients import TICKET, connect, create
from .servers import MEMBER, OTHER, PASSWORD, Server


async def test_categories(member: SupportClient) -> None:
    rows = await member.categories.list()
    assert [(row.category_id, row.title, row.description) for row in rows] == [
        ("3", "Sample category A", "Neutral description A"),
        ("4", "Sample category B", ""),
    ]


async def test_tags(member: SupportClient) -> None:
    rows = await member.tags.list()
    assert [(row.tag_id, row.title, row.keyword) for row in rows] == [
        ("1", "Sample tag A", "sample-a"),
        ("2", "Sample tag B", "sample-b"),
        ("3", "Sample tag C", "sample-c"),
    ]


async def test_create_is_in_the_history(member: SupportClient) -> None:
    ticket = NewTicket(
        subject="  Grüße \N{GRINNING FACE}  ", comment="one\r\n\ttwo\n", category="4", priority="3"
    )
    assert await member.tickets.create(ticket) is None
    [row] = await member.tickets.history()
    assert (row.ticket_id, row.subject, row.comment) == (
        "101",
        "Grüße \N{GRINNING FACE}",
        "one\r\n\ttwo",
    )
    assert (row.category, row.category_title) == ("4", "Sample category B")
    assert (row.priority, row.status) == (Priority.HIGH, Status.OPEN)


async def test_create_and_find(member: SupportClient, other: SupportClient) -> None:
    await create(member)
    await create(other)
    created = await member.tickets.create_and_find(**TICKET, priority=Priority.LOW)
    assert (created.ticket_id, created.doubt) == ("103", None)


async def test_500_characters(member: SupportClient) -> None:
    subject = "\N{GRINNING FACE}" * 500
    ticket_id = await create(member, subject=f"  {subject}\n")
    assert (await member.tickets.get(ticket_id)).subject == subject
    with pytest.raises(InvalidInputError):
        await create(member, subject=subject + "x")
    assert len(await member.tickets.history()) == 1


async def test_history_filters_and_pages(member: SupportClient) -> None:
    for number in range(5):
        await create(member, subject=f"Number {number} & more", category=3 + number % 2)
    await member.tickets.close("101")

    async def ids(**asked: Any) -> list[str | None]:
        return [row.ticket_id for row in await member.tickets.history(**asked)]

    assert await ids() == ["105", "104", "103", "102", "101"]
    assert await ids(offset=1, limit=2) == ["104", "103"]
    assert await ids(offset=9) == []
    assert await ids(category=4) == ["104", "102"]
    assert await ids(category=99) == []
    assert await ids(status=Status.CLOSED) == ["101"]
    assert await ids(subject="number 3 &") == ["104"]
    assert await ids(subject="umber", category="3", status="1", offset=1, limit=1) == ["103"]


async def test_iter_gives_every_ticket_once(member: SupportClient) -> None:
    for number in range(7):
        await create(member, subject=f"Number {number}")
    seen = [row.ticket_id async for row in member.tickets.iter(limit=3)]
    assert seen == [str(number) for number in range(107, 100, -1)]
    closed = [row async for row in member.tickets.iter(limit=3, status=Status.CLOSED)]
    assert closed == []


@pytest.mark.parametrize("where", ["both", "body", "query"])
async def test_get(server: Server, where: Any) -> None:
    async with connect(server, ticket_id_in=where) as client:
        ticket_id = await create(client, attachment=("a.txt", b"a"))
        await client.tickets.update(ticket_id, tags=[3, "1", 3], priority=Priority.MEDIUM)
        await client.tickets.reply(ticket_id, "Sample reply")
        await client.tickets.reply(int(ticket_id), " Second \n", attachment=("b.txt", b"b"))
        detail = await client.tickets.get(ticket_id)
    assert (detail.ticket_id, detail.subject, detail.comment) == (
        "101",
        "First sample subject",
        "First sample text",
    )
    assert (detail.category, detail.priority, detail.status) == ("3", "2", "1")
    assert (detail.tags, detail.author) == (["1", "3"], MEMBER)
    assert [
        (one.conversation_id, one.ticket_id, one.comment, one.author)
        for one in detail.conversations
    ] == [("501", "101", "Sample reply", MEMBER), ("502", "101", "Second", MEMBER)]
    assert [(one.attachment_id, one.conversation_id) for one in detail.attachments] == [
        ("901", None),
        ("902", "502"),
    ]


async def test_update_replaces_tags_and_keeps_the_priority(member: SupportClient) -> None:
    ticket_id = await create(member, priority=Priority.HIGH)
    await member.tickets.update(ticket_id, tags=[1, 2])
    await member.tickets.update(ticket_id, tags=["3"])
    detail = await member.tickets.get(ticket_id)
    assert (detail.tags, detail.priority) == (["3"], Priority.HIGH)


async def test_set_priority_keeps_the_tags(member: SupportClient) -> None:
    ticket_id = await create(member)
    await member.tickets.update(ticket_id, tags=[1, 3])
    await member.tickets.set_priority(ticket_id, Priority.HIGH)
    detail = await member.tickets.get(ticket_id)
    assert (detail.tags, detail.priority) == (["1", "3"], Priority.HIGH)


async def test_set_priority_of_a_ticket_without_tags(member: SupportClient) -> None:
    ticket_id = await create(member)
    with pytest.raises(InvalidInputError):
        await member.tickets.set_priority(ticket_id, Priority.HIGH)
    assert (await member.tickets.get(ticket_id)).priority == Priority.LOW


async def test_close_and_reopen(member: SupportClient) -> None:
    ticket_id = await create(member)
    await member.tickets.close(ticket_id)
    assert (await member.tickets.get(ticket_id)).status == Status.CLOSED
    await member.tickets.reopen(ticket_id)
    assert (await member.tickets.get(ticket_id)).status == Status.PROCESSING
    await member.tickets.close(ticket_id)
    assert (await member.tickets.get(ticket_id)).status == Status.CLOSED


async def test_login(server: Server) -> None:
    async with connect(server, access_token=None, token_provider=_no_token) as client:
        tokens = await client.login(OTHER, PASSWORD)
        assert await create(client) == "101"
        detail = await client.tickets.get("101")
    assert detail.author == OTHER
    assert tokens.access.reveal().count(".") == 2
    assert tokens.refresh is not None
    assert tokens.refresh.reveal() != tokens.access.reveal()


async def test_an_expired_token_is_replaced_once(server: Server) -> None:
    asked: list[str] = []

    async def provider() -> str:
        asked.append("asked")
        return server.token()

    expired = server.token(MEMBER, -60)
    async with connect(server, access_token=expired, token_provider=provider) as client:
        assert await create(client) == "101"
        await client.tickets.reply("101", "Sample reply")
        detail = await client.tickets.get("101")
    assert len(asked) == 1
    assert len(detail.conversations) == 1


async def test_push(member: SupportClient) -> None:
    tickets = [
        NewTicket(subject=f"Number {n}", comment="x", category="3", priority="1") for n in range(20)
    ]
    tickets[7] = NewTicket(subject="Number 7", comment="x", category="999", priority="1")
    push = member.tickets.push(tickets, max_concurrency=4)
    async with push as outcomes:
        found = [outcome async for outcome in outcomes]
    assert Counter(type(outcome) for outcome in found) == {Accepted: 19, Rejected: 1}
    subjects = {row.subject async for row in member.tickets.iter()}
    assert subjects == {f"Number {n}" for n in range(20)} - {"Number 7"}


async def _no_token() -> str:
    raise AssertionError("a login gives the token")
