"""What this library has set itself, and whether the runs show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .figures import Spread
from .tables import Table, cost_of, number

Verdict = Literal["pass", "FAIL", "no verdict", "not run"]


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        case: where it is measured.
        text: what it says.
        bound: the number to reach, or with ``most`` not to exceed.
        found: takes the number from the table; ``None`` if a client it needs did not take part.
        cost: the same by the processor's time, which shows what a noisy clock cannot.
        unit: what follows the number.
        timed: it is a matter of speed, so that noise forbids a verdict.
    """

    case: str
    text: str
    bound: float
    found: Callable[[Table], float | None]
    most: bool = False
    cost: Callable[[Table], float | None] | None = None
    unit: str = ""
    timed: bool = True


@dataclass(frozen=True)
class Judged:
    """A goal, and what the runs say."""

    goal: Goal
    verdict: Verdict
    found: float | None
    why: str = ""


def _middle(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def _ratio(name: str, to: str) -> Callable[[Table], float | None]:
    return lambda table: _middle(table.ratio(name, to))


def _cost(name: str, to: str) -> Callable[[Table], float | None]:
    def found(table: Table) -> float | None:
        ratio = _middle(table.ratio(name, to, cost_of))
        return 1 / ratio if ratio else None

    return found


def _ratio_of_cost(name: str, to: str) -> Callable[[Table], float | None]:
    return lambda table: _middle(table.ratio(name, to, cost_of))


def _more(name: str, column: str) -> Callable[[Table], float | None]:
    def found(table: Table) -> float | None:
        line = table.line(name)
        return None if line is None else _middle(line.more[column])

    return found


def _of_ideal(in_flight: int, seconds: float) -> Callable[[Table], float | None]:
    def found(table: Table) -> float | None:
        line = table.line("plain")
        rate = None if line is None else _middle(line.value)
        return None if rate is None else rate / (in_flight / seconds)

    return found


def _growth(table: Table) -> float | None:
    small, large = table.line("10k"), table.line("1M")
    if small is None or large is None or small.value is None or large.value is None:
        return None
    return large.value.median - small.value.median


def _pushing(case: str, where: str) -> list[Goal]:
    return [
        Goal(
            case,
            f"push{where} is {bound:g} x {what} at least",
            bound,
            _ratio("plain", peer),
            cost=_cost("plain", peer),
            unit=" x",
        )
        for bound, peer, what in (
            (5, "requests", "requests + 16 threads"),
            (12, "httpx", "httpx at 16"),
        )
    ]


GOALS = [
    Goal(
        "push",
        "push, all safety on, is 2.0 x R at least",
        2.0,
        _ratio("plain", "R"),
        cost=_cost("plain", "R"),
        unit=" x",
    ),
    Goal(
        "push",
        "push with a journal is 1.1 x R at least",
        1.1,
        _ratio("journal", "R"),
        cost=_cost("journal", "R"),
        unit=" x",
    ),
    *_pushing("push", ""),
    Goal(
        "push",
        "a pushed row takes 1.5 x the processor time of wreq by hand at most",
        1.5,
        _ratio_of_cost("plain", "wreq"),
        most=True,
        unit=" x",
    ),
    *_pushing("push-tls", " over TLS"),
    Goal(
        "push-tls",
        "push over TLS is 1.5 x R at least",
        1.5,
        _ratio("plain", "R"),
        cost=_cost("plain", "R"),
        unit=" x",
    ),
    *(
        Goal(
            f"latency-{many}",
            f"at 100 ms, {many} in flight: 95 % of what can be",
            0.95,
            _of_ideal(many, 0.1),
        )
        for many in (64, 256)
    ),
    Goal(
        "latency-1024",
        "at 100 ms, 1,024 in flight: 25 x requests + 16 threads",
        25,
        _ratio("plain", "requests"),
        unit=" x",
    ),
    Goal(
        "latency-1024",
        "at 100 ms, 1,024 in flight: 1.3 x R at least",
        1.3,
        _ratio("plain", "R"),
        cost=_cost("plain", "R"),
        unit=" x",
    ),
    Goal(
        "sync",
        "one blocking call takes 0.30 x requests.Session.post at most (p50)",
        0.30,
        _ratio("sync", "requests"),
        most=True,
        cost=None,
        unit=" x",
    ),
    Goal(
        "decode",
        "decoding takes as long as pydantic validate_json at most",
        1.0,
        _ratio("codec", "pydantic"),
        most=True,
        unit=" x",
    ),
    Goal(
        "lossless",
        "into models and back, with unknown keys: nothing is lost",
        1.0,
        _more("codec", "lossless"),
        timed=False,
    ),
    Goal(
        "pull",
        "a pull of 50,000 tickets: 3 x read-whole + pydantic at least",
        3.0,
        _ratio("pull", "pydantic"),
        unit=" x",
    ),
    Goal(
        "pull",
        "its memory grows by 8 MiB at most",
        8.0,
        _more("pull", "growth"),
        most=True,
        unit=" MiB",
        timed=False,
    ),
    Goal(
        "pull",
        "its worst stall takes 15 ms at most",
        15.0,
        _more("pull", "stall"),
        most=True,
        unit=" ms",
    ),
    Goal(
        "memory",
        "1,000,000 rows need 5 MiB more than 10,000 at most",
        5.0,
        _growth,
        most=True,
        unit=" MiB",
        timed=False,
    ),
    Goal(
        "import",
        "import takes 0.50 x import requests at most",
        0.50,
        _ratio("kapture", "requests"),
        most=True,
        unit=" x",
    ),
    Goal(
        "import",
        "the first client open takes 2 x import requests at most",
        2.0,
        _ratio("client", "requests"),
        most=True,
        unit=" x",
    ),
]


def judge(goal: Goal, table: Table) -> Judged:
    """Pass or fail, unless the control of the very case shows too much noise to say."""
    found = goal.found(table)
    if found is None:
        return Judged(goal, "not run", None, "a client it compares did not take part")
    why_not = table.refusal if goal.timed else ""
    why_not = why_not or ("" if table.ran.full_size else "not its full size")
    if why_not:
        return Judged(goal, "no verdict", found, _with_cost(goal, table, why_not))
    reached = found <= goal.bound if goal.most else found >= goal.bound
    return Judged(goal, "pass" if reached else "FAIL", found)


def _with_cost(goal: Goal, table: Table, why_not: str) -> str:
    cost = None if goal.cost is None else goal.cost(table)
    if cost is None or table.cost_control is None:
        return why_not
    return f"{why_not}; by processor {number(cost)}, control {table.cost_control.median:.2f}"


def judge_all(tables: Mapping[str, Table]) -> list[Judged]:
    """The goals of the cases that were run."""
    return [judge(goal, tables[goal.case]) for goal in GOALS if goal.case in tables]


def text_of(judged: list[Judged]) -> str:
    """The goals as they are printed."""
    rows = [("goal", "found", "verdict", "")]
    for one in judged:
        found = "-" if one.found is None else number(one.found) + one.goal.unit
        rows.append((one.goal.text, found, one.verdict, f"({one.why})" if one.why else ""))
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    return "\n".join(
        f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}".rstrip()
        for row in rows
    )
