"""Runs a case: every contender in a fresh process, round after round, each of them bounded."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .cases import Case, Contender
from .figures import order
from .job import Job, Measured
from .serving import Server

AGAIN = " again"
LEAST_ROWS = 20
LAST_WORDS = 300


@dataclass
class Run:
    """One run of one contender.

    Attributes:
        name: of the contender; the reference's second run of a round is called ``R again``.
        number: of the round.
        rows: how many it was given.
        measured: what it found; ``None`` if it did not end well.
        problem: what went wrong; empty if nothing.
        server_cpu: seconds of processor that the server needed meanwhile.
    """

    name: str
    number: int
    rows: int
    measured: Measured | None = None
    problem: str = ""
    server_cpu: float = 0.0


@dataclass
class Ran:
    """All runs of a case, and who could not take part."""

    case: Case
    names: list[str]
    rounds: int
    runs: list[Run] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> list[Run]:
        """The runs of a contender, one per round."""
        return [run for run in self.runs if run.name == name]

    def problems(self) -> list[str]:
        return [
            f"{run.name}, round {run.number + 1}: {run.problem}" for run in self.runs if run.problem
        ]


@dataclass(frozen=True)
class Plan:
    """How cases are run.

    Attributes:
        rounds: how many.
        quick: with the small numbers.
        rows: so many instead of the case's own; 0: its own.
        chosen: contenders to take; empty: all.
        client_core: where the contenders stay.
        folder: where temporary files go.
        tell: is given a line now and then.
    """

    rounds: int
    quick: bool = False
    rows: int = 0
    chosen: tuple[str, ...] = ()
    client_core: int | None = None
    folder: str = ""
    tell: Callable[[str], None] = lambda line: None


def run_child(job: Job, timeout: float) -> tuple[Measured | None, str]:
    """Run a job in a process of its own; gives what it measured, or what went wrong."""
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.child"],
            input=json.dumps(dataclasses.asdict(job)),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"not done after {timeout:g} s, and ended"
    if ended.returncode != 0 or not ended.stdout.strip():
        words = ended.stderr.strip().splitlines()
        said = words[-1][:LAST_WORDS] if words else "no words"
        return None, f"died with code {ended.returncode}: {said}"
    try:
        return Measured(**json.loads(ended.stdout.splitlines()[-1])), ""
    except (ValueError, TypeError):
        return None, "its result could not be read"


def lacks(contender: Contender) -> str:
    """The package that a contender needs and that is not here; empty if there is none."""
    for name in contender.needs:
        if importlib.util.find_spec(name) is None:
            return name
    return ""


def run_case(case: Case, plan: Plan, server: Server | None) -> Ran:
    """Run the contenders in turns, the reference at both ends of each round."""
    ran = Ran(case, [], min(plan.rounds, case.rounds or plan.rounds))
    taken: dict[str, Contender] = {}
    for contender in case.contenders:
        if plan.chosen and contender.name not in plan.chosen and contender is not case.reference:
            continue
        missing = lacks(contender)
        if missing:
            ran.missing[contender.name] = missing
        else:
            taken[contender.name] = contender
    if case.reference.name not in taken:
        return ran  # nothing to compare with
    again = case.reference.name + AGAIN
    taken[again] = case.reference
    ran.names = [*(name for name in taken if name != again), again]
    for number in range(ran.rounds):
        for name in order(ran.names, number):
            ran.runs.append(run_one(name, taken[name], number, case, plan, server))
        plan.tell(f"{case.title}: round {number + 1} of {ran.rounds}")
    return ran


def run_one(
    name: str, contender: Contender, number: int, case: Case, plan: Plan, server: Server | None
) -> Run:
    whole = plan.rows or (case.quick if plan.quick else case.rows)
    count = max(min(LEAST_ROWS, whole), round(whole * contender.share))
    url = ""
    if server is not None and case.over:
        url = (server.tls_url if case.over == "tls" else server.url) + case.path
    job = Job(
        peer=contender.peer,
        function=contender.function,
        url=url,
        cafile=server.cafile if server is not None and case.over == "tls" else "",
        rows=count,
        concurrency=contender.concurrency,
        uvloop=contender.uvloop,
        core=plan.client_core,
        folder=plan.folder,
        options=dict(contender.options),
    )
    run = Run(name, number, count)
    before = server.told() if server is not None and url else None
    run.measured, run.problem = run_child(job, case.timeout)
    if before is not None and server is not None:
        after = server.told()
        run.server_cpu = after.cpu - before.cpu
        if run.measured is not None:
            run.problem = check(run.measured, count, after.requests - before.requests)
    return run


def check(measured: Measured, rows: int, counted: int) -> str:
    """What does not add up between what a run says and what the server counted."""
    if measured.sent is not None and counted != measured.sent:
        return f"said {measured.sent:,} requests, the server counted {counted:,}"
    if measured.failed:
        return f"{measured.failed:,} of {rows:,} failed"
    if measured.done != rows:
        return f"{measured.done:,} of {rows:,} were done"
    return ""


def as_dict(ran: Ran) -> dict[str, Any]:
    """For a file."""
    return {
        "title": ran.case.title,
        "unit": ran.case.unit,
        "rounds": ran.rounds,
        "reference": ran.case.reference.name,
        "missing": ran.missing,
        "runs": [dataclasses.asdict(run) for run in ran.runs],
    }
