"""Lines of Python in the shape the formatter leaves alone, at 100 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .source import Import

WIDTH = 100


@dataclass(frozen=True)
class Call:
    """``head(args)``; the head may hold anything that stands before the bracket."""

    head: str
    args: Sequence[str | Call]

    def __str__(self) -> str:
        return f"{self.head}({', '.join(map(str, self.args))})"


def call_lines(call: Call, indent: int, prefix: str = "", suffix: str = "") -> list[str]:
    """A statement, or an argument, that is one call."""
    pad = " " * indent
    flat = f"{pad}{prefix}{call}{suffix}"
    if len(flat) <= WIDTH:
        return [flat]
    inside = " " * (indent + 4)
    lines = [f"{pad}{prefix}{call.head}("]
    body = inside + ", ".join(map(str, call.args))
    if len(body) <= WIDTH:
        lines.append(body)
    else:
        comma = "," if len(call.args) > 1 or isinstance(call.args[0], str) else ""
        for arg in call.args:
            if isinstance(arg, Call):
                lines.extend(call_lines(arg, indent + 4, suffix=comma))
            else:
                lines.append(f"{inside}{arg}{comma}")
    lines.append(f"{pad}){suffix}")
    return lines


def def_lines(name: str, params: Sequence[str], returns: str, end: str = "") -> list[str]:
    """The head of a method; ``end`` is what follows the colon."""
    tail = f") -> {returns}:{end}"
    flat = f"    def {name}({', '.join(params)}{tail}"
    if len(flat) <= WIDTH:
        return [flat]
    body = f"        {', '.join(params)}"
    if len(body) <= WIDTH and len(params) > 1:
        lines = [body]
    else:
        lines = [f"        {param}," for param in params]
    return [f"    def {name}(", *lines, f"    {tail}"]


def import_lines(
    imports: Iterable[Import], package: str, roots: Iterable[str], stdlib: frozenset[str]
) -> list[str]:
    """Import statements, sorted as isort does.

    Imports from the top-level package that ``package`` is in become relative ones.
    """
    own = package.split(".", maxsplit=1)[0]
    sections: dict[int, list[tuple[tuple[object, ...], str]]] = {}
    from_names: dict[str, list[str]] = {}
    for item in sorted(imports):
        top = item.module.split(".")[0]
        if item.name is None:
            line = f"import {item.module}"
            if item.alias != item.module:
                line += f" as {item.alias}"
            section = 0 if top in stdlib else 2 if top in {own, *roots} else 1
            sections.setdefault(section, []).append(((0, item.module), line))
            continue
        module = _relative(item.module, package) if top == own else item.module
        if item.alias != item.name:
            line = f"from {module} import {item.name} as {item.alias}"
            key = (1, *_module_key(module), 1, item.name)
            sections.setdefault(_section(module, roots, stdlib), []).append((key, line))
        else:
            from_names.setdefault(module, []).append(item.name)
    for module, names in from_names.items():
        names.sort(key=_member_key)
        line = f"from {module} import {', '.join(names)}"
        if len(line) > WIDTH:
            line = "\n".join([f"from {module} import (", *(f"    {n}," for n in names), ")"])
        key = (1, *_module_key(module), 0, "")
        sections.setdefault(_section(module, roots, stdlib), []).append((key, line))
    lines: list[str] = []
    for number in sorted(sections):
        if lines:
            lines.append("")
        lines.extend(line for _, line in sorted(sections[number]))
    return lines


def _section(module: str, roots: Iterable[str], stdlib: frozenset[str]) -> int:
    if module.startswith("."):
        return 3
    top = module.split(".", maxsplit=1)[0]
    return 0 if top in stdlib else 2 if top in set(roots) else 1


def _relative(module: str, package: str) -> str:
    target, here = module.split("."), package.split(".")
    common = 0
    while common < min(len(target), len(here)) and target[common] == here[common]:
        common += 1
    return "." * (len(here) - common + 1) + ".".join(target[common:])


def _module_key(module: str) -> tuple[int, str]:
    dots = len(module) - len(module.lstrip("."))
    return -dots, module.lstrip(".")


def _member_key(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name
