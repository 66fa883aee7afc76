"""The house rules of imports: who may know whom. Read from the source, so nothing is missed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kapture_async
import support_async

ROOT = Path(kapture_async.__file__).parent.parent
PACKAGES = {
    "kapture_async": Path(kapture_async.__file__).parent,
    "support_async": Path(support_async.__file__).parent,
}
FILES = sorted(path for package in PACKAGES.values() for path in package.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, is_package: bool) -> set[str]:
    """Every module a source imports, in full, also those inside functions and type checks."""
    package = module if is_package else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                up = parts[: len(parts) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


IMPORTS = {
    module_of(path): imports_of(
        path.read_text(encoding="utf-8"), module_of(path), is_package=path.name == "__init__.py"
    )
    for path in FILES
}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_the_reader_sees_imports() -> None:
    source = "from ..a import b\nif 1:\n    import c.d\ndef f():\n    from . import e\n"
    found = imports_of(source, "p.q.r", is_package=False)
    assert found == {"p.a", "p.a.b", "c.d", "p.q", "p.q.e"}
    assert len(IMPORTS) > 40


def test_the_core_knows_no_vendor() -> None:
    for module, imports in IMPORTS.items():
        if within(module, "kapture_async._core"):
            wrong = {
                name
                for name in imports
                if (within(name, "kapture_async") or within(name, "support_async"))
                and not within(name, "kapture_async._core")
                and name != "kapture_async"  # `from ..` of a package names its parent, too
            }
            assert not wrong, (module, wrong)


def test_support_uses_only_the_core_of_kapture() -> None:
    for module, imports in IMPORTS.items():
        if within(module, "support_async"):
            wrong = {
                name
                for name in imports
                if within(name, "kapture_async") and not within(name, "kapture_async._core")
            }
            assert not wrong, (module, wrong)


def test_only_the_transport_imports_aiohttp() -> None:
    allowed = {
        "kapture_async._core.transport.attempt",
        "kapture_async._core.transport.session",
    }
    typing_only = {
        "kapture_async.client",
        "kapture_async.sync",
        "kapture_async._core.transport.send",
    }
    for module, imports in IMPORTS.items():
        if module not in allowed | typing_only:
            assert not {name for name in imports if within(name, "aiohttp")}, module


LAYERS = [
    ["kapture_async.cli", "kapture_async.testing"],
    ["kapture_async.sync"],
    ["kapture_async.client"],
    ["kapture_async.tickets"],
    ["kapture_async.bodies"],
    ["kapture_async.service"],
    ["kapture_async._core.facade"],
    ["kapture_async._core.push"],
    ["kapture_async._core.pull"],
    ["kapture_async._core.caller"],
    ["kapture_async._core.replies"],
    ["kapture_async._core.transport"],
    ["kapture_async._core.secret"],
    ["kapture_async._core.outcome"],
    ["kapture_async._core.errors"],
    ["kapture_async._core.phase"],
]


def test_arrows_point_down() -> None:
    """A room imports only rooms below it; so there are no circles between rooms."""
    level = {name: depth for depth, names in enumerate(LAYERS) for name in names}

    def depth_of(module: str) -> int | None:
        return next((d for name, d in level.items() if within(module, name)), None)

    for module, imports in IMPORTS.items():
        mine = depth_of(module)
        for name in imports:
            other = depth_of(name)
            if mine is not None and other is not None:
                assert other >= mine, f"{module} imports {name}"


def test_no_circles_between_modules() -> None:
    graph = {
        module: {
            name if name in IMPORTS else name.rpartition(".")[0]
            for name in imports
            if name in IMPORTS or name.rpartition(".")[0] in IMPORTS
        }
        - {module}
        for module, imports in IMPORTS.items()
        # Packages re-export; their own names stand for their parts.
        if not any(other != module and within(other, module) for other in IMPORTS)
    }
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            pytest.fail(" -> ".join((*path[path.index(module) :], module)))
        if module in done or module not in graph:
            return
        for name in sorted(graph[module]):
            walk(name, (*path, module))
        done.add(module)

    for module in graph:
        walk(module, ())
