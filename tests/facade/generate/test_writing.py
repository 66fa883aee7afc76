"""Docstrings, writing and checking, and a look at the source by introspection."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kapture_async._core.facade.generate import introspect_drift, introspect_table
from kapture_async._core.facade.generate.docs import DocRules

from .shop import EXPECTED, edit

# --- docstrings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tickets are made with ``Tickets.add``.", "Tickets are made with ``SyncTickets.add``."),
        ("See :class:`Tickets`, `aclose`.", "See :class:`SyncTickets`, `close`."),
        ("A span over ``await\nx()`` lines.", "A span over ``await\nx()`` lines."),
        ("Do::\n\n    await x()\n\nNot await.", "Do::\n\n    x()\n\nNot await."),
        ("```\nasync with a:\n```\nend", "```\nwith a:\n```\nend"),
        ("a\n  .. code-block:: python\n\n      await x()\n\n  b", None),
    ],
)
def test_docstrings(text, expected):
    if expected is None:
        expected = text.replace("await ", "")
    if "over" in text:  # a keyword at the end of a line is left, so it is refused
        with pytest.raises(ValueError, match="'await' in the code"):
            DocRules({}, {}).translate(text)
        return
    assert DocRules({}, {"Tickets": "SyncTickets"}).translate(text) == expected


# --- writing and checking -------------------------------------------------------------------------


def test_written_once_then_left_alone(shop, command, capsys):
    assert command() == 0
    assert capsys.readouterr().out == "wrote shop/sync.py\n"
    assert (shop / "shop/sync.py").read_bytes() == EXPECTED.encode()
    assert command() == 0
    assert capsys.readouterr().out == ""
    assert command("--check") == 0
    assert sorted(os.listdir(shop / "shop")) == [
        "__init__.py",
        "client.py",
        "download.py",
        "pages.py",
        "sync.py",
        "things.py",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("client.py", "timeout: float = 1.5", "timeout: float = 2.5"),
        ("client.py", "path: str, headers", "where: str, headers"),
        ("client.py", '"""Call anything."""', '"""Call something."""'),
        ("things.py", "async def drop", "async def remove"),
        ("things.py", "large: bool = False", "large: bool = True"),
        ("sync.py", "def drop", "def remove"),
        ("sync.py", "(start))\n", "(start))\n\n"),
    ],
)
def test_any_drift_fails_the_check(shop, command, capsys, file, old, new):
    command()
    edit(shop / "shop" / file, old, new)
    assert command("--check") == 1
    error = capsys.readouterr().err
    assert "--- shop/sync.py (committed)\n+++ shop/sync.py (generated)\n" in error
    assert "out of date; run: python -m kapture_async._core.facade.generate" in error


def test_other_line_ends_fail_the_check(shop, command, capsys):
    command()
    path = shop / "shop/sync.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert command("--check") == 1


def test_a_missing_or_a_stray_file_fails_the_check(shop, command, capsys):
    assert command("--check") == 1
    command()
    shutil.copy(shop / "shop/sync.py", shop / "shop/old_sync.py")
    assert command("--check") == 1
    assert "shop/old_sync.py: generated once, but no target any more" in capsys.readouterr().err


def test_what_cannot_be_generated_leaves_the_file_alone(shop, command, capsys):
    command()
    edit(shop / "shop/things.py", "async def drop", "async def __call__")
    assert command() == 2
    assert "no rule for __call__" in capsys.readouterr().err
    assert (shop / "shop/sync.py").read_text() == EXPECTED


def test_as_a_command(shop):
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "kapture_async._core.facade.generate", "--check"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "--- shop/sync.py" in done.stderr) == (1, True)


# --- by introspection -----------------------------------------------------------------------------


def test_introspection_finds_no_drift(imported):
    assert introspect_table(imported / "pyproject.toml") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("def drop(", "def remove(", ["SyncThings.drop: missing", "SyncThings.remove: has no"]),
        ('"""Drop one."""', '"""Drop it."""', ["SyncThings.drop: another docstring"]),
        ("Things. Blocking.", "Things.", ["SyncThings: another docstring"]),
        ("= DEFAULT", '= "x"', ["SyncThings.drop: parameter key: key: 'str' = 'x'"]),
        ("start: int = 0", "first: int = 0", ["SyncThings.list: other parameters"]),
        ("self, start: int", "self, start: float", ["SyncThings.list: parameter start: another"]),
        ("SyncPages[int]:", "SyncPages[str]:", ["SyncThings.list: another return type"]),
        ("-> SyncDownload:", "-> Download:", ["SyncThings.photo: another return type"]),
        ("    def drop", "    async def drop", ["SyncThings.drop: must not be async"]),
        ("    @property\n    def closed", "    def closed", ["SyncShopClient.closed: is a method"]),
        ("    def timeout", "    def time_out", ["SyncShopClient.time_out: has no", "timeout"]),
        ("    def close(", "    def shut(", ["SyncShopClient.close: missing", "shut: has no"]),
        ("    def __exit__(", "    def __leave__(", ["SyncShopClient.__exit__: missing"]),
        ("token: str =", "token: str | None =", ["__init__: parameter token: another type"]),
    ],
)
def test_introspection_finds_drift(imported, old, new, expected):
    edit(imported / "shop/sync.py", old, new)
    problems = introspect_table(imported / "pyproject.toml")
    assert len(problems) == len(expected), problems
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem


def test_introspection_of_two_classes(imported):
    things = importlib.import_module("shop.things").Things
    twin = importlib.import_module("shop.sync").SyncThings
    names = {"Things": "SyncThings"}
    rename = {"Async through and through.": "Blocking."}
    assert introspect_drift(things, twin, twins=names, rename=rename) == []
    assert introspect_drift(
        things, twin, twins=names, rename=rename, drop={"get", "list.start"}
    ) == [
        "SyncThings.get: has no async original",
        "SyncThings.list: other parameters: ['self', 'start'], not ['self']",
    ]
