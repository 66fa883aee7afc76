"""What to generate, read from ``pyproject.toml``.

::

    [tool.kapture-facade]
    packages = ["kapture_async"]            # searched for stray generated files

    [[tool.kapture-facade.module]]
    target = "kapture_async/sync.py"
    docstring = "The blocking twin of the client."
    rename = { "An async client" = "A blocking client" }      # words of docstrings

    [[tool.kapture-facade.module.class]]
    kind = "client"                         # "resource" where it is left out
    source = "kapture_async/client.py"
    async = "KaptureClient"
    sync = "SyncKaptureClient"
    drop = { "__init__.session" = "a session belongs to one event loop" }
    keep = { "__init__.on_event" = "called on the private loop, as it stands" }
    bases = { "ClientBase" = "holds private helpers only" }
    forget = { "__init__.token" = "a secret, which no traceback with locals may show" }

``drop`` leaves out a parameter (``method.parameter``, which then needs a default) or a whole
member; ``keep`` lets a parameter keep a type that has to do with async; ``bases`` names base
classes that add nothing public; ``forget`` deletes a parameter from the frame before an error
can leave it. Each entry gives its reason, and an entry that nothing uses is an error.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .source import GenerateError


@dataclass(frozen=True)
class ClassEntry:
    """One class and its twin."""

    kind: str
    source: str
    async_name: str
    sync_name: str
    drop: Mapping[str, str]
    keep: Mapping[str, str]
    bases: Mapping[str, str]
    forget: Mapping[str, str]


@dataclass(frozen=True)
class ModuleEntry:
    """One file to write."""

    target: str
    docstring: str
    rename: Mapping[str, str]
    classes: tuple[ClassEntry, ...]

    @property
    def twins(self) -> dict[str, str]:
        """Async class name to sync class name."""
        return {entry.async_name: entry.sync_name for entry in self.classes}


@dataclass(frozen=True)
class Table:
    """Everything to write, and the directory all paths start from."""

    root: Path
    packages: tuple[str, ...]
    modules: tuple[ModuleEntry, ...]


def read_table(pyproject: Path) -> Table:
    """Read the table; paths in it are relative to the directory of the file.

    Raises:
        GenerateError: no table, an unknown key, a missing key, or a value of the wrong kind.
        OSError: the file cannot be read.
    """
    document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    try:
        raw = document["tool"]["kapture-facade"]
    except KeyError:
        raise GenerateError(f"{pyproject}: no table [tool.kapture-facade]") from None
    top = _Reader(raw, f"{pyproject}: tool.kapture-facade")
    packages = top.strings("packages")
    modules = tuple(
        _module(_Reader(item, f"{pyproject}: module {number}"))
        for number, item in enumerate(top.tables("module"), 1)
    )
    top.end()
    targets = [module.target for module in modules]
    if len(set(targets)) != len(targets):
        raise GenerateError(f"{pyproject}: one target is written twice")
    return Table(pyproject.resolve().parent, packages, modules)


def _module(reader: _Reader) -> ModuleEntry:
    target = reader.string("target")
    entry = ModuleEntry(
        target=target,
        docstring=reader.string("docstring").strip(),
        rename=reader.mapping("rename"),
        classes=tuple(
            _class(_Reader(item, f"{reader.where}, class {number}"))
            for number, item in enumerate(reader.tables("class"), 1)
        ),
    )
    reader.end()
    if '"""' in entry.docstring or "\\" in entry.docstring:
        raise GenerateError(f"{reader.where}: no quotes and backslashes in the docstring")
    if len(entry.twins) != len(entry.classes):
        raise GenerateError(f"{reader.where}: one class is listed twice")
    return entry


def _class(reader: _Reader) -> ClassEntry:
    entry = ClassEntry(
        kind=reader.string("kind", "resource"),
        source=reader.string("source"),
        async_name=reader.string("async"),
        sync_name=reader.string("sync"),
        drop=reader.mapping("drop"),
        keep=reader.mapping("keep"),
        bases=reader.mapping("bases"),
        forget=reader.mapping("forget"),
    )
    reader.end()
    if entry.kind not in {"client", "resource"}:
        raise GenerateError(f'{reader.where}: kind must be "client" or "resource"')
    for reasons in (entry.drop, entry.keep, entry.bases, entry.forget):
        for key, reason in reasons.items():
            if not reason.strip():
                raise GenerateError(f"{reader.where}: {key!r} needs a reason")
    return entry


class _Reader:
    """Takes the keys out of one table, and complains about those that are left."""

    def __init__(self, raw: Any, where: str) -> None:
        if not isinstance(raw, dict):
            raise GenerateError(f"{where}: must be a table")
        self.where = where
        self._left: dict[str, Any] = dict(raw)

    def string(self, key: str, default: str | None = None) -> str:
        value = self._left.pop(key, default)
        if not isinstance(value, str) or not value:
            raise GenerateError(f"{self.where}: {key!r} must be a text")
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise GenerateError(f"{self.where}: {key!r} must be a list of texts")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        value = self._left.pop(key, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise GenerateError(f"{self.where}: {key!r} must be a table of texts")
        return value

    def tables(self, key: str) -> list[Any]:
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not value:
            raise GenerateError(f"{self.where}: {key!r} must be a list of tables")
        return value

    def end(self) -> None:
        if self._left:
            raise GenerateError(f"{self.where}: unknown key {min(self._left)!r}")
