"""``support-async push``: what differs from the other service's, on the same engine and files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support_async.testing import SupportEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
FILL = ("--category", "3", "--priority", "medium")
LOGIN = "/user/login/"

needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")


def numbered(path: Path, number: int) -> None:
    lines = [f"r{n},Ticket {n},text" for n in range(number)]
    path.write_text("\n".join(["id,subject,comment", *lines, ""]), encoding="utf-8")


def report_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def subjects(server: SupportEmulator) -> list[str]:
    return sorted(entry.payload["subject"] for entry in server.ledger)


def test_what_arrives_is_what_stands_in_the_file(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "résumé.txt").write_bytes(b"beside the file")
    (folder / "deep").mkdir()
    (folder / "deep" / "far.bin").write_bytes(b"\0far")
    (folder / "t.csv").write_text(
        "Id,Subject,Text,Prio,File\n"
        f'1,eins,"a ""b""\nc",HIGH,résumé.txt\n'
        f"2,zwei,x,,{folder / 'deep' / 'far.bin'}\n"
        "3,drei,x, low ,\n",
        encoding="utf-8",
    )
    maps = ("subject=Subject", "comment=Text", "priority=Prio", "attachment=File")
    done = run_support(
        *("push", "in/t.csv", *(part for m in maps for part in ("--map", m))),
        *("--key", "Id", *FILL, "--json", "--attachments", "in", "--report", "t.report.csv"),
    )
    assert done.returncode == 0, done.stderr
    assert "filled in where missing: category 3, priority 2\n" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["accepted"] == 3
    sent = {entry.payload["subject"]: entry.payload for entry in support_server.ledger}
    files = {name: payload.pop("attachment", None) for name, payload in sent.items()}
    for payload in sent.values():
        payload["comment"] = payload["comment"].replace("\r\n", "\n")  # as forms have it
        payload["comment"] = payload["comment"].rpartition("\n[ref:")[0]
    assert sent == {
        "eins": {"subject": "eins", "comment": 'a "b"\nc', "category": "3", "priority": "3"},
        "zwei": {"subject": "zwei", "comment": "x", "category": "3", "priority": "2"},
        "drei": {"subject": "drei", "comment": "x", "category": "3", "priority": "1"},
    }
    assert files["eins"]["name"] == "résumé.txt"
    assert files["zwei"]["sha256"] == hashlib.sha256(b"\0far").hexdigest()
    assert files["drei"] is None
    report = report_of(tmp_path / "t.report.csv")
    assert Counter(line["key"] for line in report) == {"1": 1, "2": 1, "3": 1}


def test_check_finds_what_cannot_be_sent(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "big.bin").write_bytes(bytes(2 * 1024 * 1024 + 1))
    (folder / "link").symlink_to(tmp_path / "t.jsonl")
    rows = [
        {"subject": "ok", "comment": "x", "category": 3, "priority": "High"},
        {"subject": "x" * 501, "comment": "x"},
        {"subject": "x", "comment": "x", "priority": "critical"},
        {"subject": "x", "comment": "x", "category": "three"},
        {"subject": "x", "comment": "x", "attachment": "nothere.pdf"},
        {"subject": "x", "comment": "x", "attachment": "."},
        {"subject": "x", "comment": "x", "attachment": "big.bin"},
        {"subject": "x", "comment": "x", "attachment": "a\0b"},
        {"subject": "x", "comment": "x", "attachment": "../t.jsonl"},
        {"subject": "x", "comment": "x", "attachment": "/etc/passwd"},
        {"subject": "x", "comment": "x", "attachment": "link"},
        {"subject": "x", "comment": "x", "attachment": 7},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(text, encoding="utf-8")
    check = ("push", "t.jsonl", *FILL, "--check")
    done = run_support(*check, "--attachments", "files", env={"SUPPORT_BASE_URL": ""})
    assert done.returncode == 2
    found = [line.strip() for line in done.stdout.splitlines() if line.startswith("  line ")]
    assert "Plan for t.jsonl; nothing is sent" in done.stdout
    expected = [
        "subject has 501 characters, and 500 are allowed",
        "priority must be low, medium, high or a code such as '1'",
        "category must be an id",
        "the attachment cannot be read: no such file or directory",
        "the attachment is not a file",
        "the attachment has more than 2,097,152 bytes",
        "the attachment cannot be read: not a path",
        *["the attachment is outside the folder of --attachments"] * 3,
        "the attachment must be a path",
    ]
    for line, (told, words) in enumerate(zip(found, expected, strict=True), start=2):
        assert told.startswith(f"line {line}: {words}")
    done = run_support(*check, env={"SUPPORT_BASE_URL": ""})
    assert done.stdout.count("the attachment needs a folder") == 7
    assert not support_server.requests


def test_what_neither_file_nor_options_say(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    numbered(tmp_path / "t.csv", 1)
    done = run_support("push", "t.csv", "--priority", "1")
    assert done.returncode == 2
    assert "no column is mapped to 'category'" in done.stderr
    assert "or set --category for all rows" in done.stderr
    assert not support_server.requests


@needs_signals
def test_interrupted_and_gone_on_with(
    run_support: Run, start_support: Start, support_server: SupportEmulator, tmp_path: Path
) -> None:
    support_server.latency = 0.2
    numbered(tmp_path / "t.csv", 100)
    process = start_support(
        "push", "t.csv", *FILL, "--max-concurrency", "4", "--ticket-id-in", "body"
    )
    assert support_server.ledger.wait_for(6, timeout=60)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    support_server.latency = 0.0
    # What it offers repeats all that was said before: the journal has it.
    command = next(line for line in errors.splitlines() if " resume t.csv" in line).split()
    done = run_support(*command[command.index("resume") :])
    assert done.returncode == 0, done.stderr
    assert subjects(support_server) == sorted(f"Ticket {n}" for n in range(100))


def test_a_token_that_expires_on_the_way(
    start_support: Start, support_server: SupportEmulator, as_user: dict[str, str], tmp_path: Path
) -> None:
    support_server.latency = 0.3
    numbered(tmp_path / "t.csv", 60)
    process = start_support("push", "t.csv", *FILL, "--max-concurrency", "8", env=as_user)
    assert support_server.ledger.wait_for(10, timeout=60)
    support_server.expire_tokens()
    support_server.latency = 0.0
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert subjects(support_server) == sorted(f"Ticket {n}" for n in range(60))
    assert support_server.logins == 2


def test_a_refused_login_is_not_tried_again(
    start_support: Start, support_server: SupportEmulator, as_user: dict[str, str], tmp_path: Path
) -> None:
    support_server.latency = 0.3
    numbered(tmp_path / "t.csv", 60)
    process = start_support(
        *("push", "t.csv", *FILL, "--max-concurrency", "8", "--no-journal", "--keep-going"),
        env=as_user,
    )
    assert support_server.ledger.wait_for(10, timeout=60)
    support_server.deactivate(as_user["SUPPORT_USERNAME"])
    support_server.expire_tokens()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "error: logging in again: support login: " in errors
    assert support_server.requests[LOGIN] == 2
    outcomes = Counter(line["outcome"] for line in report_of(tmp_path / "t.report.csv"))
    assert outcomes["accepted"] == len(support_server.ledger)
    assert outcomes["rejected"] == 60 - outcomes["accepted"] > 0


def test_who_is_not_let_in_leaves_nothing_behind(
    run_support: Run, support_server: SupportEmulator, as_user: dict[str, str], tmp_path: Path
) -> None:
    numbered(tmp_path / "t.csv", 60)
    done = run_support("push", "t.csv", *FILL, env=as_user | {"SUPPORT_PASSWORD": "wrong"})
    assert done.returncode == 1
    assert "support login: " in done.stderr
    assert support_server.requests == {LOGIN: 1}
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
