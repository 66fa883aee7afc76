"""The command: write the files, or check that what is committed is what would be written."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .module import COMMAND, HEADER, module_text
from .source import GenerateError
from .table import Table, read_table


def generate(table: Table) -> dict[str, str]:
    """All files in memory: target to text.

    Raises:
        GenerateError: something has no rule, or an entry of the table is unused; the text has
            one line for each.
    """
    texts: dict[str, str] = {}
    errors: list[str] = []
    for module in table.modules:
        try:
            texts[module.target] = module_text(table.root, module, table.packages)
        except GenerateError as error:
            errors.append(str(error))
    if errors:
        raise GenerateError("\n".join(errors))
    return texts


def write(table: Table) -> list[str]:
    """Write what has changed; returns those targets.

    Raises:
        GenerateError: see :func:`generate`; nothing is written then.
        OSError: a file cannot be written.
    """
    changed = []
    for target, text in generate(table).items():
        path = table.root / target
        if not path.is_file() or path.read_bytes() != text.encode():
            _replace(path, text)
            changed.append(target)
    return changed


def check(table: Table) -> list[str]:
    """What is wrong with the committed files: one diff or line each; empty if all is well.

    Raises:
        GenerateError: see :func:`generate`.
    """
    texts = generate(table)
    problems = []
    for target, text in texts.items():
        path = table.root / target
        found = path.read_bytes() if path.is_file() else b""
        if found != text.encode():
            problems.append(_diff(target, found.decode(errors="replace"), text))
    marked = {
        path.relative_to(table.root).as_posix()
        for package in table.packages
        for path in (table.root / package).rglob("*.py")
        if path.read_bytes().startswith(HEADER.encode())
    }
    problems += [f"{stray}: generated once, but no target any more" for stray in marked - {*texts}]
    return sorted(problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0 done, 1 out of date, 2 cannot be generated."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write the blocking twins.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--pyproject", type=Path, default=Path("pyproject.toml"))
    options = parser.parse_args(arguments)
    try:
        table = read_table(options.pyproject)
        if not options.check:
            for target in write(table):
                print(f"wrote {target}")
            return 0
        problems = check(table)
    except (GenerateError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if problems:
        print("\n".join(problems), file=sys.stderr)
        print(f"out of date; run: {COMMAND}", file=sys.stderr)
        return 1
    return 0


def _diff(target: str, found: str, wanted: str) -> str:
    lines = difflib.unified_diff(
        found.splitlines(keepends=True),
        wanted.splitlines(keepends=True),
        f"{target} (committed)",
        f"{target} (generated)",
    )
    # The same lines may differ in their line ends only.
    return "".join(lines) or f"{target}: the bytes differ"


def _replace(path: Path, text: str) -> None:
    """Write the whole file or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
