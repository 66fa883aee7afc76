"""The files from which the programs answer without click.

``python tests/cli/quick_answers.py`` writes them; run it after an option or a help text changed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import click

from kapture_async._core.cli.quick import WIDTH

ROOT = Path(__file__).parents[2]
PROGRAMS = {"kapture-async": "kapture_async", "support-async": "support_async"}


def commands_of(name: str) -> click.Group:
    """The commands of a program."""
    found = importlib.import_module(f"{PROGRAMS[name]}.cli.app").commands
    assert isinstance(found, click.Group)
    return found


def answers_of(name: str) -> dict[Path, str]:
    """What the files of a program hold, as its commands are now."""
    folder = ROOT / PROGRAMS[name] / "cli"
    root = commands_of(name)
    with root.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH - 2) as context:
        help = root.get_help(context)
        rows = list(_rows(context, ""))
    return {
        folder / "help.txt": f"{help}\n",
        folder / "completions.tsv": "".join("\t".join(row) + "\n" for row in rows),
    }


def _rows(context: click.Context, path: str) -> Iterator[tuple[str, ...]]:
    command = context.command
    for parameter in command.get_params(context):
        found = parameter.shell_complete(context, "")
        kind = " ".join(item.value if item.type == "plain" else item.type for item in found)
        if isinstance(parameter, click.Option):
            assert not parameter.hidden, "quick.py would offer it"
            names = " ".join([*parameter.opts, *parameter.secondary_opts])
            many = 0 if parameter.is_flag or parameter.count else parameter.nargs
            again = "*" if parameter.multiple else ""
            help = " ".join((parameter.help or "").split())
            yield path, "option", names, f"{many}{again}", kind, help
        else:
            yield path, "argument", "", str(parameter.nargs), kind, ""
    if isinstance(command, click.Group):
        for item in command.shell_complete(context, ""):
            name = item.value
            below = command.get_command(context, name)
            assert below is not None
            yield path, "command", name, "0", "", item.help or ""
            inner = below.make_context(name, [], parent=context, resilient_parsing=True)
            yield from _rows(inner, f"{path} {name}".strip())


def main() -> None:
    """Write the files that changed."""
    for name in PROGRAMS:
        for path, text in answers_of(name).items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
