"""The only file of a project that uses the library as its users do: see ``.ci/fresh``.

There it is checked by mypy and pyright, both strict, against the wheel, and run by pytest with
asyncio's mode strict. What is an argument of a test is a fixture that the packages bring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kapture_async import (
    Accepted,
    AddedTicket,
    HelpdeskError,
    InvalidInputError,
    KaptureClient,
    NewTicket,
    NotSent,
    OutcomeUnknownError,
    Rejected,
    RejectedError,
    RetryPolicy,
    Row,
    SyncKaptureClient,
    Timeout,
    Unknown,
    parse_callback,
)
from kapture_async.events import RowFinished
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async import SupportClient, SyncSupportClient
from support_async.testing import SupportEmulator


async def open_ticket(client: KaptureClient, title: str) -> str | None:
    """Its id, or ``None`` if it may or may not be there."""
    try:
        added: AddedTicket = await client.tickets.add(title=title)
    except OutcomeUnknownError as error:
        return None if error.may_have_been_applied else ""
    return added.ticket_id


async def push_all(client: KaptureClient, titles: list[str], journal: Path) -> Counter[str]:
    """How many rows ended how."""
    rows = [Row(NewTicket(title=title), key=title) for title in titles]
    found: Counter[str] = Counter()
    seen: list[str | None] = []

    def show(event: object) -> None:
        if isinstance(event, RowFinished):
            seen.append(event.outcome.key)

    async with client.tickets.push(rows, journal=journal, on_event=show) as outcomes:
        async for outcome in outcomes:
            match outcome:
                case Accepted(result=added):
                    assert added.ticket_id.isdigit()
                    found["accepted"] += 1
                case Rejected(error=error):
                    assert error.outcome == "rejected"
                    found["rejected"] += 1
                case NotSent():
                    found["not sent"] += 1
                case Unknown(error=doubt):
                    assert doubt.attempts
                    found["unknown"] += 1
    assert sorted(key or "" for key in seen) == sorted(titles)
    return found


@pytest_asyncio.fixture
async def client(kapture_emulator: KaptureEmulator) -> AsyncIterator[KaptureClient]:
    async with KaptureClient(
        base_url=kapture_emulator.url,
        token=kapture_emulator.token,
        timeout=Timeout(total=5),
        retry=RetryPolicy(attempts=2, first_wait=0.01),
    ) as client:
        yield client


@pytest.fixture
def sync_client(kapture_emulator: KaptureEmulator) -> Iterator[SyncKaptureClient]:
    with SyncKaptureClient(base_url=kapture_emulator.url, token=kapture_emulator.token) as client:
        yield client


@pytest.mark.asyncio
async def test_a_ticket(client: KaptureClient, kapture_emulator: KaptureEmulator) -> None:
    ticket_id = await open_ticket(client, "Printer on fire")
    assert ticket_id is not None
    ticket = await client.tickets.get(ticket_id)
    assert (ticket.title, ticket.status_label) == ("Printer on fire", "Pending")
    assert ticket.created_at is not None
    pulled = client.tickets.pull(ticket.created_at.date())
    assert [row.ticket_id async for row in pulled] == [ticket_id]
    kapture_emulator.faults = FaultPlan.script(["reset_after"])
    assert await open_ticket(client, "No paper") is None
    assert len(kapture_emulator.ledger) == 2


@pytest.mark.asyncio
@pytest.mark.kapture_emulator(latency=0.001)
async def test_many(client: KaptureClient, tmp_path: Path) -> None:
    found = await push_all(client, ["one", "two", "three"], tmp_path / "one.journal")
    assert found["accepted"] == 3


def test_blocking_code(sync_client: SyncKaptureClient) -> None:
    report = sync_client.tickets.push([{"title": "one"}, NewTicket(title="two")]).run()
    assert report.accepted == 2
    with pytest.raises(RejectedError) as caught:
        sync_client.tickets.get("700000000000")
    error: HelpdeskError = caught.value
    assert error.outcome == "rejected"
    with pytest.raises(InvalidInputError):
        sync_client.tickets.add(title="")
    callback = parse_callback(b'{"ticketId": "796123456789", "status": "Complete"}')
    assert callback.ticket_id == "796123456789"


@pytest.mark.asyncio
async def test_support(support_emulator: SupportEmulator) -> None:
    url, key, token = support_emulator.url, support_emulator.apikey, support_emulator.token
    async with SupportClient(url, apikey=key, access_token=token) as client:
        assert all(category.category_id for category in await client.categories.list())


def test_support_in_blocking_code(support_emulator: SupportEmulator) -> None:
    url, key, token = support_emulator.url, support_emulator.apikey, support_emulator.token
    with SyncSupportClient(url, apikey=key, access_token=token) as client:
        assert all(category.category_id for category in client.categories.list())
