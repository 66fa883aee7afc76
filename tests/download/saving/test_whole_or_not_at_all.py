"""The temporary file, disks that fail, order, threads, handles: nothing is left behind."""

from __future__ import annotations

import errno
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from kapture_async._core import atomicfile
from kapture_async._core.atomicfile import PartFile

from .shared import FILE_SYSTEMS, finish, names, no_links, prepare, save

# --- the temporary file ---------------------------------------------------------------------------


def test_the_temporary_file(folder: Path) -> None:
    seen = set()
    for _ in range(3):
        file = prepare(folder / "a.txt", overwrite=False)
        assert names(folder) == []  # before the transfer there is nothing
        file.begin("")
        (name,) = names(folder)
        assert name.startswith(".")
        assert "a.txt" not in name
        seen.add(name)
        file.discard()
    assert len(seen) == 3
    assert min(map(len, seen)) > 32


def test_nobody_can_wait_where_it_will_be(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    monkeypatch.setattr("secrets.token_hex", lambda size: "known")
    for exists in (False, True):
        if exists:
            victim.write_text("victim")
        (folder / ".kapture-known.part").symlink_to(victim)
        file = prepare(folder / "a.txt", overwrite=True)
        with pytest.raises(OSError):
            file.begin("")
        file.discard()
        assert victim.exists() == exists
        assert names(folder) == [".kapture-known.part"]  # not ours, so not removed
        (folder / ".kapture-known.part").unlink()
    assert victim.read_text() == "victim"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
@FILE_SYSTEMS
def test_only_its_owner_may_read_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, umask: int, how: str
) -> None:
    no_links(monkeypatch, how)
    before = os.umask(umask)
    try:
        path = save(folder / "a.txt", b"x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_nlink == 1
    finally:
        os.umask(before)


def test_restart(folder: Path) -> None:
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    file.write(b"the first try was longer")
    file.restart()
    file.write(b"second")
    file.restart()
    file.write(b"third")
    assert finish(file).read_bytes() == b"third"


def test_it_is_on_the_disk_before_it_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(file: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(file).st_mode)
        assert is_folder or os.fstat(file).st_size == 3
        steps.append("fsync folder" if is_folder else "fsync")
        fsync(file)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda *a: (steps.append("link"), link(*a))[1])
    monkeypatch.setattr(os, "replace", lambda *a: (steps.append("replace"), replace(*a))[1])
    save(folder / "a.txt", b"abc")
    save(folder / "a.txt", b"abc", over=True)
    assert steps == ["fsync", "link", "fsync folder", "fsync", "replace", "fsync folder"]


# --- disks that fail ------------------------------------------------------------------------------


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """The system lets no file grow beyond ``size``: a part is taken, then it refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up(folder: Path) -> None:
    file = prepare(folder / "a.bin", overwrite=False)
    file.begin("")
    with small_disk(10_000):
        file.write(b"x" * 6_000)
        with pytest.raises(OSError) as caught:
            file.write(b"y" * 6_000)
    assert caught.value.errno == errno.EFBIG
    (temporary,) = folder.iterdir()
    assert temporary.stat().st_size == 10_000
    file.discard()
    assert names(folder) == []


def test_a_disk_that_has_room_again(folder: Path) -> None:
    file = prepare(folder / "a.bin", overwrite=False)
    file.begin("")
    with small_disk(10), pytest.raises(OSError):
        file.write(b"x" * 20)
    file.restart()
    file.write(b"y" * 20)
    assert finish(file).read_bytes() == b"y" * 20


def test_a_disk_that_takes_little_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:7])

    monkeypatch.setattr(atomicfile, "FileIO", Slow)
    data = bytes(range(256)) * 3
    assert save(folder / "a.bin", data, data).read_bytes() == data * 2


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_disk_that_says_so_late(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / "a.txt").write_text("old")
    file = prepare(folder / "a.txt", overwrite=True)
    file.begin("")
    file.write(b"new")
    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left"):
        file.finish()
    file.discard()
    assert (folder / "a.txt").read_text() == "old"
    assert names(folder) == ["a.txt"]


# --- order, threads, handles ----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_discard_at_any_time(folder: Path, steps: int) -> None:
    file = prepare(folder / "a.txt", overwrite=False)
    todo: list[Callable[[], object]] = [
        lambda: file.begin(""),
        lambda: file.write(b"x"),
        file.restart,
    ]
    for step in todo[:steps]:
        step()
    file.discard()
    file.discard()
    assert names(folder) == []
    for late in (*todo, file.finish):
        with pytest.raises(RuntimeError, match="it is over"):
            late()
    assert names(folder) == []


def test_discard_after_finish_leaves_the_file(folder: Path) -> None:
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    file.finish()
    file.discard()
    assert names(folder) == ["a.txt"]
    for late in (lambda: file.begin(""), lambda: file.write(b"x"), file.finish):
        with pytest.raises(RuntimeError, match="it is over"):
            late()


def test_begin_comes_first_and_once(folder: Path) -> None:
    file = prepare(folder / "a.txt", overwrite=False)
    for early in (lambda: file.write(b"x"), file.restart, file.finish):
        with pytest.raises(RuntimeError, match="not begun"):
            early()
    file.begin("")
    with pytest.raises(RuntimeError, match="begun before"):
        file.begin("")
    assert len(names(folder)) == 1
    file.discard()
    assert names(folder) == []


class HeldUp:
    """Stops the thread that calls it, until it may go on."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self) -> None:
        self.inside.set()
        assert self.may_go_on.wait(30)


def hold_up(step: str, monkeypatch: pytest.MonkeyPatch) -> HeldUp:
    """Let a method stop half-way."""
    held_up = HeldUp()
    fsync = os.fsync

    class File(FileIO):
        def write(self, data: Any) -> int:
            held_up()
            return super().write(data)

    if step == "begin":

        def slow(folder: str, path: str) -> PartFile:
            held_up()
            return PartFile(folder, path)

        monkeypatch.setattr(atomicfile, "PartFile", slow)
    elif step == "write":
        monkeypatch.setattr(atomicfile, "FileIO", File)
    else:
        monkeypatch.setattr(os, "fsync", lambda *a: (held_up(), fsync(*a))[1])
    return held_up


@pytest.mark.parametrize("step", ["begin", "write", "finish"])
def test_discard_while_another_thread_is_at_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As when a task is cancelled: its thread goes on, and the cleaning up comes from another."""
    held_up = hold_up(step, monkeypatch)
    file = prepare(folder / "a.txt", overwrite=False)
    todo: dict[str, Callable[[], object]] = {
        "begin": lambda: file.begin(""),
        "write": lambda: file.write(b"x"),
        "finish": file.finish,
    }
    with ThreadPoolExecutor() as pool:
        for name in todo:
            working = pool.submit(todo[name])
            if name == step:
                break
            working.result(30)
        assert held_up.inside.wait(30)
        cleaning = pool.submit(file.discard)
        with suppress(TimeoutError):
            cleaning.result(0.05)  # if it did not wait, it would be through by now
        held_up.may_go_on.set()
        working.result(30)
        cleaning.result(30)
    assert names(folder) == (["a.txt"] if step == "finish" else [])


@FILE_SYSTEMS
def test_of_many_to_the_same_name_exactly_one_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    no_links(monkeypatch, how)
    many = 8
    start = threading.Barrier(many)

    def one(number: int) -> Path | None:
        file = prepare(folder, overwrite=False)
        file.begin("a.bin")
        file.write(bytes([number]) * 1000)
        start.wait(30)
        try:
            return finish(file)
        except FileExistsError:
            return None
        finally:
            file.discard()

    for _ in range(5):
        with ThreadPoolExecutor(many) as pool:
            paths = list(pool.map(one, range(many)))
        (winner,) = [number for number, path in enumerate(paths) if path is not None]
        assert (folder / "a.bin").read_bytes() == bytes([winner]) * 1000
        assert names(folder) == ["a.bin"]
        (folder / "a.bin").unlink()


def test_of_many_that_overwrite_each_the_last_stands_whole(folder: Path) -> None:
    many = 8
    start = threading.Barrier(many)

    def one(number: int) -> Path:
        file = prepare(folder / "a.bin", overwrite=True)
        file.begin("")
        file.write(bytes([number]) * 1000)
        start.wait(30)
        return finish(file)

    with ThreadPoolExecutor(many) as pool:
        assert set(pool.map(one, range(many))) == {folder / "a.bin"}
    data = (folder / "a.bin").read_bytes()
    assert data == data[:1] * 1000
    assert names(folder) == ["a.bin"]


def open_handles() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts the handles in /proc")
def test_no_handle_is_left_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_handles()
    save(folder / "a.txt", b"x")
    save(folder / "a.txt", b"x", over=True)
    for overwrite in (False, True):
        file = prepare(folder / "b.txt", overwrite=overwrite)
        file.begin("")
        file.write(b"x")
        assert open_handles() == before + 2  # its content, and its lock
        (folder / "b.txt").mkdir()
        with pytest.raises(FileExistsError):
            file.finish()
        file.discard()
        (folder / "b.txt").rmdir()
    no_links(monkeypatch, "EPERM")
    save(folder / "c.txt", b"x")
    assert open_handles() == before


def test_a_forgotten_one_complains_and_leaves_no_handle(folder: Path) -> None:
    before = open_handles()
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    with pytest.warns(ResourceWarning, match="unclosed file"):
        del file
    assert open_handles() == before
