"""Files that were cut, copied, moved, restored, or are no journals: clear words, no double send."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Identity
from kapture_async._core.journal.session import Session
from kapture_async._core.journal.sqlite import schema as schema_module
from kapture_async._core.journal.sqlite import storage as storage_module
from kapture_async._core.journal.sqlite.integrity import wal_index

from ..driven import Driven

Open = Callable[..., Driven]
MakeRow = Callable[..., Identity]
Program = Callable[..., subprocess.Popen[bytes]]

ROWS = 12
FRAME = 24 + 4096


@pytest.fixture
def killed(path: Path, program: Program) -> Path:
    """A journal whose process was killed: 12 rows, each committed by itself."""
    with program("hold", path, ROWS) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    assert Path(f"{path}-wal").stat().st_size > ROWS * FRAME
    return path


def everything(path: Path) -> dict[str, bytes]:
    return {
        name.name: name.read_bytes()
        for name in path.parent.iterdir()
        if not name.name.endswith(("-shm", "-lock"))
    }


def refused(open_it: Callable[[], Any], words: str) -> str:
    with pytest.raises(JournalError, match=words) as caught:
        open_it()
    assert "Nothing was sent." in str(caught.value)
    return str(caught.value)


def refused_by_all(opened: Open, path: Path, words: str) -> None:
    """By a push and by who only looks; and nothing is changed, so that it can be mended."""
    before = everything(path)
    for _ in range(2):
        assert str(path) in refused(opened, words)
        refused(lambda: ReadJournal.open_to_read(path), words)
        assert everything(path) == before
    assert not Path(f"{path}-lock").exists()


# --- the -wal file -------------------------------------------------------------------------------


def test_after_a_kill_all_is_there(killed: Path, opened: Open, row: MakeRow) -> None:
    with ReadJournal.open_to_read(killed) as reader:
        assert reader.counts() == Counts(unknown=ROWS)
    store = opened()
    for number in range(ROWS):
        assert store.take(row(f"held-{number}"), b"x", 9.0).action == "doubt"


@pytest.mark.parametrize("shm", [True, False])
def test_without_its_wal_file(killed: Path, opened: Open, shm: bool) -> None:
    """Copied without it, or tidied up."""
    wal = Path(f"{killed}-wal")
    content = wal.read_bytes()
    wal.unlink()
    if not shm:
        Path(f"{killed}-shm").unlink()
    refused_by_all(opened, killed, "its -wal file (is missing or empty|was removed)")
    wal.write_bytes(content)  # what the error says to do
    assert opened().counts() == Counts(unknown=ROWS)


@pytest.mark.parametrize("shm", [True, False])
@pytest.mark.parametrize("size", [0, 10, 32, 56])
def test_an_emptied_wal_file(killed: Path, opened: Open, shm: bool, size: int) -> None:
    os.truncate(f"{killed}-wal", size)
    if not shm:
        Path(f"{killed}-shm").unlink()
    before = killed.read_bytes()
    for _ in range(2):
        refused(opened, "its -wal file (is missing or empty|was removed, truncated)")
        refused(lambda: ReadJournal.open_to_read(killed), "its -wal file")
    assert killed.read_bytes() == before


def frames(path: Path) -> int:
    index = wal_index(str(path))
    assert index is not None
    return index.frames


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("odd", [0, 1, 2000])
def test_a_wal_file_that_was_cut(killed: Path, opened: Open, left: float, odd: int) -> None:
    os.truncate(f"{killed}-wal", 32 + int(frames(killed) * left) * FRAME + odd)
    refused_by_all(opened, killed, "its -wal file was removed, truncated or damaged")


def test_a_wal_file_that_lost_its_last_byte(killed: Path, opened: Open) -> None:
    os.truncate(f"{killed}-wal", 32 + frames(killed) * FRAME - 1)
    refused_by_all(opened, killed, "truncated")


@pytest.mark.parametrize("place", [0, 0.25, 0.5, 0.999])
def test_a_wal_file_with_a_flipped_bit(killed: Path, opened: Open, place: float) -> None:
    wal = Path(f"{killed}-wal")
    content = bytearray(wal.read_bytes())
    content[32 + int(frames(killed) * FRAME * place) + 30] ^= 4
    wal.write_bytes(content)
    refused_by_all(opened, killed, "damaged")


def test_what_a_cut_off_commit_leaves_is_no_damage(killed: Path, opened: Open) -> None:
    with open(f"{killed}-wal", "ab") as file:
        file.write(b"\x37" * 3000)
    assert opened().counts() == Counts(unknown=ROWS)


def test_after_a_power_failure_the_index_is_nothing(killed: Path, opened: Open) -> None:
    """It is never synced: lost, torn or old, it says nothing and stops nobody."""
    shm = Path(f"{killed}-shm")
    content = shm.read_bytes()
    for odd in (b"", bytes(32768), content[:60], content[:48] + bytes(48) + content[96:]):
        shm.write_bytes(odd)
        assert wal_index(str(killed)) is None
    changed = bytearray(content)
    changed[16] ^= 1
    changed[64] ^= 1
    shm.write_bytes(changed)
    assert wal_index(str(killed)) is None  # its own checksum
    assert opened().counts() == Counts(unknown=ROWS)


def test_the_main_file_alone_is_never_taken_for_the_journal(
    opened: Open, row: MakeRow, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment of a push, however often it was written through."""
    monkeypatch.setattr(storage_module, "WAL_BYTES", 40_000)
    store = opened()
    sizes = []
    for number in range(60):
        taken = store.take(row(str(number)), b"x" * 2000, 1.0)
        if number % 2:
            store.settle(taken, "accepted")
        sizes.append(Path(f"{path}-wal").stat().st_size)
        copy = tmp_path / f"copy-{number}"
        shutil.copy(path, copy)
        refused(lambda copy=copy: ReadJournal.open_to_read(copy), "-wal file is missing or empty")
        shutil.copy(f"{path}-wal", f"{copy}-wal")
        with ReadJournal.open_to_read(copy) as reader:  # and with it, it is
            assert reader.counts() == store.counts()
    assert max(sizes) < 100_000  # it was written through, many times
    assert sum(later < before for before, later in pairwise(sizes)) > 5
    store.close(2.0)
    shutil.copy(path, copy := tmp_path / "whole")
    with ReadJournal.open_to_read(copy) as reader:
        assert reader.counts() == Counts(accepted=30, unknown=30)


def test_a_disk_that_fails_while_it_is_written_through(
    opened: Open, row: MakeRow, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main file may have got all, and SQLite then removes the -wal file: that is no damage."""
    monkeypatch.setattr(storage_module, "WAL_BYTES", 20_000)
    store = opened()
    store.take(row("A-1"), b"x")

    def fail(session: Session) -> None:
        """From now on."""
        real = session._written._connection  # type: ignore[attr-defined]

        class Failing:
            close = real.close

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def execute(self, statement: str, *values: Any) -> Any:
                if "wal_checkpoint" in statement:
                    raise sqlite3.OperationalError("disk I/O error")
                return real.execute(statement, *values)

        session._written._connection = Failing()  # type: ignore[attr-defined]

    store.call(fail)
    with pytest.raises(JournalError, match="disk I/O error"):
        for number in range(20):
            store.take(row(f"B-{number}"), b"x" * 4000)
    store.close(2.0)
    assert not Path(f"{path}-wal").exists()
    counts = opened().counts()
    assert counts == Counts(unknown=counts.rows)
    assert counts.rows >= 2


def test_someone_reads_while_it_is_written_through(
    opened: Open, row: MakeRow, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "WAL_BYTES", 40_000)
    store = opened()
    store.take(row("first"), b"x", 1.0)
    with ReadJournal.open_to_read(path) as reader:
        reader._storage._connection.execute("BEGIN")  # type: ignore[attr-defined]
        assert reader.counts() == Counts(unknown=1)
        for number in range(100):
            store.take(row(str(number)), b"x" * 2000, 1.0)
        assert reader.counts() == Counts(unknown=1)  # its own moment
    assert store.counts() == Counts(unknown=101)
    store.close(2.0)
    assert opened().counts() == Counts(unknown=101)


def test_another_program_that_closes_it_makes_it_whole(killed: Path, opened: Open) -> None:
    """`sqlite3 tickets.journal` and a look at it: SQLite writes it through and tidies up."""
    program = f"import sqlite3; c = sqlite3.connect({str(killed)!r}); print(c.execute("
    program += "'SELECT count(*) FROM events').fetchone()[0]); c.close()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(done.stdout) == ROWS
    assert not Path(f"{killed}-wal").exists()
    assert opened().counts() == Counts(unknown=ROWS)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs /proc/locks")
def test_a_reader_in_the_same_process_loosens_no_lock(
    opened: Open, row: MakeRow, path: Path
) -> None:
    """Closing any descriptor of a file drops all locks of the process on it: SQLite's, too."""

    def locks() -> list[str]:
        names = [f":{Path(f'{path}{end}').stat().st_ino} " for end in ("", "-shm")]
        lines = Path("/proc/locks").read_text().splitlines()
        return [
            line.split(":", 1)[1]
            for line in lines
            if "POSIX" in line and str(os.getpid()) in line and any(n in line for n in names)
        ]

    store = opened()
    store.take(row("A-1"), b"x", 1.0)
    before = locks()
    assert before
    ReadJournal.open_to_read(path).close()
    with pytest.raises(JournalError):
        opened()
    assert sorted(locks()) == sorted(before)


# --- the main file -------------------------------------------------------------------------------


@pytest.fixture
def closed(opened: Open, row: MakeRow, path: Path) -> Path:
    """A journal that was closed in order, with some pages in it."""
    store = opened()
    taken = store.take_many([(row(str(n)), b"x" * 300) for n in range(500)])
    store.end_many([(one.row, 1, "rejected", {}) for one in taken])
    store.close(2.0)
    return path


@pytest.mark.parametrize("part", [0.2, 0.5, 0.95])
def test_a_main_file_that_was_cut(closed: Path, opened: Open, part: float) -> None:
    os.truncate(closed, int(closed.stat().st_size * part))
    refused(opened, "damaged|not a journal")


def test_a_main_file_with_a_page_of_nothing(closed: Path, opened: Open) -> None:
    content = bytearray(closed.read_bytes())
    refusals = 0
    for page in range(1, len(content) // 4096):
        damaged = bytearray(content)
        damaged[page * 4096 : (page + 1) * 4096] = bytes(4096)
        closed.write_bytes(damaged)
        try:
            opened().close()
        except JournalError as error:
            assert "damaged" in str(error)  # noqa: PT017
            refusals += 1
    assert refusals == len(content) // 4096 - 1


def test_an_index_that_lost_a_row(closed: Path, opened: Open) -> None:
    """The row would be new to the next run, and sent again."""
    other = sqlite3.connect(closed)
    (root,) = other.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'rows_by_key'"
    ).fetchone()
    other.execute("PRAGMA writable_schema = ON")
    other.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'IS NOT NULL', '= ''x''') "
        "WHERE name = 'rows_by_key'"
    )
    other.commit()
    other.close()
    assert root > 1
    refused(opened, "damaged")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"S", "not a journal"),
        (b"SQLite format 3\0", "not a journal"),
        (b"id,title\n1,hello\n" * 100, "not a journal"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "not a journal|damaged"),
        (bytes(8192), "not a journal"),
    ],
)
def test_no_database(opened: Open, path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    refused_by_all(opened, path, words)


def test_another_database(opened: Open, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE events (a)")
    other.commit()
    other.close()
    refused_by_all(opened, path, "an SQLite database, but not a journal")


@pytest.mark.parametrize(("version", "words"), [(99, "a newer version"), (1, "an older version")])
def test_another_version(closed: Path, opened: Open, version: int, words: str) -> None:
    other = sqlite3.connect(closed)
    other.execute(f"PRAGMA user_version = {version}")
    other.close()
    refused_by_all(opened, closed, words)


def test_a_version_that_is_older_than_the_program(
    closed: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = schema_module.VERSION
    monkeypatch.setattr(schema_module, "VERSION", made + 1)
    refused_by_all(opened, closed, f"format {made}, not {made + 1}")


def test_a_journal_that_forgot_its_job(closed: Path, opened: Open) -> None:
    other = sqlite3.connect(closed)
    other.execute("DELETE FROM job")
    other.commit()
    other.close()
    refused(opened, "its job is missing")


# --- folders, permissions, places ----------------------------------------------------------------


def test_a_folder_in_its_place(opened: Open, path: Path) -> None:
    path.mkdir()
    refused(opened, "it is a folder")
    refused(lambda: ReadJournal.open_to_read(path), "it is a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs os.mkfifo")
def test_a_pipe_in_its_place(opened: Open, path: Path) -> None:
    os.mkfifo(path)
    refused(opened, "not an ordinary file")  # and does not wait for someone to write into it


def test_a_folder_that_is_not_there(opened: Open, path: Path) -> None:
    refused(lambda: opened(path.parent / "no" / "such"), "there is no such folder")
    refused(lambda: opened(path / "x"), "there is no such folder")


def test_a_link_in_a_circle(opened: Open, path: Path) -> None:
    path.symlink_to(path)
    refused(opened, "circle|no such file|cannot be made")


def as_nobody(path: Path, mode: int, folder_mode: int) -> str:
    """What a user without rights is told."""
    program = f"""
import os, sys
from kapture_async import JournalError
import asyncio
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Job
from kapture_async._core.journal.writer import Journal
if not os.getuid():
    os.setgid(65534)
    os.setuid(65534)
job = Job(service="helpdesk", operation="tickets.add", target="https://example.com",
          place="ticket_details", keys="id")
try:
    asyncio.run(Journal.open({str(path)!r}, job=job))
    print("opened")
except JournalError as error:
    print(error)
try:
    with ReadJournal.open_to_read({str(path)!r}) as reader:
        print(reader.counts().rows)
except JournalError as error:
    print(error)
"""
    for parent in path.parent.parents:  # the way to it must be open to that user
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & stat.S_ISVTX:
            parent.chmod(parent.stat().st_mode | 0o055)
    if path.exists():
        path.chmod(mode)
    path.parent.chmod(folder_mode)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(storage_module.__file__).parents[4])},
            cwd="/",
        )
    finally:
        path.parent.chmod(0o755)
    if "PermissionError" in done.stderr or "Error: " in done.stderr:
        pytest.skip("that user cannot run this interpreter")
    if "there is no such folder" in done.stdout:
        pytest.skip("another session of pytest has closed the way to its folders meanwhile")
    return done.stdout


needs_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root, to be someone else"
)


@needs_root
def test_a_folder_that_may_not_be_written_to(closed: Path) -> None:
    words, read = as_nobody(closed, 0o644, 0o555).splitlines()
    assert "its lock file" in words
    assert "cannot be made (Permission denied)" in words
    assert read == "500"  # who only looks needs no more than that


@needs_root
def test_a_file_that_may_not_be_written_to(closed: Path) -> None:
    words, read = as_nobody(closed, 0o444, 0o777).splitlines()
    assert "is not writable" in words
    assert read == "500"


@needs_root
def test_a_file_that_may_not_be_read(closed: Path) -> None:
    words, read = as_nobody(closed, 0o600, 0o777).splitlines()
    for said in (words, read):
        assert "cannot be opened" in said


@needs_root
def test_a_new_journal_where_none_can_be(path: Path) -> None:
    words, read = as_nobody(path, 0o644, 0o555).splitlines()
    assert "cannot be made (Permission denied)" in words
    assert "there is no such file" in read


# --- while a push runs ---------------------------------------------------------------------------


def moved(path: Path) -> None:
    path.rename(path.with_name("moved"))


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def without_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("harm", [moved, deleted, replaced, without_wal, folder_moved])
def test_files_that_go_away_while_a_push_runs(
    tmp_path: Path, opened: Open, row: MakeRow, harm: Callable[[Path], None]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "tickets.journal"
    journal = opened(path)
    taken = journal.take(row("A-1"), b"x")
    harm(path)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"was moved, deleted or replaced"):
            journal.take(row("A-2"), b"x")
    with pytest.raises(JournalError):
        journal.settle(taken, "accepted")
    journal.close()
    if harm is without_wal:  # what SQLite still held of it was written through
        with ReadJournal.open_to_read(path) as reader:
            assert reader.counts().unknown >= 1


def test_a_journal_that_was_moved_and_put_back(path: Path, row: MakeRow, opened: Open) -> None:
    journal = opened()
    journal.take(row("A-1"), b"x")
    moved(path)
    with pytest.raises(JournalError, match=r"Put it back, with its -wal file"):
        journal.take(row("A-2"), b"x")
    journal.close()
    refused(lambda: ReadJournal.open_to_read(path.with_name("moved")), "-wal file is missing")
    path.with_name("moved").rename(path)
    keys = {doubt.key for doubt in opened().doubts()}
    assert "A-1" in keys  # A-2 may be there or not: it was not sent, which is the safe side


def test_the_mode_a_user_gave_stays(closed: Path, opened: Open) -> None:
    closed.chmod(0o640)
    opened()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o640
    assert stat.S_IMODE(Path(f"{closed}-wal").stat().st_mode) == 0o640
