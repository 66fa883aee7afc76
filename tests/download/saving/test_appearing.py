"""What is there already, and what appears: nothing is replaced unasked."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from .shared import FILE_SYSTEMS, finish, names, no_links, prepare, save


def test_a_file_of_the_services_name_is_there(folder: Path) -> None:
    (folder / "n.txt").write_text("old")
    file = prepare(folder, overwrite=False)
    with pytest.raises(FileExistsError, match=r"already exists.*pass overwrite=True") as caught:
        file.begin("n.txt")
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
        file = prepare(folder, overwrite=overwrite)
        with pytest.raises(FileExistsError, match="left alone"):
            file.begin(name)
    assert names(folder) == ["pipe", "sub", "to_sub"]
    assert names(folder / "sub") == []


def test_it_appears_before_the_transfer(folder: Path) -> None:
    file = prepare(folder / "a.txt", overwrite=False)
    (folder / "a.txt").write_text("other")
    with pytest.raises(FileExistsError, match="already exists"):
        file.begin("")
    file.discard()
    assert names(folder) == ["a.txt"]


@FILE_SYSTEMS
def test_it_appears_during_the_transfer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    no_links(monkeypatch, how)
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    file.write(b"mine")
    (folder / "a.txt").write_text("other")
    with pytest.raises(FileExistsError, match=r"appeared.*overwrite=True") as caught:
        file.finish()
    assert caught.value.filename == str(folder / "a.txt")
    file.discard()
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
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    file.write(b"mine")
    (folder / "a.txt").symlink_to(victim)
    with pytest.raises(FileExistsError):
        file.finish()
    file.discard()
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
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    (temporary,) = folder.iterdir()
    temporary.unlink()
    with pytest.raises(FileNotFoundError):
        file.finish()
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
    file = prepare(folder / "a.txt", overwrite=False)
    file.begin("")
    with pytest.raises(OSError, match="broken"):
        file.finish()
    file.discard()
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
    file = prepare(folder / "a.txt", overwrite=True)
    file.begin("")
    file.write(b"half")
    assert (folder / "a.txt").read_text() == "old"
    file.discard()
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
    file = prepare(folder / "a.txt", overwrite=True)
    file.begin("")
    file.write(b"new")
    (folder / "a.txt").symlink_to(tmp_path / "victim")
    assert finish(file).read_bytes() == b"new"
    assert (tmp_path / "victim").read_text() == "victim"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_overwrite_is_not_for_what_appears_and_is_no_file(
    folder: Path, make: Callable[[Path], None]
) -> None:
    file = prepare(folder / "a", overwrite=True)
    file.begin("")
    make(folder / "a")
    with pytest.raises(FileExistsError, match="left alone"):
        file.finish()
    file.discard()
    assert not stat.S_ISREG((folder / "a").stat().st_mode)
    assert names(folder) == ["a"]


def test_the_folder_goes_away(folder: Path) -> None:
    file = prepare(folder / "a.txt", overwrite=False)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        file.begin("")
    file.discard()
