"""``kapture-async push``: a real process, a real server, and the ledger to hold it against."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import FaultPlan, KaptureEmulator

from ..weather import HASTY

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
PIECES = ('"quoted"', "line\nbreak", "cr\r\nlf", "ज़रूरी", "😀", "a,b;c\td", "=1+1", "'", "  ", "\\")

needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")


def write_csv(path: Path, rows: list[dict[str, str]], **options: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def numbered(path: Path, number: int) -> Path:
    return write_csv(path, [{"id": f"r{n}", "title": f"Ticket {n}"} for n in range(number)])


def read_report(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def last_json(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


MARK = re.compile(r"\[ref:[a-z2-7]{20}\]")


def split_mark(text: str) -> tuple[str, str]:
    """A pushed text, and the reference on its last line."""
    mark = text[text.rindex("[ref:") :]
    return text.removesuffix(mark).removesuffix("\n"), mark


def titles(server: KaptureEmulator) -> list[str]:
    return [entry.payload["title"] for entry in server.ledger]


def test_what_arrives_is_what_stands_in_the_file(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    dice = random.Random(7)
    rows = [
        {
            "Subject": f"{n} " + "".join(dice.choices(PIECES, k=3)),
            "Body": "".join(dice.choices(PIECES, k=dice.randint(0, 30))),
            "Phone": f"00{n}",
            "Not sent": "x",
        }
        for n in range(300)
    ]
    path = write_csv(tmp_path / "t.csv", rows)
    done = run_cli(
        *("push", str(path), "--map", "title=Subject", "--map", "ticket_details=Body"),
        *("--map", "info.phone no.=Phone", "--key", "Phone", "--json", "--report", "out.csv"),
    )
    assert done.returncode == 0, done.stderr
    assert "not sending columns: 'Not sent'" in done.stderr
    summary = last_json(done.stdout)
    assert summary.pop("seconds") > 0
    assert summary.pop("journal")["accepted"] == 300
    assert summary.pop("earlier") == {}
    assert summary.pop("stopped") is None
    assert summary == {"rows": 300, "accepted": 300, "rejected": 0, "not_sent": 0, "unknown": 0}
    sent = {entry.payload["info"][0]["phone no."]: entry for entry in server.ledger}
    assert len(server.ledger) == len(sent) == 300
    for row in rows:
        expected: dict[str, Any] = {"title": row["Subject"], "info": [{"phone no.": row["Phone"]}]}
        if row["Body"]:
            expected["ticket_details"] = row["Body"]
        payload = dict(sent[row["Phone"]].payload)
        payload["ticket_details"], mark = split_mark(payload["ticket_details"])
        assert MARK.fullmatch(mark)
        if not row["Body"]:
            del payload["ticket_details"]
        assert payload == expected
    report = read_report(tmp_path / "out.csv")
    assert {line["key"]: line["ticket_id"] for line in report} == {
        key: entry.ticket_id for key, entry in sent.items()
    }
    assert all(line["outcome"] == "accepted" and not line["reason"] for line in report)
    if os.name == "posix":
        assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("named", [True, False])
def test_a_report_for_excel(run_cli: Run, tmp_path: Path, named: bool) -> None:
    (tmp_path / "t.csv").write_text("title;id\none;é1\n", encoding="utf-8")
    where = ["--report", "r.csv"] if named else []
    done = run_cli("push", "t.csv", "--no-journal", "--key", "id", "--excel", *where)
    assert done.returncode == 0, done.stderr
    path = tmp_path / ("r.csv" if named else "t.report.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfkey,outcome,")
    assert "\né1,accepted," in path.read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("more", [[], ["--no-journal", "--no-report"]])
def test_excel_needs_a_report(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, more: list[str]
) -> None:
    (tmp_path / "t.csv").write_text("title\none\n")
    done = run_cli("push", "t.csv", "--excel", *more)
    assert done.returncode == 2
    assert "--excel is for the report" in done.stderr
    assert not server.ledger.entries


def test_a_bad_row_is_named_and_stops_no_other(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'title;x\n"two\nlines";1\n\n;1\nshort\nb\xe4d;1\n"a "b";1\nlast;1\n')
    done = run_cli("push", str(path), "--report", "out.csv", "--json")
    assert done.returncode == 4, done.stderr
    assert sorted(titles(server)) == ["last", "two\nlines"]
    found = {
        line["key"]: (line["outcome"], line["reason"].split(". ")[0])
        for line in read_report(tmp_path / "out.csv")
    }
    assert found["2"][0] == found["9"][0] == "accepted"
    assert found["5"] == ("not_sent", "line 5: title is missing")
    assert found["6"] == ("not_sent", "line 6: has 1 cell where the header has 2")
    assert found["7"][1].startswith("line 7: 'title' holds")
    assert found["8"][1].startswith("line 8: cannot be read as CSV")
    assert last_json(done.stdout)["not_sent"] == 4


def test_check_sends_nothing(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text('title,x\nok,1\n ,1\n"open,1\n', encoding="utf-8")
    no_target = {"KAPTURE_BASE_URL": "", "KAPTURE_TOKEN": ""}
    done = run_cli("push", "bad.csv", "--check", env=no_target)
    assert done.returncode == 2
    lines = [line.strip() for line in done.stdout.splitlines()]
    first = lines.index("line 3: title is blank")
    assert lines[first + 1] == "line 4: cannot be read as CSV (a quote is opened and never closed)"
    assert "Plan for bad.csv; nothing is sent" in lines
    numbered(tmp_path / "good.csv", 3)
    done = run_cli("push", "good.csv", "--check", "--json", env=no_target)
    assert done.returncode == 0
    told = last_json(done.stdout)
    assert (told["rows"], told["bad"], told["to_send"], told["remarks"]) == (3, 0, 3, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "good.csv"]
    assert not server.requests


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ([None, "failed", None], 1),
        (["status;status=500", "failed", None], 3),
        ([None, None, None], 0),
    ],
)
def test_exit_codes(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, rule: list[Any], code: int
) -> None:
    server.faults = FaultPlan.script(rule)
    numbered(tmp_path / "t.csv", 3)
    done = run_cli("push", "t.csv", "--max-concurrency", "1", "--json")
    assert done.returncode == code, done.stderr
    summary = last_json(done.stdout)
    assert sum(summary[name] for name in ("accepted", "rejected", "not_sent", "unknown")) == 3


def test_no_outcome_contradicts_the_ledger(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    server.faults = FaultPlan.rate(0.2, seed=3, kinds=HASTY)
    numbered(tmp_path / "t.csv", 300)
    done = run_cli("push", "t.csv", "--key", "id", "--timeout", "1", "--report", "out.csv")
    assert done.returncode == 3, done.stderr
    executed = Counter(title.replace("Ticket ", "r") for title in titles(server))
    report = read_report(tmp_path / "out.csv")
    assert Counter(line["key"] for line in report) == Counter(f"r{n}" for n in range(300))
    for line in report:
        if line["outcome"] != "unknown":
            assert executed[line["key"]] == (line["outcome"] == "accepted"), line
    assert max(executed.values()) == 1


@needs_signals
def test_interrupted_once_finishes_what_is_in_flight(
    run_cli: Run, start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    server.latency = 0.2
    numbered(tmp_path / "t.csv", 400)
    process = start_cli(
        "push", "t.csv", "--no-journal", "--max-concurrency", "4", "--report", "out.csv", "--json"
    )
    assert server.ledger.wait_for(6, timeout=60)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted: requests in flight have finished" in errors
    assert "was not read to its end" in errors
    report = read_report(tmp_path / "out.csv")
    accepted = [line for line in report if line["outcome"] == "accepted"]
    assert len(accepted) == len(server.ledger) < 400
    assert all(line["outcome"] == "not_sent" for line in report if line not in accepted)
    assert last_json(out)["rows"] == len(report) < 400
    assert "the input was not read to its end" in errors


@needs_signals
def test_interrupted_twice_cuts_off_and_still_reports(
    start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    server.faults = FaultPlan.script([None, *["silence_after"] * 49])
    numbered(tmp_path / "t.csv", 50)
    process = start_cli(
        "push", "t.csv", "--no-journal", "--max-concurrency", "4", "--report", "out.csv", "--json"
    )
    assert server.ledger.wait_for(5, timeout=60)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    outcomes = Counter(line["outcome"] for line in read_report(tmp_path / "out.csv"))
    assert (outcomes["accepted"], outcomes["unknown"]) == (1, 4)
    summary = last_json(out)
    assert (summary["unknown"], summary["rows"]) == (4, outcomes.total())


@needs_signals
def test_a_killed_push_has_reported_what_it_knew(
    start_cli: Start, server: KaptureEmulator, tmp_path: Path
) -> None:
    server.faults = FaultPlan.script([None, None, *["silence_before"] * 100])
    numbered(tmp_path / "t.csv", 50)
    process = start_cli(
        "push", "t.csv", "--no-journal", "--max-concurrency", "1", "--report", "out.csv"
    )
    path = "/add-ticket-from-other-source.html/v.2.0"
    while server.requests[path] < 3:
        assert process.poll() is None
    process.kill()
    process.communicate()
    # The third was sent after the outcome of the second had come.
    assert [line["outcome"] for line in read_report(tmp_path / "out.csv")][:1] == ["accepted"]


def test_a_server_that_is_not_there(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    server.stop_listening()
    numbered(tmp_path / "t.csv", 300)
    done = run_cli("push", "t.csv", "--no-journal", "--report", "out.csv", "--json")
    assert done.returncode == 4, done.stderr
    assert "the server could not be reached for the first 10 rows" in done.stderr
    assert "Traceback" not in done.stderr
    report = read_report(tmp_path / "out.csv")
    assert 0 < len(report) < 300
    assert {line["outcome"] for line in report} == {"not_sent"}


def test_a_tab_as_it_can_be_typed(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "t.data").write_text("title\tx;y;z\na\tb\n", encoding="utf-8")
    done = run_cli("push", "t.data", "--format", "csv", "--delimiter", "\\t")
    assert done.returncode == 0, done.stderr
    assert titles(server) == ["a"]


def test_standard_input(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    lines = '{"subject": "a", "phone": "007"}\n{"subject": "b"}\nnonsense\n'
    done = run_cli(
        *("push", "-", "--format", "jsonl", "--map", "title=subject", "--json"), input=lines
    )
    assert done.returncode == 4, done.stderr
    payloads = sorted((entry.payload for entry in server.ledger), key=lambda p: p["title"])
    assert payloads == [{"title": "a"}, {"title": "b"}]
    assert "not sending columns: 'phone'" in done.stderr
    assert "a pipe has no place for one" in done.stderr
    assert last_json(done.stdout)["accepted"] == 2
    [bad] = [line for line in read_report(tmp_path / "stdin.report.csv") if not line["ticket_id"]]
    assert bad["reason"].startswith("line 3: not JSON")


@needs_signals
def test_a_pipe_that_never_ends_can_be_interrupted(
    start_cli: Start, server: KaptureEmulator
) -> None:
    process = start_cli("push", "-", "--format", "csv", "--json", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("title\nfirst\n")
    process.stdin.flush()
    assert server.ledger.wait_for(1, timeout=60)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130  # with its standard input still open
    out, errors = process.communicate()
    assert last_json(out)["accepted"] == 1
    assert "the input was not read to its end" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "missing.csv: No such file"),
        (["t.csv", "--map", "title=Nope"], "no column 'Nope'"),
        (["t.csv", "--map", "title"], "is not NAME=VALUE"),
        (["t.csv", "--map", "title=id", "--map", "title=title"], "given twice"),
        (["t.csv", "--extra", "x=id"], "No such option"),
        (["t.csv", "--sheet", "x"], "--sheet is for spreadsheets"),
        (["t.csv", "--date-format", "%d/%m/%Y"], "is not NAME=VALUE"),
        (["t.csv", "--delimiter", "::"], "one character"),
        (["t.csv", "--encoding", "nonsense"], "no encoding 'nonsense'"),
        (["t.csv", "--max-concurrency", "0"], "--max-concurrency"),
        (["t.csv", "--no-journal", "--trial"], "--trial needs a journal"),
        (["t.csv", "--no-journal", "--journal", "j"], "--journal needs a journal"),
        (["-", "--format", "csv", "--trial"], "--trial needs a file"),
        (["t.csv", "--reference", "nonsense"], "'object.field'"),
        (["t.csv", "--key", "_key"], "no column '_key'"),
        (["t.csv", "--report", "t.csv"], "already exists"),
        (["t.csv", "--report", os.devnull], "is not a regular file; use a new file"),
        (["-"], "add --format"),
    ],
)
def test_wrong_usage(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, arguments: list[str], message: str
) -> None:
    numbered(tmp_path / "t.csv", 3)
    done = run_cli("push", *arguments, input="")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not server.requests


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.xlsx", b"PK\x03\x04 and so on", "a spreadsheet"),
        ("t.csv.gz", b"\x1f\x8b and so on", "gzip"),
        ("t.zip", b"PK\x05\x06" + bytes(18), "an empty zip file"),
        ("t", b"title\na\n", "add --format"),
    ],
)
def test_files_that_hold_no_rows(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    done = run_cli("push", name)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert not server.requests


def test_what_keeps_a_push_from_beginning_is_told_to_programs(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("name\na\n")
    done = run_cli("push", "t.csv", "--json")
    assert done.returncode == 2
    assert "no column is mapped to 'title'" in json.loads(done.stdout)["stopped"]
    numbered(tmp_path / "u.csv", 1)
    done = run_cli("push", "u.csv", "--map", "title=title", "--json", "--journal", os.devnull)
    assert done.returncode == 2
    assert "is not an ordinary file" in json.loads(done.stdout)["stopped"]
    assert not server.requests


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ([], "text"),
        (["--reference", "text"], "text"),
        (["--reference", "none"], None),
        (["--no-journal"], None),
        (["--reference", "webform.ref"], "webform.ref"),
    ],
)
def test_a_plan_says_that_a_line_is_added(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path, options: list[str], place: str | None
) -> None:
    (tmp_path / "t.csv").write_text("title\na\n")
    words = "adds one line, the row's reference, at the end of the ticket's text."
    shown = run_cli("plan", "t.csv", *options)
    assert (words in " ".join(shown.stdout.split())) == (place == "text"), shown.stdout
    assert json.loads(run_cli("plan", "t.csv", *options, "--json").stdout)["reference"] == place


def test_cells_that_a_spreadsheet_would_run(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    keys = ["=1+1", "+49", "-1", "@x", "'=y", "plain", "'z"]
    write_csv(tmp_path / "t.csv", [{"id": key, "title": ""} for key in keys])
    push = ("push", "t.csv", "--key", "id", "--no-journal")
    assert run_cli(*push, "--report", "out.csv").returncode == 4
    shown = [line["key"] for line in read_report(tmp_path / "out.csv")]
    assert sorted(shown) == sorted(["'=1+1", "'+49", "'-1", "'@x", "''=y", "plain", "'z"])


def test_without_the_extra(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "blocked.py").write_text(
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'click' else find(name, *rest)\n"
        "from kapture_async.__main__ import main\nmain()\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "blocked.py"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "The command line needs click and rich: pip install 'kapture-async[cli]'"
    ]


def test_json_lines_are_told_as_they_are_sent(
    run_cli: Run, server: KaptureEmulator, tmp_path: Path
) -> None:
    (tmp_path / "t.jsonl").write_text('{"title": "a", "Card": "4111"}\n{"title": "b", "x": "y"}\n')
    done = run_cli("push", "t.jsonl")
    assert done.returncode == 0, done.stderr
    assert [entry.payload.keys() - {"ticket_details"} for entry in server.ledger] == [{"title"}] * 2
    assert "not sending columns: 'Card'" in done.stderr
    assert "later rows have more columns, which were not sent: 'x'" in done.stderr


@needs_signals
def test_a_pipe_has_no_journal_beside_it(
    environment: dict[str, str], server: KaptureEmulator, tmp_path: Path
) -> None:
    words = f"{sys.executable} -m kapture_async push"
    for number, name in enumerate(("<(cat t.csv)", "/dev/stdin < t.csv")):
        (tmp_path / "t.csv").write_text(f"title\nT{number}\n")
        line = f"{words} {name} --format csv"
        for more, code in (("", 0), (" --journal j", 0), (" --trial", 2)):
            done = subprocess.run(
                ["bash", "-c", line + more], env=environment, cwd=tmp_path, capture_output=True
            )
            assert done.returncode == code, done.stderr
        (tmp_path / "j").unlink()
    assert len(server.ledger) == 4
