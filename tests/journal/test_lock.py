"""One writer: refused with a name, freed by any end, and no way round it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async import JournalError
from kapture_async._core import filelock as lock_module
from kapture_async._core.filelock import FileLock, owner_of
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Identity

from ..driven import Driven

Open = Callable[..., Driven]
Program = Callable[..., subprocess.Popen[bytes]]
MakeRow = Callable[..., Identity]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "_PATIENCE", 0.03)


def ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def end(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        if process.poll() is None:
            process.stdin.close()
        return process.wait(20)


def test_a_second_process_is_refused(opened: Open, path: Path, program: Program) -> None:
    before = time.time()
    process = program("hold", path, 3)
    try:
        ready(process)
        owner = owner_of(str(path))
        assert owner is not None
        assert (owner.pid, owner.host) == (process.pid, socket.gethostname())
        assert before - 1 <= owner.since <= time.time()
        with pytest.raises(JournalError) as caught:
            opened()
        words = str(caught.value)
        assert f"process {process.pid} on {socket.gethostname()} is using it (since" in words
        assert str(path) in words
        assert "Nothing was sent." in words
        with ReadJournal.open_to_read(path) as reader:  # looking is free
            assert reader.counts() == Counts(unknown=3)
    finally:
        assert end(process) == 0
    assert owner_of(str(path)) is None
    assert opened().counts() == Counts(unknown=3)


def test_a_killed_process_holds_nobody_up(opened: Open, path: Path, program: Program) -> None:
    process = program("hold", path, 1)
    ready(process)
    process.kill()
    end(process)
    assert Path(f"{path}-lock").exists()
    assert owner_of(str(path)) is None
    store = opened()
    assert store.counts() == Counts(unknown=1)
    assert [run.ended for run in store.runs()] == [None, None]


def test_a_stopped_process_still_has_it(opened: Open, path: Path, program: Program) -> None:
    process = program("hold", path, 1)
    ready(process)
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(JournalError, match=f"process {process.pid}"):
            opened()
    finally:
        process.send_signal(signal.SIGCONT)
        end(process)


def test_the_same_process_is_refused(opened: Open, path: Path, tmp_path: Path) -> None:
    store = opened()
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in (path, tmp_path / "link", tmp_path / "folder" / path.name):
        with pytest.raises(JournalError, match="this process is using it already"):
            opened(name)
    store.close(5.0)
    opened(tmp_path / "link")


def test_a_second_name_is_refused(opened: Open, path: Path, tmp_path: Path) -> None:
    """Another name has another lock and another -wal file."""
    opened().close(5.0)
    os.link(path, tmp_path / "second")
    for name in (path, tmp_path / "second"):
        with pytest.raises(JournalError, match="hard link"):
            opened(name)


def test_it_leaves_no_file_and_only_the_owner_reads_it(opened: Open, path: Path) -> None:
    store = opened(at=123.0)
    lock = Path(f"{path}-lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert json.loads(lock.read_text()) == {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": 123.0,
    }
    store.close(5.0)
    assert not lock.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff" * 5000])
def test_a_lock_that_says_nothing(opened: Open, path: Path, content: bytes) -> None:
    lock = FileLock(str(path))
    lock.acquire(1.0)
    Path(lock.path).write_bytes(content)
    refusal = FileLock(str(path)).acquire(2.0)
    assert refusal is not None
    assert refusal.held
    assert refusal.owner is None
    with pytest.raises(JournalError, match="another process is using it"):
        opened()
    owner = owner_of(str(path))
    assert owner is not None
    assert owner.pid == 0
    lock.release()
    lock.release()
    FileLock(str(path)).acquire(3.0)


def test_it_waits_for_one_that_is_just_ending(path: Path, monkeypatch: Any) -> None:
    first, second = FileLock(str(path)), FileLock(str(path))
    first.acquire(1.0)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        first.release()

    monkeypatch.setattr(time, "sleep", wait)
    second.acquire(2.0)
    assert len(waits) == 1
    assert second.held
    second.release()


def test_a_removed_lock_file_opens_no_second_way(opened: Open, row: MakeRow, path: Path) -> None:
    """Who deletes the lock file lets a second process in; the first then stops itself."""
    first = opened()
    taken = first.take(row("A-1"), b"x", 1.0)
    os.unlink(f"{path}-lock")
    second = opened(at=2.0)
    assert second.take(row("A-1"), b"x", 3.0).action == "doubt"
    for _ in range(2):
        with pytest.raises(JournalError, match="another process has started using it"):
            first.take(row("A-2"), b"x", 4.0)
    assert first.broken is not None
    first.close(5.0)
    assert Path(f"{path}-lock").exists()  # it is the second one's
    assert second.take(row("A-2"), b"x", 4.0).action == "send"
    assert taken.row == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_does_not_keep_it(opened: Open, path: Path) -> None:
    store = opened()
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.write(ready_write, b"x")
        os.read(go_read, 1)
        os._exit(0)
    try:
        os.read(ready_read, 1)
        with pytest.raises(JournalError, match="already"):
            opened()  # the parent still has it
        store.close(5.0)
        opened().close(6.0)  # and nobody any more, though the child lives
    finally:
        os.write(go_write, b"x")
        os.waitpid(child, 0)
        for fd in (ready_read, ready_write, go_read, go_write):
            os.close(fd)


def test_many_at_once_one_wins(path: Path, program: Program) -> None:
    processes = [program("hold", path, 1, stderr=subprocess.PIPE) for _ in range(4)]
    said = []
    try:
        for process in processes:
            assert process.stdout is not None
        # The losers end by themselves; the winner waits for us.
        while sum(process.poll() is None for process in processes) > 1:
            time.sleep(0.01)
        (winner,) = [process for process in processes if process.poll() is None]
        ready(winner)
    finally:
        for process in processes:
            if process.poll() is None:
                assert end(process) == 0
            else:
                assert process.stderr is not None
                said.append(process.stderr.read().decode())
                end(process)
            assert process.stderr is not None
            process.stderr.close()
    assert len(said) == 3
    assert all("is using it" in words for words in said)
    with ReadJournal.open_to_read(path) as reader:
        assert reader.counts() == Counts(unknown=1)
