"""What type checkers see of the async support client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any, assert_never, assert_type

from support_async import (
    Accepted,
    AttachmentLike,
    Attachments,
    Categories,
    Category,
    Conversation,
    CreatedTicket,
    Download,
    HelpdeskError,
    NewTicket,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    Pages,
    Priority,
    Push,
    PushReport,
    Rejected,
    RejectedError,
    Resolved,
    Row,
    Secret,
    Status,
    SupportClient,
    Tag,
    Tags,
    TicketAttachment,
    TicketDetail,
    TicketRow,
    Tickets,
    TokenProvider,
    Tokens,
    Unknown,
    interrupted_by,
)


async def provider() -> str:
    return "t"


def plain_provider() -> Secret:
    return Secret("t")


async def clients() -> None:
    given: list[TokenProvider] = [provider, plain_provider, lambda: "t"]
    async with SupportClient(
        "https://support.example.com/api/v1",
        apikey="k",
        token_provider=given[0],
        paths={"tickets.create": "/x/"},
        ticket_id_in="query",
    ) as client:
        assert_type(client, SupportClient)
        assert_type(client.with_options(timeout=5, headers={"a": "b"}), SupportClient)
        assert_type(client.with_options(timeout=None), SupportClient)
        assert_type(SupportClient.from_env(token_provider=provider), SupportClient)
        assert_type(client.categories, Categories)
        assert_type(client.tags, Tags)
        assert_type(client.tickets, Tickets)
        assert_type(client.attachments, Attachments)
        assert_type(client.base_url, str)
        assert_type(client.closed, bool)
        tokens = await client.login("u", Secret("p"))
        assert_type(tokens, Tokens)
        assert_type(tokens.access, Secret)
        assert_type(tokens.refresh, Secret | None)
        await client.aclose()


def attachments() -> list[AttachmentLike]:
    with NamedTemporaryFile() as named, TemporaryFile() as unnamed, Path("x").open("rb") as opened:
        return [named, unnamed, opened, bytearray(b"x"), memoryview(b"x"), ("a.txt", named)]


async def calls(client: SupportClient) -> None:
    assert_type(await client.categories.list(), list[Category])
    assert_type(await client.tags.list(), list[Tag])
    tickets = client.tickets
    ticket = NewTicket(subject="s", comment="c", category=3, priority=Priority.HIGH)
    assert_type(NewTicket.from_mapping({"subject": "s"}), NewTicket)
    assert_type(
        await tickets.create(subject="s", comment="c", category="3", priority=1, attachment=b"x"),
        None,
    )
    assert_type(await tickets.create(ticket), None)
    found = await tickets.create_and_find(ticket)
    assert_type(found, CreatedTicket)
    assert_type(found.ticket_id, str | None)
    assert_type(found.candidates, tuple[str, ...])
    assert_type(found.doubt, OutcomeUnknownError | None)
    assert_type(found.lookup_error, HelpdeskError | None)
    assert_type(await tickets.history(offset=0, status=Status.OPEN), list[TicketRow])
    assert_type(await tickets.update(1, tags=["1", 2], priority="3"), None)
    assert_type(await tickets.set_priority("1", Priority.LOW), None)
    assert_type(await tickets.reply(1, "c", attachment=Path("a.txt")), None)
    assert_type(await tickets.reply(1, "c", attachment=("a.txt", BytesIO(b"x"))), None)
    for given in attachments():
        await tickets.reply(1, "c", attachment=given)
    assert_type(await tickets.close(1), None)
    assert_type(await tickets.reopen("1"), None)
    detail = await tickets.get("1")
    assert_type(detail, TicketDetail)
    assert_type(detail.ticket_id, str)
    assert_type(detail.conversations[0].conversation_id, str)
    assert_type(detail.attachments[0].attachment_id, str)
    assert_type(detail.tags, list[str] | None)
    assert_type(detail.is_closed, bool)
    assert_type(detail.conversations, list[Conversation])
    assert_type(detail.attachments, list[TicketAttachment])
    assert_type(detail.attachments[0].conversation_id, str | None)
    assert_type(detail.raw, Mapping[str, Any])
    assert_type(detail.problems, tuple[str, ...])


async def files(client: SupportClient) -> None:
    assert_type(await client.attachments.download("1", "folder/", overwrite=True), Path)
    assert_type(await client.attachments.download(1, Path("x")), Path)
    stream = client.attachments.stream("1", max_bytes=10)
    assert_type(stream, Download)
    async with stream as download:
        assert_type(download, Download)
        async for chunk in download:
            assert_type(chunk, bytes)


async def iterators(client: SupportClient) -> None:
    pages = client.tickets.iter(category=3, limit=10)
    assert_type(pages, Pages[TicketRow])
    async for row in pages:
        assert_type(row, TicketRow)
        assert_type(row.category_title, str | None)
    assert_type(await pages.next_page(), list[TicketRow] | None)
    assert_type(await pages.all(), list[TicketRow])
    ticket = NewTicket(subject="s", comment="c", category=3, priority=1)
    push = client.tickets.push([{"subject": "s"}, ticket, Row(ticket, key="k")])
    assert_type(push, Push[None])
    assert_type(await push.all(), list[Accepted[None] | Rejected | NotSent | Unknown])
    assert_type(await push.run(), PushReport)
    async with push as outcomes:
        assert_type(outcomes, Push[None])
        async for outcome in outcomes:
            assert_type(outcome, Accepted[None] | Rejected | NotSent | Unknown)
            assert_type(outcome.reason, str)
            match outcome:
                case Accepted():
                    assert_type(outcome.result, None)
                case Rejected():
                    assert_type(outcome.error, RejectedError)
                case NotSent():
                    assert_type(outcome.error, NotSentError)
                case Unknown():
                    assert_type(outcome.error, OutcomeUnknownError)
                case _:
                    assert_never(outcome)
    assert_type(interrupted_by(None), HelpdeskError | None)
    assert_type(await client.tickets.resolve("j", "k", absent=True), Resolved)
