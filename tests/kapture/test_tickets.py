"""The ticket calls against the emulator, over sockets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest

from kapture_async import (
    AnswerMismatchError,
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    KaptureClient,
    NewTicket,
    NotFoundError,
    PermissionDeniedError,
    Unknown,
    UnreadableReplyError,
    ValidationError,
)
from kapture_async.testing import Fault, KaptureEmulator
from kapture_async.testing.emulator import UPDATE


async def test_add_by_fields_and_whole(emulator: KaptureEmulator, client: KaptureClient) -> None:
    first = await client.tickets.add(title="one", ticket_details="a\r\nb\u2028", extra={"f": [{}]})
    second = await client.tickets.add(NewTicket(title="two"))
    assert [entry.payload for entry in emulator.ledger.of("tickets.add")] == [
        {"title": "one", "ticket_details": "a\r\nb\u2028", "f": [{}]},
        {"title": "two"},
    ]
    assert [entry.ticket_id for entry in emulator.ledger.entries] == [
        first.ticket_id,
        second.ticket_id,
    ]
    assert isinstance(first.ticket_id, str)


async def test_bad_input_never_leaves(emulator: KaptureEmulator, client: KaptureClient) -> None:
    tickets: Any = client.tickets
    for bad in (
        tickets.add(),
        tickets.add(title=""),
        tickets.add(NewTicket(title="x"), title="y"),
        tickets.add(title="x", extra={"title": "y"}),
        tickets.add(title="x", extra={"n": float("inf")}),
        tickets.add(title="x", extra={"n": object()}),
        tickets.add(title="\ud800"),
        tickets.update("", sub_status="PS"),
        tickets.update("1", sub_status=""),
        tickets.update(713516551148, sub_status="PS"),
        tickets.update("1", sub_status="PS", extra={"ticket_id": "2"}),
        tickets.update("1", sub_status="PS", callback_time="19-04-2024 14:19"),
        tickets.update("1", sub_status="PS", callback_time="tomorrow"),
        tickets.get("1,2"),
        tickets.get("1", extra={"ticket_ids": "2"}),
        tickets.get_many(["1", ""]),
        client.request("no-slash"),
        client.request("/x", {}, effect="maybe"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInputError, match="Nothing was sent"):
            await bad
    assert not emulator.requests


async def test_update(emulator: KaptureEmulator, client: KaptureClient) -> None:
    added = await client.tickets.add(title="one")
    updated = await client.tickets.update(
        added.ticket_id,
        sub_status="PS",
        comment="called back",
        callback_time=datetime(2024, 4, 19, 8, 49, 11, tzinfo=UTC),
        status="Pending",
        extra={"resolution": [{"a": "b"}]},
    )
    assert updated.ticket_id == added.ticket_id
    assert updated.message == "Status and Comment have been updated."
    assert emulator.ledger.entries[-1].payload == {
        "ticket_id": added.ticket_id,
        "sub_status": "PS",
        "comment": "called back",
        "callback_time": "2024-04-19 14:19:11",
        "status": "Pending",
        "resolution": [{"a": "b"}],
    }
    with pytest.raises(NotFoundError):
        await client.tickets.update("000", sub_status="PS")


@pytest.mark.parametrize("named", ["999999999999", 999999999999, " 1", "01"])
async def test_an_update_that_names_another_ticket_is_a_doubt(
    emulator: KaptureEmulator, client: KaptureClient, monkeypatch: pytest.MonkeyPatch, named: Any
) -> None:
    added = await client.tickets.add(title="one")
    answer_as(emulator, monkeypatch, named)
    with pytest.raises(AnswerMismatchError, match="another ticket") as caught:
        await client.tickets.update(added.ticket_id, sub_status="PS", comment="private")
    assert caught.value.outcome == "unknown"
    assert added.ticket_id not in str(caught.value)
    assert str(named).strip() not in str(caught.value)
    async with client.tickets.update_many(
        [{"ticket_id": added.ticket_id}], sub_status="PS"
    ) as outcomes:
        assert [type(outcome) async for outcome in outcomes] == [Unknown]


async def test_an_update_whose_answer_writes_the_id_otherwise_is_none(
    emulator: KaptureEmulator, client: KaptureClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = await client.tickets.add(title="one")
    for named in (int(added.ticket_id), f" {added.ticket_id} ", "", None):
        with monkeypatch.context() as patch:
            answer_as(emulator, patch, named)
            await client.tickets.update(added.ticket_id, sub_status="PS")


def answer_as(emulator: KaptureEmulator, monkeypatch: pytest.MonkeyPatch, named: Any) -> None:
    """Let the emulator's answers to updates name this ticket."""
    handlers = dict(emulator._handlers)
    update = handlers[UPDATE]

    def other(body: Any) -> Any:
        reply = orjson.loads(orjson.dumps(update(body)))
        reply["ticket"]["ticketId"] = named
        return reply

    monkeypatch.setattr(emulator, "_handlers", handlers | {UPDATE: other})


async def test_get_and_get_many(emulator: KaptureEmulator, client: KaptureClient) -> None:
    ids = [(await client.tickets.add(title=f"t{n}")).ticket_id for n in range(120)]
    assert (await client.tickets.get(ids[0])).title == "t0"
    with pytest.raises(NotFoundError):
        await client.tickets.get("000000000000")
    before = sum(emulator.requests.values())
    lookup = await client.tickets.get_many([*ids, ids[0], "000000000000", "000000000001"])
    assert list(lookup.found) == ids
    assert lookup.found[ids[7]].title == "t7"
    assert lookup.missing == ("000000000000", "000000000001")
    assert lookup.failed == {}
    # 122 different ids: three batches, and the two that stayed away once more by themselves.
    assert sum(emulator.requests.values()) - before == 5
    assert "t0" not in repr(lookup)


async def test_get_many_names_what_could_not_be_asked(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    ids = [(await client.tickets.add(title=f"t{n}")).ticket_id for n in range(60)]
    emulator.faults = emulator.faults.script([Fault("status", status=403)])
    lookup = await client.tickets.get_many(ids, concurrency=1)
    assert len(lookup.failed) == 50
    assert len(lookup.found) == 10
    assert lookup.missing == ()


async def test_get_many_with_a_wrong_key_fails_as_a_whole(emulator: KaptureEmulator) -> None:
    async with KaptureClient(base_url=emulator.url, token="wrong") as client:
        with pytest.raises(AuthenticationError):
            await client.tickets.get_many([str(n) for n in range(200)])


async def test_get_many_of_nothing_asks_nothing(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    lookup = await client.tickets.get_many([])
    assert (lookup.found, lookup.missing, lookup.failed) == ({}, (), {})
    assert not emulator.requests


@pytest.mark.parametrize("failed_status", [200, 400, 401])
async def test_a_wrong_key_is_told_apart_whatever_the_status(failed_status: int) -> None:
    async with (
        KaptureEmulator(failed_status=failed_status) as emulator,
        KaptureClient(base_url=emulator.url, token="wrong") as client,
    ):
        with pytest.raises(AuthenticationError, match="Check the token"):
            await client.tickets.add(title="one")
        with pytest.raises(AuthenticationError):
            await client.tickets.get("1")


async def test_keys_per_api(emulator: KaptureEmulator) -> None:
    async with KaptureClient(
        base_url=emulator.url,
        credentials={"add_ticket": emulator.token or "", "get_ticket": "wrong"},
    ) as client:
        added = await client.tickets.add(title="one")
        with pytest.raises(AuthenticationError):
            await client.tickets.get(added.ticket_id)
        with pytest.raises(ConfigurationError, match="pull_tickets"):
            await client.tickets.pull("2024-04-19").all()


async def test_success_without_an_id_is_a_doubt(client: KaptureClient) -> None:
    with pytest.raises(UnreadableReplyError):
        await client.tickets.add(title="one", headers=Fault("unknown_shape").headers())


async def test_the_raw_way(emulator: KaptureEmulator, client: KaptureClient) -> None:
    reply = await client.request("/add-ticket-from-other-source.html/v.2.0", {"title": "raw"})
    assert reply["status"] == "success"
    assert emulator.ledger.entries[-1].payload == {"title": "raw"}
    found = await client.request(
        "/search-ticket-by-ticket-id.html/v.2.0",
        {"ticket_ids": reply["ticket_id"]},
        wrap="object",
        effect="read",
        marks_success=False,
    )
    assert found[0]["task_details"]["title"] == "raw"
    with pytest.raises(ValidationError):
        await client.request("/search-ticket-by-ticket-id.html/v.2.0", {"ticket_ids": "1"})
    with pytest.raises(NotFoundError):
        await client.request("/no-such-page.html", {})


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BASE_URL", "SUBDOMAIN", "TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"KAPTURE_{name}", raising=False)
    with pytest.raises(ConfigurationError, match="KAPTURE_SUBDOMAIN"):
        KaptureClient.from_env()
    monkeypatch.setenv("KAPTURE_SUBDOMAIN", "tenant")
    with pytest.raises(ConfigurationError, match="KAPTURE_TOKEN"):
        KaptureClient.from_env()
    monkeypatch.setenv("KAPTURE_TOKEN", "dG9rZW4=")
    assert KaptureClient.from_env().base_url == "https://tenant.kapturecrm.com"
    monkeypatch.setenv("KAPTURE_BASE_URL", "https://other.example")
    assert KaptureClient.from_env().base_url == "https://other.example"
    monkeypatch.setenv("KAPTURE_TOKEN", "")
    monkeypatch.setenv("KAPTURE_USERNAME", "user")
    with pytest.raises(ConfigurationError, match="password"):
        KaptureClient.from_env()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"subdomain": "t"},
        {"subdomain": "t", "base_url": "https://t.example", "token": "x"},
        {"subdomain": "t", "token": "x", "username": "u", "password": "p"},
        {"subdomain": "t", "username": "u"},
        {"subdomain": "t", "credentials": {"no_such_api": "x"}},
        {"subdomain": "t", "token": "x", "timeout": 0},
        {"subdomain": "t", "token": "x", "timeout": float("nan")},
        {"subdomain": "t", "token": "x", "timeout": "10"},
        {"subdomain": "t", "token": "x", "max_connections": 0},
        {"subdomain": "t", "token": "x", "max_reply_bytes": 0},
        {"subdomain": "t", "token": "x", "timezone": "Mars/Base"},
        {"subdomain": "t", "token": "x\n"},
        {"subdomain": "t", "token": b"x"},
        {"subdomain": "t", "token": "x", "headers": {"a": 1}},
        {"subdomain": "t", "token": "x", "max_connections": "5"},
        {"subdomain": "t", "token": "x", "retry": 3},
        {"subdomain": "t", "token": "x", "retry": None},
    ],
    ids=repr,
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        KaptureClient(**settings)


async def test_pull_several_days_in_order(client: KaptureClient, emulator: KaptureEmulator) -> None:
    start = datetime(2024, 4, 19, 6, 0, tzinfo=UTC)
    for day in range(3):
        emulator.now = start + timedelta(days=day)
        for n in range(3):
            await client.tickets.add(title=f"{day}-{n} <&>")
    pages = client.tickets.pull(date(2024, 4, 18), "2024-04-22", ahead=2)
    sizes = []
    titles = []
    while (page := await pages.next_page()) is not None:
        sizes.append(len(page))
        titles += [row.title for row in page]
    assert sizes == [0, 3, 3, 3, 0]
    assert titles == [f"{day}-{n} <&>" for day in range(3) for n in range(3)]
    # A datetime stands for its day in the service's calendar: 20:00 UTC is the next day there.
    evening = datetime(2024, 4, 18, 20, 0, tzinfo=UTC)
    rows = [row async for row in client.tickets.pull(evening)]
    assert [row.title for row in rows] == ["0-0 <&>", "0-1 <&>", "0-2 <&>"]
    assert rows[0].created_at is not None
    assert rows[0].created_at.date() == date(2024, 4, 19)


@pytest.mark.parametrize("status", ["success", "failed"])
@pytest.mark.parametrize("bare", [True, False])
async def test_nothing_one_and_many(status: str, bare: bool) -> None:
    async with (
        KaptureEmulator(empty_pull_status=status, single_row_as_object=bare) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        added = await client.tickets.add(title="one")
        assert added.ticket is not None
        assert added.ticket.created_at is not None
        today = added.ticket.created_at.date()
        assert [row.title for row in await client.tickets.pull(today).all()] == ["one"]
        assert await client.tickets.pull("2001-01-01").all() == []


async def test_a_wrong_address_is_no_empty_pull(emulator: KaptureEmulator) -> None:
    async with KaptureClient(base_url=f"{emulator.url}/wrong", token=emulator.token) as client:
        with pytest.raises(NotFoundError):
            await client.tickets.pull("2024-04-19").all()


async def test_a_failed_day_is_named_and_earlier_ones_are_whole(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    await client.tickets.add(title="one")
    emulator.faults = emulator.faults.script([None, Fault("status", status=403)])
    pages = client.tickets.pull("2024-04-19", "2024-04-21", ahead=1)
    assert await pages.next_page() == []
    with pytest.raises(Exception, match="forbids") as caught:
        await pages.next_page()
    assert "2024-04-20" in caught.value.__notes__[0]
    with pytest.raises(PermissionDeniedError):  # never a silent end
        await pages.next_page()


async def test_filters_without_dates(emulator: KaptureEmulator, client: KaptureClient) -> None:
    await client.tickets.add(title="one", extra={"customer_code": "c1"})
    pages = client.tickets.pull(customer_code="c1", status="P", offset="0", limit="100")
    assert await pages.next_page() is not None
    assert await pages.next_page() is None


async def test_leaving_a_pull_early_leaves_nothing_behind(
    emulator: KaptureEmulator, client: KaptureClient
) -> None:
    added = await client.tickets.add(title="one")
    assert added.ticket is not None
    assert added.ticket.created_at is not None
    today = added.ticket.created_at.date()
    async with client.tickets.pull(today, today.replace(year=today.year + 1)) as rows:
        async for row in rows:
            assert row.title == "one"
            break
    assert await rows.next_page() is None


@pytest.mark.parametrize(
    "days", [("2024-04-20", "2024-04-19"), ("x",), ("2024-4-1",), (None, "2024-04-19"), ()]
)
def test_days_that_cannot_be_meant(days: tuple[Any, ...]) -> None:
    client = KaptureClient("t", token="t")
    with pytest.raises(InvalidInputError):
        client.tickets.pull(*days)
