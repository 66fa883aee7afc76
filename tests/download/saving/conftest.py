"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, alone in its parent: what escapes from it would be seen."""
    path = tmp_path / "parent" / "folder"
    path.mkdir(parents=True)
    return path
