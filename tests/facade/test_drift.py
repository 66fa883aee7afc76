"""The committed sync twins are what their async source makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kapture_async._core.facade.generate import introspect_table, main

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_generating_again_changes_no_byte(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PYPROJECT.parent)
    code = main(["--check", "--pyproject", str(PYPROJECT)])
    assert code == 0, capsys.readouterr()


def test_every_public_name_has_its_twin_with_the_same_signature() -> None:
    assert introspect_table(PYPROJECT) == []
