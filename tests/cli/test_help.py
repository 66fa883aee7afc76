"""What the command lines say of themselves: options in sections, exit codes, completion."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kapture_async._core.cli.exit_codes import EXIT_CODES
from kapture_async.cli.app import commands as kapture
from support_async.cli.app import commands as support

from .conftest import Run

BOTH = pytest.mark.parametrize("commands", [kapture, support])


def help_of(commands: click.Group, *words: str) -> str:
    result = CliRunner().invoke(commands, [*words, "--help"], prog_name="example")
    assert result.exit_code == 0, result.output
    return result.output


@BOTH
@pytest.mark.parametrize("command", ["push", "plan"])
def test_every_option_of_a_push_is_in_a_section(commands: click.Group, command: str) -> None:
    pushes = commands.commands[command]
    loose = [p.name for p in pushes.params if not hasattr(p, "section")]
    assert set(loose) <= {"file", "rate", "write_mapping"}
    text = help_of(commands, command)
    titles = ["What is sent:", "How it is sent:", "The journal:", "At the end:", "Where to,"]
    places = [text.index(f"\n{title}") for title in titles]
    assert places == sorted(places)
    for param in pushes.params:
        if isinstance(param, click.Option):
            assert text.count(f"  {param.opts[0]} ") == 1, param.opts


@BOTH
def test_one_table_of_exit_codes(commands: click.Group) -> None:
    codes = [line.split()[0] for line in EXIT_CODES.splitlines() if line.startswith("  ")]
    assert codes == ["0", "1", "2", "3", "4", "5", "6", "70", "130"]
    for words in ((), ("push",), ("plan",), ("resume",), ("reconcile",), ("verify",)):
        text = help_of(commands, *words)
        for line in EXIT_CODES.splitlines()[1:]:
            assert line.strip() in text, words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(environment: dict[str, str], tmp_path: Path, shell: str) -> None:
    program = Path(sys.executable).with_name("kapture-async")
    if not program.exists():
        pytest.skip("the package's command is not installed")
    done = subprocess.run(
        [program, "completion", shell],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"_KAPTURE_ASYNC_COMPLETE={shell}_complete" in done.stdout
    if shell == "bash" and shutil.which("bash"):
        script = tmp_path / "completion.bash"
        script.write_text(done.stdout)
        words = "COMP_WORDS=(kapture-async re); COMP_CWORD=1"
        path = f"{program.parent}{os.pathsep}{environment['PATH']}"
        ask = (
            f". {script}; {words}; _kapture_async_completion kapture-async; echo ${{COMPREPLY[*]}}"
        )
        done = subprocess.run(
            ["bash", "-c", ask],
            env=environment | {"PATH": path},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.stdout.split() == ["resume", "reconcile", "resolve", "rejects"]


def test_only_an_installed_command_can_be_completed(run_cli: Run) -> None:
    done = run_cli("completion", "bash")
    assert done.returncode == 2
    assert "python -m kapture_async" in done.stderr
