"""The ticket calls, categories and tags against the emulator, over sockets; the ledger is the
judge."""

from __future__ import annotations

import asyncio
import io
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support_async import (
    AttachmentTooLargeError,
    AuthenticationError,
    ConflictError,
    ConnectError,
    HelpdeskError,
    InvalidInputError,
    NewTicket,
    NoReplyError,
    NotFoundError,
    OpenTicketLimitError,
    OutcomeUnknownError,
    PermissionDeniedError,
    Priority,
    RateLimitedError,
    ReplyTimeoutError,
    ServerError,
    Status,
    SupportClient,
    TicketDetail,
    UnreadableReplyError,
    ValidationError,
)
from support_async.testing import Fault, FaultPlan, SupportEmulator

from .made import OTHER, TICKET, client_of, sent, told_of

# Main paths.


async def test_categories_and_tags(client: SupportClient) -> None:
    categories = await client.categories.list()
    assert [(c.category_id, c.title, c.description) for c in categories] == [
        ("3", "Sample category A", "Neutral description A"),
        ("4", "Sample category B", ""),
    ]
    tags = await client.tags.list()
    assert [(t.tag_id, t.title, t.keyword) for t in tags] == [
        ("1", "Sample tag A", "sample-a"),
        ("2", "Sample tag B", "sample-b"),
        ("3", "Sample tag C", "sample-c"),
    ]


async def test_create_by_fields_and_whole(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    by_fields: Any = await client.tickets.create(**TICKET)
    whole: Any = await client.tickets.create(
        NewTicket(subject="two", comment="c", category="4", priority=Priority.HIGH)
    )
    assert (by_fields, whole) == (None, None)
    assert [entry.payload for entry in support_emulator.ledger.of("tickets.create")] == [
        {
            "subject": "First sample subject",
            "priority": "1",
            "comment": "First sample text",
            "category": "3",
        },
        {"subject": "two", "priority": "3", "comment": "c", "category": "4"},
    ]


TEXTS = {
    "accents and emoji": "Grüße, Ελλάδα, 日本語, 👩‍👩‍👧‍👦 \U0001f1e9\U0001f1ea",
    "line ends of all kinds": "a\r\nb\nc\rd\u2028e\u2029f\x0bg\x85h",
    "right to left, and combining": "\u200fשלום e\u0301 \u202exyz",
    "what looks like a form": '--b\r\nContent-Disposition: form-data; name="status"\r\n\r\n3',
    "markup and percent signs": "<b>&amp; %41 + a=1&b=2</b>",
    "long": "ß0123456789\n" * 20_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_texts_arrive_as_they_were(
    support_emulator: SupportEmulator, client: SupportClient, text: str
) -> None:
    subject = text[:500].strip()
    await client.tickets.create(**(TICKET | {"subject": subject, "comment": text}))
    [row] = await client.tickets.history()
    assert row.ticket_id is not None
    await client.tickets.reply(row.ticket_id, text)
    created, replied = [entry.payload for entry in support_emulator.ledger]
    assert (created["subject"], created["comment"]) == (subject, text)
    assert replied == {"ticket": row.ticket_id, "comment": text}
    detail = await client.tickets.get(row.ticket_id)
    assert (detail.subject, detail.comment) == (subject, text.strip())
    assert detail.conversations[0].comment == text.strip()


@pytest.mark.parametrize(
    "subject",
    ["x" * 500, "\U0001f600" * 500, f"  {'x' * 500}\n"],
    ids=["letters", "emoji", "outer"],
)
async def test_a_subject_of_500_characters_is_no_problem(
    support_emulator: SupportEmulator, client: SupportClient, subject: str
) -> None:
    await client.tickets.create(**(TICKET | {"subject": subject}))
    assert len(support_emulator.ledger) == 1


async def test_attachments_of_every_kind(
    support_emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    content = os.urandom(3000)
    path = tmp_path / 'Grüße "1".pdf'
    path.write_bytes(content)
    opened = io.BytesIO(b"skipped" + content)
    opened.seek(7)
    given: list[tuple[Any, str, str]] = [
        (content, "attachment", "application/octet-stream"),
        (path, "Grüße _1_.pdf", "application/pdf"),
        (str(path), "Grüße _1_.pdf", "application/pdf"),
        (opened, "attachment", "application/octet-stream"),
        (("résumé.txt", content), "résumé.txt", "text/plain"),
        (("../../other.png", path), "other.png", "image/png"),
        (("x.json", opened), "x.json", "application/json"),
    ]
    for attachment, _, _ in given:
        await client.tickets.create(**TICKET, attachment=attachment)
    assert [entry.payload["attachment"] for entry in support_emulator.ledger] == [
        told_of(name, content, kind) for _, name, kind in given
    ]
    assert opened.tell() == 7  # where it stood, so the same file can be given again
    assert not opened.closed


async def test_get_shows_all_that_belongs_to_a_ticket(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = support_emulator.seed(
        subject="S", comment="C", category=4, priority="2", tags=[3, 1]
    )
    await client.tickets.reply(ticket_id, "mine", attachment=("a.txt", b"a"))
    answer = support_emulator.seed_reply(ticket_id, "theirs")
    support_emulator.seed_attachment(ticket_id, "b.txt", b"b")
    support_emulator.seed_attachment(ticket_id, "c.txt", b"c", conversation_id=answer)
    ticket = await client.tickets.get(ticket_id)
    assert (ticket.ticket_id, ticket.subject, ticket.comment) == (ticket_id, "S", "C")
    assert (ticket.category, ticket.priority, ticket.status) == ("4", "2", Status.OPEN)
    assert (ticket.tags, ticket.author, ticket.is_closed) == (
        ["1", "3"],
        "member@example.com",
        False,
    )
    assert [(c.comment, c.author, c.ticket_id) for c in ticket.conversations] == [
        ("mine", "member@example.com", ticket_id),
        ("theirs", "agent@example.com", ticket_id),
    ]
    mine, theirs = (c.conversation_id for c in ticket.conversations)
    assert theirs == answer
    assert [a.conversation_id for a in ticket.attachments] == [mine, None, answer]
    assert (ticket.problems, ticket.extra) == ((), {})


async def test_update_replaces_the_tags(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = support_emulator.seed(tags=[1], priority="1")
    await client.tickets.update(ticket_id, tags=[2, "3", 2, " 2 "])
    await client.tickets.update(int(ticket_id), tags=iter(["1"]), priority=Priority.HIGH)
    assert [entry.payload for entry in support_emulator.ledger] == [
        {"ticket_id": ticket_id, "tags": ["2", "3"]},
        {"ticket_id": ticket_id, "priority": "3", "tags": ["1"]},
    ]
    ticket = support_emulator.ticket(ticket_id)
    assert ticket is not None
    assert (ticket.tags, ticket.priority) == ([1], "3")


async def test_set_priority_sends_the_tags_along(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = support_emulator.seed(tags=[3, 1], priority="1")
    await client.tickets.set_priority(int(ticket_id), 2)
    [entry] = support_emulator.ledger
    assert entry.operation == "tickets.update"
    assert entry.payload == {"ticket_id": ticket_id, "priority": "2", "tags": ["1", "3"]}
    assert sent(support_emulator) == 2


async def test_set_priority_without_tags_says_what_to_do(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = support_emulator.seed()
    with pytest.raises(InvalidInputError, match=f"ticket {ticket_id} has no tags") as caught:
        await client.tickets.set_priority(ticket_id, 2)
    assert "update(ticket_id, tags=..., priority=...)" in caught.value.next_step
    assert not support_emulator.ledger
    assert sent(support_emulator) == 1  # the look at the tags


async def test_close_and_reopen(support_emulator: SupportEmulator, client: SupportClient) -> None:
    ticket_id = support_emulator.seed()
    await client.tickets.close(ticket_id)
    assert (await client.tickets.get(ticket_id)).is_closed
    with pytest.raises(ConflictError, match="in that state already"):
        await client.tickets.close(ticket_id)
    await client.tickets.reopen(int(ticket_id))
    assert (await client.tickets.get(ticket_id)).status == Status.PROCESSING
    with pytest.raises(ConflictError):
        await client.tickets.reopen(ticket_id)
    assert [entry.payload for entry in support_emulator.ledger] == [
        {"ticket": ticket_id, "status": "3"},
        {"ticket": ticket_id, "status": "2"},
    ]


async def test_headers_of_one_call(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = support_emulator.seed(tags=[1])
    once = {"X-Trace": "t-1"}
    calls: list[Awaitable[Any]] = [
        client.categories.list(headers=once),
        client.tags.list(headers=once),
        client.tickets.create(**TICKET, headers=once),
        client.tickets.create_and_find(**TICKET, headers=once),
        client.tickets.history(headers=once),
        client.tickets.iter(headers=once).all(),
        client.tickets.get(ticket_id, headers=once),
        client.tickets.update(ticket_id, tags=[1], headers=once),
        client.tickets.set_priority(ticket_id, 2, headers=once),
        client.tickets.reply(ticket_id, "c", headers=once),
        client.tickets.close(ticket_id, headers=once),
        client.tickets.reopen(ticket_id, headers=once),
    ]
    for call in calls:
        await call
    assert {request.headers.get("x-trace") for request in support_emulator.received} == {"t-1"}
    await client.tags.list()
    assert "x-trace" not in support_emulator.received[-1].headers


async def test_every_request_carries_both_credentials_and_a_length(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    ticket_id = support_emulator.seed()
    await client.categories.list()
    await client.tickets.get(ticket_id)
    await client.tickets.reply(ticket_id, "c", attachment=b"\0" * 70_000)
    for request in support_emulator.received:
        assert request.headers["apikey"] == support_emulator.apikey
        assert request.headers["authorization"] == f"Bearer {support_emulator.token}"
        assert request.headers["accept"] == "application/json"
        assert request.headers["accept-language"] == "en"
        assert "transfer-encoding" not in request.headers
    first, detail, reply = support_emulator.received
    assert first.body == b""
    assert "content-type" not in first.headers
    for request in (detail, reply):
        assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
        assert int(request.headers["content-length"]) == len(request.body)


# Refusals of the service: class, fields, and a sentence that tells the whole story.

Call = Callable[[SupportClient, dict[str, str]], Awaitable[Any]]
REFUSALS: dict[str, tuple[Call, type[HelpdeskError], dict[str, str], str, str]] = {
    "create: no such category": (
        lambda c, ids: c.tickets.create(**(TICKET | {"category": 99})),
        ValidationError,
        {"category": 'Invalid pk "99" - object does not exist.'},
        "tickets.create: the service refused the data",
        "Fix what the service complains about",
    ),
    "create: no such priority": (
        lambda c, ids: c.tickets.create(**(TICKET | {"priority": 9})),
        ValidationError,
        {"priority": '"9" is not a valid choice.'},
        "tickets.create: the service refused the data",
        "Fix what the service complains about",
    ),
    "create: several fields": (
        lambda c, ids: c.tickets.create(
            **(TICKET | {"priority": 9, "category": 99, "subject": "a\0"})
        ),
        ValidationError,
        {
            "category": 'Invalid pk "99" - object does not exist.',
            "priority": '"9" is not a valid choice.',
            "subject": "Null characters are not allowed.",
        },
        "tickets.create: the service refused the data",
        "Fix what the service complains about",
    ),
    "create: an empty file": (
        lambda c, ids: c.tickets.create(**TICKET, attachment=b""),
        ValidationError,
        {"attachment": "The submitted file is empty."},
        "tickets.create: the service refused the data",
        "Fix what the service complains about",
    ),
    "create: too large a file": (
        lambda c, ids: c.tickets.create(**TICKET, attachment=bytes(2 * 2**20 + 1)),
        AttachmentTooLargeError,
        {"attachment": "File is too big. Max filesize: 2MiB."},
        "tickets.create: the attachment is too large for the service",
        "Make the attachment smaller",
    ),
    "get: unknown": (
        lambda c, ids: c.tickets.get(999),
        NotFoundError,
        {"ticket_id": "Ticket id is not valid"},
        "tickets.get: the service does not know this ticket",
        "Check the ticket id",
    ),
    "get: somebody else's": (
        lambda c, ids: c.tickets.get(ids["theirs"]),
        PermissionDeniedError,
        {"ticket_id": "You are not the owner of the requested ticket"},
        "tickets.get: the ticket belongs to another user",
        "Use the account that owns the ticket",
    ),
    "update: unknown": (
        lambda c, ids: c.tickets.update(999, tags=[1]),
        NotFoundError,
        {"ticket_id": "Ticket id is not valid"},
        "tickets.update: the service does not know this ticket",
        "Check the ticket id",
    ),
    "update: somebody else's": (
        lambda c, ids: c.tickets.update(ids["theirs"], tags=[1]),
        PermissionDeniedError,
        {"ticket_id": "You are not the owner of the requested ticket"},
        "tickets.update: the ticket belongs to another user",
        "Use the account that owns the ticket",
    ),
    "update: no such tag": (
        lambda c, ids: c.tickets.update(ids["mine"], tags=[1, 77]),
        ValidationError,
        {"tags": 'Invalid pk "77" - object does not exist.'},
        "tickets.update: the service refused the data",
        "Fix what the service complains about",
    ),
    "update: no such priority": (
        lambda c, ids: c.tickets.update(ids["mine"], tags=[1], priority="7"),
        ValidationError,
        {"priority": '"7" is not a valid choice.'},
        "tickets.update: the service refused the data",
        "Fix what the service complains about",
    ),
    "reply: unknown": (
        lambda c, ids: c.tickets.reply(999, "c"),
        NotFoundError,
        {"ticket_id": 'Invalid pk "999" - object does not exist.'},
        "tickets.reply: the service does not know this ticket",
        "Check the ticket id",
    ),
    "reply: somebody else's": (
        lambda c, ids: c.tickets.reply(ids["theirs"], "c"),
        PermissionDeniedError,
        {"ticket_id": "You are not the owner of the requested ticket."},
        "tickets.reply: the ticket belongs to another user",
        "Use the account that owns the ticket",
    ),
    "reply: too large a file": (
        lambda c, ids: c.tickets.reply(ids["mine"], "c", attachment=bytes(2 * 2**20 + 1)),
        AttachmentTooLargeError,
        {"attachment": "File is too big. Max filesize: 2MiB."},
        "tickets.reply: the attachment is too large for the service",
        "Make the attachment smaller",
    ),
    "close: unknown": (
        lambda c, ids: c.tickets.close(999),
        NotFoundError,
        {"ticket_id": "Ticket id is not valid"},
        "tickets.set_status: the service does not know this ticket",
        "Check the ticket id",
    ),
    "close: somebody else's": (
        lambda c, ids: c.tickets.close(ids["theirs"]),
        PermissionDeniedError,
        {"ticket_id": "You Can't open or close this Ticket"},
        "tickets.set_status: the ticket belongs to another user",
        "Use the account that owns the ticket",
    ),
    "close: closed already": (
        lambda c, ids: c.tickets.close(ids["closed"]),
        ConflictError,
        {"ticket_id": "Ticket is already closed"},
        "tickets.set_status: the ticket is in that state already",
        "Read the ticket back; most likely there is nothing left to do.",
    ),
    "reopen: open already": (
        lambda c, ids: c.tickets.reopen(ids["mine"]),
        ConflictError,
        {"ticket_id": "Ticket is already open"},
        "tickets.set_status: the ticket is in that state already",
        "Read the ticket back; most likely there is nothing left to do.",
    ),
}


@pytest.mark.parametrize("envelope", ["wrapped", "bare"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_refusals_tell_what_happened_and_what_next(name: str, envelope: Any) -> None:
    call, cls, fields, happened, next_step = REFUSALS[name]
    async with (
        SupportEmulator(envelope=envelope) as emulator,
        client_of(emulator, max_attachment_bytes=3 * 2**20) as client,
    ):
        ids = {
            "mine": emulator.seed(),
            "theirs": emulator.seed(author=OTHER),
            "closed": emulator.seed(status="3"),
        }
        with pytest.raises(HelpdeskError) as caught:
            await call(client, ids)
        assert not emulator.ledger
        assert sent(emulator) == 1
    error = caught.value
    assert type(error) is cls
    assert {name: " ".join(texts) for name, texts in error.fields.items()} == fields
    assert (error.outcome, error.status, len(error.attempts)) == ("rejected", 400, 1)
    assert not error.may_have_been_applied
    told = str(error)
    assert told.startswith(f"support {happened} (HTTP 400)")
    for text in fields.values():
        assert text.rstrip(".") in told
    assert "The service refused it; nothing was changed." in told
    assert told.endswith(error.next_step)
    assert error.next_step.startswith(next_step)


async def test_the_open_ticket_limit_is_no_matter_of_credentials() -> None:
    async with SupportEmulator(open_ticket_limit=1) as emulator, client_of(emulator) as client:
        await client.tickets.create(**TICKET)
        with pytest.raises(OpenTicketLimitError) as caught:
            await client.tickets.create(**TICKET)
        assert caught.value.status == 401
        assert "Close some tickets" in str(caught.value)
        assert len(emulator.ledger) == 1
        [row] = await client.tickets.history()
        await client.tickets.close(row.ticket_id or "")
        await client.tickets.create(**TICKET)


@pytest.mark.parametrize("call", ["create", "reply"])
async def test_a_proxy_with_a_lower_limit(call: str) -> None:
    async with SupportEmulator(max_body=2**20) as emulator, client_of(emulator) as client:
        ticket_id = emulator.seed()
        with pytest.raises(AttachmentTooLargeError, match="often takes no more than 1 MiB") as got:
            if call == "create":
                await client.tickets.create(**TICKET, attachment=bytes(2**20))
            else:
                await client.tickets.reply(ticket_id, "c", attachment=bytes(2**20))
        assert not emulator.ledger
    assert got.value.status == 413
    assert got.value.outcome == "rejected"


async def test_a_wrong_apikey_and_a_wrong_address_are_told_apart(
    support_emulator: SupportEmulator,
) -> None:
    async with client_of(support_emulator, apikey="wrong") as client:
        with pytest.raises(PermissionDeniedError, match="Check the apikey"):
            await client.categories.list()
    elsewhere = SupportClient(f"{support_emulator.url}/v9", apikey="a", access_token="t")
    async with elsewhere as client:
        with pytest.raises(NotFoundError, match="Check the base URL"):
            await client.tickets.get(101)
    async with client_of(support_emulator, access_token="wrong") as client:
        with pytest.raises(AuthenticationError, match="access token"):
            await client.tags.list()


# Faults.


@pytest.mark.parametrize(
    ("fault", "cls"),
    [
        ("close_after", NoReplyError),
        ("reset_after", NoReplyError),
        ("half_body", NoReplyError),
        ("garbage", UnreadableReplyError),
        ("bad_json", UnreadableReplyError),
        ("login_html_after", UnreadableReplyError),
        ("unknown_shape", UnreadableReplyError),
        ("status;status=500;executed=true", ServerError),
        ("silence_after", ReplyTimeoutError),
    ],
)
async def test_a_write_in_doubt_is_never_sent_again(
    support_emulator: SupportEmulator,
    leap: Callable[[float], None],
    fault: str,
    cls: type[HelpdeskError],
) -> None:
    ticket_id = support_emulator.seed()
    asked = Fault.parse(fault).headers()
    async with client_of(support_emulator, timeout=20.0) as client:
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: client.tickets.create(**TICKET, headers=asked),
            lambda: client.tickets.update(ticket_id, tags=[1], headers=asked),
            lambda: client.tickets.reply(ticket_id, "c", headers=asked),
            lambda: client.tickets.close(ticket_id, headers=asked),
        ]
        for number, call in enumerate(calls, 1):
            under_way = asyncio.ensure_future(call())
            if "silence" in fault:
                while sent(support_emulator) < number:
                    await asyncio.sleep(0)
                leap(20)
            with pytest.raises(OutcomeUnknownError) as caught:
                await under_way
            assert type(caught.value) is cls
            assert caught.value.may_have_been_applied
            assert "It may or may not have happened. Look it up" in str(caught.value)
            assert (len(support_emulator.ledger), sent(support_emulator)) == (number, number)


@pytest.mark.parametrize(
    "fault", ["close_before", "reset_early", "half_body", "status;status=503", "status;status=429"]
)
async def test_a_read_is_asked_again(
    support_emulator: SupportEmulator, client: SupportClient, fault: str
) -> None:
    ticket_id = support_emulator.seed()
    reads: list[Callable[[], Awaitable[Any]]] = [
        client.categories.list,
        client.tags.list,
        client.tickets.history,
        lambda: client.tickets.get(ticket_id),
        lambda: client.login("member@example.com", "emulator-password"),
    ]
    for read in reads:
        support_emulator.faults = FaultPlan.script([fault, fault])
        before = sent(support_emulator)
        await read()
        assert sent(support_emulator) - before == 3


async def test_told_to_slow_down_a_write_is_sent_again(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    support_emulator.faults = FaultPlan.script(["status;status=429;retry_after=0.001"])
    await client.tickets.create(**TICKET)
    assert (len(support_emulator.ledger), sent(support_emulator)) == (1, 2)
    support_emulator.faults = FaultPlan.script(["status;status=429;retry_after=60"])
    with pytest.raises(RateLimitedError, match="asked to wait 60 s") as caught:
        await client.tickets.create(**TICKET)
    assert caught.value.retry_after == 60
    assert len(support_emulator.ledger) == 1


async def test_a_service_that_is_down_was_sent_nothing(
    support_emulator: SupportEmulator, client: SupportClient
) -> None:
    support_emulator.stop_listening()
    with pytest.raises(ConnectError, match="Nothing was sent") as caught:
        await client.tickets.create(**TICKET)
    assert len(caught.value.attempts) == 3


# What cannot be sent stays here.


async def test_bad_input_never_leaves(
    support_emulator: SupportEmulator, client: SupportClient, tmp_path: Path
) -> None:
    t: Any = client.tickets
    a: Any = client.attachments
    large = io.BytesIO(bytes(2 * 2**20 + 1))
    bad: list[Callable[[], Any]] = [
        lambda: t.create(),
        lambda: t.create(**{**TICKET, "subject": None}),
        lambda: t.create(**(TICKET | {"subject": " \n"})),
        lambda: t.create(**(TICKET | {"subject": "x" * 501})),
        lambda: t.create(**(TICKET | {"subject": 7})),
        lambda: t.create(**(TICKET | {"subject": "\ud800"})),
        lambda: t.create(**(TICKET | {"comment": ""})),
        lambda: t.create(**(TICKET | {"comment": b"bytes"})),
        lambda: t.create(**(TICKET | {"category": "Sales"})),
        lambda: t.create(**(TICKET | {"category": True})),
        lambda: t.create(**(TICKET | {"priority": "highest"})),
        lambda: t.create(**(TICKET | {"priority": 1.0})),
        lambda: t.create({"subject": "a mapping"}),
        lambda: t.create(NewTicket(**TICKET), subject="x"),
        lambda: t.create(**TICKET, attachment=large),
        lambda: t.create(**TICKET, attachment=bytes(2 * 2**20 + 1)),
        lambda: t.create(**TICKET, attachment=tmp_path / "none.txt"),
        lambda: t.create(**TICKET, attachment=tmp_path),
        lambda: t.create(**TICKET, attachment=io.StringIO("text")),
        lambda: t.create(**TICKET, attachment=("", b"x")),
        lambda: t.create(**TICKET, attachment=7),
        lambda: t.create_and_find(**(TICKET | {"subject": ""})),
        lambda: t.history(offset=-1),
        lambda: t.history(limit=0),
        lambda: t.history(limit="50"),
        lambda: t.history(offset=True),
        lambda: t.history(category="Sales"),
        lambda: t.history(status="open"),
        lambda: t.history(subject="\ud800"),
        lambda: t.get(""),
        lambda: t.get(" "),
        lambda: t.get(-1),
        lambda: t.get("1/2"),
        lambda: t.get("١٢"),
        lambda: t.get(True),
        lambda: t.get(None),
        lambda: t.get(1.5),
        lambda: t.update(1, tags=[]),
        lambda: t.update(1, tags="12"),
        lambda: t.update(1, tags=[1, "sales"]),
        lambda: t.update(1, tags=[True]),
        lambda: t.update(1, tags=5),
        lambda: t.update(1, tags=None),
        lambda: t.update(1, tags=[1], priority="highest"),
        lambda: t.set_priority(1, "highest"),
        lambda: t.set_priority("x", 1),
        lambda: t.reply(1, " "),
        lambda: t.reply(1, None),
        lambda: t.reply("x", "c"),
        lambda: t.reply(1, "\udfff"),
        lambda: t.reply(1, "c", attachment=large),
        lambda: t.close("x"),
        lambda: t.reopen(False),
        lambda: a.download("x", tmp_path),
        lambda: client.login("", "p"),
        lambda: client.login("u", ""),
    ]
    for number, call in enumerate(bad):
        with pytest.raises(InvalidInputError, match="Nothing was sent") as caught:
            await call()
        assert caught.value.outcome == "not_sent", number
    for at_once in (
        lambda: t.iter(limit=0),
        lambda: t.iter(category="Sales"),
        lambda: t.push({"subject": "one row"}),
        lambda: t.push([], max_concurrency=0),
        lambda: a.stream("x"),
    ):
        with pytest.raises(InvalidInputError):
            at_once()
    assert large.tell() == 0  # still whole: nothing was lost
    assert not support_emulator.requests
    assert not support_emulator.ledger


@pytest.mark.parametrize("ticket_id", [101, "101", " 101 ", "0101"])
async def test_ids_as_numbers_and_texts(
    support_emulator: SupportEmulator, client: SupportClient, ticket_id: Any
) -> None:
    assert support_emulator.seed(tags=[1]) == "101"
    await client.tickets.update(ticket_id, tags=[1])
    await client.tickets.set_priority(ticket_id, 3)
    await client.tickets.reply(ticket_id, "c")
    await client.tickets.close(ticket_id)
    await client.tickets.reopen(ticket_id)
    ticket = await client.tickets.get(ticket_id)
    assert isinstance(ticket, TicketDetail)
    assert ticket.ticket_id == "101"
    assert Counter(entry.ticket_id for entry in support_emulator.ledger) == {"101": 5}
