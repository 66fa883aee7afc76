"""Journals are not trusted to be the newest: older copies, and other journals of the same rows."""

from __future__ import annotations

import os
import random
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from kapture_async import (
    ConfirmationNeededError,
    JournalError,
    KaptureClient,
    PushStoppedError,
    Row,
)
from kapture_async._core.journal import marks
from kapture_async._core.journal.marks import Mark
from kapture_async._core.journal.reader import ReadJournal, job_at
from kapture_async._core.journal.records import State
from kapture_async._core.reconcile.restored import RestoredSearch
from kapture_async.events import PushNoticed, RowKnown
from kapture_async.testing import FaultPlan, KaptureEmulator

from ..clock import Clock
from .pushing import SETTLE, Story, keyed, plain, push, titles
from .test_updates import commented, tickets, update

ADD = "tickets.add"


def rows_of(first: int, last: int, *, keys: bool = True) -> list[Any]:
    names = {f"k{number}": f"title {number}" for number in range(first, last)}
    return list(keyed(**names)) if keys else plain(*names.values())


def copy_of(journal: Path, to: Path) -> Path:
    for end in ("-wal", "-shm"):
        Path(f"{to}{end}").unlink(missing_ok=True)
    return Path(shutil.copy(journal, to))


def states(journal: Path) -> Counter[str]:
    with ReadJournal.open_to_read(journal) as reader:
        return Counter(state.value for *_, state in reader.names())


def mark_of(journal: Path) -> Mark:
    mark = marks.read(job_at(journal))
    assert mark is not None
    return mark


class Told(Story):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def note(self, event: Any) -> None:
        if isinstance(event, PushNoticed):
            self.words.append(event.words)
        elif isinstance(event, RowKnown):
            self.known.append((event.key, event.state))


async def tell(client: KaptureClient, rows: list[Any], journal: Path, **settings: Any) -> Told:
    told = Told()
    story = await push(client, rows, journal, on_event=told.note, **settings)
    told.outcomes = story.outcomes
    return told


@pytest.mark.parametrize("keys", [True, False])
async def test_an_older_copy_sends_only_what_is_not_there(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path, keys: bool
) -> None:
    await push(client, rows_of(0, 5, keys=keys), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 10, keys=keys), journal)
    copy_of(backup, journal)
    told = await tell(client, rows_of(0, 15, keys=keys), journal)
    assert titles(emulator) == Counter(f"title {number}" for number in range(15))
    assert told.names == ["accepted"] * 5
    assert told.states == {"accepted": 10}
    assert len(told.words) == 1
    assert "older copy" in told.words[0]
    assert states(journal) == {"accepted": 15}
    ids = {entry.ticket_id for entry in emulator.ledger.of(ADD)}
    with ReadJournal.open_to_read(journal) as reader:
        assert {view.ticket_id for view in reader.rows_in(State.ACCEPTED)} == ids


async def test_equal_rows_without_keys_are_counted(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, plain("other", "same"), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, plain("other", "same", "same", "same"), journal)
    copy_of(backup, journal)
    await push(client, plain("other", "same", "same", "same", "same"), journal)
    assert titles(emulator) == {"other": 1, "same": 4}


@pytest.mark.parametrize("same", [True, False])
async def test_a_key_in_another_spelling_is_looked_up_as_the_row_that_it_is(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path, same: bool
) -> None:
    """The copy has it refused; meanwhile it was mended and sent, under the reference of its key
    as it was."""
    emulator.faults = FaultPlan.script([None, "status;status=400"])
    await push(client, keyed(**{"0001": "one", "0002": "two"}), journal, max_concurrency=1)
    assert states(journal) == {"accepted": 1, "rejected": 1}
    emulator.faults = FaultPlan()
    backup = copy_of(journal, tmp_path / "backup")
    mended = "two, mended"
    story = await push(client, keyed(**{"0001": "one", "0002": mended}), journal)
    assert story.names == ["accepted"]
    copy_of(backup, journal)
    rows = keyed(**{"0001": "one", "2": mended if same else "another", "3": "three"})
    told = await tell(client, rows, journal)
    assert titles(emulator) == Counter(["one", mended, "three"])
    assert told.names == ["accepted"]
    assert told.states == {"accepted": 2}


async def test_both_spellings_in_the_source_of_an_older_copy(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    """Two rows, each under its own reference."""
    await push(client, keyed(**{"0001": "one", "0002": "two"}), journal)
    backup = copy_of(journal, tmp_path / "backup")
    rows = keyed(**{"0001": "one", "2": "other two", "0002": "two"})
    await push(client, rows, journal)
    copy_of(backup, journal)
    told = await tell(client, [*rows, *keyed(**{"1": "other one"})], journal)
    assert titles(emulator) == Counter(["one", "two", "other two", "other one"])
    assert told.names == ["accepted"]


async def test_the_newest_is_pushed_on_with_at_once(
    client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 5), journal)
    moved = tmp_path / "elsewhere" / "moved.journal"
    moved.parent.mkdir()
    journal.rename(moved)
    told = await tell(client, rows_of(0, 8), moved)
    assert (told.words, told.names) == ([], ["accepted"] * 3)
    assert mark_of(moved).path == str(moved)


async def test_two_copies_that_are_pushed_on_with_in_turn(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 3), journal)
    other = copy_of(journal, tmp_path / "other")
    for last in range(4, 12):
        which = other if last % 2 else journal
        await push(client, rows_of(0, last), which)
    assert titles(emulator) == Counter(f"title {number}" for number in range(11))


async def test_a_copy_that_is_stopped_looks_up_the_next_time_too(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 3), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 20), journal)
    copy_of(backup, journal)
    async with client.tickets.push(rows_of(0, 20), journal=journal) as outcomes:
        outcomes.stop()
    await push(client, rows_of(0, 20), journal)
    assert titles(emulator) == Counter(f"title {number}" for number in range(20))


async def test_rows_that_only_the_copy_holds(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 3), journal)
    emulator.faults = FaultPlan.rate(1.0, kinds=["close_before"], only=ADD)
    refused = FaultPlan.rate(1.0, kinds=["status"], only=ADD)
    emulator.faults = refused
    await push(client, rows_of(3, 6), journal, give_up_after=None)
    emulator.faults = FaultPlan()
    await client.tickets.reconcile(journal, settle=SETTLE)
    held = states(journal)["not_sent"]
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, [], journal, from_journal=True)
    before = titles(emulator)
    copy_of(backup, journal)
    told = await tell(client, [], journal, from_journal=True)
    assert titles(emulator) == before
    assert len(told.known) == held


@pytest.mark.parametrize("moment", [True, False])
async def test_another_copy_that_broke_off(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path, moment: bool
) -> None:
    """A moment ago: the service may still be at it, so what is not found is not sent yet."""
    await push(client, rows_of(0, 3), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 6), journal)
    at = time.time() - (0 if moment else 10_000)
    mark = evolve(mark_of(journal), closed=False, doubts=2, at=at)
    marks.write(mark, job_at(journal))
    copy_of(backup, journal)
    told = await tell(client, rows_of(0, 9), journal)
    assert told.names == ["not_sent" if moment else "accepted"] * 3
    assert told.states == {"accepted": 6}
    assert titles(emulator) == Counter(f"title {number}" for number in range(6 if moment else 9))
    assert all("Push again after" in one.error.next_step for one in told.outcomes if moment)


async def test_lists_that_were_read_too_early_stay_too_early(
    emulator: KaptureEmulator,
    client: KaptureClient,
    journal: Path,
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However late it is when a row is looked for: they do not show what came after them."""
    await push(client, rows_of(0, 3), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 6), journal)
    marks.write(evolve(mark_of(journal), closed=False, doubts=1, at=clock.now()), job_at(journal))
    copy_of(backup, journal)
    settings = RestoredSearch.__init__.__kwdefaults__
    assert settings is not None
    monkeypatch.setitem(settings, "now", clock.now)

    def slowly() -> Iterator[Any]:
        clock.ahead += 10_000
        yield from rows_of(0, 9)

    assert (await push(client, slowly(), journal)).names == ["not_sent"] * 3
    assert (await push(client, rows_of(0, 9), journal)).names == ["accepted"] * 3
    assert titles(emulator) == {f"title {number}": 1 for number in range(9)}


async def test_what_is_not_proven_absent_is_in_doubt_and_not_sent(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    """No row of the journal is there that could vouch for the list."""
    refused = FaultPlan.rate(1.0, kinds=["status"], only=ADD)
    emulator.faults = refused
    await push(client, rows_of(0, 1), journal)
    emulator.faults = FaultPlan()
    told = await tell(client, rows_of(1, 4), journal, restored=True)
    assert told.names == []
    assert told.states == {"unknown": 3}
    assert titles(emulator).keys() <= {"title 0"}
    with ReadJournal.open_to_read(journal) as reader:
        assert len(list(reader.doubts())) >= 3


async def test_without_a_mark_nothing_is_said_but_it_may_be_said_so(
    emulator: KaptureEmulator,
    client: KaptureClient,
    journal: Path,
    tmp_path: Path,
    state_folder: Path,
) -> None:
    await push(client, rows_of(0, 5), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 10), journal)
    shutil.rmtree(state_folder)
    copy_of(backup, journal)
    told = await tell(client, rows_of(0, 12), journal, restored=True)
    assert titles(emulator) == Counter(f"title {number}" for number in range(12))
    assert told.names == ["accepted"] * 2
    assert told.words


async def test_a_journal_without_its_wal_file(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 5), journal)
    async with client.tickets.push(rows_of(0, 9), journal=journal) as outcomes:
        alone = copy_of(journal, tmp_path / "alone")
        async for _ in outcomes:
            pass
    with pytest.raises(JournalError, match="-wal file is missing") as caught:
        await push(client, rows_of(0, 9), alone)
    assert "--restored" in str(caught.value)
    told = await tell(client, rows_of(0, 9), alone, restored=True)
    assert told.states == {"accepted": 9}
    assert titles(emulator) == Counter(f"title {number}" for number in range(9))


async def test_a_copy_whose_rows_carry_no_reference(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 3), journal, reference=None)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 6), journal, reference=None)
    copy_of(backup, journal)
    with pytest.raises(JournalError, match="no reference"):
        await push(client, rows_of(0, 6), journal, reference=None)
    assert titles(emulator).total() == 6


async def test_a_copy_while_the_other_is_in_use(
    client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 3), journal)
    other = copy_of(journal, tmp_path / "other")
    async with client.tickets.push([], journal=journal):
        with pytest.raises(JournalError, match="another copy of it"):
            await push(client, rows_of(0, 6), other)


async def test_updates_and_customers_of_an_older_copy(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    rows = commented(tickets(emulator, 6))
    await update(client, rows[:2], journal)
    backup = copy_of(journal, tmp_path / "backup")
    await update(client, rows[:4], journal)
    copy_of(backup, journal)
    story = await update(client, rows, journal)
    assert story.names == ["accepted"] * 2
    assert len(emulator.ledger.of("tickets.update")) == 6

    people = [
        {"customer_name": f"Name {n}", "phone": f"90000000{n:02}", "remarks": "Imported."}
        for n in range(6)
    ]
    journal, backup = tmp_path / "customers.journal", tmp_path / "customers.backup"

    async def add(some: list[dict[str, str]]) -> list[str]:
        async with client.customers.push(some, journal=journal) as outcomes:
            return [outcome.name async for outcome in outcomes]

    await add(people[:2])
    copy_of(journal, backup)
    await add(people[:4])
    copy_of(backup, journal)
    assert await add(people) == ["accepted"] * 2
    assert len(emulator.ledger.of("customers.add")) == 6


# --- another journal of the same rows ------------------------------------------------------------


async def test_the_same_rows_with_another_journal(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 30), journal)
    other = tmp_path / "other.journal"
    shuffled = [*rows_of(0, 30), *rows_of(100, 110)]
    random.Random(1).shuffle(shuffled)
    for rows in (rows_of(0, 30), shuffled):
        with pytest.raises(ConfirmationNeededError) as caught:
            await push(client, rows, other)
        assert str(journal) in str(caught.value)
        assert "--new-journal" in caught.value.next_step
    assert titles(emulator).total() == 30
    assert states(other) == {}
    story = await push(client, rows_of(0, 30), other, new_journal=True)
    assert story.names == ["accepted"] * 30
    assert (await push(client, rows_of(0, 30), other)).states == {"accepted": 30}


async def test_a_source_that_keeps_one_waiting(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 5), journal)

    async def slowly() -> Any:
        for row in rows_of(0, 5):
            yield row

    with pytest.raises(ConfirmationNeededError):
        await push(client, slowly(), tmp_path / "other.journal")  # type: ignore[arg-type]
    assert titles(emulator).total() == 5


async def test_a_journal_that_was_deleted(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, rows_of(0, 5), journal)
    journal.unlink()
    with pytest.raises(ConfirmationNeededError, match="was at") as caught:
        await push(client, rows_of(0, 5), journal)
    assert "--restored" in caught.value.next_step
    assert titles(emulator).total() == 5


async def test_a_file_that_has_grown_and_whose_journal_is_gone(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path
) -> None:
    await push(client, rows_of(0, 10), journal)
    journal.unlink()
    for grown in (rows_of(0, 40), [*rows_of(20, 50), *rows_of(0, 10)]):
        with pytest.raises(ConfirmationNeededError, match="was at"):
            await push(client, grown, journal)
    assert titles(emulator).total() == 10


async def test_other_rows_or_another_target_are_nobodys_business(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    await push(client, rows_of(0, 5), journal)
    mixed = [*rows_of(10, 20), *rows_of(0, 2)]
    assert (await push(client, mixed, tmp_path / "2.journal")).names == ["accepted"] * 12
    async with KaptureEmulator() as elsewhere:
        where = {"base_url": elsewhere.url, "token": elsewhere.token}
        async with KaptureClient(**where) as other:  # type: ignore[arg-type]
            story = await push(other, rows_of(0, 5), tmp_path / "3.journal")
    assert story.names == ["accepted"] * 5


async def test_a_journal_that_has_sent_nothing_stops_nobody(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    async with KaptureClient(base_url=emulator.url, token="wrong") as stranger:
        with pytest.raises(PushStoppedError):
            await push(stranger, rows_of(0, 2), journal)
    assert len(emulator.ledger) == 0
    story = await push(client, rows_of(0, 2), tmp_path / "2.journal")
    assert story.names == ["accepted"] * 2


# --- the marks themselves ------------------------------------------------------------------------


async def test_a_mark_is_the_users_own_and_small(
    client: KaptureClient, journal: Path, state_folder: Path
) -> None:
    await push(client, rows_of(0, 5), journal)
    (file,) = state_folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(state_folder.stat().st_mode) == 0o700
    assert file.stat().st_size < 40_000
    assert "title 1" not in file.read_text(encoding="utf-8")
    mark = mark_of(journal)
    assert (mark.rows, mark.sent, mark.closed, mark.doubts) == (5, 5, True, 0)


async def test_a_home_that_cannot_be_written_warns_once(
    client: KaptureClient,
    journal: Path,
    state_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    state_folder.write_text("a file is in the way")
    story = await push(client, rows_of(0, 5), journal)
    assert story.names == ["accepted"] * 5
    told = [one for one in caplog.records if "cannot write the mark" in one.getMessage()]
    assert [one.levelname for one in told] == ["WARNING"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 9}', "null"])
async def test_a_mark_that_cannot_be_read_says_nothing(
    client: KaptureClient, journal: Path, state_folder: Path, content: str
) -> None:
    await push(client, rows_of(0, 5), journal)
    (file,) = state_folder.iterdir()
    file.write_text(content)
    told = await tell(client, rows_of(0, 6), journal)
    assert (told.words, told.names) == ([], ["accepted"])


def test_marks_do_not_pile_up(state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_MOST", 10)
    state_folder.mkdir()
    now = time.time()
    for number in range(20):
        file = state_folder / f"x-{number:02}.mark"
        file.write_text("{}")
        os.utime(file, (now - number * 86400 * 50, now - number * 86400 * 50))
    marks.tidy()
    left = sorted(file.name for file in state_folder.iterdir())
    assert left == [f"x-{number:02}.mark" for number in range(8)]  # none of 400 days


def test_where_the_marks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAPTURE_ASYNC_STATE", "/srv/marks")
    assert marks.folder() == "/srv/marks"
    monkeypatch.delenv("KAPTURE_ASYNC_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    monkeypatch.setattr(marks.sys, "platform", "linux")
    assert marks.folder() == "/srv/state/kapture-async"
    monkeypatch.setattr(marks.sys, "platform", "darwin")
    assert marks.folder().endswith("Library/Application Support/kapture-async")
    monkeypatch.setattr(marks.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/users/me/local")
    assert marks.folder() == "/users/me/local/kapture-async"


@pytest.mark.parametrize("change", ["text", "title and text", "customer"])
async def test_an_edited_ticket_holds_up_its_own_customer_only(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path, change: str
) -> None:
    """Of thousands of rows that a copy would send, one unexplained ticket can be but few."""
    rows = rows_of(0, 30)
    for number, row in enumerate(rows):
        row.value["email_id"] = f"c{number % 10}@example.com"
    await push(client, rows[:3], journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows[:6], journal)
    edited = emulator.ledger.of(ADD)[4]
    emulator.edit(edited.ticket_id, text="Rewritten by an agent.")
    if change != "text":
        emulator.edit(edited.ticket_id, title="Retitled by an agent")
    if change == "customer":  # then tickets do not keep their addresses, and it may be any row's
        ticket = emulator.ticket(emulator.ledger.of(ADD)[3].ticket_id)
        assert ticket is not None
        ticket.email, ticket.shown = "another@example.com", None
    copy_of(backup, journal)
    await push(client, rows, journal)
    made = titles(emulator)
    assert made.most_common(1)[0][1] == 1, "twice"
    if change == "customer":
        assert states(journal)["probable"] == 25
    else:
        doubts = {f"k{number}" for number in (4, 14, 24)}  # the rows of its customer
        with ReadJournal.open_to_read(journal) as reader:
            assert {view.key for view in reader.rows_in(State.PROBABLE)} == doubts
        assert states(journal) == {"accepted": 27, "probable": 3}


async def test_what_a_copy_has_found_is_verified_like_any_other_row(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path, clock: Clock
) -> None:
    await push(client, rows_of(0, 1), journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 9), journal)
    copy_of(backup, journal)
    await push(client, rows_of(0, 9), journal)
    assert states(journal) == {"accepted": 9}
    emulator.edit(emulator.ledger.of(ADD)[4].ticket_id, text="Rewritten by an agent.")
    emulator.delete(emulator.ledger.of(ADD)[5].ticket_id)
    clock.ahead += 10 * SETTLE
    found = await client.tickets.verify(journal, settle=SETTLE)
    assert {row.key: row.result for row in found.rows()} == {
        **{f"k{number}": "present" for number in range(9)},
        "k5": "missing",
    }
    assert (found.by_id, found.proved) == (1, 8 / 9)
    found.close()


async def test_a_copy_that_finds_all_and_sends_nothing(
    emulator: KaptureEmulator, client: KaptureClient, journal: Path, tmp_path: Path
) -> None:
    """Nothing was ever sent by this copy, and yet there are lists to be read."""
    bad: list[Any] = [Row({"title": ""}, "bad")]
    await push(client, bad, journal)
    backup = copy_of(journal, tmp_path / "backup")
    await push(client, rows_of(0, 9), journal)
    copy_of(backup, journal)
    await push(client, rows_of(0, 9), journal)
    assert titles(emulator) == {f"title {number}": 1 for number in range(9)}
    found = await client.tickets.verify(journal, settle=SETTLE)
    assert (dict(found.counts), found.proved) == ({"absent": 1, "present": 9}, 1.0)
    found.close()
