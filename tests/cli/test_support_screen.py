"""``support-async``: its help, and what stands on the screen."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from kapture_async._core.cli import progress
from kapture_async._core.download.download import DownloadProgress
from support_async.cli import show
from support_async.cli.app import commands
from support_async.testing import SupportEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("command", ["", *sorted(commands.commands)])
def test_help(command: str) -> None:
    result = CliRunner().invoke(commands, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_commands_are_complete() -> None:
    names = (
        "demo emulator categories tags create history show update set-priority reply close reopen "
        "download push plan status doubts reconcile verify resume rejects resolve doctor "
        "login logout profiles whoami completion ui mcp"
    )
    assert set(commands.commands) == set(names.split())


def test_help_loads_no_http_client_and_the_extra_is_asked_for(
    support_environment: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from support_async.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'cattrs', 'rich', 'uvloop'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    program = (
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'rich' else find(name, *rest)\n"
        "from support_async.__main__ import main\nmain()\n"
    )
    (tmp_path / "blocked.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "blocked.py"],
        cwd=tmp_path,
        env=support_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "pip install 'kapture-async[cli]'" in done.stderr


def test_text_of_the_service_cannot_command_the_terminal(
    run_support: Run, support_server: SupportEmulator
) -> None:
    evil = "\x1b]0;owned\x07[red]x[/red]\x9b31m \u202e"
    ticket = support_server.seed(subject=evil, comment=evil)
    support_server.seed_reply(ticket, evil)
    for arguments in (("show", ticket), ("history",), ("show", ticket, "--json")):
        out = run_support(*arguments).stdout
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out), arguments
        assert "[red]x[/red]" in out


def screen_of(file: io.StringIO) -> Console:
    return Console(file=file, force_terminal=True, width=40, color_system=None, _environ={})


def test_a_table_keeps_within_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show, "console", lambda: screen_of(io.StringIO()))
    table = show.Table(("id", 4), ("name", 6), ("text", 0))
    table.put("123456", "文字化け文字", "a " * 50)
    head, row = capsys.readouterr().out.splitlines()
    assert head == "id    name    text"
    assert row == "123456  文字…   a a a a a a a a a a a a…"
    monkeypatch.undo()
    show.Table(("id", 4), ("name", 2)).put("1", "whole in a pipe")
    assert capsys.readouterr().out == "1     whole in a pipe\n"


def test_a_bar_shows_how_far_a_download_is(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda **_: screen_of(file))
    with progress.DownloadDisplay("File 7") as bar:
        bar.on_progress(DownloadProgress(0, None))
        bar.on_progress(DownloadProgress(512 * 1024, 1024 * 1024))
    assert "File 7" in file.getvalue()
    assert "0.5/1.0 MiB" in file.getvalue()
    monkeypatch.undo()
    with progress.DownloadDisplay("x") as bar:  # no terminal: nothing to show
        bar.on_progress(DownloadProgress(1, 2))
