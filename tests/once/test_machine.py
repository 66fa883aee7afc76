"""Random lives of a journaled push against a model of the service: no path leads to a double.

The real journal on real files, the real bridge and the real reconciliation; the clock and the
service are models. A process may die at every point: before a row
is sent, after it, while it is looked for. The service may execute a request as late as the settle
time allows.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, evolve, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kapture_async import (
    ConnectError,
    HelpdeskError,
    NoReplyError,
    RateLimitedError,
    RejectedError,
    Row,
)
from kapture_async._core.journal.records import Job, State
from kapture_async._core.journal.reference import append_marker, references_in
from kapture_async._core.push.push import Push
from kapture_async._core.push.row_codec import RowCodec
from kapture_async._core.push.rows import InFlightRow
from kapture_async._core.push.settings import PushSettings
from kapture_async._core.reconcile.evidence import ListedTicket
from kapture_async._core.reconcile.lookup import LookupMethods
from kapture_async._core.reconcile.reconcile import reconcile
from kapture_async._core.transport.retry import NO_RETRY

from ..driven import Driven

T = TypeVar("T")
SETTLE = 300.0
DAY = 1000.0
JOB = Job(service="s", operation="o", target="https://example.com", place="text")
RECORDS: RowCodec[str] = RowCodec(
    job=JOB, ready=str, pack=str.encode, unpack=bytes.decode, mark=append_marker
)

ENDINGS = (
    "accepted",
    "rejected",
    "turned away",
    "not sent",
    "lost before",  # no answer; it was not executed, and never will be
    "lost after",  # no answer; it was executed
    "late",  # no answer; it is executed at some time within the settle time
)
DEATHS = ("before it is sent", "after it was executed", "and it is executed late")


async def never(row: str) -> Any:
    raise AssertionError("the engine is not run: the rules below send")


class Died(Exception):
    """The process was killed."""


@define
class Service:
    """Executes what it gets: at once, late or never."""

    now: float = 1_000_000.0
    tickets: list[tuple[str, str]] = field(factory=list)
    """Reference and text, as executed."""
    due: list[tuple[float, str]] = field(factory=list)

    def execute(self, text: str) -> str:
        (reference,) = references_in(text)
        self.tickets.append((reference, text.rpartition("\n")[0]))
        return str(len(self.tickets))

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due and min(self.due)[0] <= end:
            first = min(self.due)
            self.due.remove(first)
            self.execute(first[1])
        self.now = end

    async def look(self, since: float, until: float) -> AsyncIterator[ListedTicket]:
        assert since < self.now < until
        for number, (reference, _) in enumerate(self.tickets, 1):
            yield ListedTicket(str(number), frozenset({reference}))


@define
class Ended:
    """As much of an outcome as the bridge wants to know."""

    name: str
    error: HelpdeskError | None = None
    ticket_id: str | None = None


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = Path(tempfile.mkdtemp(dir=memory))
        self.processes = 0
        self.service = Service()
        self.source: list[Row[str]] = []
        self.left: list[Any] = []
        self.in_flight: list[InFlightRow[Any]] = []
        self.accepted: set[str] = set()

    @initialize()
    def begin(self) -> None:
        path = self.folder / str(self.processes)
        self.store = Driven(path, job=JOB, now=lambda: self.service.now)
        self.use_journal()
        self.left = list(self.source)

    def use_journal(self) -> None:
        self.journal = self.store.journal
        settings = PushSettings(journal=self.store.path, keep_going=True, give_up_after=None)
        self.push = Push(
            (), never, settings, service="s", operation="o", retry=NO_RETRY, codec=RECORDS
        )
        assert self.push._bridge is not None
        self.bridge = self.push._bridge
        self.bridge.use(self.journal)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.store.run(coroutine)

    def end(self, live: InFlightRow[Any], how: Ended) -> None:
        async def work() -> None:
            self.bridge.end(live, how)  # type: ignore[arg-type]
            await self.journal.call(lambda session: None)

        self.run(work())

    @invariant()
    def nothing_stops_the_push(self) -> None:
        assert not hasattr(self, "push") or self.push.stop_reason is None

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                self.all_ends_well()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    # --- the source -----------------------------------------------------------------------------

    @rule(keys=st.lists(st.sampled_from("abcdefAB"), max_size=3, unique=True))
    def rows_with_keys_are_added(self, keys: list[str]) -> None:
        known = {row.key for row in self.source}
        added = [Row(f"{key} 1", key) for key in keys if key not in known]
        self.source += added
        self.left += added

    @rule(contents=st.lists(st.sampled_from("xyz"), max_size=3))
    def rows_without_keys_are_added(self, contents: list[str]) -> None:
        added = [Row(content) for content in contents]
        self.source += added
        self.left += added

    @precondition(lambda self: any(row.key for row in self.source))
    @rule(data=st.data())
    def a_row_is_changed(self, data: st.DataObject) -> None:
        places = [number for number, row in enumerate(self.source) if row.key]
        place = data.draw(st.sampled_from(places))
        row = self.source[place]
        version = int(row.value.split()[1]) + 1
        self.source[place] = Row(f"{row.key} {version}", row.key)

    @rule(random=st.randoms(use_true_random=False))
    def the_source_is_reordered(self, random: Any) -> None:
        random.shuffle(self.source)

    # --- a run ----------------------------------------------------------------------------------

    @precondition(lambda self: self.left)
    @rule(
        count=st.integers(1, 4),
        endings=st.lists(st.sampled_from([*ENDINGS, "in flight", "put off"]), min_size=4),
        delays=st.lists(st.floats(0, SETTLE - 1), min_size=4, max_size=4),
    )
    def rows_are_sent(self, count: int, endings: list[str], delays: list[float]) -> None:
        for ending, delay in zip(endings[:count], delays, strict=False):
            if not self.left:
                return
            live = self.intend(self.left.pop(0))
            if live is not None:
                self.finish(live, ending, delay)

    @precondition(lambda self: self.in_flight)
    @rule(
        data=st.data(),
        ending=st.sampled_from([*ENDINGS, "put off"]),
        delay=st.floats(0, SETTLE - 1),
    )
    def one_in_flight_ends(self, data: st.DataObject, ending: str, delay: float) -> None:
        place = data.draw(st.integers(0, len(self.in_flight) - 1))
        self.finish(self.in_flight.pop(place), ending, delay)

    @precondition(lambda self: not self.left and not self.in_flight)
    @rule(from_journal=st.booleans())
    def the_source_ends(self, from_journal: bool) -> None:
        """Rows that waited for that have their turn; then, if it is wanted, the journal's."""
        self.left = self.run(self.rest(from_journal))

    @rule()
    def the_rows_of_the_journal_are_drawn(self) -> None:
        """By a push without a source."""
        self.it_ends_and_starts_again(0.0)
        self.left = self.run(self.rest(True))

    async def rest(self, from_journal: bool) -> list[Any]:
        self.bridge.settings = evolve(self.bridge.settings, from_journal=from_journal)
        return [row async for row in self.bridge.rest()]

    def intend(self, row: Any) -> InFlightRow[Any] | None:
        """What the engine does before it sends; ``None`` if it shall not, or not yet."""
        live: InFlightRow[Any] = row if isinstance(row, InFlightRow) else InFlightRow(0, row, 0.0)
        waiting = self.bridge.waiting

        async def work() -> None:
            self.bridge.begin(live)
            await self.journal.call(lambda session: None)
            while self.bridge.unsent:  # it was looked up first
                self.bridge.begin(self.bridge.unsent.popleft())
                await self.journal.call(lambda session: None)

        self.run(work())
        if live.entry is None:
            told = live.known is not None or live.last is not None
            assert told != (self.bridge.waiting > waiting), "no reason is given"
            return None
        self.check_unsent(live)
        return live

    def check_unsent(self, live: InFlightRow[Any]) -> None:
        """Nothing of what is about to be sent is there, or may still come."""
        (reference,) = references_in(live.value)
        assert reference not in dict(self.service.tickets), "sent twice"
        assert all(reference not in text for _, text in self.service.due), "sent twice, and late"

    def finish(self, live: InFlightRow[Any], ending: str, delay: float) -> None:
        end = self.end
        if ending == "in flight":
            self.in_flight.append(live)
        elif ending == "put off":

            async def defer() -> None:
                self.bridge.defer(live, RateLimitedError("wait"))
                await self.journal.call(lambda session: None)
                self.service.pass_time(1.0)
                await self.bridge.again(live)

            self.run(defer())
            self.check_unsent(live)
            self.in_flight.append(live)
        elif ending == "accepted":
            ticket_id = self.service.execute(live.value)
            end(live, Ended("accepted", ticket_id=ticket_id))
        elif ending in {"rejected", "turned away"}:
            kind = RejectedError if ending == "rejected" else RateLimitedError
            end(live, Ended("rejected", kind("no")))
        elif ending == "not sent":
            end(live, Ended("not_sent", ConnectError("no")))
        else:
            self.reach(live, ending, delay)
            end(live, Ended("unknown", NoReplyError("?")))

    def reach(self, live: InFlightRow[Any], how: str, delay: float) -> None:
        if how in {"lost after", "after it was executed"}:
            self.service.execute(live.value)
        elif "late" in how:
            self.service.due.append((self.service.now + delay, live.value))

    @precondition(lambda self: self.left)
    @rule(death=st.sampled_from(DEATHS), delay=st.floats(0, SETTLE - 1))
    def it_dies_with_a_row(self, death: str, delay: float) -> None:
        live = self.intend(self.left.pop(0))
        if live is not None:
            self.reach(live, death, delay)
            self.it_dies(0.0)

    @rule(delay=st.floats(0, SETTLE - 1), data=st.data())
    def it_dies_with_all_in_flight(self, delay: float, data: st.DataObject) -> None:
        for live in self.in_flight:
            self.reach(live, data.draw(st.sampled_from(DEATHS)), delay)
        self.it_dies(0.0)

    def it_dies(self, pause: float) -> None:
        old = self.store
        self.processes += 1
        for end in ("", "-wal", "-shm"):  # what a kill leaves on the disk
            kept = self.folder / f"{self.processes - 1}{end}"
            if kept.exists():
                shutil.copy(kept, self.folder / f"{self.processes}{end}")
        old.close()
        self.in_flight.clear()
        self.service.pass_time(pause)
        self.begin()

    @rule(pause=st.floats(0, 2 * SETTLE))
    def it_ends_and_starts_again(self, pause: float) -> None:
        for live in self.in_flight:
            self.reach(live, "lost before", 0.0)
            self.end(live, Ended("unknown", NoReplyError("cut off")))
        self.in_flight.clear()
        self.store.close(self.service.now)
        self.service.pass_time(pause)
        path = self.folder / str(self.processes)
        self.store = Driven(path, job=JOB, create=False, now=lambda: self.service.now)
        self.use_journal()
        self.left = list(self.source)

    @rule(seconds=st.floats(0, 2 * SETTLE))
    def time_passes(self, seconds: float) -> None:
        if not self.in_flight:  # no call takes that long
            self.service.pass_time(seconds)

    # --- reconciling ----------------------------------------------------------------------------

    @rule(
        dies_at=st.sampled_from([None, None, "wait", "look 1", "pause", "look 2"]),
        assume_complete=st.booleans(),
    )
    def it_reconciles(self, dies_at: str | None, assume_complete: bool) -> None:
        """In a process of its own, as the lock of the journal has it."""
        self.it_ends_and_starts_again(0.0)
        steps = iter(("wait", "look 1", "pause", "look 2"))
        if not self.waits():
            next(steps)

        async def sleep(seconds: float) -> None:
            if next(steps, None) == dies_at and dies_at is not None:
                self.service.pass_time(seconds / 2)
                raise Died
            self.service.pass_time(seconds)

        async def look(since: float, until: float) -> AsyncIterator[ListedTicket]:
            dies = next(steps, None) == dies_at and dies_at is not None
            async for seen in self.service.look(since, until):
                if dies:
                    raise Died
                yield seen
            if dies:
                raise Died

        try:
            self.run(self.look_up(look, sleep, assume_complete=assume_complete))
        except Died:
            self.it_dies(1.0)

    def waits(self) -> bool:
        """Whether a reconciliation begins with the settle time."""
        doubts = [d for d in self.store.doubts() if d.state is State.UNKNOWN]
        last = max((doubt.last_at for doubt in doubts), default=0.0)
        return last + SETTLE > self.service.now

    async def look_up(self, look: Any, sleep: Any, *, assume_complete: bool) -> Any:
        found = await reconcile(
            self.journal,
            LookupMethods(look=look, day_of=lambda at: at // DAY),
            settle=SETTLE,
            assume_complete=assume_complete,
            now=lambda: self.service.now,
            sleep=sleep,
        )
        references = {reference for reference, _ in self.service.tickets}
        if not assume_complete:
            assert references or not found.absent, "believed an empty look"
            assert not found.open or found.unconfirmed == len(found.open)
        return found

    # --- what must hold -------------------------------------------------------------------------

    @invariant()
    def nothing_is_there_twice(self) -> None:
        references = Counter(reference for reference, _ in self.service.tickets)
        assert max(references.values(), default=0) <= 1, references
        keys = Counter(text.split()[0] for _, text in self.service.tickets if " " in text)
        assert max(keys.values(), default=0) <= 1, keys
        contents = Counter(text for _, text in self.service.tickets if " " not in text)
        assert contents <= Counter(row.value for row in self.source if row.key is None)

    @invariant()
    def the_journal_tells_the_truth(self) -> None:
        if not hasattr(self, "store"):
            return
        there = dict(self.service.tickets)
        for row in self.store.rows_in(State.ACCEPTED):
            assert row.reference in there
        for row in self.store.rows_in(State.REJECTED, State.NOT_SENT):
            assert row.reference not in there
            assert all(row.reference not in text for _, text in self.service.due)
        assert not list(self.store.rows_in(State.AMBIGUOUS, State.PROBABLE))

    def all_ends_well(self) -> None:
        """In the end, with a kind service, each row is there once, or was refused as it is."""
        for _ in range(2):  # what the source refused is mended the second time
            self.it_reconciles(None, assume_complete=True)
            assert not list(self.store.doubts())
            for _ in range(2):  # those that wait for the end have their turn after it
                while self.left:
                    live = self.intend(self.left.pop(0))
                    if live is not None:
                        self.finish(live, "accepted", 0.0)
                self.left = self.run(self.rest(False))
            refused = {row.key for row in self.store.rows_in(State.REJECTED)}
            self.source = [
                Row(f"{row.key} 99", row.key) if row.key and row.key in refused else row
                for row in self.source
            ]
        self.nothing_is_there_twice()
        self.the_journal_tells_the_truth()
        there = Counter(text.split()[0] for _, text in self.service.tickets)
        for row in self.store.rows_in(State.REJECTED):  # without a key, a mended row is a new one
            assert row.key is None
            assert row.payload is not None
            there[row.payload.decode()] += 1
        assert there == Counter(row.value.split()[0] for row in self.source)


# `ONCE_LIVES=5000 pytest tests/once/test_machine.py` for a long run.
TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=int(os.environ.get("ONCE_LIVES", "30")), stateful_step_count=30, deadline=None
)
