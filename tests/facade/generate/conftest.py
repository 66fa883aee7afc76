"""A folder with the shop in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kapture_async._core.facade.generate import main

from .shop import FILES


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def imported(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The shop with its twin written, importable as ``shop``."""
    assert main(["--pyproject", str(shop / "pyproject.toml")]) == 0
    monkeypatch.syspath_prepend(shop)
    yield shop
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.fixture
def command(shop: Path) -> Callable[..., int]:
    return lambda *arguments: main(["--pyproject", str(shop / "pyproject.toml"), *arguments])
