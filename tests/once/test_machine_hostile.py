"""Random lives of a journaled push against a helpdesk that lies: no contradiction is silent.

The model of ``test_machine`` and more: lists are cut, shuffled and late, agents rewrite tickets, a
refused row was executed, one is executed twice, and older copies of the journal are put back. Then
nothing of ours is sent twice, and in the end what the journal has wrong is a doubt or a finding.

The limit, as the docs have it: where nothing of a row is left on its ticket, and the service has
named another outcome, nobody can know.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from kapture_async import RejectedError
from kapture_async._core.journal.records import DOUBTS, State
from kapture_async._core.journal.reference import references_in
from kapture_async._core.push.rows import InFlightRow
from kapture_async._core.reconcile.evidence import ListedTicket, ListEnd
from kapture_async._core.reconcile.lookup import LookupMethods
from kapture_async._core.reconcile.reconcile import reconcile
from kapture_async._core.reconcile.restored import RestoredSearch
from kapture_async._core.reconcile.verify import verify

from ..driven import Driven
from .test_machine import DAY, JOB, SETTLE, Ended, Lives, Service

MOODS = ("true", "cut", "cut, no count", "newest, cut", "holes", "shuffled, no count", "late")


@define
class Liar(Service):
    """Shows its tickets as it likes; what it executed stands in ``tickets``."""

    mood: str = "true"
    made: list[float] = field(factory=list)
    edited: set[int] = field(factory=set)
    """Tickets, by number, that have no reference any more."""
    dice: random.Random = field(factory=lambda: random.Random(1))

    def execute(self, text: str) -> str:
        self.made.append(self.now)
        return super().execute(text)

    async def look(self, since: float, until: float) -> AsyncIterator[Any]:
        shown = list(range(1, len(self.tickets) + 1))
        if self.mood == "late":
            shown = [one for one in shown if self.made[one - 1] < self.now - 2 * SETTLE]
        total: int | None = None if "no count" in self.mood else len(shown)
        if self.mood == "newest, cut":
            shown.reverse()
        if "shuffled" in self.mood:
            self.dice.shuffle(shown)
        if "cut" in self.mood:
            shown = shown[: len(shown) * 2 // 3]
        if self.mood == "holes":
            shown = [one for one in shown if self.dice.random() < 0.8]
        for number in shown:
            reference, _ = self.tickets[number - 1]
            bare = number in self.edited
            yield ListedTicket(str(number), frozenset() if bare else frozenset({reference}))
        yield ListEnd(rows=len(shown), total=total)


class HostileLives(Lives):
    service: Any

    def __init__(self) -> None:
        super().__init__()
        self.service = Liar()
        self.restored = False
        self.copied: Path | None = None
        self.by_service: Counter[str] = Counter()
        """References that the service has executed once more than it said."""

    def use_journal(self) -> None:
        super().use_journal()
        if self.restored:
            ways = LookupMethods(look=self.service.look)
            search = RestoredSearch(self.journal, ways, longest=None, now=lambda: self.service.now)
            self.run(search.begin())
            self.bridge._screening.search = search

    def intend(self, row: Any) -> InFlightRow[Any] | None:
        if self.bridge._screening.search is None:
            return super().intend(row)
        live: InFlightRow[Any] = row if isinstance(row, InFlightRow) else InFlightRow(0, row, 0.0)
        self.run(self.bridge._screening.look_at([live]))
        if live.found is not None and live.found.kind == "unsettled":
            return None
        return super().intend(live)

    # --- what the helpdesk does -----------------------------------------------------------------

    @rule(mood=st.sampled_from(MOODS), seed=st.integers(0, 5))
    def its_lists_change(self, mood: str, seed: int) -> None:
        self.service.mood, self.service.dice = mood, random.Random(seed)

    @precondition(lambda self: self.service.tickets)
    @rule(data=st.data())
    def an_agent_rewrites_a_ticket(self, data: st.DataObject) -> None:
        self.service.edited.add(data.draw(st.integers(1, len(self.service.tickets))))

    @precondition(lambda self: self.left)
    @rule(lie=st.sampled_from(["refused and done", "done twice", "done twice, no answer"]))
    def it_lies(self, lie: str) -> None:
        live = self.intend(self.left.pop(0))
        if live is None:
            return
        ticket_id = self.service.execute(live.value)
        if "twice" in lie:
            self.service.execute(live.value)
            self.by_service[self.service.tickets[-1][0]] += 1
        if lie == "refused and done":  # once it is mended, it goes again, and verify tells
            self.by_service[self.service.tickets[-1][0]] += 1
            self.end(live, Ended("rejected", RejectedError("no")))
        elif lie == "done twice":
            self.end(live, Ended("accepted", ticket_id=ticket_id))
        else:
            self.finish(live, "lost before", 0.0)

    # --- copies ---------------------------------------------------------------------------------

    @rule()
    def a_copy_is_made(self) -> None:
        self.copied = self.folder / "copy"
        self._copy(self.folder / str(self.processes), self.copied)

    @precondition(lambda self: self.copied is not None)
    @rule()
    def a_copy_is_put_back(self) -> None:
        assert self.copied is not None
        for live in self.in_flight:
            self.reach(live, "lost before", 0.0)
        self.in_flight.clear()
        self.store.close()
        self.processes += 1
        self.restored = True
        self._copy(self.copied, self.folder / str(self.processes))
        self._open()

    @staticmethod
    def _copy(one: Path, other: Path) -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{other}{end}").unlink(missing_ok=True)
            if Path(f"{one}{end}").exists():
                shutil.copy(f"{one}{end}", f"{other}{end}")

    def _open(self) -> None:
        path = self.folder / str(self.processes)
        self.store = Driven(
            path, job=JOB, create=False, restored=True, now=lambda: self.service.now
        )
        self.use_journal()
        self.left = list(self.source)

    # --- what must hold -------------------------------------------------------------------------

    async def look_up(self, look: Any, sleep: Any, *, assume_complete: bool) -> Any:
        return await reconcile(
            self.journal,
            LookupMethods(look=look, day_of=lambda at: at // DAY),
            settle=SETTLE,
            assume_complete=False,
            now=lambda: self.service.now,
            sleep=sleep,
        )

    def check_unsent(self, live: InFlightRow[Any]) -> None:
        (reference,) = references_in(live.value)
        if not self.by_service[reference]:
            super().check_unsent(live)

    def nothing_is_there_twice(self) -> None:
        """But for what the service has done twice by itself."""
        references = Counter(reference for reference, _ in self.service.tickets)
        assert not [one for one, n in references.items() if n > 1 + self.by_service[one]]

    def the_journal_tells_the_truth(self) -> None:
        if not hasattr(self, "store"):
            return
        there = {reference for reference, _ in self.service.tickets}
        for row in self.store.rows_in(State.ACCEPTED):
            assert row.reference in there, "accepted, and lost"

    def all_ends_well(self) -> None:
        """By a true list at last, what is wrong is told."""
        self.service.mood = "true"
        self.it_reconciles(None, False)
        self.service.pass_time(2 * SETTLE)
        self.it_ends_and_starts_again(0.0)
        while self.left:  # an older copy learns of what it has not seen
            live = self.intend(self.left.pop(0))
            if live is not None:
                self.finish(live, "accepted", 0.0)
        self.service.pass_time(2 * SETTLE)
        self.it_ends_and_starts_again(0.0)
        found = self.run(
            verify(
                self.journal,
                self.service.look,
                settle=SETTLE,
                day_of=lambda at: at // DAY,
                now=lambda: self.service.now,
            )
        )
        results = {row.reference: row.result for row in found.rows()}
        found.close()
        self.nothing_is_there_twice()
        self.the_journal_tells_the_truth()
        made: dict[str, list[int]] = {}
        for number, (reference, _) in enumerate(self.service.tickets, 1):
            made.setdefault(reference, []).append(number)
        told = {one.reference for one in self.store.contradictions()}
        rows = [row for state in State for row in self.store.rows_in(state)]
        if not self.restored:  # what the source has changed since, an older copy cannot know
            assert set(made) <= {row.reference for row in rows}
        for row in rows:
            numbers = made.get(row.reference, [])
            shown = [one for one in numbers if one not in self.service.edited]
            result = results.get(row.reference)
            if row.state in DOUBTS or row.reference in told or row.state is State.REPLACED:
                continue
            if row.state is State.ACCEPTED:
                assert len(shown) <= 1, f"twice and not told: {row}, {result}"
                assert result != "absent"
            else:
                assert not shown, f"there and not told: {row}, {result}"
            assert not (result == "present" and not numbers)


# `ONCE_LIVES=5000 pytest tests/once/test_machine_hostile.py` for a long run.
TestHostileLives = HostileLives.TestCase
TestHostileLives.settings = settings(
    max_examples=int(os.environ.get("ONCE_LIVES", "30")), stateful_step_count=30, deadline=None
)
