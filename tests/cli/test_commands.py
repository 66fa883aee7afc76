"""The other commands, and what all of them share: target, credentials, errors, the screen."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kapture_async import (
    HelpdeskError,
    InvalidInputError,
    NoReplyError,
    NotFoundError,
    NotSentError,
    TicketLookup,
    Tickets,
)
from kapture_async._core.cli.console import clean, duration, json_line, one_line
from kapture_async._core.cli.running import run_commands
from kapture_async._core.push.report import Histogram
from kapture_async.cli.app import commands
from kapture_async.testing import FaultPlan, KaptureEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def test_one_ticket_from_its_adding_to_its_pulling(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    added = run_cli(
        *("add", "--title", "Drucker brennt", "--details", "a\nb", "--email", "a@example.com"),
        *("--due", "2026-01-31 18:00:00", "--set", "info.n=007", "--json"),
    )
    assert added.returncode == 0, added.stderr
    ticket_id = json.loads(added.stdout)["ticket_id"]
    assert server.ledger.entries[0].payload == {
        "title": "Drucker brennt",
        "ticket_details": "a\nb",
        "email_id": "a@example.com",
        "due_date": "2026-01-31 18:00:00",
        "info": [{"n": "007"}],
    }

    updated = run_cli("update", ticket_id, "--sub-status", "RS", "--comment", "done")
    assert (updated.returncode, updated.stdout) == (
        0,
        f"Updated ticket {ticket_id}: Status and Comment have been updated.\n",
    )
    got = run_cli("get", ticket_id, ticket_id)
    assert got.returncode == 0
    assert got.stdout.startswith(f"{ticket_id}  Drucker brennt\n")
    assert "info.n" in got.stdout
    raw = json.loads(run_cli("get", ticket_id, "--json").stdout)
    assert raw["task_details"]["ticketId"] == ticket_id

    day = server.now.date().isoformat()
    pulled = run_cli("pull", "--from", day, "--out", "day.jsonl")
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stderr == "1 ticket to day.jsonl\n"
    assert json.loads((tmp_path / "day.jsonl").read_text(encoding="utf-8"))["ticketId"] == ticket_id
    assert run_cli("pull", "--from", day).stdout.startswith(ticket_id)
    assert json.loads(run_cli("pull", "--from", day, "--json").stdout)["taskTitle"]


def test_tickets_that_are_not_there(run_cli: Run, server: KaptureEmulator) -> None:
    known = server.seed(title="known")
    done = run_cli("get", known, "1", "2", "--json")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == "".join(f"warning: ticket {number} does not exist\n" for number in (1, 2))


@pytest.mark.parametrize(
    ("errors", "missing", "code"),
    [
        ((NotSentError("x"), NoReplyError("y")), ("9",), 3),
        ((NotSentError("x"), InvalidInputError("y")), (), 2),
        ((NotSentError("x"), NotFoundError("y")), ("9",), 4),
        ((), ("9",), 1),
        ((), (), 0),
    ],
)
def test_several_failures_exit_as_the_help_orders_them(
    monkeypatch: pytest.MonkeyPatch,
    errors: tuple[HelpdeskError, ...],
    missing: tuple[str, ...],
    code: int,
) -> None:
    failed = {str(number): error for number, error in enumerate(errors, 1)}

    async def get_many(*_: Any, **__: Any) -> TicketLookup:
        return TicketLookup(found={}, missing=missing, failed=failed)

    monkeypatch.setattr(Tickets, "get_many", get_many)
    environment = {"KAPTURE_BASE_URL": "https://example.com", "KAPTURE_TOKEN": "x"}
    assert CliRunner().invoke(commands, ["get", "1"], env=environment).exit_code == code


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("failed", 1, "The service refused it; nothing was changed."),
        ("close_after", 3, "It may or may not have happened."),
        ("status;status=500", 3, "It may or may not have happened."),
    ],
)
def test_errors_tell_what_happened_and_what_to_do(
    run_cli: Run, server: KaptureEmulator, fault: str, code: int, message: str
) -> None:
    server.faults = FaultPlan.script([fault])
    done = run_cli("add", "--title", "x")
    assert done.returncode == code
    first, second = done.stderr.splitlines()
    assert first.startswith("error: kapture tickets.add: ")
    assert first.endswith(message)
    assert second.startswith("next: ")


def test_nobody_there(run_cli: Run, server: KaptureEmulator) -> None:
    server.stop_listening()
    done = run_cli("add", "--title", "x")
    assert done.returncode == 4
    assert "Nothing was sent." in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_an_interrupted_call_says_that_it_may_have_happened(
    start_cli: Start, server: KaptureEmulator
) -> None:
    server.faults = FaultPlan.script(["silence_after"])
    process = start_cli("add", "--title", "x")
    assert server.ledger.wait_for(1, timeout=60)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "It may or may not have happened." in errors
    assert errors.endswith("Interrupted.\n")


def test_target_and_credentials(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    nothing = {"KAPTURE_BASE_URL": "", "KAPTURE_TOKEN": ""}
    add = ("add", "--title", "x")
    done = run_cli(*add, env=nothing)
    assert done.returncode == 2
    assert "KAPTURE_SUBDOMAIN" in done.stderr
    done = run_cli(*add, "--base-url", server.url, env=nothing)
    assert done.returncode == 2
    assert "KAPTURE_TOKEN" in done.stderr
    done = run_cli(*add, "--username", "me", input="", env={"KAPTURE_TOKEN": ""})
    assert done.returncode == 2
    assert "KAPTURE_PASSWORD" in done.stderr

    (tmp_path / "token").write_text("emulator-token\n", encoding="utf-8")
    (tmp_path / "token").chmod(0o600)
    done = run_cli(*add, "--base-url", server.url, "--token-file", "token", env=nothing)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "token").chmod(0o644)
    done = run_cli(*add, "--token-file", "token", env={"KAPTURE_TOKEN": ""})
    assert done.returncode == 0
    assert done.stderr.startswith("warning: token can be read by others")

    done = run_cli(*add, "--token", "emulator-token", env={"KAPTURE_TOKEN": "wrong"})
    assert done.returncode == 0
    assert done.stderr.startswith("warning: --token is visible")
    done = run_cli(*add, "--token", "SECRETSECRET", env={"KAPTURE_DEBUG": "1"})
    assert done.returncode == 1
    assert "SECRETSECRET" not in done.stderr + done.stdout
    done = run_cli(*add, "--base-url", "https://x.example.com", "--subdomain", "x")
    assert done.returncode == 2
    assert len(server.ledger) == 3


def test_headers_and_proxy(run_cli: Run, server: KaptureEmulator) -> None:
    add = ("add", "--title", "x")
    done = run_cli(
        *add,
        *("--header", "x-api-type=TICKET", "--header-env", "x-api-key=MY_KEY"),
        env={"MY_KEY": "hidden-key"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    headers = server.received[-1].headers
    assert (headers["x-api-type"], headers["x-api-key"]) == ("TICKET", "hidden-key")
    done = run_cli(*add, "--header-env", "x-api-key=NOT_SET")
    assert done.returncode == 2
    assert "NOT_SET" in done.stderr
    done = run_cli(*add, "--header", "no-value")
    assert done.returncode == 2
    done = run_cli(*add, "--base-url", "http://tenant.example")
    assert done.returncode == 2
    assert "clear text" in done.stderr
    # The emulator stands in for a proxy, too: it takes requests that name the whole address.
    through = ("--base-url", "http://tenant.example", "--allow-http", "--proxy", server.url)
    done = run_cli(*add, *through)
    assert done.returncode == 0
    assert server.received[-1].headers["host"] == "tenant.example"
    assert len(server.ledger) == 2
    assert run_cli(*add, "--no-keep-alive").returncode == 0
    assert server.received[-1].headers["connection"] == "close"


def test_a_bug_is_one_line_and_its_traceback_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def broken() -> None:
        raise RuntimeError("some\x1b[31mthing\nbroke")

    def run() -> None:
        run_commands(broken, name="x", debug_variable="X_DEBUG")

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 70
    expected = "error: a bug, RuntimeError: something broke (X_DEBUG=1 shows where)\n"
    assert capsys.readouterr().err == expected
    monkeypatch.setenv("X_DEBUG", "1")
    with pytest.raises(RuntimeError):
        run()


@pytest.mark.parametrize("faults", ["0", "0.1"])
def test_demo(run_cli: Run, faults: str) -> None:
    no_target = {"KAPTURE_BASE_URL": "", "KAPTURE_TOKEN": ""}
    done = run_cli("demo", "--tickets", "200", "--faults", faults, env=no_target)
    assert done.returncode == 0, done.stderr
    assert re.search(r"contradictions +0 +none", done.stdout)
    assert re.search(r"pull\w+ the day back", done.stdout)
    if faults == "0":
        assert re.search(r"accepted +200 +100.0%", done.stdout)
        assert "updated 5 tickets" in done.stdout


def test_demo_with_a_file(run_cli: Run, tmp_path: Path) -> None:
    text = 'Subject;Description\na;"b\nc"\n;no title\nd;e\n'
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    done = run_cli("demo", "--file", "t.csv")
    assert done.returncode == 0, done.stderr
    assert re.search(r"accepted +2", done.stdout)
    assert re.search(r"contradictions +0", done.stdout)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert run_cli("demo", "--file", "t.csv").returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_emulator(start_cli: Start, run_cli: Run, tmp_path: Path) -> None:
    process = start_cli("emulator", "--port", "0", "--token", "other", "--ledger", "l.jsonl")
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("emulator: ").strip()
    done = run_cli("add", "--title", "x", env={"KAPTURE_BASE_URL": url, "KAPTURE_TOKEN": "other"})
    assert done.returncode == 0, done.stderr
    taken = run_cli("emulator", "--port", url.rpartition(":")[2])
    assert taken.returncode == 2
    assert "Traceback" not in taken.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert json.loads((tmp_path / "l.jsonl").read_text())["payload"] == {"title": "x"}


@pytest.mark.parametrize("command", ["", *sorted(commands.commands)])
def test_help(command: str) -> None:
    result = CliRunner().invoke(commands, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    "content",
    ["emulator-token\r\n".encode("utf-16"), b"\xef\xbb\xbfemulator-token\r\n", b" emulator-token "],
)
def test_a_token_file_as_windows_writes_it(run_cli: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "token").chmod(0o600)
    done = run_cli("add", "--title", "x", "--token-file", "token", env={"KAPTURE_TOKEN": ""})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("content", [b"\xfft\xe9", "token".encode("utf-16-le"), b"\xff\xfea"])
def test_a_token_file_that_is_no_text(run_cli: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "token").chmod(0o600)
    done = run_cli("add", "--title", "x", "--token-file", "token", env={"KAPTURE_TOKEN": ""})
    assert done.returncode == 2
    assert "the token file token is neither UTF-8 nor UTF-16 text" in done.stderr


def test_help_loads_no_http_client() -> None:
    program = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from kapture_async.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'cattrs', 'rich', 'uvloop'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_debugger_sees_the_traceback(run_cli: Run) -> None:
    done = run_cli("add", "--title", " ", env={"KAPTURE_DEBUG": "1"})
    assert "Traceback" in done.stderr
    done = run_cli("add", "--title", " ")
    assert done.returncode == 2
    assert done.stderr.startswith("error: title is blank. Nothing was sent.\nnext: ")


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://e\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jx\x85", "x"),
        ("a\rb\x08\x00c", "abc"),
        ("\u202eevil\u2066", "evil"),
        ("[bold]not markup[/] :smile:", "[bold]not markup[/] :smile:"),
        ("half \udcff", "half ?"),
        ("tab\tand\nline", "tab\tand\nline"),
    ],
)
def test_text_for_the_terminal(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


def test_text_of_the_service_cannot_command_the_terminal(
    run_cli: Run, server: KaptureEmulator
) -> None:
    evil = "\x1b]0;owned\x07[red]x[/red]\x9b31m \u202e"
    known = server.seed(title=evil, info=[{"a\x1b[2J": evil}])
    day = server.now.date().isoformat()
    for arguments in (("get", known), ("pull", "--from", day), ("get", known, "--json")):
        out = run_cli(*arguments).stdout
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out), arguments
        assert "[red]x[/red]" in out
    assert json.loads(out)["task_details"]["title"] == evil


def test_lines() -> None:
    assert one_line(" a\n b\t c ") == "a b c"
    assert one_line("abcdef", 4) == "abc…"
    value: Any = {"a": "\x7f\u2028\ud800é"}
    assert json.loads(json_line(value)) == value


def test_durations() -> None:
    seconds = (0.00813, 0.9999, 1.932, 59.99, 245, 3723)
    assert [duration(s) for s in seconds] == ["8.13 ms", "1 s", "1.93 s", "1:00", "4:05", "1:02:03"]


def test_percentiles_are_close() -> None:
    histogram = Histogram()
    assert histogram.percentile(50) == 0
    for number in range(1, 10_001):
        histogram.add(number / 1000)
    for percent in (1, 50, 90, 99):
        assert histogram.percentile(percent) == pytest.approx(percent / 10, rel=0.05)
    assert histogram.percentile(100) == histogram.longest == 10.0
    histogram.add(1e9)
    histogram.add(0.0)
    assert histogram.count == 10_002
