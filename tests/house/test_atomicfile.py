"""Hidden files of runs that were killed are removed by the next one; those in use are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kapture_async._core import atomicfile
from kapture_async._core.atomicfile import AtomicFile, PartFile, clean

pytest.importorskip("fcntl")

WRITER = """
import sys
from kapture_async._core.atomicfile import PartFile
part = PartFile(sys.argv[1])
print(part.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomicfile, "_REST", 0.0)


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*.part"))


def killed(folder: Path) -> None:
    """Have a run killed while it writes there."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        assert len(parts(folder)) == 1
        clean(str(folder))
        assert len(parts(folder)) == 1  # it is being written
        writer.kill()
    assert len(parts(folder)) == 1


def test_the_next_one_removes_it(tmp_path: Path) -> None:
    killed(tmp_path)
    clean(str(tmp_path))
    assert parts(tmp_path) == []


def test_a_download_cleans_and_is_private(tmp_path: Path) -> None:
    killed(tmp_path)
    saving = AtomicFile(tmp_path / "a.txt", folder=True)
    saving.begin()
    assert len(parts(tmp_path)) == 1
    saving.write(b"content")
    saving.finish()
    path = tmp_path / "a.txt"
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert parts(tmp_path) == []


def test_an_export_cleans(tmp_path: Path) -> None:
    killed(tmp_path)
    output = AtomicFile(tmp_path / "a.csv")
    output.begin()
    output.file.write(b"rows")
    output.seal()
    clean(str(tmp_path))  # sealed, and without its name still
    assert len(parts(tmp_path)) == 1
    output.publish()
    assert (tmp_path / "a.csv").read_bytes() == b"rows"
    assert parts(tmp_path) == []


def test_what_a_state_waits_for_stays(tmp_path: Path) -> None:
    output = AtomicFile(tmp_path / "a.csv")
    output.keep_after_a_kill()
    output.begin()
    output.seal()
    clean(str(tmp_path))
    assert parts(tmp_path) == [os.path.basename(output.temporary)]
    output.discard()
    assert parts(tmp_path) == []


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    hexes = "0" * 32
    (tmp_path / f".kapture-{hexes}.part").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f".{hexes}.part").write_text("somebody's")
    (tmp_path / f".kapture-{hexes}.part.bak").write_text("somebody's")
    (tmp_path / f".kapture-{hexes[1:]}1.part").mkdir()
    before = sorted(os.listdir(tmp_path))
    clean(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == before


def test_each_has_a_lock_of_its_own(tmp_path: Path) -> None:
    first, second = PartFile(str(tmp_path)), PartFile(str(tmp_path))
    os.close(first.descriptor)
    clean(str(tmp_path))
    assert len(parts(tmp_path)) == 2
    first.release()
    first.release()
    assert parts(tmp_path) == [os.path.basename(second.path)]
    os.close(second.descriptor)
    second.release()
    assert parts(tmp_path) == []


def test_a_full_folder_is_not_looked_through_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    plain = os.scandir
    monkeypatch.setattr(atomicfile, "_REST", 1e9)
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(path) or plain(path))
    for _ in range(3):
        clean(str(tmp_path))
    assert looked == [str(tmp_path)]
