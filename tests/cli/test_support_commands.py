"""``support-async``: single calls, who calls, the lists, demo and emulator."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kapture_async._core.cli.options import target_options
from kapture_async._core.errors import ConfigurationError
from kapture_async._core.secret import Secret
from support_async.cli.app import commands
from support_async.cli.options import SupportTarget, comment_of
from support_async.testing import FaultPlan, SupportEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
CREATE = ("create", "--subject", "Drucker brennt", "--category", "3", "--priority", "High")
FILE = bytes(range(256)) * 1000


def test_one_ticket_from_its_creation_to_its_closing(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(FILE)
    created = run_support(
        *CREATE, "--comment-file", "-", "--attach", "a.bin", "--find", input="a\nb"
    )
    assert (created.returncode, created.stdout, created.stderr) == (0, "Created ticket 101\n", "")
    ticket = support_server.ticket(101)
    assert ticket is not None
    assert (ticket.subject, ticket.comment.split()) == ("Drucker brennt", ["a", "b"])
    assert (ticket.category, ticket.priority) == (3, "3")

    (tmp_path / "b.txt").write_text("small", encoding="utf-8")
    replied = run_support("reply", "101", "--comment", "and\nhere", "--attach", "b.txt")
    assert (replied.returncode, replied.stdout) == (0, "Replied to ticket 101\n"), replied.stderr
    shown = run_support("show", "101")
    assert shown.stdout == (
        "101  Drucker brennt\n"
        "  status     open\n"
        "  priority   high\n"
        "  category   3\n"
        "  author     member@example.com\n"
        "  files      901\n"
        "\n    a\n    b\n"
        "\n  reply 501 by member@example.com  with file 902\n"
        "\n    and\n    here\n"
    )
    raw = json.loads(run_support("show", "101", "--json").stdout)
    assert raw["ticket"]["id"] == 101
    assert raw["attachments"][1] == {"id": 902, "conversation_id": 501}

    got = run_support("download", "901", "--to", ".", "--overwrite")
    assert (got.returncode, got.stderr) == (0, "")
    assert got.stdout == f"{tmp_path / 'a.bin'}\n"
    assert (tmp_path / "a.bin").read_bytes() == FILE

    closed = run_support("close", "101")
    assert (closed.returncode, closed.stdout) == (0, "Closed ticket 101\n")
    assert ticket.status == "3"
    reopened = run_support("reopen", "101")
    assert (reopened.returncode, reopened.stdout) == (0, "Reopened ticket 101\n")


def test_a_file_that_is_there_is_left_alone(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    file = support_server.seed_attachment(support_server.seed(), "x.txt", FILE)
    (tmp_path / "x.txt").write_text("mine", encoding="utf-8")
    for place in (".", "x.txt"):
        done = run_support("download", file, "--to", place)
        assert (done.returncode, done.stdout) == (2, "")
        assert "already exists, and was left alone\nnext: " in done.stderr
        assert "--overwrite" in done.stderr
    done = run_support("download", file, "--to", "y.txt", "--max-bytes", "1000")
    assert done.returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == "mine"


def test_a_create_says_what_is_known_of_it(
    run_support: Run, support_server: SupportEmulator
) -> None:
    done = run_support(*CREATE, "--comment", "x")
    assert (done.returncode, done.stdout) == (0, "Created\n")
    assert "does not return its id" in done.stderr
    # Executed, and the answer lost: it is looked for all the same.
    support_server.faults = FaultPlan.script([None, "close_after"])
    done = run_support(*CREATE, "--comment", "y", "--find", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {
        "outcome": "unknown",
        "ticket_id": "102",
        "candidates": ["102"],
    }
    assert "It may or may not have happened." in done.stderr
    assert "ticket 102 is new and matches" in done.stderr
    support_server.faults = FaultPlan.script([None, "close_before"])
    done = run_support(*CREATE, "--comment", "z", "--find")
    assert (done.returncode, done.stdout) == (3, "")
    assert "one may still appear" in done.stderr
    assert len(support_server.ledger) == 2


def test_several_tickets_are_told_of_one_by_one(
    run_support: Run, support_server: SupportEmulator
) -> None:
    ids = [support_server.seed(), support_server.seed(status="3"), "999", support_server.seed()]
    done = run_support("close", *ids, ids[0])
    assert done.returncode == 1
    assert done.stdout == f"Closed ticket {ids[0]}\nClosed ticket {ids[3]}\n"
    already, unknown, following = done.stderr.splitlines()
    assert already == f"warning: ticket {ids[1]} is already closed; nothing was changed"
    assert unknown.startswith("error: ticket 999: support tickets.set_status: ")
    assert following.startswith("next: ")
    # What would fare no better is not tried.
    done = run_support("reopen", *ids, env={"SUPPORT_ACCESS_TOKEN": "SECRETSECRET"})
    assert done.returncode == 1
    assert f"not tried: {', '.join(ids[1:])}" in done.stderr
    assert support_server.requests["/support/ticket/status/"] == 5
    assert "SECRETSECRET" not in done.stdout + done.stderr


def test_lists(run_support: Run, support_server: SupportEmulator, tmp_path: Path) -> None:
    for number in range(60):
        support_server.seed(subject=f"Ticket {number}", status=str(1 + number % 3), category=4)
    done = run_support("categories")
    assert done.stdout.splitlines()[0].split("  ")[0] == "3"
    tags = run_support("tags", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in tags] == [1, 2, 3]
    done = run_support("history", "--json")
    assert done.stderr == "50 tickets; there may be more: --all, or --offset 50\n"
    ids = [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert len(ids) == 50
    done = run_support("history", "--offset", "50", "--limit", "20")
    assert done.stderr == "10 tickets\n"
    assert len(done.stdout.splitlines()) == 10
    done = run_support("history", "--all", "--status", "Closed", "--out", "seen.jsonl")
    assert done.stderr == "20 tickets to seen.jsonl\n"
    lines = (tmp_path / "seen.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"3"}
    done = run_support("history", "--out", "seen.jsonl")
    assert (done.returncode, "seen.jsonl': it already exists" in done.stderr) == (2, True)
    assert len((tmp_path / "seen.jsonl").read_text(encoding="utf-8").splitlines()) == 20
    done = run_support("history", "--subject", "Ticket 7", "--category", "4")
    assert re.fullmatch(r"\d+ +processing +low +Sample category B +Ticket 7\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["history", "--all", "--limit", "3"], "--limit or --offset"),
        (["history", "--json", "--out", "x"], "not both"),
        (["history", "--status", "shut"], "not one of open, processing, closed"),
        (["show", "abc"], "'abc' is not an id"),
        (["close", "1", "x"], "'x' is not an id"),
        (["close"], "Missing argument"),
        ([*CREATE], "either --comment or --comment-file"),
        ([*CREATE, "--comment", "a", "--comment-file", "b"], "either --comment or"),
        ([*CREATE[:-1], "urgent", "--comment", "a"], "not one of low, medium, high"),
        (["push", "t.csv", "--extra", "a.b=c"], "No such option"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_the_comment_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes("\ufeffé\r\nb".encode())
    assert comment_of(None, str(path)) == "é\r\nb"
    assert comment_of("", None) == ""
    path.write_bytes(b"\xe9")
    with pytest.raises(click.BadParameter):
        comment_of(None, str(path))


# --- where to, and as whom ---------------------------------------------------------------------


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("BASE_URL", "APIKEY", "ACCESS_TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"SUPPORT_{name}", raising=False)
    return monkeypatch


def target_with(**options: Any) -> SupportTarget:
    """What a command gets, from the environment and from options."""
    found: list[SupportTarget] = []

    @click.command()
    @target_options(SupportTarget)
    def command(target: SupportTarget) -> None:
        found.append(target)

    words = [w for name, value in options.items() for w in (f"--{name.replace('_', '-')}", value)]
    command.main(words, standalone_mode=False)
    return found[0]


def test_what_a_target_asks_for(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def problem(**options: Any) -> str:
        with pytest.raises(ConfigurationError) as error:
            target_with(**options).settings(may_prompt=False)
        return str(error.value)

    assert "SUPPORT_BASE_URL" in problem()
    variables.setenv("SUPPORT_BASE_URL", "https://support.example.com/api/v1")
    assert "SUPPORT_APIKEY" in problem()
    variables.setenv("SUPPORT_APIKEY", "the-key")
    assert "SUPPORT_ACCESS_TOKEN" in problem()
    assert "SUPPORT_PASSWORD" in problem(username="member@example.com")
    assert "one of --token" in problem(token="x", username="y")
    assert "not both" in problem(apikey="x", apikey_file="y")
    (tmp_path / "empty").touch(0o600)
    assert "holds no apikey" in problem(apikey_file=str(tmp_path / "empty"))
    variables.setenv("SUPPORT_ACCESS_TOKEN", "the-token")
    settings = target_with().settings()
    assert (settings["apikey"], settings["access_token"]) == (
        Secret("the-key"),
        Secret("the-token"),
    )
    variables.setenv("SUPPORT_PASSWORD", "the-password")
    settings = target_with(username="me").settings()
    assert settings["user"].password == Secret("the-password")
    assert "access_token" not in settings


def test_secrets_from_options_are_warned_of(
    variables: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text(" from-file\n", encoding="utf-8")
    file.chmod(0o600)
    target = SupportTarget(
        base_url="https://support.example.com",
        apikey_file=str(file),
        token="SECRETSECRET",  # type: ignore[arg-type]
        call_paths=("tickets.create=/creat/support/ticket/",),
        ticket_id_in="query",
        allow_http=True,
    )
    settings = target.settings()
    assert settings["apikey"] == Secret("from-file")
    assert settings["paths"] == {"tickets.create": "/creat/support/ticket/"}
    assert "use SUPPORT_ACCESS_TOKEN or --token-file" in capsys.readouterr().err
    assert target.as_arguments() == [
        *("--base-url", "https://support.example.com", "--apikey-file", str(file)),
        *("--path", "tickets.create=/creat/support/ticket/", "--ticket-id-in", "query"),
        "--allow-http",
    ]
    assert "SECRETSECRET" not in repr((target, settings))


def test_a_user_is_logged_in(
    run_support: Run, support_server: SupportEmulator, as_user: dict[str, str]
) -> None:
    done = run_support("categories", env=as_user)
    assert (done.returncode, done.stderr) == (0, "")
    assert support_server.logins == 1
    wrong = as_user | {"SUPPORT_PASSWORD": "SECRETSECRET", "SUPPORT_DEBUG": "1"}
    done = run_support("categories", env=wrong)
    assert done.returncode == 1
    assert "support login: " in done.stderr
    assert "SECRETSECRET" not in done.stdout + done.stderr
    assert support_server.requests["/user/login/"] == 2
    assert support_server.requests["/support/get/category-list/"] == 1


def test_an_expired_token_is_told_with_what_helps(
    run_support: Run, support_server: SupportEmulator
) -> None:
    support_server.expire_tokens()
    done = run_support("tags")
    assert done.returncode == 1
    error, following, note = done.stderr.splitlines()
    assert error.startswith("error: support tags.list: the service refused the access token")
    assert following.startswith("next: ")
    assert note.startswith("note: with --username")


def test_paths_and_carriers(run_support: Run, support_server: SupportEmulator) -> None:
    ticket = support_server.seed()
    done = run_support("show", ticket, "--ticket-id-in", "query")
    assert done.returncode == 0, done.stderr
    request = support_server.received[-1]
    assert (request.query, request.body) == (f"ticket_id={ticket}", b"")
    done = run_support("tags", "--path", "tags.list=/get/ticket/tags/", "--header", "x-a=b")
    assert done.returncode == 1
    assert support_server.requests["/get/ticket/tags/"] == 1
    assert support_server.received[-1].headers["x-a"] == "b"


def test_nobody_there(run_support: Run, support_server: SupportEmulator) -> None:
    support_server.stop_listening()
    done = run_support("close", "101", "102")
    assert done.returncode == 4
    assert "Nothing was sent." in done.stderr
    assert "not tried: 102" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_an_interrupted_reply_says_that_it_may_have_happened(
    start_support: Start, support_server: SupportEmulator
) -> None:
    ticket = support_server.seed()
    support_server.faults = FaultPlan.script(["silence_after"])
    process = start_support("reply", ticket, "--comment", "x")
    assert support_server.ledger.wait_for(1, timeout=60)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "It may or may not have happened." in errors
    assert errors.endswith("Interrupted.\n")


# --- demo and emulator -----------------------------------------------------------------------


@pytest.mark.parametrize("faults", ["0", "0.1"])
def test_demo(run_support: Run, faults: str) -> None:
    no_target = {"SUPPORT_BASE_URL": "", "SUPPORT_APIKEY": "", "SUPPORT_ACCESS_TOKEN": ""}
    done = run_support("demo", "--tickets", "60", "--faults", faults, "--seed", "4", env=no_target)
    assert done.returncode == 0, done.stderr
    assert re.search(r"contradictions +0 +none", done.stdout)
    if faults == "0":
        assert re.search(r"in the ledger +60", done.stdout)
        assert "found row 1 by its text" in done.stdout
        assert "downloaded the file again: 100,000 bytes, equal to the last byte" in done.stdout
        assert "read it back: it is closed" in done.stdout


def test_demo_with_a_file(run_support: Run, tmp_path: Path) -> None:
    text = f'Subject;Description\na;"b\nc"\n{"x" * 501};too long\nd;\n'
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    done = run_support("demo", "--file", "t.csv")
    assert done.returncode == 0, done.stderr
    assert re.search(r"accepted +2", done.stdout)
    assert re.search(r"contradictions +0", done.stdout)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_emulator(start_support: Start, run_support: Run, tmp_path: Path) -> None:
    process = start_support(
        "emulator", "--port", "0", "--ledger", "l.jsonl", "--token-seconds", "60"
    )
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("emulator: ").strip()
    taken = run_support("emulator", "--port", url.rpartition(":")[2])
    assert taken.returncode == 2
    # What it tells to set is all that a client needs.
    exports = dict(re.findall(r"export (\w+)=(\S+)", taken.stderr))
    assert exports.pop("SUPPORT_BASE_URL") == url
    exports |= {"SUPPORT_BASE_URL": url, "SUPPORT_ACCESS_TOKEN": ""}
    done = run_support(*CREATE, "--comment", "x", env=exports)
    assert done.returncode == 0, done.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert json.loads((tmp_path / "l.jsonl").read_text())["payload"]["comment"] == "x"
