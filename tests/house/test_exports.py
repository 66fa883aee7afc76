"""What the packages offer: complete, sorted, importable, and the same classes in both."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import kapture_async
import support_async
from kapture_async._core import errors, outcome

RESOURCES = ("Tickets", "Categories", "Tags", "Attachments", "Customers", "Orders", "Faqs")


@pytest.mark.parametrize("package", [kapture_async, support_async])
def test_all_is_sorted_and_complete(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert len(names) == len(set(names))
    for name in names:
        assert getattr(package, name) is not None


@pytest.mark.parametrize("package", [kapture_async, support_async])
def test_what_is_loaded_late_is_what_type_checkers_read(package: Any) -> None:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (seen_by_checkers,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: "." * node.level + (node.module or "")
        for node in seen_by_checkers.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == package._HOMES
    assert {*imported, "__version__"} == set(package.__all__)


@pytest.mark.parametrize("package", ["kapture_async", "support_async"])
def test_importing_a_package_loads_hardly_anything(package: str) -> None:
    script = (
        f"import sys, {package}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"aiohttp", "anyio", "asyncio", "attrs", "cattrs", "click", "orjson", "pyarrow", "rich"}
    assert not heavy & set(done.stdout.split())


def test_both_packages_share_the_very_same_classes() -> None:
    for module in (errors, outcome):
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ != module.__name__ or name.startswith("_"):
                continue
            assert getattr(kapture_async, name) is cls
            assert getattr(support_async, name) is cls


@pytest.mark.parametrize("package", [kapture_async, support_async])
def test_public_classes_have_docstrings(package: Any) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value):
            assert value.__doc__, name
            for member, found in inspect.getmembers(value):
                if member.startswith("_") or not (
                    inspect.isroutine(found) or isinstance(found, property)
                ):
                    continue
                if any(member in vars(cls) for cls in value.__mro__ if _is_ours(cls)):
                    assert found.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("package", [kapture_async, support_async])
def test_public_calls_say_what_they_take_and_raise(package: Any) -> None:
    """Every argument of a public method stands in its docstring, and so does what goes wrong."""
    classes = [name for name in package.__all__ if name.endswith(("Client", *RESOURCES))]
    assert len(classes) >= 4
    for name in classes:
        for member, function in inspect.getmembers(getattr(package, name), inspect.isfunction):
            if member.startswith("_"):
                continue
            doc = inspect.getdoc(function) or ""
            _, _, listed = doc.partition("Args:\n")
            for argument in inspect.signature(function).parameters:
                assert argument == "self" or re.search(
                    rf"^ +(\w+, )*{argument}(, \w+)*:", listed, re.M
                ), f"{name}.{member}: {argument}"
            if inspect.iscoroutinefunction(function):
                assert "Raises:" in doc, f"{name}.{member}"


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in ("kapture_async", "support_async")


@pytest.mark.parametrize(
    "package",
    [
        *("kapture_async", "kapture_async.events", "kapture_async.testing"),
        *("support_async", "support_async.events", "support_async.testing"),
    ],
)
def test_each_imports_by_itself(package: str) -> None:
    program = f"import {package} as p; [getattr(p, name) for name in p.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_the_version_is_the_distributions() -> None:
    assert version("kapture-async") == kapture_async.__version__


def test_types_are_shipped() -> None:
    for package in (kapture_async, support_async):
        assert (Path(package.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(
    ("cls", "from_environment"),
    [
        (
            kapture_async.KaptureClient,
            {"subdomain", "base_url", "token", "username", "password"},
        ),
        (support_async.SupportClient, {"base_url", "apikey", "access_token"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_from_env_takes_every_other_setting(cls: Any, from_environment: set[str]) -> None:
    by_hand = inspect.signature(cls).parameters
    found = inspect.signature(cls.from_env).parameters
    assert list(found) == [name for name in by_hand if name not in from_environment]
    for name, parameter in found.items():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert (parameter.default, parameter.annotation) == (
            by_hand[name].default,
            by_hand[name].annotation,
        )
