"""Updates and customers from a file, and the word of a person, as processes."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator

from .test_journal import QUICK, SOON, offered, steps, table, told

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MAP = ("--map", "ticket_id=Ticket", "--map", "comment=comment")
ONE = ("--max-concurrency", "1")


@pytest.fixture
def ids(server: KaptureEmulator, tmp_path: Path) -> list[str]:
    ids = [server.seed(title=f"t{number}") for number in range(4)]
    lines = ["Ticket,comment", *(f"{one},Done {one}" for one in ids), f"{ids[0]},again"]
    (tmp_path / "c.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return ids


def updated(server: KaptureEmulator) -> Counter[str]:
    return Counter(entry.ticket_id for entry in server.ledger.of("tickets.update"))


def test_update_many(run_cli: Run, server: KaptureEmulator, ids: list[str], tmp_path: Path) -> None:
    update = ("update-many", "c.csv", *MAP)
    done = run_cli(*update)
    assert done.returncode == 2
    assert "set --sub-status for all rows" in done.stderr
    update += ("--sub-status", "CL")
    done = run_cli(*update, "--check", "--json")
    assert (told(done)["rows"], told(done)["repeated_keys"], len(server.ledger)) == (5, 1, 0)
    server.faults = FaultPlan.script([None, "close_after", "close_before", "failed"])
    done = run_cli(*update, *QUICK, *ONE)
    assert done.returncode == 3, done.stderr
    assert "its key stood in an earlier row" in done.stdout
    server.faults = FaultPlan()
    status = steps(run_cli, "c.csv.journal")
    assert "kapture tickets.update to http://" in status
    for other in (("push", "c.csv", "--map", "title=Ticket"), ("push-customers", "c.csv")):
        done = run_cli(*other)
        assert done.returncode == 2
        assert "is of tickets.update, and this is" in done.stderr
    done = run_cli(*offered(status, "reconcile"), *SOON, "--json")
    assert (done.returncode, told(done)["present"], told(done)["absent"]) == (0, 1, 1), done.stderr
    done = run_cli("rejects", "c.csv.journal", "--out", "bad.csv")
    bad = (tmp_path / "bad.csv").read_text().splitlines()
    assert bad[0] == "_key,_line,_reason,_ticket,_row,ticket_id,sub_status,comment"
    assert bad[1].endswith(f",{ids[3]},CL,Done {ids[3]}")
    # The second update of a ticket is another row, once it has a key of its own.
    assert "stood in an earlier row (line 2), with other content" in bad[2]
    assert bad[2].startswith(f"{ids[0]},6,")
    bad[2] = f"{ids[0]}-b{bad[2].removeprefix(ids[0])}"
    (tmp_path / "bad.csv").write_text("\n".join(bad).replace("Done", "Mended") + "\n")
    done = run_cli(*offered(done.stderr, "update-many"), "--json")
    assert (done.returncode, told(done)["accepted"]) == (0, 2), done.stderr
    done = run_cli("resume", "c.csv.journal", "--json")
    journal = told(done)["journal"]
    assert (journal["accepted"], journal["rows"], journal["replaced"]) == (5, 5, 1), done.stderr
    assert done.returncode == 0, done.stderr
    assert updated(server) == dict.fromkeys(ids, 1) | {ids[0]: 2}
    ticket = server.ticket(ids[3])
    assert ticket is not None
    assert ticket.notes[0].startswith(f"Mended {ids[3]}\n[ref:")


def test_update_many_on_trial_without_a_journal_and_from_a_pipe(
    run_cli: Run, server: KaptureEmulator, ids: list[str]
) -> None:
    update = (*MAP, "--sub-status", "CL")
    done = run_cli("update-many", "c.csv", *update, "--trial", input="")
    assert done.returncode == 0, done.stderr
    (entry,) = server.ledger
    assert entry.payload["comment"].splitlines()[-1] in done.stdout
    assert "Status and Comment have been updated." in done.stdout
    done = run_cli("update-many", "c.csv", *update, "--no-journal", "--no-report", "--json")
    assert done.returncode == 4  # the ticket that comes twice
    assert updated(server) == {ids[0]: 2, **dict.fromkeys(ids[1:], 1)}
    rows = "".join(json.dumps({"ticket_id": one, "comment": None}) + "\n" for one in ids)
    pipe = ("update-many", "-", "--format", "jsonl", "--sub-status", "RS", "--comment", "From all")
    done = run_cli(*pipe, "--journal", "p.journal", "--json", input=rows)
    assert (done.returncode, told(done)["accepted"]) == (0, 4), done.stderr
    assert server.ledger.entries[-1].payload["comment"].startswith("From all\n[ref:")


def test_the_word_of_a_person(run_cli: Run, server: KaptureEmulator, ids: list[str]) -> None:
    update = ("update-many", "c.csv", "--map", "ticket_id=Ticket", "--sub-status", "CL")
    server.faults = FaultPlan.script(["close_after", "close_before", "close_before"])
    assert run_cli(*update, *QUICK, *ONE).returncode == 3
    server.faults = FaultPlan()
    done = run_cli("reconcile", "c.csv.journal", *SOON)
    assert done.returncode == 3
    assert "not found, which proves nothing here" in done.stdout
    status = steps(run_cli, "c.csv.journal")
    assert offered(status, "resolve")[:3] == ["resolve", "c.csv.journal", "--from"]
    arguments = ["resolve", "c.csv.journal", "--present", "TICKET_ID", ids[0]]
    for wrong in (
        ("resolve", "c.csv.journal", "--absent"),
        ("resolve", "c.csv.journal", ids[0]),
        ("resolve", "c.csv.journal", ids[0], ids[1], "--present", "1"),
        ("resolve", "c.csv.journal", "nobody", "--absent"),
        ("resolve", "missing.journal", ids[0], "--absent"),
    ):
        assert run_cli(*wrong).returncode == 2, wrong
    done = run_cli(*[ids[0] if word == "TICKET_ID" else word for word in arguments])
    assert done.returncode == 0
    assert f"{ids[0]} (line 2): present, as {ids[0]}" in done.stderr
    done = run_cli("resolve", "c.csv.journal", *ids[1:3], "--absent")
    assert done.returncode == 0, done.stderr
    assert "marked absent by you" in run_cli("status", "c.csv.journal").stdout
    run_cli(*offered(done.stderr, "resume"))
    assert updated(server) == dict.fromkeys(ids, 1)


def test_the_word_of_a_person_on_a_row_without_a_key(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 1)
    server.faults = FaultPlan.script(["close_after"])
    assert run_cli("push", "t.csv", *QUICK, "--reference", "none").returncode == 3
    assert run_cli("reconcile", "t.csv.journal", *SOON).returncode == 3
    (entry,) = server.ledger
    arguments = offered(run_cli("status", "t.csv.journal").stdout, "resolve")
    assert arguments == [
        *("resolve", "t.csv.journal", "--present", entry.ticket_id),
        *("--line", "2"),
    ]
    assert run_cli(*arguments).returncode == 0
    assert "Nothing is left to do." in run_cli("status", "t.csv.journal").stdout


def test_what_was_found_before_a_look_failed_is_told(
    run_cli: Run, server: KaptureEmulator, ids: list[str]
) -> None:
    server.faults = FaultPlan.script(["close_after", "close_before"])
    update = ("update-many", "c.csv", *MAP, "--sub-status", "CL", *QUICK, *ONE)
    assert run_cli(*update).returncode == 3
    silent: list[Any] = [None, *["garbage"] * 40]
    server.faults = FaultPlan.script(silent, only="tickets.get")
    done = run_cli("reconcile", "c.csv.journal", *SOON)
    assert done.returncode == 3
    assert done.stderr.count("a lookup failed and will be retried") == 2
    words = [line.split()[:2] for line in done.stderr.splitlines()]
    assert ["present", "1"] in words
    assert ["error:", "kapture"] in words


def test_push_customers(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "code,customer_name,phone,Mail,remarks,tier\n"
        "1,A,0901,a@example.com,,gold\n2,B,,,,\n3,C,0903,,Likes tea.,\n4,D,0904,,,\n"
    )
    push = ("push-customers", "p.csv", "--key", "code", "--map", "customer_name=customer_name")
    push += ("--map", "phone=phone", "--map", "email_id=Mail", "--map", "remarks=remarks")
    push += ("--map", "associate_fields.tier=tier", *QUICK, *ONE)
    done = run_cli(*push, "--check")
    assert "line 3: a customer needs a phone or an email_id" in done.stdout
    server.faults = FaultPlan.script(["close_after", "close_before", "failed"])
    assert run_cli(*push).returncode == 3
    server.faults = FaultPlan()
    done = run_cli("reconcile", "p.csv.journal", *SOON, "--json")
    assert (told(done)["present"], told(done)["absent"]) == (1, 1), done.stderr
    done = run_cli("rejects", "p.csv.journal", "--out", "bad.jsonl")
    done = run_cli(*offered(done.stderr, "push-customers"), "--rejected-too", "--json")
    done = run_cli("resume", "p.csv.journal", "--json")
    assert told(done)["journal"]["accepted"] == 3, done.stderr
    infos = [entry.payload["customer_info"] for entry in server.ledger.of("customers.add")]
    assert Counter(info["customer_name"] for info in infos) == {"A": 1, "C": 1, "D": 1}
    by_name = {info["customer_name"]: info for info in infos}
    assert by_name["A"]["phone"] == "0901"
    assert by_name["A"]["associate_fields"] == {"tier": "gold"}
    assert by_name["C"]["remarks"].startswith("Likes tea.\n[ref:")


def test_doctor_with_a_long_text(run_cli: Run, server: KaptureEmulator) -> None:
    done = run_cli("doctor", "--long", "3000", "--json")
    assert done.returncode == 0, done.stderr
    assert "with a text of 3,000 characters" in told(done)["why"]
    (entry,) = server.ledger
    assert len(entry.payload["ticket_details"]) > 3000
