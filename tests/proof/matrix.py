"""One cell of the matrix: a call meets a fault, and the emulator's ledger says what became of it.

The service, the client and what is there before are made anew for each cell. Waiting costs nothing:
while nobody sends anything, the clocks of all event loops leap.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from attrs import astuple, evolve, frozen

from kapture_async import HelpdeskError, _api
from kapture_async._core.sync import portal
from kapture_async._core.transport.request import Operation
from kapture_async.testing import BEHIND, LIES, Fault, FaultPlan
from support_async._api import Operations

from ..clock import Clock
from ..scenarios import Do, plain
from ..weather import HASTY
from .calls import ROWS, SERVICES, START, Call, Service, World, told
from .rules import promised

MORE = (
    *(Fault("status", status=status) for status in (403, 408, 413, 425)),
    *(Fault("redirect"), Fault("bomb")),
)
NO_SERVER = "no server"
FAULTS: dict[str, Fault | None] = {
    NO_SERVER: None,
    **{str(fault): fault for fault in (*HASTY, *LIES, *BEHIND, *MORE)},
}
"""Every fault that the emulators can make, by what it is called in a header."""
_AS_TOLD = {"late": Fault("late", delay=1e6), "slow": Fault("slow", duration=0.05, pieces=5)}
WAYS = tuple((client, wire) for client in ("async", "sync") for wire in ("direct", "session"))
JOURNALS = ("", "sqlite", "postgres")


@frozen
class Row:
    """A row of the matrix: a method, the call of the service that meets the fault, and how.

    Attributes:
        service, method: what is called.
        hit: the operation of the service whose first request meets the fault.
        journal: that of a bulk call: none, a file or a database.
    """

    service: str
    method: str
    hit: str = ""
    journal: str = ""

    def __str__(self) -> str:
        bulk = f" bulk {self.journal}".rstrip() if self.bulk else ""
        return f"{self.service} {self.method} ({self.hit}){bulk}"

    @property
    def call(self) -> Call:
        """How the method is called."""
        return SERVICES[self.service].calls[self.method]

    @property
    def bulk(self) -> bool:
        """Whether it has rows, each with an outcome."""
        return self.method in BULK

    @property
    def effect(self) -> str:
        """Whether the call that meets the fault reads or writes."""
        return EFFECTS[self.service][self.hit]


BULK = ("tickets.push", "tickets.update_many", "customers.push")


EFFECTS: dict[str, dict[str, str]] = {
    "kapture": {o.name: o.effect for o in vars(_api).values() if isinstance(o, Operation)},
    "support": {o.name: o.effect for o in astuple(Operations(), recurse=False)},
}
"""Whether an operation reads or writes, by the packages' own tables."""


@frozen
class Seen:
    """What a call came to.

    Attributes:
        said: ``ok``, ``other`` (a result, but not the right one), or the outcome of the error.
        sent: how often the operation that met the fault was sent.
        wrote: how often the row that met it stands in the ledger.
        false: what the outcomes of other rows say that the ledger does not.
        result: what came, to be compared.
        hits: the operations that were sent, in order.
        detail: the error, for a person.
    """

    said: str
    sent: int = 0
    wrote: int = 0
    false: str = ""
    result: Any = None
    hits: tuple[str, ...] = ()
    detail: str = ""

    def cell(self, row: Row, usual: Seen) -> str:
        """It in a few words: ``unknown 1`` is an error of that outcome, and one entry of the
        ledger; ``again`` is right after it was sent again."""
        said = self.said
        if said == "ok" and self.result != usual.result:
            said = "other"
        if said == "ok" and self.sent > usual.sent:
            said = "again"
        if row.effect == "write":
            said += f" {self.wrote}"
        return said + self.false


# --- time -----------------------------------------------------------------------------------------

_LEAP, _PAUSE, _ROUNDS = 2.0, 0.01, 3
_loops: weakref.WeakSet[Any] = weakref.WeakSet()
_ahead = 0.0


def leaping(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let the clocks of this process's loops be ours. uvloop, which has its own, is not used."""
    put(portal, "_uvloop_or_asyncio", lambda: asyncio.new_event_loop)

    def now(loop: Any) -> float:
        _loops.add(loop)
        return time.monotonic() + _ahead

    put(asyncio.SelectorEventLoop, "time", now)
    _clock.install(put)


@contextmanager
def impatient(emulator: Any) -> Iterator[None]:
    """While nobody has anything to do, time leaps."""
    over = threading.Event()

    def watch() -> None:
        global _ahead
        rounds, last = 0, -1
        while not over.wait(_PAUSE):
            requests = sum(emulator.requests.values())
            rounds = rounds + 1 if requests == last and _all_idle() else 0
            last = requests
            if rounds == _ROUNDS:
                rounds = 0
                _ahead += _LEAP
                _all_idle()  # wakes them

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _all_idle() -> bool:
    """Whether every loop that runs answers at once. On a busy machine they do not, and a call whose
    answer is only late for that must not be taken for one that waits in vain."""
    answers = []
    for loop in [*_loops]:
        answer = threading.Event()
        try:
            if loop.is_running():
                loop.call_soon_threadsafe(answer.set)
                answers.append(answer)
        except RuntimeError:  # it was closed meanwhile
            _loops.discard(loop)
    return all(answer.wait(0.05) for answer in answers)


# --- a cell ---------------------------------------------------------------------------------------

_BUSY = ("slow", "bomb")
"""Faults that take their time to answer, or to be read."""
_clock = Clock(lambda: START)
_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None


def run(row: Row, fault: str, way: tuple[str, str], database: str | None = None) -> Seen:
    """What a call comes to when the fault meets its first request of ``row.hit``."""
    service = SERVICES[row.service]
    client_kind, wire = way
    _clock.ahead = 0.0
    emulator = service.emulator(clock=_clock.now, faults=FaultPlan())
    with (
        tempfile.TemporaryDirectory(dir=_FAST) as folder,
        emulator.in_thread(),
        nullcontext() if fault in _BUSY else impatient(emulator),
        _client(service, emulator, client_kind, wire, fault) as do,
    ):
        os.environ["KAPTURE_ASYNC_STATE"] = str(Path(folder, "marks"))
        Path(folder, "files").mkdir()
        journal = None
        if row.journal == "sqlite" or row.call.journal:
            journal = str(Path(folder, "journal"))
        elif row.journal == "postgres":
            journal = f"{database}?job=j{time.monotonic_ns()}"
        world = World(do, emulator, Path(folder, "files"), journal, {})
        service.world(world)
        row.call.prepare(world)
        return _measured(row, fault, world)


@contextmanager
def _client(service: Service, emulator: Any, kind: str, wire: str, fault: str) -> Iterator[Do]:
    more = {"keep_alive": False} if fault == NO_SERVER else {}  # else a lost connection is in doubt
    if kind == "sync":
        with service.make(emulator, kind, wire, **more) as client:
            yield Do(client, lambda result: result)
        return
    with asyncio.Runner() as runner:
        client = service.make(emulator, kind, wire, **more)
        yield Do(client, runner.run)
        runner.run(client.aclose())


def _measured(row: Row, fault: str, world: World) -> Seen:
    emulator = world.emulator
    received, before = len(emulator.received), len(emulator.ledger)
    if fault == NO_SERVER:
        emulator.stop_listening()
    elif fault:
        meant = _AS_TOLD.get(fault) or FAULTS[fault]
        emulator.faults = FaultPlan.script([meant], only=row.hit)
    try:
        result = row.call.act(world)
    except HelpdeskError as error:
        seen = Seen(error.outcome, detail=f"{type(error).__name__}: {error}")
    else:
        seen = Seen("ok", result=None if row.bulk else plain({"": told(result)}))
        if row.bulk:
            seen = _of_bulk(result, emulator, before)
    hits = [emulator.operation(request) for request in [*emulator.received][received:]]
    once = _wrote(emulator, before)
    wrote = once[ROWS[0]] if row.bulk else len(emulator.ledger) - before
    if row.bulk and row.journal:
        emulator.faults = FaultPlan()
        if fault == NO_SERVER:
            emulator.listen_again()
        row.call.act(world)
        twice = [name for name, n in _wrote(emulator, before).items() if n > max(1, once[name])]
        if twice:
            seen = evolve(seen, false=f"{seen.false} TWICE {twice}")
    return evolve(seen, hits=tuple(hits), sent=hits.count(row.hit), wrote=wrote)


def _wrote(emulator: Any, before: int) -> Counter[str]:
    """How often each row of a bulk call stands in the ledger."""
    payloads = [str(entry.payload) for entry in emulator.ledger.entries[before:]]
    return Counter(name for name in ROWS for payload in payloads if name in payload)


_TRUE = {"ok": (1,), "rejected": (0,), "not_sent": (0,), "unknown": (0, 1)}
"""What may stand in the ledger."""


def _of_bulk(outcomes: list[Any], emulator: Any, before: int) -> Seen:
    """What the first row came to, and whether all that is said of the others is true."""
    wrote = _wrote(emulator, before)
    names = ["ok" if one.name == "accepted" else one.name for one in outcomes]
    names += ["not_sent"] * (len(ROWS) - len(names))  # a push that stopped does not read the rest
    false = "".join(
        f" FALSE {ROWS[n]} {name} {wrote[ROWS[n]]}"
        for n, name in enumerate(names)
        if n and wrote[ROWS[n]] not in _TRUE[name]
    )
    if set(names[1:]) == {"not_sent"}:
        more = ", stopped"
    else:
        more = "".join(f", then {name}" for name in names[1:] if name != "ok")
    return Seen(names[0], false=more + false, detail=outcomes[0].reason if outcomes else "")


# --- all cells ------------------------------------------------------------------------------------


@frozen
class Found:
    """A cell, and what was promised of it."""

    row: Row
    way: tuple[str, str]
    fault: str
    cell: str
    promised: str
    detail: str = ""

    @property
    def right(self) -> bool:
        return self.cell in self.promised.split(" | ")


def rows_of_matrix() -> Iterator[Row]:
    """Every method; those with a journal once for each kind of it."""
    for service in SERVICES.values():
        for method in service.calls:
            bulk = method in BULK
            for journal in JOURNALS if bulk else JOURNALS[:1]:
                yield Row(service.name, method, journal=journal)


def row_under_all_faults(
    row: Row, way: tuple[str, str], database: str | None = None
) -> list[Found]:
    """A method by one client over one wire: each of its requests under every fault."""
    usual = run(row, "", way, database)
    assert usual.said == "ok", f"{row} by {way}, without a fault: {usual}"
    return [
        cell_of(evolve(row, hit=hit), fault, way, database)
        for hit in dict.fromkeys(usual.hits)  # each kind of request that it makes
        for fault in FAULTS
    ]


_usual: dict[tuple[Row, tuple[str, str]], Seen] = {}


def cell_of(row: Row, fault: str, way: tuple[str, str], database: str | None = None) -> Found:
    """One cell."""
    if (row, way) not in _usual:
        _usual[row, way] = run(row, "", way, database)
    seen = run(row, fault, way, database)
    cell = seen.cell(row, _usual[row, way])
    return Found(row, way, fault, cell, promised(row, fault), seen.detail)
