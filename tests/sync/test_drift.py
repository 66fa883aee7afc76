"""The committed sync clients are what their async sources make of them."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

from kapture_async._core.sync.generate import main

ROOT = Path(__file__).parents[2]
NAMES = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["kapture-facade"]


def test_generating_again_changes_no_byte(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check"], ROOT)
    assert code == 0, capsys.readouterr()


def public(cls: type, *, client: bool) -> dict[str, object]:
    """Its public members by their names in the sync client; seen without the generator."""
    members = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    wanted = {*NAMES, *NAMES.values(), "__init__"} if client else set()
    return {
        NAMES.get(name, name): member
        for name, member in members.items()
        if not name.startswith("_") or (name in wanted and not hasattr(object, name))
    } | ({"__init__": members["__init__"]} if client else {})


def parameters(member: object) -> list[tuple[str, object, object]]:
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    assert callable(member)
    return [(p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()]


@pytest.mark.parametrize(
    ("target", "entry"), [(target, entry) for target in TABLE for entry in TABLE[target]]
)
def test_every_public_name_has_its_sync_counterpart_with_the_same_parameters(
    target: str, entry: str
) -> None:
    module, _, name = entry.rpartition(".")
    package = target.partition("/")[0]
    source = getattr(importlib.import_module(f"{package}.{module}"), name)
    blocking = getattr(importlib.import_module(f"{package}.sync"), f"Sync{name}")
    client = hasattr(source, "aclose")
    ours, theirs = public(source, client=client), public(blocking, client=client)
    assert ours.keys() == theirs.keys()
    for key, member in ours.items():
        dropped = "session" if key == "__init__" else None
        expected = [parameter for parameter in parameters(member) if parameter[0] != dropped]
        assert parameters(theirs[key]) == expected, key
        assert not inspect.iscoroutinefunction(theirs[key])
