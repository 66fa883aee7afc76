"""Journals that rot: a bit that flips anywhere is a JournalError, or changes nothing."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core.cli.journal_status import read_status
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Identity, State
from kapture_async._core.journal.sqlite.integrity import is_sealed
from kapture_async._core.journal.sqlite.storage import put_source

from ..driven import Driven

ROWS = 120
Open = Callable[..., Driven]
MakeRow = Callable[..., Identity]


@pytest.fixture
def closed(opened: Open, row: MakeRow, path: Path) -> Path:
    """A journal at rest with rows of every kind: accepted, rejected, not sent, in doubt."""
    store = opened(at=1.0)
    for number in range(ROWS):
        key = f"A-{number}" if number % 3 else None
        taken = store.take(row(key, f"text {number}"), b"x" * 50, 2.0)
        kind = ("accepted", "rejected", "not_sent", "unknown")[number % 4]
        ticket_id = str(1000 + number) if kind == "accepted" else None
        store.settle(taken, kind, ticket_id=ticket_id, words="né")
    store.verdict(4, "ambiguous", 4.0, evidence={"ticket_ids": ["1", "2"]})
    store.note_lookup(4.0, {"tickets": 7})
    store.close(5.0)
    return path


def all_that_is_read(path: Path) -> list[Any]:
    standing = read_status(str(path))
    with ReadJournal.open_to_read(path) as journal:
        return [
            standing.as_json(),
            list(journal.names()),
            list(journal.doubts()),
            list(journal.rows_in(*State)),
            list(journal.pending()),
            list(journal.payloads_of(*State)),
            journal.runs(),
            journal.lookups(),
            journal.accepted_among({"1000"}),
            journal.evidence_of(4),
        ]


def flipped(raw: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[place] ^= 1 << bit
    return bytes(changed)


def put(path: Path, raw: bytes) -> None:
    for end in ("", "-wal", "-shm", "-lock"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    path.write_bytes(raw)


def test_a_journal_at_rest_is_sealed(closed: Path, opened: Open) -> None:
    assert is_sealed(closed.stat().st_size)
    with sqlite3.connect(closed) as plain:  # it is an ordinary database nevertheless
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()
    store = opened(at=6.0)
    assert not is_sealed(closed.stat().st_size)
    store.close(7.0)
    assert is_sealed(closed.stat().st_size)


def test_a_note_keeps_the_seal(closed: Path) -> None:
    put_source(closed, "words", at=6.0)
    assert is_sealed(closed.stat().st_size)
    with ReadJournal.open_to_read(closed) as journal:
        assert journal.job.source == "words"


def test_any_bit_of_a_journal_at_rest(closed: Path, opened: Open) -> None:
    raw = closed.read_bytes()
    dice = random.Random(1)
    places = [dice.randrange(start, start + 512) for start in range(0, len(raw) - 512, 512)]
    places += range(len(raw) - 48, len(raw))  # the seal itself
    for place in places:
        put(closed, flipped(raw, place, dice.randrange(8)))
        before = closed.read_bytes()
        with pytest.raises(JournalError) as caught:
            all_that_is_read(closed)
        assert "Nothing was sent." in str(caught.value)
        if place % 8 == 0:
            with pytest.raises(JournalError):
                opened()
        assert closed.read_bytes() == before


@pytest.mark.parametrize("keep", [0.999, 0.99, 0.5, 0.1])
def test_a_journal_at_rest_that_was_cut(closed: Path, keep: float) -> None:
    raw = closed.read_bytes()
    put(closed, raw[: int(len(raw) * keep)])
    with pytest.raises(JournalError):
        all_that_is_read(closed)


def test_a_seal_that_a_power_failure_cut_off(closed: Path) -> None:
    raw = closed.read_bytes()
    whole = all_that_is_read(closed)
    for left in (raw[:-48], raw[:-48] + bytes(48)):
        put(closed, left)
        assert all_that_is_read(closed)[1:] == whole[1:]


@pytest.fixture
def killed(path: Path, program: Callable[..., subprocess.Popen[bytes]]) -> Path:
    with program("hold", path, 12) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    return path


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_any_bit_of_what_a_killed_push_leaves(
    killed: Path, opened: Open, tmp_path: Path, end: str
) -> None:
    """There is no seal: what SQLite and the checksums show is refused, and nothing else raised."""
    kept = {e: Path(f"{killed}{e}").read_bytes() for e in ("", "-wal", "-shm")}
    dice = random.Random(2)
    raw = kept[end]
    used = [place for place in range(len(raw)) if raw[place]]
    refused = 0
    for number in range(40):
        where = tmp_path / f"copy{number}"
        where.mkdir()
        copy = where / killed.name
        for e, content in kept.items():
            Path(f"{copy}{e}").write_bytes(content)
        Path(f"{copy}{end}").write_bytes(flipped(raw, dice.choice(used), dice.randrange(8)))
        for use in (lambda: all_that_is_read(copy), lambda: opened(copy).close(9.0)):  # noqa: B023
            try:
                use()
            except JournalError:
                refused += 1
        shutil.rmtree(where)
    assert refused or end != "-wal"  # the main file was not written to yet


def test_text_that_is_none_is_not_shown(closed: Path) -> None:
    with sqlite3.connect(closed) as plain:
        plain.execute("UPDATE rows SET key = CAST(x'736563726574ff' AS TEXT) WHERE row = 2")
    plain.close()
    os.truncate(closed, closed.stat().st_size // 4096 * 4096)  # no seal
    with pytest.raises(JournalError, match="damaged") as caught:
        all_that_is_read(closed)
    assert "secret" not in str(caught.value)
    assert "--restored" in str(caught.value)


def test_an_event_of_a_kind_there_is_not(closed: Path, opened: Open) -> None:
    with sqlite3.connect(closed) as plain:
        plain.execute("UPDATE events SET kind = 'abcepted' WHERE row = 2")
    plain.close()
    os.truncate(closed, closed.stat().st_size // 4096 * 4096)
    with pytest.raises(JournalError, match="damaged"):
        all_that_is_read(closed)
    with pytest.raises(JournalError, match="damaged"):
        opened().take_again(2)
