"""An async source file as text, and where each name in it comes from."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from pathlib import Path


class GenerateError(Exception):
    """The twins cannot be generated. Each line of the text names a place and what is wrong."""


@dataclass(frozen=True, order=True)
class Import:
    """One imported name: ``from module import name as alias``, or ``import module as alias``."""

    module: str
    """Absolute, whatever the source wrote."""
    name: str | None
    """``None`` for ``import module``."""
    alias: str
    """What the name is bound to."""


class Source:
    """One parsed file.

    Args:
        root: the directory that ``path`` starts from.
        path: with forward slashes, as the table and the messages have it.

    Raises:
        GenerateError: the file is missing, or is not Python.
    """

    def __init__(self, root: Path, path: str) -> None:
        self.path = path
        self.module = module_name(path)
        try:
            self.text = (root / path).read_text(encoding="utf-8")
            self.tree = ast.parse(self.text, path)
        except OSError as error:
            raise GenerateError(f"{path}: {error.strerror}") from error
        except SyntaxError as error:
            raise GenerateError(f"{path}:{error.lineno}: {error.msg}") from error
        self._runtime: dict[str, Import] = {}
        self._typing: dict[str, Import] = {}
        for node in self.tree.body:
            self._bind(node, self._runtime)

    def find_class(self, name: str) -> ast.ClassDef:
        """The class of that name.

        Raises:
            GenerateError: there is none.
        """
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
        raise GenerateError(f"{self.path}: no class {name}")

    def segment(self, node: ast.AST) -> str:
        """The text of an expression, on one line."""
        text = ast.get_source_segment(self.text, node)
        assert text is not None  # every node here was parsed from this text
        return _one_line(text)

    def raw_segment(self, node: ast.AST) -> str:
        """The text of a node, as it stands."""
        text = ast.get_source_segment(self.text, node)
        assert text is not None
        return text

    def error(self, node: ast.AST, message: str) -> GenerateError:
        """An error at a node."""
        return GenerateError(f"{self.path}:{getattr(node, 'lineno', 1)}: {message}")

    def resolve(self, name: str, node: ast.AST) -> tuple[Import, bool] | None:
        """How to import a name, and whether only for type checkers; ``None`` for builtins.

        Raises:
            GenerateError: nothing at the top of the file binds it.
        """
        if name in self._runtime:
            return self._runtime[name], False
        if name in self._typing:
            return self._typing[name], True
        if hasattr(builtins, name):
            return None
        raise self.error(node, f"cannot tell where {name!r} comes from")

    def _bind(self, node: ast.stmt, into: dict[str, Import]) -> None:
        match node:
            case ast.ImportFrom():
                module = self._absolute(node)
                for alias in node.names:
                    bound = alias.asname or alias.name
                    into[bound] = Import(module, alias.name, bound)
            case ast.Import():
                for alias in node.names:
                    if alias.asname or "." not in alias.name:
                        bound = alias.asname or alias.name
                        into[bound] = Import(alias.name, None, bound)
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                into[node.name] = Import(self.module, node.name, node.name)
            case ast.Assign():
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        into[target.id] = Import(self.module, target.id, target.id)
            case ast.AnnAssign(target=ast.Name(id=name)):
                into[name] = Import(self.module, name, name)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for inner in node.body:
                    self._bind(inner, self._typing)
            case _:
                pass  # what other statements bind stays unknown; using it is an error

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        parts = self.module.split(".")
        if not self.path.endswith("/__init__.py"):
            parts.pop()
        parts = parts[: len(parts) - (node.level - 1)]
        return ".".join([*parts, node.module] if node.module else parts)


def module_name(path: str) -> str:
    """``kapture_async/client.py`` to ``kapture_async.client``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    result = lines[0]
    for line in lines[1:]:
        opened = result.endswith(("[", "(", "{"))
        closes = line.startswith(("]", ")", "}"))
        if closes:
            result = result.removesuffix(",")
        result += line if opened or closes else " " + line
    return result
