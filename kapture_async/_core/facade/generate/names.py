"""The names in types and defaults: where they come from, and which have to do with async."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from .source import Import, Source

FACADE = "kapture_async._core.facade"


@dataclass(frozen=True)
class Wrapper:
    """How the result of a plain method is wrapped, by the name of its return type."""

    name: str
    module: str
    first: str | None = None
    """If set: the first parameter must have this name; it is handed to the wrapper, which calls
    the async method with what it makes of it."""


WRAPPERS: Mapping[str, Wrapper] = {
    "Pages": Wrapper("SyncPages", f"{FACADE}.pages"),
    "Download": Wrapper("SyncDownload", f"{FACADE}.download"),
    "Push": Wrapper("SyncPush", f"{FACADE}.push", first="source"),
}

PARAMETER_TYPES: Mapping[str, Import] = {
    "Source": Import("collections.abc", "Iterable", "Iterable"),
}
"""What the type of a parameter becomes: ``Source`` is any iterable, async ones included."""

_RUNNING = {"Awaitable", "Coroutine", "AsyncContextManager", "AbstractAsyncContextManager"}
_ITERATING = {"AsyncIterator", "AsyncIterable", "AsyncGenerator"}


class Names:
    """Collects what one generated class must import, and refuses types without a rule.

    Args:
        source: the file the types stand in.
        twins: all classes of the module, async name to sync name.
    """

    def __init__(self, source: Source, twins: Mapping[str, str]) -> None:
        self._source = source
        self._twins = twins
        self.runtime: dict[str, Import] = {}
        self.typing: dict[str, Import] = {}

    def annotation(self, node: ast.expr) -> str:
        """The text of a type, whose names are imported from now on.

        Raises:
            GenerateError: part of it stands in quotes, or a name comes from nowhere.
        """
        self.use(node)
        inner = list(ast.walk(node))
        names = {getattr(item, "id", getattr(item, "attr", "")) for item in inner}
        if any(map(is_text, inner)) and not names & {"Literal", "Annotated"}:
            raise self._source.error(node, "write the type without quotes")
        return self._source.segment(node)

    def parameter(self, node: ast.expr) -> str:
        """The type of a parameter of the twin.

        Raises:
            GenerateError: as for :meth:`annotation`.
        """
        outer = outer_name(node)
        if outer not in PARAMETER_TYPES or not isinstance(node, ast.Subscript):
            return self.annotation(node)
        self.need(PARAMETER_TYPES[outer])
        return f"{PARAMETER_TYPES[outer].alias}[{self.annotation(node.slice)}]"

    def use(self, node: ast.AST) -> None:
        """Import every name of an expression, as the source does."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                found = self._source.resolve(inner.id, inner)
                if found is not None:
                    self.need(found[0], typing=found[1])

    def need(self, item: Import, *, typing: bool = False) -> None:
        """Import one name."""
        (self.typing if typing else self.runtime)[item.alias] = item

    def async_names(self, node: ast.AST, *, iterating: bool = True) -> list[str]:
        """The names in a type that make no sense without await."""
        bad = {*_RUNNING, *(_ITERATING if iterating else ()), *self._twins, *WRAPPERS}
        names = (getattr(inner, "id", getattr(inner, "attr", "")) for inner in ast.walk(node))
        return [name for name in names if name in bad]

    def refuse(
        self, node: ast.AST | None, what: str, *, iterating: bool = True, but: str = ""
    ) -> None:
        """Complain about a type that makes no sense without await.

        Args:
            node: the type.
            what: the beginning of the message.
            iterating: whether async iterables count, which a blocking call may take.
            but: one name that is all right.

        Raises:
            GenerateError: there is such a name.
        """
        if node is not None:
            for name in self.async_names(node, iterating=iterating):
                if name != but:
                    raise self._source.error(node, f"{what} {name}: no rule for it")


def outer_name(node: ast.expr | None) -> str:
    """``Pages`` of ``Pages[Ticket]``; empty if it is no plain name."""
    outer = node.value if isinstance(node, ast.Subscript) else node
    return outer.id if isinstance(outer, ast.Name) else ""


def is_text(node: ast.AST) -> bool:
    """Whether a node is a text."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
