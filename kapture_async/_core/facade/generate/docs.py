"""Docstrings of the async source, reworded for the blocking twins."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby

_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_BLOCK = re.compile(r"^\s*\.\. (code|code-block)::|::\s*$")
_KEYWORDS = ((re.compile(r"\basync (with|for|def)\b"), r"\1"), (re.compile(r"\bawait "), ""))
_LEFT = re.compile(r"\b(async|await|asyncio|anyio)\b")
_STRAY = re.compile(r"\basync (with|for|def) \w|\bawait [\w.]+[.(]")


class DocRules:
    """How the words of a docstring change.

    Words of ``rename`` change everywhere. Inside code (doubled or single backticks, literal
    blocks after ``::``, fences, doctests) the class names change too, and the async keywords go.

    Args:
        rename: text to text.
        names: async names to sync names, changed inside code.
    """

    def __init__(self, rename: Mapping[str, str], names: Mapping[str, str]) -> None:
        self._rename = sorted(rename.items(), key=lambda item: (-len(item[0]), item[0]))
        self._names = {**names, "aclose": "close"}
        self._pattern = re.compile(rf"\b({'|'.join(map(re.escape, self._names))})\b")
        self.unused = set(rename)

    def translate(self, text: str, dropped: Collection[str] = ()) -> str:
        """The blocking twin's text.

        Args:
            text: the docstring, with its quotes or without, indented or not.
            dropped: parameters whose lines under "Args:" go.

        Raises:
            ValueError: async code is left, inside or outside of code; says which.
        """
        for name in dropped:
            entry = rf"^( *){re.escape(name)}:.*\n(?:\1 +\S.*\n)*"
            text = re.sub(entry, "", text, flags=re.MULTILINE)
        for old, new in self._rename:
            if old in text:
                text = text.replace(old, new)
                self.unused.discard(old)
        parts = []
        for is_code, lines in groupby(_lines(text), key=lambda line: line[1]):
            chunk = "".join(line for line, _ in lines)
            parts.append(self._code(chunk) if is_code else self._prose(chunk))
        return "".join(parts)

    def _prose(self, text: str) -> str:
        text = _SPAN.sub(lambda m: m[1] + self._code(m[2]) + m[1], text)
        if stray := _STRAY.search(_SPAN.sub("", text)):
            raise ValueError(f"async code in a docstring, outside a code block: {stray[0]!r}")
        return text

    def _code(self, text: str) -> str:
        for pattern, new in _KEYWORDS:
            text = pattern.sub(new, text)
        text = self._pattern.sub(lambda m: self._names[m[1]], text)
        if left := _LEFT.search(text):
            raise ValueError(f"{left[0]!r} in the code of a docstring; reword it with a rename")
        return text


def dropped_of(method: str, drop: Collection[str]) -> list[str]:
    """The parameters of one method among ``method.parameter`` entries."""
    return [key.removeprefix(f"{method}.") for key in drop if key.startswith(f"{method}.")]


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a docstring, and whether each is code."""
    lines = text.splitlines(keepends=True)
    indents = [_indent(line) for line in lines[1:] if line.strip()]
    block: int | None = None  # the indent a literal block must exceed
    fenced = False
    for index, line in enumerate(lines):
        indent = _indent(line) if index else min(indents, default=0)
        if line.lstrip().startswith("```"):
            fenced = not fenced
            yield line, True
            continue
        if block is not None and line.strip() and indent <= block:
            block = None
        yield line, fenced or block is not None or line.lstrip().startswith((">>> ", "... "))
        if block is None and _BLOCK.search(line):
            block = indent


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
