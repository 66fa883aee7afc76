"""What the programs answer without click: the same as click, and with next to no imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from kapture_async._core.cli import quick

from .quick_answers import PROGRAMS, ROOT, answers_of, commands_of

BOTH = pytest.mark.parametrize("name", PROGRAMS)


def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as its entry point does; the modules it imports are on standard error."""
    package = PROGRAMS[name]
    code = (
        f"import sys; sys.argv = [{name!r}, *sys.argv[1:]]\n"
        f"from {package}.__main__ import main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@BOTH
def test_the_files_are_as_the_commands_are(name: str) -> None:
    for path, text in answers_of(name).items():
        assert path.read_text(encoding="utf-8") == text, "run: python tests/cli/quick_answers.py"


@BOTH
@pytest.mark.parametrize("asked", ["--version", "--help", "-h", "a command", "an option", "a file"])
def test_hardly_anything_is_imported(name: str, asked: str) -> None:
    variables = {}
    if asked[0] != "-":
        words = {"a command": "pus", "an option": "push --", "a file": "push "}[asked]
        variables = {
            f"_{name.upper().replace('-', '_')}_COMPLETE": "bash_complete",
            "COMP_WORDS": f"{name} {words}",
            "COMP_CWORD": str(len(words.split(" "))),
        }
    done = run(name, *([asked] if asked[0] == "-" else []), **variables)
    expected = {
        "--version": f"{name}, version ",
        "--help": f"Usage: {name} ",
        "-h": f"Usage: {name} ",
        "a command": "plain,push\n",
        "an option": "plain,--",
        "a file": "file,\n",
    }
    assert done.stdout.startswith(expected[asked])
    bare = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import types, __future__"],
        capture_output=True,
        text=True,
        check=True,
    )
    more = imported(done) - imported(bare)
    assert {
        module for module in more if not module.startswith(("kapture_async", "support_async"))
    } == set()
    assert len(more) <= 9, more  # of ours, too


@BOTH
def test_the_package_alone_loads_nothing_heavy(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {PROGRAMS[name]}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    heavy = {"asyncio", "aiohttp", "attrs", "attr", "cattrs", "anyio", "orjson", "typing", "re"}
    assert imported(done) & heavy == set()


@BOTH
@pytest.mark.parametrize("how", [("--version",), ("--help",), ("-h",)])
def test_the_answer_is_clicks_own(name: str, how: tuple[str, ...]) -> None:
    done = run(name, *how)
    result = CliRunner().invoke(commands_of(name), how, prog_name=name, terminal_width=78)
    assert done.stdout == result.stdout


def test_a_narrow_terminal_gets_its_own_lines() -> None:
    done = run("kapture-async", "--help", COLUMNS="60")
    assert max(map(len, done.stdout.partition("Options:")[0].splitlines())) <= 58
    assert "click" in imported(done)


def lines_of(command: click.Command, before: str) -> Iterator[tuple[str, str]]:
    """Words before the cursor, and beginnings of the word at it, all over the commands."""
    for incomplete in ("", "-", "--", "--no", "--x", "a", "p"):
        yield before, incomplete
    context = click.Context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            for option in (*parameter.opts, *parameter.secondary_opts):
                yield f"{before} {option}", ""
                yield f"{before} {option}", "a"
                yield f"{before} {option}", "--"
                if not (parameter.is_flag or parameter.count):
                    yield f"{before} {option} x", "--"
                    yield f"{before} {option} x", ""
        else:
            yield f"{before} x", ""
            yield f"{before} x y", "--"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from lines_of(below, f"{before} {each}")


@BOTH
def test_every_completion_is_clicks_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = commands_of(name)
    table = (ROOT / PROGRAMS[name] / "cli" / "completions.tsv").read_text(encoding="utf-8")
    compared = left_to_click = 0
    for number, (before, incomplete) in enumerate(lines_of(root, name)):
        shell = ("bash", "zsh", "fish")[number % 3]
        words = f"{before} {incomplete}"
        here = incomplete if shell == "fish" else str(len(before.split()))
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", here)
        found = quick.completions(table, f"{shell}_complete", words, here)
        if found is None:
            left_to_click += 1
            continue
        made = get_completion_class(shell)
        assert made is not None
        expected = made(root, {}, name, "_X_COMPLETE").complete()
        # Line breaks in a help text are click's own affair.
        assert " ".join(found.split()) == " ".join(expected.split()), (shell, words)
        compared += 1
    assert compared > 300
    assert left_to_click < compared / 4


@pytest.mark.parametrize(
    "words", ["x push 'a b", 'x push "', "x push --map=a", "x nothing --", "x push --nothing "]
)
def test_what_is_not_plain_is_left_to_click(words: str) -> None:
    table = (ROOT / "kapture_async/cli/completions.tsv").read_text(encoding="utf-8")
    last = str(len(words.split(" ")) - 1)
    assert quick.completions(table, "bash_complete", words, last) is None


def test_who_cannot_write_is_told_by_the_program() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.argv[0] = 'kapture-async'\n"
             "from kapture_async.__main__ import main; main()", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )  # fmt: skip
    assert "standard output could not be written" in done.stderr
