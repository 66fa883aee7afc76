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

from kapture_async._core.atomicfile import PartFile
from kapture_async._core.download import saving as saving_module
from kapture_async._core.download.saving import Saving

from .shared import FILE_SYSTEMS, names, no_links, save

# --- the temporary file ---------------------------------------------------------------------------


def test_the_temporary_file(folder: Path) -> None:
    seen = set()
    for _ in range(3):
        saving = Saving.prepare(folder / "a.txt", overwrite=False)
        assert names(folder) == []  # before the transfer there is nothing
        saving.begin("")
        (name,) = names(folder)
        assert name.startswith(".")
        assert "a.txt" not in name
        seen.add(name)
        saving.discard()
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
        saving = Saving.prepare(folder / "a.txt", overwrite=True)
        with pytest.raises(OSError):
            saving.begin("")
        saving.discard()
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
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    saving.write(b"the first try was longer")
    saving.restart()
    saving.write(b"second")
    saving.restart()
    saving.write(b"third")
    assert saving.finish().read_bytes() == b"third"


def test_it_is_on_the_disk_before_it_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    fsync, link, replace = os.fsync, os.link, os.replace

    def synced(file: int) -> None:
        assert os.fstat(file).st_size == 3
        steps.append("fsync")
        fsync(file)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda *a: (steps.append("link"), link(*a))[1])
    monkeypatch.setattr(os, "replace", lambda *a: (steps.append("replace"), replace(*a))[1])
    save(folder / "a.txt", b"abc")
    save(folder / "a.txt", b"abc", over=True)
    assert steps == ["fsync", "link", "fsync", "replace"]


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
    saving = Saving.prepare(folder / "a.bin", overwrite=False)
    saving.begin("")
    with small_disk(10_000):
        saving.write(b"x" * 6_000)
        with pytest.raises(OSError) as caught:
            saving.write(b"y" * 6_000)
    assert caught.value.errno == errno.EFBIG
    (temporary,) = folder.iterdir()
    assert temporary.stat().st_size == 10_000
    saving.discard()
    assert names(folder) == []


def test_a_disk_that_has_room_again(folder: Path) -> None:
    saving = Saving.prepare(folder / "a.bin", overwrite=False)
    saving.begin("")
    with small_disk(10), pytest.raises(OSError):
        saving.write(b"x" * 20)
    saving.restart()
    saving.write(b"y" * 20)
    assert saving.finish().read_bytes() == b"y" * 20


def test_a_disk_that_takes_little_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:7])

    monkeypatch.setattr(saving_module, "FileIO", Slow)
    data = bytes(range(256)) * 3
    assert save(folder / "a.bin", data, data).read_bytes() == data * 2


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_disk_that_says_so_late(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / "a.txt").write_text("old")
    saving = Saving.prepare(folder / "a.txt", overwrite=True)
    saving.begin("")
    saving.write(b"new")
    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left"):
        saving.finish()
    saving.discard()
    assert (folder / "a.txt").read_text() == "old"
    assert names(folder) == ["a.txt"]


# --- order, threads, handles ----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_discard_at_any_time(folder: Path, steps: int) -> None:
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    todo: list[Callable[[], object]] = [
        lambda: saving.begin(""),
        lambda: saving.write(b"x"),
        saving.restart,
    ]
    for step in todo[:steps]:
        step()
    saving.discard()
    saving.discard()
    assert names(folder) == []
    for late in (*todo, saving.finish):
        with pytest.raises(RuntimeError, match="it is over"):
            late()
    assert names(folder) == []


def test_discard_after_finish_leaves_the_file(folder: Path) -> None:
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    saving.finish()
    saving.discard()
    assert names(folder) == ["a.txt"]
    for late in (lambda: saving.begin(""), lambda: saving.write(b"x"), saving.finish):
        with pytest.raises(RuntimeError, match="it is over"):
            late()


def test_begin_comes_first_and_once(folder: Path) -> None:
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    for early in (lambda: saving.write(b"x"), saving.restart, saving.finish):
        with pytest.raises(RuntimeError, match="not begun"):
            early()
    saving.begin("")
    with pytest.raises(RuntimeError, match="begun before"):
        saving.begin("")
    assert len(names(folder)) == 1
    saving.discard()
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

        def slow(folder: str) -> PartFile:
            held_up()
            return PartFile(folder)

        monkeypatch.setattr(saving_module, "PartFile", slow)
    elif step == "write":
        monkeypatch.setattr(saving_module, "FileIO", File)
    else:
        monkeypatch.setattr(os, "fsync", lambda *a: (held_up(), fsync(*a))[1])
    return held_up


@pytest.mark.parametrize("step", ["begin", "write", "finish"])
def test_discard_while_another_thread_is_at_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """As when a task is cancelled: its thread goes on, and the cleaning up comes from another."""
    held_up = hold_up(step, monkeypatch)
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    todo: dict[str, Callable[[], object]] = {
        "begin": lambda: saving.begin(""),
        "write": lambda: saving.write(b"x"),
        "finish": saving.finish,
    }
    with ThreadPoolExecutor() as pool:
        for name in todo:
            working = pool.submit(todo[name])
            if name == step:
                break
            working.result(30)
        assert held_up.inside.wait(30)
        cleaning = pool.submit(saving.discard)
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
        saving = Saving.prepare(folder, overwrite=False)
        saving.begin("a.bin")
        saving.write(bytes([number]) * 1000)
        start.wait(30)
        try:
            return saving.finish()
        except FileExistsError:
            return None
        finally:
            saving.discard()

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
        saving = Saving.prepare(folder / "a.bin", overwrite=True)
        saving.begin("")
        saving.write(bytes([number]) * 1000)
        start.wait(30)
        return saving.finish()

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
        saving = Saving.prepare(folder / "b.txt", overwrite=overwrite)
        saving.begin("")
        saving.write(b"x")
        assert open_handles() == before + 2  # its content, and its lock
        (folder / "b.txt").mkdir()
        with pytest.raises(FileExistsError):
            saving.finish()
        saving.discard()
        (folder / "b.txt").rmdir()
    no_links(monkeypatch, "EPERM")
    save(folder / "c.txt", b"x")
    assert open_handles() == before


def test_a_forgotten_one_complains_and_leaves_no_handle(folder: Path) -> None:
    before = open_handles()
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    with pytest.warns(ResourceWarning, match="unclosed file"):
        del saving
    assert open_handles() == before
