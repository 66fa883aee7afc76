"""The examples of the guides, taken from their text.

An example stands alone, or says by a comment before it how it is meant: ``pytest`` (a file of
tests), ``webhook`` (a web application), ``recipe NAME`` (see ``test_recipes.py``), ``command: …``
(for a fresh machine), ``not run, …``.

``python tests/docs/guides.py FOLDER`` writes them there, for type checkers.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
RECIPES = "kapture_async/RECIPES.md"
GUIDES = ("README.md", "kapture_async/README.md", "support_async/README.md", RECIPES)

_BLOCK = re.compile(
    r"(?:^<!-- (?:example: )?(?P<mark>[^\n]*?) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@frozen
class Example:
    """One block of code."""

    guide: str
    line: int
    language: str
    mark: str
    code: str

    @property
    def where(self) -> str:
        return f"{self.guide}:{self.line}"

    @property
    def awaits(self) -> bool:
        """Whether it is for a running event loop: it awaits outside of any function."""
        try:
            compile(self.code, self.where, "exec")
        except SyntaxError:
            return True
        return False

    def tree(self) -> ast.Module:
        """Its code, with the lines of the guide."""
        text = "\n" * self.line + self.code
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        module = compile(text, str(ROOT / self.guide), "exec", flags=flags)
        assert isinstance(module, ast.Module)
        return module


def examples(guide: str, language: str = "", mark: str | None = None) -> Iterator[Example]:
    """The examples of a guide, perhaps only those in a language, or with a mark."""
    text = (ROOT / guide).read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        example = Example(guide, line, found["language"], found["mark"] or "", found["code"])
        if language in ("", example.language) and mark in (None, example.mark):
            yield example


def write_for_type_checkers(folder: Path) -> None:
    """Each session and each file of the guides, as a module of its own."""
    for guide in GUIDES:
        stem = guide.replace("/", "_").removesuffix(".md")
        sessions = {"session": "".join(e.code for e in examples(guide, "python", ""))}
        for example in examples(guide, "python"):
            kind, _, name = example.mark.partition(" ")
            if kind in ("pytest", "webhook"):
                (folder / f"{stem}_{kind}_{example.line}.py").write_text(example.code, "utf-8")
            elif kind == "recipe":
                sessions[name] = sessions.get(name, "") + example.code
        for name, code in sessions.items():
            if not code or Example(guide, 0, "python", name, code).awaits:
                code = f"async def session() -> None:\n{textwrap.indent(code or 'pass', '    ')}"
            (folder / f"{stem}_{name.replace('-', '_')}.py").write_text(code, "utf-8")


if __name__ == "__main__":
    write_for_type_checkers(Path(sys.argv[1]))
