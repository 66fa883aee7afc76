"""Looks that see too little: what they do not show is not taken for absent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import PushStoppedError, Row
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import State
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async import SupportClient, Timeout
from support_async.testing import SupportEmulator
from support_async.testing.emulator import PASSWORD

from ..clock import Clock
from .judge import each_once, judge
from .pushing import SETTLE, client_of, keyed, plain, push, titles

LAST_IS_LOST = [None, None, None, None, "close_after"]


class Short(KaptureEmulator):
    """Shows three tickets of a day at most, and does not say so."""

    most: int | None = 3

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.pull":
            return reply
        body = orjson.loads(reply.body)
        if isinstance(body["message"], list):  # and not a text that says there is nothing
            body["message"] = body["message"][: self.most]
        return evolve(reply, body=orjson.dumps(body))


async def test_a_day_that_comes_back_short(journal: Path) -> None:
    async with (
        Short(faults=FaultPlan.script(LAST_IS_LOST)) as emulator,
        client_of(emulator) as client,
    ):
        rows = plain("a", "b", "c", "d", "e")
        await push(client, rows, journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.open), found.absent, found.unseen) == (1, [], 1)
        assert (await push(client, rows, journal)).states == {"accepted": 4, "unknown": 1}
        emulator.most = None
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.present), found.unseen) == (1, 0)
        assert (await push(client, rows, journal)).names == []
        each_once(emulator.ledger, "abcde")
        judge(journal, emulator.ledger)


async def test_without_a_witness_a_look_is_not_believed(journal: Path) -> None:
    async with (
        Short(faults=FaultPlan.script(["close_before"])) as emulator,
        client_of(emulator) as client,
    ):
        await push(client, keyed(a="one"), journal)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.open), found.absent, found.unconfirmed) == (1, [], 1)
        assert (await push(client, keyed(a="one"), journal)).states == {"unknown": 1}
        # Another row that went well, and is shown, vouches for the look.
        await push(client, keyed(b="two"), journal)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.absent), found.unconfirmed) == (1, 0)
        assert (await push(client, keyed(a="one"), journal)).names == ["accepted"]
        assert titles(emulator) == Counter(["one", "two"])


async def test_an_empty_look_can_be_trusted(journal: Path) -> None:
    async with (
        Short(faults=FaultPlan.script(["close_before"])) as emulator,
        client_of(emulator) as client,
    ):
        await push(client, keyed(a="one"), journal)
        found = await client.tickets.reconcile(journal, settle=SETTLE, assume_complete=True)
        assert (len(found.absent), found.open, found.unconfirmed) == (1, [], 0)
        assert (await push(client, keyed(a="one"), journal)).names == ["accepted"]
        assert titles(emulator) == Counter(["one"])


class Changed(KaptureEmulator):
    """Shows each row of a pull as a test has it."""

    change: Callable[[dict[str, Any]], None] = staticmethod(lambda row: None)
    blind: str | None = None
    """A day of which it says that there is nothing."""

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.pull":
            return reply
        body = orjson.loads(reply.body)
        if self.blind is not None and self.blind.encode() in request.body:
            body["message"] = "No Data found"
        if isinstance(body["message"], list):
            for row in body["message"]:
                self.change(row)
        return evolve(reply, body=orjson.dumps(body))


async def test_a_day_without_a_witness(journal: Path, clock: Clock) -> None:
    """Rows of one day do not vouch for the list of another."""
    plan = FaultPlan.script([*[None] * 3, "close_after"])
    async with Changed(clock=clock.now, faults=plan) as emulator, client_of(emulator) as client:
        clock.ahead += emulator.now.replace(hour=23, minute=50).timestamp() - clock.now()
        rows = keyed(a="a", b="b", c="c")
        await push(client, rows, journal)
        clock.ahead += 3600
        emulator.blind = emulator.now.date().isoformat()
        await push(client, [*rows, *keyed(d="d")], journal)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.open), found.absent, found.unconfirmed) == (1, [], 1)
        emulator.blind = None
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert len(found.present) == 1
        each_once(emulator.ledger, "abcd")


@pytest.mark.parametrize("ahead", [5.5 * 3600, -5.5 * 3600, 13 * 3600])
async def test_a_clock_of_another_zone(journal: Path, clock: Clock, ahead: float) -> None:
    async with KaptureEmulator(faults=FaultPlan.script(["close_after"])) as emulator:
        clock.ahead += ahead
        async with client_of(emulator) as client:
            await push(client, keyed(a="one"), journal)
            assert len((await client.tickets.reconcile(journal, settle=SETTLE)).present) == 1


@pytest.mark.parametrize("shown", [500, 2000, 2509])
async def test_a_list_that_shows_the_beginnings_of_texts(journal: Path, shown: int) -> None:
    """Short rows come back whole and vouch for the look; the long one is not absent for that."""
    plan = FaultPlan.script([None, None, "close_after", "close_before"])
    rows = keyed(a="a", b="b", long="long", gone="gone")
    rows[2] = Row(
        {"title": "Long  one", "ticket_details": "<b>1 &lt; 2</b>\n" + "y " * 1250}, "long"
    )
    async with Changed(faults=plan) as emulator, client_of(emulator) as client:
        emulator.change = lambda row: row.update(detail=row["detail"][:shown])  # type: ignore[method-assign]
        await push(client, rows, journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        (long,) = found.probable
        assert (long.key, long.ticket_ids) == ("long", (emulator.ledger.entries[2].ticket_id,))
        assert [one.key for one in found.absent] == ["gone"]
        story = await push(client, rows, journal)
        assert (story.names, story.states) == (["accepted"], {"accepted": 2, "probable": 1})
        each_once(emulator.ledger, ["a", "b", "Long  one", "gone"])


async def test_a_text_that_comes_back_with_half_a_reference(journal: Path) -> None:
    plan = FaultPlan.script([None, "close_after"])
    async with Changed(faults=plan) as emulator, client_of(emulator) as client:
        emulator.change = (
            lambda row: row.update(  # type: ignore[method-assign]
                detail=row["detail"][:-9] if row["taskTitle"] == "one" else row["detail"]
            )
        )
        await push(client, keyed(z="zero", a="one"), journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert ([one.key for one in found.probable], found.absent) == (["a"], [])


@pytest.mark.parametrize("unreadable", [None, "", ["x"], 12.5])
async def test_a_ticket_without_an_id(journal: Path, unreadable: object) -> None:
    plan = FaultPlan.script([None, "close_after"])
    rows = keyed(z="zero", a="one")
    async with Changed(faults=plan) as emulator, client_of(emulator) as client:

        def change(row: dict[str, Any]) -> None:
            if row["taskTitle"] == "one":
                row["ticketId"] = unreadable

        emulator.change = change  # type: ignore[method-assign]
        await push(client, rows, journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert [(one.key, one.ticket_ids) for one in found.ambiguous] == [("a", ())]
        assert found.absent == []
        assert (await push(client, rows, journal)).states == {"accepted": 1, "ambiguous": 1}
        each_once(emulator.ledger, ["zero", "one"])


@pytest.mark.parametrize("keyed_first", [True, False])
async def test_rows_that_lose_or_get_keys(journal: Path, keyed_first: bool) -> None:
    async with KaptureEmulator() as emulator, client_of(emulator) as client:
        values = plain("a", "b", "b")
        named = [Row(value, f"k{number}") for number, value in enumerate(values)]
        first, second = (named, values) if keyed_first else (values, named)
        await push(client, first, journal)
        story = await push(client, [*second, *plain("new")], journal)
        assert story.names == ["rejected"] * 3 + ["accepted"]
        assert "had a row with this content" in story.outcomes[0].reason + story.outcomes[-1].reason
        # Beside each other they are different rows, also in later runs.
        story = await push(client, [*first, *plain("a"), Row(plain("b")[0], "own")], journal)
        each_once(emulator.ledger, ["a", "a", "b", "b", "b", "new"])
        again = await push(client, [*first, *plain("a"), Row(plain("b")[0], "own")], journal)
        assert again.names == []


async def test_a_row_that_was_refused_for_its_name_is_none_of_its_equals(journal: Path) -> None:
    async with KaptureEmulator() as emulator, client_of(emulator) as client:
        (bare,) = plain("x")
        named = Row(bare, "k")
        await push(client, [named], journal)
        assert (await push(client, [bare], journal)).names == ["rejected"]
        assert (await push(client, [named, bare], journal)).names == ["accepted"]
        assert (await push(client, [named, bare], journal)).names == []
        each_once(emulator.ledger, ["x", "x"])


async def test_a_path_that_is_not_there_says_nothing_of_rows(journal: Path) -> None:
    """It stops the push before a second one is sent; and they all go again as they are."""
    async with KaptureEmulator(faults=FaultPlan.script(["status;status=404"] * 3)) as emulator:
        async with client_of(emulator) as client:
            rows = plain("a", "b", "c")
            with pytest.raises(PushStoppedError, match="Check the base URL"):
                await push(client, rows, journal)
            assert emulator.faulted.total() == 1
            emulator.faults = FaultPlan()
            with ReadJournal.open_to_read(journal) as reader:
                taken = len(list(reader.pending()))
                assert [row.error for row in reader.rows_in(State.REJECTED)] == [
                    "EndpointNotFoundError"
                ]
            again = await push(client, [], journal, from_journal=True)
            assert again.names == ["accepted"] * taken
            await push(client, rows, journal)
            each_once(emulator.ledger, "abc")


class Echoing(KaptureEmulator):
    """Refuses rows in words that name them."""

    def handle(self, request: Any) -> Any:
        if self.operation(request) == "tickets.add" and b"Jane" in request.body:
            return self.refusal("Invalid email id jane.doe@example.com of Jane Doe")
        return super().handle(request)


async def test_without_payloads_no_content_stays(journal: Path) -> None:
    plan = FaultPlan.script(["status;status=401"])
    async with Echoing(faults=plan) as emulator, client_of(emulator) as client:
        with pytest.raises(PushStoppedError):
            await push(client, keyed(a="Private one"), journal, max_concurrency=1)
        assert b"Private one" in content(journal)
        rows = keyed(a="Private one", b="Jane Doe")
        story = await push(client, rows, journal, payloads=False, max_concurrency=1)
        assert story.names == ["accepted", "rejected"]
        assert "jane.doe@example.com" in story.outcomes[-1].reason
        for secret in (b"Private one", b"Jane", b"jane.doe"):
            assert secret not in content(journal)
        with ReadJournal.open_to_read(journal) as reader:
            (row,) = reader.rows_in(State.REJECTED)
        assert (row.error, row.status) == ("RejectedError", 200)


def content(journal: Path) -> bytes:
    return b"".join(path.read_bytes() for path in journal.parent.iterdir())


async def test_looking_as_somebody_else(journal: Path) -> None:
    """Each user of the support service sees nothing but his own tickets."""
    subjects = "abcde"
    rows = [
        {"subject": subject, "comment": "text", "category": "3", "priority": "1"}
        for subject in subjects
    ]
    async with SupportEmulator(faults=FaultPlan.script(LAST_IS_LOST)) as emulator:
        settings: dict[str, Any] = {"apikey": emulator.apikey, "timeout": Timeout(total=SETTLE / 2)}
        async with SupportClient(emulator.url, access_token=emulator.token, **settings) as client:
            await push(client, rows, journal, max_concurrency=1)  # type: ignore[arg-type]
            async with SupportClient(emulator.url, **settings) as other:
                await other.login("other@example.com", PASSWORD)
                found = await other.tickets.reconcile(journal, settle=SETTLE)
                assert (len(found.open), found.absent, found.unseen) == (1, [], 4)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert (len(found.present), found.unseen) == (1, 0)
            await push(client, rows, journal)  # type: ignore[arg-type]
        each_once(emulator.ledger, subjects)
        judge(journal, emulator.ledger)


async def test_how_new_a_list_is_the_newest_rows_say(journal: Path, clock: Clock) -> None:
    """However many rows there are beside them, of which only some are looked at."""
    async with KaptureEmulator(clock=clock.now) as emulator, client_of(emulator) as client:
        await push(client, plain(*(f"t{number}" for number in range(1001))), journal)
        clock.ahead += 600
        emulator.faults = FaultPlan.script(["close_before"], only="tickets.add")
        await push(client, plain("doubt", "newest"), journal, max_concurrency=1)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (len(found.absent), found.open) == (1, [])


async def test_the_last_row_that_goes_again_by_itself(journal: Path, clock: Clock) -> None:
    """On a quiet helpdesk nothing newer ever comes; yet its doubt has an end."""
    rows = plain("a", "b", "c")
    async with KaptureEmulator(clock=clock.now) as emulator, client_of(emulator) as client:
        lost = [None, None, "close_before", "close_before"]
        emulator.faults = FaultPlan.script(lost, only="tickets.add")
        for _ in range(2):
            await push(client, rows, journal, max_concurrency=1)
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert (len(found.absent), found.open) == (1, [])
            clock.ahead += SETTLE / 2
        await push(client, rows, journal)
        assert titles(emulator) == {"a": 1, "b": 1, "c": 1}
