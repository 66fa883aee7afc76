"""The same push again: what it sends, what it does not, and what it says of it."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from kapture_async import (
    ConflictError,
    InvalidInputError,
    KaptureClient,
    NewTicket,
    PushStoppedError,
    Row,
)
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import State
from kapture_async.testing import Fault, FaultPlan, KaptureEmulator

from .judge import each_once, judge, tickets_in
from .pushing import SETTLE, Story, client_of, keyed, plain, push, titles

ADD = "tickets.add"
SLOW_DOWN = Fault("status", status=429, retry_after="0.05")
LATER = Fault("status", status=429, retry_after="3600")


def sent(emulator: KaptureEmulator) -> int:
    return sum(count for path, count in emulator.requests.items() if "add-ticket" in path)


async def test_the_same_push_again_sends_nothing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows = [*plain("a", "b"), *keyed(k="c")]
    assert (await push(client, rows, journal)).names == ["accepted"] * 3
    async with client.tickets.push(rows, journal=journal) as outcomes:
        assert [outcome async for outcome in outcomes] == []
    assert (outcomes.counts.rows, outcomes.counts.earlier, outcomes.counts.in_flight) == (3, 3, 0)
    assert sent(emulator) == 3


async def test_new_rows_are_planned_and_changed_ones_told_of(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, keyed(a="one", b="two"), journal)
    story = await push(client, keyed(a="one", b="TWO", c="three"), journal)
    assert story.states == {"accepted": 1}
    changed, new = sorted(story.outcomes, key=lambda outcome: outcome.key)
    assert (changed.key, changed.name, changed.attempts) == ("b", "rejected", 0)
    assert isinstance(changed.error, ConflictError)
    assert "is in the helpdesk" in changed.reason
    assert (new.key, new.name) == ("c", "accepted")
    assert titles(emulator) == Counter(["one", "two", "three"])
    judge(journal, emulator.ledger)


async def test_what_is_in_doubt_is_not_sent_whether_changed_or_not(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_before", "close_after"])
    story = await push(client, keyed(a="one", b="two"), journal, max_concurrency=1)
    assert story.names == ["unknown"] * 2
    for rows in (keyed(a="one", b="two"), keyed(a="ONE", b="TWO")):
        again = await push(client, rows, journal)
        assert (again.names, again.states) == ([], {"unknown": 2})
    assert sent(emulator) == 2
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert [one.key for one in found.absent] == ["a"]
    assert [one.key for one in found.present] == ["b"]
    assert found.present[0].ticket_ids == (emulator.ledger.entries[0].ticket_id,)
    assert found.doubts == 2
    # What is proven absent may go as it is now.
    assert (await push(client, keyed(a="ONE", b="two"), journal)).names == ["accepted"]
    assert titles(emulator) == Counter(["ONE", "two"])
    judge(journal, emulator.ledger)


async def test_a_rejected_row_goes_again_once_it_is_mended(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["failed"])
    assert (await push(client, keyed(a="bad"), journal)).names == ["rejected"]
    (refused,) = orjson.loads(emulator.received[-1].body)
    again = await push(client, keyed(a="bad"), journal)
    assert (again.names, again.states) == ([], {"rejected": 1})
    assert sent(emulator) == 1
    assert (await push(client, keyed(a="good"), journal)).names == ["accepted"]
    (ticket,) = tickets_in(emulator.ledger)
    assert ticket.reference is not None
    assert ticket.reference in refused["ticket_details"]  # the same row, so the same reference
    assert (await push(client, keyed(a="good"), journal)).states == {"accepted": 1}
    judge(journal, emulator.ledger)


async def test_a_row_that_was_turned_away_goes_again_as_it_is(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script([LATER])
    with pytest.raises(PushStoppedError):
        await push(client, keyed(a="one"), journal)
    assert (await push(client, keyed(a="one"), journal)).names == ["accepted"]
    assert titles(emulator) == Counter(["one"])


async def test_bad_rows_are_remembered_and_those_with_a_key_until_they_are_mended(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    bad: list[Any] = [
        Row({"title": ""}, "a"),
        Row(None, "b", problem=InvalidInputError("line 7 has too few cells")),
        {"ticket_details": "neither title nor key"},
    ]
    assert (await push(client, bad, journal)).names == ["not_sent"] * 3
    assert judge(journal, emulator.ledger).not_sent == 3
    assert (await push(client, bad, journal)).names == ["not_sent"] * 3
    assert judge(journal, emulator.ledger).rows == 3
    assert (await push(client, keyed(a="x", b="y"), journal)).names == ["accepted"] * 2
    counts = judge(journal, emulator.ledger)
    assert (counts.accepted, counts.not_sent) == (2, 1)


async def test_bad_rows_without_names_are_told_apart_and_found_again(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    blank = InvalidInputError("title is blank")
    bad: list[Any] = [
        {"title": ""},
        {"title": ""},
        *(Row(None, f"line {n}", n, problem=blank, keyed=False) for n in (7, 8)),
        Row(None, "", problem=blank),  # no names that a journal could find again
        Row(None, "\udcff", problem=blank),
    ]
    for _ in range(2):
        story = await push(client, bad, journal)
        assert story.names == ["not_sent"] * len(bad)
        assert {outcome.error.message for outcome in story.outcomes} == {"title is blank"}
        assert judge(journal, emulator.ledger).not_sent == len(bad)
    with ReadJournal.open_to_read(journal) as read:
        views = list(read.rows_in(State.NOT_SENT))
        assert not list(read.pending())
    assert sorted(view.line or 0 for view in views) == [0, 0, 0, 0, 7, 8]
    assert {(view.key, view.words, view.attempts) for view in views} == {
        (None, "title is blank", 0)
    }


async def test_good_rows_whose_key_names_nothing_leave_a_trace(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    bad = [
        Row({"title": "one"}, "", 2),
        Row({"title": "two"}, "", 3),
        Row({"title": "three"}, "\udcff"),
        Row({"title": "four"}, "\udcff"),
    ]
    for _ in range(2):
        assert (await push(client, bad, journal)).names == ["not_sent"] * len(bad)
        counts = judge(journal, emulator.ledger)
        assert (counts.rows, counts.not_sent) == (len(bad), len(bad))
    assert sent(emulator) == 0
    with ReadJournal.open_to_read(journal) as read:
        views = [(view.line, view.key, view.words) for view in read.rows_in(State.NOT_SENT)]
    empty, unreadable = "its key is empty", "its key is not readable text (UTF-8)"
    assert views == [(2, None, empty), (3, None, empty), *[(None, None, unreadable)] * 2]


async def test_a_key_that_comes_twice(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows = [*keyed(a="one"), *keyed(a="one"), *keyed(a="other")]
    for state in ("repeated", "accepted"):
        story = await push(client, rows, journal)
        second = [outcome for outcome in story.outcomes if outcome.name == "not_sent"]
        assert [outcome.row.value["title"] for outcome in second] == ["other"]
        assert "stood in an earlier row, with other content" in second[0].reason
        assert story.states[state] == 1
        assert story.states["repeated"] == 1
    assert titles(emulator).total() == 1
    judge(journal, emulator.ledger)


async def test_a_key_function_names_the_rows(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    def name(row: Any) -> str:
        return str(row["title"])

    emulator.faults = FaultPlan.script(["close_after"])
    await push(client, plain("a", "b"), journal, key=name)
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert len(found.present) == 1
    again = await push(client, plain("b", "a", "c"), journal, key=name)
    assert again.states == {"accepted": 2}
    assert titles(emulator) == Counter("abc")


async def test_equal_rows_without_keys_are_counted(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    assert (await push(client, plain("x", "x", "y", "x"), journal)).names == ["accepted"] * 4
    assert (await push(client, plain("x", "x", "y", "x"), journal)).names == []
    assert (await push(client, plain("x", "y"), journal)).names == []
    assert (await push(client, plain("x", "x", "x", "x", "y"), journal)).names == ["accepted"]
    each_once(emulator.ledger, "xxxxy")
    references = [ticket.reference for ticket in tickets_in(emulator.ledger)]
    assert len(set(references)) == 5
    judge(journal, emulator.ledger)


@pytest.mark.parametrize("with_keys", [True, False])
async def test_a_source_in_another_order(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, with_keys: bool
) -> None:
    names = [f"t{number // 2 if not with_keys else number}" for number in range(60)]
    rows: list[Any] = keyed(**{name: name for name in names}) if with_keys else plain(*names)
    emulator.faults = FaultPlan.rate(
        0.4, seed=3, kinds=["close_before", "close_after", "reset_early"]
    )
    await push(client, rows, journal)
    emulator.faults = FaultPlan()
    random.Random(3).shuffle(rows)
    again = await push(client, rows, journal)
    assert (again.names, again.states.total()) == ([], 60)
    await client.tickets.reconcile(journal, settle=SETTLE)
    random.Random(4).shuffle(rows)
    await push(client, rows, journal)
    each_once(emulator.ledger, names)
    assert judge(journal, emulator.ledger).accepted == 60


async def test_a_ticket_object_and_a_mapping_are_the_same_row(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, [NewTicket(title="a", ticket_details="About a.")], journal)
    assert (await push(client, plain("a"), journal)).states == {"accepted": 1}
    assert (await push(client, [dict(reversed(plain("a")[0].items()))], journal)).names == []


# --- without the source ------------------------------------------------------------------------


async def left_over(emulator: KaptureEmulator, journal: Path, **settings: Any) -> None:
    """A push of which a is there, b in doubt, and c was turned away."""
    emulator.faults = FaultPlan.script([None, "close_before", LATER])
    async with client_of(emulator) as client:
        with pytest.raises(PushStoppedError):
            await push(client, plain("a", "b", "c"), journal, max_concurrency=1, **settings)
    emulator.faults = FaultPlan()


async def test_the_journal_alone(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await left_over(emulator, journal)
    assert titles(emulator) == Counter("a")
    story = await push(client, [], journal, from_journal=True)
    assert story.names == ["accepted"]  # c; of b nobody knows
    assert titles(emulator) == Counter("ac")
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert len(found.absent) == 1
    assert (await push(client, [], journal, from_journal=True)).names == ["accepted"]
    assert (await push(client, [], journal, from_journal=True)).names == []
    each_once(emulator.ledger, "abc")
    assert (await push(client, plain("a", "b", "c", "d"), journal)).names == ["accepted"]
    each_once(emulator.ledger, "abcd")
    texts = {ticket.title: ticket.text for ticket in tickets_in(emulator.ledger)}
    assert texts == {title: f"About {title}." for title in "abcd"}
    judge(journal, emulator.ledger)


async def test_without_contents_the_source_is_needed(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await left_over(emulator, journal, payloads=False)
    kept = b"".join(path.read_bytes() for path in journal.parent.iterdir())
    assert b"About" not in kept
    settings = {"payloads": False, "from_journal": True}
    assert (await push(client, [], journal, **settings)).names == []
    # Nobody knows any more how long its text was: the reference may have been cut off.
    found = await client.tickets.reconcile(journal, settle=SETTLE)
    assert (len(found.open), found.unconfirmed) == (1, 1)
    found = await client.tickets.reconcile(journal, settle=SETTLE, assume_complete=True)
    assert len(found.absent) == 1
    assert (await push(client, [], journal, **settings)).names == []
    rows = plain("a", "b", "c")
    assert (await push(client, rows, journal, payloads=False)).names == ["accepted"] * 2
    each_once(emulator.ledger, "abc")


@pytest.mark.parametrize("workers", [2, 4, 12])
async def test_source_and_journal_never_both_send_a_row(
    emulator: KaptureEmulator, journal: Path, workers: int
) -> None:
    """What is put off at the end of the source is held by the journal as well."""
    emulator.latency = 0.01
    emulator.faults = FaultPlan.script([None] * 8 + [SLOW_DOWN] * 4)
    rows = plain(*(f"t{number}" for number in range(12)))
    async with client_of(emulator, timeout=5.0) as client:
        story = await push(client, rows, journal, from_journal=True, max_concurrency=workers)
    assert story.names == ["accepted"] * 12
    each_once(emulator.ledger, (row["title"] for row in rows))


async def test_a_row_of_the_source_has_one_outcome_a_run(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script([Fault("status", status=429)])
    story = await push(client, plain("a"), journal, from_journal=True, patience=0.0)
    assert story.names == ["rejected"]
    assert sent(emulator) == 1
    assert (await push(client, plain("a"), journal, from_journal=True)).names == ["accepted"]


async def test_from_the_journal_needs_one(client: KaptureClient) -> None:
    with pytest.raises(InvalidInputError, match="needs a journal"):
        client.tickets.push([], from_journal=True)


# --- left in the middle ------------------------------------------------------------------------

ENDINGS = ("break", "stop", "error", "cancel", "cancel twice")
SEEDS = int(os.environ.get("ONCE_SEEDS", "2"))


async def consume(client: KaptureClient, journal: Path, ending: str, story: Story) -> None:
    rows = plain(*(f"t{number}" for number in range(80)))
    async with client.tickets.push(rows, journal=journal, max_concurrency=8) as outcomes:
        async for outcome in outcomes:
            story.outcomes.append(outcome)
            if len(story.outcomes) == 20:
                if ending == "break":
                    break
                if ending == "stop":
                    outcomes.stop()
                if ending == "error":
                    raise ZeroDivisionError


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_left_in_the_middle_and_gone_on_with(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, ending: str, seed: int
) -> None:
    dice = random.Random(seed)
    emulator.latency = 0.003
    emulator.faults = FaultPlan.rate(0.2, seed=seed, kinds=["close_before", "close_after"])
    story = Story()
    task = asyncio.create_task(consume(client, journal, ending, story))
    if ending.startswith("cancel"):
        due = dice.randint(1, 70)
        while emulator.requests.total() < due and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        if ending == "cancel twice":
            await asyncio.sleep(dice.uniform(0, 0.004))
            task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done, "it hangs"
    if not task.cancelled():
        assert isinstance(task.exception(), ZeroDivisionError | None)
    judge(journal, emulator.ledger)
    made = titles(emulator)
    for outcome in story.outcomes:
        assert made[outcome.row["title"]] == (outcome.name == "accepted") or (
            outcome.name == "unknown"
        )
    emulator.faults = FaultPlan()
    await client.tickets.reconcile(journal, settle=SETTLE)
    rows = plain(*(f"t{number}" for number in range(80)))
    assert set((await push(client, rows, journal)).names) <= {"accepted"}
    each_once(emulator.ledger, (row["title"] for row in rows))
    assert judge(journal, emulator.ledger).accepted == 80
