"""Everything that a lookup sees counts: also what it shows of rows that nobody looked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import KaptureClient, Reconciliation, Row, ServerError, SyncKaptureClient
from kapture_async._core.journal.reader import Compared, ReadJournal
from kapture_async._core.journal.records import State
from kapture_async._core.journal.reference import marker_of
from kapture_async._core.reconcile.contradictions import contradictions_of
from kapture_async._core.reconcile.seen_tickets import SeenTickets
from kapture_async.testing import KaptureEmulator
from support_async import SupportClient, Timeout
from support_async.testing import SupportEmulator

from .judge import rows_in
from .pushing import ENOUGH, SETTLE, client_of, keyed, push, titles
from .test_copies import copy_of

ADDS = ("tickets.add", "tickets.create", "customers.add")


class Odd:
    """Does with a row what a word in it says, and answers as if it had done something else."""

    def handle(self: Any, request: Any) -> Any:
        operation = self.operation(request)
        body = request.body
        if operation in ADDS:
            reply = super().handle(request)  # type: ignore[misc]
            if b"REFUSED" in body:
                return self.refusal("Queue not found")
            if b"DOUBLE" in body:
                return super().handle(request)  # type: ignore[misc]
            if b"OTHER" in body:
                told = reply.body.replace(orjson.loads(reply.body)["ticket_id"].encode(), b"1")
                return evolve(reply, body=told)
            if b"LOST" in body:
                return evolve(reply, body=b"<html>", status=502)
            return reply
        return super().handle(request)  # type: ignore[misc]


class OddKapture(Odd, KaptureEmulator):
    """Kapture."""


class OddSupport(Odd, SupportEmulator):
    """Support."""


def found_in(journal: Path) -> Counter[tuple[str, str | None]]:
    """What stands in the journal: kind and key, each as often as it is noted."""
    with ReadJournal.open_to_read(journal) as reader:
        return Counter((one.kind, one.key) for one in reader.contradictions())


def row_of(journal: Path, key: str) -> Any:
    (found,) = (row for row in rows_in(journal) if row.key == key)
    return found


ODD = {"a": "fine", "r": "REFUSED", "d": "DOUBLE", "o": "OTHER", "l": "LOST"}
TOLD = {("rejected_present", "r"), ("twice", "d"), ("other_ticket", "o")}


async def test_what_a_list_shows_of_other_rows(journal: Path) -> None:
    async with OddKapture() as emulator, client_of(emulator) as client:
        rows = keyed(**ODD)
        story = await push(client, rows, journal, max_concurrency=1)
        assert story.names == ["accepted", "rejected", "accepted", "accepted", "unknown"]
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert [one.key for one in found.present] == ["l"]
        assert {(one.kind, one.key) for one in found.contradictions} == TOLD
        assert found_in(journal) == Counter(TOLD)
        by_key = {one.key: one for one in found.contradictions}
        assert len(by_key["d"].ticket_ids) == 2
        refused = row_of(journal, "r")
        assert (refused.state, refused.kind) == (State.ACCEPTED, "present")
        assert by_key["r"].ticket_ids == (refused.ticket_id,)
        assert by_key["r"].reference == refused.reference
        assert row_of(journal, "d").state is State.ACCEPTED
        # Neither by its own nor mended is the refused one sent again.
        before = titles(emulator)
        mended = keyed(**{**ODD, "r": "mended"})
        assert (await push(client, rows, journal)).states == {"accepted": 5}
        await push(client, mended, journal)
        assert titles(emulator) == before


async def test_what_is_seen_again_is_noted_once(journal: Path) -> None:
    async with OddKapture() as emulator, client_of(emulator) as client:
        await push(client, keyed(**ODD), journal, max_concurrency=1)
        await client.tickets.reconcile(journal, settle=SETTLE)
        await push(client, keyed(m="LOST more"), journal)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        # The refused one is accepted by now, and that it was refused stays listed.
        assert {(one.kind, one.key) for one in found.contradictions} == TOLD - {
            ("rejected_present", "r")
        }
        assert found_in(journal) == Counter(TOLD)


async def test_a_row_that_comes_after_it_was_proved_absent(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    real = emulator.handle
    emulator.handle = lambda request: emulator.refusal("try again later")  # type: ignore[method-assign]
    await push(client, keyed(late="late"), journal)
    emulator.handle = real  # type: ignore[method-assign]
    found = await client.tickets.reconcile(journal, settle=SETTLE, assume_complete=True)
    (late,) = found.absent
    ticket_id = emulator.seed(title="late", ticket_details=f"x\n{marker_of(late.reference)}")
    emulator.handle = lambda request: evolve(real(request), status=502)  # type: ignore[method-assign]
    await push(client, keyed(b="b"), journal)
    emulator.handle = real  # type: ignore[method-assign]
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    (seen,) = found.contradictions
    assert (seen.kind, seen.key, seen.ticket_ids) == ("not_sent_present", "late", (ticket_id,))
    assert (await push(client, keyed(late="late"), journal)).states == {"accepted": 1}
    assert titles(emulator) == Counter(["b"])


async def test_a_look_that_fails_has_seen_what_it_has_seen(journal: Path) -> None:
    class Failing(OddKapture):
        pulls = 0

        def handle(self, request: Any) -> Any:
            if self.operation(request) == "tickets.pull":
                self.pulls += 1
                if self.pulls > 5:
                    return evolve(self.refusal("x"), status=500)
            return super().handle(request)

    async with Failing() as emulator, client_of(emulator) as client:
        await push(client, keyed(**ODD), journal, max_concurrency=1)
        emulator.seed(title="other")
        with pytest.raises(ServerError) as caught:
            await _lose_for_good(client, emulator, journal)
        found = Reconciliation.before(caught.value)
        assert found is not None
        assert {(one.kind, one.key) for one in found.contradictions} == TOLD
        assert found_in(journal) == Counter(TOLD)


async def _lose_for_good(client: KaptureClient, emulator: KaptureEmulator, journal: Path) -> None:
    """Look for a row that no first look finds, so that there is a second one."""
    real = emulator.handle
    emulator.handle = lambda request: emulator.refusal("try again later")  # type: ignore[method-assign]
    await push(client, keyed(gone="gone"), journal)
    emulator.handle = real  # type: ignore[method-assign]
    await client.tickets.reconcile(journal, settle=SETTLE)


async def test_support_gives_no_ids(journal: Path) -> None:
    async with OddSupport() as emulator:
        timeout = Timeout(total=SETTLE / 2)
        settings: dict[str, Any] = {"apikey": emulator.apikey, "timeout": timeout}
        async with SupportClient(emulator.url, access_token=emulator.token, **settings) as client:
            rows = [
                Row({"subject": text, "comment": "x", "category": "3", "priority": "1"}, key)
                for key, text in ODD.items()
                if key != "o"
            ]
            story = await push(client, rows, journal, max_concurrency=1)  # type: ignore[arg-type]
            assert story.names == ["accepted", "rejected", "accepted", "unknown"]
            found = await client.tickets.reconcile(journal, settle=SETTLE)
            assert {(one.kind, one.key) for one in found.contradictions} == TOLD - {
                ("other_ticket", "o")
            }
            await push(client, rows, journal)  # type: ignore[arg-type]
            assert len(emulator.ledger.entries) == 5


async def test_updates_and_their_tickets_notes(emulator: KaptureEmulator, journal: Path) -> None:
    """A note of a row beside that of a doubt, on the same ticket."""
    ticket_id = emulator.seed(title="t")
    answers = ["refused", "double", "lost"]
    real = emulator.handle

    def handle(request: Any) -> Any:
        reply = real(request)
        if emulator.operation(request) == "tickets.update":
            what = answers.pop(0)
            if what == "refused":
                return emulator.refusal("Queue not found")
            if what == "double":
                return real(request)
            return evolve(reply, status=502)
        return reply

    emulator.handle = handle  # type: ignore[method-assign]
    rows = [Row({"ticket_id": ticket_id, "comment": f"text {key}"}, key) for key in "rdl"]
    async with client_of(emulator) as client:
        ended = []
        async with client.tickets.update_many(
            rows, journal=journal, sub_status="CL", max_concurrency=1
        ) as outcomes:
            ended += [(outcome.key, outcome.name) async for outcome in outcomes]
        assert sorted(ended) == [("d", "accepted"), ("l", "unknown"), ("r", "rejected")]
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert [one.key for one in found.present] == ["l"]
        assert {(one.kind, one.key) for one in found.contradictions} == {
            ("rejected_present", "r"),
            ("twice", "d"),
        }


def test_the_sync_client(journal: Path) -> None:
    with OddKapture().in_thread() as emulator:
        with SyncKaptureClient(
            base_url=emulator.url, token=emulator.token, timeout=ENOUGH
        ) as client:
            with client.tickets.push(keyed(**ODD), journal=journal, max_concurrency=1) as outcomes:
                list(outcomes)
            found = client.tickets.reconcile(journal, settle=SETTLE)
        assert {(one.kind, one.key) for one in found.contradictions} == TOLD


async def test_what_is_seen_for_an_older_copy(journal: Path, tmp_path: Path) -> None:
    async with OddKapture() as emulator, client_of(emulator) as client:
        rows = keyed(a="fine", r="REFUSED", d="DOUBLE")
        await push(client, rows, journal, max_concurrency=1)
        backup = copy_of(journal, tmp_path / "backup")
        await push(client, keyed(z="later"), journal)
        before = titles(emulator)
        copy_of(backup, journal)
        await push(client, [*rows, *keyed(z="later")], journal)
        assert titles(emulator) == before
        assert set(found_in(journal)) == {("rejected_present", "r"), ("twice", "d")}
        assert row_of(journal, "r").state is State.ACCEPTED


# --- mergers -------------------------------------------------------------------------------------


def row(number: int, own: str) -> Compared:
    return Compared(number, f"ref{number}", None, number, "accepted", own)


@pytest.mark.parametrize(
    ("seen", "merged", "told"),
    [
        # Row 1 has ticket A, row 2 has ticket B.
        ([("ref1", "A"), ("ref2", "B")], [], [[], []]),
        ([("ref1", "A"), ("ref2", "A")], [], [[], []]),  # B was merged into A, and is gone
        ([("ref1", "A"), ("ref2", "A"), ("ref2", "B")], [], [[], []]),  # or still shown
        ([("ref1", "A"), ("ref2", "C")], [("B", "C")], [[], []]),  # into a ticket of nobody's
        ([("ref1", "A"), ("ref2", "B"), ("ref2", "C")], [("B", "C")], [[], []]),
        ([("ref1", "A"), ("ref1", "B"), ("ref2", "B")], [("A", "B")], [[], []]),
        ([("ref1", "A"), ("ref2", "C")], [], [[], ["other_ticket"]]),
        ([("ref1", "C"), ("ref2", "C")], [], [["other_ticket"], ["other_ticket"]]),
        ([("ref1", "A"), ("ref1", "C"), ("ref2", "B")], [], [["twice"], []]),
        ([("ref1", "C"), ("ref1", "D")], [], [["twice", "other_ticket"], []]),
        ([("ref1", "")], [], [[], []]),  # a ticket whose id cannot be read
    ],
)
def test_mergers(
    seen: list[tuple[str, str]], merged: list[tuple[str, str]], told: list[list[str]]
) -> None:
    store = SeenTickets()
    store.add_references(seen)
    store.add_merged(merged)
    store.add_rows([row(1, own="A"), row(2, own="B")], every=True)
    found = [contradictions_of(one, tickets, store) for one, tickets, *_ in store.rows()]
    store.close()
    assert found == told
