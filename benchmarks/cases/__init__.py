"""What is measured: one module per workload, each a list of contenders around a reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["rate", "settled", "micro", "milli", "memory"]


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case.

    Attributes:
        name: what it is chosen by (``--contenders``).
        title: what it is called in tables; ``{rows}`` stands for how many it got.
        peer, function: where it is, below ``benchmarks.peers``.
        needs: the packages it cannot do without.
        share: how much of the case's rows it gets, so that slow ones end in the same time.
        concurrency: how much at a time.
        uvloop: on uvloop's event loop.
        options: whatever else its function wants to know.
        own: the peer that cannot share an environment with the others, and runs in the Python
            that :func:`.machine.own_python` gives for it.
    """

    name: str
    title: str
    peer: str
    function: str
    needs: tuple[str, ...] = ()
    share: float = 1.0
    concurrency: int = 64
    uvloop: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    own: str = ""


@dataclass(frozen=True)
class Case:
    """A workload.

    Attributes:
        name: what it is chosen by (``--only``).
        title: what it is called in tables; ``{rows}`` stands for how many.
        contenders: the first is the reference. It runs twice in each round.
        rows: tickets, calls or files of a contender with share 1.
        quick: the same for ``--quick``; 0 leaves the case out there.
        unit: what is compared. ``rate``: rows per second; ``settled``: the same without the
            start; ``micro``: the value ``p50``, and ``milli``: the time of the run, where less
            is better; ``memory``: its peak.
        over: ``http`` or ``tls``; empty if no server is needed.
        path: what comes before the paths of the requests, such as ``/after/100``.
        columns: further values to show, with their heads.
        day: how many tickets the day has that is pulled.
        rounds: rounds at most; 0: as many as all.
        enough: rounds without which there is no verdict.
        timeout: seconds until a run is ended.
        note: a line to read the table by.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    rows: int
    quick: int
    unit: Unit = "rate"
    over: Literal["http", "tls", ""] = "http"
    path: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    day: bool = False
    rounds: int = 0
    enough: int = 5
    timeout: float = 300.0
    note: str = ""

    @property
    def reference(self) -> Contender:
        return self.contenders[0]
