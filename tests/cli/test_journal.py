"""The commands around a journal, as processes, with the emulators' ledgers as the judges."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from kapture_async import JournalError
from kapture_async._core.cli.exit_codes import code_of_error
from kapture_async.cli.app import commands as kapture
from kapture_async.testing import FaultPlan, KaptureEmulator
from support_async.cli.app import commands as support
from support_async.testing import SupportEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
FILL = ("--category", "3", "--priority", "medium")
KINDS = ("rows", "accepted", "rejected", "not_sent", "unknown", "ambiguous", "probable")
QUICK = ("--timeout", "20")
SOON = ("--settle", "40")
"""As soon as a push with this time for a request allows; and nobody waits for it."""

needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends signals")


def table(path: Path, number: int, *, start: int = 0) -> None:
    lines = [f"k{n},Ticket {n},text {n}" for n in range(start, start + number)]
    path.write_text("\n".join(["id,title,ticket_details", *lines, ""]), encoding="utf-8")


def executed(server: KaptureEmulator) -> Counter[str]:
    return Counter(entry.payload["title"] for entry in server.ledger.of("tickets.add"))


def each_once(number: int) -> Counter[str]:
    return Counter(f"Ticket {n}" for n in range(number))


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def offered(text: str, command: str) -> list[str]:
    """The arguments of a command that the screen offers."""
    lines = [line for line in text.splitlines() if f"_async {command} " in line]
    words = shlex.split(lines[0])
    return words[words.index(command) :]


def steps(run_cli: Run, journal: str = "t.csv.journal") -> str:
    """All that could be typed next."""
    return run_cli("status", journal, "--verbose").stdout


def wait_for_rows(run_cli: Run, server: KaptureEmulator, number: int) -> None:
    assert server.ledger.wait_for(number, timeout=60)


# --- the same command again ----------------------------------------------------------------------


@needs_signals
@pytest.mark.parametrize("key", [("--key", "id"), ()])
def test_a_killed_push_goes_on_and_nothing_comes_twice(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path, key: tuple[str, ...]
) -> None:
    table(tmp_path / "t.csv", 120)
    push = ("push", "t.csv", *key, *QUICK, "--max-concurrency", "4")
    server.latency = 0.1
    for number in (10, 30):
        process = start_cli(*push)
        wait_for_rows(run_cli, server, number)
        process.kill()
        process.communicate()
    standing = told(run_cli("status", "t.csv.journal", "--json"))
    assert standing["running"] is None
    assert standing["read_to_end"] is False
    assert 1 <= standing["unknown"] <= 2 * (4 + 8 * 4)  # under way, or ahead, at each kill
    assert sum(standing[kind] for kind in KINDS[1:]) == standing["rows"]
    server.latency = 0.0
    done = run_cli(*push, "--json")
    assert done.returncode == 3, done.stderr
    assert told(done)["earlier"]["unknown"] == standing["unknown"]
    done = run_cli(*offered(steps(run_cli), "reconcile"), *SOON, "--json")
    assert done.returncode == 0, done.stderr
    found = told(done)
    assert found["present"] + found["absent"] == standing["unknown"]
    done = run_cli(*push, "--json")
    assert done.returncode == 0, done.stderr
    assert executed(server) == each_once(120)
    assert {kind: told(done)["journal"][kind] for kind in KINDS} == {
        **dict.fromkeys(KINDS, 0),
        "rows": 120,
        "accepted": 120,
    }
    done = run_cli(*push)
    assert done.returncode == 0
    assert "nothing new in 120 rows" in done.stdout
    assert "already in the helpdesk: 120" in done.stdout
    assert executed(server) == each_once(120)
    assert told(run_cli("status", "t.csv.journal", "--json"))["read_to_end"] is True


def test_lost_answers_are_found_and_lost_rows_are_sent(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 60)
    server.faults = FaultPlan.script(["close_after", "close_before"] * 3)
    done = run_cli("push", "t.csv", "--key", "id", *QUICK)
    assert done.returncode == 3
    server.faults = FaultPlan()
    screen = run_cli("status", "t.csv.journal").stdout
    assert "in doubt" in screen
    assert "For you to judge" not in screen
    done = run_cli("reconcile", "t.csv.journal", *SOON)
    assert done.returncode == 0, done.stderr
    assert "found 3, not found 3" in done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert ["present", "3"] in [line[:2] for line in words]
    assert ["absent", "3"] in [line[:2] for line in words]
    done = run_cli(*offered(done.stdout, "resume"), *SOON)
    assert done.returncode == 0, done.stderr
    assert executed(server) == each_once(60)
    assert "Nothing is left to do." in run_cli("status", "t.csv.journal").stdout


def test_what_is_found_twice_is_for_a_person(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 1)
    server.faults = FaultPlan.script(["close_after"])
    assert run_cli("push", "t.csv", "--key", "id", *QUICK).returncode == 3
    [entry] = server.ledger
    assert entry.ticket_id is not None
    emulator = server.seed(title="somebody's copy", ticket_details=entry.payload["ticket_details"])
    done = run_cli("reconcile", "t.csv.journal", *SOON)
    assert done.returncode == 3
    for screen in (done.stdout, steps(run_cli)):
        assert "k0 (line 2)" in screen
        assert emulator in screen
        assert entry.ticket_id in screen
    assert run_cli("push", "t.csv", "--key", "id", *QUICK).returncode == 3
    assert len(server.ledger) == 1


def test_without_a_reference_a_doubt_is_probable_at_best(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 3)
    server.faults = FaultPlan.script([None, "close_after", "close_before"])
    push = ("push", "t.csv", *QUICK, "--reference", "none", "--max-concurrency", "1")
    assert run_cli(*push).returncode == 3
    assert all("[ref:" not in entry.payload["ticket_details"] for entry in server.ledger)
    done = run_cli("reconcile", "t.csv.journal", *SOON, "--json")
    assert done.returncode == 3
    assert (told(done)["probable"], told(done)["still_open"], told(done)["unknown"]) == (1, 1, 1)
    done = run_cli("push", "t.csv", *QUICK)
    assert done.returncode == 2
    assert "its place is 'none', not 'ticket_details'" in done.stderr


def test_a_field_of_the_tenant_carries_the_reference(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 4)
    server.faults = FaultPlan.script(["close_after"])
    push = ("push", "t.csv", "--key", "id", *QUICK, "--reference", "info.our ref")
    assert run_cli(*push).returncode == 3
    assert [len(entry.payload["info"][0]["our ref"]) for entry in server.ledger] == [20] * 4
    done = run_cli("reconcile", "t.csv.journal", *SOON, "--json")
    assert (done.returncode, told(done)["present"]) == (0, 1)


# --- what may not happen -------------------------------------------------------------------------


def test_a_journal_of_another_push_is_refused(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 3)
    assert run_cli("push", "t.csv").returncode == 0
    for arguments, words in (
        (("--key", "id"), "--key was none, and is 'id'"),
        (("--map", "title=id"), "title came from the column 'title', now 'id'"),
        (("--reference", "none"), "its place is 'ticket_details', not 'none'"),
        (("--base-url", "http://127.0.0.1:9"), "its target is"),
        (("--map", "a.b=id"), "a.b came from the column none, now 'id'"),
    ):
        done = run_cli("push", "t.csv", *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
    assert len(server.ledger) == 3


@pytest.mark.parametrize(
    "command", ["status", "doubts", "reconcile", "resume", "rejects", "resolve"]
)
@pytest.mark.parametrize("commands", [kapture, support])
def test_what_is_no_journal(
    tmp_path: Path, commands: click.Group, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ("--out", "out.csv")
    more = {"rejects": out, "doubts": out, "resolve": ("k", "--absent")}.get(command, ())
    (tmp_path / "text").write_text("not a journal, but a text that is long enough" * 200)
    for name in ("missing", "text", "."):
        result = CliRunner().invoke(commands, [command, name, *more])
        assert isinstance(result.exception, JournalError)
        assert code_of_error(result.exception) == 2
        assert result.exception.message.startswith("the journal ")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


# --- doubts --------------------------------------------------------------------------------------


def test_every_doubt_is_listed(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", 40)
    server.faults = FaultPlan.script(["close_after", "close_before"] * 6)
    assert run_cli("push", "t.csv", "--key", "id", *QUICK).returncode == 3
    server.faults = FaultPlan()
    assert run_cli("doubts", "t.csv.journal", "--out", "d.txt.gz").returncode == 2
    arguments = offered(steps(run_cli), "doubts")
    done = run_cli(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(
        "12 rows to t.csv.doubts.csv: each may or may not be in the helpdesk"
    )
    path = tmp_path / "t.csv.doubts.csv"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="") as file:
        doubts = list(csv.DictReader(file))
    assert {row["state"] for row in doubts} == {"unknown"}
    assert {row["tries"] for row in doubts} == {"1"}
    assert all(row["sent"] == row["sent_last"] and row["sent"].endswith("+00:00") for row in doubts)
    assert all("closed the connection" in row["why"] for row in doubts)
    # Each reference is that of its row, and what was executed is found by it.
    marked = {entry.payload["title"]: entry.payload["ticket_details"] for entry in server.ledger}
    there = [row for row in doubts if f"Ticket {row['key'].removeprefix('k')}" in marked]
    assert len(there) == 6
    for row in there:
        text = marked[f"Ticket {row['key'].removeprefix('k')}"]
        assert text.endswith(f"[ref:{row['reference']}]")
    assert "text " not in path.read_text()
    done = run_cli(*arguments)
    assert done.returncode == 2
    assert "already exists" in done.stderr
    run_cli("reconcile", "t.csv.journal", *SOON)
    done = run_cli("doubts", "t.csv.journal", "--out", "none.jsonl")
    assert (done.returncode, done.stderr) == (0, "no row is in doubt; no file was written\n")
    assert not (tmp_path / "none.jsonl").exists()
    assert "doubts" not in run_cli("status", "t.csv.journal").stdout


def test_ambiguous_rows_are_listed_with_their_tickets(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("id,title\n=1+1,Ticket\n")
    server.faults = FaultPlan.script(["close_after"])
    assert run_cli("push", "t.csv", "--key", "id", *QUICK).returncode == 3
    [entry] = server.ledger
    emulator = server.seed(title="a copy", ticket_details=entry.payload["ticket_details"])
    assert run_cli("reconcile", "t.csv.journal", *SOON).returncode == 3
    assert run_cli("doubts", "t.csv.journal", "--out", "d.jsonl").returncode == 0
    [found] = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert (found["key"], found["line"], found["state"]) == ("=1+1", 2, "ambiguous")
    assert set(found["tickets"].split()) == {emulator, entry.ticket_id}
    assert run_cli("doubts", "t.csv.journal", "--out", "d.csv").returncode == 0
    assert "'=1+1,2,ambiguous," in (tmp_path / "d.csv").read_text()  # no formula


@needs_signals
def test_one_process_pushes_and_another_looks_on(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 400)
    server.latency = 0.3
    process = start_cli("push", "t.csv", "--max-concurrency", "4", "--json")
    wait_for_rows(run_cli, server, 6)
    standing = told(run_cli("status", "t.csv.journal", "--json"))
    while standing["accepted"] < 4:  # they are written soon after their answers
        assert process.poll() is None
        standing = told(run_cli("status", "t.csv.journal", "--json"))
    assert standing["running"]["pid"] == process.pid
    screen = run_cli("status", "t.csv.journal").stdout
    assert f"process {process.pid} on " in screen
    assert "in flight" in screen
    done = run_cli("doubts", "t.csv.journal", "--out", "d.csv")
    assert done.returncode == 2
    assert "another process is using the journal" in done.stderr
    for command in (("push", "t.csv"), ("resume", "t.csv.journal")):
        done = run_cli(*command)
        assert done.returncode == 2
        assert f"process {process.pid} " in done.stderr
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert json.loads(out.splitlines()[-1])["accepted"] == len(server.ledger) < 400
    assert not list(tmp_path.glob("*.report*"))
    server.latency = 0.0
    done = run_cli(*offered(errors, "resume"))
    assert done.returncode == 0, done.stderr
    assert executed(server) == each_once(400)


@needs_signals
def test_interrupted_twice_the_journal_tells_the_truth(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 50)
    server.faults = FaultPlan.script([None, *["silence_after"] * 49])
    process = start_cli("push", "t.csv", "--key", "id", "--max-concurrency", "4")
    wait_for_rows(run_cli, server, 5)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    standing = told(run_cli("status", "t.csv.journal", "--json"))
    assert (standing["unknown"], standing["accepted"], standing["running"]) == (4, 1, None)
    assert offered(errors, "resume") == ["resume", "t.csv.journal", "--until-done"]
    assert len(server.ledger) == 5


@needs_signals
def test_waiting_to_look_can_be_interrupted(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 2)
    server.faults = FaultPlan.script(["close_after"])
    assert run_cli("push", "t.csv").returncode == 3
    before = told(run_cli("status", "t.csv.journal", "--json"))
    process = start_cli("reconcile", "t.csv.journal")
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line[9:].startswith("waiting until ")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert told(run_cli("status", "t.csv.journal", "--json")) == before
    done = run_cli("reconcile", "t.csv.journal", "--settle", "5")
    assert done.returncode == 2
    assert "settle must be 120 seconds or more" in done.stderr


def test_no_secret_and_no_stranger(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", 30)
    server.faults = FaultPlan.script(["close_after", "failed"])
    token = ("--token", "emulator-token", "--header", "x-secret=hidden-value")
    assert run_cli("push", "t.csv", *token).returncode == 3
    files = list(tmp_path.glob("t.csv.journal*"))
    assert files
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        content = path.read_bytes()
        assert b"emulator-token" not in content
        assert b"hidden-value" not in content
    content = (tmp_path / "t.csv.journal").read_bytes()
    assert b"x-secret" in content
    assert content.count(b"text ") == 2  # of the two rows that are not there for sure


# --- resume, rejects -----------------------------------------------------------------------------


def test_resume_without_the_file(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", 8)
    server.faults = FaultPlan.script([None, "close_before", None, None, "close_before"])
    assert run_cli("push", "t.csv", *QUICK, "--max-concurrency", "1").returncode == 3
    server.faults = FaultPlan()
    assert run_cli("reconcile", "t.csv.journal", *SOON).returncode == 0
    (tmp_path / "t.csv").unlink()
    done = run_cli("resume", "t.csv.journal", "--json")
    assert done.returncode == 0, done.stderr
    assert (
        "t.csv: no such file or directory; pushing only the rows that the journal itself holds"
        in done.stderr
    )
    assert told(done)["accepted"] == 2
    assert executed(server) == each_once(8)


def test_resume_with_a_changed_file_and_from_another_folder(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 5)
    (tmp_path / "token").write_text("emulator-token")
    (tmp_path / "token").chmod(0o600)
    hidden = {"KAPTURE_TOKEN": "", "KAPTURE_BASE_URL": ""}
    target = ("--base-url", server.url, "--token-file", "token")
    server.faults = FaultPlan.script(["close_before"] * 5)
    assert run_cli("push", "t.csv", "--key", "id", *QUICK, *target, env=hidden).returncode == 3
    (tmp_path / "else").mkdir()
    journal = str(tmp_path / "t.csv.journal")

    def elsewhere(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_cli(*arguments, env=hidden, folder=tmp_path / "else")

    done = elsewhere("reconcile", journal, *SOON, "--assume-complete", "--json")
    assert (done.returncode, told(done)["absent"]) == (0, 5), done.stderr
    table(tmp_path / "t.csv", 8)
    done = elsewhere("resume", journal, "--json")
    assert done.returncode == 0, done.stderr
    assert "has changed since the last push" in done.stderr
    assert executed(server) == each_once(5)
    done = elsewhere(*offered(done.stderr, "push"))
    assert done.returncode == 0, done.stderr
    assert executed(server) == each_once(8)
    done = elsewhere("resume", journal)
    assert "nothing left to send: 8 of 8 rows in the helpdesk" in done.stderr


@pytest.mark.parametrize("name", ["bad.csv", "bad.jsonl"])
def test_rejected_rows_are_mended_and_pushed_under_their_keys(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, name: str
) -> None:
    rows = [f'k{n},"Ticket {n}","a\nb, ""c""",00{n}' for n in range(6)]
    (tmp_path / "t.csv").write_text("id,S,D,Phone\n" + "\n".join([*rows, "k6,,,7"]) + "\n")
    server.faults = FaultPlan.script(["failed", None, "failed"])
    columns = ("--map", "title=S", "--map", "ticket_details=D", "--map", "info.phone=Phone")
    push = ("push", "t.csv", *columns, "--key", "id", "--max-concurrency", "1")
    done = run_cli(*push)
    assert done.returncode == 4
    assert run_cli("rejects", "t.csv.journal", "--out", "bad.txt.gz").returncode == 2
    arguments = offered(steps(run_cli), "rejects")
    done = run_cli(*arguments[:-1], name)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("3 rows to ")
    assert "no content" not in done.stderr
    path = tmp_path / name
    assert path.stat().st_mode & 0o777 == 0o600
    if name.endswith("csv"):
        with path.open(newline="") as file:
            bad = list(csv.DictReader(file))
        assert [(row["_key"], row["_line"]) for row in bad] == [
            ("k0", "2"),
            ("k2", "6"),
            ("k6", "14"),
        ]
        assert bad[0].pop("_row").startswith("r1.")
        assert bad[0] | {"_reason": ""} == {
            "_key": "k0",
            "_line": "2",
            "_reason": "",
            "_ticket": "",
            "title": "Ticket 0",
            "ticket_details": 'a\nb, "c"',
            "info.phone": "000",
        }
    else:
        bad = [json.loads(line) for line in path.read_text().splitlines()]
        assert bad[1]["info"] == [{"phone": "002"}]
    assert "Something went wrong" in bad[0]["_reason"]
    assert "title is missing" in bad[2]["_reason"]
    assert run_cli("rejects", "t.csv.journal", "--out", name).returncode == 2  # never overwrites
    # Mended by hand, and pushed as the screen says.
    text = path.read_text().replace("Ticket 0", "Mended 0")
    if name.endswith("csv"):
        row = bad[2]["_row"]
        before = f"k6,14,title is missing,,{row},"
        text = text.replace(f"{before},,7", f"{before}Ticket 6,,7")
        assert "Ticket 6" in text, text
    else:
        text = text.replace('"_row": "r7.', '"title": "Ticket 6", "_row": "r7.')
    path.write_text(text)
    again = offered(done.stderr, "push")
    done = run_cli(*again, "--json")
    assert done.returncode == 1, done.stderr  # k2 is as it was
    assert told(done)["journal"]["rejected"] == 1
    assert told(done)["accepted"] == 2
    assert server.ledger.entries[-1].payload["title"] in ("Mended 0", "Ticket 6")
    assert not any("_key" in entry.payload for entry in server.ledger)
    done = run_cli(*push, "--rejected-too", "--json")
    assert executed(server)["Ticket 2"] == 1
    assert executed(server)["Mended 0"] == 1
    assert executed(server)["Ticket 0"] == 0
    assert max(executed(server).values()) == 1


def test_a_journal_without_content(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", 4)
    server.faults = FaultPlan.script(["failed", "close_before"])
    push = ("push", "t.csv", "--key", "id", *QUICK, "--no-payload", "--max-concurrency", "1")
    assert run_cli(*push).returncode == 3
    assert b"text " not in (tmp_path / "t.csv.journal").read_bytes()
    assert run_cli("reconcile", "t.csv.journal", *SOON).returncode == 3  # how long was it?
    trusting = ("reconcile", "t.csv.journal", *SOON, "--assume-complete")
    assert run_cli(*trusting).returncode == 0
    done = run_cli("rejects", "t.csv.journal", "--out", "bad.csv")
    assert "the journal does not hold the content of 1 row" in done.stderr
    (tmp_path / "t.csv").rename(tmp_path / "u.csv")
    done = run_cli("resume", "t.csv.journal")
    assert done.returncode == 2
    assert "does not hold the content of rows" in done.stderr
    (tmp_path / "u.csv").rename(tmp_path / "t.csv")
    assert run_cli("resume", "t.csv.journal", "--rejected-too").returncode == 0
    assert executed(server) == each_once(4)


# --- plan, trial, doctor -------------------------------------------------------------------------


def test_plan_tells_and_sends_nothing(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(
        "id,title,email_id,due_date,Phone\n"
        "a,one,a@example.com,2026-01-31,0987654321\n"
        "b,two {name},nobody,03/04/2026,9.19E+11\n"
        "b,two,b@example.com,45678,98765\n"
        "c,=1+cmd,,31.12.2026,919876543210.0\n"
        "d,,,,\n"
        "e,\x07bell,,soon,n/a\n"
        "f,one,a@example.com,2026-01-31,0987654321\n"
    )
    push = ("t.csv", "--key", "id", "--map", "i.phone=Phone")
    done = run_cli("plan", *push, "--json", "--rate", "2", env={"KAPTURE_BASE_URL": ""})
    assert done.returncode == 2
    plan = told(done)
    assert (plan["rows"], plan["bad"], plan["second_rows"], plan["to_send"]) == (7, 1, 1, 5)
    assert (plan["repeated_keys"], plan["repeated_contents"]) == (1, 1)
    assert plan["estimate_seconds"] == 2.5
    found = {(remark["field"], remark["lines"][0]): remark["words"] for remark in plan["remarks"]}
    for place, words in {
        ("title", 3): "placeholder",
        ("title", 5): "a formula",
        ("title", 7): "control characters",
        ("email_id", 3): "not an e-mail address",
        ("due_date", 3): "day/month",
        ("due_date", 4): "serial number",
        ("due_date", 7): "not a date",
        ("i.phone", 3): "rounded by a spreadsheet",
        ("i.phone", 4): "a leading zero",
        ("i.phone", 5): "ending in .0",
        ("i.phone", 7): "not a phone number",
        (None, 8): "the same content",
    }.items():
        assert words in found[place]
    assert not any(remark["lines"] == [2] for remark in plan["remarks"])
    assert not server.requests
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]

    assert run_cli("push", *push).returncode == 4
    done = run_cli("plan", *push)
    assert "line 6: title is missing" in done.stdout
    assert "already there" in done.stdout
    assert " --trial" not in done.stdout  # nothing is left to send


def test_a_trial_stops_after_one_row(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "title,ticket_details\n,bad\nTicket 0,\nTicket 1,text\nTicket 1,text\nTicket 1,text\n"
    )
    done = run_cli("push", "t.csv", "--trial", input="")
    assert done.returncode == 0, done.stderr
    [entry] = server.ledger
    assert entry.payload["title"] == "Ticket 0"
    assert entry.payload["ticket_details"] in done.stdout
    assert entry.ticket_id is not None
    assert entry.ticket_id in done.stdout
    server.faults = FaultPlan.script(["failed"])
    done = run_cli("push", "t.csv", "--trial", input="")
    assert done.returncode == 1
    assert "Something went wrong" in done.stderr
    done = run_cli("push", "t.csv", "--trial", input="")
    assert done.returncode == 0
    # Equal rows are told apart, also though each trial began with the first row.
    done = run_cli(*offered(done.stderr, "push"), "--rejected-too")
    assert done.returncode == 4, done.stderr  # the bad one
    assert executed(server) == {"Ticket 0": 1, "Ticket 1": 3}
    done = run_cli("push", "t.csv", "--trial", input="")
    assert "no row left that can be sent" in done.stderr
    assert len(server.ledger) == 4


def test_doctor(run_cli: Run, server: KaptureEmulator) -> None:
    done = run_cli("doctor")
    assert done.returncode == 0, done.stderr
    assert "Guarantee: exactly once with proof" in done.stdout
    [entry] = server.ledger
    assert f"close {entry.ticket_id}" in done.stdout
    done = run_cli("doctor", "--reference", "info.ref", "--json")
    assert told(done)["guarantee"] == "exactly once with proof"


# --- the other service ---------------------------------------------------------------------------


def test_the_other_service_goes_on_alike(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a file")
    rows = [f"k{n},Ticket {n},text {n},{'a.txt' if n % 2 else ''}" for n in range(8)]
    text = "\n".join(["id,subject,comment,attachment", *rows, ""])
    (tmp_path / "t.csv").write_text(text)
    support_server.faults = FaultPlan.script([None, "close_after", "close_before", None])
    push = ("push", "t.csv", "--key", "id", *FILL, *QUICK, "--attachments", "files")
    done = run_support(*push, "--max-concurrency", "1")
    assert done.returncode == 3, done.stderr
    done = run_support("reconcile", "t.csv.journal", *SOON, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["present"], found["absent"], found["accepted"]) == (1, 1, 7)
    done = run_support("resume", "t.csv.journal")
    assert done.returncode == 0, done.stderr
    subjects = Counter(entry.payload["subject"] for entry in support_server.ledger)
    assert subjects == each_once(8)
    assert all(
        ("attachment" in entry.payload) == (int(entry.payload["subject"][-1]) % 2 == 1)
        for entry in support_server.ledger
    )
    content = b"".join(path.read_bytes() for path in tmp_path.glob("t.csv.journal*"))
    assert support_server.apikey.encode() not in content
    assert support_server.token.encode() not in content
    assert b"a file" not in content
    assert run_support("push", "t.csv", *push[2:], "--reference", "a.b").returncode == 2
    done = run_support("push", "t.csv", "--key", "id", "--category", "4", *push[6:])
    assert done.returncode == 2
    assert "category was filled in with '3', now '4'" in done.stderr


def test_the_other_service_plan_trial_and_doctor(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("subject,comment\nTicket 0,text\nTicket 1,text\n")
    plan = json.loads(run_support("plan", "t.csv", *FILL, "--json").stdout)
    assert (plan["rows"], plan["bad"]) == (2, 0)
    assert not support_server.requests
    done = run_support("push", "t.csv", *FILL, "--trial", input="")
    assert done.returncode == 0, done.stderr
    [entry] = support_server.ledger
    assert entry.payload["comment"].splitlines()[-1] in done.stdout
    assert "not returned by the service" in done.stdout
    done = run_support("doctor", *FILL)
    assert done.returncode == 0, done.stderr
    assert "Guarantee: exactly once with proof" in done.stdout
    arguments = offered(done.stdout, "close")
    assert run_support(*arguments).returncode == 0
    assert support_server.ledger.of("tickets.set_status")


@pytest.mark.parametrize("module", ["kapture_async", "support_async"])
def test_demo_with_a_journal(run_cli: Run, tmp_path: Path, module: str) -> None:
    command = [sys.executable, "-m", module, "demo", "--tickets", "150"]
    done = subprocess.run(
        [*command, "--journal"], capture_output=True, encoding="utf-8", timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "unresolved doubts: 0, twice: 0, lost: 0" in done.stdout


def test_an_address_that_only_a_file_says_needs_a_word(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 3)
    server.faults = FaultPlan.script([None, "close_after"])
    hidden = {"KAPTURE_BASE_URL": ""}
    target = ("--base-url", server.url)
    push = ("push", "t.csv", "--key", "id", *QUICK, *target)
    assert run_cli(*push, env=hidden).returncode == 3
    # Another user, or another machine: nothing here says that the address is this token's.
    other = hidden | {"KAPTURE_ASYNC_STATE": str(tmp_path / "other")}
    seen = server.requests.total()
    table(tmp_path / "t.csv", 4)
    for command, more in (("reconcile", SOON), ("resume", ())):
        done = run_cli(command, "t.csv.journal", *more, env=other)
        assert done.returncode == 2, (command, done.stderr)
        assert f"the journal is of a push to {server.url}, but not from this machine" in done.stderr
        assert f"add --base-url {server.url}" in done.stderr
    assert server.requests.total() == seen
    done = run_cli("reconcile", "t.csv.journal", *SOON, *target, env=other)
    assert done.returncode == 0, done.stderr
    # The one who pushed needs not say it again; neither does an environment that says the same.
    assert run_cli("reconcile", "t.csv.journal", *SOON, env=hidden).returncode == 0
    said = other | {"KAPTURE_BASE_URL": server.url}
    assert run_cli("resume", "t.csv.journal", env=said).returncode == 0
    assert executed(server) == each_once(3)


def test_an_environment_that_says_another_address_wins_over_a_foreign_journal(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 2)
    assert run_cli("push", "t.csv", "--key", "id", *QUICK).returncode == 0
    table(tmp_path / "t.csv", 3)
    other = {
        "KAPTURE_ASYNC_STATE": str(tmp_path / "other"),
        "KAPTURE_BASE_URL": "http://127.0.0.1:9",
    }
    done = run_cli("resume", "t.csv.journal", env=other)
    assert done.returncode == 2
    assert "it belongs to another push: its target is" in done.stderr
    assert executed(server) == each_once(2)
