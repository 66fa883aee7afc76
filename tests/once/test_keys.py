"""Keys that come twice, and keys that come back in another spelling or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async import ConfirmationNeededError, KaptureClient, PushStoppedError, Row
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Identity, State
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.writer import Journal
from kapture_async.testing import FaultPlan, KaptureEmulator

from ..driven import Pusher
from .pushing import push, titles


def row(key: str, title: str, line: int | None = None) -> Row[dict[str, str]]:
    return Row({"title": title}, key, line)


def rows_of(journal: Path, *states: State) -> list[tuple[str | None, int | None]]:
    with ReadJournal.open_to_read(journal) as reader:
        return [(view.key, view.line) for view in reader.rows_in(*(states or State))]


def payloads(journal: Path) -> list[bytes | None]:
    with ReadJournal.open_to_read(journal) as reader:
        return [view.payload for view in reader.rows_in(State.NOT_SENT)]


# --- another spelling ----------------------------------------------------------------------------

SPELLINGS = [("0001", "1"), ("7", "7.0"), ("A-1", "a-1"), ("é", "e\u0301"), ("a b", "a\u00a0b ")]


@pytest.mark.parametrize(("key", "other"), SPELLINGS)
@pytest.mark.parametrize("title", ["one", "changed"])
async def test_a_key_in_another_spelling_is_no_other_ticket(
    emulator: KaptureEmulator,
    client: KaptureClient,
    journal: Path,
    key: str,
    other: str,
    title: str,
) -> None:
    await push(client, [row(key, "one"), row("x", "x")], journal)
    for _ in range(2):
        story = await push(client, [row(other, title), row("x", "x")], journal)
        assert story.names == ["rejected"]
        assert "a variant spelling of an earlier key" in story.outcomes[0].reason
        assert (story.outcomes[0].key, story.outcomes[0].row.key) == (other, other)
        assert story.states == {"accepted": 1}
    assert titles(emulator) == {"one": 1, "x": 1}
    # What is nowhere else is kept, until it is given under the key of before.
    kept = [] if title == "one" else [(other, None)]
    assert rows_of(journal, State.NOT_SENT) == kept
    story = await push(client, [row(other, title)], journal, keys_exact=True)
    assert story.names == ["accepted"]
    assert rows_of(journal, State.NOT_SENT) == []


@pytest.mark.parametrize("order", [0, 1])
async def test_both_spellings_in_one_source_are_two_rows(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, order: int
) -> None:
    first = [row("1.1", "one")]
    await push(client, first, journal)
    both = [row("1.1", "one"), row("1.10", "ten"), row("1.100", "hundred")]
    for state in ({"accepted": 1}, {"accepted": 3}):
        story = await push(client, both[:: -1 if order else 1], journal)
        assert story.states == state
        assert story.names == ["accepted"] * (3 - state["accepted"])
    assert titles(emulator) == {"one": 1, "ten": 1, "hundred": 1}
    assert {key for key, _ in rows_of(journal, State.ACCEPTED)} == {"1.1", "1.10", "1.100"}


async def test_within_one_run_nothing_is_folded(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows = [row("A", "one"), row("a", "one"), row("01", "x"), row("1", "x")]
    story = await push(client, rows, journal)
    assert story.names == ["accepted"] * 4
    story = await push(client, rows, journal)
    assert story.states == {"accepted": 4}


@pytest.mark.parametrize("title", ["one", "mended"])
async def test_what_is_not_in_the_helpdesk_goes_on_under_its_new_spelling(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, title: str
) -> None:
    emulator.faults = FaultPlan.script(["failed"])
    assert (await push(client, [row("0001", "one")], journal)).names == ["rejected"]
    story = await push(client, [row("1", title)], journal)
    assert story.names == (["accepted"] if title == "mended" else story.names)
    with ReadJournal.open_to_read(journal) as reader:
        counts = reader.counts()
    assert (counts.rows, counts.not_sent) == (1, 0)
    assert titles(emulator)[title] <= 1
    assert (await push(client, [row("0001", title)], journal)).outcomes == []


async def test_a_doubt_in_another_spelling_is_not_sent(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["close_after"])
    assert (await push(client, [row("0001", "one")], journal)).names == ["unknown"]
    for title in ("one", "other"):
        assert (await push(client, [row("1", title)], journal)).names == ["rejected"]
    assert titles(emulator) == {"one": 1}


async def test_rows_that_wait_get_their_outcome_when_the_push_is_stopped(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, [row("A", "one")], journal)
    gate = asyncio.Event()

    async def source() -> AsyncIterator[Any]:
        yield row("a", "other")
        yield row("b", "new")
        await gate.wait()

    got = []
    async with client.tickets.push(source(), journal=journal) as outcomes:
        while outcomes.counts.rows < 2:
            await asyncio.sleep(0.01)
        outcomes.stop()
        got = [outcome async for outcome in outcomes]
    assert {outcome.key: outcome.name for outcome in got} == {"a": "not_sent", "b": "not_sent"}
    assert titles(emulator) == {"one": 1}


# --- new keys ------------------------------------------------------------------------------------


def many(count: int, name: str) -> list[Row[dict[str, str]]]:
    return [row(f"{name}{n}", f"t{n}") for n in range(count)]


@pytest.mark.parametrize("further", [0, 400])
async def test_many_known_contents_under_new_keys_stop_the_push(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, further: int
) -> None:
    await push(client, many(60, "k"), journal)
    rows = [*many(60, "n"), *(row(f"f{n}", f"f{n}") for n in range(further))]
    for _ in range(2):
        with pytest.raises(ConfirmationNeededError, match="before it sent any row") as caught:
            await push(client, rows, journal)
        assert isinstance(caught.value, PushStoppedError)
        assert "new_keys" in caught.value.next_step
        assert titles(emulator).total() == 60
    story = await push(client, rows, journal, new_keys=True)
    assert story.names == ["accepted"] * len(rows)
    assert set(titles(emulator).values()) == ({2, 1} if further else {2})


@pytest.mark.parametrize("known", [0, 50])
async def test_some_known_contents_under_new_keys_are_legitimate(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, known: int
) -> None:
    await push(client, many(60, "k"), journal)
    rows = [*many(60, "k"), *many(known, "n"), *(row(f"f{n}", f"f{n}") for n in range(150))]
    story = await push(client, rows, journal)
    assert story.names == ["accepted"] * (known + 150)
    assert [one.index for one in sorted(story.outcomes, key=lambda one: one.index)] == list(
        range(60, 210 + known)
    )
    assert story.states == {"accepted": 60}


async def test_every_row_has_its_outcome_when_new_keys_stop_the_push(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, many(60, "k"), journal)
    got: list[Any] = []
    with pytest.raises(ConfirmationNeededError):
        async with client.tickets.push(many(60, "n"), journal=journal) as outcomes:
            async for outcome in outcomes:
                got.append(outcome)
    assert Counter(one.name for one in got) == {"not_sent": 60}
    assert sorted(one.index for one in got) == list(range(60))


# --- a key twice ---------------------------------------------------------------------------------


async def test_two_rows_under_one_key(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    rows = [row("1", "first", 2), row("1", "another", 3), row("1", "first", 4), row("2", "x", 5)]
    for _ in range(2):
        story = await push(client, rows, journal)
        [second] = [one for one in story.outcomes if one.name == "not_sent"]
        assert second.error.message.startswith("line 3: its key stood in an earlier row (line 2)")
        assert second.error.next_step.startswith("Give it a key of its own")
        assert rows_of(journal, State.NOT_SENT) == [("1", 3)]
        assert payloads(journal) == [b'{"title":"another"}']
        assert titles(emulator) == {"first": 1, "x": 1}
    # With a key of its own it is sent, and the books close.
    rows[1] = row("1b", "another", 3)
    story = await push(client, rows, journal)
    assert story.names == ["accepted"]
    with ReadJournal.open_to_read(journal) as reader:
        counts = reader.counts()
    assert (counts.rows, counts.accepted, counts.replaced) == (3, 3, 1)
    assert titles(emulator) == {"first": 1, "x": 1, "another": 1}


async def test_the_second_row_takes_the_place_of_one_that_is_gone_and_was_refused(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    emulator.faults = FaultPlan.script(["failed"])
    story = await push(client, [row("1", "a"), row("1", "b")], journal, max_concurrency=1)
    assert story.names == ["rejected", "not_sent"]
    assert (await push(client, [row("1", "b")], journal)).names == ["accepted"]
    with ReadJournal.open_to_read(journal) as reader:
        assert (reader.counts().rows, reader.counts().accepted) == (1, 1)


@pytest.mark.parametrize("outcome", ["failed", None])
async def test_changed_content_in_a_later_run(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, outcome: str | None
) -> None:
    emulator.faults = FaultPlan.script([outcome])
    await push(client, [row("1", "a")], journal)
    story = await push(client, [row("1", "b")], journal)
    with ReadJournal.open_to_read(journal) as reader:
        changed = reader.changed()
    if outcome:
        assert (story.names, changed) == (["accepted"], 0)
        # The refused content of before is no change.
        assert (await push(client, [row("1", "a")], journal)).states == {"accepted": 1}
        return
    assert (story.names, changed) == (["rejected"], 1)
    assert (await push(client, [row("1", "a")], journal)).states == {"accepted": 1}
    with ReadJournal.open_to_read(journal) as reader:
        assert reader.changed() == 0


async def test_what_was_never_tried_is_no_refused_content(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, [], journal)
    opened = await Journal.open(journal)
    pusher = Pusher(opened)
    taken = await pusher.take(Identity("1", digest_of(b'{"title":"a"}')), b'{"title":"a"}')
    await pusher.end(taken.row, taken.attempt, "not_sent")
    await opened.aclose()
    emulator.faults = FaultPlan.script(["failed"])
    assert (await push(client, [row("1", "b")], journal)).names == ["rejected"]
    assert (await push(client, [row("1", "a")], journal)).names == ["accepted"]
