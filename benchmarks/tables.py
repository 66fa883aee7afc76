"""What runs come to, contender by contender, and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .figures import HIGH, LOW, Spread, control, ratios, refusal
from .job import Measured
from .running import AGAIN, Ran, Run

MIB = 2**20
Measure = Callable[[Run], float | None]
VALUES: dict[str, Callable[[Measured], float]] = {
    "rate": lambda found: found.done / found.seconds,
    "settled": lambda found: float(found.values["settled"]),
    "micro": lambda found: float(found.values["p50"]),
    "milli": lambda found: found.seconds * 1000,
    "memory": lambda found: found.peak / MIB,
}
HEADS = {
    "rate": "per second",
    "settled": "per second",
    "micro": "us (p50)",
    "milli": "ms",
    "memory": "peak MiB",
}


def value_of(run: Run, unit: str) -> float | None:
    """What is compared, of a run that ended well."""
    return VALUES[unit](run.good) if run.good is not None else None


def cost_of(run: Run) -> float | None:
    """Microseconds of processor per row."""
    return run.good.cpu / run.good.done * 1e6 if run.good is not None else None


def more_of(run: Run, name: str) -> float | None:
    """A further value of a run that ended well."""
    if run.good is None:
        return None
    if name == "whole":
        return VALUES["rate"](run.good)
    value = run.good.values.get(name)
    return None if value is None else float(value)


@dataclass(frozen=True)
class Line:
    """What all runs of one contender come to.

    Attributes:
        value: in the unit of the case.
        ratio: of the value to the reference's.
        cost: microseconds of processor per row.
        cost_ratio: of the cost to the reference's.
        peak: MiB at most.
        failures: runs that did not end well.
        more: the further values of the case.
    """

    name: str
    title: str
    value: Spread | None
    ratio: Spread | None
    cost: Spread | None
    cost_ratio: Spread | None
    peak: Spread | None
    failures: int
    more: dict[str, Spread | None]


@dataclass(frozen=True)
class Table:
    """The lines of a case, and what its control says.

    Attributes:
        refusal: why no verdict can be given by the values; empty if it can.
        cost_refusal: the same by the processor's time, which others on the machine disturb
            less.
    """

    ran: Ran
    lines: list[Line]
    control: Spread | None
    cost_control: Spread | None
    refusal: str
    cost_refusal: str

    def line(self, name: str) -> Line | None:
        return next((line for line in self.lines if line.name == name), None)

    def ratio(self, name: str, to: str, measure: Measure | None = None) -> Spread | None:
        """One contender's values over another's, round by round, each seen against the
        reference around it."""
        measure = measure or self.measure
        if to == self.ran.case.reference.name:
            return Spread.of(ratios(*_columns(self.ran.beside(name), measure)))
        sides = []
        for one in (name, to):
            triples = self.ran.beside(one)
            found = {run.number: ratios(*_columns([(run, *two)], measure)) for run, *two in triples}
            sides.append({number: ratio[0] for number, ratio in found.items() if ratio})
        return Spread.of([sides[0][n] / sides[1][n] for n in sides[0] if n in sides[1]])

    def measure(self, run: Run) -> float | None:
        """What is compared."""
        return value_of(run, self.ran.case.unit)


def _columns(
    triples: Sequence[Sequence[Run]], measure: Measure
) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """The measures of runs and of the reference around them."""
    columns: tuple[list[float | None], ...] = ([], [], [])
    for triple in triples:
        for column, run in zip(columns, triple, strict=True):
            column.append(measure(run))
    return columns[0], columns[1], columns[2]


def _spread(runs: Sequence[Run], measure: Measure) -> Spread | None:
    return Spread.of([value for value in map(measure, runs) if value is not None])


def table_of(ran: Ran) -> Table:
    case = ran.case
    first = case.reference.name

    def value(run: Run) -> float | None:
        return value_of(run, case.unit)

    titles = {contender.name: contender.title for contender in case.contenders}
    titles[first + AGAIN] = titles[first] + AGAIN
    lines = []
    for name in ran.names:
        runs, triples = ran.of(name), ran.beside(name)
        lines.append(
            Line(
                name=name,
                title=titles[name].format(rows=f"{runs[0].rows if runs else 0:,}"),
                value=_spread(runs, value),
                ratio=Spread.of(ratios(*_columns(triples, value))),
                cost=_spread(runs, cost_of),
                cost_ratio=Spread.of(ratios(*_columns(triples, cost_of))),
                peak=_spread(runs, lambda run: run.good.peak / MIB if run.good else None),
                failures=sum(1 for run in runs if run.problem),
                more={key: _spread(runs, partial(more_of, name=key)) for key, _ in case.columns},
            )
        )
    by_value = control(*_columns(ran.beside(first), value)[1:])
    by_cost = control(*_columns(ran.beside(first), cost_of)[1:])
    return Table(
        ran=ran,
        lines=lines,
        control=by_value,
        cost_control=by_cost,
        refusal=refusal(by_value, ran.ended, case.enough),
        cost_refusal=refusal(by_cost, ran.ended, case.enough),
    )


def number(value: float) -> str:
    """A number with as many digits as it deserves."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(spread: Spread | None) -> str:
    return "-" if spread is None or not spread.high else number(spread.median)


def ranged(spread: Spread | None) -> str:
    if spread is None or not spread.median:
        return "-"
    digits = 2 if spread.median >= 0.2 else 3
    return spread.text(digits)


def text_of(table: Table) -> str:
    """The table as it is printed."""
    case = table.ran.case
    first = case.reference.name
    heads = ["", HEADS[case.unit], f"x {first} [min-max]", "us CPU/row", f"CPU x {first} [min-max]"]
    heads += ["peak MiB", *(head for _, head in case.columns), "failed"]
    body = [
        [
            line.title,
            shown(line.value),
            ranged(line.ratio),
            shown(line.cost),
            ranged(line.cost_ratio),
            shown(line.peak),
            *(shown(line.more[key]) for key, _ in case.columns),
            str(line.failures or "-"),
        ]
        for line in table.lines
    ]
    drop = (
        {3, 4} if all(line.cost is None or not line.cost.median for line in table.lines) else set()
    )
    if case.unit == "memory":
        drop |= {5}
    kept = [place for place in range(len(heads)) if place not in drop]
    widths = [max(len(row[place]) for row in [heads, *body]) for place in range(len(heads))]
    lines = [f"{title_of(table.ran)} ({rounds_of(table.ran)})"]
    for row in [heads, *body]:
        cells = [row[0].ljust(widths[0]), *(row[p].rjust(widths[p]) for p in kept if p)]
        lines.append("  " + "  ".join(cells).rstrip())
    lines += [f"  {words}" for words in remarks(table)]
    return "\n".join(lines)


def title_of(ran: Ran) -> str:
    """The case's title, with its number of rows."""
    return ran.case.title.format(rows=f"{ran.rows:,}")


def rounds_of(ran: Ran) -> str:
    return f"{ran.ended} round{'s' * (ran.ended != 1)}"


def remarks(table: Table) -> list[str]:
    """What belongs below a table."""
    found = []
    if table.ran.case.note:
        found.append(table.ran.case.note)
    if table.control is not None and table.cost_control is not None:
        by_clock = _judged("clock", table.control, table.refusal)
        by_cost = _judged("processor", table.cost_control, table.cost_refusal)
        found.append(
            f"control, {table.ran.case.reference.name} against itself: {by_clock}; {by_cost}"
        )
    share = server_share(table.ran)
    if share is not None:
        found.append(
            f"the server was busy for {share:.0%} of its time while "
            f"{table.ran.case.reference.name} ran"
        )
    found += [f"left out: {name}, needs {what}" for name, what in table.ran.missing.items()]
    found += table.ran.problems()
    return found


def _judged(how: str, spread: Spread, why_not: str) -> str:
    return f"{spread.text()} by the {how}" + (f" (no verdict: {why_not})" if why_not else "")


def server_share(ran: Ran) -> float | None:
    """How much of the time the server worked during the reference's runs, at most."""
    found = [
        run.server_cpu / run.measured.seconds
        for run in ran.of(ran.case.reference.name)
        if run.measured is not None and run.measured.seconds and ran.case.over
    ]
    return max(found) if found else None


def as_dict(table: Table) -> dict[str, Any]:
    """For a file: what the lines come to."""

    def plain(spread: Spread | None) -> dict[str, float] | None:
        if spread is None:
            return None
        return {"median": spread.median, "low": spread.low, "high": spread.high}

    return {
        "control": plain(table.control),
        "cost_control": plain(table.cost_control),
        "refusal": table.refusal,
        "cost_refusal": table.cost_refusal,
        "control_range": [LOW, HIGH],
        "server_share": server_share(table.ran),
        "lines": [
            {
                "name": line.name,
                "title": line.title,
                "value": plain(line.value),
                "ratio": plain(line.ratio),
                "cpu_us": plain(line.cost),
                "cpu_ratio": plain(line.cost_ratio),
                "peak_mib": plain(line.peak),
                "failures": line.failures,
                **{key: plain(spread) for key, spread in line.more.items()},
            }
            for line in table.lines
        ],
    }
