"""Runs a case: every contender in a fresh process, round after round, each of them bounded."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .cases import Case, Contender
from .figures import order
from .job import Job, Measured
from .machine import own_python
from .serving import ROOT, Server, Told

AGAIN = " again"
BLOCK = 4
QUICK_BLOCK = 100
LEAST_ROWS = 20
LAST_WORDS = 300


@dataclass
class Run:
    """One run of one contender.

    Attributes:
        name: of the contender; the reference's second run of a block is called ``R again``.
        number: of the round.
        block: of the block in the round.
        rows: how many it was given.
        measured: what it found; ``None`` if it did not end well.
        problem: what went wrong; empty if nothing.
        server_cpu: seconds of processor that the server needed meanwhile.
    """

    name: str
    number: int
    block: int
    rows: int
    measured: Measured | None = None
    problem: str = ""
    server_cpu: float = 0.0

    @property
    def good(self) -> Measured | None:
        """What it found, if it ended well and nothing was missing."""
        return self.measured if not self.problem else None


@dataclass
class Ran:
    """All runs of a case, and who could not take part.

    A round is made of blocks: a few contenders, with the reference before and after them. Only
    with the case's own number of rows is it of full size.
    """

    case: Case
    rounds: int
    full_size: bool = True
    rows: int = 0
    blocks: list[list[str]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    taken: dict[str, Contender] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Who took part: the reference, the contenders, the reference again."""
        first = self.case.reference.name
        others = [name for block in self.blocks for name in block]
        return [first, *others, first + AGAIN] if self.blocks else []

    @property
    def ended(self) -> int:
        """Rounds that were run to their end."""
        size = sum(len(block) + 2 for block in self.blocks)
        return len(self.runs) // size if size else 0

    def of(self, name: str) -> list[Run]:
        """The runs of a contender, in the order of rounds and blocks."""
        found = [run for run in self.runs if run.name == name]
        return sorted(found, key=lambda run: (run.number, run.block))

    def beside(self, name: str) -> list[tuple[Run, Run, Run]]:
        """The runs of a contender, each with the reference's two runs around it."""
        first = self.case.reference.name
        firsts = {(run.number, run.block): run for run in self.of(first)}
        seconds = {(run.number, run.block): run for run in self.of(first + AGAIN)}
        both = firsts.keys() & seconds.keys()
        return [
            (run, firsts[run.number, run.block], seconds[run.number, run.block])
            for run in self.of(name)
            if (run.number, run.block) in both
        ]

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
    process = subprocess.Popen(
        [job.python or sys.executable, "-m", "benchmarks.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=_environment(),
        start_new_session=True,  # so that what it starts itself ends with it
    )
    try:
        told, said = process.communicate(json.dumps(dataclasses.asdict(job)), timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        return None, f"not done after {timeout:g} s, and ended"
    except BaseException:  # Ctrl-C, most likely: nothing is left behind
        _end(process)
        raise
    if process.returncode != 0 or not told.strip():
        words = said.strip().splitlines()
        last = words[-1][:LAST_WORDS] if words else "no words"
        return None, f"died with code {process.returncode}: {last}"
    try:
        return Measured(**json.loads(told.splitlines()[-1])), ""
    except (ValueError, TypeError):
        return None, "its result could not be read"


def _end(process: subprocess.Popen[str]) -> None:
    """End a child of ours with all that it has started, and see it gone."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def _environment() -> dict[str, str]:
    """This one's, without what would lead a peer away from the server on this machine."""
    away = ("_PROXY", "_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: value for name, value in os.environ.items() if not name.upper().endswith(away)}


def lacks(contender: Contender) -> str:
    """The package that a contender needs and that is not here; empty if there is none."""
    if contender.own and not own_python(contender.own):
        return f"a Python of its own (BENCH_{contender.own.upper()})"
    for name in contender.needs:
        if importlib.util.find_spec(name) is None:
            return name
    return ""


def prepare(case: Case, plan: Plan) -> Ran:
    """See who can take part in a case; nothing runs yet."""
    ran = Ran(case, min(plan.rounds, case.rounds or plan.rounds), rows=rows_of(case, plan))
    first = case.reference
    ran.taken = {first.name: first, first.name + AGAIN: first}
    for contender in case.contenders:
        if plan.chosen and contender.name not in plan.chosen and contender is not first:
            continue
        missing = lacks(contender)
        if missing:
            ran.missing[contender.name] = missing
        else:
            ran.taken[contender.name] = contender
    if first.name in ran.missing:
        return ran  # nothing to compare with
    others = [name for name, contender in ran.taken.items() if contender is not first]
    size = QUICK_BLOCK if plan.quick else BLOCK
    ran.blocks = [others[at : at + size] for at in range(0, len(others), size)] or [[]]
    ran.full_size = not plan.quick and not plan.rows
    return ran


def run_case(ran: Ran, plan: Plan, server: Server | None) -> None:
    """Run the contenders in turns, a few at a time, the reference before and after them.

    If it is interrupted, ``ran`` holds what was run until then.
    """
    case, first = ran.case, ran.case.reference
    for number in range(ran.rounds if ran.blocks else 0):
        plan.tell(f"{case.name}: round {number + 1} of {ran.rounds}")
        for block, names in enumerate(ran.blocks):
            for name in order([first.name, *names, first.name + AGAIN], number):
                run = Run(name, number, block, 0)
                ran.runs.append(run_one(run, ran.taken[name], case, plan, server))


def rows_of(case: Case, plan: Plan) -> int:
    """How many rows a contender with share 1 gets."""
    return plan.rows or (case.quick if plan.quick else case.rows)


def run_one(run: Run, contender: Contender, case: Case, plan: Plan, server: Server | None) -> Run:
    whole = rows_of(case, plan)
    run.rows = count = max(min(LEAST_ROWS, whole), round(whole * contender.share))
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
        python=own_python(contender.own) if contender.own else "",
        options=dict(contender.options),
    )
    before = server.told() if server is not None and url else None
    run.measured, run.problem = run_child(job, case.timeout)
    counted = None
    if before is not None and server is not None:
        after = server.told()
        run.server_cpu = after.cpu - before.cpu
        counted = Told(after.requests - before.requests, after.bytes - before.bytes, 0.0)
    if run.measured is not None:
        run.problem = check(run.measured, count, counted)
    return run


def check(measured: Measured, rows: int, counted: Told | None) -> str:
    """What does not add up in what a run says, or between that and what the server counted."""
    if measured.failed:
        error = measured.values.get("error", "")
        return f"{measured.failed:,} of {rows:,} failed {error}".rstrip()
    if measured.done != rows:
        return f"{measured.done:,} of {rows:,} were done"
    if counted is not None and counted.bytes < measured.values.get("bytes", 0):
        return f"the server got {counted.bytes:,} bytes of {measured.values['bytes']:,}"
    if counted is not None and counted.requests != measured.sent:
        return f"said {measured.sent:,} requests, the server counted {counted.requests:,}"
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
