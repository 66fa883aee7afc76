"""Tenants with pagination: a limit, an offset, and the service's own count."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import (
    ConfigurationError,
    KaptureClient,
    RejectedError,
    Row,
    SyncKaptureClient,
)
from kapture_async._core.testing.http import EmulatorReply, EmulatorRequest
from kapture_async.testing import FaultPlan, KaptureEmulator

PULL = "/select-ticket-between-start-and-end-dates.html/v.2.0"


def filled(emulator: KaptureEmulator, count: int) -> date:
    for number in range(count):
        emulator.seed(title=f"T{number}")
    return emulator.now.date()


def pulls(emulator: KaptureEmulator) -> int:
    return emulator.requests[PULL]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
async def test_a_page_size_is_set_once(count: int) -> None:
    async with (
        KaptureEmulator(pagination=100) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, page_size=100) as client,
    ):
        day = filled(emulator, count)
        pages = client.tickets.pull(day)
        titles = [row.title async for row in pages]
        assert sorted(titles) == sorted(f"T{number}" for number in range(count))
        assert pages.incomplete == ()


async def test_a_limit_that_is_demanded_is_learned() -> None:
    async with (
        KaptureEmulator(pagination=100) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        day = filled(emulator, 130)
        assert len(await client.tickets.pull(day).all()) == 130
        first = pulls(emulator)
        assert first == 3  # refused, and two pages
        assert len(await client.with_options(timeout=5).tickets.pull(day).all()) == 130
        assert pulls(emulator) == first + 2


async def test_a_limit_for_one_pull_is_its_page_size() -> None:
    async with (
        KaptureEmulator() as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        day = filled(emulator, 25)
        assert len(await client.tickets.pull(day, limit=10).all()) == 25
        assert len(await client.tickets.pull(day, limit="10").all()) == 25
        # With an offset it is one page.
        assert len(await client.tickets.pull(day, limit=10, offset=20).all()) == 5
        page = client.tickets.pull(day, limit=10, offset=0)
        assert len(await page.all()) == 10
        assert page.incomplete == ()


async def test_a_limit_that_is_too_large_is_the_services_own_refusal() -> None:
    async with (
        KaptureEmulator(pagination=50) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, page_size=51) as client,
    ):
        with pytest.raises(Exception, match="limit must not exceed 50"):
            await client.tickets.pull(filled(emulator, 1)).all()


class Odd(KaptureEmulator):
    """Ignores the offset, or counts the page, or answers shorter pages than it is asked for."""

    def __init__(self, how: str, *, without_ids: bool = False) -> None:
        super().__init__()
        self.how = how
        self.without_ids = without_ids

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        if request.path == PULL:
            body = orjson.loads(request.body)
            if self.how == "ignores the offset":
                body[0].pop("offset", None)
            if self.how == "its own limit":
                body[0]["limit"] = 30
            request = evolve(request, body=orjson.dumps(body))
        reply = super().handle(request)
        if request.path != PULL:
            return reply
        shown: Any = orjson.loads(reply.body)
        rows = shown["message"]
        if self.how == "counts the page":
            shown["totalCount"] = len(rows) if isinstance(rows, list) else 0
        if self.how in ("no count", "its own limit") or self.without_ids:
            shown["totalCount"] = None
        for row in rows if self.without_ids else ():
            del row["ticketId"]
        return evolve(reply, body=orjson.dumps(shown))


@pytest.mark.parametrize(
    ("how", "found", "short"),
    [
        ("counts the page", 70, False),
        ("no count", 70, False),
        ("its own limit", 70, False),
        ("ignores the offset", 50, True),  # the others cannot be had, and that is said
    ],
)
async def test_odd_paging(how: str, found: int, short: bool) -> None:
    async with (
        Odd(how) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, page_size=50) as client,
    ):
        day = filled(emulator, 70)
        pages = client.tickets.pull(day)
        assert len(await pages.all()) == found
        assert bool(pages.incomplete) is short


async def test_all_that_pulls_goes_by_pages(tmp_path: Any) -> None:
    faults = FaultPlan.script([None] * 119 + ["close_after"])
    async with (
        KaptureEmulator(pagination=50, faults=faults) as emulator,
        KaptureClient(
            base_url=emulator.url, token=emulator.token, timeout=1, page_size=50
        ) as client,
    ):
        rows = [Row({"title": f"t{n}"}, key=str(n)) for n in range(120)]
        async with client.tickets.push(rows, journal=tmp_path / "j", max_concurrency=1) as outcomes:
            names = [outcome.name async for outcome in outcomes]
        assert names.count("unknown") == 1
        found = await client.tickets.reconcile(tmp_path / "j", settle=2.0)
        assert (len(found.present), len(found.open)) == (1, 0)
        assert (await client.tickets.doctor(patience=5)).guarantee == "exactly once with proof"
        done = await client.tickets.export(tmp_path / "out.jsonl", start=emulator.now.date())
        assert (done.rows, done.incomplete) == (121, ())


async def test_customers_by_pages() -> None:
    async with (
        KaptureEmulator(pagination=10) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
    ):
        for number in range(15):
            emulator.seed_customer(customer_name=f"C{number}", phone=f"{number:010}")
        day = emulator.now.date()
        with pytest.raises(RejectedError, match="must not exceed"):  # than 100
            await client.customers.pull(day, cm_id=1).all()
    async with (
        KaptureEmulator(pagination=10) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, page_size=10) as client,
    ):
        for number in range(15):
            emulator.seed_customer(customer_name=f"C{number}", phone=f"{number:010}")
        assert len(await client.customers.pull(emulator.now.date(), cm_id=1).all()) == 15


def test_the_sync_client_and_wrong_sizes() -> None:
    with KaptureEmulator(pagination=20).in_thread() as emulator:
        with SyncKaptureClient(base_url=emulator.url, token=emulator.token, page_size=20) as client:
            assert len(client.tickets.pull(filled(emulator, 45)).all()) == 45
    for size in (0, -1, True, "20", 1.5):
        with pytest.raises(ConfigurationError, match="page_size"):
            SyncKaptureClient("x", token="t", page_size=size)  # type: ignore[arg-type]


async def test_rows_without_ids_of_a_service_without_offsets_come_once() -> None:
    """They are known by what they hold; else the same page would be asked for without end."""
    async with (
        Odd("ignores the offset", without_ids=True) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token, page_size=50) as client,
    ):
        day = filled(emulator, 20)
        assert len(await client.tickets.pull(day).all()) == 20
        assert pulls(emulator) <= 2
