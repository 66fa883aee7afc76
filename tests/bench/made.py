"""Runs that were never run, for tests of what is made of them."""

from __future__ import annotations

from benchmarks.cases.every import CASES
from benchmarks.job import Measured
from benchmarks.running import AGAIN, Ran, Run

ROWS = 1000


def ran_of(
    name: str,
    speeds: dict[str, list[float]],
    firsts: list[float],
    seconds: list[float],
    *,
    full_size: bool = True,
) -> Ran:
    """A case with so many rows per second in each round; all contenders in one block."""
    case = CASES[name]
    ran = Ran(case, len(firsts), full_size, ROWS, [list(speeds)])
    first = case.reference.name
    for who, values in {first: firsts, **speeds, first + AGAIN: seconds}.items():
        for number, speed in enumerate(values):
            ran.runs.append(run_of(who, number, speed))
    return ran


def run_of(who: str, number: int, speed: float, *, block: int = 0) -> Run:
    """A run of so many rows per second; 0 is one that failed."""
    if not speed:
        return Run(who, number, block, ROWS, None, "died")
    measured = Measured(done=ROWS, sent=ROWS, seconds=ROWS / speed, cpu=ROWS / speed / 2)
    return Run(who, number, block, ROWS, measured)
