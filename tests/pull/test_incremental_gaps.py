"""What a service, a disk or a consumer may do between two runs: still none lost and none twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from kapture_async import AuthenticationError, InvalidInputError, KaptureClient, StateError
from kapture_async._core import atomicfile
from kapture_async._core.pull import watermark
from kapture_async.testing import KaptureEmulator
from kapture_async.testing.ticket_endpoints import PULL

from .archive import NOON, Archive

Change = Callable[[dict[str, Any]], None]


def changing(emulator: KaptureEmulator, change: Change) -> None:
    """Let the emulator's pulls pass through, if they have a list of rows."""
    answer = emulator._handlers[PULL]

    def changed(body: Any) -> Any:
        reply = orjson.loads(orjson.dumps(answer(body)))
        if isinstance(reply["message"], list):
            change(reply)
        return reply

    emulator._handlers[PULL] = changed


class Limit:
    """The service counts all tickets of a day, and gives so many of them."""

    def __init__(self, emulator: KaptureEmulator, rows: int | None) -> None:
        self.rows = rows
        changing(emulator, self)

    def __call__(self, reply: dict[str, Any]) -> None:
        reply["totalCount"] = len(reply["message"])
        reply["message"] = reply["message"][: self.rows]


def share_midnight(emulator: KaptureEmulator) -> None:
    """A window also lists the tickets of the midnight that ends it."""
    between = emulator._store.created_between

    def with_its_end(first: Any, last: Any) -> Any:
        yield from between(first, last)
        behind = last + timedelta(days=1)
        for ticket in between(behind, behind):
            if ticket.title == "midnight":
                yield ticket

    emulator._store.created_between = with_its_end  # type: ignore[method-assign]


@pytest.mark.parametrize("overlap", [0, 1, 2])
@pytest.mark.parametrize("rest", [0, 7])  # hours by which a run is late behind midnight
async def test_a_ticket_that_two_days_list_comes_once(
    archive: Archive, overlap: int, rest: int
) -> None:
    emulator = archive.emulator
    share_midnight(emulator)
    for _ in range(7):
        midnight = emulator.now.replace(hour=0)
        emulator.seed(created=midnight, title="midnight")
        if rest == 0:
            await archive.run(overlap=overlap)
        emulator.seed(created=emulator.now)
        await archive.run(overlap=overlap)
        emulator.now += timedelta(days=1)
    await archive.run(overlap=overlap)
    assert archive.holds()
    assert len(archive.memory["ids"]) <= overlap + 2


async def test_a_midnight_of_a_day_that_came_short(archive: Archive) -> None:
    """The day before has it, the short day has not; later the short day lists it, too."""
    emulator = archive.emulator
    share_midnight(emulator)
    day = NOON - timedelta(days=3)
    for n in range(3):
        emulator.seed(created=day.replace(hour=9, minute=n))
    emulator.seed(created=day.replace(hour=0), title="midnight")
    emulator.seed(created=day.replace(hour=0) + timedelta(days=1), title="midnight")
    limited = True

    def limit(reply: dict[str, Any]) -> None:
        reply["totalCount"] = len(reply["message"])
        if limited and len(reply["message"]) > 4:
            reply["message"] = reply["message"][:2]

    changing(emulator, limit)
    for _ in range(3):
        emulator.seed(created=emulator.now)
        assert (await archive.run()).incomplete == (f"{day:%Y-%m-%d}",)
        emulator.now += timedelta(days=1)
    limited = False
    assert (await archive.run()).incomplete == ()
    await archive.run()
    assert archive.holds()


async def test_a_short_day_is_read_until_it_is_whole(archive: Archive) -> None:
    emulator = archive.emulator
    for n in range(6):
        emulator.seed(created=NOON.replace(minute=n))
    limit = Limit(emulator, 3)
    exported = await archive.run()
    assert (exported.rows, exported.incomplete) == (3, ("2024-04-19",))
    for rows in (3, 4, 4):
        limit.rows = rows
        emulator.now += timedelta(days=2)
        emulator.seed(created=emulator.now)
        assert (await archive.run()).incomplete == ("2024-04-19",)
        assert archive.memory["short"] == ["2024-04-19"]
    assert len(archive.ids) == 4 + 3
    limit.rows = None
    exported = await archive.run()
    assert (exported.rows, exported.incomplete) == (2, ())
    assert archive.memory["short"] == []
    assert "2024-04-19" not in archive.memory["ids"]
    assert archive.holds()
    days = exported.days
    assert (await archive.run()).days == days - 1  # it is not read any more


async def test_an_old_day_that_is_short_of_what_was_handed_out(archive: Archive) -> None:
    """Nobody knows any more what the runs before had of it: it is told, and not read for more."""
    emulator, client = archive.emulator, archive.client
    old = [emulator.seed(created=NOON - timedelta(days=4)) for _ in range(3)]
    emulator.seed(created=NOON)
    await archive.run(recheck_open=True)
    limit = Limit(emulator, 1)
    emulator.now += timedelta(days=1)
    for number in range(2):
        for ticket in old:
            await client.tickets.update(ticket, comment="more", sub_status="PS")
        exported = await archive.run(recheck_open=True)
        assert exported.incomplete == ("2024-04-15",), number
    assert archive.memory["short"] == []
    limit.rows = None
    exported = await archive.run(recheck_open=True)
    assert (exported.rows, exported.changed, exported.incomplete) == (2, 2, ())


async def test_repeats_do_not_make_a_day_whole(archive: Archive) -> None:
    for n in range(4):
        archive.emulator.seed(created=NOON.replace(minute=n))

    def repeat(reply: dict[str, Any]) -> None:
        reply["totalCount"] = 4
        reply["message"] = reply["message"][:2] * 2

    changing(archive.emulator, repeat)
    exported = await archive.run(state=None, start=NOON, end=NOON)
    assert (exported.rows, exported.incomplete) == (2, ("2024-04-19",))


async def test_what_moves_by_time_alone_is_no_change(archive: Archive) -> None:
    emulator, client = archive.emulator, archive.client
    ticket = emulator.seed(created=NOON)
    nameless = emulator.seed(created=NOON)
    minutes = 0

    def move(reply: dict[str, Any]) -> None:
        nonlocal minutes
        minutes += 1
        for row in reply["message"]:
            row |= {"tat": f"{minutes} Min", "sla": f"{minutes} Hr", "slaStatus": f"{minutes}"}
            if row["ticketId"] == nameless:
                row["ticketId"] = ""

    changing(emulator, move)
    assert (await archive.run(recheck_open=True)).rows == 2
    for _ in range(2):
        exported = await archive.run(recheck_open=True)
        assert (exported.rows, exported.changed) == (0, 0)
    await client.tickets.update(ticket, sub_status="PS")
    exported = await archive.run(recheck_open=True)
    assert (exported.rows, exported.changed) == (1, 1)


async def test_open_tickets_cost_nothing_until_they_are_asked_for(archive: Archive) -> None:
    emulator, client = archive.emulator, archive.client
    sizes = []
    for _ in range(4):
        tickets = [emulator.seed(created=emulator.now) for _ in range(20)]
        await archive.run()
        sizes.append(archive.state.stat().st_size)
        emulator.now += timedelta(days=1)
    assert archive.memory["open"] == {}
    assert sizes[-1] <= sizes[2] + 10  # the days that are read again, and no more
    assert (await archive.run(recheck_open=True)).rows == 0
    await client.tickets.update(tickets[0], sub_status="PS")
    # Also where a run in between was not asked: what changed is not forgotten.
    assert (await archive.run()).rows == 0
    await client.tickets.update(tickets[1], sub_status="RS", comment="done")
    assert (await archive.run()).rows == 0
    exported = await archive.run(recheck_open=True)
    assert (exported.rows, exported.changed) == (2, 2)
    watched = {name for names in archive.memory["open"].values() for name in names}
    assert tickets[0] in watched
    assert tickets[1] not in watched


async def test_one_name_for_all_runs_is_refused(archive: Archive) -> None:
    """A killed run's rows get their name from the next one, which would replace them."""
    for number in range(2):
        requests = sum(archive.emulator.requests.values())
        with pytest.raises(InvalidInputError, match="a name of its own"):
            await archive.run(overwrite=True)
        assert sum(archive.emulator.requests.values()) == requests
        assert archive.state.exists() == bool(number)
        await archive.run()


@pytest.mark.parametrize("name", ["./st", "x/../st", "ST", "st-lock", "link/st"])
async def test_the_output_is_not_the_state(archive: Archive, name: str) -> None:
    (archive.folder / "x").mkdir()
    (archive.folder / "link").symlink_to(archive.folder)
    with pytest.raises(InvalidInputError, match="same file"):
        await archive.client.tickets.export(
            f"{archive.folder}/{name}", state=archive.folder / "st", start=NOON, format="csv"
        )
    assert sum(archive.emulator.requests.values()) == 0
    assert sorted(path.name for path in archive.folder.iterdir()) == ["link", "x"]


async def test_a_state_that_is_reached_through_a_link(archive: Archive) -> None:
    emulator = archive.emulator
    (archive.folder / "far").mkdir()
    archive.state.symlink_to("far/real.state")
    with watermark.WatermarkFile(archive.state, bound="x", place="y"):
        with pytest.raises(StateError, match="is exporting"):
            await archive.run(state=archive.folder / "far" / "real.state")
    for _ in range(3):
        emulator.seed(created=NOON)
        assert (await archive.run()).rows == 1
        emulator.seed(created=NOON)
        assert (await archive.run(state=archive.folder / "far" / "real.state")).rows == 1
    assert archive.state.is_symlink()
    assert archive.holds()


class Killed(BaseException):
    """Stands for SIGKILL."""


async def killed(archive: Archive, patched: pytest.MonkeyPatch, step: str) -> None:
    """A run that dies right behind the step that gives its output a name."""
    real = getattr(os, step)
    done = False

    def first(*arguments: Any, **more: Any) -> Any:
        nonlocal done
        found = real(*arguments, **more)
        done = arguments[-1].endswith(".jsonl")
        return found

    class Dying:
        def __getattr__(self, name: str) -> Any:
            if done:
                raise Killed
            return first if name == step else getattr(os, name)

    with patched.context() as patch:
        patch.setattr(atomicfile, "os", Dying())
        patch.setattr(watermark, "os", Dying())
        with pytest.raises(Killed):
            await archive.run()
    assert done


@pytest.mark.parametrize("links", [True, False])
async def test_a_consumer_that_takes_the_file_of_a_killed_run(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """It was killed right behind the moment that gave the file its name."""
    archive.emulator.seed(created=NOON)
    if not links:
        monkeypatch.delattr(os, "link")
    await killed(archive, monkeypatch, "link" if links else "replace")
    published, taken = archive.folder / "0001.jsonl", archive.folder / "taken.jsonl"
    published.rename(taken)
    archive.emulator.seed(created=NOON)
    if not links:  # nothing shows any more where it went, so somebody has to say
        with pytest.raises(StateError, match="moved the second yourself"):
            await archive.run()
        taken.rename(published)
    await archive.run()
    assert archive.holds()
    assert archive.leftovers == []


async def test_the_hidden_file_of_a_finished_run_has_gone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    emulator = archive.emulator
    for _ in range(4):
        emulator.seed(created=NOON)
    with monkeypatch.context() as patched:
        patched.setattr(watermark, "publish", _die)
        with pytest.raises(Killed):
            await archive.run()
    (hidden,) = archive.folder.glob(".*.part")
    kept = hidden.read_bytes()
    hidden.unlink()
    for _ in range(2):  # it stays so until somebody has done something
        with pytest.raises(StateError, match="the 4 rows of the finished run 1") as caught:
            await archive.run()
        assert "--from 2024-04-15" in str(caught.value)
    hidden.write_bytes(kept)
    emulator.seed(created=NOON)
    assert (await archive.run()).rows == 1
    assert archive.holds()
    assert archive.leftovers == []


def _die(*arguments: Any, **more: Any) -> None:
    raise Killed


async def test_a_first_run_that_failed_fixes_nothing(archive: Archive) -> None:
    emulator = archive.emulator
    early = emulator.seed(created=datetime(2024, 4, 2, 12, 0))
    async with KaptureClient(base_url=emulator.url, token="wrong") as client:
        with pytest.raises(AuthenticationError):
            await Archive(emulator, client, archive.folder).run()
    assert archive.memory["start"] == "2024-04-15"
    assert (await archive.run(start="2024-04-01")).rows == 1
    assert archive.memory["start"] == "2024-04-01"
    assert archive.ids == [early]
