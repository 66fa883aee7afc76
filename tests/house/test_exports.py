"""What the packages offer: complete, sorted, importable, and the same classes in both."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import kapture_async
import support_async
from kapture_async._core import errors, outcome


@pytest.mark.parametrize("package", [kapture_async, support_async])
def test_all_is_sorted_and_complete(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(package, name) is not None


def test_both_packages_share_the_very_same_classes() -> None:
    for module in (errors, outcome):
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ != module.__name__ or name.startswith("_"):
                continue
            assert getattr(kapture_async, name) is cls
            assert getattr(support_async, name) is cls


def test_public_classes_have_docstrings() -> None:
    for name in kapture_async.__all__:
        value = getattr(kapture_async, name)
        if inspect.isclass(value):
            assert value.__doc__, name
            for member, function in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_"):
                    assert function.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("package", ["kapture_async", "support_async", "kapture_async.testing"])
def test_each_imports_by_itself(package: str) -> None:
    program = f"import {package} as p; [getattr(p, name) for name in p.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_the_version_is_the_distributions() -> None:
    assert version("kapture-async") == kapture_async.__version__


def test_types_are_shipped() -> None:
    for package in (kapture_async, support_async):
        assert (Path(package.__file__).parent / "py.typed").exists()
