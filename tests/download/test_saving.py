"""Saving to real files: whole or not at all, nothing replaced unasked, nothing left behind."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from kapture_async._core.download import saving as saving_module
from kapture_async._core.download.saving import Saving
from kapture_async._core.errors import InvalidInputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, alone in its parent: what escapes from it would be seen."""
    path = tmp_path / "parent" / "folder"
    path.mkdir(parents=True)
    return path


def save(to: str | os.PathLike[str], *chunks: bytes, name: str = "n.txt", over: bool = False):
    saving = Saving.prepare(to, overwrite=over)
    try:
        saving.begin(name)
        for chunk in chunks:
            saving.write(chunk)
        return saving.finish()
    finally:
        saving.discard()


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# --- where it goes -----------------------------------------------------------------------------


def test_to_a_file(folder: Path) -> None:
    path = save(folder / "mine.pdf", b"one ", b"", b"two", name="theirs.pdf")
    assert path == folder / "mine.pdf"
    assert path.read_bytes() == b"one two"
    assert names(folder) == ["mine.pdf"]


@pytest.mark.parametrize("end", ["", "/", "/.", "/../folder", "/../folder/"])
def test_to_a_folder_under_the_name_of_the_service(folder: Path, end: str) -> None:
    path = save(f"{folder}{end}", b"x", name="theirs.pdf")
    assert path.name == "theirs.pdf"
    assert names(folder) == ["theirs.pdf"]
    assert path.samefile(folder / "theirs.pdf")


def test_to_a_link_to_a_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert save(tmp_path / "link", b"x") == tmp_path / "link" / "n.txt"
    assert names(folder) == ["n.txt"]


def test_an_empty_file(folder: Path) -> None:
    assert save(folder / "empty").read_bytes() == b""


@pytest.mark.parametrize("to", ["rel.txt", "./rel.txt", "../folder/rel.txt", ".", "../folder"])
def test_a_relative_path_counts_from_where_it_was_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.chdir(folder)
    saving = Saving.prepare(to, overwrite=False)
    monkeypatch.chdir(tmp_path)
    saving.begin("rel.txt")
    path = saving.finish()
    assert path.is_absolute()
    assert names(folder) == ["rel.txt"]
    assert path.samefile(folder / "rel.txt")


def test_two_dots_after_a_link_lead_where_the_system_says(folder: Path, tmp_path: Path) -> None:
    # As a text "link/.." is tmp_path, for the system it is the parent of the folder.
    (tmp_path / "link").symlink_to(folder)
    save(f"{tmp_path}/link/../here.txt", b"x")
    assert names(folder.parent) == ["folder", "here.txt"]


def test_an_absolute_path_needs_no_working_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert save(folder / "a.txt", b"x").exists()
    with pytest.raises(InvalidInputError, match=r"cannot save to 'a\.txt'"):
        Saving.prepare("a.txt", overwrite=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../escaped", "escaped"),
        ("/etc/escaped", "escaped"),
        ("..\\escaped", "escaped"),
        ("..", "download"),
        ("", "download"),
        (".", "download"),
        ("a\0b", "ab"),
        ("\ud800", "download"),
        ("x" * 5000 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_never_outside_the_folder_whatever_the_name(folder: Path, name: str, expected: str) -> None:
    assert save(folder, b"x", name=name) == folder / expected
    assert names(folder) == [expected]
    assert names(folder.parent) == ["folder"]


# --- refused before anything is sent -----------------------------------------------------------


def refused(to: object, *, overwrite: bool = False) -> str:
    with pytest.raises(InvalidInputError) as caught:
        Saving.prepare(to, overwrite=overwrite)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "Nothing was sent." in text
    return text


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("to", ["none/a.txt", "none/", "none/.", "none/..", "none/none/"])
def test_no_folder(folder: Path, to: str, overwrite: bool) -> None:
    text = refused(f"{folder}/{to}", overwrite=overwrite)
    assert f"cannot save to '{folder}/{to}': there is no folder" in text
    assert "Make the folder" in text
    assert names(folder) == []


@pytest.mark.parametrize("end", ["/a.txt", "/", "/."])
def test_a_file_where_the_folder_should_be(folder: Path, end: str) -> None:
    (folder / "file").touch()
    assert f"'{folder}/file{end}'" in refused(f"{folder}/file{end}")


def test_it_is_there_already(folder: Path) -> None:
    (folder / "a.txt").write_text("old")
    text = refused(folder / "a.txt")
    assert f"cannot save to '{folder}/a.txt': it is there already" in text
    assert "pass overwrite=True" in text
    assert (folder / "a.txt").read_text() == "old"


@pytest.mark.parametrize("points_to", ["none", "file", "itself"])
def test_a_link_is_there_already(folder: Path, points_to: str) -> None:
    (folder / "file").touch()
    (folder / "itself").symlink_to(folder / points_to)
    assert "it is there already" in refused(folder / "itself")
    assert names(folder) == ["file", "itself"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_ordinary_file(folder: Path, overwrite: bool) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "to_null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as unix:
        short = os.path.relpath(folder / "socket")  # the path of a socket has little room
        unix.bind(short)
        for name in ["pipe", "socket", *(["to_null"] if overwrite else [])]:
            assert "a device, a pipe or a socket" in refused(folder / name, overwrite=overwrite)
    assert "a device, a pipe or a socket" in refused("/dev/null", overwrite=overwrite)


@pytest.mark.parametrize(
    "to", ["", b"bytes", None, 3, "a\0b", "\ud800/x", "x" * 5000, "loop/a.txt"]
)
def test_no_path(folder: Path, monkeypatch: pytest.MonkeyPatch, to: object) -> None:
    monkeypatch.chdir(folder)
    Path("loop").symlink_to("loop")
    refused(to)
    assert names(folder) == ["loop"]


@contextmanager
def not_as_root() -> Iterator[None]:
    """Rights bind the superuser to nothing, so for a moment be another one."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can reach; the ones of pytest are for their owner."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        yield path
        path.chmod(0o777)


def test_a_folder_that_cannot_be_written_to(shared: Path) -> None:
    shared.chmod(0o555)
    with not_as_root():
        assert f"the folder '{shared}' cannot be written to" in refused(shared / "a.txt")
        assert "cannot be written to" in refused(shared)
    assert names(shared) == []


def test_a_folder_that_can_no_longer_be_written_to(shared: Path) -> None:
    with not_as_root():
        saving = Saving.prepare(shared / "a.txt", overwrite=False)
    shared.chmod(0o555)
    with not_as_root():
        with pytest.raises(PermissionError):
            saving.begin("")
        saving.discard()
    assert names(shared) == []


def test_a_folder_that_can_no_longer_be_written_to_at_the_end(shared: Path) -> None:
    with not_as_root():
        saving = Saving.prepare(shared / "a.txt", overwrite=False)
        saving.begin("")
        saving.write(b"x")
    shared.chmod(0o555)
    with not_as_root():
        with pytest.raises(PermissionError):
            saving.finish()
        shared_before = names(shared)
        saving.discard()  # it cannot remove it, and the first error is the one that counts
    assert "a.txt" not in shared_before


# --- what is there already, and what appears ---------------------------------------------------


def test_a_file_of_the_services_name_is_there(folder: Path) -> None:
    (folder / "n.txt").write_text("old")
    saving = Saving.prepare(folder, overwrite=False)
    with pytest.raises(FileExistsError, match=r"there already.*pass overwrite=True") as caught:
        saving.begin("n.txt")
    assert caught.value.filename == str(folder / "n.txt")
    assert caught.value.errno == errno.EEXIST
    assert (folder / "n.txt").read_text() == "old"
    assert names(folder) == ["n.txt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_service_names_a_folder_or_a_pipe(folder: Path, overwrite: bool) -> None:
    (folder / "sub").mkdir()
    (folder / "to_sub").symlink_to("sub")
    os.mkfifo(folder / "pipe")
    for name in ["sub", "pipe", "to_sub"]:
        saving = Saving.prepare(folder, overwrite=overwrite)
        with pytest.raises(FileExistsError, match="left alone"):
            saving.begin(name)
    assert names(folder) == ["pipe", "sub", "to_sub"]
    assert names(folder / "sub") == []


def test_it_appears_before_the_transfer(folder: Path) -> None:
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    (folder / "a.txt").write_text("other")
    with pytest.raises(FileExistsError, match="there already"):
        saving.begin("")
    saving.discard()
    assert names(folder) == ["a.txt"]


def no_links(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """As on FAT, on Android, or where Python has no such function."""

    def link(*_: object) -> None:
        raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)))

    if how == "missing":
        monkeypatch.delattr(os, "link")
    elif how != "links":
        monkeypatch.setattr(os, "link", link)


FILE_SYSTEMS = pytest.mark.parametrize(
    "how", ["links", "EPERM", "EOPNOTSUPP", "EINVAL", "EACCES", "missing"]
)


@FILE_SYSTEMS
def test_it_appears_during_the_transfer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    no_links(monkeypatch, how)
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    saving.write(b"mine")
    (folder / "a.txt").write_text("other")
    with pytest.raises(FileExistsError, match=r"appeared during.*pass overwrite=True") as caught:
        saving.finish()
    assert caught.value.filename == str(folder / "a.txt")
    saving.discard()
    assert (folder / "a.txt").read_text() == "other"
    assert names(folder) == ["a.txt"]


@FILE_SYSTEMS
@pytest.mark.parametrize("exists", [False, True])
def test_a_link_appears_during_the_transfer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, exists: bool
) -> None:
    no_links(monkeypatch, how)
    victim = tmp_path / "victim"
    if exists:
        victim.write_text("victim")
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    saving.write(b"mine")
    (folder / "a.txt").symlink_to(victim)
    with pytest.raises(FileExistsError):
        saving.finish()
    saving.discard()
    assert (folder / "a.txt").is_symlink()
    assert victim.exists() == exists
    assert not exists or victim.read_text() == "victim"
    assert names(folder) == ["a.txt"]


@FILE_SYSTEMS
def test_every_file_system(folder: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    no_links(monkeypatch, how)
    assert save(folder / "a.txt", b"x").read_bytes() == b"x"
    assert save(folder / "a.txt", b"y", over=True).read_bytes() == b"y"
    assert names(folder) == ["a.txt"]


def test_without_links_a_failure_takes_its_place_holder_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_links(monkeypatch, "EPERM")
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    (temporary,) = folder.iterdir()
    temporary.unlink()
    with pytest.raises(FileNotFoundError):
        saving.finish()
    assert names(folder) == []


@pytest.mark.parametrize("same_number", [False, True])
def test_without_links_what_took_the_place_holders_place_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_number: bool
) -> None:
    no_links(monkeypatch, "EPERM")
    other = tmp_path / "other"
    other.touch()

    def replace(_: object, target: str) -> None:
        if same_number:  # file systems give the number of a removed file to the next one
            os.unlink(target)
            Path(target).write_text("other")
        else:
            os.rename(other, target)
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "replace", replace)
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    saving.begin("")
    with pytest.raises(OSError, match="broken"):
        saving.finish()
    saving.discard()
    assert (folder / "a.txt").read_text() == ("other" if same_number else "")
    assert names(folder) == ["a.txt"]


def test_overwrite(folder: Path) -> None:
    (folder / "a.txt").write_text("old and longer")
    for to in (folder / "a.txt", folder):
        assert save(to, b"new", name="a.txt", over=True) == folder / "a.txt"
        assert (folder / "a.txt").read_text() == "new"
    assert names(folder) == ["a.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(folder: Path) -> None:
    (folder / "a.txt").write_text("old")
    saving = Saving.prepare(folder / "a.txt", overwrite=True)
    saving.begin("")
    saving.write(b"half")
    assert (folder / "a.txt").read_text() == "old"
    saving.discard()
    assert (folder / "a.txt").read_text() == "old"
    assert names(folder) == ["a.txt"]


@pytest.mark.parametrize("by_service", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_overwrite_replaces_a_link_and_never_its_target(
    folder: Path, tmp_path: Path, exists: bool, by_service: bool
) -> None:
    victim = tmp_path / "victim"
    if exists:
        victim.write_text("victim")
    (folder / "a.txt").symlink_to(victim)
    save(folder if by_service else folder / "a.txt", b"new", name="a.txt", over=True)
    assert not (folder / "a.txt").is_symlink()
    assert (folder / "a.txt").read_text() == "new"
    assert victim.exists() == exists
    assert not exists or victim.read_text() == "victim"


def test_overwrite_of_a_link_that_appears_during_the_transfer(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("victim")
    saving = Saving.prepare(folder / "a.txt", overwrite=True)
    saving.begin("")
    saving.write(b"new")
    (folder / "a.txt").symlink_to(tmp_path / "victim")
    assert saving.finish().read_bytes() == b"new"
    assert (tmp_path / "victim").read_text() == "victim"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_overwrite_is_not_for_what_appears_and_is_no_file(
    folder: Path, make: Callable[[Path], None]
) -> None:
    saving = Saving.prepare(folder / "a", overwrite=True)
    saving.begin("")
    make(folder / "a")
    with pytest.raises(FileExistsError, match="left alone"):
        saving.finish()
    saving.discard()
    assert not stat.S_ISREG((folder / "a").stat().st_mode)
    assert names(folder) == ["a"]


def test_the_folder_goes_away(folder: Path) -> None:
    saving = Saving.prepare(folder / "a.txt", overwrite=False)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        saving.begin("")
    saving.discard()


# --- the temporary file ------------------------------------------------------------------------


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
        (folder / ".known.part").symlink_to(victim)
        saving = Saving.prepare(folder / "a.txt", overwrite=True)
        with pytest.raises(OSError):
            saving.begin("")
        saving.discard()
        assert victim.exists() == exists
        assert names(folder) == [".known.part"]  # not ours, so not removed
        (folder / ".known.part").unlink()
    assert victim.read_text() == "victim"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
@FILE_SYSTEMS
def test_rights_are_those_of_any_new_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, umask: int, how: str
) -> None:
    no_links(monkeypatch, how)
    before = os.umask(umask)
    try:
        path = save(folder / "a.txt", b"x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
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


# --- disks that fail ---------------------------------------------------------------------------


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


# --- order, threads, handles -------------------------------------------------------------------


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
    open_new, fsync = saving_module._open_new, os.fsync

    class File(FileIO):
        def write(self, data: Any) -> int:
            held_up()
            return super().write(data)

    if step == "begin":
        monkeypatch.setattr(saving_module, "_open_new", lambda *a: (held_up(), open_new(*a))[1])
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
        assert open_handles() == before + 1
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
