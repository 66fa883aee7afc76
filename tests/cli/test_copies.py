"""Older copies of a journal, and other journals of the same rows, from the command line."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

from kapture_async.testing import KaptureEmulator

from .conftest import Run


def table(path: Path, count: int) -> None:
    lines = ["id,title", *(f"k{n},t{n}" for n in range(count))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def executed(server: KaptureEmulator) -> Counter[str]:
    return Counter(entry.payload["title"] for entry in server.ledger.of("tickets.add"))


def each_once(count: int) -> Counter[str]:
    return Counter(f"t{n}" for n in range(count))


def test_an_older_copy(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    file, journal = tmp_path / "t.csv", tmp_path / "t.csv.journal"
    table(file, 3)
    assert run_cli("push", "t.csv", "--key", "id").returncode == 0
    shutil.copy(journal, tmp_path / "backup")
    table(file, 6)
    assert run_cli("push", "t.csv", "--key", "id").returncode == 0
    told = run_cli("status", "t.csv.journal").stdout
    assert "older copy" not in told
    assert json.loads(run_cli("status", "t.csv.journal", "--json").stdout)["older_copy"] is False
    shutil.copy(tmp_path / "backup", journal)
    told = " ".join(run_cli("status", "t.csv.journal").stdout.split())
    assert "an older copy: it does not know all that was sent" in told
    told = " ".join(run_cli("status", "t.csv.journal", "--verbose").stdout.split())
    assert "This is an older copy" in told
    assert "has seen 6 rows, not 3" in told
    assert json.loads(run_cli("status", "t.csv.journal", "--json").stdout)["older_copy"] is True
    table(file, 8)
    done = run_cli("push", "t.csv", "--key", "id")
    assert done.returncode == 0, done.stderr
    assert "older copy" in done.stderr
    assert executed(server) == each_once(8)
    told = run_cli("status", "t.csv.journal", "--verbose").stdout
    assert "This is an older copy" in told  # it goes on looking rows up
    assert "has seen" not in told
    again = run_cli("resume", "t.csv.journal", "--restored")
    assert again.returncode == 0, again.stderr
    assert executed(server) == each_once(8)


def test_the_same_rows_under_another_name(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 5)
    assert run_cli("push", "t.csv", "--key", "id").returncode == 0
    shutil.copy(tmp_path / "t.csv", tmp_path / "u.csv")
    done = run_cli("push", "u.csv", "--key", "id")
    assert done.returncode == 6
    assert "t.csv.journal" in done.stderr
    assert "--new-journal" in done.stderr
    assert executed(server) == each_once(5)
    assert f"status {tmp_path / 't.csv.journal'}\n" in done.stderr  # nothing that sends them twice
    others = run_cli("status", "u.csv", "--verbose").stdout
    assert "--new-journal" not in others
    assert run_cli("resume", "u.csv.journal", "--new-journal", "--until-done").returncode == 0
    assert executed(server) == each_once(5) + each_once(5)


def test_a_damaged_journal_says_what_a_copy_costs(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 5)
    journal = tmp_path / "t.csv.journal"
    assert run_cli("push", "t.csv", "--key", "id").returncode == 0
    raw = bytearray(journal.read_bytes())
    raw[5000] ^= 4
    journal.write_bytes(raw)
    for command in (
        ("push", "t.csv", "--key", "id"),
        ("status", "t.csv.journal"),
        ("doubts", "t.csv.journal", "--out", "d.csv"),
        ("rejects", "t.csv.journal", "--out", "r.csv"),
        ("reconcile", "t.csv.journal"),
        ("resume", "t.csv.journal"),
    ):
        done = run_cli(*command)
        assert done.returncode == 2, (command, done.stderr)
        assert "damaged" in done.stderr
        assert "--restored" in done.stderr
        assert "Traceback" not in done.stderr
    assert executed(server) == each_once(5)


def test_options_that_need_a_journal(run_cli: Run, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", 1)
    for option in ("--restored", "--new-journal"):
        done = run_cli("push", "t.csv", "--no-journal", option)
        assert done.returncode == 2
        assert option in done.stderr
