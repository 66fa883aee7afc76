"""What type checkers see of the sync support client. Checked by mypy and pyright, never run."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import assert_never, assert_type

from support_async import (
    Accepted,
    AttachmentLike,
    Category,
    CreatedTicket,
    NewTicket,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    PushReport,
    Rejected,
    RejectedError,
    Row,
    Secret,
    SyncAttachments,
    SyncCategories,
    SyncDownload,
    SyncPages,
    SyncPush,
    SyncSupportClient,
    SyncTags,
    SyncTickets,
    Tag,
    TicketDetail,
    TicketRow,
    Tokens,
    Unknown,
)


def clients() -> None:
    with SyncSupportClient(
        "https://support.example.com", apikey="k", token_provider=lambda: "t"
    ) as client:
        assert_type(client, SyncSupportClient)
        assert_type(client.with_options(timeout=5, headers={"a": "b"}), SyncSupportClient)
        assert_type(SyncSupportClient.from_env(), SyncSupportClient)
        assert_type(client.categories, SyncCategories)
        assert_type(client.tags, SyncTags)
        assert_type(client.tickets, SyncTickets)
        assert_type(client.attachments, SyncAttachments)
        assert_type(client.base_url, str)
        assert_type(client.closed, bool)
        tokens = client.login("u", Secret("p"))
        assert_type(tokens, Tokens)
        assert_type(tokens.access, Secret)
        client.close()


def calls(client: SyncSupportClient) -> None:
    assert_type(client.categories.list(), list[Category])
    assert_type(client.tags.list(), list[Tag])
    tickets = client.tickets
    ticket = NewTicket(subject="s", comment="c", category=3, priority="1")
    tickets.create(subject="s", comment="c", category="3", priority=1, attachment=b"x")
    tickets.create(ticket)
    assert_type(tickets.create_and_find(ticket), CreatedTicket)
    assert_type(tickets.history(offset=0, limit=5, status=1), list[TicketRow])
    assert_type(tickets.get(1), TicketDetail)
    tickets.update(1, tags=("1", 2))
    tickets.set_priority("1", 2)
    tickets.reply(1, "c", attachment=Path("a.txt"))
    tickets.reply(1, "c", attachment=("a.txt", BytesIO(b"x")))
    with NamedTemporaryFile() as named, TemporaryFile() as unnamed, Path("x").open("rb") as opened:
        given: list[AttachmentLike] = [named, unnamed, opened, bytearray(b"x"), ("a.txt", named)]
    for one in given:
        tickets.reply(1, "c", attachment=one)
    tickets.close(1)
    tickets.reopen("1")


def files(client: SyncSupportClient) -> None:
    assert_type(client.attachments.download("1", "folder/", overwrite=True), Path)
    stream = client.attachments.stream("1", max_bytes=10)
    assert_type(stream, SyncDownload)
    with stream as download:
        assert_type(download, SyncDownload)
        for chunk in download:
            assert_type(chunk, bytes)


def iterators(client: SyncSupportClient) -> None:
    pages = client.tickets.iter(category=3, limit=10)
    assert_type(pages, SyncPages[TicketRow])
    for row in pages:
        assert_type(row, TicketRow)
    assert_type(pages.all(), list[TicketRow])
    ticket = NewTicket(subject="s", comment="c", category=3, priority=1)
    push = client.tickets.push([{"subject": "s"}, ticket, Row(ticket, key="k")])
    assert_type(push, SyncPush[None])
    assert_type(push.all(), list[Accepted[None] | Rejected | NotSent | Unknown])
    assert_type(push.run(), PushReport)
    with push as outcomes:
        assert_type(outcomes, SyncPush[None])
        for outcome in outcomes:
            assert_type(outcome, Accepted[None] | Rejected | NotSent | Unknown)
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
