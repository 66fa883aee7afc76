"""What the packages offer: complete, sorted, importable, and the same classes in both."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
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


@pytest.mark.parametrize("package", ["kapture_async", "support_async"])
def test_type_checkers_see_what_is_loaded_when_used(package: str) -> None:
    """The modules that the package loads its names from are those that type checkers read."""
    text = (Path(kapture_async.__file__).parent.parent / package / "__init__.py").read_text()
    seen = re.findall(r"from (\.\w+) import \*", text)
    loaded = re.search(r"_loaded\(\s*__name__, (.*), alone=", text)
    assert loaded is not None
    assert loaded[1] == ", ".join(f'"{m}"' for m in seen)


@pytest.mark.parametrize(
    "first",
    [
        *("kapture_async", "kapture_async.errors", "kapture_async.events", "kapture_async.types"),
        *("support_async", "support_async.errors", "support_async.events", "support_async.types"),
    ],
)
def test_every_public_class_and_function_says_its_package(first: str) -> None:
    """Kapture's and shared ones say kapture_async, and support's own say support_async; from the
    start, whatever is imported first."""
    other = "support_async" if first.startswith("kapture_async") else "kapture_async"
    program = f"""
import importlib, inspect, pickle, traceback

def said(module):
    names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
    values = [(name, getattr(module, name)) for name in names]
    return {{
        name: (value, value.__module__)
        for name, value in values
        if inspect.isclass(value) or inspect.isfunction(value)
    }}

first = importlib.import_module("{first}")
before = said(first)
assert len(before) > 10
if "NotFoundError" in before:
    (line,) = traceback.format_exception_only(first.NotFoundError("x"))
    assert line.startswith("kapture_async.NotFoundError: "), line
said(importlib.import_module("{other}"))
assert said(first) == before
import kapture_async, support_async
for module in (first, kapture_async, support_async):
    for name, (value, says) in said(module).items():
        shared = getattr(kapture_async, name, None) is value
        assert says == ("kapture_async" if shared else "support_async"), (name, says)
        assert pickle.loads(pickle.dumps(value)) is value
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize("package", [kapture_async, support_async])
def test_what_users_need_for_annotations_is_there(package: Any) -> None:
    needed = {"Secret", "Source", "Effect", "ReferencePlace", "PushObserver", "RowFinished"}
    assert needed <= {*package.__all__}
    assert {"Credential", "Contacts", "PullObserver", "Says"} <= {*kapture_async.__all__}


def test_a_name_that_is_not_there_loads_nothing_and_raises() -> None:
    program = """
import sys, kapture_async
for name in ("_x", "__wrapped__", "testing", "client"):
    try:
        getattr(kapture_async, name)
    except AttributeError as error:
        assert name in str(error)
    else:
        raise AssertionError(name)
assert "aiohttp" not in sys.modules and "kapture_async.client" not in sys.modules
from kapture_async import errors
try:
    kapture_async.NoSuchName
except AttributeError as error:
    assert "NoSuchName" in str(error)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


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
            public = name in vars(errors).get("__all__", ()) or module is outcome
            if not public or cls.__module__ not in ("kapture_async", "support_async"):
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
        *("kapture_async.errors", "kapture_async.types", "support_async.errors"),
        "support_async.types",
        *("support_async", "support_async.events", "support_async.testing"),
    ],
)
def test_each_imports_by_itself(package: str) -> None:
    program = f"import {package} as p; [getattr(p, name) for name in dir(p)]"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_the_version_is_the_distributions() -> None:
    root = Path(kapture_async.__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    text = (root / project["tool"]["hatch"]["version"]["path"]).read_text()
    assert f'"{kapture_async.__version__}"' in text
    assert support_async.__version__ == kapture_async.__version__


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
