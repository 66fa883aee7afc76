"""What a program answers before click is imported: its version, its help, and completions.

A shell asks for completions at every TAB, and click alone takes four times as long to import as
Python takes to start. The answers are in two files of the program's package, ``help.txt`` and
``completions.tsv``, which ``python tests/cli/quick_answers.py`` writes; a test compares them with
click's own. Whatever is not plain is left to click.

Imports nothing but what Python has loaded already.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Item = tuple[str, str, str]
    """A completion: plain, a file or a directory; its text; its help."""

WIDTH = 80
"""The columns that the help was made for."""


class _Row:
    """A line of the table: a command, one of its options or one of its arguments.

    Attributes:
        names: of a command or option.
        many: how many values follow; -1 is any number.
        multiple: an option that can be given again.
        kind: what a value is: ``file``, ``dir``, or some choices.
    """

    def __init__(self, what: str, names: str, many: str, kind: str, help: str) -> None:
        self.what = what
        self.names = names.split(" ")
        self.multiple = many.endswith("*")
        self.many = int(many.removesuffix("*") or 0)
        self.kind = kind.split(" ") if kind else []
        self.help = help

    def values(self, incomplete: str) -> Iterator[Item]:
        if self.kind in (["file"], ["dir"]):
            yield self.kind[0], incomplete, ""
            return
        for choice in self.kind:
            if choice.startswith(incomplete):
                yield "plain", choice, ""


def answered(program: str, package: str) -> bool:
    """Answer the program's arguments, if that takes no more than the two files.

    Args:
        program: its name, such as ``kapture-async``.
        package: the folder of its command line.

    Returns:
        Whether they are answered. If not, nothing has been written.
    """
    if os.path.basename(sys.argv[0]) not in (program, f"{program}.exe"):
        return False  # `python -m` has another name in its help
    asked = os.environ.get(f"_{program.upper().replace('-', '_')}_COMPLETE")
    answer: str | None = None
    try:
        if asked:
            words, here = os.environ.get("COMP_WORDS", ""), os.environ.get("COMP_CWORD", "")
            answer = completions(_read(package, "completions.tsv"), asked, words, here)
        elif sys.argv[1:] == ["--version"]:
            from ..version import __version__

            answer = f"{program}, version {__version__}\n"
        elif sys.argv[1:] in (["--help"], ["-h"]) and _columns() >= WIDTH:
            answer = _read(package, "help.txt")
    except OSError:  # run from an archive
        return False
    return answer is not None and _written(answer.encode())


def _read(package: str, name: str) -> str:
    with open(os.path.join(package, name), encoding="utf-8") as file:
        return file.read()


def _columns() -> int:
    try:
        return int(os.environ["COLUMNS"]) or WIDTH
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def _written(text: bytes) -> bool:
    """Write it, or leave the failure to those who can tell of it, unless some is written."""
    written = 0
    while written < len(text):
        try:
            written += os.write(1, text[written:])
        except OSError:
            return written > 0
    return True


def completions(table: str, asked: str, words: str, here: str) -> str | None:
    """What a shell is told at TAB, in the form that click's scripts read.

    Args:
        table: the text of ``completions.tsv``.
        asked: such as ``bash_complete``.
        words: the line so far.
        here: which of its words the cursor is in; for fish, that word.

    Returns:
        The answer, or ``None`` where click must be asked.
    """
    shell, _, what = asked.partition("_")
    if what != "complete" or shell not in _FORMATS or any(mark in words for mark in "\"'\\"):
        return None
    given = words.split()[1:]
    if shell == "fish":
        incomplete = here
        if incomplete and given and given[-1] == incomplete:
            given.pop()
    elif not here.isdigit():
        return None
    else:
        place = max(int(here) - 1, 0)
        incomplete = given[place] if place < len(given) else ""
        given = given[:place]
    if any(mark in incomplete for mark in "\"'\\="):
        return None
    found = _items(table, given, incomplete)
    if found is None:
        return None
    return "\n".join(_FORMATS[shell](*item) for item in found) + "\n"


def _items(table: str, given: Sequence[str], incomplete: str) -> list[Item] | None:
    """The completions of a word, after the words before it; ``None`` if these are not plain."""
    rows = _rows(table, "")
    path = ""
    used: list[_Row] = []
    option: _Row | None = None  # that the next words are values of
    missing = positional = 0
    for word in given:
        if missing:
            missing -= 1
        elif word[:1] == "-" and word != "-":
            option = _named(rows, "option", word)
            if option is None:
                return None
            used.append(option)
            missing = option.many
        elif any(row.what == "command" for row in rows):
            if _named(rows, "command", word) is None:
                return None
            path = f"{path} {word}".strip()
            rows, used = _rows(table, path), []
        else:
            positional += 1
    if missing and option is not None:
        whole = missing == option.many and given[-1] in option.names and incomplete[:1] != "-"
        return list(option.values(incomplete)) if whole else None
    if incomplete and not incomplete[0].isalnum():
        options = [row for row in rows if row.what == "option"]
        left = [row for row in options if row.multiple or row not in used]
        return _started(left, incomplete) if incomplete[0] == "-" else None
    commands = _started([row for row in rows if row.what == "command"], incomplete)
    if commands:
        return commands
    for row in rows:
        if row.what == "argument":
            if row.many < 0 or positional < row.many:
                return list(row.values(incomplete))
            positional -= row.many
    return []


def _rows(table: str, path: str) -> list[_Row]:
    start = f"{path}\t"
    lines = [line for line in table.split("\n") if line.startswith(start)]
    return [_Row(*line.split("\t")[1:]) for line in lines]


def _named(rows: Iterable[_Row], what: str, name: str) -> _Row | None:
    return next((row for row in rows if row.what == what and name in row.names), None)


def _started(rows: Iterable[_Row], incomplete: str) -> list[Item]:
    return [
        ("plain", name, row.help)
        for row in rows
        for name in row.names
        if name.startswith(incomplete)
    ]


def _bash(kind: str, value: str, help: str) -> str:
    return f"{kind},{value}"


def _zsh(kind: str, value: str, help: str) -> str:
    return f"{kind}\n{value}\n{help or '_'}"


def _fish(kind: str, value: str, help: str) -> str:
    return f"{kind},{value}\t{help}" if help else f"{kind},{value}"


_FORMATS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
