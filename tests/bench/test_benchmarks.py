"""The smallest form of the command, its server, and what it does with contenders that fail."""

from __future__ import annotations

import ast
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

import benchmarks
from benchmarks import picture
from benchmarks.__main__ import left_out, parse
from benchmarks.cases.every import CASES
from benchmarks.goals import GOALS
from benchmarks.job import ADD, PULL, Job
from benchmarks.machine import description
from benchmarks.peers import kapture
from benchmarks.running import Plan, prepare, run_case, run_child
from benchmarks.serving import Server, fixed_server
from benchmarks.tables import table_of, text_of

from .made import ran_of

ROOM = Path(benchmarks.__file__).parent
ROWS = 40


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fixed_server(day=5) as running:
        yield running


def test_the_smallest_run(tmp_path: Path) -> None:
    """R, this library and its journal: every request arrives, and the file says so."""
    file, drawn = tmp_path / "found.json", tmp_path / "found.svg"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "push", "--rounds", "1"]
    command += ["--contenders", "plain,journal", "--rows", str(ROWS)]
    command += ["--json", str(file), "--picture", str(drawn)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOM.parent)
    assert ended.returncode == 0, ended.stderr
    assert "this library, journal" in ended.stdout
    assert "FAIL" not in ended.stdout  # one round judges nothing
    told = json.loads(file.read_bytes())
    runs = told["cases"]["push"]["runs"]
    assert [run["name"] for run in runs] == ["R", "plain", "journal", "R again"]
    for run in runs:
        assert run["problem"] == ""
        assert (run["measured"]["done"], run["measured"]["failed"]) == (ROWS, 0)
        assert run["measured"]["sent"] == ROWS + 1  # one to warm up; the server counted the same
        assert run["measured"]["seconds"] > 0
        assert run["measured"]["cpu"] > 0
    table = told["cases"]["push"]["table"]
    assert table["refusal"] == "1 of 5 rounds"
    assert [line["name"] for line in table["lines"]] == [run["name"] for run in runs]
    assert told["machine"]["versions"]["aiohttp"]
    assert [goal["verdict"] for goal in told["goals"][:2]] == ["no verdict", "no verdict"]
    assert ElementTree.parse(drawn).getroot().tag.endswith("svg")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_what_was_found_before_an_interruption_is_written(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--only", "push", "--contenders", "plain"]
    command += ["--rows", "20", "--rounds", "1000", "--json", str(file)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOM.parent
    )
    assert running.stderr is not None
    while "round 2 of" not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGTERM)  # as timeout(1) does; Ctrl-C goes the same way
    shown, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "interrupted" in said
    assert "Push on loopback" in shown
    assert len(json.loads(file.read_bytes())["cases"]["push"]["runs"]) >= 3


def asked(server: Server, *pieces: bytes) -> bytes:
    """The answers to a connection's bytes, which come in these pieces; it ends with the last."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        told = server.told().requests
        for piece in pieces:
            connection.sendall(piece)
        found = b""
        while server.told().requests == told or not found.endswith(b"}"):
            found += connection.recv(65536)
        return found


def request(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_the_server_takes_requests_in_any_pieces(server: Server) -> None:
    whole = request(ADD, b"x" * 3000)
    before = server.told()
    for pieces in ([whole], [whole[:10], whole[10:90], whole[90:2000], whole[2000:]]):
        head, _, body = asked(server, *pieces).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert json.loads(body)["status"] == "success"
        assert len(json.loads(body)["ticket"]) == 58
    after = server.told()
    assert after.requests - before.requests == 2
    assert after.bytes - before.bytes == 6000


def test_the_server_gives_a_day_of_tickets(server: Server) -> None:
    _, _, body = asked(server, request(PULL, b"[{}]")).partition(b"\r\n\r\n")
    rows = json.loads(body)["message"]
    assert len({row["ticketId"] for row in rows}) == 5
    assert {len(row) for row in rows} == {44}


def test_a_contender_that_is_not_installed_is_named_and_left_out(server: Server) -> None:
    case = CASES["push"]
    there, absent = case.contenders[1], replace(case.contenders[2], needs=("no_such_package",))
    small = replace(case, contenders=(case.reference, there, absent))
    plan = Plan(rounds=1, rows=20)
    ran = prepare(small, plan)
    run_case(ran, plan, server)
    assert ran.names == ["R", "plain", "R again"]
    assert "left out: journal, needs no_such_package" in text_of(table_of(ran))
    assert not ran.problems()


def test_a_case_without_its_reference_is_left_out(server: Server) -> None:
    case = CASES["decode"]
    lone = replace(case.reference, needs=("no_such_package",))
    plan = Plan(rounds=1)
    ran = prepare(replace(case, contenders=(lone, *case.contenders[1:])), plan)
    run_case(ran, plan, server)
    assert not ran.runs
    assert left_out(ran, plan, server).endswith(
        "pydantic validate_json, which needs no_such_package"
    )
    tls = prepare(CASES["push-tls"], plan)
    assert left_out(tls, plan, server) == "it needs trustme, which makes the certificate"
    assert left_out(prepare(CASES["push"], plan), plan, server) == ""


def is_alive(pid: str) -> bool:
    """Whether a process is there, and not only waiting to be collected."""
    try:
        return not Path("/proc", pid, "stat").read_text().split(") ")[1].startswith("Z")
    except OSError:
        return False


def test_a_contender_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import os, pathlib\npathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
    job = Job("imports", "run", options={"code": code + "time.sleep(600)"})
    assert run_child(job, 2.0) == (None, "not done after 2 s, and ended")
    if sys.platform == "linux" and told.exists():  # on a slow machine it may not have begun
        deadline = time.monotonic() + 10
        while is_alive(told.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_contender_that_dies_is_reported_with_its_last_words() -> None:
    measured, problem = run_child(Job("imports", "there_is_none"), 60.0)
    assert measured is None
    assert problem.startswith("died with code 1: AttributeError")


def test_every_contender_is_there() -> None:
    """Read from the source, as not every peer is installed."""
    for case in CASES.values():
        for contender in case.contenders:
            tree = ast.parse((ROOM / "peers" / f"{contender.peer}.py").read_text())
            functions = {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}
            assert contender.function in functions, contender


def test_every_goal_is_about_contenders_that_are_there() -> None:
    for goal in GOALS:
        case = CASES[goal.case]
        everybody = {one.name: [500.0] for one in case.contenders[1:]}
        ran = ran_of(goal.case, everybody, [1000.0], [1000.0])
        for run in ran.runs:
            assert run.measured is not None
            run.measured.values = {name: 1.0 for name, _ in case.columns}
            run.measured.values.update(p50=1.0, settled=1.0)
        assert goal.found(table_of(ran)) is not None, goal


def test_what_the_codec_reads_and_writes_is_what_was_there() -> None:
    assert kapture.decode(Job("kapture", "decode", rows=7)).done == 7
    assert kapture.lossless(Job("kapture", "lossless", rows=7)).values == {"lossless": 1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "nothing"], "no case 'nothing'; they are push, "),
        (["--only", "push", "--contenders", "curl"], "no contender 'curl' there; they are R, "),
        (["--rounds", "0"], "must be 1 or more"),
        (["--folder", "/there/is/none"], "there is no folder"),
    ],
)
def test_a_wrong_wish_is_told(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        parse(arguments)
    assert error.value.code == 2
    assert words in capsys.readouterr().err


def names(arguments: list[str]) -> list[Any]:
    return [case.name for case in parse(arguments).cases]


def test_cases_are_chosen_by_name_or_family() -> None:
    assert names(["--only", "push"]) == ["push"]
    assert names(["--only", "latency"]) == ["latency-64", "latency-256", "latency-1024"]
    assert names(["--contenders", "journal"]) == ["push", "push-tls"]
    assert names([]) == list(CASES)


def test_the_picture_shows_who_ran_and_how_sure_it_is() -> None:
    even = [1000.0] * 5
    table = table_of(ran_of("push", {"plain": [930.0] * 5}, even, [900.0] * 5))
    drawn = picture.draw({"push": table}, description())
    ElementTree.fromstring(drawn)
    assert "0.98 x R (930/s)" in drawn
    assert "R against itself: 0.90 (noise: control 0.90)." in drawn
    assert "Nothing to draw" in picture.draw({}, description())
