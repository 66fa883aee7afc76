"""Where a file goes, and what is refused before anything is sent."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kapture_async._core.errors import InvalidInputError

from .shared import finish, names, prepare, save

# --- where it goes --------------------------------------------------------------------------------


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
    file = prepare(to, overwrite=False)
    monkeypatch.chdir(tmp_path)
    file.begin("rel.txt")
    path = finish(file)
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
        prepare("a.txt", overwrite=False)


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


# --- refused before anything is sent --------------------------------------------------------------


def refused(to: object, *, overwrite: bool = False) -> str:
    with pytest.raises(InvalidInputError) as caught:
        prepare(to, overwrite=overwrite)  # type: ignore[arg-type]
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
    assert f"cannot save to '{folder}/a.txt': it already exists" in text
    assert "pass overwrite=True" in text
    assert (folder / "a.txt").read_text() == "old"


@pytest.mark.parametrize("points_to", ["none", "file", "itself"])
def test_a_link_is_there_already(folder: Path, points_to: str) -> None:
    (folder / "file").touch()
    (folder / "itself").symlink_to(folder / points_to)
    assert "it already exists" in refused(folder / "itself")
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
        assert f"the folder '{shared}' is not writable" in refused(shared / "a.txt")
        assert "is not writable" in refused(shared)
    assert names(shared) == []


def test_a_folder_that_can_no_longer_be_written_to(shared: Path) -> None:
    with not_as_root():
        file = prepare(shared / "a.txt", overwrite=False)
    shared.chmod(0o555)
    with not_as_root():
        with pytest.raises(PermissionError):
            file.begin("")
        file.discard()
    assert names(shared) == []


def test_a_folder_that_can_no_longer_be_written_to_at_the_end(shared: Path) -> None:
    with not_as_root():
        file = prepare(shared / "a.txt", overwrite=False)
        file.begin("")
        file.write(b"x")
    shared.chmod(0o555)
    with not_as_root():
        with pytest.raises(PermissionError):
            file.finish()
        shared_before = names(shared)
        file.discard()  # it cannot remove it, and the first error is the one that counts
    assert "a.txt" not in shared_before
