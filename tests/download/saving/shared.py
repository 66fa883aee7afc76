"""Saving in one line, and file systems of other kinds."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kapture_async._core.atomicfile import AtomicFile
from kapture_async._core.download.filenames import safe_filename


def save(to: str | os.PathLike[str], *chunks: bytes, name: str = "n.txt", over: bool = False):
    file = prepare(to, overwrite=over)
    try:
        file.begin(safe_filename(name, "download"))
        for chunk in chunks:
            file.write(chunk)
        file.finish()
        return Path(file.target)
    finally:
        file.discard()


def prepare(to: str | os.PathLike[str], *, overwrite: bool) -> AtomicFile:
    return AtomicFile(to, overwrite=overwrite, folder=True)


def finish(file: AtomicFile) -> Path:
    file.finish()
    return Path(file.target)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


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
