"""Repeated keys, changed keys, and the books after rejected rows were mended: on the screen."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
KEYED = ("push", "t.csv", "--key", "id", "--max-concurrency", "1")


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def executed(server: KaptureEmulator) -> list[str]:
    return sorted(entry.payload["title"] for entry in server.ledger)


def rejects(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def put(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def check_closed(run_cli: Run, rows: int) -> None:
    """Nothing is open: so says every screen, and every program is told."""
    done = run_cli("resume", "t.csv.journal")
    assert done.returncode == 0, done.stdout + done.stderr
    status = run_cli("status", "t.csv.journal")
    assert f"in the helpdesk  {rows}  100 % all of them" in status.stdout
    assert "Nothing is left to do." in status.stdout
    said = told(run_cli("status", "t.csv.journal", "--json"))
    assert (said["rows"], said["accepted"], said["sendable"]) == (rows, rows, 0)
    assert "no rows to fix" in run_cli("rejects", "t.csv.journal", "--out", "no.csv").stderr


# --- two rows under one key ----------------------------------------------------------------------


def test_two_rows_under_one_key(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,title\n1,first\n1,another\n2,x\n1,first\n")
    plan = run_cli("plan", "t.csv", "--key", "id")
    assert plan.returncode == 1
    assert "line 3 has the key of line 2, with other content" in plan.stdout
    said = told(run_cli("plan", "t.csv", "--key", "id", "--json"))
    assert (said["rows"], said["to_send"], said["second_rows"]) == (4, 2, 1)
    assert said["second_row_lines"] == [[2, 3]]
    done = run_cli(*KEYED)
    assert done.returncode == 4, done.stderr
    assert "line 3: its key stood in an earlier row (line 2), with other content" in done.stdout
    assert "1 row repeated with the same key and content" in done.stderr
    assert executed(server) == ["first", "x"]
    status = run_cli("status", "t.csv.journal")
    assert "Nothing is left" not in status.stdout
    assert "not there        1  1 cannot be sent as it is" in status.stdout
    said = told(run_cli("plan", "t.csv", "--key", "id", "--json"))
    assert (said["to_send"], said["journal"]["accepted"]) == (0, 2)
    run_cli("rejects", "t.csv.journal", "--out", "r.csv")
    [row] = rejects(tmp_path / "r.csv")
    assert (row["_key"], row["_line"], row["title"]) == ("1", "3", "another")
    # Given a key of its own in the file, it is sent, and all is well.
    (tmp_path / "t.csv").write_text("id,title\n1,first\n1b,another\n2,x\n1,first\n")
    assert run_cli(*KEYED).returncode == 0
    assert executed(server) == ["another", "first", "x"]
    check_closed(run_cli, 3)


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_a_second_row_gets_its_own_key_among_the_rejects(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, name: str
) -> None:
    (tmp_path / "t.csv").write_text("id,title\n1,first\n1,another\n")
    assert run_cli(*KEYED).returncode == 4
    run_cli("rejects", "t.csv.journal", "--out", name)
    rows = rejects(tmp_path / name)
    rows[0] |= {"_key": "1b", "title": "mended"}
    put(tmp_path / name, rows)
    assert run_cli("push", name, "--key", "_key", "--journal", "t.csv.journal").returncode == 0
    assert executed(server) == ["first", "mended"]
    check_closed(run_cli, 2)


def test_changed_rows_are_told(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,title\n1,first\n2,x\n")
    assert run_cli(*KEYED).returncode == 0
    (tmp_path / "t.csv").write_text("id,title\n1,second\n2,x\n")
    plan = run_cli("plan", "t.csv", "--key", "id")
    assert (plan.returncode, "changed since" in plan.stdout) == (1, True)
    done = run_cli(*KEYED, "--json")
    assert (done.returncode, told(done)["rejected"]) == (1, 1)
    status = run_cli("status", "t.csv.journal").stdout
    assert "Nothing is left to send. 1 row changed since" in status
    assert told(run_cli("status", "t.csv.journal", "--json"))["changed"] == 1
    assert executed(server) == ["first", "x"]


# --- changed keys --------------------------------------------------------------------------------


def test_keys_that_a_spreadsheet_changed(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table = "id,title\n" + "".join(f"{n:04},t{n}\n" for n in range(30))
    (tmp_path / "t.csv").write_text(table)
    assert run_cli(*KEYED).returncode == 0
    (tmp_path / "t.csv").write_text(table.replace("\n000", "\n").replace("\n00", "\n"))
    plan = run_cli("plan", "t.csv", "--key", "id", "--json")
    assert (plan.returncode, told(plan)["respelled_keys"], told(plan)["to_send"]) == (1, 30, 0)
    done = run_cli(*KEYED)
    assert done.returncode == 1
    assert "a variant spelling of an earlier key" in done.stdout
    assert len(server.ledger) == 30
    plan = run_cli("plan", "t.csv", "--key", "id", "--keys-exact", "--json")
    assert (plan.returncode, told(plan)["to_send"]) == (0, 30)
    assert run_cli(*KEYED, "--keys-exact").returncode == 0
    assert len(server.ledger) == 60


def test_many_new_keys_have_to_be_confirmed(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("id,title\n" + "".join(f"a{n},t{n}\n" for n in range(60)))
    assert run_cli(*KEYED).returncode == 0
    (tmp_path / "t.csv").write_text("id,title\n" + "".join(f"b{n},t{n}\n" for n in range(60)))
    plan = run_cli("plan", "t.csv", "--key", "id", "--json")
    assert (plan.returncode, told(plan)["would_stop"], told(plan)["to_send"]) == (1, True, 0)
    done = run_cli(*KEYED)
    assert done.returncode == 6, done.stderr
    assert "60 of the first 60 such rows" in done.stderr
    assert "--new-keys" in done.stderr
    assert len(server.ledger) == 60
    assert run_cli(*KEYED, "--new-keys").returncode == 0
    assert len(server.ledger) == 120


# --- the books close -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
@pytest.mark.parametrize("keys", [("--key", "id"), ()])
def test_the_books_close_after_mending(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, name: str, keys: tuple[str, ...]
) -> None:
    raw = b'id,title,ticket_details\n1,one,a\n2,"t"wo,b\n3,th\xffree,c\n4\n5,,e\n6,six,f\n'
    (tmp_path / "t.csv").write_bytes(raw)
    server.faults = FaultPlan.script(["failed"])
    assert run_cli("push", "t.csv", *keys, "--max-concurrency", "1").returncode == 4
    assert executed(server) == ["six"]
    done = run_cli("rejects", "t.csv.journal", "--out", name)
    assert "no content" not in done.stderr
    assert "2 rows could not be parsed" in done.stderr
    rows = rejects(tmp_path / name)
    found = {row["_line"] and int(row["_line"]): row for row in rows}
    assert found[3]["_raw"] == '2,"t"wo,b'
    assert found[4]["title"] == "th\ufffdree"
    assert found[5]["_raw"] == "4"
    assert found[6]["ticket_details"] == "e"
    for line, title in {2: "one!", 3: "two", 4: "three", 5: "four", 6: "five"}.items():
        found[line]["title"] = title
        if keys:
            found[line]["_key"] = str(line - 1)
    put(tmp_path / name, rows)
    done = run_cli("push", name, "--key", "_key", "--journal", "t.csv.journal")
    assert done.returncode == 0, done.stdout + done.stderr
    assert executed(server) == ["five", "four", "one!", "six", "three", "two"]
    check_closed(run_cli, 6)
    assert len(server.ledger) == 6


@pytest.mark.parametrize("keys", [("--key", "id"), ()])
def test_the_books_close_after_the_file_itself_was_mended(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    (tmp_path / "t.csv").write_bytes(b'id,title\n1,one\n2,"t"wo\n3,three\n4,four\n5,\xff\n')
    assert run_cli("push", "t.csv", *keys).returncode == 4
    (tmp_path / "t.csv").write_bytes(b"id,title\n1,one\n2,two\n3,three\n4,four\n5,five\n")
    assert run_cli("push", "t.csv", *keys).returncode == 0
    check_closed(run_cli, 5)


def test_another_days_file_closes_no_books(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("id,title\n1,one\n2,\n")
    assert run_cli("push", "t.csv").returncode == 4
    (tmp_path / "t.csv").write_text("id,title\n3,three\n4,four\n")
    assert run_cli("push", "t.csv").returncode == 0
    said = told(run_cli("status", "t.csv.journal", "--json"))
    assert (said["accepted"], said["not_sent"]) == (3, 1)


def test_rejects_of_another_journal_take_nobodys_place(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    for name in ("t", "u"):
        (tmp_path / f"{name}.csv").write_text(f"id,title\n1,{name}\n2,\n")
        assert run_cli("push", f"{name}.csv").returncode == 4
    run_cli("rejects", "t.csv.journal", "--out", "r.csv")
    rows = rejects(tmp_path / "r.csv")
    rows[0]["title"] = "two"
    put(tmp_path / "r.csv", rows)
    done = run_cli("push", "r.csv", "--key", "_key", "--journal", "u.csv.journal")
    assert done.returncode == 4
    assert "its _row names no row of this journal" in done.stdout
    said = told(run_cli("status", "u.csv.journal", "--json"))
    assert (said["accepted"], said["not_sent"], said["replaced"]) == (1, 2, 0)
