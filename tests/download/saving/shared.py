"""Saving in one line, and file systems of other kinds."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kapture_async._core.download.saving import Saving


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
